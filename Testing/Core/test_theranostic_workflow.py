"""Fits of one nuclide become residence times of another: every kind of curve, and what is said about it."""

from __future__ import annotations

import csv
import json
import math

import numpy as np
import pytest

from radiodosimetry.cli import main
from radiodosimetry.errors import InputError
from radiodosimetry.nuclides import Radionuclide
from radiodosimetry.organ_dose import s_values as s_values_module
from radiodosimetry.time_activity.fit_files import read_fits
from radiodosimetry.time_activity.models import ExponentialSum, GammaUptake, PiecewiseLinear
from radiodosimetry.workflows.theranostics import converted_curve, residence_times_of_fits
from stylised_safs import closed_form_safs

BIOLOGICAL_PER_S = math.log(2) / (40 * 3600)
CU64, CU67 = (Radionuclide(name).decay_constant_per_s for name in ("Cu-64", "Cu-67"))
ADMINISTERED_MBQ, AMPLITUDE_MBQ = 200.0, 30.0


@pytest.fixture
def fits(tmp_path):
    """One region with 15 % uptake at once, a biological half-life of 40 h and Cu-64."""
    rate = (BIOLOGICAL_PER_S + CU64) * 3600
    region = {"model": "mono", "parameters": {"a_mbq": {"value": AMPLITUDE_MBQ, "std": 1.0}, "lambda1_per_h": rate}}
    region["tia_std_mbq_h"] = 0.1 * AMPLITUDE_MBQ / rate
    path = tmp_path / "fits.json"
    values = {"nuclide": "Cu-64", "administered_mbq": ADMINISTERED_MBQ, "regions": {"liver": region}}
    path.write_text(json.dumps(values))
    return path


def test_fits_of_the_same_nuclide_give_their_residence_times(fits) -> None:
    times, _ = residence_times_of_fits(read_fits(fits), "64Cu")
    assert times["liver"].value_s == pytest.approx(0.15 / (BIOLOGICAL_PER_S + CU64), rel=1e-9)
    assert times["liver"].std_s == pytest.approx(0.1 * times["liver"].value_s, rel=1e-9)


def test_fits_of_another_nuclide_exchange_the_decay(fits) -> None:
    times, warnings = residence_times_of_fits(read_fits(fits), "Cu-67")
    assert times["liver"].value_s == pytest.approx(0.15 / (BIOLOGICAL_PER_S + CU67), rel=1e-9)
    assert times["liver"].std_s == pytest.approx(0.1 * times["liver"].value_s, rel=1e-9)
    assert any("converted from fits of Cu-64: same molecule, same kinetics" in text for text in warnings)


def test_decays_later_than_can_be_seen_are_told(tmp_path) -> None:
    path = tmp_path / "fits.json"
    rate = Radionuclide("Ga-68").decay_constant_per_s * 3600 * 1.05
    region = {"model": "mono", "parameters": {"a_mbq": 10.0, "lambda1_per_h": rate}}
    path.write_text(json.dumps({"nuclide": "Ga-68", "administered_mbq": 100.0, "regions": {"kidneys": region}}))
    _, warnings = residence_times_of_fits(read_fits(path), "Lu-177")
    assert any("of the Lu-177 decays come later than 5 half-lives of Ga-68" in text for text in warnings)
    assert any("kidneys: the fit has no uncertainty" in text for text in warnings)


@pytest.mark.parametrize(
    "curve",
    [
        ExponentialSum(np.array([5e6, -4e6]), np.array([CU64 + 1e-6, CU64 + 3e-4])),
        GammaUptake(3e6, 2.0, 1e-4, CU64),
    ],
)
def test_converted_curves_are_the_measured_ones_without_one_decay_and_with_the_other(curve) -> None:
    times = np.linspace(0.0, 3e5, 31)
    expected = curve.value(times) * np.exp((CU64 - CU67) * times)
    np.testing.assert_allclose(converted_curve(curve, "Cu-64", "Cu-67").value(times), expected, rtol=1e-9)


def test_straight_lines_go_through_their_converted_points() -> None:
    curve = PiecewiseLinear(np.array([3600.0, 90_000.0]), np.array([4e6, 2e6]), CU64 + 1e-6, 1.5e6)
    found = converted_curve(curve, "Cu-64", "Cu-67")
    points = curve.times_s
    np.testing.assert_allclose(found.value(points), curve.activity_bq * np.exp((CU64 - CU67) * points))
    late = np.array([2e5, 3e5])
    np.testing.assert_allclose(found.value(late), curve.value(late) * np.exp((CU64 - CU67) * late))


def test_a_curve_slower_than_decay_is_refused_with_its_region(tmp_path) -> None:
    path = tmp_path / "fits.json"
    region = {"model": "mono", "parameters": {"a_mbq": 10.0, "lambda1_per_h": 0.001}}
    path.write_text(json.dumps({"nuclide": "Cu-64", "administered_mbq": 100.0, "regions": {"spleen": region}}))
    with pytest.raises(InputError, match="Region 'spleen' cannot be converted from Cu-64 to Cu-67: .*slower than"):
        residence_times_of_fits(read_fits(path), "Cu-67")


def test_fits_without_administered_activity_are_refused(tmp_path) -> None:
    path = tmp_path / "fits.json"
    region = {"model": "mono", "parameters": {"a_mbq": 10.0, "lambda1_per_h": 0.1}}
    path.write_text(json.dumps({"nuclide": "Cu-64", "regions": {"spleen": region}}))
    with pytest.raises(InputError, match="need the administered activity"):
        residence_times_of_fits(read_fits(path), "Cu-67")


def test_the_command_takes_fits_in_the_place_of_residence_times(fits, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(s_values_module, "load_photon_safs", closed_form_safs)
    output = tmp_path / "organ_dose.csv"
    words = ["--fits", str(fits), "--nuclide", "Cu-67", "--phantom", "adult-male", "--output", str(output)]
    assert main(["organ-dose", *words]) == 0
    record = json.loads(output.with_name("organ_dose.csv.json").read_text())
    seconds = record["parameters"]["residence_times_s"]["liver"]
    assert seconds == pytest.approx(0.15 / (BIOLOGICAL_PER_S + CU67), rel=1e-9)
    assert record["inputs"]["fits"]["path"] == "fits.json"
    assert any("converted from fits of Cu-64" in text for text in record["warnings"])
    with output.open() as stream:
        assert sum(1 for _ in csv.DictReader(stream)) == 25

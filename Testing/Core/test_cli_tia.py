"""`radiodosimetry tia` on small images: outputs, records, the way on to `dose`, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from radiodosimetry.cli import main
from radiodosimetry.images.geometry import VolumeGeometry
from radiodosimetry.images.readers import image_of, read_volume
from radiodosimetry.images.volume import QuantitativeVolume
from radiodosimetry.images.writers import write_volume
from radiodosimetry.nuclides import Radionuclide
from radiodosimetry.units import Quantity

SHAPE = (6, 8, 10)
SPACING = (4.0, 4.0, 5.0)
TIMES_H = (4.0, 24.0, 72.0, 120.0)
RATES_PER_H = {1: 0.012, 2: 0.03, 0: 0.02}
ACTIVITY = {1: 2e5, 2: 8e5, 0: 1e3}


@pytest.fixture
def patient(tmp_path) -> Path:
    """Four scans of two organs and their surroundings, each a mono-exponential, with labels and a CT."""
    folder = tmp_path / "patient"
    folder.mkdir()
    labels = np.zeros(SHAPE, np.uint8)
    labels[1:5, 2:7, 1:5] = 1
    labels[1:5, 2:7, 6:9] = 2
    write(folder / "labels.nii.gz", labels)
    write(folder / "ct.nii.gz", np.full(SHAPE, 40.0, np.float32))
    (folder / "labels.csv").write_text("label,name\n1,kidneys\n2,spleen\n")
    for time_h in TIMES_H:
        write(folder / f"scan_{time_h:g}.nii.gz", activity(labels, time_h))
    return folder


TIA = Quantity.TIME_INTEGRATED_ACTIVITY_CONCENTRATION

ORGANS = ["--fits", "{out}/patient/labels.csv", "--labels", "{out}/patient/labels.nii.gz"]
"""Options of organ-shape; what the files hold is not looked at before the options are."""


def activity(labels: np.ndarray, time_h: float) -> np.ndarray:
    """Concentration [Bq/mL] present at a time."""
    values = np.zeros(labels.shape, np.float32)
    for label, rate in RATES_PER_H.items():
        values[labels == label] = ACTIVITY[label] * np.exp(-rate * time_h)
    return values


def write(path: Path, array: np.ndarray, origin=(0.0, 0.0, 0.0)) -> None:
    sitk.WriteImage(image_of(array, VolumeGeometry(array.shape, SPACING, origin)), str(path))


def scan_words(folder: Path, times_h=TIMES_H, unit: str | None = "Bq/mL") -> list[str]:
    words = [word for time_h in times_h for word in ("--scan", f"{time_h:g}={folder / f'scan_{time_h:g}.nii.gz'}")]
    return words + (["--activity-unit", unit] if unit else [])


def run(folder: Path, *words: str, method: str = "mono", scans: list[str] | None = None) -> int:
    output = [] if "--output" in words else ["--output", str(folder.parent / "tia.nrrd")]
    nuclide = [] if "--nuclide" in words else ["--nuclide", "Lu-177"]
    return main(["tia", "--method", method, *nuclide, *(scans or scan_words(folder)), *output, *words])


def left_behind(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in tmp_path.iterdir() if path.name != "patient")


def fits_of(folder: Path, tmp_path: Path) -> Path:
    """Curves and mono-exponential fits of the organs by the commands before this one."""
    organs = ["--labels", str(folder / "labels.nii.gz"), "--label-names", str(folder / "labels.csv")]
    curves, fits = folder / "curves.csv", folder / "fits.json"
    assert main(["curves", "--nuclide", "Lu-177", *scan_words(folder), *organs, "--output", str(curves)]) == 0
    assert main(["fit", str(curves), "--nuclide", "Lu-177", "--model", "mono", "--output", str(fits)]) == 0
    return fits


def test_a_map_with_its_uncertainty_and_models_is_written(patient, tmp_path, capsys):
    words = ["--uncertainty", str(tmp_path / "u.nrrd"), "--model-map", str(tmp_path / "m.nrrd")]
    assert run(patient, *words) == 0
    assert left_behind(tmp_path) == ["m.nrrd", "m.nrrd.json", "tia.nrrd", "tia.nrrd.json", "u.nrrd", "u.nrrd.json"]
    tia, labels = read_volume(tmp_path / "tia.nrrd"), sitk.GetArrayFromImage(sitk.ReadImage(patient / "labels.nii.gz"))
    assert tia.quantity is Quantity.TIME_INTEGRATED_ACTIVITY_CONCENTRATION
    for label, rate in RATES_PER_H.items():
        np.testing.assert_allclose(tia.array_kji[labels == label], ACTIVITY[label] / rate * 3600, rtol=1e-5)
    assert read_volume(tmp_path / "u.nrrd").quantity is Quantity.RELATIVE_UNCERTAINTY
    models = read_volume(tmp_path / "m.nrrd")
    assert models.quantity is Quantity.LABEL
    assert (models.array_kji == 3).all()
    record = json.loads((tmp_path / "m.nrrd.json").read_text())
    assert record["parameters"]["model_map_legend"]["3"] == "mono-exponential"
    assert record["parameters"]["nuclide"] == "Lu-177"
    assert record["inputs"]["scan at 4 h"]["file"]["path"] == "scan_4.nii.gz"
    assert "ICRP" in record["dataset"]
    printed = capsys.readouterr().out
    assert "mono-exponential" in printed
    assert "MBq h" in printed


def test_dose_takes_the_map_without_a_unit(patient, tmp_path):
    assert run(patient) == 0
    words = ["--tia", str(tmp_path / "tia.nrrd"), "--ct", str(patient / "ct.nii.gz"), "--nuclide", "Lu-177"]
    assert main(["dose", "--method", "local", *words, "--output", str(tmp_path / "dose.nrrd")]) == 0
    dose = read_volume(tmp_path / "dose.nrrd")
    tia = read_volume(tmp_path / "tia.nrrd")
    ratio = dose.array_kji / tia.array_kji
    np.testing.assert_allclose(ratio, ratio.ravel()[0], rtol=1e-5)
    record = json.loads((tmp_path / "dose.nrrd.json").read_text())
    assert record["parameters"]["time_integrated_activity"]["method"] == "mono"


@pytest.mark.parametrize("method", ["mono", "bi", "trapezoid"])
def test_every_method_of_the_interface_makes_a_map(patient, tmp_path, method):
    assert run(patient, method=method) == 0
    tia = read_volume(tmp_path / "tia.nrrd").array_kji
    truth = ACTIVITY[1] / RATES_PER_H[1] * 3600
    assert tia[3, 4, 3] == pytest.approx(truth, rel=0.06 if method == "trapezoid" else 1e-4)


def test_organ_shape_follows_the_fits_and_keeps_their_totals(patient, tmp_path):
    fits = fits_of(patient, tmp_path)
    organs = ["--labels", str(patient / "labels.nii.gz"), "--label-names", str(patient / "labels.csv")]
    assert run(patient, "--fits", str(fits), *organs, method="organ-shape") == 0
    tia = read_volume(tmp_path / "tia.nrrd")
    labels = sitk.GetArrayFromImage(sitk.ReadImage(patient / "labels.nii.gz"))
    written = json.loads(fits.read_text())["regions"]
    for label, name in ((1, "kidneys"), (2, "spleen")):
        total_mbq_h = tia.array_kji[labels == label].sum(dtype=float) * tia.geometry.voxel_volume_ml / 3.6e9
        assert total_mbq_h == pytest.approx(written[name]["tia_mbq_h"], rel=1e-6)
    record = json.loads((tmp_path / "tia.nrrd.json").read_text())
    assert set(record["parameters"]["organs"]) == {"kidneys", "spleen"}
    assert record["inputs"]["fits"]["path"] == "fits.json"
    assert run(patient, "--fits", str(fits), *organs, "--nuclide", "Y-90", method="organ-shape") == 2


def test_a_physical_tail_is_the_callers_choice_and_named_in_the_record(patient, tmp_path):
    assert run(patient, method="trapezoid") == 0
    fitted = read_volume(tmp_path / "tia.nrrd").array_kji
    assert run(patient, "--tail", "physical", "--start", "constant", method="trapezoid") == 0
    physical = read_volume(tmp_path / "tia.nrrd")
    assert (physical.array_kji > fitted).all()
    times = np.array(TIMES_H) * 3600
    values = ACTIVITY[1] * np.exp(-RATES_PER_H[1] * np.array(TIMES_H))
    expected = (
        values[0] * times[0] + np.trapezoid(values, times) + values[-1] / Radionuclide("Lu-177").decay_constant_per_s
    )
    assert physical.array_kji[3, 4, 3] == pytest.approx(expected, rel=1e-6)
    assert physical.record.parameters["tail"] == "physical"
    assert any("physical decay alone" in warning for warning in physical.record.warnings)


def test_scans_with_a_sidecar_need_no_unit_and_other_units_are_converted(patient, tmp_path):
    scans = []
    for time_h in TIMES_H:
        array = sitk.GetArrayFromImage(sitk.ReadImage(patient / f"scan_{time_h:g}.nii.gz"))
        geometry = VolumeGeometry(SHAPE, SPACING)
        write_volume(QuantitativeVolume(array, geometry, Quantity.ACTIVITY_CONCENTRATION), patient / f"{time_h:g}.nrrd")
        scans += ["--scan", f"{time_h:g}={patient / f'{time_h:g}.nrrd'}"]
    assert run(patient, scans=scans) == 0
    first = read_volume(tmp_path / "tia.nrrd").array_kji
    assert run(patient, scans=scan_words(patient, unit="kBq/mL")) == 0
    np.testing.assert_allclose(read_volume(tmp_path / "tia.nrrd").array_kji, 1000 * first, rtol=1e-6)


def test_means_over_frames_are_brought_to_their_start(patient, tmp_path):
    assert run(patient, "--output", str(tmp_path / "at.nrrd")) == 0
    assert run(patient, "--output", str(tmp_path / "mean.nrrd"), "--frame-duration-s", "36000") == 0
    plain, corrected = (read_volume(tmp_path / name, TIA).array_kji.sum() for name in ("at.nrrd", "mean.nrrd"))
    decays = Radionuclide("Lu-177").decay_constant_per_s * 36000
    assert corrected / plain == pytest.approx(decays / -np.expm1(-decays), rel=1e-5)


def test_images_decay_corrected_to_administration_are_decayed_to_their_times(patient, tmp_path):
    assert run(patient) == 0
    plain = read_volume(tmp_path / "tia.nrrd").array_kji
    rate = Radionuclide("Lu-177").decay_constant_per_s * 3600
    for time_h in TIMES_H:
        array = sitk.GetArrayFromImage(sitk.ReadImage(patient / f"scan_{time_h:g}.nii.gz"))
        write(patient / f"scan_{time_h:g}.nii.gz", array * np.float32(np.exp(rate * time_h)))
    assert run(patient, "--decay-corrected-to-administration") == 0
    np.testing.assert_allclose(read_volume(tmp_path / "tia.nrrd").array_kji, plain, rtol=1e-5)


def refused(capsys, code: int, text: str) -> None:
    __tracebackhide__ = True
    error = capsys.readouterr().err
    assert code == 2, error
    assert text in error, error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("times_h", "method", "text"),
    [
        ((24.0, 4.0), "mono", "found 24, 4"),
        ((4.0, 4.0), "mono", "4 h"),
        ((4.0,), "mono", "Method mono has 2 parameters and needs at least 2 scans, found 1"),
        ((4.0, 24.0), "bi", "Method bi has 4 parameters and needs at least 4 scans, found 2"),
        ((4.0,), "trapezoid", "A fitted tail needs at least two scans, found one"),
    ],
)
def test_times_and_numbers_of_scans_that_cannot_be_are_refused(patient, tmp_path, capsys, times_h, method, text):
    refused(capsys, run(patient, method=method, scans=scan_words(patient, times_h)), text)
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize(
    ("words", "method", "text"),
    [
        (["--region", "a=b", "--region", "a=c", *ORGANS], "organ-shape", "--region is given more than once for a"),
        (["--frame-duration-s", "60", "--frame-duration-s", "70"], "mono", "--frame-duration-s is given 2 times for 4"),
        (["--tail", "physical"], "mono", "--tail belongs to --method trapezoid, found mono"),
        (["--start", "zero"], "bi", "--start belongs to --method trapezoid, found bi"),
        (["--no-conserve-organ-tia"], "mono", "--conserve-organ-tia belongs to --method organ-shape"),
        (["--region", "a=b"], "mono", "--region belongs to --method organ-shape"),
        ([], "organ-shape", "--method organ-shape needs organs and the fits of their curves"),
        (["--noise-percent", "0"], "mono", "expected a number above zero"),
        (["--noise-percent", "2000"], "mono", "--noise-percent must be below 1000"),
        (["--output", "{out}/tia.txt"], "mono", "must end in one of .nrrd"),
        (["--model-map", "{out}/tia.nrrd"], "mono", "Two outputs would be written to"),
        (["--output", "{out}/patient/scan_4.nii.gz"], "mono", "is also an input and would be overwritten"),
        (["--nuclide", "Lu-999"], "mono", "Lu-999"),
        (["--administration-time", "2024-05-31T09:30:00"], "mono", "belongs to scans given as 'header=PATH'"),
    ],
)
def test_options_that_cannot_be_are_refused_before_anything_is_read(patient, tmp_path, capsys, words, method, text):
    words = [word.format(out=tmp_path) for word in words]
    refused(capsys, run(patient, *words, method=method), text)
    assert left_behind(tmp_path) == []


def test_every_method_writes_an_uncertainty_from_four_scans(patient, tmp_path):
    for method in ("trapezoid", "mono", "bi"):
        assert run(patient, "--uncertainty", f"{tmp_path}/u_{method}.nrrd", method=method) == 0
        uncertainty = read_volume(tmp_path / f"u_{method}.nrrd", Quantity.RELATIVE_UNCERTAINTY)
        assert np.isfinite(uncertainty.array_kji).all()
        assert uncertainty.array_kji.max() > 0


def test_an_uncertainty_that_two_scans_cannot_tell_is_refused(patient, tmp_path, capsys):
    words = ["--uncertainty", f"{tmp_path}/u.nrrd"]
    text = "--uncertainty cannot be told from 2 scans by method mono"
    refused(capsys, run(patient, *words, scans=scan_words(patient, (4.0, 24.0))), text)
    assert left_behind(tmp_path) == []


def test_scans_that_cannot_be_are_refused(patient, tmp_path, capsys):
    refused(capsys, run(patient, scans=scan_words(patient, unit=None)), "does not say its unit")
    refused(capsys, run(patient, scans=["--scan", "x=y.nrrd"]), "does not exist")
    refused(capsys, run(patient, scans=["--scan", f"-4={patient / 'scan_4.nii.gz'}"]), "before the administration")
    write(patient / "scan_24.nii.gz", np.zeros(SHAPE, np.float32))
    refused(capsys, run(patient), "zero everywhere")
    write(patient / "scan_24.nii.gz", np.ones(SHAPE, np.float32), origin=(900.0, 0.0, 0.0))
    refused(capsys, run(patient), "do not overlap")
    broken = np.ones(SHAPE, np.float32)
    broken[2] = -2
    write(patient / "scan_24.nii.gz", broken)
    refused(capsys, run(patient), "Negative activity")
    assert left_behind(tmp_path) == []


def test_regions_without_a_fit_are_refused_by_name(patient, tmp_path, capsys):
    fits = fits_of(patient, tmp_path)
    values = json.loads(fits.read_text())
    del values["regions"]["spleen"]
    fits.write_text(json.dumps(values))
    capsys.readouterr()
    organs = ["--labels", str(patient / "labels.nii.gz"), "--label-names", str(patient / "labels.csv")]
    refused(capsys, run(patient, "--fits", str(fits), *organs, method="organ-shape"), "No fit for the region spleen")
    fits.write_text("{}")
    refused(capsys, run(patient, "--fits", str(fits), *organs, method="organ-shape"), "holds no regions")

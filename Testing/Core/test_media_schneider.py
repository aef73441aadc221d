"""CT numbers become the densities and tissues that Schneider et al. 2000 printed, or a site's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from radiodosimetry.errors import FileFormatError, InputError, UnknownMediumError
from radiodosimetry.media import SchneiderConversion, schneider_2000, schneider_tissues


@pytest.mark.parametrize(
    ("hu", "density"),
    [
        (-1000, 0.00121), (-98, 0.93), (-97, 0.930486), (14, 1.03), (23, 1.031),
        (100, 1.1199), (101, 1.0762), (1600, 1.9642), (3000, 2.8),
    ],
)  # fmt: skip
def test_density_points_are_those_printed(hu: float, density: float) -> None:
    assert schneider_2000().density_g_per_cm3(hu) == pytest.approx(density)


def test_density_is_linear_between_points_and_constant_outside() -> None:
    conversion = schneider_2000()
    assert conversion.density_g_per_cm3(100.5) == pytest.approx((1.1199 + 1.0762) / 2)
    assert conversion.density_g_per_cm3(-3024) == pytest.approx(0.00121)
    assert conversion.density_g_per_cm3(20000) == pytest.approx(2.8)


@pytest.mark.parametrize(
    ("hu", "tissue"),
    [
        (-3024, "air"), (-1050, "air"), (-951, "air"), (-950, "lung-schneider"), (-121, "lung-schneider"),
        (-120, "adipose-1"), (18, "adipose-5"), (19, "soft-tissue"), (79, "soft-tissue"), (80, "connective"),
        (120, "bone-1"), (1499, "bone-14"),
        (1500, "bone-15"), (1641, "bone-15"), (30000, "bone-15"),
    ],
)  # fmt: skip
def test_each_tissue_holds_from_its_number_to_the_next(hu: float, tissue: str) -> None:
    conversion = schneider_2000()
    assert conversion.media[int(conversion.tissue_index(hu))].name == tissue


def test_first_and_last_compositions_are_those_printed() -> None:
    tissues = schneider_tissues()
    assert len(tissues) == 24
    assert dict(tissues[0].mass_fractions) == pytest.approx({"N": 0.755, "O": 0.232, "Ar": 0.013})
    assert tissues[-1].mass_fractions["Ca"] == pytest.approx(0.225, rel=2e-3)
    assert tissues[-1].mass_fractions["H"] == pytest.approx(0.034, rel=2e-3)


def test_tissues_have_the_density_of_the_middle_of_their_band() -> None:
    by_name = {tissue.name: tissue for tissue in schneider_tissues()}
    assert by_name["air"].density_g_per_cm3 == pytest.approx(0.00121)
    assert by_name["bone-1"].density_g_per_cm3 == pytest.approx(1.0762 + (160 - 101) / 1499 * (1.9642 - 1.0762))
    assert by_name["soft-tissue"].density_g_per_cm3 == 1.04


def test_titanium_begins_where_asked_and_has_its_own_density() -> None:
    conversion = schneider_2000().with_titanium()
    hu = np.array([2299, 2300, 3000])
    assert [conversion.media[index].name for index in conversion.tissue_index(hu)] == [
        "bone-15",
        "titanium",
        "titanium",
    ]
    assert conversion.density_g_per_cm3(hu)[1:] == pytest.approx([4.54, 4.54])
    assert conversion.density_g_per_cm3(hu)[0] < 2.5


def test_numbers_outside_the_table_are_counted_in_plain_english() -> None:
    hu = np.array([-3024, -3024, -1000, 0, 1640, 1641, 2500])
    below, above = schneider_2000().warnings_for(hu)
    assert below.startswith("2 of 7 CT voxels lie below -1050 HU (padding")
    assert "taken as air" in below
    assert above.startswith("2 of 7 CT voxels lie above 1640 HU")
    assert "densest bone (bone-15)" in above
    assert schneider_2000().with_titanium().warnings_for(hu)[2].startswith("1 of 7 CT voxels from 2300 HU on")
    assert schneider_2000().warnings_for(np.array([0, 100])) == ()


@pytest.mark.parametrize("kind", [np.int16, np.float32, np.int32])
def test_integers_and_floats_give_the_same(kind: type) -> None:
    hu = np.array([-1000, 0, 57, 1200])
    conversion = schneider_2000()
    np.testing.assert_array_equal(conversion.density_g_per_cm3(hu.astype(kind)), conversion.density_g_per_cm3(hu))


def test_nan_and_absurd_numbers_are_refused() -> None:
    with pytest.raises(InputError, match="NaN or infinite; expected a CT number"):
        schneider_2000().density_g_per_cm3(np.array([0.0, np.nan]))
    with pytest.raises(InputError, match=r"a value of 65535; expected CT numbers up to 31000 HU"):
        schneider_2000().tissue_index(np.array([0, 65535]))
    with pytest.raises(InputError, match="real numbers in HU, found values of type bool"):
        schneider_2000().density_g_per_cm3(np.array([True]))


def test_a_site_can_bring_its_own_curve_and_compositions(tmp_path: Path) -> None:
    curve, composition = tmp_path / "curve.csv", tmp_path / "tissues.csv"
    curve.write_text("# our scanner, 120 kV\nhu,density_g_per_cm3\n-1000,0.001\n0,1.0\n2000,2.0\n")
    composition.write_text("hu,tissue,H,O,Ca\n-1100,water,11.2,88.8,0\n500,lime,0,60,40\n")
    conversion = SchneiderConversion.from_csv(curve, composition)
    assert conversion.density_g_per_cm3(1000) == pytest.approx(1.5)
    assert [tissue.name for tissue in conversion.media] == ["water", "lime"]
    assert conversion.tissue_index(np.array([-2000, 499, 500])).tolist() == [0, 0, 1]
    assert conversion.name == "curve.csv, tissues.csv"
    assert len(SchneiderConversion.from_csv(curve).tissues) == 24


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("hu,rho\n0,1\n1,2\n", FileFormatError, "columns hu, rho; expected also density_g_per_cm3"),
        ("hu,density_g_per_cm3\n0,1\n0,2\n", InputError, "strictly ascending"),
        ("hu,density_g_per_cm3\n0,1\n1,1000\n", InputError, r"positive densities in g/cm³ \(not kg/m³\)"),
        ("hu,density_g_per_cm3\n0,one\n1,2\n", FileFormatError, "words in the column"),
        (
            "hu,density_g_per_cm3\n0,1\n1\n",
            FileFormatError,
            "Line 2 of the calibration file .* has 1 values, expected 2",
        ),
        ("", FileFormatError, "holds no values"),
        ("hu,density_g_per_cm3\n0,nan\n1,2\n", InputError, "positive densities"),
    ],
)
def test_a_curve_that_cannot_be_one_is_refused(tmp_path: Path, text: str, error: type[Exception], message: str) -> None:
    path = tmp_path / "curve.csv"
    path.write_text(text)
    with pytest.raises(error, match=message):
        SchneiderConversion.from_csv(path)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("hu,tissue,H,O\n0,water,0.112,0.888\n", InputError, "sum to 0.01; expected 1"),
        ("hu,tissue,H,Xx\n0,water,11.2,88.8\n", InputError, r"column\(s\) Xx; expected hu, tissue and element symbols"),
        ("hu,H,O\n0,11.2,88.8\n", FileFormatError, "expected also tissue"),
    ],
)
def test_compositions_that_cannot_be_are_refused(
    tmp_path: Path, text: str, error: type[Exception], message: str
) -> None:
    path = tmp_path / "tissues.csv"
    path.write_text(text)
    with pytest.raises(error, match=message):
        SchneiderConversion.from_csv(composition_csv=path)


def test_a_missing_calibration_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"nowhere.csv' cannot be read .*; give a CSV file"):
        SchneiderConversion.from_csv(tmp_path / "nowhere.csv")


def test_titanium_below_the_last_tissue_is_refused() -> None:
    with pytest.raises(
        InputError, match="Titanium is to begin at 1000 HU; expected more than the last tissue's 1500 HU"
    ):
        schneider_2000().with_titanium(1000)


def test_unknown_medium_error_is_an_input_error() -> None:
    assert issubclass(UnknownMediumError, InputError)

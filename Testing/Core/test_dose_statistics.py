"""Region statistics and dose-volume histograms against closed forms."""

from types import SimpleNamespace

import numpy as np
import pytest

from radiodosimetry.errors import FileFormatError, GeometryMismatchError, InputError, RegionError, UnitError
from radiodosimetry.images.geometry import VolumeGeometry
from radiodosimetry.images.regions import Region
from radiodosimetry.images.volume import QuantitativeVolume
from radiodosimetry.units import Quantity
from radiodosimetry.voxel_dose.dose_volume import (
    DVH_COLUMNS,
    dose_to_hottest_percent_gy,
    dose_to_hottest_volume_gy,
    dvh,
    dvh_csv,
)
from radiodosimetry.voxel_dose.radiobiology import (
    DEFAULT_ALPHA_PER_GY,
    Radiobiology,
    biologically_effective_dose_gy,
    equivalent_uniform_dose_gy,
    read_radiobiology,
)
from radiodosimetry.voxel_dose.statistics import (
    radiobiology_warnings,
    region_statistics,
    table_csv,
    table_text,
)

ISSUE_HEADER = (
    "region,volume_ml,mass_g,mean_gy,std_gy,min_gy,d98_gy,d90_gy,d70_gy,d50_gy,d30_gy,d10_gy,d2_gy,max_gy,"
    "mean_uncertainty_percent"
)


def dose_of(array_kji, spacing_mm=(10.0, 10.0, 10.0), quantity=Quantity.ABSORBED_DOSE):
    array = np.asarray(array_kji, dtype=float)
    return QuantitativeVolume(array, VolumeGeometry(array.shape, spacing_mm), quantity)


def whole(dose, name="all"):
    return Region(name, np.ones(dose.geometry.shape_kji, dtype=bool), name)


@pytest.fixture
def ramp():
    """101 voxels of 1 mL with 0, 1, … 100 Gy."""
    return dose_of(np.arange(101.0).reshape(1, 1, 101))


def test_mean_is_weighted_by_mass_and_volume_is_not():
    dose = dose_of([[[1.0, 4.0]]])
    (row,) = region_statistics(dose, np.array([[[2.0, 1.0]]]), [whole(dose)])
    assert row.volume_ml == pytest.approx(2.0)
    assert row.mass_g == pytest.approx(3.0)
    assert row.mean_gy == pytest.approx(2.0)
    assert row.std_gy == pytest.approx(np.sqrt((2 * 1 + 1 * 4) / 3))
    assert row.d50_gy == pytest.approx(2.5)


def test_without_density_mass_is_unknown_and_the_mean_is_by_volume():
    dose = dose_of([[[1.0, 4.0]]])
    (row,) = region_statistics(dose, None, [whole(dose)])
    assert row.mass_g is None
    assert row.mean_gy == pytest.approx(2.5)
    assert table_csv([row]).splitlines()[1].split(",")[2] == ""


def test_dose_volume_figures_of_a_ramp_are_its_quantiles(ramp):
    (row,) = region_statistics(ramp, np.ones(ramp.geometry.shape_kji), [whole(ramp)])
    assert (
        row.min_gy,
        row.d98_gy,
        row.d90_gy,
        row.d70_gy,
        row.d50_gy,
        row.d30_gy,
        row.d10_gy,
        row.d2_gy,
        row.max_gy,
    ) == (pytest.approx((0, 2, 10, 30, 50, 70, 90, 98, 100)))


def test_overlapping_regions_are_independent(ramp):
    half = Region("half", ramp.array_kji >= 50, "half")
    rows = region_statistics(ramp, None, [whole(ramp), half])
    assert [row.region for row in rows] == ["all", "half"]
    assert rows[1].mean_gy == pytest.approx(75.0)


def test_table_has_the_documented_columns(ramp):
    rows = region_statistics(ramp, None, [whole(ramp, "a,b")])
    assert table_csv(rows).splitlines()[0] == ISSUE_HEADER
    assert table_csv(rows).splitlines()[1].startswith('"a,b",101,,50,')
    assert table_csv(rows).endswith(",100,\n")
    assert table_csv(rows, with_radiobiology=True).splitlines()[0] == ISSUE_HEADER + ",eud_gy,bed_gy"
    assert "mean [Gy]" in table_text(rows)


def test_a_relative_uncertainty_becomes_percent_of_the_mean_where_it_is_known(ramp):
    known, unknown = region_statistics(ramp, None, [whole(ramp), whole(ramp, "b")], uncertainty={"all": 0.0125})
    assert known.mean_uncertainty_percent == pytest.approx(1.25)
    assert unknown.mean_uncertainty_percent is None


def test_bed_of_a_uniform_dose_is_the_formula():
    tissue = Radiobiology(alpha_beta_gy=2.5, repair_half_life_s=2.5 * 3600, effective_half_life_s=50 * 3600)
    expected = 20 * (1 + 20 * 2.5 / ((2.5 + 50) * 2.5))
    assert biologically_effective_dose_gy(20.0, tissue) == pytest.approx(expected)
    dose = dose_of(np.full((2, 2, 2), 20.0))
    (row,) = region_statistics(dose, None, [whole(dose)], radiobiology={"all": tissue})
    assert row.bed_gy == pytest.approx(expected)
    assert row.eud_gy == pytest.approx(20.0)


def test_bed_of_a_region_is_the_mean_of_its_voxels_by_mass():
    tissue = Radiobiology(10.0, 3600.0, 3600.0)
    dose = dose_of([[[0.0, 20.0]]])
    (row,) = region_statistics(dose, np.array([[[3.0, 1.0]]]), [whole(dose)], radiobiology={"all": tissue})
    assert row.bed_gy == pytest.approx((20 + 20 * 20 * 0.5 / 10) / 4)


def test_eud_of_two_halves_is_the_closed_form_and_survives_huge_doses():
    alpha = 0.35
    assert equivalent_uniform_dose_gy([0.0, 2.0], alpha) == pytest.approx(-np.log((1 + np.exp(-0.7)) / 2) / alpha)
    assert equivalent_uniform_dose_gy([1e4, 2e4], alpha) == pytest.approx(1e4 + np.log(2) / alpha)
    assert equivalent_uniform_dose_gy([0.0, 2.0], alpha, weights=[0.0, 1.0]) == pytest.approx(2.0)


def test_radiobiology_is_read_from_csv(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text(
        "region,alpha_beta_gy,repair_half_life_h,effective_half_life_h,alpha_per_gy,note\nliver,2.5,2,50,,x\nt,10,1.5,60,0.2,\n"
    )
    table = read_radiobiology(path)
    assert table["liver"] == Radiobiology(2.5, 7200.0, 180000.0, DEFAULT_ALPHA_PER_GY, alpha_is_assumed=True)
    assert table["t"].alpha_per_gy == 0.2
    assert "EUD of liver uses an assumed radiosensitivity of 0.35 per Gy" in radiobiology_warnings(table)[0]
    assert radiobiology_warnings({"t": table["t"]}) == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("region,alpha_beta_gy\nliver,2\n", "lacks the columns repair_half_life_h, effective_half_life_h"),
        ("region,alpha_beta_gy,repair_half_life_h,effective_half_life_h\nliver,0,2,3\n", "must be a positive number"),
        ("region,alpha_beta_gy,repair_half_life_h,effective_half_life_h\nliver,x,2,3\n", "region 'liver': could not"),
        ("region,alpha_beta_gy,repair_half_life_h,effective_half_life_h\nliver,1\n", "must be a positive number"),
        ("region,alpha_beta_gy,repair_half_life_h,effective_half_life_h\na,1,2,3\na,1,2,3\n", "names region 'a' twice"),
        ("", "found none"),
    ],
)
def test_bad_radiobiology_tables_are_refused_with_their_reason(tmp_path, text, message):
    path = tmp_path / "r.csv"
    path.write_text(text)
    with pytest.raises(FileFormatError, match=message):
        read_radiobiology(path)


def test_a_missing_radiobiology_table_is_refused(tmp_path):
    with pytest.raises(FileFormatError, match="cannot be read"):
        read_radiobiology(tmp_path / "absent.csv")


def test_radiobiology_of_an_absent_region_is_refused(ramp):
    with pytest.raises(RegionError, match="given for spleen, which are not among the regions: all"):
        region_statistics(ramp, None, [whole(ramp)], radiobiology={"spleen": Radiobiology(1, 1, 1)})


def test_cumulative_dvh_falls_from_all_to_nothing_and_the_differential_adds_up(ramp):
    histogram = dvh(ramp, whole(ramp), bins=100)
    assert histogram.dose_gy[0] == 0
    assert histogram.cumulative_volume_percent[0] == 100
    assert histogram.cumulative_volume_percent[-1] == 0
    assert histogram.volume_percent_at(50.0) == pytest.approx(100 * 51 / 101)
    assert np.sum(histogram.differential_volume_percent_per_gy * 1.0) == pytest.approx(100)
    assert np.all(np.diff(histogram.cumulative_volume_percent) <= 0)


def test_dvh_of_a_uniform_dose_is_a_step():
    dose = dose_of(np.full((3, 3, 3), 7.0))
    histogram = dvh(dose, whole(dose), bins=10)
    assert histogram.volume_percent_at([0.0, 6.9, 7.0]) == pytest.approx(100)
    assert histogram.volume_percent_at(7.7) == pytest.approx(0)
    zero = dose_of(np.zeros((1, 1, 2)))
    assert dvh(zero, whole(zero)).cumulative_volume_percent[1] == 0


def test_dvh_table_has_the_documented_columns(ramp):
    lines = dvh_csv([dvh(ramp, whole(ramp), bins=4)]).splitlines()
    assert lines[0] == DVH_COLUMNS == "region,dose_gy,cumulative_volume_percent,differential_volume_percent_per_gy"
    assert lines[1] == "all,0,100,0.990099"
    assert len(lines) == 7


def test_dose_to_the_hottest_volume_interpolates(ramp):
    assert dose_to_hottest_volume_gy(ramp.array_kji, 1.0, 10.1) == pytest.approx(90.0)
    with pytest.raises(RegionError, match="has 101 mL, so there is no dose to its hottest 200 mL"):
        dose_to_hottest_volume_gy(ramp.array_kji, 1.0, 200.0)
    with pytest.raises(InputError, match="between 0 and 100"):
        dose_to_hottest_percent_gy([1.0], 101.0)


def test_an_empty_region_is_refused(ramp):
    empty = SimpleNamespace(name="tumour", mask_kji=np.zeros(ramp.geometry.shape_kji, dtype=bool))
    with pytest.raises(RegionError, match="'tumour' has no voxel"):
        region_statistics(ramp, None, [empty])
    with pytest.raises(RegionError, match="'tumour' has no voxel"):
        dvh(ramp, empty)


def test_a_region_of_vacuum_is_refused(ramp):
    with pytest.raises(RegionError, match="no mass"):
        region_statistics(ramp, np.zeros(ramp.geometry.shape_kji), [whole(ramp)])


def test_other_shapes_quantities_and_repeated_names_are_refused(ramp):
    with pytest.raises(GeometryMismatchError, match="mask of shape"):
        region_statistics(ramp, None, [Region("x", np.ones((1, 1, 2), dtype=bool), "x")])
    with pytest.raises(InputError, match="density has shape"):
        region_statistics(ramp, np.ones((1, 1, 2)), [whole(ramp)])
    activity = dose_of(ramp.array_kji, quantity=Quantity.ACTIVITY_CONCENTRATION)
    with pytest.raises(UnitError, match="need a volume of absorbed dose"):
        region_statistics(activity, None, [whole(activity)])
    with pytest.raises(RegionError, match="found all more than once"):
        region_statistics(ramp, None, [whole(ramp), whole(ramp)])
    with pytest.raises(InputError, match="at least one bin, found 0"):
        dvh(ramp, whole(ramp), bins=0)
    with pytest.raises(InputError, match="negative dose"):
        dvh(dose_of([[[-1.0, 1.0]]]), whole(dose_of([[[1.0, 1.0]]])))

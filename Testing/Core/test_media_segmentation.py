"""A CT becomes densities and media, by density bands or by tissues."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from radiodosimetry.errors import InputError, UnitError
from radiodosimetry.images.geometry import VolumeGeometry
from radiodosimetry.images.volume import QuantitativeVolume
from radiodosimetry.media import DensityBands, MediaMap, named_material, schneider_2000, segment_media
from radiodosimetry.units import Quantity

HU_KJI = np.array([[[-3024, -1000, -700], [-100, 0, 50]], [[110, 400, 1000], [1600, 2400, 3000]]], dtype=np.int16)
GEOMETRY = VolumeGeometry((2, 2, 3), (2.0, 2.0, 5.0))


def ct_of(array_kji: np.ndarray) -> QuantitativeVolume:
    return QuantitativeVolume(array_kji, GEOMETRY, Quantity.CT_NUMBER)


def test_default_bands_are_twenty_from_air_to_dense_bone() -> None:
    bands = DensityBands()
    assert len(bands) == 20
    assert bands.edges_g_per_cm3[0] == 0.0012
    assert bands.edges_g_per_cm3[-1] == 2.0
    assert sum(0.9 <= centre <= 1.15 for centre in bands.centres_g_per_cm3) >= 7
    media = bands.media(schneider_2000())
    assert media[0].name.startswith("air")
    assert media[2].name.startswith("lung-schneider")
    assert any(medium.name.startswith("soft-tissue") for medium in media)
    assert [medium.density_g_per_cm3 for medium in media] == pytest.approx(bands.centres_g_per_cm3)


def test_every_voxel_gets_its_density_and_the_band_that_holds_it() -> None:
    result = segment_media(ct_of(HU_KJI))
    np.testing.assert_allclose(result.density_kji, schneider_2000().density_g_per_cm3(HU_KJI), rtol=1e-6)
    assert result.density_kji.dtype == np.float32
    assert result.medium_index_kji.dtype == np.uint8
    edges = np.array(DensityBands().edges_g_per_cm3)
    inside = (result.density_kji >= edges[0]) & (result.density_kji < edges[-1])
    index = result.medium_index_kji[inside]
    assert np.all(result.density_kji[inside] >= edges[index].astype(np.float32))
    assert np.all(result.density_kji[inside] < edges[index + 1])
    assert np.all(result.medium_index_kji[~inside & (result.density_kji > 1)] == 19)


def test_tissues_themselves_can_be_the_media() -> None:
    result = segment_media(ct_of(HU_KJI), bands=None)
    names = [result.media[index].name for index in result.medium_index_kji.ravel()]
    assert names == [
        "air", "air", "lung-schneider", "adipose-1", "adipose-4", "soft-tissue",
        "connective", "bone-4", "bone-10", "bone-15", "bone-15", "bone-15",
    ]  # fmt: skip


def test_titanium_becomes_a_medium_of_its_own() -> None:
    result = segment_media(ct_of(HU_KJI), schneider_2000().with_titanium(), bands=None)
    assert result.media[result.medium_index_kji[1, 1, 2]].name == "titanium"
    assert result.density_kji[1, 1, 2] == pytest.approx(4.54)


def test_what_lies_outside_the_table_is_said_and_recorded() -> None:
    result = segment_media(ct_of(HU_KJI))
    assert result.warnings[0].startswith("1 of 12 CT voxels lie below -1050 HU")
    assert result.warnings[1].startswith("2 of 12 CT voxels lie above 1640 HU")
    assert result.record.warnings == result.warnings
    assert result.record.datasets["CT calibration"] == "Schneider 2000"


def test_a_ct_beyond_twelve_bits_is_refused_with_what_was_found() -> None:
    for hu, found in ((3096, "-3024 to 3096"), (-3101, "-3101 to 3000")):
        array = HU_KJI.copy()
        array[1, 0, 0] = hu
        with pytest.raises(InputError, match=rf"holds 1 of 12 voxels outside -3100 to 3095 HU \(found {found}\)"):
            segment_media(ct_of(array))
    array[1, 0, 0] = 3095
    assert segment_media(ct_of(array)).density_kji[1, 0, 0] == pytest.approx(2.8)


def test_what_is_beyond_twelve_bits_is_air_and_bone_on_request() -> None:
    array = HU_KJI.copy()
    array[0, 0, 0], array[1, 1, 2] = -8192, 12000
    result = segment_media(ct_of(array), schneider_2000().with_clamped_hu(), bands=None)
    assert [result.media[result.medium_index_kji[at]].name for at in ((0, 0, 0), (1, 1, 2))] == ["air", "bone-15"]
    assert result.density_kji[0, 0, 0] == pytest.approx(0.00121)
    assert result.density_kji[1, 1, 2] == pytest.approx(2.8)
    assert result.record.parameters["clamp_hu"] is True
    assert result.record.parameters["highest_hu"] == 12000


def test_titanium_and_a_sites_own_curve_take_what_they_reach() -> None:
    array = HU_KJI.copy()
    array[1, 1, 2] = 12000
    assert segment_media(ct_of(array), schneider_2000().with_titanium()).density_kji[1, 1, 2] == pytest.approx(4.54)
    table = schneider_2000()
    curve = replace(table, hu_points=np.append(table.hu_points, 13000.0),
                    density_g_per_cm3_points=np.append(table.density_g_per_cm3_points, 7.8))  # fmt: skip
    assert segment_media(ct_of(array), curve).density_kji[1, 1, 2] == pytest.approx(2.8 + 5.0 * 9000 / 10000)
    array[1, 1, 2] = 13001
    with pytest.raises(InputError, match="outside -3100 to 13000 HU"):
        segment_media(ct_of(array), curve)


def test_mass_is_density_times_volume() -> None:
    result = MediaMap.homogeneous(named_material("bone"), GEOMETRY)
    np.testing.assert_allclose(result.voxel_mass_g(), 1.85 * 0.02, rtol=1e-6)
    assert result.density_volume().quantity is Quantity.MASS_DENSITY


def test_arrays_of_a_media_map_are_read_only_and_the_callers_stay_writeable() -> None:
    density = np.ones(GEOMETRY.shape_kji, dtype=np.float32)
    index = np.zeros(GEOMETRY.shape_kji, dtype=np.uint8)
    result = MediaMap(density, index, (named_material("water"),), GEOMETRY)
    with pytest.raises(ValueError, match="read-only"):
        result.density_kji[0, 0, 0] = 2
    density[0, 0, 0] = 1


def test_an_image_that_is_not_a_ct_is_refused() -> None:
    activity = QuantitativeVolume(np.zeros(GEOMETRY.shape_kji), GEOMETRY, Quantity.ACTIVITY_CONCENTRATION)
    with pytest.raises(UnitError, match=r"holds activity_concentration \[Bq/mL\]; expected a CT in HU"):
        segment_media(activity)


def test_a_ct_that_was_not_rescaled_is_refused() -> None:
    with pytest.raises(InputError, match="Apply the rescale slope"):
        segment_media(ct_of(np.full(GEOMETRY.shape_kji, 60000, dtype=np.uint16)))


@pytest.mark.parametrize("edges", [(1.0,), (1.0, 1.0), (2.0, 1.0), (0.0, 1.0), (1.0, float("inf"))])
def test_bands_that_are_not_bands_are_refused(edges: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="positive, strictly ascending"):
        DensityBands(edges)


def test_a_media_map_is_right_from_birth() -> None:
    water = (named_material("water"),)
    ones, zeros = np.ones(GEOMETRY.shape_kji), np.zeros(GEOMETRY.shape_kji, dtype=np.uint8)
    with pytest.raises(InputError, match="expected positive g/cm³"):
        MediaMap(0 * ones, zeros, water, GEOMETRY)
    with pytest.raises(InputError, match="reach from 1 to 1; expected integers from 0 to 0"):
        MediaMap(ones, zeros + 1, water, GEOMETRY)
    with pytest.raises(InputError, match=r"expected \(2, 2, 3\)"):
        MediaMap(ones[:1], zeros, water, GEOMETRY)

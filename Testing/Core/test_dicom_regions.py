"""RT Structure Sets and Segmentations as regions of a grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

from dicom_samples import FRAME_OF_REFERENCE, ct_slice, save, segmentation, structure_set
from radiodosimetry.errors import FileFormatError, GeometryMismatchError, InputError, RegionError
from radiodosimetry.images.dicom_contours import fill_even_odd
from radiodosimetry.images.dicom_reader import read_dicom
from radiodosimetry.images.dicom_regions import read_dicom_regions
from radiodosimetry.images.dicom_rtstruct import read_structure_set
from radiodosimetry.images.dicom_seg import read_segmentation
from radiodosimetry.images.geometry import VolumeGeometry

GRID = VolumeGeometry((6, 20, 24), (1.5, 2.0, 3.0), (-10.0, -20.0, 0.0), frame_of_reference_uid=FRAME_OF_REFERENCE)


def square(low_x: float, low_y: float, size_mm: float, z_mm: float) -> np.ndarray:
    high_x, high_y = low_x + size_mm, low_y + size_mm
    corners = [(low_x, low_y), (high_x, low_y), (high_x, high_y), (low_x, high_y)]
    return np.array([(x, y, z_mm) for x, y in corners])


def closed(*contours: np.ndarray) -> list[tuple[str, np.ndarray]]:
    return [("CLOSED_PLANAR", contour) for contour in contours]


def structures(folder: Path, *entries: tuple) -> Path:
    return save(structure_set(entries), folder / "rs.dcm")


def centres_mm(geometry: VolumeGeometry) -> np.ndarray:
    k, j, i = np.indices(geometry.shape_kji)
    return np.stack([i, j, k], axis=-1) * np.array(geometry.spacing_mm) + np.array(geometry.origin_mm)


def test_voxels_with_their_centre_inside_belong_to_the_structure(tmp_path: Path) -> None:
    path = structures(tmp_path, ("cube", closed(*(square(-4.1, -10.1, 12.0, z) for z in (3.0, 6.0)))))
    [region] = read_structure_set(path, GRID)
    x, y, z = np.moveaxis(centres_mm(GRID), -1, 0)
    expected = (x > -4.1) & (x < 7.9) & (y > -10.1) & (y < 1.9) & ((z == 3) | (z == 6))
    np.testing.assert_array_equal(region.mask_kji, expected)
    assert (region.name, region.expression) == ("cube", "cube")


def test_a_contour_inside_another_cuts_a_hole(tmp_path: Path) -> None:
    outer, inner = square(-4.1, -10.1, 12.0, 3.0), square(-1.1, -7.1, 5.0, 3.0)
    path = structures(tmp_path, ("ring", closed(outer, inner)), ("outer", closed(outer)), ("inner", closed(inner)))
    ring, whole, hole = read_structure_set(path, GRID)
    np.testing.assert_array_equal(ring.mask_kji, whole.mask_kji & ~hole.mask_kji)


def test_a_keyhole_channel_leaves_no_trace() -> None:
    outer = np.array([(1.0, 1.0), (14.0, 1.0), (14.0, 12.3), (1.0, 12.3)])
    inner = np.array([(4.2, 4.1), (4.2, 8.7), (9.6, 8.7), (9.6, 4.1)])
    keyhole = np.concatenate([outer, outer[:1], inner, inner[:1]])
    np.testing.assert_array_equal(
        fill_even_odd([keyhole], (16, 18)), fill_even_odd([outer], (16, 18)) ^ fill_even_odd([inner], (16, 18))
    )


def test_each_contour_stands_for_a_slab_around_its_plane(tmp_path: Path) -> None:
    fine = VolumeGeometry((18, 20, 24), (1.5, 2.0, 1.0), (-10.0, -20.0, 0.0))
    path = structures(tmp_path, ("slab", closed(*(square(-4.1, -10.1, 12.0, z) for z in (3.2, 6.2, 9.2)))))
    [region] = read_structure_set(path, fine)
    assert np.flatnonzero(region.mask_kji.any(axis=(1, 2))).tolist() == [2, 3, 4, 5, 6, 7, 8, 9, 10]


def test_a_gap_between_contours_stays_empty_with_a_warning(tmp_path: Path) -> None:
    contours = closed(*(square(-4.1, -10.1, 12.0, z) for z in (0.0, 3.0, 12.0, 15.0)))
    found = read_structure_set(structures(tmp_path, ("two parts", contours)), GRID)
    assert np.flatnonzero(found.regions[0].mask_kji.any(axis=(1, 2))).tolist() == [0, 1, 4, 5]
    assert "1 gap of up to 9.0 mm between planes 3.0 mm apart" in found.record.warnings[0]


def test_sagittal_contours_fill_along_their_own_axis(tmp_path: Path) -> None:
    contours = [square(-9.0, 2.0, 8.0, x)[:, [2, 0, 1]] for x in (-4.0, -2.5)]
    [region] = read_structure_set(structures(tmp_path, ("sagittal", closed(*contours))), GRID)
    x, y, z = np.moveaxis(centres_mm(GRID), -1, 0)
    np.testing.assert_array_equal(region.mask_kji, ((x == -4) | (x == -2.5)) & (y > -9) & (y < -1) & (z > 2) & (z < 10))


def test_points_open_contours_and_empty_structures_are_skipped_with_warnings(tmp_path: Path) -> None:
    path = structures(
        tmp_path,
        ("iso", [("POINT", np.zeros((1, 3)))]),
        ("line", [("OPEN_PLANAR", square(0, 0, 3, 3.0))]),
        ("nothing", []),
        ("away", closed(square(500.0, 0.0, 4.0, 3.0))),
        ("cube", closed(square(-4.1, -10.1, 12.0, 3.0))),
    )
    found = read_structure_set(path, GRID)
    assert [region.name for region in found] == ["cube"]
    text = " ".join(found.record.warnings)
    for part in ("'iso': 1 contour of type POINT", "'line': 1 contour of type OPEN_PLANAR", "'nothing' has no closed"):
        assert part in text
    assert "'away' contains no voxel centre" in text


def test_a_structure_that_reaches_outside_is_a_warning(tmp_path: Path) -> None:
    found = read_structure_set(structures(tmp_path, ("edge", closed(square(-40.0, -10.0, 50.0, 3.0)))), GRID)
    assert "'edge' is cut by the edge of the grid: 1 of 1 contours" in found.record.warnings[0]


def test_names_are_taken_once_each_and_unknown_ones_offer_the_nearest(tmp_path: Path) -> None:
    contour = closed(square(-4.1, -10.1, 12.0, 3.0))
    path = structures(tmp_path, ("liver", contour), ("liver", contour), ("spleen", contour))
    assert [region.name for region in read_structure_set(path, GRID)] == ["liver", "liver (2)", "spleen"]
    assert [region.name for region in read_structure_set(path, GRID, ["spleen"])] == ["spleen"]
    with pytest.raises(RegionError, match=r"No structure 'Liver' in rs.dcm; nearest: liver"):
        read_structure_set(path, GRID, ["Liver"])


def test_another_frame_of_reference_or_tilted_slices_are_refused(tmp_path: Path) -> None:
    path = structures(tmp_path, ("cube", closed(square(-4.1, -10.1, 12.0, 3.0))))
    other = VolumeGeometry((6, 20, 24), (1.5, 2.0, 3.0), frame_of_reference_uid="7.7")
    with pytest.raises(GeometryMismatchError, match=r"'cube' of rs.dcm lies in frame of reference 1\.2\.3\.4\.1"):
        read_structure_set(path, other)
    c, s = np.cos(0.3), np.sin(0.3)
    tilted = VolumeGeometry((6, 20, 24), (1.5, 2.0, 3.0), direction=np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]))
    with pytest.raises(GeometryMismatchError, match="not parallel to the slices"):
        read_structure_set(path, tilted)


def test_a_damaged_contour_is_refused_by_the_name_of_its_structure(tmp_path: Path) -> None:
    dataset = structure_set([("cube", closed(square(-4.1, -10.1, 12.0, 3.0)))])
    dataset.ROIContourSequence[0].ContourSequence[0].ContourData = ["1"] * 11
    with pytest.raises(FileFormatError, match="A contour of 'cube' in rs.dcm has 11 coordinates"):
        read_structure_set(save(dataset, tmp_path / "rs.dcm"), GRID)


def seg_frames() -> np.ndarray:
    frames = np.zeros((3, 20, 24), np.uint8)
    frames[0, 2:5, 3:9] = 1
    frames[1, 4:8, 3:9] = 1
    frames[2, 10:12, 10:12] = 1
    return frames


def seg_file(folder: Path, kind: str = "BINARY", scale: int = 1) -> Path:
    dataset = segmentation(seg_frames() * scale, [1, 1, 2], [3.0, 6.0, 12.0], kind, ["liver", "tumour"])
    return save(dataset, folder / "seg.dcm")


@pytest.mark.parametrize(("kind", "scale"), [("BINARY", 1), ("FRACTIONAL", 60)])
def test_segments_come_to_their_slices_on_the_image(tmp_path: Path, kind: str, scale: int) -> None:
    liver, tumour = read_segmentation(seg_file(tmp_path, kind, scale), GRID)
    assert (liver.name, tumour.name) == ("liver", "tumour")
    np.testing.assert_array_equal(liver.mask_kji[1], seg_frames()[0].astype(bool))
    np.testing.assert_array_equal(liver.mask_kji[2], seg_frames()[1].astype(bool))
    np.testing.assert_array_equal(tumour.mask_kji[4], seg_frames()[2].astype(bool))
    assert (liver.voxel_count, tumour.voxel_count) == (42, 4)


def test_a_fraction_below_the_threshold_does_not_belong(tmp_path: Path) -> None:
    path = seg_file(tmp_path, "FRACTIONAL", 40)
    with pytest.raises(RegionError, match=r"No segment of seg.dcm has a voxel"):
        read_segmentation(path, GRID)
    assert len(read_segmentation(path, GRID, threshold=0.4)) == 2
    with pytest.raises(InputError, match="threshold"):
        read_segmentation(path, GRID, threshold=0.0)


def test_a_label_map_segmentation_holds_the_numbers_of_its_segments(tmp_path: Path) -> None:
    frames = seg_frames()
    frames[2] *= 2
    path = save(segmentation(frames, [1, 1, 2], [3.0, 6.0, 12.0], "LABELMAP", ["liver", "tumour"]), tmp_path / "s.dcm")
    assert [region.voxel_count for region in read_segmentation(path, GRID)] == [42, 4]


def test_a_segmentation_on_a_coarser_grid_is_taken_at_its_voxel_centres(tmp_path: Path) -> None:
    coarse = VolumeGeometry((6, 10, 12), (3.0, 4.0, 3.0), (-10.0, -20.0, 0.0))
    liver, _ = read_segmentation(seg_file(tmp_path), coarse)
    np.testing.assert_array_equal(liver.mask_kji[1], seg_frames()[0].astype(bool)[::2, ::2])


def test_a_segmentation_of_another_frame_of_reference_is_refused(tmp_path: Path) -> None:
    other = VolumeGeometry((6, 20, 24), (1.5, 2.0, 3.0), (-10.0, -20.0, 0.0), frame_of_reference_uid="7.7")
    with pytest.raises(
        GeometryMismatchError, match=r"seg.dcm lies in frame of reference 1\.2\.3\.4\.1, the image in 7\.7"
    ):
        read_segmentation(seg_file(tmp_path), other)


def test_one_door_opens_both_kinds_and_refuses_images(tmp_path: Path) -> None:
    assert len(read_dicom_regions(seg_file(tmp_path), GRID)) == 2
    assert len(read_dicom_regions(structures(tmp_path, ("cube", closed(square(-4, -10, 12, 3.0)))), GRID)) == 1
    image = save(ct_slice(0, np.zeros((4, 4), np.uint16), 0.0), tmp_path / "ct.dcm")
    with pytest.raises(InputError, match="is CT; expected regions as RTSTRUCT or SEG"):
        read_dicom_regions(image, GRID)


@pytest.mark.shared_data
def test_real_structures_fill_the_volume_of_their_contours(shared_data: Path) -> None:
    folder = shared_data / "rt_dicom"
    ct = read_dicom(folder / "dicompyler_ct.0.dcm").geometry
    bottom_mm = (ct.origin_mm[0], ct.origin_mm[1], ct.origin_mm[2] - 97 * 3.0)
    grid = VolumeGeometry(
        (98, 512, 512), (*ct.spacing_mm[:2], 3.0), bottom_mm, frame_of_reference_uid=ct.frame_of_reference_uid
    )
    wanted = ["Heart", "Breast", "Tumor Bed"]
    found = read_structure_set(folder / "dicompyler_rtss.dcm", grid, wanted)
    dataset = pydicom.dcmread(folder / "dicompyler_rtss.dcm")
    for region in found:
        [roi] = [item.ROINumber for item in dataset.StructureSetROISequence if item.ROIName == region.name]
        [item] = [item for item in dataset.ROIContourSequence if item.ReferencedROINumber == roi]
        volume_ml = sum(3.0e-3 * area_mm2(contour.ContourData) for contour in item.ContourSequence)
        assert region.voxel_count * grid.voxel_volume_ml == pytest.approx(volume_ml, rel=0.01)


def area_mm2(contour: object) -> float:
    """Area by the shoelace formula; these structures have no contours inside others."""
    x, y = np.array(contour, dtype=float).reshape(-1, 3)[:, :2].T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2

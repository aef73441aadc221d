"""Label maps, their names, and expressions over them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from radiodosimetry.errors import FileFormatError, InputError, RegionError
from radiodosimetry.images import (
    LabelMap,
    Region,
    VolumeGeometry,
    read_label_map,
    read_label_names,
    regions_of,
    split_region_option,
    write_label_map,
)
from radiodosimetry.images.regions import label_map_of, parse_expression

LINE = VolumeGeometry((1, 1, 8), (1, 1, 1))


def line(values: list[float], names: dict[int, str] | None = None) -> LabelMap:
    return LabelMap(np.array(values).reshape(1, 1, -1), LINE, names or {})


def test_labels_without_a_name_get_their_number() -> None:
    label_map = line([0, 1, 1, 2, 9, 0, 0, 0], {1: "liver", 0: "background"})
    assert dict(label_map.names) == {1: "liver", 2: "label_2", 9: "label_9"}
    assert [(region.name, region.voxel_count) for region in regions_of(label_map)] == [
        ("liver", 2),
        ("label_2", 1),
        ("label_9", 1),
    ]


def test_expressions_add_and_subtract_from_left_to_right() -> None:
    label_map = line([1, 1, 1, 2, 3, 3, 0, 0], {1: "liver", 2: "tumour1", 3: "left-kidney"})
    regions = regions_of(
        label_map,
        {"whole_liver": "liver+tumour1", "healthy": "whole_liver - tumour1", "odd": "liver-liver+left-kidney"},
    )
    made = {region.name: region for region in regions}
    assert made["whole_liver"].mask_kji.ravel().tolist() == [True] * 4 + [False] * 4
    np.testing.assert_array_equal(made["healthy"].mask_kji, made["liver"].mask_kji)
    np.testing.assert_array_equal(made["odd"].mask_kji, made["left-kidney"].mask_kji)
    assert made["healthy"].expression == "whole_liver - tumour1"
    assert made["liver"].expression == "liver"


@pytest.mark.parametrize(
    ("expression", "terms"),
    [
        ("left-kidney", [("+", "left-kidney")]),
        ("left - kidney", [("+", "left"), ("-", "kidney")]),
        ("body-left-kidney", [("+", "body"), ("-", "left-kidney")]),
        ("left-kidney-kidney", [("+", "left-kidney"), ("-", "kidney")]),
        (" big liver +tumour 1- left ", [("+", "big liver"), ("+", "tumour 1"), ("-", "left")]),
        ("tumour 12-tumour 1", [("+", "tumour 12"), ("-", "tumour 1")]),
    ],
)
def test_the_longest_known_name_wins(expression: str, terms: list[tuple[str, str]]) -> None:
    known = ["left", "kidney", "left-kidney", "body", "big liver", "tumour 1", "tumour 12"]
    assert parse_expression(expression, known) == terms


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ("livre-tumour1", "No region is called 'livre' in 'livre-tumour1'. Nearest known: liver"),
        ("liver-tumor1", "No region is called 'tumor1' .* Nearest known: tumour1"),
        ("liver-", "A name is missing in 'liver-'"),
        ("", "expression is empty"),
        ("liver tumour1", "No region is called 'liver tumour1'"),
        ("liver-liver", "has no voxel"),
    ],
)
def test_an_expression_that_cannot_be_used_is_refused(expression: str, complaint: str) -> None:
    with pytest.raises(RegionError, match=complaint):
        regions_of(line([1, 2, 0, 0, 0, 0, 0, 0], {1: "liver", 2: "tumour1"}), {"new": expression})


def test_a_region_may_not_take_the_name_of_a_label() -> None:
    with pytest.raises(RegionError, match="name 'liver' of the region tumour1 is taken"):
        regions_of(line([1, 2, 0, 0, 0, 0, 0, 0], {1: "liver", 2: "tumour1"}), {"liver": "tumour1"})


def test_names_without_a_voxel_are_refused_unless_skipped() -> None:
    label_map = line([1, 0, 0, 0, 0, 0, 0, 0], {1: "liver", 2: "spleen", 3: "pancreas"})
    assert label_map.absent == ("spleen", "pancreas")
    with pytest.raises(RegionError, match="No voxel carries the label of: spleen, pancreas"):
        regions_of(label_map)
    assert [region.name for region in regions_of(label_map, skip_absent=True)] == ["liver"]


def test_labels_must_be_whole_numbers_from_zero() -> None:
    assert line([0.0, 1.0, 2.0, 0, 0, 0, 0, 0]).array_kji.dtype == np.int32
    with pytest.raises(RegionError, match=r"whole numbers, found 1.5 \(1 such voxels\)"):
        line([0, 1.5, 0, 0, 0, 0, 0, 0])
    with pytest.raises(RegionError, match="Labels go from 0 to"):
        line([-1, 0, 0, 0, 0, 0, 0, 0])


def test_labels_and_masks_are_frozen() -> None:
    label_map = line([1, 0, 0, 0, 0, 0, 0, 0])
    with pytest.raises(ValueError, match="read-only"):
        label_map.array_kji[0, 0, 0] = 3
    with pytest.raises(ValueError, match="read-only"):
        regions_of(label_map)[0].mask_kji[0, 0, 0] = False
    with pytest.raises(InputError, match="must be a bool array"):
        Region("a", np.ones((1, 1, 1)), "a")  # type: ignore[arg-type]


def test_a_name_table_tolerates_what_spreadsheets_do(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes('\ufeffName;LABEL ;colour\r\n"liver, right";1;red\r\n\r\nNiere;2.0;\r\nair;0;\r\n'.encode())
    assert read_label_names(path) == {1: "liver, right", 2: "Niere"}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("label,name\n1,a\n1,b\n", "Line 3 of .* names label 1 a second time"),
        ("label,name\n1,a\n2,a\n", "Labels 1 and 2 are both called 'a'"),
        ("label,name\n1.5,a\n", "has the label '1.5'; expected a whole number"),
        ("label,name\nx,a\n", "has the label 'x'"),
        ("label,name\n-1,a\n", "has the label '-1'"),
        ("label,name\n1\n", "has no name for label 1"),
    ],
)
def test_a_name_table_that_is_ambiguous_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(RegionError, match=complaint):
        read_label_names(tmp_path / "labels.csv")


def test_a_name_table_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("number,organ\n1,liver\n")
    with pytest.raises(FileFormatError, match="must have the columns label and name, found: number, organ"):
        read_label_names(tmp_path / "labels.csv")
    (tmp_path / "labels.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FileFormatError, match="cannot be read as a CSV table"):
        read_label_names(tmp_path / "labels.csv")
    with pytest.raises(FileFormatError, match="does not exist"):
        read_label_names(tmp_path / "none.csv")


def test_a_label_map_survives_the_round_trip_with_its_names(tmp_path: Path) -> None:
    label_map = line([1, 2, 2, 0, 0, 0, 0, 0], {1: 'liver "big", right', 2: "spleen"})
    write_label_map(label_map, tmp_path / "l.nii.gz", tmp_path / "l.csv")
    back = read_label_map(tmp_path / "l.nii.gz", tmp_path / "l.csv")
    np.testing.assert_array_equal(back.array_kji, label_map.array_kji)
    assert dict(back.names) == dict(label_map.names)


def test_an_interpolated_label_map_is_refused_by_name(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(np.full((2, 2, 2), 0.5, np.float32)), str(tmp_path / "l.nii.gz"))
    with pytest.raises(RegionError, match=r"l\.nii\.gz cannot be used as labels: Labels must be whole numbers"):
        read_label_map(tmp_path / "l.nii.gz")


def test_a_region_option_has_two_sides() -> None:
    assert split_region_option("healthy = liver-tumour1") == ("healthy", "liver-tumour1")
    with pytest.raises(RegionError, match="expected NAME=EXPR"):
        split_region_option("healthy")


@pytest.mark.shared_data
def test_the_labels_of_a_real_patient_have_the_volumes_of_their_table(shared_data: Path) -> None:
    folder = shared_data / "lu177_dotatate_patient"
    label_map = read_label_map(folder / "patient15_labels.nii.gz", folder / "labels.csv")
    regions = {region.name: region for region in regions_of(label_map, {"kidneys": "kidney_left+kidney_right"})}
    assert regions["liver"].voxel_count == 15381
    assert regions["kidneys"].voxel_count == 2052 + 2493


def strip(name: str, *voxels: int) -> Region:
    mask = np.zeros(LINE.shape_kji, dtype=bool)
    mask[0, 0, list(voxels)] = True
    return Region(name, mask, name)


def test_of_regions_that_overlap_the_smallest_has_the_voxel() -> None:
    body, liver, lesion = strip("body", *range(8)), strip("liver", 1, 2, 3, 4), strip("lesion_1", 3, 5)
    for regions in ((body, liver, lesion), (lesion, liver, body)):
        found = label_map_of(regions, LINE)
        assert list(found.names.values()) == [region.name for region in regions]
        assert [one.voxel_count for one in regions_of(found)] == [
            {"body": 3, "liver": 3, "lesion_1": 2}[region.name] for region in regions
        ]
        assert found.record.warnings == ()


def test_a_region_that_smaller_ones_cover_is_left_out_and_named() -> None:
    kidneys = [strip("kidneys", 0, 1, 2), strip("left", 0), strip("right", 1, 2)]
    found = label_map_of(kidneys, LINE)
    assert dict(found.names) == {2: "left", 3: "right"}
    assert found.record.warnings == ("Left out, since smaller regions cover them wholly: kidneys.",)


def test_regions_of_one_name_or_of_another_grid_make_no_label_map() -> None:
    with pytest.raises(RegionError, match="both called 'liver'"):
        label_map_of([strip("liver", 0), strip("liver", 1)], LINE)
    other = VolumeGeometry((1, 1, 9), (1, 1, 1))
    with pytest.raises(InputError, match="expected .1, 1, 9."):
        label_map_of([strip("liver", 0)], other)

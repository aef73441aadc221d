"""Damaged image files: readers answer with a volume or with our errors, never with anything else."""

from __future__ import annotations

import gzip
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import example, given, settings
from hypothesis import strategies as st

from radiodosimetry.errors import InputError
from radiodosimetry.images import QuantitativeVolume, VolumeGeometry, read_label_names, read_volume, write_volume
from radiodosimetry.units import Quantity

SUFFIXES = (".nrrd", ".nii", ".nii.gz", ".mha")
RAW_NRRD = (
    b"NRRD0004\ntype: %s\ndimension: %s\nspace: left-posterior-superior\nsizes: %s\n"
    b"space directions: %s\nkinds: domain domain domain\nendian: little\nencoding: %s\nspace origin: %s\n\n" + bytes(48)
)
MHA = (
    b"ObjectType = Image\nNDims = %s\nBinaryData = True\nBinaryDataByteOrderMSB = False\nCompressedData = False\n"
    b"TransformMatrix = %s\nOffset = %s\nElementSpacing = %s\nDimSize = %s\nElementType = %s\nElementDataFile = LOCAL\n"
    + bytes(48)
)
NUMBERS = st.sampled_from([b"0", b"1", b"2", b"-1", b"3", b"1e9", b"1000000", b"4294967296", b"nan", b"inf", b"x", b""])


@pytest.fixture(scope="module")
def whole_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A small valid file in each format."""
    folder = tmp_path_factory.mktemp("whole")
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    for suffix in SUFFIXES:
        sitk.WriteImage(sitk.GetImageFromArray(array), str(folder / f"a{suffix}"), suffix == ".nii.gz")
    return {suffix: (folder / f"a{suffix}").read_bytes() for suffix in SUFFIXES}


def read_or_refuse(content: bytes, suffix: str) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"a{suffix}"
        path.write_bytes(content)
        try:
            volume = read_volume(path, Quantity.CT_NUMBER)
        except InputError as error:
            complaint = str(error)
        else:
            assert np.isfinite(volume.array_kji).all()
            assert volume.array_kji.ndim == 3
            return
        assert path.name in complaint


@settings(max_examples=150, deadline=None, derandomize=True)
@given(data=st.data(), suffix=st.sampled_from(SUFFIXES))
def test_changed_bytes_are_read_or_refused(data: st.DataObject, suffix: str, whole_files: dict[str, bytes]) -> None:
    content = bytearray(whole_files[suffix])
    if suffix == ".nii.gz":
        content = bytearray(gzip.decompress(bytes(content)))
    places = st.integers(0, min(len(content), 420) - 1)
    for place, value in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=6)):
        content[place] = value
    read_or_refuse(gzip.compress(bytes(content)) if suffix == ".nii.gz" else bytes(content), suffix)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(share=st.floats(0, 1), suffix=st.sampled_from(SUFFIXES), tail=st.binary(max_size=20))
def test_truncated_bytes_are_read_or_refused(
    share: float, suffix: str, tail: bytes, whole_files: dict[str, bytes]
) -> None:
    content = whole_files[suffix]
    read_or_refuse(content[: int(share * len(content))] + tail, suffix)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    kind=st.sampled_from([b"float", b"uint8", b"double", b"block", b"int64", b"short", b"?"]),
    axes=st.sampled_from([b"3", b"2", b"4", b"0", b"-3", b"17"]),
    sizes=st.lists(NUMBERS, min_size=2, max_size=4),
    steps=st.lists(NUMBERS, min_size=9, max_size=9),
    encoding=st.sampled_from([b"raw", b"gzip", b"bzip2", b"ascii", b"hex", b"zrl", b"none"]),
    origin=st.lists(NUMBERS, min_size=3, max_size=3),
)
def test_odd_nrrd_headers_are_read_or_refused(
    kind: bytes, axes: bytes, sizes: list[bytes], steps: list[bytes], encoding: bytes, origin: list[bytes]
) -> None:
    directions = b" ".join(b"(%s)" % b",".join(steps[start : start + 3]) for start in (0, 3, 6))
    content = RAW_NRRD % (kind, axes, b" ".join(sizes), directions, encoding, b"(%s)" % b",".join(origin))
    read_or_refuse(content, ".nrrd")


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    axes=st.sampled_from([b"3", b"2", b"4", b"0", b"-3", b"17"]),
    matrix=st.lists(NUMBERS, min_size=9, max_size=9),
    offset=st.lists(NUMBERS, min_size=3, max_size=3),
    spacing=st.lists(NUMBERS, min_size=3, max_size=3),
    sizes=st.lists(NUMBERS, min_size=2, max_size=4),
    kind=st.sampled_from([b"MET_FLOAT", b"MET_UCHAR", b"MET_DOUBLE", b"MET_OTHER", b"MET_NONE", b"x"]),
)
def test_odd_metaimage_headers_are_read_or_refused(
    axes: bytes, matrix: list[bytes], offset: list[bytes], spacing: list[bytes], sizes: list[bytes], kind: bytes
) -> None:
    join = b" ".join
    read_or_refuse(MHA % (axes, join(matrix), join(offset), join(spacing), join(sizes), kind), ".mha")


@settings(max_examples=60, deadline=None, derandomize=True)
@given(content=st.binary(max_size=600), suffix=st.sampled_from([*SUFFIXES, ".mhd", ".nhdr"]))
@example(content=b"NRRD0005\n", suffix=".nrrd")
@example(content=b"\x1f\x8b\x08\x00", suffix=".nii.gz")
def test_noise_is_refused(content: bytes, suffix: str) -> None:
    read_or_refuse(content, suffix)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(text=st.one_of(st.text(max_size=80), st.text("label,name;12\n\"'", max_size=80).map("label,name\n{}".format)))
def test_any_name_table_is_read_or_refused(text: str) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "labels.csv"
        path.write_text(text, encoding="utf-8", newline="")
        try:
            names = read_label_names(path)
        except InputError:
            return
        assert all(label > 0 and name for label, name in names.items())


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    shape=st.tuples(*[st.integers(1, 5)] * 3),
    spacing=st.tuples(*[st.floats(0.1, 20)] * 3),
    origin=st.tuples(*[st.floats(-800, 800)] * 3),
    angles=st.tuples(*[st.floats(-3.1, 3.1)] * 3),
    mirrored=st.booleans(),
    suffix=st.sampled_from(SUFFIXES),
)
def test_any_grid_survives_its_file(
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
    origin: tuple[float, float, float],
    angles: tuple[float, float, float],
    mirrored: bool,
    suffix: str,
) -> None:
    direction = np.array(sitk.Euler3DTransform((0, 0, 0), *angles).GetMatrix()).reshape(3, 3)
    if mirrored:
        direction[:, 2] *= -1
    geometry = VolumeGeometry(shape, spacing, origin, direction)
    volume = QuantitativeVolume(np.ones(shape, np.float32), geometry, Quantity.ABSORBED_DOSE)
    with TemporaryDirectory() as folder:
        write_volume(volume, Path(folder) / f"a{suffix}")
        assert read_volume(Path(folder) / f"a{suffix}").geometry.same_grid(geometry)

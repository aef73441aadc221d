"""What must hold before an image file is handed to ITK: it exists, is whole, and holds what its header promises.

ITK reads a truncated NIfTI file without a word and fills what is missing with zeros, turns NaN in NIfTI files into
zero, asks the memory for whatever a header claims, and MetaIO brings the whole program down over some damaged headers.
All of it is checked here.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from ..errors import FileFormatError
from .atomic import full_suffix

IMAGE_IO_OF_SUFFIX = {
    ".nii": "NiftiImageIO",
    ".nii.gz": "NiftiImageIO",
    ".nrrd": "NrrdImageIO",
    ".nhdr": "NrrdImageIO",
    ".mha": "MetaImageIO",
    ".mhd": "MetaImageIO",
}
"""Readable file formats, by suffix."""

LARGEST_VOXEL_COUNT = 2**31
"""Four times a 512 × 512 × 2000 whole-body CT; more is a damaged header."""

LARGEST_DEFLATE_RATIO = 1040
"""Deflate compresses at most 1032 : 1 (zlib technical details); a header that claims more is damaged."""

_DETACHED_SUFFIXES = (".nhdr", ".mhd")
_READ_BLOCK_BYTES = 1 << 20
_NIFTI1_HEADER_BYTES = 348
_NIFTI2_HEADER_BYTES = 540
_LONGEST_METAIMAGE_HEADER_BYTES = 1 << 16
_MOST_METAIMAGE_AXES = 10
_METAIMAGE_NUMBERS: dict[str, Callable[[int], int]] = {
    **dict.fromkeys(("Offset", "Position", "Origin"), lambda axes: axes),
    **dict.fromkeys(("ElementSpacing", "ElementSize", "CenterOfRotation"), lambda axes: axes),
    **dict.fromkeys(("TransformMatrix", "Rotation", "Orientation"), lambda axes: axes * axes),
}
"""Entries of numbers, and how many each has by the number of axes."""

_NIFTI_FLOATS = {16: "f4", 64: "f8"}
"""Data type codes of NIfTI-1 and -2 for floats that ITK reads."""


def check_file(path: Path) -> None:
    """Refuse what is not a readable, non-empty file.

    Raises
    ------
    FileFormatError
        The path is missing, not a file, empty, or must not be read.
    """
    try:
        if not path.exists():
            raise FileFormatError(f"{path} does not exist; give the path of an image file or a DICOM folder.")
        if not path.is_file():
            raise FileFormatError(f"{path} is not a regular file; give the path of an image file or a DICOM folder.")
        with path.open("rb") as stream:
            if not stream.read(1):
                raise FileFormatError(f"{path} is empty; give a complete image file.")
    except FileFormatError:
        raise
    except (OSError, ValueError) as error:
        raise FileFormatError(f"{path} cannot be opened: {error}.") from error


def check_claimed_size(path: Path, voxel_count: int, voxel_bytes: int) -> None:
    """Refuse a header that promises more voxels than the file can hold, before memory is asked for them.

    Raises
    ------
    FileFormatError
        More than `LARGEST_VOXEL_COUNT` voxels, or more bytes than the file holds even at the best compression.
    """
    if voxel_count > LARGEST_VOXEL_COUNT:
        raise FileFormatError(
            f"The header of {path} claims {voxel_count:.3g} voxels, at most {LARGEST_VOXEL_COUNT:.3g} are accepted; "
            "the file is damaged or must be cropped."
        )
    held_bytes = _bytes_on_disk(path)
    if voxel_count * voxel_bytes > LARGEST_DEFLATE_RATIO * held_bytes:
        raise FileFormatError(
            f"The header of {path} claims {voxel_count:.3g} voxels, more than its {held_bytes} bytes can hold; "
            "the file is damaged or truncated."
        )


def check_nifti_data(path: Path) -> None:
    """Refuse a NIfTI file that ends before its last voxel, fails its check sum, or holds NaN.

    Raises
    ------
    FileFormatError
        Not NIfTI, truncated, damaged, or with values that are not finite (ITK would read them as zero).
    """
    compressed = full_suffix(path).endswith(".gz")
    try:
        with gzip.open(path, "rb") if compressed else path.open("rb") as opened:
            stream = cast(BinaryIO, opened)
            layout = _nifti_layout(stream.read(_NIFTI2_HEADER_BYTES), path)
            limit = _bytes_on_disk(path) * (LARGEST_DEFLATE_RATIO if compressed else 1)
            if layout.end > limit:
                raise _truncated(path, layout.end, _bytes_on_disk(path))
            stream.seek(layout.start)
            bad_count = _count_not_finite(stream, layout)
            found = _length(stream) if compressed else path.stat().st_size
    except FileFormatError:
        raise
    except (OSError, EOFError, zlib.error, ValueError, OverflowError) as error:
        raise FileFormatError(f"{path} is damaged or truncated ({error}); get a complete copy.") from error
    if found < layout.end:
        raise _truncated(path, layout.end, found)
    if bad_count:
        raise FileFormatError(
            f"{path} cannot be used: {bad_count} of {layout.voxel_count} voxels are NaN or infinite; every voxel must "
            "be a finite number. Repair the image first."
        )


def check_metaimage_header(path: Path) -> None:
    """Refuse a MetaImage file whose header is not plain: each number of its kind, within reason, once.

    Raises
    ------
    FileFormatError
        Not MetaImage, a damaged entry, or data spread over several files.
    """
    try:
        with path.open("rb") as stream:
            fields = _metaimage_fields(stream.read(_LONGEST_METAIMAGE_HEADER_BYTES), path)
        axes = int(fields.get("NDims", "0"))
        counts = [int(count) for count in fields.get("DimSize", "").split()]
        sound = 1 <= axes <= _MOST_METAIMAGE_AXES and len(counts) == axes and min(counts) >= 1
        sound &= math.prod(counts) < 2**62
        for name, per_axis in _METAIMAGE_NUMBERS.items():
            numbers = [float(number) for number in fields.get(name, "").split()]
            sound &= all(map(math.isfinite, numbers)) and (name not in fields or len(numbers) == per_axis(axes))
        for name in ("ElementNumberOfChannels", "HeaderSize", "CompressedDataSize"):
            sound &= -1 <= int(fields.get(name, "1")) <= max(_bytes_on_disk(path), 1)
    except (OSError, ValueError, OverflowError) as error:
        raise FileFormatError(f"The MetaImage header of {path} is damaged: {error}.") from error
    if not sound:
        raise FileFormatError(
            f"The MetaImage header of {path} is damaged: {fields.get('NDims', 'no')} axes of "
            f"{fields.get('DimSize', 'unknown')} voxels with an entry that is missing, too large or of another length."
        )
    data = fields["ElementDataFile"]
    if data.upper() != "LOCAL" and (Path(data).name != data or data.split()[0] in ("LIST", "LISTFILE") or "%" in data):
        raise FileFormatError(
            f"The data of {path} are in '{data}'; expected one file in the same folder. Save the image as one file."
        )


def _metaimage_fields(content: bytes, path: Path) -> dict[str, str]:
    """Entries of a MetaImage header up to ElementDataFile, which must end it."""
    fields: dict[str, str] = {}
    for line in content.split(b"\n"):
        name, equals, value = (part.decode("ascii", "replace").strip() for part in line.partition(b"="))
        if not equals or not name or not value.isprintable() or name in fields:
            break
        fields[name] = value
        if name == "ElementDataFile" and value:
            return fields
    raise FileFormatError(f"{path} is not a MetaImage file: its header is damaged or of another format.")


@dataclass(frozen=True)
class _NiftiLayout:
    """Where the voxels of a NIfTI file lie, and as which floats (None for whole numbers)."""

    start: int
    end: int
    voxel_count: int
    float_type: np.dtype[Any] | None


def _truncated(path: Path, needed: int, found: int) -> FileFormatError:
    return FileFormatError(f"{path} is truncated: its header needs {needed} bytes, found {found}; get a complete copy.")


def _nifti_layout(header: bytes, path: Path) -> _NiftiLayout:
    """What a NIfTI-1 or NIfTI-2 header says about the voxels."""
    for order in "<>":
        if len(header) < _NIFTI1_HEADER_BYTES:
            break
        (size,) = struct.unpack_from(order + "i", header)
        if size == _NIFTI1_HEADER_BYTES and header[344:348] in (b"n+1\0", b"ni1\0"):
            counts = struct.unpack_from(order + "8h", header, 40)
            code, voxel_bits = struct.unpack_from(order + "2h", header, 70)
            (offset,) = struct.unpack_from(order + "f", header, 108)
            return _checked_layout(counts, code, voxel_bits, offset, order, path)
        if size == _NIFTI2_HEADER_BYTES and len(header) >= _NIFTI2_HEADER_BYTES and header[4:8] == b"n+2\0":
            code, voxel_bits = struct.unpack_from(order + "2h", header, 12)
            counts = struct.unpack_from(order + "8q", header, 16)
            (offset,) = struct.unpack_from(order + "q", header, 168)
            return _checked_layout(counts, code, voxel_bits, offset, order, path)
    raise FileFormatError(f"{path} is not a NIfTI file: its header is damaged or of another format.")


def _checked_layout(
    counts: tuple[int, ...], code: int, voxel_bits: int, offset: float, order: str, path: Path
) -> _NiftiLayout:
    axes = counts[0]
    if not 1 <= axes <= 7 or min(counts[1 : axes + 1]) < 1 or voxel_bits < 1 or not 0 <= offset < 2**62:
        raise FileFormatError(
            f"The NIfTI header of {path} is damaged: {axes} axes of {list(counts[1:])} voxels, {voxel_bits} bits "
            f"each, data from byte {offset}."
        )
    voxel_count = math.prod(counts[1 : axes + 1])
    name = _NIFTI_FLOATS.get(code)
    float_type = np.dtype(name).newbyteorder("<" if order == "<" else ">") if name else None
    if float_type is not None and float_type.itemsize * 8 != voxel_bits:
        raise FileFormatError(f"The NIfTI header of {path} is damaged: type {code} with {voxel_bits} bits a voxel.")
    return _NiftiLayout(int(offset), int(offset) + voxel_count * voxel_bits // 8, voxel_count, float_type)


def _count_not_finite(stream: BinaryIO, layout: _NiftiLayout) -> int:
    """Voxels that are NaN or infinite; the stream stands at the first voxel."""
    bad_count, left = 0, layout.end - layout.start
    if layout.float_type is None:
        return 0
    while left > 0 and (block := stream.read(min(_READ_BLOCK_BYTES, left))):
        left -= len(block)
        whole = block[: len(block) // layout.float_type.itemsize * layout.float_type.itemsize]
        bad_count += int(np.count_nonzero(~np.isfinite(np.frombuffer(whole, layout.float_type))))
    return bad_count


def _length(stream: BinaryIO) -> int:
    """Length of a stream, read to its end so that its check sum is compared."""
    while stream.read(_READ_BLOCK_BYTES):
        pass
    return stream.tell()


def _bytes_on_disk(path: Path) -> int:
    """Length of the file; of a header with a separate data file, of all files in its folder."""
    if full_suffix(path) in _DETACHED_SUFFIXES:
        return sum(entry.stat().st_size for entry in path.parent.iterdir() if entry.is_file())
    return path.stat().st_size

"""Writing images as NRRD, NIfTI or MetaImage, each with the sidecar that says what its numbers are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ..errors import FileFormatError, InputError, OutputError
from ..provenance import Record, to_json
from .atomic import OutputTransaction, full_suffix
from .readers import image_of, quiet_stderr, read_array
from .sidecar import Sidecar, sidecar_path
from .volume import QuantitativeVolume

WRITABLE_SUFFIXES = (".nrrd", ".nii.gz", ".nii", ".mha")
"""File formats for results; all in one file, so that renaming it moves all of it."""


def write_volume(volume: QuantitativeVolume, path: Path, transaction: OutputTransaction | None = None) -> None:
    """Write a volume and its sidecar `<file name>.json`; both appear, complete, or neither.

    Real numbers are stored as float32 (relative rounding 6e-8), whole numbers in their own type, truth values as
    uint8; compressed except `.nii`. The file is read back before it gets its name.

    Parameters
    ----------
    volume
        What to write; its quantity, unit, time, frame of reference and record go into the sidecar.
    path
        Ends in one of `WRITABLE_SUFFIXES`; a file of this name is replaced.
    transaction
        Joins this output to others that shall appear together; without it the files appear on return.

    Raises
    ------
    InputError
        The suffix is not known, or a value is beyond float32.
    OutputError
        The folder is missing or cannot be written, or the disk is full; nothing is left behind.
    """
    path = Path(path)
    if full_suffix(path) not in WRITABLE_SUFFIXES:
        raise InputError(f"Cannot tell the image format of {path}; expected a name in {', '.join(WRITABLE_SUFFIXES)}.")
    stored = _stored_array(volume.array_kji)
    if transaction is None:
        with OutputTransaction() as own:
            _write_both(volume, stored, path, own)
    else:
        _write_both(volume, stored, path, transaction)


def _write_both(volume: QuantitativeVolume, stored: NDArray[Any], path: Path, transaction: OutputTransaction) -> None:
    temporary = transaction.path_for(path)
    _write_image(image_of(stored, volume.geometry), temporary, path)
    _read_back(temporary, path, stored)
    sidecar = Sidecar(
        volume.quantity,
        volume.unit,
        volume.time,
        volume.geometry.frame_of_reference_uid,
        volume.record,
        str(stored.dtype),
    )
    transaction.write_text(sidecar_path(path), sidecar.as_json())


def _write_image(image: sitk.Image, temporary: Path, path: Path) -> None:
    try:
        with quiet_stderr():
            sitk.WriteImage(image, str(temporary), useCompression=True)
    except (RuntimeError, OSError) as error:
        raise OutputError(
            f"Could not write {path}: the disk may be full or the folder closed to writing; "
            "nothing was left behind. Free some space or choose another place."
        ) from error


def _read_back(temporary: Path, path: Path, stored: NDArray[Any]) -> None:
    """Compare the file with what was to be written: a full disk does not make every format's writer fail."""
    try:
        same = np.array_equal(read_array(temporary)[0], stored)
    except FileFormatError:
        same = False
    if not same:
        raise OutputError(
            f"Could not write {path} completely: the disk may be full; nothing was left behind. "
            "Free some space or choose another place."
        )


def _stored_array(array_kji: NDArray[Any]) -> NDArray[Any]:
    """The array in the number type of the file."""
    if array_kji.dtype == bool:
        return array_kji.astype(np.uint8)
    if array_kji.dtype.kind in "iu":
        if array_kji.dtype.itemsize == 8 and np.abs(array_kji).max() < 2**31:
            return array_kji.astype(np.int32)
        return array_kji
    largest = float(np.abs(array_kji).max())
    if largest > float(np.finfo(np.float32).max):
        raise InputError(f"The largest value is {largest:.3g}, beyond what a float32 file can hold; rescale first.")
    return array_kji.astype(np.float32)


def write_table(
    transaction: OutputTransaction, path: Path, text: str, quantity: str, record: Record, **further: Any
) -> None:
    """Write a table, and beside it what its numbers are and how they came to be.

    Parameters
    ----------
    transaction
        Which writes both or nothing.
    path, text
        The file and what it holds; its columns name their units.
    quantity
        What the table is of.
    record
        How it came to be.
    **further
        What else its sidecar says, ready for JSON.
    """
    values = {"quantity": quantity, "unit": "see column names", **further}
    transaction.write_text(path, text)
    transaction.write_text(sidecar_path(path), to_json({**values, **record.as_dict()}))

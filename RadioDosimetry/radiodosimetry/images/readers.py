"""Reading images: NIfTI, NRRD and MetaImage through SimpleITK, DICOM through pydicom, units through sidecars."""

from __future__ import annotations

import contextlib
import math
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ..errors import FileFormatError, InputError, UnitError
from ..progress import Progress, report_progress
from ..provenance import Record, file_identity
from ..units import Quantity, factor_to_core_unit
from .atomic import full_suffix
from .file_checks import (
    IMAGE_IO_OF_SUFFIX,
    check_claimed_size,
    check_file,
    check_metaimage_header,
    check_nifti_data,
)
from .geometry import VolumeGeometry
from .sidecar import Sidecar, read_sidecar, sidecar_path
from .volume import QuantitativeVolume

QUANTITIES_WITH_ONE_UNIT = frozenset({Quantity.CT_NUMBER, Quantity.COUNTS, Quantity.LABEL, Quantity.DIMENSIONLESS})
"""Quantities whose unit need not be said."""

_DICOM_SUFFIXES = (".dcm", ".ima", ".dicom")
_DICOM_PREAMBLE_BYTES = 128
_LONGEST_REASON = 200
_STDERR_LOCK = threading.Lock()


def read_volume(
    path: Path,
    quantity: Quantity | None = None,
    unit: str | None = None,
    progress: Progress | None = None,
    **dicom_options: Any,
) -> QuantitativeVolume:
    """An image with its meaning, in the core's unit.

    A sidecar `<file name>.json` says quantity, unit, time and record; without it, `quantity` and `unit` must.

    Parameters
    ----------
    path
        NIfTI (`.nii`, `.nii.gz`), NRRD (`.nrrd`, `.nhdr`) or MetaImage (`.mha`, `.mhd`) file of three axes and
        one number per voxel; or a DICOM file or folder.
    quantity
        What the voxels are, where no sidecar says so. A contradiction with the sidecar is refused.
    unit
        Unit of the numbers in the file. Not needed for `QUANTITIES_WITH_ONE_UNIT`. A contradiction with the
        sidecar is refused. Ignored for DICOM, which names its own unit.
    progress
        Told when reading starts and ends.
    **dicom_options
        For `read_dicom`, which documents them; `None` means not given. Refused for other files.

    Returns
    -------
    QuantitativeVolume
        Array (k, j, i) in the core's unit; its record names the file and its SHA-256 under the input "file".

    Raises
    ------
    FileFormatError
        The file or its sidecar is missing, unreadable, truncated, damaged, of another dimension, or holds NaN.
    UnitError
        Quantity or unit is missing, unknown or contradicts the sidecar.
    InputError
        DICOM options for another format.
    """
    path = Path(path)
    options = {name: value for name, value in dicom_options.items() if value is not None}
    report_progress(progress, 0.0, f"Reading {path.name}")
    if read_as_dicom(path):
        volume = _read_dicom(path, quantity, unit, options)
    else:
        if options:
            raise InputError(f"The options {', '.join(sorted(options))} are for DICOM input; {path} is not DICOM.")
        volume = _read_file(path, quantity, unit)
    report_progress(progress, 1.0, f"Read {path.name}")
    return volume


def read_as_dicom(path: Path) -> bool:
    """Whether a path is read as DICOM: a folder, or a file that is DICOM by its name or its first bytes.

    Raises
    ------
    FileFormatError
        It cannot be opened.
    """
    try:
        if path.is_dir():
            return True
        suffix = full_suffix(path)
        if suffix in IMAGE_IO_OF_SUFFIX or not path.is_file():
            return False
        with path.open("rb") as stream:
            return suffix in _DICOM_SUFFIXES or stream.read(_DICOM_PREAMBLE_BYTES + 4)[-4:] == b"DICM"
    except (OSError, ValueError) as error:
        raise FileFormatError(f"{path} cannot be opened: {error}.") from error


def read_array(path: Path) -> tuple[NDArray[Any], VolumeGeometry]:
    """Numbers and grid of a NIfTI, NRRD or MetaImage file, without their meaning.

    Returns
    -------
    array_kji, geometry
        Values as stored (rescaled where the format says so), shape (k, j, i); LPS.

    Raises
    ------
    FileFormatError
        The file is missing, unreadable, truncated, damaged, or has not three axes with one number per voxel.
    """
    path = Path(path)
    io_name = _image_io_of(path)
    check_file(path)
    if io_name == "NiftiImageIO":
        check_nifti_data(path)
    if io_name == "MetaImageIO":
        check_metaimage_header(path)
    try:
        with quiet_stderr():
            image = _read_checked(path, io_name)
        return sitk.GetArrayFromImage(image), geometry_of(image)
    except FileFormatError:
        raise
    except InputError as error:
        raise FileFormatError(f"The grid of {path} cannot be used: {error}") from error
    except MemoryError as error:
        raise FileFormatError(f"{path} does not fit into the memory; crop it or use a larger machine.") from error
    except (RuntimeError, ValueError, TypeError, OverflowError, OSError) as error:
        raise FileFormatError(
            f"{path} cannot be read as {io_name.removesuffix('ImageIO')}: {_reason(error)}. "
            "It is damaged, truncated or of another format."
        ) from error


def geometry_of(image: sitk.Image, frame_of_reference_uid: str | None = None) -> VolumeGeometry:
    """The grid of a SimpleITK image of three axes."""
    return VolumeGeometry(
        image.GetSize()[::-1],
        image.GetSpacing(),
        image.GetOrigin(),
        np.array(image.GetDirection()).reshape(3, 3),
        frame_of_reference_uid,
    )


def image_of(array_kji: NDArray[Any], geometry: VolumeGeometry) -> sitk.Image:
    """A SimpleITK image of an array (k, j, i) on its grid."""
    array = array_kji.astype(np.uint8) if array_kji.dtype == bool else np.ascontiguousarray(array_kji)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(geometry.spacing_mm)
    image.SetOrigin(geometry.origin_mm)
    image.SetDirection(geometry.direction.ravel().tolist())
    return image


def _read_file(path: Path, quantity: Quantity | None, unit: str | None) -> QuantitativeVolume:
    _image_io_of(path)
    check_file(path)
    sidecar = read_sidecar(path)
    meaning = _meaning_of(path, sidecar, quantity, unit)
    array, geometry = read_array(path)
    if meaning.frame_of_reference_uid:
        geometry = VolumeGeometry(
            geometry.shape_kji,
            geometry.spacing_mm,
            geometry.origin_mm,
            geometry.direction,
            meaning.frame_of_reference_uid,
        )
    record = (meaning.record or Record("read from a file")).with_inputs(file=file_identity(path))
    return _volume_from(path, array, geometry, meaning, record)


def _volume_from(
    path: Path, array: NDArray[Any], geometry: VolumeGeometry, meaning: Sidecar, record: Record
) -> QuantitativeVolume:
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            return QuantitativeVolume.from_unit(array, meaning.unit, geometry, meaning.quantity, meaning.time, record)
    except InputError as error:
        raise FileFormatError(f"{path} cannot be used: {error}") from error


def _meaning_of(path: Path, sidecar: Sidecar | None, quantity: Quantity | None, unit: str | None) -> Sidecar:
    """Sidecar and arguments joined; neither may contradict the other."""
    if sidecar is not None:
        if quantity is not None and quantity is not sidecar.quantity:
            raise UnitError(
                f"{path} holds {sidecar.quantity.value} according to {sidecar_path(path).name}, but {quantity.value} "
                "is needed here; give another image or correct the sidecar."
            )
        if unit is not None and unit != sidecar.unit:
            raise UnitError(
                f"{path} is in '{sidecar.unit}' according to {sidecar_path(path).name}, but the unit '{unit}' was "
                "given; leave the unit out or correct the sidecar."
            )
        return sidecar
    if quantity is None:
        raise UnitError(
            f"{path} does not say what its numbers are: there is no sidecar {sidecar_path(path).name}. "
            "Give its quantity and unit."
        )
    if unit is None:
        if quantity not in QUANTITIES_WITH_ONE_UNIT:
            raise UnitError(
                f"{path} does not say its unit: there is no sidecar {sidecar_path(path).name}. "
                f"Give the unit of its {quantity.value}, for example '{quantity.unit}'."
            )
        unit = quantity.unit
    return Sidecar(quantity, unit)


def _read_dicom(path: Path, quantity: Quantity | None, unit: str | None, options: dict[str, Any]) -> QuantitativeVolume:
    from .dicom_reader import read_dicom

    if unit is not None and quantity is not None:
        factor_to_core_unit(quantity, unit)
    return read_dicom(path, quantity, **options)


def _image_io_of(path: Path) -> str:
    suffix = full_suffix(path)
    if suffix not in IMAGE_IO_OF_SUFFIX:
        if not path.exists():
            raise FileFormatError(f"{path} does not exist; give the path of an image file or a DICOM folder.")
        known = " ".join(IMAGE_IO_OF_SUFFIX)
        raise FileFormatError(f"{path} is neither DICOM nor one of the known image files ({known}).")
    return IMAGE_IO_OF_SUFFIX[suffix]


def _read_checked(path: Path, io_name: str) -> sitk.Image:
    """The image, once its header has been found to promise what can be read."""
    reader = sitk.ImageFileReader()
    reader.SetImageIO(io_name)
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    size, components = reader.GetSize(), reader.GetNumberOfComponents()
    if len(size) != 3:
        raise FileFormatError(
            f"{path} has {len(size)} axes of {' × '.join(map(str, size))} voxels; expected a volume of three. "
            "Split a time series into its frames, join slices into a volume."
        )
    if components != 1:
        raise FileFormatError(
            f"{path} holds {components} numbers per voxel; expected one. Extract one component first."
        )
    voxel_bytes = np.dtype(_numpy_type(reader.GetPixelID(), path)).itemsize
    check_claimed_size(path, math.prod(size), voxel_bytes)
    return reader.Execute()


def _numpy_type(pixel_id: int, path: Path) -> type[np.generic]:
    types: dict[int, type[np.generic]] = {
        sitk.sitkInt8: np.int8,
        sitk.sitkUInt8: np.uint8,
        sitk.sitkInt16: np.int16,
        sitk.sitkUInt16: np.uint16,
        sitk.sitkInt32: np.int32,
        sitk.sitkUInt32: np.uint32,
        sitk.sitkInt64: np.int64,
        sitk.sitkUInt64: np.uint64,
        sitk.sitkFloat32: np.float32,
        sitk.sitkFloat64: np.float64,
    }
    if pixel_id not in types:
        name = sitk.GetPixelIDValueAsString(pixel_id)
        raise FileFormatError(f"{path} holds voxels of type '{name}'; expected whole or real numbers.")
    return types[pixel_id]


def _reason(error: Exception) -> str:
    """The last line of an ITK error, which names the cause; the lines before name source files."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:_LONGEST_REASON].rstrip(".") if lines else type(error).__name__


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Keep the C libraries under ITK, which print on their own, from writing over our one-sentence errors."""
    with _STDERR_LOCK, contextlib.ExitStack() as stack:
        try:
            saved = os.dup(2)
        except OSError:
            yield
            return
        stack.callback(os.close, saved)
        stack.callback(os.dup2, saved, 2)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        warned = sitk.ProcessObject.GetGlobalWarningDisplay()
        sitk.ProcessObject.SetGlobalWarningDisplay(False)
        stack.callback(sitk.ProcessObject.SetGlobalWarningDisplay, warned)
        yield

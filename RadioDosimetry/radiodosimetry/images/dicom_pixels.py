"""The stored numbers of a DICOM image, native or compressed, before any rescaling."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import get_decoder
from pydicom.uid import UID, ImplicitVRLittleEndian, SecondaryCaptureImageStorage

from ..errors import FileFormatError
from .dicom_files import read_header
from .dicom_header import dicom_errors, integer, required_integer, tag_name, text, value_of
from .readers import quiet_stderr

_PIXEL_KEYWORDS = (
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "NumberOfFrames",
    "PixelData",
)


def stored_pixels(path: Path) -> NDArray[Any]:
    """Stored pixel values of one file, shape (frames, rows, columns), without rescaling.

    Compressed images are decoded by pydicom where a decoder for their transfer syntax is installed, and by the
    GDCM inside SimpleITK otherwise (JPEG, JPEG-LS, JPEG 2000, RLE).

    Raises
    ------
    FileFormatError
        No pixels, too few bytes of them, colour images, or a compression nobody here can decode.
    """
    dataset = read_header(path, pixels=True)
    shape = _expected_shape(dataset, path)
    with dicom_errors(path):
        syntax = _transfer_syntax(dataset)
        if not syntax.is_encapsulated:
            _require_enough_bytes(dataset, path, shape)
            array = dataset.pixel_array
        elif _pydicom_decodes(syntax):
            array = dataset.pixel_array
        else:
            array = _decoded_by_gdcm(dataset, syntax)
        if array.size != np.prod(shape):
            raise FileFormatError(
                f"{path.name} decodes to {array.shape} pixels; expected (frames, rows, columns) = {shape}. Export it "
                "again."
            )
        return np.asarray(array).reshape(shape)


def _expected_shape(dataset: Dataset, path: Path) -> tuple[int, int, int]:
    if "PixelData" not in dataset:
        raise FileFormatError(f"{path.name} has no {tag_name('PixelData')}; it is no image or was cut short.")
    samples = integer(dataset, "SamplesPerPixel", 1) or 1
    if samples != 1:
        raise FileFormatError(
            f"{path.name} has {samples} samples per pixel; expected 1 (grey values, no colour image)."
        )
    return (
        integer(dataset, "NumberOfFrames", 1) or 1,
        required_integer(dataset, "Rows", 1),
        required_integer(dataset, "Columns", 1),
    )


def _transfer_syntax(dataset: Dataset) -> UID:
    meta = getattr(dataset, "file_meta", None)
    syntax = value_of(meta, "TransferSyntaxUID") if meta is not None else None
    if syntax is None:
        if meta is None:
            dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = syntax = ImplicitVRLittleEndian
    return UID(str(syntax))


def _require_enough_bytes(dataset: Dataset, path: Path, shape: tuple[int, int, int]) -> None:
    bits = required_integer(dataset, "BitsAllocated", 1)
    expected_bytes = (int(np.prod(shape, dtype=object)) * bits + 7) // 8
    found_bytes = len(dataset.PixelData)
    if found_bytes < expected_bytes:
        raise FileFormatError(
            f"{path.name} holds {found_bytes} bytes of pixels; expected {expected_bytes} for {shape} pixels of "
            f"{bits} bits. The file is cut short; export it again."
        )


def _pydicom_decodes(syntax: UID) -> bool:
    try:
        return bool(get_decoder(syntax).is_available)
    except NotImplementedError:
        return False


def _decoded_by_gdcm(dataset: Dataset, syntax: UID) -> NDArray[Any]:
    """Decode through a temporary file that holds nothing but the pixels: GDCM would apply the rescaling otherwise."""
    bare = Dataset()
    for keyword in _PIXEL_KEYWORDS:
        if keyword in dataset:
            bare[keyword] = dataset[keyword]
    bare.SOPClassUID = SecondaryCaptureImageStorage
    bare.SOPInstanceUID = text(dataset, "SOPInstanceUID") or "1.2.3"
    bare.file_meta = FileMetaDataset()
    bare.file_meta.MediaStorageSOPClassUID = bare.SOPClassUID
    bare.file_meta.MediaStorageSOPInstanceUID = bare.SOPInstanceUID
    bare.file_meta.TransferSyntaxUID = syntax
    with TemporaryDirectory() as folder:
        file = Path(folder) / "pixels.dcm"
        bare.save_as(file, enforce_file_format=True)
        reader = sitk.ImageFileReader()
        reader.SetImageIO("GDCMImageIO")
        reader.SetFileName(str(file))
        with quiet_stderr():
            return np.asarray(sitk.GetArrayFromImage(reader.Execute()))

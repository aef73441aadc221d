"""DICOM objects of a case: the dose, the regions, a structured report of their doses and a picture, of one study."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray

from ..images.atomic import OutputTransaction
from ..images.dicom_capture_writer import write_capture
from ..images.dicom_dose_report import write_dose_report
from ..images.dicom_rtdose_writer import write_rtdose
from ..images.dicom_seg_writer import write_segmentation
from ..images.sidecar import sidecar_path
from ..report.document import Picture
from .report_results import CaseResults

DICOM_FILES = ("dose.dcm", "regions.seg.dcm", "region_doses.sr.dcm", "dose.sc.dcm")
"""RT Dose, Segmentation, Structured Report and Secondary Capture."""


def write_dicom_objects(
    found: CaseResults, folder: Path, transaction: OutputTransaction, picture: Picture
) -> list[Path]:
    """Write RT Dose, Segmentation, Structured Report and Secondary Capture of the method that is shown.

    Parameters
    ----------
    found
        The results of a case; a DICOM CT gives patient, study and frame of reference.
    folder
        An existing folder.
    transaction
        The files appear with its others.
    picture
        Of the dose over the CT, a PNG.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    MissingDependencyError
        highdicom is not installed.
    FileFormatError, GeometryMismatchError
        As `write_rtdose`.
    """
    case = found.case
    dose_path, seg_path, report_path, capture_path = (folder / name for name in DICOM_FILES)
    is_dicom = case.ct.is_dir() or case.ct.suffix.lower() in (".dcm", ".ima", ".dicom")
    description = f"Absorbed dose of {case.nuclide}, {case.dose.shown_method}"
    write_rtdose(
        found.dose,
        dose_path,
        reference=case.ct if is_dicom else None,
        description=description,
        transaction=transaction,
        bits=case.report.rtdose_bits,
    )
    dose_file = pydicom.dcmread(transaction.written(dose_path))
    rows = {row["region"]: row for row in found.table("dose", case.dose.shown_method, "table.csv")}
    regions = found.regions
    segmentation = write_segmentation(regions, found.dose.geometry, seg_path, dose_file, transaction)
    ordered = [rows[region.name] for region in regions]
    write_dose_report(ordered, report_path, segmentation, dose_file, case.dose.shown_method, transaction)
    write_capture(_pixels(picture), capture_path, dose_file, description, transaction)
    return [dose_path, sidecar_path(dose_path), seg_path, report_path, capture_path]


def _pixels(picture: Picture) -> NDArray[np.uint8]:
    """Red, green and blue of a PNG, 0 to 255."""
    from matplotlib.image import imread

    values = imread(io.BytesIO(picture.data), format="png")
    return np.ascontiguousarray(np.round(255.0 * values[..., :3]).astype(np.uint8))

"""Headers of what Slicer loaded from its DICOM database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import slicer

if TYPE_CHECKING:
    from pydicom import Dataset


def headerOf(node) -> Dataset | None:
    """The header of one of the DICOM files that Slicer loaded a node from; None where they are not at hand."""
    uids = (node.GetAttribute("DICOM.instanceUIDs") or "").split()
    database = getattr(slicer, "dicomDatabase", None)
    path = database.fileForInstance(uids[0]) if uids and database is not None else ""
    if not path or not Path(path).is_file():
        return None
    import pydicom

    from radiodosimetry.images.dicom_header import dicom_errors

    with dicom_errors(Path(path)):
        return pydicom.dcmread(path, stop_before_pixels=True)

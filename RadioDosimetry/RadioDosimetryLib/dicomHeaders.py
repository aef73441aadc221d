"""Headers of what Slicer loaded from its DICOM database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import slicer

if TYPE_CHECKING:
    from pydicom import Dataset

    from radiodosimetry.images.volume import QuantitativeVolume


def withHeader(volume: QuantitativeVolume, node) -> QuantitativeVolume:
    """The volume of a node; where its record does not say so, the node's DICOM header does.

    What it says is whether the volume is synthetic, and whether it is decay-corrected to the injection, which the core
    then undoes.
    """
    from radiodosimetry.images.dicom_pet import says_synthetic

    header, known = headerOf(node), {}
    if header is not None and says_synthetic(header):
        known["synthetic"] = True
    if header is not None and header.get("DecayCorrection") == "ADMIN":
        known["decay_correction"] = "ADMIN"
    known = {name: value for name, value in known.items() if name not in volume.record.parameters}
    return volume.with_record(volume.record.with_parameters(**known)) if known else volume


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

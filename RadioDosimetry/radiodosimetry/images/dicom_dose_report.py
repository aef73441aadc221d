"""Doses of regions as a DICOM structured report (TID 1500), beside the segmentation and the dose file it measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from ..__about__ import __version__
from ..errors import InputError
from .atomic import OutputTransaction
from .dicom_seg_writer import MANUFACTURER, SERIAL_NUMBER, coded, highdicom_module
from .dicom_terms import Code, terms_of

_ABSORBED_DOSE: Code = ("128513", "DCM", "Absorbed Dose")
_GRAY: Code = ("Gy", "UCUM", "Gray")
_PROCEDURE: Code = ("371572003", "SCT", "Nuclear medicine procedure")

MEASUREMENTS: Mapping[str, tuple[Code, Code, Code | None]] = {
    "volume_ml": (("118565006", "SCT", "Volume"), ("mL", "UCUM", "milliliter"), None),
    "mass_g": (("118538004", "SCT", "Mass"), ("g", "UCUM", "gram"), None),
    "mean_gy": (_ABSORBED_DOSE, _GRAY, ("373098007", "SCT", "Mean")),
    "std_gy": (_ABSORBED_DOSE, _GRAY, ("386136009", "SCT", "Standard Deviation")),
    "min_gy": (_ABSORBED_DOSE, _GRAY, ("255605001", "SCT", "Minimum")),
    "max_gy": (_ABSORBED_DOSE, _GRAY, ("56851009", "SCT", "Maximum")),
}
"""Column of a region table to the measurement's name, unit and derivation."""


def write_dose_report(
    region_doses: Sequence[Mapping[str, Any]],
    path: Path,
    segmentation: Dataset,
    dose_file: Dataset,
    method: str,
    transaction: OutputTransaction,
) -> Dataset:
    """Write region doses as Comprehensive 3D SR by TID 1500, a group of measurements per region.

    Parameters
    ----------
    region_doses
        In the order of the segments: "region" and any of `MEASUREMENTS`; None is left out.
    path
        File to write.
    segmentation, dose_file
        What was measured, and where.
    method
        How the dose was computed, in words.
    transaction
        The group of outputs it belongs to.

    Raises
    ------
    InputError
        Rows and segments do not match.
    MissingDependencyError
        highdicom is not installed.
    """
    highdicom = highdicom_module()
    segments = [str(item.SegmentLabel) for item in segmentation.SegmentSequence]
    names = [str(row["region"])[:64] for row in region_doses]
    if names != segments:
        raise InputError(f"The doses are of {', '.join(names)}, the segments of {', '.join(segments)}.")
    groups = [
        _group(number, row, segmentation, dose_file, method) for number, row in enumerate(region_doses, start=1)
    ]
    device = highdicom.sr.DeviceObserverIdentifyingAttributes(
        uid=highdicom.UID(),
        name=MANUFACTURER,
        manufacturer_name=MANUFACTURER,
        model_name=f"{MANUFACTURER} {__version__}",
    )
    observer = highdicom.sr.ObserverContext(
        observer_type=coded(("121007", "DCM", "Device")), observer_identifying_attributes=device
    )
    content = highdicom.sr.MeasurementReport(
        observation_context=highdicom.sr.ObservationContext(observer_device_context=observer),
        procedure_reported=coded(_PROCEDURE),
        imaging_measurements=groups,
        title=coded(("126000", "DCM", "Imaging Measurement Report")),
    )
    report = highdicom.sr.Comprehensive3DSR(
        evidence=[segmentation, dose_file],
        content=content,
        series_instance_uid=highdicom.UID(),
        series_number=3,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer=MANUFACTURER,
        is_complete=True,
        is_final=False,
        is_verified=False,
        series_description=f"Doses of regions, {method}"[:64],
    )
    report.SoftwareVersions = __version__
    report.DeviceSerialNumber = SERIAL_NUMBER
    report.ManufacturerModelName = MANUFACTURER
    report.save_as(transaction.path_for(path), enforce_file_format=True)
    return report  # type: ignore[no-any-return]


def _group(number: int, row: Mapping[str, Any], segmentation: Dataset, dose_file: Dataset, method: str) -> Any:
    """Measurements of one segment."""
    sr = highdicom_module().sr
    segment = segmentation.SegmentSequence[number - 1]
    terms = terms_of(str(row["region"]))
    site = None if terms.side is None else coded(terms.side)
    sites = [] if site is None else [sr.FindingSite(anatomic_location=coded(terms.kind), laterality=site)]
    dose_image = sr.SourceImageForSegmentation(dose_file.SOPClassUID, dose_file.SOPInstanceUID)
    measured = [
        sr.Measurement(
            name=coded(name),
            value=float(row[column]),
            unit=coded(unit),
            derivation=None if derivation is None else coded(derivation),
        )
        for column, (name, unit, derivation) in MEASUREMENTS.items()
        if row.get(column) is not None
    ]
    return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(uid=segment.TrackingUID, identifier=str(segment.TrackingID)),
        referenced_segment=sr.ReferencedSegment(
            sop_class_uid=segmentation.SOPClassUID,
            sop_instance_uid=segmentation.SOPInstanceUID,
            segment_number=number,
            source_images=[dose_image],
        ),
        finding_type=coded(terms.kind),
        finding_sites=sites or None,
        algorithm_id=sr.AlgorithmIdentification(name=f"{MANUFACTURER} {method}", version=__version__),
        measurements=measured,
    )

"""Patients that never lived: anatomy, uptake and images of which the truth is known."""

from __future__ import annotations

from .torso import (
    ADMINISTERED_MBQ,
    SCAN_HOURS,
    Structure,
    SyntheticPatient,
    centred_geometry,
    default_geometry,
    torso_patient,
    torso_scans,
    torso_structures,
)

__all__ = [
    "ADMINISTERED_MBQ",
    "SCAN_HOURS",
    "Structure",
    "SyntheticPatient",
    "centred_geometry",
    "default_geometry",
    "torso_patient",
    "torso_scans",
    "torso_structures",
]

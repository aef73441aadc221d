"""Patients that never lived: anatomy, uptake and images of which the truth is known."""

from __future__ import annotations

from .torso import Structure, SyntheticPatient, centred_geometry, default_geometry, torso_patient, torso_structures

__all__ = [
    "Structure",
    "SyntheticPatient",
    "centred_geometry",
    "default_geometry",
    "torso_patient",
    "torso_structures",
]

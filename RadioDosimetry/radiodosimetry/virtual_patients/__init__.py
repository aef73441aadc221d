"""Patients that never lived: anatomy, uptake and images of which the truth is known."""

from __future__ import annotations

from .anatomy import Anatomy, anatomy_from_labels, deformed, parametric_anatomy
from .kinetics import TRACERS, PatientKinetics, Tracer, draw_kinetics, tracer_named
from .oracle import Forecast, oracle_forecast, population_forecast, region_forecast
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
from .uptake import activity_at, true_tia, uptake_map

__all__ = [
    "ADMINISTERED_MBQ",
    "SCAN_HOURS",
    "TRACERS",
    "Anatomy",
    "Forecast",
    "PatientKinetics",
    "Structure",
    "SyntheticPatient",
    "Tracer",
    "activity_at",
    "anatomy_from_labels",
    "centred_geometry",
    "default_geometry",
    "deformed",
    "draw_kinetics",
    "oracle_forecast",
    "parametric_anatomy",
    "population_forecast",
    "region_forecast",
    "torso_patient",
    "torso_scans",
    "torso_structures",
    "tracer_named",
    "true_tia",
    "uptake_map",
]

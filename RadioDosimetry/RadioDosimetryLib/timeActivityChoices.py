"""Choices of TimeActivityFit's panel: scenes keep the names of the members, the core takes their values."""

from __future__ import annotations

from enum import Enum

from slicer.i18n import tr as _


class FitModel(Enum):
    """Models of the curves; scenes keep the names, the core the values."""

    AUTOMATIC = "auto"
    MONO = "mono"
    BI = "bi"
    TRI = "tri"
    UPTAKE = "uptake-clearance"
    GAMMA_UPTAKE = "gamma-uptake"
    TRAPEZOID = "trapezoid"
    HANSCHEID = "hanscheid"
    MADSEN = "madsen"
    PHYSICAL = "physical"

    def label(self) -> str:
        """Text of the model in the panel."""
        return {
            "auto": _("Automatic"),
            "mono": _("One exponential"),
            "bi": _("Two exponentials"),
            "tri": _("Three exponentials"),
            "uptake-clearance": _("Uptake and clearance"),
            "gamma-uptake": _("Gamma-shaped uptake, physical decay"),
            "trapezoid": _("Trapezoids"),
            "hanscheid": _("One scan: Hänscheid"),
            "madsen": _("One scan: Madsen, known half-life"),
            "physical": _("Physical decay alone"),
        }[self.value]


class TrapezoidTail(Enum):
    """How trapezoids go on after the last scan; scenes keep the names."""

    DEFAULT = ""
    PHYSICAL = "physical"
    FITTED = "mono"
    HALF_LIFE = "half-life"

    def label(self) -> str:
        """Text of the tail in the panel."""
        return {
            "": _("Known half-life, else physical"),
            "physical": _("Physical decay"),
            "mono": _("Through the last scans"),
            "half-life": _("Known effective half-life"),
        }[self.value]


class SValueSource(Enum):
    """Whose S-values organ doses are computed with; scenes keep the names."""

    ADULT_MALE = "adult-male"
    ADULT_FEMALE = "adult-female"
    PATIENT = "patient"
    FILE = "file"

    def label(self) -> str:
        """Text of the choice in the panel."""
        return {
            "adult-male": _("Stylised adult, male"),
            "adult-female": _("Stylised adult, female"),
            "patient": _("Patient: Monte Carlo in the CT"),
            "file": _("A file of yours"),
        }[self.value]


class RegistrationKind(Enum):
    """How scans are registered; scenes keep the names, the core the values."""

    RIGID = "rigid"
    DEFORMABLE = "b-spline"

    def label(self) -> str:
        """Text of the registration in the panel."""
        return {"rigid": _("Rigid"), "b-spline": _("Rigid, then B-spline (deforms)")}[self.value]


class SValueUnit(Enum):
    """Unit of a matrix of S-values that does not state it; scenes keep the names, the core the values."""

    STATED = ""
    GY_PER_BQ_S = "Gy/(Bq s)"
    MGY_PER_MBQ_S = "mGy/(MBq s)"
    MGY_PER_MBQ_H = "mGy/(MBq h)"
    GY_PER_GBQ_H = "Gy/(GBq h)"
    RAD_PER_MICROCURIE_H = "rad/(uCi h)"

    def label(self) -> str:
        """Text of the unit in the panel."""
        return self.value or _("As the file states")


class TiaMethod(Enum):
    """How time-integrated activity is found in every voxel; scenes keep the names."""

    MONO = "mono"
    BI = "bi"
    TRAPEZOID = "trapezoid"
    ORGAN_SHAPE = "organ-shape"

    def label(self) -> str:
        """Text of the method in the panel."""
        return {
            "mono": _("One exponential per voxel"),
            "bi": _("Two exponentials per voxel"),
            "trapezoid": _("Trapezoids"),
            "organ-shape": _("Shape of the organ's fitted curve"),
        }[self.value]


class SimulationDevice(Enum):
    """Where Monte Carlo runs; scenes keep the names."""

    CPU = "cpu"
    CUDA = "cuda"

    def label(self) -> str:
        """Text of the device in the panel."""
        return _("Processor (CPU)") if self is SimulationDevice.CPU else _("NVIDIA graphics card (CUDA)")

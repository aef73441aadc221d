"""What can be chosen in VoxelDose's panel, with the texts of its boxes."""

from __future__ import annotations

from enum import Enum

from slicer.i18n import tr as _

NUCLIDES = (
    "Lu-177", "Y-90", "I-131", "Ho-166", "Sm-153", "Tb-161", "Cu-67", "Re-186", "Re-188", "Sr-89", "Er-169", "P-32",
    "Ac-225", "Ra-223", "Pb-212", "Bi-213", "At-211", "Th-227",
    "F-18", "C-11", "Ga-68", "Cu-64", "Zr-89", "I-124", "Tc-99m", "In-111", "I-123", "Ga-67", "Tl-201",
)  # fmt: skip
"""Radionuclides of the panel: therapy, alpha emitters, imaging. Logic takes every nuclide of ICRP-107."""


class DoseMethod(Enum):
    """Methods of the panel; scenes keep the names, the core the values."""

    LOCAL = "local"
    SINGLE_VSV = "single-vsv"
    DENSITY_SCALED = "density-scaled"
    MULTIPLE_VSV = "multiple-vsv"
    MONTE_CARLO = "monte-carlo"
    UNET = "unet"
    DBLURDOSENET = "dblurdosenet"

    def label(self) -> str:
        """Text of the method in the panel."""
        return {
            "local": _("Local deposition"),
            "single-vsv": _("Single voxel S-value kernel"),
            "density-scaled": _("Voxel S-values, scaled by density"),
            "multiple-vsv": _("Multiple voxel S-values, by tissue"),
            "monte-carlo": _("Monte Carlo"),
            "unet": _("Network: residual 3-D U-Net"),
            "dblurdosenet": _("Network: DblurDoseNet"),
        }[self.value]


class ActivityUnit(Enum):
    """Units of the activity volume; scenes keep the names, the core the values."""

    AS_STORED = ""
    BQ_PER_ML = "Bq/mL"
    KBQ_PER_ML = "kBq/mL"
    MBQ_PER_ML = "MBq/mL"
    COUNTS = "counts"
    BQ_S_PER_ML = "Bq s/mL"
    MBQ_S_PER_ML = "MBq s/mL"
    BQ_H_PER_ML = "Bq h/mL"
    KBQ_H_PER_ML = "kBq h/mL"
    MBQ_H_PER_ML = "MBq h/mL"

    def label(self) -> str:
        """Text of the unit in the panel."""
        if self is ActivityUnit.AS_STORED:
            return _("As stored in the volume")
        if self is ActivityUnit.COUNTS:
            return _("counts (uncalibrated SPECT)")
        kind = _("time-integrated activity") if " " in self.value else _("activity")
        return f"{self.value} ({kind})"


class ComputeDevice(Enum):
    """Where Monte Carlo and networks run."""

    CPU = "cpu"
    CUDA = "cuda"

    def label(self) -> str:
        """Text of the device in the panel."""
        return _("Processor (CPU)") if self is ComputeDevice.CPU else _("NVIDIA graphics card (CUDA)")

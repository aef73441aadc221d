"""How close a dose is to a reference: mean errors, NRMSE, correlation, gamma index, profiles, Bland-Altman."""

from .bland_altman import BlandAltman, bland_altman
from .comparison import DoseComparison, RegionComparison, compare_doses, comparison_csv
from .differences import (
    mean_absolute_error_percent,
    mean_error_percent,
    normalized_root_mean_square_error,
    pearson_correlation,
    relative_error_map_percent,
    voxel_mean_absolute_error_percent,
)
from .gamma import GammaMap, gamma_index
from .profiles import LineProfile, axis_profile, line_profile

__all__ = [
    "BlandAltman",
    "DoseComparison",
    "GammaMap",
    "LineProfile",
    "RegionComparison",
    "axis_profile",
    "bland_altman",
    "compare_doses",
    "comparison_csv",
    "gamma_index",
    "line_profile",
    "mean_absolute_error_percent",
    "mean_error_percent",
    "normalized_root_mean_square_error",
    "pearson_correlation",
    "relative_error_map_percent",
    "voxel_mean_absolute_error_percent",
]

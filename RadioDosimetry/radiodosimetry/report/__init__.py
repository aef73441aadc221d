"""Figures of doses over anatomy and of doses against each other."""

from .curves import bland_altman_figure, dvh_figure, method_comparison_figure, profile_figure
from .figure_style import save_figure
from .figures import overlay_figure
from .patient_planes import PatientView
from .slice_rendering import SliceRenderer

__all__ = [
    "PatientView",
    "SliceRenderer",
    "bland_altman_figure",
    "dvh_figure",
    "method_comparison_figure",
    "overlay_figure",
    "profile_figure",
    "save_figure",
]

"""What joins several packages: dose by any method and the demonstration."""

from .dose import DOSE_METHODS, DoseOptions, DoseResult, compute_dose, integrate_physical_decay, regions_on_grid

__all__ = [
    "DOSE_METHODS",
    "DoseOptions",
    "DoseResult",
    "compute_dose",
    "integrate_physical_decay",
    "regions_on_grid",
]

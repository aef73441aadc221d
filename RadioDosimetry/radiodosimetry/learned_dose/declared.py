"""Whether an input lies within what a model declares, and what is done where it does not."""

from __future__ import annotations

import numpy as np

from ..errors import InputError
from ..images.geometry import VolumeGeometry
from ..learning.model_files import ModelCard
from .patient_maps import PatientMaps

TRUE_ACTIVITY, RECONSTRUCTED = "time-integrated activity", "reconstructed SPECT"
"""What a model declares that it takes: activity where it is, or as a reconstruction shows it."""

DENSITY_MARGIN = 1.05
"""Densities up to this factor above the densest voxel of the training are not worth a warning."""

LARGE_CHANGE_PERCENT = 50.0
"""A region whose mean dose the network changes by more than this is warned of."""


def require_nuclide(card: ModelCard, nuclide: str, model: str) -> None:
    """Refuse a nuclide the model was not trained on.

    Raises
    ------
    InputError
        As said; both are named.
    """
    declared = [str(name) for name in card.declared.get("nuclides", [])]
    if nuclide not in declared:
        raise InputError(
            f"The model {model} holds for {', '.join(declared) or 'no nuclide'}, found {nuclide}; use its base method, "
            "Monte Carlo, or a model trained on that nuclide."
        )


def is_declared_spacing(card: ModelCard, geometry: VolumeGeometry) -> bool:
    """Whether the voxel size lies within what the model declares."""
    ranges = card.declared["spacing_mm"]
    return all(low <= step <= high for step, (low, high) in zip(geometry.spacing_mm, ranges, strict=True))


def trained_spacing_mm(card: ModelCard) -> tuple[float, float, float]:
    """The voxel size of the training [mm] (i, j, k)."""
    i, j, k = (float(step) for step in card.preprocessing["spacing_mm"])
    return i, j, k


def grid_of_spacing(geometry: VolumeGeometry, spacing_mm: tuple[float, float, float]) -> VolumeGeometry:
    """A grid of another voxel size that covers the same box."""
    count_ijk = np.array(geometry.shape_kji[::-1])
    size_mm = count_ijk * np.array(geometry.spacing_mm)
    new_ijk = np.maximum(1, np.ceil(size_mm / np.array(spacing_mm) - 1e-6)).astype(int)
    more_mm = new_ijk * np.array(spacing_mm) - size_mm
    first_mm = 0.5 * (np.array(spacing_mm) - np.array(geometry.spacing_mm)) - 0.5 * more_mm
    origin = np.array(geometry.origin_mm) + geometry.direction @ first_mm
    k, j, i = (int(count) for count in new_ijk[::-1])
    x, y, z = (float(value) for value in origin)
    return VolumeGeometry((k, j, i), spacing_mm, (x, y, z), geometry.direction, geometry.frame_of_reference_uid)


def image_warnings(card: ModelCard) -> tuple[str, ...]:
    """A sentence where the model undoes a reconstruction, since no image says how it was reconstructed."""
    if card.declared.get("activity") != RECONSTRUCTED:
        return ()
    return (
        "The activity was taken for a SPECT reconstructed as those of the model's training, which nothing in an image "
        "tells: of PET, of sharper and of blurrier images it makes a wrong dose; its card says how wrong.",
    )


def uncertainty_warnings(card: ModelCard) -> tuple[str, ...]:
    """A sentence on what the stated uncertainty of a model's doses does not hold."""
    if card.declared.get("activity") == RECONSTRUCTED:
        return ("The uncertainty is that of simulated SPECT like those of the model's training and of no other image.",)
    return (
        "The uncertainty is that of the dose of the activity as it was given: what blur, noise and calibration of the "
        "scan do to the activity is not in it.",
    )


def density_warnings(card: ModelCard, maps: PatientMaps) -> tuple[str, ...]:
    """A sentence if the patient holds matter denser than all the model has seen."""
    highest = float(card.declared.get("density_g_per_cm3", (0.0, np.inf))[1])
    beyond = maps.density_kji > DENSITY_MARGIN * highest
    if not beyond.any():
        return ()
    return (
        f"{int(beyond.sum())} voxels are denser than anything the model was trained on ({highest:.3g} g/cm³; up to "
        f"{float(maps.density_kji.max()):.3g} here): the network may err near them, compare with the base dose.",
    )

"""Simulated PET: coincidences along lines through the patient, with attenuation, scatter, randoms and noise, and OSEM.

The detector's resolution and the positron's range blur the activity with one Gaussian. Lines lie in the slices (no
oblique ones): that changes where counts come from along the axis, not how noise and attenuation shape the image, and
the number of counts is given. Mean scatter and randoms are smooth, and known to the reconstruction.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from ..errors import InputError
from ..images.volume import QuantitativeVolume
from ..progress import PartialProgress, Progress, report_progress
from ..provenance import Record
from ..units import ELECTRON_REST_ENERGY_KEV
from .attenuation import photon_map
from .field_of_view import FieldOfView
from .gamma_camera import FWHM_PER_SIGMA
from .pytomography_import import one_torch_thread, pytomography_module
from .reconstruction import blurred, osem, require_osem_settings
from .rotating_camera import RotatingCamera
from .spect import require_scannable

Floats = NDArray[np.float32]

SIMULATED_PET = "simulated PET"
"""Operation in the records of these images."""

SCATTER_WIDTH_MM = 150.0
"""Full width at half maximum with which scattered coincidences are smeared over the projections."""

BODY_PER_MM = 0.003
"""Voxels that attenuate more than this belong to the field of view [1/mm]; a third of water at 511 keV."""


@dataclass(frozen=True)
class PetSettings:
    """How a PET is acquired and reconstructed.

    Attributes
    ----------
    resolution_fwhm_mm
        Resolution of the detectors and the positron's range together; Li 2022 quotes 5 to 6 mm for its scanner.
    counts
        True coincidences, after attenuation. Tens of millions for F-18 or Cu-64, a million or two for Y-90.
    scatter_fraction
        Scattered among scattered and true coincidences; about 0.35 in 3-D PET of a torso.
    randoms_per_true
        Random coincidences per true one.
    angles
        Directions of lines over 180°.
    iterations, subsets
        Of OSEM; the subsets share the angles evenly.
    post_filter_fwhm_mm
        Gaussian filter of the image; 0 for none. 5 to 6.4 mm are usual for whole bodies.
    """

    resolution_fwhm_mm: float = 5.0
    counts: float = 3e7
    scatter_fraction: float = 0.35
    randoms_per_true: float = 0.5
    angles: int = 96
    iterations: int = 3
    subsets: int = 16
    post_filter_fwhm_mm: float = 5.0

    def __post_init__(self) -> None:
        require_osem_settings("PET", self.counts, self.angles, self.iterations, self.subsets)
        if not 0 <= self.scatter_fraction < 1 or not 0 <= self.randoms_per_true < 1000:
            raise InputError(
                f"Found a scatter fraction of {self.scatter_fraction:g} and {self.randoms_per_true:g} randoms per true "
                "coincidence; expected a share from 0 to below 1 and a number from 0."
            )
        for name in ("resolution_fwhm_mm", "post_filter_fwhm_mm"):
            if not 0 <= getattr(self, name) < 100:
                raise InputError(f"{name} must lie between 0 and 100 mm, found {getattr(self, name):g}.")


def simulate_pet(
    activity: QuantitativeVolume,
    ct: QuantitativeVolume,
    settings: PetSettings,
    seed: int,
    progress: Progress | None = None,
) -> QuantitativeVolume:
    """The image that a PET/CT would show of an activity.

    Parameters
    ----------
    activity
        True activity concentration [Bq/mL], array (k, j, i), not negative.
    ct
        CT numbers [HU] on the same grid.
    settings
        Acquisition and reconstruction.
    seed
        Names the random numbers; same input and seed, same image.
    progress
        Told the share of the work done.

    Returns
    -------
    QuantitativeVolume
        Reconstructed activity concentration [Bq/mL], float32, on the grid and at the time of `activity`.

    Raises
    ------
    UnitError, GeometryMismatchError
        The images are not activity and CT on one grid.
    InputError
        Activity is negative or absent, or voxels are not square across k.
    MissingDependencyError
        PyTomography is not installed.
    CancelledError
        The user cancelled.
    """
    require_scannable(activity, ct)
    pytomography_module()
    report_progress(progress, 0.0, "Attenuation of the patient")
    attenuation_kji = photon_map(ct, ELECTRON_REST_ENERGY_KEV).attenuation_per_mm_kji
    view = FieldOfView.around((attenuation_kji > BODY_PER_MM) | (activity.array_kji > 0), activity.geometry)
    angles_rad = np.pi * np.arange(settings.angles) / settings.angles
    emitted = view.seen(blurred(activity.array_kji, settings.resolution_fwhm_mm, activity.geometry.spacing_mm))
    with one_torch_thread():
        report_progress(progress, 0.1, "Projecting")
        camera = RotatingCamera(view.grid, angles_rad, view.seen(attenuation_kji), whole_line=True)
        trues = camera.forward(emitted)
        total = float(trues.sum(dtype=np.float64))
        if total <= 0:
            raise InputError("No coincidence of the activity reaches the scanner; check activity and CT.")
        scale = settings.counts / total
        background = _background(trues * np.float32(scale), settings, view)
        rng = np.random.default_rng(seed)
        prompts = rng.poisson(trues.astype(np.float64) * scale + background).astype(np.float32)
        found = osem(
            camera, prompts, background, settings.iterations, settings.subsets, PartialProgress(progress, 0.2, 1.0)
        )
    image = view.put_back(found) / np.float32(scale)
    image = blurred(image, settings.post_filter_fwhm_mm, activity.geometry.spacing_mm)
    record = Record(
        SIMULATED_PET,
        parameters={
            **asdict(settings),
            "prompts": float(prompts.sum(dtype=np.float64)),
            "counts_per_emission_and_line": scale / activity.geometry.voxel_volume_ml,
        },
        inputs={"activity": activity.record.inputs, "ct": ct.record.inputs},
        seed=seed,
        device="cpu",
    )
    return activity.with_array(image, record=record)


def _background(trues: Floats, settings: PetSettings, view: FieldOfView) -> Floats:
    """Mean scattered and random coincidences per line."""
    sigma_mm = SCATTER_WIDTH_MM / FWHM_PER_SIGMA
    smeared = gaussian_filter(trues, (0, sigma_mm / view.grid.pixel_mm, sigma_mm / view.grid.slice_mm), mode="nearest")
    total = float(trues.sum(dtype=np.float64))
    scattered = total * settings.scatter_fraction / (1 - settings.scatter_fraction)
    randoms = settings.randoms_per_true * total / trues.size
    share = scattered / float(smeared.sum(dtype=np.float64))
    return np.asarray(smeared * np.float32(share) + np.float32(randoms), dtype=np.float32)

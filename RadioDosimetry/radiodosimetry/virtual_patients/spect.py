"""Simulated SPECT: projections with attenuation, blur, scatter and counting noise, and OSEM back to Bq/mL."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from ..errors import InputError, UnitError
from ..images.geometry import VolumeGeometry, require_same_grid
from ..images.volume import QuantitativeVolume
from ..progress import PartialProgress, Progress, report_progress
from ..provenance import Record
from ..units import Quantity
from .attenuation import photon_map
from .field_of_view import FieldOfView
from .gamma_camera import (
    BODY_TO_COLLIMATOR_MM,
    FWHM_PER_SIGMA,
    Collimator,
    Photopeak,
    collimator_named,
    photopeak_of,
    window_share,
)
from .pytomography_import import one_torch_thread, pytomography_module
from .reconstruction import blurred, osem, require_osem_settings
from .rotating_camera import NODE_STEP_MM, Blur, CameraGrid, RotatingCamera, body_radii_mm
from .scatter import scatter_projections

Floats = NDArray[np.float32]

SCAN_NODE_STEP_MM = 5.0
"""Distance between two nodes of the blur in the simulated scan, finer than in the reconstruction."""

BODY_SHARE_OF_WATER = 0.3
"""Voxels that attenuate at least this share of water's are body, around which the camera turns."""


PHANTOM_RADIUS_MM, PHANTOM_HEIGHT_MM = 108.0, 186.0
"""Inner size of the cylinder of water that a camera is calibrated with (a Jaszczak phantom's)."""

PHANTOM_VOXEL_MM = 4.8
"""Voxel side on which it is scanned; what it measures, triple-window scatter, does not depend on it."""

PHANTOM_CORE = 0.5
"""Share of radius and height that is measured: away from the edges, which resolution blurs."""


@dataclass(frozen=True)
class SpectSettings:
    """How a SPECT is acquired and reconstructed; the defaults are Li 2022's, with half of its angles and updates.

    Attributes
    ----------
    nuclide
        One of `gamma_camera.PHOTOPEAKS`.
    collimator
        One of `gamma_camera.COLLIMATORS`; the nuclide's usual one if None.
    counts
        Counts in the photopeak window over all angles, scatter included; 3 to 20 million are usual after therapy.
    angles
        Views over 360°.
    iterations, subsets
        Of OSEM; the subsets share the angles evenly.
    scatter
        Whether scatter is simulated, and estimated from two neighbouring windows in the reconstruction.
    resolution_recovery
        Whether the reconstruction knows the blur of the collimator.
    post_filter_fwhm_mm
        Gaussian filter of the image; 0 for none.
    scatter_filter_fwhm_mm
        Gaussian filter of the scatter windows before the estimate.
    """

    nuclide: str = "Lu-177"
    collimator: str | None = None
    counts: float = 8e6
    angles: int = 64
    iterations: int = 8
    subsets: int = 8
    scatter: bool = True
    resolution_recovery: bool = True
    post_filter_fwhm_mm: float = 0.0
    scatter_filter_fwhm_mm: float = 15.0

    def __post_init__(self) -> None:
        photopeak_of(self.nuclide)
        if self.collimator is not None:
            collimator_named(self.collimator)
        require_osem_settings("SPECT", self.counts, self.angles, self.iterations, self.subsets)
        for name in ("post_filter_fwhm_mm", "scatter_filter_fwhm_mm"):
            if not 0 <= getattr(self, name) < 1000:
                raise InputError(f"{name} must lie between 0 and 1000 mm, found {getattr(self, name):g}.")

    @property
    def photopeak(self) -> Photopeak:
        """Line and windows."""
        return photopeak_of(self.nuclide)

    @property
    def used_collimator(self) -> Collimator:
        """The collimator, chosen or usual."""
        return collimator_named(self.collimator or self.photopeak.collimator)


@dataclass(frozen=True, eq=False)
class Acquisition:
    """What the camera counted, and what is needed to turn it into an image.

    Attributes
    ----------
    photopeak, lower, upper
        Counts per window, shape (angle, side, z).
    counts_per_photon
        Counts per photon emitted in a voxel and angle, had nothing attenuated it: the sensitivity times the duration.
    scatter_share
        Scattered among the expected counts of the photopeak window.
    """

    photopeak: Floats
    lower: Floats
    upper: Floats
    counts_per_photon: float
    scatter_share: float


def simulate_spect(
    activity: QuantitativeVolume,
    ct: QuantitativeVolume,
    settings: SpectSettings,
    seed: int,
    progress: Progress | None = None,
) -> QuantitativeVolume:
    """The image that a SPECT/CT would show of an activity.

    The camera turns around the k axis. Duration times sensitivity is such that `settings.counts` are counted; counts
    are turned into Bq/mL by `calibration_factor`. CT and activity are perfectly aligned, nothing
    decays or moves during the scan, and dead time and septal penetration are left out.

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
    report_progress(progress, 0.0, "Calibration")
    factor = calibration_factor(settings)
    image, acquired, radii_mm = _reconstructed(activity, ct, settings, seed, progress)
    record = _record(activity, ct, settings, seed, acquired, radii_mm, factor)
    return activity.with_array((image / factor).astype(np.float32), record=record)


def calibration_factor(settings: SpectSettings) -> float:
    """What the scan of a cylinder of water shows over what is in it, before any calibration.

    A clinic divides by this number, measured with the settings of its patients: triple windows leave part of the
    scatter in the image. The cylinder is scanned until its counts have no noise.

    Parameters
    ----------
    settings
        As for the patient; `counts` makes no difference.

    References
    ----------
    .. [1] Dewaraja et al., MIRD Pamphlet No. 23, J Nucl Med 53 (2012) 1310, DOI 10.2967/jnumed.111.100123.
    """
    return _calibration_factor(replace(settings, counts=SpectSettings.counts))


@lru_cache(maxsize=32)
def _calibration_factor(settings: SpectSettings) -> float:
    slices = round(PHANTOM_HEIGHT_MM / PHANTOM_VOXEL_MM) + 8
    across = round(2 * PHANTOM_RADIUS_MM / PHANTOM_VOXEL_MM) + 8
    k, j, i = (
        PHANTOM_VOXEL_MM * (index - (count - 1) / 2)
        for index, count in zip(np.indices((slices, across, across)), (slices, across, across), strict=True)
    )
    filled = (np.hypot(i, j) < PHANTOM_RADIUS_MM) & (2 * np.abs(k) < PHANTOM_HEIGHT_MM)
    core = (np.hypot(i, j) < PHANTOM_CORE * PHANTOM_RADIUS_MM) & (2 * np.abs(k) < PHANTOM_CORE * PHANTOM_HEIGHT_MM)
    grid = VolumeGeometry((slices, across, across), (PHANTOM_VOXEL_MM,) * 3)
    water = QuantitativeVolume(np.where(filled, 0, -1000).astype(np.int16), grid, Quantity.CT_NUMBER)
    one = QuantitativeVolume(filled.astype(np.float32), grid, Quantity.ACTIVITY_CONCENTRATION)
    image, _, _ = _reconstructed(one, water, settings, None)
    return float(image[core].mean(dtype=np.float64))


def _reconstructed(
    activity: QuantitativeVolume,
    ct: QuantitativeVolume,
    settings: SpectSettings,
    seed: int | None,
    progress: Progress | None = None,
) -> tuple[Floats, Acquisition, NDArray[np.float64]]:
    """Image of an activity before calibration, counts, and orbit; without a seed the counts have no noise."""
    report_progress(progress, 0.0, "Attenuation of the patient")
    photons = photon_map(ct, settings.photopeak.energy_kev)
    water_per_mm = float(photons.attenuation_per_mm_kji.max(initial=0)) or 1.0
    body = photons.attenuation_per_mm_kji >= BODY_SHARE_OF_WATER * min(water_per_mm, 0.02)
    view = FieldOfView.around(body | (activity.array_kji > 0), activity.geometry)
    angles_rad = 2 * np.pi * np.arange(settings.angles) / settings.angles
    radii_mm = body_radii_mm(view.seen(body) > 0, view.grid, angles_rad) + BODY_TO_COLLIMATOR_MM
    attenuation, scattering = view.seen(photons.attenuation_per_mm_kji), view.seen(photons.scattering_kji)
    emitted = view.seen(activity.array_kji)
    with one_torch_thread():
        report_progress(progress, 0.05, "Projecting")
        acquired = acquire(emitted, attenuation, scattering, view.grid, angles_rad, radii_mm, settings, seed)
        blur = camera_blur(settings, radii_mm, view.grid, NODE_STEP_MM) if settings.resolution_recovery else None
        camera = RotatingCamera(view.grid, angles_rad, attenuation, blur, radii_mm)
        additive = scatter_estimate(acquired, settings, view.grid)
        found = osem(
            camera, acquired.photopeak, additive, settings.iterations, settings.subsets,
            PartialProgress(progress, 0.2, 1.0),
        )  # fmt: skip
    image = view.put_back(found) / np.float32(acquired.counts_per_photon)
    image = blurred(image, settings.post_filter_fwhm_mm, activity.geometry.spacing_mm)
    return image, acquired, radii_mm


def acquire(
    emitted: Floats,
    attenuation_per_mm: Floats,
    scattering: Floats,
    grid: CameraGrid,
    angles_rad: NDArray[np.float64],
    radii_mm: NDArray[np.float64],
    settings: SpectSettings,
    seed: int | None,
) -> Acquisition:
    """Count photons in three windows.

    Parameters
    ----------
    emitted
        Activity concentration, shape (x, y, z).
    attenuation_per_mm, scattering
        As `PhotonMap` has them, shape (x, y, z).
    grid, angles_rad, radii_mm
        The orbit; radii are from the axis to the collimator's face.
    settings, seed
        As for `simulate_spect`; without a seed the expected counts are counted.
    """
    peak = settings.photopeak
    windows = (peak.window_kev, peak.lower_kev, peak.upper_kev)
    blur = camera_blur(settings, radii_mm, grid, SCAN_NODE_STEP_MM)
    unscattered = RotatingCamera(grid, angles_rad, attenuation_per_mm, blur, radii_mm).forward(emitted)
    kept = [float(window_share(peak.energy_kev, window)) for window in windows]
    expected = [unscattered * np.float32(share) for share in kept]
    scattered = 0.0
    if settings.scatter:
        added = scatter_projections(
            emitted, attenuation_per_mm, scattering, grid, angles_rad, radii_mm,
            camera_blur(settings, radii_mm, grid, NODE_STEP_MM), peak.energy_kev, windows,
        )  # fmt: skip
        scattered = float(added[0].sum(dtype=np.float64))
        expected = [one + more for one, more in zip(expected, added, strict=True)]
    total = float(expected[0].sum(dtype=np.float64))
    if total <= 0:
        raise InputError("No photon of the activity reaches the camera; check activity and CT.")
    scale = settings.counts / total
    means = [one.astype(np.float64) * scale for one in expected]
    rng = None if seed is None else np.random.default_rng(seed)
    counted = [(one if rng is None else rng.poisson(one)).astype(np.float32) for one in means]
    return Acquisition(counted[0], counted[1], counted[2], scale * kept[0], scattered / total)


def scatter_estimate(acquired: Acquisition, settings: SpectSettings, grid: CameraGrid) -> Floats:
    """Scatter in the photopeak window from the two beside it, smoothed, shape (angle, side, z)."""
    if not settings.scatter:
        return np.zeros_like(acquired.photopeak)
    weights = settings.photopeak.scatter_weights()
    estimate = weights[0] * acquired.lower + weights[1] * acquired.upper
    sigma = settings.scatter_filter_fwhm_mm / FWHM_PER_SIGMA
    smooth = gaussian_filter(estimate, (0, sigma / grid.pixel_mm, sigma / grid.slice_mm), mode="nearest")
    return np.asarray(smooth, dtype=np.float32)


def camera_blur(settings: SpectSettings, radii_mm: NDArray[np.float64], grid: CameraGrid, step_mm: float) -> Blur:
    """Blur of collimator and crystal at nodes of distance that cover the orbit."""
    farthest = float(np.max(radii_mm)) + grid.width * grid.pixel_mm / 2
    distances = np.arange(0.0, farthest + 2 * step_mm, step_mm)
    fwhm = settings.used_collimator.fwhm_mm(distances, settings.photopeak.lead_attenuation_per_mm)
    return Blur(distances, fwhm)


def require_scannable(activity: QuantitativeVolume, ct: QuantitativeVolume) -> None:
    """Refuse what cannot be scanned.

    Raises
    ------
    UnitError, GeometryMismatchError
        The images are not activity and CT on one grid.
    InputError
        Activity is negative or absent.
    """
    if activity.quantity is not Quantity.ACTIVITY_CONCENTRATION:
        raise UnitError(f"A scan needs activity [Bq/mL], found {activity.quantity.value} [{activity.unit}].")
    if ct.quantity is not Quantity.CT_NUMBER:
        raise UnitError(f"A scan needs a CT in HU, found {ct.quantity.value} [{ct.unit}].")
    require_same_grid(activity.geometry, ct.geometry, "The activity", "the CT")
    lowest, highest = float(activity.array_kji.min()), float(activity.array_kji.max())
    if lowest < 0 or highest <= 0:
        raise InputError(
            f"True activity must not be negative and not be zero everywhere, found {lowest:g} to {highest:g} Bq/mL."
        )


def _record(
    activity: QuantitativeVolume,
    ct: QuantitativeVolume,
    settings: SpectSettings,
    seed: int,
    acquired: Acquisition,
    radii_mm: NDArray[np.float64],
    factor: float,
) -> Record:
    used = replace(settings, collimator=settings.used_collimator.name)
    return Record(
        "simulated SPECT",
        parameters={
            **asdict(used),
            "photopeak_kev": settings.photopeak.energy_kev,
            "photopeak_window_kev": list(settings.photopeak.window_kev),
            "counted": float(acquired.photopeak.sum(dtype=np.float64)),
            "scatter_share": acquired.scatter_share,
            "calibration_factor": factor,
            "counts_per_emitted_photon_and_view": acquired.counts_per_photon / activity.geometry.voxel_volume_ml,
            "mean_radius_mm": float(np.mean(radii_mm)),
        },
        inputs={"activity": activity.record.inputs, "ct": ct.record.inputs},
        seed=seed,
        device="cpu",
    )

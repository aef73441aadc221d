# mypy: ignore-errors
"""Monte Carlo of a source in voxels: from media, activity and spectra to energy per voxel with its uncertainty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import warp as wp
from numpy.typing import NDArray

from ..errors import InputError
from ..media.materials import Material
from ..nuclides.spectrum import ParticleSpectrum
from ..progress import Progress
from .batches import BATCHES, run_batches
from .engine import HistoryRunner, device_description, require_device, upload_tables
from .scene import ANALOG, TRACK_LENGTH, Scene, Source
from .source_lines import SourceLines, source_lines
from .tables import ENERGY_GRID_MEV, medium_tables

Floats = NDArray[np.float64]
Estimator = Literal["track-length", "analog"]
Secondaries = Literal["local", "transported"]

LOCAL_RANGE_SHARE_OF_VOXEL = 0.02
"""An electron whose range is below this share of the smallest voxel side is deposited where it is."""

FINE_VOXEL_MM = 1.0
"""At and below this voxel size electrons are followed to 5 keV instead of 10 keV."""

SMALLEST_MAJORANT_PER_CM = 1e-6
"""Woodcock's flights stay finite, 10 km long, where the whole scene is vacuum."""


@dataclass(frozen=True)
class TransportSettings:
    """How histories are run.

    Attributes
    ----------
    histories
        Histories in all; with `target_uncertainty` the number per batch times `BATCHES`.
    target_uncertainty
        Run further batches until the largest relative standard uncertainty over the regions (the whole grid where
        there are none) is below this, or it is plain that `MOST_BATCHES` of them will not do.
    seed
        Names the random numbers; the same seed gives the same result on any number of threads.
    estimator
        "track-length" (expected energy transfer along traced flights) or "analog" (Woodcock, collisions).
    secondaries
        Whether electrons set free by photons are followed; "transported" needs the analog estimator.
    photon_cut_kev, electron_cut_kev
        Particles below are deposited on the spot; the electron cut None takes 10 keV, 5 keV in fine voxels.
    local_range_share
        See `LOCAL_RANGE_SHARE_OF_VOXEL`.
    device
        "cpu", "cuda" or "cuda:N"; chosen, never guessed.
    thread_count
        CPU threads; None takes all cores.
    """

    histories: int = 2_000_000
    target_uncertainty: float | None = None
    seed: int = 1
    estimator: Estimator = "track-length"
    secondaries: Secondaries = "local"
    photon_cut_kev: float = 10.0
    electron_cut_kev: float | None = None
    local_range_share: float = LOCAL_RANGE_SHARE_OF_VOXEL
    device: str = "cpu"
    thread_count: int | None = None

    def __post_init__(self) -> None:
        if self.histories < 2 * BATCHES:
            raise InputError(f"Found {self.histories} histories; expected {2 * BATCHES} or more, two per batch.")
        if self.target_uncertainty is not None and not 0 < self.target_uncertainty < 1:
            raise InputError(f"The target uncertainty must lie between 0 and 1, found {self.target_uncertainty}.")
        for chosen, known in ((self.estimator, get_args(Estimator)), (self.secondaries, get_args(Secondaries))):
            if chosen not in known:
                raise InputError(f"Found '{chosen}' among the transport settings; expected one of {', '.join(known)}.")
        if self.secondaries == "transported" and self.estimator != "analog":
            raise InputError("Secondary electrons can only be followed with the analog estimator; choose it as well.")
        if not 1.0 <= self.photon_cut_kev <= 1000.0:
            raise InputError(f"The photon cut must lie between 1 and 1000 keV, found {self.photon_cut_kev:g} keV.")
        if self.electron_cut_kev is not None and not 1.0 <= self.electron_cut_kev <= 1000.0:
            raise InputError(f"The electron cut must lie between 1 and 1000 keV, found {self.electron_cut_kev:g} keV.")
        if not 0 <= self.local_range_share < np.inf:
            raise InputError(f"The local range share must not be negative, found {self.local_range_share:g}.")
        if self.thread_count is not None and self.thread_count < 1:
            raise InputError(f"Found {self.thread_count} threads; expected at least 1, or None for all cores.")
        if not 0 <= self.seed < 1 << 32:
            raise InputError(f"The seed must be a whole number from 0 to 2³² − 1, found {self.seed}.")


@dataclass(frozen=True, eq=False)
class VoxelScene:
    """Voxels for transport.

    Attributes
    ----------
    density_kji
        Mass density [g/cm³], shape (k, j, i).
    medium_index_kji
        Index into `media`, same shape.
    media
        The media.
    spacing_mm
        Voxel size along i, j, k.
    surroundings
        Uniform medium around the grid, out to 1 m of water's mass thickness; None is vacuum.
    """

    density_kji: NDArray[np.float32]
    medium_index_kji: NDArray[np.uint8]
    media: tuple[Material, ...]
    spacing_mm: tuple[float, float, float]
    surroundings: Material | None = None

    def __post_init__(self) -> None:
        if self.density_kji.shape != self.medium_index_kji.shape or self.density_kji.ndim != 3:
            raise InputError(
                f"Density {self.density_kji.shape} and media {self.medium_index_kji.shape} must share three axes."
            )
        if self.medium_index_kji.max() >= len(self.media):
            raise InputError(f"Found medium {self.medium_index_kji.max()}, but only {len(self.media)} media are given.")
        if not np.isfinite(self.density_kji).all() or self.density_kji.min() < 0:
            raise InputError("A density is negative or not a number; expected g/cm³, zero for vacuum.")
        if len(self.spacing_mm) != 3 or not all(0 < side < np.inf for side in self.spacing_mm):
            raise InputError(f"The voxel size must be three positive lengths in mm, found {self.spacing_mm}.")


@dataclass(frozen=True, eq=False)
class TransportResult:
    """What a run scored.

    Attributes
    ----------
    energy_mev_kji
        Energy deposited [MeV], shape (k, j, i), for the whole source.
    standard_error_mev_kji
        Its standard error (1σ) from the batches, same shape and unit.
    escaped_mev
        Energy that left the grid [MeV].
    emitted_mev
        Energy emitted [MeV], local energy included.
    region_mean_uncertainty
        Region name to relative standard error (1σ) of the energy given to it; regions that got none are left out.
    histories, batches
        Run.
    device
        The device in words.
    """

    energy_mev_kji: Floats
    standard_error_mev_kji: Floats
    escaped_mev: float
    emitted_mev: float
    region_mean_uncertainty: Mapping[str, float]
    histories: int
    batches: int
    device: str


def simulate_voxels(
    voxels: VoxelScene,
    decays_kji: NDArray[np.floating],
    spectra: Sequence[ParticleSpectrum],
    settings: TransportSettings | None = None,
    regions: Mapping[str, NDArray[np.bool_]] | None = None,
    progress: Progress | None = None,
    local_energy_mev: float = 0.0,
) -> TransportResult:
    """Energy deposited in voxels by particles emitted uniformly within each voxel.

    Parameters
    ----------
    voxels
        Media and densities.
    decays_kji
        Number of decays (or source particles) per voxel, shape (k, j, i), not negative.
    spectra
        Electrons, positrons and photons per decay. Positrons bring their annihilation quanta along: leave those
        out of the photons. Bremsstrahlung of electrons and positrons is added here.
    settings
        How to run; defaults are for a patient.
    regions
        Name to mask (k, j, i), for their uncertainties and the target.
    progress
        Told the share of histories done. Cancel is heard between the launches of a batch on the CPU, within a second
        or so, and between batches on CUDA.
    local_energy_mev
        Further energy per decay [MeV] that stays in its voxel: of α particles and recoils, which have no spectrum here.

    Returns
    -------
    TransportResult
        Energies for the whole source, not per decay.

    Raises
    ------
    InputError
        Nothing is emitted, no voxel has decays, grids differ, or a setting cannot be used.
    RadioDosimetryError
        The target uncertainty cannot be reached, or a region of it gets no energy.
    DeviceError
        The device is not there.
    CancelledError
        The user cancelled.
    """
    settings = settings or TransportSettings()
    _require_grid_of(voxels, {"the source": np.asarray(decays_kji), **(regions or {})})
    device = require_device(settings.device)
    decays = np.asarray(decays_kji, dtype=np.float64).ravel()
    total_decays = float(decays.sum())
    if not np.isfinite(total_decays) or total_decays <= 0 or decays.min() < 0:
        raise InputError(f"The source holds {total_decays:g} decays; expected a positive number and no negative voxel.")
    source_medium = _medium_of_most_decays(voxels, decays)
    lines = source_lines(spectra, source_medium, *_photon_and_electron_cut_kev(settings, voxels.spacing_mm))
    runner = HistoryRunner(
        _upload_scene(voxels, settings, device),
        upload_tables(_with_surroundings(voxels), device),
        _upload_source(decays, lines, device),
        decays.size,
        settings.seed,
        device,
        **({} if settings.thread_count is None else {"thread_count": settings.thread_count}),
    )
    masks = {name: np.flatnonzero(mask.ravel()) for name, mask in (regions or {}).items()}
    per_batch = max(settings.histories // BATCHES, 2)
    on_the_spot = decays * ((lines.local_energy_mev + local_energy_mev) * per_batch / total_decays)
    batches = run_batches(runner, masks, on_the_spot, per_batch, settings.target_uncertainty, progress)
    mean, error = batches.mean_and_error()
    scale = total_decays / per_batch
    shape = voxels.density_kji.shape
    return TransportResult(
        energy_mev_kji=(mean[:-1] * scale).reshape(shape),
        standard_error_mev_kji=(error[:-1] * scale).reshape(shape),
        escaped_mev=float(mean[-1] * scale),
        emitted_mev=total_decays * (lines.energy_per_decay_mev + local_energy_mev),
        region_mean_uncertainty=batches.region_uncertainty(),
        histories=per_batch * batches.count,
        batches=batches.count,
        device=device_description(device),
    )


def _require_grid_of(voxels: VoxelScene, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    for name, array in arrays.items():
        if array.shape != voxels.density_kji.shape:
            raise InputError(f"Found {name} of shape {array.shape}; expected {voxels.density_kji.shape} (k, j, i).")


def _photon_and_electron_cut_kev(
    settings: TransportSettings, spacing_mm: tuple[float, float, float]
) -> tuple[float, float]:
    if settings.electron_cut_kev is not None:
        return settings.photon_cut_kev, settings.electron_cut_kev
    return settings.photon_cut_kev, 5.0 if min(spacing_mm) <= FINE_VOXEL_MM else 10.0


def _upload_source(decays: Floats, lines: SourceLines, device: str) -> Source:
    active = np.flatnonzero(decays)
    cumulative = np.cumsum(decays[active])
    source = Source()
    source.voxel = wp.array(active.astype(np.int32), dtype=wp.int32, device=device)
    source.voxel_cumulative = wp.array(cumulative / cumulative[-1], dtype=wp.float64, device=device)
    source.line_kind = wp.array(lines.kind, dtype=wp.int32, device=device)
    source.line_energy_mev = wp.array(lines.energy_mev.astype(np.float32), dtype=wp.float32, device=device)
    source.line_weight = wp.array(lines.weight.astype(np.float32), dtype=wp.float32, device=device)
    source.line_cumulative = wp.array(np.cumsum(lines.probability), dtype=wp.float64, device=device)
    return source


def _upload_scene(voxels: VoxelScene, settings: TransportSettings, device: str) -> Scene:
    spacing_cm = np.array(voxels.spacing_mm) * 0.1
    photon_cut_kev, electron_cut_kev = _photon_and_electron_cut_kev(settings, voxels.spacing_mm)
    scene = Scene()
    scene.density = wp.array(voxels.density_kji.astype(np.float32).ravel(), dtype=wp.float32, device=device)
    scene.medium = wp.array(voxels.medium_index_kji.astype(np.uint8).ravel(), dtype=wp.uint8, device=device)
    scene.shape_ijk = wp.vec3i(*voxels.density_kji.shape[::-1])
    scene.spacing_cm = wp.vec3f(*spacing_cm)
    scene.outer_medium = -1
    scene.outer_density = 0.0
    scene.outer_limit_cm = 0.0
    if voxels.surroundings is not None:
        scene.outer_medium = len(voxels.media)
        scene.outer_density = voxels.surroundings.density_g_per_cm3
        scene.outer_limit_cm = 100.0 / voxels.surroundings.density_g_per_cm3
    scene.majorant_per_cm = wp.array(_majorant(voxels).astype(np.float32), dtype=wp.float32, device=device)
    scene.photon_cut_mev = photon_cut_kev * 1e-3
    scene.electron_cut_mev = electron_cut_kev * 1e-3
    scene.local_range_cm = settings.local_range_share * float(spacing_cm.min())
    scene.estimator = TRACK_LENGTH if settings.estimator == "track-length" else ANALOG
    scene.secondaries_transported = int(settings.secondaries == "transported")
    scene.shell_count = 0
    return scene


def _majorant(voxels: VoxelScene) -> Floats:
    """Largest attenuation of the scene [1/cm] by energy, for Woodcock's flights."""
    result = np.zeros(len(ENERGY_GRID_MEV))
    for index, material in enumerate(voxels.media):
        here = voxels.medium_index_kji == index
        if here.any():
            result = np.maximum(result, medium_tables(material).photon[:, 0] * float(voxels.density_kji[here].max()))
    if voxels.surroundings is not None:
        outer = voxels.surroundings
        result = np.maximum(result, medium_tables(outer).photon[:, 0] * outer.density_g_per_cm3)
    return np.maximum(result * (1 + 1e-5), SMALLEST_MAJORANT_PER_CM)


def _with_surroundings(voxels: VoxelScene) -> tuple[Material, ...]:
    return voxels.media if voxels.surroundings is None else (*voxels.media, voxels.surroundings)


def _medium_of_most_decays(voxels: VoxelScene, decays: Floats) -> Material:
    """The medium that holds most of the source: whose bremsstrahlung spectrum stands for all."""
    weight = np.bincount(voxels.medium_index_kji.ravel(), weights=decays, minlength=len(voxels.media))
    return voxels.media[int(np.argmax(weight))]

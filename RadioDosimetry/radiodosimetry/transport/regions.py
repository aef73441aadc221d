# mypy: ignore-errors
"""Monte Carlo of photons in a raster of labelled regions: the share of the emitted energy that each region is given.

Secondary electrons stay where they are set free (kerma), as in the published photon specific absorbed fractions.
Energy is tallied per region, in integers, so that a result depends on the seed alone, not on the number of threads.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
import warp as wp
from numpy.typing import NDArray

from ..errors import InputError, RegionError
from ..media.materials import Material
from ..processors import core_count
from ..progress import Progress, report_progress
from . import region_histories
from .engine import CHUNK_HISTORIES, initialise_warp, upload_tables
from .region_histories import ANALOG, BLOCK, EXPECTED, MIXED, LabelField
from .scene import FIXED_POINT_PER_MEV
from .tables import ENERGY_GRID_MEV, medium_tables

Floats = NDArray[np.float64]
RegionEstimator = Literal["expected", "analog"]

MOST_LABELS = 254
"""Labels are single bytes; 0 is vacuum and the last one stands for blocks of several."""

MOST_VOXELS = 2**31
"""Voxels are numbered by 32-bit integers."""


@dataclass(frozen=True)
class RegionSettings:
    """How photons are followed through regions.

    Attributes
    ----------
    histories
        Photons in all, in `batches` equal parts.
    batches
        Independent parts whose spread gives the standard errors.
    seed
        Names the random numbers; the same seed gives the same result on any number of threads.
    estimator
        "expected" (transfer expected at tentative collisions, least noise) or "analog" (energy left by real ones).
    photon_cut_kev
        Photons below are deposited on the spot.
    thread_count
        CPU threads; None takes all cores.
    """

    histories: int = 1_000_000
    batches: int = 20
    seed: int = 1
    estimator: RegionEstimator = "expected"
    photon_cut_kev: float = 5.0
    thread_count: int | None = None

    def __post_init__(self) -> None:
        if self.batches < 2 or self.histories < 2 * self.batches:
            raise InputError(
                f"Found {self.histories} histories in {self.batches} batches; expected two batches or more, with two "
                "histories each or more."
            )
        if self.estimator not in get_args(RegionEstimator):
            raise InputError(
                f"Found the estimator '{self.estimator}'; expected one of {', '.join(get_args(RegionEstimator))}."
            )
        if not 1.0 <= self.photon_cut_kev <= 1000.0:
            raise InputError(f"The photon cut must lie between 1 and 1000 keV, found {self.photon_cut_kev:g} keV.")
        if self.thread_count is not None and self.thread_count < 1:
            raise InputError(f"Found {self.thread_count} threads; expected at least 1, or None for all cores.")
        if not 0 <= self.seed < 1 << 32:
            raise InputError(f"The seed must be a whole number from 0 to 2³² − 1, found {self.seed}.")


@dataclass(frozen=True, eq=False)
class RegionScene:
    """A raster of regions in vacuum.

    Attributes
    ----------
    label_kji
        0 is vacuum, n is `regions[n - 1]`; uint8, shape (k, j, i).
    regions
        Names.
    media
        What each region consists of, at its density, in the order of `regions`.
    spacing_mm
        Voxel size along i, j, k.
    reference
        Medium whose kerma is wanted in every region as well (soft tissue in bones, for marrow); None for none.
    """

    label_kji: NDArray[np.uint8]
    regions: tuple[str, ...]
    media: tuple[Material, ...]
    spacing_mm: tuple[float, float, float]
    reference: Material | None = None

    def __post_init__(self) -> None:
        if self.label_kji.ndim != 3 or self.label_kji.dtype != np.uint8:
            raise InputError(
                f"Found labels of type {self.label_kji.dtype} and shape {self.label_kji.shape}; expected uint8 with "
                "three axes (k, j, i)."
            )
        if self.label_kji.size >= MOST_VOXELS:
            raise InputError(f"Found {self.label_kji.size} voxels; expected fewer than {MOST_VOXELS}. Use larger ones.")
        if not 1 <= len(self.regions) <= MOST_LABELS or len(set(self.regions)) != len(self.regions):
            raise InputError(f"Found {len(self.regions)} regions; expected 1 to {MOST_LABELS} with different names.")
        if len(self.media) != len(self.regions):
            raise InputError(f"Found {len(self.media)} media for {len(self.regions)} regions; expected one for each.")
        if self.label_kji.max() > len(self.regions):
            raise InputError(f"Found label {self.label_kji.max()}, but only {len(self.regions)} regions are named.")
        if len(self.spacing_mm) != 3 or not all(0 < side < np.inf for side in self.spacing_mm):
            raise InputError(f"The voxel size must be three positive lengths in mm, found {self.spacing_mm}.")

    def masses_kg(self) -> Floats:
        """Mass of each region in the raster [kg], shape (regions,)."""
        voxels = np.bincount(self.label_kji.ravel(), minlength=len(self.regions) + 1)[1:]
        densities = np.array([medium.density_g_per_cm3 for medium in self.media])
        return voxels * densities * float(np.prod(self.spacing_mm)) * 1e-6


@dataclass(frozen=True, eq=False)
class RegionEnergy:
    """Energy that photons gave to regions, as shares of the energy emitted.

    Attributes
    ----------
    absorbed_fraction, absorbed_fraction_std
        Share per region and its standard error (1σ), shape (regions,), in the order of the scene.
    reference_fraction, reference_fraction_std
        Share that each region would be given if its mass were of the reference medium and nothing else changed, so
        that it divided by the region's mass is the kerma of the reference in the region's photon field; equal to
        `absorbed_fraction` where the region is of that medium or the scene has no reference.
    escaped_fraction
        Share that left the raster.
    histories
        Photons followed.
    """

    absorbed_fraction: Floats
    absorbed_fraction_std: Floats
    reference_fraction: Floats
    reference_fraction_std: Floats
    escaped_fraction: float
    histories: int


@dataclass(eq=False)
class RegionTransport:
    """A scene made ready for runs with any source and energy; tables and raster are loaded once."""

    scene: RegionScene
    _field: LabelField = field(init=False)

    def __post_init__(self) -> None:
        initialise_warp()
        media = tuple(dict.fromkeys(self.scene.media))
        reference = self.scene.reference
        if reference is not None and reference not in media:
            media = (*media, reference)
        self._tables = upload_tables(media, "cpu")
        self._reference_index = -1 if reference is None else media.index(reference)
        self._media_index = np.array([-1, *(media.index(medium) for medium in self.scene.media)], dtype=np.int32)
        self._field = self._label_field()
        self._region_voxels: tuple[str, NDArray[np.int32]] | None = None
        wp.load_module(region_histories, device="cpu")

    def run(
        self,
        source: str | NDArray[np.bool_],
        energy_kev: float,
        settings: RegionSettings | None = None,
        progress: Progress | None = None,
    ) -> RegionEnergy:
        """Follow photons of one energy emitted uniformly and in all directions within a source.

        Parameters
        ----------
        source
            Name of a region, or a mask (k, j, i) of the voxels that emit.
        energy_kev
            Photon energy [keV], 1 keV to 3 MeV.
        settings
            How to run.
        progress
            Told the share of histories done.

        Returns
        -------
        RegionEnergy
            Shares of the emitted energy.

        Raises
        ------
        RegionError
            The source is unknown, of another grid, or holds no voxel.
        InputError
            The energy is outside the cross-section tables.
        CancelledError
            The user cancelled.
        """
        settings = settings or RegionSettings()
        lowest, highest = ENERGY_GRID_MEV[0] * 1e3, ENERGY_GRID_MEV[-1] * 1e3
        if not lowest <= energy_kev <= highest * (1 + 1e-9):
            raise InputError(
                f"Found photons of {energy_kev:g} keV; expected {lowest:g} to {highest:g} keV, as the cross-sections."
            )
        voxels = wp.array(self._source_voxels(source), dtype=wp.int32, device="cpu")
        self._field.photon_cut_mev = settings.photon_cut_kev * 1e-3
        self._field.estimator = {"expected": EXPECTED, "analog": ANALOG}[settings.estimator]
        per_batch = settings.histories // settings.batches
        shares = self._batch_shares(voxels, energy_kev * 1e-3, per_batch, settings, progress)
        return self._summary(shares, per_batch * settings.batches)

    def _batch_shares(
        self,
        voxels: wp.array,
        energy_mev: float,
        per_batch: int,
        settings: RegionSettings,
        progress: Progress | None,
    ) -> Floats:
        """Tallies of all batches as shares of the energy emitted in each, shape (batches, bins)."""
        threads = settings.thread_count or core_count()
        tallies = [wp.zeros(2 * self._field.label_count, dtype=wp.int64, device="cpu") for _ in range(threads)]
        shares = np.zeros((settings.batches, 2 * self._field.label_count))
        with ThreadPoolExecutor(threads) as pool:
            for batch in range(settings.batches):
                for first in range(0, per_batch, CHUNK_HISTORIES * threads):
                    done = (batch + first / per_batch) / settings.batches
                    report_progress(progress, done, "Monte Carlo transport in regions")
                    last = min(first + CHUNK_HISTORIES * threads, per_batch)
                    bounds = np.linspace(first, last, threads + 1).astype(np.int64)
                    futures = [
                        pool.submit(
                            wp.launch,
                            region_histories.run_region_histories,
                            dim=1,
                            inputs=[
                                self._field, self._tables, voxels, energy_mev, tally,
                                settings.seed, batch, int(low), int(high), per_batch, 1,
                            ],
                            device="cpu",
                        )
                        for tally, low, high in zip(tallies, bounds[:-1], bounds[1:], strict=True)
                    ]  # fmt: skip
                    for future in futures:
                        future.result()
                total = np.sum([tally.numpy() for tally in tallies], axis=0)
                shares[batch] = total / (float(FIXED_POINT_PER_MEV) * energy_mev * per_batch)
                for tally in tallies:
                    tally.zero_()
        return shares

    def _summary(self, shares: Floats, histories: int) -> RegionEnergy:
        mean = shares.mean(axis=0)
        std = shares.std(axis=0, ddof=1) / np.sqrt(len(shares))
        own, other = slice(1, self._field.label_count), slice(self._field.label_count + 1, None)
        apart = (self._media_index[1:] != self._reference_index) & (self._reference_index >= 0)
        return RegionEnergy(
            absorbed_fraction=mean[own],
            absorbed_fraction_std=std[own],
            reference_fraction=np.where(apart, mean[other], mean[own]),
            reference_fraction_std=np.where(apart, std[other], std[own]),
            escaped_fraction=float(mean[0]),
            histories=histories,
        )

    def _source_voxels(self, source: str | NDArray[np.bool_]) -> NDArray[np.int32]:
        """Flat indices of the voxels that emit; those of the last region are kept, as one is run at many energies."""
        if not isinstance(source, str):
            return self._voxels_of(source)
        if self._region_voxels is None or self._region_voxels[0] != source:
            self._region_voxels = (source, self._voxels_of(source))
        return self._region_voxels[1]

    def _voxels_of(self, source: str | NDArray[np.bool_]) -> NDArray[np.int32]:
        if isinstance(source, str):
            if source not in self.scene.regions:
                raise RegionError(f"Found the source '{source}'; expected one of {', '.join(self.scene.regions)}.")
            mask, name = self.scene.label_kji == self.scene.regions.index(source) + 1, f"source '{source}'"
        else:
            mask, name = np.asarray(source, dtype=bool), "source mask"
            if mask.shape != self.scene.label_kji.shape:
                raise RegionError(
                    f"Found a source mask of shape {mask.shape}; expected {self.scene.label_kji.shape} (k, j, i)."
                )
        voxels = np.flatnonzero(mask).astype(np.int32)
        if not voxels.size:
            raise RegionError(f"The {name} holds no voxel; expected one or more. Use smaller voxels or another source.")
        return voxels

    def _label_field(self) -> LabelField:
        scene = self.scene
        densities = np.array([0.0, *(medium.density_g_per_cm3 for medium in scene.media)], dtype=np.float32)
        majorant = np.max([medium_tables(m).photon[:, 0] * m.density_g_per_cm3 for m in set(scene.media)], axis=0)
        result = LabelField()
        result.label = wp.array(scene.label_kji.ravel(), dtype=wp.uint8, device="cpu")
        result.medium = wp.array(self._media_index, dtype=wp.int32, device="cpu")
        result.density = wp.array(densities, dtype=wp.float32, device="cpu")
        result.majorant_per_cm = wp.array((majorant * (1 + 1e-5)).astype(np.float32), dtype=wp.float32, device="cpu")
        result.shape_ijk = wp.vec3i(*scene.label_kji.shape[::-1])
        blocks = _block_labels(scene.label_kji)
        result.block_label = wp.array(blocks.ravel(), dtype=wp.uint8, device="cpu")
        result.blocks_ijk = wp.vec3i(*blocks.shape[::-1])
        result.spacing_cm = wp.vec3f(*(side * 0.1 for side in scene.spacing_mm))
        result.label_count = len(scene.regions) + 1
        result.reference_medium = self._reference_index
        return result


def _block_labels(label_kji: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The label of each block of voxels, `MIXED` where it has several; blocks at the far faces may be incomplete."""
    smallest = largest = label_kji
    for axis, count in enumerate(label_kji.shape):
        starts = np.arange(0, count, int(BLOCK))
        smallest = np.minimum.reduceat(smallest, starts, axis=axis)
        largest = np.maximum.reduceat(largest, starts, axis=axis)
    return np.where(smallest == largest, smallest, MIXED).astype(np.uint8)

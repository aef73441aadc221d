"""The voxels of a series of scans on their way to time-integrated activity: fitted in chunks, fallbacks last."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..images.volume import QuantitativeVolume
from ..processors import core_count
from ..progress import PartialProgress, Progress, report_progress
from .voxelwise_fit import Array
from .voxelwise_models import Described, VoxelModel, describe, residual_degrees
from .voxelwise_noise import MOST_POOLED, PooledNoise
from .voxelwise_options import LARGEST_RELATIVE_STD, OrganCurve, TiaOptions
from .voxelwise_trapezoid import scaled_shape

_CHUNK_VOXELS = 4096
"""Voxels fitted at once: few enough for the processor's cache, many enough for long rows."""

_CHUNK_VOXELS_BI = 16384
"""The same of bi-exponentials, whose many steps on ever fewer voxels cost more calls."""

Indices = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class _Results:
    """What a model says of some voxels: `Described` with the variance of the integral instead of its sensitivity.

    `level` is the mean activity concentration of each voxel over the scans. Until the noise is known, `variance`
    is that per variance of the data (with a stated noise it is the variance at once).
    """

    level: Array
    integrals: Array
    variance: Array
    residual_squares: Array
    degrees: NDArray[np.int16]
    models: NDArray[np.uint8]
    valid: NDArray[np.bool_]
    regular: NDArray[np.bool_]

    @classmethod
    def of(cls, count: int) -> _Results:
        """Room for so many voxels."""
        return cls(
            np.zeros(count),
            np.zeros(count),
            np.zeros(count),
            np.zeros(count),
            np.zeros(count, np.int16),
            np.zeros(count, np.uint8),
            np.zeros(count, bool),
            np.zeros(count, bool),
        )


class VoxelWork:
    """Voxels with activity in at least one scan, and what is known of each so far.

    Parameters
    ----------
    volumes
        Activity concentrations [Bq/mL] on one grid, none negative, by rising time.
    times_s
        Their times after administration [s].
    decay_constant_per_s
        Of the nuclide [1/s].
    options
        Tail, start, noise and threads.

    Attributes
    ----------
    active
        Index of each such voxel in the flat image.
    tia, variance
        Time-integrated activity concentration [Bq s/mL] and its variance (NaN where nothing tells the noise).
    models
        `VoxelModel` of each, uint8.
    noise_is_borrowed
        Whether the noise was told from curves with fewer parameters, as the method leaves no residuals.
    """

    def __init__(
        self,
        volumes: Sequence[QuantitativeVolume],
        times_s: Array,
        decay_constant_per_s: float,
        options: TiaOptions,
    ) -> None:
        self._images = [volume.array_kji.reshape(-1) for volume in volumes]
        self._times_s, self._decay_constant_per_s, self._options = times_s, decay_constant_per_s, options
        filled = np.zeros(self._images[0].size, bool)
        for image in self._images:
            filled |= image > 0
        self.active: Indices = np.flatnonzero(filled)
        self.tia = np.zeros(self.active.size)
        self.variance = np.full(self.active.size, np.nan)
        self.models = np.zeros(self.active.size, np.uint8)
        self.noise_is_borrowed = False
        self._borrowed: PooledNoise | None = None

    def fit(self, places: Indices, chain: Sequence[str], progress: Progress) -> dict[str, Any]:
        """Describe voxels by the first model of a chain that fits them, and the rest by fallbacks.

        Parameters
        ----------
        places
            Which of the active voxels.
        chain
            Names of models for `describe`.
        progress
            Told the share of the work done.

        Returns
        -------
        dict
            What is to be said of the fallbacks in the record.
        """
        notes: dict[str, Any] = {}
        left = places
        physical = self._options.tail == "physical" or self._times_s.size == 1
        exact = chain[-1] == "trapezoid" and physical
        noise: PooledNoise | None = None
        noisy = np.zeros(0, bool)
        for number, model in enumerate(chain):
            slice_of = PartialProgress(progress, 0.8 * number / len(chain), 0.8 * (number + 1) / len(chain))
            found = self._describe(left, model, slice_of)
            noise = self._noise(found) or noise
            self._apply(noise or self._borrowed_noise(found), found)
            certain = found.valid & (exact | ~self._judged_uncertain(found, noise))
            self._keep(left, found, certain)
            left, noisy = left[~certain], found.valid[~certain]
        if left.size:
            noisy = self._fall_back_to_trapezoids(left, noisy, noise, PartialProgress(progress, 0.8, 0.9))
            if noisy.any():
                notes = self._pool(left[noisy], noise, chain[-1], PartialProgress(progress, 0.9, 1.0))
        return notes

    def scale_organ(
        self, places: Indices, name: str, curve: OrganCurve, voxel_volume_ml: float, conserve: bool
    ) -> dict[str, Any]:
        """Describe the voxels of one region by the shape of its organ's curve.

        Parameters
        ----------
        places
            The region's active voxels.
        name, curve
            The organ and its fit.
        voxel_volume_ml
            Volume of a voxel [mL].
        conserve
            Scale the voxels to the total of the fit.

        Returns
        -------
        dict
            What is to be said of the organ in the record.

        Raises
        ------
        InputError
            The curve has no positive value at the scans or no positive integral.
        """
        shape = np.maximum(np.asarray(curve.value(self._times_s), dtype=np.float64), 0.0)
        if not (np.isfinite(shape).all() and (shape > 0).any() and np.isfinite(curve.tia_bq_s) and curve.tia_bq_s > 0):
            raise InputError(
                f"The fit of '{name}' gives {shape.tolist()} Bq at the scans and {curve.tia_bq_s:g} Bq s in all; "
                "expected positive numbers. Fit it again, or leave the region out."
            )
        found = self._scale(places, shape, float(curve.tia_bq_s), VoxelModel.ORGAN_SHAPE)
        total = float(found.integrals.sum()) * voxel_volume_ml
        if not total > 0:
            raise InputError(f"The voxels of '{name}' hold no activity where its fit has some; check fit and region.")
        factor = float(curve.tia_bq_s) / total
        self._apply(self._noise(found), found)
        self._keep(places, found, found.valid)
        if conserve:
            self.tia[places] *= factor
            self.variance[places] *= factor**2
        std = curve.tia_std_bq_s
        relative = float(std) / float(curve.tia_bq_s) if std is not None and np.isfinite(std) else None
        self.variance[places] += ((relative or 0.0) * self.tia[places]) ** 2
        return {
            "tia_bq_s": float(curve.tia_bq_s),
            "tia_relative_std": relative,
            "voxels_tia_bq_s": total,
            "factor_to_organ_tia": factor,
            "scaled_to_organ_tia": conserve,
        }

    @property
    def noise_known(self) -> bool:
        """Whether every voxel's variance could be told."""
        return bool(np.isfinite(self.variance).all())

    def data(self, places: Indices) -> Array:
        """Activity concentrations of some voxels, shape (scans, voxels)."""
        index = self.active[places]
        values = np.empty((len(self._images), index.size))
        for row, image in zip(values, self._images, strict=True):
            row[:] = image[index]
        return values

    def _describe(self, places: Indices, model: str, progress: Progress) -> _Results:
        """One model for many voxels."""
        options = self._options
        found = _Results.of(places.size)

        def work(piece: slice) -> None:
            data = self.data(places[piece])
            self._store(
                found,
                piece,
                data,
                describe(model, self._times_s, data, self._decay_constant_per_s, options.tail, options.start),
            )

        chunk = _CHUNK_VOXELS_BI if model == "bi" else _CHUNK_VOXELS
        self._in_chunks(places.size, chunk, work, progress, f"Voxels by {model}")
        return found

    def _store(self, found: _Results, piece: slice, data: Array, described: Described) -> None:
        for name in ("integrals", "residual_squares", "degrees", "models", "valid", "regular"):
            getattr(found, name)[piece] = getattr(described, name)
        found.variance[piece] = self._variance(described.sensitivity, data)
        found.level[piece] = data.mean(axis=0)

    def _variance(self, sensitivity: Array, data: Array) -> Array:
        """Variance of the integral with the stated noise, or per variance of the data where none is stated."""
        fraction = self._options.noise_fraction
        per_datum = sensitivity if fraction is None else sensitivity * (fraction * data)
        return np.asarray(np.einsum("nv,nv->v", per_datum, per_datum))

    def _noise(self, found: _Results) -> PooledNoise | None:
        """The noise that residuals tell; None where it is stated or nothing tells it."""
        if self._options.noise_fraction is not None:
            return None
        return PooledNoise.of(found.level, found.residual_squares, found.degrees, found.regular)

    def _borrowed_noise(self, found: _Results) -> PooledNoise | None:
        """The noise that simpler curves leave over, for methods that go through all points; None where it is stated.

        It tells uncertainties and decides on no model.
        """
        stated = self._options.noise_fraction is not None
        if stated or found.level.size == 0 or residual_degrees("mono", self._times_s.size) < 1:
            return None
        if self._borrowed is None:
            places = np.arange(0, self.active.size, 1 + self.active.size // MOST_POOLED)
            self._borrowed = self._noise(self._describe(places, "simple", PartialProgress(None, 0.0, 1.0)))
        self.noise_is_borrowed |= self._borrowed is not None
        return self._borrowed

    def _judged_uncertain(self, found: _Results, noise: PooledNoise | None) -> NDArray[np.bool_]:
        """Voxels whose integral is more uncertain than `LARGEST_RELATIVE_STD`; none where the noise is borrowed."""
        if noise is None and self._options.noise_fraction is None:
            return np.zeros(found.level.size, bool)
        return np.asarray(found.variance > (LARGEST_RELATIVE_STD * found.integrals) ** 2)

    def _apply(self, noise: PooledNoise | None, found: _Results) -> None:
        """Turn variances per variance of the data into variances; NaN where nothing tells the noise."""
        if self._options.noise_fraction is not None:
            return
        if noise is None:
            found.variance[:] = np.nan
            return

        def work(piece: slice) -> None:
            found.variance[piece] *= noise.variance(
                found.level[piece], found.residual_squares[piece], found.degrees[piece], found.regular[piece]
            )

        self._in_chunks(found.level.size, _CHUNK_VOXELS_BI, work, None, "Noise")

    def _keep(self, places: Indices, found: _Results, which: NDArray[np.bool_]) -> None:
        """Take over what was found of some of the places, which rise."""
        for mine, values in ((self.tia, found.integrals), (self.models, found.models), (self.variance, found.variance)):
            if places.size == self.active.size:  # all of them: no index, which takes ten times as long
                np.copyto(mine, values, where=which)
            else:
                mine[places[which]] = values[which]

    def _fall_back_to_trapezoids(
        self, left: Indices, noisy: NDArray[np.bool_], noise: PooledNoise | None, progress: Progress
    ) -> NDArray[np.bool_]:
        """Trapezoids with a physical tail where no model fits; returns which voxels are too noisy for that, too."""
        described = np.flatnonzero(~noisy)
        found = _Results.of(described.size)

        def work(piece: slice) -> None:
            data = self.data(left[described[piece]])
            start = self._options.start
            self._store(
                found,
                piece,
                data,
                describe("trapezoid", self._times_s, data, self._decay_constant_per_s, "physical", start),
            )

        self._in_chunks(described.size, _CHUNK_VOXELS, work, progress, "Voxels that no model fits")
        self._apply(noise or self._borrowed_noise(found), found)
        certain = ~self._judged_uncertain(found, noise)
        self._keep(left[described], found, certain)
        noisy = noisy.copy()
        noisy[described[~certain]] = True
        return noisy

    def _pool(self, places: Indices, noise: PooledNoise | None, model: str, progress: Progress) -> dict[str, Any]:
        """The shape of the sum of many noisy voxels, scaled to each; together they keep the integral of the sum."""
        total = np.zeros((self._times_s.size, 1))
        for begin in range(0, places.size, _CHUNK_VOXELS):
            total[:, 0] += self.data(places[begin : begin + _CHUNK_VOXELS]).sum(axis=1)
        tail, start = self._options.tail, self._options.start
        summed = describe(model, self._times_s, total, self._decay_constant_per_s, tail, start)
        if not summed.valid[0]:
            summed = describe("trapezoid", self._times_s, total, self._decay_constant_per_s, tail, start)
        found = self._scale(places, total[:, 0], float(summed.integrals[0]), VoxelModel.POOLED_SHAPE, progress)
        found.regular[:] = False
        self._apply(noise, found)
        self._keep(places, found, found.valid)
        return {
            "pooled_voxels": places.size,
            "pooled_curve_mean_bq_per_ml": (total[:, 0] / places.size).tolist(),
            "pooled_curve_model": VoxelModel(int(summed.models[0])).name.lower(),
        }

    def _scale(
        self,
        places: Indices,
        shape: Array,
        integral: float,
        model: VoxelModel,
        progress: Progress | None = None,
    ) -> _Results:
        """A curve's shape scaled to voxels."""
        found = _Results.of(places.size)
        found.models[:], found.valid[:], found.regular[:] = model, True, True
        found.degrees[:] = self._times_s.size - 1

        def work(piece: slice) -> None:
            data = self.data(places[piece])
            found.integrals[piece], sensitivity, found.residual_squares[piece] = scaled_shape(shape, data, integral)
            found.variance[piece] = self._variance(sensitivity, data)
            found.level[piece] = data.mean(axis=0)

        self._in_chunks(places.size, _CHUNK_VOXELS, work, progress, "Voxels by the shape of a curve")
        return found

    def _in_chunks(
        self, count: int, chunk: int, work: Callable[[slice], None], progress: Progress | None, message: str
    ) -> None:
        """Work on slices of `chunk` voxels in threads; the first error or a cancel drops the slices not yet begun."""
        pieces = [slice(begin, min(begin + chunk, count)) for begin in range(0, count, chunk)]
        threads = self._options.threads or core_count()
        report_progress(progress, 0.0, message)
        with ThreadPoolExecutor(min(threads, max(len(pieces), 1))) as pool:
            futures = [pool.submit(work, piece) for piece in pieces]
            try:
                for done, future in enumerate(as_completed(futures), start=1):
                    future.result()
                    report_progress(progress, done / len(pieces), message)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

"""How close a synthetic volume is to the acquired one: error, signal to noise, jumps between slices, organ shares."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import GeometryMismatchError, InputError
from ..images.geometry import require_same_grid
from ..images.regions import Region
from ..images.volume import QuantitativeVolume
from .ssim import require_mask, structural_similarity


@dataclass(frozen=True)
class ImageMeasures:
    """A volume against its reference, inside the body.

    Attributes
    ----------
    ssim
        By `ssim.SSIM_DEFINITION`.
    psnr_db
        10 log10(L² / mean squared error) with L the largest reference voxel of the mask [dB]; infinite if equal.
    mae
        Mean absolute difference in the unit of the volumes.
    mae_percent
        The same in percent of the reference's mean.
    slice_jump
        `slice_to_slice_jump`.
    """

    ssim: float
    psnr_db: float
    mae: float
    mae_percent: float
    slice_jump: float

    def as_dict(self) -> dict[str, Any]:
        """Name to number; an infinite PSNR is None, which JSON can hold."""
        return {name: value if math.isfinite(value) else None for name, value in asdict(self).items()}


def image_measures(reference_kji: ArrayLike, test_kji: ArrayLike, mask_kji: NDArray[np.bool_]) -> ImageMeasures:
    """All measures of a volume against its reference.

    Parameters
    ----------
    reference_kji, test_kji
        Values in one unit, shape (k, j, i).
    mask_kji
        The body, bool, same shape.

    Raises
    ------
    GeometryMismatchError
        The shapes differ.
    InputError
        The mask is empty, or the reference holds nothing inside it.
    """
    expected, found = _pair(reference_kji, test_kji)
    mask = require_mask(mask_kji, expected.shape)
    mae = mean_absolute_error(expected, found, mask)
    return ImageMeasures(
        ssim=structural_similarity(expected, found, mask),
        psnr_db=peak_signal_to_noise_db(expected, found, mask),
        mae=mae,
        mae_percent=100.0 * mae / float(expected[mask].mean()),
        slice_jump=slice_to_slice_jump(expected, found, mask),
    )


def mean_absolute_error(reference_kji: ArrayLike, test_kji: ArrayLike, mask_kji: NDArray[np.bool_]) -> float:
    """Mean absolute difference inside a mask, in the unit of the images."""
    expected, found = _pair(reference_kji, test_kji)
    mask = require_mask(mask_kji, expected.shape)
    return float(np.abs(found[mask] - expected[mask]).mean())


def peak_signal_to_noise_db(reference_kji: ArrayLike, test_kji: ArrayLike, mask_kji: NDArray[np.bool_]) -> float:
    """Peak signal-to-noise ratio [dB], the peak being the largest reference voxel inside the mask.

    Raises
    ------
    InputError
        The reference has no positive voxel inside the mask.
    """
    expected, found = _pair(reference_kji, test_kji)
    mask = require_mask(mask_kji, expected.shape)
    peak = float(expected[mask].max())
    if peak <= 0:
        raise InputError("PSNR needs a reference with a positive voxel inside the mask; found none.")
    error = float(np.mean((found[mask] - expected[mask]) ** 2))
    return math.inf if error == 0 else 10.0 * math.log10(peak**2 / error)


def slice_to_slice_jump(reference_kji: ArrayLike, test_kji: ArrayLike, mask_kji: NDArray[np.bool_]) -> float:
    """How much the error of a slice's mean changes from one slice to the next.

    Slices that a network makes one by one may each be too bright or too dark, which no measure within a slice shows.
    e_k is the difference of the means of slice k inside the mask; the jump is the root mean square of e_{k+1} − e_k
    over the mean of the reference. It is zero for equal images and for an error that all slices share, and √2 times the
    spread of independent errors.

    Returns
    -------
    float
        The jump as a fraction; 0 where fewer than two neighbouring slices meet the mask.
    """
    expected, found = _pair(reference_kji, test_kji)
    mask = require_mask(mask_kji, expected.shape)
    counts = mask.sum(axis=(1, 2))
    errors = np.where(mask, found - expected, 0.0).sum(axis=(1, 2)) / np.maximum(counts, 1)
    both = (counts[1:] > 0) & (counts[:-1] > 0)
    mean = float(expected[mask].mean())
    if not both.any() or mean <= 0:
        return 0.0
    return float(np.sqrt(np.mean(np.diff(errors)[both] ** 2)) / mean)


@dataclass(frozen=True)
class OrganError:
    """Activity of an organ in a synthetic volume against the acquired one.

    Attributes
    ----------
    region
        Its name.
    reference_bq, test_bq
        Activities [Bq].
    reference_percent_id, test_percent_id
        The same in percent of the administered activity, both as present at the time of the scan; None where it is not
        known.
    """

    region: str
    reference_bq: float
    test_bq: float
    reference_percent_id: float | None = None
    test_percent_id: float | None = None

    @property
    def error_percent(self) -> float | None:
        """Signed difference in percent of the reference; None where that is zero."""
        return None if self.reference_bq <= 0 else 100.0 * (self.test_bq / self.reference_bq - 1.0)

    @property
    def percent_id_error(self) -> float | None:
        """Signed difference in percentage points of the administered activity."""
        if self.reference_percent_id is None or self.test_percent_id is None:
            return None
        return self.test_percent_id - self.reference_percent_id


def organ_errors(
    reference: QuantitativeVolume,
    test: QuantitativeVolume,
    regions: Sequence[Region],
    administered_bq: float | None = None,
) -> list[OrganError]:
    """Activity of each region in two volumes of one grid.

    Parameters
    ----------
    reference, test
        Activity concentration [Bq/mL] at one time.
    regions
        Regions on their grid.
    administered_bq
        Administered activity [Bq], for percent of the injected dose.

    Raises
    ------
    GeometryMismatchError
        The grids differ.
    """
    require_same_grid(reference.geometry, test.geometry, "The reference", "the tested volume")
    voxel_ml = reference.geometry.voxel_volume_ml
    found = []
    for region in regions:
        pair = [
            float(np.sum(volume.array_kji, where=region.mask_kji, dtype=np.float64)) * voxel_ml
            for volume in (reference, test)
        ]
        shares = [None if administered_bq is None else 100.0 * activity / administered_bq for activity in pair]
        found.append(OrganError(region.name, pair[0], pair[1], shares[0], shares[1]))
    return found


def mean_absolute_organ_error_percent(errors: Sequence[OrganError]) -> float:
    """Mean over organs of |test − reference| / reference [%]; organs without activity in the reference do not count.

    Raises
    ------
    InputError
        No organ has activity in the reference.
    """
    known = [abs(error.error_percent) for error in errors if error.error_percent is not None]
    if not known:
        raise InputError("No region holds activity in the reference; expected at least one.")
    return float(np.mean(known))


def paired_difference_interval(
    first: ArrayLike, second: ArrayLike, seed: int, resamples: int = 4000, level: float = 0.95
) -> tuple[float, float, float]:
    """Mean of first − second over patients with its bootstrap interval.

    Parameters
    ----------
    first, second
        A measure of two methods for the same patients, shape (patients,).
    seed
        Of the resampling.
    resamples
        Draws of patients with replacement.
    level
        Of the percentile interval.

    Returns
    -------
    tuple of float
        Mean difference, lower and upper end.

    Raises
    ------
    InputError
        Fewer than two patients, or different numbers of them.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1 or a.size < 2:
        raise InputError(f"A paired difference needs the same patients twice, two or more; found {a.shape}, {b.shape}.")
    difference = a - b
    draws = np.random.default_rng(seed).integers(0, a.size, (resamples, a.size))
    means = difference[draws].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(difference.mean()), float(low), float(high)


def mean_and_spread(values: Sequence[Mapping[str, float]]) -> dict[str, tuple[float, float]]:
    """Name to mean and standard deviation (n − 1; 0 for one) of a measure over patients or folds."""
    names = values[0].keys() if values else ()
    table = {name: np.array([one[name] for one in values], dtype=np.float64) for name in names}
    return {
        name: (float(column.mean()), float(column.std(ddof=1)) if column.size > 1 else 0.0)
        for name, column in table.items()
    }


def _pair(reference: ArrayLike, test: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    expected, found = np.asarray(reference, dtype=np.float64), np.asarray(test, dtype=np.float64)
    if expected.shape != found.shape or expected.ndim != 3:
        raise GeometryMismatchError(
            f"Two volumes (k, j, i) of one shape are compared, found {expected.shape} and {found.shape}; resample one "
            "onto the other first."
        )
    return expected, found

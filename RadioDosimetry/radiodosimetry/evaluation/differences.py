"""Numbers that say how far a dose map lies from a reference: mean error, absolute error, NRMSE, correlation."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import GeometryMismatchError, InputError


def mean_error_percent(reference_mean_gy: float, test_mean_gy: float) -> float | None:
    """Signed difference of two mean doses in percent of the reference; None where the reference is zero."""
    if reference_mean_gy == 0:
        return None
    return 100.0 * (test_mean_gy - reference_mean_gy) / reference_mean_gy


def mean_absolute_error_percent(reference_means_gy: ArrayLike, test_means_gy: ArrayLike) -> float:
    """Mean absolute error of a region's mean dose over several data sets, Eq. 3 of [1]_.

    Parameters
    ----------
    reference_means_gy, test_means_gy
        Mean dose of the region in each data set [Gy], 1-D of equal length; one data set is allowed and gives the
        absolute value of its relative error.

    Returns
    -------
    float
        ⟨|test − reference| / reference⟩ over the data sets [%].

    Raises
    ------
    InputError
        No data set, different numbers of them, or a reference that is not positive.

    References
    ----------
    .. [1] Kim et al., Deep learning-based voxel dosimetry of Lu-177 by residual learning on multiple voxel S-values,
       Nucl Med Mol Imaging (2022), Eq. 3.
    """
    reference = np.atleast_1d(np.asarray(reference_means_gy, dtype=np.float64))
    test = np.atleast_1d(np.asarray(test_means_gy, dtype=np.float64))
    if reference.shape != test.shape or reference.size == 0:
        raise InputError(
            f"Found {reference.size} reference and {test.size} test doses; expected the same number, at least one."
        )
    if reference.min() <= 0:
        raise InputError(f"Relative errors need positive reference doses, found {reference.min():.4g} Gy.")
    return float(100.0 * np.mean(np.abs(test - reference) / reference))


def normalized_root_mean_square_error(reference: ArrayLike, test: ArrayLike) -> float | None:
    """Root mean square of the voxel differences over the root mean square of the reference.

    Parameters
    ----------
    reference, test
        Voxel doses, same shape and unit.

    Returns
    -------
    float or None
        NRMSE (a fraction, not percent); voxels where both are zero do not change it. None where the reference is zero
        everywhere.

    References
    ----------
    .. [1] Li et al., DblurDoseNet: a deep residual learning network for voxel radionuclide dosimetry, Med Phys 49
       (2022) 1216-1230, section 2.5.2, doi:10.1002/mp.15397.
    """
    expected, found = _paired(reference, test)
    norm = float(np.sum(expected**2))
    return None if norm == 0 else float(np.sqrt(np.sum((found - expected) ** 2) / norm))


def pearson_correlation(reference: ArrayLike, test: ArrayLike) -> float | None:
    """Pearson's correlation of the voxels; None where either does not vary or has fewer than two voxels."""
    expected, found = _paired(reference, test)
    if expected.size < 2:
        return None
    expected, found = expected - expected.mean(), found - found.mean()
    norm = float(np.sqrt(np.sum(expected**2) * np.sum(found**2)))
    return None if norm == 0 else float(np.clip(np.sum(expected * found) / norm, -1.0, 1.0))


def voxel_mean_absolute_error_percent(reference: ArrayLike, test: ArrayLike) -> float | None:
    """Mean of the absolute voxel differences in percent of the mean reference dose; None where that is zero."""
    expected, found = _paired(reference, test)
    mean = float(expected.mean()) if expected.size else 0.0
    return None if mean == 0 else float(100.0 * np.mean(np.abs(found - expected)) / mean)


def relative_error_map_percent(
    reference_kji: NDArray[np.floating], test_kji: NDArray[np.floating], cutoff_percent: float = 1.0
) -> NDArray[np.float32]:
    """Signed voxel difference in percent of the reference voxel.

    Parameters
    ----------
    reference_kji, test_kji
        Doses [Gy], shape (k, j, i).
    cutoff_percent
        Voxels whose reference lies below this share of its maximum [%] are zero: a relative error of nearly nothing
        says nothing.

    Returns
    -------
    ndarray
        Error [%], float32, same shape.
    """
    expected, found = _paired(reference_kji, test_kji)
    counted = (expected > 0) & (expected >= expected.max() * cutoff_percent / 100.0)
    error = np.zeros(np.shape(reference_kji), dtype=np.float32)
    error[counted.reshape(error.shape)] = 100.0 * (found - expected)[counted] / expected[counted]
    return error


def _paired(reference: ArrayLike, test: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both arrays as flat double precision, after checking that they belong together."""
    expected, found = np.asarray(reference, dtype=np.float64), np.asarray(test, dtype=np.float64)
    if expected.shape != found.shape:
        raise GeometryMismatchError(
            f"The reference has shape {expected.shape}, the test {found.shape}; resample one onto the other first."
        )
    return expected.ravel(), found.ravel()

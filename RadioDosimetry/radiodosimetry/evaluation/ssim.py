"""Structural similarity of two volumes, with everything the published formula leaves open fixed and stated.

SSIM depends on its window, its two constants and above all on the data range. With the range of Wang's photographs (the
largest value) the constants outweigh soft tissue in PET, so that an image of zeros would score well wherever uptake is
low. Here the data range is the mean of the reference inside the body: an image of zeros then scores about 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from ..errors import GeometryMismatchError, InputError

WINDOW_SIGMA_VOXELS = 1.5
"""Standard deviation of the Gaussian window, in voxels of the slice (Wang 2004, section III-C)."""

WINDOW_RADIUS_VOXELS = 5
"""The window is 11 × 11 voxels (Wang 2004)."""

LUMINANCE_CONSTANT, CONTRAST_CONSTANT = 0.01, 0.03
"""K1 and K2 of Wang 2004: C = (K · data range)²."""

SSIM_DEFINITION = (
    "SSIM of Wang 2004 per axial slice: Gaussian window of 11 x 11 voxels with sigma 1.5, K1 = 0.01, K2 = 0.03, data "
    "range = mean of the reference inside the mask, averaged over the voxels of the mask of all slices"
)
"""What the number is, for records and tables."""


def structural_similarity_map(
    reference_kji: ArrayLike, test_kji: ArrayLike, data_range: float
) -> NDArray[np.float64]:
    """SSIM of the neighbourhood of each voxel within its slice.

    Parameters
    ----------
    reference_kji, test_kji
        Values in one unit, shape (k, j, i); slices along k.
    data_range
        The L of the constants (0.01 L)² and (0.03 L)², in that unit, above zero.

    Returns
    -------
    ndarray
        SSIM from −1 to 1, shape (k, j, i). Beyond the borders the image is continued by reflection.

    Raises
    ------
    GeometryMismatchError
        The shapes differ.
    InputError
        The data range is not positive.

    References
    ----------
    .. [1] Wang et al., IEEE Trans Image Process 13 (2004) 600-612, Eq. 13, doi:10.1109/TIP.2003.819861.
    """
    expected, found = np.asarray(reference_kji, dtype=np.float64), np.asarray(test_kji, dtype=np.float64)
    if expected.shape != found.shape or expected.ndim != 3:
        raise GeometryMismatchError(
            f"SSIM compares two volumes (k, j, i) of one shape, found {expected.shape} and {found.shape}; resample one "
            "onto the other first."
        )
    if not (np.isfinite(data_range) and data_range > 0):
        raise InputError(f"SSIM needs a data range above zero, found {data_range}; the reference may be empty.")
    # Sums of squares cancel less in numbers near one.
    expected, found = expected / data_range, found / data_range
    mean_e, mean_f = _windowed(expected), _windowed(found)
    variance_e = np.maximum(_windowed(expected**2) - mean_e**2, 0.0)
    variance_f = np.maximum(_windowed(found**2) - mean_f**2, 0.0)
    covariance = _windowed(expected * found) - mean_e * mean_f
    c1, c2 = LUMINANCE_CONSTANT**2, CONTRAST_CONSTANT**2
    luminance = (2 * mean_e * mean_f + c1) / (mean_e**2 + mean_f**2 + c1)
    return np.asarray(luminance * (2 * covariance + c2) / (variance_e + variance_f + c2))


def structural_similarity(reference_kji: ArrayLike, test_kji: ArrayLike, mask_kji: NDArray[np.bool_]) -> float:
    """Mean SSIM inside a body by `SSIM_DEFINITION`.

    Parameters
    ----------
    reference_kji, test_kji
        Values in one unit, shape (k, j, i).
    mask_kji
        The body, bool, same shape, at least one voxel.

    Returns
    -------
    float
        1 for equal images, about 0 for an image of zeros.

    Raises
    ------
    GeometryMismatchError
        The shapes differ.
    InputError
        The mask is empty, or the reference holds nothing inside it.
    """
    expected = np.asarray(reference_kji, dtype=np.float64)
    mask = require_mask(mask_kji, expected.shape)
    return float(structural_similarity_map(expected, test_kji, float(expected[mask].mean()))[mask].mean())


def require_mask(mask_kji: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """The mask, if it is one of this shape and has a voxel.

    Raises
    ------
    GeometryMismatchError
        It has another shape.
    InputError
        It is not bool, or empty.
    """
    mask = np.asarray(mask_kji)
    if mask.shape != shape:
        raise GeometryMismatchError(f"The mask has shape {mask.shape}, the image {shape}; expected the same.")
    if mask.dtype != bool or not mask.any():
        raise InputError("The mask must be a bool array with at least one voxel inside; check the CT it was found on.")
    return mask


def _windowed(values_kji: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean under the Gaussian window around each voxel of a slice."""
    return np.asarray(
        ndimage.gaussian_filter(
            values_kji, (0.0, WINDOW_SIGMA_VOXELS, WINDOW_SIGMA_VOXELS), radius=(0, *(WINDOW_RADIUS_VOXELS,) * 2)
        )
    )

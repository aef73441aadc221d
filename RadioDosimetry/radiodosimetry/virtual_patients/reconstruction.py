"""OSEM of simulated projections: PyTomography's algorithm and likelihood over our projector."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from ..errors import InputError
from ..progress import Progress, report_progress
from .gamma_camera import FWHM_PER_SIGMA
from .pytomography_import import pytomography_module
from .rotating_camera import RotatingCamera

Floats = NDArray[np.float32]


def require_osem_settings(scan: str, counts: float, angles: int, iterations: int, subsets: int) -> None:
    """Refuse counts, angles, iterations and subsets that OSEM cannot do with.

    Parameters
    ----------
    scan
        "PET" or "SPECT", for the error.
    counts, angles, iterations, subsets
        As the settings of the scan have them.

    Raises
    ------
    InputError
        As said.
    """
    if not 0 < counts < 1e12:
        raise InputError(f"The counts of a {scan} must be a positive number, found {counts:g}.")
    for name, value in (("angles", angles), ("iterations", iterations), ("subsets", subsets)):
        if value < 1:
            raise InputError(f"A {scan} needs at least one of its {name}, found {value}.")
    if angles % subsets:
        raise InputError(
            f"Found {angles} angles in {subsets} subsets; expected subsets of equal size. "
            "Choose a number of subsets that divides the angles."
        )


def blurred(array_kji: NDArray[np.generic], fwhm_mm: float, spacing_mm: tuple[float, float, float]) -> Floats:
    """Convolution with a Gaussian of this full width at half maximum, nothing beyond the edges; none for width 0."""
    array = np.asarray(array_kji, dtype=np.float32)
    if fwhm_mm <= 0:
        return array
    sigma = [fwhm_mm / FWHM_PER_SIGMA / step for step in spacing_mm[::-1]]
    return np.asarray(gaussian_filter(array, sigma, mode="constant"), dtype=np.float32)


def osem(
    camera: RotatingCamera,
    counts: Floats,
    additive: Floats,
    iterations: int,
    subsets: int,
    progress: Progress | None = None,
) -> Floats:
    """Ordered-subsets expectation maximisation.

    Parameters
    ----------
    camera
        The projector; its transpose is exact.
    counts
        Counts per pixel, shape (angle, side, z).
    additive
        Mean counts that do not come from the object through `camera` (scatter, randoms), same shape.
    iterations, subsets
        Of the algorithm; subsets are every `subsets`-th angle.
    progress
        Told the share of updates done.

    Returns
    -------
    array
        The object (x, y, z) in counts per voxel; zero outside the circle that all angles see.

    Raises
    ------
    MissingDependencyError
        PyTomography is not installed.
    CancelledError
        The user cancelled.

    References
    ----------
    .. [1] Hudson, Larkin, IEEE Trans Med Imaging 13 (1994) 601, DOI 10.1109/42.363108.
    .. [2] Polson et al., PyTomography: a Python library for medical image reconstruction, SoftwareX 29 (2025).
    """
    pytomography = pytomography_module()
    import torch

    matrix = _system_matrix(pytomography, camera)
    likelihood = pytomography.likelihoods.PoissonLogLikelihood(
        matrix, torch.from_numpy(counts), additive_term=torch.from_numpy(additive)
    )
    seen = _circle(camera.grid.width)[:, :, None].astype(np.float32)
    flat = np.repeat(seen, camera.grid.slices, axis=2)
    # From far below, each update can raise the image by no more than counts over background: start at the right level.
    unit = float(camera.forward(flat).sum(dtype=np.float64))
    excess = float(counts.sum(dtype=np.float64)) - float(additive.sum(dtype=np.float64))
    start = torch.from_numpy(flat * np.float32(max(excess, 1.0) / unit))
    algorithm = pytomography.algorithms.OSEM(likelihood, object_initial=start)
    found = algorithm(n_iters=iterations, n_subsets=subsets, callback=_callback(progress, iterations, subsets))
    return np.asarray(found.numpy(), dtype=np.float32)


def _system_matrix(pytomography: Any, camera: RotatingCamera) -> Any:
    """Our projector in the form of PyTomography's; its bookkeeping of subsets and norms is inherited."""
    import torch

    base = pytomography.projectors.SPECT.SPECTSystemMatrix
    metadata = pytomography.metadata.SPECT
    grid = camera.grid

    class CameraMatrix(base):  # type: ignore[misc, valid-type]
        def forward(self, object: Any, subset_idx: int | None = None) -> Any:
            return torch.from_numpy(camera.forward(object.numpy(), self._numbers(subset_idx)))

        def backward(self, proj: Any, subset_idx: int | None = None) -> Any:
            return torch.from_numpy(camera.backward(proj.numpy(), self._numbers(subset_idx)))

        def _numbers(self, subset: int | None) -> list[int] | None:
            return None if subset is None else self.subset_indices_array[subset].tolist()

    return CameraMatrix(
        [],
        [],
        metadata.SPECTObjectMeta(
            [grid.pixel_mm / 10, grid.pixel_mm / 10, grid.slice_mm / 10], [grid.width, grid.width, grid.slices]
        ),
        metadata.SPECTProjMeta(
            (grid.width, grid.slices),
            [grid.pixel_mm / 10, grid.slice_mm / 10],
            [math.degrees(angle) for angle in camera.angles_rad],
        ),
    )


def _callback(progress: Progress | None, iterations: int, subsets: int) -> Any:
    """What tells `progress` about each update, in the form PyTomography calls."""

    class Report:
        def run(self, object: Any, n_iter: int, n_subset: int) -> Any:
            done = (n_iter * subsets + n_subset + 1) / (iterations * subsets)
            report_progress(progress, done, "Reconstructing")
            return object

        def finalize(self, object: Any) -> Any:
            return object

    return Report()


def _circle(width: int) -> NDArray[np.bool_]:
    """Pixels that the detector sees at every angle."""
    offset = np.arange(width) - (width - 1) / 2
    return np.asarray(offset[:, None] ** 2 + offset[None, :] ** 2 <= (width / 2) ** 2)

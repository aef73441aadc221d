"""Gamma index: do two dose maps agree within a dose difference or a distance?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import GeometryMismatchError, InputError
from ..progress import Progress, report_progress

DEFAULT_GAMMA_PERCENT = 1.0
DEFAULT_GAMMA_MM = 2.0
DEFAULT_CUTOFF_PERCENT = 10.0
"""Voxels whose reference dose is below this share of its maximum are not judged [%]."""

LEAST_SAMPLES_PER_DISTANCE = 2
"""Grid of the coarse search: points per distance criterion, more where voxels are smaller than half of it; the
refinement afterwards is continuous."""

REFINEMENT_STEPS = 4
"""Gauss-Newton steps from the best coarse point; a dose linear in space needs one."""


@dataclass(frozen=True, eq=False)
class GammaMap:
    """Gamma index of every judged voxel.

    Attributes
    ----------
    gamma_kji
        Gamma index, float32; values above `largest` are cut there, voxels that are not judged are zero.
    judged_kji
        Voxels whose reference dose reaches the cutoff.
    largest
        Where the search ended: a gamma of this value means "at least".
    """

    gamma_kji: NDArray[np.float32]
    judged_kji: NDArray[np.bool_]
    largest: float

    @property
    def pass_percent(self) -> float:
        """Share of the judged voxels with a gamma of at most one [%]."""
        return self.pass_percent_inside(self.judged_kji) or 0.0

    def pass_percent_inside(self, mask_kji: NDArray[np.bool_]) -> float | None:
        """Share of the judged voxels of a region with a gamma of at most one [%]; None if none was judged."""
        inside = self.gamma_kji[self.judged_kji & mask_kji]
        return None if inside.size == 0 else 100.0 * float(np.mean(inside <= 1.0 + 1e-6))


def gamma_index(
    reference_kji: NDArray[np.floating],
    test_kji: NDArray[np.floating],
    spacing_mm: tuple[float, float, float],
    dose_percent: float = DEFAULT_GAMMA_PERCENT,
    distance_mm: float = DEFAULT_GAMMA_MM,
    cutoff_percent: float = DEFAULT_CUTOFF_PERCENT,
    largest: float = 2.0,
    progress: Progress | None = None,
    normalisation: float | None = None,
) -> GammaMap:
    """Global three-dimensional gamma index of a test dose against a reference.

    For every judged reference voxel, the least √(r²/Δd² + (D_test − D_ref)²/ΔD²) over the points around it. The test
    dose is trilinear between voxel centres. A grid of points finds the valley, Gauss-Newton steps its bottom, so that
    the answer does not depend on the voxel size; a point outside the image counts with the dose at its border.

    Parameters
    ----------
    reference_kji, test_kji
        Doses in one unit, shape (k, j, i).
    spacing_mm
        Voxel size along i, j, k [mm].
    dose_percent
        ΔD in percent of the maximum of the reference ("global").
    distance_mm
        Δd [mm].
    cutoff_percent
        Voxels below this share of the reference's maximum are not judged [%].
    largest
        Values of gamma beyond this are not told apart; the search takes time with its cube.
    progress
        Told how much of the search is done.
    normalisation
        Dose that percentages refer to instead of the maximum of the reference, whose noise a Monte Carlo dose has.

    Returns
    -------
    GammaMap
        Gamma of every voxel and which voxels were judged.

    Raises
    ------
    GeometryMismatchError
        The shapes differ.
    InputError
        A criterion is not positive, or the reference is zero everywhere.

    References
    ----------
    .. [1] Low et al., A technique for the quantitative evaluation of dose distributions, Med Phys 25 (1998) 656-661,
       doi:10.1118/1.598248.
    """
    reference, test = np.asarray(reference_kji, dtype=np.float64), np.asarray(test_kji, dtype=np.float64)
    if reference.shape != test.shape:
        raise GeometryMismatchError(
            f"The reference has shape {reference.shape}, the test {test.shape}; resample one onto the other first."
        )
    if min(dose_percent, distance_mm, largest) <= 0 or cutoff_percent < 0:
        raise InputError(
            f"Gamma needs positive criteria, found {dose_percent} % and {distance_mm} mm with a cutoff of "
            f"{cutoff_percent} %."
        )
    highest = float(reference.max()) if normalisation is None else float(normalisation)
    if highest <= 0 or float(reference.max()) <= 0:
        raise InputError("The reference dose is zero everywhere; a gamma index needs a reference with dose.")
    judged = (reference >= highest * cutoff_percent / 100.0) & (reference > 0)
    search = _Search(
        test,
        np.argwhere(judged).astype(np.int64),
        reference[judged],
        1.0 / (highest * dose_percent / 100.0),
        distance_mm / np.asarray(spacing_mm, dtype=np.float64)[::-1],
    )
    search.scan(largest, progress)
    search.refine()
    gamma = np.zeros(reference.shape, dtype=np.float32)
    gamma[judged] = np.minimum(np.sqrt(search.squared), largest)
    return GammaMap(gamma, judged, largest)


class _Search:
    """Least squared gamma of many voxels at once; positions are in units of the distance criterion, order k, j, i."""

    def __init__(
        self,
        test: NDArray[np.float64],
        voxels: NDArray[np.int64],
        expected: NDArray[np.float64],
        dose_weight: float,
        voxels_per_unit: NDArray[np.float64],
    ) -> None:
        # Doses are measured in units of the dose criterion from here on.
        self._test = np.pad(test * dose_weight, 1, mode="edge")
        self._expected = expected * dose_weight
        self._voxels = voxels
        self._voxels_per_unit = voxels_per_unit
        self._last = np.array(test.shape) - 1
        self._samples = max(LEAST_SAMPLES_PER_DISTANCE, int(np.ceil(voxels_per_unit.max() - 1e-9)))
        here = self._test[tuple(voxels.T + 1)]
        self.squared = (here - self._expected) ** 2
        self._best = np.zeros((len(voxels), 3))

    def scan(self, largest: float, progress: Progress | None) -> None:
        """Try the points of a grid from near to far, each for the voxels that it could still improve."""
        offsets = _offsets_by_distance(largest, self._samples)
        distances = np.sum(offsets**2, axis=1)
        unreachable = self._least_squared_dose_difference(largest)
        active = np.flatnonzero(unreachable < largest**2)
        for number, (offset, squared_distance) in enumerate(zip(offsets, distances, strict=True)):
            if number % 32 == 0:
                report_progress(progress, number / len(offsets), "gamma index")
                active = active[self.squared[active] > squared_distance + unreachable[active]]
            if active.size == 0:
                return
            found = self._dose_at_common_offset(active, offset)
            squared = squared_distance + (found - self._expected[active]) ** 2
            better = squared < self.squared[active]
            improved = active[better]
            self.squared[improved] = squared[better]
            self._best[improved] = offset

    def _least_squared_dose_difference(self, largest: float) -> NDArray[np.float64]:
        """What the dose term cannot fall below anywhere within the search: distance to the range of doses around."""
        from scipy.ndimage import maximum_filter, minimum_filter

        size = 2 * np.ceil(largest * self._voxels_per_unit - 1e-9).astype(int) + 1
        voxels = tuple(self._voxels.T + 1)
        above = self._expected - maximum_filter(self._test, size=tuple(size), mode="nearest")[voxels]
        below = minimum_filter(self._test, size=tuple(size), mode="nearest")[voxels] - self._expected
        return np.maximum(np.maximum(above, below), 0.0) ** 2

    def refine(self) -> None:
        """Slide from the best grid point to the bottom of its valley; a step that does not descend is not taken."""
        active = np.flatnonzero(self.squared > 1e-12)
        reach = 1.0 / self._samples
        for _ in range(REFINEMENT_STEPS):
            if active.size == 0:
                return
            position = self._best[active]
            dose, gradient = self._dose_and_gradient(active, position)
            # Least of |p|² + (residual + g·(p − position))² over p lies along g.
            residual = dose - self._expected[active] - np.sum(gradient * position, axis=1)
            target = -gradient * (residual / (1.0 + np.sum(gradient**2, axis=1)))[:, None]
            step = np.clip(target - position, -reach, reach)
            improved = np.zeros(active.size, dtype=bool)
            for fraction in (1.0, 0.5):
                trial = position + fraction * step
                found, _ = self._dose_and_gradient(active, trial)
                squared = np.sum(trial**2, axis=1) + (found - self._expected[active]) ** 2
                better = squared < self.squared[active] * (1 - 1e-9)
                self.squared[active[better]] = squared[better]
                self._best[active[better]] = trial[better]
                improved |= better
            active = active[improved]

    def _dose_at_common_offset(self, active: NDArray[np.int64], offset: NDArray[np.float64]) -> NDArray[np.float64]:
        """Trilinear dose at the same offset from each active voxel: the eight weights are common to all."""
        shift = offset * self._voxels_per_unit
        whole = np.floor(shift).astype(np.int64)
        part = shift - whole
        strides = np.array(self._test.strides) // self._test.itemsize
        base = self._voxels[active] + whole
        flat = self._test.ravel()
        dose = np.zeros(active.size)
        # Indices along one axis are clipped to the padded array, whose outer layer repeats the border.
        axes = [
            [(np.clip(base[:, axis] + side, -1, self._last[axis] + 1) + 1) * strides[axis] for side in (0, 1)]
            for axis in range(3)
        ]
        for k in (0, 1):
            for j in (0, 1):
                for i in (0, 1):
                    weight = _side(part[0], k) * _side(part[1], j) * _side(part[2], i)
                    if weight > 0:
                        dose += weight * flat[axes[0][k] + axes[1][j] + axes[2][i]]
        return dose

    def _dose_and_gradient(
        self, active: NDArray[np.int64], position: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Trilinear dose and its gradient per unit of the distance criterion at one position per active voxel."""
        index = np.clip(self._voxels[active] + position * self._voxels_per_unit, 0, self._last)
        whole = np.minimum(np.floor(index).astype(np.int64), np.maximum(self._last - 1, 0))
        part = index - whole
        dose, gradient = np.zeros(active.size), np.zeros((active.size, 3))
        for k in (0, 1):
            for j in (0, 1):
                for i in (0, 1):
                    corner = self._test[whole[:, 0] + 1 + k, whole[:, 1] + 1 + j, whole[:, 2] + 1 + i]
                    weights = [_side(part[:, axis], side) for axis, side in enumerate((k, j, i))]
                    dose += corner * weights[0] * weights[1] * weights[2]
                    for axis, side in enumerate((k, j, i)):
                        others = [weights[other] for other in range(3) if other != axis]
                        gradient[:, axis] += corner * (2 * side - 1) * others[0] * others[1]
        return dose, gradient * self._voxels_per_unit


def _side(part: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Weight of the lower (0) or upper (1) neighbour at a fraction of a voxel above the lower one."""
    return part if side else 1.0 - part


def _offsets_by_distance(largest: float, samples: int) -> NDArray[np.float64]:
    """Points of the search grid within `largest` units of the distance criterion, without the origin, near to far."""
    count = int(np.ceil(largest * samples))
    steps = np.arange(-count, count + 1) / samples
    points = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    squared = np.sum(points**2, axis=1)
    inside = (squared > 0) & (squared <= largest**2 * (1 + 1e-9))
    order = np.argsort(squared[inside], kind="stable")
    return points[inside][order]

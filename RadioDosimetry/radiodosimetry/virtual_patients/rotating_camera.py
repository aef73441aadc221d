"""The projector behind the simulated scans: a camera that turns around the patient, and its exact transpose.

An object is turned so that the detector looks down its first axis, weighted with the transmission to the detector, and
summed along that axis. The blur of the collimator depends on distance alone: planes are shared out linearly between
nodes of distance, each node is blurred once, and the sum of the blurred nodes is the projection. PyTomography's OSEM
and likelihood run on top of it; its own projector, which blurs every plane, is the check (ten times slower or more).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from .gamma_camera import FWHM_PER_SIGMA

Floats = NDArray[np.float32]

NODE_STEP_MM = 20.0
"""Distance between two nodes of the blur: the width grows by about 1.5 mm in between, and linearly."""


@dataclass(frozen=True)
class CameraGrid:
    """The voxels that the camera sees: a square across the rotation axis, and slices along it.

    Attributes
    ----------
    width
        Voxels along both sides of the square.
    slices
        Voxels along the rotation axis.
    pixel_mm, slice_mm
        Voxel size [mm].
    """

    width: int
    slices: int
    pixel_mm: float
    slice_mm: float

    def coarser(self, factor: int) -> CameraGrid:
        """The grid of blocks of `factor`³ voxels that covers this one."""
        return CameraGrid(
            math.ceil(self.width / factor), math.ceil(self.slices / factor), self.pixel_mm * factor,
            self.slice_mm * factor,
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Blur:
    """Blur of the camera by distance.

    Attributes
    ----------
    distances_mm
        Distances of the nodes from the collimator's face [mm], ascending.
    fwhm_mm
        Full width at half maximum there [mm].
    """

    distances_mm: NDArray[np.float64]
    fwhm_mm: NDArray[np.float64]


def turned_by(angle_rad: float, width: int) -> csr_array:
    """The matrix that turns a square of pixels: row (depth, side) interpolates bilinearly at (x, y).

    Depth grows towards the detector, which stands in the direction (cos, sin) of the angle. Rows outside the circle
    inside the square are empty.
    """
    centre = (width - 1) / 2
    depth, side = np.meshgrid(np.arange(width) - centre, np.arange(width) - centre, indexing="ij")
    cosine, sine = math.cos(angle_rad), math.sin(angle_rad)
    x = (depth * cosine - side * sine + centre).ravel()
    y = (depth * sine + side * cosine + centre).ravel()
    rows = np.flatnonzero((depth**2 + side**2).ravel() <= (centre + 0.5) ** 2)
    low_x, low_y = np.floor(x[rows]).astype(np.int64), np.floor(y[rows]).astype(np.int64)
    share_x, share_y = x[rows] - low_x, y[rows] - low_y
    entries: list[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]] = []
    for step_x, weight_x in ((0, 1 - share_x), (1, share_x)):
        for step_y, weight_y in ((0, 1 - share_y), (1, share_y)):
            at_x, at_y, weight = low_x + step_x, low_y + step_y, weight_x * weight_y
            inside = (at_x >= 0) & (at_x < width) & (at_y >= 0) & (at_y < width) & (weight > 0)
            entries.append((rows[inside], (at_x * width + at_y)[inside], weight[inside]))
    row, column, weight = (np.concatenate(parts) for parts in zip(*entries, strict=True))
    return csr_array((weight.astype(np.float32), (row, column)), shape=(width**2, width**2))


def gaussian_matrix(count: int, sigma_pixels: float) -> Floats:
    """Convolution with a Gaussian as a symmetric matrix; what leaves the row is lost."""
    offset = np.arange(-4 * count, 4 * count + 1)
    kernel = np.exp(-0.5 * (offset / max(sigma_pixels, 1e-3)) ** 2)
    kernel /= kernel.sum()
    index = np.arange(count)
    return kernel[index[:, None] - index[None, :] + 4 * count].astype(np.float32)


@dataclass(eq=False)
class RotatingCamera:
    """Projections of a grid from several angles, and their transpose.

    Attributes
    ----------
    grid
        Voxels; objects have the shape (width, width, slices) = (x, y, z).
    angles_rad
        Directions in which the detector stands.
    attenuation_per_mm
        Linear attenuation [1/mm] on the grid; None for none.
    blur
        Blur by distance; None for none.
    radii_mm
        Distance of the collimator's face from the axis at each angle [mm]; needed with `blur`.
    whole_line
        Attenuate by the whole line through the patient, as the two photons of an annihilation are.
    """

    grid: CameraGrid
    angles_rad: NDArray[np.float64]
    attenuation_per_mm: Floats | None = None
    blur: Blur | None = None
    radii_mm: NDArray[np.float64] | None = None
    whole_line: bool = False
    _turn: list[csr_array] = field(init=False)
    _turn_back: list[csr_array] = field(init=False)
    _transmission: list[Any] = field(init=False)
    _sharing: list[tuple[slice, Any]] = field(init=False)
    _across: Any = field(init=False, default=None)
    _along: Any = field(init=False, default=None)

    def __post_init__(self) -> None:
        import torch

        self._turn = [turned_by(float(angle), self.grid.width) for angle in self.angles_rad]
        self._turn_back = [turn.T.tocsr() for turn in self._turn]
        self._transmission = []
        if self.attenuation_per_mm is not None:
            flat = np.ascontiguousarray(self.attenuation_per_mm, np.float32).reshape(-1, self.grid.slices)
            self._transmission = [self._transmission_along(turn @ flat) for turn in self._turn]
        self._sharing = []
        if self.blur is not None:
            sigma_mm = self.blur.fwhm_mm / FWHM_PER_SIGMA
            across = [gaussian_matrix(self.grid.width, sigma / self.grid.pixel_mm) for sigma in sigma_mm]
            along = [gaussian_matrix(self.grid.slices, sigma / self.grid.slice_mm) for sigma in sigma_mm]
            self._across, self._along = torch.from_numpy(np.stack(across)), torch.from_numpy(np.stack(along))
            self._sharing = [self._shares(float(radius)) for radius in np.asarray(self.radii_mm)]

    def turned(self, volume: Floats, number: int) -> Any:
        """An object (x, y, z) as the detector at angle `number` sees it: tensor (depth, side, z)."""
        import torch

        width, slices = self.grid.width, self.grid.slices
        flat = np.ascontiguousarray(volume, np.float32).reshape(-1, slices)
        return torch.from_numpy(self._turn[number] @ flat).view(width, width, slices)

    def project_turned(self, turned: Any, number: int) -> Any:
        """The projection (side, z) of what `turned` made (which is changed), attenuated and blurred."""
        import torch

        width, slices = self.grid.width, self.grid.slices
        if self._transmission:
            turned *= self._transmission[number]
        if self.blur is None:
            return turned.sum(dim=0)
        nodes, shares = self._sharing[number]
        planes = (shares @ turned.view(width, width * slices)).view(-1, width, slices)
        across = torch.bmm(self._across[nodes], planes)
        count = across.shape[0]
        return across.permute(1, 0, 2).reshape(width, count * slices) @ self._along[nodes].reshape(-1, slices)

    def forward(self, volume: Floats, numbers: Sequence[int] | None = None) -> Floats:
        """Projections (angle, side, z) of an object (x, y, z): sums over the line, in voxels."""
        import torch

        wanted = range(len(self._turn)) if numbers is None else numbers
        return torch.stack([self.project_turned(self.turned(volume, one), one) for one in wanted]).numpy()

    def backward(self, projections: Floats, numbers: Sequence[int] | None = None) -> Floats:
        """The transpose of `forward`."""
        import torch

        width, slices = self.grid.width, self.grid.slices
        total = np.zeros((width * width, slices), np.float32)
        wanted = range(len(self._turn)) if numbers is None else numbers
        for row, number in enumerate(wanted):
            projection = torch.from_numpy(np.ascontiguousarray(projections[row], np.float32))
            if self.blur is None:
                turned = projection.expand(width, width, slices).clone()
            else:
                nodes, shares = self._sharing[number]
                count = shares.shape[0]
                along = projection @ self._along[nodes].permute(1, 0, 2).reshape(slices, count * slices)
                across = torch.bmm(self._across[nodes], along.view(width, count, slices).permute(1, 0, 2))
                turned = (shares.T @ across.reshape(count, width * slices)).view(width, width, slices)
            if self._transmission:
                turned *= self._transmission[number]
            total += self._turn_back[number] @ turned.view(-1, slices).numpy()
        return total.reshape(width, width, slices)

    def _transmission_along(self, turned_flat: Floats) -> Any:
        """Share of the photons of each voxel that reach the detector, tensor (depth, side, z) or (1, side, z)."""
        import torch

        width, slices = self.grid.width, self.grid.slices
        paths = torch.from_numpy(turned_flat).view(width, width, slices) * self.grid.pixel_mm
        if self.whole_line:
            return torch.exp(-paths.sum(dim=0, keepdim=True))
        beyond = torch.flip(torch.cumsum(torch.flip(paths, [0]), dim=0), [0])
        return torch.exp(0.5 * paths - beyond)

    def _shares(self, radius_mm: float) -> tuple[slice, Any]:
        """Which nodes of distance take part at a radius, and the share (node, depth) each takes of a plane."""
        import torch

        assert self.blur is not None
        known = self.blur.distances_mm
        depth_mm = (np.arange(self.grid.width) - (self.grid.width - 1) / 2) * self.grid.pixel_mm
        distance = np.clip(radius_mm - depth_mm, known[0], known[-1])
        upper = np.clip(np.searchsorted(known, distance), 1, len(known) - 1)
        share = (distance - known[upper - 1]) / (known[upper] - known[upper - 1])
        weights = np.zeros((len(known), len(distance)), np.float32)
        plane = np.arange(len(distance))
        weights[upper - 1, plane] += 1 - share
        weights[upper, plane] += share
        used = np.flatnonzero(weights.any(axis=1))
        nodes = slice(int(used[0]), int(used[-1]) + 1)
        return nodes, torch.from_numpy(weights[nodes])


def body_radii_mm(body: NDArray[np.bool_], grid: CameraGrid, angles_rad: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far the body reaches from the axis towards each angle [mm]; `body` is (x, y, z)."""
    x, y = np.nonzero(body.any(axis=2))
    if not len(x):
        return np.zeros(len(angles_rad))
    centre = (grid.width - 1) / 2
    reach = np.outer(np.cos(angles_rad), x - centre) + np.outer(np.sin(angles_rad), y - centre)
    return np.asarray((reach.max(axis=1) + 0.5) * grid.pixel_mm)

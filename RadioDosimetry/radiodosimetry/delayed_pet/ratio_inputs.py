"""What the tissue network sees of a patient: early scan, CT and body on a cubic grid, and the way back.

Both the training and the use of a model go through `ratio_inputs`, so that any voxel size and matrix comes to the same
grid in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..images.body import body_mask
from ..images.geometry import VolumeGeometry
from ..images.regions import LabelMap
from ..images.resampling import AIR_HU, resample_activity, resample_ct, resample_labels
from ..images.volume import QuantitativeVolume
from .normalisation import DecayNormalisation

CHANNELS = ("log of smoothed early over its mean in the body", "root of early over its mean", "CT", "body")
"""Channels of `RatioInputs.channels_ckji`."""

BODY_SHARE_OF_MEAN = 0.05
"""Without a CT the body is where the smoothed early scan is above this share of the mean of its positive voxels."""

MARGIN_VOXELS = 2
"""Voxels kept around the body: air tells a network nothing, and costs as much time as the body."""

SMOOTHING_MM = 4.0
"""Standard deviation of the Gaussian that takes the noise off the first channel [mm]."""

_BODY_SMOOTHING_MM = 8.0
_HU_RANGE = (-1000.0, 500.0)
_FLOOR = 0.02
"""Share of the body's mean below which the logarithm no longer tells voxels apart."""


@dataclass(frozen=True, eq=False)
class RatioInputs:
    """A patient on the grid of the network.

    Attributes
    ----------
    early_kji
        Early scan over N(t), not negative, float32, shape (k, j, i) of the grid cut to the body.
    hu_kji
        CT numbers over 500 HU, float32; None without a CT.
    body_kji
        Where the body is, bool.
    pet_body_kji
        Where the PET alone shows it, bool.
    weights
        Matrices (fine, coarse) that interpolate a field linearly along k, j and i of the scan's grid, float32; beyond
        the grid, which is cut to the body, its outermost values go on.
    grid, box
        The grid over all of the scan, and the part of it that the arrays are.
    """

    early_kji: NDArray[np.float32]
    hu_kji: NDArray[np.float32] | None
    body_kji: NDArray[np.bool_]
    pet_body_kji: NDArray[np.bool_]
    weights: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]
    grid: VolumeGeometry
    box: tuple[slice, slice, slice]

    def channels_ckji(self, with_ct: bool = True) -> NDArray[np.float32]:
        """`CHANNELS`, float32, shape (4, k, j, i); without CT its channel is zero and the body that of the PET."""
        known = with_ct and self.hu_kji is not None
        body = self.body_kji if known else self.pet_body_kji
        mean = max(float(self.early_kji[body].mean()) if body.any() else 0.0, 1e-6)
        relative = self.early_kji / np.float32(mean)
        smooth = ndimage.gaussian_filter(relative, SMOOTHING_MM / self.grid.spacing_mm[0], mode="nearest")
        hu = self.hu_kji if known and self.hu_kji is not None else np.zeros_like(relative)
        channels = np.log10(smooth + _FLOOR), np.sqrt(relative), hu, body
        return np.stack([one.astype(np.float32) for one in channels])

    def spread(self, field_kji: NDArray[np.floating]) -> NDArray[np.float32]:
        """A field of the grid on the scan's grid, linearly interpolated."""
        found = np.asarray(field_kji, dtype=np.float32)
        for axis, weights in enumerate(self.weights):
            found = np.moveaxis(np.tensordot(weights, found, axes=(1, axis)), 0, axis)
        return np.ascontiguousarray(found)


def ratio_inputs(
    early: QuantitativeVolume,
    early_time_s: float,
    normalisation: DecayNormalisation,
    ct: QuantitativeVolume | None,
    spacing_mm: float,
) -> RatioInputs:
    """Early scan and CT on a grid of cubic voxels, cut to the body.

    Parameters
    ----------
    early
        Activity concentration present at the early scan [Bq/mL].
    early_time_s
        Its time after injection [s].
    normalisation
        N(t) of the tracer's nuclide.
    ct
        CT of the session [HU] on any grid of the same space; None: the body is found on the PET.
    spacing_mm
        Edge of the cubic voxels [mm].

    Raises
    ------
    GeometryMismatchError
        CT and PET do not overlap or lie in different spaces.
    """
    grid = coarse_grid(early.geometry, spacing_mm)
    constant = normalisation.constant_bq_per_ml(early_time_s)
    values = np.maximum(resample_activity(early, grid).array_kji, 0.0) / constant
    pet_body = body_on_pet(values, spacing_mm)
    hu, body = None, pet_body
    if ct is not None:
        on_grid = resample_ct(ct, grid, AIR_HU)
        hu, body = np.clip(on_grid.array_kji, *_HU_RANGE) / 500.0, body_mask(on_grid)
    box = bounding_box(body, MARGIN_VOXELS)
    weights = [
        _continued(_linear_weights(fine, early.geometry.spacing_mm[2 - axis], coarse, spacing_mm), box[axis])
        for axis, (fine, coarse) in enumerate(zip(early.geometry.shape_kji, grid.shape_kji, strict=True))
    ]
    return RatioInputs(
        np.ascontiguousarray(values[box], dtype=np.float32),
        None if hu is None else np.ascontiguousarray(hu[box], dtype=np.float32),
        body[box].copy(),
        pet_body[box].copy(),
        (weights[0], weights[1], weights[2]),
        grid,
        box,
    )


def labels_on_grid(labels: LabelMap, inputs: RatioInputs) -> NDArray[np.int32]:
    """A label map on the grid of the network, the nearest label of each voxel; 0 where there is none."""
    return np.ascontiguousarray(resample_labels(labels, inputs.grid).array_kji[inputs.box], dtype=np.int32)


def bounding_box(mask_kji: NDArray[np.bool_], margin: int) -> tuple[slice, slice, slice]:
    """The part of a grid that holds all of a mask and a margin of voxels; all of it where the mask is empty."""
    parts = []
    for axis, count in enumerate(mask_kji.shape):
        found = np.flatnonzero(mask_kji.any(axis=tuple(other for other in range(3) if other != axis)))
        low, high = (int(found[0]), int(found[-1]) + 1) if found.size else (0, count)
        parts.append(slice(max(0, low - margin), min(count, high + margin)))
    return parts[0], parts[1], parts[2]


def coarse_grid(geometry: VolumeGeometry, spacing_mm: float) -> VolumeGeometry:
    """Cubic voxels along the scan's own axes, about its centre, that cover all of it."""
    counts_ijk = [
        max(1, int(np.ceil(count * edge / spacing_mm - 1e-6)))
        for count, edge in zip(geometry.shape_kji[::-1], geometry.spacing_mm, strict=True)
    ]
    centre_ijk = [(count - 1) / 2 for count in geometry.shape_kji[::-1]]
    centre = (geometry.ijk_to_lps @ np.array([*centre_ijk, 1.0]))[:3]
    offset = geometry.direction @ np.array([spacing_mm * (count - 1) / 2 for count in counts_ijk])
    origin = centre - offset
    return VolumeGeometry(
        (counts_ijk[2], counts_ijk[1], counts_ijk[0]),
        (spacing_mm, spacing_mm, spacing_mm),
        (float(origin[0]), float(origin[1]), float(origin[2])),
        geometry.direction,
        geometry.frame_of_reference_uid,
    )


def body_on_pet(values_kji: NDArray[np.float64], spacing_mm: float = 8.0) -> NDArray[np.bool_]:
    """Where a PET shows the body: the image smoothed by 8 mm above a share of its mean, its largest piece, holes
    filled; `spacing_mm` is the edge of its voxels.
    """
    smooth = ndimage.gaussian_filter(np.maximum(values_kji, 0.0), _BODY_SMOOTHING_MM / spacing_mm)
    positive = smooth > 0
    if not positive.any():
        return np.ones(values_kji.shape, dtype=bool)
    mask = smooth > BODY_SHARE_OF_MEAN * float(smooth[positive].mean())
    pieces, count = ndimage.label(mask)
    if count > 1:
        sizes = np.bincount(pieces.ravel())
        sizes[0] = 0
        mask = pieces == sizes.argmax()
    return np.stack([ndimage.binary_fill_holes(plane) for plane in mask])


def _linear_weights(fine_count: int, fine_mm: float, coarse_count: int, coarse_mm: float) -> NDArray[np.float32]:
    """Linear interpolation between two centred rows of points, held constant beyond the ends, (fine, coarse)."""
    places = (np.arange(fine_count) - (fine_count - 1) / 2) * fine_mm / coarse_mm + (coarse_count - 1) / 2
    places = np.clip(places, 0.0, coarse_count - 1.0)
    low = np.minimum(places.astype(int), max(coarse_count - 2, 0))
    share = places - low
    weights = np.zeros((fine_count, coarse_count), dtype=np.float32)
    rows = np.arange(fine_count)
    weights[rows, low] = 1.0 - share
    if coarse_count > 1:
        weights[rows, low + 1] += share.astype(np.float32)
    return weights


def _continued(weights: NDArray[np.float32], kept: slice) -> NDArray[np.float32]:
    """Weights on a part of the coarse points: what lay beyond it counts for its outermost ones."""
    inside = weights[:, kept].copy()
    inside[:, 0] += weights[:, : kept.start].sum(axis=1)
    inside[:, -1] += weights[:, kept.stop :].sum(axis=1)
    return inside

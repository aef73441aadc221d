"""Disjoint solids in voxels: which region has each voxel's centre, or most of the points looked at in it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..images.geometry import VolumeGeometry
from ..images.regions import LabelMap
from ..progress import Progress, report_progress
from ..provenance import Record
from .shapes import Box, Coordinates, Solid

CM_TO_MM = 10.0

VOXELS_AT_ONCE = 2**21
"""Voxels labelled together: some 50 MB of intermediate numbers."""

MOST_VOXELS = 2**31
"""Largest raster, the body of an adult at 0.4 mm. Beyond it the spacing is a mistake."""

MOST_SAMPLES_PER_AXIS = 8
"""Beyond 512 points a voxel is better made smaller."""

MOST_REGIONS = 255
"""Labels are bytes."""


@dataclass(frozen=True, eq=False)
class LabelRaster:
    """Regions in voxels.

    Attributes
    ----------
    label_kji
        0 outside the body, n in `regions[n - 1]`; uint8, shape (k, j, i). Read-only.
    geometry
        Where the voxels lie: patient space (LPS), with the origin of the solids at (0, 0, 0).
    regions
        Names by label, from label 1.
    """

    label_kji: NDArray[np.uint8]
    geometry: VolumeGeometry
    regions: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.label_kji.shape != self.geometry.shape_kji:
            raise InputError(
                f"The labels have shape {self.label_kji.shape}, their geometry says {self.geometry.shape_kji}."
            )
        self.label_kji.setflags(write=False)

    @cached_property
    def voxel_counts(self) -> Mapping[str, int]:
        """Number of voxels of each region; 0 where voxels are too coarse to hit it."""
        counts = sum(np.bincount(slice_ji.ravel(), minlength=len(self.regions) + 1) for slice_ji in self.label_kji)
        return MappingProxyType(dict(zip(self.regions, np.asarray(counts)[1:].tolist(), strict=True)))

    @property
    def volumes_ml(self) -> Mapping[str, float]:
        """Volume of the voxels of each region [mL]."""
        voxel_ml = self.geometry.voxel_volume_ml
        return MappingProxyType({name: count * voxel_ml for name, count in self.voxel_counts.items()})

    def label_map(self, record: Record | None = None) -> LabelMap:
        """The raster as labels with names, to write to a file or to evaluate as a patient's."""
        names = dict(enumerate(self.regions, start=1))
        return LabelMap(self.label_kji, self.geometry, names, record or Record("rasterised solids"))


def rasterise_solids(
    solids: Mapping[str, Solid],
    body: Solid,
    spacing_mm: float | tuple[float, float, float],
    samples_per_axis: int = 1,
    what: str = "solids",
    progress: Progress | None = None,
) -> LabelRaster:
    """Voxels that cover a body, each labelled with the first solid that contains it.

    The grid is centred on the body's box. Memory beyond the labels (a byte per voxel) is bounded.

    Parameters
    ----------
    solids
        Region to solid in order of precedence; only what lies in `body` counts.
    body
        The solid outside of which nothing is.
    spacing_mm
        Voxel size, one number or along x, y and z [mm].
    samples_per_axis
        1 gives a voxel the region at its centre. s > 1 looks at s³ points per voxel and takes the label that most of
        them have (of equals the lowest, so the air of a tie at the surface).
    what
        Names the work in progress reports.
    progress
        Told how far the work is; may cancel it.

    Raises
    ------
    InputError
        The spacing is not positive or makes more than `MOST_VOXELS` voxels, there are more regions than a byte counts,
        or the samples are not 1 to `MOST_SAMPLES_PER_AXIS`.
    CancelledError
        `progress` says that the user asked to stop.
    """
    geometry = grid_around(body.box, spacing_mm)
    if len(solids) > MOST_REGIONS:
        raise InputError(f"A raster holds at most {MOST_REGIONS} regions, found {len(solids)}. Join some of them.")
    if samples_per_axis not in range(1, MOST_SAMPLES_PER_AXIS + 1):
        raise InputError(
            f"A voxel is looked at in 1 to {MOST_SAMPLES_PER_AXIS} points per axis, found {samples_per_axis}. "
            "Choose smaller voxels instead of more points."
        )
    painter = _Painter(solids, body)
    label = np.zeros(geometry.shape_kji, dtype=np.uint8)
    parts = list(_slices(geometry, samples_per_axis))
    for number, (start, stop) in enumerate(parts):
        report_progress(progress, number / len(parts), f"Rasterising {what}")
        label[start:stop] = painter.labels_of_slices(geometry, start, stop, samples_per_axis)
    report_progress(progress, 1.0, f"Rasterised {what}")
    return LabelRaster(label, geometry, tuple(solids))


def grid_around(box: Box, spacing_mm: float | tuple[float, float, float]) -> VolumeGeometry:
    """Voxels of a size that cover a box and are centred on it.

    Parameters
    ----------
    box
        Faces of the box [cm].
    spacing_mm
        Voxel size, one number or along x, y and z [mm].

    Raises
    ------
    InputError
        The spacing is not positive or makes more than `MOST_VOXELS` voxels.
    """
    given = np.asarray(spacing_mm, dtype=np.float64)
    if given.shape not in ((), (3,)) or not np.all(np.isfinite(given)) or np.any(given <= 0):
        raise InputError(f"The voxel size must be one or three positive numbers in mm, found {spacing_mm}.")
    spacing = np.broadcast_to(given, 3)
    lower, upper = CM_TO_MM * np.array(box.lower_cm), CM_TO_MM * np.array(box.upper_cm)
    counts = np.maximum(np.ceil((upper - lower) / spacing - 1e-9), 1)
    if math.prod(counts.tolist()) > MOST_VOXELS:
        raise InputError(
            f"A voxel size of {spacing_mm} mm makes {math.prod(counts.tolist()):.3g} voxels of the body, expected at "
            f"most {MOST_VOXELS:.3g}. Choose larger voxels."
        )
    first = ((lower + upper) / 2 - spacing * (counts - 1) / 2).tolist()
    step = spacing.tolist()
    shape = int(counts[2]), int(counts[1]), int(counts[0])
    return VolumeGeometry(shape, (step[0], step[1], step[2]), (first[0], first[1], first[2]))


class _Painter:
    """Paints the solids from the last to the first, so that the first keeps what several contain."""

    def __init__(self, solids: Mapping[str, Solid], body: Solid) -> None:
        self._body = body
        self._layers = [(number, solid, solid.box) for number, solid in enumerate(solids.values(), start=1)][::-1]

    def labels_of_slices(self, geometry: VolumeGeometry, start: int, stop: int, samples: int) -> NDArray[np.uint8]:
        """Labels of the slices from `start` to `stop`."""
        if samples == 1:
            return self._labels_at(*_axes_cm(geometry, start, stop, (0.0, 0.0, 0.0)))
        votes = np.zeros((len(self._layers) + 1, stop - start, *geometry.shape_kji[1:]), dtype=np.uint16)
        offsets = (np.arange(samples) + 0.5) / samples - 0.5
        for offset in np.stack(np.meshgrid(offsets, offsets, offsets), axis=-1).reshape(-1, 3).tolist():
            seen = self._labels_at(*_axes_cm(geometry, start, stop, (offset[0], offset[1], offset[2])))
            for number in np.unique(seen):
                votes[number] += seen == number
        return np.asarray(votes.argmax(axis=0).astype(np.uint8))

    def _labels_at(self, x_cm: Coordinates, y_cm: Coordinates, z_cm: Coordinates) -> NDArray[np.uint8]:
        """Labels of an open grid, kept within the body."""
        label = np.zeros((len(z_cm), len(y_cm), len(x_cm)), dtype=np.uint8)
        for number, solid, box in self._layers:
            _paint(label, number, solid, box, (x_cm, y_cm, z_cm))
        label[~self._body.contains(x_cm, y_cm[:, None], z_cm[:, None, None])] = 0
        return label


def _slices(geometry: VolumeGeometry, samples: int) -> Iterator[tuple[int, int]]:
    """Ranges of slices that are labelled together; fewer where votes per region are kept."""
    count, rows, columns = geometry.shape_kji
    voxels = VOXELS_AT_ONCE if samples == 1 else VOXELS_AT_ONCE // 8
    step = max(1, voxels // (rows * columns))
    for start in range(0, count, step):
        yield start, min(start + step, count)


def _axes_cm(
    geometry: VolumeGeometry, start: int, stop: int, offset: tuple[float, float, float]
) -> tuple[Coordinates, Coordinates, Coordinates]:
    """Coordinates of the voxels' centres, moved by `offset` voxels, along x, y and (from slice `start`) z [cm]."""
    columns, rows = geometry.shape_kji[2], geometry.shape_kji[1]
    indices = np.arange(columns), np.arange(rows), np.arange(start, stop)
    x, y, z = (
        np.asarray((origin + step * (index + shift)) / CM_TO_MM, dtype=np.float64)
        for origin, step, index, shift in zip(geometry.origin_mm, geometry.spacing_mm, indices, offset, strict=True)
    )
    return x, y, z


def _paint(
    label: NDArray[np.uint8], number: int, solid: Solid, box: Box, axes_cm: tuple[Coordinates, Coordinates, Coordinates]
) -> None:
    """Write a region's number where its solid is, looking only inside its box."""
    i, j, k = (
        slice(int(np.searchsorted(axis, low, "left")), int(np.searchsorted(axis, high, "right")))
        for axis, low, high in zip(axes_cm, box.lower_cm, box.upper_cm, strict=True)
    )
    part = label[k, j, i]
    if part.size:
        x, y, z = axes_cm
        part[np.broadcast_to(solid.contains(x[i], y[j][:, None], z[k][:, None, None]), part.shape)] = number

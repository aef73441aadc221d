"""Solids that an anatomy is built of: whether a point lies inside, and the volume in closed form."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

Point = tuple[float, float, float]
"""A position or three lengths along x (to the patient's left), y (to the back) and z (to the head) [mm]."""


class Solid(Protocol):
    """A closed surface around the points that belong to an organ."""

    def contains(self, position_mm: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Which positions lie inside; `position_mm` has x, y, z [mm] on its last axis, which the result lacks."""

    @property
    def volume_ml(self) -> float:
        """Volume [mL]."""


def _require_lengths(**lengths_mm: float) -> None:
    for name, length_mm in lengths_mm.items():
        if not (math.isfinite(length_mm) and length_mm > 0):
            raise InputError(f"{name} must be a positive length in mm, found {length_mm}.")


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid with axes along x, y and z; equal semi-axes make a sphere.

    Attributes
    ----------
    centre_mm
        Centre [mm].
    semi_axes_mm
        Semi-axes along x, y and z [mm].
    """

    centre_mm: Point
    semi_axes_mm: Point

    def __post_init__(self) -> None:
        x_mm, y_mm, z_mm = self.semi_axes_mm
        _require_lengths(semi_axis_x=x_mm, semi_axis_y=y_mm, semi_axis_z=z_mm)

    def contains(self, position_mm: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Which positions lie inside, x, y, z [mm] on the last axis."""
        scaled = (position_mm - np.array(self.centre_mm)) / np.array(self.semi_axes_mm)
        inside: NDArray[np.bool_] = np.sum(scaled**2, axis=-1) <= 1.0
        return inside

    @property
    def volume_ml(self) -> float:
        """4/3 π a b c [mL]."""
        return 4 / 3 * math.pi * math.prod(self.semi_axes_mm) * 1e-3


@dataclass(frozen=True)
class EllipticCylinder:
    """A cylinder along z with an elliptic cross-section.

    Attributes
    ----------
    centre_mm
        Centre [mm].
    semi_axes_mm
        Semi-axes of the cross-section along x and y [mm].
    height_mm
        Extent along z [mm].
    """

    centre_mm: Point
    semi_axes_mm: tuple[float, float]
    height_mm: float

    def __post_init__(self) -> None:
        x_mm, y_mm = self.semi_axes_mm
        _require_lengths(semi_axis_x=x_mm, semi_axis_y=y_mm, height=self.height_mm)

    def contains(self, position_mm: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Which positions lie inside, x, y, z [mm] on the last axis."""
        offset = position_mm - np.array(self.centre_mm)
        in_section = np.sum((offset[..., :2] / np.array(self.semi_axes_mm)) ** 2, axis=-1) <= 1.0
        inside: NDArray[np.bool_] = in_section & (np.abs(offset[..., 2]) <= self.height_mm / 2)
        return inside

    @property
    def volume_ml(self) -> float:
        """π a b h [mL]."""
        return math.pi * math.prod(self.semi_axes_mm) * self.height_mm * 1e-3


@dataclass(frozen=True)
class Shell:
    """What lies in one solid and not in another that is wholly inside it: a rib, the cortex of a vertebra.

    Attributes
    ----------
    outer, inner
        The two solids; the inner one lies wholly inside the outer one.
    """

    outer: Solid
    inner: Solid

    def contains(self, position_mm: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Which positions lie between the two surfaces, x, y, z [mm] on the last axis."""
        return self.outer.contains(position_mm) & ~self.inner.contains(position_mm)

    @property
    def volume_ml(self) -> float:
        """Volume of the outer less that of the inner solid [mL]."""
        return self.outer.volume_ml - self.inner.volume_ml

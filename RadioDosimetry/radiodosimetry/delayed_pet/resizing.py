"""Slices of any scanner onto the square matrix of the published network, and back onto the scanner's grid.

A larger matrix is averaged by the overlap of pixels, which conserves the activity; a smaller one is surrounded with
zeros, which changes nothing. On the way back the same overlaps spread each pixel over those it was made of, so that the
total is conserved and the grid is the scanner's own. Nothing is clipped.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import GeometryMismatchError, InputError

PUBLISHED_MATRIX = 128
"""Pixels along each side of the slices that the network of Kim 2025 sees."""


@dataclass(frozen=True)
class SliceResizing:
    """The way between a scanner's slices (rows, columns) and a square matrix.

    Attributes
    ----------
    rows, columns
        Of the scanner's slices.
    size
        Pixels along each side of the square.

    Raises
    ------
    InputError
        A count is not positive.
    """

    rows: int
    columns: int
    size: int = PUBLISHED_MATRIX

    def __post_init__(self) -> None:
        if min(self.rows, self.columns, self.size) < 1:
            raise InputError(f"Slices need at least one pixel, found {self.rows} × {self.columns} onto {self.size}.")

    @property
    def side(self) -> int:
        """Pixels along each side of the square that the slice is centred in before it is averaged."""
        return max(self.rows, self.columns, self.size)

    @property
    def is_exact(self) -> bool:
        """Whether the way there and back gives every pixel back, not only the total."""
        return self.side == self.size

    def forward(self, slices: NDArray[np.floating]) -> NDArray[np.float64]:
        """Slices (…, rows, columns) on the square (…, size, size); the values are means, their sum is that of the
        slices times (size / side)².
        """
        self._require(slices, (self.rows, self.columns))
        squares = np.zeros((*np.shape(slices)[:-2], self.side, self.side))
        squares[(..., *self._place())] = slices
        if self.is_exact:
            return squares
        weights = self._weights()
        return np.asarray(np.einsum("ab,...bc,dc->...ad", weights, squares, weights, optimize=True))

    def backward(self, squares: NDArray[np.floating]) -> NDArray[np.float64]:
        """Slices (…, rows, columns) from squares (…, size, size), with the activity of the squares.

        What a square holds outside the slice is moved onto it by a common factor per slice; a slice of which nothing
        lies inside stays empty.
        """
        self._require(squares, (self.size, self.size))
        wide = np.asarray(squares, dtype=np.float64)
        if not self.is_exact:
            overlap = self._weights() * (self.side / self.size)
            wide = np.einsum("ab,...ac,cd->...bd", overlap, wide, overlap, optimize=True)
        inside = wide[(..., *self._place())]
        margin = wide.copy()
        margin[(..., *self._place())] = 0.0
        outside, kept = margin.sum(axis=(-2, -1)), inside.sum(axis=(-2, -1))
        factor = 1.0 + np.where(kept > 0, outside / np.where(kept > 0, kept, 1.0), 0.0)
        return np.asarray(inside * factor[..., None, None])

    def _place(self) -> tuple[slice, slice]:
        """Where the slice lies in the square of `side`."""
        top, left = (self.side - self.rows) // 2, (self.side - self.columns) // 2
        return slice(top, top + self.rows), slice(left, left + self.columns)

    def _weights(self) -> NDArray[np.float64]:
        """Share of each fine pixel (columns) in each coarse one (rows), shape (size, side); rows add up to one."""
        step = self.side / self.size
        low = step * np.arange(self.size)[:, None]
        fine = np.arange(self.side)[None, :]
        overlap = np.minimum(low + step, fine + 1) - np.maximum(low, fine)
        return np.asarray(np.clip(overlap, 0.0, None) / step)

    def _require(self, slices: NDArray[np.floating], expected: tuple[int, int]) -> None:
        if np.ndim(slices) < 2 or np.shape(slices)[-2:] != expected:
            raise GeometryMismatchError(
                f"The slices have shape {np.shape(slices)}, this resizing is for {expected[0]} × {expected[1]} pixels."
            )

"""Who draws the layers of a slice: matplotlib, or a host with a slice renderer of its own.

`overlay_figure` asks a `SliceRenderer` for anatomy and colours and adds outlines, lines of values, letters, scale and
legend itself, so that a figure says the same whoever drew its layers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from ..images.volume import QuantitativeVolume
from ..units import Quantity
from .figure_style import DIFFERENCE_COLOUR_MAP, DOSE_COLOUR_MAP
from .patient_planes import PatientView

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap, Normalize

CT_WINDOW_HU = (-160.0, 240.0)
"""Soft-tissue window: level 40, width 400 HU."""

OPACITY = 0.7
"""Of the coloured volume over anatomy."""


@dataclass(frozen=True, eq=False)
class Layers:
    """Anatomy in grey and a volume in colour over it, on one grid.

    Attributes
    ----------
    foreground
        In colour, array (k, j, i).
    background
        In grey; None for black.
    highest
        Top of the colour scale, in the unit of `foreground`; its bottom is zero, or `-highest` where `signed`.
    least
        Magnitudes below are transparent, in the unit of `foreground`.
    window
        Values of `background` shown black and white, in its unit.
    signed
        Whether the scale diverges around zero.
    square_root_scale
        Whether low values are spread; ignored where `signed`.
    """

    foreground: QuantitativeVolume
    background: QuantitativeVolume | None
    highest: float
    least: float
    window: tuple[float, float]
    signed: bool = False
    square_root_scale: bool = False

    @property
    def lowest(self) -> float:
        """Bottom of the colour scale."""
        return -self.highest if self.signed else 0.0

    @property
    def opacity(self) -> float:
        """Of the foreground where it is shown."""
        return OPACITY if self.background is not None else 1.0

    @property
    def colour_map(self) -> Colormap:
        """Colours from the bottom to the top of the scale."""
        from matplotlib import colormaps

        return colormaps[DIFFERENCE_COLOUR_MAP if self.signed else DOSE_COLOUR_MAP]

    def norm(self, factor: float = 1.0) -> Normalize:
        """From values times a factor to the share of the colour map."""
        from matplotlib.colors import Normalize, PowerNorm

        low, high = self.lowest * factor, self.highest * factor
        is_spread = self.square_root_scale and not self.signed
        return PowerNorm(0.5, low, high) if is_spread else Normalize(low, high)

    def colours(self, count: int = 256) -> NDArray[np.float64]:
        """Red, green, blue and opacity, 0 to 1, of values in equal steps from the bottom to the top, (count, 4)."""
        values = np.linspace(self.lowest, self.highest, count)
        table = np.asarray(self.colour_map(self.norm()(values)), dtype=np.float64)
        table[:, 3] = np.abs(values) >= self.least
        return table


class SliceRenderer(Protocol):
    """Draws the layers of a slice."""

    def draw(self, axes: Axes, layers: Layers, plane: str, voxel_kji: tuple[int, int, int]) -> None:
        """Draw the whole slice of a plane through a voxel, oriented and placed as `PatientView.slice_of` says.

        Parameters
        ----------
        axes
            With a black ground; one unit is a millimetre along the slice's own axes.
        layers
            What to draw.
        plane
            "axial", "coronal" or "sagittal".
        voxel_kji
            A voxel of the slice.
        """


class MatplotlibSlices:
    """The renderer that needs nothing else: voxels of the foreground as they are, anatomy interpolated."""

    def draw(self, axes: Axes, layers: Layers, plane: str, voxel_kji: tuple[int, int, int]) -> None:
        """See `SliceRenderer`."""
        view = PatientView(layers.foreground.geometry)
        if layers.background is not None:
            part = view.slice_of(layers.background.array_kji, plane, voxel_kji)
            low, high = layers.window
            axes.imshow(part.image, extent=part.extent_mm, cmap="gray", vmin=low, vmax=high, interpolation="bilinear")
        part = view.slice_of(np.asarray(layers.foreground.array_kji, dtype=np.float64), plane, voxel_kji)
        image = np.ma.masked_where(np.abs(part.image) < max(layers.least, np.finfo(float).tiny), part.image)
        axes.imshow(
            image,
            extent=part.extent_mm,
            norm=layers.norm(),
            cmap=layers.colour_map,
            alpha=layers.opacity,
            interpolation="nearest",
        )


def grey_window(background: QuantitativeVolume | None) -> tuple[float, float]:
    """Soft tissue for a CT, from the lowest to the highest value for any other volume."""
    if background is None or background.quantity is Quantity.CT_NUMBER:
        return CT_WINDOW_HU
    low, high = float(background.array_kji.min()), float(background.array_kji.max())
    return low, max(high, low + 1e-30)

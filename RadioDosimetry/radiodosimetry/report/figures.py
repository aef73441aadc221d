"""Volumes over anatomy: dose, activity or error in three planes with the outlines of regions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..images.geometry import require_same_grid
from ..images.volume import QuantitativeVolume
from ..units import Quantity
from .curves import bland_altman_figure, dvh_figure, method_comparison_figure, profile_figure
from .figure_style import CATEGORY_COLOURS, LINE_STYLES, colour_of, new_figure, save_figure
from .patient_planes import PLANES, PatientView, Slice
from .slice_rendering import Layers, MatplotlibSlices, SliceRenderer, grey_window

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..images.regions import Region

__all__ = [
    "bland_altman_figure",
    "dvh_figure",
    "method_comparison_figure",
    "overlay_figure",
    "profile_figure",
    "save_figure",
]

SCALE_BAR_MM = 50.0

_ROUND_STEPS = (1.0, 2.0, 5.0)

_QUANTITY_LABELS = {
    Quantity.ABSORBED_DOSE: "Absorbed dose",
    Quantity.ABSORBED_DOSE_RATE: "Absorbed dose rate",
    Quantity.ACTIVITY_CONCENTRATION: "Activity concentration",
    Quantity.TIME_INTEGRATED_ACTIVITY_CONCENTRATION: "Time-integrated activity concentration",
    Quantity.RELATIVE_UNCERTAINTY: "Relative uncertainty",
    Quantity.MASS_DENSITY: "Density",
    Quantity.CT_NUMBER: "CT number",
}


def overlay_figure(
    foreground: QuantitativeVolume,
    background: QuantitativeVolume | None = None,
    regions: Sequence[Region] = (),
    title: str = "",
    label: str | None = None,
    voxel_kji: tuple[int, int, int] | None = None,
    threshold: float | None = None,
    highest: float | None = None,
    window: tuple[float, float] | None = None,
    signed: bool = False,
    square_root_scale: bool = False,
    contour_levels: Sequence[float] = (),
    width_inch: float = 12.0,
    renderer: SliceRenderer | None = None,
) -> Figure:
    """Axial, coronal and sagittal slices of a volume in colour over the anatomy in grey.

    Parameters
    ----------
    foreground
        What is shown in colour, array (k, j, i).
    background
        Anatomy on the same grid (a CT with the soft-tissue window, any other volume from its lowest to highest value);
        black if absent.
    regions
        Regions on the same grid whose outlines are drawn; those that the three slices miss stay out of the legend.
    title
        Above the slices.
    label
        Beside the colour bar; by default quantity and unit of `foreground`.
    voxel_kji
        Voxel through which the slices go; by default the largest absolute value of `foreground`, inside the regions
        if there are any.
    threshold
        Absolute values below are transparent, in the unit of `foreground`; by default 1 % of the top of the scale.
    highest
        Top of the colour scale; by default the 99.9th percentile of what lies above 1 % of the maximum.
    window
        Grey values shown black and white, in the unit of `background`.
    signed
        Use a diverging scale around zero (errors).
    square_root_scale
        Spread the low values (tumours much hotter than organs); ignored where `signed`.
    contour_levels
        Values of `foreground`, in its unit, along which white lines are drawn and named: isodoses.
    width_inch
        Width of the figure; text keeps its size.
    renderer
        Draws the anatomy and the colours; matplotlib if None.

    Returns
    -------
    matplotlib.figure.Figure
        Show it or give it to `save_figure`.

    Raises
    ------
    GeometryMismatchError
        The background has another grid.
    InputError
        A region has another shape.
    """
    from matplotlib.cm import ScalarMappable

    if background is not None:
        require_same_grid(foreground.geometry, background.geometry, "The coloured volume", "the grey one")
    for region in regions:
        if region.mask_kji.shape != foreground.geometry.shape_kji:
            raise InputError(f"Region '{region.name}' has another shape than the volume; resample it first.")
    values = np.asarray(foreground.array_kji, dtype=np.float64)
    top = _top_of_scale(values) if highest is None else float(highest)
    least = 0.01 * top if threshold is None else float(threshold)
    factor, unit = _readable_unit(top, foreground.unit)
    grey = grey_window(background) if window is None else window
    layers = Layers(foreground, background, top, least, grey, signed, square_root_scale)
    drawing = MatplotlibSlices() if renderer is None else renderer
    voxel = _most_telling_voxel(values, regions) if voxel_kji is None else voxel_kji
    view = PatientView(foreground.geometry)
    figure, panels, bar = _lay_out(view, title, width_inch)
    shown: dict[str, tuple[str, str]] = {}
    for plane, axes in zip(PLANES, panels, strict=True):
        axes.set_facecolor("black")
        drawing.draw(axes, layers, plane, voxel)
        part = view.slice_of(values, plane, voxel)
        _draw_contours(axes, part, contour_levels)
        shown |= _draw_outlines(axes, regions, view, plane, voxel)
        _annotate(axes, part, plane, view.point_mm(voxel, plane))
    below, above = bool(signed and values.min() < -top), bool(values.max() > top)
    extend = {(False, False): "neither", (False, True): "max", (True, False): "min", (True, True): "both"}[below, above]
    scale = ScalarMappable(layers.norm(factor), layers.colour_map)
    colour_bar = figure.colorbar(scale, cax=bar, extend=extend)
    colour_bar.set_label(label or _label_of(foreground.quantity, unit), fontsize=9)
    colour_bar.ax.tick_params(labelsize=8)
    lines = [f"{level * factor:g} {unit}" for level in contour_levels]
    _draw_legend(figure, {region.name: shown[region.name] for region in regions if region.name in shown}, lines)
    return figure


def round_levels(top: float, most: int = 4) -> tuple[float, ...]:
    """Round numbers (1, 2, 5 times a power of ten) below a value, the highest `most` of them, rising."""
    exponent = math.floor(math.log10(top)) if top > 0 else 0
    numbers = [step * 10.0**power for power in range(exponent - 2, exponent + 1) for step in _ROUND_STEPS]
    return tuple(float(f"{number:.1g}") for number in numbers if number < 0.95 * top)[-most:]


def _top_of_scale(values: NDArray[np.float64]) -> float:
    """A top that a few noisy voxels do not set."""
    size = np.abs(values)
    largest = float(size.max())
    return float(np.percentile(size[size > 0.01 * largest], 99.9)) if largest > 0 else 1.0


def _most_telling_voxel(values: NDArray[np.float64], regions: Sequence[Region]) -> tuple[int, int, int]:
    """The voxel with the largest absolute value, inside the regions if there are any."""
    size = np.abs(values)
    if regions:
        inside = np.any([region.mask_kji for region in regions], axis=0)
        size = np.where(inside, size, -1.0)
    k, j, i = np.unravel_index(int(np.argmax(size)), size.shape)
    return int(k), int(j), int(i)


def _lay_out(view: PatientView, title: str, width_inch: float) -> tuple[Figure, list[Any], Any]:
    """Panels in the proportions of the patient, and the axes of the colour bar."""
    widths = [view.size_mm(plane)[0] for plane in PLANES]
    height = max(view.size_mm(plane)[1] for plane in PLANES)
    height_inch = float(np.clip(1.0 + (width_inch - 1.4) * height / sum(widths), 3.0, 9.0))
    figure = new_figure(width_inch, height_inch)
    grid = figure.add_gridspec(1, 4, width_ratios=[*widths, 0.025 * sum(widths)])
    if title:
        figure.suptitle(title, fontsize=11)
    panels = [figure.add_subplot(grid[0, column]) for column in range(3)]
    return figure, panels, figure.add_subplot(grid[0, 3])


def _draw_outlines(
    axes: Axes, regions: Sequence[Region], view: PatientView, plane: str, voxel_kji: tuple[int, int, int]
) -> dict[str, tuple[str, str]]:
    """Outlines of the regions that the slice meets; their names, colours and line styles."""
    shown = {}
    for number, region in enumerate(regions):
        part = view.slice_of(region.mask_kji, plane, voxel_kji)
        if not part.image.any():
            continue
        # A margin of background closes outlines at the border of the image.
        mask = np.pad(part.image.astype(np.float64), 1)
        left, right, bottom, top = part.extent_mm
        rows, columns = part.image.shape
        x_mm = left + (np.arange(-1, columns + 1) + 0.5) * (right - left) / columns
        y_mm = top + (np.arange(-1, rows + 1) + 0.5) * (bottom - top) / rows
        colour, style = colour_of(number), LINE_STYLES[number // len(CATEGORY_COLOURS) % len(LINE_STYLES)]
        axes.contour(x_mm, y_mm, mask, levels=[0.5], colors=[colour], linestyles=[style], linewidths=1.2)
        shown[region.name] = (colour, style)
    return shown


def _draw_contours(axes: Axes, part: Slice, levels: Sequence[float]) -> None:
    """White lines along values, dark below so that they show on any colour; a line style each."""
    inside = [level for level in levels if part.image.min() < level < part.image.max()]
    if not inside:
        return
    left, right, bottom, top = part.extent_mm
    rows, columns = part.image.shape
    x_mm = left + (np.arange(columns) + 0.5) * (right - left) / columns
    y_mm = top + (np.arange(rows) + 0.5) * (bottom - top) / rows
    styles = [LINE_STYLES[list(levels).index(level) % len(LINE_STYLES)] for level in inside]
    axes.contour(x_mm, y_mm, part.image, levels=inside, colors="black", linewidths=1.6, alpha=0.5)
    axes.contour(x_mm, y_mm, part.image, levels=inside, colors="white", linewidths=0.8, linestyles=styles)


def _annotate(axes: Axes, part: Slice, plane: str, cross_mm: tuple[float, float]) -> None:
    """Orientation letters, position, cross-hair and scale bar instead of ticks."""
    from matplotlib.patheffects import Normal, Stroke

    left, right, bottom, top = part.extent_mm
    axes.set(xlim=(left, right), ylim=(bottom, top), xticks=[], yticks=[], aspect="equal")
    towards = {"axial": "IS", "coronal": "AP", "sagittal": "RL"}[plane][part.position_mm >= 0]
    axes.set_title(f"{plane}, {abs(part.position_mm):.0f} mm {towards}", fontsize=9)
    places = [(0.02, 0.5, "left", "center"), (0.98, 0.5, "right", "center")]
    places += [(0.5, 0.98, "center", "top"), (0.5, 0.02, "center", "bottom")]
    dark = [Stroke(linewidth=2.5, foreground="black"), Normal()]
    for letter, (x, y, horizontal, vertical) in zip(part.letters, places, strict=True):
        look: dict[str, Any] = {"color": "white", "fontsize": 10, "weight": "bold", "ha": horizontal, "va": vertical}
        look["path_effects"] = dark
        axes.text(x, y, letter, transform=axes.transAxes, **look)
    axes.axvline(cross_mm[0], color="white", linewidth=0.5, alpha=0.5, linestyle=(0, (4, 4)))
    axes.axhline(cross_mm[1], color="white", linewidth=0.5, alpha=0.5, linestyle=(0, (4, 4)))
    if plane == "axial" and right - left > 1.5 * SCALE_BAR_MM:
        x_mm, y_mm = left + 0.05 * (right - left), bottom + 0.06 * (top - bottom)
        axes.plot([x_mm, x_mm + SCALE_BAR_MM], [y_mm, y_mm], color="white", linewidth=2.5, solid_capstyle="butt")
        text_mm = y_mm + 0.02 * (top - bottom)
        axes.text(x_mm + SCALE_BAR_MM / 2, text_mm, "5 cm", color="white", fontsize=8, ha="center", va="bottom")


def _draw_legend(figure: Figure, looks: dict[str, tuple[str, str]], lines: Sequence[str] = ()) -> None:
    """Names of the regions with their colours and styles to the left; white lines of values, on dark, to the right."""
    from matplotlib.lines import Line2D

    shared: dict[str, Any] = {"fontsize": 8, "handlelength": 2.6}
    columns = max(2, round(figure.get_figwidth() * (0.5 if lines else 0.67)))
    if looks:
        handles: list[Any] = [
            Line2D([], [], color=colour, ls=style, linewidth=2, label=name.replace("_", " "))  # type: ignore[arg-type]
            for name, (colour, style) in looks.items()
        ]
        look: dict[str, Any] = {"loc": "outside lower left" if lines else "outside lower center", "frameon": False}
        figure.legend(handles=handles, ncols=min(len(handles), columns), **look, **shared)
    if lines:
        handles = [
            Line2D([], [], color="white", ls=LINE_STYLES[number % len(LINE_STYLES)], linewidth=1.4, label=line)
            for number, line in enumerate(lines)
        ]
        dark: dict[str, Any] = {"facecolor": "0.25", "edgecolor": "none", "labelcolor": "white", "framealpha": 1.0}
        figure.legend(handles=handles, loc="outside lower right", ncols=min(len(handles), 2), **dark, **shared)


def _readable_unit(top: float, unit: str) -> tuple[float, str]:
    """What to multiply with, and the unit with its prefix, so that the scale shows numbers of one to four digits."""
    prefixes: tuple[tuple[float, str], ...] = ((1.0, ""),)
    if unit.startswith("Bq"):
        prefixes = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))
    elif unit.startswith("Gy"):
        prefixes = ((1.0, ""), (1e-3, "m"), (1e-6, "µ"))
    size, prefix = next((entry for entry in prefixes if top >= entry[0]), prefixes[-1])
    return 1.0 / size, prefix + unit


def _label_of(quantity: Quantity, unit: str) -> str:
    name = _QUANTITY_LABELS.get(quantity, quantity.value)
    return name if unit == "1" else f"{name} [{unit}]"

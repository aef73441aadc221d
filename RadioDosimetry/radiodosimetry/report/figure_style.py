"""What all figures share: colours that colour-blind readers tell apart, canvases without global state, saving."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..images.atomic import OutputTransaction, full_suffix

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

CATEGORY_COLOURS = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#F0E442", "#D55E00", "#0072B2", "#999999")
"""Colours of regions and methods, told apart by colour-blind readers: the set of Okabe and Ito
(jfly.uni-koeln.de/color)."""

_ON_WHITE = {"#F0E442": "#8F8300"}
"""Colour to the one that stands for it on white."""

LINE_STYLES = ("-", "--", ":", "-.")

DOSE_COLOUR_MAP = "inferno"
"""For magnitudes: perceptually uniform, readable in grey and with red-green blindness."""

DIFFERENCE_COLOUR_MAP = "RdBu_r"
"""For signed differences: red above, blue below, white at zero."""

FIGURE_SUFFIXES = (".png", ".pdf", ".svg")
DOTS_PER_INCH = 150


def colour_of(number: int) -> str:
    """Colour of the item with this number."""
    return CATEGORY_COLOURS[number % len(CATEGORY_COLOURS)]


def line_colour_of(number: int) -> str:
    """The same for lines and marks on white paper, where yellow would be lost."""
    return _ON_WHITE.get(colour_of(number), colour_of(number))


def mark_decades(axis: Axis, lowest: float, highest: float) -> None:
    """Plain numbers (0.1, 1, 10) on a logarithmic axis: decades, and their 2 and 5 where there are few of them."""
    from matplotlib.ticker import FixedLocator, NullFormatter

    few = highest < 1000.0 * lowest
    steps = (1.0, 2.0, 5.0) if few else (1.0,)
    marks = [step * 10.0**power for power in range(-12, 13) for step in steps]
    axis.set_major_locator(FixedLocator([mark for mark in marks if lowest <= mark <= highest]))
    axis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set_minor_formatter(NullFormatter())


def new_figure(width_inch: float, height_inch: float) -> Figure:
    """An empty figure on its own Agg canvas; matplotlib's global state is not touched."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_inch, height_inch), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def plain_axes(axes: Axes) -> None:
    """Take away what carries no information from a graph and add a light grid."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(True, color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8)


def figure_paths(names: Sequence[str], folder: Path) -> list[Path]:
    """PNG files of figures of these names: characters that files may not have are replaced, equal names numbered."""
    taken: dict[str, int] = {}
    paths = []
    for each in names:
        name = re.sub(r"[^\w.+-]+", "_", each).strip("._") or "region"
        count = taken[name.lower()] = taken.get(name.lower(), 0) + 1
        paths.append(folder / (f"{name}.png" if count == 1 else f"{name}-{count}.png"))
    return paths


def save_figure(figure: Figure, path: Path, transaction: OutputTransaction | None = None) -> None:
    """Write a figure; the file appears complete or not at all.

    Parameters
    ----------
    figure
        What the functions of this package return.
    path
        Ends in one of `FIGURE_SUFFIXES`.
    transaction
        Joins this file to others that shall appear together.

    Raises
    ------
    InputError
        The suffix is not known.
    OutputError
        The file could not be written.
    """
    path = Path(path)
    if full_suffix(path) not in FIGURE_SUFFIXES:
        raise InputError(f"A figure is written as {', '.join(FIGURE_SUFFIXES)}, found '{path.name}'.")
    if transaction is None:
        with OutputTransaction() as own:
            save_figure(figure, path, own)
        return
    _save(figure, transaction.path_for(path), full_suffix(path))


def figure_bytes(figure: Figure, suffix: str = ".png") -> bytes:
    """The content of a figure's file, for what embeds it; the same figure gives the same bytes.

    Raises
    ------
    InputError
        The suffix is not one of `FIGURE_SUFFIXES`.
    """
    if suffix not in FIGURE_SUFFIXES:
        raise InputError(f"A figure is written as {', '.join(FIGURE_SUFFIXES)}, found '{suffix}'.")
    stream = io.BytesIO()
    _save(figure, stream, suffix)
    return stream.getvalue()


def _save(figure: Figure, target: Any, suffix: str) -> None:
    """Write a figure without its date, and with the same names of its parts each time."""
    from matplotlib import rc_context

    undated = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(suffix)
    with rc_context({"svg.hashsalt": "radiodosimetry"}):
        figure.savefig(target, format=suffix[1:], dpi=DOTS_PER_INCH, facecolor="white", metadata=undated)

"""Acquired against generated: curves of activity and residence times, as pictures."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .dosimetry import LESIONS, PatientDosimetry
from .region_names import is_lesion

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FIRST_PANELS = (LESIONS, "liver", "kidneys", "spleen", "red_marrow", "lungs")
"""Sources that are shown before others."""

MOST_PANELS = 6


def time_activity_png(acquired: Sequence[PatientDosimetry], generated: Sequence[PatientDosimetry]) -> bytes:
    """Activity over time in a panel per source, by acquired and by generated scans, a line per region, as PNG.

    The form of Figure 3 of Kim et al. 2025 (doi:10.1038/s41598-025-88498-z).

    Parameters
    ----------
    acquired, generated
        The same patients by both series of scans.
    """
    figure, panels = _panels(acquired)
    for axes, source in panels:
        for number, (first, second) in enumerate(zip(acquired, generated, strict=True)):
            for name in (name for name in first.curves_percent_id if _source(name) == source):
                pair = ((first, "-", "acquired"), (second, "--", "one acquired, others generated"))
                for series, style, label in pair:
                    values = np.maximum(series.curves_percent_id[name], 1e-12)
                    axes.plot(series.times_h, values, style, linewidth=1.0, color=f"C{number % 10}", label=label)
        axes.set(yscale="log", xlabel="time after injection [h]", title=source.replace("_", " "))
    figure.supylabel("activity present [%ID]")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    figure.legend(once.values(), once.keys(), loc="outside lower center", ncols=2, handlelength=4)
    return _png(figure)


def residence_times_png(acquired: Sequence[PatientDosimetry], generated: Sequence[PatientDosimetry]) -> bytes:
    """Residence times by generated against those by acquired scans, a panel per source, as PNG.

    The comparison of Figure 4 of Kim et al. 2025 (doi:10.1038/s41598-025-88498-z).

    Parameters
    ----------
    acquired, generated
        The same patients by both series of scans.
    """
    figure, panels = _panels(acquired)
    for axes, source in panels:
        pairs = [
            (hours, second.residence_times_h[name])
            for first, second in zip(acquired, generated, strict=True)
            for name, hours in first.residence_times_h.items()
            if _source(name) == source and name in second.residence_times_h
        ]
        x, y = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
        axes.plot(x, y, "o", markersize=4)
        axes.set_xlabel("by acquired scans [h]")
        if x.size:
            limits = [float(min(x.min(), y.min())), float(max(x.max(), y.max()))]
            axes.plot(limits, limits, color="black", linewidth=0.8)
            if 0 < 10 * limits[0] < limits[1]:
                axes.set(xscale="log", yscale="log")
                _few_ticks(axes)
            error = 100 * float(np.mean(np.abs(y / x - 1))) if (x > 0).all() else float("nan")
            axes.set_title(f"{source.replace('_', ' ')}: off by {error:.0f} % on average", fontsize=9)
    figure.supylabel("residence time by one acquired and generated scans [h]")
    return _png(figure)


def _panels(patients: Sequence[PatientDosimetry]) -> tuple[Figure, list[tuple[Axes, str]]]:
    """A figure with a panel for each of the sources that matter most."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    known = dict.fromkeys(_source(name) for one in patients for name in one.curves_percent_id)
    shown = sorted(known, key=lambda name: FIRST_PANELS.index(name) if name in FIRST_PANELS else len(FIRST_PANELS))
    shown = shown[:MOST_PANELS]
    figure = Figure(figsize=(1.0 + 3.0 * min(len(shown), 3), 3.0 * -(-len(shown) // 3)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(-(-len(shown) // 3), min(len(shown), 3), squeeze=False).ravel()
    for empty in axes[len(shown) :]:
        empty.set_axis_off()
    return figure, list(zip(axes, shown, strict=False))


def _few_ticks(axes: Axes) -> None:
    """Ticks at 1, 2 and 5 within few decades, and at decades alone within many, so that no two words meet."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    for axis in (axes.xaxis, axes.yaxis):
        low, high = axis.get_view_interval()
        few = high < 100 * low
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if few else (1.0,)))
        axis.set_minor_formatter(NullFormatter())
        if few:
            axis.set_major_formatter(StrMethodFormatter("{x:g}"))


def _source(name: str) -> str:
    return LESIONS if is_lesion(name) else name


def _png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=120)
    return stream.getvalue()

"""The diary of a training: a table with a row per epoch, and its learning curve."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence

Row = Mapping[str, float]
"""Values of one epoch by column: epoch, learning_rate, seconds, train_NAME and validation_NAME."""

_FIRST_COLUMNS = ("epoch", "learning_rate", "seconds")
_LARGEST_RATIO_ON_LINEAR_AXIS = 20.0


def log_csv(rows: Sequence[Row]) -> str:
    """A line per epoch; columns that an epoch lacks stay empty."""
    columns = list(_FIRST_COLUMNS)
    columns += [name for row in rows for name in row if name not in columns]
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(dict.fromkeys(columns)), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _number(name, value) for name, value in row.items()})
    return buffer.getvalue()


def learning_curve_png(rows: Sequence[Row], monitor: str, best_epoch: int | None) -> bytes:
    """The monitored value in training and validation over epochs, the best epoch marked, as a PNG.

    Parameters
    ----------
    rows
        Of the log; at least one.
    monitor
        Name of the value.
    best_epoch
        Marked if not None.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    drawn: list[float] = []
    for side, colour in (("train", "#0072B2"), ("validation", "#D55E00")):
        points = [(row["epoch"], row[f"{side}_{monitor}"]) for row in rows if f"{side}_{monitor}" in row]
        if points:
            drawn += [value for _, value in points]
            style = "o-" if len(points) < 40 else "-"
            axes.plot(*zip(*points, strict=True), style, color=colour, markersize=3, linewidth=1.4, label=side)
    if best_epoch is not None:
        axes.axvline(best_epoch, color="0.5", linewidth=0.8, linestyle="--", label=f"best: epoch {best_epoch}")
    if drawn and min(drawn) > 0 and max(drawn) / min(drawn) > _LARGEST_RATIO_ON_LINEAR_AXIS:
        axes.set_yscale("log")
    for edge in ("top", "right"):
        axes.spines[edge].set_visible(False)
    axes.grid(True, color="0.9", linewidth=0.6)
    axes.set(xlabel="Epoch", ylabel=monitor)
    axes.legend(frameon=False, fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150)
    return buffer.getvalue()


def _number(name: str, value: float) -> str:
    if name == "epoch":
        return str(int(value))
    return f"{value:.3f}" if name == "seconds" else f"{value:.9g}" if math.isfinite(value) else str(value)

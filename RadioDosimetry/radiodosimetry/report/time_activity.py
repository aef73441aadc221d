"""Figure of a fitted time-activity curve: points, curve, its uncertainty, its integral."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..time_activity.curve_fit import CurveFit
from ..time_activity.time_activity_curve import TimeActivityCurve
from ..units import BECQUEREL_PER_MEGABECQUEREL, SECONDS_PER_HOUR
from .figure_style import colour_of, mark_decades, new_figure, plain_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BEYOND_LAST_POINT = 1.6
"""The curve is drawn to this multiple of the last time, or to two final half-lives after it if that is less far."""

PANEL_COLUMNS = (3, 4, 5)
"""Regions side by side in `time_activity_rows`: the number that leaves the fewest rows, and then the least empty."""

_ROWS_WIDTH_INCH = 8.2

_SAMPLES = 600
_CURVE_COLOUR = colour_of(6)
_POINT_COLOUR = "black"
_DECADES_BELOW = 1.2
"""How far below the lowest point the logarithmic axis reaches, as a factor's decimal logarithm."""


def time_activity_figure(curve: TimeActivityCurve, fit: CurveFit, nuclide: str = "") -> Figure:
    """Points with error bars and the fitted curve with its 1 σ band, linear and logarithmic.

    Parameters
    ----------
    curve
        The points [s, Bq]; shown in hours and MBq.
    fit
        What was fitted to them; without a covariance there is no band.
    nuclide
        Named in the title where given.

    Returns
    -------
    matplotlib.figure.Figure
        Show it or give it to `save_figure`.
    """
    figure = new_figure(9.6, 4.4)
    linear, logarithmic = figure.subplots(1, 2)
    times_s = _shown_times_s(curve, fit)
    for axes in (linear, logarithmic):
        _draw(axes, curve, fit, times_s)
        axes.set_xlabel("Time after administration [h]", fontsize=9)
        axes.set_ylabel("Activity [MBq]", fontsize=9)
        axes.set_xlim(0.0, times_s[-1] / SECONDS_PER_HOUR)
        plain_axes(axes)
    linear.set_ylim(0.0, None)
    handles, labels = linear.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(handles), fontsize=8, frameon=False)
    _set_logarithmic(logarithmic, curve, fit.value(times_s) / BECQUEREL_PER_MEGABECQUEREL)
    where = f"{curve.region.replace('_', ' ')}, {nuclide}" if nuclide else curve.region.replace("_", " ")
    figure.suptitle(f"{where}: {fit.model}, {_integral_words(fit)}", fontsize=10)
    return figure


def time_activity_rows(curves: Sequence[TimeActivityCurve], fits: Mapping[str, CurveFit]) -> list[Figure]:
    """All regions, a row of them to a figure: points and fitted curve with its 1 σ band on logarithmic axes.

    Parameters
    ----------
    curves
        One or more [s, Bq]; shown in hours and MBq.
    fits
        Region to what was fitted to its curve.

    Returns
    -------
    list of matplotlib.figure.Figure
        One below the other they are one picture; the first has the legend.
    """
    columns = panel_columns(len(curves))
    starts = range(0, len(curves), columns)
    return [_row(curves[start : start + columns], fits, columns, with_legend=start == 0) for start in starts]


def panel_columns(regions: int) -> int:
    """How many of so many regions stand side by side."""
    return min(PANEL_COLUMNS, key=lambda columns: (math.ceil(regions / columns), columns))


def _row(curves: Sequence[TimeActivityCurve], fits: Mapping[str, CurveFit], columns: int, with_legend: bool) -> Figure:
    figure = new_figure(_ROWS_WIDTH_INCH, 2.2 if with_legend else 1.95)
    panels = figure.subplots(1, columns)
    for axes, curve in zip(panels, curves, strict=False):
        fit = fits[curve.region]
        times_s = _shown_times_s(curve, fit)
        _draw(axes, curve, fit, times_s, "fit")
        axes.set_xlim(0.0, times_s[-1] / SECONDS_PER_HOUR)
        plain_axes(axes)
        _set_logarithmic(axes, curve, fit.value(times_s) / BECQUEREL_PER_MEGABECQUEREL)
        axes.set_title(f"{curve.region.replace('_', ' ')} ({fit.model})", fontsize=8.5)
        axes.set_xlabel("Time [h]", fontsize=8)
    panels[0].set_ylabel("Activity [MBq]", fontsize=8)
    for axes in panels[len(curves) :]:
        axes.set_axis_off()
    if with_legend:
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), fontsize=8, frameon=False)
    return figure


def _shown_times_s(curve: TimeActivityCurve, fit: CurveFit) -> NDArray[np.float64]:
    """From administration on, dense where uptake may be; the points' own times included."""
    last_s = float(curve.times_s[-1]) or SECONDS_PER_HOUR
    half_life_s = math.log(2.0) / fit.curve.final_rate_per_s
    end_s = min(BEYOND_LAST_POINT * last_s, last_s + 2.0 * half_life_s)
    end_s = max(end_s, 1.05 * last_s)
    times = np.concatenate(
        [np.linspace(0.0, end_s, _SAMPLES), np.geomspace(end_s * 1e-4, end_s, _SAMPLES), curve.times_s]
    )
    return np.unique(times)


def _draw(
    axes: Axes, curve: TimeActivityCurve, fit: CurveFit, times_s: NDArray[np.float64], name: str | None = None
) -> None:
    """Band, curve and points; the curve is called by its model where `name` is None."""
    hours, values = times_s / SECONDS_PER_HOUR, fit.value(times_s) / BECQUEREL_PER_MEGABECQUEREL
    std = fit.value_std_bq(times_s)
    if std is not None and np.any(std > 0):
        spread = std / BECQUEREL_PER_MEGABECQUEREL
        axes.fill_between(
            hours, values - spread, values + spread, color=_CURVE_COLOUR, alpha=0.22, lw=0, label="fit ± 1 σ"
        )
    inside = times_s <= curve.times_s[-1]
    axes.plot(hours[inside], values[inside], color=_CURVE_COLOUR, linewidth=1.7, label=name or fit.model)
    after = times_s >= curve.times_s[-1]
    axes.plot(
        hours[after], values[after], color=_CURVE_COLOUR, linewidth=1.4, linestyle="--", label="after the last point"
    )
    bars = None if curve.std_bq is None else curve.std_bq / BECQUEREL_PER_MEGABECQUEREL
    look: dict[str, Any] = {"color": _POINT_COLOUR, "markersize": 4.5, "capsize": 2.5, "elinewidth": 0.9, "zorder": 4}
    measured = "measured" if bars is None else "measured ± 1 σ"
    activity = curve.activity_bq / BECQUEREL_PER_MEGABECQUEREL
    axes.errorbar(curve.times_h, activity, yerr=bars, fmt="o", label=measured, **look)


def _set_logarithmic(axes: Axes, curve: TimeActivityCurve, values_mbq: NDArray[np.float64]) -> None:
    """A logarithmic scale that the zero at administration and far tails do not stretch."""
    positive = curve.activity_bq[curve.activity_bq > 0] / BECQUEREL_PER_MEGABECQUEREL
    lowest = min(float(positive.min()), float(values_mbq[-1]) if values_mbq[-1] > 0 else math.inf)
    highest = max(float(positive.max()), float(values_mbq.max()))
    axes.set_yscale("log")
    axes.tick_params(which="both", labelsize=8)
    reach = 10 ** (_DECADES_BELOW / 4)
    axes.set_ylim(lowest / reach, highest * reach)
    mark_decades(axes.yaxis, lowest / reach, highest * reach)


def _integral_words(fit: CurveFit) -> str:
    unit = BECQUEREL_PER_MEGABECQUEREL * SECONDS_PER_HOUR
    tia = fit.tia_bq_s / unit
    words = f"time-integrated activity {tia:.0f}" if tia >= 1e4 else f"time-integrated activity {tia:.4g}"
    words += " MBq h"
    if fit.tia_std_bq_s is not None and fit.tia_bq_s > 0:
        words += f" ± {100 * fit.tia_std_bq_s / fit.tia_bq_s:.2g} %"
    if fit.effective_half_life_s is not None:
        words += f", final half-life {fit.effective_half_life_s / SECONDS_PER_HOUR:.4g} h"
    return words

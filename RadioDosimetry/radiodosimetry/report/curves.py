"""Graphs of dose: histograms, line profiles, agreement of two methods, methods side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from ..evaluation.bland_altman import BlandAltman
from ..evaluation.profiles import LineProfile
from .figure_style import CATEGORY_COLOURS, LINE_STYLES, colour_of, line_colour_of, mark_decades, new_figure, plain_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..voxel_dose.dose_volume import DoseVolumeHistogram

BASELINE_PERCENT = 5.0
"""Dashed lines of a Bland-Altman plot, as in Kim 2022 (Fig. 2)."""


def dvh_figure(
    histograms: Mapping[str, Sequence[DoseVolumeHistogram]],
    title: str = "",
    logarithmic: bool = False,
    height_inch: float = 4.8,
) -> Figure:
    """Cumulative dose-volume histograms: a colour per region, a line style per method.

    Parameters
    ----------
    histograms
        Name of each method (or an empty name for a single one) to the histograms of its regions.
    title
        Above the graph.
    logarithmic
        Spread the low doses (tumours much hotter than organs).
    height_inch
        Height of the figure.

    Raises
    ------
    InputError
        There is no histogram.
    """
    if not any(histograms.values()):
        raise InputError("A DVH figure needs at least one region; give labels.")
    figure = new_figure(7.5, height_inch)
    axes = figure.subplots()
    colours: dict[str, str] = {}
    styles: dict[str, str] = {}  # of regions beyond the colours, where a single method leaves the line styles free
    for method, style in zip(histograms, _cycle_styles(len(histograms)), strict=True):
        for histogram in histograms[method]:
            if len(histograms) == 1:
                style = LINE_STYLES[len(colours) // len(CATEGORY_COLOURS) % len(LINE_STYLES)]
                styles[histogram.region] = style
            colour = colours.setdefault(histogram.region, line_colour_of(len(colours)))
            percent = histogram.cumulative_volume_percent
            axes.plot(histogram.dose_gy, percent, color=colour, linestyle=style, linewidth=1.6)
    axes.set_xlabel("Absorbed dose [Gy]", fontsize=9)
    axes.set_ylabel("Volume at or above the dose [%]", fontsize=9)
    axes.set_title(title)
    axes.set(xlim=(0, None), ylim=(0, 103))
    if logarithmic:
        _spread_low_doses(axes, [histogram for each in histograms.values() for histogram in each])
    plain_axes(axes)
    entries = [(region, colour, styles.get(region, "-")) for region, colour in colours.items()]
    if len(histograms) > 1:
        entries += [(m, "0.2", s) for m, s in zip(histograms, _cycle_styles(len(histograms)), strict=True)]
    _legend_beside(figure, entries)
    return figure


def profile_figure(
    profiles: Mapping[str, Mapping[str, LineProfile]], value_label: str = "Absorbed dose [Gy]", title: str = ""
) -> Figure:
    """Line profiles of several methods along one or more lines, and their differences from the first method.

    Parameters
    ----------
    profiles
        Name of each line to: name of each method to its profile; all methods on the same points of a line.
    value_label
        Quantity and unit of the values.
    title
        Above the graphs.

    Raises
    ------
    InputError
        There is no line or no method.
    """
    if not profiles or not all(profiles.values()):
        raise InputError("A profile figure needs at least one line with at least one method.")
    figure = new_figure(4.2 * len(profiles) + 0.6, 4.8)
    upper, lower = figure.subplots(2, len(profiles), sharex="col", squeeze=False, height_ratios=(3, 1.2))
    methods = list(next(iter(profiles.values())))
    for column, (line, of_method) in enumerate(profiles.items()):
        first = of_method[methods[0]]
        top = float(np.max(np.abs(first.values))) or 1.0
        for number, method in enumerate(methods):
            profile, colour, style = of_method[method], _method_colour(number), LINE_STYLES[number % 4]
            upper[column].plot(profile.distance_mm, profile.values, color=colour, linestyle=style, linewidth=1.5)
            if number:
                difference = 100.0 * (profile.values - first.values) / top
                lower[column].plot(profile.distance_mm, difference, color=colour, linewidth=1.2)
        upper[column].set_title(line, fontsize=9)
        lower[column].axhline(0.0, color="0.3", linewidth=0.8)
        lower[column].set_xlabel("Distance [mm]", fontsize=9)
        for axes in (upper[column], lower[column]):
            plain_axes(axes)
    upper[0].set_ylabel(value_label, fontsize=9)
    lower[0].set_ylabel("Difference\n[% of maximum]", fontsize=9)
    if title:
        figure.suptitle(title, fontsize=11)
    _legend_below(figure, [(m, _method_colour(n), LINE_STYLES[n % 4]) for n, m in enumerate(methods)])
    return figure


def bland_altman_figure(
    regions: BlandAltman | None,
    region_names: Sequence[str] = (),
    voxels: BlandAltman | None = None,
    title: str = "",
    baseline_percent: float = BASELINE_PERCENT,
) -> Figure:
    """Relative differences of two methods against their means, with bias and limits of agreement.

    Parameters
    ----------
    regions
        Agreement of the mean doses of regions, one mark each.
    region_names
        Names of those regions.
    voxels
        Agreement of single voxels, drawn as a cloud behind. Bias and limits are the regions' where there are at least
        three, else the voxels'.
    title
        Above the graph.
    baseline_percent
        Where the dashed lines are drawn.

    Raises
    ------
    InputError
        Neither regions nor voxels are given, or names and regions do not match.
    """
    if regions is None and voxels is None:
        raise InputError("A Bland-Altman figure needs regions or voxels.")
    if regions is not None and len(region_names) != regions.mean_gy.size:
        raise InputError(f"Found {len(region_names)} names for {regions.mean_gy.size} regions.")
    figure = new_figure(7.5, 4.6)
    axes = figure.subplots()
    if voxels is not None:
        cloud: dict[str, Any] = {"s": 3, "color": "0.65", "alpha": 0.35, "linewidths": 0, "rasterized": True}
        axes.scatter(voxels.mean_gy, voxels.difference_percent, **cloud)
    entries: list[tuple[str, str, str]] = []
    if regions is not None:
        for number, name in enumerate(region_names):
            mark: dict[str, Any] = {"color": colour_of(number), "edgecolors": "black", "linewidths": 0.7}
            axes.scatter(regions.mean_gy[number], regions.difference_percent[number], s=55, zorder=3, **mark)
            entries.append((name, colour_of(number), "-"))
    enough = regions is not None and regions.mean_gy.size >= 3
    summary, of_what = (regions, "regions") if enough or voxels is None else (voxels, "voxels")
    assert summary is not None
    _draw_agreement(axes, summary, of_what, baseline_percent)
    _limit_to_agreement(axes, regions, voxels, baseline_percent)
    axes.set(xlabel="Mean of both methods [Gy]", ylabel="(test − reference) / mean [%]", title=title, xlim=(0, None))
    plain_axes(axes)
    _legend_beside(figure, entries)
    return figure


def method_comparison_figure(
    mean_doses_gy: Mapping[str, Mapping[str, float]],
    reference: str,
    uncertainties_percent: Mapping[str, Mapping[str, float | None]] | None = None,
    title: str = "",
    width_inch: float | None = None,
    height_inch: float = 6.0,
) -> Figure:
    """Mean dose per region by several methods, and their errors against one of them.

    Parameters
    ----------
    mean_doses_gy
        Name of each method to: name of each region to its mean dose [Gy].
    reference
        Name of the method that the others are compared with.
    uncertainties_percent
        Name of a method to: region to the standard uncertainty of the mean [%], drawn as error bars.
    title
        Above the graphs.
    width_inch, height_inch
        Size of the figure; the width by the number of regions if None.

    Raises
    ------
    InputError
        The reference is not among the methods, or a method lacks a region.
    """
    if reference not in mean_doses_gy:
        raise InputError(f"Method '{reference}' is not among: {', '.join(mean_doses_gy)}.")
    regions = list(mean_doses_gy[reference])
    for method, of_region in mean_doses_gy.items():
        if list(of_region) != regions:
            found = ", ".join(of_region)
            raise InputError(f"Method '{method}' has the regions {found}, expected {', '.join(regions)}.")
    figure = new_figure(max(7.5, 1.1 * len(regions) + 2.0) if width_inch is None else width_inch, height_inch)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    others = [method for method in mean_doses_gy if method != reference]
    order = [reference, *others]
    width = 0.8 / len(order)
    for number, method in enumerate(order):
        x = np.arange(len(regions)) + (number - (len(order) - 1) / 2) * width
        doses = np.array([mean_doses_gy[method][region] for region in regions])
        spread = [(uncertainties_percent or {}).get(method, {}).get(region) or 0.0 for region in regions]
        bars = doses * np.array(spread) / 100.0
        look: dict[str, Any] = {"color": "0.35" if method == reference else colour_of(number - 1), "width": width}
        upper.bar(x, doses, yerr=bars if bars.any() else None, error_kw={"linewidth": 0.8, "capsize": 2}, **look)
        if method != reference:
            norm = np.array([mean_doses_gy[reference][region] for region in regions])
            error = np.divide(100.0 * (doses - norm), norm, out=np.zeros_like(norm), where=norm != 0)
            lower.bar(x, error, **look)
    upper.set_ylabel("Mean absorbed dose [Gy]", fontsize=9)
    lower.set_ylabel(f"Difference from\n{reference} [%]", fontsize=9)
    lower.axhline(0.0, color="0.2", linewidth=0.8)
    lower.set_xticks(range(len(regions)), [region.replace("_", " ") for region in regions], rotation=20, ha="right")
    upper.set_title(title, fontsize=11)
    for axes in (upper, lower):
        plain_axes(axes)
        axes.grid(False, axis="x")
    entries = [(reference, "0.35", "-"), *((method, colour_of(n), "-") for n, method in enumerate(others))]
    _legend_below(figure, entries, linewidth=7)
    return figure


def _spread_low_doses(axes: Axes, histograms: Sequence[DoseVolumeHistogram]) -> None:
    """A logarithmic axis from where the coldest region begins to lose volume to the hottest dose."""
    lowest = [float(np.interp(-99.0, -each.cumulative_volume_percent, each.dose_gy)) for each in histograms]
    highest = max(float(each.dose_gy[-1]) for each in histograms)
    axes.set_xscale("log")
    first = max(0.7 * min(lowest), 1e-4 * highest)
    axes.set_xlim(first, 1.1 * highest)
    mark_decades(axes.xaxis, first, 1.1 * highest)


def _draw_agreement(axes: Axes, summary: BlandAltman, of_what: str, baseline_percent: float) -> None:
    for level in (-baseline_percent, baseline_percent):
        axes.axhline(level, color="0.6", linewidth=0.9, linestyle="--")
    levels = (
        (summary.upper_limit_percent, "upper limit of agreement"),
        (summary.bias_percent, f"bias ({of_what})"),
        (summary.lower_limit_percent, "lower limit of agreement"),
    )
    for level, name in levels:
        style = "-" if name.startswith("bias") else ":"
        axes.axhline(level, color="black", linewidth=1.1, linestyle=style, label=f"{name} {level:+.2f} %")
    axes.legend(loc="upper right", fontsize=8, frameon=True, framealpha=0.9)


def _limit_to_agreement(
    axes: Axes, regions: BlandAltman | None, voxels: BlandAltman | None, baseline_percent: float
) -> None:
    """Show all regions and 99 % of the voxels: a few outliers do not squeeze the rest."""
    reach = [1.3 * baseline_percent]
    if regions is not None:
        reach += [1.15 * float(np.abs(regions.difference_percent).max())]
        reach += [1.15 * max(abs(regions.upper_limit_percent), abs(regions.lower_limit_percent))]
    if voxels is not None:
        reach += [1.1 * float(np.percentile(np.abs(voxels.difference_percent), 99))]
    axes.set_ylim(-max(reach), max(reach))


def _method_colour(number: int) -> str:
    """The reference is black, the methods have colours."""
    return "black" if number == 0 else ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00")[(number - 1) % 5]


def _cycle_styles(count: int) -> list[str]:
    return [LINE_STYLES[number % len(LINE_STYLES)] for number in range(count)]


def _legend_beside(figure: Figure, entries: Sequence[tuple[str, str, str]]) -> None:
    _legend(figure, entries, "outside right upper", 1, 2.0)


def _legend_below(figure: Figure, entries: Sequence[tuple[str, str, str]], linewidth: float = 2.0) -> None:
    _legend(figure, entries, "outside lower center", 6, linewidth)


def _legend(
    figure: Figure, entries: Sequence[tuple[str, str, str]], place: str, columns: int, linewidth: float
) -> None:
    """A legend of names, colours and line styles."""
    if not entries:
        return
    from matplotlib.lines import Line2D

    handles: list[Any] = [
        Line2D([], [], color=colour, ls=style, linewidth=linewidth, label=name.replace("_", " "))
        for name, colour, style in entries
    ]
    look: dict[str, Any] = {"loc": place, "ncols": min(len(handles), columns), "fontsize": 8, "frameon": False}
    figure.legend(handles=handles, **look)

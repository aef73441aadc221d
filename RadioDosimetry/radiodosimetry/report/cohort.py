"""Doses of many patients beside each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from .figure_style import CATEGORY_COLOURS, new_figure, plain_axes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LOGARITHMIC_FROM = 50.0
"""Ratio of the largest to the smallest median beyond which the axis is logarithmic."""

_POINT_SPREAD = 0.16
"""Half the height, in rows, over which the points of one row are spread so that equal ones stay apart."""


def cohort_dose_figure(values: Mapping[str, Mapping[str, float]], label: str, title: str = "") -> Figure:
    """One row per region: a box of quartiles and a point per case, the highest median on top.

    Parameters
    ----------
    values
        Region to case to value.
    label
        Quantity and unit of the values.
    title
        Above the graph; the number of cases is added.

    Raises
    ------
    InputError
        There is no value.
    """
    if not values or not all(values.values()):
        raise InputError("A cohort figure needs at least one region with at least one case.")
    rows = sorted(values.items(), key=lambda item: float(np.median(list(item[1].values()))))
    medians = [float(np.median(list(of_case.values()))) for _, of_case in rows]
    figure = new_figure(7.5, 1.4 + 0.32 * len(rows))
    axes = figure.subplots()
    for position, (_, of_case) in enumerate(rows):
        doses = np.array(list(of_case.values()))
        heights = position + _POINT_SPREAD * np.linspace(-1, 1, doses.size) * (doses.size > 1)
        axes.scatter(doses, heights, s=14, color=CATEGORY_COLOURS[6], alpha=0.7, linewidths=0, zorder=3)
    axes.boxplot(
        [list(of_case.values()) for _, of_case in rows], positions=range(len(rows)), orientation="horizontal",
        widths=0.6, showfliers=False, medianprops={"color": CATEGORY_COLOURS[5], "linewidth": 1.6},
        boxprops={"color": "0.4"}, whiskerprops={"color": "0.4"}, capprops={"color": "0.4"},
    )  # fmt: skip
    axes.set_yticks(range(len(rows)), [name.replace("_", " ") for name, _ in rows], fontsize=8)
    if min(medians) > 0 and max(medians) / min(medians) > _LOGARITHMIC_FROM:
        axes.set_xscale("log")
    else:
        axes.set_xlim(left=0)
    cases = len({case for of_case in values.values() for case in of_case})
    axes.set(xlabel=label)
    axes.set_title(f"{title} ({cases} {'case' if cases == 1 else 'cases'})".strip(), fontsize=10)
    plain_axes(axes)
    axes.grid(False, axis="y")
    return figure

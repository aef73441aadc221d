"""Where base and network err: pictures of one patient."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..evaluation.bland_altman import bland_altman
from ..learning.ensembles import CENTRAL_68_PERCENT
from .measures import RegionMeasure
from .patients import DosePatient
from .stated_uncertainty import Errors, StatedUncertainty, coverage


def error_maps_png(patient: DosePatient, base_gy: NDArray[np.floating], dose_gy: NDArray[np.floating]) -> bytes:
    """Truth, and errors of base and network, in the coronal plane with the largest error of the base, as PNG.

    Parameters
    ----------
    patient
        Whose label is the truth.
    base_gy, dose_gy
        Doses of base and network [Gy], (k, j, i).
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    truth = patient.label_gy
    errors = [np.where(patient.maps.matter_kji, values - truth, 0.0) for values in (base_gy, dose_gy)]
    plane = int(np.argmax((errors[0] ** 2).sum(axis=(0, 2))))
    largest = max(float(np.percentile(np.abs(errors[0]), 99.9)), 1e-12)
    spacing = patient.maps.geometry.spacing_mm
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 3)
    pictures = (
        (truth[:, plane], "Monte Carlo dose [Gy]", {"cmap": "inferno", "vmin": 0.0}),
        (errors[0][:, plane], "base − Monte Carlo [Gy]", {"cmap": "RdBu_r", "vmin": -largest, "vmax": largest}),
        (errors[1][:, plane], "network − Monte Carlo [Gy]", {"cmap": "RdBu_r", "vmin": -largest, "vmax": largest}),
    )
    for axis, (picture, title, options) in zip(axes, pictures, strict=True):
        shown = axis.imshow(picture, origin="lower", aspect=spacing[2] / spacing[0], **options)
        axis.set_title(title, fontsize=9)
        axis.set_axis_off()
        figure.colorbar(shown, ax=axis, shrink=0.8)
    figure.suptitle(f"{patient.id}, coronal plane {plane}", fontsize=9)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=120)
    return stream.getvalue()


def profiles_png(patient: DosePatient, doses_gy: Mapping[str, NDArray[np.floating]]) -> bytes:
    """Truth and doses of methods along the three axes through the voxel of the highest true dose, as PNG.

    Parameters
    ----------
    patient
        Whose label is the truth.
    doses_gy
        Method to dose [Gy], (k, j, i).
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    truth = patient.label_gy
    highest = np.unravel_index(int(np.argmax(truth)), truth.shape)
    figure = Figure(figsize=(10, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    for number, (axes, name) in enumerate(zip(figure.subplots(1, 3, sharey=True), "kji", strict=True)):
        line = tuple(slice(None) if axis == number else int(place) for axis, place in enumerate(highest))
        distance_mm = np.arange(truth.shape[number]) * patient.maps.geometry.spacing_mm[2 - number]
        axes.plot(distance_mm, truth[line], color="black", linewidth=1.5, label="Monte Carlo")
        for method, dose in doses_gy.items():
            axes.plot(distance_mm, dose[line], linewidth=1.0, label=method)
        axes.set_xlabel(f"along {name} [mm]")
    figure.axes[0].set_ylabel("absorbed dose [Gy]")
    figure.axes[0].legend(fontsize=8)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=120)
    return stream.getvalue()


def bland_altman_png(regions: Sequence[RegionMeasure], methods: Sequence[str]) -> bytes:
    """Differences of region means from the truth against their means, a panel per method with bias and limits, as PNG.

    Parameters
    ----------
    regions
        Of all patients and methods.
    methods
        Those that are shown; one without a region is left out.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = {name: [one for one in regions if one.method == name] for name in methods}
    shown = {name: own for name, own in shown.items() if own}
    figure = Figure(figsize=(1.0 + 3.5 * max(len(shown), 1), 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, max(len(shown), 1), sharey=True, squeeze=False)[0]
    for axes, (name, own) in zip(panels, shown.items(), strict=False):
        for group in sorted({one.group or "other regions" for one in own}):
            part = [one for one in own if (one.group or "other regions") == group]
            found = bland_altman([one.reference_gy for one in part], [one.dose_gy for one in part])
            axes.plot(found.mean_gy, found.difference_percent, ".", markersize=4, label=group)
        whole = bland_altman([one.reference_gy for one in own], [one.dose_gy for one in own])
        for level, style in (
            (whole.bias_percent, "-"), (whole.lower_limit_percent, "--"), (whole.upper_limit_percent, "--"),
        ):  # fmt: skip
            axes.axhline(level, color="black", linewidth=0.8, linestyle=style)
        axes.set_xscale("log")
        axes.set_title(f"{name}: bias {whole.bias_percent:+.2f} %", fontsize=9)
        axes.set_xlabel("mean of method and Monte Carlo [Gy]")
    panels[0].set_ylabel("method − Monte Carlo [%]")
    if shown:
        panels[0].legend(fontsize=7)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=120)
    return stream.getvalue()


def calibration_png(stated: StatedUncertainty, regions: Errors, voxels: Errors) -> bytes:
    """Errors against the uncertainty stated for them, a panel for the means of regions and one for voxels, as PNG.

    Points are single errors, circles the error that 68 % of a tenth of them stay below. Where the circles follow the
    line of equality, the uncertainty is as large as it says, small and large ones alike.

    Parameters
    ----------
    stated
        What the model states.
    regions, voxels
        Errors that it was not calibrated on.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.8), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 2)
    parts = (("means of regions", stated.regions, regions), ("voxels", stated.voxels, voxels))
    for axes, (name, model, errors) in zip(panels, parts, strict=True):
        dose = np.maximum(errors.dose_gy, np.finfo(float).tiny)
        sigma = np.maximum(100 * np.hypot(model.of(errors), errors.noise_gy) / dose, 1e-3)
        error = 100 * np.abs(errors.error_gy) / dose
        order = np.argsort(sigma)
        tenths = [part for part in np.array_split(order, 10) if part.size]
        axes.plot(sigma, np.maximum(error, 1e-3), ".", markersize=2, color="0.7")
        axes.plot(
            [float(np.median(sigma[part])) for part in tenths],
            [float(np.quantile(error[part], CENTRAL_68_PERCENT)) for part in tenths],
            marker="o", markersize=4,
        )  # fmt: skip
        decades = [float(10 ** np.floor(np.log10(sigma.min()))), float(10 ** np.ceil(np.log10(sigma.max())))]
        axes.plot(decades, decades, color="black", linewidth=0.8)
        axes.set(xscale="log", yscale="log", xlim=decades, xlabel="stated standard uncertainty [%]")
        share = coverage(model, errors)["within_1_sigma"]
        axes.set_title(f"{name}: {100 * share:.0f} % of {errors.count} within it", fontsize=9)
    panels[0].set_ylabel("error [%]")
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=120)
    return stream.getvalue()

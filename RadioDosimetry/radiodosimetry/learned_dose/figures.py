"""Where base and network err: pictures of one patient."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from .patients import DosePatient


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

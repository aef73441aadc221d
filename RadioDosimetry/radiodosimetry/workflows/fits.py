"""Fits of the time-activity curves of all regions of a patient: integrals, residence times, records, figures."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import FileFormatError, InputError
from ..images.atomic import OutputTransaction
from ..images.sidecar import sidecar_path
from ..nuclides import Radionuclide
from ..progress import Progress, report_progress
from ..provenance import Record
from ..time_activity.curve_fit import CurveFit
from ..time_activity.curve_quantities import uptake_warnings
from ..time_activity.curve_tables import read_curves, require_administered, require_different_regions
from ..time_activity.fit_files import FitSet
from ..time_activity.fitting import fit_curve
from ..time_activity.time_activity_curve import TimeActivityCurve
from ..units import SECONDS_PER_HOUR

BEYOND_DECAY = 1.001
"""Residence time over the mean physical life from which it cannot be: all of the activity from the start, and no
clearance, would give 1."""


def fit_curves(
    curves: Sequence[TimeActivityCurve],
    nuclide: Radionuclide | str,
    model: str = "auto",
    effective_half_life_s: float | None = None,
    tail: str | None = None,
    administered_bq: float | None = None,
    progress: Progress | None = None,
) -> FitSet:
    """Fit every curve of a patient.

    Parameters
    ----------
    curves
        One per region, activities as present (not decay-corrected).
    nuclide
        The radionuclide, or its name; its decay is the slowest that a fit may find.
    model, effective_half_life_s, tail
        As in `fit_curve`; the same for all regions.
    administered_bq
        Administered activity [Bq], for residence times and to check the curves; None if not known.
    progress
        Told the share of regions done.

    Returns
    -------
    FitSet
        Region to its fit, in the order of the curves; every fit's warnings are in the record too, with the region.

    Raises
    ------
    InputError
        There is no curve, two have the same region, the administered activity is not above zero, or a curve cannot be
        fitted (see `fit_curve`); the text names the region.
    UnknownNuclideError
        The nuclide is not in the dataset.
    CancelledError
        The user cancelled.
    """
    if not curves:
        raise InputError("There is no curve to fit; give at least one region.")
    require_administered(administered_bq)
    require_different_regions(curves)
    known = Radionuclide(nuclide) if isinstance(nuclide, str) else nuclide
    impossible = uptake_warnings(curves, administered_bq, known.decay_constant_per_s)
    fits = {}
    for number, curve in enumerate(curves):
        report_progress(progress, number / len(curves), f"Fit of {curve.region}")
        fit = _fit_naming_region(curve, known, model, effective_half_life_s, tail)
        more = [impossible[curve.region]] if curve.region in impossible else []
        more += _residence_time_warnings(fit, known, administered_bq)
        fits[curve.region] = replace(fit, warnings=(*more, *fit.warnings))
    report_progress(progress, 1.0, "Fits done")
    parameters: dict[str, Any] = {
        "model": model,
        "nuclide": known.name,
        "physical_half_life_s": known.half_life_s,
        "effective_half_life_s": effective_half_life_s,
        "tail": tail,
        "administered_bq": administered_bq,
    }
    record = Record("time-activity fits", parameters, dict(curves[0].record.inputs), {"decay data": known.dataset})
    inherited = _inherited_warnings(curves)
    own = [f"{region}: {text}" for region, fit in fits.items() for text in fit.warnings]
    return FitSet(known.name, fits, administered_bq, record.with_warnings(*inherited, *own))


def read_measured_curves(path: Path, nuclide: Radionuclide | None = None) -> list[TimeActivityCurve]:
    """Curves from a table, with what the record beside it says of the parts of their uncertainties.

    The record that `radiodosimetry curves` writes tells what to beware of, which the curves take over, and which part
    of `std_mbq` all times share (calibration, recovery, volume). Without a record every point's uncertainty is taken to
    be its own.

    Parameters
    ----------
    path
        The table; its record is `path` + ".json".
    nuclide
        What the curves are taken for; None takes them for what they are.

    Raises
    ------
    FileFormatError, InputError
        As `read_curves`; or the record cannot be read, or names another nuclide.
    """
    curves = read_curves(path)
    beside = sidecar_path(path)
    if not beside.exists():
        return curves
    try:
        values = json.loads(beside.read_text(encoding="utf-8-sig"))
        parameters, warnings = values["parameters"], [str(text) for text in values.get("warnings") or ()]
        measured, regions = parameters.get("nuclide"), parameters["regions"]
        parts = {curve.region: (regions.get(curve.region) or {}).get("relative_std") or {} for curve in curves}
        names = [curve.region for curve in curves]
        curves = [
            replace(
                curve, record=curve.record.with_parameters(relative_std=_checked_parts(parts[curve.region], curve))
            ).with_warnings(*(text for text in warnings if _of_region(text, curve.region, names)))
            for curve in curves
        ]
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise FileFormatError(
            f"The record {beside} is not that of a curve table ({type(error).__name__}: {error}); remove it, or "
            "write the curves anew."
        ) from error
    if nuclide is not None and measured is not None and measured != nuclide.name:
        raise InputError(
            f"The record {beside} says that the curves are of {measured}, asked for is {nuclide.name}; fit the nuclide "
            "that was measured (organ-dose converts to another), or remove the record if it is of other curves."
        )
    return curves


def _inherited_warnings(curves: Sequence[TimeActivityCurve]) -> list[str]:
    """What the curves' records warn of: once what all of several say, the rest with its region."""
    said = [set(curve.record.warnings) for curve in curves]
    common = set.intersection(*said) if len(said) > 1 else set()
    first = [text for text in curves[0].record.warnings if text in common]
    own = [(curve.region, text) for curve in curves for text in curve.record.warnings if text not in common]
    return [*first, *(f"{region}: {text}" for region, text in own)]


def _of_region(text: str, region: str, regions: Sequence[str]) -> bool:
    """Whether a warning of a table holds for a region: it names this one in quotation marks, or none."""
    named = [name for name in regions if f"'{name}'" in text]
    return region in named or not named


def _checked_parts(parts: Mapping[str, Any], curve: TimeActivityCurve) -> dict[str, list[float]]:
    """Relative uncertainties per cause, one number per time."""
    checked = {str(cause): [float(value) for value in values] for cause, values in parts.items()}
    for cause, values in checked.items():
        if len(values) != curve.times_s.size or not all(math.isfinite(value) and value >= 0 for value in values):
            raise ValueError(f"{cause} of '{curve.region}' needs {curve.times_s.size} numbers of zero or more")
    return checked


def write_fit_figures(
    fit_set: FitSet, curves: Sequence[TimeActivityCurve], folder: Path, transaction: OutputTransaction
) -> list[Path]:
    """One PNG per region: points, fitted curve with its uncertainty, integral.

    Parameters
    ----------
    fit_set
        Fits of `curves`.
    curves
        The curves that were fitted.
    folder
        An existing folder; the files are `REGION.png`, with characters that names of files may not have replaced.
    transaction
        The files appear with its others.

    Returns
    -------
    list of Path
        The files, in the order of the curves.
    """
    from ..report.figure_style import figure_paths, save_figure
    from ..report.time_activity import time_activity_figure

    paths = figure_paths([curve.region for curve in curves], folder)
    for curve, path in zip(curves, paths, strict=True):
        figure = time_activity_figure(curve, fit_set[curve.region], fit_set.nuclide)
        save_figure(figure, path, transaction)
    return paths


def _fit_naming_region(
    curve: TimeActivityCurve, nuclide: Radionuclide, model: str, effective_half_life_s: float | None, tail: str | None
) -> CurveFit:
    """`fit_curve`, with the region in the text of what it refuses."""
    try:
        return fit_curve(curve, nuclide.decay_constant_per_s, model, effective_half_life_s, tail)
    except InputError as error:
        if curve.region in str(error):
            raise
        raise type(error)(f"Region '{curve.region}': {error}") from error


def _residence_time_warnings(fit: CurveFit, nuclide: Radionuclide, administered_bq: float | None) -> list[str]:
    """More decays than the administered activity has."""
    if administered_bq is None:
        return []
    share = fit.tia_bq_s / administered_bq * nuclide.decay_constant_per_s
    if share <= BEYOND_DECAY:
        return []
    mean_life_h = 1.0 / nuclide.decay_constant_per_s / SECONDS_PER_HOUR
    return [
        f"The residence time is {share:.3g} times the mean life of {nuclide.name} ({mean_life_h:.4g} h): more decays "
        "than were administered. Check units and administered activity."
    ]

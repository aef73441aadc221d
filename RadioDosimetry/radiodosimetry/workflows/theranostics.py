"""From the fits of one nuclide to the residence times of another on the same molecule."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ..errors import InputError
from ..nuclides import Radionuclide
from ..organ_dose.residence_times import ResidenceTime
from ..organ_dose.theranostics import converted_activity_bq, converted_rates_per_s
from ..time_activity.fit_files import FitSet
from ..time_activity.models import ActivityFunction, ExponentialSum, GammaUptake, PiecewiseLinear

SEEN_HALF_LIVES = 5.0
"""Half-lives of the measured nuclide after which nothing of it can be seen: what follows is extrapolated."""

EXTRAPOLATED_WARNING = 0.2
"""Share of the converted integral beyond that time from which a warning says so."""


def residence_times_of_fits(fit_set: FitSet, wanted: Radionuclide | str) -> tuple[dict[str, ResidenceTime], list[str]]:
    """Residence times for the wanted nuclide from fits of the same or of another one.

    Parameters
    ----------
    fit_set
        Fits of the regions of a patient, with the administered activity.
    wanted
        The nuclide whose doses are asked for. If it is not the measured one, each curve's physical decay is exchanged
        (`converted_curve`) and its relative uncertainty kept.

    Returns
    -------
    tuple
        Region to residence time, and what a record must say: what that of the fits says, and what is new.

    Raises
    ------
    InputError
        The fits lack the administered activity or do not name their nuclide, or a curve falls slower than its nuclide
        decays.
    UnknownNuclideError
        A nuclide is not in the decay dataset.
    """
    name = wanted.name if isinstance(wanted, Radionuclide) else Radionuclide(wanted).name
    measured = Radionuclide(fit_set.nuclide).name
    times = fit_set.residence_times_s()
    warnings = list(fit_set.record.warnings)
    warnings += [f"{region}: the fit has no uncertainty." for region, (_, std) in times.items() if std is None]
    if name == measured:
        return {region: ResidenceTime(value, std or 0.0) for region, (value, std) in times.items()}, warnings
    administered_bq = fit_set.administered_bq or math.nan
    found = {}
    seen_s = SEEN_HALF_LIVES * Radionuclide(measured).half_life_s
    for region, (value_s, std_s) in times.items():
        try:
            curve = converted_curve(fit_set[region].curve, measured, name)
        except InputError as error:
            raise InputError(f"Region '{region}' cannot be converted from {measured} to {name}: {error}") from error
        whole = curve.integral_bq_s()
        relative = 0.0 if std_s is None or value_s == 0 else std_s / value_s
        found[region] = ResidenceTime(whole / administered_bq, relative * whole / administered_bq)
        beyond = curve.integral_bq_s(seen_s) / whole if whole > 0 else 0.0
        if beyond > EXTRAPOLATED_WARNING:
            warnings.append(
                f"{region}: {100 * beyond:.0f} % of the {name} decays come later than {SEEN_HALF_LIVES:g} half-lives "
                f"of {measured}, where it cannot have been measured; the clearance there is extrapolated."
            )
    warnings.append(
        f"Residence times of {name} were converted from fits of {measured}: same molecule, same kinetics; the relative "
        "uncertainty is that of the fits and does not grow with the extrapolation."
    )
    return found, warnings


def converted_curve(curve: ActivityFunction, measured: str, wanted: str) -> ActivityFunction:
    """The same kinetics with another nuclide, per same administered activity.

    Exponentials get λ − λ₁ + λ₂; an uptake with physical tail gets the other decay; straight lines are drawn anew
    through their converted points, with a converted tail.

    Raises
    ------
    InputError
        The curve falls slower than the measured nuclide decays, or is of another kind.
    """
    if isinstance(curve, ExponentialSum):
        return ExponentialSum(curve.amplitudes_bq, converted_rates_per_s(curve.rates_per_s, measured, wanted))
    if isinstance(curve, GammaUptake):
        rate = converted_rates_per_s(curve.decay_constant_per_s, measured, wanted)
        return replace(curve, decay_constant_per_s=float(rate))
    if isinstance(curve, PiecewiseLinear):
        last_s = curve.times_s[-1:]
        start_bq = curve.activity_bq[-1] if curve.tail_start_bq is None else curve.tail_start_bq
        return PiecewiseLinear(
            curve.times_s,
            converted_activity_bq(curve.times_s, curve.activity_bq, measured, wanted),
            float(converted_rates_per_s(curve.tail_rate_per_s, measured, wanted)),
            float(converted_activity_bq(last_s, np.array([start_bq]), measured, wanted)[0]),
        )
    raise InputError(f"A curve of the kind {type(curve).__name__} has no conversion to another nuclide; fit another.")

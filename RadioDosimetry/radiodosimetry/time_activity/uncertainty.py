"""From volume to dose: every cause of uncertainty carried through the whole chain, and its share of the final variance.

The chain of the EANM guidance is volume → recovery coefficient → calibration → activity → fit → time-integrated
activity → S-value → dose. A cause that enters several links moves them together: a region drawn too large holds more
counts, asks for a smaller recovery correction and has a smaller S-value. Carrying each independent cause through all
links with its sign is what their covariances amount to, to first order.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ..errors import InputError
from .curve_fit import CurveFit

CAUSES = ("volume", "recovery", "calibration", "synthesis", "fit", "model", "s_value")
"""Independent causes, in the order of the chain."""

STAGES = ("volume", "recovery", "calibration", "activity", "time_integrated_activity", "s_value", "dose")
"""Quantities along the chain."""

FIRST_ORDER = 0.3
"""Relative standard uncertainty of the dose beyond which first-order propagation is only a guide."""


@dataclass(frozen=True)
class ChainInputs:
    """Independent relative standard uncertainties and how links depend on the volume.

    Attributes
    ----------
    volume
        Of the region's volume, as drawn once for all scans.
    recovery
        Of the recovery coefficient at a given volume (its fit).
    calibration
        Of the calibration factor.
    synthesis
        Of the time-integrated activity from scans that were never measured but synthesised from an earlier one.
    fit
        Of the time-integrated activity from what is each point's own (counts, noise): `CurveFit.tia_own_std_bq_s`.
    model
        Of the time-integrated activity from the choice of model.
    s_value
        Of the S-value at a given mass (statistics of its computation, phantom, spectrum).
    counts_by_volume
        d ln(counts in the region)/d ln(volume): 1 inside uniform activity, near 0 where all activity lies inside.
    recovery_by_volume
        d ln(recovery)/d ln(volume), not below zero; 0 where no recovery was applied.
    s_value_by_volume
        d ln(S)/d ln(volume): −1 for self-dose of electrons, about −2/3 for photons, 0 for cross-dose.

    Raises
    ------
    InputError
        An uncertainty is negative or not finite.
    """

    volume: float = 0.0
    recovery: float = 0.0
    calibration: float = 0.0
    synthesis: float = 0.0
    fit: float = 0.0
    model: float = 0.0
    s_value: float = 0.0
    counts_by_volume: float = 1.0
    recovery_by_volume: float = 0.0
    s_value_by_volume: float = -1.0

    def __post_init__(self) -> None:
        for name in CAUSES:
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise InputError(
                    f"The relative uncertainty of {name} must be a finite number, zero or more, found {value}."
                )
        for name in ("counts_by_volume", "recovery_by_volume", "s_value_by_volume"):
            if not math.isfinite(getattr(self, name)):
                raise InputError(f"{name} must be a finite number, found {getattr(self, name)}.")


@dataclass(frozen=True)
class DoseUncertainty:
    """Absorbed dose, its uncertainty and where that comes from.

    Attributes
    ----------
    dose_gy, dose_std_gy
        Absorbed dose and its standard uncertainty [Gy].
    stage_relative_std
        Relative standard uncertainty of each of `STAGES`.
    contributions
        Each cause's signed relative standard uncertainty of the dose.
    variance_shares
        Each cause's share of the variance of the dose; they add up to 1 (all zero if nothing is uncertain).
    correlation
        Between time-integrated activity and S-value, which share the volume; 0 where one is exact.
    warnings
        What to beware of.
    """

    dose_gy: float
    dose_std_gy: float
    stage_relative_std: Mapping[str, float]
    contributions: Mapping[str, float]
    variance_shares: Mapping[str, float]
    correlation: float
    warnings: tuple[str, ...] = ()

    @property
    def relative_std(self) -> float:
        """Relative standard uncertainty of the dose."""
        return self.stage_relative_std["dose"]


def dose_uncertainty(tia_bq_s: float, s_gy_per_bq_s: float, inputs: ChainInputs) -> DoseUncertainty:
    """Absorbed dose D = Ã·S with the uncertainty of the whole chain.

    Parameters
    ----------
    tia_bq_s
        Time-integrated activity [Bq s].
    s_gy_per_bq_s
        S-value for the region's mass [Gy/(Bq s)].
    inputs
        Uncertainties and dependencies on the volume.

    Returns
    -------
    DoseUncertainty
        To first order in each cause.

    Raises
    ------
    InputError
        Time-integrated activity or S-value are negative or not finite.

    References
    ----------
    .. [1] Gear et al., EANM practical guidance on uncertainty analysis for molecular radiotherapy absorbed dose
       calculations, Eur J Nucl Med Mol Imaging 45 (2018) 2456-2474, doi:10.1007/s00259-018-4136-7.
    .. [2] JCGM 100:2008, Guide to the expression of uncertainty in measurement, section 5.
    """
    for name, value in (("time-integrated activity", tia_bq_s), ("S-value", s_gy_per_bq_s)):
        if not (math.isfinite(value) and value >= 0):
            raise InputError(f"The {name} must be a finite number, zero or more, found {value}.")
    activity = _activity_contributions(inputs)
    integrated = {**activity, "synthesis": inputs.synthesis, "fit": inputs.fit, "model": inputs.model}
    s_value = {"volume": inputs.s_value_by_volume * inputs.volume, "s_value": inputs.s_value}
    dose = {cause: integrated.get(cause, 0.0) + s_value.get(cause, 0.0) for cause in CAUSES}
    stages = {
        "volume": inputs.volume,
        "recovery": math.hypot(inputs.recovery, inputs.recovery_by_volume * inputs.volume),
        "calibration": inputs.calibration,
        "activity": _root_sum_square(activity),
        "time_integrated_activity": _root_sum_square(integrated),
        "s_value": _root_sum_square(s_value),
        "dose": _root_sum_square(dose),
    }
    variance = stages["dose"] ** 2
    shares = {cause: (part**2 / variance if variance > 0 else 0.0) for cause, part in dose.items()}
    both = stages["time_integrated_activity"] * stages["s_value"]
    correlation = integrated["volume"] * s_value["volume"] / both if both > 0 else 0.0
    dose_gy = tia_bq_s * s_gy_per_bq_s
    warnings: tuple[str, ...] = ()
    if stages["dose"] > FIRST_ORDER:
        warnings = (
            f"The dose is uncertain by {100 * stages['dose']:.0f} %: beyond {100 * FIRST_ORDER:.0f} % the first-order "
            "propagation is only a guide.",
        )
    return DoseUncertainty(
        dose_gy,
        dose_gy * stages["dose"],
        MappingProxyType(stages),
        MappingProxyType(dose),
        MappingProxyType(shares),
        correlation,
        warnings,
    )


def chain_inputs_of(
    fit: CurveFit,
    *,
    s_value: float = 0.0,
    recovery_by_volume: float = 0.0,
    counts_by_volume: float = 1.0,
    s_value_by_volume: float = -1.0,
) -> ChainInputs:
    """The chain of the fit of a measured curve.

    Parameters
    ----------
    fit
        It knows what calibration, recovery, volume and synthesis make of its integral; the spread between averaged
        models, where there are several, is the uncertainty of the model.
    s_value, recovery_by_volume, counts_by_volume, s_value_by_volume
        As in `ChainInputs`.

    Raises
    ------
    InputError
        The fit's own uncertainty is not known (as many points as parameters and no stated uncertainties).
    """
    own = fit.tia_own_std_bq_s
    if own is None:
        raise InputError(
            f"The fit of region '{fit.region}' has no known uncertainty; state one for each point, or measure more "
            "points than the model has parameters."
        )
    parts = fit.shared_relative_std
    model = 0.0
    if fit.model_average is not None and fit.tia_bq_s > 0:
        model = abs(fit.model_average.tia_bq_s / fit.tia_bq_s - 1.0)
    return ChainInputs(
        volume=parts.get("volume", 0.0),
        recovery=parts.get("recovery", 0.0),
        calibration=parts.get("calibration", 0.0),
        synthesis=parts.get("synthesis", 0.0),
        fit=own / fit.tia_bq_s,
        model=model,
        s_value=s_value,
        counts_by_volume=counts_by_volume,
        recovery_by_volume=recovery_by_volume,
        s_value_by_volume=s_value_by_volume,
    )


def _activity_contributions(inputs: ChainInputs) -> dict[str, float]:
    """Of A = calibration · counts / recovery: each cause with its sign."""
    return {
        "volume": (inputs.counts_by_volume - inputs.recovery_by_volume) * inputs.volume,
        "recovery": -inputs.recovery,
        "calibration": inputs.calibration,
    }


def _root_sum_square(parts: Mapping[str, float]) -> float:
    return math.sqrt(sum(part**2 for part in parts.values()))

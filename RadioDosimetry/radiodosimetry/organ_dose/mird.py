"""The MIRD sum: absorbed doses of organs from residence times and S-values.

D(target) = Σ Ã(source) · S(target ← source). What the other sources leave of the body is one more source, whose
S-values follow from those of the total body: S(T ← remainder) = [m_TB S(T ← TB) − Σ m_S S(T ← S)] / (m_TB − Σ m_S).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, RegionError
from ..nuclides import Radionuclide
from ..provenance import Record
from ..units import SECONDS_PER_HOUR
from .organ_names import REMAINDER, organ_named
from .residence_times import ResidenceTime
from .s_value_table import SValueTable

TOTAL_BODY = "total_body"

ALPHA_RADIATION_WEIGHT = 20.0
"""Radiation weighting factor w_R of α particles (ICRP Publication 103, Ann ICRP 37(2-4), 2007, Table 2); that of
photons, electrons and positrons is 1."""

LEAST_REMAINDER_SHARE = 1e-6
"""Share of the body that must be left for a remainder to make sense."""


@dataclass(frozen=True, eq=False)
class OrganDoseTable:
    """Absorbed doses of organs per administered activity, with what each source gives.

    Attributes
    ----------
    targets, sources
        Names; the sources are those with a residence time, in the order given.
    contributions_gy_per_bq
        Absorbed dose of each target from each source per administered activity [Gy/Bq], shape (targets, sources).
    std_gy_per_bq
        Standard uncertainty of each target's dose from the residence times' and the S-values' [Gy/Bq], (targets,).
    alpha_contributions_gy_per_bq
        The part α particles give, (targets, sources); None where the S-values do not tell it apart.
    residence_times
        Source to residence time.
    administered_bq
        Administered activity [Bq]; None if it was not given.
    nuclide
        Canonical name.
    record
        How the table came to be.
    """

    targets: tuple[str, ...]
    sources: tuple[str, ...]
    contributions_gy_per_bq: NDArray[np.float64]
    std_gy_per_bq: NDArray[np.float64]
    alpha_contributions_gy_per_bq: NDArray[np.float64] | None
    residence_times: Mapping[str, ResidenceTime]
    administered_bq: float | None
    nuclide: str
    record: Record

    @property
    def dose_gy_per_bq(self) -> NDArray[np.float64]:
        """Absorbed dose of each target per administered activity [Gy/Bq], shape (targets,)."""
        return self.contributions_gy_per_bq.sum(axis=1)

    @property
    def dose_gy(self) -> NDArray[np.float64] | None:
        """Absorbed dose of each target [Gy], shape (targets,); None without an administered activity."""
        return None if self.administered_bq is None else self.dose_gy_per_bq * self.administered_bq

    @property
    def largest_sources(self) -> tuple[str, ...]:
        """For each target the source that gives most; empty where none gives anything."""
        largest = self.contributions_gy_per_bq.argmax(axis=1)
        return tuple(
            self.sources[column] if self.contributions_gy_per_bq[row, column] > 0 else ""
            for row, column in enumerate(largest)
        )

    def dose_of(self, target: str) -> float:
        """Absorbed dose of one target per administered activity [Gy/Bq].

        Raises
        ------
        RegionError
            There is no such target.
        """
        name = organ_named(target, self.targets, "target of the organ doses")
        return float(self.dose_gy_per_bq[self.targets.index(name)])

    def weighted_dose_gy_per_bq(self, alpha_weight: float) -> NDArray[np.float64]:
        """Dose with that of α particles times a weight, per administered activity [Gy/Bq of weighted dose], (targets,).

        Parameters
        ----------
        alpha_weight
            Relative biological effectiveness of the α particles for the effect asked for (a result in Gy of
            RBE-weighted dose), or `ALPHA_RADIATION_WEIGHT` (a result in Sv). Everything else has the weight 1.

        Raises
        ------
        InputError
            The weight is not positive, or the S-values do not tell what α particles give.
        """
        if not (math.isfinite(alpha_weight) and alpha_weight > 0):
            raise InputError(f"The weight of alpha particles must be a number above zero, found {alpha_weight}.")
        if self.alpha_contributions_gy_per_bq is None:
            raise InputError(
                f"The S-values of {self.nuclide} do not tell what its alpha particles give, so that they cannot be "
                "weighted; use S-values computed here."
            )
        return self.dose_gy_per_bq + (alpha_weight - 1.0) * self.alpha_contributions_gy_per_bq.sum(axis=1)


def organ_doses(
    residence_times: Mapping[str, ResidenceTime],
    s_values: SValueTable,
    administered_bq: float | None = None,
    common_relative_std: float = 0.0,
) -> OrganDoseTable:
    """Absorbed doses of all targets of an S-value table.

    Parameters
    ----------
    residence_times
        Source to its residence time. Spellings as `organ_named`; `remainder_of_body` is the body without the other
        sources.
    s_values
        S-values of the nuclide.
    administered_bq
        Administered activity [Bq], for doses in Gy.
    common_relative_std
        Part of the residence times' relative standard uncertainties that is the same error in all of them, such as
        that of the calibration: it adds up over the sources, where the rest adds in quadrature.

    Returns
    -------
    OrganDoseTable
        Doses, their uncertainty and the sources' shares. The uncertainty takes S-values, and what the residence times
        do not share, as independent of each other.

    Raises
    ------
    RegionError
        A source the table has not (the text offers the nearest), or one that is named twice.
    InputError
        No source, an administered activity that is not positive, a common uncertainty below zero, or a remainder
        without the masses it needs.

    References
    ----------
    .. [1] Bolch et al., MIRD Pamphlet No. 21, J Nucl Med 50 (2009) 477-484, doi:10.2967/jnumed.108.056036.
    """
    if administered_bq is not None and not (math.isfinite(administered_bq) and administered_bq > 0):
        raise InputError(f"The administered activity must be above 0 Bq, found {administered_bq:g}; correct it.")
    if not (math.isfinite(common_relative_std) and common_relative_std >= 0):
        raise InputError(f"The common relative uncertainty must be zero or more, found {common_relative_std}.")
    times = _times_by_source(residence_times, s_values)
    sources = tuple(times)
    columns = _columns_of(sources, s_values)
    seconds = np.array([times[name].value_s for name in sources])
    stds_s = np.array([times[name].std_s for name in sources])
    contributions = columns.s * seconds
    own_variance_s2 = np.maximum(stds_s**2 - (common_relative_std * seconds) ** 2, 0.0)
    variance = (columns.s**2 * own_variance_s2 + columns.std**2 * seconds**2).sum(axis=1)
    variance += (common_relative_std * contributions.sum(axis=1)) ** 2
    record = Record(
        "organ absorbed doses by the MIRD sum",
        parameters={
            "nuclide": s_values.nuclide,
            "administered_bq": administered_bq,
            "residence_times_s": {name: time.value_s for name, time in times.items()},
            "residence_time_stds_s": {name: time.std_s for name, time in times.items()},
            "common_relative_std": common_relative_std,
            "s_values": s_values.record.as_dict(),
        },
        inputs=s_values.record.inputs,
        datasets=s_values.record.datasets,
        warnings=(*s_values.record.warnings, *columns.warnings, *_warnings(times, s_values)),
    )
    return OrganDoseTable(
        s_values.targets,
        sources,
        contributions,
        np.sqrt(variance),
        None if columns.alpha is None else columns.alpha * seconds,
        times,
        administered_bq,
        s_values.nuclide,
        record,
    )


def remainder_column(
    values: NDArray[np.float64], total_body: int, others: Sequence[int], body_g: float, masses_g: Sequence[float]
) -> NDArray[np.float64]:
    """S(T ← remainder of the body) of every target, not kept from being negative.

    Parameters
    ----------
    values
        S-values, shape (targets, sources), any unit.
    total_body, others
        Column of the total body and of the sources it is to be freed from.
    body_g, masses_g
        Mass of the body and of those sources [g].

    Returns
    -------
    ndarray
        Shape (targets,), unit of `values`.

    References
    ----------
    .. [1] Cloutier, Watson, Rohrer and Smith, Calculating the radiation dose to an organ, J Nucl Med 14 (1973) 53-55.
    """
    weights = np.asarray(masses_g, dtype=np.float64)
    left_g = body_g - float(weights.sum())
    return (body_g * values[:, total_body] - values[:, list(others)] @ weights) / left_g


@dataclass(frozen=True, eq=False)
class _Columns:
    """S-values of the sources asked for, the remainder among them, and what to say about them."""

    s: NDArray[np.float64]
    std: NDArray[np.float64]
    alpha: NDArray[np.float64] | None
    warnings: tuple[str, ...]


def _times_by_source(residence_times: Mapping[str, ResidenceTime], s_values: SValueTable) -> dict[str, ResidenceTime]:
    """Residence times by the table's own names of the sources."""
    if not residence_times:
        raise InputError("There is no residence time; give at least one source organ.")
    known = {*s_values.sources, *((REMAINDER,) if TOTAL_BODY in s_values.sources else ())}
    found: dict[str, ResidenceTime] = {}
    for written, time in residence_times.items():
        name = organ_named(written, known, f"source organ of the S-values of {s_values.nuclide}")
        if name in found:
            raise RegionError(f"Source organ {name} is given twice ('{written}' is another name of it); add them up.")
        found[name] = time
    return found


def _columns_of(sources: Sequence[str], s_values: SValueTable) -> _Columns:
    picked = [s_values.sources.index(name) if name != REMAINDER else 0 for name in sources]
    s = s_values.s_gy_per_bq_s[:, picked].copy()
    std = s_values.std_gy_per_bq_s[:, picked].copy()
    alpha = None if s_values.alpha_gy_per_bq_s is None else s_values.alpha_gy_per_bq_s[:, picked].copy()
    if REMAINDER not in sources:
        return _Columns(s, std, alpha, ())
    place = list(sources).index(REMAINDER)
    body, others, body_g, masses_g = _parts_of_body(sources, s_values)
    plain = remainder_column(s_values.s_gy_per_bq_s, body, others, body_g, masses_g)
    # A lesion gets nothing from the body by definition: there is no S-value to be wrong.
    known = s_values.s_gy_per_bq_s[:, body] > 0
    negative = [target for target, value, has in zip(s_values.targets, plain, known, strict=True) if has and value < 0]
    s[:, place] = np.maximum(plain, 0.0)
    left_g = body_g - sum(masses_g)
    weights = np.array([body_g, *masses_g]) / left_g
    std[:, place] = np.sqrt((s_values.std_gy_per_bq_s[:, [body, *others]] ** 2) @ weights**2)
    if alpha is not None and s_values.alpha_gy_per_bq_s is not None:
        freed = remainder_column(s_values.alpha_gy_per_bq_s, body, others, body_g, masses_g)
        alpha[:, place] = np.clip(freed, 0.0, s[:, place])
    warnings: tuple[str, ...] = ()
    if negative:
        warnings = (
            f"The S-value from the remainder of the body is below zero and counts as 0 for {', '.join(negative)}: the "
            "other sources, as tabulated, give these targets more than the total body does.",
        )
    return _Columns(s, std, alpha, warnings)


def _parts_of_body(sources: Sequence[str], s_values: SValueTable) -> tuple[int, list[int], float, list[float]]:
    """Column of the total body, columns of the other sources, and their masses [g]."""
    if TOTAL_BODY in sources:
        raise InputError("Both the total body and its remainder are sources; give one of them.")
    others = [name for name in sources if name != REMAINDER]
    unknown = [name for name in (TOTAL_BODY, *others) if name not in s_values.source_masses_g]
    if unknown:
        raise InputError(
            f"The remainder of the body needs the masses that the S-values hold for, found none of "
            f"{', '.join(unknown)}; give the S-value file its sidecar with source_masses_g, or leave the remainder out."
        )
    body_g = s_values.source_masses_g[TOTAL_BODY]
    masses_g = [s_values.source_masses_g[name] for name in others]
    if body_g - sum(masses_g) < LEAST_REMAINDER_SHARE * body_g:
        raise InputError(
            f"The source organs weigh {sum(masses_g):.0f} g and the body {body_g:.0f} g: nothing is left for the "
            "remainder of the body; leave it out or correct the masses."
        )
    return s_values.sources.index(TOTAL_BODY), [s_values.sources.index(name) for name in others], body_g, masses_g


def _warnings(times: Mapping[str, ResidenceTime], s_values: SValueTable) -> list[str]:
    """What the reader of the doses must know about the residence times."""
    found = []
    total_s = sum(time.value_s for time in times.values())
    most_s = 1.0 / Radionuclide(s_values.nuclide).decay_constant_per_s
    if total_s > most_s * (1 + 1e-9):
        found.append(
            f"The residence times add up to {total_s / SECONDS_PER_HOUR:.4g} h, more than the "
            f"{most_s / SECONDS_PER_HOUR:.4g} h that all administered {s_values.nuclide} could give without leaving "
            "the body; check units and sources that overlap."
        )
    exact = [name for name, time in times.items() if time.std_s == 0 < time.value_s]
    if exact:
        found.append(
            f"The residence times of {', '.join(exact)} come without uncertainty: their part is missing in the doses' "
            "standard deviations."
        )
    if TOTAL_BODY in times and len(times) > 1:
        found.append(
            "The total body is a source beside organs that are part of it, so that their activity counts twice unless "
            "it was taken out; remainder_of_body is the source for what the organs leave."
        )
    elif REMAINDER not in times and TOTAL_BODY not in times:
        found.append("No remainder of the body is among the sources: what it holds gives no dose here.")
    return found

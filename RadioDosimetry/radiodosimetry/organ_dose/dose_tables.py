"""Organ doses as text: the table, what each source gives, and the lines for a terminal."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

from .effective_dose import EffectiveDose
from .mird import OrganDoseTable

ORGAN_DOSE_COLUMNS = ("target", "absorbed_dose_mgy_per_mbq", "std", "largest_source", "absorbed_dose_gy")
"""Columns of an organ-dose table; `std` in mGy/MBq, `absorbed_dose_gy` empty without an administered activity."""

CONTRIBUTION_COLUMNS = ("target", "source", "absorbed_dose_mgy_per_mbq", "share")
"""Columns of the table of contributions; `share` is of the target's dose."""

ALPHA_COLUMN = "alpha_weighted_dose_mgy_per_mbq"
"""Column that a weight of α particles adds: absorbed dose with that of α particles times the weight."""

BED_COLUMN = "bed_gy"
"""Column that radiobiology adds; empty where a target has none."""

MGY_PER_MBQ_PER_GY_PER_BQ = 1e9
"""1 Gy/Bq = 1e9 mGy/MBq."""


def organ_dose_csv(
    doses: OrganDoseTable, alpha_weight: float | None = None, bed_gy: Mapping[str, float] | None = None
) -> str:
    """Organ doses as CSV text with the columns `ORGAN_DOSE_COLUMNS`, a row for each target.

    Parameters
    ----------
    doses
        The doses.
    alpha_weight
        Weight of α particles; adds `ALPHA_COLUMN`.
    bed_gy
        Target to its biologically effective dose [Gy]; adds `BED_COLUMN`.

    Raises
    ------
    InputError
        α particles cannot be weighted; see `OrganDoseTable.weighted_dose_gy_per_bq`.
    """
    header: list[str] = list(ORGAN_DOSE_COLUMNS)
    further: list[Sequence[str]] = []
    if alpha_weight is not None:
        header.append(ALPHA_COLUMN)
        further.append(
            [_number(value * MGY_PER_MBQ_PER_GY_PER_BQ) for value in doses.weighted_dose_gy_per_bq(alpha_weight)]
        )
    if bed_gy is not None:
        header.append(BED_COLUMN)
        further.append([_number(bed_gy[target]) if target in bed_gy else "" for target in doses.targets])
    dose_gy = doses.dose_gy
    rows = []
    for row, target in enumerate(doses.targets):
        cells = [
            target,
            _number(doses.dose_gy_per_bq[row] * MGY_PER_MBQ_PER_GY_PER_BQ),
            f"{doses.std_gy_per_bq[row] * MGY_PER_MBQ_PER_GY_PER_BQ:.3g}",
            doses.largest_sources[row],
            "" if dose_gy is None else _number(dose_gy[row]),
        ]
        rows.append([*cells, *(column[row] for column in further)])
    return _csv([header, *rows])


def contributions_csv(doses: OrganDoseTable) -> str:
    """What each source gives each target, as CSV text with the columns `CONTRIBUTION_COLUMNS`."""
    rows: list[Sequence[str]] = [CONTRIBUTION_COLUMNS]
    whole = doses.dose_gy_per_bq
    for row, target in enumerate(doses.targets):
        for column, source in enumerate(doses.sources):
            value = doses.contributions_gy_per_bq[row, column]
            share = value / whole[row] if whole[row] > 0 else 0.0
            rows.append([target, source, _number(value * MGY_PER_MBQ_PER_GY_PER_BQ), f"{share:.6g}"])
    return _csv(rows)


def effective_dose_text(found: EffectiveDose) -> str:
    """Effective dose, its surrogates and flags, one per line."""
    value = f"effective dose (ICRP 103): {found.value_sv_per_bq * MGY_PER_MBQ_PER_GY_PER_BQ:.4g} mSv/MBq"
    if found.value_sv is not None:
        value += f", {found.value_sv * 1e3:.4g} mSv"
    lines = [value, f"  with {'; '.join(found.surrogates)}", *(f"  ! {flag}" for flag in found.flags)]
    return "\n".join(lines) + "\n"


def effective_dose_values(found: EffectiveDose) -> dict[str, object]:
    """Effective dose for a record [mSv/MBq and mSv]."""
    return {
        "value_msv_per_mbq": found.value_sv_per_bq * MGY_PER_MBQ_PER_GY_PER_BQ,
        "value_msv": None if found.value_sv is None else found.value_sv * 1e3,
        "equivalent_dose_msv_per_mbq": {
            tissue: dose * MGY_PER_MBQ_PER_GY_PER_BQ for tissue, dose in found.equivalent_dose_sv_per_bq.items()
        },
        "surrogates": list(found.surrogates),
        "flags": list(found.flags),
    }


def _number(value: float) -> str:
    return f"{value:.7g}"


def _csv(rows: Sequence[Sequence[str]]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()

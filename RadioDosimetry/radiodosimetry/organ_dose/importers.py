"""S-values of others: tables as users have them, read with their unit, and compared side by side with ours.

Two forms are understood: one line per pair (our own CSV), and a matrix with targets as rows and sources as columns, as
OLINDA/EXM prints and exports them. No such table comes with this package.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from ..errors import FileFormatError, InputError, RegionError, UnitError
from ..nuclides import Radionuclide
from ..provenance import Record, file_identity
from .organ_names import organ_named, plain_name
from .s_value_table import GY_PER_BQ_S_PER_MGY_PER_MBQ_S, S_VALUE_COLUMNS, SValueTable, read_s_values

_BQ_S_PER_MICROCURIE_HOUR = 3.7e4 * 3600.0

S_VALUE_UNITS: Mapping[str, float] = MappingProxyType(
    {
        "Gy/(Bq s)": 1.0,
        "mGy/(MBq s)": GY_PER_BQ_S_PER_MGY_PER_MBQ_S,
        "mGy/(MBq h)": GY_PER_BQ_S_PER_MGY_PER_MBQ_S / 3600.0,
        "Gy/(GBq h)": 1e-9 / 3600.0,
        "rad/(uCi h)": 0.01 / _BQ_S_PER_MICROCURIE_HOUR,
    }
)
"""Units of an S-value to what a number in them is multiplied with to be in Gy/(Bq s)."""

OLINDA_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "gb_cont": "gallbladder_contents",
        "gb_contents": "gallbladder_contents",
        "gb_wall": "gallbladder_wall",
        "lli_cont": "lli_contents",
        "si_cont": "small_intestine_contents",
        "sm_int": "small_intestine",
        "sm_intestine": "small_intestine",
        "stom_cont": "stomach_contents",
        "stomcont": "stomach_contents",
        "stom_wall": "stomach_wall",
        "uli_cont": "uli_contents",
        "heartcon": "heart_contents",
        "heart_cont": "heart_contents",
        "hrt_cont": "heart_contents",
        "hrt_wall": "heart_wall",
        "red_mar": "red_marrow",
        "cortbone": "cortical_bone",
        "cort_bone": "cortical_bone",
        "trabbone": "trabecular_bone",
        "trab_bone": "trabecular_bone",
        "osteogenicc": "osteogenic_cells",
        "osteogenic": "osteogenic_cells",
        "ub_cont": "bladder_contents",
        "ub_wall": "urinary_bladder_wall",
        "bladder_cont": "bladder_contents",
        "tot_body": "total_body",
    }
)
"""Short names of OLINDA/EXM 1.x, as `plain_name` writes them, to ours."""

_UNIT_IN_TEXT = re.compile(
    r"(m?gy|rad)\s*/\s*\(?\s*([mgkµuμ]?(?:bq|ci))[\s\-·.*]*(s|h|sec|hr?)\b\.?\s*\)?", re.IGNORECASE
)


@dataclass(frozen=True)
class SValuePair:
    """One pair in two tables.

    Attributes
    ----------
    target, source
        Names in our table.
    ours_gy_per_bq_s, ours_std_gy_per_bq_s, theirs_gy_per_bq_s, theirs_std_gy_per_bq_s
        S-values and their standard uncertainties [Gy/(Bq s)].
    ratio
        Ours over theirs; NaN where theirs is 0.
    """

    target: str
    source: str
    ours_gy_per_bq_s: float
    ours_std_gy_per_bq_s: float
    theirs_gy_per_bq_s: float
    theirs_std_gy_per_bq_s: float

    @property
    def ratio(self) -> float:
        """Ours over theirs; NaN where theirs is 0."""
        return self.ours_gy_per_bq_s / self.theirs_gy_per_bq_s if self.theirs_gy_per_bq_s > 0 else math.nan


@dataclass(frozen=True)
class SValueComparison:
    """Two S-value tables side by side.

    Attributes
    ----------
    nuclide
        Of both.
    pairs
        The pairs both have.
    unmatched
        Targets and sources that only one of the tables has: "ours: target skin", "theirs: source cortical_bone".
    """

    nuclide: str
    pairs: tuple[SValuePair, ...]
    unmatched: tuple[str, ...]

    @property
    def ratios(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Ratios ours over theirs of the pairs where both are above 0."""
        return np.array([p.ratio for p in self.pairs if p.theirs_gy_per_bq_s > 0 and p.ours_gy_per_bq_s > 0])

    @property
    def median_ratio(self) -> float:
        """Median of the ratios; NaN without any."""
        return float(np.median(self.ratios)) if self.ratios.size else math.nan

    def share_within(self, tolerance: float) -> float:
        """Share of the ratios that differ from one by at most `tolerance`."""
        return float(np.mean(np.abs(self.ratios - 1.0) <= tolerance)) if self.ratios.size else math.nan


COMPARISON_COLUMNS = (
    "target",
    "source",
    "ours_mgy_per_mbq_s",
    "ours_std",
    "theirs_mgy_per_mbq_s",
    "theirs_std",
    "ratio",
)
"""Columns of a comparison file; all S-values and standard deviations in mGy/(MBq s)."""


def read_s_value_table(path: Path, nuclide: str | None = None, unit: str | None = None) -> SValueTable:
    """S-values from a user's file: one line per pair, or a matrix.

    Parameters
    ----------
    path
        UTF-8 text, commas, semicolons or tabs. Either columns `target,source,s_mgy_per_mbq_s[,std]`; or a first line
        of source names after one cell of any text, and then one line for each target: its name and a number for each
        source. Lines that begin with # are comments.
    nuclide
        The nuclide; needed for a matrix, and where no sidecar names it.
    unit
        Unit of a matrix, one of `S_VALUE_UNITS`. If None, a comment line or the first cell must state it ("mGy/MBq-s"
        is understood).

    Returns
    -------
    SValueTable
        Names in lower snake case, short names of OLINDA written out. Uncertainties that the file lacks are 0, and the
        record says so.

    Raises
    ------
    FileFormatError
        The file is missing or not such a table; the text names the line.
    UnitError
        The unit of a matrix is unknown or stated nowhere, or one is given for a file that names its own.
    InputError, UnknownNuclideError
        The nuclide is unknown, or nothing names it.
    """
    path = Path(path)
    comments, rows = _rows_of(path)
    header = [cell.strip().lower() for cell in rows[0][1]]
    if set(S_VALUE_COLUMNS[:2]) <= set(header):
        if unit not in (None, "mGy/(MBq s)"):
            raise UnitError(
                f"'{path.name}' has one line per pair, whose column {S_VALUE_COLUMNS[2]} names its unit; leave out "
                f"the unit {unit}."
            )
        return read_s_values(path, nuclide)
    if nuclide is None:
        raise InputError(f"A matrix of S-values does not say its nuclide; name the nuclide of '{path.name}'.")
    name = Radionuclide(nuclide).name
    unit = unit or _unit_in(" ".join([*comments, rows[0][1][0]]))
    if unit is None or unit not in S_VALUE_UNITS:
        found = "no unit" if unit is None else f"the unit '{unit}'"
        raise UnitError(f"Found {found} of the S-values in '{path.name}'; expected one of: {', '.join(S_VALUE_UNITS)}.")
    return _matrix(path, rows, name, unit)


def compare_s_values(ours: SValueTable, theirs: SValueTable) -> SValueComparison:
    """Two tables side by side, pair by pair.

    Parameters
    ----------
    ours, theirs
        Tables of one nuclide. Organs are matched by name (`organ_named`).

    Returns
    -------
    SValueComparison
        Pairs both have in the order of ours, and what only one of them has.

    Raises
    ------
    InputError
        The tables are of different nuclides, or have no pair in common.
    """
    if ours.nuclide != theirs.nuclide:
        raise InputError(
            f"S-values of {ours.nuclide} cannot be compared with those of {theirs.nuclide}; give tables of one nuclide."
        )
    targets, lonely_targets = _matched(ours.targets, theirs.targets, "target")
    sources, lonely_sources = _matched(ours.sources, theirs.sources, "source")
    pairs = []
    for target, their_target in targets.items():
        for source, their_source in sources.items():
            mine = ours.targets.index(target), ours.sources.index(source)
            other = theirs.targets.index(their_target), theirs.sources.index(their_source)
            pairs.append(
                SValuePair(
                    target,
                    source,
                    float(ours.s_gy_per_bq_s[mine]),
                    float(ours.std_gy_per_bq_s[mine]),
                    float(theirs.s_gy_per_bq_s[other]),
                    float(theirs.std_gy_per_bq_s[other]),
                )
            )
    if not pairs:
        raise InputError(
            f"The two S-value tables have no pair in common: targets {', '.join(ours.targets[:4])}, … against "
            f"{', '.join(theirs.targets[:4])}, …; give both the same names."
        )
    return SValueComparison(ours.nuclide, tuple(pairs), (*lonely_targets, *lonely_sources))


def comparison_csv(comparison: SValueComparison) -> str:
    """A comparison as CSV text with the columns `COMPARISON_COLUMNS`; the ratio is empty where theirs is 0."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COMPARISON_COLUMNS)
    for pair in comparison.pairs:
        values = (
            pair.ours_gy_per_bq_s,
            pair.ours_std_gy_per_bq_s,
            pair.theirs_gy_per_bq_s,
            pair.theirs_std_gy_per_bq_s,
        )
        numbers = [f"{value / GY_PER_BQ_S_PER_MGY_PER_MBQ_S:.6g}" for value in values]
        writer.writerow([pair.target, pair.source, *numbers, "" if math.isnan(pair.ratio) else f"{pair.ratio:.5g}"])
    return stream.getvalue()


def _rows_of(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Comment lines, and the rows with their line numbers; at least two rows."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FileFormatError(
            f"The S-value table '{path}' cannot be read ({error}); give a UTF-8 text file."
        ) from error
    comments = [line for line in lines if line.lstrip().startswith("#")]
    kept = [
        (number, line) for number, line in enumerate(lines, 1) if line.strip() and not line.lstrip().startswith("#")
    ]
    if len(kept) < 2:
        raise FileFormatError(
            f"The S-value table '{path.name}' has {len(kept)} lines; expected a header and one line for each target."
        )
    first = kept[0][1]
    separator = max(",;\t", key=first.count)
    rows = csv.reader((line for _, line in kept), delimiter=separator, skipinitialspace=True)
    return comments, [(number, row) for (number, _), row in zip(kept, rows, strict=False)]


def _unit_in(text: str) -> str | None:
    """The unit that a text states in one of the usual spellings, None without one."""
    found = _UNIT_IN_TEXT.search(text)
    if found is None:
        return None
    dose, activity, time = (part.lower() for part in found.groups())
    dose = {"gy": "Gy", "mgy": "mGy", "rad": "rad"}[dose]
    prefix = activity[:-2].replace("µ", "u").replace("μ", "u")
    activity = {"": "", "m": "M", "g": "G", "k": "k", "u": "u"}[prefix] + {"bq": "Bq", "ci": "Ci"}[activity[-2:]]
    return f"{dose}/({activity} {time[0]})"


def _matrix(path: Path, rows: Sequence[tuple[int, list[str]]], nuclide: str, unit: str) -> SValueTable:
    """The table of a matrix file."""
    sources = [_organ_name(cell) for cell in rows[0][1][1:]]
    while sources and not sources[-1]:
        sources.pop()
    targets: list[str] = []
    values = np.zeros((len(rows) - 1, len(sources)))
    for index, (number, row) in enumerate(rows[1:]):
        where = f"Line {number} of the S-value table '{path.name}'"
        cells = [cell.strip() for cell in row]
        if any(cells[len(sources) + 1 :]) or len(cells) < len(sources) + 1:
            raise FileFormatError(
                f"{where} has {len(cells) - 1} values, expected one for each of {len(sources)} sources."
            )
        targets.append(_organ_name(cells[0]))
        for column, text in enumerate(cells[1 : len(sources) + 1]):
            values[index, column] = _number(text, where, sources[column])
    for what, names in (("target", targets), ("source", sources)):
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated or not all(names) or not names:
            found = f"{what} {repeated[0]} twice" if repeated else f"a {what} without a name"
            raise FileFormatError(
                f"The S-value table '{path.name}' has {found}; expected each {what} once, with a name."
            )
    record = Record(
        "S-values read from a matrix",
        parameters={"nuclide": nuclide, "unit": unit},
        inputs={"s_values": file_identity(path)},
        datasets={"S-values": f"user's table {path.name}"},
    ).with_warnings(f"The S-values of '{path.name}' come without uncertainties; these count as 0.")
    s_values = values * S_VALUE_UNITS[unit]
    return SValueTable(tuple(targets), tuple(sources), s_values, np.zeros_like(s_values), nuclide, record)


def _organ_name(text: str) -> str:
    """A name as tables here write it, short names of OLINDA written out."""
    name = plain_name(re.sub(r"[.,()]", " ", text)).strip("_")
    return OLINDA_NAMES.get(name, name)


def _number(text: str, where: str, source: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise FileFormatError(f"{where}: the S-value from {source} is '{text}', expected a number of at least 0.")
    return value


def _matched(ours: Sequence[str], theirs: Sequence[str], what: str) -> tuple[dict[str, str], list[str]]:
    """Our name to theirs, and the names without a partner."""
    partners: dict[str, str] = {}
    lonely = []
    for name in ours:
        try:
            partners[name] = organ_named(name, theirs, what)
        except RegionError:
            lonely.append(f"ours: {what} {name}")
    taken = set(partners.values())
    return partners, lonely + [f"theirs: {what} {name}" for name in theirs if name not in taken]

"""`SValueTable`: mean absorbed dose of each target per decay in each source, and its file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FileFormatError, InputError
from ..images.sidecar import sidecar_path
from ..nuclides import Radionuclide
from ..provenance import Record, file_identity, to_json
from .csv_rows import number_of, rows_of_csv
from .organ_names import organ_named, plain_name

S_VALUE_COLUMNS = ("target", "source", "s_mgy_per_mbq_s", "std")
"""Columns of an S-value file; `std` is the standard deviation in the unit of the S-value."""

GY_PER_BQ_S_PER_MGY_PER_MBQ_S = 1e-9
"""1 mGy/(MBq s) = 1e-9 Gy/(Bq s)."""

_ALPHA_SLACK = 1e-9


@dataclass(frozen=True, eq=False)
class SValueTable:
    """S-values of one nuclide: mean absorbed dose of a target per decay in a source.

    Attributes
    ----------
    targets, sources
        Names of the rows and columns.
    s_gy_per_bq_s
        S-values [Gy/(Bq s)], shape (targets, sources), finite and not negative. Read-only.
    std_gy_per_bq_s
        Their statistical standard deviation [Gy/(Bq s)], same shape. Read-only.
    nuclide
        Canonical name of the nuclide whose decays are counted; its short-lived progeny decays with it.
    record
        How the table came to be.
    alpha_gy_per_bq_s
        The part of the S-values that α particles give [Gy/(Bq s)], same shape; None where the table does not tell it
        apart. Read-only.
    source_masses_g
        Masses of source organs [g] that the S-values hold for; needed for the remainder of the body.

    Raises
    ------
    InputError
        Names that repeat, arrays of another shape, or values that are negative or not finite.
    """

    targets: tuple[str, ...]
    sources: tuple[str, ...]
    s_gy_per_bq_s: NDArray[np.float64]
    std_gy_per_bq_s: NDArray[np.float64]
    nuclide: str
    record: Record
    alpha_gy_per_bq_s: NDArray[np.float64] | None = None
    source_masses_g: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for what, names in (("target", self.targets), ("source", self.sources)):
            repeated = sorted({name for name in names if names.count(name) > 1})
            if repeated or not names:
                found = f"{', '.join(repeated)} more than once" if repeated else "none"
                raise InputError(f"An S-value table needs {what}s with different names, found {found}.")
        shape = (len(self.targets), len(self.sources))
        for name in ("s_gy_per_bq_s", "std_gy_per_bq_s", "alpha_gy_per_bq_s"):
            values = getattr(self, name)
            if values is None:
                continue
            array = np.array(values, dtype=np.float64)
            if array.shape != shape:
                raise InputError(f"{name} must have the shape (targets, sources) {shape}, found {array.shape}.")
            if not np.isfinite(array).all() or (array < 0).any():
                raise InputError(f"{name} must be finite and not negative; correct the table.")
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        if self.alpha_gy_per_bq_s is not None:
            limit = self.s_gy_per_bq_s * (1 + _ALPHA_SLACK)
            if (self.alpha_gy_per_bq_s > limit).any():
                raise InputError("The part of alpha particles in an S-value cannot be more than the whole.")
        object.__setattr__(self, "targets", tuple(self.targets))
        object.__setattr__(self, "sources", tuple(self.sources))
        object.__setattr__(self, "source_masses_g", MappingProxyType(dict(self.source_masses_g)))

    def value(self, target: str, source: str) -> float:
        """S(target ← source) [Gy/(Bq s)]; see `organ_named` for spellings.

        Raises
        ------
        RegionError
            The table has no such target or source.
        """
        return float(self.s_gy_per_bq_s[self.index(target, source)])

    def std(self, target: str, source: str) -> float:
        """Statistical standard deviation of S(target ← source) [Gy/(Bq s)]."""
        return float(self.std_gy_per_bq_s[self.index(target, source)])

    def index(self, target: str, source: str) -> tuple[int, int]:
        """Row and column of a pair.

        Raises
        ------
        RegionError
            The table has no such target or source; the text offers the nearest.
        """
        row = self.targets.index(organ_named(target, self.targets, "target of the S-value table"))
        return row, self.sources.index(organ_named(source, self.sources, "source of the S-value table"))


def s_values_csv(table: SValueTable) -> str:
    """The table as CSV text with the columns `S_VALUE_COLUMNS` [mGy/(MBq s)], target by target."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(S_VALUE_COLUMNS)
    values = table.s_gy_per_bq_s / GY_PER_BQ_S_PER_MGY_PER_MBQ_S
    stds = table.std_gy_per_bq_s / GY_PER_BQ_S_PER_MGY_PER_MBQ_S
    for row, target in enumerate(table.targets):
        for column, source in enumerate(table.sources):
            writer.writerow([target, source, f"{values[row, column]:.7g}", f"{stds[row, column]:.3g}"])
    return stream.getvalue()


def s_values_record_json(table: SValueTable) -> str:
    """The sidecar of an S-value file: quantity, unit, nuclide, masses, the part of α particles if any, and record."""
    values: dict[str, Any] = {
        "quantity": "s_value",
        "unit": "mGy/(MBq s)",
        "nuclide": table.nuclide,
        "source_masses_g": dict(table.source_masses_g),
    }
    if table.alpha_gy_per_bq_s is not None and table.alpha_gy_per_bq_s.any():
        alphas = table.alpha_gy_per_bq_s / GY_PER_BQ_S_PER_MGY_PER_MBQ_S
        values["alpha_s_mgy_per_mbq_s"] = {
            target: dict(zip(table.sources, map(float, row), strict=True))
            for target, row in zip(table.targets, alphas, strict=True)
        }
    return to_json(values | table.record.as_dict())


def read_s_values(path: Path, nuclide: str | None = None) -> SValueTable:
    """An S-value table from a file that `s_values_csv` wrote, or any with the same columns.

    Parameters
    ----------
    path
        CSV with the columns `S_VALUE_COLUMNS` [mGy/(MBq s)]; `std` may be absent or empty (then 0, with a warning in
        the record). Every pair of a target and a source once, in any order; those not listed count as 0, and the record
        says how many. The sidecar `path`.json, if there, names nuclide, masses and the part of α particles.
    nuclide
        The nuclide; needed where no sidecar names it, checked where one does.

    Raises
    ------
    FileFormatError
        The file or its sidecar cannot be read, repeats a pair, or holds what is not a number.
    InputError
        The nuclide is named nowhere, or two different ones are.
    UnknownNuclideError
        The nuclide is not in the decay dataset.
    """
    path = Path(path)
    sidecar = _sidecar_values(path)
    name = _agreed_nuclide(path, nuclide, sidecar.get("nuclide"))
    pairs: dict[tuple[str, str], tuple[float, float]] = {}
    without_std = 0
    for where, row in rows_of_csv(path, "S-value table", S_VALUE_COLUMNS[:3]):
        pair = plain_name(row["target"]), plain_name(row["source"])
        if not all(pair):
            raise FileFormatError(f"{where} names no target or no source; name both.")
        if pair in pairs:
            raise FileFormatError(f"{where} repeats the pair {pair[0]} from {pair[1]}; keep one.")
        without_std += not row.get("std")
        std = number_of(row.get("std") or "0", where, "std")
        pairs[pair] = number_of(row["s_mgy_per_mbq_s"], where, "s_mgy_per_mbq_s"), std
    targets = tuple(dict.fromkeys(target for target, _ in pairs))
    sources = tuple(dict.fromkeys(source for _, source in pairs))
    values = np.array([[pairs.get((target, source), (0.0, 0.0)) for source in sources] for target in targets])
    values *= GY_PER_BQ_S_PER_MGY_PER_MBQ_S
    warnings = []
    absent = len(targets) * len(sources) - len(pairs)
    if absent:
        warnings.append(f"{absent} pairs of target and source are not in '{path.name}' and count as 0.")
    if without_std:
        warnings.append(f"{without_std} S-values of '{path.name}' have no standard deviation; it counts as 0.")
    record = Record(
        "S-values read from a file",
        parameters={"nuclide": name},
        inputs={"s_values": file_identity(path)},
        datasets={"S-values": f"user's table {path.name}"},
        warnings=tuple(warnings),
    )
    masses = sidecar.get("source_masses_g", {})
    alphas = _alpha_part(sidecar.get("alpha_s_mgy_per_mbq_s"), targets, sources)
    if alphas is not None:
        alphas = np.minimum(alphas, values[..., 0])  # the file has fewer digits than the sidecar
    return SValueTable(targets, sources, values[..., 0], values[..., 1], name, record, alphas, masses)


def _alpha_part(
    values: Mapping[str, Mapping[str, float]] | None, targets: tuple[str, ...], sources: tuple[str, ...]
) -> NDArray[np.float64] | None:
    """The part of α particles that a sidecar holds [Gy/(Bq s)]; None where it holds none."""
    if values is None:
        return None
    alphas = [[values.get(target, {}).get(source, 0.0) for source in sources] for target in targets]
    return np.array(alphas) * GY_PER_BQ_S_PER_MGY_PER_MBQ_S


def _agreed_nuclide(path: Path, asked: str | None, written: str | None) -> str:
    """The nuclide of the table, which caller and sidecar must agree on."""
    if asked is None and written is None:
        raise InputError(f"Nothing says which nuclide the S-values of '{path.name}' are for; name the nuclide.")
    names = {Radionuclide(name).name for name in (asked, written) if name is not None}
    if len(names) > 1:
        raise InputError(
            f"The S-values of '{path.name}' are for {Radionuclide(str(written)).name}, asked was "
            f"{Radionuclide(str(asked)).name}; give the table of that nuclide."
        )
    return names.pop()


def _sidecar_values(path: Path) -> dict[str, Any]:
    """Nuclide, masses and part of α particles of the sidecar; empty where there is none."""
    sidecar = sidecar_path(path)
    if not sidecar.exists():
        return {}
    try:
        values = json.loads(sidecar.read_text(encoding="utf-8-sig"))
        if not isinstance(values, dict):
            raise ValueError(f"a JSON object is expected, found {type(values).__name__}")
        if values.get("quantity", "s_value") != "s_value":
            raise ValueError(f"its quantity is {values['quantity']!r}, expected 's_value'")
        nuclide = values.get("nuclide")
        if nuclide is not None and not isinstance(nuclide, str):
            raise ValueError(f"nuclide must be text, found {nuclide!r}")
        masses = {str(name): float(mass) for name, mass in dict(values.get("source_masses_g") or {}).items()}
        alphas = values.get("alpha_s_mgy_per_mbq_s")
        if alphas is not None:
            alphas = {
                str(target): {str(source): float(value) for source, value in dict(row).items()}
                for target, row in dict(alphas).items()
            }
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise FileFormatError(f"The sidecar {sidecar} cannot be used ({error}); repair or remove it.") from error
    found = {"source_masses_g": masses, "nuclide": nuclide, "alpha_s_mgy_per_mbq_s": alphas}
    return {name: value for name, value in found.items() if value is not None}

"""Where the daughters of an α emitter decay: in place, or where the user says that the recoil takes them.

Every decay of a mother makes as many atoms of a daughter as the branching says. A fate matrix says which fraction of
the atoms of a daughter born in one region decays in another (or outside the body); the rest decays where it was born.
So the residence times of the parent become those of each member of its chain, and their S-values, each member's own,
become those of the chain per decay of the parent.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, RegionError
from ..nuclides import Radionuclide
from ..nuclides.chains import branchings
from ..provenance import Record, file_identity
from .csv_rows import number_of, rows_of_csv
from .organ_names import plain_name
from .s_value_table import SValueTable

Floats = NDArray[np.float64]

EXCRETED = "excreted"
"""Destination outside the body: what goes there gives no dose and stays away with all its daughters."""

ANYWHERE = "*"
"""Source that stands for every region without a row of its own for that daughter."""

FATE_COLUMNS = ("daughter", "source", "fraction", "destination")
"""Columns of a fate file."""

FRACTION_TOLERANCE = 1e-9
"""How far the fractions that leave a region may exceed one: rounding."""


@dataclass(frozen=True)
class Fate:
    """A share of a daughter's atoms that leaves the region where it was born before it decays.

    Attributes
    ----------
    daughter
        Nuclide; any usual spelling.
    source
        Region where the atoms are born, or `ANYWHERE`.
    fraction
        Share of them that leaves, 0 to 1.
    destination
        Region where they decay, or `EXCRETED`.
    """

    daughter: str
    source: str
    fraction: float
    destination: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "daughter", Radionuclide(self.daughter).name)
        for name in ("source", "destination"):
            text = str(getattr(self, name)).strip()
            if not text or (name == "destination" and text == ANYWHERE):
                raise RegionError(f"The {name} of {self.daughter} is '{text}'; expected the name of a region.")
            object.__setattr__(self, name, text)
        if not (np.isfinite(self.fraction) and 0 <= self.fraction <= 1):
            raise InputError(
                f"The fraction of {self.daughter} that leaves {self.source} is {self.fraction}; expected 0 to 1."
            )


@dataclass(frozen=True)
class FateMatrix:
    """All fates of a chain; without any, every daughter decays where it is born.

    Attributes
    ----------
    fates
        Rows; those of one daughter and source may have several destinations.
    record
        Where they come from.
    """

    fates: tuple[Fate, ...] = ()
    record: Record = field(default_factory=lambda: Record("given as values"), compare=False)

    def __post_init__(self) -> None:
        leaving: dict[tuple[str, str], float] = {}
        for fate in self.fates:
            key = (fate.daughter, fate.source)
            leaving[key] = leaving.get(key, 0.0) + fate.fraction
        for (daughter, source), total in leaving.items():
            if total > 1 + FRACTION_TOLERANCE:
                raise InputError(
                    f"The fractions of {daughter} that leave {source} sum to {total:g}; expected at most 1."
                )

    def of(self, daughter: str, source: str) -> tuple[Fate, ...]:
        """Rows for the atoms of a daughter born in a region: its own, else those of `ANYWHERE`."""
        own = tuple(fate for fate in self.fates if fate.daughter == daughter and fate.source == source)
        if own or source == EXCRETED:
            return own
        return tuple(fate for fate in self.fates if fate.daughter == daughter and fate.source == ANYWHERE)


@dataclass(frozen=True, eq=False)
class ChainTransfer:
    """Where each member of a chain decays, per decay of the parent in each region.

    Attributes
    ----------
    parent
        The parent.
    sources
        Regions of the parent, n of them.
    regions
        Where members decay: the sources, further destinations, and `EXCRETED` last; m of them.
    decays
        Member to its decays per decay of the parent, shape (m, n). The columns of a member sum to its branching.
    """

    parent: str
    sources: tuple[str, ...]
    regions: tuple[str, ...]
    decays: Mapping[str, Floats]

    @property
    def members(self) -> tuple[str, ...]:
        """The parent and its progeny in the order of decay."""
        return tuple(self.decays)


def read_fates(path: Path) -> FateMatrix:
    """A fate matrix from a CSV with the columns `FATE_COLUMNS`; the fraction is between 0 and 1.

    Raises
    ------
    FileFormatError
        The file is missing, or not such a table.
    UnknownNuclideError, RegionError, InputError
        A row cannot be used, or fractions exceed one.
    """
    path = Path(path)
    fates = [
        Fate(
            row["daughter"],
            row["source"] if row["source"] == ANYWHERE else plain_name(row["source"]),
            number_of(row["fraction"], where, "fraction"),
            plain_name(row["destination"]),
        )
        for where, row in rows_of_csv(path, "fates of daughters", FATE_COLUMNS)
    ]
    return FateMatrix(tuple(fates), Record("fates of daughters from a file", inputs={"fates": file_identity(path)}))


def chain_transfer(
    parent: Radionuclide | str, regions: Iterable[str], fates: FateMatrix = FateMatrix()
) -> ChainTransfer:
    """Where the members of a chain decay, per decay of the parent in each region.

    Parameters
    ----------
    parent
        First nuclide of the chain; the progeny taken along are its default ones (`Radionuclide.progeny`).
    regions
        Where the parent decays.
    fates
        Which daughters leave which regions; in place by default.

    Returns
    -------
    ChainTransfer
        Decays of each member; over all members and regions nothing is lost.

    Raises
    ------
    UnknownNuclideError
        The nuclide is not in the dataset.
    InputError
        A fate names a nuclide outside the chain.
    RegionError
        A fate starts in a region that is neither the parent's nor a destination, or there is no region.
    """
    parent = Radionuclide(parent) if isinstance(parent, str) else parent
    sources = tuple(dict.fromkeys(regions))
    if not sources:
        raise RegionError(f"There is no region with {parent.name}; give at least one.")
    members = {parent.name: 1.0, **dict(parent.progeny)}
    _require_known(fates, parent.name, members, sources)
    destinations = [fate.destination for fate in fates.fates if fate.destination != EXCRETED]
    places = (*dict.fromkeys((*sources, *destinations)), EXCRETED)
    start = np.zeros((len(places), len(sources)))
    start[: len(sources)] = np.eye(len(sources))
    decays: dict[str, Floats] = {parent.name: start}
    for member in list(members)[1:]:
        born = np.zeros_like(start)
        for mother, made in decays.items():
            share = sum(fraction for daughter, fraction in branchings().get(mother, ()) if daughter == member)
            born += share * made
        decays[member] = _moved(member, places, fates) @ born
    return ChainTransfer(parent.name, sources, places, MappingProxyType(decays))


def member_residence_times_s(
    parent: Radionuclide | str, residence_times_s: Mapping[str, float], fates: FateMatrix = FateMatrix()
) -> dict[str, dict[str, float]]:
    """Residence times of each member of a chain in each region, from those of the parent.

    Parameters
    ----------
    parent
        First nuclide of the chain.
    residence_times_s
        Region to the parent's time-integrated activity per administered activity [s].
    fates
        Which daughters leave which regions.

    Returns
    -------
    dict
        Member to region to its time-integrated activity per administered activity of the parent [s]; regions with
        none are left out, `EXCRETED` counts what is lost to the outside.

    Raises
    ------
    InputError, RegionError, UnknownNuclideError
        As `chain_transfer`; or a residence time is negative or not finite.
    """
    wrong = {name: value for name, value in residence_times_s.items() if not (np.isfinite(value) and value >= 0)}
    if wrong:
        name, value = next(iter(wrong.items()))
        raise InputError(f"The residence time of {name} is {value} s; expected a finite number, 0 or more.")
    transfer = chain_transfer(parent, residence_times_s, fates)
    times = np.array([float(residence_times_s[name]) for name in transfer.sources])
    return {
        member: {
            region: float(value) for region, value in zip(transfer.regions, decays @ times, strict=True) if value > 0
        }
        for member, decays in transfer.decays.items()
    }


def chain_s_values(
    parent: Radionuclide | str, member_tables: Mapping[str, SValueTable], fates: FateMatrix = FateMatrix()
) -> tuple[SValueTable, dict[str, SValueTable]]:
    """S-values of a chain per decay of its parent in a region, whose daughters may decay elsewhere.

    Parameters
    ----------
    parent
        First nuclide of the chain.
    member_tables
        Member to S-values of its own emissions alone (computed without progeny), all with the same targets and
        sources. The sources must hold every destination.
    fates
        Which daughters leave which regions.

    Returns
    -------
    table
        S-values of the whole chain, to be used with the residence times of the parent; uncertainties of the members
        are taken as independent.
    by_member
        The part of each member in it.

    Raises
    ------
    InputError
        A member has no table, tables differ in their regions, or one holds progeny already.
    RegionError, UnknownNuclideError
        As `chain_transfer`; or a destination is no source of the tables.
    """
    parent = Radionuclide(parent) if isinstance(parent, str) else parent
    tables = {Radionuclide(name).name: table for name, table in member_tables.items()}
    first = _require_own_tables(parent, tables)
    transfer = chain_transfer(parent, first.sources, fates)
    outside = [name for name in transfer.regions[:-1] if name not in first.sources]
    if outside:
        raise RegionError(
            f"The S-values have no source {', '.join(outside)}, where daughters of {parent.name} are sent; "
            f"expected some of {', '.join(first.sources)}, or {EXCRETED}."
        )
    by_member = {}
    for member, decays in transfer.decays.items():
        # places before EXCRETED are the sources, in their order
        inside, table = decays[: len(first.sources)], tables[member]
        by_member[member] = SValueTable(
            first.targets,
            first.sources,
            table.s_gy_per_bq_s @ inside,
            np.sqrt(np.square(table.std_gy_per_bq_s) @ np.square(inside)),
            parent.name,
            table.record.with_parameters(chain_parent=parent.name, chain_member=member),
            None if table.alpha_gy_per_bq_s is None else table.alpha_gy_per_bq_s @ inside,
            first.source_masses_g,
        )
    return _sum_of(by_member, _chain_record(parent, first, tables, fates)), by_member


def _sum_of(by_member: Mapping[str, SValueTable], record: Record) -> SValueTable:
    """The sum over the members, their uncertainties independent."""
    parts = list(by_member.values())
    alphas = [part.alpha_gy_per_bq_s for part in parts if part.alpha_gy_per_bq_s is not None]
    return replace(
        parts[0],
        s_gy_per_bq_s=np.sum([part.s_gy_per_bq_s for part in parts], axis=0),
        std_gy_per_bq_s=np.sqrt(np.sum([np.square(part.std_gy_per_bq_s) for part in parts], axis=0)),
        alpha_gy_per_bq_s=np.sum(alphas, axis=0) if len(alphas) == len(parts) else None,
        record=record,
    )


def _moved(member: str, places: tuple[str, ...], fates: FateMatrix) -> Floats:
    """Share of a daughter born in one place (column) that decays in another (row)."""
    matrix = np.zeros((len(places), len(places)))
    for column, source in enumerate(places):
        rows = fates.of(member, source)
        matrix[column, column] += max(1.0 - sum(fate.fraction for fate in rows), 0.0)
        for fate in rows:
            matrix[places.index(fate.destination), column] += fate.fraction
    return matrix


def _require_known(fates: FateMatrix, parent: str, members: Mapping[str, float], sources: tuple[str, ...]) -> None:
    """Refuse fates of nuclides outside the chain, of the parent itself, or that start where nothing is."""
    progeny = [name for name in members if name != parent]
    places = {*sources, *(fate.destination for fate in fates.fates), ANYWHERE}
    for fate in fates.fates:
        if fate.daughter not in progeny:
            raise InputError(
                f"{fate.daughter} is not a daughter that {parent} takes along; expected one of: "
                f"{', '.join(progeny) or 'none, it has no such daughter'}."
            )
        if fate.source not in places or fate.source == EXCRETED:
            nearest = difflib.get_close_matches(fate.source, sorted(places - {ANYWHERE}), n=3, cutoff=0.4)
            raise RegionError(
                f"{fate.daughter} leaves '{fate.source}', where nothing decays; expected "
                f"{' or '.join(nearest) or ', '.join(sources)}, or {ANYWHERE} for every region."
            )


def _require_own_tables(parent: Radionuclide, tables: Mapping[str, SValueTable]) -> SValueTable:
    """The parent's table, after checking that all members have one of their own on the same regions."""
    members = [parent.name, *(name for name, _ in parent.progeny)]
    missing = [name for name in members if name not in tables]
    if missing:
        raise InputError(f"The chain of {parent.name} needs S-values of each member; missing: {', '.join(missing)}.")
    first = tables[parent.name]
    for name in members:
        table = tables[name]
        if table.targets != first.targets or table.sources != first.sources:
            raise InputError(f"The S-values of {name} have other targets or sources than those of {parent.name}.")
        if table.record.parameters.get("include_progeny") and Radionuclide(name).progeny:
            raise InputError(
                f"The S-values of {name} hold its progeny already, which would count twice; compute them without."
            )
    return first


def _chain_record(
    parent: Radionuclide, first: SValueTable, tables: Mapping[str, SValueTable], fates: FateMatrix
) -> Record:
    rows = [[fate.daughter, fate.source, fate.fraction, fate.destination] for fate in fates.fates]
    warnings = [warning for table in tables.values() for warning in table.record.warnings]
    if rows:
        warnings.append(
            f"Daughters of {parent.name} that leave their source decay at their destination at once: what they give on "
            "the way is not modelled."
        )
    record = first.record.with_parameters(
        nuclide=parent.name, include_progeny=True, chain_members=list(tables), fates=rows
    ).with_inputs(**dict(fates.record.inputs))
    return record.with_warnings(*parent.warnings, *warnings)

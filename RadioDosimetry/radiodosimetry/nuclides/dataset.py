"""The emissions of ICRP Publication 107, as the package `icrp107-database` ships them.

The package is depended on, never copied: ICRP-107 may be passed on for education and research only. It holds one file
per nuclide, JSON text inside a JSON string, energies in MeV, half-lives with their unit. It has no progeny.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module, metadata
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FileFormatError, MissingDependencyError, UnknownNuclideError

PACKAGE = "icrp107-database"
"""Name of the data package on the Python package index."""

SECONDS_PER_DAY = 86400.0
DAYS_PER_YEAR = 365.2422
"""The tropical year, in which ICRP-107 gives long half-lives (Endo et al., JAERI 1347, 2005)."""

_SECONDS_PER = {
    "us": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": SECONDS_PER_DAY,
    "y": DAYS_PER_YEAR * SECONDS_PER_DAY,
}
_KEV_PER_MEV = 1e3
_LINE_LISTS = (
    "alpha",
    "alpha recoil",
    "beta-",
    "beta+",
    "IE",
    "auger",
    "gamma",
    "X",
    "annihilation",
    "neutron",
    "fission",
    "betaD",
)
_BETA_SPECTRUM = "b-spectra"


@dataclass(frozen=True, eq=False)
class DecayData:
    """What the dataset says about one nuclide.

    Attributes
    ----------
    name
        Canonical name.
    half_life_s
        Half-life [s].
    lines
        List name of the dataset ("beta-", "IE", "gamma", …) to an array (n, 2) of energy [keV] and yield per decay; the
        energy of a β line is the mean of its branch. Lists without lines are absent.
    beta_density
        Array (n, 2) of energy [keV] and β particles per keV and decay, β− and β+ together (and those of fission
        fragments); None if there is none.
    """

    name: str
    half_life_s: float
    lines: Mapping[str, NDArray[np.float64]]
    beta_density: NDArray[np.float64] | None


@lru_cache(maxsize=1)
def dataset_name() -> str:
    """Name and version of the decay dataset, to be shown with every result."""
    _folder()
    return f"ICRP-107 ({PACKAGE} {metadata.version(PACKAGE)})"


@lru_cache(maxsize=1)
def nuclide_names() -> frozenset[str]:
    """Canonical names of all nuclides of the dataset."""
    return frozenset(file.stem for file in _folder().glob("*.json"))


@lru_cache(maxsize=256)
def decay_data(name: str) -> DecayData:
    """Half-life and emissions of the nuclide with this canonical name.

    Raises
    ------
    UnknownNuclideError
        The dataset has no such nuclide, or none of its emissions.
    FileFormatError
        The dataset's file is damaged.
    MissingDependencyError
        The package `icrp107-database` is not installed.
    """
    if name not in nuclide_names():
        raise UnknownNuclideError(f"Nuclide '{name}' is not in {dataset_name()}.")
    path = _folder() / f"{name}.json"
    try:
        values = json.loads(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise FileFormatError(f"'{path.name}' of {dataset_name()} cannot be read: {error}. Reinstall it.") from error
    return parsed_decay_data(name, values)


def parsed_decay_data(name: str, values: Mapping[str, Any]) -> DecayData:
    """The content of one file of the dataset, checked and in keV and seconds.

    Raises
    ------
    UnknownNuclideError
        Not one emission is listed.
    FileFormatError
        A part is missing or not a table of two numbers per line.
    """
    try:
        half_life_s = float(values["half_life"]) * _SECONDS_PER[values["time_unit"]]
        emissions = values["emissions"]
        lines = {key: _table(emissions[key]) for key in _LINE_LISTS if emissions.get(key)}
        density = _table(emissions[_BETA_SPECTRUM]) if emissions.get(_BETA_SPECTRUM) else None
    except (KeyError, TypeError, ValueError) as error:
        raise FileFormatError(
            f"The entry of {name} in the decay dataset is damaged ({error}); expected half-life, unit and lists of "
            f"energies and yields. Reinstall {PACKAGE}."
        ) from error
    if not lines:
        raise UnknownNuclideError(
            f"The decay dataset lists no emission of {name}; a dose needs at least one. Use another nuclide, or give "
            "its lines as a spectrum file."
        )
    if density is not None:
        density = density / np.array([1.0, _KEV_PER_MEV])
        density.setflags(write=False)
    return DecayData(name, half_life_s, MappingProxyType(lines), density)


def _table(rows: Any) -> NDArray[np.float64]:
    table = np.array(rows, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] != 2 or not np.isfinite(table).all() or (table < 0).any():
        raise ValueError("a list does not hold pairs of numbers")
    table[:, 0] *= _KEV_PER_MEV
    table.setflags(write=False)
    return table


@lru_cache(maxsize=1)
def _folder() -> Path:
    try:
        module = import_module("icrp107_database")
    except ImportError as error:
        raise MissingDependencyError(
            f"The decay dataset is not installed; expected the package {PACKAGE}. "
            f"Install it with: pip install {PACKAGE}"
        ) from error
    return Path(str(module.__file__)).parent / "icrp107"

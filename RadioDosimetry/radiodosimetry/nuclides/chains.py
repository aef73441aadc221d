"""Who decays into whom: the progeny a nuclide brings along, and how its activity grows in.

Over all time every decay of a parent leads to as many decays of a progeny as the product of the branchings says. By
default a nuclide brings along the progeny that live shorter than itself, as they decay where and while it does; those
that live longer are left out and named, with all that comes after them.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from .dataset import decay_data, nuclide_names

WITHHELD_PROGENY: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("Th-227", "Ra-223"): (
            "its half-life of 11 d is close to the 19 d of its parent: it grows in over weeks and leaves the carrier"
        )
    }
)
"""Progeny left out by default although they live shorter than the parent (parent, progeny), each with its reason."""

LONGER_LIVED = "its half-life is not shorter than the parent's"
"""Reason why the other excluded progeny are left out."""

BATEMAN_DIGITS = 150
"""Decimal digits of Bateman's sums: half-lives from 0.3 µs to 10¹⁰ y cancel by up to some 80 digits."""

EQUAL_RATE_SHIFT = Decimal("1e-40")
"""Relative shift that parts equal decay constants: far below what the result can show, far above the last digit."""


@dataclass(frozen=True)
class ChainMember:
    """A radioactive progeny and what it has to do with the parent of its chain.

    Attributes
    ----------
    name
        Canonical name.
    branching
        Decays of the progeny per decay of the parent, over all time: branchings multiplied along each way, ways added.
    half_life_s
        Half-life [s].
    reason
        Why it is left out by default; empty if it is not.
    """

    name: str
    branching: float
    half_life_s: float
    reason: str = ""


@dataclass(frozen=True)
class DecayChain:
    """The chain that starts at one nuclide.

    Attributes
    ----------
    parent
        Canonical name of the first nuclide.
    progeny
        Progeny taken along by default, in the order of decay.
    excluded
        Progeny left out by default, with the reason; what comes after them is left out too and not listed.
    stable_products
        Stable nuclides the default chain ends at, (name, atoms per decay of the parent).
    known
        Whether the branching table has the parent; if not, its progeny are unknown, not absent.
    """

    parent: str
    progeny: tuple[ChainMember, ...]
    excluded: tuple[ChainMember, ...]
    stable_products: tuple[tuple[str, float], ...]
    known: bool

    def ingrowth(self, times_s: ArrayLike) -> dict[str, NDArray[np.float64]]:
        """Activities of the parent and of all its radioactive progeny after a pure parent was left alone.

        Bateman's equations for branched chains [1]_, summed with `BATEMAN_DIGITS` decimal digits: no chain, however
        stiff or with equal half-lives, and no time loses precision to cancellation.

        Parameters
        ----------
        times_s
            Times since there was the parent alone [s], any shape, not negative.

        Returns
        -------
        dict
            Name to activity per activity of the parent at time 0, in the shape of `times_s`; the parent first,
            longer-lived progeny included.

        References
        ----------
        .. [1] Bateman, Proc Camb Phil Soc 15 (1910) 423; Amaku et al., Comput Phys Commun 181 (2010) 21,
           doi:10.1016/j.cpc.2009.08.011.
        """
        return _bateman(self.parent, times_s, integrated=False)

    def integrated_ingrowth(self, times_s: ArrayLike) -> dict[str, NDArray[np.float64]]:
        """Decays of each member from time 0 to `times_s` per initial activity of the parent [s]; see `ingrowth`."""
        return _bateman(self.parent, times_s, integrated=True)


@lru_cache(maxsize=256)
def decay_chain(parent: str) -> DecayChain:
    """The chain of the nuclide with this canonical name.

    Raises
    ------
    UnknownNuclideError
        The dataset has no such nuclide.
    """
    parent_half_life_s = decay_data(parent).half_life_s
    reasons: dict[str, str] = {}

    def followed(name: str) -> bool:
        if name == parent:
            return True
        if (parent, name) in WITHHELD_PROGENY:
            reasons[name] = WITHHELD_PROGENY[parent, name]
        elif decay_data(name).half_life_s >= parent_half_life_s:
            reasons[name] = LONGER_LIVED
        return name not in reasons

    order = _in_order_of_decay(parent)
    decays = {parent: 1.0}
    for name in order:
        if name not in decays or name not in nuclide_names() or not followed(name):
            continue
        for progeny, branching in branchings().get(name, ()):
            decays[progeny] = decays.get(progeny, 0.0) + decays[name] * branching
    del decays[parent]
    radioactive = {name: decays[name] for name in order if name in decays and name in nuclide_names()}
    members = [
        ChainMember(name, count, decay_data(name).half_life_s, reasons.get(name, ""))
        for name, count in radioactive.items()
    ]
    return DecayChain(
        parent=parent,
        progeny=tuple(member for member in members if not member.reason),
        excluded=tuple(member for member in members if member.reason),
        stable_products=tuple((name, count) for name, count in decays.items() if name not in radioactive),
        known=parent in branchings(),
    )


@lru_cache(maxsize=1)
def branchings() -> Mapping[str, tuple[tuple[str, float], ...]]:
    """The branching table: parent to (progeny, branching fraction), the most frequent first."""
    text = files(__package__).joinpath("data", "decay_chains", "decay_chains.csv").read_text(encoding="utf-8")
    table: dict[str, list[tuple[str, float]]] = {}
    for row in csv.DictReader(line for line in text.splitlines() if not line.startswith("#")):
        table.setdefault(row["parent"], []).append((row["progeny"], float(row["branching"])))
    return MappingProxyType({parent: tuple(progeny) for parent, progeny in table.items()})


def _in_order_of_decay(parent: str) -> list[str]:
    """The parent and everything that can come of it, each before what it decays into."""
    finished: dict[str, None] = {}

    def visit(name: str) -> None:
        if name not in finished:
            for progeny, _ in branchings().get(name, ()):
                visit(progeny)
            finished[name] = None

    visit(parent)
    return list(reversed(finished))


@contextmanager
def _exact() -> Iterator[None]:
    with localcontext() as context:
        context.prec = BATEMAN_DIGITS
        yield


def _bateman(parent: str, times_s: ArrayLike, integrated: bool) -> dict[str, NDArray[np.float64]]:
    times = np.asarray(times_s, dtype=np.float64)
    if not np.isfinite(times).all() or (times < 0).any():
        raise InputError("Times of in-growth must be finite and not negative, in s since the parent was alone.")
    names = [name for name in _in_order_of_decay(parent) if name in nuclide_names()]
    with _exact():
        rates = _distinct_rates(names)
        sums = _activity_coefficients(names, rates)
        result = {name: np.empty(times.size) for name in names}
        for index, time in enumerate(times.ravel()):
            terms = {name: _term(rates[name], Decimal(float(time)), integrated) for name in names}
            for name in names:
                value = sum((factor * terms[source] for source, factor in sums[name].items()), Decimal(0))
                result[name][index] = max(float(value), 0.0)
    return {name: values.reshape(times.shape) for name, values in result.items()}


def _term(rate_per_s: Decimal, time_s: Decimal, integrated: bool) -> Decimal:
    survival = (-rate_per_s * time_s).exp()
    return (1 - survival) / rate_per_s if integrated else survival


def _distinct_rates(names: list[str]) -> dict[str, Decimal]:
    """Decay constants [1/s], equal ones moved apart by `EQUAL_RATE_SHIFT`."""
    rates: dict[str, Decimal] = {}
    for name in names:
        rate = Decimal(2).ln() / Decimal(decay_data(name).half_life_s)
        while rate in rates.values():
            rate *= 1 + EQUAL_RATE_SHIFT
        rates[name] = rate
    return rates


def _activity_coefficients(names: list[str], rates: Mapping[str, Decimal]) -> dict[str, dict[str, Decimal]]:
    """Activity of each member as a sum over exponentials: name to {member whose decay constant it is: factor}."""
    first = names[0]
    sums: dict[str, dict[str, Decimal]] = {name: {} for name in names}
    sums[first] = {first: Decimal(1)}
    for name in names[1:]:
        own = sums[name]
        for source in names:
            for progeny, branching in branchings().get(source, ()):
                if progeny == name:
                    for exponent, factor in sums[source].items():
                        grown = Decimal(branching) * factor * rates[name] / (rates[name] - rates[exponent])
                        own[exponent] = own.get(exponent, Decimal(0)) + grown
        own[name] = -sum(own.values(), Decimal(0))
    return sums

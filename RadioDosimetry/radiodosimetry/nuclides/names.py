"""How nuclides are written, and what to offer when a name is not known."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Collection

from ..errors import UnknownNuclideError

_SYMBOLS = """
H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb Mo Tc Ru
Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At
Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og
"""

ELEMENT_SYMBOLS = tuple(_SYMBOLS.split())
"""Chemical symbols; the atomic number is the index plus one."""

_CANONICAL = re.compile(r"(?P<element>[A-Z][a-z]?)-(?P<mass>\d{1,3})(?P<state>[mn]?)")
_ELEMENT_FIRST = re.compile(r"(?P<element>[a-z]{1,2})[-_ ]?(?P<mass>\d{1,3})(?P<state>[mn]?)", re.IGNORECASE)
_MASS_FIRST = (
    re.compile(r"(?P<mass>\d{1,3})(?P<state>)[-_ ]?(?P<element>[a-z]{1,2})", re.IGNORECASE),
    re.compile(r"(?P<mass>\d{1,3})(?P<state>[mn])[-_ ]?(?P<element>[a-z]{1,2})", re.IGNORECASE),
)
_SUGGESTION_COUNT = 5


def canonical_name(name: str, known: Collection[str]) -> str:
    """The name of a nuclide as the dataset writes it ("Lu-177", "Tc-99m").

    Parameters
    ----------
    name
        Any usual way to write it: "Lu-177", "Lu177", "177Lu", "lu 177", "¹⁷⁷Lu", "99mTc".
    known
        Names the dataset has.

    Raises
    ------
    UnknownNuclideError
        No reading of `name` is in `known`; the text offers the nearest that are.
    """
    readings = possible_names(name)
    for reading in readings:
        if reading in known:
            return reading
    offers = nearest_names(name, known)
    offered = f"nearest: {', '.join(offers)}" if offers else "give it as symbol-mass, such as Lu-177"
    raise UnknownNuclideError(f"Nuclide '{name}' is not in the decay dataset ({len(known)} nuclides); {offered}.")


def possible_names(name: str) -> list[str]:
    """Every canonical name that `name` could mean, the most literal first; empty if it does not look like a nuclide."""
    plain = unicodedata.normalize("NFKC", str(name)).strip().replace("\N{HYPHEN}", "-").replace("\N{EN DASH}", "-")
    found = []
    for pattern in (_ELEMENT_FIRST, *_MASS_FIRST):
        match = pattern.fullmatch(plain)
        if match:
            symbol = match["element"].capitalize()
            if symbol in ELEMENT_SYMBOLS:
                found.append(f"{symbol}-{int(match['mass'])}{match['state'].lower()}")
    return found


def nearest_names(name: str, known: Collection[str]) -> list[str]:
    """Known nuclides one may have meant: those of the same element nearest in mass, else those spelled alike."""
    for reading in possible_names(name):
        symbol, mass_number = symbol_and_mass(reading)
        same_element = [other for other in known if symbol_and_mass(other)[0] == symbol]
        if same_element:
            by_distance = sorted(same_element, key=lambda other: (abs(symbol_and_mass(other)[1] - mass_number), other))
            return by_distance[:_SUGGESTION_COUNT]
    by_folded_name = {other.lower(): other for other in sorted(known)}
    alike = difflib.get_close_matches(str(name).strip().lower(), list(by_folded_name), n=_SUGGESTION_COUNT, cutoff=0.5)
    return [by_folded_name[match] for match in alike]


def symbol_and_mass(name: str) -> tuple[str, int]:
    """Chemical symbol and mass number of a canonical name.

    Raises
    ------
    UnknownNuclideError
        `name` is not written canonically.
    """
    match = _CANONICAL.fullmatch(name)
    if match is None:
        raise UnknownNuclideError(f"'{name}' is not a nuclide's canonical name; expected one such as Lu-177 or Tc-99m.")
    return match["element"], int(match["mass"])


def atomic_number(name: str) -> int:
    """Atomic number of the nuclide with this canonical name."""
    return ELEMENT_SYMBOLS.index(symbol_and_mass(name)[0]) + 1

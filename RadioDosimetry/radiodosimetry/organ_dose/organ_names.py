"""How organs are called: the 25 targets of the stylised adults, other spellings of them, and what to offer instead."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection

from ..errors import RegionError

STYLISED_TARGETS = (
    "adrenals",
    "brain",
    "breasts",
    "gallbladder_wall",
    "lli_wall",
    "small_intestine",
    "stomach_wall",
    "uli_wall",
    "heart_wall",
    "kidneys",
    "liver",
    "lungs",
    "muscle",
    "ovaries",
    "pancreas",
    "red_marrow",
    "osteogenic_cells",
    "skin",
    "spleen",
    "testes",
    "thymus",
    "thyroid",
    "urinary_bladder_wall",
    "uterus",
    "total_body",
)
"""Targets of a table for a stylised adult, in the order in which OLINDA/EXM 1.x prints them (Stabin, Sparks and Crowe,
J Nucl Med 46 (2005) 1023). LLI and ULI: lower and upper large intestine."""

REMAINDER = "remainder_of_body"
"""The source that stands for the whole body without the other sources; its S-values follow from those of the total body
and depend on which the other sources are."""

_SYNONYMS = (
    ("urinary_bladder_wall", "bladder_wall"),
    ("urinary_bladder_contents", "bladder_contents"),
    ("osteogenic_cells", "bone_surface", "bone_surfaces"),
    ("lli_wall", "lower_large_intestine_wall"),
    ("lli_contents", "lower_large_intestine_contents"),
    ("uli_wall", "upper_large_intestine_wall"),
    ("uli_contents", "upper_large_intestine_contents"),
    ("gallbladder_wall", "gall_bladder_wall"),
    ("gallbladder_contents", "gall_bladder_contents"),
    ("small_intestine_contents", "si_contents"),
    ("adrenals", "adrenal_glands"),
    ("muscle", "remaining_tissue"),
    ("total_body", "whole_body"),
    (REMAINDER, "remainder", "remainder_body", "rest_of_body", "rest_of_the_body"),
)
"""Names of one and the same organ."""

_SUGGESTION_COUNT = 4
_LEAST_LIKENESS = 0.5


def plain_name(text: str) -> str:
    """A name as the tables write it: lower case, words joined by underscores ("Heart Contents" → "heart_contents")."""
    return re.sub(r"[\s\-_]+", "_", text.strip().lower())


def organ_named(text: str, known: Collection[str], what: str) -> str:
    """The organ of a table that a text means.

    Parameters
    ----------
    text
        Any case; blanks and hyphens count as underscores; another name of the same organ is understood
        ("Bone surfaces" for `osteogenic_cells`).
    known
        Names the table has.
    what
        What is looked for, for the error's text ("source organ of the adult-male phantom").

    Raises
    ------
    RegionError
        No organ of the table has this name; the text offers the nearest.
    """
    name = plain_name(text)
    if name in known:
        return name
    for group in _SYNONYMS:
        if name in group:
            found = next((other for other in group if other in known), None)
            if found is not None:
                return found
    raise RegionError(f"'{text.strip()}' is not a {what}; {_offers(name, known)}.")


def _offers(name: str, known: Collection[str]) -> str:
    """The nearest names, those that share a whole word first; all of them if none is near."""
    words = set(name.split("_"))
    sharing = [other for other in sorted(known) if words & set(other.split("_"))]
    alike = difflib.get_close_matches(name, sorted(known), n=_SUGGESTION_COUNT, cutoff=_LEAST_LIKENESS)
    offers = list(dict.fromkeys((*alike, *sharing)))[:_SUGGESTION_COUNT]
    if offers:
        return f"did you mean {' or '.join(offers)}? Rename it to the nearest one"
    return f"expected one of: {', '.join(sorted(known))}"

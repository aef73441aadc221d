"""What radiation that hardly leaves its source gives to the organs of a stylised adult: electrons and α particles.

An organ keeps the electrons of its own activity; a wall gets half the dose at the surface of its contents; activity
spread over the body gives every organ the body's mean; red marrow and bone surfaces share by published fractions.
Everything is energy absorbed in a target per energy emitted in a source and mass of the target, φ/m [1/g].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from .skeleton import SKELETAL_SOURCES, SKELETAL_TARGETS

WALL_SHARE = 0.5
"""Dose of a wall from electrons in its contents, in that of the contents: half-space, at the surface (ICRP Publication
30 Part 1, Ann ICRP 2(3/4), 1979; MIRD and OLINDA/EXM do the same)."""

ALPHA_WALL_FACTOR = 0.01
"""What is left of `WALL_SHARE` for α particles, which stop in the mucus (ICRP Publication 30 Part 1)."""

CONTENTS_OF_WALL: Mapping[str, str] = MappingProxyType(
    {
        "gallbladder_wall": "gallbladder_contents",
        "lli_wall": "lli_contents",
        "small_intestine": "small_intestine_contents",
        "stomach_wall": "stomach_contents",
        "uli_wall": "uli_contents",
        "heart_wall": "heart_contents",
        "urinary_bladder_wall": "bladder_contents",
    }
)
"""Walls and what they hold."""

BONE_SURFACES: Mapping[str, float] = MappingProxyType({"cortical_bone_surface": 0.5, "trabecular_bone_surface": 0.5})
"""What activity on bone surfaces as a whole, the source `osteogenic_cells`, is made of (ICRP Publication 30 Part 1)."""

SkeletalFraction = Callable[[str, str], float]
"""Absorbed fraction in a target of the skeleton (first) of the energy emitted in a source of it (second)."""


def local_fractions_per_g(
    targets: Sequence[str],
    sources: Sequence[str],
    masses_g: Mapping[str, float],
    skeletal_fraction: SkeletalFraction,
    wall_factor: float = 1.0,
) -> NDArray[np.float64]:
    """Absorbed fraction per target mass of radiation that does not leave its source [1/g], (targets, sources).

    Parameters
    ----------
    targets, sources
        Organs by the names of the phantom's tables.
    masses_g
        Masses of targets and sources [g].
    skeletal_fraction
        Absorbed fractions among the sources and targets of the skeleton.
    wall_factor
        What is left of `WALL_SHARE`: 1 for electrons, `ALPHA_WALL_FACTOR` for α particles.
    """

    def of_pair(target: str, source: str) -> float:
        if "total_body" in (target, source):
            return 1.0 / masses_g["total_body"]
        if target in SKELETAL_TARGETS:
            parts = BONE_SURFACES if source == "osteogenic_cells" else {source: 1.0}
            inside = {part: share for part, share in parts.items() if part in SKELETAL_SOURCES}
            return sum(share * skeletal_fraction(target, part) for part, share in inside.items()) / masses_g[target]
        if target == source:
            return 1.0 / masses_g[source]
        if CONTENTS_OF_WALL.get(target) == source:
            return WALL_SHARE * wall_factor / masses_g[source]
        return 0.0

    return np.array([[of_pair(target, source) for source in sources] for target in targets])

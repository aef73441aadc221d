"""The media with a name: what users write after `--medium` and what CT numbers become."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from ..errors import UnknownMediumError
from .materials import Material
from .schneider import schneider_tissues, titanium

_WATER = {"H": 0.111894, "O": 0.888106}
_LUNG_INFLATED_ICRU = {
    "H": 0.103, "C": 0.105, "N": 0.031, "O": 0.749, "Na": 0.002, "P": 0.002, "S": 0.003, "Cl": 0.003, "K": 0.002,
}  # fmt: skip
_BONE_COMPACT_ICRU = {
    "H": 0.063984, "C": 0.278, "N": 0.027, "O": 0.410016, "Mg": 0.002, "P": 0.07, "S": 0.002, "Ca": 0.147,
}  # fmt: skip


@cache
def named_materials() -> Mapping[str, Material]:
    """All media with a name: water, lung, bone, titanium and the 24 tissues of Schneider et al. 2000.

    The tissues have the density of the middle of their band of CT numbers, soft tissue 1.04 g/cm³. 'lung' is
    inflated lung of ICRU 1986 (0.26 g/cm³) and 'bone' compact bone of ICRU (1.85 g/cm³), apart from 'lung-schneider'
    and 'bone-1' to 'bone-15'.
    """
    media = [
        Material("water", _WATER, 1.0, 75.0),
        Material("lung", _LUNG_INFLATED_ICRU, 0.26),
        Material("bone", _BONE_COMPACT_ICRU, 1.85, 91.9),
        titanium(),
        *schneider_tissues(),
    ]
    return MappingProxyType({material.name: material for material in media})


def named_material(name: str) -> Material:
    """The medium with this name; see `named_materials` for all.

    Raises
    ------
    UnknownMediumError
        No medium has this name; the text offers the nearest.
    """
    media = named_materials()
    wanted = str(name).strip().lower().replace("_", "-").replace(" ", "-")
    if wanted in media:
        return media[wanted]
    nearest = difflib.get_close_matches(wanted, media, n=3, cutoff=0.4)
    offer = f"did you mean {' or '.join(nearest)}? All" if nearest else "all"
    raise UnknownMediumError(f"There is no medium '{name}'; {offer} names: {', '.join(media)}.")

"""Sources of a stylised adult's table, and the masses of OLINDA/EXM 1.x that its S-values hold for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from .organ_names import STYLISED_TARGETS, organ_named
from .phantom import stylised_phantom
from .skeleton import published_contents_masses_g, published_organ_masses_g

CONTENTS = (
    "gallbladder_contents",
    "lli_contents",
    "small_intestine_contents",
    "stomach_contents",
    "uli_contents",
    "heart_contents",
    "bladder_contents",
)
"""Contents of hollow organs: sources that are no targets."""

BONE_SOURCES = (
    "cortical_bone_surface",
    "cortical_bone_volume",
    "trabecular_bone_surface",
    "trabecular_bone_volume",
)
"""Parts of the bone that are sources and no targets; `osteogenic_cells` as a source is half of either surface."""

STYLISED_SOURCES = (*STYLISED_TARGETS, *CONTENTS, *BONE_SOURCES)
"""Sources of a table for a stylised adult: all targets, contents, bone. `total_body` is the whole body evenly."""

MALE_SMALL_INTESTINE_CONTENTS_G = 400.0
"""Contents of the male's small intestine [g] as the S-values of OLINDA/EXM 1.x imply (walls get half the dose of the
contents); the phantom has wall and contents as one region of 1100 g."""

_SURFACES = ("cortical_bone_surface", "trabecular_bone_surface")


@cache
def reference_masses_g(phantom_name: str) -> Mapping[str, float]:
    """Masses of all targets and sources [g], as OLINDA/EXM 1.x has them.

    Male: those of the phantom's geometry (ORNL/TM-8381; liver 1910 g). Female: those of ORNL/TM-12907, which differ
    from the geometry of its SAFs (brain 1200 for 1410 g). Red marrow, osteogenic cells and muscle of both are of
    neither geometry. A bone surface counts half the mass of the osteogenic cells.

    Raises
    ------
    InputError
        There is no phantom of this name.
    """
    geometry = dict(stylised_phantom(phantom_name).published_mass_g)
    del geometry["remaining_tissue"], geometry["skeleton"]
    published = dict(published_organ_masses_g(phantom_name))
    if phantom_name == "adult-male":
        bone = ("muscle", "red_marrow", "osteogenic_cells", "cortical_bone_volume", "trabecular_bone_volume")
        published = {name: published[name] for name in bone}
    given = {**geometry, "small_intestine_contents": MALE_SMALL_INTESTINE_CONTENTS_G}
    given |= {_own_name(name): mass for name, mass in geometry.items()}
    given |= {_own_name(name): mass for name, mass in published.items()}
    given |= {_own_name(name): mass for name, mass in published_contents_masses_g(phantom_name).items()}
    given |= dict.fromkeys(_SURFACES, given["osteogenic_cells"] / 2)
    return MappingProxyType({name: given[name] for name in STYLISED_SOURCES})


def _own_name(name: str) -> str:
    """The name of an organ among the sources of our tables."""
    return organ_named(name, STYLISED_SOURCES, "source organ of the stylised adults")

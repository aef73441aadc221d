"""Published numbers of the skeleton: masses, absorbed fractions in marrow and at bone surfaces, weights of photon dose.

Red marrow and osteogenic cells (the layer on bone surfaces) lie inside what the phantoms hold as one bone medium, so
their doses follow from published fractions. Two sets: ICRP Publication 30 (two energies, alpha particles too), and the
shares that the S-values of OLINDA/EXM 1 imply, whose electron model is that of Eckerman and Stabin. Names of organs
are those of `organ_names`, regions those of the phantom.

References
----------
.. [1] ICRP Publication 30 Part 1, Limits for intakes of radionuclides by workers, Ann ICRP 2(3/4) (1979), as tabulated
   by Eckerman, Leggett, Nelson, Puskin and Richardson, Cancer risk coefficients for environmental exposure to
   radionuclides, Federal Guidance Report No. 13, EPA 402-R-99-001 (1999), Table B.2.
.. [2] Eckerman KF, Stabin MG, Electron absorbed fractions and dose conversion factors for marrow and bone by skeletal
   regions, Health Phys 78 (2000) 199-214.
.. [3] Cristy M, Active bone marrow distribution as a function of age in humans, Phys Med Biol 26 (1981) 389-400,
   doi:10.1088/0031-9155/26/3/003.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FileFormatError, InputError, RegionError

SKELETAL_TARGETS = ("red_marrow", "osteogenic_cells")
"""Targets inside bone that the phantoms do not resolve."""

SKELETAL_SOURCES = (
    "red_marrow",
    "cortical_bone_surface",
    "cortical_bone_volume",
    "trabecular_bone_surface",
    "trabecular_bone_volume",
)
"""Sources inside bone that the phantoms do not resolve."""

SKELETON_MODELS = ("olinda", "icrp-30")
"""Sets of absorbed fractions of electrons."""

SKELETON_MODEL = "olinda"
"""The set that is taken unless another is asked for."""

SKELETON_DATASET: Mapping[str, str] = MappingProxyType(
    {"marrow and bone": "electrons as OLINDA/EXM 1 implies (Eckerman and Stabin 2000), alphas ICRP 30"}
)
"""What a result names as the origin of these numbers, for `Record.datasets`."""

_PHANTOMS = ("adult-male", "adult-female")
_PARTICLES = ("electron", "alpha")


def published_organ_masses_g(phantom_name: str, bone_model_masses: bool = True) -> Mapping[str, float]:
    """Masses of targets [g] as DCAL's region file has them, which are not those of the phantom's geometry.

    Female: those of the non-pregnant adult of ORNL/TM-12907 (Stabin et al. 1995), which OLINDA/EXM 1 takes for its
    adult female (brain 1200 g, kidneys 275 g). Male: reference man (liver 1800 g, kidneys 310 g); those of the geometry
    (1910 g, 299 g) are in `StylisedPhantom.published_mass_g`.

    Parameters
    ----------
    phantom_name
        'adult-male' or 'adult-female'.
    bone_model_masses
        Red marrow and osteogenic cells as the effective fractions need them (male 1120 and 120 g); False gives those
        that belong to ICRP Publication 30 (male 1500 and 120 g).

    Raises
    ------
    InputError
        There is no phantom of this name.
    """
    key = _phantom_key(phantom_name)
    masses = dict(_table()["organ_masses_g"][key])
    if bone_model_masses:
        masses.update(_table()["bone_model_masses_g"][key])
    return MappingProxyType(masses)


def published_contents_masses_g(phantom_name: str) -> Mapping[str, float]:
    """Masses of the contents of hollow organs [g] in the same set; empty for the male, where they are not published.

    Raises
    ------
    InputError
        There is no phantom of this name.
    """
    return MappingProxyType(dict(_table()["contents_masses_g"].get(_phantom_key(phantom_name), {})))


def skeletal_absorbed_fraction(
    target: str,
    source: str,
    phantom_name: str,
    energy_kev: float,
    particle: str = "electron",
    model: str = SKELETON_MODEL,
) -> float:
    """Share of the energy emitted in a part of the skeleton that red marrow or osteogenic cells absorb.

    Parameters
    ----------
    target, source
        One of `SKELETAL_TARGETS`, one of `SKELETAL_SOURCES`.
    phantom_name
        'adult-male' or 'adult-female'.
    energy_kev
        Of electrons: the energy-weighted mean Σ y E² / Σ y E of a nuclide, or an energy [keV]. Not used for alphas.
    particle
        'electron' (β, conversion and Auger electrons, positrons) or 'alpha', which takes ICRP Publication 30 always.
    model
        'olinda': linear in the logarithm of the energy between the five nuclides of the table (102 to 1224 keV), the
        end values beyond them. 'icrp-30': two values, below and from 200 keV.

    Returns
    -------
    float
        Absorbed fraction; it goes with the target masses of `published_organ_masses_g` for that model.

    Raises
    ------
    RegionError
        Target or source is not of the skeleton.
    InputError
        Phantom, particle or model is unknown, or the energy is not positive.
    """
    key = _phantom_key(phantom_name)
    _require_known(target, SKELETAL_TARGETS, "target")
    _require_known(source, SKELETAL_SOURCES, "source")
    if particle not in _PARTICLES or model not in SKELETON_MODELS:
        raise InputError(
            f"Found particle '{particle}' and model '{model}'; expected {' or '.join(_PARTICLES)} and "
            f"{' or '.join(SKELETON_MODELS)}."
        )
    if particle == "electron" and not (math.isfinite(energy_kev) and energy_kev > 0):
        raise InputError(f"The energy of electrons must be a positive number of keV, found {energy_kev}.")
    if particle == "electron" and model == "olinda":
        return _effective_electron_fraction(key, target, source, energy_kev)
    return _icrp30_fraction(phantom_name, target, source, energy_kev, particle)


def red_marrow_weights() -> Mapping[str, float]:
    """Share of the active marrow in each bone region of the phantom; they sum to one.

    The ribs hold the sternum's and the pelvis the sacrum's; of arms and legs only the upper parts have active marrow.
    """
    percent = _table()["red_marrow_percent"]
    total = sum(percent.values())
    return MappingProxyType({region: share / total for region, share in percent.items()})


def bone_surface_photon_factor(energy_kev: NDArray[np.floating] | float) -> NDArray[np.float64]:
    """How much larger the published photon SAF of bone surfaces is than that of the skeleton as one medium.

    Parameters
    ----------
    energy_kev
        Photon energies [keV], any shape.

    Returns
    -------
    numpy.ndarray
        Factors by linear interpolation in the logarithm of the energy, the end values outside 20 to 1000 keV.

    Raises
    ------
    InputError
        An energy is not positive.
    """
    energies = np.asarray(energy_kev, dtype=np.float64)
    if not np.all(np.isfinite(energies) & (energies > 0)):
        raise InputError(f"Photon energies must be positive numbers of keV, found {energy_kev}.")
    table = _table()["bone_surface_photon_factor"]
    return np.asarray(np.interp(np.log(energies), np.log(table["energy_kev"]), table["factor"]))


def _effective_electron_fraction(key: str, target: str, source: str, energy_kev: float) -> float:
    """Between the nuclides of the table; osteogenic cells of the female as of the male, which agree within 0.001."""
    fractions = _table()["effective_electron_fractions"]
    of_target = fractions[key].get(target, fractions["adult_male"][target])
    by_nuclide = of_target.get(source)
    if by_nuclide is None:
        return 0.0
    energies = _table()["nuclide_electron_energy_kev"]
    known = sorted((energies[nuclide], fraction) for nuclide, fraction in by_nuclide.items())
    return float(np.interp(math.log(energy_kev), np.log([e for e, _ in known]), [fraction for _, fraction in known]))


def _icrp30_fraction(phantom_name: str, target: str, source: str, energy_kev: float, particle: str) -> float:
    table = _table()
    if (target, source) == ("osteogenic_cells", "red_marrow"):
        masses = published_organ_masses_g(phantom_name, bone_model_masses=False)
        ratio = table["icrp30"]["bone_surface_from_marrow_dose_ratio"]
        return float(ratio * masses["osteogenic_cells"] / masses["red_marrow"])
    if particle == "alpha":
        column = "alpha"
    else:
        below = energy_kev < table["icrp30"]["electron_limit_kev"]
        column = "electron_below_limit" if below else "electron_from_limit"
    return float(table["icrp30_fractions"][target][source][column])


def _require_known(name: str, known: tuple[str, ...], role: str) -> None:
    if name not in known:
        raise RegionError(f"'{name}' is not a {role} of the skeleton; expected one of: {', '.join(known)}.")


def _phantom_key(phantom_name: str) -> str:
    if phantom_name not in _PHANTOMS:
        raise InputError(f"There is no phantom '{phantom_name}'; expected {' or '.join(_PHANTOMS)}.")
    return phantom_name.replace("-", "_")


@cache
def _table() -> Mapping[str, Any]:
    table = files(__package__).joinpath("data", "marrow_and_bone", "marrow_and_bone.toml")
    try:
        return MappingProxyType(tomllib.loads(table.read_text(encoding="utf-8")))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise FileFormatError(
            f"The table 'marrow_and_bone' cannot be read ({error}); expected in the installed package. Reinstall it."
        ) from None

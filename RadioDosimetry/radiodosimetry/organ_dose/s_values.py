"""S-values of a stylised adult for any nuclide: stored photon SAFs times the lines, electrons and α particles locally.

As OLINDA/EXM 1.x does: photons by the specific absorbed fractions of the phantom; what hardly leaves its source by
`electrons`; masses of a patient by scaling what an organ gives itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, RegionError
from ..media import electron_table, named_material
from ..nuclides import EmissionSpectrum, Radionuclide
from ..provenance import Record
from ..units import JOULE_PER_KEV
from .electrons import ALPHA_WALL_FACTOR, local_fractions_per_g
from .organ_names import STYLISED_TARGETS, organ_named
from .phantom import PHANTOM_DATASET
from .photon_safs import PhotonSafTable, load_photon_safs
from .photons import photon_s_values
from .reference_masses import STYLISED_SOURCES, reference_masses_g
from .s_value_table import SValueTable, read_s_values, s_values_csv, s_values_record_json
from .skeleton import SKELETON_DATASET, SKELETON_MODEL, skeletal_absorbed_fraction

__all__ = [
    "SValueTable",
    "phantom_s_values",
    "read_s_values",
    "s_values_csv",
    "s_values_of_safs",
    "s_values_record_json",
]

Floats = NDArray[np.float64]

PHOTON_MASS_EXPONENT = -2.0 / 3.0
"""Power of an organ's mass that its photon S-value to itself goes with: the absorbed fraction grows as the cube root of
the mass (MIRD and OLINDA/EXM scale so)."""

GRAM_PER_KG = 1e3

SOFT_PHOTON_KEV = 10.0
"""Energy that the absorbed fractions of marrow and bone are taken at where nothing but soft photons stays [keV]."""

LARGEST_RADIATED_SHARE = 0.1
"""Energy of bremsstrahlung, which the S-values leave in the source, over that of the photons, from which the record
warns."""

METHODS: Mapping[str, str] = {
    "photons": "SAFs of the phantom's regions, by our Monte Carlo, times the lines",
    "bremsstrahlung": "absorbed in the source, as the electrons that make it",
    "electrons": "absorbed in their source; walls half the dose of their contents; total body by mass",
    "alphas": f"as electrons, walls {ALPHA_WALL_FACTOR:g} of that (ICRP 30); recoils included",
    "red marrow, photons": "soft-tissue kerma in each bone by its share of the marrow (Cristy 1981)",
    "bone surface, photons": "kerma of the skeleton times the published ratio of ORNL/TM-8381",
    "marrow and bone as photon sources": "marrow by its share in each bone, bone by the mass of each bone",
    "mass scaling": "self-dose: electrons and alphas with 1/mass, photons with mass^(-2/3); cross-dose not scaled",
}
"""How each part comes about, for records."""


def phantom_s_values(
    nuclide: Radionuclide | str,
    phantom_name: str,
    organ_masses_g: Mapping[str, float] | None = None,
    include_progeny: bool = True,
    skeleton_model: str = SKELETON_MODEL,
) -> SValueTable:
    """S-values of a stylised adult, all targets from all sources.

    Parameters
    ----------
    nuclide
        Any nuclide of the decay data, or its name.
    phantom_name
        "adult-male" or "adult-female".
    organ_masses_g
        A patient's organ masses [g]: what an organ gives itself is scaled with mass⁻¹ (electrons, α) and mass^(−2/3)
        (photons), what a wall gets of its contents' electrons with the contents' mass⁻¹; all else stays. Spellings as
        `organ_named`.
    include_progeny
        Count the short-lived progeny, in equilibrium where the parent decays.
    skeleton_model
        Absorbed fractions of electrons in marrow and bone, one of `skeleton.SKELETON_MODELS`.

    Returns
    -------
    SValueTable
        `STYLISED_TARGETS` from `STYLISED_SOURCES`, with the statistical standard deviation of the photon transport; the
        part of α particles (with recoils) apart.

    Raises
    ------
    InputError
        The phantom is unknown, or a mass is not positive.
    RegionError
        A mass is given for an organ that the phantom has not; the text offers the nearest.
    UnknownNuclideError
        The nuclide is not in the decay dataset.

    References
    ----------
    .. [1] Stabin and Siegel, Physical models and dose factors for use in internal dose assessment, Health Phys 85
       (2003) 294-310.
    .. [2] Cristy and Eckerman, Specific absorbed fractions of energy at various ages from internal photon sources,
       ORNL/TM-8381 (1987).
    """
    return s_values_of_safs(nuclide, load_photon_safs(phantom_name), organ_masses_g, include_progeny, skeleton_model)


def s_values_of_safs(
    nuclide: Radionuclide | str,
    safs: PhotonSafTable,
    organ_masses_g: Mapping[str, float] | None = None,
    include_progeny: bool = True,
    skeleton_model: str = SKELETON_MODEL,
) -> SValueTable:
    """The same from photon SAFs at hand; see `phantom_s_values`."""
    nuclide = Radionuclide(nuclide) if isinstance(nuclide, str) else nuclide
    reference_g = reference_masses_g(safs.phantom)
    masses_g = _patient_masses_g(reference_g, organ_masses_g or {}, safs.phantom)
    emissions = nuclide.emissions(include_progeny)
    photons = photon_s_values(emissions.photon_spectrum(), safs, STYLISED_TARGETS, STYLISED_SOURCES)
    scaling = _self_scaling(reference_g, masses_g)
    electrons = _electron_part(emissions, photons.below_kev, masses_g, safs.phantom, skeleton_model)
    alphas = _alpha_part(emissions, masses_g, safs.phantom)
    record = Record(
        "S-values of a stylised adult",
        parameters={
            "nuclide": nuclide.name,
            "phantom": safs.phantom,
            "include_progeny": include_progeny,
            "organ_masses_g": dict(organ_masses_g) if organ_masses_g else None,
            "reference_masses_g": dict(reference_g),
            "methods": dict(METHODS),
            "electrons_in_marrow_and_bone": skeleton_model,
            "photon_energy_absorbed_locally_kev": photons.below_kev,
        },
        datasets={
            "decay data": nuclide.dataset,
            "photon SAFs": f"this project's Monte Carlo, seeded, {int(safs.histories.sum()):,} histories",
            **PHANTOM_DATASET,
            **SKELETON_DATASET,
        },
        warnings=(
            *(nuclide.warnings if include_progeny else ()),
            *photons.warnings,
            *_alpha_warnings(alphas),
            *_bremsstrahlung_warnings(nuclide.name, emissions),
        ),
    )
    return SValueTable(
        STYLISED_TARGETS,
        STYLISED_SOURCES,
        photons.s_gy_per_bq_s * scaling + electrons + alphas,
        photons.std_gy_per_bq_s * scaling,
        nuclide.name,
        record,
        alphas,
        masses_g,
    )


def _patient_masses_g(
    reference_g: Mapping[str, float], organ_masses_g: Mapping[str, float], phantom: str
) -> dict[str, float]:
    """Masses of all organs, the patient's where they are given."""
    masses = dict(reference_g)
    changed: set[str] = set()
    for written, mass_g in organ_masses_g.items():
        name = organ_named(written, reference_g, f"known organ of the {phantom} phantom")
        if name in changed:
            raise RegionError(f"The mass of {name} is given twice ('{written}' is another name of it); keep one.")
        if not (math.isfinite(mass_g) and mass_g > 0):
            raise InputError(f"The mass of {name} must be above 0 g, found {mass_g:g}.")
        masses[name] = float(mass_g)
        changed.add(name)
    return masses


def _self_scaling(reference_g: Mapping[str, float], masses_g: Mapping[str, float]) -> Floats:
    """Factor of each photon S-value: the mass ratio to the power of −2/3 from an organ to itself, else 1."""
    ratio = {name: (masses_g[name] / reference_g[name]) ** PHOTON_MASS_EXPONENT for name in STYLISED_TARGETS}
    return np.array(
        [[ratio[target] if target == source else 1.0 for source in STYLISED_SOURCES] for target in STYLISED_TARGETS]
    )


def _electron_part(
    emissions: EmissionSpectrum, photons_kev: float, masses_g: Mapping[str, float], phantom: str, skeleton_model: str
) -> Floats:
    """S-values of electrons, positrons and the softest photons [Gy/(Bq s)]."""
    spectra = (emissions.electron_spectrum(), emissions.positron_spectrum())
    emitted = np.concatenate([spectrum.energy_kev * spectrum.yield_per_decay for spectrum in spectra])
    energy = np.concatenate([spectrum.energy_kev for spectrum in spectra])
    typical_kev = float(emitted @ energy / emitted.sum()) if emitted.any() else SOFT_PHOTON_KEV

    def skeletal(target: str, source: str) -> float:
        return skeletal_absorbed_fraction(target, source, phantom, typical_kev, "electron", skeleton_model)

    fractions = local_fractions_per_g(STYLISED_TARGETS, STYLISED_SOURCES, masses_g, skeletal)
    return fractions * GRAM_PER_KG * (float(emitted.sum()) + photons_kev) * JOULE_PER_KEV


def _alpha_part(emissions: EmissionSpectrum, masses_g: Mapping[str, float], phantom: str) -> Floats:
    """S-values of α particles and recoils [Gy/(Bq s)]."""
    emitted_kev = emissions.alphas.energy_per_decay_kev + emissions.alpha_recoils.energy_per_decay_kev

    def skeletal(target: str, source: str) -> float:
        return skeletal_absorbed_fraction(target, source, phantom, 1.0, "alpha")

    fractions = local_fractions_per_g(STYLISED_TARGETS, STYLISED_SOURCES, masses_g, skeletal, ALPHA_WALL_FACTOR)
    return fractions * GRAM_PER_KG * emitted_kev * JOULE_PER_KEV


def _alpha_warnings(alphas: Floats) -> tuple[str, ...]:
    if not alphas.any():
        return ()
    return (
        "Alpha particles from contents give their walls one hundredth of the electrons' share (ICRP Publication 30): "
        "the mucus holds them back.",
    )


def _bremsstrahlung_warnings(name: str, emissions: EmissionSpectrum) -> tuple[str, ...]:
    """Whether what electrons radiate would matter to other organs than their source."""
    yields = electron_table(named_material("soft-tissue"))
    lowest, highest = yields.energy_kev[[0, -1]]
    radiated_kev = sum(
        float(
            (spectrum.energy_kev * spectrum.yield_per_decay)
            @ yields.at("radiation_yield", np.clip(spectrum.energy_kev, lowest, highest))
        )
        for spectrum in (emissions.electron_spectrum(), emissions.positron_spectrum())
    )
    photons_kev = emissions.photon_spectrum().energy_per_decay_kev
    if radiated_kev <= LARGEST_RADIATED_SHARE * photons_kev:
        return ()
    return (
        f"The electrons of {name} radiate {radiated_kev:.2g} keV per decay as bremsstrahlung, its photons carry "
        f"{photons_kev:.2g} keV: bremsstrahlung is absorbed in the source here, so that doses of other organs are too "
        "low. S-values of a patient's CT follow it.",
    )

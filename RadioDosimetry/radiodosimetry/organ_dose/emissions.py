"""What a decay gives to transport and what stays where it happens: the source of every S-value of the patient."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import InputError
from ..nuclides import Radionuclide
from ..nuclides.spectrum import ParticleSpectrum

_MEV_PER_KEV = 1e-3


@dataclass(frozen=True, eq=False)
class DecayEmissions:
    """Emissions per decay, sorted by how far they go.

    Attributes
    ----------
    nuclide
        Canonical name of the nuclide.
    electrons, positrons
        Charged particles; the positrons without the quanta of their annihilation.
    photons
        γ and X rays.
    annihilation
        Quanta of annihilation; who transports positrons makes them where the positrons stop.
    local_energy_mev
        Energy of α particles and recoils per decay [MeV]; stays where the decay is (ranges below 0.1 mm in tissue).
    dataset
        Where the lines come from.
    warnings
        What the record must say about them.
    """

    nuclide: str
    electrons: ParticleSpectrum
    positrons: ParticleSpectrum
    photons: ParticleSpectrum
    annihilation: ParticleSpectrum
    local_energy_mev: float
    dataset: str
    warnings: tuple[str, ...]

    @property
    def transported(self) -> tuple[ParticleSpectrum, ...]:
        """What a Monte Carlo starts; positrons bring their annihilation along."""
        quanta = (self.annihilation,) if self.positrons.is_empty else ()
        spectra = (self.electrons, self.positrons, self.photons, *quanta)
        return tuple(spectrum for spectrum in spectra if not spectrum.is_empty)

    @property
    def emitted_energy_mev(self) -> float:
        """Energy of everything emitted per decay [MeV], without neutrinos."""
        spectra = (self.electrons, self.positrons, self.photons, self.annihilation)
        return sum(spectrum.energy_per_decay_kev for spectrum in spectra) * _MEV_PER_KEV + self.local_energy_mev

    @property
    def photon_energy_mev(self) -> float:
        """Energy of all photons per decay [MeV], annihilation included."""
        return (self.photons.energy_per_decay_kev + self.annihilation.energy_per_decay_kev) * _MEV_PER_KEV


def decay_emissions(nuclide: Radionuclide | str, include_progeny: bool = True) -> DecayEmissions:
    """Emissions per decay of a nuclide, with or without the progeny in equilibrium with it.

    Raises
    ------
    UnknownNuclideError
        The dataset has no such nuclide.
    InputError
        The nuclide emits nothing that is transported or stays, or much of its energy comes from fission.
    """
    nuclide = Radionuclide(nuclide) if isinstance(nuclide, str) else nuclide
    nuclide.require_emissions_for_dose()
    emitted = nuclide.emissions(include_progeny)
    local_kev = emitted.alphas.energy_per_decay_kev + emitted.alpha_recoils.energy_per_decay_kev
    found = DecayEmissions(
        nuclide.name,
        emitted.electron_spectrum(),
        emitted.positron_spectrum(),
        emitted.photon_spectrum(annihilation=False),
        emitted.annihilation_quanta,
        local_kev * _MEV_PER_KEV,
        nuclide.dataset,
        nuclide.warnings if include_progeny else (),
    )
    if found.emitted_energy_mev <= 0:
        raise InputError(
            f"{nuclide.name} emits no electron, positron, photon or α particle; choose a nuclide that does."
        )
    return found

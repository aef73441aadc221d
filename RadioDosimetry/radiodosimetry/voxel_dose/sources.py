"""What a source voxel emits: particles of a nuclide, of a line list, or of one energy, sorted by how they travel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from ..nuclides.spectrum import ParticleSpectrum
from ..units import ELECTRON_REST_ENERGY_KEV

if TYPE_CHECKING:
    from ..nuclides import Radionuclide

EMISSION_CHOICES = ("all", "electrons", "photons")
"""Which particles take part: all of them, β−, β+, conversion and Auger electrons, or γ, X and annihilation photons."""

_SAME_LINE_KEV = 0.1
"""A listed photon this close to the annihilation energy is taken for the annihilation line of the listed positrons."""

ANNIHILATION_TOLERANCE = 0.01
"""Listed annihilation photons this close to two per positron agree with them: lists print two or three digits."""

_LOCAL_PARTICLES = ("alpha", "recoil")
_MEV_PER_KEV = 1e-3


@dataclass(frozen=True, eq=False)
class EmissionSource:
    """Particles emitted per decay (or per source particle).

    Attributes
    ----------
    name
        Nuclide, or what the lines are.
    charged
        Electrons and positrons, transported.
    photons
        γ and X rays, transported.
    annihilation
        Annihilation photons of the positrons, emitted where the positron starts unless positrons are transported.
    local_energy_mev
        Energy of α particles and recoils per decay [MeV]; stays in the source voxel (ranges below 0.1 mm in tissue).
    per_particle
        True if the yields are per source particle, False if per decay.
    dataset
        Where the lines come from.
    record_notes
        Warnings the lines come with: progeny left out, particles without lines.

    Raises
    ------
    InputError
        Nothing is emitted, or a spectrum stands in the wrong place.
    """

    name: str
    charged: tuple[ParticleSpectrum, ...] = ()
    photons: tuple[ParticleSpectrum, ...] = ()
    annihilation: tuple[ParticleSpectrum, ...] = ()
    local_energy_mev: float = 0.0
    per_particle: bool = False
    dataset: str = "given"
    record_notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if any(spectrum.particle not in ("electron", "positron") for spectrum in self.charged) or any(
            spectrum.particle != "photon" for spectrum in self.photon_spectra
        ):
            raise InputError(
                f"Charged spectra of '{self.name}' must be of electrons or positrons, the others of photons."
            )
        if not np.isfinite(self.local_energy_mev) or self.local_energy_mev < 0:
            raise InputError(f"The local energy of '{self.name}' must be 0 or more, found {self.local_energy_mev} MeV.")
        if self.emitted_energy_mev <= 0:
            raise InputError(
                f"'{self.name}' emits nothing of the kind chosen; choose other emissions or another nuclide."
            )

    @classmethod
    def from_nuclide(cls, nuclide: Radionuclide, emissions: str = "all") -> EmissionSource:
        """Emissions of a nuclide and the progeny in equilibrium with it, per decay of the nuclide.

        Raises
        ------
        InputError
            `emissions` is not one of `EMISSION_CHOICES`, the nuclide has no such emission, or too much of its energy
            is of spontaneous fission.
        """
        nuclide.require_emissions_for_dose()
        emitted = nuclide.emissions()
        spectra = [
            emitted.electron_spectrum(),
            emitted.positron_spectrum(),
            emitted.photon_spectrum(annihilation=False),
            emitted.alpha_spectrum(),
            emitted.alpha_recoils,
        ]
        annihilation = () if emitted.annihilation_quanta.is_empty else (emitted.annihilation_quanta,)
        source = _sorted_by_range(nuclide.name, spectra, annihilation, emissions, False, nuclide.dataset)
        return replace(source, record_notes=nuclide.warnings)

    @classmethod
    def from_spectra(
        cls,
        name: str,
        spectra: Iterable[ParticleSpectrum],
        emissions: str = "all",
        per_particle: bool = False,
        dataset: str = "given",
    ) -> EmissionSource:
        """Sort spectra by how their particles travel and keep those chosen.

        Positrons bring two annihilation photons each, unless the photons list the 511 keV line themselves; where that
        is not two per positron, a note for the record says so.

        Raises
        ------
        InputError
            `emissions` is not one of `EMISSION_CHOICES`, or nothing is left.
        """
        given = [spectrum for spectrum in spectra if not spectrum.is_empty]
        kept, annihilation = _annihilation_apart(given)
        source = _sorted_by_range(name, kept, annihilation, emissions, per_particle, dataset)
        return replace(source, record_notes=_annihilation_notes(given, source.annihilation))

    @classmethod
    def mono_energetic(cls, particle: str, energy_kev: float) -> EmissionSource:
        """One particle of one energy.

        Raises
        ------
        InputError
            The particle is unknown or the energy not positive.
        """
        spectrum = ParticleSpectrum(particle, np.array([energy_kev]), np.array([1.0]), f"{energy_kev:g} keV")
        return cls.from_spectra(f"{energy_kev:g} keV {particle}", [spectrum], per_particle=True)

    @property
    def photon_spectra(self) -> tuple[ParticleSpectrum, ...]:
        """All photons, those of annihilation included."""
        return (*self.photons, *self.annihilation)

    @property
    def transport_spectra(self) -> tuple[ParticleSpectrum, ...]:
        """What a Monte Carlo starts: positrons that annihilate where they stop, or all photons if they do not start.

        Without photons (`emissions` "electrons") positrons run as electrons: their annihilation belongs to the photons.
        """
        if self.annihilation and self.charged:
            return (*self.charged, *self.photons)
        electrons = tuple(
            ParticleSpectrum("electron", spectrum.energy_kev, spectrum.yield_per_decay, spectrum.label)
            for spectrum in self.charged
        )
        return (*electrons, *self.photon_spectra)

    @property
    def charged_energy_mev(self) -> float:
        """Energy of electrons and positrons per decay [MeV]."""
        return sum(spectrum.energy_per_decay_kev for spectrum in self.charged) * _MEV_PER_KEV

    @property
    def photon_energy_mev(self) -> float:
        """Energy of photons per decay [MeV]."""
        return sum(spectrum.energy_per_decay_kev for spectrum in self.photon_spectra) * _MEV_PER_KEV

    @property
    def emitted_energy_mev(self) -> float:
        """Energy of everything emitted per decay [MeV]."""
        return self.charged_energy_mev + self.photon_energy_mev + self.local_energy_mev

    def identity(self) -> Mapping[str, Any]:
        """All that distinguishes this source from another, as JSON-ready values."""
        return {
            "charged": [_lines(spectrum) for spectrum in self.charged],
            "photons": [_lines(spectrum) for spectrum in self.photon_spectra],
            "local_energy_mev": self.local_energy_mev,
            "dataset": self.dataset,
        }


def _lines(spectrum: ParticleSpectrum) -> list[Any]:
    return [spectrum.particle, spectrum.energy_kev.tolist(), spectrum.yield_per_decay.tolist()]


def _annihilation_apart(
    spectra: list[ParticleSpectrum],
) -> tuple[list[ParticleSpectrum], tuple[ParticleSpectrum, ...]]:
    """Spectra without their annihilation line, and that line; made if positrons are listed without it."""
    positrons = sum(spectrum.particles_per_decay for spectrum in spectra if spectrum.particle == "positron")
    if positrons == 0:
        return spectra, ()
    kept, listed = [], 0.0
    for spectrum in spectra:
        near = np.abs(spectrum.energy_kev - ELECTRON_REST_ENERGY_KEV) < _SAME_LINE_KEV
        if spectrum.particle != "photon" or not near.any():
            kept.append(spectrum)
            continue
        listed += float(spectrum.yield_per_decay[near].sum())
        if not near.all():
            energy, yields = spectrum.energy_kev[~near], spectrum.yield_per_decay[~near]
            kept.append(ParticleSpectrum("photon", energy, yields, spectrum.label))
    number = listed or 2 * positrons
    return kept, (ParticleSpectrum("photon", np.array([ELECTRON_REST_ENERGY_KEV]), np.array([number]), "annihilation"),)


def _annihilation_notes(
    given: list[ParticleSpectrum], annihilation: tuple[ParticleSpectrum, ...]
) -> tuple[str, ...]:
    """What to say where the 511 keV photons taken are not two per positron."""
    quanta = sum(spectrum.particles_per_decay for spectrum in annihilation)
    expected = 2 * sum(spectrum.particles_per_decay for spectrum in given if spectrum.particle == "positron")
    if not annihilation or abs(quanta - expected) <= ANNIHILATION_TOLERANCE * expected:
        return ()
    return (
        f"{quanta:.4g} photons of 511 keV are listed for {expected / 2:.4g} positrons, expected {expected:.4g}, two "
        "each: kernels from tables take the listed photons, a simulation two for each positron. Check the list.",
    )


def _sorted_by_range(
    name: str,
    spectra: list[ParticleSpectrum],
    annihilation: tuple[ParticleSpectrum, ...],
    emissions: str,
    per_particle: bool,
    dataset: str,
) -> EmissionSource:
    """The source with the emissions chosen."""
    if emissions not in EMISSION_CHOICES:
        raise InputError(f"Emissions '{emissions}' are unknown; expected one of: {', '.join(EMISSION_CHOICES)}.")
    kept = [spectrum for spectrum in spectra if not spectrum.is_empty]
    local_kev = sum(spectrum.energy_per_decay_kev for spectrum in kept if spectrum.particle in _LOCAL_PARTICLES)
    with_charged, with_photons = emissions != "photons", emissions != "electrons"
    return EmissionSource(
        name,
        tuple(spectrum for spectrum in kept if spectrum.particle in ("electron", "positron") and with_charged),
        tuple(spectrum for spectrum in kept if spectrum.particle == "photon" and with_photons),
        annihilation if with_photons else (),
        local_kev * _MEV_PER_KEV if emissions == "all" else 0.0,
        per_particle,
        dataset,
    )

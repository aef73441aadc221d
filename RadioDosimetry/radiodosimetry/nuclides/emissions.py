"""What a nuclide, or a chain of them, emits per decay, sorted by origin."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .beta import allowed_density, binned_spectrum, split_by_sign
from .dataset import DecayData, decay_data
from .names import atomic_number
from .spectrum import ParticleSpectrum, merged

FISSION_LISTS = ("neutron", "fission", "betaD")
"""Lists of the dataset that belong to spontaneous fission; they are in no spectrum."""

_LINE_LIST_OF = {
    "conversion_electrons": ("IE", "electron", "conversion"),
    "auger_electrons": ("auger", "electron", "Auger"),
    "gammas": ("gamma", "photon", "gamma"),
    "x_rays": ("X", "photon", "X"),
    "annihilation_quanta": ("annihilation", "photon", "annihilation"),
    "alphas": ("alpha", "alpha", "alpha"),
    "alpha_recoils": ("alpha recoil", "recoil", "alpha recoil"),
}


@dataclass(frozen=True)
class EmissionSpectrum:
    """Emissions per decay of one nuclide, or per decay of the parent of a chain.

    Attributes
    ----------
    beta_minus, beta_plus
        Continuous spectra in fine bins; particles `electron` and `positron`.
    conversion_electrons, auger_electrons
        Lines; particle `electron`.
    gammas, x_rays, annihilation_quanta
        Lines; particle `photon`. The annihilation quanta arise where a positron stops: who transports positrons leaves
        them to the transport.
    alphas
        Lines; particle `alpha`, without the energy of the recoiling nucleus.
    alpha_recoils
        Lines; particle `recoil`: in no sum unless asked for.
    """

    beta_minus: ParticleSpectrum
    beta_plus: ParticleSpectrum
    conversion_electrons: ParticleSpectrum
    auger_electrons: ParticleSpectrum
    gammas: ParticleSpectrum
    x_rays: ParticleSpectrum
    annihilation_quanta: ParticleSpectrum
    alphas: ParticleSpectrum
    alpha_recoils: ParticleSpectrum

    def electron_spectrum(self) -> ParticleSpectrum:
        """β−, conversion and Auger electrons (no positrons)."""
        return merged((self.beta_minus, self.conversion_electrons, self.auger_electrons), "electron")

    def positron_spectrum(self) -> ParticleSpectrum:
        """β+, without the quanta of their annihilation."""
        return self.beta_plus

    def photon_spectrum(self, annihilation: bool = True) -> ParticleSpectrum:
        """γ and X rays and, unless `annihilation` is False, the quanta of annihilation as if emitted by the nuclide."""
        quanta = (self.annihilation_quanta,) if annihilation else ()
        return merged((self.gammas, self.x_rays, *quanta), "photon")

    def alpha_spectrum(self) -> ParticleSpectrum:
        """Alpha particles."""
        return self.alphas

    @property
    def energy_per_decay_kev(self) -> dict[str, float]:
        """Energy per decay [keV]: `electrons` (β−, β+, conversion, Auger), `photons` (γ, X, annihilation), `alphas`.

        Neutrinos, recoils, neutrons and fission fragments are in none of them.
        """
        return {
            "electrons": self.electron_spectrum().energy_per_decay_kev + self.beta_plus.energy_per_decay_kev,
            "photons": self.photon_spectrum().energy_per_decay_kev,
            "alphas": self.alphas.energy_per_decay_kev,
        }

    @classmethod
    def sum_of(cls, parts: Iterable[tuple[float, EmissionSpectrum]]) -> EmissionSpectrum:
        """Emissions of a mixture: `parts` are pairs of decays (of this part per decay of the parent) and emissions."""
        weighted = [(decays, emissions) for decays, emissions in parts]
        sums = {}
        for field in fields(cls):
            spectra = [getattr(emissions, field.name).scaled(decays) for decays, emissions in weighted]
            sums[field.name] = merged(spectra, spectra[0].particle, spectra[0].label)
        return cls(**sums)


@lru_cache(maxsize=256)
def own_emissions(name: str) -> EmissionSpectrum:
    """Emissions per decay of the nuclide with this canonical name, without its progeny.

    Raises
    ------
    UnknownNuclideError
        The dataset has no such nuclide, or none of its emissions.
    """
    data = decay_data(name)
    lines = {
        field: _lines(data.lines.get(source), particle, label)
        for field, (source, particle, label) in _LINE_LIST_OF.items()
    }
    beta_minus, beta_plus = _betas(data)
    return EmissionSpectrum(beta_minus=beta_minus, beta_plus=beta_plus, **lines)


def emits_fission(name: str) -> bool:
    """Whether the nuclide fissions spontaneously, so that neutrons and fragments are left out of its emissions."""
    return any(source in decay_data(name).lines for source in FISSION_LISTS)


def fission_energy_kev(name: str) -> float:
    """Energy per decay [keV] of the neutrons, fragments and β particles of spontaneous fission, 0 for most nuclides."""
    lists = decay_data(name).lines
    return sum(float(lists[source][:, 0] @ lists[source][:, 1]) for source in FISSION_LISTS if source in lists)


def _lines(table: NDArray[np.float64] | None, particle: str, label: str) -> ParticleSpectrum:
    if table is None:
        return ParticleSpectrum.empty(particle, label)
    table = table[table[:, 0] > 0]
    return ParticleSpectrum(particle, table[:, 0], table[:, 1], label)


def _betas(data: DecayData) -> tuple[ParticleSpectrum, ParticleSpectrum]:
    """β− and β+ spectra of a nuclide, in bins."""
    minus, plus = (_branches(data, key) for key in ("beta-", "beta+"))
    density = data.beta_density
    if density is None or "betaD" in data.lines:
        density = _allowed(minus, plus, atomic_number(data.name))
    densities = (density, density)
    if minus.size and plus.size:
        densities = split_by_sign(density, minus, plus, atomic_number(data.name))
    return (
        binned_spectrum(densities[0], minus, "electron", "beta-")
        if minus.size
        else ParticleSpectrum.empty("electron", "beta-"),
        binned_spectrum(densities[1], plus, "positron", "beta+")
        if plus.size
        else ParticleSpectrum.empty("positron", "beta+"),
    )


def _branches(data: DecayData, key: str) -> NDArray[np.float64]:
    table = data.lines.get(key, np.empty((0, 2)))
    return table[(table > 0).all(axis=1)]


def _allowed(minus: NDArray[np.float64], plus: NDArray[np.float64], number: int) -> NDArray[np.float64]:
    """Calculated spectrum where the tabulated one is missing or holds the β particles of fission fragments too."""
    branches = np.concatenate([minus, plus])
    if not branches.size:
        return branches
    energy_kev = np.linspace(0.0, 4.0 * branches[:, 0].max(), 2001)
    density = np.zeros_like(energy_kev)
    if minus.size:
        density += allowed_density(energy_kev, minus, number + 1)
    if plus.size:
        density += allowed_density(energy_kev, plus, 1 - number)
    return np.column_stack([energy_kev, density])

"""`Radionuclide`: everything dosimetry asks of a nuclide, by its name."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from .chains import ChainMember, DecayChain, decay_chain
from .dataset import PACKAGE, dataset_name, decay_data, nuclide_names
from .emissions import EmissionSpectrum, emits_fission, fission_energy_kev, own_emissions
from .names import canonical_name
from .spectrum import ParticleSpectrum

MOST_FISSION_SHARE = 0.01
"""Share of the energy per decay that may be of spontaneous fission: less than any dose is known to."""


@dataclass(frozen=True, repr=False)
class Radionuclide:
    """A radionuclide of ICRP-107 and, where the table of branchings has it, its chain.

    Two of the same name are equal; the data are read once and kept.

    Attributes
    ----------
    name
        Canonical name, "Lu-177". Given in any usual way: "Lu177", "177Lu", "lu-177", "99mTc".

    Raises
    ------
    UnknownNuclideError
        The dataset has no such nuclide (the text offers the nearest names), or none of its emissions.
    MissingDependencyError
        The package with the decay data is not installed.

    References
    ----------
    .. [1] ICRP Publication 107, Nuclear decay data for dosimetric calculations, Ann ICRP 38(3) (2008),
       doi:10.1016/j.icrp.2008.10.004.
    """

    name: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", canonical_name(self.name, nuclide_names()))
        decay_data(self.name)

    @property
    def half_life_s(self) -> float:
        """Physical half-life [s]."""
        return decay_data(self.name).half_life_s

    @property
    def decay_constant_per_s(self) -> float:
        """Decay constant ln 2 / half-life [1/s]."""
        return math.log(2.0) / self.half_life_s

    @property
    def dataset(self) -> str:
        """Name and version of the decay data, to be shown with every result."""
        return dataset_name()

    @property
    def chain(self) -> DecayChain:
        """The chain that starts here."""
        return decay_chain(self.name)

    @property
    def progeny(self) -> tuple[tuple[str, float], ...]:
        """Radioactive progeny taken along by default, (name, decays per decay of this nuclide), in the order of decay.

        Those with a shorter half-life than this nuclide and no longer-lived one before them.
        """
        return tuple((member.name, member.branching) for member in self.chain.progeny)

    @property
    def excluded_progeny(self) -> tuple[ChainMember, ...]:
        """Radioactive progeny left out by default, with the reason."""
        return self.chain.excluded

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to beware of, one sentence each; belongs into the record of every result."""
        return _warnings(self.name)

    def emissions(self, include_progeny: bool = True) -> EmissionSpectrum:
        """Emissions per decay of this nuclide.

        Parameters
        ----------
        include_progeny
            Add the emissions of the default progeny, each times its decays per decay of this nuclide.
        """
        return _emissions(self.name, include_progeny)

    def electron_spectrum(self, include_progeny: bool = True) -> ParticleSpectrum:
        """β−, conversion and Auger electrons per decay, the continuous part in fine bins."""
        return self.emissions(include_progeny).electron_spectrum()

    def positron_spectrum(self, include_progeny: bool = True) -> ParticleSpectrum:
        """β+ per decay in fine bins, without the quanta of their annihilation."""
        return self.emissions(include_progeny).positron_spectrum()

    def photon_spectrum(self, include_progeny: bool = True, annihilation: bool = True) -> ParticleSpectrum:
        """γ, X and, unless `annihilation` is False, annihilation quanta per decay."""
        return self.emissions(include_progeny).photon_spectrum(annihilation)

    def alpha_spectrum(self, include_progeny: bool = True) -> ParticleSpectrum:
        """Alpha particles per decay, without recoils."""
        return self.emissions(include_progeny).alpha_spectrum()

    @property
    def energy_per_decay_kev(self) -> dict[str, float]:
        """Energy per decay [keV] of `electrons`, `photons` and `alphas`, default progeny included."""
        return self.emissions().energy_per_decay_kev

    @property
    def fission_share(self) -> float:
        """Share of the energy per decay, default progeny included, of spontaneous fission, which no spectrum holds."""
        emitted = self.emissions()
        fission = fission_energy_kev(self.name)
        fission += sum(member.branching * fission_energy_kev(member.name) for member in self.chain.progeny)
        others = sum(emitted.energy_per_decay_kev.values()) + emitted.alpha_recoils.energy_per_decay_kev
        return fission / (fission + others) if fission > 0 else 0.0

    def require_emissions_for_dose(self) -> None:
        """Refuse a nuclide of which much of the dose would come from what no spectrum holds.

        Raises
        ------
        InputError
            More than `MOST_FISSION_SHARE` of the energy is of spontaneous fission: Cf-250, -252, -254, Cm-248, -250,
            Es-254m, -255, Fm-254, -256, -257 and Pu-244 of ICRP-107.
        """
        share = self.fission_share
        if share > MOST_FISSION_SHARE:
            raise InputError(
                f"The emissions of {self.name} lack the neutrons, fragments and β particles of spontaneous fission, "
                f"{100 * share:.3g} % of the energy of a decay, expected at most {100 * MOST_FISSION_SHARE:g} %, so no "
                "dose is computed. Use another nuclide; a kernel can also be made of a spectrum file with its lines."
            )

    def ingrowth(self, times_s: ArrayLike) -> dict[str, NDArray[np.float64]]:
        """Activities of this nuclide and all its progeny per initial activity; see `DecayChain.ingrowth`."""
        return self.chain.ingrowth(times_s)

    def __repr__(self) -> str:
        return f"Radionuclide({self.name}, half-life {readable_duration(self.half_life_s)}, {self.dataset})"


def readable_duration(seconds: float) -> str:
    """A half-life in the unit one says it in ("6.647 d")."""
    for unit, length_s in (("y", 365.2422 * 86400.0), ("d", 86400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0)):
        if seconds >= length_s:
            return f"{seconds / length_s:.5g} {unit}"
    return f"{seconds:.4g} s"


@lru_cache(maxsize=256)
def _emissions(name: str, include_progeny: bool) -> EmissionSpectrum:
    members = decay_chain(name).progeny if include_progeny else ()
    if not members:
        return own_emissions(name)
    parts = [(member.branching, own_emissions(member.name)) for member in members]
    return EmissionSpectrum.sum_of([(1.0, own_emissions(name)), *parts])


@lru_cache(maxsize=256)
def _warnings(name: str) -> tuple[str, ...]:
    chain = decay_chain(name)
    found = []
    if not chain.known:
        found.append(f"The table of branchings lacks {name}: its radioactive progeny, if any, are not counted.")
    found.extend(
        f"{member.name} ({member.branching:.4g} decays per decay of {name}) is not counted, nor what follows it: "
        f"{member.reason}."
        for member in chain.excluded
    )
    fissile = [other for other in (name, *(member.name for member in chain.progeny)) if emits_fission(other)]
    if fissile:
        found.append(
            f"{', '.join(fissile)} fissions spontaneously: the neutrons, fragments and their β particles in {PACKAGE} "
            "are not counted."
        )
    return tuple(found)

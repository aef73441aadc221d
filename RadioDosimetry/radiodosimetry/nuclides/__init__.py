"""Radionuclides: half-lives, emissions and decay chains."""

from .chains import ChainMember, DecayChain
from .emissions import EmissionSpectrum
from .radionuclide import Radionuclide
from .spectrum import PARTICLES, ParticleSpectrum, merged

__all__ = [
    "PARTICLES",
    "ChainMember",
    "DecayChain",
    "EmissionSpectrum",
    "ParticleSpectrum",
    "Radionuclide",
    "merged",
]

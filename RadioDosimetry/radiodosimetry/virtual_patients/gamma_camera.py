"""What a gamma camera sees: collimators, photopeaks, energy windows, and the blur that grows with distance.

Collimators are those of a Siemens Symbia, whose medium-energy set Li 2022 simulated for Lu-177.

References
----------
.. [1] Collimator data base of the SIMIND program (codes SY-LEHR, SY-ME, SY-HE): hole diameter, septum and length.
       Ljungberg, The SIMIND Monte Carlo program, DOI 10.1201/b13073-8.
.. [2] Anger, J Nucl Med 5 (1964) 515: geometric resolution of a parallel-hole collimator with its effective length.
.. [3] Ljungberg et al., MIRD Pamphlet No. 26, J Nucl Med 57 (2016) 151, DOI 10.2967/jnumed.115.159012: windows.
.. [4] Li et al., Med Phys 49 (2022) 1216: 20 % photopeak at 208 keV between two adjacent windows of 10 %, 3-20 million
       counts, 16 iterations of 4 subsets.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from ..errors import InputError

FWHM_PER_SIGMA = math.sqrt(8 * math.log(2))
"""Full width at half maximum of a Gaussian over its standard deviation."""

INTRINSIC_FWHM_MM = 4.5
"""Intrinsic resolution of a NaI crystal of 5/8 inch (15.9 mm), Li 2022's; 3.8 mm is usual for 3/8 inch."""

COLLIMATOR_TO_IMAGE_PLANE_MM = 10.0
"""From the back of the collimator to where photons are counted on average: gap, cover and half of the crystal."""

ENERGY_RESOLUTION_140KEV = 0.099
"""Full width at half maximum over energy at 140 keV of NaI; it falls with the root of the energy."""

BODY_TO_COLLIMATOR_MM = 20.0
"""Distance kept between the body and the collimator on a contoured orbit."""


@dataclass(frozen=True)
class Collimator:
    """A parallel-hole collimator of lead.

    Attributes
    ----------
    name
        What the settings call it.
    hole_mm
        Diameter of a hole, across its flats [mm].
    length_mm
        Length of a hole [mm].
    septum_mm
        Wall between two holes [mm]; penetration of it is not simulated.
    """

    name: str
    hole_mm: float
    length_mm: float
    septum_mm: float

    def fwhm_mm(self, distance_mm: NDArray[np.floating] | float, lead_attenuation_per_mm: float) -> NDArray[np.float64]:
        """Resolution of collimator and crystal together at a distance from the collimator's face [mm].

        Parameters
        ----------
        distance_mm
            Distances [mm], any shape.
        lead_attenuation_per_mm
            Linear attenuation of lead at the photopeak [1/mm]: two mean free paths shorten the holes.
        """
        effective_mm = self.length_mm - 2 / lead_attenuation_per_mm
        distance = np.asarray(distance_mm, dtype=np.float64)
        geometric_mm = self.hole_mm * (effective_mm + distance + COLLIMATOR_TO_IMAGE_PLANE_MM) / effective_mm
        return np.asarray(np.hypot(geometric_mm, INTRINSIC_FWHM_MM))


COLLIMATORS: Mapping[str, Collimator] = MappingProxyType(
    {
        "lehr": Collimator("lehr", 1.11, 24.05, 0.16),
        "megp": Collimator("megp", 2.94, 40.64, 1.14),
        "hegp": Collimator("hegp", 4.00, 59.70, 2.00),
    }
)
"""Low energy high resolution, medium and high energy."""


@dataclass(frozen=True)
class Photopeak:
    """The line a nuclide is imaged by, and the windows around it.

    Attributes
    ----------
    energy_kev
        Energy of the line [keV].
    window_kev, lower_kev, upper_kev
        Limits of the photopeak's and the two scatter windows [keV].
    lead_attenuation_per_mm
        Linear attenuation of lead at that energy [1/mm], XCOM with 11.35 g/cm³.
    collimator
        The collimator usual for it.
    """

    energy_kev: float
    window_kev: tuple[float, float]
    lower_kev: tuple[float, float]
    upper_kev: tuple[float, float]
    lead_attenuation_per_mm: float
    collimator: str

    def scatter_weights(self) -> tuple[float, float]:
        """Factors of lower and upper window in the triple-energy-window estimate: a trapezoid under the peak.

        References
        ----------
        .. [1] Ogawa et al., IEEE Trans Med Imaging 10 (1991) 408, DOI 10.1109/42.97591.
        """
        width = self.window_kev[1] - self.window_kev[0]
        lower, upper = (high - low for low, high in (self.lower_kev, self.upper_kev))
        return 0.5 * width / lower, 0.5 * width / upper


def _adjacent(energy_kev: float, lead_cm2_per_g: float, collimator: str) -> Photopeak:
    """A photopeak window of 20 % between two of 10 %."""
    low, high = 0.9 * energy_kev, 1.1 * energy_kev
    width = 0.1 * energy_kev
    return Photopeak(
        energy_kev, (low, high), (low - width, low), (high, high + width), lead_cm2_per_g * 11.35 * 0.1, collimator
    )


PHOTOPEAKS: Mapping[str, Photopeak] = MappingProxyType(
    {
        "Tc-99m": _adjacent(140.5, 2.369, "lehr"),
        "Lu-177": _adjacent(208.4, 0.9059, "megp"),
        "I-131": _adjacent(364.5, 0.2749, "hegp"),
    }
)
"""Nuclides whose SPECT can be simulated; lead attenuation [cm²/g] from XCOM."""


def photopeak_of(nuclide: str) -> Photopeak:
    """How a nuclide is imaged.

    Raises
    ------
    InputError
        No SPECT of this nuclide is simulated.
    """
    if nuclide in PHOTOPEAKS:
        return PHOTOPEAKS[nuclide]
    nearest = difflib.get_close_matches(nuclide, PHOTOPEAKS, n=1, cutoff=0.6)
    offer = f" Did you mean {nearest[0]}?" if nearest else ""
    raise InputError(
        f"SPECT of {nuclide} is not simulated; expected one of {', '.join(PHOTOPEAKS)}. "
        f"Positron emitters and Y-90 are simulated as PET (kind 'pet').{offer}"
    )


def collimator_named(name: str) -> Collimator:
    """The collimator with this name.

    Raises
    ------
    InputError
        There is none.
    """
    if name not in COLLIMATORS:
        raise InputError(f"There is no collimator '{name}'; expected one of {', '.join(COLLIMATORS)}.")
    return COLLIMATORS[name]


def window_share(energy_kev: NDArray[np.floating] | float, window_kev: tuple[float, float]) -> NDArray[np.float64]:
    """Share of the photons of an energy that the crystal's energy resolution counts inside a window.

    Parameters
    ----------
    energy_kev
        Energies of photons that are fully absorbed in the crystal [keV], any shape.
    window_kev
        Limits of the window [keV].
    """
    energy = np.asarray(energy_kev, dtype=np.float64)
    sigma_kev = ENERGY_RESOLUTION_140KEV * 140.5 * np.sqrt(energy / 140.5) / FWHM_PER_SIGMA
    low, high = window_kev
    return np.asarray(ndtr((high - energy) / sigma_kev) - ndtr((low - energy) / sigma_kev))

"""Attenuation and Compton scattering of a patient at one photon energy, from the CT through the package's media."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..images.volume import QuantitativeVolume
from ..media import named_material, photon_table, segment_media


@dataclass(frozen=True, eq=False)
class PhotonMap:
    """How a patient attenuates and scatters photons of one energy.

    Attributes
    ----------
    attenuation_per_mm_kji
        Linear attenuation without coherent scattering [1/mm], float32, array (k, j, i). Photons scattered coherently
        keep energy and, nearly, direction: the camera takes them for unscattered.
    scattering_kji
        Incoherent scattering per volume relative to water, float32, array (k, j, i).
    """

    attenuation_per_mm_kji: NDArray[np.float32]
    scattering_kji: NDArray[np.float32]


def photon_map(ct: QuantitativeVolume, energy_kev: float) -> PhotonMap:
    """Attenuation and scattering of a patient.

    Parameters
    ----------
    ct
        CT numbers [HU].
    energy_kev
        Photon energy [keV].

    Raises
    ------
    UnitError
        `ct` is not a CT.
    InputError
        The energy lies outside the tables, or a CT number cannot be used.
    """
    media = segment_media(ct, bands=None)
    tables = [photon_table(material) for material in media.media]
    incoherent = np.array([float(table.at("incoherent", energy_kev)) for table in tables])
    total = np.array([float(table.at("total", energy_kev) - table.at("coherent", energy_kev)) for table in tables])
    water = float(photon_table(named_material("water")).at("incoherent", energy_kev))
    index, density = media.medium_index_kji, media.density_kji
    return PhotonMap(
        (0.1 * total[index] * density).astype(np.float32), (incoherent[index] / water * density).astype(np.float32)
    )

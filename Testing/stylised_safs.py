"""Photon SAFs made up in closed form for the stylised adults: quick, and simple enough to compute results by hand."""

from __future__ import annotations

import numpy as np

from radiodosimetry.organ_dose.phantom import stylised_phantom
from radiodosimetry.organ_dose.photon_safs import PhotonSafTable

ENERGIES_KEV = np.array([10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 3000.0])
BONE_KG = 0.9
"""Mass of a bone whose own the report does not print [kg]."""
CROSS_SAF_PER_KG = 0.003
SELF_FRACTION = 0.15
RELATIVE_STD = 0.02


def closed_form_safs(phantom: str) -> PhotonSafTable:
    """SAFs that do not depend on the energy: 0.003 per kg across, 0.15 of the energy more in the source itself.

    Soft tissue in a bone gets twice what the bone gets.
    """
    anatomy = stylised_phantom(phantom)
    regions = anatomy.regions
    masses_kg = np.array([anatomy.published_mass_g.get(name, 1e3 * BONE_KG) / 1e3 for name in regions])
    pair = np.full((len(regions),) * 2, CROSS_SAF_PER_KG)
    pair[np.diag_indices(len(regions))] += SELF_FRACTION / masses_kg
    saf = np.repeat(pair[..., None], ENERGIES_KEV.size, axis=2)
    in_bone = np.array([2.0 if anatomy.tissue_of(name) == "skeleton" else 1.0 for name in regions])
    std = np.full_like(saf, RELATIVE_STD)
    histories = np.full((len(regions), ENERGIES_KEV.size), 1000)
    soft = saf * in_bone[:, None, None]
    return PhotonSafTable(phantom, ENERGIES_KEV, regions, regions, saf, std, soft, std.copy(), masses_kg, histories)

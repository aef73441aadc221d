"""Photon part of the S-values of a stylised adult: the stored SAFs of its regions, folded with a nuclide's lines.

Targets and sources of a table are regions of the phantom or made of them: the total body is all regions by mass, muscle
is what is left between the organs, red marrow is the soft-tissue kerma in each bone by its share of the marrow, bone
surface the kerma of the skeleton times a published factor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..nuclides import ParticleSpectrum
from ..units import JOULE_PER_KEV
from .anatomy import SKELETON
from .organ_names import organ_named
from .photon_safs import PhotonSafTable
from .skeleton import bone_surface_photon_factor, red_marrow_weights

Floats = NDArray[np.float64]


LINES_AT_ONCE = 256
"""Photon lines folded together: some 10 MB of SAFs."""

_SMALL_INTESTINE = ("small_intestine_contents", "small_intestine")
_WHOLE_SKELETON = (
    "osteogenic_cells",
    "cortical_bone_surface",
    "cortical_bone_volume",
    "trabecular_bone_surface",
    "trabecular_bone_volume",
)


@dataclass(frozen=True, eq=False)
class PhotonSValues:
    """Photon S-values with what the SAFs do not reach.

    Attributes
    ----------
    s_gy_per_bq_s, std_gy_per_bq_s
        S-values and their statistical standard deviation [Gy/(Bq s)], shape (targets, sources).
    below_kev
        Energy per decay of photons below the lowest SAF [keV], in no S-value here: it stays where it arises.
    warnings
        What a record must say.
    """

    s_gy_per_bq_s: Floats
    std_gy_per_bq_s: Floats
    below_kev: float
    warnings: tuple[str, ...]


def photon_s_values(
    spectrum: ParticleSpectrum, safs: PhotonSafTable, targets: Sequence[str], sources: Sequence[str]
) -> PhotonSValues:
    """S-values of a photon spectrum.

    Parameters
    ----------
    spectrum
        Photons per decay.
    safs
        SAFs of the phantom's regions.
    targets, sources
        Names of a stylised adult's table.

    Returns
    -------
    PhotonSValues
        Arrays of shape (targets, sources). SAFs of different sources, targets and energies count as independent of each
        other, as their statistics nearly are.

    Raises
    ------
    RegionError
        The SAFs lack a region.
    """
    lowest, highest = float(safs.energies_kev[0]), float(safs.energies_kev[-1])
    energy, yields = spectrum.energy_kev, spectrum.yield_per_decay
    below = energy < lowest
    above = energy > highest
    emitted = energy * yields
    below_kev, above_kev = float(emitted[below].sum()), float(emitted[above].sum())
    warnings: tuple[str, ...] = ()
    if above_kev > 0:
        warnings = (
            f"{above_kev:.4g} keV per decay is in photons above {highest:g} keV, where the SAFs end; they are absorbed "
            "as those of the last energy.",
        )
    kept = ~below & (yields > 0)
    folded = _fold(safs, np.minimum(energy[kept], highest), emitted[kept])
    rows = np.array([_target_rows(name, safs) for name in targets])
    columns = np.array([_source_column(name, safs) for name in sources]).T
    values = np.einsum("ktr,krs,sc->tc", rows.transpose(1, 0, 2), folded.values, columns)
    variance = np.einsum("ktr,krs,sc->tc", rows.transpose(1, 0, 2) ** 2, folded.variances, columns**2)
    return PhotonSValues(values * JOULE_PER_KEV, np.sqrt(variance) * JOULE_PER_KEV, below_kev, warnings)


_OWN, _SOFT_TISSUE, _BONE_SURFACE = range(3)


@dataclass(frozen=True, eq=False)
class _Folded:
    """Energy per decay absorbed per mass [keV/kg] and its variance, (3, regions, regions): own tissue, soft tissue
    there, own tissue times the factor of bone surface."""

    values: Floats
    variances: Floats


def _fold(safs: PhotonSafTable, energy_kev: Floats, emitted_kev: Floats) -> _Folded:
    """All lines; a line's error is that of the two nodes around it, so errors add up by node and are squared then."""
    shape = (3, len(safs.targets), len(safs.sources))
    values, by_node = np.zeros(shape), np.zeros((*shape, len(safs.energies_kev)))
    nodes = np.log(safs.energies_kev)
    for start in range(0, energy_kev.size, LINES_AT_ONCE):
        lines = slice(start, start + LINES_AT_ONCE)
        energy = energy_kev[lines]
        low = np.clip(np.searchsorted(nodes, np.log(energy), side="right") - 1, 0, nodes.size - 2)
        share = (np.log(energy) - nodes[low]) / (nodes[low + 1] - nodes[low])
        to_node = np.zeros((energy.size, nodes.size))
        to_node[np.arange(energy.size), low] = 1 - share
        to_node[np.arange(energy.size), low + 1] = share
        own = safs.at(energy) * emitted_kev[lines]
        soft = safs.soft_tissue_at(energy) * emitted_kev[lines]
        for kind, absorbed in enumerate((own, soft, own * bone_surface_photon_factor(energy))):
            values[kind] += absorbed.sum(axis=-1)
            by_node[kind] += absorbed @ to_node
    std = np.stack([safs.relative_std, safs.soft_tissue_relative_std, safs.relative_std])
    return _Folded(values, ((by_node * std) ** 2).sum(axis=-1))


def _target_rows(name: str, safs: PhotonSafTable) -> Floats:
    """What of each region makes the dose of a target, (3, regions)."""
    rows = np.zeros((3, len(safs.targets)))
    if name == "total_body":
        rows[_OWN] = safs.masses_kg / safs.masses_kg.sum()
    elif name == "red_marrow":
        for bone, share in red_marrow_weights().items():
            rows[_SOFT_TISSUE, safs.target_index(bone)] = share
    elif name == "osteogenic_cells":
        rows[_BONE_SURFACE] = _by_mass(SKELETON, safs)
    else:
        rows[_OWN, safs.target_index(_region(name, safs.targets))] = 1.0
    return rows


def _source_column(name: str, safs: PhotonSafTable) -> Floats:
    """Where a source's activity is, (regions,), adding up to 1."""
    column = np.zeros(len(safs.sources))
    if name == "total_body":
        column[:] = safs.masses_kg / safs.masses_kg.sum()
    elif name == "red_marrow":
        for bone, share in red_marrow_weights().items():
            column[safs.source_index(bone)] = share
    elif name in _WHOLE_SKELETON:
        column[:] = _by_mass(SKELETON, safs)
    else:
        column[safs.source_index(_region(name, safs.sources))] = 1.0
    return column


def _by_mass(regions: Sequence[str], safs: PhotonSafTable) -> Floats:
    weights = np.array(
        [mass if name in regions else 0.0 for name, mass in zip(safs.targets, safs.masses_kg, strict=True)]
    )
    return weights / weights.sum()


def _region(name: str, regions: Sequence[str]) -> str:
    contents, whole = _SMALL_INTESTINE
    return organ_named(whole if name == contents else name, regions, "region of the phantom's SAFs")

"""Energy per distance around a point of a source in a medium, cut into the cells that voxelisation uses."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .. import __version__
from ..errors import InputError
from ..media import Material, electron_table
from ..nuclides.spectrum import ParticleSpectrum
from .disk_cache import cache_key, load_arrays, store_arrays
from .geometric_weights import near_weights
from .sources import EmissionSource
from .voxelisation import RadialEnergy, energy_per_cell

SECONDARIES = ("transported", "local")
"""Whether electrons set free by photons travel, or give their energy where they arise (collision kerma)."""


class PointKernelOfSpectrum(RadialEnergy, Protocol):
    """What a provider of point kernels returns."""

    @property
    def relative_uncertainty(self) -> NDArray[np.float64] | None:
        """Relative standard uncertainty of the cumulative energy at each radius, None if it has none."""


LONGEST_PATH_IN_RANGES = 1.4
"""No electron gets farther than this in CSDA ranges, the longest straggler included: the end of the radial tables."""

PointKernelProvider = Callable[[Material, ParticleSpectrum, str], PointKernelOfSpectrum]
"""(medium, spectrum, secondaries) → point kernel with energies per decay."""


@dataclass(frozen=True, eq=False)
class RadialCells:
    """Energy per decay and radial cell of one source in one medium, for one voxel size.

    Attributes
    ----------
    charged_mev, photon_mev
        Energy [MeV] per cell of `near_weights(spacing_mm).edges_mm`, from electrons and positrons (with their
        bremsstrahlung) and from photons.
    charged_sigma_mev, photon_sigma_mev
        Standard uncertainty [MeV] of the energy per cell, taken as fully correlated between cells; 0 where unknown.
    local_mev
        Energy that stays at the point itself (α particles, recoils) [MeV].
    """

    charged_mev: NDArray[np.float64]
    photon_mev: NDArray[np.float64]
    charged_sigma_mev: NDArray[np.float64]
    photon_sigma_mev: NDArray[np.float64]
    local_mev: float

    @property
    def deposited_mev(self) -> float:
        """Energy deposited out to any distance [MeV]."""
        return float(self.charged_mev.sum() + self.photon_mev.sum()) + self.local_mev


def electron_reach_mm(source: EmissionSource, material: Material) -> float:
    """How far the fastest electron or positron of a source gets in a medium [mm]; 0 without any."""
    fastest_kev = max((spectrum.max_energy_kev for spectrum in source.charged), default=0.0)
    if fastest_kev <= 0:
        return 0.0
    range_g_per_cm2 = float(electron_table(material).at("csda_range_g_per_cm2", fastest_kev))
    return LONGEST_PATH_IN_RANGES * range_g_per_cm2 / material.density_g_per_cm3 * 10.0


def with_radiation_among_photons(
    cells: RadialCells, source: EmissionSource, material: Material, spacing_mm: tuple[float, float, float]
) -> tuple[RadialCells, float]:
    """The same energy with all bremsstrahlung beyond the electrons' reach counted as photons; and that reach [mm]."""
    edges = near_weights(spacing_mm).edges_mm
    first_beyond = int(np.searchsorted(edges, electron_reach_mm(source, material)))
    charged, photon = cells.charged_mev.copy(), cells.photon_mev.copy()
    photon[first_beyond:] += charged[first_beyond:]
    charged[first_beyond:] = 0.0
    return replace(cells, charged_mev=charged, photon_mev=photon), float(edges[first_beyond])


def transported_point_kernel(material: Material, spectrum: ParticleSpectrum, secondaries: str) -> PointKernelOfSpectrum:
    """The point kernel of the package's own radial tables."""
    from ..transport.point_kernels import point_kernel

    kernel: PointKernelOfSpectrum = point_kernel(material, spectrum, secondaries=secondaries)  # type: ignore[arg-type]
    return kernel


def radial_cells(
    source: EmissionSource,
    material: Material,
    spacing_mm: tuple[float, float, float],
    secondaries: str = "transported",
    point_kernels: PointKernelProvider = transported_point_kernel,
) -> RadialCells:
    """Energy per radial cell; from the disk cache if the same was made before.

    Raises
    ------
    InputError
        `secondaries` is unknown, or the voxel sizes cannot be used.
    UnknownMediumError
        The medium has no tables.
    """
    if secondaries not in SECONDARIES:
        raise InputError(f"Secondaries '{secondaries}' are unknown; expected one of: {', '.join(SECONDARIES)}.")
    key = None
    if point_kernels is transported_point_kernel:
        key = cache_key(_identity(source, material, spacing_mm, secondaries))
        cells = _from_cache(key, source.local_energy_mev, len(near_weights(spacing_mm).edges_mm) - 1)
        if cells is not None:
            return cells
    charged, charged_sigma = _folded(source.charged, material, spacing_mm, secondaries, point_kernels)
    photon, photon_sigma = _folded(source.photon_spectra, material, spacing_mm, secondaries, point_kernels)
    if key is not None:
        store_arrays(
            key,
            {"charged": charged, "photon": photon, "charged_sigma": charged_sigma, "photon_sigma": photon_sigma},
        )
    return RadialCells(charged, photon, charged_sigma, photon_sigma, source.local_energy_mev)


def _folded(
    spectra: tuple[ParticleSpectrum, ...],
    material: Material,
    spacing_mm: tuple[float, float, float],
    secondaries: str,
    point_kernels: PointKernelProvider,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Energy per cell of all spectra together, and its standard uncertainty."""
    edges = near_weights(spacing_mm).edges_mm
    energy, variance = np.zeros(len(edges) - 1), np.zeros(len(edges) - 1)
    for spectrum in spectra:
        kernel = point_kernels(material, spectrum, secondaries)
        cells = energy_per_cell(kernel, edges)
        energy += cells
        uncertainty = kernel.relative_uncertainty
        if uncertainty is not None:
            middle = 0.5 * (edges[1:] + edges[:-1])
            variance += (cells * np.interp(middle, kernel.radius_mm, uncertainty)) ** 2
    return energy, np.sqrt(variance)


def kernel_datasets(point_kernels: PointKernelProvider) -> dict[str, str]:
    """What a record says of where the kernels come from; nothing where they are not of our radial tables."""
    if point_kernels is not transported_point_kernel:
        return {}
    return {"kernels": f"radial tables of radiodosimetry {__version__}, {_table_identity()[:12]}"}


def _identity(
    source: EmissionSource, material: Material, spacing_mm: tuple[float, float, float], secondaries: str
) -> dict[str, object]:
    return {
        "what": "radial cells 1",
        "version": __version__,
        "tables": _table_identity(),
        "source": source.identity(),
        "medium": [
            dict(material.mass_fractions),
            material.density_g_per_cm3,
            material.mean_excitation_energy_ev,
        ],
        "spacing_mm": list(spacing_mm),
        "secondaries": secondaries,
    }


@lru_cache(maxsize=1)
def _table_identity() -> str:
    """What the kernels come from, tables and code: a change of either makes every cache entry a stranger.

    The SOURCE.toml beside each table holds its checksum.
    """
    from ..transport.point_kernels import table_identity

    digest = hashlib.sha256(table_identity().encode())
    for package in ("media", "transport", "voxel_dose"):
        folder = files(f"{__package__.partition('.')[0]}.{package}")
        for file in sorted(_modules_and_sources(folder), key=str):
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _modules_and_sources(folder: Traversable) -> Iterator[Traversable]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _modules_and_sources(entry)
        elif entry.name.endswith(".py") or entry.name == "SOURCE.toml":
            yield entry


def _from_cache(key: str, local_mev: float, cell_count: int) -> RadialCells | None:
    arrays = load_arrays(key)
    names = ("charged", "photon", "charged_sigma", "photon_sigma")
    if arrays is None or any(name not in arrays or arrays[name].shape != (cell_count,) for name in names):
        return None
    return RadialCells(arrays["charged"], arrays["photon"], arrays["charged_sigma"], arrays["photon_sigma"], local_mev)

"""Point kernels: how the energy of any spectrum spreads around a point in any tabulated medium.

Each medium has one table made by this package's transport (`data/point_kernels`), in scaled radii, so that energies
can be interpolated and densities only stretch the radius:

- electrons: share of the collisional energy within r / CSDA range;
- photons: what primary photons transfer is a closed form; the share of scattered photons within r · μ comes from
  the table, and so does the share that secondary electrons carry outward, within r / CSDA range at the photon's energy.

Bremsstrahlung of electrons is a photon spectrum, each energy ahead of its decay by the mean lead of its emission.
Every array is relative to the energy emitted, by (energy, radius).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from ..errors import InputError, UnknownMediumError
from ..media import electron_table, named_materials, photon_table
from ..media.materials import Material
from ..nuclides.spectrum import ParticleSpectrum
from .bremsstrahlung import bremsstrahlung

Floats = NDArray[np.float64]
Secondaries = Literal["transported", "local"]

ELECTRON_ENERGIES_KEV: Floats = np.array(
    [10, 15, 22, 33, 50, 75, 110, 160, 240, 350, 500, 700, 1000, 1400, 2000, 3000], dtype=np.float64
)
ELECTRON_EDGES: Floats = np.linspace(0, 1.4, 113)[1:]
"""Radii of the electron tables in CSDA ranges; 1.4 is beyond the longest straggler."""

PHOTON_ENERGIES_KEV: Floats = np.array(
    [1, 2, 4, 6, 8, 10, 14, 20, 28, 40, 55, 75, 100, 130, 170, 210, 260, 330, 420, 511, 650, 800, 1000, 1300, 1700,
     2200, 3000],
    dtype=np.float64,
)  # fmt: skip
SCATTER_EDGES: Floats = np.geomspace(2e-4, 30.0, 96)
"""Radii of the tables of scattered photons in mean free paths of the source's photons."""

DISPLACEMENT_EDGES: Floats = np.geomspace(1e-3, 10.0, 64)
"""Radii of the tables of secondary electrons in CSDA ranges at the photon's energy."""

LARGEST_RADIUS_G_PER_CM2 = 1000.0
"""Kernels reach 10 m of water, whatever the density: everything emitted has been absorbed there."""

RADIUS_NODES: Floats = np.concatenate([[0.0], np.geomspace(1e-6, LARGEST_RADIUS_G_PER_CM2, 1680)])
"""Radii of every point kernel [g/cm²]: 1.2 % steps from 10 nm."""

TABLE_LOWEST_KEV, TABLE_HIGHEST_KEV = 1.0, 3000.0


@dataclass(frozen=True, eq=False)
class PointKernel:
    """Energy within a radius of an isotropic point source in an infinite medium.

    Attributes
    ----------
    radius_mm
        Ascending from 0, shape (n,).
    cumulative_energy_mev
        Energy deposited within that radius per decay or source particle [MeV], never falling, shape (n,). A positive
        first value stays at the very point (particles below the tables).
    emitted_energy_mev
        Energy emitted per decay or particle [MeV].
    relative_uncertainty
        Standard error (1σ) of the cumulative energy relative to it, shape (n,); statistics of the tables alone.
    """

    radius_mm: Floats
    cumulative_energy_mev: Floats
    emitted_energy_mev: float
    relative_uncertainty: Floats | None = None

    def __post_init__(self) -> None:
        if self.radius_mm[0] != 0 or (np.diff(self.radius_mm) <= 0).any():
            raise InputError("The radii of a point kernel must ascend from zero.")
        if (np.diff(self.cumulative_energy_mev) < 0).any():
            raise InputError("The cumulative energy of a point kernel must never fall with the radius.")


def point_kernel(
    material: Material, spectrum: ParticleSpectrum, secondaries: Secondaries = "transported"
) -> PointKernel:
    """Point kernel of a spectrum in a medium at its density.

    Parameters
    ----------
    material
        A medium whose composition has a table; any density.
    spectrum
        Electrons, positrons (without their annihilation quanta) or photons, per decay.
    secondaries
        "transported" follows the electrons that photons set free, "local" leaves them where they are born.

    Raises
    ------
    UnknownMediumError
        No table has this composition.
    InputError
        A particle has more energy than the tables, or is neither electron nor photon.
    """
    tables = _tables_of(material)
    if spectrum.energy_kev.size and spectrum.energy_kev[-1] > TABLE_HIGHEST_KEV * (1 + 1e-9):
        raise InputError(
            f"The spectrum reaches {spectrum.energy_kev[-1]:.0f} keV; kernel tables end at {TABLE_HIGHEST_KEV:.0f} keV."
        )
    if spectrum.particle == "photon":
        cumulative, error = _photon_cumulative(material, tables, spectrum, secondaries)
    elif spectrum.particle in ("electron", "positron"):
        cumulative, error = _electron_cumulative(material, tables, spectrum)
        emitted = bremsstrahlung(spectrum, material)
        if not emitted.photons.is_empty:
            radiated, radiated_error = _photon_cumulative(
                material, tables, emitted.photons, secondaries, emitted.lead_g_per_cm2
            )
            cumulative, error = cumulative + radiated, np.hypot(error, radiated_error)
    else:
        raise InputError(f"Particle '{spectrum.particle}' has no point kernel; expected electron, positron or photon.")
    cumulative = np.maximum.accumulate(cumulative)
    return PointKernel(
        RADIUS_NODES * 10.0 / material.density_g_per_cm3,
        cumulative,
        spectrum.energy_per_decay_kev * 1e-3,
        np.divide(error, cumulative, out=np.zeros_like(cumulative), where=cumulative > 0),
    )


def tabulated_media() -> tuple[str, ...]:
    """Names of the media that have a table."""
    folder = files(__package__).joinpath("data", "point_kernels")
    return tuple(sorted(entry.name[:-4] for entry in folder.iterdir() if entry.name.endswith(".npz")))


@lru_cache(maxsize=1)
def table_identity() -> str:
    """SHA-256 of the list of tables and their hashes: names the data in records and cache keys."""
    source = files(__package__).joinpath("data", "point_kernels", "SOURCE.toml")
    return hashlib.sha256(source.read_bytes()).hexdigest()


def _electron_cumulative(
    material: Material, tables: _RadialTables, spectrum: ParticleSpectrum
) -> tuple[Floats, Floats]:
    """Collisional energy of electrons within each radius [MeV], and its standard error."""
    slowing_down = electron_table(material)
    cumulative, variance = np.zeros_like(RADIUS_NODES), np.zeros_like(RADIUS_NODES)
    for energy_kev, number in zip(spectrum.energy_kev, spectrum.yield_per_decay, strict=True):
        energy_mev = number * energy_kev * 1e-3
        if energy_kev <= TABLE_LOWEST_KEV:
            cumulative += energy_mev
            continue
        collisional = energy_mev * (1 - float(slowing_down.at("radiation_yield", energy_kev)))
        scaled = RADIUS_NODES / float(slowing_down.at("csda_range_g_per_cm2", energy_kev))
        share, error = tables.electron(energy_kev, scaled)
        cumulative += collisional * share
        variance += (collisional * error) ** 2
    return cumulative, np.sqrt(variance)


def _photon_cumulative(
    material: Material,
    tables: _RadialTables,
    spectrum: ParticleSpectrum,
    secondaries: Secondaries,
    lead_g_per_cm2: Floats | None = None,
) -> tuple[Floats, Floats]:
    """Energy transferred (and carried on by secondaries) within each radius [MeV], and its standard error.

    Photons with a lead start that far ahead of the source.
    """
    photons, electrons = photon_table(material), electron_table(material)
    cumulative, variance = np.zeros_like(RADIUS_NODES), np.zeros_like(RADIUS_NODES)
    leads = np.zeros_like(spectrum.energy_kev) if lead_g_per_cm2 is None else lead_g_per_cm2
    for energy_kev, number, lead in zip(spectrum.energy_kev, spectrum.yield_per_decay, leads, strict=True):
        travelled = np.maximum(RADIUS_NODES - lead, 0.0)
        energy_mev = number * energy_kev * 1e-3
        if energy_kev <= TABLE_LOWEST_KEV:
            cumulative += energy_mev
            continue
        attenuation = float(photons.at("total", energy_kev))
        transferred = float(photons.at("energy_transfer", energy_kev)) / attenuation
        free_paths = travelled * attenuation
        share, error = tables.scatter(energy_kev, free_paths)
        share = share * (1 - transferred) - transferred * np.expm1(-free_paths)
        if secondaries == "transported":
            ranges = travelled / float(electrons.at("csda_range_g_per_cm2", energy_kev))
            share = share + tables.displacement(energy_kev, ranges) * _carried_beyond(share, ranges)
        cumulative += energy_mev * share
        variance += (energy_mev * error) ** 2
    return cumulative, np.sqrt(variance)


def _carried_beyond(share: Floats, ranges: Floats) -> Floats:
    """How the last tabulated displacement goes on: with the energy per radius, since electrons carry it a fixed way."""
    density = np.gradient(share, RADIUS_NODES)
    last = float(np.interp(DISPLACEMENT_EDGES[-1], ranges, density))
    if last <= 0:
        return np.where(ranges <= DISPLACEMENT_EDGES[-1], 1.0, 0.0)
    return np.where(ranges <= DISPLACEMENT_EDGES[-1], 1.0, np.clip(density / last, 0.0, 1.0))


class _RadialTables:
    """The tables of one medium, interpolated in energy and scaled radius."""

    def __init__(self, arrays: dict[str, Floats]) -> None:
        def against_radius(name: str, edges: Floats) -> PchipInterpolator:
            return PchipInterpolator(np.log(edges), arrays[name], axis=1, extrapolate=False)

        electron_rows = np.concatenate([np.zeros((len(ELECTRON_ENERGIES_KEV), 1)), arrays["electron_cumulative"]], 1)
        self._electron = PchipInterpolator(np.concatenate([[0.0], ELECTRON_EDGES]), electron_rows, axis=1)
        self._electron_error = arrays["electron_error"]
        everything = np.maximum(arrays["scatter_cumulative"][:, -1:], np.finfo(np.float32).tiny)
        self._scatter = PchipInterpolator(np.log(SCATTER_EDGES), arrays["scatter_cumulative"] / everything, axis=1)
        self._scatter_error = arrays["scatter_error"]
        self._displacement = against_radius("displacement_cumulative", DISPLACEMENT_EDGES)

    def electron(self, energy_kev: float, scaled: Floats) -> tuple[Floats, Floats]:
        """Share of the collisional energy within radii in CSDA ranges, and its standard error."""
        weights = _energy_weights(ELECTRON_ENERGIES_KEV, energy_kev)
        inside = np.clip(scaled, 0.0, ELECTRON_EDGES[-1])
        share = sum(weight * self._electron(inside)[row] for row, weight in weights)
        error = sum(abs(weight) * np.sqrt(np.cumsum(self._electron_error[row] ** 2)) for row, weight in weights)
        return share, np.where(scaled < ELECTRON_EDGES[-1], np.interp(inside, ELECTRON_EDGES, error), 0.0)

    def scatter(self, energy_kev: float, free_paths: Floats) -> tuple[Floats, Floats]:
        """Share of what scattered photons transfer within radii in free paths, and the error of their energy share.

        The rows are relative to their last value, which is known in closed form and changes fast with the energy.
        """
        weights = _energy_weights(PHOTON_ENERGIES_KEV, energy_kev)
        error = sum(abs(weight) * np.sqrt(np.cumsum(self._scatter_error[row] ** 2)) for row, weight in weights)
        share = self._at(self._scatter, SCATTER_EDGES, weights, free_paths, first_power=2)
        return share, np.interp(free_paths, SCATTER_EDGES, error)

    def displacement(self, energy_kev: float, scaled: Floats) -> Floats:
        """What secondary electrons add to the share within radii in CSDA ranges; mostly negative, zero far away."""
        weights = _energy_weights(PHOTON_ENERGIES_KEV, energy_kev)
        return self._at(self._displacement, DISPLACEMENT_EDGES, weights, scaled, first_power=1)

    @staticmethod
    def _at(
        curve: PchipInterpolator,
        edges: Floats,
        weights: list[tuple[int, float]],
        scaled: Floats,
        first_power: int,
    ) -> Floats:
        """Rows interpolated to radii: a power law below the first edge, the last value beyond the last."""
        values = curve(np.log(np.clip(scaled, edges[0], edges[-1])))
        below = np.minimum(scaled / edges[0], 1.0) ** first_power
        return sum(weight * values[row] for row, weight in weights) * below


def _energy_weights(grid: Floats, energy_kev: float) -> list[tuple[int, float]]:
    """Rows and weights of a cubic through the four nearest energies in ln E, constant beyond the ends."""
    nodes = np.log(grid)
    position = float(np.clip(np.log(energy_kev), nodes[0], nodes[-1]))
    first = int(np.clip(np.searchsorted(nodes, position) - 2, 0, grid.size - 4))
    rows = range(first, first + 4)
    weights = []
    for row in rows:
        others = [nodes[other] for other in rows if other != row]
        weights.append((row, float(np.prod([(position - node) / (nodes[row] - node) for node in others]))))
    return weights


def _tables_of(material: Material) -> _RadialTables:
    name = _table_names().get(_composition(material))
    if name is None:
        raise UnknownMediumError(
            f"Medium '{material.name}' has no kernel table; there are tables for {', '.join(tabulated_media())}. "
            "Use Monte Carlo, or make a table with Resources/Sources/generate_point_kernels.py."
        )
    return _read_tables(name)


@lru_cache(maxsize=1)
def _table_names() -> dict[tuple[tuple[str, float], ...], str]:
    media = named_materials()
    return {_composition(media[name]): name for name in tabulated_media() if name in media}


def _composition(material: Material) -> tuple[tuple[str, float], ...]:
    return tuple(sorted((symbol, round(share, 6)) for symbol, share in material.mass_fractions.items()))


@lru_cache(maxsize=64)
def _read_tables(name: str) -> _RadialTables:
    file = files(__package__).joinpath("data", "point_kernels", f"{name}.npz")
    with file.open("rb") as stream, np.load(stream) as arrays:
        return _RadialTables({key: arrays[key].astype(np.float64) for key in arrays.files})

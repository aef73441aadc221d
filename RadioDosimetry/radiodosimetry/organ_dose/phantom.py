"""The stylised adults: organs as analytic solids, as a label raster of any voxel size, and as points to emit from.

Geometry, tissues and masses are those of ORNL/TM-8381 (Cristy M, Eckerman KF, Specific absorbed fractions of energy
at various ages from internal photon sources, Oak Ridge National Laboratory, 1987), on which MIRDOSE and OLINDA/EXM 1
rest. Both phantoms hold the organs of both sexes, as the report's do. Origin: middle of the base of the trunk; x to
the left, y to the back, z to the head: the axes of DICOM's patient space (LPS).
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FileFormatError, InputError, RegionError
from ..media import Material
from ..progress import Progress
from .anatomy import LUNGS, SKELETON, exterior, regions
from .raster import LabelRaster, rasterise_solids
from .shapes import Box, Inside, Solid, Union

__all__ = [
    "PHANTOM_DATASET",
    "PHANTOM_NAMES",
    "LabelRaster",
    "StylisedPhantom",
    "phantom_tissues",
    "stylised_phantom",
]

PHANTOM_DATASET: Mapping[str, str] = MappingProxyType({"stylised phantom": "ORNL/TM-8381 (Cristy and Eckerman 1987)"})
"""What a result names as the origin of its phantom, for `Record.datasets`."""

PHANTOM_NAMES = ("adult-male", "adult-female")
"""Names that `stylised_phantom` knows."""

POINTS_AT_ONCE = 2**18
"""Most points tried together when points are sampled: some 10 MB of coordinates."""

TRIES_PER_POINT = 8
"""Points tried for one that is missing: thin walls fill a tenth of their box, organs half."""

MEASURED_AT_ONCE = 2**16
"""Points tried together when volumes are measured: they stay in a processor's cache."""

VOLUME_HITS = 100_000
"""Points inside a region after which its measured volume stands."""

PHOTOELECTRIC_EQUIVALENT: Mapping[str, tuple[str, float]] = MappingProxyType(
    {
        "F": ("O", 1.44),
        "Si": ("P", 0.82),
        "Fe": ("Ti", 1.68),
        "Zn": ("Ti", 2.51),
        "Rb": ("Ti", 4.22),
        "Sr": ("Ti", 4.53),
        "Zr": ("Ti", 5.24),
        "Pb": ("Ti", 6.24),
    }
)
"""Trace elements without cross-section tables here: what stands for them, and how much of it per mass.

The factor is the ratio of the photoelectric cross-sections per mass at 30 keV (xraylib), so that these elements, less
than 0.05 % of each tissue together, absorb at 20 to 100 keV what they should; as mass they are without effect.
"""


@dataclass(frozen=True, eq=False)
class StylisedPhantom:
    """A body of named, disjoint regions that are analytic solids.

    Attributes
    ----------
    name
        'adult-male' or 'adult-female'.
    solids
        Region to solid in order of precedence: a point of the body belongs to the first that contains it. The last,
        'remaining_tissue', is what OLINDA calls muscle.
    body
        The solid outside of which nothing is.
    tissues
        Name to material: 'soft', 'skeleton', 'lung'.
    published_mass_g
        Masses the report prints [g]: of single regions, 'skeleton' (all bones together) and 'total_body'.
    """

    name: str
    solids: Mapping[str, Solid]
    body: Solid
    tissues: Mapping[str, Material]
    published_mass_g: Mapping[str, float]
    _measured_ml: dict[str, float] = field(default_factory=dict, repr=False)

    @property
    def regions(self) -> tuple[str, ...]:
        """Names of the regions in order of precedence."""
        return tuple(self.solids)

    def tissue_of(self, region: str) -> str:
        """The name in `tissues` of what a region is made of.

        Raises
        ------
        RegionError
            The phantom has no such region.
        """
        (name,) = self._checked([region])
        return "skeleton" if name in SKELETON else "lung" if name in LUNGS else "soft"

    def density_g_per_cm3(self, region: str) -> float:
        """Mass density of a region's tissue [g/cm³].

        Raises
        ------
        RegionError
            The phantom has no such region.
        """
        return self.tissues[self.tissue_of(region)].density_g_per_cm3

    def volume_ml(self, region: str) -> float:
        """Volume of a region [mL], measured with quasi-random points to 0.2 %, and remembered.

        Raises
        ------
        RegionError
            The phantom has no such region.
        """
        (name,) = self._checked([region])
        if name not in self._measured_ml:
            self._measured_ml[name] = self._measure_ml(name)
        return self._measured_ml[name]

    def mass_g(self, region: str) -> float:
        """Volume times density of a region [g].

        Raises
        ------
        RegionError
            The phantom has no such region.
        """
        return self.volume_ml(region) * self.density_g_per_cm3(region)

    def region_index_at(self, points_cm: NDArray[np.floating]) -> NDArray[np.intp]:
        """Which region holds each point.

        Parameters
        ----------
        points_cm
            Positions x, y, z [cm], shape (n, 3).

        Returns
        -------
        numpy.ndarray
            Index into `regions`, shape (n,); −1 outside the body.

        Raises
        ------
        InputError
            The points do not have the shape (n, 3).
        """
        points = _checked_points(points_cm)
        index = np.full(len(points), -1, dtype=np.intp)
        open_rows = np.flatnonzero(_contained(self.body, self.body.box, points))
        for number, name in enumerate(self.regions):
            inside = _contained(self.solids[name], self._boxes[name], points[open_rows])
            index[open_rows[inside]] = number
            open_rows = open_rows[~inside]
        return index

    def rasterise(
        self,
        spacing_mm: float | tuple[float, float, float],
        progress: Progress | None = None,
        samples_per_axis: int = 1,
    ) -> LabelRaster:
        """The phantom in voxels, symmetric about the sagittal plane, with bounded memory: see `rasterise_solids`.

        Parameters
        ----------
        spacing_mm
            Voxel size, one number or along x, y and z [mm].
        progress
            Told how far the work is; may cancel it.
        samples_per_axis
            1 gives a voxel the region at its centre, s > 1 the region that most of s³ points in it have.

        Raises
        ------
        InputError
            The spacing is not positive or makes too many voxels, or the samples are not 1 to 8.
        CancelledError
            `progress` says that the user asked to stop.
        """
        what = f"the {self.name} phantom"
        return rasterise_solids(self.solids, self.body, spacing_mm, samples_per_axis, what, progress)

    def sample_points_cm(self, region: str | Sequence[str], n: int, seed: int) -> NDArray[np.float64]:
        """Points spread evenly over a region's volume.

        Parameters
        ----------
        region
            A region, or several whose union is meant.
        n
            Number of points.
        seed
            Makes the points; the same seed gives the same points.

        Returns
        -------
        numpy.ndarray
            Positions x, y, z [cm], shape (n, 3).

        Raises
        ------
        RegionError
            The phantom has no such region.
        InputError
            n is negative.
        """
        names = self._checked([region] if isinstance(region, str) else region)
        if n < 0:
            raise InputError(f"The number of points must be 0 or more, found {n}.")
        random = np.random.default_rng(seed)
        box = Union(tuple(self.solids[name] for name in names)).box.common(self.body.box)
        lower, upper = np.array(box.lower_cm), np.array(box.upper_cm)
        kept: list[NDArray[np.float64]] = []
        missing = n
        while missing > 0:
            tried = min(POINTS_AT_ONCE, TRIES_PER_POINT * missing + 1000)
            points = lower + (upper - lower) * random.random((tried, 3))
            inside = points[self._belongs(names, points)][:missing]
            kept.append(inside)
            missing -= len(inside)
        return np.concatenate(kept) if kept else np.empty((0, 3))

    @cached_property
    def _boxes(self) -> dict[str, Box]:
        return {name: solid.box.common(self.body.box) for name, solid in self.solids.items()}

    def _checked(self, names: Sequence[str]) -> tuple[str, ...]:
        for name in names:
            if name not in self.solids:
                nearest = difflib.get_close_matches(str(name), self.regions, n=3, cutoff=0.4) or self.regions
                raise RegionError(
                    f"The {self.name} phantom has no region '{name}'. Nearest known: {', '.join(nearest)}."
                )
        if not names:
            raise RegionError("At least one region is needed, found none.")
        return tuple(names)

    def _belongs(self, names: Sequence[str], points: NDArray[np.float64]) -> Inside:
        """Which points belong to one of the regions: in its solid, and in none that precedes it."""
        belongs = np.zeros(len(points), dtype=bool)
        for name in names:
            rows = np.flatnonzero(_contained(self.solids[name], self._boxes[name], points) & ~belongs)
            belongs[rows[self._keeps(name, points[rows])]] = True
        return belongs

    def _keeps(self, name: str, points: NDArray[np.float64]) -> Inside:
        """Which points of a region's solid the region keeps: those of the body that no preceding region has."""
        keeps = _contained(self.body, self.body.box, points)
        for earlier in self._preceding(name):
            rows = np.flatnonzero(keeps)
            keeps[rows[_contained(self.solids[earlier], self._boxes[earlier], points[rows])]] = False
        return keeps

    def _preceding(self, name: str) -> list[str]:
        """Regions that may take points away from this one."""
        earlier = self.regions[: self.regions.index(name)]
        return [other for other in earlier if self._boxes[other].meets(self._boxes[name])]

    def _measure_ml(self, name: str) -> float:
        """The region's box times the share of evenly spread points that the region keeps."""
        box, solid = self._boxes[name], self.solids[name]
        lower, size = np.array(box.lower_cm), np.array(box.upper_cm) - np.array(box.lower_cm)
        blocks = hits = 0
        while hits < VOLUME_HITS:
            points = lower + size * _spread_points(blocks)
            inside = points[solid.contains(points[:, 0], points[:, 1], points[:, 2])]
            hits += int(np.count_nonzero(self._keeps(name, inside)))
            blocks += 1
        return float(np.prod(size)) * hits / (blocks * MEASURED_AT_ONCE)


@cache
def stylised_phantom(name: str) -> StylisedPhantom:
    """The stylised adult male or female of ORNL/TM-8381.

    The female is the report's model of the 15-year-old, which stands for the adult female there and in OLINDA/EXM 1.

    Parameters
    ----------
    name
        'adult-male' or 'adult-female'.

    Raises
    ------
    InputError
        There is no phantom of this name.
    """
    if name not in PHANTOM_NAMES:
        raise InputError(f"There is no phantom '{name}'; expected {' or '.join(PHANTOM_NAMES)}.")
    constants = _read_table(name.replace("-", "_"))
    masses = {organ: float(mass) for organ, mass in constants["published_mass_g"].items()}
    return StylisedPhantom(
        name,
        MappingProxyType(regions(constants)),
        exterior(constants),
        phantom_tissues(),
        MappingProxyType(masses),
    )


@cache
def phantom_tissues() -> Mapping[str, Material]:
    """The tissues of the stylised adults: soft (1.04 g/cm³), skeleton (1.40) and lung (0.296).

    Trace elements without cross-sections here stand as their photoelectric equivalent, `PHOTOELECTRIC_EQUIVALENT`.
    """
    table = _read_table("tissues")
    return MappingProxyType(
        {
            name: Material(name, _known_elements_only(tissue["mass_fractions"]), tissue["density_g_per_cm3"])
            for name, tissue in table.items()
        }
    )


def _known_elements_only(published: Mapping[str, float]) -> dict[str, float]:
    fractions: dict[str, float] = {}
    for symbol, share in published.items():
        element, factor = PHOTOELECTRIC_EQUIVALENT.get(symbol, (symbol, 1.0))
        fractions[element] = fractions.get(element, 0.0) + factor * share
    return fractions


def _read_table(name: str) -> dict[str, Any]:
    table = files(__package__).joinpath("data", "stylised_adults", f"{name}.toml")
    try:
        return tomllib.loads(table.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise FileFormatError(
            f"The table '{name}' cannot be read ({error}); expected in the installed package. Reinstall it."
        ) from None


def _checked_points(points_cm: NDArray[np.floating]) -> NDArray[np.float64]:
    points = np.asarray(points_cm, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 3:
        raise InputError(f"Points need the shape (n, 3) with x, y, z in cm, found {points.shape}.")
    return points


def _contained(solid: Solid, box: Box, points: NDArray[np.float64]) -> Inside:
    """Which points lie in the solid; only those in its box are looked at."""
    in_box = np.all((points >= box.lower_cm) & (points <= box.upper_cm), axis=1)
    rows = np.flatnonzero(in_box)
    in_box[rows] = solid.contains(points[rows, 0], points[rows, 1], points[rows, 2])
    return in_box


@lru_cache(maxsize=32)
def _spread_points(block: int) -> NDArray[np.float64]:
    """The next `MEASURED_AT_ONCE` terms of an additive recurrence that fills the unit cube evenly, shape (n, 3).

    Steps are powers of 1/φ, φ⁴ = φ + 1 (the golden ratio's like in three dimensions).
    """
    golden = 1.2207440846057596
    terms = np.arange(1, MEASURED_AT_ONCE + 1) + block * MEASURED_AT_ONCE
    return np.asarray((0.5 + terms[:, None] * golden ** -np.arange(1.0, 4.0)) % 1.0)

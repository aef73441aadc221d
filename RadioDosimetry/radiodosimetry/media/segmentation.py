"""From a CT image to the media of its voxels: density voxel by voxel, composition by a short list of media."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, UnitError
from ..images.geometry import VolumeGeometry
from ..images.volume import QuantitativeVolume
from ..provenance import Record
from ..units import Quantity
from .materials import Material
from .schneider import DENSEST_BONE_HU, LOWEST_HU, SchneiderConversion, hu_warnings, schneider_2000

DEFAULT_BAND_EDGES_G_PER_CM3 = (
    0.0012, 0.1, 0.2, 0.3, 0.4, 0.55, 0.75, 0.9, 0.94, 0.97, 1.0,
    1.03, 1.06, 1.1, 1.15, 1.22, 1.32, 1.45, 1.6, 1.8, 2.0,
)  # fmt: skip
"""Edges of 20 density bands [g/cm³]: narrow where soft tissues lie (0.9-1.15), wide in lung and bone. Kim et al.
2022 used 20 media without publishing them; the first band ends where voxel dose counts a voxel as air."""


@dataclass(frozen=True)
class DensityBands:
    """Bands of mass density, each of which becomes one medium.

    Attributes
    ----------
    edges_g_per_cm3
        Ascending edges [g/cm³], one more than bands. Densities outside fall into the first or last band.

    Raises
    ------
    InputError
        Fewer than two edges, edges not ascending or not positive, or more than 250 bands.
    """

    edges_g_per_cm3: tuple[float, ...] = DEFAULT_BAND_EDGES_G_PER_CM3

    def __post_init__(self) -> None:
        edges = tuple(float(edge) for edge in self.edges_g_per_cm3)
        object.__setattr__(self, "edges_g_per_cm3", edges)
        if (
            not 2 <= len(edges) <= 251
            or edges[0] <= 0
            or not np.all(np.diff(edges) > 0)
            or not np.isfinite(edges).all()
        ):
            raise InputError(
                f"The density band edges are {edges}; expected 2 to 251 positive, strictly ascending "
                "densities in g/cm³."
            )

    def __len__(self) -> int:
        return len(self.edges_g_per_cm3) - 1

    @property
    def centres_g_per_cm3(self) -> tuple[float, ...]:
        """The middle of each band [g/cm³]."""
        edges = self.edges_g_per_cm3
        return tuple(0.5 * (low + high) for low, high in zip(edges[:-1], edges[1:], strict=True))

    def index(self, density_g_per_cm3: NDArray[np.floating]) -> NDArray[np.uint8]:
        """Band of each density [g/cm³], any shape."""
        return np.searchsorted(self.edges_g_per_cm3[1:-1], density_g_per_cm3, side="right").astype(np.uint8)

    def media(self, conversion: SchneiderConversion) -> tuple[Material, ...]:
        """One medium per band: the tissue of its middle density, at that density, named after both."""
        media = []
        for centre in self.centres_g_per_cm3:
            tissue = conversion.tissue_of_density(centre)
            media.append(tissue.with_density(centre, f"{tissue.name} {centre:.4g} g/cm3"))
        return tuple(media)


@dataclass(frozen=True, eq=False)
class MediaMap:
    """Density and medium of every voxel.

    Attributes
    ----------
    density_kji
        Mass density [g/cm³], float32, read-only.
    medium_index_kji
        Index into `media`, uint8, read-only.
    media
        The media that the index names; not each need occur.
    geometry
        Where the voxels lie.
    warnings
        What a reader must know, in plain English.
    record
        How the map came to be.
    """

    density_kji: NDArray[np.float32]
    medium_index_kji: NDArray[np.uint8]
    media: tuple[Material, ...]
    geometry: VolumeGeometry
    warnings: tuple[str, ...] = ()
    record: Record = field(default_factory=lambda: Record("given as arrays"))

    def __post_init__(self) -> None:
        density = np.asarray(self.density_kji, dtype=np.float32).view()
        index = np.asarray(self.medium_index_kji)
        shape = self.geometry.shape_kji
        if density.shape != shape or index.shape != shape:
            raise InputError(
                f"Density has shape {density.shape} and medium index {index.shape}; expected {shape} (k, j, i)."
            )
        if not np.all(density > 0) or not np.isfinite(density).all():
            raise InputError("A density of the media map is zero, negative or not a number; expected positive g/cm³.")
        if index.dtype.kind not in "iu" or index.min() < 0 or index.max() >= len(self.media):
            raise InputError(
                f"Medium indices reach from {index.min()} to {index.max()}; expected integers from 0 to "
                f"{len(self.media) - 1}."
            )
        index = index.astype(np.uint8, copy=False).view()
        density.setflags(write=False)
        index.setflags(write=False)
        object.__setattr__(self, "density_kji", density)
        object.__setattr__(self, "medium_index_kji", index)
        object.__setattr__(self, "media", tuple(self.media))

    def voxel_mass_g(self) -> NDArray[np.float64]:
        """Mass of every voxel [g], (k, j, i)."""
        return self.density_kji.astype(np.float64) * self.geometry.voxel_volume_ml

    def density_volume(self) -> QuantitativeVolume:
        """The densities as a volume."""
        return QuantitativeVolume(self.density_kji, self.geometry, Quantity.MASS_DENSITY, None, self.record)

    @classmethod
    def homogeneous(cls, material: Material, geometry: VolumeGeometry) -> MediaMap:
        """One medium everywhere."""
        density = np.full(geometry.shape_kji, material.density_g_per_cm3, dtype=np.float32)
        index = np.zeros(geometry.shape_kji, dtype=np.uint8)
        return cls(density, index, (material,), geometry, (), Record(f"homogeneous {material.name}"))


def segment_media(
    ct: QuantitativeVolume,
    conversion: SchneiderConversion | None = None,
    bands: DensityBands | None = DensityBands(),
) -> MediaMap:
    """Density and medium of every voxel of a CT.

    Parameters
    ----------
    ct
        CT numbers [HU].
    conversion
        The calibration; None is Schneider et al. 2000.
    bands
        Media are bands of density (the default, as multiple-VSV needs them; voxels of titanium then get the last
        band). None takes the tissues of the calibration themselves, as a Monte Carlo may.

    Returns
    -------
    MediaMap
        On the grid of `ct`. CT numbers below -1050 HU become air, above 1640 HU the densest bone; `warnings`
        says how many. Beyond -3100 to 3095 HU they do so only with `clamp_hu` of the calibration.

    Raises
    ------
    UnitError
        `ct` does not hold CT numbers.
    InputError
        A CT number is not one (NaN or above 31000), or lies beyond `SchneiderConversion.hu_limits`.

    References
    ----------
    .. [1] Schneider, Bortfeld, Schlegel, Phys Med Biol 45 (2000) 459, DOI 10.1088/0031-9155/45/2/314.
    .. [2] Kim et al., Nucl Med Mol Imaging 56 (2022): multiple voxel S-values by 20 density bands.
    """
    if ct.quantity is not Quantity.CT_NUMBER:
        raise UnitError(
            f"The image for the media holds {ct.quantity.value} [{ct.unit}]; expected a CT in HU. Give the CT."
        )
    conversion = conversion or schneider_2000()
    media = conversion.media if bands is None else bands.media(conversion)
    density = np.empty(ct.geometry.shape_kji, dtype=np.float32)
    index = np.empty(ct.geometry.shape_kji, dtype=np.uint8)
    below = above = metal = beyond = 0
    lowest, highest = np.inf, -np.inf
    low_limit, high_limit = conversion.hu_limits
    for k, slice_hu in enumerate(ct.array_kji):  # slice by slice: float64 copies of a whole CT would not fit
        slice_density = conversion.density_g_per_cm3(slice_hu)
        density[k] = slice_density
        index[k] = conversion.tissue_index(slice_hu) if bands is None else bands.index(slice_density)
        below += int(np.count_nonzero(slice_hu < LOWEST_HU))
        above += int(np.count_nonzero(slice_hu > DENSEST_BONE_HU))
        if conversion.titanium_from_hu is not None:
            metal += int(np.count_nonzero(slice_hu >= conversion.titanium_from_hu))
        beyond += int(np.count_nonzero((slice_hu < low_limit) | (slice_hu > high_limit)))
        lowest, highest = min(lowest, float(slice_hu.min())), max(highest, float(slice_hu.max()))
    conversion.require_hu_within_limits(lowest, highest, beyond, density.size)
    warnings = hu_warnings(below, above, metal, density.size, conversion)
    record = Record(
        "segmentation of a CT into media",
        parameters={
            "band_edges_g_per_cm3": None if bands is None else list(bands.edges_g_per_cm3),
            "titanium_from_hu": conversion.titanium_from_hu,
            "clamp_hu": conversion.clamp_hu,
            "lowest_hu": lowest,
            "highest_hu": highest,
        },
        inputs={"ct": ct.record.inputs},
        datasets={"CT calibration": conversion.name},
    ).with_warnings(*ct.record.warnings, *warnings)
    return MediaMap(density, index, media, ct.geometry, warnings, record)

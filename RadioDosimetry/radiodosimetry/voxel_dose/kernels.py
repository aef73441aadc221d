"""Voxel dose kernels: absorbed dose around a uniform source voxel for any nuclide, medium and voxel size.

A kernel is made from the energy per distance around a point (our radial tables, by medium, particle and energy) and
from how distances spread over voxels. Nothing is simulated for a voxel size, so that it takes moments and is the same
every time.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..images.geometry import VolumeGeometry
from ..images.volume import QuantitativeVolume
from ..media import Material
from ..provenance import Record
from ..units import JOULE_PER_MEV, Quantity
from .geometric_weights import near_weights
from .radial_energy import PointKernelProvider, RadialCells, kernel_datasets, radial_cells, transported_point_kernel
from .sources import EmissionSource
from .voxelisation import unfold, voxelise

LARGEST_HALF_WIDTH = 512
"""Widest kernel, in voxels beside the source voxel."""


@dataclass(frozen=True, eq=False)
class DoseKernel:
    """Absorbed dose around a uniform source voxel in one homogeneous medium.

    Attributes
    ----------
    charged_octant_kji
        Dose [Gy] per decay (voxel S-value, Gy/(Bq s)) or per particle from electrons, positrons, α particles and
        recoils. Offsets ≥ 0 along z, y, x, source voxel first; the other seven octants mirror it.
    photon_octant_kji
        The same from photons.
    spacing_mm
        Voxel edges along x, y, z [mm].
    density_g_per_cm3
        Density of the medium [g/cm³].
    quantity
        `VOXEL_S_VALUE` or `ABSORBED_DOSE_PER_PARTICLE`.
    emitted_energy_mev
        Energy emitted per decay or particle [MeV].
    deposited_energy_mev
        Energy deposited in the infinite medium, within the array and beyond it [MeV].
    centre_uncertainty, face_uncertainty
        Relative standard uncertainty of the source voxel and of the x neighbour, None where unknown.
    record
        How the kernel came to be.
    """

    charged_octant_kji: NDArray[np.float64]
    photon_octant_kji: NDArray[np.float64]
    spacing_mm: tuple[float, float, float]
    density_g_per_cm3: float
    quantity: Quantity
    emitted_energy_mev: float
    deposited_energy_mev: float
    centre_uncertainty: float | None = None
    face_uncertainty: float | None = None
    record: Record = field(default_factory=lambda: Record("given as arrays"))

    def __post_init__(self) -> None:
        if self.charged_octant_kji.ndim != 3 or self.charged_octant_kji.shape != self.photon_octant_kji.shape:
            raise InputError(
                "A kernel needs two octants of the same three axes, found shapes "
                f"{self.charged_octant_kji.shape} and {self.photon_octant_kji.shape}."
            )
        if self.quantity not in (Quantity.VOXEL_S_VALUE, Quantity.ABSORBED_DOSE_PER_PARTICLE):
            raise InputError(f"A kernel holds voxel S-values or dose per particle, found {self.quantity.value}.")
        for octant in (self.charged_octant_kji, self.photon_octant_kji):
            if not np.isfinite(octant).all():
                raise InputError("A kernel must hold finite numbers.")

    @property
    def octant_kji(self) -> NDArray[np.float64]:
        """Dose of all particles for offsets ≥ 0, source voxel first."""
        return self.charged_octant_kji + self.photon_octant_kji

    @property
    def array_kji(self) -> NDArray[np.float64]:
        """Dose of all particles, odd number of voxels per axis, source voxel in the middle."""
        return unfold(self.octant_kji)

    @property
    def half_width_kji(self) -> tuple[int, int, int]:
        """Voxels beside the source voxel along z, y, x."""
        shape = self.charged_octant_kji.shape
        return shape[0] - 1, shape[1] - 1, shape[2] - 1

    @property
    def voxel_mass_kg(self) -> float:
        """Mass of one voxel [kg]."""
        return voxel_mass_kg(self.density_g_per_cm3, self.spacing_mm)

    @property
    def energy_balance(self) -> float:
        """Energy deposited in the infinite medium over energy emitted; 1 for a kernel that loses nothing."""
        return self.deposited_energy_mev / self.emitted_energy_mev

    @property
    def energy_in_array(self) -> float:
        """Energy deposited within the array over energy emitted."""
        return float(self.array_kji.sum()) * self.voxel_mass_kg / JOULE_PER_MEV / self.emitted_energy_mev

    def summary(self) -> dict[str, float | str | None]:
        """Centre, face neighbours, energy balance, uncertainties: the values `radiodosimetry kernel --json` prints."""
        octant = self.octant_kji
        return {
            "unit": self.quantity.unit,
            "centre": float(octant[0, 0, 0]),
            "face_x": _neighbour(octant, 2),
            "face_y": _neighbour(octant, 1),
            "face_z": _neighbour(octant, 0),
            "energy_balance": self.energy_balance,
            "centre_uncertainty_percent": _percent(self.centre_uncertainty),
            "face_uncertainty_percent": _percent(self.face_uncertainty),
        }

    def as_volume(self) -> QuantitativeVolume:
        """The kernel as an image whose source voxel lies at (0, 0, 0) mm."""
        halves = self.half_width_kji[::-1]
        origin = tuple(-half * step for half, step in zip(halves, self.spacing_mm, strict=True))
        array = self.array_kji
        shape = (array.shape[0], array.shape[1], array.shape[2])
        geometry = VolumeGeometry(shape, self.spacing_mm, (origin[0], origin[1], origin[2]))
        return QuantitativeVolume(array, geometry, self.quantity, record=self.record)


def voxel_kernel(
    source: EmissionSource,
    material: Material,
    spacing_mm: tuple[float, float, float],
    half_width: int | tuple[int, int, int],
    secondaries: str = "transported",
    point_kernels: PointKernelProvider = transported_point_kernel,
) -> DoseKernel:
    """Absorbed dose per decay around a uniform source voxel.

    Parameters
    ----------
    source
        What is emitted; `EmissionSource.from_nuclide(nuclide, "electrons")` for one kind of particle.
    material
        The medium, at its density; it fills all space.
    spacing_mm
        Voxel edges along x, y, z [mm].
    half_width
        Voxels beside the source voxel: one number, or three along x, y, z.
    secondaries
        "transported": electrons set free by photons travel; "local": they stay (collision kerma).
    point_kernels
        Where the energy per distance comes from: our radial tables, or a closed form in tests.

    Returns
    -------
    DoseKernel
        Electrons and photons apart, deterministic.

    Raises
    ------
    InputError
        Voxel sizes or half-widths cannot be used, or nothing is emitted.
    UnknownMediumError
        The medium has no tables.

    Notes
    -----
    The energy in the voxel at offset D is E(D) = ∫ W_D(r) dF(r) with F the energy within the distance r of a point and
    W_D the mean over directions of Π max(0, 1 − |r n_i/a_i − D_i|): the probability that two points at that distance,
    the first uniform in the source voxel, lie D voxels apart. Dose is E over the voxel's mass, 1 MeV/kg =
    1.602176634e-13 Gy.

    References
    ----------
    .. [1] Bolch et al., MIRD Pamphlet No. 17, J Nucl Med 40 (1999) 11S-36S (voxel S-values).
    """
    spacing = _three_floats(spacing_mm)
    half_width_kji = checked_half_width_kji(half_width)
    cells = radial_cells(source, material, spacing, secondaries, point_kernels)
    charged, photon = octants_gy(cells, material.density_g_per_cm3, spacing, half_width_kji)
    centre, face = _uncertainties(cells, spacing)
    parameters = {
        "source": source.name,
        "medium": material.name,
        "medium_mass_fractions": dict(material.mass_fractions),
        "density_g_per_cm3": material.density_g_per_cm3,
        "spacing_mm": list(spacing),
        "half_width_ijk": list(half_width_kji[::-1]),
        "secondaries": secondaries,
        "engine": "tables",
        "emitted_energy_mev": source.emitted_energy_mev,
    }
    datasets = {"emissions": source.dataset, **kernel_datasets(point_kernels)}
    record = Record("voxel dose kernel from radial tables", parameters, datasets=datasets)
    return DoseKernel(
        charged,
        photon,
        spacing,
        material.density_g_per_cm3,
        Quantity.ABSORBED_DOSE_PER_PARTICLE if source.per_particle else Quantity.VOXEL_S_VALUE,
        source.emitted_energy_mev,
        cells.deposited_mev,
        centre,
        face,
        record.with_warnings(*source.record_notes),
    )


def octants_gy(
    cells: RadialCells,
    density_g_per_cm3: float,
    spacing_mm: tuple[float, float, float],
    half_width_kji: tuple[int, int, int],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Dose [Gy] per decay in one octant from charged particles and from photons, shape half-width + 1 each."""
    gy_per_mev = JOULE_PER_MEV / voxel_mass_kg(density_g_per_cm3, spacing_mm)
    energies = voxelise(np.stack([cells.charged_mev, cells.photon_mev]), spacing_mm, half_width_kji)
    energies[0, 0, 0, 0] += cells.local_mev
    return energies[0] * gy_per_mev, energies[1] * gy_per_mev


def voxel_mass_kg(density_g_per_cm3: float, spacing_mm: tuple[float, float, float]) -> float:
    """Mass [kg] of a voxel."""
    return density_g_per_cm3 * 1e-3 * float(np.prod(spacing_mm)) * 1e-3


def _uncertainties(cells: RadialCells, spacing_mm: tuple[float, float, float]) -> tuple[float | None, float | None]:
    """Relative uncertainties of the source voxel and of its x neighbour: the tables' errors, taken as correlated."""
    if not (cells.charged_sigma_mev.any() or cells.photon_sigma_mev.any()):
        return None, None
    weights = near_weights(spacing_mm).weights
    near = weights.shape[-1]
    results = []
    for weight, local in ((weights[0, 0, 0], cells.local_mev), (weights[0, 0, 1], 0.0)):
        sigma = np.hypot(weight @ cells.charged_sigma_mev[:near], weight @ cells.photon_sigma_mev[:near])
        energy = weight @ (cells.charged_mev + cells.photon_mev)[:near] + local
        results.append(float(sigma / energy) if energy > 0 else None)
    return results[0], results[1]


def _neighbour(octant_kji: NDArray[np.float64], axis: int) -> float | None:
    if octant_kji.shape[axis] < 2:
        return None
    return float(np.moveaxis(octant_kji, axis, 0)[1, 0, 0])


def _percent(value: float | None) -> float | None:
    return None if value is None else 100 * value


def _three_floats(spacing_mm: tuple[float, float, float]) -> tuple[float, float, float]:
    values = [float(step) for step in np.ravel(spacing_mm)]
    if len(values) != 3:
        raise InputError(f"Voxel sizes must be three positive numbers in mm, found {spacing_mm}.")
    return values[0], values[1], values[2]


def checked_half_width_kji(half_width: int | tuple[int, int, int]) -> tuple[int, int, int]:
    """Voxels beside the source voxel along z, y, x, from one number or three along x, y, z.

    Raises
    ------
    InputError
        They are not one or three whole numbers from 0 to `LARGEST_HALF_WIDTH`.
    """
    values = np.ravel(np.asarray(half_width, dtype=np.float64))
    if values.size == 1:
        values = np.repeat(values, 3)
    if values.size != 3 or (values != np.round(values)).any() or values.min() < 0 or values.max() > LARGEST_HALF_WIDTH:
        raise InputError(
            f"The half-width must be one or three whole numbers from 0 to {LARGEST_HALF_WIDTH}, found {half_width}."
        )
    return int(values[2]), int(values[1]), int(values[0])

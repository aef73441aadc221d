"""Dose by Monte Carlo: photons and electrons through the patient's own voxels, with the uncertainty of every voxel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..images.volume import QuantitativeVolume
from ..media import MEDIA_DATASETS, Material, MediaMap
from ..progress import Progress
from ..provenance import Record
from ..units import JOULE_PER_MEV, Quantity
from .convolution_settings import require_tia_on
from .kernels import DoseKernel, checked_half_width_kji, voxel_mass_kg
from .sources import EmissionSource

if TYPE_CHECKING:
    from ..transport.voxels import TransportResult, TransportSettings

KERNEL_HISTORIES = 2_000_000
"""Histories of a directly simulated kernel where none are asked for."""

KERNEL_PHOTON_CUT_KEV = 2.0
"""Photons of a simulated kernel are followed to here: bremsstrahlung below 10 keV reaches several voxels in lung."""


@dataclass(frozen=True, eq=False)
class MonteCarloDose:
    """A dose map with its statistics.

    Attributes
    ----------
    dose
        Absorbed dose [Gy].
    uncertainty
        Relative standard uncertainty (1 σ) of each voxel's dose; 1 where a voxel was never reached.
    region_uncertainty
        Region to the relative standard uncertainty of its mean dose; regions without any dose are left out.
    histories, batches
        Of the run.
    """

    dose: QuantitativeVolume
    uncertainty: QuantitativeVolume
    region_uncertainty: Mapping[str, float]
    histories: int
    batches: int


def monte_carlo_dose(
    tia: QuantitativeVolume,
    media: MediaMap,
    source: EmissionSource,
    settings: TransportSettings | None = None,
    regions: Mapping[str, NDArray[np.bool_]] | None = None,
    progress: Progress | None = None,
) -> MonteCarloDose:
    """Absorbed dose by transport of photons and electrons through the voxels of the patient.

    Parameters
    ----------
    tia
        Time-integrated activity concentration [Bq s/mL], array (k, j, i), not negative.
    media
        Density and medium of every voxel, same grid; around the grid is vacuum.
    source
        Emissions per decay. α particles and recoils stay in their voxel.
    settings
        Histories or target uncertainty, seed, device, estimator, cuts; see `TransportSettings`.
    regions
        Name to mask (k, j, i) of the regions whose uncertainty is wanted; a target uncertainty refers to them.
    progress
        Told the share of histories done.

    Returns
    -------
    MonteCarloDose
        Dose and uncertainty on the grid of `tia`. Voxels of air have a dose here, with a large uncertainty.

    Raises
    ------
    UnitError, GeometryMismatchError
        `tia` is not time-integrated activity, or grids differ.
    InputError
        There is no activity, or a setting cannot be used.
    RadioDosimetryError
        The target uncertainty cannot be reached, or no energy reaches a region of it.
    DeviceError
        The device is not there.
    CancelledError
        The user cancelled.
    """
    from ..transport.voxels import TransportSettings, VoxelScene, simulate_voxels

    require_tia_on(tia, media)
    settings = settings or TransportSettings()
    decays = tia.array_kji.astype(np.float64) * tia.geometry.voxel_volume_ml
    if decays.sum() <= 0:
        raise InputError("The activity is zero everywhere; there is nothing to simulate. Check the image and its unit.")
    mass_kg = media.density_kji.astype(np.float64) * tia.geometry.voxel_volume_ml * 1e-3
    scene = VoxelScene(media.density_kji, media.medium_index_kji, media.media, tia.geometry.spacing_mm)
    result = simulate_voxels(
        scene, decays, source.transport_spectra, settings, regions, progress, source.local_energy_mev
    )
    energy = result.energy_mev_kji
    record = _record(tia, media, source, settings, result)
    return MonteCarloDose(
        tia.with_array(energy * JOULE_PER_MEV / mass_kg, Quantity.ABSORBED_DOSE, record),
        tia.with_array(_relative(result.standard_error_mev_kji, energy), Quantity.RELATIVE_UNCERTAINTY, record),
        {name: value for name, value in result.region_mean_uncertainty.items() if name in (regions or {})},
        result.histories,
        result.batches,
    )


def simulated_kernel(
    source: EmissionSource,
    material: Material,
    spacing_mm: tuple[float, float, float],
    half_width: int | tuple[int, int, int],
    secondaries: str = "transported",
    histories: int | None = None,
    seed: int = 1,
    device: str = "cpu",
    progress: Progress | None = None,
) -> DoseKernel:
    """A voxel dose kernel by direct simulation: the check of the one from radial tables.

    Parameters
    ----------
    source, material, spacing_mm, half_width, secondaries
        As `voxel_kernel`.
    histories
        Number of histories; `KERNEL_HISTORIES` if None.
    seed, device
        Of the simulation; see `TransportSettings`.
    progress
        Told the share of histories done.

    Returns
    -------
    DoseKernel
        The mean over the eight octants. All dose is in `charged_octant_kji`: a simulation does not tell apart whose
        energy a voxel got.

    Raises
    ------
    InputError
        A setting cannot be used.
    DeviceError
        The device is not there.
    """
    from ..transport.voxels import TransportSettings, VoxelScene, simulate_voxels

    centre = checked_half_width_kji(half_width)
    k, j, i = centre
    shape = (2 * k + 1, 2 * j + 1, 2 * i + 1)
    estimator: Any = "analog" if secondaries == "transported" else "track-length"
    chosen: Any = secondaries
    settings = TransportSettings(
        histories=KERNEL_HISTORIES if histories is None else histories,
        seed=seed,
        estimator=estimator,
        secondaries=chosen,
        photon_cut_kev=KERNEL_PHOTON_CUT_KEV,
        local_range_share=0.0,
        device=device,
    )
    decays = np.zeros(shape)
    decays[centre] = 1.0
    density = np.full(shape, material.density_g_per_cm3, dtype=np.float32)
    scene = VoxelScene(density, np.zeros(shape, dtype=np.uint8), (material,), spacing_mm, surroundings=material)
    faces = np.zeros(shape, dtype=bool)
    faces[k, j, [i - 1, i + 1] if i else []] = True
    regions = {"centre": decays > 0, **({"face": faces} if i else {})}
    if source.charged or source.photon_spectra:
        result = simulate_voxels(
            scene, decays, source.transport_spectra, settings, regions, progress, source.local_energy_mev
        )
        energy, errors = result.energy_mev_kji, result.region_mean_uncertainty
        inside, device_name = float(energy.sum()) + result.escaped_mev, result.device
    else:
        energy, errors, inside, device_name = decays * source.local_energy_mev, {}, source.local_energy_mev, device
    octant = _octant_mean(energy)
    gy_per_mev = JOULE_PER_MEV / voxel_mass_kg(material.density_g_per_cm3, spacing_mm)
    parameters = {
        "source": source.name,
        "medium": material.name,
        "medium_mass_fractions": dict(material.mass_fractions),
        "density_g_per_cm3": material.density_g_per_cm3,
        "spacing_mm": list(spacing_mm),
        "half_width_ijk": list(centre[::-1]),
        "secondaries": secondaries,
        "engine": "transport",
        "histories": settings.histories,
        "emitted_energy_mev": source.emitted_energy_mev,
    }
    record = Record(
        "voxel dose kernel by Monte Carlo",
        parameters,
        datasets={"emissions": source.dataset, **MEDIA_DATASETS},
        warnings=source.record_notes,
        seed=seed,
        device=device_name,
    )
    return DoseKernel(
        octant * gy_per_mev,
        np.zeros_like(octant),
        spacing_mm,
        material.density_g_per_cm3,
        Quantity.ABSORBED_DOSE_PER_PARTICLE if source.per_particle else Quantity.VOXEL_S_VALUE,
        source.emitted_energy_mev,
        inside,
        errors.get("centre"),
        errors.get("face"),
        record,
    )


def _octant_mean(array_kji: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean over the eight octants, source voxel first."""
    mean = array_kji
    for axis in range(3):
        half = mean.shape[axis] // 2
        upper = mean.take(range(half, mean.shape[axis]), axis=axis)
        lower = mean.take(range(half, -1, -1), axis=axis)
        mean = 0.5 * (upper + lower)
    return mean


def _relative(error: NDArray[np.float64], energy: NDArray[np.float64]) -> NDArray[np.float32]:
    """Standard error over energy, 1 where there is no energy."""
    relative = np.ones(energy.shape)
    np.divide(error, energy, out=relative, where=energy > 0)
    return relative.astype(np.float32)


def _record(
    tia: QuantitativeVolume,
    media: MediaMap,
    source: EmissionSource,
    settings: TransportSettings,
    result: TransportResult,
) -> Record:
    parameters = {
        "method": "monte-carlo",
        "source": source.name,
        "histories": result.histories,
        "batches": result.batches,
        "estimator": settings.estimator,
        "secondaries": settings.secondaries,
        "photon_cut_kev": settings.photon_cut_kev,
        "electron_cut_kev": settings.electron_cut_kev,
        "local_range_share_of_voxel": settings.local_range_share,
        "target_uncertainty": settings.target_uncertainty,
        "escaped_share": result.escaped_mev / result.emitted_mev if result.emitted_mev > 0 else 0.0,
    }
    return Record(
        "voxel dose by monte-carlo",
        parameters,
        {"tia": tia.record.as_dict(), "media": media.record.as_dict()},
        {"emissions": source.dataset, **MEDIA_DATASETS},
        source.record_notes,
        settings.seed,
        result.device,
    )

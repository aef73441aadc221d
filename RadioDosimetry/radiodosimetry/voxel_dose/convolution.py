"""Dose by convolution: the voxel's own medium, one medium for all, density scaling, and a kernel per medium.

Every method maps the time-integrated activity of a voxel to the dose around it with a kernel of a homogeneous medium;
they differ in which medium they take and how they correct for the density of the voxel that receives the dose. Voxels
below `AIR_DENSITY_G_PER_CM3` get no dose: a homogeneous kernel says nothing about air.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import GeometryMismatchError, UnitError
from ..images.geometry import SPACING_TOLERANCE_MM
from ..images.volume import QuantitativeVolume
from ..media import Material, MediaMap, named_material
from ..progress import PartialProgress, Progress, report_progress
from ..provenance import Record
from ..units import JOULE_PER_MEV, Quantity
from .convolution_settings import (
    AIR_DENSITY_G_PER_CM3,
    LI_2022_HALF_WIDTHS,
    ConvolutionOptions,
    as_dose,
    boxes_of,
    in_body,
    media_present,
    require_tia,
    require_tia_on,
    spectrum_of,
    used_settings,
)
from .fourier import Box, ImageSpectrum
from .kernels import DoseKernel, octants_gy, voxel_mass_kg
from .radial_energy import RadialCells, radial_cells, with_radiation_among_photons
from .shared_kernels import SharedKernels, share_kernels
from .sources import EmissionSource
from .voxelisation import voxelise

_OCTANTS_BYTES = 256 << 20
"""Kernels computed together take at most this much memory."""


def convolve_dose_kernel(
    tia: QuantitativeVolume, kernel: DoseKernel, precision: str = "auto", workers: int | None = None
) -> QuantitativeVolume:
    """Absorbed dose of a time-integrated activity map in one homogeneous medium.

    Parameters
    ----------
    tia
        Time-integrated activity concentration [Bq s/mL], array (k, j, i).
    kernel
        Voxel S-values [Gy/(Bq s)] on the same voxel size.
    precision, workers
        As in `ConvolutionOptions`.

    Returns
    -------
    QuantitativeVolume
        Absorbed dose [Gy] on the geometry of `tia`; activity outside the grid is taken as zero.

    Raises
    ------
    GeometryMismatchError
        Voxel sizes differ by more than `SPACING_TOLERANCE_MM`.
    UnitError
        `tia` is not time-integrated activity, or the kernel is not per decay.
    InputError
        `tia` is negative somewhere.

    References
    ----------
    .. [1] Bolch et al., MIRD Pamphlet No. 17, J Nucl Med 40 (1999) 11S-36S.
    """
    require_tia(tia)
    if kernel.quantity is not Quantity.VOXEL_S_VALUE:
        raise UnitError(f"Dose needs voxel S-values per decay, found {kernel.quantity.value}; make a nuclide's kernel.")
    if not np.allclose(kernel.spacing_mm, tia.geometry.spacing_mm, rtol=0, atol=SPACING_TOLERANCE_MM):
        raise GeometryMismatchError(
            f"The kernel has voxels of {kernel.spacing_mm} mm, the activity of {tia.geometry.spacing_mm} mm; "
            "make the kernel for the activity's voxels."
        )
    dose = np.zeros(tia.geometry.shape_kji)
    source = Box.around(tia.array_kji > 0)
    if source is not None:
        whole = Box((0, 0, 0), tia.geometry.shape_kji)
        spectrum = ImageSpectrum(tia.array_kji, source, whole, kernel.half_width_kji, precision, workers)
        dose = spectrum.convolve(kernel.octant_kji * tia.geometry.voxel_volume_ml)
    np.maximum(dose, 0.0, out=dose)
    inputs = {"tia": tia.record.as_dict()}
    record = Record("convolution with one dose kernel", {"kernel": kernel.record.as_dict()}, inputs)
    return tia.with_array(dose, Quantity.ABSORBED_DOSE, record)


def local_deposition(tia: QuantitativeVolume, media: MediaMap, source: EmissionSource) -> QuantitativeVolume:
    """Absorbed dose with every electron and α particle at rest in its voxel; photons leave no dose.

    Parameters
    ----------
    tia
        Time-integrated activity concentration [Bq s/mL].
    media
        Densities on the same grid.
    source
        Emissions per decay.

    Returns
    -------
    QuantitativeVolume
        Absorbed dose [Gy], Ã·Δ/m.

    Raises
    ------
    UnitError, GeometryMismatchError
        `tia` is not time-integrated activity, or grids differ.
    """
    require_tia_on(tia, media)
    energy_mev = source.charged_energy_mev + source.local_energy_mev
    dose = tia.array_kji * (energy_mev * JOULE_PER_MEV * 1e3) / media.density_kji.astype(np.float64)
    dose[media.density_kji < AIR_DENSITY_G_PER_CM3] = 0.0
    warning = "Local deposition: electrons stay in their voxel and photons are ignored; ranges and cross-dose are lost."
    return as_dose(tia, dose, "local", {"energy_per_decay_mev": energy_mev}, media, source, (warning,))


def single_vsv(
    tia: QuantitativeVolume,
    media: MediaMap,
    source: EmissionSource,
    options: ConvolutionOptions | None = None,
    progress: Progress | None = None,
) -> QuantitativeVolume:
    """Absorbed dose as if the whole body were one medium (water by default).

    Parameters and errors as `multiple_vsv`. The CT only says where air is (dose 0).
    """
    options = options or ConvolutionOptions()
    material = named_material(options.single_medium)
    charged, photon, boxes = _one_medium(tia, media, source, material, options, progress)
    dose = charged + photon
    parameters = {"medium": material.name, "density_g_per_cm3": material.density_g_per_cm3, **used_settings(options)}
    return as_dose(tia, in_body(dose, media, boxes), "single-vsv", parameters, media, source, options=options)


def density_scaled(
    tia: QuantitativeVolume,
    media: MediaMap,
    source: EmissionSource,
    options: ConvolutionOptions | None = None,
    progress: Progress | None = None,
) -> QuantitativeVolume:
    """Absorbed dose with a soft-tissue kernel whose electron part is scaled by 1.04/ρ of the receiving voxel.

    Parameters and errors as `multiple_vsv`.

    Notes
    -----
    Electrons of short range give their energy to their voxel whatever its mass, so that their dose goes with 1/ρ. The
    fluence of photons hardly depends on the voxel's density, nor does their dose: scaling it errs by +290 % in lung.
    `published_density_scaling` nevertheless does so, as Li et al. 2022 print it, with their kernel sizes.

    References
    ----------
    .. [1] Li et al., Med Phys 49 (2022) 1216, DOI 10.1002/mp.15397.
    """
    options = options or ConvolutionOptions()
    material = named_material("soft-tissue")
    charged, photon, boxes = _one_medium(tia, media, source, material, options, progress)
    scale = material.density_g_per_cm3 / media.density_kji[boxes[1].slices] if boxes else 1.0
    dose = (charged + photon) * scale if options.published_density_scaling else charged * scale + photon
    parameters = {
        "medium": material.name,
        "density_g_per_cm3": material.density_g_per_cm3,
        "form": "Li 2022" if options.published_density_scaling else "electron part scaled",
        **used_settings(options),
    }
    warnings: tuple[str, ...] = ()
    if options.published_density_scaling:
        warnings = ("The published form scales photon dose by density: it is several times too high in lung.",)
    return as_dose(tia, in_body(dose, media, boxes), "density-scaled", parameters, media, source, warnings, options)


def multiple_vsv(
    tia: QuantitativeVolume,
    media: MediaMap,
    source: EmissionSource,
    options: ConvolutionOptions | None = None,
    progress: Progress | None = None,
) -> QuantitativeVolume:
    """Absorbed dose with a kernel for each medium, each applied where the receiving voxel is of that medium.

    Parameters
    ----------
    tia
        Time-integrated activity concentration [Bq s/mL], array (k, j, i), not negative.
    media
        Density and medium of every voxel, same grid.
    source
        Emissions per decay.
    options
        Reach, precision and what else `ConvolutionOptions` says.
    progress
        Told the share of convolutions done.

    Returns
    -------
    QuantitativeVolume
        Absorbed dose [Gy] on the grid of `tia`.

    Raises
    ------
    UnitError
        `tia` is not time-integrated activity.
    GeometryMismatchError
        The grids differ.
    UnknownMediumError
        A medium of the map has no kernel.
    CancelledError
        The user cancelled.

    Notes
    -----
    A band's kernel holds at its reference density. Within the band the electron part is taken with the voxel's own
    density (energy over mass), the photon part as dose. Bremsstrahlung beyond the electrons' reach counts as photons,
    so that the electron kernels stay small and their convolutions cheap.

    References
    ----------
    .. [1] Lee et al., J Nucl Med 59 (2018) 1133-1139.
    .. [2] Kim et al., Nucl Med Mol Imaging 56 (2022).
    """
    options = options or ConvolutionOptions()
    require_tia_on(tia, media)
    boxes = boxes_of(tia, media)
    if boxes is None:
        dose = np.zeros(tia.geometry.shape_kji)
        return as_dose(tia, dose, "multiple-vsv", used_settings(options), media, source, options=options)
    present = media_present(media)
    density = np.array([media.media[index].density_g_per_cm3 for index in present])
    index_in_box = media.medium_index_kji[boxes[1].slices]
    spacing = tia.geometry.spacing_mm
    cells, reaches = [], []
    for step, index in enumerate(present):
        medium = media.media[index]
        report_progress(progress, 0.3 * step / len(present), f"Kernel of {medium.name}")
        whole = radial_cells(source, medium, spacing, options.secondaries, options.point_kernels)
        separated, reach_mm = with_radiation_among_photons(whole, source, medium, spacing)
        cells.append(separated)
        reaches.append(reach_mm)
    parts = {
        "charged": (np.stack([cell.charged_mev for cell in cells]) / density[:, None], max(reaches)),
        "photon": (np.stack([cell.photon_mev for cell in cells]) / density[:, None], np.inf),
    }
    dose, convolved, errors = np.zeros(boxes[1].shape), {}, {}
    for order, (name, (cell_energy, reach_mm)) in enumerate(parts.items()):
        shared = share_kernels(cell_energy, spacing, min(reach_mm, options.reach_mm), options.sharing_tolerance)
        convolved[name], errors[name] = len(shared.cell_energy), shared.largest_error
        if not shared.cell_energy.size:
            continue
        step_progress = PartialProgress(progress, 0.3 + 0.35 * order, 0.65 + 0.35 * order)
        spectrum = spectrum_of(tia, boxes, options, reach_mm)
        dose = dose.astype(spectrum.precision, copy=False)
        part = np.zeros_like(dose)
        for coefficients, values in _convolutions(shared, spectrum, tia, step_progress, f"{name} part"):
            part += _per_voxel(coefficients, present, index_in_box, len(media.media)) * values
        del spectrum  # its memory is needed by the next part
        if name == "charged":
            reference = np.array([medium.density_g_per_cm3 for medium in media.media])
            part *= (reference[index_in_box] / media.density_kji[boxes[1].slices]).astype(part.dtype)
        dose += part
    if cells[0].local_mev:
        dose += local_deposition(tia, media, _only_local(source)).array_kji[boxes[1].slices]
    parameters = {
        "media": [media.media[index].name for index in present],
        "convolutions": convolved,
        "largest_sharing_error": errors,
        **used_settings(options),
    }
    return as_dose(tia, in_body(dose, media, boxes), "multiple-vsv", parameters, media, source, options=options)


def _convolutions(
    shared: SharedKernels, spectrum: ImageSpectrum, tia: QuantitativeVolume, progress: Progress, what: str
) -> Iterator[tuple[NDArray[np.float64], NDArray[Any]]]:
    """Coefficients of the media and dose map of each shared kernel."""
    spacing = tia.geometry.spacing_mm
    gy_per_bq_s = JOULE_PER_MEV / voxel_mass_kg(1.0, spacing) * tia.geometry.voxel_volume_ml
    octant_bytes = 8 * int(np.prod([half + 1 for half in spectrum.half_width_kji]))
    together = max(1, _OCTANTS_BYTES // octant_bytes)
    count = len(shared.cell_energy)
    for start in range(0, count, together):
        octants = voxelise(shared.cell_energy[start : start + together], spacing, spectrum.half_width_kji)
        for number, octant in enumerate(octants, start=start):
            report_progress(progress, number / count, f"Convolution {number + 1} of {count}, {what}")
            yield shared.coefficients[:, number], spectrum.convolve(octant * gy_per_bq_s)


def _per_voxel(
    coefficients: NDArray[np.float64], present: list[int], medium_index: NDArray[np.uint8], medium_count: int
) -> NDArray[np.float32]:
    """The coefficient of each voxel's medium; 0 for media that are air."""
    table = np.zeros(medium_count, dtype=np.float32)
    table[present] = coefficients
    values: NDArray[np.float32] = table[medium_index]
    return values


def _one_medium(
    tia: QuantitativeVolume,
    media: MediaMap,
    source: EmissionSource,
    material: Material,
    options: ConvolutionOptions,
    progress: Progress | None,
) -> tuple[NDArray[Any], NDArray[Any], tuple[Box, Box] | None]:
    """Dose of charged particles and of photons in the target box, everything being `material`; and the boxes."""
    require_tia_on(tia, media)
    boxes = boxes_of(tia, media)
    if boxes is None:
        return np.zeros(0), np.zeros(0), None
    report_progress(progress, 0.0, f"Kernel of {material.name}")
    spacing = tia.geometry.spacing_mm
    cells = radial_cells(source, material, spacing, options.secondaries, options.point_kernels)
    reaches = (np.inf, np.inf)
    if not options.published_density_scaling:
        cells, reach_mm = with_radiation_among_photons(cells, source, material, spacing)
        reaches = (reach_mm, np.inf)
    doses = []
    for order, name in enumerate(("electrons", "photons")):
        report_progress(progress, 0.3 + 0.35 * order, f"Convolution, {name}")
        doses.append(_dose_of_part(order, cells, material, tia, boxes, options, reaches[order]))
    return doses[0], doses[1], boxes


def _dose_of_part(
    part: int,
    cells: RadialCells,
    material: Material,
    tia: QuantitativeVolume,
    boxes: tuple[Box, Box],
    options: ConvolutionOptions,
    reach_mm: float,
) -> NDArray[Any]:
    """Dose of charged particles (part 0) or of photons (part 1) in the target box."""
    if not (cells.photon_mev if part else cells.charged_mev).any() and not (cells.local_mev and part == 0):
        return np.zeros(boxes[1].shape)
    most_voxels = LI_2022_HALF_WIDTHS[part] if options.published_density_scaling else None
    spectrum = spectrum_of(tia, boxes, options, reach_mm, most_voxels)
    half_width_kji = spectrum.half_width_kji
    octant = octants_gy(cells, material.density_g_per_cm3, tia.geometry.spacing_mm, half_width_kji)[part]
    return spectrum.convolve(octant * tia.geometry.voxel_volume_ml)


def _only_local(source: EmissionSource) -> EmissionSource:
    return EmissionSource(source.name, local_energy_mev=source.local_energy_mev, dataset=source.dataset)

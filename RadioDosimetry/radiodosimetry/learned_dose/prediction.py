"""Dose of a patient by a model: base method, network, and what the network changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..errors import UnitError
from ..images.activity import without_negative_activity
from ..images.geometry import VolumeGeometry
from ..images.resampling import resample_activity, resample_ct
from ..images.volume import QuantitativeVolume
from ..learning.model_files import weights_path
from ..media import MediaMap, segment_media
from ..nuclides import Radionuclide
from ..progress import PartialProgress, Progress, report_progress
from ..provenance import Record, file_identity
from ..units import Quantity
from ..voxel_dose.convolution_settings import AIR_DENSITY_G_PER_CM3, require_tia_on
from ..voxel_dose.sources import EmissionSource
from .bases import base_dose
from .declared import (
    LARGE_CHANGE_PERCENT,
    density_warnings,
    grid_of_spacing,
    image_warnings,
    is_declared_spacing,
    require_nuclide,
    trained_spacing_mm,
    uncertainty_warnings,
)
from .patient_maps import PatientMaps, patient_maps
from .patients import photon_part
from .shipped import KINDS

if TYPE_CHECKING:
    from ..images.regions import Region
    from .dose_model import DoseModel

WHOLE_BODY = "body"
"""Name under which all matter is compared with the base."""


@dataclass(frozen=True, eq=False)
class LearnedDose:
    """What a model says of a patient.

    Attributes
    ----------
    dose
        Absorbed dose [Gy] on the grid of the activity: not below zero, zero in air.
    base
        Dose by the base method that the network corrects [Gy].
    uncertainty
        Relative standard uncertainty of each voxel (`stated_uncertainty`), None where the model states none.
    region_uncertainty
        Region to the relative standard uncertainty of its mean dose.
    record
        Also the dose's; `base_comparison` says for every region what the network changed.
    """

    dose: QuantitativeVolume
    base: QuantitativeVolume
    uncertainty: QuantitativeVolume | None
    region_uncertainty: Mapping[str, float]
    record: Record


def predict_dose(
    model: Path,
    ct: QuantitativeVolume,
    tia: QuantitativeVolume,
    nuclide: str,
    *,
    regions: Sequence[Region] = (),
    device: str = "cpu",
    progress: Progress | None = None,
) -> LearnedDose:
    """Absorbed dose of a patient by a model.

    Parameters
    ----------
    model
        Of kind residual-unet-3d or dblurdosenet.
    ct
        CT numbers [HU], any grid that overlaps the activity.
    tia
        Time-integrated activity concentration [Bq s/mL]; its grid is the dose's. Negative noise is set to zero.
    nuclide
        Its nuclide; one the model declares.
    regions
        Regions on the grid of `tia` whose change by the network is recorded; the whole body always is.
    device
        "cpu", "cuda" or "cuda:N".
    progress
        Told the share of the work done.

    Returns
    -------
    LearnedDose
        Zero without activity, and proportional to the activity.

    Raises
    ------
    FileFormatError
        The model is missing, damaged, or of another version.
    InputError
        The model does not hold for this nuclide.
    UnitError, GeometryMismatchError
        `ct` is no CT, `tia` no time-integrated activity, or they do not overlap.
    DeviceError, CancelledError
        As their names say.
    """
    if ct.quantity is not Quantity.CT_NUMBER:
        raise UnitError(f"The CT must hold CT numbers in HU, found {ct.quantity.value} [{ct.unit}].")
    if tia.array_kji.any():  # no activity at all is no error here: it gives no dose
        tia = without_negative_activity(tia)
    ct = resample_ct(ct, tia.geometry)
    media = segment_media(ct)
    tia = replace(tia, geometry=media.geometry)
    return learned_dose(model, ct, media, tia, nuclide, regions=regions, device=device, progress=progress)


def learned_dose(
    model: Path,
    ct: QuantitativeVolume,
    media: MediaMap,
    tia: QuantitativeVolume,
    nuclide: Radionuclide | str,
    *,
    kind: str | None = None,
    regions: Sequence[Region] = (),
    device: str = "cpu",
    progress: Progress | None = None,
) -> LearnedDose:
    """As `predict_dose`, with CT and media on the grid of the activity already.

    `kind` is "unet" or "dblurdosenet" where only that will do.

    Where the voxel size is not one the model declares, the network runs on its own: CT and activity are resampled
    (activity conserved), and the change it makes to the base is interpolated back onto the base of the given grid.
    """
    from .dose_model import load_dose_model

    report_progress(progress, 0.0, "Model")
    loaded = load_dose_model(model, None if kind is None else KINDS[kind])
    nuclide = Radionuclide(nuclide) if isinstance(nuclide, str) else nuclide
    require_nuclide(loaded.card, nuclide.name, loaded.name)
    require_tia_on(tia, media)
    source = EmissionSource.from_nuclide(nuclide)
    base = base_dose(loaded.base_method, tia, media, source, PartialProgress(progress, 0.0, 0.3))
    same_size = is_declared_spacing(loaded.card, tia.geometry)
    warnings: list[str] = []
    if same_size:
        maps = _maps(loaded, ct, media, tia, source, base)
    else:
        maps = _maps_on_trained_grid(loaded, ct, media, tia, source, PartialProgress(progress, 0.3, 0.5))
        warnings.append(
            f"The voxels of {_size(tia.geometry)} mm are not those the model was trained on "
            f"({_size(maps.geometry)} mm): its correction was computed on the latter and interpolated, of which its "
            "uncertainty knows nothing."
        )
    warnings += [*image_warnings(loaded.card), *density_warnings(loaded.card, maps)]
    if loaded.stated_uncertainty is not None:
        warnings += uncertainty_warnings(loaded.card)
    summary = _summarised(loaded, maps, base, media, same_size, regions, device, warnings, progress)
    record = _record(loaded, model, base, media, regions, summary, tuple(warnings), device)
    dose = tia.with_array(summary.dose_gy, Quantity.ABSORBED_DOSE, record)
    uncertainty = None
    if summary.relative is not None:
        uncertainty = tia.with_array(summary.relative, Quantity.RELATIVE_UNCERTAINTY, record)
    report_progress(progress, 1.0, "Learned dose done")
    return LearnedDose(dose, base, uncertainty, summary.region_uncertainty, record)


@dataclass(frozen=True, eq=False)
class _Summary:
    """Mean of the members and its uncertainty on the given grid."""

    dose_gy: NDArray[np.float32]
    relative: NDArray[np.float32] | None
    region_uncertainty: Mapping[str, float]


def _summarised(
    model: DoseModel,
    maps: PatientMaps,
    base: QuantitativeVolume,
    media: MediaMap,
    same_size: bool,
    regions: Sequence[Region],
    device: str,
    warnings: list[str],
    progress: Progress | None,
) -> _Summary:
    """All members, one after the other, so that no more than two maps of them are held."""
    count = len(model.networks)
    shape = base.geometry.shape_kji
    total, squares = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32) if count > 1 else None
    means: dict[str, list[float]] = {region.name: [] for region in regions}
    work = PartialProgress(progress, 0.5, 0.95)
    for number, normalised in enumerate(model.member_doses(maps, device, work, warnings), start=1):
        normalised *= np.float32(maps.dose_scale_gy)
        dose = normalised if same_size else _onto_given_grid(normalised, maps, base, media)
        for region in regions:
            means[region.name].append(_mean(dose, region.mask_kji, media))
        difference = dose - total
        total += difference / np.float32(number)
        if squares is not None:
            squares += difference * (dose - total)
    stated = model.stated_uncertainty
    if stated is None:
        return _Summary(total, None, {})
    spacing_mm = base.geometry.spacing_mm
    spread = None if squares is None else np.sqrt(np.maximum(squares, 0.0) / (count - 1))
    matter = media.density_kji >= AIR_DENSITY_G_PER_CM3
    relative = stated.of_voxels(total, base.array_kji, spacing_mm, spread)
    of_regions = {}
    for region in regions:
        mean = float(np.mean(means[region.name]))
        if mean > 0:
            before = _mean(base.array_kji, region.mask_kji, media)
            own = float(np.std(means[region.name], ddof=1)) if count > 1 else 0.0
            of_regions[region.name] = stated.of_region(mean, before, region.mask_kji & matter, spacing_mm, own)
    return _Summary(total, relative, of_regions)


def _maps(
    model: DoseModel,
    ct: QuantitativeVolume,
    media: MediaMap,
    tia: QuantitativeVolume,
    source: EmissionSource,
    base: QuantitativeVolume,
) -> PatientMaps:
    photon = None
    if model.needs_photons:
        photon = tia.with_array(photon_part(model.base_method, tia, media, source), Quantity.ABSORBED_DOSE)
    return patient_maps(ct, media, tia, source, base, photon)


def _maps_on_trained_grid(
    model: DoseModel,
    ct: QuantitativeVolume,
    media: MediaMap,
    tia: QuantitativeVolume,
    source: EmissionSource,
    progress: Progress | None,
) -> PatientMaps:
    """Maps on the voxel size of the training; the density is resampled, media follow from it."""
    grid = grid_of_spacing(tia.geometry, trained_spacing_mm(model.card))
    coarse_ct = resample_ct(ct, grid)
    coarse_media = segment_media(coarse_ct)
    coarse_tia = replace(resample_activity(tia, grid), geometry=coarse_media.geometry)
    base = base_dose(model.base_method, coarse_tia, coarse_media, source, progress)
    return _maps(model, coarse_ct, coarse_media, coarse_tia, source, base)


def _onto_given_grid(
    dose_gy: NDArray[np.float32], maps: PatientMaps, base: QuantitativeVolume, media: MediaMap
) -> NDArray[np.float32]:
    """Base of the given grid plus the interpolated change that the network made to its own; zero in air.

    The change of a lung beside an active organ, laid over a voxel between the two, could take more than is there: no
    voxel keeps a smaller share of its base than the network left to one of the voxels around it.
    """
    own_gy = maps.base_kji * np.float32(maps.dose_scale_gy)
    kept = np.divide(dose_gy, own_gy, out=np.ones_like(own_gy), where=own_gy > 0)

    def moved(values: NDArray[np.float32], outside: float) -> NDArray[np.floating]:
        volume = QuantitativeVolume(values, maps.geometry, Quantity.ABSORBED_DOSE)
        return resample_ct(volume, base.geometry, outside=outside).array_kji

    given = np.asarray(base.array_kji, dtype=np.float32)
    least = given * moved(ndimage.minimum_filter(np.minimum(kept, np.float32(1.0)), 3), 1.0)
    dose = np.maximum(given + moved(dose_gy - own_gy, 0.0), least)
    return np.asarray(np.where(media.density_kji >= AIR_DENSITY_G_PER_CM3, dose, 0.0), dtype=np.float32)


def _record(
    model: DoseModel,
    path: Path,
    base: QuantitativeVolume,
    media: MediaMap,
    regions: Sequence[Region],
    summary: _Summary,
    warnings: tuple[str, ...],
    device: str,
) -> Record:
    """What made the dose, and what the network changed in every region."""
    comparison = _comparison(base, media, regions, summary)
    large = [name for name, one in comparison.items() if abs(one["change_percent"] or 0.0) > LARGE_CHANGE_PERCENT]
    if large:
        warnings = (
            *warnings,
            f"The network changes the mean dose of {', '.join(large)} by more than {LARGE_CHANGE_PERCENT:g} % of the "
            "base method's: check it before use.",
        )
    parameters = {
        "method": model.kind,
        **model.card.as_parameters(model.name),
        "members": len(model.networks),
        "stated_uncertainty": None if model.stated_uncertainty is None else model.stated_uncertainty.as_dict(),
        "declared": dict(model.card.declared),
        "base": dict(base.record.parameters),
        "base_comparison": comparison,
    }
    inputs = {"model": file_identity(weights_path(path)), **base.record.inputs}
    record = Record(f"voxel dose by {model.kind}", parameters, inputs, dict(base.record.datasets), device=device)
    return record.with_warnings(model.card.sentence(model.name), *base.record.warnings, *warnings)


def _comparison(
    base: QuantitativeVolume, media: MediaMap, regions: Sequence[Region], summary: _Summary
) -> dict[str, dict[str, Any]]:
    """Mean doses by mass of base and network for every region and the whole body."""
    masks = {WHOLE_BODY: media.density_kji >= AIR_DENSITY_G_PER_CM3}
    masks |= {region.name: region.mask_kji for region in regions}
    compared = {}
    for name, mask in masks.items():
        before, after = _mean(base.array_kji, mask, media), _mean(summary.dose_gy, mask, media)
        change = 100 * (after - before) / before if before > 0 else None
        compared[name] = {"base_mean_gy": before, "mean_gy": after, "change_percent": change}
    return compared


def _mean(dose_gy: NDArray[Any], mask_kji: NDArray[np.bool_], media: MediaMap) -> float:
    if not mask_kji.any():
        return 0.0
    return float(np.average(dose_gy[mask_kji].astype(np.float64), weights=media.density_kji[mask_kji]))


def _size(geometry: VolumeGeometry) -> str:
    return " × ".join(f"{step:.3g}" for step in geometry.spacing_mm)

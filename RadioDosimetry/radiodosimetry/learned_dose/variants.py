"""The same patients seen otherwise than in the training: sharper, as by PET, reconstructed or counted otherwise.

Li et al. 2022 trained on one reconstruction. How a network fares on what it has not seen stands beside its figures.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..errors import InputError
from ..images.resampling import resample_activity, resample_ct
from ..images.volume import QuantitativeVolume
from ..media import segment_media
from ..nuclides import Radionuclide
from ..progress import Progress
from ..units import Quantity
from ..voxel_dose.sources import EmissionSource
from . import dblur_dose
from .bases import base_dose
from .dataset_patients import BASES, decaying_in_place, scan_of_dose
from .declared import grid_of_spacing
from .patients import BaseCache, DosePatient, dose_patient

if TYPE_CHECKING:
    from pathlib import Path

    from ..virtual_patients.dataset import Dataset, PatientFolder
    from ..virtual_patients.spect import SpectSettings

PET_LIKE_FWHM_MM = 5.5
"""Resolution of a PET scanner, between 5 and 6 mm."""

FWHM_PER_SIGMA = float(np.sqrt(8 * np.log(2)))

SHARP, PET_LIKE, SCAN = "true activity at the scan", "PET-like activity (5.5 mm)", "reconstructed SPECT"
OTHER_SPACING = 1.25
OTHER_VOXELS = "voxels of 1.25 times the side"
"""Voxel size at which the way through resampling is judged."""

OTHER_SCANS: Mapping[str, Mapping[str, Any]] = {
    "SPECT with half of the updates": {"iterations": 0.5},
    "SPECT without resolution recovery": {"resolution_recovery": False},
    "SPECT with a quarter of the counts": {"counts": 0.25},
}
"""Reconstructions and counts other than the data's: numbers multiply what the data have."""


@dataclass(frozen=True, eq=False)
class Variant:
    """A patient seen otherwise.

    Attributes
    ----------
    name
        How.
    patient
        With the maps that a network then sees, and the dose of the true activity.
    """

    name: str
    patient: DosePatient


def activity_variants(
    dataset: Dataset, folder: PatientFolder, kind: str, *, with_photons: bool = False, cache: BaseCache | None = None
) -> Iterator[Variant]:
    """The patient with the true activity at the time of the scan, with a PET-like blur of it, and as the other way
    round: a network of scans is shown no scan that it knows, one of true activity is shown the scan.

    Parameters
    ----------
    dataset, folder
        The patient.
    kind
        Of the network.
    with_photons, cache
        As for `patients.dose_patient`.
    """
    truth = folder.volume(scan_of_dose(folder, "truth"))
    sigma = [PET_LIKE_FWHM_MM / FWHM_PER_SIGMA / step for step in truth.geometry.spacing_mm[::-1]]
    blurred = truth.with_array(ndimage.gaussian_filter(truth.array_kji.astype(np.float64), sigma, mode="nearest"))
    seen = [(SHARP, truth), (PET_LIKE, blurred)]
    if kind != dblur_dose.KIND:
        seen.append((SCAN, folder.volume(scan_of_dose(folder))))
    for name, activity in seen:
        yield Variant(name, _patient(dataset, folder, kind, activity, with_photons, cache))


def scan_variants(
    dataset: Dataset,
    folder: PatientFolder,
    kind: str,
    *,
    with_photons: bool = False,
    progress: Progress | None = None,
) -> Iterator[Variant]:
    """The patient scanned anew, reconstructed and counted otherwise, as `OTHER_SCANS` says.

    Raises
    ------
    InputError
        The patient was not scanned by our simulated SPECT.
    MissingDependencyError
        PyTomography is not installed.
    """
    known = scan_settings(folder)
    for number, (name, change) in enumerate(OTHER_SCANS.items()):
        scan = _scanned(folder, _changed(known, change), number, progress)
        yield Variant(name, _patient(dataset, folder, kind, scan, with_photons))


def realisations(
    dataset: Dataset,
    folder: PatientFolder,
    kind: str,
    count: int,
    *,
    with_photons: bool = False,
    progress: Progress | None = None,
) -> Iterator[DosePatient]:
    """The patient scanned anew with the same settings and other counting noise, so many times.

    Raises
    ------
    InputError, MissingDependencyError
        As `scan_variants`.
    """
    settings = scan_settings(folder)
    for number in range(count):
        scan = _scanned(folder, settings, len(OTHER_SCANS) + number, progress)
        yield _patient(dataset, folder, kind, scan, with_photons)


def scan_settings(folder: PatientFolder) -> SpectSettings:
    """How the patient was scanned, as the record of the scan says.

    Raises
    ------
    InputError
        It was not by our simulated SPECT.
    """
    from ..virtual_patients.spect import SpectSettings

    record = folder.volume(scan_of_dose(folder)).record
    if record.operation != "simulated SPECT":
        raise InputError(
            f"The scan of {folder.id} is '{record.operation}', expected a simulated SPECT: only that can be repeated "
            "with other settings. Leave --shifts and --realisations out."
        )
    names = {one.name for one in fields(SpectSettings)}
    return SpectSettings(**{name: value for name, value in record.parameters.items() if name in names})


def on_other_voxels(
    models: Sequence[Path], patient: DosePatient, base: str, device: str = "cpu"
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Doses of base and models [Gy] computed on voxels of another size, brought back onto the patient's.

    CT and activity are resampled to voxels of `OTHER_SPACING` times the side; there a model goes its own way through
    the voxels of its training. Region means can be compared with the patient's label, voxels at edges cannot.
    """
    from .prediction import learned_dose

    ct, tia = patient.images()
    i, j, k = (OTHER_SPACING * step for step in tia.geometry.spacing_mm)
    grid = grid_of_spacing(tia.geometry, (i, j, k))
    coarse_ct = resample_ct(ct, grid)
    media = segment_media(coarse_ct)
    coarse = replace(resample_activity(tia, grid), geometry=media.geometry)
    source = EmissionSource.from_nuclide(Radionuclide(patient.nuclide))
    total = np.zeros(media.geometry.shape_kji, dtype=np.float32)
    for model in models:
        dose = learned_dose(model, coarse_ct, media, coarse, patient.nuclide, device=device).dose
        total += np.asarray(dose.array_kji, dtype=np.float32) / np.float32(len(models))
    before = np.asarray(base_dose(base, coarse, media, source).array_kji, dtype=np.float32)

    def back(values: NDArray[np.float32]) -> NDArray[np.float32]:
        volume = QuantitativeVolume(values, media.geometry, Quantity.ABSORBED_DOSE)
        moved = resample_ct(volume, patient.maps.geometry, outside=0.0).array_kji
        return np.asarray(np.where(patient.maps.matter_kji, np.maximum(moved, 0.0), 0.0), dtype=np.float32)

    return back(before), back(total)


def _patient(
    dataset: Dataset,
    folder: PatientFolder,
    kind: str,
    activity: QuantitativeVolume,
    with_photons: bool,
    cache: BaseCache | None = None,
) -> DosePatient:
    """The patient with an activity [Bq/mL] at the time of the scan and the dose of the true one then."""
    noise = folder.volume("scan_dose_uncertainty") if folder.has("scan_dose_uncertainty") else None
    return dose_patient(
        folder.id, folder.source, dataset.nuclide, folder.volume("ct"),
        decaying_in_place(activity, Radionuclide(dataset.nuclide)), folder.volume("scan_dose"), folder.labels(),
        BASES[kind], with_photons=with_photons, noise=noise, cache=cache,
    )  # fmt: skip


def _scanned(
    folder: PatientFolder, settings: SpectSettings, purpose: int, progress: Progress | None
) -> QuantitativeVolume:
    """A scan of the true activity; its noise is the patient's and the purpose's own."""
    from ..virtual_patients.spect import simulate_spect

    name = zlib.crc32(folder.source.encode())
    seed = int(np.random.SeedSequence((name, purpose)).generate_state(1)[0])
    truth = folder.volume(scan_of_dose(folder, "truth"))
    return simulate_spect(truth, folder.volume("ct"), settings, seed, progress)


def _changed(settings: SpectSettings, change: Mapping[str, Any]) -> SpectSettings:
    """Settings with numbers multiplied and flags set."""
    values: dict[str, Any] = {}
    for name, value in change.items():
        known = getattr(settings, name)
        values[name] = value if isinstance(value, bool) else type(known)(max(value * known, 1))
    return replace(settings, **values)

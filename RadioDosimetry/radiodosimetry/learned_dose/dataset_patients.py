"""Patients of a dataset folder for one kind of network: which images are its input and its label."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from ..images.volume import QuantitativeVolume
from ..nuclides import Radionuclide
from ..progress import PartialProgress, Progress
from ..units import Quantity
from . import dblur_dose, unet_dose
from .patients import BaseCache, DosePatient, dose_patient

if TYPE_CHECKING:
    from ..virtual_patients.dataset import Dataset, PatientFolder

BASES = {unet_dose.KIND: unet_dose.BASE, dblur_dose.KIND: dblur_dose.BASE}
"""Kind of network to its base."""

NEEDED = {unet_dose.KIND: ("ct", "tia", "dose"), dblur_dose.KIND: ("ct", "scan_dose")}
"""Kind of network to the files every patient must have; `dblurdosenet` needs a reconstruction as well."""


def stream_patients(
    dataset: Dataset,
    folders: Sequence[PatientFolder],
    kind: str,
    *,
    with_photons: bool = False,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Iterator[DosePatient]:
    """Patients of a dataset as a network of this kind sees them, one after the other: read when asked for.

    Parameters
    ----------
    dataset, folders
        The dataset, and those of its patients that are wanted.
    kind
        `unet_dose.KIND`: the true time-integrated activity, labelled by its Monte Carlo dose. `dblur_dose.KIND`: the
        reconstruction at the time the dataset simulated a dose for, labelled by the dose of the true activity then.
    with_photons
        Whether the photons' part of the base is wanted.
    cache
        Folder where base doses are kept.
    progress
        Told the share of the work done.

    Raises
    ------
    InputError
        A patient lacks a file, or as `patients.dose_patient`.
    """
    for number, folder in enumerate(folders):
        part = PartialProgress(progress, number / len(folders), (number + 1) / len(folders))
        yield _patient_of(folder, dataset.nuclide, kind, with_photons, BaseCache(cache), part)


def _patient_of(
    folder: PatientFolder, nuclide: str, kind: str, with_photons: bool, cache: BaseCache, progress: Progress
) -> DosePatient:
    tia, label = input_and_label(folder, kind, nuclide)
    noise = "dose_uncertainty" if kind == unet_dose.KIND else "scan_dose_uncertainty"
    return dose_patient(
        folder.id, folder.source, nuclide, folder.volume("ct"), tia, label, folder.labels(), BASES[kind],
        with_photons=with_photons, noise=folder.volume(noise) if folder.has(noise) else None,
        cache=cache, progress=progress,
    )  # fmt: skip


def input_and_label(folder: PatientFolder, kind: str, nuclide: str) -> tuple[QuantitativeVolume, QuantitativeVolume]:
    """Time-integrated activity that the network sees, and the dose it shall give."""
    missing = [name for name in NEEDED[kind] if not folder.has(name)]
    if missing:
        raise InputError(
            f"{folder.id} has no {', '.join(missing)}; a {kind} is trained on {', '.join(NEEDED[kind])}. Simulate the "
            "dataset with Monte Carlo doses."
        )
    if kind == unet_dose.KIND:
        return folder.volume("tia"), folder.volume("dose")
    label = folder.volume("scan_dose")
    return decaying_in_place(folder.volume(scan_of_dose(folder)), Radionuclide(nuclide)), label


def decaying_in_place(scan: QuantitativeVolume, nuclide: Radionuclide) -> QuantitativeVolume:
    """Time-integrated activity [Bq s/mL] of an activity [Bq/mL] that stays where it is from its time on."""
    integrated = scan.array_kji.astype(np.float64) / nuclide.decay_constant_per_s
    return scan.with_array(integrated, Quantity.TIME_INTEGRATED_ACTIVITY_CONCENTRATION)


def scan_of_dose(folder: PatientFolder, kind: str = "scan") -> str:
    """Name of the reconstruction whose truth `scan_dose` is of, or of the truth itself (`kind` "truth").

    Raises
    ------
    InputError
        The manifest does not say, or there is no such reconstruction.
    """
    from ..virtual_patients.dataset import scan_name

    hour = folder.entry.get("scan_dose_hour")
    if hour is None and len(folder.scan_hours) == 1:
        hour = folder.scan_hours[0]
    name = "" if hour is None else scan_name(kind, float(hour))
    if not folder.has(name):
        what = "reconstruction" if kind == "scan" else "activity"
        raise InputError(
            f"{folder.id} has no {what} {name or 'of which scan_dose would be known (scan_dose_hour)'}; a "
            f"{dblur_dose.KIND} learns from it. Simulate the dataset with reconstructions and doses."
        )
    return name

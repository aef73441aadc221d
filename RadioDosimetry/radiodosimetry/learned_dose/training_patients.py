"""Further patients that those of a training give: another distribution of activity, or a scan that has moved.

They share the source of the patient they come from, and are made after the split, for the training side alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from ..images.volume import QuantitativeVolume
from ..learning.samples import generator_for
from ..nuclides import Radionuclide
from ..progress import PartialProgress, Progress
from . import unet_dose
from .dataset_patients import BASES, decaying_in_place, input_and_label, scan_of_dose
from .patients import BaseCache, DosePatient, dose_patient
from .training_config import DblurTrainingConfig, UNetTrainingConfig

if TYPE_CHECKING:
    from ..virtual_patients.dataset import Dataset, PatientFolder

SHIFT = 16
"""What random numbers of a shift are drawn for, apart from the purposes of `learning.samples`."""


def further_patients(
    dataset: Dataset,
    folders: Sequence[PatientFolder],
    known: Sequence[DosePatient],
    config: UNetTrainingConfig | DblurTrainingConfig,
    *,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> list[DosePatient]:
    """What the sampling of a configuration asks for besides the patients themselves.

    Parameters
    ----------
    dataset, folders
        The dataset, and those of its patients that train.
    known
        The patients of the folders in the same order, whose CT, edges and regions are shared.
    config
        `PatchSampling.scan_pairs`, or `SliceSampling.shifted_share` and `shift_mm`.
    cache
        Folder where base doses are kept.
    progress
        Told the share of the work done.

    Returns
    -------
    list of DosePatient
        Named after the patient they come from, with `@scan` or `@shifted`.

    Raises
    ------
    InputError
        A patient lacks the files, or as `patients.dose_patient`.
    """
    if isinstance(config, UNetTrainingConfig):
        made = _at_the_scan(dataset, folders) if config.sampling.scan_pairs else iter(())
        kind, total = unet_dose.KIND, len(folders)
    else:
        sampling = config.sampling
        moved = folders[: round(sampling.shifted_share * len(folders))]
        made = _moved(dataset, moved, sampling.shift_mm, config.training.seed)
        kind, total = "dblurdosenet", len(moved)
    further = []
    for number, ((folder, suffix, tia, label), first) in enumerate(zip(made, known, strict=False)):
        other = dose_patient(
            f"{folder.id}@{suffix}", folder.source, dataset.nuclide, folder.volume("ct"), tia, label, None, BASES[kind],
            with_photons=config.network.needs_photons, cache=BaseCache(cache),
            progress=PartialProgress(progress, number / total, (number + 1) / total),
        )  # fmt: skip
        maps = replace(other.maps, hu_kji=first.maps.hu_kji, density_kji=first.maps.density_kji)
        further.append(replace(other, maps=maps, edges_kji=first.edges_kji, regions=first.regions))
    return further


Images = tuple["PatientFolder", str, QuantitativeVolume, QuantitativeVolume]
"""Folder, what the further patient is called after it, its activity and its label."""


def _at_the_scan(dataset: Dataset, folders: Sequence[PatientFolder]) -> Iterator[Images]:
    """The true activity at the scan that `scan_dose` is of, with that dose."""
    for folder in folders:
        truth = folder.volume(scan_of_dose(folder, "truth"))
        tia = decaying_in_place(truth, Radionuclide(dataset.nuclide))
        yield folder, "scan", tia, folder.volume("scan_dose")


def _moved(dataset: Dataset, folders: Sequence[PatientFolder], shift_mm: float, seed: int) -> Iterator[Images]:
    """The reconstruction moved against the CT, with the label where it was."""
    for number, folder in enumerate(folders):
        tia, label = input_and_label(folder, "dblurdosenet", dataset.nuclide)
        steps_mm = np.array(tia.geometry.spacing_mm[::-1])
        shift = generator_for(seed, SHIFT, number).normal(0.0, shift_mm, 3) / steps_mm
        array = ndimage.shift(tia.array_kji.astype(np.float64), shift, order=3, mode="nearest")
        moved = tia.with_array(np.maximum(array, 0.0), tia.quantity)
        yield folder, "shifted", moved, label

"""Toy patients for tests of learned dose: a dome of lung on soft tissue with a rod of bone, labelled by Monte Carlo."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from radiodosimetry.images.geometry import VolumeGeometry
from radiodosimetry.images.regions import LabelMap
from radiodosimetry.images.volume import QuantitativeVolume
from radiodosimetry.learned_dose.bases import BASE_METHODS
from radiodosimetry.learned_dose.patients import DosePatient, dose_patient
from radiodosimetry.media import segment_media
from radiodosimetry.nuclides import Radionuclide
from radiodosimetry.transport.voxels import TransportSettings
from radiodosimetry.units import Quantity
from radiodosimetry.voxel_dose.monte_carlo import monte_carlo_dose
from radiodosimetry.voxel_dose.sources import EmissionSource

NUCLIDE = "Y-90"
"""Its electrons cross several voxels, so that the base errs by far more than the noise of few histories."""

EDGE = 24
SPACING_MM = 4.0
HISTORIES = 300_000
NAMES = {1: "liver", 2: "lungs", 3: "vertebrae", 4: "lesion_1"}


def toy_images(seed: int) -> tuple[QuantitativeVolume, QuantitativeVolume, LabelMap]:
    """CT, time-integrated activity and labels of an anatomy that no other seed has."""
    rng = np.random.default_rng(seed)
    grid = VolumeGeometry((EDGE,) * 3, (SPACING_MM,) * 3)
    z, y, x = np.meshgrid(*(np.arange(EDGE) - (EDGE - 1) / 2,) * 3, indexing="ij")
    body = (x / (0.46 * EDGE)) ** 2 + (y / (0.44 * EDGE)) ** 2 < 1
    dome = rng.uniform(-3, 3) + 0.08 * (x - rng.uniform(-3, 3)) ** 2
    lung = (z > dome) & ((x / (0.4 * EDGE)) ** 2 + (y / (0.38 * EDGE)) ** 2 < 1)
    bone = (x - rng.uniform(-7, 7)) ** 2 + (y - rng.uniform(4, 7)) ** 2 < rng.uniform(2, 3.2) ** 2
    hu = np.where(body, 30 + 10 * rng.standard_normal(body.shape), -1000.0)
    hu[lung] = -750 + 20 * rng.standard_normal(int(lung.sum()))
    hu[bone] = 700.0
    labels = np.zeros(body.shape, dtype=np.int32)
    labels[body], labels[lung], labels[bone] = 1, 2, 3
    uptake = np.exp(3 * ndimage.gaussian_filter(rng.standard_normal(body.shape), 1.5))
    activity = np.choose(labels, [0.0, 1e9, 5e7, 1e8]) * np.where(labels == 1, uptake, 1.0)
    for _ in range(3):
        middle, radius = rng.uniform(-8, 8, 3), rng.uniform(1.5, 3.5)
        lesion = body & ((z - middle[0]) ** 2 + (y - middle[1]) ** 2 + (x - middle[2]) ** 2 < radius**2)
        activity[lesion], labels[lesion] = 6e9, 4
    return (
        QuantitativeVolume(hu.astype(np.float32), grid, Quantity.CT_NUMBER),
        QuantitativeVolume(activity, grid, Quantity.TIME_INTEGRATED_ACTIVITY_CONCENTRATION),
        LabelMap(labels, grid, NAMES),
    )


def toy_truth(seed: int, histories: int = HISTORIES) -> QuantitativeVolume:
    """Monte Carlo dose of the toy's activity [Gy]."""
    ct, tia, _ = toy_images(seed)
    source = EmissionSource.from_nuclide(Radionuclide(NUCLIDE))
    settings = TransportSettings(histories=histories, seed=seed)
    return monte_carlo_dose(tia, segment_media(ct, None, None), source, settings).dose


def toy_patient(seed: int, base: str = "multiple-vsv", blur_mm: float = 0.0) -> DosePatient:
    """A patient with its Monte Carlo label; the network sees the activity blurred by a Gaussian of this FWHM."""
    assert base in BASE_METHODS
    ct, tia, labels = toy_images(seed)
    truth = toy_truth(seed)
    if blur_mm:
        sigma = blur_mm / SPACING_MM / np.sqrt(8 * np.log(2))
        tia = tia.with_array(ndimage.gaussian_filter(tia.array_kji, sigma))
    return dose_patient(f"toy_{seed}", f"toy:{seed}", NUCLIDE, ct, tia, truth, labels, base)

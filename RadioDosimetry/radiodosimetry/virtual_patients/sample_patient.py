"""The sample patient of the demonstration and of Slicer's sample data: a man with metastases, scanned serially.

His anatomy comes from a fixed seed, his kinetics are drawn from published ones, and his scans are the true activity,
blurred and made noisy, not reconstructed from projections: they need nothing beyond the core and seconds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from ..errors import InputError
from ..images.regions import LabelMap
from ..images.volume import QuantitativeVolume
from ..units import SECONDS_PER_HOUR
from .anatomy import parametric_anatomy
from .kinetics import draw_kinetics
from .patient import Anatomy
from .uptake import ADMINISTRATION_TIME, activity_at, uptake_map

SEED = 22
"""A man with organs of usual size, four lesions in the liver and three in soft tissue, from 1.5 to 17 mL."""

FIELD_OF_VIEW_MM = (416.0, 288.0, 416.0)
"""Width, depth and length of the images: from the lower lumbar spine to the shoulders [mm]."""

MIDDLE_Z_MM = 60.0
"""Height of the middle of the images over the upper end of the first lumbar vertebra [mm]."""

ORGANS = ("liver", "spleen", "left_kidney", "right_kidney", "left_lung", "right_lung", "red_marrow")
"""Organs that a reader would draw."""

SMALLEST_LESION_MM = 12.0
"""Lesions of a smaller diameter are in the images, but not among the regions: scans of this resolution hide them [mm].
"""

_FWHM_PER_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))


@dataclass(frozen=True)
class SampleStudy:
    """A tracer given to the sample patient, and how the scanner shows it.

    Attributes
    ----------
    tracer
        Name of the tracer.
    nuclide
        Its nuclide.
    administered_bq
        Administered activity [Bq].
    resolution_fwhm_mm
        Of the images, as the full width at half maximum of a Gaussian [mm].
    noise_bq_per_ml
        Variance over mean of a voxel [Bq/mL].
    """

    tracer: str
    nuclide: str
    administered_bq: float
    resolution_fwhm_mm: float
    noise_bq_per_ml: float


LUTETIUM_SPECT = SampleStudy("lu177-dotatate", "Lu-177", 7.4e9, 11.0, 250.0)
"""SPECT of a therapy with Lu-177 DOTATATE: 5 % noise in 100 kBq/mL."""

COPPER_PET = SampleStudy("cu64-antibody", "Cu-64", 296e6, 6.0, 25.0)
"""PET of a Cu-64 antibody: 5 % noise in 10 kBq/mL."""


@lru_cache(maxsize=2)
def sample_anatomy(voxel_mm: float = 4.0) -> Anatomy:
    """CT and all regions of the sample patient on cubic voxels [mm].

    Raises
    ------
    InputError
        The voxel size is not above zero, or larger than the patient.
    """
    if not 0 < voxel_mm <= min(FIELD_OF_VIEW_MM):
        raise InputError(f"The voxels of the sample patient must have an edge above 0 mm, found {voxel_mm:g} mm.")
    i, j, k = (max(1, round(extent / voxel_mm)) for extent in FIELD_OF_VIEW_MM)
    return parametric_anatomy(SEED, spacing_mm=(voxel_mm,) * 3, shape_kji=(k, j, i), middle_z_mm=MIDDLE_Z_MM)


def sample_labels(anatomy: Anatomy, organs: Sequence[str] = ORGANS) -> LabelMap:
    """The organs asked for and the lesions of at least `SMALLEST_LESION_MM` as labels 1, 2, …; all else is 0."""
    smallest_ml = math.pi / 6.0 * (SMALLEST_LESION_MM / 10.0) ** 3
    lesions = [name for name in anatomy.lesions if anatomy.volumes_ml[name] >= smallest_ml]
    kept = [name for name in (*organs, *lesions) if name in anatomy.regions]
    own = {name: label for label, name in anatomy.labels.names.items()}
    label_of = np.zeros(max(anatomy.labels.names) + 1, dtype=np.int16)
    for label, name in enumerate(kept, start=1):
        label_of[own[name]] = label
    array_kji = label_of[anatomy.labels.array_kji]
    return LabelMap(array_kji, anatomy.labels.geometry, dict(enumerate(kept, start=1)), anatomy.labels.record)


def sample_activity(
    study: SampleStudy, hours: Sequence[float], anatomy: Anatomy, seed: int = SEED
) -> list[QuantitativeVolume]:
    """True activity of a virtual patient at some times.

    Parameters
    ----------
    study
        `LUTETIUM_SPECT` or `COPPER_PET`.
    hours
        Times after the administration [h].
    anatomy
        Of the patient.
    seed
        Of kinetics and pattern.

    Returns
    -------
    list of QuantitativeVolume
        Activity concentration present at each time [Bq/mL].
    """
    kinetics = draw_kinetics(study.tracer, anatomy, seed, study.administered_bq)
    pattern = uptake_map(anatomy, kinetics, seed)
    return [activity_at(anatomy, kinetics, pattern, SECONDS_PER_HOUR * at) for at in hours]


def as_scanned(
    study: SampleStudy, hours: Sequence[float], activity: Sequence[QuantitativeVolume], seed: int = SEED
) -> list[QuantitativeVolume]:
    """What a scanner shows of true activity: blurred, and noisy by `seed`; see `sample_activity`."""
    made = []
    for at, true in zip(hours, activity, strict=True):
        rng = np.random.default_rng([seed, round(SECONDS_PER_HOUR * at)])
        record = true.record.with_parameters(
            hours_after_injection=at,
            injection_time=ADMINISTRATION_TIME.isoformat(),
            blur_fwhm_mm=study.resolution_fwhm_mm,
            noise_variance_over_mean_bq_per_ml=study.noise_bq_per_ml,
            noise_seed=seed,
        )
        fwhm_voxels = study.resolution_fwhm_mm / np.array(true.geometry.spacing_mm[::-1])
        array_kji = _imaged(true.array_kji, fwhm_voxels, study.noise_bq_per_ml, rng)
        made.append(true.with_array(array_kji, record=record))
    return made


def _imaged(
    activity_kji: NDArray[np.floating],
    fwhm_voxels_kji: NDArray[np.float64],
    noise_bq_per_ml: float,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Activity as a camera shows it: blurred, with lumps of noise whose variance goes with the activity."""
    sigma = fwhm_voxels_kji / _FWHM_PER_SIGMA
    blurred = gaussian_filter(activity_kji.astype(np.float64), sigma)
    lumps = gaussian_filter(rng.standard_normal(activity_kji.shape), 0.7 * sigma)
    noise = np.sqrt(noise_bq_per_ml * blurred) * lumps / lumps.std()
    return np.asarray(np.maximum(blurred + noise, 0.0), dtype=np.float32)

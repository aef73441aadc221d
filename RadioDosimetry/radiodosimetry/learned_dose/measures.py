"""How far dose maps of one patient are from the Monte Carlo dose of the true activity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..evaluation.differences import normalized_root_mean_square_error, pearson_correlation
from ..evaluation.gamma import gamma_index
from ..voxel_dose.dose_volume import dose_to_hottest_percent_gy
from .patients import DosePatient

LOW_DOSE_GY = 5.0
"""Kim et al. 2022 correlate voxels below this dose apart."""

DOSE_VOLUME_PERCENT = (10, 30, 70, 90)
"""DR10 to DR90 of Li et al. 2022: the least dose to the hottest 10, 30, 70, 90 % of a region."""

GAMMA_PERCENT, GAMMA_MM_PER_VOXEL = 3.0, 1.0
"""Criteria of the gamma index: 3 % of the maximum and one voxel."""

REGION_GROUPS: Mapping[str, tuple[str, ...]] = {
    "kidneys": ("kidney",),
    "marrow": ("marrow", "vertebra", "lumbar", "spine"),
    "liver": ("liver",),
    "spleen": ("spleen",),
    "tumours": ("lesion", "tumour", "tumor", "metastas"),
}
"""Rows of Kim et al. 2022 to words in the names of regions; a lesion in the liver is a tumour."""


@dataclass(frozen=True)
class RegionMeasure:
    """One region of one patient by one method.

    Attributes
    ----------
    patient, region, group, method
        Which.
    reference_gy, dose_gy
        Mean dose by mass of the truth and of the method [Gy].
    error_percent
        Signed error of the mean.
    nrmse
        Of the voxels, as a fraction.
    dose_volume_error_percent
        Absolute errors of DR10, DR30, DR70, DR90; None where the truth is zero.
    """

    patient: str
    region: str
    group: str | None
    method: str
    reference_gy: float
    dose_gy: float
    error_percent: float
    nrmse: float
    dose_volume_error_percent: tuple[float | None, ...]


@dataclass(frozen=True)
class PatientMeasure:
    """One patient by one method.

    Attributes
    ----------
    patient, method
        Which.
    pearson_r, pearson_r_low
        Correlation over the voxels of the body, and over those below `LOW_DOSE_GY` in the truth.
    nrmse
        Over the body, as a fraction.
    edge_rmse_gy, body_rmse_gy
        Root mean square error within two voxels of lung and bone surfaces, and over the body [Gy].
    gamma_pass_percent
        Share of the voxels above a tenth of the maximum that pass 3 %, one voxel.
    """

    patient: str
    method: str
    pearson_r: float | None
    pearson_r_low: float | None
    nrmse: float
    edge_rmse_gy: float
    body_rmse_gy: float
    gamma_pass_percent: float

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return asdict(self)


def group_of(region: str) -> str | None:
    """The row of Kim et al. 2022 that a region belongs to, None if to none."""
    name = region.lower()
    for group in ("tumours", *REGION_GROUPS):
        if any(word in name for word in REGION_GROUPS[group]):
            return group
    return None


def measure_regions(patient: DosePatient, method: str, dose_gy: NDArray[np.floating]) -> list[RegionMeasure]:
    """Errors of a dose map [Gy] in every region of a patient that has dose."""
    truth, mass = patient.label_gy, patient.maps.density_kji
    measures = []
    for name, mask in patient.regions.items():
        inside = mask & patient.maps.matter_kji
        if not inside.any() or not truth[inside].any():
            continue
        expected, found = truth[inside].astype(np.float64), np.asarray(dose_gy[inside], dtype=np.float64)
        reference, mean = (float(np.average(values, weights=mass[inside])) for values in (expected, found))
        true_volume, volume = (dose_to_hottest_percent_gy(values, DOSE_VOLUME_PERCENT) for values in (expected, found))
        errors = tuple(
            None if one == 0 else float(100 * abs(other - one) / one)
            for one, other in zip(true_volume, volume, strict=True)
        )
        nrmse = normalized_root_mean_square_error(expected, found)
        assert nrmse is not None  # the truth is not zero here
        measures.append(
            RegionMeasure(
                patient.id, name, group_of(name), method, reference, mean, 100 * (mean - reference) / reference, nrmse,
                errors,
            )
        )  # fmt: skip
    return measures


def measure_patient(patient: DosePatient, method: str, dose_gy: NDArray[np.floating]) -> PatientMeasure:
    """Errors of a dose map [Gy] over the voxels of a patient."""
    truth = patient.label_gy.astype(np.float64)
    dose = np.asarray(dose_gy, dtype=np.float64)
    body = patient.maps.matter_kji
    low = body & (truth < LOW_DOSE_GY)
    error = dose - truth
    spacing = patient.maps.geometry.spacing_mm
    gamma = gamma_index(np.where(body, truth, 0.0), dose, spacing, GAMMA_PERCENT, GAMMA_MM_PER_VOXEL * max(spacing))
    return PatientMeasure(
        patient.id,
        method,
        pearson_correlation(truth[body], dose[body]),
        pearson_correlation(truth[low], dose[low]),
        float(normalized_root_mean_square_error(truth[body], dose[body]) or 0.0),
        _rms(error[patient.edges_kji]),
        _rms(error[body]),
        gamma.pass_percent,
    )


def ensemble_noise_percent(doses_gy: NDArray[np.floating], mask_kji: NDArray[np.bool_]) -> float:
    """Noise of a region over Poisson realisations of one scan (Li et al. 2022, section 2.5.3) [%].

    Parameters
    ----------
    doses_gy
        Dose maps of at least two realisations, (m, k, j, i).
    mask_kji
        The region.

    Returns
    -------
    float
        Root of the mean variance over realisations, in percent of the mean dose.
    """
    inside = np.asarray(doses_gy, dtype=np.float64)[:, mask_kji]
    return float(100 * np.sqrt(inside.var(axis=0, ddof=1).mean()) / inside.mean())


def _rms(values: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(values**2))) if values.size else 0.0

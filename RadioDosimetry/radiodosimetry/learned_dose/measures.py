"""How far dose maps of one patient are from the Monte Carlo dose of the true activity.

The truth has noise of its own, which no method can follow: near edges of low dose it may exceed what a method errs.
Where the label states its uncertainty σ, errors are given as they are and also free of it: E[(d − t)²] is the squared
error of d plus σ², so that √(RMSE² − mean σ²) is what the method itself errs. The squares are kept with their sign,
since the difference of two may fall below zero by chance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..evaluation.differences import normalized_root_mean_square_error, pearson_correlation
from ..evaluation.gamma import gamma_index
from ..voxel_dose.dose_volume import dose_to_hottest_percent_gy
from ..voxel_dose.edges import EDGE_VOXELS, edge_parts
from .patients import DosePatient

LOW_DOSE_GY = 5.0
"""Kim et al. 2022 correlate voxels below this dose apart."""

DOSE_VOLUME_PERCENT = (10, 30, 70, 90)
"""DR10 to DR90 of Li et al. 2022: the least dose to the hottest 10, 30, 70, 90 % of a region."""

GAMMA_PERCENT, GAMMA_MM_PER_VOXEL = 3.0, 1.0
"""Criteria of the gamma index: 3 % of the dose to the hottest `GAMMA_HOTTEST_ML`, and one voxel."""

GAMMA_HOTTEST_ML = 2.0
"""Volume whose least dose stands for the maximum, so that one noisy voxel does not."""

LEAST_LESION_ML = 2.0
"""Lesions smaller than this are reported apart and not among the tumours, as decided before any result was seen."""

LESION_CLASSES_ML = (0.0, LEAST_LESION_ML, 10.0, np.inf)
"""Limits of the classes by which lesions are reported."""

SMALL_TUMOURS = "tumours below 2 mL"
"""Group of the lesions that are reported apart."""

EDGES, NEAR_LESIONS, LUNG_EDGES, BONE_EDGES = "all", "near lesions", "lung", "bone"
EDGE_STRATA = (EDGES, NEAR_LESIONS, LUNG_EDGES, BONE_EDGES)
"""All voxels near surfaces of lung and bone, those within `LESION_REACH_VOXELS` of a lesion, and the others apart."""

LESION_REACH_VOXELS = EDGE_VOXELS + 1
"""How far from a lesion its dose rules an edge."""

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
    excess_square
        NRMSE² less the noise's share of it, with its sign; NRMSE² where the noise is not stated.
    volume_ml
        Of the region.
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
    excess_square: float
    volume_ml: float
    dose_volume_error_percent: tuple[float | None, ...]


@dataclass(frozen=True)
class EdgeMeasure:
    """Voxels near surfaces of one patient by one method.

    Attributes
    ----------
    patient, method
        Which.
    stratum
        One of `EDGE_STRATA`.
    voxels
        How many there are; strata without any are left out.
    dose_gy
        Root mean square of the truth without its noise [Gy], by which errors are normalised.
    rmse_gy, noise_gy
        Root mean square of the error and of the truth's own uncertainty [Gy]; None where that is not stated.
    """

    patient: str
    method: str
    stratum: str
    voxels: int
    dose_gy: float
    rmse_gy: float
    noise_gy: float | None

    @property
    def nrmse(self) -> float:
        """Error over dose, as a fraction."""
        return self.rmse_gy / self.dose_gy

    @property
    def excess_square(self) -> float:
        """Squared error less the squared noise, over the squared dose, with its sign."""
        return (self.rmse_gy**2 - (self.noise_gy or 0.0) ** 2) / self.dose_gy**2

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {**asdict(self), "nrmse": self.nrmse, "excess_square": self.excess_square}


@dataclass(frozen=True)
class PatientMeasure:
    """One patient by one method.

    Attributes
    ----------
    patient, method
        Which.
    pearson_r, pearson_r_low
        Correlation over the voxels of the body, and over those below `LOW_DOSE_GY` in the truth.
    highest_r, highest_r_low
        What an errorless dose would correlate with the noisy truth; 1 where its noise is not stated.
    nrmse
        Over the body, as a fraction.
    edge_rmse_gy, body_rmse_gy
        Root mean square error within two voxels of lung and bone surfaces, and over the body [Gy].
    edge_rmse_corrected_gy, body_rmse_corrected_gy
        The same without the truth's noise, zero where the noise is larger; None where it is not stated.
    gamma_pass_percent
        Share of the voxels above a tenth of the dose to the hottest 2 mL that pass 3 %, one voxel; None if not asked.
    """

    patient: str
    method: str
    pearson_r: float | None
    pearson_r_low: float | None
    highest_r: float
    highest_r_low: float
    nrmse: float
    edge_rmse_gy: float
    body_rmse_gy: float
    edge_rmse_corrected_gy: float | None
    body_rmse_corrected_gy: float | None
    gamma_pass_percent: float | None

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


def measure_regions(
    patient: DosePatient,
    method: str,
    dose_gy: NDArray[np.floating],
    dose_noise_gy: NDArray[np.floating] | None = None,
) -> list[RegionMeasure]:
    """Errors of a dose map [Gy] in every region of a patient that has dose.

    `dose_noise_gy` is the standard uncertainty of a dose that is itself by Monte Carlo: its square is noise as well.
    """
    truth, mass = patient.label_gy, patient.maps.density_kji
    noise = _together(patient.noise_gy, dose_noise_gy)
    voxel_ml = patient.maps.geometry.voxel_volume_ml
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
        share = 0.0 if noise is None else float(np.mean(noise[inside].astype(np.float64) ** 2) / np.mean(expected**2))
        volume_ml = float(mask.sum()) * voxel_ml
        group = group_of(name)
        if group == "tumours" and volume_ml < LEAST_LESION_ML:
            group = SMALL_TUMOURS
        measures.append(
            RegionMeasure(
                patient.id, name, group, method, reference, mean, 100 * (mean - reference) / reference, nrmse,
                nrmse**2 - share, volume_ml, errors,
            )
        )  # fmt: skip
    return measures


def edge_strata(patient: DosePatient) -> dict[str, NDArray[np.bool_]]:
    """Masks of `EDGE_STRATA`; the last three do not overlap, and together they are the first."""
    lesions = [mask for name, mask in patient.regions.items() if group_of(name) == "tumours" and mask.any()]
    near = np.zeros(patient.edges_kji.shape, dtype=bool)
    if lesions:
        near = ndimage.binary_dilation(np.logical_or.reduce(lesions), iterations=LESION_REACH_VOXELS)
    edges = patient.edges_kji & patient.body_kji
    lung = edge_parts(patient.maps.density_kji, patient.regions)["lung"]
    return {
        EDGES: edges,
        NEAR_LESIONS: edges & near,
        LUNG_EDGES: edges & ~near & lung,
        BONE_EDGES: edges & ~near & ~lung,
    }


def measure_edges(
    patient: DosePatient,
    method: str,
    dose_gy: NDArray[np.floating],
    strata: Mapping[str, NDArray[np.bool_]] | None = None,
    dose_noise_gy: NDArray[np.floating] | None = None,
) -> list[EdgeMeasure]:
    """Errors of a dose map [Gy] near surfaces; `strata` are those of `edge_strata` where they are known."""
    truth, noise = patient.label_gy, _together(patient.noise_gy, dose_noise_gy)
    found = []
    for name, mask in (strata or edge_strata(patient)).items():
        if not truth[mask].any():
            continue
        error = np.asarray(dose_gy[mask], dtype=np.float64) - truth[mask]
        sigma = None if noise is None else _rms(noise[mask])
        dose = without_noise(_rms(truth[mask]), sigma or 0.0)
        if dose == 0:
            continue
        found.append(
            EdgeMeasure(patient.id, method, name, int(mask.sum()), dose, _rms(error), sigma)
        )  # fmt: skip
    return found


def measure_patient(
    patient: DosePatient, method: str, dose_gy: NDArray[np.floating], *, with_gamma: bool = True
) -> PatientMeasure:
    """Errors of a dose map [Gy] over the voxels of a patient; the gamma index takes most of the time."""
    truth = patient.label_gy.astype(np.float64)
    dose = np.asarray(dose_gy, dtype=np.float64)
    body = patient.body_kji
    low = body & (truth < LOW_DOSE_GY)
    edges = patient.edges_kji & body
    error = dose - truth
    noise = patient.noise_gy
    edge_rmse, body_rmse = _rms(error[edges]), _rms(error[body])
    return PatientMeasure(
        patient.id,
        method,
        pearson_correlation(truth[body], dose[body]),
        pearson_correlation(truth[low], dose[low]),
        _highest_correlation(truth, noise, body),
        _highest_correlation(truth, noise, low),
        float(normalized_root_mean_square_error(truth[body], dose[body]) or 0.0),
        edge_rmse,
        body_rmse,
        None if noise is None else without_noise(edge_rmse, _rms(noise[edges])),
        None if noise is None else without_noise(body_rmse, _rms(noise[body])),
        _gamma_pass_percent(patient, truth, dose, body) if with_gamma else None,
    )


def without_noise(rmse: float, noise: float) -> float:
    """√(RMSE² − noise²), zero where the noise is larger."""
    return float(np.sqrt(max(rmse**2 - noise**2, 0.0)))


def _gamma_pass_percent(
    patient: DosePatient, truth: NDArray[np.float64], dose: NDArray[np.float64], body: NDArray[np.bool_]
) -> float:
    spacing = patient.maps.geometry.spacing_mm
    hottest = max(1, round(GAMMA_HOTTEST_ML / patient.maps.geometry.voxel_volume_ml))
    inside = truth[body]
    highest = float(np.partition(inside, -hottest)[-hottest]) if inside.size > hottest else float(inside.mean())
    reference = np.where(body, truth, 0.0)
    gamma = gamma_index(
        reference, dose, spacing, GAMMA_PERCENT, GAMMA_MM_PER_VOXEL * max(spacing), normalisation=highest
    )
    return gamma.pass_percent


def _highest_correlation(
    truth: NDArray[np.float64], noise: NDArray[np.float32] | None, mask: NDArray[np.bool_]
) -> float:
    """√(1 − mean σ² / variance): how well the noiseless truth correlates with the noisy one."""
    if noise is None or mask.sum() < 2:
        return 1.0
    variance = float(truth[mask].var())
    return float(np.sqrt(max(1.0 - _rms(noise[mask]) ** 2 / variance, 0.0))) if variance > 0 else 1.0


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


def _together(
    noise_gy: NDArray[np.float32] | None, other_gy: NDArray[np.floating] | None
) -> NDArray[np.floating] | None:
    """Standard uncertainty of a difference of independent doses."""
    if noise_gy is None or other_gy is None:
        return noise_gy if other_gy is None else other_gy
    return np.hypot(noise_gy, other_gy)


def _rms(values: NDArray[np.floating]) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64)))) if values.size else 0.0

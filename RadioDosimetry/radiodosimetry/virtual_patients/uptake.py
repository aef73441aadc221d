"""Where activity is within regions, images of it at any time, and its exact time integral."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from ..errors import InputError
from ..images.geometry import require_same_grid
from ..images.volume import QuantitativeVolume
from ..provenance import Record
from ..units import Quantity
from .ct_numbers import lumps
from .kinetics import PatientKinetics
from .patient import LESION_PREFIX, REMAINDER, Anatomy

ADMINISTRATION_TIME = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
"""When every virtual patient is given its activity; any fixed time would do."""

CORTEX_MM = 11.0
"""Thickness of the renal cortex with its columns, as far as a scanner sees it [mm]."""

_MEDULLA_UPTAKE = {"default": 0.45, "Lu-177": 0.40, "Cu-64": 0.45}
"""Concentration of the medulla over that of the cortex.

De Jong et al., J Nucl Med 45 (2004) 1168, found In-111 octreotide in human kidneys mainly in the cortex, falling
inwards; the number is an assumption.
"""

_COARSE_MM, _FINE_MM = 18.0, 7.0
_TEXTURE = {
    # region: spread of the logarithm of uptake, by coarse and fine lumps
    "liver": (0.10, 0.08),
    "spleen": (0.05, 0.08),
    "red_marrow": (0.15, 0.20),
    "cortical_bone": (0.10, 0.10),
    "thyroid": (0.30, 0.60),
    "small_intestine": (0.30, 0.30),
    "colon": (0.35, 0.35),
    "stomach": (0.20, 0.25),
    "heart_contents": (0.0, 0.02),
    "blood_vessels": (0.0, 0.02),
    "urinary_bladder_contents": (0.02, 0.02),
    "gallbladder_contents": (0.02, 0.02),
    "left_lung": (0.15, 0.12),
    "right_lung": (0.15, 0.12),
    "lungs": (0.15, 0.12),
    REMAINDER: (0.12, 0.15),
}
_DEFAULT_TEXTURE, _LESION_TEXTURE = (0.08, 0.12), (0.20, 0.25)
_MICROSPHERE_LIVER = (0.45, 0.45)
"""Microspheres cluster: an assumption, as all textures are."""

_FAT_HU, _FAT_UPTAKE = -40.0, 0.35
_GAS_HU, _GAS_UPTAKE = -350.0, 0.02
"""In the remainder fat takes up a third of what other tissue does, gas next to nothing: an assumption."""

_NECROSIS_PROBABILITY, _NECROSIS_ML = 0.4, 4.0
_NECROSIS_DEPTH, _NECROSIS_UPTAKE = (0.35, 0.7), (0.05, 0.4)
"""Lesions above a size may have a core that takes up little: how deep it begins and how much it takes up."""


def uptake_map(anatomy: Anatomy, kinetics: PatientKinetics, seed: int) -> QuantitativeVolume:
    """Relative uptake within each region: mean 1 over every region, 0 outside of the body.

    Kidneys have cortex and medulla, large lesions perhaps a necrotic core, fat takes up less than muscle, all is lumpy.

    Parameters
    ----------
    anatomy, kinetics
        Of the patient.
    seed
        Whole number not below zero.

    Returns
    -------
    QuantitativeVolume
        Dimensionless, float64, array (k, j, i).

    Raises
    ------
    InputError
        The kinetics lack a region of the anatomy.
    """
    _require_regions(anatomy, kinetics)
    grid = anatomy.ct.geometry
    rng = np.random.default_rng(np.random.SeedSequence([int(seed), 0x757074]))
    coarse, fine = lumps(grid, _COARSE_MM, rng), lumps(grid, _FINE_MM, rng)
    labels = anatomy.labels.array_kji
    log_uptake = np.zeros(grid.shape_kji, dtype=np.float32)
    spreads = np.zeros((2, int(labels.max()) + 1), dtype=np.float32)
    for label, name in anatomy.labels.names.items():
        if label < spreads.shape[1]:
            spreads[:, label] = _texture_of(name, kinetics)
    log_uptake = spreads[0][labels] * coarse + spreads[1][labels] * fine
    pattern = np.exp(log_uptake, dtype=np.float64)
    pattern[labels == 0] = 0.0
    _thin_fat_and_gas(pattern, anatomy)
    for label, name in anatomy.labels.names.items():
        if name in ("left_kidney", "right_kidney", "kidneys"):
            _hollow_kidney(pattern, anatomy, label, kinetics.nuclide)
        elif name.startswith(LESION_PREFIX):
            _hollow_lesion(pattern, anatomy, label, rng)
    record = Record("uptake within regions", inputs={"anatomy": anatomy.source}, seed=int(seed))
    return QuantitativeVolume(_mean_one(pattern, labels), grid, Quantity.DIMENSIONLESS, None, record)


def activity_at(
    anatomy: Anatomy, kinetics: PatientKinetics, pattern: QuantitativeVolume, time_s: float
) -> QuantitativeVolume:
    """Activity concentration present at a time after the administration.

    Parameters
    ----------
    anatomy, kinetics
        Of the patient.
    pattern
        From `uptake_map`.
    time_s
        After the administration [s], not below zero.

    Returns
    -------
    QuantitativeVolume
        [Bq/mL], float32, its time set (`ADMINISTRATION_TIME` and `time_s` later); the sum over a region is the region's
        activity to the rounding of float32.

    Raises
    ------
    InputError
        The time is not a finite number from 0, or a region has no kinetics.
    GeometryMismatchError
        Pattern and anatomy have different grids.
    """
    if not (np.isfinite(time_s) and time_s >= 0):
        raise InputError(f"A time after the administration must be a finite number of seconds from 0, found {time_s}.")
    amounts = {name: kinetics.activity_bq(name, time_s) for name in _require_regions(anatomy, kinetics)}
    record = _record("activity of a virtual patient", anatomy, kinetics, pattern).with_parameters(time_s=float(time_s))
    return QuantitativeVolume(
        _spread(anatomy, pattern, amounts),
        anatomy.ct.geometry,
        Quantity.ACTIVITY_CONCENTRATION,
        ADMINISTRATION_TIME + timedelta(seconds=float(time_s)),
        record,
    )


def true_tia(anatomy: Anatomy, kinetics: PatientKinetics, pattern: QuantitativeVolume) -> QuantitativeVolume:
    """Time-integrated activity concentration from the administration on [Bq s/mL]; see `activity_at`."""
    amounts = {name: kinetics.tia_bq_s(name) for name in _require_regions(anatomy, kinetics)}
    return QuantitativeVolume(
        _spread(anatomy, pattern, amounts),
        anatomy.ct.geometry,
        Quantity.TIME_INTEGRATED_ACTIVITY_CONCENTRATION,
        None,
        _record("time-integrated activity of a virtual patient", anatomy, kinetics, pattern),
    )


def _require_regions(anatomy: Anatomy, kinetics: PatientKinetics) -> tuple[str, ...]:
    missing = [name for name in anatomy.regions if name not in kinetics.regions]
    if missing:
        raise InputError(
            f"The kinetics lack the regions {', '.join(missing)} of the anatomy; draw them for this anatomy."
        )
    return anatomy.regions


def _texture_of(name: str, kinetics: PatientKinetics) -> tuple[float, float]:
    if name.startswith(LESION_PREFIX):
        return _LESION_TEXTURE
    if name == "liver" and kinetics.tracer == "y90-microspheres":
        return _MICROSPHERE_LIVER
    return _TEXTURE.get(name, _DEFAULT_TEXTURE)


def _thin_fat_and_gas(pattern: NDArray[np.float64], anatomy: Anatomy) -> None:
    ct = anatomy.ct.array_kji
    for label, name in anatomy.labels.names.items():
        if name != REMAINDER:
            continue
        inside = anatomy.labels.array_kji == label
        pattern[inside & (ct < _FAT_HU)] *= _FAT_UPTAKE
        pattern[inside & (ct < _GAS_HU)] *= _GAS_UPTAKE / _FAT_UPTAKE


def _hollow_kidney(pattern: NDArray[np.float64], anatomy: Anatomy, label: int, nuclide: str) -> None:
    """Uptake of the medulla below that of the cortex."""
    box, depth_mm = _depth_mm(anatomy, label)
    if box is None:
        return
    factor = _MEDULLA_UPTAKE.get(nuclide, _MEDULLA_UPTAKE["default"])
    part = pattern[box]
    part[depth_mm > CORTEX_MM] *= factor


def _hollow_lesion(pattern: NDArray[np.float64], anatomy: Anatomy, label: int, rng: np.random.Generator) -> None:
    """Perhaps a core that takes up little."""
    chance, begins, uptake = rng.random(), rng.uniform(*_NECROSIS_DEPTH), rng.uniform(*_NECROSIS_UPTAKE)
    box, depth_mm = _depth_mm(anatomy, label)
    if box is None or chance > _NECROSIS_PROBABILITY:
        return
    volume_ml = float(np.count_nonzero(depth_mm > 0)) * anatomy.ct.geometry.voxel_volume_ml
    if volume_ml >= _NECROSIS_ML:
        part = pattern[box]
        part[depth_mm > begins * float(depth_mm.max())] *= uptake


def _depth_mm(anatomy: Anatomy, label: int) -> tuple[tuple[slice, slice, slice] | None, NDArray[np.float64]]:
    """Distance of a region's voxels from its surface [mm], in a box around it."""
    inside = anatomy.labels.array_kji == label
    if not inside.any():
        return None, np.zeros(0)
    slices = []
    for axis in range(3):
        hit = np.flatnonzero(inside.any(axis=tuple(other for other in range(3) if other != axis)))
        slices.append(slice(max(int(hit[0]) - 1, 0), int(hit[-1]) + 2))
    box = (slices[0], slices[1], slices[2])
    # A voxel's middle lies half a voxel nearer to the surface than to the next voxel outside.
    padded = np.pad(inside[box], 1)
    spacing_kji = anatomy.ct.geometry.spacing_mm[::-1]
    depth = distance_transform_edt(padded, sampling=spacing_kji)[1:-1, 1:-1, 1:-1] - min(spacing_kji) / 2
    return box, np.maximum(depth, 0.0)


def _mean_one(pattern: NDArray[np.float64], labels: NDArray[np.int32]) -> NDArray[np.float64]:
    counts = np.bincount(labels.ravel())
    sums = np.bincount(labels.ravel(), weights=pattern.ravel())
    scale = np.divide(counts, sums, out=np.zeros(counts.size), where=sums > 0)
    scale[0] = 0.0
    return np.asarray(pattern * scale[labels])


def _spread(anatomy: Anatomy, pattern: QuantitativeVolume, amounts: dict[str, float]) -> NDArray[np.float32]:
    """Region totals spread by the pattern [per mL]."""
    require_same_grid(anatomy.ct.geometry, pattern.geometry, "The anatomy", "the uptake map")
    labels = anatomy.labels.array_kji
    weights = np.bincount(labels.ravel(), weights=pattern.array_kji.ravel().astype(np.float64))
    per_unit = np.zeros(weights.size)
    for label, name in anatomy.labels.names.items():
        if label < weights.size and weights[label] > 0:
            per_unit[label] = amounts[name] / (weights[label] * anatomy.ct.geometry.voxel_volume_ml)
    return (pattern.array_kji * per_unit[labels]).astype(np.float32)


def _record(operation: str, anatomy: Anatomy, kinetics: PatientKinetics, pattern: QuantitativeVolume) -> Record:
    return Record(
        operation,
        parameters={
            "tracer": kinetics.tracer,
            "nuclide": kinetics.nuclide,
            "administered_bq": kinetics.administered_bq,
        },
        inputs={"anatomy": anatomy.source, "uptake_seed": pattern.record.seed},
        datasets=kinetics.record.datasets,
        warnings=kinetics.record.warnings,
        seed=kinetics.record.seed,
    )

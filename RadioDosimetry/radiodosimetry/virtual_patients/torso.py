"""A synthetic patient after Lu-177 peptide therapy: a torso whose organs have volumes known in closed form.

The anatomy is a list of structures painted one over the other; a later one takes its place from what it covers.
Sizes are those of an adult to one digit or two, uptakes those seen a day after 7.4 GBq of Lu-177-DOTATATE, half-lives
of the same order as published ones.
It is made for teaching and testing, not to stand for a population.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from ..images.geometry import VolumeGeometry
from ..images.regions import LabelMap
from ..images.volume import QuantitativeVolume
from ..provenance import Record
from ..units import Quantity
from .shapes import Ellipsoid, EllipticCylinder, Shell, Solid

SCAN_TIME = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)
"""When the activity of the synthetic patient holds; any fixed time would do."""

SCAN_HOURS = 24.0
"""Hours from the administration to `SCAN_TIME`."""

ADMINISTERED_MBQ = 7400.0
"""What the patient was given."""

AIR_CT_NUMBER_HU = -1000.0
CT_RANGE_HU = (-1024, 3071)
"""What a 12-bit CT can hold."""

CT_BLUR_SIGMA_MM = 1.5
"""Edges of a soft-kernel CT, as the standard deviation of a Gaussian."""

CT_NOISE_HU = 10.0
"""Standard deviation of the voxel noise of an abdominal CT."""

TEXTURE_LENGTH_MM = 8.0
"""Size of the lumps in density and uptake, as the standard deviation of the Gaussian that correlates them."""

CT_TEXTURE_HU = 6.0
ACTIVITY_TEXTURE = 0.15
"""Standard deviation of the logarithm of uptake within a structure."""

_VERTEBRA_PITCH_MM, _VERTEBRA_HEIGHT_MM, _VERTEBRA_COUNT = 30.0, 24.0, 11
_CORTEX_MM = 4.0
_SPINE_Y_MM = 78.0
_RIB_PITCH_MM, _RIB_HEIGHT_MM, _RIB_COUNT = 24.0, 10.0, 8


@dataclass(frozen=True)
class Structure:
    """A tissue of the synthetic patient.

    Attributes
    ----------
    name
        Name of the structure and of its label.
    label
        Value in the label map; 0 for what is no region of its own.
    solids
        Where it is, before later structures take their place out of it.
    ct_number_hu
        Mean CT number [HU].
    activity_bq_per_ml
        Mean activity concentration at scan time [Bq/mL].
    effective_half_life_h
        With which it falls [h].
    """

    name: str
    label: int
    solids: tuple[Solid, ...]
    ct_number_hu: float
    activity_bq_per_ml: float
    effective_half_life_h: float


@dataclass(frozen=True)
class SyntheticPatient:
    """CT, activity and labels of a patient that never lived, on one grid.

    Attributes
    ----------
    ct
        CT numbers [HU], int16, array (k, j, i).
    activity
        Activity concentration at scan time, not decay-corrected to injection [Bq/mL], float32, array (k, j, i).
    labels
        Structures by name.
    """

    ct: QuantitativeVolume
    activity: QuantitativeVolume
    labels: LabelMap


def default_geometry() -> VolumeGeometry:
    """96 × 64 × 80 voxels of 4 mm around the origin: the whole torso."""
    return centred_geometry((80, 64, 96), (4.0, 4.0, 4.0))


def centred_geometry(shape_kji: tuple[int, int, int], spacing_mm: tuple[float, float, float]) -> VolumeGeometry:
    """A grid with axes along x, y, z whose middle is the origin, as the torso's."""
    origin_mm = [-(count - 1) / 2 * step for count, step in zip(shape_kji[::-1], spacing_mm, strict=True)]
    return VolumeGeometry(shape_kji, spacing_mm, (origin_mm[0], origin_mm[1], origin_mm[2]))


def torso_patient(geometry: VolumeGeometry | None = None, seed: int = 0) -> SyntheticPatient:
    """The synthetic patient on a grid.

    Parameters
    ----------
    geometry
        Grid in the patient's space (LPS, origin in the middle of the torso); `default_geometry()` if None. What lies
        outside of it is cut off.
    seed
        Of noise and texture; the anatomy is always the same.

    Returns
    -------
    SyntheticPatient
        Same grid and seed, same patient, to the last bit.
    """
    grid = geometry or default_geometry()
    structures = torso_structures()
    index_kji = _paint(grid, structures)
    rng = np.random.default_rng(seed)
    record = Record("synthetic torso", inputs={"generator": f"synthetic torso, seed {seed}"}, seed=seed)
    ct = QuantitativeVolume(_ct_hu(index_kji, structures, grid, rng), grid, Quantity.CT_NUMBER, SCAN_TIME, record)
    activity = QuantitativeVolume(
        _activity_bq_per_ml(index_kji, structures, grid, rng),
        grid,
        Quantity.ACTIVITY_CONCENTRATION,
        SCAN_TIME,
        record,
    )
    label_of_index = np.array([0, *(each.label for each in structures)], dtype=np.int16)
    present = set(np.unique(label_of_index[index_kji]).tolist())
    names = {each.label: each.name for each in structures if each.label in present and each.label}
    return SyntheticPatient(ct, activity, LabelMap(label_of_index[index_kji], grid, names, record))


def torso_scans(
    hours: Sequence[float], geometry: VolumeGeometry | None = None, seed: int = 0
) -> tuple[QuantitativeVolume, ...]:
    """Activity of the synthetic patient at several times: every structure falls with its effective half-life.

    Parameters
    ----------
    hours
        Hours after the administration; at `SCAN_HOURS` the scan is `torso_patient`'s activity.
    geometry, seed
        As for `torso_patient`.

    Returns
    -------
    tuple of QuantitativeVolume
        Activity concentration present at each time, not decay-corrected [Bq/mL].
    """
    activity = torso_patient(geometry, seed).activity
    structures = torso_structures()
    half_life_h = np.array([np.inf, *(each.effective_half_life_h for each in structures)])
    half_life_kji = half_life_h[_paint(activity.geometry, structures)]
    return tuple(
        replace(
            activity.with_array((activity.array_kji * 2.0 ** ((SCAN_HOURS - hour) / half_life_kji)).astype(np.float32)),
            time=SCAN_TIME + timedelta(hours=hour - SCAN_HOURS),
        )
        for hour in hours
    )


def torso_structures() -> tuple[Structure, ...]:
    """The structures of the torso in the order in which they are painted."""
    vertebrae = [
        (0.0, _SPINE_Y_MM, (number - (_VERTEBRA_COUNT - 1) / 2) * _VERTEBRA_PITCH_MM)
        for number in range(_VERTEBRA_COUNT)
    ]
    bodies = [EllipticCylinder(centre, (24.0, 19.0), _VERTEBRA_HEIGHT_MM) for centre in vertebrae]
    marrow = [
        EllipticCylinder(centre, (24.0 - _CORTEX_MM, 19.0 - _CORTEX_MM), _VERTEBRA_HEIGHT_MM - 2 * _CORTEX_MM)
        for centre in vertebrae
    ]
    cortex = [Shell(outer, inner) for outer, inner in zip(bodies, marrow, strict=True)]
    ribs = [_rib(-30.0 + number * _RIB_PITCH_MM) for number in range(_RIB_COUNT)]
    endless_mm = 10_000.0
    return (
        Structure("fat", 0, (EllipticCylinder((0, 0, 0), (180.0, 120.0), endless_mm),), -95.0, 3e3, 40.0),
        Structure("muscle", 0, (EllipticCylinder((0, 0, 0), (170.0, 112.0), endless_mm),), 45.0, 12e3, 40.0),
        Structure("left_lung", 1, (Ellipsoid((78, -5, 90), (58.0, 72.0, 65.0)),), -740.0, 5e3, 40.0),
        Structure("right_lung", 2, (Ellipsoid((-78, -5, 90), (58.0, 72.0, 65.0)),), -740.0, 5e3, 40.0),
        Structure("liver", 3, (Ellipsoid((-66, -15, -38), (74.0, 62.0, 62.0)),), 58.0, 120e3, 85.0),
        Structure("left_kidney", 4, (Ellipsoid((62, 62, -98), (28.0, 22.0, 54.0)),), 32.0, 600e3, 50.0),
        Structure("right_kidney", 5, (Ellipsoid((-62, 64, -102), (28.0, 22.0, 54.0)),), 32.0, 560e3, 50.0),
        Structure("spleen", 6, (Ellipsoid((106, 30, -20), (30.0, 38.0, 44.0)),), 50.0, 420e3, 65.0),
        Structure("cortical_bone", 7, (*ribs, *cortex), 850.0, 5e3, 40.0),
        Structure("marrow", 8, tuple(marrow), 180.0, 22e3, 45.0),
        Structure("tumour1", 9, (Ellipsoid((-92, -22, -30), (17.0, 17.0, 17.0)),), 66.0, 2200e3, 100.0),
        Structure("tumour2", 10, (Ellipsoid((-40, -30, -62), (11.0, 11.0, 11.0)),), 66.0, 1400e3, 80.0),
        Structure("tumour3", 11, (Ellipsoid((0, _SPINE_Y_MM, -60), (10.0, 10.0, 7.5)),), 420.0, 1600e3, 90.0),
    )


def _rib(z_mm: float) -> Shell:
    """A rib, drawn as a ring around the chest."""
    return Shell(
        EllipticCylinder((0, 0, z_mm), (166.0, 108.0), _RIB_HEIGHT_MM),
        EllipticCylinder((0, 0, z_mm), (158.0, 100.0), _RIB_HEIGHT_MM),
    )


def _paint(grid: VolumeGeometry, structures: tuple[Structure, ...]) -> NDArray[np.uint8]:
    """Which structure the centre of each voxel lies in, counted from 1 (0: outside the patient), array (k, j, i)."""
    count_k, count_j, count_i = grid.shape_kji
    index_kji = np.zeros(grid.shape_kji, dtype=np.uint8)
    j, i = np.meshgrid(np.arange(count_j), np.arange(count_i), indexing="ij")
    matrix = grid.ijk_to_lps
    for k in range(count_k):
        ijk = np.stack([i, j, np.full_like(i, k)], axis=-1)
        position_mm = ijk @ matrix[:3, :3].T + matrix[:3, 3]
        for number, structure in enumerate(structures, start=1):
            for solid in structure.solids:
                index_kji[k][solid.contains(position_mm)] = number
    return index_kji


def _ct_hu(
    index_kji: NDArray[np.uint8], structures: tuple[Structure, ...], grid: VolumeGeometry, rng: np.random.Generator
) -> NDArray[np.int16]:
    """CT numbers with lumps inside the body, blurred edges and noise [HU], array (k, j, i)."""
    mean_hu = np.array([AIR_CT_NUMBER_HU, *(each.ct_number_hu for each in structures)])
    tissue_hu = mean_hu[index_kji] + CT_TEXTURE_HU * _texture(grid, rng) * (index_kji > 0)
    blurred_hu = gaussian_filter(tissue_hu, _sigma_voxels(CT_BLUR_SIGMA_MM, grid), mode="nearest")
    noisy_hu = blurred_hu + CT_NOISE_HU * rng.standard_normal(grid.shape_kji)
    return np.clip(np.rint(noisy_hu), *CT_RANGE_HU).astype(np.int16)


def _activity_bq_per_ml(
    index_kji: NDArray[np.uint8], structures: tuple[Structure, ...], grid: VolumeGeometry, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Lumpy uptake whose mean over each structure is the structure's [Bq/mL], array (k, j, i)."""
    uptake = np.exp(ACTIVITY_TEXTURE * _texture(grid, rng))
    voxels = np.bincount(index_kji.ravel(), minlength=len(structures) + 1)
    sums = np.bincount(index_kji.ravel(), weights=uptake.ravel(), minlength=len(structures) + 1)
    mean_bq_per_ml = np.array([0.0, *(each.activity_bq_per_ml for each in structures)])
    scale = np.divide(mean_bq_per_ml * voxels, sums, out=np.zeros_like(sums), where=sums > 0)
    return (scale[index_kji] * uptake).astype(np.float32)


def _texture(grid: VolumeGeometry, rng: np.random.Generator) -> NDArray[np.float64]:
    """Correlated Gaussian noise of mean 0 and standard deviation 1, array (k, j, i)."""
    noise = gaussian_filter(rng.standard_normal(grid.shape_kji), _sigma_voxels(TEXTURE_LENGTH_MM, grid), mode="wrap")
    spread = float(noise.std())
    return np.asarray((noise - noise.mean()) / spread if spread > 0 else np.zeros_like(noise))


def _sigma_voxels(sigma_mm: float, grid: VolumeGeometry) -> tuple[float, ...]:
    """A length in voxels along k, j and i."""
    return tuple(sigma_mm / step for step in grid.spacing_mm[::-1])

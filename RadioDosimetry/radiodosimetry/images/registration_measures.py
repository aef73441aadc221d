"""How well two scans lie on one another: information, correlation, bodies, displacement, Jacobian."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ..errors import UnitError
from ..units import Quantity
from .body import body_mask
from .geometry import VolumeGeometry
from .readers import image_of, quiet_stderr
from .resampling import AIR_HU
from .volume import QuantitativeVolume

HISTOGRAM_BINS = 50
"""Bins of the joint histogram, as recommended for Mattes' measure in ITK."""

SAMPLES_WANTED = 60_000
"""Random points per level: the measure's noise is then below the optimiser's last step on body CTs."""

GOOD_DICE = 0.9
"""Overlap of the two bodies below which the record warns."""

_HU_RANGE = (-1000.0, 1000.0)


class ScanPair:
    """The two scans as ITK images with CT numbers clipped to tissue, and the fixed body."""

    def __init__(self, fixed: QuantitativeVolume, moving: QuantitativeVolume) -> None:
        for name, volume in (("fixed", fixed), ("moving", moving)):
            if volume.quantity is not Quantity.CT_NUMBER:
                raise UnitError(f"Registration is CT to CT; the {name} image is {volume.quantity.value}.")
        self.fixed, self.moving = fixed, moving
        self.fixed_image, self.moving_image = _clipped(fixed), _clipped(moving)
        self.fixed_body, self.moving_body = body_mask(fixed), body_mask(moving)
        self.fixed_mask = image_of(self.fixed_body, fixed.geometry)
        self.moving_mask = image_of(self.moving_body, moving.geometry)


def _clipped(volume: QuantitativeVolume) -> sitk.Image:
    return image_of(np.clip(volume.array_kji, *_HU_RANGE).astype(np.float32), volume.geometry)


def measures_of(pair: ScanPair, transform: sitk.Transform, seed: int) -> dict[str, float]:
    """Measures of a transform by name, each also as the scans were positioned; see `Registration.quality`."""
    quality: dict[str, float] = {}
    for when, one in (("before", sitk.Euler3DTransform()), ("after", transform)):
        quality[f"mutual_information_{when}"] = mutual_information(pair, one, seed)
        quality[f"correlation_{when}"] = _correlation(pair, one)
        quality[f"body_dice_{when}"] = _dice(pair, one)
    shift = sitk.GetArrayFromImage(_displacement_image(transform, pair.fixed.geometry))[pair.fixed_body]
    length_mm = np.linalg.norm(shift, axis=-1)
    quality["largest_displacement_mm"] = float(length_mm.max())
    quality["mean_displacement_mm"] = float(length_mm.mean())
    jacobian = jacobian_determinant(transform, pair.fixed.geometry)[pair.fixed_body]
    quality["jacobian_min"], quality["jacobian_max"] = float(jacobian.min()), float(jacobian.max())
    return quality


def jacobian_determinant(transform: sitk.Transform, geometry: VolumeGeometry) -> NDArray[np.float64]:
    """Volume at the transformed place per volume here, at each voxel of a grid, shape (k, j, i)."""
    if transform.IsLinear():
        origin = np.array(transform.TransformPoint((0.0, 0.0, 0.0)))
        columns = [np.array(transform.TransformPoint(tuple(unit))) - origin for unit in np.eye(3)]
        return np.full(geometry.shape_kji, round(float(np.linalg.det(np.array(columns))), 12))
    with quiet_stderr():
        field = _displacement_image(transform, geometry)
        determinant = sitk.DisplacementFieldJacobianDeterminant(field)
    return np.asarray(sitk.GetArrayFromImage(determinant), dtype=np.float64)


def mutual_information(pair: ScanPair, transform: sitk.Transform, seed: int) -> float:
    """Mattes mutual information over the fixed grid [nat], 0 where the scans do not meet."""
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(HISTOGRAM_BINS)
    method.SetMetricSamplingStrategy(method.RANDOM)
    share = float(np.clip(SAMPLES_WANTED / pair.fixed.geometry.voxel_count, 1e-3, 1.0))
    method.SetMetricSamplingPercentage(share, seed)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetInitialTransform(transform)
    try:
        with quiet_stderr():
            return -float(method.MetricEvaluate(pair.fixed_image, pair.moving_image))
    except RuntimeError:
        return 0.0


def doubts_about(quality: Mapping[str, float]) -> list[str]:
    """What the measures give reason to check, as sentences for the record."""
    doubts = []
    if quality["mutual_information_after"] < quality["mutual_information_before"] - 1e-3:
        doubts.append("The registration lowered the mutual information of the scans; check it by eye.")
    if quality["body_dice_after"] < GOOD_DICE:
        doubts.append(
            f"The registered bodies overlap with a Dice index of {quality['body_dice_after']:.2f} only "
            "(different fields of view, or a failed registration); check it by eye."
        )
    if quality["jacobian_min"] <= 0:
        doubts.append("The deformation folds (Jacobian not positive); use a coarser B-spline grid.")
    return doubts


def _warped(
    pair: ScanPair, image: sitk.Image, transform: sitk.Transform, interpolator: int, outside: float
) -> NDArray[Any]:
    return np.asarray(sitk.GetArrayFromImage(sitk.Resample(image, pair.fixed_image, transform, interpolator, outside)))


def _correlation(pair: ScanPair, transform: sitk.Transform) -> float:
    """Pearson's r of the CT numbers in the fixed body, 0 where one of them is constant."""
    first = sitk.GetArrayViewFromImage(pair.fixed_image)[pair.fixed_body].astype(np.float64)
    second = _warped(pair, pair.moving_image, transform, sitk.sitkLinear, AIR_HU)[pair.fixed_body].astype(np.float64)
    first, second = first - first.mean(), second - second.mean()
    norm = float(np.sqrt((first @ first) * (second @ second)))
    return float(first @ second) / norm if norm > 0 else 0.0


def _dice(pair: ScanPair, transform: sitk.Transform) -> float:
    """Overlap of the two bodies on the fixed grid, 2|A∩B| / (|A| + |B|)."""
    moved = _warped(pair, pair.moving_mask, transform, sitk.sitkNearestNeighbor, 0).astype(bool)
    return 2.0 * float((moved & pair.fixed_body).sum()) / float(moved.sum() + pair.fixed_body.sum())


def _displacement_image(transform: sitk.Transform, geometry: VolumeGeometry) -> sitk.Image:
    """Displacement [mm] (LPS) at each voxel of a grid, as a vector image."""
    return sitk.TransformToDisplacementField(
        transform,
        sitk.sitkVectorFloat64,
        geometry.shape_kji[::-1],
        geometry.origin_mm,
        geometry.spacing_mm,
        geometry.direction.ravel().tolist(),
    )

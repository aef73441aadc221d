"""Serial scans onto one another: rigid, then optionally B-spline, CT to CT; the emission image follows its CT.

Mattes mutual information [1]_ over fixed random samples inside the patient, coarse to fine, from the best of three
starts (as positioned, centres of the grids, centres of the bodies). A transform takes points of the fixed scan to
points of the moving scan (LPS, mm), as ITK resamples.

References
----------
.. [1] Mattes et al., IEEE Trans Med Imaging 22 (2003) 120-128, doi:10.1109/TMI.2003.809072.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ..errors import FileFormatError, InputError, OutputError, RadioDosimetryError, UnitError
from ..progress import PartialProgress, Progress, report_progress
from ..provenance import Record, to_json
from ..units import Quantity
from .atomic import OutputTransaction, full_suffix
from .file_checks import check_file
from .geometry import VolumeGeometry, require_same_frame
from .readers import image_of, quiet_stderr
from .regions import LabelMap
from .resampling import AIR_HU, DENSITY_LIKE, averaged_over_voxels, body_mask, conserved_averages, total_activity
from .sidecar import sidecar_path
from .volume import QuantitativeVolume

HISTOGRAM_BINS = 50
"""Bins of the joint histogram, as recommended for Mattes' measure in ITK."""

SAMPLES_WANTED = 60_000
"""Random points per level: the measure's noise is then below the optimiser's last step on body CTs."""

DEFORMABLE_SAMPLES_WANTED = 15_000
"""Random points per level of a B-spline: several per node and bin, and each costs a node's 64 neighbours."""

COARSEST_VOXELS = 24
"""Smallest number of voxels per axis on the coarsest level."""

GRID_SPACING_MM = 60.0
"""Default distance of B-spline nodes: breathing and posture, not noise."""

GOOD_DICE = 0.9
"""Overlap of the two bodies below which the record warns."""

LOST_ACTIVITY_WARNING = 0.02
"""Change of the total activity by a transform above which the record warns."""

TRANSFORM_SUFFIXES = (".tfm", ".h5")
"""Formats of saved transforms: ITK text and ITK HDF5; 3D Slicer reads both."""

_HU_RANGE = (-1000.0, 1000.0)


@dataclass(frozen=True, eq=False)
class Registration:
    """How points of a fixed scan are found in a moving scan.

    Attributes
    ----------
    transform
        Takes points of the fixed scan to points of the moving scan (LPS, mm).
    kind
        "rigid" or "b-spline".
    geometry
        Grid of the fixed scan, with its frame of reference.
    moving_frame_uid
        Frame of reference of the moving scan, None if unknown.
    quality
        Measures by name: `mutual_information_before`, `…_after` [nat], `correlation_before`, `…_after`,
        `body_dice_before`, `…_after`, `largest_displacement_mm`, `mean_displacement_mm` (in the fixed body),
        `jacobian_min`, `jacobian_max`.
    record
        How the registration came to be.
    """

    transform: sitk.Transform
    kind: str
    geometry: VolumeGeometry
    moving_frame_uid: str | None
    quality: Mapping[str, float]
    record: Record

    def apply_to_ct(self, moving: QuantitativeVolume, outside: float = AIR_HU) -> QuantitativeVolume:
        """The moving CT on the fixed grid by linear interpolation; `outside` [HU] where it does not reach."""
        self._require_moving_frame(moving.geometry, "The CT")
        array = self._resampled(moving.array_kji.astype(np.float32), moving.geometry, sitk.sitkLinear, outside)
        return QuantitativeVolume(array, self.geometry, moving.quantity, moving.time, self._record_of(moving.record))

    def apply_to_activity(self, moving: QuantitativeVolume) -> QuantitativeVolume:
        """The moving activity image on the fixed grid, its activity conserved.

        A rigid transform conserves what the fixed grid covers, as `resample_activity` does. Through a deformation the
        concentration is carried along and multiplied with the Jacobian determinant: tissue that the transform
        squeezes keeps its activity. The record holds the ratio of the totals.

        Raises
        ------
        UnitError
            The quantity is not a concentration of activity.
        GeometryMismatchError
            The image lies in another frame of reference than the moving scan.
        """
        if moving.quantity not in DENSITY_LIKE:
            raise UnitError(f"Expected an activity concentration, found {moving.quantity.value}.")
        self._require_moving_frame(moving.geometry, "The activity image")
        if self.kind == "rigid":
            array = conserved_averages(moving, self.geometry, self.transform)
        else:
            image = image_of(moving.array_kji.astype(np.float32), moving.geometry)
            array = averaged_over_voxels(image, self.geometry, min(moving.geometry.spacing_mm), self.transform)
            array *= self.jacobian_kji()
        before = total_activity(moving)
        ratio = float(array.sum()) * self.geometry.voxel_volume_ml / before if before > 0 else 1.0
        record = self._record_of(moving.record).with_parameters(activity_kept_share=ratio)
        if abs(ratio - 1) > LOST_ACTIVITY_WARNING:
            record = record.with_warnings(
                f"The registered image holds {100 * ratio:.1f} % of the activity of the original: parts lie "
                "outside the fixed scan, or the deformation is not smooth."
            )
        return QuantitativeVolume(array, self.geometry, moving.quantity, moving.time, record)

    def apply_to_labels(self, moving: LabelMap) -> LabelMap:
        """The moving labels on the fixed grid, nearest neighbour."""
        self._require_moving_frame(moving.geometry, "The label map")
        array = self._resampled(moving.array_kji, moving.geometry, sitk.sitkNearestNeighbor, 0)
        return LabelMap(array, self.geometry, moving.names, self._record_of(moving.record))

    def jacobian_kji(self) -> NDArray[np.float64]:
        """Jacobian determinant of the transform at the fixed voxels: moving volume per fixed volume."""
        if self.kind == "rigid":
            return np.ones(self.geometry.shape_kji)
        with quiet_stderr():
            field_image = _displacement_image(self.transform, self.geometry)
            return np.asarray(
                sitk.GetArrayFromImage(sitk.DisplacementFieldJacobianDeterminant(field_image)), dtype=np.float64
            )

    def save(self, path: Path) -> None:
        """Write the transform (`.tfm` or `.h5`) and `<file name>.json` with grid, quality and record.

        Raises
        ------
        InputError
            The suffix is neither.
        OutputError
            The files could not be written; nothing is left behind.
        """
        path = Path(path)
        if full_suffix(path) not in TRANSFORM_SUFFIXES:
            raise InputError(f"Cannot tell the transform format of {path}; expected a name in .tfm or .h5.")
        with OutputTransaction() as transaction:
            try:
                with quiet_stderr():
                    sitk.WriteTransform(self.transform, str(transaction.path_for(path)))
            except RuntimeError as error:
                raise OutputError(f"Could not write {path}: the disk may be full; nothing was left behind.") from error
            transaction.write_text(sidecar_path(path), to_json(self._as_dict()))

    def _as_dict(self) -> dict[str, Any]:
        grid = self.geometry
        return {
            "kind": self.kind,
            "direction": "points of the fixed scan to points of the moving scan, LPS, mm",
            "fixed_grid": {
                "shape_kji": grid.shape_kji,
                "spacing_mm": grid.spacing_mm,
                "origin_mm": grid.origin_mm,
                "direction": grid.direction,
                "frame_of_reference_uid": grid.frame_of_reference_uid,
            },
            "moving_frame_uid": self.moving_frame_uid,
            "quality": dict(self.quality),
            **self.record.as_dict(),
        }

    def _require_moving_frame(self, geometry: VolumeGeometry, name: str) -> None:
        scan = replace(geometry, frame_of_reference_uid=self.moving_frame_uid)
        require_same_frame(geometry, scan, name, "the moving scan of the registration")

    def _resampled(
        self, array_kji: NDArray[Any], geometry: VolumeGeometry, interpolator: int, outside: float
    ) -> NDArray[Any]:
        image = image_of(array_kji, geometry)
        reference = image_of(np.zeros(self.geometry.shape_kji, np.uint8), self.geometry)
        return np.asarray(
            sitk.GetArrayFromImage(sitk.Resample(image, reference, self.transform, interpolator, outside))
        )

    def _record_of(self, record: Record) -> Record:
        return record.with_parameters(registration={"kind": self.kind, "quality": dict(self.quality)}).with_warnings(
            *self.record.warnings
        )


def register_rigid(
    fixed: QuantitativeVolume,
    moving: QuantitativeVolume,
    *,
    seed: int = 1,
    threads: int | None = None,
    iterations: int = 200,
    progress: Progress | None = None,
) -> Registration:
    """Rotation and shift that bring a moving CT onto a fixed CT.

    Parameters
    ----------
    fixed, moving
        CTs [HU]; their frames of reference may differ.
    seed
        Of the random sample points.
    threads
        1 makes the result independent of the machine's number of cores; None uses all.
    iterations
        At most, on each level.
    progress
        Told about each level and asked whether to stop.

    Returns
    -------
    Registration
        Its record warns when the measures did not improve or the bodies do not overlap well.

    Raises
    ------
    UnitError
        An image is not a CT.
    InputError
        The optimiser finds no overlap.
    CancelledError
        The user asked to stop.
    """
    with _thread_count(threads):
        pair = _Pair(fixed, moving)
        report_progress(progress, 0.0, "Registering: finding a start")
        method = _method(pair, seed)
        method.SetOptimizerAsRegularStepGradientDescent(
            learningRate=2.0, minStep=1e-3, numberOfIterations=iterations, gradientMagnitudeTolerance=1e-8
        )
        method.SetOptimizerScalesFromPhysicalShift()
        start = _best_start(pair, seed)
        method.SetInitialTransform(start, inPlace=True)
        _execute(method, pair, PartialProgress(progress, 0.05, 0.9))
        record = Record(
            "rigid registration CT to CT",
            parameters={
                "measure": "Mattes mutual information",
                "iterations": iterations,
                "threads": threads,
                "rotation_rad": [start.GetAngleX(), start.GetAngleY(), start.GetAngleZ()],
                "rotation_centre_mm": list(start.GetCenter()),
                "translation_mm": list(start.GetTranslation()),
            },
            inputs={"fixed": fixed.record.inputs, "moving": moving.record.inputs},
            seed=seed,
        )
        return _finished(pair, sitk.Euler3DTransform(start), "rigid", record, progress)


def register_bspline(
    fixed: QuantitativeVolume,
    moving: QuantitativeVolume,
    rigid: Registration | None = None,
    *,
    grid_spacing_mm: float = GRID_SPACING_MM,
    seed: int = 1,
    threads: int | None = None,
    iterations: int = 50,
    progress: Progress | None = None,
) -> Registration:
    """Smooth deformation that brings a moving CT onto a fixed CT, after a rigid registration.

    Parameters
    ----------
    fixed, moving
        CTs [HU].
    rigid
        Where to start; None registers rigidly first.
    grid_spacing_mm
        Distance of the nodes of the cubic B-spline on the fixed scan [mm].
    seed, threads, progress
        As in `register_rigid`.
    iterations
        At most, on each level.

    Returns
    -------
    Registration
        Rigid transform and B-spline in one. Its record warns where the deformation folds (Jacobian ≤ 0).

    Raises
    ------
    UnitError, InputError, CancelledError
        As in `register_rigid`.
    """
    if not grid_spacing_mm > 0:
        raise InputError(f"The distance of B-spline nodes must be positive, found {grid_spacing_mm} mm.")
    with _thread_count(threads):
        if rigid is None:
            rigid = register_rigid(
                fixed, moving, seed=seed, threads=threads, progress=PartialProgress(progress, 0.0, 0.4)
            )
        pair = _Pair(fixed, moving)
        size_mm = np.array(fixed.geometry.shape_kji[::-1]) * fixed.geometry.spacing_mm
        mesh = [max(2, int(np.round(length / grid_spacing_mm))) for length in size_mm]
        spline = sitk.BSplineTransformInitializer(pair.fixed_image, mesh)
        method = _method(pair, seed, DEFORMABLE_SAMPLES_WANTED)
        method.SetMovingInitialTransform(rigid.transform)
        method.SetInitialTransform(spline, inPlace=True)
        method.SetOptimizerAsLBFGSB(
            gradientConvergenceTolerance=1e-5,
            numberOfIterations=iterations,
            maximumNumberOfFunctionEvaluations=4 * iterations,
        )
        _execute(method, pair, PartialProgress(progress, 0.4, 0.9))
        record = Record(
            "B-spline registration CT to CT",
            parameters={
                "measure": "Mattes mutual information",
                "grid_spacing_mm": grid_spacing_mm,
                "mesh_ijk": mesh,
                "iterations": iterations,
                "threads": threads,
                "rigid": rigid.record.parameters,
            },
            inputs={"fixed": fixed.record.inputs, "moving": moving.record.inputs},
            seed=seed,
        )
        both = sitk.CompositeTransform([rigid.transform, spline])
        return _finished(pair, both, "b-spline", record, progress)


def load_registration(path: Path) -> Registration:
    """The registration that `Registration.save` wrote.

    Raises
    ------
    FileFormatError
        The transform or its sidecar is missing or damaged.
    """
    path = Path(path)
    for file in (path, sidecar_path(path)):
        check_file(file)
    try:
        values = json.loads(sidecar_path(path).read_text(encoding="utf-8"))
        grid = values["fixed_grid"]
        geometry = VolumeGeometry(
            tuple(grid["shape_kji"]),
            tuple(grid["spacing_mm"]),
            tuple(grid["origin_mm"]),
            np.array(grid["direction"]),
            grid.get("frame_of_reference_uid"),
        )
        with quiet_stderr():
            transform = sitk.ReadTransform(str(path))
        kind = values["kind"]
        if kind == "rigid":
            transform = sitk.Euler3DTransform(transform)
        return Registration(
            transform, kind, geometry, values.get("moving_frame_uid"), dict(values["quality"]), Record.from_dict(values)
        )
    except (RadioDosimetryError, RuntimeError, ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise FileFormatError(
            f"{path} cannot be used as a saved registration: the transform or {sidecar_path(path).name} is damaged "
            f"({type(error).__name__}). Register the scans again."
        ) from error


@contextlib.contextmanager
def _thread_count(threads: int | None) -> Iterator[None]:
    """ITK's number of threads inside the block; None leaves it."""
    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    if threads is not None:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)


class _Pair:
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


def _method(pair: _Pair, seed: int, samples: int = SAMPLES_WANTED) -> sitk.ImageRegistrationMethod:
    """Measure, samples and levels; the optimiser and the transform are the caller's."""
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(HISTOGRAM_BINS)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetInterpolator(sitk.sitkLinear)
    shrinks = _shrink_factors(pair)
    method.SetShrinkFactorsPerLevel(shrinks)
    spacing = min(pair.fixed.geometry.spacing_mm)
    method.SetSmoothingSigmasPerLevel([0.5 * spacing * (factor - 1) for factor in shrinks])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    count = pair.fixed.geometry.voxel_count
    method.SetMetricSamplingPercentagePerLevel(
        [float(np.clip(samples / (count / factor**3), 1e-3, 1.0)) for factor in shrinks], seed
    )
    return method


def _shrink_factors(pair: _Pair) -> list[int]:
    """Of the levels, coarse to fine."""
    fewest = min(pair.fixed.geometry.shape_kji)
    return [factor for factor in (4, 2, 1) if factor == 1 or fewest // factor >= COARSEST_VOXELS]


def _best_start(pair: _Pair, seed: int) -> sitk.Euler3DTransform:
    """As positioned, centres of the grids or of the bodies: whichever has the most mutual information."""
    centred = sitk.CenteredTransformInitializerFilter
    starts = [
        sitk.Euler3DTransform(
            sitk.CenteredTransformInitializer(
                sitk.Cast(fixed, sitk.sitkFloat32), sitk.Cast(moving, sitk.sitkFloat32), sitk.Euler3DTransform(), mode
            )
        )
        for fixed, moving, mode in (
            (pair.fixed_image, pair.moving_image, centred.GEOMETRY),
            (pair.fixed_mask, pair.moving_mask, centred.MOMENTS),
        )
    ]
    positioned = sitk.Euler3DTransform()
    positioned.SetCenter(starts[1].GetCenter())
    starts.insert(0, positioned)
    return min(starts, key=lambda start: -_mutual_information(pair, start, seed))


def _mutual_information(pair: _Pair, transform: sitk.Transform, seed: int) -> float:
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


def _execute(method: sitk.ImageRegistrationMethod, pair: _Pair, progress: PartialProgress) -> None:
    """Run the optimiser, level by level, listening to Cancel."""
    levels, level, stopped = len(_shrink_factors(pair)), -1, False

    def next_level() -> None:
        nonlocal level
        level += 1

    def iterated() -> None:
        nonlocal stopped
        progress.report(max(level, 0) / levels, f"Registering: level {level + 1} of {levels}")
        if progress.cancelled():
            stopped = True
            method.StopRegistration()

    method.AddCommand(sitk.sitkMultiResolutionIterationEvent, next_level)
    method.AddCommand(sitk.sitkIterationEvent, iterated)
    try:
        with quiet_stderr():
            method.Execute(pair.fixed_image, pair.moving_image)
    except RuntimeError as error:
        raise InputError(
            "The two CTs could not be registered: the optimiser lost their overlap. Check that both show the same "
            "part of the same patient."
        ) from error
    if stopped:
        report_progress(progress, 1.0, "Registering")


def _finished(
    pair: _Pair, transform: sitk.Transform, kind: str, record: Record, progress: Progress | None
) -> Registration:
    """The registration with its measures, and warnings where they are poor."""
    report_progress(progress, 0.9, "Registering: measuring the result")
    registration = Registration(
        transform, kind, pair.fixed.geometry, pair.moving.geometry.frame_of_reference_uid, {}, record
    )
    seed = record.seed or 1
    identity = sitk.Euler3DTransform()
    quality: dict[str, float] = {}
    for when, one in (("before", identity), ("after", transform)):
        quality[f"mutual_information_{when}"] = _mutual_information(pair, one, seed)
        quality[f"correlation_{when}"] = _correlation(pair, one)
        quality[f"body_dice_{when}"] = _dice(pair, one)
    shift = np.linalg.norm(sitk.GetArrayFromImage(_displacement_image(transform, pair.fixed.geometry)), axis=-1)
    quality["largest_displacement_mm"] = float(shift[pair.fixed_body].max())
    quality["mean_displacement_mm"] = float(shift[pair.fixed_body].mean())
    jacobian = registration.jacobian_kji()[pair.fixed_body]
    quality["jacobian_min"], quality["jacobian_max"] = float(jacobian.min()), float(jacobian.max())
    report_progress(progress, 1.0, "Registered")
    return replace(registration, quality=quality, record=record.with_warnings(*_doubts(quality)))


def _doubts(quality: Mapping[str, float]) -> list[str]:
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
    pair: _Pair, image: sitk.Image, transform: sitk.Transform, interpolator: int, outside: float
) -> NDArray[Any]:
    return np.asarray(sitk.GetArrayFromImage(sitk.Resample(image, pair.fixed_image, transform, interpolator, outside)))


def _correlation(pair: _Pair, transform: sitk.Transform) -> float:
    """Pearson's r of the CT numbers in the fixed body, 0 where one of them is constant."""
    first = sitk.GetArrayViewFromImage(pair.fixed_image)[pair.fixed_body].astype(np.float64)
    second = _warped(pair, pair.moving_image, transform, sitk.sitkLinear, AIR_HU)[pair.fixed_body].astype(np.float64)
    first, second = first - first.mean(), second - second.mean()
    norm = float(np.sqrt((first @ first) * (second @ second)))
    return float(first @ second) / norm if norm > 0 else 0.0


def _dice(pair: _Pair, transform: sitk.Transform) -> float:
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

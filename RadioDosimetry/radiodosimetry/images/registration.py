"""Serial scans onto one another: rigid, then optionally B-spline, CT to CT; the emission image follows its CT.

Mattes mutual information [1]_ over fixed random samples of the fixed scan, coarse to fine, from the best of three
starts (as positioned, centres of the grids, centres of the bodies). A transform takes points of the fixed scan to
points of the moving scan (LPS, mm), as ITK resamples.

References
----------
.. [1] Mattes et al., IEEE Trans Med Imaging 22 (2003) 120-128, doi:10.1109/TMI.2003.809072.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from ..progress import PartialProgress, Progress, report_progress
from ..provenance import Record
from .readers import quiet_stderr
from .registered import Registration
from .registration_measures import (
    HISTOGRAM_BINS,
    SAMPLES_WANTED,
    ScanPair,
    doubts_about,
    measures_of,
    mutual_information,
)
from .volume import QuantitativeVolume

DEFORMABLE_SAMPLES_WANTED = 15_000
"""Random points per level of a B-spline: several per node and bin, and each costs a node's 64 neighbours."""

COARSEST_VOXELS = 24
"""Smallest number of voxels per axis on the coarsest level."""

GRID_SPACING_MM = 60.0
"""Default distance of B-spline nodes: breathing and posture, not noise."""


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
        pair = ScanPair(fixed, moving)
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
        pair = ScanPair(fixed, moving)
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


def _method(pair: ScanPair, seed: int, samples: int = SAMPLES_WANTED) -> sitk.ImageRegistrationMethod:
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


def _shrink_factors(pair: ScanPair) -> list[int]:
    """Of the levels, coarse to fine."""
    fewest = min(pair.fixed.geometry.shape_kji)
    return [factor for factor in (4, 2, 1) if factor == 1 or fewest // factor >= COARSEST_VOXELS]


def _best_start(pair: ScanPair, seed: int) -> sitk.Euler3DTransform:
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
    return min(starts, key=lambda start: -mutual_information(pair, start, seed))


def _execute(method: sitk.ImageRegistrationMethod, pair: ScanPair, progress: PartialProgress) -> None:
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
    pair: ScanPair, transform: sitk.Transform, kind: str, record: Record, progress: Progress | None
) -> Registration:
    """The registration with its measures, and warnings where they are poor."""
    report_progress(progress, 0.9, "Registering: measuring the result")
    quality = measures_of(pair, transform, record.seed or 1)
    report_progress(progress, 1.0, "Registered")
    return Registration(
        transform,
        kind,
        pair.fixed.geometry,
        pair.moving.geometry.frame_of_reference_uid,
        quality,
        record.with_warnings(*doubts_about(quality)),
    )

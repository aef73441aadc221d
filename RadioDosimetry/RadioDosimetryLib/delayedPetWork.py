"""Delayed PET on core values: what speaks against a request, the run itself, its checks, the comparison with a scan.

Nothing here needs Slicer; a run may be long and goes to a thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from .delayedPet import TIME_TOLERANCE_S, DelayedPetModel, ModelCard, SyntheticVolume

if TYPE_CHECKING:
    from radiodosimetry.images.regions import LabelMap, Region
    from radiodosimetry.images.volume import QuantitativeVolume
    from radiodosimetry.progress import Progress

LARGEST_DECAY_STEP_S = 2 * 3600.0
"""An acquired scan is compared with a synthetic volume at most this far from its time [s]: between the two it is only
decayed physically, which leaves the tracer's own motion out."""

EXCESS_TOLERANCE = 0.01
"""Share by which a volume may hold more than decay leaves before a warning: single precision and interpolation."""


@dataclass(frozen=True, eq=False)
class SynthesisRequest:
    """What to synthesise from what.

    Attributes
    ----------
    model
        An installed model.
    early
        Activity concentration of the early scan [Bq/mL].
    nuclide
        Nuclide of the tracer ("Cu-64").
    early_time_s, times_s
        Times after injection of the early scan and of the volumes wanted [s].
    ct
        CT of the early scan; None without.
    labels
        Organs and lesions on the grid of the early scan; None where they are not known.
    tracer
        Name of the tracer that was given; None where it is not stated.
    administered_bq
        Administered activity [Bq]; None where it is not known.
    """

    model: DelayedPetModel
    early: QuantitativeVolume
    nuclide: str
    early_time_s: float
    times_s: tuple[float, ...]
    ct: QuantitativeVolume | None = None
    labels: LabelMap | None = None
    tracer: str | None = None
    administered_bq: float | None = None


def requestProblems(request: SynthesisRequest) -> list[str]:
    """Everything that speaks against a request, a sentence each: what the model's card does not cover."""
    card, early = request.model.card, request.early
    problems = [card.tracerProblem(request.nuclide, request.tracer)]
    problems += timeProblems(card, request.early_time_s, request.times_s)
    geometry = early.geometry
    extent_mm = [count * edge for count, edge in zip(geometry.shape_kji[::-1], geometry.spacing_mm, strict=True)]
    problems.append(card.gridProblem(geometry.spacing_mm, extent_mm))
    if card.needs_ct and request.ct is None:
        problems.append(f"'{card.name}' needs the CT of the early scan; choose it.")
    problems.append(card.concentrationProblem(float(early.array_kji.max())))
    return [problem for problem in problems if problem]


def timeProblems(card: ModelCard, early_time_s: float, times_s: Sequence[float]) -> list[str]:
    """Why a model cannot make volumes of these times after injection [s] from an early scan, a sentence each."""
    problems = [card.earlyProblem(early_time_s)]
    for time_s in times_s:
        problems.append(card.targetProblem(time_s))
        if time_s <= early_time_s:
            problems.append(f"The target time {time_s / 3600:g} h is not after the early scan.")
    return [problem for problem in problems if problem]


def runSynthesis(request: SynthesisRequest, progress: Progress | None = None) -> list[SyntheticVolume]:
    """The volumes of a request, checked and marked as synthetic.

    Raises
    ------
    InputError
        The card does not cover the request.
    RadioDosimetryError
        The model returned something other than was asked for.
    CancelledError
        `progress` says that the user asked to stop.
    """
    from radiodosimetry.errors import InputError
    from radiodosimetry.images.resampling import total_activity
    from radiodosimetry.progress import report_progress

    problems = requestProblems(request)
    if problems:
        raise InputError(" ".join(problems))
    report_progress(progress, 0.0, "synthesising delayed PET")
    made = list(
        request.model.synthesise(
            request.early,
            nuclide=request.nuclide,
            early_time_s=request.early_time_s,
            times_s=request.times_s,
            ct=request.ct,
            labels=request.labels,
            tracer=request.tracer,
            administered_bq=request.administered_bq,
            progress=progress,
        )
    )
    _requireAsAsked(request, made)
    report_progress(progress, 1.0, "checking the volumes")
    early_bq = total_activity(request.early)
    return [_marked(request, item, early_bq) for item in made]


@dataclass(frozen=True)
class RegionActivity:
    """What a synthetic volume holds in the whole image or one region.

    Attributes
    ----------
    region
        Name of the region; "whole image" first.
    time_h
        Time after injection [h].
    activity_bq, std_bq
        Activity and its standard uncertainty [Bq]; the latter None where the model states none.
    std_percent
        The same of the activity [%]; None without, or where the activity is zero.
    mean_bq_per_ml
        Mean activity concentration [Bq/mL].
    """

    region: str
    time_h: float
    activity_bq: float
    std_bq: float | None
    std_percent: float | None
    mean_bq_per_ml: float


def regionActivities(volumes: Sequence[SyntheticVolume], regions: Sequence[Region] = ()) -> list[RegionActivity]:
    """What each synthetic volume holds in the whole image and in each region on its grid, with its uncertainty.

    The voxels of a region err together, so that their standard uncertainties add up; over the whole image that is the
    most that they can come to.
    """
    rows = []
    for item in volumes:
        voxel_ml = item.volume.geometry.voxel_volume_ml
        everywhere = np.ones(item.volume.array_kji.shape, dtype=bool)
        for name, mask in (("whole image", everywhere), *((region.name, region.mask_kji) for region in regions)):
            activity_bq = _summed(item.volume, mask)
            std_bq = None if item.uncertainty is None else _summed(item.uncertainty, mask)
            percent = None if std_bq is None or not activity_bq else 100.0 * std_bq / activity_bq
            mean = activity_bq / (np.count_nonzero(mask) * voxel_ml)
            rows.append(RegionActivity(name, item.time_s / 3600, activity_bq, std_bq, percent, mean))
    return rows


def _summed(volume: QuantitativeVolume, mask: np.ndarray) -> float:
    """Activity in a mask [Bq]."""
    return float(volume.array_kji[mask].sum(dtype=np.float64)) * volume.geometry.voxel_volume_ml


@dataclass(frozen=True)
class ScanComparison:
    """A synthetic volume against an acquired scan, in the whole image or one region.

    Attributes
    ----------
    region
        Name of the region; "whole image" first.
    acquired_mean_bq_per_ml, synthetic_mean_bq_per_ml
        Mean activity concentrations [Bq/mL].
    acquired_bq, synthetic_bq
        Activities [Bq].
    error_percent
        Error of the synthetic activity [%]; None where the acquired one is zero.
    nrmse
        Root mean square of the voxel differences over that of the acquired voxels; None where those are zero.
    correlation
        Pearson's of the voxels; None where one of the images does not vary.
    """

    region: str
    acquired_mean_bq_per_ml: float
    synthetic_mean_bq_per_ml: float
    acquired_bq: float
    synthetic_bq: float
    error_percent: float | None
    nrmse: float | None
    correlation: float | None


def nearestInTime(volumes: Sequence[SyntheticVolume], time_s: float) -> SyntheticVolume:
    """The synthetic volume to compare an acquired scan at `time_s` [s] with.

    Raises
    ------
    InputError
        None lies within `LARGEST_DECAY_STEP_S`.
    """
    from radiodosimetry.errors import InputError

    nearest = min(volumes, key=lambda item: abs(item.time_s - time_s), default=None)
    if nearest is None or abs(nearest.time_s - time_s) > LARGEST_DECAY_STEP_S:
        known = ", ".join(f"{item.time_s / 3600:g}" for item in volumes) or "none"
        raise InputError(
            f"The acquired scan lies {time_s / 3600:g} h after injection, the synthetic volumes at {known} h; "
            f"expected one within {LARGEST_DECAY_STEP_S / 3600:g} h. Add its time to the target times."
        )
    return nearest


def compareWithAcquired(
    synthetic: SyntheticVolume,
    acquired: QuantitativeVolume,
    acquired_time_s: float,
    nuclide: str,
    regions: Sequence[Region] = (),
) -> list[ScanComparison]:
    """How close a synthetic volume is to the scan that was acquired.

    The acquired scan is brought onto the synthetic grid with its activity conserved, and decayed physically to the
    synthetic time where the two differ.

    Parameters
    ----------
    synthetic
        The volume.
    acquired
        Activity concentration [Bq/mL], on any grid of the same space.
    acquired_time_s
        Its time after injection [s].
    nuclide
        Nuclide of the tracer.
    regions
        Regions on the synthetic grid.

    Raises
    ------
    InputError
        The two lie more than `LARGEST_DECAY_STEP_S` apart, or in different spaces.
    """
    from radiodosimetry.images.resampling import resample_activity
    from radiodosimetry.nuclides import Radionuclide

    synthetic = nearestInTime([synthetic], acquired_time_s)
    half_life_s = Radionuclide(nuclide).half_life_s
    decay = 2.0 ** (-(synthetic.time_s - acquired_time_s) / half_life_s)
    geometry = synthetic.volume.geometry
    expected = resample_activity(acquired, geometry).array_kji.astype(np.float64) * decay
    found = synthetic.volume.array_kji.astype(np.float64)
    everywhere = np.ones(found.shape, dtype=bool)
    parts = [("whole image", everywhere), *((region.name, region.mask_kji) for region in regions)]
    return [_comparison(name, expected[mask], found[mask], geometry.voxel_volume_ml) for name, mask in parts]


def _comparison(region: str, expected: np.ndarray, found: np.ndarray, voxel_ml: float) -> ScanComparison:
    from radiodosimetry.evaluation import normalized_root_mean_square_error, pearson_correlation

    acquired_bq, synthetic_bq = float(expected.sum()) * voxel_ml, float(found.sum()) * voxel_ml
    return ScanComparison(
        region=region,
        acquired_mean_bq_per_ml=float(expected.mean()),
        synthetic_mean_bq_per_ml=float(found.mean()),
        acquired_bq=acquired_bq,
        synthetic_bq=synthetic_bq,
        error_percent=100.0 * (synthetic_bq - acquired_bq) / acquired_bq if acquired_bq > 0 else None,
        nrmse=normalized_root_mean_square_error(expected, found),
        correlation=pearson_correlation(expected, found),
    )


def _requireAsAsked(request: SynthesisRequest, made: Sequence[SyntheticVolume]) -> None:
    """Refuse what a model returns at other times, on another grid, of another quantity or below zero."""
    from radiodosimetry.errors import RadioDosimetryError
    from radiodosimetry.units import Quantity

    name = request.model.card.name
    times = [item.time_s for item in made]
    asked = list(request.times_s)
    if len(times) != len(asked) or any(abs(a - b) > TIME_TOLERANCE_S for a, b in zip(times, asked, strict=True)):
        raise RadioDosimetryError(f"The model '{name}' returned the times {times} s, expected {asked} s; report this.")
    for item in made:
        for part in (item.volume, item.uncertainty):
            if part is None:
                continue
            if part.quantity is not Quantity.ACTIVITY_CONCENTRATION:
                raise RadioDosimetryError(
                    f"The model '{name}' returned {part.quantity.value}, expected activity concentration; report this."
                )
            if not part.geometry.same_grid(request.early.geometry):
                raise RadioDosimetryError(f"The model '{name}' left the grid of the early scan; report this.")
            if part.array_kji.min() < 0:
                raise RadioDosimetryError(f"The model '{name}' returned activity below zero; report this.")


def _marked(request: SynthesisRequest, item: SyntheticVolume, early_bq: float) -> SyntheticVolume:
    """The volume with a record that says what it is, and a warning where it holds more than decay leaves."""
    from radiodosimetry.delayed_pet.inference import SYNTHETIC_WARNING
    from radiodosimetry.images.resampling import total_activity
    from radiodosimetry.learning.model_files import model_parameters, model_sentence
    from radiodosimetry.nuclides import Radionuclide
    from radiodosimetry.provenance import Record

    card, own = request.model.card, item.volume.record.warnings
    warnings = list(own)
    if not any(text.startswith(SYNTHETIC_WARNING) for text in own):
        warnings.insert(0, f"{SYNTHETIC_WARNING} {model_sentence(card.name, card.trained_on, card.limits)}")
    step_s = item.time_s - request.early_time_s
    left = early_bq * 2.0 ** (-step_s / Radionuclide(request.nuclide).half_life_s)
    if total_activity(item.volume) > left * (1.0 + EXCESS_TOLERANCE):
        warnings.append(
            f"The volume holds {total_activity(item.volume) / 1e6:.4g} MBq, more than the {left / 1e6:.4g} MBq that "
            "decay leaves of the early scan: activity must have moved into the field of view, or the model is wrong."
        )
    if item.uncertainty is None:
        warnings.append("The model gives no uncertainty.")
    inputs = {"early": request.early.record.as_dict()}
    if request.ct is not None:
        inputs["ct"] = request.ct.record.as_dict()
    if request.labels is not None:
        inputs["regions"] = request.labels.record.as_dict()
        if not card.takes_regions:
            warnings.append("The model does not look at regions.")
    record = Record(
        operation="delayed PET synthesis",
        parameters={
            **model_parameters(card.name, card.trained_on, card.limits),
            "model_version": card.version,
            "model_tracer": card.tracer,
            "synthetic": True,
            "nuclide": request.nuclide,
            "tracer": request.tracer,
            "administered_bq": request.administered_bq,
            "regions": None if request.labels is None else list(request.labels.names.values()),
            "early_time_s": request.early_time_s,
            "time_s": item.time_s,
        },
        inputs=inputs,
    ).with_warnings(*warnings)
    uncertainty = item.uncertainty
    if uncertainty is not None:
        uncertainty = replace(uncertainty, record=record)
    return replace(item, volume=replace(item.volume, record=record), uncertainty=uncertainty)

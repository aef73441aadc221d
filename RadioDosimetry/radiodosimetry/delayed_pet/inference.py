"""Later PET volumes from one early scan by a model file: checked, bounded, with uncertainty, marked as synthetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..images.geometry import require_same_frame, require_same_grid
from ..images.regions import LabelMap
from ..images.resampling import voxels_inside
from ..images.volume import QuantitativeVolume
from ..learning.model_files import weights_path
from ..nuclides import Radionuclide
from ..progress import PartialProgress, Progress, report_progress
from ..provenance import Record
from ..units import SECONDS_PER_HOUR, Quantity
from .early_scan import present_at
from .network_files import DelayedPetNetwork, load_network
from .normalisation import DecayNormalisation, decay_factor, normalisation_named, normalised, restored
from .ratio_inputs import ratio_inputs
from .region_names import known_tissue
from .resizing import SliceResizing
from .samples import slice_channels, slices_of, time_weights

if TYPE_CHECKING:
    import torch

SYNTHETIC_WARNING = "This volume is synthetic: it was made by a model from an early scan and was never measured."
"""First words of every record's warnings; a sentence on the model follows in the same one."""

OPERATION = "delayed PET synthesis"
"""Of the records."""

NO_REGIONS_WARNING = (
    "No regions were given: the model found the tissues itself, errs more, and hardly sees lesions that take up the "
    "tracer late."
)
"""Where a model could have used regions."""

DOUBTFUL_STD = 0.25
"""Relative standard uncertainty above which a given region is named in a warning: the means over organs of unseen
virtual patients err by about one half of it."""

NO_CT_WARNING = "No CT was given: the model learned with one and errs more without; give the CT of the session."
"""Where a model looks at the CT and can do without."""

UNCALIBRATED_WARNING = (
    "The model's uncertainty was never compared with patients it has not learned from: it may be too small."
)
"""Where too few validation patients were there to calibrate it."""

LARGEST_SHARE_OF_GIVEN = (1.1, 1.5)
"""Activity of the early scan over what decay leaves of the administered: above the first it is warned of, above the
second refused. Calibrations of a scanner and of an activimeter differ by a few per cent."""

SMALLEST_SHARE_OF_GIVEN = 0.02
"""Below it the unit is doubted: a torso holds a good part of any tracer in the first hours."""

LARGEST_SHARE_BEYOND_CT = 0.02
"""Of the early scan's activity, above which a warning says that the CT ends: beyond it the model sees air."""

SLICES_AT_ONCE = 8
"""Slices that the published network is given together; bounds the memory."""


@dataclass(frozen=True, eq=False)
class DelayedPet:
    """What a model made.

    Attributes
    ----------
    times_s
        Times after injection [s].
    volumes
        Activity concentration present at each [Bq/mL], on the grid of the early scan.
    uncertainties
        Standard uncertainty of each voxel [Bq/mL]; None where the model states none. Errors of the voxels of an organ
        stand together: the uncertainty of an organ's activity is the sum of its voxels', not the root of their squares.
    record
        How they came to be.
    """

    times_s: tuple[float, ...]
    volumes: tuple[QuantitativeVolume, ...]
    uncertainties: tuple[QuantitativeVolume | None, ...]
    record: Record


def synthesize(
    model: Path | DelayedPetNetwork,
    early: QuantitativeVolume,
    early_time_s: float,
    times_s: Sequence[float],
    nuclide: str,
    ct: QuantitativeVolume | None = None,
    *,
    labels: LabelMap | None = None,
    tracer: str | None = None,
    administered_bq: float | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> DelayedPet:
    """PET volumes of later times from an early scan.

    Parameters
    ----------
    model
        Model file of kind "delayed-pet", or one already loaded.
    early
        Activity concentration at the early scan [Bq/mL]; one that its record says is decay-corrected to the injection
        is decayed to the early time.
    early_time_s, times_s
        Times after injection of the early scan and of the volumes wanted [s]; the latter rise.
    nuclide
        Nuclide of the tracer ("Cu-64").
    ct
        CT of the session [HU] on any grid of the same space; needed where the model's card says so.
    labels
        Regions of the patient on the grid of the early scan, organs and lesions by name, where they are known: a lesion
        that takes the tracer up later can hardly be seen early. Ignored by the published network.
    tracer
        Name of the tracer that was given; None: not stated, which the record warns of.
    administered_bq
        Administered activity [Bq], which the early uptake is measured by: no volume holds more than decay leaves of it.
        None: that of the training patients, which the record warns of, and no more than decay leaves of the early scan.
    device
        "cpu" or "cuda".
    progress
        Who watches, and may cancel.

    Raises
    ------
    UnitError
        The early scan is not quantitative.
    InputError
        The use is outside of what the model's card declares; every reason is given. Or the scan holds far more than
        decay leaves of the administered activity.
    FileFormatError
        The model file cannot be used.
    GeometryMismatchError
        CT and PET lie in different spaces or do not overlap.
    CancelledError
        The user cancelled.
    """
    network = load_network(model, device) if isinstance(model, str | Path) else model
    times = tuple(float(time_s) for time_s in times_s)
    early = present_at(early, early_time_s, nuclide)
    network.declared.require(early, early_time_s, times, nuclide, ct is not None, tracer)
    if ct is not None:
        require_same_frame(early.geometry, ct.geometry, "The early scan", "the CT")
    if labels is not None:
        require_same_grid(early.geometry, labels.geometry, "The early scan", "the regions")
    if administered_bq is not None and not administered_bq > 0:
        raise InputError(f"The administered activity must be above zero, found {administered_bq:g} Bq.")
    report_progress(progress, 0.0, "preparing the early scan")
    given = _Given(network, early, early_time_s, nuclide, ct, labels, tracer, administered_bq)
    warnings = [f"{SYNTHETIC_WARNING} {network.card.sentence(given.model)}", *_unknowns(given), *_doubtful_total(given)]
    warnings += early.record.warnings
    if labels is not None:
        warnings += labels.record.warnings
    if float(np.min(early.array_kji)) < 0 and network.network == "ratio-3d":
        warnings.append("Negative voxels of the early scan were taken as zero.")
    step = PartialProgress(progress, 0.05, 1.0)
    maker = _ByTissues(given) if network.network == "ratio-3d" else _BySlices(given)
    warnings += maker.doubts
    made: list[_Made] = []
    for number, time_s in enumerate(times):
        report_progress(step, number / len(times), f"synthesising {time_s / SECONDS_PER_HOUR:g} h")
        bound_bq = _bound_bq(early, early_time_s, time_s, nuclide, administered_bq)
        made.append(_bounded(*maker.at(time_s, step), bound_bq, early.geometry.voxel_volume_ml))
    warnings += _doubtful(made, labels)
    volumes, uncertainties, records = [], [], []
    for time_s, one in zip(times, made, strict=True):
        record = _record(given, time_s, [*warnings, *one.warnings], device)
        time = None if early.time is None else early.time + timedelta(seconds=time_s - early_time_s)
        volume = replace(
            early, array_kji=one.array_kji, quantity=Quantity.ACTIVITY_CONCENTRATION, time=time, record=record
        )
        volumes.append(volume)
        uncertainties.append(None if one.std_kji is None else volume.with_array(one.std_kji))
        records.append(record)
    report_progress(step, 1.0, "done")
    return DelayedPet(times, tuple(volumes), tuple(uncertainties), records[-1])


@dataclass(frozen=True, eq=False)
class _Given:
    """What a synthesis starts from; see `synthesize`."""

    network: DelayedPetNetwork
    early: QuantitativeVolume
    early_time_s: float
    nuclide: str
    ct: QuantitativeVolume | None
    labels: LabelMap | None
    tracer: str | None
    administered_bq: float | None

    @property
    def model(self) -> str:
        """Name of the model."""
        return weights_path(self.network.path).stem

    @property
    def used_ct(self) -> QuantitativeVolume | None:
        """The CT, where the model looks at it."""
        return self.ct if self.network.card.preprocessing.get("use_ct") else None


class _ByTissues:
    """Delayed activity [Bq/mL] and its relative standard uncertainty by tissues and their kinetics."""

    def __init__(self, given: _Given) -> None:
        from .forecast import scan_regions
        from .spill_over import Response
        from .tissue_network import TissueNetwork

        network, early = given.network, given.early
        assert network.kinetics is not None
        self._given, self._kinetics = given, network.kinetics
        self._normalisation = DecayNormalisation(given.nuclide)
        preprocessing = network.card.preprocessing
        inputs = ratio_inputs(
            early, given.early_time_s, self._normalisation, given.used_ct, float(preprocessing["grid_mm"])
        )
        constant = self._normalisation.constant_bq_per_ml(given.early_time_s)
        self._scan = scan_regions(
            normalised(np.maximum(early.array_kji, 0.0), constant).astype(np.float32),
            early.geometry,
            inputs,
            [member for member in network.members if isinstance(member, TissueNetwork)],
            network.kinetics.tissues,
            given.labels,
            given.used_ct is not None,
            Response(**preprocessing["response"]),
            complete=True,
        )

    @property
    def doubts(self) -> list[str]:
        """What of the given regions a reader must know."""
        from .tissue_kinetics import CALIBRATIONS, GIVEN, OWN

        labels, found = self._given.labels, []
        origins = {GIVEN if given else OWN for given in self._scan.given}
        if any(CALIBRATIONS[origin] not in self._given.network.card.training for origin in origins):
            found.append(UNCALIBRATED_WARNING)
        if labels is None:
            return found
        unknown = [name for name in labels.names.values() if known_tissue(name, self._kinetics.tissues) is None]
        if unknown:
            found.append(
                f"The model knows no tissue of the name of {', '.join(unknown)}: taken as the remainder of the body."
            )
        if not self._scan.given.all():
            percent = 100 * self._scan.gap
            found.append(f"The regions leave {percent:.0f} % of the body unnamed: there the model found the tissues.")
        return found

    def at(self, time_s: float, progress: Progress | None) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """Volume and relative uncertainty at a time."""
        from .forecast import forecast
        from .tissue_kinetics import CALIBRATIONS

        card = self._given.network.card
        weights = time_weights(time_s, card.preprocessing["target_hours"])
        scale = self._kinetics.activity_scale(self._given.administered_bq)
        coverage = {
            origin: float(card.training.get(name, {}).get("factor", 1.0)) for origin, name in CALIBRATIONS.items()
        }
        delayed, relative = forecast(self._scan, self._kinetics.lines, scale, weights, coverage)
        report_progress(progress, 1.0, "the regions are forecast")
        values = restored(delayed, self._normalisation.constant_bq_per_ml(time_s)).astype(np.float64)
        return values, relative


class _BySlices:
    """Delayed activity [Bq/mL] by the published network, slice by slice; it states no uncertainty."""

    def __init__(self, given: _Given) -> None:
        early, preprocessing = given.early, given.network.card.preprocessing
        self._given = given
        self._normalisation = normalisation_named(str(preprocessing["normalisation"]), given.nuclide)
        self._resizing = SliceResizing(*early.geometry.shape_kji[1:])
        self._squares, self._ct_squares = slices_of(
            early, given.early_time_s, given.used_ct, self._normalisation, self._resizing
        )
        self.doubts = [] if given.labels is None else ["The model does not look at regions."]

    def at(self, time_s: float, progress: Progress | None) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """Volume at a time."""
        import torch

        network = self._given.network
        preprocessing = network.card.preprocessing
        hours = [float(hour) for hour in preprocessing["target_hours"]]
        told = None if len(hours) == 1 else time_s / SECONDS_PER_HOUR / max(hours)
        channels = slice_channels(self._squares, self._ct_squares, int(preprocessing["neighbours"]), told)
        device, made = _device_of(network), []
        with torch.inference_mode():
            for start in range(0, len(channels), SLICES_AT_ONCE):
                report_progress(progress, start / len(channels), f"slice {start + 1} of {len(channels)}")
                part = torch.from_numpy(channels[start : start + SLICES_AT_ONCE]).to(device)
                generated = torch.stack([member(part) for member in network.members]).mean(dim=0)
                made.append(generated[:, 0].float().cpu().numpy())
        constant = self._normalisation.constant_bq_per_ml(time_s, self._given.early.array_kji)
        if told is None and preprocessing["normalisation"] == "early-maximum":
            # Its constant knows no time: what decays between the trained time and this one is added here.
            trained, asked = (decay_factor(self._given.nuclide, at_s) for at_s in (hours[0] * SECONDS_PER_HOUR, time_s))
            constant *= asked / trained
        return self._resizing.backward(np.concatenate(made).astype(np.float64)) * constant, None


def _unknowns(given: _Given) -> list[str]:
    """What was assumed of the patient, a sentence each."""
    network, found = given.network, []
    if given.tracer is None and network.declared.tracer:
        found.append(f"Which tracer was given was not stated; the model is for {network.declared.tracer} alone.")
    reference_bq = 0.0 if network.kinetics is None else network.kinetics.reference_bq
    if given.administered_bq is None and reference_bq > 0:
        found.append(
            "The administered activity was not given; it was taken as that of the model's training patients, "
            f"{reference_bq / 1e6:.4g} MBq."
        )
    if given.labels is None and network.kinetics is not None:
        found.append(NO_REGIONS_WARNING)
    if given.ct is None and network.card.preprocessing.get("use_ct"):
        found.append(NO_CT_WARNING)
    if given.used_ct is not None:
        inside = voxels_inside(given.used_ct.geometry, given.early.geometry)
        beyond = 1.0 - float(np.maximum(given.early.array_kji[inside], 0.0).sum(dtype=np.float64)) / _sum(given.early)
        if beyond > LARGEST_SHARE_BEYOND_CT:
            found.append(
                f"The CT ends within the early scan: {100 * beyond:.0f} % of the activity lies beyond it, where the "
                "model sees air; give a CT of the whole scan."
            )
    return found


def _doubtful_total(given: _Given) -> list[str]:
    """A sentence where the early scan holds more than it can, or hardly anything, of the administered activity.

    Raises
    ------
    InputError
        It holds so much that unit or activity must be wrong.
    """
    if given.administered_bq is None:
        return []
    left_bq = given.administered_bq * decay_factor(given.nuclide, given.early_time_s)
    seen_bq = _total_bq(given.early)
    said = (
        f"The early scan holds {seen_bq / 1e6:.4g} MBq, decay leaves {left_bq / 1e6:.4g} MBq of the administered "
        f"{given.administered_bq / 1e6:.4g} MBq"
    )
    doubtful, impossible = LARGEST_SHARE_OF_GIVEN
    if seen_bq > impossible * left_bq:
        raise InputError(f"{said}; check the unit of the scan and the administered activity.")
    if seen_bq > doubtful * left_bq:
        return [f"{said}: no volume was given more than decay leaves. Check the scan's calibration."]
    if seen_bq < SMALLEST_SHARE_OF_GIVEN * left_bq:
        return [f"{said}: check the unit of the scan, and whether it shows the body's larger part."]
    return []


def _doubtful(made: Sequence[_Made], labels: LabelMap | None) -> list[str]:
    """A sentence that names the given regions of which the model is unsure at any of the times."""
    if labels is None:
        return []
    flat, largest = labels.array_kji.ravel(), dict.fromkeys(labels.names, 0.0)
    for one in made:
        if one.std_kji is None:
            return []
        activity, std = (np.bincount(flat, values.ravel(), max(largest) + 1) for values in (one.array_kji, one.std_kji))
        largest = {
            label: max(share, std[label] / activity[label] if activity[label] > 0 else 0.0)
            for label, share in largest.items()
        }
    large = {labels.names[label]: share for label, share in largest.items() if share > DOUBTFUL_STD}
    unsure = [f"{name} ({100 * share:.0f} %)" for name, share in large.items()]
    return [f"The model's standard uncertainty is large in {', '.join(unsure)}."] if unsure else []


def _device_of(network: DelayedPetNetwork) -> torch.device:
    return next(network.members[0].parameters()).device


def _bound_bq(
    early: QuantitativeVolume, early_time_s: float, time_s: float, nuclide: str, administered_bq: float | None
) -> float:
    """Largest total at a time [Bq]: what decay leaves of the administered activity, or else of the early scan."""
    if administered_bq is not None:
        return administered_bq * decay_factor(nuclide, time_s)
    return _total_bq(early) * decay_factor(nuclide, time_s - early_time_s)


def _total_bq(scan: QuantitativeVolume) -> float:
    return _sum(scan) * scan.geometry.voxel_volume_ml


def _sum(scan: QuantitativeVolume) -> float:
    return float(np.maximum(scan.array_kji, 0.0).sum(dtype=np.float64))


@dataclass(frozen=True, eq=False)
class _Made:
    """A volume, its standard uncertainty, both [Bq/mL] in single precision, and what to say of it."""

    array_kji: NDArray[np.float32]
    std_kji: NDArray[np.float32] | None
    warnings: tuple[str, ...]


def _bounded(
    values: NDArray[np.float64], relative: NDArray[np.float64] | None, bound_bq: float, voxel_ml: float
) -> _Made:
    """Values scaled down where their total is above the bound."""
    total = float(values.sum()) * voxel_ml
    factor = min(1.0, bound_bq / total) if total > 0 else 1.0
    values = values * factor
    said = f"The volume was scaled by {factor:.4f} to what decay leaves ({bound_bq / 1e6:.4g} MBq)."
    return _Made(
        values.astype(np.float32),
        None if relative is None else (values * relative).astype(np.float32),
        (said,) if factor < 1.0 else (),
    )


def _record(given: _Given, time_s: float, warnings: Sequence[str], device: str) -> Record:
    network, early, ct, labels = given.network, given.early, given.ct, given.labels
    inputs: dict[str, Any] = {
        "model": {"path": network.path.name, "sha256": network.card.sha256},
        "early": early.record.as_dict(),
    }
    if ct is not None:
        inputs["ct"] = ct.record.as_dict()
    if labels is not None:
        inputs["regions"] = labels.record.as_dict()
    return Record(
        OPERATION,
        parameters={
            "synthetic": True,
            **network.card.as_parameters(given.model),
            "network": network.network,
            "nuclide": Radionuclide(given.nuclide).name,
            "early_time_s": given.early_time_s,
            "time_s": time_s,
            "administered_bq": given.administered_bq,
            "tracer": given.tracer,
            "model_tracer": network.declared.tracer,
            "regions": None if labels is None else list(labels.names.values()),
        },
        inputs=inputs,
        datasets={"decay data": Radionuclide(given.nuclide).dataset},
        warnings=tuple(dict.fromkeys(warnings)),
        device=device,
    )

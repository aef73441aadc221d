"""Delayed PET in the demonstration: a virtual patient's early scan to later ones, beside what was acquired then."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ..delayed_pet.network_files import Declared, declared_of
from ..delayed_pet.shipped import shipped_models
from ..errors import InputError
from ..evaluation.differences import mean_error_percent
from ..images.atomic import OutputTransaction
from ..images.regions import LabelMap, write_label_map
from ..images.volume import QuantitativeVolume
from ..images.writers import write_volume
from ..nuclides import Radionuclide
from ..progress import PartialProgress, Progress, report_progress
from ..provenance import Record, to_json
from ..units import BECQUEREL_PER_MEGABECQUEREL, SECONDS_PER_HOUR
from ..virtual_patients.anatomy import parametric_anatomy
from ..virtual_patients.kinetics import TRACERS
from ..virtual_patients.patient import LESION_PREFIX
from ..virtual_patients.sample_patient import COPPER_PET, SampleStudy, as_scanned, sample_activity
from .delayed_pet import SynthesisRequest, synthesize_files

FOLDER = "delayed_pet"
"""Folder of the demo's delayed PET."""

PATIENT_SEED = 5
"""Of the Cu-64 patient, whom no data set for training holds."""

VOXEL_MM = 4.0
"""Edge of the voxels, if the model takes them [mm]."""

SHOWN_REGIONS = ("liver", "spleen", "left_kidney", "right_kidney", "heart_contents", "red_marrow")
"""Organs in the table; lesions follow."""

COLUMNS = ("region", "time_h", "acquired_mbq", "synthetic_mbq", "difference_percent", "decay_alone_difference_percent")


@dataclass(frozen=True)
class RegionActivity:
    """Activity of a region at a later time; the names of the attributes are the columns of the table.

    Attributes
    ----------
    region, time_h
        Name, and time after the administration [h].
    acquired_mbq, synthetic_mbq
        In the scan acquired then, and in the one that the model made of the early scan [MBq].
    difference_percent, decay_alone_difference_percent
        Of the model's, and of the early scan that merely decayed, from the acquired activity [%]; None where that is
        zero.
    """

    region: str
    time_h: float
    acquired_mbq: float
    synthetic_mbq: float
    difference_percent: float | None
    decay_alone_difference_percent: float | None


@dataclass(frozen=True)
class DelayedDemo:
    """What came of delayed PET in the demonstration.

    Attributes
    ----------
    model
        Name of the model.
    early_h
        Time of the early scan [h].
    nuclide
        Of the tracer.
    folder
        Folder with the scans; None where the model does not take the patient.
    table
        A row per region and time.
    refusal
        Why the model does not take the patient; empty if it does.
    """

    model: str
    early_h: float
    nuclide: str
    folder: Path | None
    table: tuple[RegionActivity, ...] = ()
    refusal: str = ""

    def text(self) -> str:
        """The table for a terminal, or why there is none."""
        if self.folder is None:
            return f"Delayed PET: the model {self.model} does not take the virtual patient: {self.refusal}\n"
        width = max(len(row.region) for row in self.table)
        lines = [
            f"Delayed PET of {self.nuclide}, made by {self.model} from the scan at {self.early_h:g} h:",
            "never measured, against the later scans",
            "",
            f"{'region':<{width}}  time [h]  acquired [MBq]  synthetic [MBq]  difference [%]  of decay alone [%]",
        ]
        for row in self.table:
            shown = ["-" if one is None else f"{one:+.1f}" for one in
                     (row.difference_percent, row.decay_alone_difference_percent)]  # fmt: skip
            lines.append(
                f"{row.region:<{width}}  {row.time_h:>8g}  {row.acquired_mbq:>14.3g}  {row.synthetic_mbq:>15.3g}  "
                f"{shown[0]:>14}  {shown[1]:>18}"
            )
        return "\n".join([*lines, "", f"In {self.folder}"]) + "\n"

    def csv_text(self) -> str:
        """The table as CSV with the columns `COLUMNS`; unknowns are empty."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in self.table:
            values = [getattr(row, column) for column in COLUMNS[1:]]
            writer.writerow([row.region, *("" if value is None else f"{value:.7g}" for value in values)])
        return stream.getvalue()


def demo_models() -> list[Path]:
    """Models of delayed PET that come with RadioDosimetry, by name; none where what runs them is not installed."""
    can_learn = find_spec("torch") is not None and find_spec("safetensors") is not None
    return list(shipped_models().values()) if can_learn else []


def run_demo_delayed_pet(folder: Path, seed: int, device: str, progress: Progress | None = None) -> DelayedDemo | None:
    """Scan a virtual patient early and late, synthesise the late scans by the first model, and compare.

    Parameters
    ----------
    folder
        Of the demonstration; the scans go to `FOLDER` in it.
    seed
        Of the scans' noise.
    device
        "cpu" or "cuda".
    progress
        Told the share of the work done.

    Returns
    -------
    DelayedDemo or None
        None where no model comes with RadioDosimetry or what runs it is not installed.

    Raises
    ------
    OutputError
        The folder cannot be written.
    CancelledError
        The user cancelled.
    """
    models = demo_models()
    if not models:
        return None
    declared = declared_of(models[0])
    study = _study_of(declared)
    early_h = _middle_h(declared.early_range_s)
    hours = [_middle_h(one) for one in declared.target_ranges_s]
    report_progress(progress, 0.0, f"Scanning a virtual {study.nuclide} patient")
    low_mm, high_mm = declared.spacing_range_mm
    anatomy = parametric_anatomy(PATIENT_SEED, spacing_mm=(min(max(VOXEL_MM, low_mm), high_mm),) * 3)
    times = [early_h, *hours]
    scans = as_scanned(study, times, sample_activity(study, times, anatomy, PATIENT_SEED), seed)
    target = folder / FOLDER
    target.mkdir(exist_ok=True)
    paths = [target / f"acquired_{hour:g}h.nii.gz" for hour in times]
    with OutputTransaction() as transaction:
        for path, volume in zip((target / "ct.nii.gz", *paths), (anatomy.ct, *scans), strict=True):
            write_volume(volume, path, transaction)
        write_label_map(anatomy.labels, target / "labels.nii.gz", target / "labels.csv", transaction)
    request = SynthesisRequest(
        models[0], paths[0], early_h, tuple(hours), study.nuclide, ct=target / "ct.nii.gz",
        labels=target / "labels.nii.gz", label_names=target / "labels.csv",
        tracer=study.tracer if declared.tracer in TRACERS else None,
        administered_bq=study.administered_bq, device=device,
    )  # fmt: skip
    try:
        made, _ = synthesize_files(request, target, PartialProgress(progress, 0.3, 0.9))
    except InputError as error:
        return DelayedDemo(models[0].stem, early_h, study.nuclide, None, refusal=str(error))
    report_progress(progress, 0.9, "Comparing with the later scans")
    compared = _table(anatomy.labels, scans[0], early_h, dict(zip(hours, scans[1:], strict=True)), made.volumes, study)
    result = DelayedDemo(models[0].stem, early_h, study.nuclide, target, compared)
    _write(result, anatomy.ct, scans[1], made.volumes[0], hours[0], made.record)
    return result


def _study_of(declared: Declared) -> SampleStudy:
    """The tracer that the model was trained on, if virtual patients know it, else the Cu-64 antibody."""
    tracer = TRACERS.get(declared.tracer)
    return COPPER_PET if tracer is None else replace(COPPER_PET, tracer=tracer.name, nuclide=tracer.nuclide)


def _middle_h(range_s: tuple[float, float]) -> float:
    return round(sum(range_s) / 2.0 / SECONDS_PER_HOUR, 3)


def _table(
    labels: LabelMap,
    early: QuantitativeVolume,
    early_h: float,
    acquired: Mapping[float, QuantitativeVolume],
    made: Sequence[QuantitativeVolume],
    study: SampleStudy,
) -> tuple[RegionActivity, ...]:
    names = [name for name in labels.names.values() if name in SHOWN_REGIONS or name.startswith(LESION_PREFIX)]
    decay_per_s = Radionuclide(study.nuclide).decay_constant_per_s
    rows = []
    for (hour, scan), synthetic in zip(acquired.items(), made, strict=True):
        decayed = np.exp(-decay_per_s * (hour - early_h) * SECONDS_PER_HOUR)
        for name in names:
            mask = labels.mask(name)
            first, later, modelled = (_activity_mbq(volume, mask) for volume in (early, scan, synthetic))
            rows.append(
                RegionActivity(
                    name, hour, later, modelled, mean_error_percent(later, modelled),
                    mean_error_percent(later, first * float(decayed)),
                )
            )  # fmt: skip
    return tuple(rows)


def _activity_mbq(volume: QuantitativeVolume, mask_kji: np.ndarray) -> float:
    total = float(volume.array_kji[mask_kji].sum(dtype=np.float64))
    return total * volume.geometry.voxel_volume_ml / BECQUEREL_PER_MEGABECQUEREL


def _write(
    result: DelayedDemo,
    ct: QuantitativeVolume,
    acquired: QuantitativeVolume,
    synthetic: QuantitativeVolume,
    hour: float,
    record: Record,
) -> None:
    """Table, and both volumes of the first time on one scale."""
    from ..report import overlay_figure, save_figure

    assert result.folder is not None
    top = float(np.percentile(acquired.array_kji, 99.9))
    k, j, i = np.unravel_index(int(np.argmax(acquired.array_kji)), acquired.array_kji.shape)
    with OutputTransaction() as transaction:
        files = {"delayed_pet.csv": result.csv_text()}
        for name, text in files.items():
            transaction.write_text(result.folder / name, text)
        for name, volume in (("acquired", acquired), ("synthetic", synthetic)):
            figure = overlay_figure(
                volume, ct, title=f"{name}, {hour:g} h", voxel_kji=(int(k), int(j), int(i)), highest=top
            )
            save_figure(figure, result.folder / f"{name}_{hour:g}h.png", transaction)
            files[f"{name}_{hour:g}h.png"] = ""
        for name in files:
            said = {"quantity": record.operation, "unit": "as labelled", "time": None, **record.as_dict()}
            transaction.write_text(result.folder / f"{name}.json", to_json(said))

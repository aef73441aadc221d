"""How good models are on patients that they have not learned from: tables as the publications print them, and figures.

Patients are read, judged and let go one after the other, so that memory does not grow with their number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..images.atomic import OutputTransaction
from ..progress import PartialProgress, Progress, report_progress
from ..provenance import json_ready, to_json
from . import dblur_dose
from .comparators import REFERENCE_METHODS
from .contenders import NETWORK, Contender, calibration_on, combine_models, contenders, models_of, validation_folders
from .declared import require_nuclide
from .dose_model import DoseModel
from .figures import bland_altman_png
from .judge import EvaluationOptions, Judge, Tally
from .measures import EdgeMeasure, PatientMeasure, RegionMeasure
from .patients import DosePatient
from .tables import EDGE_COLUMNS, KIM_COLUMNS, LESION_COLUMNS, LI_COLUMNS, VOXEL_COLUMNS, Row, table_csv

if TYPE_CHECKING:
    from ..virtual_patients.dataset import Dataset

__all__ = [
    "NETWORK", "REFERENCE_METHODS", "DoseEvaluation", "EvaluationOptions", "combine_models", "evaluate_dose_model",
    "evaluate_on_patients",
]  # fmt: skip

SHIFT_COLUMNS = ("shift", *KIM_COLUMNS)
GAIN_COLUMNS = ("shift", "gain", "value", "low", "high", "patients", "seed_std")
NOISE_COLUMNS = ("region", "method", "patients", "noise_percent", "noise_std_percent")


@dataclass(frozen=True, eq=False)
class DoseEvaluation:
    """What judging models came to.

    Attributes
    ----------
    methods
        Names of the methods compared; the first model is `NETWORK`.
    base
        The method whose dose the networks correct.
    patients, regions, edges
        Errors of each method for every patient, region and kind of edge.
    coverage
        How the uncertainty that `NETWORK` states compares with its errors, None where it states none.
    model
        Name of the model.
    members
        Method to the names under which its networks are measured one by one.
    shifts
        Name of a shift to its table and gains.
    noise
        Noise over realisations of the scan, rows of `NOISE_COLUMNS`.
    monte_carlo
        Histories of the Monte Carlo of the scan and how sure it is; None if there was none.
    """

    methods: tuple[str, ...]
    base: str
    patients: tuple[PatientMeasure, ...]
    regions: tuple[RegionMeasure, ...]
    coverage: Mapping[str, Any] | None
    model: str
    edges: tuple[EdgeMeasure, ...] = ()
    members: Mapping[str, Sequence[str]] = field(default_factory=dict)
    shifts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    noise: tuple[Row, ...] = ()
    monte_carlo: Mapping[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """All numbers, JSON-ready: tables, errors per patient, and paired gains over the base."""
        tally = Tally(self.methods, self.members, list(self.patients), list(self.regions), list(self.edges))
        networks = [name for name in self.methods if name in self.members] or [NETWORK]
        return {
            "model": self.model,
            "base": self.base,
            "methods": list(self.methods),
            "members": {name: len(own) or 1 for name, own in self.members.items()},
            "patients": len({one.patient for one in self.patients}),
            **tally.tables(),
            "per_patient": [one.as_dict() for one in self.patients],
            "edges_per_patient": [one.as_dict() for one in self.edges],
            "gains_over_base": tally.gains(self.base, NETWORK),
            "gains_of_others": {name: tally.gains(self.base, name) for name in networks if name != NETWORK},
            "coverage": None if self.coverage is None else dict(self.coverage),
            "shifts": {name: dict(one) for name, one in self.shifts.items()},
            "ensemble_noise": list(self.noise),
            "monte_carlo_of_scan": None if self.monte_carlo is None else dict(self.monte_carlo),
        }

    def text(self) -> str:
        """What a terminal shows: organ errors of base and networks, what was gained, and the uncertainty stated."""
        numbers = self.as_dict()
        networks = [self.base, *(name for name in self.methods if name in self.members)]
        lines = [f"{self.model}: {numbers['patients']} patients, base {self.base}", "mean absolute error [%]:"]
        for row in numbers["kim_2022"]:
            if row["method"] in networks:
                interval = f"{row['mae_low_percent']:.2f} to {row['mae_high_percent']:.2f}"
                lines.append(f"  {row['region']:9} {row['method']:24} {row['mae_percent']:6.2f} ({interval})")
        lines.append("gains over the base, with 95 % intervals over patients:")
        for name, one in numbers["gains_over_base"].items():
            lines.append(f"  {name:58} {one['value']:8.4g} ({one['low']:.4g} to {one['high']:.4g})")
        if self.coverage is not None:
            lines.append("errors within one and two stated standard uncertainties (a normal law: 68 and 95 %):")
            for name in ("regions", "voxels"):
                one = self.coverage[name]
                held = f"{100 * one['within_1_sigma']:.0f} and {100 * one['within_2_sigma']:.0f} %"
                lines.append(f"  {name:9} {held} of {one['count']}")
        return "\n".join(lines) + "\n"


def evaluate_dose_model(
    model: Path | Sequence[Path],
    dataset: Dataset,
    output: Path,
    *,
    device: str = "cpu",
    progress: Progress | None = None,
    options: EvaluationOptions | None = None,
    beside: Mapping[str, Dataset] | None = None,
    validation: Dataset | None = None,
    combined: Path | None = None,
) -> DoseEvaluation:
    """Judge models on the patients of a dataset, none of which they have learned from.

    Parameters
    ----------
    model
        One or more of kind residual-unet-3d, or of kind dblurdosenet. Those that differ in their seed alone are judged
        as an ensemble and one by one.
    dataset
        Virtual patients with Monte Carlo doses; the caller leaves out those the models know.
    output
        Folder that receives `evaluation.json`, `table_*.csv`, `per_patient.csv`, error maps and profiles.
    device
        "cpu", "cuda" or "cuda:N".
    progress
        Told the share of the work done.
    options
        What else is judged.
    beside
        Name to further patients that stand beside the others as a shift, such as another anatomy.
    validation
        The data that the models were trained with: patients that validated all of them calibrate the uncertainty.
    combined
        Where the first ensemble is written as one model, with its calibration if there is one.

    Returns
    -------
    DoseEvaluation
        Its `as_dict` is what `evaluation.json` holds.

    Raises
    ------
    FileFormatError, InputError
        Models or dataset cannot be used, or a model does not hold for the nuclide or the voxels.
    OutputError, DeviceError, CancelledError
        As their names say.
    """
    options = options or EvaluationOptions()
    paths = [Path(model)] if isinstance(model, str | Path) else [Path(one) for one in model]
    judged = contenders(paths)
    if judged[0].models[0].kind != dblur_dose.KIND and (options.monte_carlo_histories or options.realisations):
        raise InputError(
            f"Monte Carlo and realisations of a scan belong to {dblur_dose.KIND}, which sees scans; leave them out."
        )
    for one in judged:
        for member in one.models:
            require_nuclide(member.card, dataset.nuclide, member.name)
    judge = Judge(judged, Path(output) / "base-doses", device, options)
    calibration = None
    if validation is not None:
        report_progress(progress, 0.0, "Calibration on patients of the validation")
        folders = validation_folders(validation, judged[0].models)
        patients = judge.stream(validation, folders, PartialProgress(progress, 0.0, 0.1))
        calibration = calibration_on(patients, judged[0], device)
    if combined is not None:
        combine_models(models_of(judged[0], paths), combined, calibration)
    more = options.shifts or beside or options.realisations
    part = PartialProgress(progress, 0.1, 0.5 if more else 0.98)
    judge.patients(judge.stream(dataset, dataset.patients), len(dataset.patients), calibration, part)
    judge.shifted(dataset, beside or {}, models_of(judged[0], paths), PartialProgress(progress, 0.5, 0.9))
    judge.noise_of_scans(dataset, PartialProgress(progress, 0.9, 0.98))
    evaluation = _result(judge, ", ".join(dict.fromkeys(path.stem for path in paths)))
    networks = [one.name for one in judged]
    judge.pictures["bland_altman.png"] = bland_altman_png(evaluation.regions, [judge.base, *networks])
    _write(evaluation, judge.pictures, Path(output))
    report_progress(progress, 1.0, "Evaluation done")
    return evaluation


def evaluate_on_patients(
    model: DoseModel, patients: Sequence[DosePatient], *, device: str = "cpu", progress: Progress | None = None
) -> tuple[DoseEvaluation, dict[str, bytes]]:
    """As `evaluate_dose_model`, for patients in memory; returns the figures by file name beside the numbers.

    Raises
    ------
    InputError
        There is no patient, or one has voxels the model was not trained on: its label cannot be resampled fairly.
    """
    if not patients:
        raise InputError("There is no patient to judge the model on; give a dataset with patients it has not seen.")
    judge = Judge((Contender(NETWORK, (model,)),), None, device, EvaluationOptions())
    judge.patients(patients, len(patients), None, progress)
    return _result(judge, model.name), judge.pictures


def _result(judge: Judge, model: str) -> DoseEvaluation:
    """All that was measured."""
    tally = judge.tally
    return DoseEvaluation(
        tally.methods, judge.base, tuple(tally.patients), tuple(tally.regions), judge.coverage, model,
        tuple(tally.edges), tally.members, judge.shifts, judge.noise, judge.monte_carlo,
    )  # fmt: skip


def _write(evaluation: DoseEvaluation, pictures: Mapping[str, bytes], output: Path) -> None:
    """All files of an evaluation, or none."""
    numbers = evaluation.as_dict()
    shifts = [{"shift": name, **row} for name, one in evaluation.shifts.items() for row in one["kim_2022"]]
    gains = [
        {"shift": shift, "gain": gain, **values}
        for shift, found in (
            ("none", numbers["gains_over_base"]),
            *((name, one["gains_over_base"]) for name, one in evaluation.shifts.items()),
        )
        for gain, values in found.items()
    ]
    texts = {
        "evaluation.json": to_json(json_ready(numbers)),
        "table_kim2022.csv": table_csv(numbers["kim_2022"], KIM_COLUMNS),
        "table_li2022.csv": table_csv(numbers["li_2022"], LI_COLUMNS),
        "table_edges.csv": table_csv(numbers["edges"], EDGE_COLUMNS),
        "table_lesions.csv": table_csv(numbers["lesions"], LESION_COLUMNS),
        "table_voxels.csv": table_csv(numbers["voxels"], VOXEL_COLUMNS),
        "gains.csv": table_csv(gains, GAIN_COLUMNS),
        "per_patient.csv": table_csv(numbers["per_patient"], tuple(PatientMeasure.__dataclass_fields__)),
    }
    if shifts:
        texts["table_shifts.csv"] = table_csv(shifts, SHIFT_COLUMNS)
    if evaluation.noise:
        texts["table_noise.csv"] = table_csv(numbers["ensemble_noise"], NOISE_COLUMNS)
    output.mkdir(parents=True, exist_ok=True)
    with OutputTransaction(*(output / name for name in (*texts, *pictures))) as transaction:
        for name, text in texts.items():
            transaction.write_text(output / name, text)
        for name, picture in pictures.items():
            transaction.path_for(output / name).write_bytes(picture)

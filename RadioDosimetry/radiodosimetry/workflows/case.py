"""A case folder: what `case.toml` describes, computed step by step, and only what has changed since the last run."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..learned_dose.shipped import LEARNED_METHODS
from ..progress import PartialProgress, Progress, report_progress
from .case_settings import RESULTS_FOLDER, Case, case_file_of, read_case
from .case_state import CaseState, key_of, one_run_at_a_time
from .case_steps import Step, curves_step, dose_step, fits_step, masses_step, organ_dose_step, tia_step
from .output_folder import output_folder

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class PlannedStep:
    """A step with all that decides whether it must run.

    Attributes
    ----------
    name
        "curves", "dose/monte-carlo", …: also its folder under `results`.
    title
        For people.
    work
        What it does.
    parameters
        Settings it depends on.
    inputs
        Roles of the input files it reads.
    before
        Steps whose files it reads.
    share
        Weight of its time in the progress.
    """

    name: str
    title: str
    work: Step
    parameters: Mapping[str, Any]
    inputs: tuple[str, ...]
    before: tuple[str, ...]
    share: float


@dataclass(frozen=True)
class CaseRun:
    """What a run did.

    Attributes
    ----------
    case
        The case.
    results
        Folder with the results.
    done, kept
        Names of the steps that were computed, and of those that were valid already.
    report
        The HTML file.
    """

    case: Case
    results: Path
    done: tuple[str, ...]
    kept: tuple[str, ...]
    report: Path

    def text(self) -> str:
        """Which steps ran and where the report is, for a terminal."""
        lines = [f"Case {self.case.name}: {self.case.nuclide}, {len(self.case.scans)} scans"]
        lines += [f"  {name}: computed" for name in self.done]
        lines += [f"  {name}: up to date" for name in self.kept]
        return "\n".join([*lines, f"Report: {self.report}"]) + "\n"


def run_case(path: Path, progress: Progress | None = None) -> CaseRun:
    """Compute what is missing or out of date of a case, and its report.

    A step runs if its settings, the content of its input files, the steps before it or the version of RadioDosimetry
    have changed since it finished, if its files are not as it left them, or if a step before it just ran. What was
    finished stays valid whatever happens later.

    Parameters
    ----------
    path
        Folder of the case, or its `case.toml`; results go to `results` beside it.
    progress
        Told the share of the work done.

    Returns
    -------
    CaseRun
        What was computed, what was kept, and the report.

    Raises
    ------
    InputError
        Settings or inputs cannot be used, another run holds the folder, or a newer version wrote it.
    FileFormatError
        A file is missing or cannot be read; the text names the case.
    OutputError
        Results cannot be written; finished steps stay.
    CancelledError
        The user cancelled; finished steps stay.
    """
    case = read_case(path)
    results = results_folder(path)
    with output_folder(results), one_run_at_a_time(results):
        state = CaseState.read(results)
        steps = planned_steps(case)
        keys = step_keys(case, steps, state)
        done: list[str] = []
        kept: list[str] = []
        whole = sum(step.share for step in steps)
        start = 0.0
        for step in steps:
            stop = start + step.share / whole
            if state.is_done(step.name, keys[step.name]) and not set(step.before) & set(done):
                kept.append(step.name)
            else:
                _run(step, case, results, state, keys[step.name], PartialProgress(progress, start, stop))
                done.append(step.name)
            start = stop
        report_progress(progress, 1.0, "Case done")
    return CaseRun(case, results, tuple(done), tuple(kept), results / "report" / "report.html")


def results_folder(path: Path) -> Path:
    """Where a case's results are."""
    return case_file_of(path).resolve().parent / RESULTS_FOLDER


def planned_steps(case: Case) -> list[PlannedStep]:
    """The steps of a case in their order."""
    from .report import report_step

    scans = tuple(role for role in case.input_files() if role.startswith(("scan", "labels")))
    names = ("label names",)
    organ_shape = case.tia_method == "organ-shape"
    shared = {"nuclide": case.nuclide}
    drawn = {"expressions": case.regions.expressions}
    images = {"images": case.images, "scans": [scan.hours for scan in case.scans]}
    images["frames_s"] = [scan.frame_duration_s for scan in case.scans]
    images["administered_on"] = case.study.administered_on
    administered = {"administered_mbq": case.administered_mbq}
    regions = {name: value for name, value in vars(case.regions).items() if not isinstance(value, Path)}
    steps = [
        PlannedStep(
            "masses", "Masses of the regions", masses_step, {**drawn, "clamp_hu": case.dose.clamp_hu},
            ("ct", "labels", *names), (), 1.0,
        ),
        PlannedStep(
            "curves", "Time-activity curves", curves_step, {**shared, **images, **administered, "regions": regions},
            (*scans, *names, "recovery coefficients"), (), 1.0,
        ),
        PlannedStep("fits", "Fits", fits_step, {**shared, **administered, "fit": case.fit}, (), ("curves",), 2.0),
        PlannedStep(
            "tia", "Time-integrated activity", tia_step,
            {**shared, **images, "tia": case.tia, **(drawn if organ_shape else {})},
            (*scans, *(names if organ_shape else ())), ("fits",) if organ_shape else (), 3.0,
        ),
    ]  # fmt: skip
    steps += [_dose(case, method) for method in case.dose.methods]
    if case.organ_dose.asked_for:
        asked = {**shared, **administered, "organ_dose": case.organ_dose}
        needed = ("masses", "fits")
        steps.append(PlannedStep("organ_dose", "Organ doses", organ_dose_step, asked, ("S-values",), needed, 1.0))
    everything = {name: value for name, value in vars(case).items() if name not in ("ct", "scans", "regions")}
    before = tuple(step.name for step in steps)
    steps.append(
        PlannedStep("report", "Report", report_step, everything, tuple(case.input_files()), before, 3.0)
    )
    return steps


def step_keys(case: Case, steps: list[PlannedStep], state: CaseState) -> dict[str, str]:
    """Name of each step to the hash of all it depends on."""
    files = case.input_files()
    keys: dict[str, str] = {}
    for step in steps:
        inputs = {role: state.hash_of(files[role]) for role in step.inputs if role in files}
        before = {name: keys[name] for name in step.before}
        keys[step.name] = key_of(step.name, _plain(step.parameters), inputs, before)
    return keys


def _dose(case: Case, method: str) -> PlannedStep:
    """The step of one method; settings that it does not use do not make it run again."""
    settings = case.dose
    used: dict[str, Any] = {"nuclide": case.nuclide, "expressions": case.regions.expressions}
    used |= {"body_mask": settings.body_mask, "clamp_hu": settings.clamp_hu, "radiobiology": case.radiobiology}
    inputs = ["ct", "labels", "label names"]
    if method == "monte-carlo":
        names = ("histories", "target_uncertainty_percent", "seed", "device")
        used |= {name: getattr(settings, name) for name in names}
    if method in LEARNED_METHODS:
        inputs.append(f"model of {method}")
        used["device"] = settings.device
    before: tuple[str, ...] = ("tia", "fits") if case.radiobiology else ("tia",)
    share = 30.0 if method == "monte-carlo" else 6.0
    return PlannedStep(
        f"dose/{method}", f"Dose by {method}", dose_step(method), used, tuple(inputs), before, share
    )


def _run(step: PlannedStep, case: Case, results: Path, state: CaseState, key: str, progress: Progress) -> None:
    """Run a step and note it as finished."""
    report_progress(progress, 0.0, step.title)
    _LOG.info("%s: %s", case.name, step.title)
    try:
        files = step.work(case, results, progress)
    except InputError as error:
        if f"'{case.name}'" in str(error):
            raise
        raise type(error)(f"Case '{case.name}', {step.title.lower()}: {error}") from error
    state.finish(step.name, key, files)


def _plain(value: Any) -> Any:
    """Settings as JSON-ready values; paths are left out, whose content counts instead."""
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, Path) else value

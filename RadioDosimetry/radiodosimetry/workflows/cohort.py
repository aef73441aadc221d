"""Many cases side by side: each runs as it would alone, one that fails stops no other, and a table at the end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import FileFormatError, InputError, RadioDosimetryError
from ..processors import core_count, limited_cores
from ..progress import Progress, report_progress
from .case import run_case
from .case_settings import RESULTS_FOLDER, case_file_of, read_case
from .cohort_tables import write_cohort
from .output_folder import output_folder

DONE, FAILED, NOT_RUN = "done", "failed", "not run"
"""States of a case at the end of a run: complete, ended by an error of its own, or never finished by the cluster."""


@dataclass(frozen=True)
class CaseOutcome:
    """What became of one case.

    Attributes
    ----------
    case
        Its name, unique in the cohort.
    path
        Its `case.toml`.
    state
        `DONE`, `FAILED` or `NOT_RUN`.
    message
        Why it is not done; empty if it is.
    computed, kept
        Numbers of steps that were computed, and that were valid already.
    seconds
        Time the run took.
    """

    case: str
    path: Path
    state: str
    message: str = ""
    computed: int = 0
    kept: int = 0
    seconds: float = 0.0

    @property
    def results(self) -> Path:
        """Folder of the case's results."""
        return self.path.parent / RESULTS_FOLDER


@dataclass(frozen=True)
class CohortResult:
    """All cases of a cohort, and where their tables are.

    Attributes
    ----------
    folder
        Folder of tables and figures.
    outcomes
        In the order the cases were given.
    files
        Names of the files in `folder`.
    """

    folder: Path
    outcomes: tuple[CaseOutcome, ...]
    files: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether every case is done."""
        return all(outcome.state == DONE for outcome in self.outcomes)

    def text(self) -> str:
        """One line per case and the list of files, for a terminal."""
        width = max(len(outcome.case) for outcome in self.outcomes)
        lines = []
        for outcome in self.outcomes:
            steps = f"{outcome.computed} steps computed, {outcome.kept} kept, {outcome.seconds:.0f} s"
            lines.append(f"{outcome.case:<{width}}  {outcome.state:<7}  {outcome.message or steps}")
        done = sum(outcome.state == DONE for outcome in self.outcomes)
        lines.append(f"{done} of {len(self.outcomes)} cases are done.")
        return "\n".join([*lines, f"In {self.folder}: {', '.join(self.files)}"]) + "\n"


def run_cohort(
    paths: Sequence[Path],
    output: Path,
    *,
    workers: int = 1,
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> CohortResult:
    """Run many cases, then write tables and figures of all of them.

    A case keeps its finished steps in its own folder, so a cohort that was stopped goes on where it was.

    Parameters
    ----------
    paths
        Case folders or their `case.toml`.
    output
        Folder for the cohort's tables and figures; made if it is absent.
    workers
        Processes on this machine, each with its share of the cores. More than one needs the extra `cluster`.
    scheduler
        Address of a running Dask scheduler, whose workers must see the case folders under the same paths; `workers`
        is ignored then.
    progress
        Told the share of cases done.

    Returns
    -------
    CohortResult
        What became of every case.

    Raises
    ------
    InputError
        There is no case, one is given twice, or the scheduler does not answer.
    MissingDependencyError
        The extra `cluster` is not installed.
    OutputError
        The cohort's folder cannot be written.
    CancelledError
        The user cancelled; finished steps of the cases stay.
    """
    cases = cohort_cases(paths)
    with output_folder(output):
        report_progress(progress, 0.0, "Starting the cohort")
        found: dict[Path, CaseOutcome] = {}
        for outcome in _outcomes(list(cases.values()), workers, scheduler, progress):
            found[outcome.path] = outcome
            report_progress(progress, len(found) / len(cases), f"{len(found)} of {len(cases)} cases")
        outcomes = tuple(replace(found[path], case=name) for name, path in cases.items())
        return CohortResult(output, outcomes, write_cohort(output, outcomes))


def cohort_cases(paths: Sequence[Path]) -> dict[str, Path]:
    """Unique name of each case to its `case.toml`: its own name, its path where two cases share one.

    Raises
    ------
    InputError
        There is no case, or one is given twice.
    """
    files = [_absolute_case_file(path) for path in paths]
    if not files:
        raise InputError("There is no case; give the case.toml of at least one.")
    twice = next((file for file in files if files.count(file) > 1), None)
    if twice is not None:
        raise InputError(f"The case {twice} is given twice; give each case once.")
    names = [_name_of(file) for file in files]
    return {
        name if names.count(name) == 1 else f"{name} ({file.parent})": file
        for name, file in zip(names, files, strict=True)
    }


def run_one_case(path: Path, cores: int | None = None) -> CaseOutcome:
    """Run a case and say how it went; no error of the case leaves this function.

    Parameters
    ----------
    path
        Its `case.toml`.
    cores
        Most cores to take; all of the process if None.
    """
    start = time.monotonic()
    try:
        with limited_cores(cores or core_count()):
            run = run_case(path)
    except RadioDosimetryError as error:
        return CaseOutcome("", path, FAILED, str(error), seconds=time.monotonic() - start)
    except MemoryError:
        message = "Not enough memory; run fewer cases at once or give a coarser grid."
        return CaseOutcome("", path, FAILED, message, seconds=time.monotonic() - start)
    except Exception as error:  # a defect of ours in one case must not stop the others
        message = f"Unexpected {type(error).__name__}: {error}"
        return CaseOutcome("", path, FAILED, message, seconds=time.monotonic() - start)
    return CaseOutcome("", path, DONE, "", len(run.done), len(run.kept), time.monotonic() - start)


def _outcomes(
    files: Sequence[Path], workers: int, scheduler: str | None, progress: Progress | None
) -> Iterator[CaseOutcome]:
    """Outcomes as cases finish: one after the other here, or from workers."""
    if scheduler is None and min(workers, len(files)) <= 1:
        yield from map(run_one_case, files)
        return
    from .cohort_cluster import outcomes_of_cluster

    yield from outcomes_of_cluster(files, min(workers, len(files)), scheduler, progress)


def _absolute_case_file(path: Path) -> Path:
    """The `case.toml`; a path that does not lead to one is kept, and fails as a case of its own."""
    try:
        return case_file_of(path).resolve()
    except FileFormatError:
        return Path(path).resolve()


def _name_of(file: Path) -> str:
    """Name of a case; that of its folder where the file cannot be read."""
    try:
        return read_case(file).name
    except RadioDosimetryError:
        return file.parent.name

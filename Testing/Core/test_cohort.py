"""Cohorts: cases beside each other, failures that stay their own, workers and schedulers that die."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from radiodosimetry.cli import main
from radiodosimetry.errors import CancelledError, InputError
from radiodosimetry.images.atomic import OutputTransaction
from radiodosimetry.images.regions import write_label_map
from radiodosimetry.images.writers import write_volume
from radiodosimetry.virtual_patients import centred_geometry, torso_patient, torso_scans
from radiodosimetry.workflows import cohort_cluster
from radiodosimetry.workflows.cohort import DONE, FAILED, NOT_RUN, cohort_cases, run_cohort

GEOMETRY = centred_geometry((20, 20, 26), (16.0, 12.0, 14.0))
HOURS = (4, 24, 96)

CASE = """name = "{name}"
nuclide = "Lu-177"
administered_mbq = 7400
ct = "ct.nii.gz"
[regions]
labels = "labels.nii.gz"
label_names = "labels.csv"
only = ["liver", "spleen"]
[dose]
methods = ["local"]
[report]
dicom = false
regions = ["liver", "spleen"]
"""


def write_case(folder: Path, seed: int) -> Path:
    """A virtual patient on a coarse grid as a case folder."""
    folder.mkdir()
    patient = torso_patient(GEOMETRY, seed)
    scans = torso_scans(HOURS, GEOMETRY, seed)
    with OutputTransaction() as transaction:
        write_volume(patient.ct, folder / "ct.nii.gz", transaction)
        write_label_map(patient.labels, folder / "labels.nii.gz", folder / "labels.csv", transaction)
        for hours, scan in zip(HOURS, scans, strict=True):
            write_volume(scan, folder / f"scan{hours}.nii.gz", transaction)
    scan_lines = "".join(f'[[scan]]\nimage = "scan{hours}.nii.gz"\nhours = {hours}\n' for hours in HOURS)
    (folder / "case.toml").write_text(CASE.format(name=folder.name) + scan_lines, encoding="utf-8")
    return folder / "case.toml"


@pytest.fixture
def cases(tmp_path: Path) -> list[Path]:
    return [write_case(tmp_path / f"patient{seed}", seed) for seed in range(2)]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_failing_case_stops_no_other_and_a_second_run_computes_nothing(cases: list[Path], tmp_path: Path) -> None:
    broken = write_case(tmp_path / "broken", 2)
    (broken.parent / "scan24.nii.gz").unlink()
    first = run_cohort([cases[0], broken, cases[1]], tmp_path / "out")
    assert [outcome.state for outcome in first.outcomes] == [DONE, FAILED, DONE]
    assert not first.complete
    assert "scan24.nii.gz" in first.outcomes[1].message
    table = rows(tmp_path / "out/cohort.csv")
    assert [row["case"] for row in table] == ["patient0", "broken", "patient1"]
    assert {row["case"] for row in rows(tmp_path / "out/region_doses.csv")} == {"patient0", "patient1"}
    record = json.loads((tmp_path / "out/cohort.csv.json").read_text(encoding="utf-8"))
    assert record["warnings"][0].startswith("broken: failed: ")
    again = run_cohort([cases[0], cases[1]], tmp_path / "out")
    assert [(outcome.computed, outcome.state) for outcome in again.outcomes] == [(0, DONE), (0, DONE)]


def test_the_tables_hold_what_the_cases_hold(cases: list[Path], tmp_path: Path) -> None:
    result = run_cohort(cases, tmp_path / "out")
    assert set(result.files) == {"cohort.csv", "region_doses.csv", "summary.csv", "region_doses.png"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {*result.files, *(f"{n}.json" for n in result.files)}
    own = [rows(case.parent / "results/dose/local/table.csv") for case in cases]
    together = rows(tmp_path / "out/region_doses.csv")
    assert [row["mean_gy"] for row in together] == [row["mean_gy"] for table in own for row in table]
    liver = next(row for row in rows(tmp_path / "out/summary.csv") if row["region"] == "liver")
    doses = [float(row["mean_gy"]) for table in own for row in table if row["region"] == "liver"]
    assert float(liver["mean_gy"]) == pytest.approx(sum(doses) / 2, rel=1e-5)
    assert float(liver["std_gy"]) == pytest.approx(abs(doses[0] - doses[1]) / 2**0.5, rel=1e-4)
    assert liver["cases"] == "2"


def test_cases_must_be_there_and_differ(cases: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no case; give"):
        run_cohort([], tmp_path / "out")
    with pytest.raises(InputError, match="is given twice; give each case once"):
        run_cohort([cases[0], cases[0].parent], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    for case in cases:
        case.write_text(case.read_text(encoding="utf-8").replace(case.parent.name, "same"), encoding="utf-8")
    assert list(cohort_cases(cases)) == [f"same ({case.parent})" for case in cases]


def test_a_cancelled_cohort_writes_no_table(cases: list[Path], tmp_path: Path) -> None:
    class Cancelling:
        def report(self, fraction: float, message: str) -> None:
            self.fraction = fraction

        def cancelled(self) -> bool:
            return getattr(self, "fraction", 0.0) >= 0.5

    with pytest.raises(CancelledError):
        run_cohort(cases, tmp_path / "out", progress=Cancelling())
    assert not (tmp_path / "out").exists()


def test_the_command_says_what_became_of_each_case(
    cases: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "nowhere/case.toml"
    words = ["cohort", "run", str(cases[0]), str(missing), "--output", str(tmp_path / "out"), "--json"]
    assert main(words) == 1
    printed = json.loads(capsys.readouterr().out)
    assert [case["state"] for case in printed["cases"]] == [DONE, FAILED]
    assert "does not exist" in printed["cases"][1]["message"]
    assert main(["cohort", "run", str(cases[0]), str(cases[0]), "--output", str(tmp_path / "out")]) == 2


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes], Callable[[], subprocess.Popen[bytes]]]]:
    """A Dask scheduler in a process of its own, and what starts a worker for it."""
    pytest.importorskip("distributed")
    started: list[subprocess.Popen[bytes]] = []

    def start(*words: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "distributed.cli." + words[0], *words[1:]]
        started.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        return started[-1]

    file = tmp_path / "scheduler.json"
    here = ("--host", "127.0.0.1", "--no-dashboard")
    process = start("dask_scheduler", "--port", "0", "--scheduler-file", str(file), *here)
    deadline = time.monotonic() + 60
    while not file.exists() and time.monotonic() < deadline:
        threading.Event().wait(0.1)
    address = json.loads(file.read_text(encoding="utf-8"))["address"]
    yield address, process, lambda: start("dask_worker", address, "--nthreads", "1", "--no-nanny", *here)
    for one in started:
        one.kill()
        one.wait()


def once_a_case_runs(cases: list[Path], act: Callable[[], None]) -> threading.Thread:
    """Do something as soon as a worker has begun a case."""

    def watch() -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not any((case.parent / "results").exists() for case in cases):
            threading.Event().wait(0.02)
        act()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def test_the_table_is_complete_although_a_worker_was_killed(cases: list[Path], tmp_path: Path, scheduler) -> None:
    address, _, start_worker = scheduler
    victim = start_worker()

    def replace_worker() -> None:
        os.kill(victim.pid, signal.SIGKILL)
        start_worker()

    killer = once_a_case_runs(cases, replace_worker)
    result = run_cohort(cases, tmp_path / "out", scheduler=address)
    killer.join()
    assert victim.poll() == -signal.SIGKILL
    assert result.complete
    assert [row["state"] for row in rows(tmp_path / "out/cohort.csv")] == [DONE, DONE]


def test_cases_of_a_lost_scheduler_are_not_run_and_go_on_next_time(
    cases: list[Path], tmp_path: Path, scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cohort_cluster, "SCHEDULER_GRACE_S", 2)
    address, process, start_worker = scheduler
    worker = start_worker()
    killer = once_a_case_runs(cases, process.kill)
    result = run_cohort(cases, tmp_path / "out", scheduler=address)
    killer.join()
    assert not result.complete
    assert {outcome.state for outcome in result.outcomes} <= {DONE, NOT_RUN}
    assert "the scheduler was lost; run the cohort again" in result.text()
    worker.kill()  # it would go on with its case for a while, and hold the folder
    worker.wait()
    assert run_cohort(cases, tmp_path / "out").complete


def test_a_scheduler_that_does_not_answer_is_said(cases: list[Path], tmp_path: Path, monkeypatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(cohort_cluster, "CONNECTION_TIMEOUT_S", 1)
    with pytest.raises(InputError, match=r"No Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        run_cohort(cases, tmp_path / "out", scheduler="tcp://127.0.0.1:9")
    assert not (tmp_path / "out").exists()

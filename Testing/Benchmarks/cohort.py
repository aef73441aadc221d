"""A cohort on one process, on several, and on several of which one is killed on the way.

    python Testing/Benchmarks/cohort.py FOLDER [--cases 12] [--workers 2] [--voxel-mm 4] [--only one|several|killed]

Makes virtual patients as cases in FOLDER (those that are there are kept), and runs all of them anew each time: one
process; as many as asked for, with the speed-up and how many cores were free meanwhile; and the same with a worker
process killed, by its own id, while it works on a case, of which the table must be complete in the end. Needs the
extra `cluster`. Run it where nothing else runs.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from reporting import machine

from radiodosimetry.images.atomic import OutputTransaction
from radiodosimetry.images.regions import write_label_map
from radiodosimetry.images.writers import write_volume
from radiodosimetry.processors import core_count
from radiodosimetry.virtual_patients.anatomy import parametric_anatomy
from radiodosimetry.virtual_patients.sample_patient import (
    FIELD_OF_VIEW_MM,
    LUTETIUM_SPECT,
    as_scanned,
    sample_activity,
    sample_labels,
)
from radiodosimetry.workflows.cohort import CohortResult, run_cohort

HOURS = (4, 24, 96)

CASE = """\
name = "patient {number}"
nuclide = "Lu-177"
administered_mbq = 7400
ct = "ct.nii.gz"
[regions]
labels = "labels.nii.gz"
label_names = "labels.csv"
calibration_std_percent = 5.0
[dose]
methods = ["multiple-vsv"]
[organ_dose]
phantom = "adult-male"
"""


def write_case(folder: Path, number: int, voxel_mm: float) -> Path:
    """A virtual patient as a case; kept if it is there."""
    file = folder / "case.toml"
    if file.exists():
        return folder
    shape = tuple(round(extent / voxel_mm) for extent in reversed(FIELD_OF_VIEW_MM))
    anatomy = parametric_anatomy(number, spacing_mm=(voxel_mm,) * 3, shape_kji=(shape[0], shape[1], shape[2]))
    scans = as_scanned(LUTETIUM_SPECT, HOURS, sample_activity(LUTETIUM_SPECT, HOURS, anatomy, number), number)
    folder.mkdir(parents=True, exist_ok=True)
    with OutputTransaction() as transaction:
        write_volume(anatomy.ct, folder / "ct.nii.gz", transaction)
        write_label_map(sample_labels(anatomy), folder / "labels.nii.gz", folder / "labels.csv", transaction)
        for hours, scan in zip(HOURS, scans, strict=True):
            write_volume(scan, folder / f"scan_{hours:03d}h.nii.gz", transaction)
        listed = [f'[[scan]]\nhours = {hours}\nimage = "scan_{hours:03d}h.nii.gz"\n' for hours in HOURS]
        transaction.write_text(file, CASE.format(number=number) + "".join(listed))
    return folder


def run(cases: list[Path], folder: Path, workers: int) -> tuple[CohortResult, float]:
    """All cases from nothing; the result and its seconds."""
    for case in cases:
        shutil.rmtree(case / "results", ignore_errors=True)
    start = time.perf_counter()
    result = run_cohort(cases, folder, workers=workers)
    return result, time.perf_counter() - start


def once_a_dose_is_computed(cases: list[Path], act: Callable[[], None]) -> threading.Thread:
    """Do something as soon as a worker writes the dose of a case."""

    def watch() -> None:
        while not any((case / "results" / "dose").exists() for case in cases):
            time.sleep(0.05)
        act()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def kill_a_worker(killed: list[int]) -> None:
    """Kill the process of Dask's that has worked most."""
    import psutil

    children = psutil.Process().children(recursive=True)
    workers = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
    victim = max(workers, key=lambda child: child.cpu_times().user)
    killed.append(victim.pid)
    os.kill(victim.pid, signal.SIGKILL)


def say(what: str, result: CohortResult, seconds: float) -> None:
    """One line of a run."""
    done = sum(outcome.state == "done" for outcome in result.outcomes)
    steps = sum(outcome.computed for outcome in result.outcomes)
    again = sum(outcome.kept for outcome in result.outcomes)
    print(f"{what:34} {seconds:7.1f} s, {done} of {len(result.outcomes)} done, {steps} steps computed, {again} kept")


def main() -> None:
    """Print everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--cases", type=int, default=12)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--voxel-mm", type=float, default=4.0)
    parser.add_argument("--only", choices=("one", "several", "killed"))
    asked = parser.parse_args()
    print(f"{machine()}, {core_count()} for this process, {asked.cases} cases of {asked.voxel_mm:g} mm voxels")
    cases = [write_case(asked.folder / f"patient_{n:02d}", n, asked.voxel_mm) for n in range(asked.cases)]
    seconds: dict[str, float] = {}
    for name, workers in (("one", 1), ("several", asked.workers), ("killed", asked.workers)):
        if asked.only not in (None, name):
            continue
        killed: list[int] = []
        with ExitStack() as stack:
            if name == "killed":
                for case in cases:
                    shutil.rmtree(case / "results", ignore_errors=True)
                stack.callback(once_a_dose_is_computed(cases, partial(kill_a_worker, killed)).join)
            result, seconds[name] = run(cases, asked.folder / f"cohort_{name}", workers)
        what = f"{workers} process{'es' if workers > 1 else ''}"
        say(f"{what}, worker {killed[0]} killed" if killed else what, result, seconds[name])
        if not result.complete:
            raise SystemExit(result.text())
    if {"one", "several"} <= set(seconds):
        print(f"{asked.workers} processes are {seconds['one'] / seconds['several']:.2f} times as fast as one")


if __name__ == "__main__":
    main()

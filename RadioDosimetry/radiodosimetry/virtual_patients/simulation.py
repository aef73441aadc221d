"""A data set of virtual patients, made patient by patient, side by side, and resumed where it was left.

A patient is written into a folder with a temporary name that is renamed when it is complete; then the manifest is
written anew. Whatever stops the work (Ctrl-C, a full disk, a crash), the folder holds whole patients and a manifest
that names them, and the same command goes on from there.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import secrets
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from pathlib import Path
from typing import Any

from ..__about__ import __version__
from ..errors import (
    CancelledError,
    FileFormatError,
    InputError,
    MissingDependencyError,
    OutputError,
    RadioDosimetryError,
    extra_advice,
)
from ..processors import core_count, limited_cores
from ..progress import PartialProgress, Progress, report_progress
from .dataset import MANIFEST, Dataset, PatientFolder, read_dataset, write_manifest
from .simulation_settings import SimulationSettings
from .tracers import TRACERS
from .virtual_patient import make_patient, patient_id

PARTIAL = ".partial-"
"""How folders and files begin that are not yet complete."""

ENTRY = "patient.json"
"""File in a patient's folder that holds its entry for the manifest."""

_POLL_S = 0.5


def simulate_dataset(
    settings: SimulationSettings,
    output: Path,
    *,
    workers: int = 1,
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """Simulate patients into a folder; patients that are there and whole are kept.

    Parameters
    ----------
    settings
        What to simulate.
    output
        Folder; made if it is absent. Only one run at a time may write to it.
    workers
        Processes side by side; ignored with a scheduler.
    scheduler
        Address of a Dask scheduler ("tcp://host:8786"); its workers must see `output` under the same path.
    progress
        Told the share of the patients done.

    Returns
    -------
    Dataset
        The folder, read. The same settings give the same bytes for any number of workers.

    Raises
    ------
    InputError
        The folder holds something else, or a data set of other settings or of more patients; or the settings cannot
        be used.
    OutputError
        The folder cannot be written or the disk is full; whole patients stay.
    MissingDependencyError
        PyTomography is not installed, or Dask for a scheduler.
    CancelledError
        The user cancelled; whole patients stay.
    """
    output = Path(output)
    if workers < 1:
        raise InputError(f"Found {workers} workers; expected at least one.")
    tracer = chosen_tracer(settings)
    identity = settings.identity(tracer)
    _require_own(output, identity, settings.patients)
    _prepare(output)
    entries = _whole_patients(output, settings.patients)
    missing = [number for number in range(1, settings.patients + 1) if number not in entries]

    def done(number: int, entry: dict[str, Any]) -> None:
        entries[number] = entry
        _write(output, settings, tracer, identity, entries)
        report_progress(progress, len(entries) / settings.patients, f"{patient_id(number)} is done")

    _write(output, settings, tracer, identity, entries)
    report_progress(progress, len(entries) / settings.patients, f"{len(entries)} of {settings.patients} patients found")
    try:
        if scheduler is not None:
            _run_on_cluster(settings, tracer, output, missing, scheduler, done, progress)
        elif min(workers, len(missing)) <= 1:
            for number in missing:
                share = PartialProgress(
                    progress, len(entries) / settings.patients, (len(entries) + 1) / settings.patients
                )
                done(number, _make_whole(settings, tracer, number, output, share))
        else:
            _run_in_processes(settings, tracer, output, missing, min(workers, len(missing)), done, progress)
    finally:
        _remove_partial(output)
    return read_dataset(output, verify=False)


def chosen_tracer(settings: SimulationSettings) -> str:
    """Name of the tracer: the one asked for, or the first of the nuclide.

    Raises
    ------
    InputError
        There is no such tracer, or it carries another nuclide.
    """
    fitting = [name for name, tracer in TRACERS.items() if str(tracer.nuclide) == settings.nuclide]
    if settings.tracer is None:
        if not fitting:
            known = ", ".join(f"{name} ({tracer.nuclide})" for name, tracer in TRACERS.items())
            raise InputError(f"There is no tracer with {settings.nuclide}; expected one of {known}.")
        return fitting[0]
    if settings.tracer not in TRACERS:
        raise InputError(f"There is no tracer '{settings.tracer}'; expected one of {', '.join(TRACERS)}.")
    if settings.tracer not in fitting:
        raise InputError(
            f"Tracer '{settings.tracer}' carries {TRACERS[settings.tracer].nuclide}, not {settings.nuclide}; "
            f"tracers with {settings.nuclide}: {', '.join(fitting) or 'none'}."
        )
    return settings.tracer


def _make_whole(
    settings: SimulationSettings, tracer: str, number: int, output: Path, progress: Progress | None = None
) -> dict[str, Any]:
    """Make a patient under a temporary name and give it its own when it is complete."""
    partial = output / f"{PARTIAL}{patient_id(number)}-{secrets.token_hex(4)}"
    final = output / patient_id(number)
    try:
        with _writing(partial):
            partial.mkdir()
        with _writing(final):
            entry = make_patient(settings, tracer, number, partial, progress)
            (partial / ENTRY).write_text(json.dumps(entry, indent=1), encoding="utf-8", newline="\n")
            if final.exists():
                shutil.rmtree(final)
            os.replace(partial, final)
        return entry
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _run_in_processes(
    settings: SimulationSettings,
    tracer: str,
    output: Path,
    numbers: list[int],
    workers: int,
    done: Callable[[int, dict[str, Any]], None],
    progress: Progress | None,
) -> None:
    """Make patients in processes of their own; stopping ends them at once."""
    before = set(multiprocessing.active_children())
    cores = max(1, core_count() // workers)
    # A process for each patient gives its memory back; with more tasks each, the pool may stand still for good once all
    # its workers have retired (python/cpython#115634).
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _quiet_worker, max_tasks_per_child=1)
    try:
        waiting = {pool.submit(_make_limited, settings, tracer, number, output, cores): number for number in numbers}
        _collect(waiting, done, progress)
        pool.shutdown()
    except BaseException as error:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in set(multiprocessing.active_children()) - before:
            process.terminate()
            process.join()
        if isinstance(error, BrokenProcessPool):
            raise OutputError(
                "A worker ended without a word, most likely for want of memory; patients that are complete were kept. "
                "Run again with fewer workers."
            ) from error
        raise


def _collect(
    waiting: dict[Future[dict[str, Any]], int],
    done: Callable[[int, dict[str, Any]], None],
    progress: Progress | None,
) -> None:
    """Take patients as they come, listening for a cancel in between."""
    while waiting:
        finished, _ = wait(waiting, timeout=_POLL_S, return_when=FIRST_COMPLETED)
        for future in finished:
            done(waiting.pop(future), future.result())
        if progress is not None and progress.cancelled():
            raise CancelledError("Cancelled by the user; patients that are complete were kept.")


def _quiet_worker() -> None:
    """Leave Ctrl-C to the parent, which ends its workers, and end with a parent that was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)


def _make_limited(settings: SimulationSettings, tracer: str, number: int, output: Path, cores: int) -> dict[str, Any]:
    with limited_cores(cores):
        return _make_whole(settings, tracer, number, output)


def _run_on_cluster(
    settings: SimulationSettings,
    tracer: str,
    output: Path,
    numbers: list[int],
    scheduler: str,
    done: Callable[[int, dict[str, Any]], None],
    progress: Progress | None,
) -> None:
    """Make patients on the workers of a Dask scheduler, which share the folder."""
    try:
        from distributed import Client, as_completed  # type: ignore[import-untyped]
    except ImportError as error:
        raise MissingDependencyError(f"A scheduler needs Dask ({error}); {extra_advice('cluster')}.") from error
    try:
        client = Client(scheduler, timeout="20s", set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise InputError(
            f"The Dask scheduler {scheduler} does not answer ({error}); give the address it printed, "
            "for example tcp://host:8786."
        ) from error
    futures: dict[Any, int] = {}
    try:
        futures = {
            client.submit(_make_limited, settings, tracer, number, output.resolve(), 1, pure=False): number
            for number in numbers
        }
        with client.as_current():
            for future in as_completed(list(futures)):
                done(futures[future], future.result())
                if progress is not None and progress.cancelled():
                    raise CancelledError("Cancelled by the user; patients that are complete were kept.")
    finally:
        client.cancel([future for future in futures if not future.done()])
        client.close()


def _require_own(output: Path, identity: dict[str, Any], patients: int) -> None:
    """Refuse a folder of something else, of other settings, or of more patients than asked for."""
    if not output.exists():
        return
    if not output.is_dir():
        raise InputError(f"{output} is a file; give a folder for the data set.")
    manifest_path = output / MANIFEST
    if not manifest_path.exists():
        strangers = [one.name for one in output.iterdir() if not one.name.startswith(PARTIAL)]
        if strangers:
            raise InputError(
                f"{output} holds {', '.join(sorted(strangers)[:3])} and no data set; give an empty or a new folder."
            )
        return
    try:
        manifest = json.loads(manifest_path.read_text(encoding="utf-8"))
        made, version = dict(manifest["simulation"]), str(manifest["version"])
        count = len(manifest["patients"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FileFormatError(f"{manifest_path} cannot be read ({error}); give another folder.") from error
    other = [name for name in identity if made.get(name) != identity[name]]
    if other or version != __version__:
        what = ", ".join(other) if other else f"version {version} instead of {__version__}"
        raise InputError(
            f"{output} holds a data set simulated with another {what}; give another folder, or the same settings."
        )
    if count > patients:
        raise InputError(f"{output} holds {count} patients, {patients} were asked for; ask for {count} or more.")


def _prepare(output: Path) -> None:
    with _writing(output):
        output.mkdir(parents=True, exist_ok=True)
        _remove_partial(output)


def _remove_partial(output: Path) -> None:
    """Remove what an earlier run left incomplete."""
    with contextlib.suppress(OSError):
        for one in output.glob(f"{PARTIAL}*"):
            if one.is_dir():
                shutil.rmtree(one, ignore_errors=True)
            else:
                one.unlink(missing_ok=True)


def _whole_patients(output: Path, patients: int) -> dict[int, dict[str, Any]]:
    """Entries of the patients that are complete and unchanged, by number."""
    found: dict[int, dict[str, Any]] = {}
    for number in range(1, patients + 1):
        path = output / patient_id(number) / ENTRY
        try:
            entry = json.loads(path.read_text(encoding="utf-8"))
            PatientFolder(entry["id"], entry["source"], output, entry).require_whole()
        except (OSError, ValueError, KeyError, TypeError, RadioDosimetryError):
            continue
        found[number] = entry
    return found


def _write(
    output: Path,
    settings: SimulationSettings,
    tracer: str,
    identity: dict[str, Any],
    entries: dict[int, dict[str, Any]],
) -> None:
    write_manifest(
        output,
        [entries[number] for number in sorted(entries)],
        seed=settings.seed,
        tracer=tracer,
        nuclide=settings.nuclide,
        requested_patients=settings.patients,
        simulation=identity,
    )


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn the system's complaints into ours."""
    try:
        yield
    except RadioDosimetryError:
        raise
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OutputError(
            f"Could not write {path}: {reason}; patients that are complete were kept. "
            "Free some space or choose another place."
        ) from error

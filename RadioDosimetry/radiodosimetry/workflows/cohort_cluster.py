"""Cases on the workers of a Dask cluster, one on this machine or one that runs already."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ..errors import CancelledError, InputError, MissingDependencyError, extra_advice
from ..processors import core_count
from ..progress import Progress
from .cohort import FAILED, NOT_RUN, CaseOutcome, run_one_case

POLL_S = 0.2
"""How often finished cases and a cancel are looked for."""

CONNECTION_TIMEOUT_S = 20
"""How long a scheduler may take to answer."""

SCHEDULER_GRACE_S = 30
"""How long a scheduler may be gone before its cases count as not run."""


def outcomes_of_cluster(
    files: Sequence[Path], workers: int, scheduler: str | None, progress: Progress | None
) -> Iterator[CaseOutcome]:
    """Run cases on workers and yield how each went, in the order they finish.

    A worker that dies is replaced, and its case starts again from its last finished step; Dask gives up a case that
    has taken several workers with it. Cases whose scheduler is lost are `NOT_RUN`.

    Parameters
    ----------
    files
        The cases' `case.toml`, absolute.
    workers
        Processes to start on this machine, if `scheduler` is None.
    scheduler
        Address of a running scheduler.
    progress
        Asked for a cancel.

    Raises
    ------
    InputError
        The scheduler does not answer.
    MissingDependencyError
        Dask is not installed.
    CancelledError
        The user cancelled.
    """
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise MissingDependencyError(
            f"Several cases at once need Dask, which is not installed: {extra_advice('cluster')}, or run one after "
            "the other with --workers 1."
        ) from error
    settings = {"distributed.comm.timeouts.connect": f"{SCHEDULER_GRACE_S}s", "distributed.worker.daemon": False}
    with ExitStack() as stack:
        stack.enter_context(dask.config.set(settings))
        cores = None
        cluster: Any = scheduler
        if scheduler is None:
            cores = max(core_count() // workers, 1)
            cluster = stack.enter_context(
                LocalCluster(
                    n_workers=workers, threads_per_worker=1, dashboard_address=None, silence_logs=logging.CRITICAL
                )
            )
        client = stack.enter_context(_client(Client, cluster))
        futures = {client.submit(run_one_case, file, cores, pure=False): file for file in files}
        try:
            yield from _finished(futures, client, progress)
        except (CancelledError, KeyboardInterrupt, GeneratorExit):
            client.cancel(list(futures))
            raise


def _client(make: Any, cluster: Any) -> Any:
    """Connect to a cluster."""
    try:
        return make(cluster, timeout=CONNECTION_TIMEOUT_S, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            f"No Dask scheduler answers at {cluster} ({type(error).__name__}); give the address that "
            "`dask scheduler` prints, such as tcp://host:8786."
        ) from error


def _finished(futures: dict[Any, Path], client: Any, progress: Progress | None) -> Iterator[CaseOutcome]:
    """Outcomes as futures finish."""
    waiting = dict(futures)
    lost_since: float | None = None
    while waiting:
        if progress is not None and progress.cancelled():
            raise CancelledError("Cancelled by the user; finished steps of the cases are kept.")
        for future in [future for future in waiting if future.status != "pending"]:
            yield _outcome(future, waiting.pop(future))
        lost_since = None if client.status == "running" else lost_since or time.monotonic()
        if lost_since is not None and time.monotonic() - lost_since > SCHEDULER_GRACE_S:
            yield from (_not_run(file) for file in waiting.values())
            return
        time.sleep(POLL_S)


def _outcome(future: Any, file: Path) -> CaseOutcome:
    """What a future that is no longer pending says of its case."""
    if future.status == "finished":
        outcome: CaseOutcome = future.result(timeout=CONNECTION_TIMEOUT_S)
        return outcome
    if future.status == "error":
        return CaseOutcome("", file, FAILED, _reason(future.exception(timeout=CONNECTION_TIMEOUT_S)))
    return _not_run(file)


def _reason(error: BaseException) -> str:
    """Why a worker could not run a case: errors of the case itself never come this way."""
    if type(error).__name__ == "KilledWorker":
        return "its workers died one after the other, most often for lack of memory: give them more"
    return f"a worker could not begin it ({type(error).__name__}: {error}); install the same version there"


def _not_run(file: Path) -> CaseOutcome:
    return CaseOutcome("", file, NOT_RUN, "the scheduler was lost; run the cohort again, finished steps are kept")

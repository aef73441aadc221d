"""Long work off the GUI thread: results, errors, progress, cancelling, one run at a time, and runs that are left."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed, and this is not Slicer")

from radiodosimetry.errors import CancelledError, InputError  # noqa: E402
from radiodosimetry.progress import report_progress  # noqa: E402
from RadioDosimetryLib.background import BackgroundRun  # noqa: E402

pytestmark = pytest.mark.usefixtures("scene")

LONGEST_S = 10.0
"""No run here takes a tenth of this; what takes longer hangs."""


class Told:
    """What a run told, and in which thread."""

    def __init__(self) -> None:
        self.ends: list[tuple[Any, BaseException | None]] = []
        self.news: list[tuple[float, str]] = []
        self.threads: set[int] = set()

    def finished(self, result: Any, error: BaseException | None) -> None:
        self.threads.add(threading.get_ident())
        self.ends.append((result, error))

    def progress(self, fraction: float, message: str) -> None:
        self.threads.add(threading.get_ident())
        self.news.append((fraction, message))


def _until_cancelled(progress: Any) -> None:
    while True:
        report_progress(progress, 0.5, "working")
        threading.Event().wait(0.002)


def test_a_result_is_told_once_in_the_thread_that_asked() -> None:
    run, told, threads = BackgroundRun(), Told(), []

    def work(progress: Any) -> int:
        threads.append(threading.get_ident())
        progress.report(2.0, "nearly")
        return 42

    run.start(work, told.finished, told.progress)
    assert run.isRunning
    assert run.wait(LONGEST_S)
    run.poll()
    assert told.ends == [(42, None)]
    assert told.news == [(1.0, "nearly")]
    assert told.threads == {threading.get_ident()}
    assert threads != [threading.get_ident()]
    assert not run.isRunning


def test_an_error_is_told_and_the_next_run_goes_well() -> None:
    run, told = BackgroundRun(), Told()

    def fail(progress: Any) -> None:
        raise InputError("no CT")

    run.start(fail, told.finished)
    assert run.wait(LONGEST_S)
    ((result, error),) = told.ends
    assert result is None
    assert str(error) == "no CT"
    run.start(lambda progress: "well", told.finished)
    assert run.wait(LONGEST_S)
    assert told.ends[1] == ("well", None)


def test_a_cancelled_run_ends_in_the_core_error_for_it() -> None:
    run, told = BackgroundRun(), Told()
    run.start(_until_cancelled, told.finished, told.progress)
    run.poll()
    run.cancel()
    assert run.wait(LONGEST_S)
    ((result, error),) = told.ends
    assert result is None
    assert isinstance(error, CancelledError)


def test_a_run_that_ends_before_it_hears_of_the_cancel_is_cancelled_all_the_same() -> None:
    run, told = BackgroundRun(), Told()
    run.start(lambda progress: "well", told.finished)
    run.cancel()
    assert run.wait(LONGEST_S)
    ((result, error),) = told.ends
    assert result is None
    assert isinstance(error, CancelledError)


def test_a_second_run_is_refused_while_one_is_under_way() -> None:
    run, told = BackgroundRun(), Told()
    run.start(_until_cancelled, told.finished)
    with pytest.raises(InputError, match="A computation is under way; wait for it or cancel it first"):
        run.start(lambda progress: 1, told.finished)
    run.cancel()
    assert run.wait(LONGEST_S)
    assert len(told.ends) == 1


def test_an_abandoned_run_tells_nobody_stops_and_does_not_disturb_the_next() -> None:
    run, told, stopped = BackgroundRun(), Told(), threading.Event()

    def work(progress: Any) -> None:
        try:
            _until_cancelled(progress)
        finally:
            stopped.set()

    run.start(work, told.finished, told.progress)
    run.abandon()
    assert not run.isRunning
    run.start(lambda progress: "next", told.finished)
    assert stopped.wait(LONGEST_S)
    assert run.wait(LONGEST_S)
    assert told.ends == [("next", None)]
    assert told.news == []


def test_waiting_gives_up_after_the_time_given() -> None:
    run, told = BackgroundRun(), Told()
    run.start(_until_cancelled, told.finished)
    begun = time.monotonic()
    assert not run.wait(0.05)
    assert time.monotonic() - begun < LONGEST_S
    run.abandon()


def test_a_next_run_may_be_started_by_the_end_of_one() -> None:
    run, told = BackgroundRun(), Told()

    def go_on(result: Any, error: BaseException | None) -> None:
        told.finished(result, error)
        run.start(lambda progress: "second", told.finished)

    run.start(lambda progress: "first", go_on)
    assert run.wait(LONGEST_S)
    assert [result for result, _ in told.ends] == ["first", "second"]


def test_the_timer_lives_on_and_rests_between_runs(application: Any) -> None:
    """A QTimer that is dropped in its own slot is destroyed while Qt still works on it."""
    qt = pytest.importorskip("qt", reason="there are no widgets here")
    from RadioDosimetryLib import background

    runs, told = [BackgroundRun(), BackgroundRun()], Told()
    timers = []

    def ended(result: Any, error: BaseException | None) -> None:
        timers.append(background._timer)
        told.finished(result, error)

    for run in runs:
        run.start(lambda progress: "well", ended)
    end = time.monotonic() + LONGEST_S
    while len(told.ends) < 2 and time.monotonic() < end:
        application.processEvents()
    assert told.ends == [("well", None)] * 2
    assert isinstance(background._timer, qt.QTimer)
    assert timers == [background._timer] * 2
    assert not background._timer.active
    runs[0].start(_until_cancelled, told.finished)
    assert background._timer.active
    runs[0].abandon()
    assert not background._timer.active

"""Long work off the GUI thread: it computes in a thread of its own, and the window hears of it by a timer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

POLL_INTERVAL_MS = 50
"""Time between two looks at the work [ms]."""

YIELD_S = 0.03
"""Time that each look leaves to the thread [s]: while Qt waits for events, Slicer's Python holds the interpreter's
lock, so that a thread of Python advances only while the main thread sleeps inside Python."""


class BackgroundRun:
    """One function at a time in a thread; the core's `Progress` for that function.

    The function must not touch the scene or any widget: convert nodes before, and results after.
    """

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._cancelled = False
        self._news: tuple[float, str] | None = None
        self._result: Any = None
        self._error: BaseException | None = None
        self._onFinished: Callable[[Any, BaseException | None], None] | None = None
        self._onProgress: Callable[[float, str], None] | None = None

    @property
    def isRunning(self) -> bool:
        """Whether a function was started whose end has not been told yet."""
        return self._thread is not None

    def start(
        self,
        function: Callable[[BackgroundRun], Any],
        onFinished: Callable[[Any, BaseException | None], None],
        onProgress: Callable[[float, str], None] | None = None,
    ) -> None:
        """Run a function in a thread.

        Parameters
        ----------
        function
            Called with this object as its `Progress`; what it returns is the result.
        onFinished
            Called on the GUI thread with (result, None), or (None, error); a cancelled run ends in `CancelledError`.
        onProgress
            Called on the GUI thread with the share done (0 to 1) and what is being done.

        Raises
        ------
        InputError
            A run is under way.
        """
        from radiodosimetry.errors import InputError

        if self.isRunning:
            raise InputError("A computation is under way; wait for it or cancel it first.")
        self._cancelled, self._news, self._result, self._error = False, None, None, None
        self._onFinished, self._onProgress = onFinished, onProgress
        self._thread = threading.Thread(target=self._work, args=(function,), name="RadioDosimetry", daemon=True)
        _beginToPoll(self)
        self._thread.start()

    def cancel(self) -> None:
        """Ask the function to stop; it does at its next report, and `onFinished` is told."""
        self._cancelled = True

    def abandon(self) -> None:
        """Cancel, and tell nobody: the scene or the panel is going away."""
        self.cancel()
        _endPolling(self)
        self._thread = self._onFinished = self._onProgress = None

    def wait(self, timeoutS: float | None = None) -> bool:
        """Wait for the end and tell it, for consoles and tests; False if `timeoutS` seconds were not enough."""
        end = None if timeoutS is None else time.monotonic() + timeoutS
        while self.isRunning:
            if end is not None and time.monotonic() > end:
                return False
            self.poll()
        return True

    def poll(self) -> None:
        """Tell what is new; the timer calls this."""
        thread = self._thread
        if thread is None:
            return
        thread.join(YIELD_S)
        ended = not thread.is_alive()
        with self._lock:
            news, self._news = self._news, None
        if news is not None and self._onProgress is not None:
            self._onProgress(*news)
        if ended and self._thread is thread:
            self._finish()

    def report(self, fraction: float, message: str) -> None:
        """The core's `Progress.report`, called in the thread."""
        with self._lock:
            self._news = (min(max(float(fraction), 0.0), 1.0), message)

    def cancelled(self) -> bool:
        """The core's `Progress.cancelled`, called in the thread."""
        return self._cancelled

    def _work(self, function: Callable[[BackgroundRun], Any]) -> None:
        try:
            result = function(_ProgressOfThread(self, threading.current_thread()))
            if self._isMine(threading.current_thread()):
                self._result = result
        except BaseException as error:
            if self._isMine(threading.current_thread()):
                self._error = error

    def _isMine(self, thread: threading.Thread) -> bool:
        return self._thread is thread

    def _finish(self) -> None:
        _endPolling(self)
        onFinished, result, error = self._onFinished, self._result, self._error
        self._thread = self._onFinished = self._onProgress = self._result = self._error = None
        if self._cancelled and error is None:  # the work ended before it looked
            from radiodosimetry.errors import CancelledError

            error = CancelledError("Cancelled by the user.")
        if onFinished is not None:
            onFinished(None if error is not None else result, error)


_running: list[BackgroundRun] = []
"""Runs that the timer polls."""

_timer: Any = None
"""One timer for all runs, made with the first: it outlives them, so that none is destroyed in its own slot or by a
thread that was the last to know of it."""


def _poll() -> None:
    for run in list(_running):
        run.poll()


def _beginToPoll(run: BackgroundRun) -> None:
    global _timer
    _running.append(run)
    if _timer is None:
        try:
            import qt
        except ImportError:  # a console without Qt: `wait` polls
            return
        _timer = qt.QTimer()
        _timer.setInterval(POLL_INTERVAL_MS)
        _timer.connect("timeout()", _poll)
    _timer.start()


def _endPolling(run: BackgroundRun) -> None:
    if run in _running:
        _running.remove(run)
    if not _running and _timer is not None:
        _timer.stop()


class _ProgressOfThread:
    """Progress of one thread: an abandoned one stays cancelled, also when another run has begun."""

    def __init__(self, run: BackgroundRun, thread: threading.Thread) -> None:
        self._run, self._thread = run, thread

    def report(self, fraction: float, message: str) -> None:
        if self._run._isMine(self._thread):
            self._run.report(fraction, message)

    def cancelled(self) -> bool:
        return self._run.cancelled() or not self._run._isMine(self._thread)

"""How long work reports its progress and learns that the user wants it to stop."""

from __future__ import annotations

from typing import Protocol

from .errors import CancelledError


class Progress(Protocol):
    """What long work talks to: a bar on a terminal, a dialog in Slicer, or nothing."""

    def report(self, fraction: float, message: str) -> None:
        """Say that `fraction` (0 to 1) of the work is done and what is being done now."""

    def cancelled(self) -> bool:
        """Whether the user asked to stop."""


class SilentProgress:
    """Progress that nobody watches."""

    def report(self, fraction: float, message: str) -> None:
        """Ignore the report."""

    def cancelled(self) -> bool:
        """Never cancelled."""
        return False


class TerminalProgress:
    """A tqdm bar on standard error; use as a context manager so that the bar is closed."""

    def __init__(self, description: str) -> None:
        from tqdm import tqdm

        self._bar = tqdm(
            total=100, desc=description, unit="%", leave=False, bar_format="{desc} {bar} {percentage:3.0f} %"
        )

    def report(self, fraction: float, message: str) -> None:
        """Move the bar to `fraction` and show the message."""
        self._bar.n = round(100 * min(max(fraction, 0.0), 1.0))
        self._bar.set_description_str(message)

    def cancelled(self) -> bool:
        """Never: a terminal cancels with Ctrl-C, which arrives as KeyboardInterrupt."""
        return False

    def __enter__(self) -> TerminalProgress:
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.close()


class PartialProgress:
    """A slice of another progress: a step that fills `start` to `stop` of the whole."""

    def __init__(self, whole: Progress | None, start: float, stop: float) -> None:
        self._whole, self._start, self._stop = whole, start, stop

    def report(self, fraction: float, message: str) -> None:
        """Report the fraction of this step as a fraction of the whole."""
        if self._whole is not None:
            self._whole.report(self._start + fraction * (self._stop - self._start), message)

    def cancelled(self) -> bool:
        """Whether the whole was cancelled."""
        return self._whole is not None and self._whole.cancelled()


def report_progress(progress: Progress | None, fraction: float, message: str) -> None:
    """Report to `progress` if somebody watches, and stop here if the user cancelled.

    Raises
    ------
    CancelledError
        `progress` says that the user asked to stop.
    """
    if progress is None:
        return
    if progress.cancelled():
        raise CancelledError(f"Cancelled by the user during: {message}.")
    progress.report(fraction, message)

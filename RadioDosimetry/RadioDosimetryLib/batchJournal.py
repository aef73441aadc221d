"""What a batch run says of itself: its messages on the streams and in a log, and the JSON summary at its end."""

from __future__ import annotations

import contextlib
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

STATUS_OF_CODE = {0: "done", 1: "failed", 2: "bad input", 130: "cancelled"}
"""Exit codes in words."""


class Journal:
    """Messages of a run: passed on to the streams, kept for the summary, and written into a log as they come.

    Inside `with`, standard output and standard error go through it. Paths of temporary files read as the names that
    the user gave (`renamed`).

    Parameters
    ----------
    log
        Path of a text file, or None. It is written line by line, so that it tells what happened before a kill.
    """

    def __init__(self, log: Path | None) -> None:
        self._started = time.time()
        self._log = log
        self._stream: Any = None
        self._exits = contextlib.ExitStack()
        self.renamed: dict[str, str] = {}
        self.lines: list[str] = []

    def __enter__(self) -> Journal:
        if self._log is not None:
            self._stream = self._exits.enter_context(self._log.open("w", encoding="utf-8", buffering=1))
        self._exits.enter_context(contextlib.redirect_stdout(_Pass(self, sys.stdout)))
        self._exits.enter_context(contextlib.redirect_stderr(_Pass(self, sys.stderr)))
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()
        self._stream = None

    def inUsersWords(self, text: str) -> str:
        """A text with the names that the user gave in the place of temporary paths."""
        for path, name in self.renamed.items():
            text = text.replace(path, name)
        return text

    def keep(self, line: str) -> None:
        """Take a finished line into the log; of a progress bar only its last state."""
        line = line.rsplit("\r", 1)[-1].rstrip()
        self.lines.append(line)
        if self._stream is not None:
            self._stream.write(line + "\n")

    def message(self) -> str | None:
        """The error that ended the run, None where there was none."""
        starts = ("radiodosimetry: ", "radiodosimetry ")
        errors = [line for line in self.lines if line.startswith(starts) and ": " in line]
        return errors[-1].partition(": ")[2] if errors else None

    def warnings(self) -> list[str]:
        """The warnings that were printed."""
        start = "WARNING: "
        return list(dict.fromkeys(line.removeprefix(start) for line in self.lines if line.startswith(start)))

    def duration_s(self) -> float:
        """Time since the start [s]."""
        return time.time() - self._started

    def started(self) -> str:
        """Start, ISO 8601 in UTC."""
        return datetime.fromtimestamp(self._started, UTC).isoformat(timespec="seconds")


def summaryOf(
    journal: Journal,
    code: int,
    words: Sequence[str],
    files: Mapping[str, Any],
    record: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """What a run read, made and warned of, as JSON-ready values.

    Parameters
    ----------
    journal
        Of the run.
    code
        Its exit code.
    words
        The command line without the options of the batch itself.
    files
        `command`, `inputs`, `outputs`, `scene`, `output_scene`, `nodes`, `warnings`.
    record
        Record of the first result, for version, seed and device; None without one.
    """
    from radiodosimetry import __version__

    record = record or {}
    isDone = code == 0
    return {
        "status": STATUS_OF_CODE.get(code, "failed"),
        "exit_code": code,
        "command": files.get("command"),
        "arguments": list(words),
        "message": None if isDone else journal.message(),
        "warnings": list(dict.fromkeys([*record.get("warnings", []), *journal.warnings(), *files.get("warnings", [])])),
        "inputs": files.get("inputs", []),
        "outputs": files.get("outputs", []) if isDone else [],
        "scene": files.get("scene"),
        "output_scene": files.get("output_scene") if isDone else None,
        "nodes": files.get("nodes", {}) if isDone else {},
        "version": __version__,
        "host": host(),
        "seed": record.get("seed"),
        "device": record.get("device"),
        "record": record or None,
        "started": journal.started(),
        "duration_s": round(journal.duration_s(), 3),
    }


def host() -> str:
    """What runs the batch: "3D Slicer 5.12.4", "slicer-core 5.12.4.0" or "Python 3.12.10"."""
    import importlib.metadata

    slicer = sys.modules.get("slicer")
    application = getattr(slicer, "app", None)
    if application is not None:
        return f"3D Slicer {getattr(application, 'applicationVersion', '')}".strip()
    if slicer is not None:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return f"slicer-core {importlib.metadata.version('slicer-core')}"
    return f"Python {platform.python_version()}"


class _Pass:
    """A stream that tells a journal what it passes on."""

    def __init__(self, journal: Journal, stream: Any) -> None:
        self._journal = journal
        self._stream = stream
        self._rest = ""

    def write(self, text: str) -> int:
        """Pass a text on."""
        said = self._journal.inUsersWords(text)
        if self._stream is not None:
            self._stream.write(said)
        *lines, self._rest = (self._rest + said).split("\n")
        for line in lines:
            self._journal.keep(line)
        return len(text)

    def flush(self) -> None:
        """Pass what is held back."""
        with contextlib.suppress(AttributeError):
            self._stream.flush()

    def isatty(self) -> bool:
        """Whether a person watches."""
        try:
            return bool(self._stream.isatty())
        except AttributeError:
            return False

    def fileno(self) -> int:
        """Number of the stream below."""
        return int(self._stream.fileno())

    @property
    def encoding(self) -> str:
        """Encoding of the stream below."""
        return getattr(self._stream, "encoding", None) or "utf-8"

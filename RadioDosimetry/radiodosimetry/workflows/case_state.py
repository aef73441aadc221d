"""What a case folder knows of its past: finished steps with the hash of all they depend on; and one run at a time."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from ..__about__ import __version__
from ..errors import FileFormatError, InputError, OutputError
from ..images.atomic import write_text_atomically
from ..provenance import file_identity, json_ready, to_json

STATE_FILE = "state.json"
LOCK_FILE = ".lock"
STATE_FORMAT = 1

_LOCKED_BYTE = 1 << 20
"""Where the lock lies in its file: beyond the text, which stays readable where locks forbid reading (Windows)."""


@dataclass(frozen=True)
class FinishedStep:
    """A step whose files are complete.

    Attributes
    ----------
    key
        Hash of everything the step depends on.
    files
        Its files, relative to the results folder, to their SHA-256.
    finished
        When, ISO 8601 in UTC.
    """

    key: str
    files: Mapping[str, str]
    finished: str


@dataclass
class CaseState:
    """Finished steps of a results folder, read from and kept in `state.json`.

    Attributes
    ----------
    folder
        The results folder.
    steps
        Name of each step ever finished there to what it left.
    """

    folder: Path
    steps: dict[str, FinishedStep] = field(default_factory=dict)
    _hashes: dict[Path, str] = field(default_factory=dict, repr=False)

    @classmethod
    def read(cls, folder: Path) -> CaseState:
        """The state of a results folder; empty where nothing was run yet.

        Raises
        ------
        InputError
            A newer version of RadioDosimetry wrote the folder.
        FileFormatError
            `state.json` cannot be read.
        """
        path = folder / STATE_FILE
        if not path.exists():
            return cls(folder)
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            _require_known(values, folder)
            steps = {
                name: FinishedStep(str(step["key"]), dict(step["files"]), str(step["finished"]))
                for name, step in values["steps"].items()
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            if isinstance(error, InputError):
                raise
            raise FileFormatError(
                f"{path} cannot be read ({type(error).__name__}: {error}); remove it, and every step is run again."
            ) from error
        return cls(folder, steps)

    def is_done(self, name: str, key: str) -> bool:
        """Whether a step was finished with this key and all its files are still as it left them."""
        step = self.steps.get(name)
        if step is None or step.key != key:
            return False
        files = {self.folder / file: sha256 for file, sha256 in step.files.items()}
        return all(file.is_file() and self.hash_of(file) == sha256 for file, sha256 in files.items())

    def finish(self, name: str, key: str, files: Sequence[Path]) -> None:
        """Note a step as finished, at once and for good.

        Raises
        ------
        OutputError
            `state.json` cannot be written; the step will run again.
        """
        for file in files:
            self._hashes.pop(file, None)
        hashes = {file.relative_to(self.folder).as_posix(): self.hash_of(file) for file in files}
        self.steps[name] = FinishedStep(key, hashes, datetime.now(UTC).isoformat(timespec="seconds"))
        values = {"format": STATE_FORMAT, "version": __version__, "steps": {n: vars(s) for n, s in self.steps.items()}}
        write_text_atomically(self.folder / STATE_FILE, to_json(values))

    def hash_of(self, path: Path) -> str:
        """SHA-256 of a file or folder, computed once per run."""
        if path not in self._hashes:
            self._hashes[path] = file_identity(path)["sha256"]
        return self._hashes[path]


def key_of(step: str, parameters: Mapping[str, Any], inputs: Mapping[str, str], before: Mapping[str, str]) -> str:
    """The hash of all a step depends on.

    Parameters
    ----------
    step
        Its name.
    parameters
        Its settings, JSON-ready values.
    inputs
        Role of each input file to its SHA-256.
    before
        Steps whose results it uses to their keys.

    Returns
    -------
    str
        SHA-256 in hexadecimal digits; the version of RadioDosimetry is in it.
    """
    values = {"version": __version__, "step": step, "parameters": parameters, "inputs": inputs, "before": before}
    text = json.dumps(json_ready(values), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


@contextlib.contextmanager
def one_run_at_a_time(folder: Path) -> Iterator[None]:
    """Hold a results folder for the block; the operating system lets go of it even where the process is killed.

    Raises
    ------
    InputError
        Another run holds the folder; the text says which.
    OutputError
        The folder takes no files.
    """
    path = folder / LOCK_FILE
    try:
        stream = path.open("a+", encoding="utf-8")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OutputError(f"Cannot write into {folder}: {reason}; give a folder that can be written.") from error
    with stream:
        if not _lock(stream):
            holder = _holder_of(path)
            raise InputError(f"Another run works on {folder} ({holder}); wait for it, or stop it.")
        stream.truncate(0)
        stream.write(f"process {os.getpid()} on {socket.gethostname()}")
        stream.flush()
        try:
            yield
        finally:
            stream.truncate(0)
            _unlock(stream)


def _require_known(values: Mapping[str, Any], folder: Path) -> None:
    """Refuse results of a newer version: they would be replaced by older ones."""
    version = str(values.get("version", "0"))
    if int(values.get("format", 0)) > STATE_FORMAT or _numbers(version) > _numbers(__version__):
        raise InputError(
            f"The results in {folder} were made by RadioDosimetry {version}, which is newer than this one "
            f"({__version__}); update RadioDosimetry, or remove the folder to compute anew."
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.split("+")[0])[:3])


def _holder_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip() or "process unknown"
    except OSError:
        return "process unknown"


def _lock(stream: IO[str]) -> bool:
    """Take the lock without waiting; whether that went well."""
    try:
        import fcntl
    except ImportError:
        return _lock_on_windows(stream, unlock=False)
    try:
        fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _unlock(stream: IO[str]) -> None:
    try:
        import fcntl
    except ImportError:
        _lock_on_windows(stream, unlock=True)
        return
    fcntl.flock(stream.fileno(), fcntl.LOCK_UN)


def _lock_on_windows(stream: IO[str], unlock: bool) -> bool:
    from importlib import import_module

    windows = import_module("msvcrt")
    position = os.lseek(stream.fileno(), _LOCKED_BYTE, os.SEEK_SET)
    try:
        windows.locking(stream.fileno(), windows.LK_UNLCK if unlock else windows.LK_NBLCK, 1)
    except OSError:
        return False
    finally:
        os.lseek(stream.fileno(), position - _LOCKED_BYTE, os.SEEK_SET)
    return True

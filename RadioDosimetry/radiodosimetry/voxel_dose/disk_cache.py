"""Arrays kept on disk between runs; a cache that is absent, full, read-only or damaged only costs time.

It keeps to a size: what was read longest ago goes first. Several processes may share it. Each entry appears and goes
whole, and one that another process has just taken away is made anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import sys
import time
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..provenance import json_ready

CACHE_VARIABLE = "RADIODOSIMETRY_CACHE"
"""Environment variable that moves the cache to another folder, or turns it off if it is set and empty."""

SIZE_VARIABLE = "RADIODOSIMETRY_CACHE_MIB"
"""Environment variable with the largest size of the cache [MiB], instead of `LARGEST_CACHE_BYTES`."""

LARGEST_CACHE_BYTES = 2 << 30
"""Size that the cache does not outgrow: room for thousands of kernels."""

ABANDONED_AFTER_S = 86400.0
"""A file still half-written after this time belongs to a process that died."""

_ENTRY = re.compile(r"[0-9a-f]{64}\.npz")
_HALF_WRITTEN = re.compile(r"\.[0-9a-f]{16}-[0-9a-f]{8}\.npz")


def cache_folder() -> Path | None:
    """Where the cache lies, None if it is turned off; the folder need not exist."""
    if CACHE_VARIABLE in os.environ:
        given = os.environ[CACHE_VARIABLE]
        return Path(given).expanduser() if given else None
    with contextlib.suppress(RuntimeError):
        return _platform_cache_folder() / "radiodosimetry"
    return None


def cache_key(identity: Mapping[str, Any]) -> str:
    """Name of a cache entry: hash of everything the entry depends on."""
    text = json.dumps(json_ready(identity), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def load_arrays(key: str) -> dict[str, NDArray[Any]] | None:
    """The arrays stored under `key`; None if there are none or they cannot be trusted."""
    folder = cache_folder()
    if folder is None:
        return None
    entry = folder / f"{key}.npz"
    try:
        with entry.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        digest = str(arrays.pop("digest"))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, MemoryError):
        return None
    if digest != _digest(arrays):
        return None
    with contextlib.suppress(OSError):
        os.utime(entry)  # the time of the last reading; what file systems keep of it themselves is often nothing
    return arrays


def largest_cache_bytes() -> int:
    """Size that the cache may have [bytes]: that of `SIZE_VARIABLE`, or `LARGEST_CACHE_BYTES` if it names none."""
    with contextlib.suppress(KeyError, ValueError, OverflowError):
        return max(int(float(os.environ[SIZE_VARIABLE]) * (1 << 20)), 0)
    return LARGEST_CACHE_BYTES


def store_arrays(key: str, arrays: Mapping[str, NDArray[Any]], largest_bytes: int | None = None) -> None:
    """Store arrays under `key`; whole or not at all, and silently not at all where the cache cannot be written.

    Parameters
    ----------
    key
        From `cache_key`.
    arrays
        By name.
    largest_bytes
        Size of the cache beyond which entries go, those read longest ago first; None takes `largest_cache_bytes`.
    """
    folder = cache_folder()
    if folder is None:
        return
    temporary = folder / f".{key[:16]}-{secrets.token_hex(4)}.npz"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stored: dict[str, Any] = {**arrays, "digest": np.array(_digest(arrays))}
        np.savez(temporary, **stored)
        os.replace(temporary, folder / f"{key}.npz")
        _shrink(folder, largest_cache_bytes() if largest_bytes is None else largest_bytes)
    except OSError:
        pass
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _shrink(folder: Path, largest_bytes: int) -> None:
    """Take away what dead processes left, then the entries read longest ago until the others fit."""
    entries = []
    with os.scandir(folder) as found:
        for file in found:
            with contextlib.suppress(OSError):  # another process took it away
                status = file.stat(follow_symlinks=False)
                if _ENTRY.fullmatch(file.name):
                    entries.append((status.st_mtime_ns, file.path, status.st_size))
                elif _HALF_WRITTEN.fullmatch(file.name) and time.time() - status.st_mtime > ABANDONED_AFTER_S:
                    os.unlink(file.path)
    surplus = sum(size for _, _, size in entries) - largest_bytes
    for _, path, size in sorted(entries):
        if surplus <= 0:
            break
        surplus -= size
        with contextlib.suppress(OSError):  # taken away already, or held open where that keeps a file
            os.unlink(path)


def _digest(arrays: Mapping[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _platform_cache_folder() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")

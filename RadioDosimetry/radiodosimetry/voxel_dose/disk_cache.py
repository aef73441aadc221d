"""Arrays kept on disk between runs; a cache that is absent, full, read-only or damaged only costs time."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import sys
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
    try:
        with (folder / f"{key}.npz").open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        digest = str(arrays.pop("digest"))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, MemoryError):
        return None
    return arrays if digest == _digest(arrays) else None


def store_arrays(key: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Store arrays under `key`; whole or not at all, and silently not at all where the cache cannot be written."""
    folder = cache_folder()
    if folder is None:
        return
    temporary = folder / f".{key[:16]}-{secrets.token_hex(4)}.npz"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stored: dict[str, Any] = {**arrays, "digest": np.array(_digest(arrays))}
        np.savez(temporary, **stored)
        os.replace(temporary, folder / f"{key}.npz")
    except OSError:
        pass
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


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

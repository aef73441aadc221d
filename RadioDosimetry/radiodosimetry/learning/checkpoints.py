"""Files of a run that are whole at any moment: also if the process is killed, or the disk full, while they change."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import secrets
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import FileFormatError, OutputError
from .torch_import import torch_module

_PARTIAL = ".partial-"


def replace_file(path: Path, content: bytes, kept: str = "the file that was there is unchanged") -> None:
    """Write a file under another name and put it in place in one step that a kill or a power cut cannot halve.

    Parameters
    ----------
    path
        Of the file.
    content
        All of it.
    kept
        What the error says of the file that was there.

    Raises
    ------
    OutputError
        It could not be written: the disk is full, …
    """
    temporary = path.with_name(f"{_PARTIAL}{secrets.token_hex(6)}{path.suffix}")
    try:
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OutputError(
            f"Could not write {path}: {reason}; {kept}. Free some space, then go on with --resume."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def remove_partial_files(folder: Path) -> None:
    """Remove what a killed run left half-written."""
    for path in folder.glob(f"{_PARTIAL}*"):
        with contextlib.suppress(OSError):
            path.unlink()


def write_checkpoint(path: Path, content: Mapping[str, Any], kept: str) -> None:
    """Put tensors, numbers, text, lists and dictionaries into a file, or leave the one that is there as it is.

    Raises
    ------
    OutputError
        It could not be written.
    """
    buffer = io.BytesIO()
    torch_module().save(dict(content), buffer)
    replace_file(path, buffer.getvalue(), kept)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What `write_checkpoint` wrote, on the CPU; no code of the file is run.

    Raises
    ------
    FileFormatError
        The file is missing, damaged, or not a checkpoint.
    """
    torch = torch_module()
    try:
        with warnings.catch_warnings():
            # What PyTorch thinks of a file that it did not write is said by the error below.
            warnings.simplefilter("ignore", UserWarning)
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise FileFormatError(f"The checkpoint {path} does not exist; train without --resume.") from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise FileFormatError(
            f"The checkpoint {path} is damaged or not one of a training; begin again in another folder."
        ) from error
    if not isinstance(content, dict):
        raise FileFormatError(f"The checkpoint {path} is not one of a training; begin again in another folder.")
    return content

"""The folder that a workflow writes into: made if it is absent, and taken away again if nothing came of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from ..errors import OutputError


@contextlib.contextmanager
def output_folder(folder: Path) -> Iterator[None]:
    """Make a folder and its parents for the block; if that fails, those that were made go again where they are empty.

    Raises
    ------
    OutputError
        The folder cannot be made.
    """
    made = [one for one in (folder, *folder.parents) if not one.exists()]
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise OutputError(
                f"Cannot make the folder {folder}: {reason}; give a folder that can be written."
            ) from error
        yield
    except BaseException:
        for one in made:
            with contextlib.suppress(OSError):
                one.rmdir()
        raise

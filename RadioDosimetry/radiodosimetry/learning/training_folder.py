"""The folder of a run: checkpoint, best weights, log, curve and configuration, written by the process that leads."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError, OutputError
from ..images.atomic import write_text_atomically
from .checkpoints import read_checkpoint, remove_partial_files, replace_file, write_checkpoint
from .training_log import Row, learning_curve_png, log_csv
from .training_state import Weights

CHECKPOINT, BEST, LOG, CONFIG, CURVE = "checkpoint.pt", "best.pt", "log.csv", "config.toml", "learning_curve.png"
"""Files of a run's folder."""

_SECONDS_BETWEEN_FIGURES = 20.0


class RunFolder:
    """Where a run keeps its files; each is whole at any moment.

    Parameters
    ----------
    path
        The folder.
    leads
        Whether this process writes; the others of a `torchrun` only read.
    """

    def __init__(self, path: Path, leads: bool) -> None:
        self.path = path
        self.checkpoint = path / CHECKPOINT
        self._leads = leads
        self._figure_drawn_at = -math.inf

    def found(self, resume: bool) -> dict[str, Any] | None:
        """What the checkpoint holds; None where there is none yet.

        Raises
        ------
        InputError
            There is one and `resume` is not set.
        FileFormatError
            It is damaged.
        """
        if not self.checkpoint.exists():
            return None
        if not resume:
            raise InputError(
                f"The folder {self.path} holds a training already; add --resume to go on with it, or give another."
            )
        return read_checkpoint(self.checkpoint)

    def prepare(self, configuration: str) -> None:
        """Make the folder, tidy up after a killed run, and keep the configuration.

        Raises
        ------
        OutputError
            It cannot be made.
        """
        if not self._leads:
            return
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise OutputError(f"Cannot make the folder {self.path}: {reason}; give one that can be written.") from error
        remove_partial_files(self.path)
        write_text_atomically(self.path / CONFIG, configuration)

    @property
    def kept(self) -> str:
        """For errors: what is left of the run."""
        return f"{self.checkpoint} is intact" if self.checkpoint.exists() else "there is no checkpoint yet"

    def save(self, content: Mapping[str, Any]) -> None:
        """Write the checkpoint: whole, or not at all.

        Raises
        ------
        OutputError
            It could not be written; so for the other files.
        """
        if self._leads:
            done = f"the checkpoint in {self.path} is intact" if self.checkpoint.exists() else "nothing was kept"
            write_checkpoint(self.checkpoint, content, done)

    def save_best(self, epoch: int, weights: Weights) -> None:
        """Write the weights of the best epoch, from 1."""
        if self._leads:
            write_checkpoint(self.path / BEST, {"epoch": epoch, "networks": weights}, f"{CHECKPOINT} is whole")

    def write_log(self, history: Sequence[Row]) -> None:
        """Write the rows of all epochs."""
        if self._leads:
            replace_file(self.path / LOG, log_csv(history).encode(), f"{CHECKPOINT} is whole")

    def draw(self, history: Sequence[Row], monitor: str, best_epoch: int | None, always: bool) -> None:
        """Draw the learning curve, not more often than every so many seconds unless `always`."""
        due = always or time.monotonic() - self._figure_drawn_at > _SECONDS_BETWEEN_FIGURES
        if due and self._leads and history:
            png = learning_curve_png(history, monitor, best_epoch)
            replace_file(self.path / CURVE, png, f"{CHECKPOINT} is whole")
            self._figure_drawn_at = time.monotonic()

"""The training loop: any learner, resumable in the middle of an epoch to the same bits as if it had never stopped."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CancelledError, InputError
from ..progress import Progress, report_progress
from ..provenance import to_json
from .averaging import WeightAverage, kept_state, reestimate_batch_statistics
from .configuration import config_text, nearest_names
from .devices import repeatable_kernels, torch_device, torch_seed, torch_threads
from .distributed import Processes, joined_processes
from .learners import Learner
from .samples import NETWORK, ORDER, STATISTICS, TRAINING, VALIDATION, SampleSource, batches, generator_for, shares
from .schedules import advance, schedules_of
from .torch_import import torch_module
from .training_errors import ShareDoneError, TrainingStoppedError
from .training_folder import RunFolder
from .training_log import Row
from .training_settings import TrainingSettings
from .training_state import (
    Advance,
    Weights,
    copied_weights,
    learner_content,
    random_state,
    require_same_run,
    restore_learner,
    set_random_state,
)
from .training_steps import Steps, add_values, require_finite

if TYPE_CHECKING:
    import torch

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """What a training came to.

    Attributes
    ----------
    weights
        Name of each network to its weights of the best epoch, on the CPU.
    best_epoch, best_value
        From 1; its value of `TrainingSettings.monitor`.
    history
        A row per epoch, as in the log.
    reason
        Why it ended: "all epochs", "no gain in N epochs" or "time limit"; the last can be resumed.
    run
        Folder of the run.
    """

    weights: Mapping[str, Mapping[str, torch.Tensor]]
    best_epoch: int
    best_value: float
    history: tuple[Row, ...]
    reason: str
    run: Path

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do; False after a time limit."""
        return self.reason != _TIME_LIMIT

    def as_dict(self) -> dict[str, Any]:
        """For cards: epochs, the best one and its row."""
        best = next((dict(row) for row in self.history if row["epoch"] == self.best_epoch), {})
        best.pop("seconds", None)
        return {"epochs": len(self.history), "best_epoch": self.best_epoch, "ended_by": self.reason, "best": best}


_TIME_LIMIT = "time limit"


def train(
    learner: Learner,
    training: SampleSource,
    validation: SampleSource | None,
    settings: TrainingSettings,
    run: Path,
    *,
    resume: bool = False,
    identity: Mapping[str, Any] | None = None,
    configuration: str | None = None,
    progress: Progress | None = None,
    time_limit_s: float | None = None,
) -> TrainingResult:
    """Train until the epochs are over, nothing is gained any more, or the time is up.

    On the CPU the same seed and number of threads give the same bits, whether or not the run was killed and resumed.
    The initial weights are the learner's: make its networks within `seeded_torch(settings.seed)`.

    Parameters
    ----------
    learner
        Networks and their step.
    training, validation
        Sources of samples; no patient of one may be in the other (`splits`). Without validation the monitored value is
        that of training.
    settings
        Of the loop.
    run
        Folder of the run, made if absent: `config.toml`, `log.csv`, `checkpoint.pt` (all that decides the next step),
        `best.pt` (weights of the best epoch), `learning_curve.png`.
    resume
        Go on from the folder's checkpoint; begin where there is none yet.
    identity
        What the run is of (hash of the data, patients of each side, settings of the network): JSON-ready values that a
        resumed run must share.
    configuration
        Text of `config.toml`; None writes `settings`.
    progress
        Reports steps and values; cancelling keeps a checkpoint of the moment.
    time_limit_s
        Stop with a checkpoint when so many seconds have passed since the call.

    Returns
    -------
    TrainingResult
        With the weights of the best epoch.

    Raises
    ------
    InputError
        The folder holds a run and `resume` is not set, the checkpoint is of another run, there are no samples, or the
        monitored value does not exist.
    TrainingStoppedError
        A value became NaN or infinite, or the learner gave up; the last checkpoint stays.
    ShareDoneError
        In all processes of a `torchrun` but the first.
    OutputError
        A file could not be written; the last checkpoint stays.
    DeviceError
        The memory of the device does not suffice, or there is no such device.
    CancelledError
        The user cancelled.
    """
    _check_sources(training, validation)
    device = torch_device(settings.device)
    torch = torch_module()
    with (
        torch.random.fork_rng(devices=range(torch.cuda.device_count())),
        torch_threads(settings.threads) as threads,
        repeatable_kernels(device),
        joined_processes(settings.device, settings.batch_size) as processes,
    ):
        folder = RunFolder(Path(run), processes.leads)
        loop = _Loop(learner, training, validation, settings, folder, processes, device, threads, identity or {})
        loop.prepare_folder(resume, configuration)
        processes.synchronise(learner.networks)
        with processes.gradients(learner.optimisers, settings.largest_gradient_norm):
            result = loop.until_done(progress, time_limit_s)
    if not processes.leads:
        raise ShareDoneError(f"Process {processes.rank} of {processes.count} has done its share of the training.")
    return result


def _check_sources(training: SampleSource, validation: SampleSource | None) -> None:
    for name, source in (("training", training), ("validation", validation)):
        if source is not None and len(source) == 0:
            raise InputError(f"There are no samples for {name}; give more patients or smaller windows.")


class _Loop:
    """A training on its way: what the checkpoint holds, and the work between two checkpoints."""

    def __init__(
        self,
        learner: Learner,
        training: SampleSource,
        validation: SampleSource | None,
        settings: TrainingSettings,
        folder: RunFolder,
        processes: Processes,
        device: torch.device,
        threads: int,
        identity: Mapping[str, Any],
    ) -> None:
        self._learner, self._training, self._validation = learner, training, validation
        self._settings, self._folder, self._processes, self._device = settings, folder, processes, device
        self._threads, self._identity = threads, json.loads(to_json(identity))
        self._steps = Steps(learner, settings, processes, device)
        self._schedulers = schedules_of(learner, settings)
        self._average = WeightAverage(learner.networks, settings.average_decay)
        self._now = Advance()

    # -- the story -----------------------------------------------------------------------------------------------

    def until_done(self, progress: Progress | None, time_limit_s: float | None) -> TrainingResult:
        """Epoch after epoch until there is a reason to stop."""
        deadline = None if time_limit_s is None else time.monotonic() + time_limit_s
        reason = self._reason_to_stop()
        while reason is None:
            try:
                over = self._train_epoch(progress, deadline)
                row_and_weights = self._judge(progress) if over else None
            except CancelledError:
                if self._processes.count == 1:
                    self._save()
                raise
            if row_and_weights is None:
                reason = _TIME_LIMIT
                break
            self._finish_epoch(*row_and_weights)
            reason = self._reason_to_stop()
            if reason is None and self._time_is_up(deadline):
                reason = _TIME_LIMIT
        now = self._now
        if now.best_epoch is None:
            raise TrainingStoppedError("The time limit passed before the first epoch was over; go on with --resume.")
        self._folder.draw(now.history, self._settings.monitor, now.best_epoch, always=True)
        rows = tuple(map(dict, now.history))
        return TrainingResult(dict(now.best_weights), now.best_epoch, now.best_value, rows, reason, self._folder.path)

    def _train_epoch(self, progress: Progress | None, deadline: float | None) -> bool:
        """The rest of the epoch under way; False if the time was up before its end."""
        now, settings = self._now, self._settings
        epoch = len(now.history)
        torch = torch_module()
        order = generator_for(settings.seed, ORDER, epoch).permutation(len(self._training)).tolist()
        cut = shares(order, settings.batch_size, self._processes.rank, self._processes.count)
        if now.step == 0:
            torch.manual_seed(torch_seed(settings.seed, NETWORK, epoch, self._processes.rank))
            now.sums, now.sample_count, now.seconds = {}, 0, 0.0
        self._steps.set_mode(training=True)
        rest = batches(
            self._training,
            cut[now.step :],
            settings.seed,
            TRAINING,
            epoch,
            settings.loader_workers,
            self._device,
        )
        began = time.monotonic() - now.seconds
        for share, batch in zip(cut[now.step :], rest, strict=True):
            self._report(progress, now.step / len(cut), f"step {now.step + 1} of {len(cut)}")
            self._processes.weight = share.weight
            values = self._checked(self._steps.train(batch), f"batch {now.step + 1}")
            self._average.add(self._learner.networks)
            add_values(now.sums, values, share.count)
            now.sample_count += share.count
            now.step += 1
            now.seconds = time.monotonic() - began
            if now.step == len(cut):
                break
            if self._processes.count == 1 and self._time_is_up(deadline):
                self._save()
                return False
            if settings.checkpoint_steps and now.step % settings.checkpoint_steps == 0:
                self._save()
        return True

    def _judge(self, progress: Progress | None) -> tuple[dict[str, float], Weights]:
        """The row of the epoch that is over, and the weights that it judges, which may be averaged."""
        means = self._steps.means(self._now.sums, self._now.sample_count)
        row = {f"train_{name}": value for name, value in means.items()}
        networks = self._learner.networks
        others = self._settings.average_decay or self._settings.statistics_batches
        with kept_state(networks) if others else contextlib.nullcontext():
            self._average.put_into(networks)
            self._reestimate_statistics(progress)
            self._processes.share_buffers(networks)
            if self._validation is not None:
                row |= self._validation_row(self._validation, progress)
            return row, copied_weights(self._learner)

    def _reestimate_statistics(self, progress: Progress | None) -> None:
        """Batch statistics of the weights about to be judged, over training samples of an epoch that never trains."""
        settings, count, seed = self._settings, self._settings.statistics_batches, self._settings.seed
        if not count:
            return
        torch, epoch, rank = torch_module(), len(self._now.history), self._processes.rank
        order = generator_for(seed, STATISTICS, epoch)
        indices = order.integers(len(self._training), size=count * settings.batch_size).tolist()
        cut = shares(indices, settings.batch_size, rank, self._processes.count)
        self._steps.set_mode(training=False)
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            torch.manual_seed(torch_seed(seed, STATISTICS, epoch, rank))
            source = batches(self._training, cut, seed, STATISTICS, epoch, settings.loader_workers, self._device)

            def forward(batch: Any) -> None:
                self._report(progress, 1.0, "batch statistics")
                self._steps.validate(batch)

            reestimate_batch_statistics(self._learner.networks, forward, source)

    def _validation_row(self, validation: SampleSource, progress: Progress | None) -> dict[str, float]:
        """Means of validation without any variation."""
        self._steps.set_mode(training=False)
        settings, sums, count = self._settings, dict[str, float](), 0
        cut = shares(range(len(validation)), settings.batch_size, self._processes.rank, self._processes.count)
        source = batches(validation, cut, settings.seed, VALIDATION, 0, settings.loader_workers, self._device)
        with torch_module().no_grad():
            for number, (share, batch) in enumerate(zip(cut, source, strict=True), start=1):
                self._report(progress, 1.0, f"validation {number} of {len(cut)}")
                values = self._checked(self._steps.validate(batch), f"validation batch {number}")
                add_values(sums, values, share.count)
                count += share.count
        return {f"validation_{name}": value for name, value in self._steps.means(sums, count).items()}

    def _finish_epoch(self, row: dict[str, float], weights: Weights) -> None:
        """Enter the epoch into the log, keep its weights if they are the best, and write the checkpoint."""
        now = self._now
        epoch = len(now.history) + 1
        side = "train" if self._validation is None else "validation"
        monitored = row.get(f"{side}_{self._settings.monitor}")
        if monitored is None:
            known = [name.removeprefix(f"{side}_") for name in row if name.startswith(side)]
            raise InputError(
                f"There is no value '{self._settings.monitor}' to monitor; "
                f"{nearest_names(self._settings.monitor, known)}"
            )
        rate = next(iter(self._learner.optimisers.values())).param_groups[0]["lr"]
        now.history.append({"epoch": float(epoch), "learning_rate": float(rate), "seconds": now.seconds} | row)
        if monitored < now.best_value - self._settings.smallest_gain * _size(now.best_value):
            now.best_epoch, now.best_value = epoch, monitored
            now.best_weights = weights
        advance(self._schedulers, self._settings.schedule, monitored)
        now.step = 0
        self._save()
        if now.best_epoch == epoch:
            self._folder.save_best(epoch, now.best_weights)
        self._folder.write_log(now.history)
        self._folder.draw(now.history, self._settings.monitor, now.best_epoch, always=False)

    def _reason_to_stop(self) -> str | None:
        if self._settings.patience and self._now.best_epoch is not None:
            without_gain = len(self._now.history) - self._now.best_epoch
            if without_gain >= self._settings.patience:
                return f"no gain in {without_gain} epochs"
        return "all epochs" if len(self._now.history) >= self._settings.epochs else None

    # -- on the way ----------------------------------------------------------------------------------------------

    def _checked(self, values: Mapping[str, float], where: str) -> Mapping[str, float]:
        where = f"epoch {len(self._now.history) + 1}, {where}"
        return require_finite(values, where, self._folder, self._settings.learning_rate)

    def _report(self, progress: Progress | None, done: float, what: str) -> None:
        """Say how far the training is."""
        if not self._processes.leads:
            return
        now, epochs, name = self._now, self._settings.epochs, self._settings.monitor
        epoch = len(now.history) + 1
        message = f"Epoch {epoch} of {epochs}, {what}"
        if now.sample_count and name in now.sums:
            message += f", {name} {now.sums[name] / now.sample_count:.4g}"
        if now.best_epoch is not None:
            message += f", best {now.best_value:.4g} in epoch {now.best_epoch}"
        try:
            report_progress(progress, min((epoch - 1 + done) / epochs, 1.0), message)
        except CancelledError as error:
            raise CancelledError(f"{error} The run can go on from its checkpoint with --resume.") from error

    def _time_is_up(self, deadline: float | None) -> bool:
        if deadline is None:
            return False
        # The first process's clock counts, so that all stop together.
        return bool(self._processes.gather(time.monotonic() >= deadline)[0])

    # -- files ---------------------------------------------------------------------------------------------------

    def prepare_folder(self, resume: bool, configuration: str | None) -> None:
        """Make the folder of the run, or go on from its checkpoint.

        Raises
        ------
        InputError
            It holds a run and `resume` is not set, or the checkpoint is of another run.
        OutputError
            It cannot be made.
        """
        content = self._folder.found(resume)
        if content is not None:
            self._go_on_from(content)
        self._folder.prepare(configuration or config_text(self._settings))

    def _save(self) -> None:
        """Write the checkpoint: whole, or not at all."""
        states = self._processes.gather(random_state(self._device))
        if not self._processes.leads:
            return
        content = self._now.as_content() | {
            "settings": dataclasses.asdict(self._settings),
            "identity": self._identity,
            "threads": self._threads,
            "processes": self._processes.count,
            "random": states,
            "average": self._average.as_content(),
        }
        content |= learner_content(self._learner, self._schedulers)
        self._folder.save(content)

    def _go_on_from(self, content: Mapping[str, Any]) -> None:
        """Take everything from a checkpoint of this run."""
        path = self._folder.checkpoint
        require_same_run(content, self._settings, self._identity, path)
        restore_learner(self._learner, self._schedulers, content, path)
        self._average.restore(content["average"])
        self._now = Advance.from_content(content)
        if len(content["random"]) == self._processes.count:
            set_random_state(content["random"][self._processes.rank], self._device)
        for name, found in (("threads", self._threads), ("processes", self._processes.count)):
            if found != content[name]:
                _LOG.warning("Resumed with %d %s, before %d: the last bits may differ.", found, name, content[name])


def _size(value: float) -> float:
    return abs(value) if math.isfinite(value) else 0.0

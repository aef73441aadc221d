"""The training loop: same seed, same bits; kills, full disks and wrong folders leave the last checkpoint whole."""

from __future__ import annotations

import csv
import dataclasses
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from toy_training import SETTINGS, NoisySamples, losses, toy_learner, toy_network, toy_training  # noqa: E402

from radiodosimetry.errors import (  # noqa: E402
    CancelledError,
    DeviceError,
    FileFormatError,
    InputError,
    OutputError,
)
from radiodosimetry.learning.checkpoints import read_checkpoint, replace_file  # noqa: E402
from radiodosimetry.learning.devices import seeded_torch, torch_device, torch_threads  # noqa: E402
from radiodosimetry.learning.learners import SupervisedLearner  # noqa: E402
from radiodosimetry.learning.precision import autocast  # noqa: E402
from radiodosimetry.learning.samples import generator_for, shares  # noqa: E402
from radiodosimetry.learning.training import train  # noqa: E402
from radiodosimetry.learning.training_errors import TrainingStoppedError  # noqa: E402
from radiodosimetry.learning.training_log import learning_curve_png, log_csv  # noqa: E402
from radiodosimetry.learning.training_settings import TrainingSettings  # noqa: E402

_PROGRAM = Path(__file__).with_name("toy_training.py")


def same_bits(one, other) -> bool:
    """Whether two trainings kept the same weights of the same epoch and ended with the same networks."""
    return one.best_epoch == other.best_epoch and all(
        torch.equal(value, other.weights[name][key])
        for name, state in one.weights.items()
        for key, value in state.items()
    )


def last_weights(run: Path) -> dict[str, torch.Tensor]:
    return read_checkpoint(run / "checkpoint.pt")["networks"]["network"]


def run_program(run: Path, *words: str) -> int:
    return subprocess.run([sys.executable, str(_PROGRAM), str(run), *words], check=False, timeout=120).returncode


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory):
    return toy_training(tmp_path_factory.mktemp("toy") / "run")


class Watcher:
    """Progress that notes what is said and cancels after so many reports."""

    def __init__(self, reports: float = np.inf) -> None:
        self.messages: list[str] = []
        self.fractions: list[float] = []
        self._reports = reports

    def report(self, fraction: float, message: str) -> None:
        self.fractions.append(fraction)
        self.messages.append(message)

    def cancelled(self) -> bool:
        return len(self.messages) >= self._reports


# -- same seed, same bits ------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_weights(uninterrupted, tmp_path) -> None:
    assert same_bits(toy_training(tmp_path / "again"), uninterrupted)


def test_another_seed_gives_other_weights(uninterrupted, tmp_path) -> None:
    assert not same_bits(toy_training(tmp_path / "run", dataclasses.replace(SETTINGS, seed=6)), uninterrupted)


def test_samples_prepared_by_other_processes_change_nothing(uninterrupted, tmp_path) -> None:
    assert same_bits(toy_training(tmp_path / "run", dataclasses.replace(SETTINGS, loader_workers=2)), uninterrupted)


def test_a_training_leaves_the_random_numbers_and_threads_of_its_caller_alone(tmp_path) -> None:
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    toy_training(tmp_path / "run", dataclasses.replace(SETTINGS, epochs=1))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_network_learns_what_it_can_learn(tmp_path) -> None:
    settings = dataclasses.replace(SETTINGS, epochs=60, learning_rate=0.03)
    result = toy_training(tmp_path / "run", settings, toy_learner(settings, normalised=False))
    first, last = result.history[0]["validation_loss"], result.best_value
    assert last < 0.1 * first


@pytest.mark.parametrize("moment", [("--kill-at-step", "6"), ("--kill-at-replace", "4")])
def test_a_killed_run_resumes_to_the_bits_of_one_that_was_not(uninterrupted, tmp_path, moment) -> None:
    # Step 6 lies in the middle of the second of three epochs of four steps; the fourth file is that epoch's checkpoint.
    run = tmp_path / "run"
    assert run_program(run, *moment) == -signal.SIGKILL
    assert len(read_checkpoint(run / "checkpoint.pt")["advance"]["history"]) == 1
    assert same_bits(toy_training(run, resume=True), uninterrupted)
    for name, value in last_weights(uninterrupted.run).items():
        assert torch.equal(last_weights(run)[name], value), name
    assert not list(run.glob(".partial-*"))


def test_a_run_interrupted_after_every_step_resumes_to_the_same_bits(uninterrupted, tmp_path) -> None:
    run, calls = tmp_path / "run", 0
    while True:
        calls += 1
        try:
            result = toy_training(run, resume=True, time_limit_s=0.0)
        except TrainingStoppedError:
            assert calls < 4  # the first epoch is not over
            continue
        if result.finished:
            break
        assert result.reason == "time limit"
    assert calls == 12  # three epochs of four steps
    assert same_bits(result, uninterrupted)


def test_checkpoints_within_an_epoch_change_nothing(uninterrupted, tmp_path) -> None:
    assert same_bits(toy_training(tmp_path / "run", dataclasses.replace(SETTINGS, checkpoint_steps=1)), uninterrupted)


@pytest.mark.parametrize("reports", [1, 3, 5, 8])
def test_a_cancelled_run_keeps_a_checkpoint_and_resumes_to_the_same_bits(uninterrupted, tmp_path, reports) -> None:
    with pytest.raises(CancelledError, match="go on from its checkpoint with --resume"):
        toy_training(tmp_path / "run", progress=Watcher(reports))
    assert same_bits(toy_training(tmp_path / "run", resume=True), uninterrupted)


def test_a_finished_run_resumes_to_its_result_without_a_step(uninterrupted) -> None:
    watcher = Watcher()
    again = toy_training(uninterrupted.run, resume=True, progress=watcher)
    assert same_bits(again, uninterrupted)
    assert again.history == uninterrupted.history
    assert watcher.messages == []


def test_a_finished_run_goes_on_when_more_epochs_are_asked_for(tmp_path) -> None:
    toy_training(tmp_path / "run", dataclasses.replace(SETTINGS, epochs=1))
    longer = toy_training(tmp_path / "run", resume=True)
    assert same_bits(longer, toy_training(tmp_path / "at_once"))


# -- stopping ------------------------------------------------------------------------------------------------------


def test_a_training_without_gain_stops_early_and_keeps_its_best_weights(tmp_path) -> None:
    settings = dataclasses.replace(SETTINGS, epochs=50, patience=2, smallest_gain=0.9)
    result = toy_training(tmp_path / "run", settings)
    assert result.reason == "no gain in 2 epochs"
    assert len(result.history) == result.best_epoch + 2
    kept = torch.load(tmp_path / "run" / "best.pt", weights_only=True)
    assert kept["epoch"] == result.best_epoch
    assert torch.equal(kept["networks"]["network"]["0.weight"], result.weights["network"]["0.weight"])


def test_a_loss_that_is_not_a_number_stops_with_its_place_and_keeps_the_checkpoint(tmp_path) -> None:
    run, calls = tmp_path / "run", 0

    def failing(network, batch):
        nonlocal calls
        calls += network.training
        values = losses(network, batch)
        return values | ({"loss": values["loss"] * float("nan")} if calls == 6 else {})

    settings = dataclasses.replace(SETTINGS, seed=0)
    with seeded_torch(0):
        learner = SupervisedLearner(toy_network(), failing, settings)
    with pytest.raises(
        TrainingStoppedError, match=r"'loss' became nan in epoch 2, batch 2; .* is intact.*learning_rate"
    ):
        toy_training(run, settings, learner)
    assert len(read_checkpoint(run / "checkpoint.pt")["advance"]["history"]) == 1
    assert all(torch.isfinite(value).all() for value in learner.network.state_dict().values())


def test_a_step_that_does_not_fit_into_memory_says_what_to_change(tmp_path) -> None:
    def hungry(_network, _batch):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    learner = SupervisedLearner(toy_network(), hungry, SETTINGS)
    with pytest.raises(DeviceError, match=r"does not suffice for a step; set a batch_size of 1 \(now 3\) or smaller"):
        toy_training(tmp_path / "run", learner=learner)


def test_another_error_of_a_step_is_not_taken_for_lack_of_memory(tmp_path) -> None:
    def wrong(_network, _batch):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        toy_training(tmp_path / "run", learner=SupervisedLearner(toy_network(), wrong, SETTINGS))


# -- files ---------------------------------------------------------------------------------------------------------


def test_a_full_disk_during_a_checkpoint_leaves_the_last_one_whole(uninterrupted, tmp_path) -> None:
    resource = pytest.importorskip("resource", reason="this system cannot limit the size of files")
    run = tmp_path / "run"
    toy_training(run, dataclasses.replace(SETTINGS, epochs=1))
    before = (run / "checkpoint.pt").read_bytes()
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, hard))
    try:
        with pytest.raises(OutputError, match=r"Could not write .*checkpoint\.pt: .*is intact\. Free some space"):
            toy_training(run, resume=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert (run / "checkpoint.pt").read_bytes() == before
    assert not list(run.glob(".partial-*"))
    assert same_bits(toy_training(run, resume=True), uninterrupted)


def test_the_log_has_a_row_per_epoch_and_the_curve_is_a_picture(uninterrupted) -> None:
    with (uninterrupted.run / "log.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert [float(row["validation_mae"]) for row in rows] == pytest.approx(
        [row["validation_mae"] for row in uninterrupted.history], rel=1e-8
    )
    assert (uninterrupted.run / "learning_curve.png").read_bytes().startswith(b"\x89PNG")
    assert "learning_rate = 0.01" in (uninterrupted.run / "config.toml").read_text()
    assert uninterrupted.as_dict()["best_epoch"] == uninterrupted.best_epoch


def test_logged_means_are_those_over_samples_also_where_the_last_batch_is_small(tmp_path) -> None:
    settings = dataclasses.replace(SETTINGS, epochs=1)
    result = toy_training(tmp_path / "run", settings)
    learner = toy_learner(settings)
    learner.network.load_state_dict(last_weights(tmp_path / "run"))
    learner.network.eval()
    source, values = NoisySamples(4), []
    for index in range(4):
        sample = source.sample(index, generator_for(settings.seed, 2, 0, index))
        with torch.no_grad():
            batch = {name: torch.from_numpy(value)[None] for name, value in sample.items()}
            values.append(learner.validation_step(batch)["loss"])
    assert result.history[0]["validation_loss"] == pytest.approx(np.mean(values), rel=1e-5)


def test_a_folder_that_holds_a_run_is_not_overwritten(uninterrupted) -> None:
    with pytest.raises(InputError, match="holds a training already; add --resume"):
        toy_training(uninterrupted.run)


def test_a_checkpoint_of_other_settings_data_or_network_is_refused(uninterrupted) -> None:
    with pytest.raises(InputError, match="begun with 'seed' 5, now it is 7"):
        toy_training(uninterrupted.run, dataclasses.replace(SETTINGS, seed=7), resume=True)
    with pytest.raises(InputError, match="begun with 'patients' null, now it is"):
        toy_training(uninterrupted.run, resume=True, identity={"patients": ["a"]})
    learner = toy_learner(normalised=False)
    with pytest.raises(InputError, match="checkpoint .* is of another network"):
        toy_training(uninterrupted.run, learner=learner, resume=True)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 half of it", b"\x80\x04N.", None])
def test_a_damaged_checkpoint_is_named(uninterrupted, tmp_path, content) -> None:
    whole = (uninterrupted.run / "checkpoint.pt").read_bytes()
    (tmp_path / "checkpoint.pt").write_bytes(whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(FileFormatError, match="damaged or not one of a training; begin again in another folder"):
        toy_training(tmp_path, resume=True)


def test_a_checkpoint_runs_no_code_of_its_own(tmp_path) -> None:
    import pickle

    class Harmful:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"format": 1, "x": Harmful()}, tmp_path / "checkpoint.pt", pickle_module=pickle)
    with pytest.raises(FileFormatError, match="damaged or not one of a training"):
        toy_training(tmp_path, resume=True)
    assert not (tmp_path / "ran").exists()


def test_a_folder_that_cannot_be_made_is_an_output_error(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="Cannot make the folder"):
        toy_training(tmp_path / "file" / "run")


def test_replacing_a_file_leaves_it_alone_if_the_new_one_cannot_be_put_in_place(tmp_path, monkeypatch) -> None:
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError, match="no space left on device; the file that was there is unchanged"):
        replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["checkpoint.pt"]


# -- bad input -----------------------------------------------------------------------------------------------------


def test_a_monitored_value_that_does_not_exist_offers_the_nearest(tmp_path) -> None:
    with pytest.raises(InputError, match="no value 'maee' to monitor; did you mean 'mae'"):
        toy_training(tmp_path / "run", dataclasses.replace(SETTINGS, monitor="maee"))


def test_no_samples_are_refused(tmp_path) -> None:
    with pytest.raises(InputError, match="no samples for validation"):
        train(toy_learner(), NoisySamples(2), NoisySamples(0), SETTINGS, tmp_path / "run")


def test_training_goes_without_validation(tmp_path) -> None:
    result = train(toy_learner(), NoisySamples(4), None, SETTINGS, tmp_path / "run")
    assert result.best_value == min(row["train_loss"] for row in result.history)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "'epochs' must be at least 1, found 0"),
        ({"patience": -1}, "'patience' must be at least 0"),
        ({"learning_rate": 0.0}, "'learning_rate' must be above 0"),
        ({"plateau_factor": 1.0}, "'plateau_factor' must lie between 0 and 1"),
    ],
)
def test_settings_out_of_range_are_named(change, message) -> None:
    with pytest.raises(InputError, match=message):
        TrainingSettings(**change)


def test_bfloat16_is_refused_on_the_cpu_for_large_filters_and_taken_for_small_ones() -> None:
    cpu = torch.device("cpu")
    with pytest.raises(InputError, match=r"filters of 7 voxels cannot be trained in bfloat16 on the CPU"):
        autocast("bf16", cpu, [torch.nn.Conv3d(2, 8, (3, 7, 7))])
    network = torch.nn.Conv3d(1, 1, 3)
    with autocast("bf16", cpu, [network])():
        assert network(torch.zeros(1, 1, 4, 4, 4)).dtype == torch.bfloat16
    with autocast("off", cpu, [network])():
        assert network(torch.zeros(1, 1, 4, 4, 4)).dtype == torch.float32


def test_devices_that_are_not_there_are_named() -> None:
    with pytest.raises(InputError, match="must be one of cpu, cuda, cuda:N, found 'gpu'"):
        torch_device("gpu")
    if not torch.cuda.is_available():
        with pytest.raises(DeviceError, match="no CUDA device; use device 'cpu'"):
            torch_device("cuda")


def test_each_process_of_a_machine_has_its_own_card(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    assert torch_device("cuda") == torch.device("cuda:0")
    assert torch_device("cuda:3") == torch.device("cuda:3")
    monkeypatch.setenv("LOCAL_RANK", "2")
    assert torch_device("cuda") == torch.device("cuda:2")
    monkeypatch.setenv("LOCAL_RANK", "4")
    with pytest.raises(DeviceError, match="Found 4 CUDA devices, asked for number 4; use 'cuda:0' to 'cuda:3'"):
        torch_device("cuda")


def test_gradients_are_scaled_down_to_the_largest_norm(tmp_path) -> None:
    settings = TrainingSettings(epochs=1, batch_size=4, learning_rate=1.0, largest_gradient_norm=1e-3, threads=1)
    with seeded_torch(0):
        network = toy_network(normalised=False)
    before = torch.cat([value.flatten().clone() for value in network.state_dict().values()])
    learner = SupervisedLearner(network, losses, settings, torch.optim.SGD(network.parameters(), lr=1.0))
    train(learner, NoisySamples(4), None, settings, tmp_path / "run")
    after = torch.cat([value.flatten() for value in network.state_dict().values()])
    assert float((after - before).norm()) == pytest.approx(1e-3, rel=1e-3)


# -- parts ---------------------------------------------------------------------------------------------------------


def test_a_batch_is_shared_without_loss_and_every_process_has_something_to_do() -> None:
    for rank, (indices, weight, count) in enumerate([((0, 2), 2 / 3, 2), ((1,), 1 / 3, 1)]):
        first, last = shares([0, 1, 2, 3], 3, rank, 2)
        assert (first.indices, first.weight, first.count) == (indices, pytest.approx(weight), count)
        assert (last.indices, last.weight, last.count) == ((3,), 1.0 - rank, 1 - rank)


def test_threads_are_put_back() -> None:
    before = torch.get_num_threads()
    with torch_threads(1) as count:
        assert count == torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def test_the_log_keeps_columns_that_come_later() -> None:
    rows = [{"epoch": 1.0, "learning_rate": 0.1, "seconds": 1.0, "train_loss": 2.0}]
    rows.append(rows[0] | {"epoch": 2.0, "validation_loss": 0.5})
    assert log_csv(rows) == (
        "epoch,learning_rate,seconds,train_loss,validation_loss\n1,0.1,1.000,2,\n2,0.1,1.000,2,0.5\n"
    )
    assert learning_curve_png(rows, "loss", 2).startswith(b"\x89PNG")


class TwoNetworks:
    """Two networks with their optimisers, as a generator and its discriminator, and a state of their own."""

    def __init__(self, settings: TrainingSettings) -> None:
        with seeded_torch(settings.seed):
            self.networks = {"one": toy_network(), "two": toy_network()}
        self.optimisers = {
            name: torch.optim.Adam(network.parameters(), lr=1e-2) for name, network in self.networks.items()
        }
        self.state = {"steps": 0}

    def training_step(self, batch):
        turn = "one" if self.state["steps"] % 2 else "two"  # the state decides what is learned
        loss = losses(self.networks[turn], batch)["loss"]
        self.optimisers[turn].zero_grad()
        loss.backward()
        self.optimisers[turn].step()
        self.state["steps"] += 1
        return {"loss": float(loss.detach())}

    def validation_step(self, batch):
        return {"loss": sum(float(losses(network, batch)["loss"]) for network in self.networks.values())}


def test_two_networks_with_a_state_of_their_own_resume_to_the_same_bits(tmp_path) -> None:
    settings = dataclasses.replace(SETTINGS, batch_size=4, schedule="cosine")  # three steps an epoch: turns alternate
    whole = toy_training(tmp_path / "whole", settings, TwoNetworks(settings))
    with pytest.raises(CancelledError):
        toy_training(tmp_path / "cut", settings, TwoNetworks(settings), progress=Watcher(6))
    resumed = toy_training(tmp_path / "cut", settings, TwoNetworks(settings), resume=True)
    assert same_bits(resumed, whole)
    assert set(resumed.weights) == {"one", "two"}

"""Averaged weights and fresh batch statistics are judged and kept, and leave the steps of a training as they were."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from test_learning_training import Watcher, last_weights, same_bits  # noqa: E402
from toy_training import SETTINGS, NoisySamples, toy_learner, toy_network, toy_training  # noqa: E402

from radiodosimetry.errors import CancelledError, InputError  # noqa: E402
from radiodosimetry.learning.averaging import WeightAverage, kept_state, reestimate_batch_statistics  # noqa: E402
from radiodosimetry.learning.training_errors import TrainingStoppedError  # noqa: E402
from radiodosimetry.learning.training_settings import TrainingSettings  # noqa: E402

AVERAGED = dataclasses.replace(SETTINGS, average_decay=0.9, statistics_batches=3, schedule="cosine")


@pytest.fixture(scope="module")
def averaged(tmp_path_factory: pytest.TempPathFactory):
    return toy_training(tmp_path_factory.mktemp("averaged") / "run", AVERAGED)


def test_the_average_of_weights_is_that_of_its_formula() -> None:
    network = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(network.weight)
    average = WeightAverage({"network": network}, 0.9)
    expected = 0.0
    for step in range(1, 200):
        torch.nn.init.constant_(network.weight, float(step))
        average.add({"network": network})
        keep = min(0.9, step / (step + 9))
        expected = keep * expected + (1 - keep) * step
    average.put_into({"network": network})
    assert float(network.weight.detach()) == pytest.approx(expected, rel=1e-5)
    assert float(network.weight.detach()) == pytest.approx(199 - 9, rel=0.01)  # nine steps behind a straight line


def test_batch_statistics_taken_anew_are_plain_means_over_batches_and_nothing_else_moves() -> None:
    network = torch.nn.Sequential(torch.nn.BatchNorm3d(1), torch.nn.Dropout(0.5))
    rng = np.random.default_rng(1)
    batches = [torch.from_numpy(rng.normal(3.0, 2.0, (4, 1, 5, 5, 5)).astype(np.float32)) for _ in range(6)]
    reestimate_batch_statistics({"network": network.eval()}, network, iter(batches))
    norm = network[0]
    assert float(norm.running_mean[0]) == pytest.approx(np.mean([float(one.mean()) for one in batches]), rel=1e-5)
    assert float(norm.running_var[0]) == pytest.approx(np.mean([float(one.var()) for one in batches]), rel=1e-4)
    assert norm.momentum == 0.1
    assert not norm.training


def test_what_was_borrowed_for_judging_comes_back_after_an_error_too() -> None:
    network = toy_network().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}

    def judge() -> None:
        with kept_state({"network": network}):
            network.eval()
            torch.nn.init.zeros_(network[0].weight)
            network[1].running_mean.fill_(7.0)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        judge()
    assert network.training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_judging_an_average_changes_no_step_and_keeps_other_weights(averaged, tmp_path) -> None:
    plain = toy_training(tmp_path / "plain", dataclasses.replace(SETTINGS, schedule="cosine"))
    for name, value in last_weights(plain.run).items():
        assert torch.equal(last_weights(averaged.run)[name], value), name
    assert [row["train_loss"] for row in plain.history] == [row["train_loss"] for row in averaged.history]
    assert not same_bits(plain, averaged)


def test_the_value_that_is_logged_is_that_of_the_weights_that_are_kept(averaged) -> None:
    learner = toy_learner(AVERAGED)
    learner.network.load_state_dict(averaged.weights["network"])
    learner.network.eval()
    losses, samples = [], NoisySamples(4)
    from radiodosimetry.learning.samples import VALIDATION, generator_for

    for index in range(4):
        one = samples.sample(index, generator_for(AVERAGED.seed, VALIDATION, 0, index))
        batch = {name: torch.from_numpy(values[None]) for name, values in one.items()}
        losses.append(learner.validation_step(batch)["loss"])
    assert averaged.best_value == pytest.approx(np.mean(losses), rel=1e-5)


def test_the_same_seed_gives_the_same_averaged_weights(averaged, tmp_path) -> None:
    assert same_bits(toy_training(tmp_path / "again", AVERAGED), averaged)


def test_an_averaged_run_interrupted_after_every_step_resumes_to_the_same_bits(averaged, tmp_path) -> None:
    run, result = tmp_path / "run", None
    while result is None or not result.finished:
        try:
            result = toy_training(run, AVERAGED, resume=True, time_limit_s=0.0)
        except TrainingStoppedError:
            continue
    assert same_bits(result, averaged)


@pytest.mark.parametrize("reports", [4, 5, 6, 8, 9, 12])
def test_a_run_cancelled_while_it_is_judged_resumes_to_the_same_bits(averaged, tmp_path, reports) -> None:
    watcher = Watcher(reports)
    with pytest.raises(CancelledError, match="go on from its checkpoint with --resume"):
        toy_training(tmp_path / "run", AVERAGED, progress=watcher)
    assert same_bits(toy_training(tmp_path / "run", AVERAGED, resume=True), averaged)


def test_decay_and_batches_out_of_range_are_named() -> None:
    with pytest.raises(InputError, match="'average_decay' must be at least 0 and below 1, found 1"):
        TrainingSettings(average_decay=1.0)
    with pytest.raises(InputError, match="'statistics_batches' must be at least 0, found -1"):
        TrainingSettings(statistics_batches=-1)

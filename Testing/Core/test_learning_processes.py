"""Two processes under `torchrun` take the steps that one process takes with the whole batch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from toy_processes import SETTINGS, train_together  # noqa: E402

from radiodosimetry.errors import InputError  # noqa: E402
from radiodosimetry.learning.checkpoints import read_checkpoint  # noqa: E402
from radiodosimetry.learning.distributed import joined_processes  # noqa: E402

SUM_ORDER_TOLERANCE = 2e-5
"""Relative: gradients summed by process first differ by the rounding of float32, over eight steps."""


def torchrun(run: Path) -> str:
    """Two processes on this machine, with gloo; what they print."""
    program = Path(__file__).with_name("toy_processes.py")
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--no-python"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, *launcher, sys.executable, str(program), str(run)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("together") / "run"
    printed = torchrun(run)
    assert "first 0" in printed
    assert "Process 1 of 2 has done its share of the training" in printed
    return run


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("alone") / "run"
    train_together(run)
    return run


def test_two_processes_take_the_steps_of_one_with_the_whole_batch(together, alone) -> None:
    whole, shared = (read_checkpoint(run / "checkpoint.pt") for run in (alone, together))
    assert shared["processes"] == 2
    assert len(shared["random"]) == 2
    for name, value in whole["networks"]["network"].items():
        torch.testing.assert_close(shared["networks"]["network"][name], value, rtol=SUM_ORDER_TOLERANCE, atol=1e-6)


def test_two_processes_log_the_means_over_all_samples(together, alone) -> None:
    histories = [read_checkpoint(run / "checkpoint.pt")["advance"]["history"] for run in (alone, together)]
    assert len(histories[1]) == SETTINGS.epochs
    for one, two in zip(*histories, strict=True):
        for name in ("train_loss", "train_mae", "validation_loss", "validation_mae"):
            assert two[name] == pytest.approx(one[name], rel=1e-4), name


def test_one_process_writes_the_folder(together) -> None:
    names = {path.name for path in together.iterdir()}
    assert names == {"best.pt", "checkpoint.pt", "config.toml", "learning_curve.png", "log.csv"}


def test_a_batch_smaller_than_the_number_of_processes_is_refused(monkeypatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    with (
        pytest.raises(InputError, match="A batch of 3 cannot be shared by 4 processes; set a larger batch_size"),
        joined_processes("cpu", 3),
    ):
        pass

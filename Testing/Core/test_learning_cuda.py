"""Networks on a graphics card give what they give on the CPU; skipped where there is none."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("monai", reason="MONAI is not installed")
if not torch.cuda.is_available():
    pytest.skip("no CUDA device", allow_module_level=True)

from toy_training import SETTINGS, toy_learner, toy_network, toy_training  # noqa: E402

from radiodosimetry.errors import DeviceError  # noqa: E402
from radiodosimetry.learning.sliding_window import predict_windows  # noqa: E402

DEVICE_TOLERANCE = 1e-3
"""Relative to the largest value: convolutions on CUDA may multiply in TF32, with 10 bits."""


def test_windows_on_the_card_give_what_they_give_on_the_cpu(rng) -> None:
    torch.manual_seed(0)
    network = toy_network().eval()
    image = rng.random((1, 40, 40, 40), dtype=np.float32)
    cpu = predict_windows(network, image, (16, 16, 16))
    cuda = predict_windows(network.cuda(), image, (16, 16, 16), device="cuda")
    np.testing.assert_allclose(cuda, cpu, atol=DEVICE_TOLERANCE * np.abs(cpu).max())


@pytest.mark.parametrize("precision", ["off", "bf16"])
def test_a_network_learns_on_the_card_and_resumes(tmp_path, precision) -> None:
    settings = dataclasses.replace(SETTINGS, device="cuda", epochs=20, mixed_precision=precision, learning_rate=0.03)
    result = toy_training(tmp_path / "run", settings, toy_learner(settings, normalised=False))
    assert result.best_value < 0.5 * result.history[0]["validation_loss"]
    again = toy_training(tmp_path / "run", settings, toy_learner(settings, normalised=False), resume=True)
    assert again.history == result.history


def test_memory_that_does_not_suffice_leads_to_a_smaller_window(rng) -> None:
    image = rng.random((1, 64, 64, 64), dtype=np.float32)
    used: list[int] = []

    def network(windows: torch.Tensor) -> torch.Tensor:
        if windows.shape[-1] > 32:
            torch.empty(1 << 50, dtype=torch.uint8, device="cuda")  # a real failure to allocate
        used.append(windows[0, 0].numel())
        return windows * 1.0

    warnings: list[str] = []
    output = predict_windows(network, image, (64, 64, 64), device="cuda", multiple=32, warnings=warnings)
    np.testing.assert_allclose(output, image[0], rtol=1e-5, atol=1e-6)
    assert set(used) == {32**3}
    assert "windows of 32×32×32 were used" in warnings[0]


def test_a_card_that_is_not_there_is_named() -> None:
    with pytest.raises(DeviceError, match="CUDA devices, asked for number 99"):
        predict_windows(lambda one: one, np.zeros((1, 8, 8, 8), np.float32), (8, 8, 8), device="cuda:99")

"""Splits never leak and lose nobody, batches are shared without loss, and windows give constants and sums back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radiodosimetry.learning.ensembles import combine_members
from radiodosimetry.learning.samples import shares
from radiodosimetry.learning.splits import fold_of, k_folds


@dataclass(frozen=True)
class Patient:
    id: str
    source: str


@given(st.lists(st.integers(0, 12), min_size=2, max_size=40), st.integers(2, 8), st.integers(0, 2**32 - 1))
def test_folds_hold_everybody_out_once_and_never_leak(sources, k, seed) -> None:
    everybody = [Patient(f"p{number}", f"s{source}") for number, source in enumerate(sources)]
    if k > len(set(sources)):
        with pytest.raises(ValueError, match="is larger than the"):
            k_folds(everybody, k, seed)
        return
    folds = k_folds(everybody, k, seed)
    held = sorted((one for fold in folds for one in fold.held_out), key=everybody.index)
    assert held == everybody
    for fold in folds:
        assert fold.held_out
        assert {one.source for one in fold.training}.isdisjoint(one.source for one in fold.held_out)
    if len(set(sources)) > k and len({one.source for one in folds[0].training}) >= 2:
        whole = fold_of(everybody, (1, k), seed)
        sides = [{one.source for one in side} for side in (whole.training, whole.validation, whole.held_out)]
        assert sum(map(len, sides)) == len(set(sources)) == len(set.union(*sides))


@given(st.integers(1, 50), st.integers(1, 12), st.integers(1, 6))
def test_processes_share_every_batch_without_loss(samples, batch_size, processes) -> None:
    order = list(range(samples))[::-1]
    parts = [shares(order, batch_size, rank, processes) for rank in range(processes)]
    seen: list[int] = []
    for batch in zip(*parts, strict=True):
        assert all(part.indices for part in batch)
        assert sum(part.weight for part in batch) == pytest.approx(1.0)
        seen += [index for part in batch for index in part.indices[: part.count]]
    assert sorted(seen) == sorted(order)


@given(st.integers(2, 6), st.floats(-1e6, 1e6), st.floats(1e-3, 1e3))
def test_an_ensemble_shifts_and_scales_with_its_members(count, shift, scale) -> None:
    members = np.random.default_rng(count).normal(size=(count, 7))
    plain, moved = combine_members(members), combine_members(scale * members + shift)
    tolerance = 1e-6 * (abs(shift) + scale)
    np.testing.assert_allclose(moved.mean, scale * plain.mean + shift, rtol=1e-5, atol=tolerance)
    np.testing.assert_allclose(moved.spread, scale * plain.spread, rtol=1e-5, atol=tolerance)


@settings(max_examples=15)
@given(
    st.tuples(*[st.integers(1, 12)] * 3), st.tuples(*[st.sampled_from([4, 8])] * 3), st.floats(0.0, 0.75)
)  # fmt: skip
def test_windows_of_any_size_give_a_pointwise_network_back(shape, window, overlap) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    pytest.importorskip("monai", reason="MONAI is not installed")
    from radiodosimetry.learning.sliding_window import predict_windows

    image = np.random.default_rng(sum(shape)).random((2, *shape), dtype=np.float32)
    output = predict_windows(lambda parts: parts[:, :1] + 2.0 * parts[:, 1:], image, window, overlap)
    np.testing.assert_allclose(output, image[0] + 2.0 * image[1], rtol=1e-5, atol=1e-5)

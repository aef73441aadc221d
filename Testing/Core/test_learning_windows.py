"""Networks in windows: blending, bounded memory, smaller windows where memory fails, patches and ensembles."""

from __future__ import annotations

import logging
import tracemalloc

import numpy as np
import pytest

from radiodosimetry.errors import CancelledError, DeviceError, InputError
from radiodosimetry.learning.ensembles import calibrate_coverage, combine_members, coverage_of

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("monai", reason="MONAI is not installed")

from radiodosimetry.learning.patches import grid_windows, lattice_variant, random_window  # noqa: E402
from radiodosimetry.learning.sliding_window import predict_windows, smaller_window, window_count  # noqa: E402

BLENDING_TOLERANCE = 5e-6
"""Relative: a sum of weighted float32 values over the sum of their weights."""


def first_channel(windows: torch.Tensor) -> torch.Tensor:
    return windows[:, :1]


class Watcher:
    def __init__(self, reports: float = np.inf) -> None:
        self.messages: list[str] = []
        self._reports = reports

    def report(self, fraction: float, message: str) -> None:
        assert 0.0 <= fraction <= 1.0
        self.messages.append(message)

    def cancelled(self) -> bool:
        return len(self.messages) >= self._reports


@pytest.mark.parametrize(
    ("window", "overlap"), [((16, 16, 16), 0.5), ((8, 16, 8), 0.25), ((32, 8, 32), 0.0), ((64, 64, 64), 0.5)]
)
def test_a_network_that_changes_nothing_gives_the_image_back(rng, window, overlap) -> None:
    image = rng.random((2, 20, 33, 17), dtype=np.float32)
    kept, watcher = image.copy(), Watcher()
    output = predict_windows(first_channel, image, window, overlap, progress=watcher)
    assert output.shape == image.shape[1:]
    assert output.dtype == np.float32
    np.testing.assert_allclose(output, image[0], rtol=BLENDING_TOLERANCE, atol=BLENDING_TOLERANCE)
    np.testing.assert_array_equal(image, kept)  # the caller's array is not written to
    count = window_count(image.shape[1:], window, overlap)
    assert watcher.messages[-1] == f"Window {count} of {count}"
    assert len(watcher.messages) == count + 1


def test_windows_with_room_for_the_receptive_field_give_what_the_whole_volume_gives(rng) -> None:
    # Each output sees one voxel around it; blended windows differ from the whole at their own faces alone, so that
    # without a window's face inside the volume (one window along each axis) nothing differs.
    torch.manual_seed(0)
    network = torch.nn.Conv3d(1, 1, 3, padding=1).eval()
    image = rng.random((1, 12, 12, 12), dtype=np.float32)
    with torch.no_grad():
        whole = network(torch.from_numpy(image)[None])[0, 0].numpy()
    np.testing.assert_allclose(predict_windows(network, image, (12, 12, 12)), whole, rtol=1e-5, atol=1e-6)
    parts = predict_windows(network, image, (8, 8, 8), 0.5)
    np.testing.assert_allclose(parts[5:7, 5:7, 5:7], whole[5:7, 5:7, 5:7], rtol=1e-2)
    assert not np.allclose(parts, whole, rtol=1e-5)


def test_windows_go_through_together_or_one_by_one_with_the_same_numbers(rng) -> None:
    torch.manual_seed(0)
    network = torch.nn.Conv3d(2, 1, 3, padding=1).eval()
    image = rng.random((2, 16, 24, 24), dtype=np.float32)
    one, four = (predict_windows(network, image, (8, 16, 16), 0.5, batch=batch) for batch in (1, 4))
    np.testing.assert_allclose(one, four, rtol=1e-5, atol=1e-6)


def test_memory_beside_inputs_and_output_does_not_grow_with_the_number_of_windows(rng) -> None:
    # What torch allocates is not seen by tracemalloc; the largest tensor that a network is given is.
    sizes: list[int] = []

    def network(windows: torch.Tensor) -> torch.Tensor:
        sizes.append(windows.numel())
        return windows[:, :1]

    tracemalloc.start()
    predict_windows(network, np.zeros((2, 64, 64, 64), np.float32), (16, 16, 16), 0.5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert set(sizes) == {2 * 16**3}
    assert peak < 8e6


def test_a_window_too_large_for_the_memory_is_halved_and_said_so(rng, caplog) -> None:
    image, tried = rng.random((1, 32, 32, 32), dtype=np.float32), set()

    def network(windows: torch.Tensor) -> torch.Tensor:
        tried.add(tuple(windows.shape[2:]))
        if windows[0, 0].numel() > 16 * 16 * 32:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return windows[:, :1]

    warnings: list[str] = []
    with caplog.at_level(logging.WARNING, logger="radiodosimetry"):
        output = predict_windows(network, image, (32, 32, 32), 0.25, multiple=16, warnings=warnings)
    np.testing.assert_allclose(output, image[0], rtol=BLENDING_TOLERANCE, atol=BLENDING_TOLERANCE)
    assert tried == {(32, 32, 32), (16, 32, 32), (16, 16, 32)}
    assert warnings == [
        "The memory of device 'cpu' did not suffice for windows of 32×32×32 voxels; windows of 16×16×32 were used, "
        "which changes the result slightly. Ask for that window to repeat it."
    ]
    assert "trying windows of 16×32×32 voxels" in caplog.text


def test_memory_that_never_suffices_is_a_device_error() -> None:
    def network(_windows: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    with pytest.raises(DeviceError, match="windows of 16×16×16 voxels, the smallest tried; free memory, or use device"):
        predict_windows(network, np.zeros((1, 32, 32, 32), np.float32), (32, 32, 32), multiple=16)


def test_another_error_of_the_network_is_not_taken_for_lack_of_memory() -> None:
    with pytest.raises(RuntimeError, match="expected input"):
        predict_windows(torch.nn.Conv3d(2, 1, 1), np.zeros((1, 8, 8, 8), np.float32), (8, 8, 8))


def test_cancelling_is_heard_between_windows() -> None:
    with pytest.raises(CancelledError, match="Window 3 of 27"):
        predict_windows(first_channel, np.zeros((1, 16, 16, 16), np.float32), (8, 8, 8), progress=Watcher(2))


@pytest.mark.parametrize(
    ("shape", "window", "overlap", "multiple", "message"),
    [
        ((8, 8, 8), (8, 8, 8), 0.5, 1, r"must have the shape \(c, k, j, i\)"),
        ((1, 8, 8, 8), (8, 8), 0.5, 1, "three edges"),
        ((1, 8, 8, 8), (8, 8, 12), 0.5, 8, "multiple of 8 voxels, found 8×8×12"),
        ((1, 8, 8, 8), (8, 8, 8), 1.0, 1, "from 0 to below 1, found 1"),
    ],
)
def test_windows_that_make_no_sense_are_named(shape, window, overlap, multiple, message) -> None:
    with pytest.raises(InputError, match=message):
        predict_windows(first_channel, np.zeros(shape, np.float32), window, overlap, multiple=multiple)


def test_a_network_with_another_output_is_named() -> None:
    with pytest.raises(InputError, match=r"must give \(n, 1, k, j, i\)"):
        predict_windows(lambda windows: windows, np.zeros((2, 8, 8, 8), np.float32), (8, 8, 8))


def test_the_longest_edge_is_halved_first_and_not_below_the_smallest() -> None:
    assert smaller_window((64, 128, 96), 16) == (64, 64, 96)
    assert smaller_window((16, 16, 16), 16) is None
    assert smaller_window((16, 16, 16)) == (8, 16, 16)
    assert smaller_window((8, 8, 8)) is None


# -- patches -------------------------------------------------------------------------------------------------------


def test_windows_on_a_grid_cover_everything_and_stay_inside() -> None:
    seen = np.zeros((20, 9, 16), int)
    windows = grid_windows(seen.shape, (8, 8, 8), (6, 8, 8))
    for window in windows:
        seen[window] += 1
        assert seen[window].shape == (8, 8, 8)
    assert seen.min() >= 1
    assert len(windows) == 3 * 2 * 2


def test_random_windows_follow_their_weights_and_their_seed() -> None:
    weights = np.zeros((16, 16, 16))
    weights[2:5, 10:14, 7] = 1.0
    chosen = [random_window(weights.shape, (4, 4, 4), np.random.default_rng(seed), weights) for seed in range(40)]
    assert all(weights[window].any() for window in chosen)
    assert all(weights[window].shape == (4, 4, 4) for window in chosen)
    assert len(set(map(str, chosen))) > 10
    again = random_window(weights.shape, (4, 4, 4), np.random.default_rng(7), weights)
    assert again == chosen[7]


def test_random_windows_without_weights_reach_every_voxel(rng) -> None:
    seen = np.zeros((6, 6, 6), int)
    for _ in range(200):
        seen[random_window(seen.shape, (4, 4, 4), rng, np.zeros(seen.shape))] += 1
    assert seen.min() >= 1


def test_windows_that_do_not_fit_are_named(rng) -> None:
    with pytest.raises(InputError, match="does not fit into a volume"):
        random_window((8, 8, 8), (8, 8, 9), rng)
    with pytest.raises(InputError, match="does not fit into a volume"):
        grid_windows((8, 8, 8), (9, 8, 8), (1, 1, 1))
    with pytest.raises(InputError, match="Weights must have the shape"):
        random_window((8, 8, 8), (4, 4, 4), rng, np.ones((8, 8)))


def test_variants_keep_values_and_move_all_arrays_alike(rng) -> None:
    image = rng.random((2, 4, 6, 6))
    seen = set()
    for seed in range(60):
        first, second = lattice_variant([image, image[0]], np.random.default_rng(seed))
        np.testing.assert_array_equal(first[0], second)
        np.testing.assert_array_equal(np.sort(first.ravel()), np.sort(image.ravel()))
        seen.add(first.tobytes())
    assert len(seen) == 16  # the square's eight, times up and down
    with pytest.raises(InputError, match="Only square slices can be turned"):
        lattice_variant([np.zeros((4, 6, 5))], rng)
    with pytest.raises(InputError, match="must share their last three axes"):
        lattice_variant([np.zeros((4, 6, 6)), np.zeros((4, 6, 5))], rng)


# -- ensembles -----------------------------------------------------------------------------------------------------


def test_members_are_combined_as_numpy_would(rng) -> None:
    members = rng.normal(1000.0, 1e-3, size=(5, 4, 4, 4))
    together = combine_members(iter(members))
    np.testing.assert_allclose(together.mean, members.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(together.spread, members.std(axis=0, ddof=1), rtol=1e-4)
    assert together.count == 5


def test_an_ensemble_of_one_or_of_different_shapes_is_refused() -> None:
    with pytest.raises(InputError, match="at least two members, found 1"):
        combine_members([np.zeros(3)])
    with pytest.raises(InputError, match="must share one shape"):
        combine_members([np.zeros(3), np.zeros(4)])


def test_a_calibrated_spread_holds_as_many_truths_as_it_says(rng) -> None:
    spread = rng.uniform(0.5, 2.0, size=400)
    errors = rng.normal(0.0, 3.0 * spread)
    found = calibrate_coverage(errors, spread)
    assert found.factor == pytest.approx(3.0, rel=0.15)
    assert found.coverage_before == pytest.approx(0.261, abs=0.08)  # of a normal within a third of its σ
    fresh_spread = rng.uniform(0.5, 2.0, size=20_000)
    fresh = rng.normal(0.0, 3.0 * fresh_spread)
    assert coverage_of(fresh, found.factor * fresh_spread) == pytest.approx(0.6827, abs=0.05)


@pytest.mark.parametrize(
    ("errors", "spreads", "message"),
    [
        ([1.0, 2.0], [1.0], "one spread for each error"),
        ([1.0, 2.0, 3.0], [1.0, 0.0, 1.0], "spreads finite and above zero"),
        ([1.0], [1.0], "too few to calibrate"),
    ],
)
def test_a_calibration_that_cannot_be_made_says_why(errors, spreads, message) -> None:
    with pytest.raises(InputError, match=message):
        calibrate_coverage(np.array(errors), np.array(spreads))

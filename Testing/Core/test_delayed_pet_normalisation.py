"""Delayed PET: the constants of Kim 2025, the way to the square matrix and back, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from radiodosimetry.delayed_pet.normalisation import (
    DecayNormalisation,
    EarlyMaximumNormalisation,
    normalisation_named,
    normalised,
    restored,
)
from radiodosimetry.delayed_pet.resizing import SliceResizing
from radiodosimetry.errors import GeometryMismatchError, InputError, UnknownNuclideError

HOUR_S = 3600.0


@pytest.mark.parametrize(("hours", "printed"), [(1.0, "9469"), (24.0, "2699"), (48.0, "728.2")])
def test_the_constants_of_cu64_are_those_printed_by_kim_2025(hours: float, printed: str) -> None:
    found = DecayNormalisation("Cu-64").constant_bq_per_ml(hours * HOUR_S)
    assert f"{found:.4g}" == printed


def test_any_nuclide_halves_in_its_half_life() -> None:
    zirconium = DecayNormalisation("Zr-89")
    assert zirconium.constant_bq_per_ml(78.41 * HOUR_S) == pytest.approx(5000.0, rel=1e-4)


@pytest.mark.parametrize("hours", [0.0, 1.0, 24.0, 48.0])
def test_normalising_is_undone_to_the_last_bit(rng: np.random.Generator, hours: float) -> None:
    voxels = (rng.random(20_000) * 10.0 ** rng.uniform(-6, 9, 20_000)).astype(np.float32)
    constant = DecayNormalisation("Cu-64").constant_bq_per_ml(hours * HOUR_S)
    assert np.array_equal(restored(normalised(voxels, constant), constant), voxels)


def test_nothing_is_clipped() -> None:
    assert normalised(np.array([1e12]), 1e4)[0] == 1e8


def test_the_early_maximum_serves_all_times() -> None:
    early = np.array([1.0, 7.0, 3.0])
    option = EarlyMaximumNormalisation()
    assert option.constant_bq_per_ml(HOUR_S, early) == option.constant_bq_per_ml(48 * HOUR_S, early) == 7.0
    with pytest.raises(InputError, match="early scan is empty"):
        option.constant_bq_per_ml(0.0, np.zeros(3))


def test_what_cannot_be_normalised_is_refused() -> None:
    with pytest.raises(InputError, match="must be zero or later, found -1"):
        DecayNormalisation("Cu-64").constant_bq_per_ml(-1.0)
    with pytest.raises(InputError, match="nothing of Cu-64 is left"):
        DecayNormalisation("Cu-64").constant_bq_per_ml(5000 * HOUR_S)
    with pytest.raises(UnknownNuclideError):
        DecayNormalisation("Xx-12")
    with pytest.raises(InputError, match="expected one of: decay, early-maximum"):
        normalisation_named("median", "Cu-64")


@pytest.mark.parametrize("matrix", [(192, 192), (200, 160), (131, 129), (128, 128), (96, 70), (400, 400)])
def test_activity_is_conserved_on_the_way_there_and_back(rng: np.random.Generator, matrix: tuple[int, int]) -> None:
    resizing = SliceResizing(*matrix)
    slices = rng.random((2, *matrix)) ** 4
    square = resizing.forward(slices)
    assert square.shape == (2, 128, 128)
    back = resizing.backward(square)
    assert back.shape == slices.shape
    assert back.sum(axis=(1, 2)) == pytest.approx(slices.sum(axis=(1, 2)), rel=1e-12)
    assert square.min() >= 0
    assert back.min() >= 0


@pytest.mark.parametrize("matrix", [(128, 128), (96, 70), (127, 128), (1, 1)])
def test_a_matrix_that_fits_comes_back_bit_by_bit(rng: np.random.Generator, matrix: tuple[int, int]) -> None:
    resizing = SliceResizing(*matrix)
    slices = rng.random((3, *matrix))
    assert resizing.is_exact
    assert np.array_equal(resizing.backward(resizing.forward(slices)), slices)


def test_a_slice_that_is_constant_over_each_square_pixel_comes_back(rng: np.random.Generator) -> None:
    resizing = SliceResizing(256, 256)
    slices = np.kron(rng.random((1, 128, 128)), np.ones((1, 2, 2)))
    np.testing.assert_allclose(resizing.backward(resizing.forward(slices)), slices, rtol=1e-12)


def test_a_constant_stays_one() -> None:
    resizing = SliceResizing(192, 192)
    np.testing.assert_allclose(resizing.forward(np.full((1, 192, 192), 3.0)), 3.0, rtol=1e-12)
    np.testing.assert_allclose(resizing.backward(np.full((1, 128, 128), 3.0)), 3.0, rtol=1e-12)


def test_slices_of_another_matrix_are_refused() -> None:
    with pytest.raises(GeometryMismatchError, match="192 × 192 pixels"):
        SliceResizing(192, 192).forward(np.zeros((1, 64, 64)))

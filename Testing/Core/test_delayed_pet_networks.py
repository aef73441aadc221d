"""The networks of delayed PET: shapes, bounds and initial weights as published; losses in closed form; collapse."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from delayed_pet_samples import pix2pix_settings, toy_patient

torch = pytest.importorskip("torch")

from radiodosimetry.delayed_pet.collapse import CollapseWatch  # noqa: E402
from radiodosimetry.delayed_pet.losses import (  # noqa: E402
    adversarial_loss,
    similarity_perceptual,
    tissue_overlap,
)
from radiodosimetry.delayed_pet.networks import Generator, PatchDiscriminator, parameter_count  # noqa: E402
from radiodosimetry.delayed_pet.samples import SliceSamples  # noqa: E402
from radiodosimetry.delayed_pet.tissue_network import TissueNetwork  # noqa: E402
from radiodosimetry.delayed_pet.vgg import Vgg19Features, gram_matrix  # noqa: E402
from radiodosimetry.errors import FileFormatError, RadioDosimetryError  # noqa: E402


@pytest.fixture(autouse=True)
def _same_numbers() -> Iterator[None]:
    torch.set_num_threads(1)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(7)
        yield


def test_the_published_generator_keeps_the_matrix_and_is_not_negative() -> None:
    network = Generator(features=8)
    made = network(torch.randn(2, 1, 128, 128))
    assert made.shape == (2, 1, 128, 128)
    assert float(made.min()) >= 0


def test_the_published_generator_has_the_parameters_of_its_scheme() -> None:
    # 7×7 in and out, two halvings, six blocks of two 3×3 convolutions at 256 features, batch normalisation.
    assert parameter_count(Generator()) == 7_828_865
    assert parameter_count(PatchDiscriminator()) == 2_764_609


def test_the_discriminator_judges_patches_of_seventy_pixels() -> None:
    network = PatchDiscriminator(features=4)
    assert network.receptive_field() == 70
    first, second = torch.zeros(1, 1, 128, 128), torch.zeros(1, 1, 128, 128)
    network.eval()
    second[0, 0, 64, 64] = 1.0
    changed = (network(first, second) - network(first, first))[0, 0].abs() > 0
    assert 1 <= int(changed.any(dim=0).sum()) <= math.ceil(70 / 8)


def test_initial_weights_are_those_of_dcgan() -> None:
    layers = [layer for layer in Generator().modules() if isinstance(layer, torch.nn.Conv2d)]
    weights = torch.cat([layer.weight.flatten() for layer in layers])
    assert float(weights.std()) == pytest.approx(0.02, rel=0.01)
    assert float(weights.mean()) == pytest.approx(0.0, abs=1e-4)


def test_the_head_has_no_upper_limit() -> None:
    network = Generator(features=4, blocks=1)
    assert float(network.head(torch.tensor(1e4))) == pytest.approx(1e4)


def test_least_squares_tell_real_from_generated() -> None:
    assert float(adversarial_loss(torch.full((2, 1, 3, 3), 0.75), True)) == pytest.approx(0.0625)
    assert float(adversarial_loss(torch.full((2, 1, 3, 3), 0.75), False)) == pytest.approx(0.5625)


def test_an_untrained_network_sees_every_tissue_as_often_as_it_is_there() -> None:
    network = TissueNetwork(4, 8, 1, 3)
    shares = torch.tensor([0.7, 0.2, 0.1])
    network.start_from_shares(torch.log(shares))
    logits = network(torch.zeros(1, 4, 9, 10, 11))
    assert logits.shape == (1, 3, 9, 10, 11)
    found = torch.softmax(network(torch.randn(1, 4, 9, 10, 11)), dim=1).mean(dim=(0, 2, 3, 4))
    torch.testing.assert_close(found, shares, atol=0.1, rtol=0.0)


def test_the_overlap_of_tissues_is_that_of_dice() -> None:
    tissues = torch.tensor([[[[0, 1, 1, 2]]]])
    sure = torch.nn.functional.one_hot(tissues, 4).permute(0, 4, 1, 2, 3).float()
    assert float(tissue_overlap(sure, tissues)) == pytest.approx(1.0)
    wrong = torch.nn.functional.one_hot(torch.tensor([[[[0, 1, 0, 0]]]]), 4).permute(0, 4, 1, 2, 3).float()
    # 2·1/(3+1), 2·1/(1+2) and 0; the fourth tissue is not there
    assert float(tissue_overlap(wrong, tissues)) == pytest.approx((0.5 + 2 / 3 + 0.0) / 3)


def test_a_gram_matrix_does_not_depend_on_where_features_are() -> None:
    features = torch.randn(1, 3, 4, 5)
    moved = features.roll((1, 2), dims=(2, 3))
    torch.testing.assert_close(gram_matrix(features), gram_matrix(moved))


def test_vgg_loads_the_usual_keys_and_refuses_others(tmp_path: Path) -> None:
    source = Vgg19Features(None)
    state = {name: value for name, value in source.state_dict().items() if name.startswith("features")}
    assert {name.split(".")[1] for name in state} == {
        "0", "2", "5", "7", "10", "12", "14", "16", "19", "21", "23", "25", "28", "30", "32", "34"
    }  # fmt: skip
    torch.save({**state, "classifier.0.weight": torch.zeros(1)}, tmp_path / "vgg19.pth")
    loaded = Vgg19Features(tmp_path / "vgg19.pth")
    torch.testing.assert_close(loaded.features[34].weight, source.features[34].weight)
    torch.save({"features.0.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(FileFormatError, match="no VGG19 without batch normalisation"):
        Vgg19Features(tmp_path / "other.pth")
    with pytest.raises(FileFormatError, match="There is no file"):
        Vgg19Features(tmp_path / "missing.pth")
    (tmp_path / "broken.pth").write_bytes(b"not weights")
    with pytest.raises(FileFormatError, match="cannot be read as network weights"):
        Vgg19Features(tmp_path / "broken.pth")


def test_the_perceptual_similarity_is_zero_for_equal_images() -> None:
    features = Vgg19Features(None)
    image = torch.rand(1, 1, 64, 64)
    assert float(similarity_perceptual(image, image, features)) == 0.0
    assert float(similarity_perceptual(image, image.flip(3), features)) > 0.0


def test_empty_images_stop_the_training_with_a_reason() -> None:
    watch = CollapseWatch(patience=5, grace=2)
    for _ in range(6):
        watch.observe(0.001, 1.0, 0.3)
    with pytest.raises(RadioDosimetryError, match="generator has collapsed"):
        watch.observe(0.001, 1.0, 0.3)


def test_a_constant_discriminator_stops_the_training_with_a_reason() -> None:
    watch = CollapseWatch(patience=5, grace=0)
    for _ in range(4):
        watch.observe(1.0, 1.0, 1e-9)
    restored = CollapseWatch(patience=5, grace=0)
    restored.load_state_dict(watch.state_dict())
    with pytest.raises(RadioDosimetryError, match="discriminator has collapsed"):
        restored.observe(1.0, 1.0, 1e-9)


def test_a_healthy_training_goes_on() -> None:
    watch = CollapseWatch(patience=3, grace=0)
    for step in range(50):
        watch.observe(0.001 if step % 3 else 0.9, 1.0, 0.2)
    assert watch.steps == 50


def test_seeds_decide_the_weights() -> None:
    from radiodosimetry.learning.devices import seeded_torch

    made = []
    for seed in (1, 1, 2):
        with seeded_torch(seed):
            made.append(Generator(features=4, blocks=1).layers[1].weight.detach().numpy().copy())
    assert np.array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2])


def test_what_a_turned_slice_shows_beyond_its_edge_is_air() -> None:
    patient = toy_patient(1)
    assert patient.ct is not None
    air = replace(patient, ct=patient.ct.with_array(np.full(patient.ct.geometry.shape_kji, -1000.0, np.float32)))
    settings = pix2pix_settings(neighbours=1, rotation_degrees=40.0)
    settings = replace(settings, images=replace(settings.images, use_ct=True, target_hours=(24.0, 48.0)))
    samples = SliceSamples([air], settings, augment=True)
    rng = np.random.default_rng(1)
    for index in range(0, len(samples), 5):
        early = samples.sample(index, rng)["early"]
        assert early.shape[0] == 7
        assert early[3:6] == pytest.approx(-1.0, abs=1e-6)
        assert early[:3].min() >= -1e-6
        assert early[6] == pytest.approx(24 / 48 if index < len(samples) // 2 else 1.0)

"""The networks of delayed PET: shapes, bounds and initial weights as published; losses in closed form; collapse."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from radiodosimetry.delayed_pet.collapse import CollapseWatch  # noqa: E402
from radiodosimetry.delayed_pet.losses import (  # noqa: E402
    adversarial_loss,
    organ_losses,
    organ_sums,
    similarity_perceptual,
)
from radiodosimetry.delayed_pet.networks import Generator, PatchDiscriminator, parameter_count  # noqa: E402
from radiodosimetry.delayed_pet.ratio_network import (  # noqa: E402
    LARGEST_LOG_RATIO,
    RatioNetwork,
    bounded_log_ratio,
    spread,
)
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


def test_an_untrained_ratio_is_one_and_no_ratio_is_beyond_its_bound() -> None:
    network = RatioNetwork(features=8, levels=1, tissues=3, targets=2)
    given = torch.randn(1, 4, 9, 10, 11), torch.randn(1, 5), torch.tensor([[0.5, 0.5]]), torch.zeros(1)
    fields, logits = network(*given)
    assert fields.shape == (1, 4, 9, 10, 11)
    assert logits.shape == (1, 3, 9, 10, 11)
    assert float(bounded_log_ratio(fields[:, 0], fields[:, 1]).abs().max()) == 0.0
    network.level.fill_(1e3)
    fields = network(*given)[0]
    assert float(bounded_log_ratio(fields[:, 0], fields[:, 1]).max()) <= LARGEST_LOG_RATIO


def test_a_given_region_has_the_line_of_its_tissue() -> None:
    network = RatioNetwork(features=8, levels=1, tissues=3, targets=1)
    network.level.copy_(torch.tensor([[0.0, 0.5, -0.2]]))
    network.slope.copy_(torch.tensor([[0.0, -0.6, 0.0]]))
    early = torch.tensor([[[1.0, 1.0, 4.0, 9.0]]])
    labels, tissues = torch.tensor([[[1, 1, 2, 0]]]), torch.tensor([0, 2, 1])
    line, _ = network.at_regions(early, labels, tissues, torch.tensor([1.0]))
    # the body's mean is 2, so that the second region has twice it
    assert line.flatten().tolist() == pytest.approx([-0.2, -0.2, 0.5 - 0.6 * math.log(2.0), 0.0], abs=1e-5)


def test_a_field_is_spread_linearly() -> None:
    weights = torch.tensor([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
    field = torch.tensor([[[[0.0, 1.0], [2.0, 3.0]], [[4.0, 5.0], [6.0, 7.0]]]])
    fine = spread(field, (weights, weights, weights))
    assert fine.shape == (1, 3, 3, 3)
    assert float(fine[0, 1, 1, 1]) == pytest.approx(3.5)
    assert float(fine[0, 2, 0, 2]) == 5.0


def test_organs_are_summed_by_label() -> None:
    image, labels = torch.tensor([1.0, 2.0, 4.0, 8.0]), torch.tensor([0, 1, 2, 1])
    assert organ_sums(image, labels, 2).tolist() == [10.0, 4.0]


def test_organs_err_by_their_logarithms_and_the_likelihood_is_a_normal_one() -> None:
    acquired, labels = torch.full((4,), 2.0), torch.ones(4, dtype=torch.long)
    generated, log_std = 2.0 * acquired, torch.full((4,), math.log(0.5))
    expected = 0.5 * (math.log(2.0) / 0.5) ** 2 + math.log(0.5)
    error, likelihood = organ_losses(generated, log_std, acquired, labels, 1)
    assert float(error) == pytest.approx(math.log(2.0), rel=1e-5)
    assert float(likelihood) == pytest.approx(expected, rel=1e-5)


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

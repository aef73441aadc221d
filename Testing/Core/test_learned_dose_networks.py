"""The published networks have the published shapes, start from their base, and say what they cannot use."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="networks need PyTorch")

import torch

from radiodosimetry.errors import FileFormatError, InputError
from radiodosimetry.images.geometry import VolumeGeometry
from radiodosimetry.learned_dose import dblur_dose, unet_dose
from radiodosimetry.learned_dose.architectures import HEADS, DblurArchitecture, UNetArchitecture
from radiodosimetry.learned_dose.bootstrap import bootstrap, mean, reduction_percent
from radiodosimetry.learned_dose.dblurdosenet import PUBLISHED_PARAMETER_COUNT, DblurDoseNet
from radiodosimetry.learned_dose.declared import grid_of_spacing
from radiodosimetry.learned_dose.dose_model import load_dose_model
from radiodosimetry.learned_dose.initialisation import parameter_count
from radiodosimetry.learned_dose.losses import dose_loss
from radiodosimetry.learned_dose.measures import ensemble_noise_percent, group_of
from radiodosimetry.learned_dose.patient_maps import PatientMaps
from radiodosimetry.learned_dose.residual_unet import SHARE_UNIT, ResidualUNet3D
from radiodosimetry.learned_dose.shipped import MODELS_FOLDER, model_of
from radiodosimetry.learned_dose.training_config import (
    DblurTrainingConfig,
    LossSettings,
    PatchSampling,
    SliceSampling,
    UNetTrainingConfig,
)
from radiodosimetry.learning.configuration import read_config
from radiodosimetry.learning.model_files import ModelCard, save_model
from radiodosimetry.voxel_dose.edges import edge_mask

CONFIGS = Path(__file__).resolve().parents[2] / "Resources" / "Docs" / "training"


def test_dblurdosenet_has_the_published_number_of_parameters() -> None:
    assert parameter_count(DblurDoseNet()) == PUBLISHED_PARAMETER_COUNT == 1_143_233


def test_dblurdosenet_brings_eleven_slices_to_nine_five_three_and_one() -> None:
    depths = []
    network = DblurDoseNet().eval()
    for module in network.depth:
        module.register_forward_hook(lambda _, __, output: depths.append(output.shape[2]))
    dose = network(torch.rand(1, 2, 11, 32, 48), torch.rand(1, 1, 32, 48))
    assert list(dict.fromkeys(depths)) == [9, 5, 3, 1]
    assert dose.shape == (1, 1, 32, 48)


def test_channels_that_are_not_extracted_reach_the_dose_of_their_own_voxel_alone() -> None:
    architecture = DblurArchitecture(("density", "peak-1", "valley-1"), extracted=1, pointwise=8, head="log-ratio")
    network = DblurDoseNet(architecture).eval()
    torch.nn.init.normal_(network.last.weight, generator=torch.Generator().manual_seed(1))
    inputs, base = torch.rand(2, 1, 3, 11, 16, 16), torch.rand(1, 1, 16, 16)
    before = network(inputs[0], base)
    changed = inputs[0].clone()
    changed[0, 1:, 5, 7, 9] += 1.0
    changed[0, 1:, 4] += 1.0
    differing = (network(changed, base) != before).nonzero().tolist()
    assert differing == [[0, 0, 7, 9]]
    changed[0, 0, 5, 0, 0] += 1.0
    assert int((network(changed, base) != before).sum()) > 100


def test_the_two_dimensional_ablation_takes_slices_as_channels_and_has_no_depth_extractor() -> None:
    network = DblurDoseNet(DblurArchitecture(extractor="2d")).eval()
    assert not any(isinstance(module, torch.nn.Conv3d) for module in network.modules())
    assert network(torch.rand(2, 2, 11, 16, 16), torch.rand(2, 1, 16, 16)).shape == (2, 1, 16, 16)


def test_untrained_networks_give_their_base_and_the_ablation_without_it_gives_zero() -> None:
    base = torch.rand(2, 1, 16, 16)
    inputs = torch.rand(2, 2, 11, 16, 16)
    assert torch.equal(DblurDoseNet().eval()(inputs, base), base)
    assert not DblurDoseNet(DblurArchitecture(residual=False)).eval()(inputs, base).any()
    volume = torch.rand(1, 1, 16, 16, 16)
    for head in HEADS:
        network = ResidualUNet3D(UNetArchitecture(("density",), levels=2, features=4, head=head)).eval()
        assert torch.equal(network(volume, volume, volume, volume + 1, volume / 2), volume)


def test_the_unet_doubles_its_features_at_each_level_and_normalises_the_encoder_alone() -> None:
    network = ResidualUNet3D()
    widths = [block[0].out_channels for block in network.down]
    assert widths == [16, 32, 64, 128]
    assert all(any(isinstance(one, torch.nn.BatchNorm3d) for one in block) for block in network.down)
    assert not any(isinstance(one, torch.nn.BatchNorm3d) for one in network.up.modules())


def test_weights_depend_on_the_seed_alone() -> None:
    first = ResidualUNet3D(UNetArchitecture(features=4), seed=3).state_dict()
    torch.rand(7)
    again = ResidualUNet3D(UNetArchitecture(features=4), seed=3).state_dict()
    other = ResidualUNet3D(UNetArchitecture(features=4), seed=4).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_the_kernel_head_moves_energy_between_neighbours_and_is_linear_in_activity() -> None:
    network = ResidualUNet3D(UNetArchitecture(("density",), features=4, levels=1, head="kernel")).eval()
    output = torch.zeros(1, 28, 5, 5, 5)
    output[:, 1 + 14] = 1.0  # of the 27 neighbours the one at k, j, i + 1
    energy = torch.zeros(1, 1, 5, 5, 5)
    energy[0, 0, 2, 2, 3] = 8.0
    dose = network.combine(output, torch.zeros_like(energy), energy, torch.full_like(energy, 0.5))
    assert float(dose[0, 0, 2, 2, 2]) == pytest.approx(SHARE_UNIT * 8.0 / 0.5)
    assert int((dose != 0).sum()) == 1
    torch.nn.init.normal_(network.last.weight)
    density, one, two = torch.rand(3, 1, 1, 8, 8, 8) + 0.1
    together = network(density, one + two, one + two, density)
    apart = network(density, one, one, density) + network(density, two, two, density)
    torch.testing.assert_close(together, apart)


def test_losses_are_weighted_means_without_the_margin() -> None:
    dose, label = torch.full((1, 1, 6, 6, 6), 3.0), torch.ones(1, 1, 6, 6, 6)
    dose[..., 0] = 100.0
    weight, base = torch.ones_like(label), torch.full_like(label, 3.0)
    for settings, expected in (
        (LossSettings("l1", margin=1), 2.0),
        (LossSettings("mse", margin=2), 4.0),
        (LossSettings("relative-l1", 1.0, margin=1), 0.5),
        (LossSettings("relative-mse", 1.0, margin=1), 0.25),
        (LossSettings("relative-huber", 1.0, huber_width=2.0, margin=1), 0.5 * 0.5**2 / 2.0),
        (LossSettings("relative-huber", 1.0, huber_width=0.2, margin=1), 0.5 - 0.2 / 2),
    ):
        assert float(dose_loss(dose, label, weight, base, settings)) == pytest.approx(expected)


def test_edges_are_two_voxels_on_both_sides_of_lung_and_bone_but_not_of_the_skin() -> None:
    density = np.full((1, 1, 30), 1.0)
    density[..., :4], density[..., 4:12], density[..., 22:24] = 0.0012, 0.3, 1.5
    edges = edge_mask(density)[0, 0]
    assert np.flatnonzero(edges).tolist() == [10, 11, 12, 13, 20, 21, 22, 23, 24, 25]
    by_name = edge_mask(density, {"left_lung": density == 0.3, "liver": density == 1.0})[0, 0]
    assert np.array_equal(by_name, edges)


def test_maps_are_free_of_the_amount_of_activity_and_slices_are_padded_by_repetition() -> None:
    rng = np.random.default_rng(1)
    shape = (3, 20, 18)
    values = rng.random((4, *shape)).astype(np.float32)
    maps = PatientMaps(
        values[0], values[1], values[2], values[3], None, 2.0, 1.0, 100.0, VolumeGeometry(shape, (4.0,) * 3)
    )
    channels = dblur_dose.padded_channels(maps, ("activity", "density"), (slice(0, 20), slice(0, 18)))
    assert channels.shape == (3, 13, 32, 32)
    assert np.array_equal(channels[:, 0], channels[:, 5])
    assert np.array_equal(dblur_dose.without_padding(channels[2, 6], (20, 18)), values[3, 1])
    dose = maps.dose_gy(np.full(shape, -1.0))
    assert not dose.any()
    assert not maps.channel("nuclide").any()
    with pytest.raises(InputError, match="no input channel 'photon'"):
        maps.channel("photon")


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: UNetArchitecture(("hu", "colour")), "hu, colour; expected different names"),
        (lambda: UNetArchitecture(head="sum"), "head 'sum' is unknown; expected one of add"),
        (lambda: UNetArchitecture(features=0), "Found 0 features"),
        (lambda: DblurArchitecture(extractor="4d"), "extractor '4d' is unknown"),
        (lambda: DblurArchitecture(features=7), "even number of features"),
        (lambda: DblurArchitecture(extracted=3), "Found extracted = 3 of 2 inputs"),
        (lambda: DblurArchitecture(extracted=1), "for the pointwise end of the network; set 'pointwise'"),
        (lambda: DblurArchitecture(residual=False, head="scale"), "needs residual = true"),
        (lambda: UNetTrainingConfig(UNetArchitecture(levels=6), PatchSampling(patch=48)), "multiple of 32"),
        (lambda: LossSettings(edge_weight=0.0), "above 0"),
        (lambda: DblurArchitecture(head="kernel"), "head 'kernel' is unknown; expected one of add, scale, log-ratio"),
        (lambda: PatchSampling(edge_share=0.6, dose_share=0.5), "together are at most 1"),
        (lambda: PatchSampling(activity_scale=0.5), "'activity_scale' must be at least 1, found 0.5"),
        (lambda: SliceSampling(shifted_share=1.5), "'shifted_share' is a share"),
    ],
)  # fmt: skip
def test_settings_that_make_no_network_are_refused(make: object, text: str) -> None:
    with pytest.raises(InputError, match=text):
        make()  # type: ignore[operator]


def test_a_key_that_does_not_exist_is_named_with_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text("[sampling]\npatchs = 48\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"'sampling.patchs', which does not exist; did you mean 'patch'"):
        read_config(path, UNetTrainingConfig)


@pytest.mark.parametrize(
    "path", sorted((*CONFIGS.glob("unet_*.toml"), *CONFIGS.glob("dblurdosenet_*.toml"))), ids=lambda path: path.stem
)
def test_the_configurations_of_the_documentation_can_be_read(path: Path) -> None:
    kind = UNetTrainingConfig if path.stem.startswith("unet") else DblurTrainingConfig
    assert read_config(path, kind).training.epochs >= 1


def test_a_method_without_a_shipped_model_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("radiodosimetry.learned_dose.shipped.MODELS_FOLDER", tmp_path)
    with pytest.raises(InputError, match="No model of 'unet' comes with this version.*radiodosimetry train unet"):
        model_of("unet")
    assert model_of("unet", Path("mine.safetensors")) == Path("mine.safetensors")
    assert MODELS_FOLDER.name == "models"


def test_a_card_with_other_preprocessing_or_of_an_unknown_network_is_refused(tmp_path: Path) -> None:
    architecture = UNetArchitecture(features=4, levels=2)
    state = ResidualUNet3D(architecture).state_dict()
    preprocessing = {**unet_dose.preprocessing((4.0, 4.0, 4.0)), "base": {"method": "multiple-vsv"}}
    good = ModelCard(unet_dose.KIND, architecture.as_dict(), preprocessing, {"nuclides": ["Lu-177"]})
    assert load_dose_model(save_model(tmp_path / "good", state, good)).base_method == "multiple-vsv"
    other = replace(good, preprocessing={**preprocessing, "hu_unit": 1.0})
    with pytest.raises(FileFormatError, match=r"prepares its inputs otherwise than this version \(hu_unit\)"):
        load_dose_model(save_model(tmp_path / "other", state, other))
    unknown = replace(good, architecture={**architecture.as_dict(), "attention": True})
    with pytest.raises(FileFormatError, match="describes a network that this version does not know"):
        load_dose_model(save_model(tmp_path / "unknown", state, unknown))
    wider = replace(good, architecture=UNetArchitecture(features=8, levels=2).as_dict())
    with pytest.raises(FileFormatError, match="do not fit the network that its card describes"):
        load_dose_model(save_model(tmp_path / "wider", state, wider))
    card = json.loads((tmp_path / "good.json").read_text(encoding="utf-8"))
    assert card["preprocessing"]["normalisation"] == "total activity"


def test_a_grid_of_another_voxel_size_covers_the_same_box() -> None:
    fine = VolumeGeometry((130, 100, 101), (0.98, 0.98, 3.0), (10.0, 20.0, 30.0))
    coarse = grid_of_spacing(fine, (4.0, 4.0, 4.0))
    assert coarse.shape_kji == (98, 25, 25)
    low, high = fine.corners_lps_mm().min(axis=0), fine.corners_lps_mm().max(axis=0)
    assert np.all(coarse.corners_lps_mm().min(axis=0) <= low + 1e-6)
    assert np.all(coarse.corners_lps_mm().max(axis=0) >= high - 1e-6)


def test_paired_intervals_are_narrower_than_the_spread_of_the_patients() -> None:
    base = np.array([1.0, 2.0, 3.0, 4.0, 10.0])
    found = bootstrap([base, 0.7 * base], reduction_percent)
    assert found.value == pytest.approx(30.0)
    assert found.low == pytest.approx(30.0)
    assert found.high == pytest.approx(30.0)
    alone = bootstrap([base], mean)
    assert alone.low < alone.value == 4.0 < alone.high
    with pytest.raises(InputError, match="same patients in every column"):
        bootstrap([base, base[:3]], reduction_percent)


def test_ensemble_noise_is_the_root_of_the_mean_variance_over_realisations() -> None:
    doses = np.array([[1.0, 2.0], [3.0, 2.0], [2.0, 2.0]])[:, None, None, :]
    expected = 100 * np.sqrt((1.0 + 0.0) / 2) / 2.0
    assert ensemble_noise_percent(doses, np.ones((1, 1, 2), bool)) == pytest.approx(expected)


def test_regions_go_to_the_rows_of_the_paper() -> None:
    names = ["left_kidney", "red_marrow", "liver", "lesion_in_liver_2", "spleen", "stomach"]
    assert [group_of(name) for name in names] == ["kidneys", "marrow", "liver", "tumours", "spleen", None]

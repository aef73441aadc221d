"""Options of the learned dose that go beyond the publications keep what must hold: linearity, fair samples, no leak."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

pytest.importorskip("torch", reason="networks need PyTorch")
pytest.importorskip("monai", reason="networks need MONAI")

import torch

from radiodosimetry.errors import InputError
from radiodosimetry.images.geometry import VolumeGeometry
from radiodosimetry.learned_dose import dblur_dose, unet_dose
from radiodosimetry.learned_dose.architectures import SLICES, DblurArchitecture, UNetArchitecture
from radiodosimetry.learned_dose.dblurdosenet import DblurDoseNet
from radiodosimetry.learned_dose.losses import FIRST_LESION, REGION_TURN, dose_loss
from radiodosimetry.learned_dose.patient_maps import PatientMaps, scaled_channel
from radiodosimetry.learned_dose.patients import DosePatient
from radiodosimetry.learned_dose.residual_unet import PHOTON_UNIT, ResidualUNet3D
from radiodosimetry.learned_dose.samples import SliceSamples, UNetSamples, voxel_weights
from radiodosimetry.learned_dose.training_config import (
    DblurLoss,
    DblurTrainingConfig,
    LossSettings,
    PatchSampling,
    SliceSampling,
    UNetTrainingConfig,
)

TRANSPORT = UNetArchitecture(("density", "photon-share", "local-share"), features=4, levels=2, head="transport")
SHAPE = (30, 24, 32)


def maps_of(seed: int = 1, activity: float = 1.0, spacing_mm: tuple[float, float, float] = (4.0,) * 3) -> PatientMaps:
    """A block of tissue in air with a hot spot; `activity` multiplies what is in it."""
    rng = np.random.default_rng(seed)
    inside = np.zeros(SHAPE, dtype=bool)
    inside[:, 3:-3, 4:-4] = True
    density = np.where(inside, rng.uniform(0.3, 1.5, SHAPE), 0.0012).astype(np.float32)
    dose = np.where(inside, rng.uniform(0.1, 1.0, SHAPE), 0.001).astype(np.float32)
    dose[15, 10, 12] = 200.0
    base, energy = activity * dose, activity * dose * density
    hu = np.where(inside, 0.0, -1000.0).astype(np.float32)
    grid = VolumeGeometry(SHAPE, spacing_mm)
    return PatientMaps(hu, density, energy, base, 0.2 * base, 1.0, 1.0, 100.0, grid)


def patient_of(seed: int = 1, **options: object) -> DosePatient:
    maps = maps_of(seed, **options)  # type: ignore[arg-type]
    edges = maps.density_kji > 1.4
    return DosePatient(f"toy_{seed}", f"toy:{seed}", "Lu-177", maps, 1.1 * maps.base_kji, edges, {})


def dose_of(network: ResidualUNet3D, maps: PatientMaps) -> torch.Tensor:
    channels = unet_dose.inputs_and_carried(maps, network.architecture)
    with torch.inference_mode():
        return unet_dose.network_dose(network, torch.from_numpy(channels[None, :, :24]))[0, 0]


def trained_somehow(architecture: UNetArchitecture) -> ResidualUNet3D:
    network = ResidualUNet3D(architecture).eval()
    torch.nn.init.normal_(network.last.weight, generator=torch.Generator().manual_seed(1))
    return network


def test_the_transport_head_gives_ten_times_the_dose_for_ten_times_the_activity_in_view() -> None:
    network = trained_somehow(TRANSPORT)
    once, tenfold = (dose_of(network, maps_of(activity=factor)) for factor in (1.0, 10.0))
    torch.testing.assert_close(tenfold, 10 * once, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(once, torch.from_numpy(maps_of().base_kji[:24]), rtol=0.01)


def test_the_transport_head_that_sees_density_alone_adds_what_two_activities_give() -> None:
    network = trained_somehow(replace(TRANSPORT, inputs=("density",)))
    with torch.no_grad():
        network.last.weight.abs_()  # behind features above zero: no voxel loses all its electrons
    first = maps_of()
    names = ("activity_kji", "base_kji", "photon_kji")
    second = replace(first, **{name: np.flip(getattr(first, name), 2) for name in names})
    both = replace(first, **{name: getattr(first, name) + getattr(second, name) for name in names})
    together = dose_of(network, both)
    torch.testing.assert_close(together, dose_of(network, first) + dose_of(network, second), rtol=1e-4, atol=1e-4)


def test_the_transport_head_changes_electrons_photons_and_neighbours_apart() -> None:
    network = ResidualUNet3D(TRANSPORT)
    output = torch.zeros(1, TRANSPORT.outputs, 3, 3, 3)
    output[:, 1] = 1.0
    base, photon = torch.full((2, 1, 1, 3, 3, 3), 2.0)
    dose = network.combine(output, base, torch.zeros_like(base), torch.ones_like(base), 0.5 * photon)
    torch.testing.assert_close(dose, base + PHOTON_UNIT * 1.0)
    output[:, 0], output[:, 1] = -1e3, 0.0  # no electrons left, nor fewer than none
    torch.testing.assert_close(network.combine(output, base, base, torch.ones_like(base), 0.5 * photon), 0.5 * photon)
    output[:, 1] = -1e3
    assert not network.combine(output, base, base, torch.ones_like(base), 0.5 * photon).any()
    assert TRANSPORT.needs_photons
    assert UNetArchitecture(("density", "photon-share")).needs_photons
    assert not UNetArchitecture().needs_photons


def test_shares_do_not_change_with_the_activity_and_scaled_channels_are_those_of_scaled_maps() -> None:
    once, threefold = maps_of(), maps_of(activity=3.0)
    logarithms = ("log-activity", "log-base")
    for name in ("activity", "base", "photon", *logarithms, "density", "photon-share", "local-share", "share-12mm"):
        scaled = scaled_channel(name, once.channel(name), np.float32(3.0))
        np.testing.assert_allclose(scaled, threefold.channel(name), rtol=2e-3, atol=1e-5)
    assert 0 < once.channel("local-share").max() < 1
    np.testing.assert_allclose(once.channel("photon-share"), 0.2, rtol=1e-5)
    hot = (15, 10, 12)
    assert once.channel("local-share")[hot] > once.channel("share-3mm")[hot] > once.channel("share-24mm")[hot]
    assert once.channel("peak-1")[hot] == once.channel("peak-4")[hot] == 1.0
    lowest = once.base_kji[14:17, 9:12, 11:14].min()
    assert once.channel("valley-1")[hot] == pytest.approx(lowest / 200.0)
    assert once.channel("peak-1")[15, 10, 13] == pytest.approx(once.base_kji[15, 10, 13] / 200.0)
    np.testing.assert_allclose(once.channel("valley-2"), threefold.channel("valley-2"), rtol=1e-5)


def test_slices_at_the_ends_neither_train_nor_judge() -> None:
    loss = LossSettings(end_slices=10)
    weight = voxel_weights(patient_of(), loss)
    assert not weight[:10].any()
    assert not weight[-10:].any()
    assert weight[10:-10].all()
    with pytest.raises(InputError, match="toy_1 has 30 slices; none is left without 15 at either end"):
        voxel_weights(patient_of(), LossSettings(end_slices=15))
    samples = SliceSamples([patient_of()], DblurArchitecture(), SliceSampling(), loss, training=True)
    assert len(samples) == 10
    assert all(samples.sample(index, np.random.default_rng(index))["weight"].any() for index in range(10))


def test_weights_can_be_those_of_energy_and_of_edges() -> None:
    patient = patient_of()
    weight = voxel_weights(patient, LossSettings(density_weight=True, edge_weight=3.0))
    np.testing.assert_allclose(weight[patient.edges_kji], 3 * patient.maps.density_kji[patient.edges_kji], rtol=1e-6)
    np.testing.assert_allclose(weight[~patient.edges_kji], patient.maps.density_kji[~patient.edges_kji], rtol=1e-6)
    lesion, liver = (np.zeros(SHAPE, dtype=bool) for _ in range(2))
    lesion[12:15, 10:12], liver[12:20] = True, True
    marked = replace(patient, regions={"lesion_2": lesion, "liver": liver})
    weight = voxel_weights(patient, LossSettings(dose_weight=2.0))
    base = patient.maps.base_kji
    dosed = base[base > 0.01 * np.percentile(base, 99)]
    typical = np.abs(base - dosed.mean()).argmin()
    assert weight.ravel()[typical] == pytest.approx(3.0, rel=0.02)  # at the mean dose
    most = 1 + 2 * np.percentile(dosed, 99.9) / dosed.mean()
    assert weight[15, 10, 12] == pytest.approx(most)  # one spot counts no more
    assert weight[15, 10, 12] == weight.max()
    smooth = ndimage.gaussian_filter(base, 2.0)
    weight = voxel_weights(patient, LossSettings(dose_weight=2.0, base_smoothing=2.0))
    dosed = smooth[smooth > 0.01 * np.percentile(smooth, 99)]
    expected = 1 + 2 * np.minimum(smooth, np.percentile(dosed, 99.9)) / dosed.mean()
    np.testing.assert_allclose(weight, expected, rtol=1e-5)  # a voxel above its surroundings may be so by noise
    weight = voxel_weights(marked, LossSettings(lesion_weight=4.0))
    assert (weight[lesion] == 4.0).all()
    assert (weight[~lesion] == 1.0).all()


def test_errors_of_block_means_are_taken_tissue_by_tissue() -> None:
    density = torch.ones(1, 1, 8, 8, 8)
    density[..., :4, :], density[:, :, :2, :2, :2] = 0.3, 1.5
    label = torch.full_like(density, 2.0)
    noise = torch.randn(label.shape, generator=torch.Generator().manual_seed(1))
    tissues = [density < 0.6, (density >= 0.6) & (density < 1.15), density >= 1.15]
    for tissue in tissues:
        noise[tissue] -= noise[tissue].mean()
    settings = LossSettings("relative-mse", relative_floor=2.0, block=8, block_weight=10.0)

    def block_loss(dose: torch.Tensor, weight: torch.Tensor, settings: LossSettings = settings) -> float:
        alone = replace(settings, block_weight=0.0)
        return float(
            dose_loss(dose, label, weight, label, settings, density) - dose_loss(dose, label, weight, label, alone)
        )

    ones = torch.ones_like(label)
    assert block_loss(label + noise, ones) == pytest.approx(0.0, abs=1e-6)
    biased = label + noise + 0.4 * tissues[2] - 0.2 * tissues[0]
    expected = 10 * (0.1**2 * tissues[2].sum() + 0.05**2 * tissues[0].sum()) / 512
    assert block_loss(biased, ones) == pytest.approx(float(expected), rel=1e-3)
    assert block_loss(biased, 3 * ones * tissues[1]) == pytest.approx(0.0, abs=1e-6)
    slices = [one[:, :, 0] for one in (label + 0.4, label, ones, label, density)]
    flat = dose_loss(slices[0], *slices[1:4], settings, slices[4])
    assert float(flat) == pytest.approx(0.1**2 * 11, rel=1e-4)
    with pytest.raises(InputError, match="Blocks of 8 voxels do not fit into patches of 16 with a margin of 5"):
        UNetTrainingConfig(sampling=PatchSampling(patch=16), loss=LossSettings(margin=5, block_weight=1.0))
    with pytest.raises(InputError, match="tissues of a block from the input channel 'density'"):
        DblurTrainingConfig(DblurArchitecture(("activity",)), loss=DblurLoss(block_weight=1.0))


def test_errors_of_region_means_count_alike_whatever_their_size_and_not_their_noise() -> None:
    label = torch.full((2, 1, 12, 12), 2.0)
    region = torch.zeros_like(label)
    region[0, :, :6], region[0, :, 8:11, 8:11], region[1, :, 2:6] = 1, 2, 1  # 72, 9 and 48 voxels
    region[1, :, 9, :7] = 3  # too few
    settings = LossSettings("relative-mse", relative_floor=2.0, region_weight=4.0)
    ones = torch.ones_like(label)

    def region_loss(dose: torch.Tensor, weight: torch.Tensor = ones) -> float:
        maps = (dose, label, weight, label)
        alone = dose_loss(*maps, replace(settings, region_weight=0.0))
        return float(dose_loss(*maps, settings, region=region) - alone)

    noise = torch.randn(label.shape, generator=torch.Generator().manual_seed(1))
    for sample, number in ((0, 1), (0, 2), (1, 1)):
        own = region[sample] == number
        noise[sample][own] -= noise[sample][own].mean()
    assert region_loss(label + noise) == pytest.approx(0.0, abs=1e-6)
    small = label + noise + 0.41 * (region == 2)
    assert region_loss(small) == pytest.approx(4 * (0.2 - 0.05) / 3, rel=1e-4)  # 20 % off: linear
    assert region_loss(label + 0.41 * (region == 3)) == pytest.approx(0.0, abs=1e-6)
    assert region_loss(small, ones * (region != 2)) == pytest.approx(0.0, abs=1e-6)
    bright = (label + 0.41 * (region == 2), label, ones, label + 4.1 * (region == 2))
    both = dose_loss(*bright, settings, region=region) - dose_loss(*bright, replace(settings, region_weight=0.0))
    assert float(both) == pytest.approx(4 * 0.1**2 / (2 * REGION_TURN) / 3, rel=1e-4)  # of what is and seemed
    inside = dose_loss(small, label, ones, label, replace(settings, margin=3), region=region)
    assert math.isfinite(float(inside))
    lesion = torch.where(region == 2, FIRST_LESION + 2.0, region)
    settings = replace(settings, lesion_weight=3.0)
    both = dose_loss(small, label, ones, label, settings, region=lesion)
    both -= dose_loss(small, label, ones, label, replace(settings, region_weight=0.0))
    assert float(both) == pytest.approx(4 * (3 / 5) * (0.2 - 0.05), rel=1e-4)
    with pytest.raises(InputError, match="'region_weight' must be at least 0, found -1"):
        LossSettings(region_weight=-1.0)


def test_samples_hold_the_regions_mirrored_as_their_labels() -> None:
    lesion, liver = (np.zeros(SHAPE, dtype=bool) for _ in range(2))
    lesion[12:15, 10:12], liver[15:20] = True, True
    patient = replace(patient_of(), regions={"liver": liver, "lesion_1": lesion})
    sampling = PatchSampling(patch=8, samples_per_patient=30, augment=True)
    samples = UNetSamples([patient], TRANSPORT, sampling, LossSettings(), training=True)
    drawn = [samples.sample(index, np.random.default_rng(index)) for index in range(30)]
    numbers = np.unique(np.concatenate([one["region"].ravel() for one in drawn]))
    assert set(numbers) <= {0.0, 1.0, FIRST_LESION + 2.0}
    assert 1.0 in numbers
    label = patient.label_kji
    for one in drawn:  # the map is mirrored with the label: labels of a region's voxels are among the region's
        own = one["label"][one["region"] == 1.0]
        assert np.isin(own, label[liver]).all()


def test_a_hot_voxel_is_in_most_patches_that_are_drawn_by_dose() -> None:
    def share_with_the_spot(dose_share: float) -> float:
        sampling = PatchSampling(patch=8, samples_per_patient=60, dose_share=dose_share, augment=False)
        samples = UNetSamples([patient_of()], TRANSPORT, sampling, LossSettings(), training=True)
        found = [samples.sample(index, np.random.default_rng(index))["label"].max() > 100 for index in range(60)]
        return float(np.mean(found))

    assert share_with_the_spot(0.0) < 0.15
    assert share_with_the_spot(1.0) > share_with_the_spot(0.0)


def test_scaled_samples_keep_the_ratio_of_label_and_base_and_validation_is_left_alone() -> None:
    architecture = UNetArchitecture(("activity", "log-base"), levels=2)
    sampling = PatchSampling(patch=8, samples_per_patient=40, activity_scale=3.0)
    training = UNetSamples([patient_of()], architecture, sampling, LossSettings(), training=True)
    factors = []
    for index in range(40):
        one = training.sample(index, np.random.default_rng(index))
        base, energy, density = one["channels"][2:5]
        np.testing.assert_allclose(one["label"][0], 1.1 * base, rtol=1e-4)
        np.testing.assert_allclose(one["reference"][0], base, rtol=1e-4)
        np.testing.assert_allclose(energy, one["channels"][0], rtol=1e-4)
        inside = density > 0.2
        factors.append(float((energy[inside] / density[inside]).min()))
    assert 0.03 < min(factors) < 0.05
    assert 0.2 < max(factors) < 0.7
    judged = UNetSamples([patient_of()], architecture, sampling, LossSettings(), training=False)
    for index in range(len(judged)):
        found = judged.sample(index, np.random.default_rng(index))["label"]
        assert np.isin(found, 1.1 * maps_of().base_kji).all()


def test_validation_of_slices_sees_the_whole_slice_and_training_a_crop_that_is_not_turned() -> None:
    sampling = SliceSampling(crop=16, samples_per_patient=20, validation_per_patient=5, dose_share=0.5)
    patients = [patient_of(1), patient_of(2)]
    judged = SliceSamples(patients, DblurArchitecture(), sampling, LossSettings(), training=False)
    assert judged.sample(7, np.random.default_rng(0))["channels"].shape == (3, SLICES, 32, 32)
    row = np.broadcast_to(np.arange(SHAPE[1])[:, None], SHAPE).astype(np.float32)
    marked = replace(patients[0], maps=replace(patients[0].maps, activity_kji=row))
    training = SliceSamples([marked], DblurArchitecture(), sampling, LossSettings(), training=True)
    for index in range(20):
        rows = training.sample(index, np.random.default_rng(index))["channels"][0, 5]
        assert rows.shape == (16, 16)
        assert not np.diff(rows, axis=1).any()


def test_neighbouring_slices_of_a_sample_get_the_doses_they_get_alone() -> None:
    sampling = SliceSampling(crop=16, slices=4, samples_per_patient=30)
    slice_number = np.broadcast_to(np.arange(SHAPE[0])[:, None, None], SHAPE).astype(np.float32)
    patient = replace(patient_of(), label_kji=slice_number)
    samples = SliceSamples([patient], DblurArchitecture(), sampling, LossSettings(), training=True)
    drawn = [samples.sample(index, np.random.default_rng(index)) for index in range(30)]
    seen = np.unique([one["label"] for one in drawn])
    assert {0.0, SHAPE[0] - 1.0} <= set(seen)  # the ends of the volume too
    for one in drawn:
        assert one["channels"].shape == (3, SLICES + 3, 16, 16)
        numbers = one["label"][0, :, 0, 0]
        assert one["label"].shape == (1, 4, 16, 16)
        assert np.abs(np.diff(numbers)).tolist() == [1, 1, 1]
    network = DblurDoseNet(DblurArchitecture(features=4)).eval()
    torch.nn.init.normal_(network.last.weight, std=0.1, generator=torch.Generator().manual_seed(0))
    channels = torch.from_numpy(np.stack([one["channels"] for one in drawn[:2]]))
    with torch.no_grad():
        together = dblur_dose.network_dose(network, channels)
        alone = [dblur_dose.network_dose(network, channels[:, :, first : first + SLICES]) for first in range(4)]
    torch.testing.assert_close(together, torch.stack(alone, dim=2))
    torch.testing.assert_close(dblur_dose.judged_slices(channels)[:, :, 1], channels[:, :, 6])
    few = SliceSampling(crop=16, slices=SHAPE[0] + 1)
    with pytest.raises(InputError, match="slices, fewer than the"):
        SliceSamples([patient], DblurArchitecture(), few, LossSettings(), training=True)
    with pytest.raises(InputError, match="'margin' belong to single slices, 'slices' is 4"):
        DblurTrainingConfig(sampling=sampling, loss=DblurLoss(margin=1))


def test_patches_are_turned_only_where_rows_and_columns_have_one_size() -> None:
    def turned(spacing_mm: tuple[float, float, float]) -> bool:
        patient = patient_of(spacing_mm=spacing_mm)
        row = np.broadcast_to(np.arange(SHAPE[1])[:, None], SHAPE).astype(np.float32)
        patient = replace(patient, maps=replace(patient.maps, hu_kji=row))
        sampling = PatchSampling(patch=8, samples_per_patient=20)
        samples = UNetSamples([patient], UNetArchitecture(levels=2), sampling, LossSettings(), training=True)
        found = [samples.sample(index, np.random.default_rng(index))["channels"][0] for index in range(20)]
        return any(np.diff(one, axis=2).any() for one in found)

    assert turned((4.0, 4.0, 4.0))
    assert not turned((4.0, 2.0, 4.0))

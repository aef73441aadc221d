"""Voxel kernels from point kernels against closed forms, plain sampling and scaling laws."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from radiodosimetry.errors import InputError
from radiodosimetry.media import Material, named_material
from radiodosimetry.nuclides import ParticleSpectrum, Radionuclide
from radiodosimetry.units import JOULE_PER_MEV, Quantity
from radiodosimetry.voxel_dose import disk_cache, radial_energy
from radiodosimetry.voxel_dose.geometric_weights import near_weights, triangle_rule
from radiodosimetry.voxel_dose.kernels import DoseKernel, voxel_kernel
from radiodosimetry.voxel_dose.sources import EmissionSource
from radiodosimetry.voxel_dose.voxelisation import energy_per_cell, unfold, voxelise
from voxel_dose_samples import (
    ClosedForm,
    brute_force_kernel,
    closed_form_provider,
    exponential,
    straight_tracks,
    uniform_ball,
)

WATER = named_material("water")


def kernel_of(form: ClosedForm, spacing_mm: tuple[float, float, float], half_width: int) -> np.ndarray:
    cells = energy_per_cell(form, near_weights(spacing_mm).edges_mm)
    return voxelise(cells, spacing_mm, (half_width,) * 3)


@pytest.mark.parametrize("spacing_mm", [(2.0, 2.0, 2.0), (1.0, 1.0, 3.0), (4.0, 2.0, 1.0)])
def test_weights_of_every_distance_add_up_to_one(spacing_mm):
    weights = near_weights(spacing_mm)
    inside = weights.edges_mm[1 : weights.weights.shape[-1] + 1] < 2 * min(spacing_mm)
    multiplicity = np.where(np.arange(20) == 0, 1, 2)
    z, y, x = weights.near_counts
    times = multiplicity[:z, None, None] * multiplicity[:y, None] * multiplicity[:x]
    totals = np.tensordot(times, weights.weights, axes=3)
    assert totals[inside] == pytest.approx(1.0, abs=1e-12)


def test_weight_of_the_source_voxel_near_zero_distance_is_its_mean_chord_law():
    # For r ≪ a: W = Π(1 − r|n_i|/a) averaged = 1 − 3r/(2a) + 2 r²/(π a²) − r³/(4π a³): mean |n| = 1/2,
    # mean |n_x n_y| = 2/(3π), mean |n_x n_y n_z| = 1/(4π)
    edge = 4.0
    weights = near_weights((edge,) * 3)
    middle = 0.5 * (weights.edges_mm[1:] + weights.edges_mm[:-1])[: weights.weights.shape[-1]]
    small = middle < edge
    r = middle[small] / edge
    expected = 1 - 1.5 * r + 2 / np.pi * r**2 - r**3 / (4 * np.pi)
    assert weights.weights[0, 0, 0][small] == pytest.approx(expected, abs=2e-4)


def test_triangle_rule_integrates_polynomials():
    nodes, weights = triangle_rule(3)
    assert weights.sum() == pytest.approx(1.0)
    assert weights @ nodes**2 == pytest.approx(1 / 6)
    assert weights @ nodes**4 == pytest.approx(1 / 15)


@pytest.mark.parametrize(
    ("form", "inverse"),
    [
        (exponential(0.5), lambda share: -np.log1p(-share) / 0.5),
        (exponential(10.0), lambda share: -np.log1p(-share) / 10.0),
        (uniform_ball(3.0), lambda share: 3.0 * np.cbrt(share)),
        (straight_tracks(3.0), lambda share: 3.0 * share),
    ],
    ids=["photons", "short range", "ball", "tracks"],
)
@pytest.mark.parametrize("spacing_mm", [(2.0, 2.0, 2.0), (1.0, 1.0, 3.0)])
def test_kernels_agree_with_plain_sampling(form, inverse, spacing_mm):
    count = 1_000_000
    sampled = brute_force_kernel(inverse, spacing_mm, 3, count, seed=5)
    kernel = unfold(kernel_of(form, spacing_mm, 3))
    sigma = np.sqrt(np.maximum(kernel, 1 / count) / count)
    assert np.mean(((kernel - sampled) / sigma) ** 2) < 1.4
    assert np.abs((kernel - sampled) / sigma).max() < 5


@pytest.mark.parametrize("range_mm", [0.01, 0.5, 2.0, 4.0, 6.0])
def test_source_and_face_voxels_of_straight_tracks_agree_with_fine_quadrature(range_mm):
    # Closed form by an independent rule: Gauss–Legendre over the range and a dense grid of directions.
    edge = 4.0
    radius, radius_weight = np.polynomial.legendre.leggauss(200)
    radius, radius_weight = 0.5 * range_mm * (radius + 1), 0.5 * radius_weight
    cosine = (np.arange(400) + 0.5) / 400
    azimuth = (np.arange(400) + 0.5) / 400 * np.pi / 2
    sine = np.sqrt(1 - cosine**2)
    n_x, n_y = np.outer(sine, np.cos(azimuth)), np.outer(sine, np.sin(azimuth))
    centre = face = 0.0
    for r, weight in zip(radius / edge, radius_weight, strict=True):
        side_y, side_z = np.maximum(0, 1 - r * n_y), np.maximum(0, 1 - r * cosine)[:, None]
        centre += weight * np.mean(np.maximum(0, 1 - r * n_x) * side_y * side_z)
        face += weight * 0.5 * np.mean(np.maximum(0, 1 - np.abs(r * n_x - 1)) * side_y * side_z)
    octant = kernel_of(straight_tracks(range_mm), (edge,) * 3, 2)
    assert octant[0, 0, 0] == pytest.approx(centre, rel=1e-3)
    assert octant[0, 0, 1] == pytest.approx(face, rel=1e-3)


@pytest.mark.parametrize(
    ("form", "spacing_mm", "half_width"),
    [
        (exponential(0.25), (2.0, 2.0, 2.0), 30),
        (exponential(0.25), (1.0, 1.0, 3.0), 49),
        (exponential(50.0), (4.0, 4.0, 4.0), 2),
        (uniform_ball(5.0), (0.5, 0.5, 0.5), 14),
        (uniform_ball(0.2), (4.0, 4.0, 4.0), 1),
        (straight_tracks(11.0), (0.5, 0.5, 0.5), 26),
        (straight_tracks(11.0), (0.3, 0.3, 0.3), 40),
    ],
)
def test_a_large_kernel_holds_all_energy(form, spacing_mm, half_width):
    total = unfold(kernel_of(form, spacing_mm, half_width)).sum()
    assert total == pytest.approx(form.cumulative_energy_mev[-1], rel=5e-4)


def test_kernels_scale_with_the_voxel_and_the_range():
    small = kernel_of(exponential(1.0), (1.0, 1.0, 2.0), 10)
    large = kernel_of(exponential(0.25), (4.0, 4.0, 8.0), 10)
    assert large == pytest.approx(small, rel=1e-3)


def test_kernels_of_tiny_voxels_approach_the_point_kernel():
    spacing = 0.05
    octant = kernel_of(exponential(0.01), (spacing,) * 3, 40)
    distance = spacing * 40
    density = 0.01 * np.exp(-0.01 * distance) / (4 * np.pi * distance**2)
    assert octant[0, 0, 40] == pytest.approx(density * spacing**3, rel=2e-3)


def test_axes_of_anisotropic_voxels_may_be_exchanged():
    first = kernel_of(exponential(0.3), (1.0, 2.0, 3.0), 8)
    second = kernel_of(exponential(0.3), (3.0, 1.0, 2.0), 8)
    # (x, y, z) = (1, 2, 3) mm against (3, 1, 2) mm: x of the first is y of the second, y is z, z is x
    assert second == pytest.approx(first.transpose(1, 2, 0), rel=2e-3, abs=1e-9)


def test_cubic_kernels_are_symmetric_under_exchange_of_axes():
    octant = kernel_of(straight_tracks(7.0), (2.0, 2.0, 2.0), 5)
    for order in [(1, 0, 2), (2, 1, 0), (0, 2, 1)]:
        assert octant.transpose(order) == pytest.approx(octant, rel=1e-9, abs=1e-15)


def test_the_near_and_the_far_rule_meet_without_a_step():
    spacing = (2.0, 2.0, 2.0)
    octant = kernel_of(exponential(0.02), spacing, 8)
    last_near = near_weights(spacing).near_counts[0] - 1
    scaled = octant[0, 0, 1:] * np.arange(1, 9) ** 2 * np.exp(0.04 * np.arange(1, 9))
    assert scaled[last_near] == pytest.approx(scaled[last_near - 1], rel=0.02)
    assert np.all(np.diff(scaled[1:]) < 0.01 * scaled[-1])


def test_what_stays_at_the_point_stays_in_the_source_voxel():
    form = ClosedForm(np.array([0.0, 1.0, 100.0]), np.array([2.0, 2.0, 2.0]))
    octant = kernel_of(form, (3.0, 3.0, 3.0), 2)
    assert octant[0, 0, 0] == pytest.approx(2.0, rel=1e-4)


def test_voxelisation_is_linear():
    spacing = (2.0, 2.0, 3.0)
    edges = near_weights(spacing).edges_mm
    first, second = (energy_per_cell(form, edges) for form in (exponential(0.2), straight_tracks(9.0)))
    together = voxelise(np.stack([first, second, 2 * first - second]), spacing, (6, 6, 6))
    assert together[2] == pytest.approx(2 * together[0] - together[1], abs=1e-12)


def test_a_point_kernel_that_falls_is_refused():
    form = ClosedForm(np.array([0.0, 1.0]), np.array([1.0, 0.5]))
    with pytest.raises(InputError, match="must not decrease"):
        energy_per_cell(form, np.array([0.0, 1.0]))


def test_voxels_as_needles_are_refused():
    with pytest.raises(InputError, match="50 times as long"):
        near_weights((0.1, 0.1, 10.0))


def test_a_kernel_holds_dose_per_decay_with_parts_that_add_up():
    source = EmissionSource.from_nuclide(Radionuclide("Lu-177"))
    kernel = voxel_kernel(source, WATER, (4.0, 4.0, 4.0), 6, point_kernels=closed_form_provider)
    assert kernel.quantity is Quantity.VOXEL_S_VALUE
    assert kernel.array_kji.shape == (13, 13, 13)
    assert kernel.array_kji == pytest.approx(unfold(kernel.charged_octant_kji) + unfold(kernel.photon_octant_kji))
    assert kernel.energy_balance == pytest.approx(1.0, rel=1e-6)
    electrons = voxel_kernel(
        EmissionSource.from_nuclide(Radionuclide("Lu-177"), "electrons"),
        WATER,
        (4.0, 4.0, 4.0),
        6,
        point_kernels=closed_form_provider,
    )
    assert electrons.octant_kji == pytest.approx(kernel.charged_octant_kji)
    mass_kg = 64e-6
    energy = electrons.array_kji.sum() * mass_kg / JOULE_PER_MEV
    assert energy == pytest.approx(source.charged_energy_mev, rel=1e-4)


def test_dose_goes_with_the_inverse_of_the_density_when_everything_stays_inside():
    source = EmissionSource.mono_energetic("electron", 30.0)
    spacing = (20.0, 20.0, 20.0)
    light, dense = (
        voxel_kernel(source, WATER.with_density(density), spacing, 1, point_kernels=closed_form_provider)
        for density in (1.0, 2.0)
    )
    assert dense.array_kji.sum() == pytest.approx(0.5 * light.array_kji.sum(), rel=1e-9)
    assert dense.quantity is Quantity.ABSORBED_DOSE_PER_PARTICLE


def test_alphas_and_recoils_stay_in_the_source_voxel():
    source = EmissionSource.from_nuclide(Radionuclide("Po-210"))
    kernel = voxel_kernel(source, WATER, (1.0, 1.0, 1.0), 1, point_kernels=closed_form_provider)
    assert source.local_energy_mev == pytest.approx(5.41, abs=0.02)
    expected = source.local_energy_mev * JOULE_PER_MEV / 1e-6
    assert kernel.octant_kji[0, 0, 0] == pytest.approx(expected, rel=1e-4)


def test_the_kernel_image_has_its_source_at_the_origin():
    source = EmissionSource.mono_energetic("photon", 200.0)
    volume = voxel_kernel(source, WATER, (1.0, 2.0, 3.0), 2, point_kernels=closed_form_provider).as_volume()
    assert volume.geometry.origin_mm == (-2.0, -4.0, -6.0)
    assert np.unravel_index(volume.array_kji.argmax(), volume.array_kji.shape) == (2, 2, 2)


def test_half_widths_may_differ_by_axis():
    source = EmissionSource.mono_energetic("photon", 200.0)
    kernel = voxel_kernel(source, WATER, (1.0, 1.0, 3.0), (5, 4, 2), point_kernels=closed_form_provider)
    assert kernel.array_kji.shape == (5, 9, 11)


@pytest.mark.parametrize("half_width", [-1, 1.5, 100_000])
def test_a_half_width_that_is_no_count_is_refused(half_width):
    source = EmissionSource.mono_energetic("photon", 200.0)
    with pytest.raises(InputError, match="half-width"):
        voxel_kernel(source, WATER, (1.0, 1.0, 1.0), half_width, point_kernels=closed_form_provider)


def test_kernels_that_do_not_fit_together_are_refused():
    with pytest.raises(InputError, match="two octants"):
        DoseKernel(
            np.zeros((2, 2, 2)), np.zeros((3, 3, 3)), (1.0, 1.0, 1.0), 1.0, Quantity.VOXEL_S_VALUE, 1.0, 1.0
        )


def test_positrons_bring_annihilation_photons_once():
    positrons = ParticleSpectrum("positron", np.array([250.0]), np.array([0.97]))
    listed = ParticleSpectrum("photon", np.array([511.0, 1000.0]), np.array([1.90, 0.1]))
    made = EmissionSource.from_spectra("list", [positrons])
    kept = EmissionSource.from_spectra("list", [positrons, listed])
    assert made.photon_energy_mev == pytest.approx(2 * 0.97 * 0.51099895)
    assert kept.photon_energy_mev == pytest.approx(1.90 * 0.51099895 + 0.1)
    assert [spectrum.particle for spectrum in kept.transport_spectra] == ["positron", "photon"]
    assert kept.transport_spectra[1].energy_kev.tolist() == [1000.0]


def test_positrons_without_photons_are_run_as_electrons():
    source = EmissionSource.from_nuclide(Radionuclide("F-18"), "electrons")
    assert {spectrum.particle for spectrum in source.transport_spectra} == {"electron"}
    photons = EmissionSource.from_nuclide(Radionuclide("F-18"), "photons")
    assert photons.photon_energy_mev == pytest.approx(0.9886, abs=1e-3)
    assert {spectrum.particle for spectrum in photons.transport_spectra} == {"photon"}


def test_a_source_that_emits_nothing_is_refused():
    with pytest.raises(InputError, match="emits nothing"):
        EmissionSource.from_spectra("nothing", [])


def test_emissions_must_be_known():
    with pytest.raises(InputError, match="expected one of: all, electrons, photons"):
        EmissionSource.from_nuclide(Radionuclide("Lu-177"), "gammas")


# --- the disk cache ---------------------------------------------------------------------------------------------------


def test_cached_arrays_come_back_the_same(tmp_path, monkeypatch):
    monkeypatch.setenv(disk_cache.CACHE_VARIABLE, str(tmp_path / "deep" / "cache"))
    key = disk_cache.cache_key({"a": 1.0})
    assert disk_cache.load_arrays(key) is None
    disk_cache.store_arrays(key, {"values": np.arange(5.0)})
    assert disk_cache.load_arrays(key)["values"].tolist() == [0, 1, 2, 3, 4]
    assert [path.suffix for path in (tmp_path / "deep" / "cache").iterdir()] == [".npz"]


def cached(folder, *keys):
    return [key for key in keys if (folder / f"{key}.npz").exists()]


def test_what_was_read_longest_ago_leaves_a_full_cache_first(monkeypatch, tmp_path):
    monkeypatch.setenv(disk_cache.CACHE_VARIABLE, str(tmp_path))
    keys = [disk_cache.cache_key({"entry": number}) for number in range(4)]
    arrays = {"values": np.zeros(10_000)}  # 80 kB and a header each
    for age, key in enumerate(keys[:3]):
        disk_cache.store_arrays(key, arrays)
        os.utime(tmp_path / f"{key}.npz", (1e9 + age, 1e9 + age))
    foreign = tmp_path / "notes.npz"
    foreign.write_bytes(b"of somebody else" * 100_000)
    assert disk_cache.load_arrays(keys[0]) is not None  # now the youngest
    disk_cache.store_arrays(keys[3], arrays, largest_bytes=250_000)
    assert cached(tmp_path, *keys) == [keys[0], keys[2], keys[3]]
    disk_cache.store_arrays(keys[1], arrays, largest_bytes=170_000)
    assert cached(tmp_path, *keys)[-1] == keys[3]
    assert len(cached(tmp_path, *keys)) == 2
    assert keys[1] in cached(tmp_path, *keys)
    assert foreign.exists()


def test_the_size_of_the_cache_is_that_of_the_environment_if_it_is_a_number(monkeypatch, tmp_path):
    monkeypatch.setenv(disk_cache.CACHE_VARIABLE, str(tmp_path))
    monkeypatch.delenv(disk_cache.SIZE_VARIABLE, raising=False)
    assert disk_cache.largest_cache_bytes() == 2 * 1024**3
    for text, size in (("0.5", 524_288), ("-1", 0), ("many", 2 * 1024**3), ("inf", 2 * 1024**3), ("nan", 2 * 1024**3)):
        monkeypatch.setenv(disk_cache.SIZE_VARIABLE, text)
        assert disk_cache.largest_cache_bytes() == size
    monkeypatch.setenv(disk_cache.SIZE_VARIABLE, "0")
    key = disk_cache.cache_key({"a": 1})
    disk_cache.store_arrays(key, {"values": np.zeros(3)})
    assert disk_cache.load_arrays(key) is None


def test_files_that_a_dead_process_left_go_and_those_of_a_living_one_stay(monkeypatch, tmp_path):
    monkeypatch.setenv(disk_cache.CACHE_VARIABLE, str(tmp_path))
    left, written = tmp_path / f".{'0' * 16}-00000000.npz", tmp_path / f".{'1' * 16}-11111111.npz"
    for path in (left, written):
        path.write_bytes(b"half")
    os.utime(left, (1e9, 1e9))
    disk_cache.store_arrays(disk_cache.cache_key({"a": 1}), {"values": np.zeros(3)})
    assert not left.exists()
    assert written.exists()


def test_all_that_share_a_small_cache_get_their_own_numbers_or_none(monkeypatch, tmp_path):
    monkeypatch.setenv(disk_cache.CACHE_VARIABLE, str(tmp_path))
    keys = [disk_cache.cache_key({"entry": number}) for number in range(6)]

    def work(seed):
        order = np.random.default_rng(seed).integers(0, len(keys), 60)
        for number in order:
            disk_cache.store_arrays(keys[number], {"values": np.full(1_000, float(number))}, largest_bytes=30_000)
            found = disk_cache.load_arrays(keys[number])
            if found is not None and not np.array_equal(found["values"], np.full(1_000, float(number))):
                return "another's numbers"
        return "fine"

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(work, range(4))) == {"fine"}
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 30_000
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("damage", ["empty", "cut", "garbage", "altered"])
def test_a_damaged_cache_entry_is_ignored(tmp_path, monkeypatch, damage):
    monkeypatch.setenv(disk_cache.CACHE_VARIABLE, str(tmp_path))
    key = disk_cache.cache_key({"a": damage})
    disk_cache.store_arrays(key, {"values": np.arange(500.0)})
    path = tmp_path / f"{key}.npz"
    content = path.read_bytes()
    if damage == "altered":
        np.savez(path, values=np.zeros(500), digest=np.load(path)["digest"])
    else:
        path.write_bytes({"empty": b"", "cut": content[: len(content) // 2], "garbage": b"PK\x03\x04" * 50}[damage])
    assert disk_cache.load_arrays(key) is None


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv(disk_cache.CACHE_VARIABLE, str(blocked / "cache"))
    disk_cache.store_arrays("0" * 64, {"values": np.zeros(3)})
    assert disk_cache.load_arrays("0" * 64) is None


def test_the_cache_can_be_turned_off(monkeypatch):
    monkeypatch.setenv(disk_cache.CACHE_VARIABLE, "")
    assert disk_cache.cache_folder() is None


def test_cache_entries_differ_with_everything_that_matters():
    source = EmissionSource.from_nuclide(Radionuclide("Lu-177"))
    other = EmissionSource.from_nuclide(Radionuclide("Lu-177"), "photons")
    denser = WATER.with_density(1.1)
    mixed = Material("water", {"H": 0.12, "O": 0.88}, 1.0, 75.0)
    identities = [
        (source, WATER, (4.0, 4.0, 4.0), "transported"),
        (other, WATER, (4.0, 4.0, 4.0), "transported"),
        (source, denser, (4.0, 4.0, 4.0), "transported"),
        (source, mixed, (4.0, 4.0, 4.0), "transported"),
        (source, WATER, (4.0, 4.0, 4.1), "transported"),
        (source, WATER, (4.0, 4.0, 4.0), "local"),
    ]
    keys = {disk_cache.cache_key(radial_energy._identity(*identity)) for identity in identities}
    assert len(keys) == len(identities)

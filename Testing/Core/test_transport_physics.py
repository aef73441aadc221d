# mypy: ignore-errors
"""Random numbers, single interactions, ray tracing and tallies of the transport, each against a closed form."""

import numpy as np
import pytest
import warp as wp

from radiodosimetry.media import named_material, photon_table
from radiodosimetry.transport.electrons import spend_budget
from radiodosimetry.transport.engine import initialise_warp, upload_tables
from radiodosimetry.transport.photons import fly_by_ray_tracing
from radiodosimetry.transport.physics import (
    PhysicsTables,
    energy_index,
    interpolate,
    rotate,
    sample_compton,
    sample_rayleigh,
    straggled_loss,
)
from radiodosimetry.transport.random import philox, uniforms, unit_interval
from radiodosimetry.transport.scene import Scene, deposit, place
from radiodosimetry.transport.voxels import TransportSettings, VoxelScene, _upload_scene

wp.set_module_options({"enable_backward": False})

WATER = named_material("water")
BONE = named_material("bone")
SAMPLES = 100_000


@pytest.fixture(scope="module", autouse=True)
def _warp_is_started():
    initialise_warp()


# --- random numbers --------------------------------------------------------------------------------------------------

KNOWN_ANSWERS = [
    ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
    (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
        [0xA4093822, 0x299F31D0],
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ),
]
"""Counter, key and result of Philox 4x32-10, as its authors' Random123 prints them."""


def philox_in_python(counter, key):
    """The generator with whole numbers of Python, from its definition."""
    c, k = list(counter), list(key)
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [p1 >> 32 ^ c[1] ^ k[0], p1 & 0xFFFFFFFF, p0 >> 32 ^ c[3] ^ k[1], p0 & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


@wp.kernel
def _words(
    seed: wp.uint32, stream: wp.uint32, history: wp.uint64, draw: wp.uint32, result: wp.array(dtype=wp.vec4ui)
):
    result[0] = philox(seed, stream, history, draw)


def words(seed, stream, history, draw):
    result = wp.zeros(1, dtype=wp.vec4ui, device="cpu")
    wp.launch(_words, dim=1, inputs=[seed, stream, history, draw, result], device="cpu")
    return [int(word) for word in result.numpy()[0]]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN_ANSWERS)
def test_the_plain_philox_gives_the_known_answers(counter, key, expected):
    assert philox_in_python(counter, key) == expected


def test_philox_of_zero_gives_the_known_answer():
    assert words(0, 0, 0, 0) == KNOWN_ANSWERS[0][2]


def test_philox_in_kernels_equals_the_plain_one_for_any_seed_stream_history_and_draw(rng):
    for _ in range(50):
        seed, stream, low, high, draw = (int(word) for word in rng.integers(0, 1 << 32, 5))
        assert words(seed, stream, high << 32 | low, draw) == philox_in_python([low, high, draw, 0], [seed, stream])


@wp.kernel
def _to_unit(word: wp.array(dtype=wp.uint32), result: wp.array(dtype=wp.float32)):
    i = wp.tid()
    result[i] = unit_interval(word[i])


def test_uniform_numbers_never_reach_zero_or_one():
    extremes = wp.array(np.array([0, 255, 256, 1 << 31, 0xFFFFFEFF, 0xFFFFFFFF], dtype=np.uint32), device="cpu")
    result = wp.zeros(6, dtype=wp.float32, device="cpu")
    wp.launch(_to_unit, dim=6, inputs=[extremes, result], device="cpu")
    assert result.numpy().min() > 0
    assert result.numpy().max() < 1
    assert (np.diff(result.numpy()) >= 0).all()


@wp.kernel
def _uniforms(result: wp.array(dtype=wp.vec4f)):
    i = wp.tid()
    result[i] = uniforms(wp.uint32(7), wp.uint32(1), wp.uint64(i), wp.uint32(0))


def test_uniform_numbers_fill_the_unit_hypercube_evenly():
    drawn = wp.zeros(SAMPLES, dtype=wp.vec4f, device="cpu")
    wp.launch(_uniforms, dim=SAMPLES, inputs=[drawn], device="cpu")
    numbers = drawn.numpy().astype(float)
    assert numbers.mean(axis=0) == pytest.approx(0.5, abs=4 / np.sqrt(12 * SAMPLES))
    covariance = np.cov(numbers.T) * 12
    assert covariance == pytest.approx(np.eye(4), abs=5 / np.sqrt(SAMPLES))


# --- single interactions ---------------------------------------------------------------------------------------------


@wp.kernel
def _scatter(
    tables: PhysicsTables,
    energy_mev: wp.float32,
    coherent: wp.bool,
    cosine: wp.array(dtype=wp.float32),
    energy: wp.array(dtype=wp.float32),
):
    i = wp.tid()
    if coherent:
        result = sample_rayleigh(tables, 0, energy_mev, wp.uint32(1), wp.uint32(0), wp.uint64(i), wp.uint32(0))
        cosine[i] = result.cosine
        energy[i] = result.energy_mev
    else:
        other = sample_compton(tables, 0, energy_mev, wp.uint32(1), wp.uint32(0), wp.uint64(i), wp.uint32(0))
        cosine[i] = other.cosine
        energy[i] = other.energy_mev


def scattered(material, energy_kev, coherent):
    cosine, energy = (wp.zeros(SAMPLES, dtype=wp.float32, device="cpu") for _ in range(2))
    inputs = [upload_tables((material,), "cpu"), energy_kev * 1e-3, coherent, cosine, energy]
    wp.launch(_scatter, dim=SAMPLES, inputs=inputs, device="cpu")
    return cosine.numpy().astype(float), energy.numpy().astype(float) * 1e3


@pytest.mark.parametrize("material", [WATER, BONE], ids=lambda m: m.name)
@pytest.mark.parametrize("energy_kev", [15.0, 113.0, 208.4, 662.0, 2500.0])
def test_compton_electrons_get_the_share_of_energy_that_the_tables_say(material, energy_kev):
    _, left_kev = scattered(material, energy_kev, coherent=False)
    share = 1 - left_kev / energy_kev
    expected = float(photon_table(material).at("compton_energy_transfer_fraction", energy_kev))
    assert share.mean() == pytest.approx(expected, rel=2e-3, abs=4 * share.std() / np.sqrt(SAMPLES))


@pytest.mark.parametrize("energy_kev", [20.0, 662.0])
def test_compton_energy_and_angle_obey_the_kinematics(energy_kev):
    cosine, left_kev = scattered(WATER, energy_kev, coherent=False)
    assert left_kev == pytest.approx(energy_kev / (1 + energy_kev / 510.99895 * (1 - cosine)), rel=2e-5)


@pytest.mark.parametrize("material", [WATER, BONE], ids=lambda m: m.name)
@pytest.mark.parametrize("energy_kev", [12.0, 60.0, 208.4])
def test_coherent_scattering_turns_photons_as_the_form_factors_say(material, energy_kev):
    cosine, left_kev = scattered(material, energy_kev, coherent=True)
    table = photon_table(material)
    mu = 1 - np.geomspace(1e-9, 2.0, 20001)
    x = energy_kev / 12.398419843 * np.sqrt((1 - mu) / 2)
    ln_form = np.interp(
        np.log(x), np.log(table.momentum_transfer_per_angstrom), np.log(np.maximum(table.form_factor_squared, 1e-300))
    )
    density = (1 + mu**2) * np.exp(ln_form)
    expected = np.trapezoid(mu * density, mu) / np.trapezoid(density, mu)
    assert left_kev == pytest.approx(energy_kev)
    assert cosine.mean() == pytest.approx(expected, abs=4 * cosine.std() / np.sqrt(SAMPLES) + 1e-3)


@wp.kernel
def _turn(start: wp.array(dtype=wp.vec3f), cosine: wp.float32, azimuth: wp.float32, end: wp.array(dtype=wp.vec3f)):
    i = wp.tid()
    end[i] = rotate(start[i], cosine, azimuth)


@pytest.mark.parametrize("cosine", [1.0, 0.3, -0.99, -1.0])
def test_a_turned_direction_has_unit_length_and_the_angle_asked_for(cosine, rng):
    directions = rng.normal(size=(200, 3))
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    directions = np.concatenate([directions, np.eye(3), -np.eye(3)]).astype(np.float32)
    start, end = wp.array(directions, dtype=wp.vec3f, device="cpu"), wp.zeros(206, dtype=wp.vec3f, device="cpu")
    wp.launch(_turn, dim=206, inputs=[start, cosine, 1.234, end], device="cpu")
    assert np.linalg.norm(end.numpy(), axis=1) == pytest.approx(1.0, abs=1e-6)
    assert (directions * end.numpy()).sum(axis=1) == pytest.approx(cosine, abs=2e-5)


@wp.kernel
def _lose(mean: wp.float32, variance: wp.float32, loss: wp.array(dtype=wp.float32)):
    i = wp.tid()
    u = uniforms(wp.uint32(3), wp.uint32(0), wp.uint64(i), wp.uint32(0))
    loss[i] = straggled_loss(mean, variance, u[0], u[1])


@pytest.mark.parametrize("spread", [0.1, 0.3, 0.5, 1.0, 3.0])
def test_straggled_losses_have_the_mean_and_variance_asked_for(spread):
    loss = wp.zeros(SAMPLES, dtype=wp.float32, device="cpu")
    wp.launch(_lose, dim=SAMPLES, inputs=[1.0, spread**2, loss], device="cpu")
    values = loss.numpy().astype(float)
    assert values.min() >= 0
    assert values.mean() == pytest.approx(1.0, abs=5 * spread / np.sqrt(SAMPLES))
    assert values.std() == pytest.approx(spread, rel=0.02)


# --- ray tracing and tallies -----------------------------------------------------------------------------------------

SPACING_MM = (2.0, 3.0, 5.0)
SHAPE_KJI = (5, 6, 7)


def uploaded(density_kji, media=(WATER,), medium_kji=None):
    medium = np.zeros(density_kji.shape, dtype=np.uint8) if medium_kji is None else medium_kji
    voxels = VoxelScene(density_kji.astype(np.float32), medium, media, SPACING_MM)
    return _upload_scene(voxels, TransportSettings(), "cpu"), upload_tables(media, "cpu")


@wp.kernel
def _trace(
    scene: Scene,
    tables: PhysicsTables,
    position: wp.vec3f,
    direction: wp.vec3f,
    free_paths: wp.float32,
    tally: wp.array(dtype=wp.int64),
    collides: wp.array(dtype=wp.int32),
    transfer: wp.array(dtype=wp.float32),
):
    start = place(scene, position, direction)
    flight = fly_by_ray_tracing(scene, tables, tally, start, 0.2, 1.0, free_paths, 0.5)
    collides[0] = wp.int32(flight.collides)
    transfer[0] = interpolate(tables.photon, 0, energy_index(tables, 0.2))[1]


def traced_lengths_cm(density_kji, position, direction, free_paths=1e6):
    """Path length times density per voxel, from what a photon of weight 1 scores, and whether it collided."""
    scene, tables = uploaded(density_kji)
    tally = wp.zeros(density_kji.size + 1, dtype=wp.int64, device="cpu")
    collides, transfer = wp.zeros(1, dtype=wp.int32, device="cpu"), wp.zeros(1, dtype=wp.float32, device="cpu")
    inputs = [scene, tables, wp.vec3f(*position), wp.vec3f(*direction), free_paths, tally, collides, transfer]
    wp.launch(_trace, dim=1, inputs=inputs, device="cpu")
    scored = tally.numpy()[:-1].reshape(density_kji.shape) / (1 << 30)
    return scored / (0.2 * float(transfer.numpy()[0])), bool(collides.numpy()[0])


def chords_cm(position, direction):
    """Length of a ray in every voxel, by clipping it with the voxel's three slabs."""
    enter, leave = np.zeros(SHAPE_KJI), np.full(SHAPE_KJI, np.inf)
    for axis, index in zip((2, 1, 0), np.indices(SHAPE_KJI)[::-1], strict=True):
        component, start, spacing = direction[2 - axis], position[2 - axis], SPACING_MM[2 - axis] / 10
        if abs(component) < 1e-12:
            hit = (index <= start) & (start < index + 1)
            leave = np.where(hit, leave, -1.0)
            continue
        bounds = np.sort(np.stack([(index - start), (index + 1 - start)]) * spacing / component, axis=0)
        enter, leave = np.maximum(enter, bounds[0]), np.minimum(leave, bounds[1])
    return np.maximum(leave - enter, 0.0)


def test_path_lengths_in_all_voxels_equal_the_chords_of_the_straight_line(rng):
    for _ in range(40):
        position = rng.uniform(0, SHAPE_KJI[::-1])
        direction = rng.normal(size=3)
        direction /= np.linalg.norm(direction)
        lengths, collided = traced_lengths_cm(np.ones(SHAPE_KJI), position, direction)
        assert not collided
        assert lengths == pytest.approx(chords_cm(position, direction), abs=2e-6)


@pytest.mark.parametrize("direction", [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)])
def test_rays_along_an_axis_cross_one_row_of_voxels(direction):
    lengths, _ = traced_lengths_cm(np.ones(SHAPE_KJI), (3.5, 2.25, 1.75), direction)
    assert lengths == pytest.approx(chords_cm((3.5, 2.25, 1.75), direction), abs=1e-6)


def test_rays_through_vacuum_score_nothing_there_and_go_on_behind_it(rng):
    density = rng.choice([0.0, 0.0012, 1.0], SHAPE_KJI)
    direction = np.array([0.5, 0.7, np.sqrt(1 - 0.74)])
    lengths, _ = traced_lengths_cm(density, (0.1, 0.2, 0.3), direction)
    assert lengths == pytest.approx(density * chords_cm((0.1, 0.2, 0.3), direction), abs=2e-6)


def test_a_photon_with_free_paths_to_go_collides_where_they_are_used_up():
    total = float(photon_table(WATER).at("total", 200.0))
    lengths, collided = traced_lengths_cm(np.ones(SHAPE_KJI), (0.5, 0.5, 0.5), (1, 0, 0), free_paths=0.7 * total)
    assert collided
    assert lengths.sum() == pytest.approx(0.7, rel=1e-3)


def test_a_photon_without_free_paths_in_vacuum_leaves_it_unharmed():
    lengths, collided = traced_lengths_cm(np.zeros(SHAPE_KJI), (0.5, 0.5, 0.5), (1, 0, 0), free_paths=0.0)
    assert not collided
    assert (lengths == 0).all()


@wp.kernel
def _spend(
    scene: Scene,
    tables: PhysicsTables,
    position: wp.vec3f,
    direction: wp.vec3f,
    budget_mev: wp.float32,
    tally: wp.array(dtype=wp.int64),
    end: wp.array(dtype=wp.vec3f),
):
    start = place(scene, position, direction)
    after = spend_budget(scene, tables, tally, start, budget_mev, energy_index(tables, 1.0), 1.0, 0.5)
    end[0] = after.position


def spent_mev(density_kji, budget_mev, position=(0.5, 0.5, 0.5), direction=(1, 0, 0)):
    scene, tables = uploaded(density_kji)
    tally = wp.zeros(density_kji.size + 1, dtype=wp.int64, device="cpu")
    end = wp.zeros(1, dtype=wp.vec3f, device="cpu")
    inputs = [scene, tables, wp.vec3f(*position), wp.vec3f(*direction), budget_mev, tally, end]
    wp.launch(_spend, dim=1, inputs=inputs, device="cpu")
    return tally.numpy()[:-1].reshape(density_kji.shape) / (1 << 30), end.numpy()[0]


def test_an_energy_budget_is_spent_in_proportion_to_density_and_to_its_end(rng):
    density = rng.uniform(0.5, 1.5, SHAPE_KJI)
    spent, end = spent_mev(density, 1.5)
    row = spent[0, 0]
    full = (row > 0) & (np.arange(7) != 0) & (np.arange(7) != int(end[0]))
    assert spent.sum() == pytest.approx(1.5, rel=1e-6)
    assert row.sum() == pytest.approx(1.5, rel=1e-6)
    assert full.sum() >= 2
    assert np.ptp(row[full] / density[0, 0, full]) < 1e-6


@pytest.mark.parametrize("thin", [0.0, 1e-30, 0.0012])
def test_an_energy_budget_lasts_across_air_and_vacuum(thin):
    density = np.ones(SHAPE_KJI)
    density[..., 1:4] = thin
    spent, end = spent_mev(density, 0.4)
    assert spent.sum() == pytest.approx(0.4, rel=1e-6)
    assert end[0] > 4
    assert spent[0, 0, 1:4].sum() == pytest.approx(thin * spent[0, 0, 0] / 0.1 * 0.6, rel=1e-3, abs=1e-8)


def test_an_energy_budget_that_the_grid_cannot_use_up_leaves_it_without_end():
    spent, end = spent_mev(np.zeros(SHAPE_KJI), 0.4)
    assert spent.sum() == 0
    assert end[0] == pytest.approx(7)


@wp.kernel
def _deposit_often(count: wp.int32, energy_mev: wp.float32, tally: wp.array(dtype=wp.int64)):
    for _ in range(count):
        deposit(tally, 0, energy_mev)


@pytest.mark.parametrize("energy_mev", [0.1, 1e-6, 3.0, 0.0])
def test_many_equal_deposits_add_up_without_any_loss(energy_mev):
    tally = wp.zeros(1, dtype=wp.int64, device="cpu")
    wp.launch(_deposit_often, dim=1, inputs=[1_000_000, energy_mev, tally], device="cpu")
    one = int(np.floor(float(np.float32(energy_mev)) * (1 << 30) + 0.5))
    assert int(tally.numpy()[0]) == 1_000_000 * one

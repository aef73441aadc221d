# ruff: noqa: UP018
# mypy: ignore-errors
"""The kernel behind region tallies: photons fly by virtual collisions through a raster of labels.

A label names a region; 0 is vacuum. Two estimators of the same kerma (electrons stay where they are set free):

- `EXPECTED` scores at every tentative collision of Woodcock's flight what a photon there is expected to transfer,
  E · µ_tr / majorant, so that a region needs to be crossed, not to be hit; absorption only lowers the photon's
  weight, and Russian roulette ends it.
- `ANALOG` scores what each real collision leaves: energy is conserved history by history.
"""

import warp as wp

from .physics import (
    ELECTRON_REST_ENERGY_MEV,
    TWO_PI,
    PhysicsTables,
    energy_index,
    interpolate,
    isotropic,
    rotate,
    sample_compton,
    sample_rayleigh,
)
from .random import uniforms
from .scene import deposit, point_in_voxel

wp.set_module_options({"enable_backward": False})

EXPECTED = wp.constant(wp.int32(0))
ANALOG = wp.constant(wp.int32(1))

BLOCK = wp.constant(wp.int32(4))
"""Voxels along the side of a block. Most blocks have one label; their table is small enough for a processor's cache."""

MIXED = wp.constant(wp.int32(255))
"""Label of a block with several labels."""

ROULETTE_WEIGHT = wp.constant(wp.float32(0.2))
"""Below this weight a photon plays Russian roulette ..."""

ROULETTE_SURVIVAL = wp.constant(wp.float32(0.25))
"""... and goes on with this probability, its weight divided by it."""


@wp.struct
class LabelField:
    """A raster of labels [flat index (k · nj + j) · ni + i], the same in blocks, and what each label stands for.

    `medium` and `density` are indexed by label; label 0 is vacuum. The tally holds, by label, the energy given to the
    region (index 0: what left the raster), then, from `label_count` on, the energy the same region would have been
    given if its mass were of the reference medium.
    """

    label: wp.array(dtype=wp.uint8)
    medium: wp.array(dtype=wp.int32)
    density: wp.array(dtype=wp.float32)
    majorant_per_cm: wp.array(dtype=wp.float32)
    shape_ijk: wp.vec3i
    block_label: wp.array(dtype=wp.uint8)
    blocks_ijk: wp.vec3i
    spacing_cm: wp.vec3f
    label_count: wp.int32
    reference_medium: wp.int32
    photon_cut_mev: wp.float32
    estimator: wp.int32


@wp.struct
class Photon:
    """A photon between two collisions; position in voxel indices, voxel n spanning n to n + 1.

    `paired` says that it was just born by annihilation: its twin flies the other way.
    """

    position: wp.vec3f
    direction: wp.vec3f
    energy_mev: wp.float32
    weight: wp.float32
    alive: wp.bool
    paired: wp.bool
    draw: wp.uint32


@wp.func
def label_at(field: LabelField, position: wp.vec3f) -> wp.int32:
    """Label of the voxel that holds a position; −1 outside the raster."""
    i = wp.int32(wp.floor(position[0]))
    j = wp.int32(wp.floor(position[1]))
    k = wp.int32(wp.floor(position[2]))
    if i < 0 or j < 0 or k < 0 or i >= field.shape_ijk[0] or j >= field.shape_ijk[1] or k >= field.shape_ijk[2]:
        return wp.int32(-1)
    block = ((k // BLOCK) * field.blocks_ijk[1] + j // BLOCK) * field.blocks_ijk[0] + i // BLOCK
    label = wp.int32(field.block_label[block])
    if label == MIXED:
        label = wp.int32(field.label[(k * field.shape_ijk[1] + j) * field.shape_ijk[0] + i])
    return label


@wp.func
def score_expected(
    field: LabelField,
    tables: PhysicsTables,
    tally: wp.array(dtype=wp.int64),
    label: wp.int32,
    transfer_cm2_per_g: wp.float32,
    position: wp.float32,
    score_g_per_cm2_mev: wp.float32,
):
    """Expected transfer at a tentative collision, to the region as it is and to the same mass of the reference."""
    deposit(tally, label, score_g_per_cm2_mev * transfer_cm2_per_g)
    if field.reference_medium >= 0 and field.medium[label] != field.reference_medium:
        reference = interpolate(tables.photon, field.reference_medium, position)
        deposit(tally, field.label_count + label, score_g_per_cm2_mev * reference[1])


@wp.func
def collide(
    field: LabelField,
    tables: PhysicsTables,
    tally: wp.array(dtype=wp.int64),
    photon: Photon,
    label: wp.int32,
    position: wp.float32,
    choice: wp.float32,
    azimuth: wp.float32,
    seed: wp.uint32,
    stream: wp.uint32,
    history: wp.uint64,
) -> Photon:
    """A real collision. Pair production leaves one annihilation photon; the caller sends its twin the other way."""
    after = photon
    medium = field.medium[label]
    coefficients = interpolate(tables.photon, medium, position)
    pair = interpolate(tables.photon_pair, medium, position)
    absorbed = coefficients[3] - coefficients[2]
    expected = field.estimator == EXPECTED
    kind = choice
    if expected:
        after.weight = photon.weight * (1.0 - absorbed)
        kind = choice * (1.0 - absorbed)
        if kind >= coefficients[2]:
            kind = kind + absorbed
    if kind < coefficients[2]:
        scatter = sample_compton(tables, medium, photon.energy_mev, seed, stream, history, photon.draw)
        after.draw = scatter.draw
        after.direction = rotate(photon.direction, scatter.cosine, azimuth)
        after.energy_mev = scatter.energy_mev
        if not expected:
            deposit(tally, label, (photon.energy_mev - scatter.energy_mev) * photon.weight)
    elif kind < coefficients[3]:
        deposit(tally, label, photon.energy_mev * photon.weight)
        after.alive = False
    elif kind < coefficients[3] + pair:
        v = uniforms(seed, stream, history, photon.draw)
        after.draw = photon.draw + wp.uint32(1)
        after.direction = isotropic(v[0], v[1])
        after.energy_mev = ELECTRON_REST_ENERGY_MEV
        after.paired = True
        if not expected:
            left = wp.max(photon.energy_mev - 2.0 * ELECTRON_REST_ENERGY_MEV, 0.0)
            deposit(tally, label, left * photon.weight)
    else:
        scatter = sample_rayleigh(tables, medium, photon.energy_mev, seed, stream, history, photon.draw)
        after.draw = scatter.draw
        after.direction = rotate(photon.direction, scatter.cosine, azimuth)
    return after


@wp.func
def settle(
    field: LabelField,
    tally: wp.array(dtype=wp.int64),
    photon: Photon,
    label: wp.int32,
    seed: wp.uint32,
    stream: wp.uint32,
    history: wp.uint64,
) -> Photon:
    """End a photon below the cut, where it is, or by roulette."""
    after = photon
    if photon.alive and photon.energy_mev <= field.photon_cut_mev:
        deposit(tally, label, photon.energy_mev * photon.weight)
        if field.reference_medium >= 0 and field.medium[label] != field.reference_medium:
            deposit(tally, field.label_count + label, photon.energy_mev * photon.weight)
        after.alive = False
    elif photon.alive and photon.weight < ROULETTE_WEIGHT:
        v = uniforms(seed, stream, history, photon.draw)
        after.draw = photon.draw + wp.uint32(1)
        after.alive = v[0] < ROULETTE_SURVIVAL
        after.weight = photon.weight / ROULETTE_SURVIVAL
    return after


@wp.func
def fly_and_collide(
    field: LabelField,
    tables: PhysicsTables,
    tally: wp.array(dtype=wp.int64),
    photon: Photon,
    seed: wp.uint32,
    stream: wp.uint32,
    history: wp.uint64,
) -> Photon:
    """Fly to the next real collision, scoring on the way, and collide; or leave the raster.

    References
    ----------
    .. [1] E. Woodcock et al., ANL-7050 (1965) 557.
    """
    here = photon
    position = energy_index(tables, here.energy_mev)
    node = wp.int32(position)
    step_cm = 1.0 / wp.max(field.majorant_per_cm[node], field.majorant_per_cm[node + 1])
    step = wp.cw_div(here.direction, field.spacing_cm) * step_cm
    flying = wp.bool(True)
    while flying:
        u = uniforms(seed, stream, history, here.draw)
        here.draw = here.draw + wp.uint32(1)
        here.position = here.position - step * wp.log(u[0])
        label = label_at(field, here.position)
        if label < 0:
            deposit(tally, wp.int32(0), here.energy_mev * here.weight)
            here.alive = False
            flying = False
        elif label > 0:
            density = field.density[label]
            coefficients = interpolate(tables.photon, field.medium[label], position)
            if field.estimator == EXPECTED:
                score = here.weight * here.energy_mev * density * step_cm
                score_expected(field, tables, tally, label, coefficients[1], position, score)
            if u[1] < density * coefficients[0] * step_cm:
                here = collide(
                    field, tables, tally, here, label, position, u[2], TWO_PI * u[3], seed, stream, history
                )
                flying = False
    return here


@wp.kernel
def run_region_histories(
    field: LabelField,
    tables: PhysicsTables,
    source_voxel: wp.array(dtype=wp.int32),
    energy_mev: wp.float32,
    tally: wp.array(dtype=wp.int64),
    seed: wp.uint32,
    stream: wp.uint32,
    first: wp.int64,
    last: wp.int64,
    batch_size: wp.int64,
    lane_count: wp.int64,
):
    """Histories `first` to `last` of one batch, starts stratified over the source's voxels."""
    lane = wp.tid()
    number = first + wp.int64(lane)
    while number < last:
        history = wp.uint64(number)
        u = uniforms(seed, stream, history, wp.uint32(0))
        v = uniforms(seed, stream, history, wp.uint32(1))
        stratum = (wp.float64(number) + wp.float64(u[0])) / wp.float64(batch_size)
        place = wp.int32(stratum * wp.float64(source_voxel.shape[0]))
        voxel = source_voxel[wp.min(place, source_voxel.shape[0] - 1)]
        photon = Photon()
        photon.position = point_in_voxel(voxel, field.shape_ijk, u[1], u[2], u[3])
        photon.direction = isotropic(v[0], v[1])
        photon.energy_mev = energy_mev
        photon.weight = 1.0
        photon.alive = True
        photon.paired = False
        photon.draw = wp.uint32(2)
        twin_waits = wp.bool(False)
        twin_position = photon.position
        twin_direction = photon.direction
        twin_weight = wp.float32(1.0)
        photon = settle(field, tally, photon, label_at(field, photon.position), seed, stream, history)
        while photon.alive or twin_waits:
            if not photon.alive:
                photon.position = twin_position
                photon.direction = twin_direction
                photon.weight = twin_weight
                photon.energy_mev = ELECTRON_REST_ENERGY_MEV
                photon.alive = True
                photon.paired = False
                twin_waits = False
            photon = fly_and_collide(field, tables, tally, photon, seed, stream, history)
            # A branch whose condition is a struct's field must not change that field: Warp reads it again afterwards.
            has_twin = photon.alive and photon.paired
            if has_twin:
                photon.paired = False
                twin_waits = True
                twin_position = photon.position
                twin_direction = -photon.direction
                twin_weight = photon.weight
            if photon.alive:
                photon = settle(field, tally, photon, label_at(field, photon.position), seed, stream, history)
        number = number + lane_count

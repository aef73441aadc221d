# ruff: noqa: UP018
# mypy: ignore-errors
"""Electrons and positrons through voxels: continuous slowing down, hard deflections one by one, soft ones at a hinge.

Each step ends at a hard deflection (or at a cap on the energy lost); the soft deflections of the step are gathered in
one, at a random point of it [1]_. Collisions that take a large share of the energy happen there too: they turn the
electron, and the one they set free is followed. The deflection law counts atomic electrons by Z (Z + 1), as is usual.
The step's length is held as a budget of mean energy loss, spent voxel by voxel, so that a step that crosses into
another medium stops where that medium has used it up.

References
----------
.. [1] F. Salvat, PENELOPE-2018, OECD/NEA (2019), chapter 4, doi:10.1787/32da5043-en.
"""

import warp as wp

from .physics import (
    ELECTRON,
    TWO_PI,
    PhysicsTables,
    energy_index,
    hard_deflection_cosine,
    hard_transfer,
    interpolate,
    knock_on_cosine,
    recoil_cosine,
    rotate,
    soft_deflection_cosine,
    straggled_loss,
)
from .random import uniforms
from .scene import (
    SHELL_POINTS,
    STACK_DEPTH,
    Scene,
    Walker,
    advance,
    cross_face,
    density_here,
    deposit,
    face_distances,
    medium_here,
    nearest_face_cm,
    push,
    tally_index,
)
from .tables import HARD_COLLISION_SHARE as _HARD_COLLISION_SHARE

MAX_LOSS_PER_STEP = wp.constant(wp.float32(0.12))
"""Largest share of its energy an electron may lose in one step on average."""


HARD_COLLISION_SHARE = wp.constant(wp.float32(_HARD_COLLISION_SHARE))


@wp.struct
class ElectronEnd:
    """Where an electron came to rest, the stack's depth with the electrons it set free, and the next free draw."""

    walker: Walker
    depth: wp.int32
    draw: wp.uint32


@wp.func
def score_piece(
    scene: Scene,
    tally: wp.array(dtype=wp.int64),
    here: Walker,
    distance_cm: wp.float32,
    energy_mev: wp.float32,
    shift: wp.float32,
):
    """Score a straight piece in its voxel, or in shells at stratified random points of it."""
    if scene.shell_count > 0:
        for part in range(wp.static(SHELL_POINTS)):
            along = (wp.float32(part) + shift) / wp.float32(wp.static(SHELL_POINTS))
            point = advance(scene, here, along * distance_cm)
            deposit(tally, tally_index(scene, point), energy_mev / wp.float32(wp.static(SHELL_POINTS)))
    else:
        deposit(tally, tally_index(scene, here), energy_mev)


@wp.func
def spend_budget(
    scene: Scene,
    tables: PhysicsTables,
    tally: wp.array(dtype=wp.int64),
    walker: Walker,
    budget_mev: wp.float32,
    energy_position: wp.float32,
    score_per_mev: wp.float32,
    shift: wp.float32,
) -> Walker:
    """Walk straight on until the mean energy loss `budget_mev` is spent, scoring along the way.

    What is left of the budget in vacuum leaves with the electron.
    """
    here = walker
    left = budget_mev
    walking = left > 0.0
    while walking:
        medium = medium_here(scene, here)
        if medium < 0:
            deposit(tally, tally_index(scene, here), left * score_per_mev)
            walking = False
        else:
            loss_per_cm = density_here(scene, here) * interpolate(tables.electron, medium, energy_position)[0]
            distances = face_distances(scene, here)
            to_face = wp.min(distances)
            to_stop = left / loss_per_cm
            if to_stop <= to_face:
                score_piece(scene, tally, here, to_stop, left * score_per_mev, shift)
                here = advance(scene, here, to_stop)
                walking = False
            else:
                spent = loss_per_cm * to_face
                score_piece(scene, tally, here, to_face, spent * score_per_mev, shift)
                left = left - spent
                here = cross_face(scene, here, to_face, distances)
    return here


@wp.func
def set_free(
    scene: Scene,
    tables: PhysicsTables,
    tally: wp.array(dtype=wp.int64),
    stack: wp.array3d(dtype=wp.float32),
    lane: wp.int32,
    depth: wp.int32,
    here: Walker,
    direction: wp.vec3f,
    primary_mev: wp.float32,
    energy_mev: wp.float32,
    weight: wp.float32,
    azimuth: wp.float32,
) -> wp.int32:
    """Score a knock-on electron where it cannot leave its voxel, else put it on the stack; the new depth."""
    medium = medium_here(scene, here)
    confined = medium < 0 or energy_mev <= scene.electron_cut_mev or depth >= wp.static(STACK_DEPTH)
    if not confined:
        range_cm = interpolate(tables.electron, medium, energy_index(tables, energy_mev))[1]
        range_cm = range_cm / density_here(scene, here)
        confined = range_cm < scene.local_range_cm
        if here.inside:
            confined = confined or range_cm < nearest_face_cm(scene, here)
    if confined:
        deposit(tally, tally_index(scene, here), energy_mev * weight)
        return depth
    thrown = rotate(direction, knock_on_cosine(primary_mev, energy_mev), azimuth)
    return push(stack, lane, depth, ELECTRON, energy_mev, here, thrown)


@wp.func
def transport_electron(
    scene: Scene,
    tables: PhysicsTables,
    tally: wp.array(dtype=wp.int64),
    stack: wp.array3d(dtype=wp.float32),
    lane: wp.int32,
    first_depth: wp.int32,
    start: Walker,
    energy_mev: wp.float32,
    weight: wp.float32,
    seed: wp.uint32,
    stream: wp.uint32,
    history: wp.uint64,
    first_draw: wp.uint32,
) -> ElectronEnd:
    """Follow one electron or positron to rest or out of the scene, scoring `weight` times what it gives to matter."""
    here = start
    energy = energy_mev
    depth = first_depth
    draw = first_draw
    medium = medium_here(scene, here)
    alive = medium >= 0
    while alive:
        position = energy_index(tables, energy)
        electron = interpolate(tables.electron, medium, position)
        range_cm = electron[1] / density_here(scene, here)
        confined = range_cm < scene.local_range_cm
        if here.inside:
            confined = confined or range_cm < nearest_face_cm(scene, here)
        if energy <= scene.electron_cut_mev or confined:
            deposit(tally, tally_index(scene, here), energy * weight)
            alive = False
        else:
            u = uniforms(seed, stream, history, draw)
            v = uniforms(seed, stream, history, draw + wp.uint32(1))
            draw = draw + wp.uint32(2)
            longest = MAX_LOSS_PER_STEP * energy / electron[0]
            free_paths = -wp.log(u[0])
            thickness = wp.min(free_paths / interpolate(tables.elastic, medium, position)[0], longest)
            middle = energy_index(tables, energy - 0.5 * thickness * electron[0])
            elastic = interpolate(tables.elastic, medium, middle)
            thickness = free_paths / elastic[0]
            is_hard = thickness < longest
            thickness = wp.min(thickness, longest)
            average = interpolate(tables.electron, medium, middle)
            mean_loss = average[0] * thickness
            loss = wp.min(straggled_loss(mean_loss, average[3] * thickness, v[0], v[1]), energy)
            score = weight * loss / mean_loss
            before = u[1]
            here = spend_budget(scene, tables, tally, here, before * mean_loss, middle, score, v[2])
            first_moment = 0.5 * (1.0 - wp.exp(-elastic[1] * thickness))
            second_moment = first_moment - (1.0 - wp.exp(-elastic[2] * thickness)) / 6.0
            cosine = soft_deflection_cosine(first_moment, second_moment, u[2])
            before_hinge = here.direction
            here.direction = rotate(before_hinge, cosine, TWO_PI * u[3])
            middle_energy = energy - 0.5 * mean_loss
            knock_on = float(0.0)
            hard_collision = interpolate(tables.hard_collision, medium, middle)
            w = uniforms(seed, stream, history, draw)
            draw = draw + wp.uint32(1)
            if w[0] < hard_collision[0] * thickness:
                knock_on = hard_transfer(middle_energy, HARD_COLLISION_SHARE, hard_collision[1], w[1], w[2])
                knock_on = wp.min(knock_on, energy - loss)
            if knock_on > 0.0:
                azimuth = TWO_PI * w[3]
                recoil = recoil_cosine(middle_energy, knock_on)
                here.direction = rotate(here.direction, recoil, azimuth + 0.5 * TWO_PI)
                depth = set_free(
                    scene, tables, tally, stack, lane, depth, here, before_hinge, middle_energy, knock_on, weight,
                    azimuth,
                )  # fmt: skip
            here = spend_budget(scene, tables, tally, here, (1.0 - before) * mean_loss, middle, score, v[2])
            energy = energy - loss - knock_on
            medium = medium_here(scene, here)
            if medium < 0:
                alive = False
                deposit(tally, tally_index(scene, here), energy * weight)
            elif is_hard:
                screening = interpolate(tables.elastic_screening, medium, middle)
                hard = hard_deflection_cosine(screening, elastic[3], v[2])
                here.direction = rotate(here.direction, hard, TWO_PI * v[3])
    result = ElectronEnd()
    result.walker = here
    result.depth = depth
    result.draw = draw
    return result

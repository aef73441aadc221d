# ruff: noqa: UP018
# mypy: ignore-errors
"""Photon flights and collisions in voxels, with two estimators of the same dose.

`TRACK_LENGTH` scores the expected energy transfer along every flight, traced exactly from face to face; `ANALOG` flies
by Woodcock's virtual collisions and scores what each real collision leaves. Secondary electrons stay where they are
born in the first and are followed, if asked, in the second.
"""

import warp as wp

from .physics import (
    ELECTRON,
    ELECTRON_REST_ENERGY_MEV,
    PHOTON,
    POSITRON,
    TWO_PI,
    PhysicsTables,
    compton_electron_cosine,
    energy_index,
    interpolate,
    isotropic,
    photoelectron_cosine,
    rotate,
    sample_compton,
    sample_rayleigh,
)
from .random import uniforms
from .scene import (
    ANALOG,
    SHELL_POINTS,
    STACK_DEPTH,
    Scene,
    Walker,
    advance,
    density_here,
    deposit,
    enter_grid,
    entry_distance_cm,
    face_distances,
    medium_here,
    place,
    push,
    tally_index,
)


@wp.struct
class Flight:
    """The end of a flight: where, whether it ends in a collision, and the next free random draw."""

    walker: Walker
    collides: wp.bool
    draw: wp.uint32


@wp.func
def out_of_reach(scene: Scene, walker: Walker) -> wp.bool:
    """Whether a point outside the grid is farther from it than the surroundings reach."""
    farthest = float(0.0)
    for axis in range(3):
        below = -walker.position[axis] * scene.spacing_cm[axis]
        above = (walker.position[axis] - wp.float32(scene.shape_ijk[axis])) * scene.spacing_cm[axis]
        farthest = wp.max(farthest, wp.max(below, above))
    return farthest > scene.outer_limit_cm


@wp.func
def collide_outside(
    scene: Scene,
    tally: wp.array(dtype=wp.int64),
    walker: Walker,
    coefficients: wp.vec4f,
    score: wp.float32,
    free_paths: wp.float32,
    shift: wp.float32,
) -> Flight:
    """Fly through the uniform surroundings to a collision there; what it gives to them is scored as outside."""
    result = Flight()
    distance = free_paths / (scene.outer_density * coefficients[0])
    result.walker = advance(scene, walker, distance)
    result.walker.inside = False
    result.collides = not out_of_reach(scene, result.walker)
    expected = score * coefficients[1] * scene.outer_density * distance
    if scene.shell_count > 0:
        for piece in range(wp.static(SHELL_POINTS)):
            along = (wp.float32(piece) + shift) / wp.float32(wp.static(SHELL_POINTS))
            point = advance(scene, walker, along * distance)
            deposit(tally, tally_index(scene, point), expected / wp.float32(wp.static(SHELL_POINTS)))
    else:
        deposit(tally, wp.int32(tally.shape[0]) - 1, expected)
    return result


@wp.func
def fly_by_ray_tracing(
    scene: Scene,
    tables: PhysicsTables,
    tally: wp.array(dtype=wp.int64),
    start: Walker,
    energy_mev: wp.float32,
    weight: wp.float32,
    first_free_paths: wp.float32,
    shift: wp.float32,
) -> Flight:
    """Fly to the next collision face by face, scoring the expected energy transfer in every voxel."""
    position = energy_index(tables, energy_mev)
    result = Flight()
    here = start
    free_paths = first_free_paths
    flying = wp.bool(True)
    collides = wp.bool(False)
    if not here.inside:
        flying = False
        if scene.outer_medium >= 0:
            outer = interpolate(tables.photon, scene.outer_medium, position)
            to_grid = entry_distance_cm(scene, here)
            paths_to_grid = scene.outer_density * outer[0] * to_grid
            if paths_to_grid < free_paths:
                outside_score = weight * energy_mev * outer[1] * scene.outer_density * to_grid
                deposit(tally, wp.int32(tally.shape[0]) - 1, outside_score)
                here = enter_grid(scene, here, to_grid)
                free_paths = free_paths - paths_to_grid
                flying = True
            else:
                return collide_outside(scene, tally, here, outer, weight * energy_mev, free_paths, shift)
    distances = face_distances(scene, here)
    per_voxel = wp.vec3f(
        scene.spacing_cm[0] / wp.max(wp.abs(here.direction[0]), 1.0e-20),
        scene.spacing_cm[1] / wp.max(wp.abs(here.direction[1]), 1.0e-20),
        scene.spacing_cm[2] / wp.max(wp.abs(here.direction[2]), 1.0e-20),
    )
    stride_j = scene.shape_ijk[0]
    stride_k = scene.shape_ijk[0] * scene.shape_ijk[1]
    voxel = here.voxel
    travelled = wp.float32(0.0)
    known_medium = wp.int32(-1)
    coefficients = wp.vec4f(0.0, 0.0, 0.0, 0.0)
    while flying:
        index = voxel[2] * stride_k + voxel[1] * stride_j + voxel[0]
        medium = wp.int32(scene.medium[index])
        if medium != known_medium:
            coefficients = interpolate(tables.photon, medium, position)
            known_medium = medium
        density = scene.density[index]
        attenuation = density * coefficients[0]
        to_face = wp.min(distances)
        step = to_face - travelled
        stops = attenuation * step > free_paths
        if stops:
            step = free_paths / attenuation
        deposit(tally, index, weight * energy_mev * coefficients[1] * density * step)
        if stops:
            travelled = travelled + step
            flying = False
            collides = True
        else:
            free_paths = free_paths - attenuation * step
            travelled = to_face
            if distances[0] <= distances[1] and distances[0] <= distances[2]:
                voxel[0] = voxel[0] + wp.where(here.direction[0] > 0.0, 1, -1)
                distances[0] = distances[0] + per_voxel[0]
                flying = voxel[0] >= 0 and voxel[0] < scene.shape_ijk[0]
            elif distances[1] <= distances[2]:
                voxel[1] = voxel[1] + wp.where(here.direction[1] > 0.0, 1, -1)
                distances[1] = distances[1] + per_voxel[1]
                flying = voxel[1] >= 0 and voxel[1] < scene.shape_ijk[1]
            else:
                voxel[2] = voxel[2] + wp.where(here.direction[2] > 0.0, 1, -1)
                distances[2] = distances[2] + per_voxel[2]
                flying = voxel[2] >= 0 and voxel[2] < scene.shape_ijk[2]
            if not flying:
                here.inside = False
    here = advance(scene, here, travelled)
    here.voxel = voxel
    if not collides and not here.inside and scene.outer_medium >= 0 and travelled > 0.0:
        outer = interpolate(tables.photon, scene.outer_medium, position)
        return collide_outside(scene, tally, here, outer, weight * energy_mev, free_paths, shift)
    result.walker = here
    result.collides = collides
    return result


@wp.func
def fly_by_virtual_collisions(
    scene: Scene,
    tables: PhysicsTables,
    start: Walker,
    energy_mev: wp.float32,
    seed: wp.uint32,
    stream: wp.uint32,
    history: wp.uint64,
    first_draw: wp.uint32,
) -> Flight:
    """Fly to the next real collision among tentative ones drawn with the largest attenuation of the scene.

    References
    ----------
    .. [1] E. Woodcock et al., ANL-7050 (1965) 557.
    """
    position = energy_index(tables, energy_mev)
    node = wp.int32(position)
    majorant = wp.max(scene.majorant_per_cm[node], scene.majorant_per_cm[node + 1])
    result = Flight()
    here = start
    draw = first_draw
    flying = wp.bool(True)
    collides = wp.bool(False)
    while flying:
        u = uniforms(seed, stream, history, draw)
        draw = draw + wp.uint32(1)
        if not here.inside and scene.outer_medium < 0:
            flying = False
        else:
            moved = advance(scene, here, -wp.log(u[0]) / majorant)
            here = place(scene, moved.position, moved.direction)
            if not here.inside and (scene.outer_medium < 0 or out_of_reach(scene, here)):
                flying = False
            else:
                medium = medium_here(scene, here)
                real = density_here(scene, here) * interpolate(tables.photon, medium, position)[0]
                if u[1] * majorant < real:
                    flying = False
                    collides = True
    result.walker = here
    result.collides = collides
    result.draw = draw
    return result


@wp.func
def leave_electron(
    scene: Scene,
    tally: wp.array(dtype=wp.int64),
    stack: wp.array3d(dtype=wp.float32),
    lane: wp.int32,
    depth: wp.int32,
    kind: wp.int32,
    energy_mev: wp.float32,
    weight: wp.float32,
    walker: Walker,
    direction: wp.vec3f,
) -> wp.int32:
    """Score a secondary electron on the spot, or put it on the stack where secondaries are followed."""
    followed = scene.secondaries_transported == 1 and depth < wp.static(STACK_DEPTH)
    if followed and energy_mev > scene.electron_cut_mev:
        return push(stack, lane, depth, kind, energy_mev, walker, direction)
    deposit(tally, tally_index(scene, walker), energy_mev * weight)
    return depth


@wp.func
def transport_photon(
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
) -> wp.vec2i:
    """Follow a photon until it is absorbed, falls below the cut or leaves; the new stack depth and random draw.

    In shells the first flight is not scored: what primary photons transfer is known in closed form.
    """
    here = start
    energy = energy_mev
    depth = first_depth
    draw = first_draw
    scores_collisions = scene.estimator == ANALOG
    is_primary = wp.bool(True)
    alive = wp.bool(True)
    if energy <= scene.photon_cut_mev:
        deposit(tally, tally_index(scene, here), energy * weight)
        alive = False
    while alive:
        flight = Flight()
        if scores_collisions:
            flight = fly_by_virtual_collisions(scene, tables, here, energy, seed, stream, history, draw)
            draw = flight.draw
        else:
            u = uniforms(seed, stream, history, draw)
            draw = draw + wp.uint32(1)
            score = weight
            if is_primary and scene.shell_count > 0:
                score = 0.0
            flight = fly_by_ray_tracing(scene, tables, tally, here, energy, score, -wp.log(u[0]), u[1])
            is_primary = False
        here = flight.walker
        alive = flight.collides
        if not alive:
            deposit(tally, wp.int32(tally.shape[0]) - 1, energy * weight)
        if alive:
            medium = medium_here(scene, here)
            position = energy_index(tables, energy)
            coefficients = interpolate(tables.photon, medium, position)
            pair = interpolate(tables.photon_pair, medium, position)
            u = uniforms(seed, stream, history, draw)
            draw = draw + wp.uint32(1)
            incident = here.direction
            if u[0] < coefficients[2]:
                scatter = sample_compton(tables, medium, energy, seed, stream, history, draw)
                draw = scatter.draw
                electron_energy = energy - scatter.energy_mev
                here.direction = rotate(incident, scatter.cosine, TWO_PI * u[1])
                if scores_collisions:
                    toward = compton_electron_cosine(energy, scatter.energy_mev, scatter.cosine)
                    thrown = rotate(incident, toward, TWO_PI * u[1] + 0.5 * TWO_PI)
                    depth = leave_electron(
                        scene, tally, stack, lane, depth, ELECTRON, electron_energy, weight, here, thrown
                    )
                energy = scatter.energy_mev
                if energy <= scene.photon_cut_mev:
                    deposit(tally, tally_index(scene, here), energy * weight)
                    alive = False
            elif u[0] < coefficients[3]:
                alive = False
                if scores_collisions:
                    thrown = incident
                    if scene.secondaries_transported == 1 and energy > scene.electron_cut_mev:
                        polar = photoelectron_cosine(energy, seed, stream, history, draw)
                        draw = polar.draw
                        thrown = rotate(incident, polar.cosine, TWO_PI * u[1])
                    depth = leave_electron(scene, tally, stack, lane, depth, ELECTRON, energy, weight, here, thrown)
            elif u[0] < coefficients[3] + pair:
                kinetic = wp.max(energy - 2.0 * ELECTRON_REST_ENERGY_MEV, 0.0)
                if scores_collisions and scene.secondaries_transported == 1:
                    depth = push(stack, lane, depth, POSITRON, wp.max(u[2] * kinetic, 1.0e-4), here, incident)
                    depth = leave_electron(
                        scene, tally, stack, lane, depth, ELECTRON, (1.0 - u[2]) * kinetic, weight, here, incident
                    )
                    alive = False
                else:
                    if scores_collisions:
                        deposit(tally, tally_index(scene, here), kinetic * weight)
                    first = isotropic(u[2], u[3])
                    depth = push(stack, lane, depth, PHOTON, ELECTRON_REST_ENERGY_MEV, here, -first)
                    here.direction = first
                    energy = ELECTRON_REST_ENERGY_MEV
            else:
                scatter = sample_rayleigh(tables, medium, energy, seed, stream, history, draw)
                draw = scatter.draw
                here.direction = rotate(incident, scatter.cosine, TWO_PI * u[1])
    return wp.vec2i(depth, wp.int32(draw))

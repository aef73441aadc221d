# ruff: noqa: UP018
# mypy: ignore-errors
"""The transport kernel: each lane runs its share of the histories of a batch, one after the other."""

import warp as wp

from .electrons import transport_electron
from .photons import transport_photon
from .physics import (
    ELECTRON_REST_ENERGY_MEV,
    PHOTON,
    POSITRON,
    PhysicsTables,
    energy_index,
    interpolate,
    isotropic,
)
from .random import uniforms
from .scene import Scene, Source, medium_here, place, point_in_voxel, push

wp.set_module_options({"enable_backward": False})

GOLDEN_RATIO = wp.constant(wp.float64(0.6180339887498949))


@wp.func
def first_above(cumulative: wp.array(dtype=wp.float64), target: wp.float64) -> wp.int32:
    """Index of the first entry above the target."""
    low = wp.int32(0)
    high = cumulative.shape[0] - 1
    while low < high:
        middle = (low + high) // 2
        if cumulative[middle] > target:
            high = middle
        else:
            low = middle + 1
    return low


@wp.kernel
def run_histories(
    scene: Scene,
    tables: PhysicsTables,
    source: Source,
    tally: wp.array(dtype=wp.int64),
    stack: wp.array3d(dtype=wp.float32),
    seed: wp.uint32,
    stream: wp.uint32,
    line_shift: wp.float64,
    first: wp.int64,
    last: wp.int64,
    batch_size: wp.int64,
    lane_count: wp.int64,
):
    """Histories `first` to `last` of one batch: stratified start, then everything on the stack until it is empty."""
    lane = wp.tid()
    number = first + wp.int64(lane)
    while number < last:
        history = wp.uint64(number)
        u = uniforms(seed, stream, history, wp.uint32(0))
        v = uniforms(seed, stream, history, wp.uint32(1))
        draw = wp.uint32(2)
        stratum = (wp.float64(number) + wp.float64(u[0])) / wp.float64(batch_size)
        voxel = source.voxel[first_above(source.voxel_cumulative, stratum)]
        sequence = wp.float64(number) * GOLDEN_RATIO + line_shift
        line = first_above(source.line_cumulative, sequence - wp.floor(sequence))
        weight = source.line_weight[line]
        position = point_in_voxel(voxel, scene.shape_ijk, u[1], u[2], u[3])
        if scene.shell_count > 0:
            position = wp.vec3f(0.0, 0.0, 0.0)
        direction = isotropic(v[0], v[1])
        is_primary = wp.bool(True)
        depth = push(
            stack,
            lane,
            wp.int32(0),
            source.line_kind[line],
            source.line_energy_mev[line],
            place(scene, position, direction),
            direction,
        )
        while depth > 0:
            depth = depth - 1
            kind = wp.int32(stack[lane, depth, 0])
            energy = stack[lane, depth, 1]
            direction = wp.vec3f(stack[lane, depth, 5], stack[lane, depth, 6], stack[lane, depth, 7])
            walker = place(
                scene,
                wp.vec3f(stack[lane, depth, 2], stack[lane, depth, 3], stack[lane, depth, 4]),
                direction,
            )
            if kind == PHOTON:
                after = transport_photon(
                    scene, tables, tally, stack, lane, depth, walker, energy, weight, seed, stream, history, draw
                )
                depth = after[0]
                draw = wp.uint32(after[1])
            else:
                score = weight
                if is_primary:
                    medium = medium_here(scene, walker)
                    if medium >= 0:
                        score = weight * interpolate(tables.electron, medium, energy_index(tables, energy))[2]
                end = transport_electron(
                    scene, tables, tally, stack, lane, depth, walker, energy, score, seed, stream, history, draw
                )
                draw = end.draw
                depth = end.depth
                if kind == POSITRON:
                    w = uniforms(seed, stream, history, draw)
                    draw = draw + wp.uint32(1)
                    one_way = isotropic(w[0], w[1])
                    depth = push(stack, lane, depth, PHOTON, ELECTRON_REST_ENERGY_MEV, end.walker, one_way)
                    depth = push(stack, lane, depth, PHOTON, ELECTRON_REST_ENERGY_MEV, end.walker, -one_way)
            is_primary = False
        number = number + lane_count

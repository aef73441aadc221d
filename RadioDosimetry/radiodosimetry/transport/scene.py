# ruff: noqa: UP018
# mypy: ignore-errors
"""What a history runs through: voxels, source, options and tally, and the walk from face to face.

Positions are continuous voxel indices (i, j, k) with voxel n spanning n to n + 1; distances are in cm.
"""

import warp as wp

FIXED_POINT_PER_MEV = wp.constant(wp.float64(1073741824.0))
"""Tallies are integers in units of 2⁻³⁰ MeV: their sum does not depend on the order of the additions."""

FAR_CM = wp.constant(wp.float32(1.0e30))

STACK_DEPTH = 48
"""Particles that may wait at once; an electron that does not fit is scored where it is, which hardly ever happens."""

STACK_RESERVE = 4
"""Further places for positrons and annihilation photons, which are never refused."""

SHELL_POINTS = 6
"""Random points, one in each equal part, at which a straight piece of a track is scored in shells."""

TRACK_LENGTH = wp.constant(wp.int32(0))
ANALOG = wp.constant(wp.int32(1))


@wp.struct
class Scene:
    """Voxels [flat index (k · nj + j) · ni + i], what surrounds them, and the cuts.

    With `shell_count` above zero there is no voxel at all: everything is the surroundings, the source is the origin,
    and energy is scored in concentric shells whose bounds are equidistant in r or in ln r.
    """

    density: wp.array(dtype=wp.float32)
    medium: wp.array(dtype=wp.uint8)
    shape_ijk: wp.vec3i
    spacing_cm: wp.vec3f
    outer_medium: wp.int32
    outer_density: wp.float32
    outer_limit_cm: wp.float32
    majorant_per_cm: wp.array(dtype=wp.float32)
    photon_cut_mev: wp.float32
    electron_cut_mev: wp.float32
    local_range_cm: wp.float32
    estimator: wp.int32
    secondaries_transported: wp.int32
    shell_count: wp.int32
    shells_logarithmic: wp.int32
    shell_origin: wp.float32
    shell_step: wp.float32


@wp.struct
class Source:
    """Where particles start and what they are; `weight` turns a history into energy per decay times decays."""

    voxel: wp.array(dtype=wp.int32)
    voxel_cumulative: wp.array(dtype=wp.float64)
    line_kind: wp.array(dtype=wp.int32)
    line_energy_mev: wp.array(dtype=wp.float32)
    line_weight: wp.array(dtype=wp.float32)
    line_cumulative: wp.array(dtype=wp.float64)


@wp.struct
class Walker:
    """A point on its way: position, direction, the voxel it is in, and whether that voxel is of the grid."""

    position: wp.vec3f
    direction: wp.vec3f
    voxel: wp.vec3i
    inside: wp.bool


@wp.func
def place(scene: Scene, position: wp.vec3f, direction: wp.vec3f) -> Walker:
    """A walker at a position, in the voxel that holds it."""
    walker = Walker()
    walker.position = position
    walker.direction = direction
    walker.voxel = wp.vec3i(
        wp.int32(wp.floor(position[0])), wp.int32(wp.floor(position[1])), wp.int32(wp.floor(position[2]))
    )
    walker.inside = in_grid(scene, walker.voxel)
    return walker


@wp.func
def in_grid(scene: Scene, voxel: wp.vec3i) -> wp.bool:
    """Whether the grid has this voxel."""
    return (
        voxel[0] >= 0
        and voxel[1] >= 0
        and voxel[2] >= 0
        and voxel[0] < scene.shape_ijk[0]
        and voxel[1] < scene.shape_ijk[1]
        and voxel[2] < scene.shape_ijk[2]
    )


@wp.func
def flat_index(scene: Scene, voxel: wp.vec3i) -> wp.int32:
    """Index into the flat arrays."""
    return (voxel[2] * scene.shape_ijk[1] + voxel[1]) * scene.shape_ijk[0] + voxel[0]


@wp.func
def point_in_voxel(index: wp.int32, shape_ijk: wp.vec3i, x: wp.float32, y: wp.float32, z: wp.float32) -> wp.vec3f:
    """The point at these shares of the edges of a voxel given by its place in the array, in voxels from the corner."""
    per_row = wp.max(shape_ijk[0], 1)
    per_slice = wp.max(shape_ijk[0] * shape_ijk[1], 1)
    k = index // per_slice
    j = (index - k * per_slice) // per_row
    i = index - k * per_slice - j * shape_ijk[0]
    return wp.vec3f(wp.float32(i) + x, wp.float32(j) + y, wp.float32(k) + z)


@wp.func
def tally_index(scene: Scene, walker: Walker) -> wp.int32:
    """Where this walker's energy is scored: its voxel, or the last bin, which gathers what leaves the grid."""
    if walker.inside:
        return flat_index(scene, walker.voxel)
    if scene.shell_count > 0:
        return shell_index(scene, walker.position)
    return scene.shape_ijk[0] * scene.shape_ijk[1] * scene.shape_ijk[2]


@wp.func
def shell_index(scene: Scene, position: wp.vec3f) -> wp.int32:
    """The shell around the origin that holds a position; the last bin gathers what is beyond all shells."""
    radius_cm = wp.length(wp.cw_mul(position, scene.spacing_cm))
    measure = radius_cm
    if scene.shells_logarithmic == 1:
        measure = wp.log(wp.max(radius_cm, 1.0e-20))
    return wp.int32(wp.clamp((measure - scene.shell_origin) / scene.shell_step, 0.0, wp.float32(scene.shell_count)))


@wp.func
def deposit(tally: wp.array(dtype=wp.int64), index: wp.int32, energy_mev: wp.float32):
    """Add energy to a bin in fixed point, rounded to nearest."""
    wp.atomic_add(tally, index, wp.int64(wp.float64(energy_mev) * FIXED_POINT_PER_MEV + wp.float64(0.5)))


@wp.func
def face_distance(position: wp.float32, voxel: wp.int32, direction: wp.float32, spacing_cm: wp.float32) -> wp.float32:
    """Distance along the direction to the next face of this axis."""
    distance = FAR_CM
    if direction > 1.0e-12:
        distance = (wp.float32(voxel + 1) - position) * spacing_cm / direction
    elif direction < -1.0e-12:
        distance = (wp.float32(voxel) - position) * spacing_cm / direction
    return wp.max(distance, 0.0)


@wp.func
def nearest_face_cm(scene: Scene, walker: Walker) -> wp.float32:
    """Shortest distance to any face of the walker's voxel."""
    x = walker.position[0] - wp.float32(walker.voxel[0])
    y = walker.position[1] - wp.float32(walker.voxel[1])
    z = walker.position[2] - wp.float32(walker.voxel[2])
    return wp.min(
        wp.min(wp.min(x, 1.0 - x) * scene.spacing_cm[0], wp.min(y, 1.0 - y) * scene.spacing_cm[1]),
        wp.min(z, 1.0 - z) * scene.spacing_cm[2],
    )


@wp.func
def advance(scene: Scene, walker: Walker, distance_cm: wp.float32) -> Walker:
    """The walker further along its direction, in the same voxel."""
    result = walker
    result.position = walker.position + wp.cw_div(walker.direction, scene.spacing_cm) * distance_cm
    return result


@wp.func
def cross_face(scene: Scene, walker: Walker, distance_cm: wp.float32, distances: wp.vec3f) -> Walker:
    """The walker behind the nearest of the three faces ahead, in the next voxel of an unbounded lattice."""
    result = advance(scene, walker, distance_cm)
    voxel = walker.voxel
    if distances[0] <= distances[1] and distances[0] <= distances[2]:
        if walker.direction[0] > 0.0:
            voxel = wp.vec3i(voxel[0] + 1, voxel[1], voxel[2])
        else:
            voxel = wp.vec3i(voxel[0] - 1, voxel[1], voxel[2])
    elif distances[1] <= distances[2]:
        if walker.direction[1] > 0.0:
            voxel = wp.vec3i(voxel[0], voxel[1] + 1, voxel[2])
        else:
            voxel = wp.vec3i(voxel[0], voxel[1] - 1, voxel[2])
    else:
        if walker.direction[2] > 0.0:
            voxel = wp.vec3i(voxel[0], voxel[1], voxel[2] + 1)
        else:
            voxel = wp.vec3i(voxel[0], voxel[1], voxel[2] - 1)
    result.voxel = voxel
    result.inside = in_grid(scene, voxel)
    return result


@wp.func
def face_distances(scene: Scene, walker: Walker) -> wp.vec3f:
    """Distances to the next face along each axis."""
    return wp.vec3f(
        face_distance(walker.position[0], walker.voxel[0], walker.direction[0], scene.spacing_cm[0]),
        face_distance(walker.position[1], walker.voxel[1], walker.direction[1], scene.spacing_cm[1]),
        face_distance(walker.position[2], walker.voxel[2], walker.direction[2], scene.spacing_cm[2]),
    )


@wp.func
def entry_distance_cm(scene: Scene, walker: Walker) -> wp.float32:
    """Distance from outside to the grid's box along the direction; FAR_CM where the ray misses it."""
    near = float(0.0)
    far = FAR_CM
    for axis in range(3):
        speed = walker.direction[axis] / scene.spacing_cm[axis]
        extent = wp.float32(scene.shape_ijk[axis])
        if wp.abs(speed) < 1.0e-12:
            if walker.position[axis] <= 0.0 or walker.position[axis] >= extent:
                far = -1.0
        else:
            first = -walker.position[axis] / speed
            second = (extent - walker.position[axis]) / speed
            near = wp.max(near, wp.min(first, second))
            far = wp.min(far, wp.max(first, second))
    if far <= near:
        return FAR_CM
    return near


@wp.func
def enter_grid(scene: Scene, walker: Walker, distance_cm: wp.float32) -> Walker:
    """The walker at the grid's face, in the voxel behind it."""
    result = advance(scene, walker, distance_cm)
    position = result.position
    voxel = wp.vec3i(
        wp.clamp(wp.int32(wp.floor(position[0])), 0, scene.shape_ijk[0] - 1),
        wp.clamp(wp.int32(wp.floor(position[1])), 0, scene.shape_ijk[1] - 1),
        wp.clamp(wp.int32(wp.floor(position[2])), 0, scene.shape_ijk[2] - 1),
    )
    result.position = wp.vec3f(
        wp.clamp(position[0], wp.float32(voxel[0]), wp.float32(voxel[0] + 1)),
        wp.clamp(position[1], wp.float32(voxel[1]), wp.float32(voxel[1] + 1)),
        wp.clamp(position[2], wp.float32(voxel[2]), wp.float32(voxel[2] + 1)),
    )
    result.voxel = voxel
    result.inside = True
    return result


@wp.func
def medium_here(scene: Scene, walker: Walker) -> wp.int32:
    """Medium of the walker's voxel, or of the surroundings (−1: vacuum)."""
    if walker.inside:
        return wp.int32(scene.medium[flat_index(scene, walker.voxel)])
    return scene.outer_medium


@wp.func
def density_here(scene: Scene, walker: Walker) -> wp.float32:
    """Density at the walker [g/cm³]."""
    if walker.inside:
        return scene.density[flat_index(scene, walker.voxel)]
    return scene.outer_density


@wp.func
def push(
    stack: wp.array3d(dtype=wp.float32),
    lane: wp.int32,
    depth: wp.int32,
    kind: wp.int32,
    energy_mev: wp.float32,
    walker: Walker,
    direction: wp.vec3f,
) -> wp.int32:
    """Put a particle on the lane's stack; the new depth."""
    stack[lane, depth, 0] = wp.float32(kind)
    stack[lane, depth, 1] = energy_mev
    for axis in range(3):
        stack[lane, depth, 2 + axis] = walker.position[axis]
        stack[lane, depth, 5 + axis] = direction[axis]
    return depth + 1

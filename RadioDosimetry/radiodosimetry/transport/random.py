# mypy: ignore-errors
"""Counter-based random numbers: Philox 4x32-10, one counter per history and draw.

The numbers of a history depend on the seed, the history's index and the index of the draw alone: not on threads,
devices or what other histories did.

References
----------
.. [1] J. K. Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC '11 (2011), doi:10.1145/2063384.2063405.
"""

import warp as wp

_MULTIPLIER_0 = wp.constant(wp.uint64(0xD2511F53))
_MULTIPLIER_1 = wp.constant(wp.uint64(0xCD9E8D57))
_WEYL_0 = wp.constant(wp.uint32(0x9E3779B9))
_WEYL_1 = wp.constant(wp.uint32(0xBB67AE85))
_UNIT = wp.constant(wp.float32(1.0 / 16777216.0))
_BELOW_ONE = wp.constant(wp.float32(1.0 - 1.0 / 16777216.0))


@wp.func
def philox(seed: wp.uint32, stream: wp.uint32, history: wp.uint64, draw: wp.uint32) -> wp.vec4ui:
    """Four 32-bit words of the counter (history, draw) under the key (seed, stream)."""
    c0 = wp.uint32(history)
    c1 = wp.uint32(history >> wp.uint64(32))
    c2 = draw
    c3 = wp.uint32(0)
    k0 = seed
    k1 = stream
    for _ in range(10):
        p0 = _MULTIPLIER_0 * wp.uint64(c0)
        p1 = _MULTIPLIER_1 * wp.uint64(c2)
        n0 = wp.uint32(p1 >> wp.uint64(32)) ^ c1 ^ k0
        n2 = wp.uint32(p0 >> wp.uint64(32)) ^ c3 ^ k1
        c1 = wp.uint32(p1)
        c3 = wp.uint32(p0)
        c0 = n0
        c2 = n2
        k0 = k0 + _WEYL_0
        k1 = k1 + _WEYL_1
    return wp.vec4ui(c0, c1, c2, c3)


@wp.func
def unit_interval(word: wp.uint32) -> wp.float32:
    """A number of the open interval (0, 1) from the upper 24 bits of a word; float32 would round the largest to 1."""
    return wp.min((wp.float32(word >> wp.uint32(8)) + 0.5) * _UNIT, _BELOW_ONE)


@wp.func
def uniforms(seed: wp.uint32, stream: wp.uint32, history: wp.uint64, draw: wp.uint32) -> wp.vec4f:
    """Four numbers uniform in the open interval (0, 1)."""
    word = philox(seed, stream, history, draw)
    return wp.vec4f(unit_interval(word[0]), unit_interval(word[1]), unit_interval(word[2]), unit_interval(word[3]))

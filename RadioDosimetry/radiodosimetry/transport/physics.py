# ruff: noqa: UP018
# mypy: ignore-errors
"""Sampling of single interactions, shared by every transport kernel, on CPU and CUDA alike.

Energies are in MeV, lengths in cm, mass thicknesses in g/cm². A random draw returns four uniforms at once
(`random.uniforms`); functions that may reject return the next free draw index.
"""

from typing import Any

import warp as wp

from ..units import ELECTRON_REST_ENERGY_KEV
from .random import uniforms

ELECTRON_REST_ENERGY_MEV = wp.constant(wp.float32(ELECTRON_REST_ENERGY_KEV * 1e-3))
KEV_ANGSTROM = wp.constant(wp.float32(12.39841984))
TWO_PI = wp.constant(wp.float32(6.283185307179586))

PHOTON = wp.constant(wp.int32(0))
ELECTRON = wp.constant(wp.int32(1))
POSITRON = wp.constant(wp.int32(2))


@wp.struct
class PhysicsTables:
    """Interaction data of all media on shared logarithmic grids; rows are media.

    Attributes
    ----------
    photon
        (total [cm²/g], energy-transfer coefficient [cm²/g], P(Compton), P(Compton or photoelectric)) by medium, energy.
    photon_pair
        P(pair production) by medium and energy; what is left is coherent.
    scattering_function
        Incoherent scattering function relative to its largest value, by medium and ln x.
    form_factor_cumulative
        Integral of the squared form factor over x² up to x, by medium and ln x (x in 1/Å, first node at x_min).
    electron
        (stopping power of soft collisions and radiation [MeV cm²/g], CSDA range [g/cm²], collisional share of the
        energy lost from here to rest, variance of the soft loss per mass thickness [MeV² cm²/g]) by medium, energy.
    hard_collision
        (ceiling of the number of hard collisions per mass thickness [cm²/g], ceiling of Møller's bracket).
    elastic
        (hard elastic coefficient [cm²/g], first and second transport coefficient of soft events [cm²/g], cut of hard
        deflections) by medium and energy; positrons share it with electrons.
    elastic_screening
        Screening of the Wentzel deflection law, by medium and energy.
    """

    photon: wp.array2d(dtype=wp.vec4f)
    photon_pair: wp.array2d(dtype=wp.float32)
    scattering_function: wp.array2d(dtype=wp.float32)
    form_factor_cumulative: wp.array2d(dtype=wp.float32)
    electron: wp.array2d(dtype=wp.vec4f)
    hard_collision: wp.array2d(dtype=wp.vec2f)
    elastic: wp.array2d(dtype=wp.vec4f)
    elastic_screening: wp.array2d(dtype=wp.float32)
    ln_energy_min: wp.float32
    ln_energy_step: wp.float32
    energy_count: wp.int32
    ln_x_min: wp.float32
    ln_x_step: wp.float32
    x_count: wp.int32


@wp.struct
class Deflection:
    """Cosine of a scattering angle, the energy left, and the next free random draw."""

    cosine: wp.float32
    energy_mev: wp.float32
    draw: wp.uint32


@wp.func
def energy_index(tables: PhysicsTables, energy_mev: wp.float32) -> wp.float32:
    """Position of an energy on the logarithmic grid, clamped to its ends."""
    position = (wp.log(energy_mev) - tables.ln_energy_min) / tables.ln_energy_step
    return wp.clamp(position, 0.0, wp.float32(tables.energy_count) - 1.001)


@wp.func
def interpolate(table: wp.array2d(dtype=Any), row: wp.int32, position: wp.float32):
    """Linear interpolation of one medium's row, whose nodes hold a number or a vector of them."""
    node = wp.int32(position)
    share = position - wp.float32(node)
    return table[row, node] * (1.0 - share) + table[row, node + 1] * share


@wp.func
def x_index(tables: PhysicsTables, x_per_angstrom: wp.float32) -> wp.float32:
    """Position of a momentum transfer on the logarithmic grid, clamped to its ends."""
    position = (wp.log(wp.max(x_per_angstrom, 1.0e-9)) - tables.ln_x_min) / tables.ln_x_step
    return wp.clamp(position, 0.0, wp.float32(tables.x_count) - 1.001)


@wp.func
def rotate(direction: wp.vec3f, cosine: wp.float32, azimuth: wp.float32) -> wp.vec3f:
    """The direction turned by a polar angle with this cosine and by an azimuth about itself."""
    sine = wp.sqrt(wp.max(0.0, 1.0 - cosine * cosine))
    across = sine * wp.cos(azimuth)
    along = sine * wp.sin(azimuth)
    sideways = direction[0] * direction[0] + direction[1] * direction[1]
    turned = wp.vec3f(across, along, cosine)
    if direction[2] < 0.0:
        turned = wp.vec3f(across, -along, -cosine)
    if sideways > 1.0e-10:
        rho = wp.sqrt(sideways)
        turned = wp.vec3f(
            direction[0] * cosine + (direction[0] * direction[2] * across - direction[1] * along) / rho,
            direction[1] * cosine + (direction[1] * direction[2] * across + direction[0] * along) / rho,
            direction[2] * cosine - rho * across,
        )
    return wp.normalize(turned)


@wp.func
def isotropic(first: wp.float32, second: wp.float32) -> wp.vec3f:
    """A direction uniform on the sphere."""
    cosine = 2.0 * first - 1.0
    sine = wp.sqrt(wp.max(0.0, 1.0 - cosine * cosine))
    return wp.vec3f(sine * wp.cos(TWO_PI * second), sine * wp.sin(TWO_PI * second), cosine)


@wp.func
def sample_compton(
    tables: PhysicsTables,
    medium: wp.int32,
    energy_mev: wp.float32,
    seed: wp.uint32,
    stream: wp.uint32,
    history: wp.uint64,
    draw: wp.uint32,
) -> Deflection:
    """Klein-Nishina scattering with the incoherent scattering function as a rejection.

    The energy fraction is drawn by composition of 1/ε and ε [1]_.

    References
    ----------
    .. [1] J. C. Butcher, H. Messel, Nucl Phys 20 (1960) 15, doi:10.1016/0029-5582(60)90162-0.
    """
    result = Deflection()
    alpha = energy_mev / ELECTRON_REST_ENERGY_MEV
    smallest = 1.0 / (1.0 + 2.0 * alpha)
    weight_inverse = -wp.log(smallest)
    weight_linear = 0.5 * (1.0 - smallest * smallest)
    accepted = wp.bool(False)
    fraction = float(1.0)
    cosine = float(1.0)
    while not accepted:
        u = uniforms(seed, stream, history, draw)
        draw = draw + wp.uint32(1)
        if u[0] * (weight_inverse + weight_linear) < weight_inverse:
            fraction = smallest * wp.exp(u[1] * weight_inverse)
        else:
            fraction = wp.sqrt(smallest * smallest + u[1] * (1.0 - smallest * smallest))
        one_minus_cosine = wp.min((1.0 - fraction) / (alpha * fraction), 2.0)
        cosine = 1.0 - one_minus_cosine
        sine_squared = one_minus_cosine * (2.0 - one_minus_cosine)
        x = energy_mev * 1000.0 / KEV_ANGSTROM * wp.sqrt(0.5 * one_minus_cosine)
        bound = interpolate(tables.scattering_function, medium, x_index(tables, x))
        accepted = u[2] < (1.0 - fraction * sine_squared / (1.0 + fraction * fraction)) * bound
    result.cosine = cosine
    result.energy_mev = energy_mev * fraction
    result.draw = draw
    return result


@wp.func
def sample_rayleigh(
    tables: PhysicsTables,
    medium: wp.int32,
    energy_mev: wp.float32,
    seed: wp.uint32,
    stream: wp.uint32,
    history: wp.uint64,
    draw: wp.uint32,
) -> Deflection:
    """Coherent scattering: x² by inversion of the squared form factor, (1 + cos²)/2 by rejection."""
    result = Deflection()
    x_max = energy_mev * 1000.0 / KEV_ANGSTROM
    total = interpolate(tables.form_factor_cumulative, medium, x_index(tables, x_max))
    accepted = wp.bool(False)
    cosine = float(1.0)
    while not accepted:
        u = uniforms(seed, stream, history, draw)
        draw = draw + wp.uint32(1)
        target = u[0] * total
        low = wp.int32(0)
        high = tables.x_count - 1
        while high - low > 1:
            middle = (low + high) // 2
            if tables.form_factor_cumulative[medium, middle] <= target:
                low = middle
            else:
                high = middle
        first = tables.form_factor_cumulative[medium, low]
        second = tables.form_factor_cumulative[medium, high]
        x_low = wp.exp(tables.ln_x_min + wp.float32(low) * tables.ln_x_step)
        x_high = wp.exp(tables.ln_x_min + wp.float32(high) * tables.ln_x_step)
        x_squared = float(0.0)
        if target < tables.form_factor_cumulative[medium, 0]:
            x_squared = x_low * x_low * target / tables.form_factor_cumulative[medium, 0]
        else:
            share = wp.clamp((target - first) / wp.max(second - first, 1.0e-30), 0.0, 1.0)
            x_squared = x_low * x_low + share * (x_high * x_high - x_low * x_low)
        cosine = wp.max(1.0 - 2.0 * x_squared / (x_max * x_max), -1.0)
        accepted = u[1] < 0.5 * (1.0 + cosine * cosine)
    result.cosine = cosine
    result.energy_mev = energy_mev
    result.draw = draw
    return result


@wp.func
def compton_electron_cosine(photon_mev: wp.float32, scattered_mev: wp.float32, cosine: wp.float32) -> wp.float32:
    """Cosine between the incident photon and the Compton electron, by conservation of momentum."""
    electron_mev = photon_mev - scattered_mev
    momentum = wp.sqrt(electron_mev * (electron_mev + 2.0 * ELECTRON_REST_ENERGY_MEV))
    return wp.clamp((photon_mev - scattered_mev * cosine) / wp.max(momentum, 1.0e-9), -1.0, 1.0)


@wp.func
def photoelectron_cosine(
    electron_mev: wp.float32,
    seed: wp.uint32,
    stream: wp.uint32,
    history: wp.uint64,
    draw: wp.uint32,
) -> Deflection:
    """Sauter's K-shell distribution of the photoelectron's angle [1]_, drawn as in [2]_.

    References
    ----------
    .. [1] F. Sauter, Ann Phys 403 (1931) 454, doi:10.1002/andp.19314030406.
    .. [2] F. Salvat, PENELOPE-2018, OECD/NEA (2019), section 2.2, doi:10.1787/32da5043-en.
    """
    result = Deflection()
    gamma = 1.0 + electron_mev / ELECTRON_REST_ENERGY_MEV
    beta = wp.sqrt(electron_mev * (electron_mev + 2.0 * ELECTRON_REST_ENERGY_MEV)) / (
        electron_mev + ELECTRON_REST_ENERGY_MEV
    )
    shift = 1.0 / beta - 1.0
    relativistic = 0.5 * beta * gamma * (gamma - 1.0) * (gamma - 2.0)
    ceiling = 2.0 * (1.0 / shift + relativistic)
    accepted = wp.bool(False)
    one_minus_cosine = float(0.0)
    while not accepted:
        u = uniforms(seed, stream, history, draw)
        draw = draw + wp.uint32(1)
        one_minus_cosine = (
            2.0 * shift / ((shift + 2.0) * (shift + 2.0) - 4.0 * u[0])
            * (2.0 * u[0] + (shift + 2.0) * wp.sqrt(u[0]))
        )
        accepted = u[1] * ceiling < (2.0 - one_minus_cosine) * (1.0 / (shift + one_minus_cosine) + relativistic)
    result.cosine = wp.max(1.0 - one_minus_cosine, -1.0)
    result.energy_mev = electron_mev
    result.draw = draw
    return result


@wp.func
def hard_transfer(
    energy_mev: wp.float32, share: wp.float32, ceiling: wp.float32, u: wp.float32, v: wp.float32
) -> wp.float32:
    """Energy of the electron set free by a hard collision of Møller's law; zero where the draw is rejected.

    The draw of 1/T² between `share` and one half of the energy must happen `ceiling` times too often.
    """
    low = 1.0 / (share * energy_mev)
    transfer = 1.0 / (low - u * (low - 2.0 / energy_mev))
    rest = energy_mev - transfer
    total = energy_mev + ELECTRON_REST_ENERGY_MEV
    interference = ELECTRON_REST_ENERGY_MEV * (2.0 * energy_mev + ELECTRON_REST_ENERGY_MEV) / (total * total)
    bracket = 1.0 + transfer * transfer * (1.0 / (rest * rest) + 1.0 / (total * total)) - interference * transfer / rest
    if v * ceiling < bracket:
        return transfer
    return 0.0


@wp.func
def knock_on_cosine(primary_mev: wp.float32, transfer_mev: wp.float32) -> wp.float32:
    """Cosine between an electron and the one it sets free at rest, by conservation of momentum."""
    ratio = transfer_mev * (primary_mev + 2.0 * ELECTRON_REST_ENERGY_MEV)
    ratio = ratio / (primary_mev * (transfer_mev + 2.0 * ELECTRON_REST_ENERGY_MEV))
    return wp.sqrt(wp.clamp(ratio, 0.0, 1.0))


@wp.func
def recoil_cosine(primary_mev: wp.float32, transfer_mev: wp.float32) -> wp.float32:
    """Cosine of the deflection of an electron that sets another free, by conservation of momentum."""
    rest = primary_mev - transfer_mev
    ratio = rest * (primary_mev + 2.0 * ELECTRON_REST_ENERGY_MEV)
    ratio = ratio / (primary_mev * (rest + 2.0 * ELECTRON_REST_ENERGY_MEV))
    return wp.sqrt(wp.clamp(ratio, 0.0, 1.0))


@wp.func
def soft_deflection_cosine(first_moment: wp.float32, second_moment: wp.float32, u: wp.float32) -> wp.float32:
    """A deflection with given ⟨μ⟩ and ⟨μ²⟩, μ = (1 − cosθ)/2: two uniform pieces, as in PENELOPE (section 3.2)."""
    edge = (2.0 * first_moment - 3.0 * second_moment) / wp.max(1.0 - 2.0 * first_moment, 1.0e-6)
    edge = wp.clamp(edge, 1.0e-9, 1.0)
    share = wp.clamp(1.0 - 2.0 * first_moment + edge, 0.0, 1.0)
    mu = float(0.0)
    if u < share:
        mu = edge * u / wp.max(share, 1.0e-9)
    else:
        mu = edge + (1.0 - edge) * (u - share) / wp.max(1.0 - share, 1.0e-9)
    return 1.0 - 2.0 * mu


@wp.func
def hard_deflection_cosine(screening: wp.float32, cut: wp.float32, u: wp.float32) -> wp.float32:
    """A single Wentzel deflection with μ above `cut`, by inversion."""
    low = 1.0 / (cut + screening)
    high = 1.0 / (1.0 + screening)
    mu = 1.0 / (low - u * (low - high)) - screening
    return 1.0 - 2.0 * wp.clamp(mu, 0.0, 1.0)


@wp.func
def straggled_loss(
    mean_mev: wp.float32, variance_mev2: wp.float32, first: wp.float32, second: wp.float32
) -> wp.float32:
    """An energy loss with this mean and variance that is never negative.

    Normal where the spread is small against the mean, else uniform or, for the widest, all or nothing: the three-range
    scheme of PENELOPE (section 4.2), each with the right first two moments.
    """
    ratio = variance_mev2 / wp.max(mean_mev * mean_mev, 1.0e-20)
    loss = float(0.0)
    if ratio < 0.11111111:
        normal = wp.sqrt(-2.0 * wp.log(first)) * wp.cos(TWO_PI * second)
        loss = mean_mev + wp.sqrt(variance_mev2) * wp.clamp(normal, -3.0, 3.0) * 1.015387
    elif ratio < 0.33333333:
        loss = mean_mev + wp.sqrt(3.0 * variance_mev2) * (2.0 * first - 1.0)
    else:
        nothing = (3.0 * variance_mev2 - mean_mev * mean_mev) / (3.0 * variance_mev2 + 3.0 * mean_mev * mean_mev)
        if first > nothing:
            loss = (3.0 * variance_mev2 + 3.0 * mean_mev * mean_mev) / (2.0 * mean_mev) * second
    return wp.max(loss, 0.0)

"""Point kernels in closed form and small patients: what the tests of kernels and convolution share."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from radiodosimetry.media import Material
from radiodosimetry.nuclides import ParticleSpectrum
from radiodosimetry.voxel_dose import radial_energy

ELECTRON_RANGE_G_PER_CM2 = 0.06
"""Range of every electron of the closed forms: 0.6 mm of water."""

PHOTON_ATTENUATION_CM2_PER_G = 0.03
"""Energy attenuation of every photon of the closed forms; twice as large above 50 keV in a medium with calcium."""


@dataclass(frozen=True)
class ClosedForm:
    """Cumulative energy by radius, as the point kernels of transport."""

    radius_mm: NDArray[np.float64]
    cumulative_energy_mev: NDArray[np.float64]
    relative_uncertainty: NDArray[np.float64] | None = None


def exponential(attenuation_per_mm: float, energy_mev: float = 1.0) -> ClosedForm:
    """F(r) = E (1 − exp(−μ r)): a fluence that falls with 1/r² and attenuation."""
    radius = radii(1 / attenuation_per_mm)
    return ClosedForm(radius, energy_mev * -np.expm1(-attenuation_per_mm * radius))


def uniform_ball(radius_mm: float, energy_mev: float = 1.0) -> ClosedForm:
    """F(r) = E (r/R)³: a ball of even energy density, with a sharp edge."""
    radius = np.union1d(radii(radius_mm), np.linspace(0, radius_mm, 400))
    return ClosedForm(radius, energy_mev * np.minimum(radius / radius_mm, 1) ** 3)


def straight_tracks(range_mm: float, energy_mev: float = 1.0) -> ClosedForm:
    """F(r) = E r/R: straight tracks of constant stopping power."""
    radius = np.union1d(radii(range_mm), np.linspace(0, range_mm, 400))
    return ClosedForm(radius, energy_mev * np.minimum(radius / range_mm, 1))


def radii(length_mm: float) -> NDArray[np.float64]:
    """Radii from 0 over eight decades around a length."""
    return np.concatenate([[0.0], np.geomspace(1e-5 * length_mm, 1e3 * length_mm, 800)])


def closed_form_provider(material: Material, spectrum: ParticleSpectrum, secondaries: str) -> ClosedForm:
    """Closed forms by medium and particle, in the place of the radial tables."""
    density = material.density_g_per_cm3
    energy_mev = spectrum.energy_per_decay_kev * 1e-3
    if spectrum.particle != "photon":
        return straight_tracks(10 * ELECTRON_RANGE_G_PER_CM2 / density, energy_mev)
    calcium = material.mass_fractions.get("Ca", 0.0)
    return exponential(0.1 * PHOTON_ATTENUATION_CM2_PER_G * (1 + calcium) * density, energy_mev)


def brute_force_kernel(
    radius_of_share: object, spacing_mm: tuple[float, float, float], half_width: int, count: int, seed: int
) -> NDArray[np.float64]:
    """Share of points per voxel by plain sampling: uniform in the source voxel, radius by inversion, any direction."""
    rng = np.random.default_rng(seed)
    radius = radius_of_share(rng.random(count))  # type: ignore[operator]
    direction = rng.normal(size=(3, count))
    direction /= np.linalg.norm(direction, axis=0)
    position = rng.random((3, count)) - 0.5 + radius * direction / np.array(spacing_mm)[:, None]
    index = np.rint(position).astype(int)
    index = index[:, (np.abs(index) <= half_width).all(axis=0)] + half_width
    side = 2 * half_width + 1
    flat = (index[2] * side + index[1]) * side + index[0]
    return np.bincount(flat, minlength=side**3).reshape(side, side, side) / count


def use_closed_forms(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    """Closed forms in the place of the radial tables, and a cache of the test's own."""
    fake = SimpleNamespace(point_kernel=lambda material, spectrum, secondaries: closed_form_provider(
        material, spectrum, secondaries
    ))  # fmt: skip
    monkeypatch.setitem(sys.modules, "radiodosimetry.transport.point_kernels", fake)
    monkeypatch.setattr(radial_energy, "_table_identity", lambda: "closed forms")
    monkeypatch.setenv("RADIODOSIMETRY_CACHE", str(cache))

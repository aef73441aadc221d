"""The sphere model: S-value of a lesion to itself from its mass, its tissue and what the nuclide emits.

A sphere with uniform activity lies in a large medium of its own tissue. A particle's energy ends at a distance r from
the decay with the density dF(r) of its point kernel, and a point of the sphere with a random direction and distance r
leads to another point of the sphere with the probability W(r) = 1 − (3/4)(r/R) + (1/16)(r/R)³, zero beyond the
diameter. What the sphere keeps is ∫ W dF.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from ..media import MEDIA_DATASETS, Material, named_material
from ..nuclides import Radionuclide
from ..nuclides.spectrum import ParticleSpectrum
from ..progress import Progress, report_progress
from ..provenance import Record
from ..transport.point_kernels import PointKernel, Secondaries, point_kernel, table_identity
from ..units import JOULE_PER_MEV
from .emissions import DecayEmissions, decay_emissions

Floats = NDArray[np.float64]

DEFAULT_TISSUE = "soft-tissue"
"""Tissue of a lesion where none is named."""

ALPHA_RANGE_MM = 0.1
"""No α particle of a nuclide goes further in tissue: 8.8 MeV of Po-212, 90 µm in water (ICRU Report 49, 1993)."""

ALPHA_ESCAPE_WARNING = 0.01
"""Share of the α energy that may leave a sphere before the record warns: it counts as absorbed altogether."""

SMALLEST_RADIUS_MM = 0.05
"""Radius below which the record warns: a cluster of cells, where it matters in which part of a cell a decay is."""


@dataclass(frozen=True)
class SphereSValue:
    """Absorbed dose of a sphere per decay within it.

    Attributes
    ----------
    nuclide, medium
        Names.
    mass_g, density_g_per_cm3, radius_mm
        The sphere.
    s_gy_per_bq_s
        S-value [Gy/(Bq s)].
    std_gy_per_bq_s
        Its standard uncertainty (1 σ) from the statistics of the kernel tables, an upper bound.
    electron_fraction, photon_fraction
        Absorbed fractions of the energy of electrons with positrons, and of photons; NaN where none are emitted.
    local_energy_mev
        Energy of α particles and recoils per decay, all of it absorbed [MeV].
    emitted_energy_mev
        Energy emitted per decay [MeV].
    record
        How it came to be.
    """

    nuclide: str
    medium: str
    mass_g: float
    density_g_per_cm3: float
    radius_mm: float
    s_gy_per_bq_s: float
    std_gy_per_bq_s: float
    electron_fraction: float
    photon_fraction: float
    local_energy_mev: float
    emitted_energy_mev: float
    record: Record = field(compare=False, repr=False)

    @property
    def absorbed_fraction(self) -> float:
        """Share of the emitted energy that stays in the sphere."""
        return self.s_gy_per_bq_s * self.mass_g * 1e-3 / (JOULE_PER_MEV * self.emitted_energy_mev)


def sphere_s_value(
    nuclide: Radionuclide | str,
    mass_g: float,
    tissue: Material | str = DEFAULT_TISSUE,
    density_g_per_cm3: float | None = None,
    include_progeny: bool = True,
) -> SphereSValue:
    """S-value of one sphere to itself; see `sphere_s_values`."""
    return sphere_s_values(nuclide, [mass_g], tissue, density_g_per_cm3, include_progeny)[0]


def sphere_s_values(
    nuclide: Radionuclide | str,
    masses_g: Sequence[float],
    tissue: Material | str = DEFAULT_TISSUE,
    density_g_per_cm3: float | None = None,
    include_progeny: bool = True,
    secondaries: Secondaries = "transported",
    progress: Progress | None = None,
) -> tuple[SphereSValue, ...]:
    """S-values of uniform spheres to themselves, each within a large medium of its own tissue.

    Parameters
    ----------
    nuclide
        The radionuclide, or its name.
    masses_g
        Masses of the spheres [g], each above 0.
    tissue
        A medium whose composition has a kernel table, or its name.
    density_g_per_cm3
        Density of the tissue [g/cm³]; that of the medium if None.
    include_progeny
        Whether the short-lived progeny decay in the sphere as well.
    secondaries
        Whether electrons set free by photons are followed ("transported") or stay where they are born ("local").
    progress
        Told the share of the particle kinds done.

    Returns
    -------
    tuple of SphereSValue
        In the order of the masses.

    Raises
    ------
    InputError
        A mass is not a positive number, or the nuclide emits nothing.
    UnknownNuclideError, UnknownMediumError
        Nuclide or medium have no data.
    CancelledError
        The user cancelled.

    References
    ----------
    .. [1] Berger, MIRD Pamphlet No. 2, J Nucl Med 9, Suppl 1 (1968): the geometric factor of a sphere.
    .. [2] Stabin, Konijnenberg, J Nucl Med 41 (2000) 149: absorbed fractions of spheres.
    """
    masses = _positive_masses(masses_g)
    medium = _medium(tissue, density_g_per_cm3)
    emitted = decay_emissions(nuclide, include_progeny)
    radii_mm = [sphere_radius_mm(mass, medium.density_g_per_cm3) for mass in masses]
    charged = (emitted.electrons, emitted.positrons)
    photons = (emitted.photons, emitted.annihilation)
    report_progress(progress, 0.0, "Electrons in spheres")
    from_electrons = _absorbed_mev(charged, radii_mm, medium, secondaries)
    report_progress(progress, 0.4, "Photons in spheres")
    from_photons = _absorbed_mev(photons, radii_mm, medium, secondaries)
    report_progress(progress, 1.0, "Spheres done")
    results = []
    for index, (mass_g, radius_mm) in enumerate(zip(masses, radii_mm, strict=True)):
        (electrons_mev, electrons_std), (photons_mev, photons_std) = from_electrons[index], from_photons[index]
        gy_per_mev = JOULE_PER_MEV / (mass_g * 1e-3)
        results.append(
            SphereSValue(
                emitted.nuclide,
                medium.name,
                mass_g,
                medium.density_g_per_cm3,
                radius_mm,
                (electrons_mev + photons_mev + emitted.local_energy_mev) * gy_per_mev,
                float(np.hypot(electrons_std, photons_std)) * gy_per_mev,
                _share(electrons_mev, charged),
                _share(photons_mev, photons),
                emitted.local_energy_mev,
                emitted.emitted_energy_mev,
                _record(emitted, medium, mass_g, radius_mm, include_progeny, secondaries),
            )
        )
    return tuple(results)


def sphere_radius_mm(mass_g: float, density_g_per_cm3: float) -> float:
    """Radius [mm] of a sphere of a mass [g] and a density [g/cm³]."""
    return float(10.0 * (3.0 * mass_g / (4.0 * np.pi * density_g_per_cm3)) ** (1.0 / 3.0))


def chord_weight(distance_mm: ArrayLike, radius_mm: float) -> Floats:
    """Probability W(r) that a random point of a sphere, moved by r into a random direction, is still inside it.

    Parameters
    ----------
    distance_mm
        Distances r [mm], any shape, not negative.
    radius_mm
        Radius of the sphere [mm].

    Returns
    -------
    ndarray
        1 − (3/4)(r/R) + (1/16)(r/R)³ up to the diameter, 0 beyond; shape of `distance_mm`.
    """
    ratio = np.minimum(np.asarray(distance_mm, dtype=np.float64) / radius_mm, 2.0)
    return np.asarray(1.0 - 0.75 * ratio + ratio**3 / 16.0)


def absorbed_energy_mev(kernel: PointKernel, radius_mm: float) -> tuple[float, float]:
    """Energy that a uniform sphere keeps of what a point kernel spreads, and its standard uncertainty.

    Parameters
    ----------
    kernel
        Energy within radii of a point [MeV per decay].
    radius_mm
        Radius of the sphere [mm].

    Returns
    -------
    tuple of float
        Energy [MeV per decay], and an upper bound of its standard uncertainty: that of ∫ F |dW|, with the errors of
        all radii in step.
    """
    energy_mev = np.diff(kernel.cumulative_energy_mev, prepend=0.0)
    middle_mm = np.concatenate([[0.0], 0.5 * (kernel.radius_mm[1:] + kernel.radius_mm[:-1])])
    absorbed = float(energy_mev @ chord_weight(middle_mm, radius_mm))
    if kernel.relative_uncertainty is None:
        return absorbed, 0.0
    lost_weight = -np.diff(chord_weight(middle_mm, radius_mm), append=0.0)
    error_mev = kernel.cumulative_energy_mev * kernel.relative_uncertainty
    return absorbed, float(error_mev @ lost_weight)


def _absorbed_mev(
    spectra: Sequence[ParticleSpectrum], radii_mm: Sequence[float], medium: Material, secondaries: Secondaries
) -> list[tuple[float, float]]:
    """Absorbed energy and its uncertainty [MeV per decay], for each radius."""
    kernels = [point_kernel(medium, spectrum, secondaries) for spectrum in spectra if not spectrum.is_empty]
    sums = []
    for radius_mm in radii_mm:
        parts = [absorbed_energy_mev(kernel, radius_mm) for kernel in kernels]
        sums.append((sum(energy for energy, _ in parts), float(np.sqrt(sum(error**2 for _, error in parts)))))
    return sums


def _share(absorbed_mev: float, spectra: Sequence[ParticleSpectrum]) -> float:
    emitted_mev = sum(spectrum.energy_per_decay_kev for spectrum in spectra) * 1e-3
    return absorbed_mev / emitted_mev if emitted_mev > 0 else float("nan")


def _positive_masses(masses_g: Sequence[float]) -> list[float]:
    masses = [float(mass) for mass in masses_g]
    wrong = [mass for mass in masses if not (np.isfinite(mass) and mass > 0)]
    if wrong or not masses:
        found = f"{wrong[0]:g} g" if wrong else "none"
        raise InputError(f"The mass of a sphere must be a number of grams above 0, found {found}.")
    return masses


def _medium(tissue: Material | str, density_g_per_cm3: float | None) -> Material:
    medium = named_material(tissue) if isinstance(tissue, str) else tissue
    return medium if density_g_per_cm3 is None else medium.with_density(density_g_per_cm3)


def _record(
    emitted: DecayEmissions,
    medium: Material,
    mass_g: float,
    radius_mm: float,
    include_progeny: bool,
    secondaries: Secondaries,
) -> Record:
    parameters: dict[str, Any] = {
        "nuclide": emitted.nuclide,
        "include_progeny": include_progeny,
        "mass_g": mass_g,
        "medium": medium.as_dict(),
        "surroundings": "the same medium, large",
        "secondaries": secondaries,
    }
    warnings = list(emitted.warnings)
    if emitted.local_energy_mev > 0 and 0.75 * ALPHA_RANGE_MM / 2 / radius_mm > ALPHA_ESCAPE_WARNING:
        warnings.append(
            f"α particles and recoils count as absorbed, though some leave a sphere of {radius_mm:.3g} mm radius."
        )
    if radius_mm < SMALLEST_RADIUS_MM:
        warnings.append(
            f"A sphere of {radius_mm:.3g} mm radius is a few cells: where in a cell a decay happens is not modelled."
        )
    datasets = {"emissions": emitted.dataset, "point kernels": table_identity(), **MEDIA_DATASETS}
    return Record("sphere S-value", parameters, datasets=datasets).with_warnings(*warnings)

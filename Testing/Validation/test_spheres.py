"""Uniform spheres in water: absorbed fractions and S-values of nuclides, as printed and as EGSnrc gives them."""

from __future__ import annotations

import csv
from collections.abc import Iterable

import numpy as np
import pytest
from egsnrc_reference import SPLIT_FOLDER

from radiodosimetry.media import named_material
from radiodosimetry.nuclides import Radionuclide
from radiodosimetry.nuclides.spectrum import ParticleSpectrum
from radiodosimetry.organ_dose.spheres import absorbed_energy_mev, sphere_radius_mm, sphere_s_value
from radiodosimetry.transport.point_kernels import point_kernel

ELECTRON_TOLERANCE, PHOTON_TOLERANCE, S_VALUE_TOLERANCE, TWO_DIGITS = 0.01, 0.02, 0.01, 0.03
FATE_OF_SECONDARIES = {"full": "transported", "kerma": "local"}


def sphere_rows() -> list[dict[str, str]]:
    """Spheres run with EGSnrc: `Resources/Sources/run_egsnrc.py`."""
    with (SPLIT_FOLDER / "spheres.csv").open(encoding="utf-8") as stream:
        next(stream)
        return list(csv.DictReader(stream))


EGSNRC_SPHERES = sphere_rows()


def absorbed_mev(spectra: Iterable[ParticleSpectrum], radius_mm: float, secondaries: str) -> float:
    """Energy a uniform sphere of water keeps per decay."""
    water = named_material("water")
    kernels = [point_kernel(water, spectrum, secondaries) for spectrum in spectra]  # type: ignore[arg-type]
    return sum(absorbed_energy_mev(kernel, radius_mm)[0] for kernel in kernels)


def absorbed_fraction(particle: str, energy_mev: float, mass_g: float, secondaries: str = "transported") -> float:
    """Share of the energy of mono-energetic particles."""
    spectrum = ParticleSpectrum(particle, np.array([energy_mev * 1e3]), np.array([1.0]))
    return absorbed_mev([spectrum], sphere_radius_mm(mass_g, 1.0), secondaries) / energy_mev


@pytest.mark.parametrize(
    ("energy_mev", "printed"),
    [
        (0.1, 0.991),
        (0.5, 0.895),
        (1.0, 0.749),
        pytest.param(
            2.0,
            0.478,
            marks=pytest.mark.xfail(
                strict=True,
                reason="ours is 0.4926, +3.1 %, and EGSnrc's without spin 0.4927; the leading spin factor would take "
                "ours to 0.4872, +1.9 % (decision 4)",
            ),
        ),
    ],
)
def test_electrons_in_a_sphere_of_one_gram(energy_mev: float, printed: float) -> None:
    assert absorbed_fraction("electron", energy_mev, 1.0) == pytest.approx(printed, rel=ELECTRON_TOLERANCE)


@pytest.mark.parametrize(
    "row",
    [row for row in EGSNRC_SPHERES if row["surroundings"] == "water"],
    ids=lambda row: f"{row['particle']}-{row['energy_mev']}MeV-{row['mass_g']}g-{row['secondaries']}",
)
def test_spheres_in_water_agree_with_egsnrc(row: dict[str, str]) -> None:
    """EGSnrc without spin, as all runs here: electrons to 0.1 %, photons within their statistics and 0.5 %."""
    ours = absorbed_fraction(
        row["particle"], float(row["energy_mev"]), float(row["mass_g"]), FATE_OF_SECONDARIES[row["secondaries"]]
    )
    tolerance = 0.001 if row["particle"] == "electron" else 0.005
    assert ours == pytest.approx(float(row["absorbed_fraction"]), rel=tolerance)


@pytest.mark.parametrize(
    ("mass_g", "energy_mev", "printed"),
    [
        (100, 0.03, 0.331), (100, 0.1, 0.0671), (100, 0.3645, 0.0708), (100, 1.0, 0.0664),
        (1000, 0.03, 0.565), (1000, 0.1, 0.164), (1000, 0.3645, 0.154), (1000, 1.0, 0.139),
    ],
)  # fmt: skip
def test_photons_in_a_sphere(mass_g: float, energy_mev: float, printed: float) -> None:
    """The printed fractions leave secondary electrons where they are born."""
    found = absorbed_fraction("photon", energy_mev, mass_g, "local")
    assert found == pytest.approx(printed, rel=PHOTON_TOLERANCE)


@pytest.mark.parametrize(("radius_cm", "printed"), [(0.10, 0.17), (0.25, 0.39), (1.0, 0.80)])
def test_y90_in_a_sphere_by_radius(radius_cm: float, printed: float) -> None:
    electrons = Radionuclide("Y-90").emissions().electron_spectrum()
    absorbed = absorbed_mev([electrons], 10 * radius_cm, "transported")
    assert absorbed / (electrons.energy_per_decay_kev * 1e-3) == pytest.approx(printed, rel=TWO_DIGITS)


@pytest.mark.parametrize(
    ("nuclide", "mass_g", "printed_mgy_per_mbq_s"),
    [
        (nuclide, mass_g, printed)
        for nuclide, row in {
            "Lu-177": (2.314e-2, 2.362e-3, 2.402e-4, 2.461e-5),
            "Y-90": (1.029e-1, 1.267e-2, 1.384e-3, 1.439e-4),
            "I-131": (3.026e-2, 3.212e-3, 3.483e-4, 4.003e-5),
        }.items()
        for mass_g, printed in zip((1, 10, 100, 1000), row, strict=True)
    ],
)
def test_nuclides_in_a_sphere(nuclide: str, mass_g: float, printed_mgy_per_mbq_s: float) -> None:
    s_value_mgy_per_mbq_s = sphere_s_value(nuclide, mass_g, "water").s_gy_per_bq_s * 1e9
    assert s_value_mgy_per_mbq_s == pytest.approx(printed_mgy_per_mbq_s, rel=S_VALUE_TOLERANCE)

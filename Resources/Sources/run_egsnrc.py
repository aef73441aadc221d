"""Run EGSnrc for the reference numbers of Testing/Data/egsnrc_split: voxels and spheres around electrons, photons.

EGSnrc (NRC Canada, https://github.com/nrc-cnrc/EGSnrc) is not part of this project: it must be built, with its
application `egs_app`, and EGS_HOME, EGS_CONFIG and HEN_HOUSE must be set. From the project's root, about an hour:

    python Resources/Sources/run_egsnrc.py FOLDER_FOR_INPUTS [CASE ...]

Only numbers come back: energies per voxel, folded over the symmetries of the cube, and absorbed fractions of spheres.
Settings are those of the runs in Testing/Data/egsnrc, but every bremsstrahlung photon is split in 100, so that the
voxels which electrons do not reach are known to a percent or two instead of by a handful of photons.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parents[2]
TARGET = ROOT / "Testing/Data/egsnrc_split"
EDITION = "EGSnrc v2025a+3 (commit 9edee3ebf), 2026-11-21"
DENSITY_FILES = {"water": "water_liquid", "lung": "lung_inflated_icru_1986", "bone": "bone_compact_icru"}
BREMSSTRAHLUNG_SPLITTING = 100
OUTSIDE_CM = 50
SEED = 33

INPUT = """
:start run control:
    ncase = {histories}
    nbatch = 1
:stop run control:
:start rng definition:
    type = ranmar
    initial seeds = {seed} 1234
:stop rng definition:
:start geometry definition:
{geometry}
:stop geometry definition:
:start media definition:
    AE = 0.516
    AP = 0.001
    UE = 6.0
    UP = 6.0
    :start {medium}:
        density correction file = {density_file}
    :stop {medium}:
:stop media definition:
:start source definition:
    :start source:
        name = source
        library = egs_isotropic_source
        charge = {charge}
        :start shape:
{shape}
        :stop shape:
        :start spectrum:
{spectrum}
        :stop spectrum:
    :stop source:
    simulation source = source
:stop source definition:
:start MC transport parameter:
    Global ECUT = {electron_cut_mev}
    Global PCUT = 0.001
    Global SMAX = 1e10
    ESTEPE = 0.25
    XIMAX = 0.5
    Boundary crossing algorithm = Exact
    Skin depth for BCA = 3
    Electron-step algorithm = PRESTA-II
    Spin effects = Off
    Electron Impact Ionization = Off
    Brems angular sampling = KM
    Brems cross sections = NRC
    Bound Compton scattering = On
    Pair angular sampling = Simple
    Rayleigh scattering = On
    Atomic relaxations = On
    Photon cross sections = xcom
:stop MC transport parameter:
:start ausgab object definition:
    :start ausgab object:
        name = dose
        library = egs_dose_scoring
        region dose = yes
        volume dose = no
    :stop ausgab object:
{splitting}
:stop ausgab object definition:
"""

SPLITTING = f"""    :start ausgab object:
        name = splitting
        library = egs_radiative_splitting
        splitting = -{BREMSSTRAHLUNG_SPLITTING}
    :stop ausgab object:"""
"""Negative: without Russian roulette, which would undo the gain where photons give their energy to electrons."""


@dataclass(frozen=True)
class VoxelCase:
    """Electrons from a cubic voxel of a homogeneous medium; energies [MeV] with their weights."""

    medium: str
    spacing_mm: float
    voxels_per_side: int
    histories: int
    energies_mev: tuple[float, ...]
    weights: tuple[float, ...] = (1.0,)


def voxel_cases() -> dict[str, VoxelCase]:
    """The runs in voxels, by the name of their file."""
    sys.path.insert(0, str(ROOT / "Testing" / "Validation"))
    from egsnrc_reference import lu177_composite_electrons, y90_by_lnhb_mean

    lutetium, yttrium = lu177_composite_electrons(), y90_by_lnhb_mean()[0]
    return {
        "e_water_133keV_3.87mm": VoxelCase("water", 3.87, 11, 4_000_000, (0.133,)),
        "e_water_497keV_3.87mm": VoxelCase("water", 3.87, 11, 2_000_000, (0.497,)),
        "e_water_935keV_3.87mm": VoxelCase("water", 3.87, 11, 6_000_000, (0.935,)),
        "e_water_2280keV_3.87mm": VoxelCase("water", 3.87, 11, 2_000_000, (2.28,)),
        "e_bone_497keV_3.87mm": VoxelCase("bone", 3.87, 11, 2_000_000, (0.497,)),
        "e_lung_497keV_3.87mm": VoxelCase("lung", 3.87, 21, 6_000_000, (0.497,)),
        "n_water_Lu177composite_3.87mm_electrons": VoxelCase(
            "water", 3.87, 11, 4_000_000, tuple(lutetium.energy_kev * 1e-3), tuple(lutetium.yield_per_decay)
        ),
        "n_water_Y-90_3.0mm_betas": VoxelCase(
            "water", 3.0, 31, 3_000_000, tuple(yttrium.energy_kev * 1e-3), tuple(yttrium.yield_per_decay)
        ),
    }


SPHERES = (
    *(("electron", energy, 1.0, around, "full") for energy in (0.1, 0.5, 1.0, 2.0) for around in ("water", "vacuum")),
    *(
        ("photon", energy, mass, "water", scored)
        for mass in (100.0, 1000.0)
        for energy in (0.03, 0.1, 0.3645, 1.0)
        for scored in ("kerma", "full")
    ),
)
"""Uniform sources in spheres of water: particle, energy [MeV], mass [g], surroundings, fate of secondary electrons."""

SPHERE_HISTORIES = {"electron": 1_000_000, "photon": 1_000_000}


def main() -> None:
    """Run the cases named on the command line, all by default, and write their numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("inputs", type=Path)
    parser.add_argument("cases", nargs="*", help="names of files, or 'spheres'")
    arguments = parser.parse_args()
    cases = voxel_cases()
    TARGET.mkdir(parents=True, exist_ok=True)
    for name in arguments.cases or [*cases, "spheres"]:
        text = spheres_csv(arguments.inputs) if name == "spheres" else voxels_csv(name, cases[name], arguments.inputs)
        (TARGET / f"{name}.csv").write_text(text, encoding="utf-8")
        print(name, flush=True)
    write_source(cases)


def voxels_csv(name: str, case: VoxelCase, inputs: Path) -> str:
    """Run a case and fold its voxels over the 48 symmetries of the cube."""
    side_cm = case.spacing_mm / 10
    half_cm = case.voxels_per_side * side_cm / 2
    faces = [-half_cm + index * side_cm for index in range(case.voxels_per_side + 1)]
    planes = " ".join(["-50", *(f"{face:.6f}" for face in faces), "50"])
    geometry = _geometry(
        ["library = egs_ndgeometry", "type = EGS_XYZGeometry", *(f"{axis}-planes = {planes}" for axis in "xyz")],
        case.medium,
    )
    shape = ["type = box", f"box size = {side_cm} {side_cm} {side_cm}"]
    spectrum = _spectrum(name, case, inputs)
    lines = INPUT.format(
        histories=case.histories, seed=SEED, geometry=geometry, medium=case.medium,
        density_file=DENSITY_FILES[case.medium], charge=-1, shape=_indented(shape), spectrum=_indented(spectrum),
        electron_cut_mev=0.516, splitting=SPLITTING,
    )  # fmt: skip
    side = case.voxels_per_side + 2
    energy, sigma = region_energies(run(name, lines, inputs), case.medium, side**3)
    inner = (slice(1, -1),) * 3
    rows = folded(energy.reshape((side,) * 3)[inner], sigma.reshape((side,) * 3)[inner])
    header = (
        f"# Energy [MeV] per source electron in one voxel at offsets (a >= b >= c), {name.replace('_', ' ')}; standard "
        f"uncertainty (1 sigma) in percent of the mean over the count equivalent voxels. {EDITION}, "
        f"{case.histories} histories, spin effects off, bremsstrahlung split {BREMSSTRAHLUNG_SPLITTING}-fold.\n"
        "a,b,c,count,energy_mev,uncertainty_percent\n"
    )
    return header + "".join(
        "{},{},{},{},{:.6e},{:.3f}\n".format(*offset, count, mean, percent) for offset, count, mean, percent in rows
    )


def folded(
    energy_kji: NDArray[np.float64], sigma_kji: NDArray[np.float64]
) -> Iterable[tuple[tuple[int, ...], int, float, float]]:
    """Offset, number of equivalent voxels, their mean energy and its standard uncertainty in percent."""
    centre = energy_kji.shape[0] // 2
    sums: dict[tuple[int, ...], list[float]] = {}
    for index in itertools.product(range(energy_kji.shape[0]), repeat=3):
        offset = tuple(sorted((abs(i - centre) for i in index), reverse=True))
        entry = sums.setdefault(offset, [0.0, 0.0, 0.0])
        entry[0] += 1
        entry[1] += energy_kji[index]
        entry[2] += sigma_kji[index] ** 2
    for offset, (count, total, variance) in sorted(sums.items()):
        yield offset, int(count), total / count, 100 * float(np.sqrt(variance)) / total if total > 0 else 100.0


def spheres_csv(inputs: Path) -> str:
    """Absorbed fractions of uniform spheres, one line each."""
    text = (
        f"# Share of the emitted energy that a uniform sphere of water (1 g/cm3) keeps; surroundings: water to 50 cm "
        f"or vacuum; secondaries: electrons of photons followed (full) or not (kerma); 1 sigma. {EDITION}, spin off.\n"
        "particle,energy_mev,mass_g,surroundings,secondaries,absorbed_fraction,uncertainty_percent\n"
    )
    for number, (particle, energy_mev, mass_g, surroundings, secondaries) in enumerate(SPHERES):
        radius_cm = (3 * mass_g / (4 * np.pi)) ** (1 / 3)
        radii = f"radii = {radius_cm}" + (f" {OUTSIDE_CM}" if surroundings == "water" else "")
        lines = INPUT.format(
            histories=SPHERE_HISTORIES[particle], seed=SEED,
            geometry=_geometry(["library = egs_spheres", radii], "water"), medium="water",
            density_file=DENSITY_FILES["water"], charge=-1 if particle == "electron" else 0,
            shape=_indented(["type = sphere", f"radius = {radius_cm}", "midpoint = 0 0 0"]),
            spectrum=_indented(["type = monoenergetic", f"energy = {energy_mev}"]),
            electron_cut_mev=5.0 if secondaries == "kerma" else 0.516, splitting="",
        )  # fmt: skip
        output = run(f"sphere_{number}", lines, inputs)
        energy, sigma = region_energies(output, "water", 2 if surroundings == "water" else 1)
        text += (
            f"{particle},{energy_mev:g},{mass_g:g},{surroundings},{secondaries},"
            f"{energy[0] / energy_mev:.6f},{100 * sigma[0] / energy[0]:.3f}\n"
        )
    return text


def run(name: str, lines: str, inputs: Path) -> str:
    """Run `egs_app` on an input and hand back what it prints."""
    folder = Path(os.environ["EGS_HOME"]) / "egs_app"
    (folder / f"{name}.egsinp").write_text(lines, encoding="utf-8")
    inputs.mkdir(parents=True, exist_ok=True)
    (inputs / f"{name}.egsinp").write_text(lines, encoding="utf-8")
    application = next(Path(os.environ["EGS_HOME"]).glob("bin/*/egs_app"))
    done = subprocess.run([str(application), "-i", name], cwd=folder, capture_output=True, text=True, check=False)
    if "Summary of region dosimetry" not in done.stdout:
        raise RuntimeError(f"egs_app failed on {name}: {done.stdout[-2000:]} {done.stderr[-500:]}")
    return done.stdout


def region_energies(output: str, medium: str, region_count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Energy [MeV] per particle and its standard uncertainty, region by region."""
    energy, sigma = np.zeros(region_count), np.zeros(region_count)
    for match in re.finditer(rf"\n\s*(\d+)\s+{medium}\s+\S+\s+\S+\s+(\S+)\s+\+/-\s+(\S+)\s+%", output):
        region = int(match[1])
        energy[region] = float(match[2])
        sigma[region] = energy[region] * float(match[3]) / 100
    return energy, sigma


def _geometry(lines: list[str], medium: str) -> str:
    body = "\n".join(f"        {line}" for line in ("name = scene", *lines))
    media = f"        :start media input:\n            media = {medium}\n        :stop media input:"
    return f"    :start geometry:\n{body}\n{media}\n    :stop geometry:\n    simulation geometry = scene"


def _spectrum(name: str, case: VoxelCase, inputs: Path) -> list[str]:
    if len(case.energies_mev) == 1:
        return ["type = monoenergetic", f"energy = {case.energies_mev[0]}"]
    file = inputs.resolve() / f"{name}.spectrum"
    inputs.mkdir(parents=True, exist_ok=True)
    lines = "".join(f"{e:.8g} {w:.8g}\n" for e, w in zip(case.energies_mev, case.weights, strict=True))
    file.write_text(f"lines\n{len(case.weights)}, 0, 2\n{lines}", encoding="utf-8")
    return ["type = tabulated spectrum", f"spectrum file = {file}"]


def _indented(lines: list[str]) -> str:
    return "\n".join(f"            {line}" for line in lines)


def write_source(cases: dict[str, VoxelCase]) -> None:
    """Say of every file what it is and where it is from."""
    entries = []
    for path in sorted(TARGET.glob("*.csv")):
        what = "uniform spheres of water: absorbed fractions" if path.stem == "spheres" else path.stem.replace("_", " ")
        entries.append(
            "[[table]]\n"
            f'file = "{path.name}"\n'
            f'title = "EGSnrc: {what}"\n'
            'doi = "10.4224/40001303"\n'
            f'table = "egs_app of {EDITION}, spin effects off; XCOM photon data; bremsstrahlung split '
            f'{BREMSSTRAHLUNG_SPLITTING}-fold in voxels"\n'
            'licence = "our own computation: numbers only, no code or data of EGSnrc"\n'
            f'sha256 = "{hashlib.sha256(path.read_bytes()).hexdigest()}"\n'
            'generator = "Resources/Sources/run_egsnrc.py"\n'
        )
    (TARGET / "SOURCE.toml").write_text("\n".join(entries), encoding="utf-8")


if __name__ == "__main__":
    main()

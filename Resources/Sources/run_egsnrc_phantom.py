"""Run EGSnrc in the stylised adult male: where the energy of 511 keV photons goes that start in the testes.

The testes are far from all sources of Kim 2025 but one, and too small a target to hit from there. Photons of one
energy obey reciprocity closely in this body, so the energy that organs take from a source in the testes tells their
specific absorbed fraction as well, with a hundredth of the histories.

EGSnrc (NRC Canada, https://github.com/nrc-cnrc/EGSnrc) is not part of this project: it must be built with its
application `egs_app`, and EGS_HOME, EGS_CONFIG and HEN_HOUSE must be set. From the project's root, a few minutes:

    python Resources/Sources/run_egsnrc_phantom.py FOLDER_FOR_INPUTS

Both codes see the same voxels of 4 mm. Every organ of interest is a medium of its own, so that EGSnrc sums it; media
are told apart by densities which differ by a ten-thousandth.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from radiodosimetry.media import Material
from radiodosimetry.organ_dose.phantom import stylised_phantom

ROOT = Path(__file__).parents[2]
TARGET = ROOT / "Testing/Data/egsnrc_phantom"
EDITION = "EGSnrc v2025a+3 (commit 9edee3ebf), 2026-11-21"

SPACING_MM = 4.0
ENERGY_MEV = 0.511
HISTORIES = 40_000_000
SOURCE = "testes"
ORGANS = (
    "kidneys", "liver", "lungs", "spleen", "bladder_contents", "stomach_contents", "heart_contents", SOURCE,
)  # fmt: skip
"""The sources of Kim 2025, and the testes themselves."""

DENSITY_STEP_G_PER_CM3 = 1e-4
AROUND_G_PER_CM3 = 1e-6
"""As good as vacuum."""

INPUT = """
:start run control:
    ncase = {histories}
    nbatch = 1
:stop run control:
:start rng definition:
    type = ranmar
    initial seeds = 33 777
:stop rng definition:
:start geometry definition:
    :start geometry:
        name = body
        library = egs_ndgeometry
        type = EGS_XYZGeometry
        egsphant file = {folder}/body.egsphant
        ct ramp = {folder}/ramp.txt
    :stop geometry:
    simulation geometry = body
:stop geometry definition:
:start media definition:
    AE = 0.521
    AP = 0.01
    UE = 2.5
    UP = 2.0
{media}
:stop media definition:
:start source definition:
    :start source:
        name = source
        library = egs_isotropic_source
        charge = 0
        :start shape:
            library = egs_voxelized_shape
            file name = {folder}/source.voxels
        :stop shape:
        :start spectrum:
            type = monoenergetic
            energy = {energy_mev}
        :stop spectrum:
    :stop source:
    simulation source = source
:stop source definition:
:start MC transport parameter:
    Global ECUT = 2.0
    Global PCUT = 0.01
    Spin effects = Off
    Electron Impact Ionization = Off
    Bound Compton scattering = On
    Rayleigh scattering = On
    Atomic relaxations = On
    Photon cross sections = xcom
:stop MC transport parameter:
:start ausgab object definition:
    :start ausgab object:
        name = dose
        library = egs_dose_scoring
        region dose = no
        volume dose = no
        medium dose = yes
    :stop ausgab object:
:stop ausgab object definition:
"""


def main() -> None:
    """Write EGSnrc's input, run it, and keep the energy per organ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("inputs", type=Path)
    folder = parser.parse_args().inputs.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    media = write_body(folder)
    lines = INPUT.format(
        histories=HISTORIES, folder=folder, energy_mev=ENERGY_MEV, media="\n".join(map(_medium_lines, media.items()))
    )
    write_table(organ_energies(run(lines)))


def write_body(folder: Path) -> dict[str, Material]:
    """Write the voxels of the body and of the source for EGSnrc; hand back the media by their names there."""
    phantom = stylised_phantom("adult-male")
    raster = phantom.rasterise(SPACING_MM)
    media = {f"t{tissue}": material for tissue, material in phantom.tissues.items()}
    densities = {name: material.density_g_per_cm3 for name, material in media.items()}
    density_of_label = np.full(len(phantom.regions) + 1, AROUND_G_PER_CM3)
    for label, region in enumerate(phantom.regions, start=1):
        tissue = f"t{phantom.tissue_of(region)}"
        density_of_label[label] = densities[tissue]
        if region in ORGANS:
            name, step = _medium_name(region), (ORGANS.index(region) + 1) * DENSITY_STEP_G_PER_CM3
            media[name] = media[tissue]
            densities[name] = density_of_label[label] = densities[tissue] + step
    planes_cm = [np.arange(count + 1) * SPACING_MM / 10 for count in reversed(raster.label_kji.shape)]
    _write_egsphant(folder / "body.egsphant", density_of_label[raster.label_kji], planes_cm, len(media))
    _write_ramp(folder / "ramp.txt", densities)
    _write_source(folder / "source.voxels", raster.label_kji == phantom.regions.index(SOURCE) + 1, planes_cm)
    return media


def _medium_name(region: str) -> str:
    return "m" + region.replace("_", "")


def _write_egsphant(
    path: Path, density_kji: NDArray[np.float64], planes_cm: list[NDArray[np.float64]], media_count: int
) -> None:
    """Only planes and densities count for `egs_app`; the media in this file are passed over."""
    shape = density_kji.shape
    with path.open("w", encoding="ascii") as stream:
        stream.write(f"{media_count}\n" + "none\n" * media_count + "1 " * media_count + "\n")
        stream.write(f"{shape[2]} {shape[1]} {shape[0]}\n")
        for planes in planes_cm:
            stream.write(" ".join(f"{plane:.4f}" for plane in planes) + "\n")
        for _ in range(shape[0]):
            stream.write(("0" * shape[2] + "\n") * shape[1] + "\n")
        for row in density_kji.reshape(-1, shape[2]):
            stream.write(" ".join(f"{density:.6g}" for density in row) + "\n")


def _write_ramp(path: Path, densities: Mapping[str, float]) -> None:
    """Which medium a density is, and the density at which it has its tabulated one."""
    half = DENSITY_STEP_G_PER_CM3 / 2
    lines = [f"tsoft 0 1e-5 {densities['tsoft']}"]
    lines += [f"{name} {value - half:.5f} {value + half:.5f} {value:.4f}" for name, value in densities.items()]
    path.write_text("\n".join(lines) + "\n", encoding="ascii")


def _write_source(path: Path, mask_kji: NDArray[np.bool_], planes_cm: list[NDArray[np.float64]]) -> None:
    """The source voxels in the binary form of EGSnrc's voxelised shape: indices with equal weights, little endian."""
    voxels = np.flatnonzero(mask_kji).astype("<i4")
    with path.open("wb") as stream:
        stream.write(bytes([1, 1]) + struct.pack("<hhh", *reversed(mask_kji.shape)))
        for planes in planes_cm:
            stream.write(planes.astype("<f4").tobytes())
        stream.write(struct.pack("<i", voxels.size) + voxels.tobytes() + np.ones(voxels.size, "<f4").tobytes())


def _medium_lines(medium: tuple[str, Material]) -> str:
    name, material = medium
    parts = {element: share for element, share in material.mass_fractions.items() if share > 0}
    return (
        f"    :start {name}:\n"
        f"        elements = {', '.join(parts)}\n"
        f"        mass fractions = {', '.join(f'{share:g}' for share in parts.values())}\n"
        f"        rho = {material.density_g_per_cm3:g}\n"
        f"        bremsstrahlung correction = NRC\n"
        f"    :stop {name}:"
    )


def run(lines: str) -> str:
    """Run `egs_app` and hand back what it prints."""
    folder = Path(os.environ["EGS_HOME"]) / "egs_app"
    (folder / "stylised_adult.egsinp").write_text(lines, encoding="utf-8")
    application = next(Path(os.environ["EGS_HOME"]).glob("bin/*/egs_app"))
    done = subprocess.run(
        [str(application), "-i", "stylised_adult"], cwd=folder, capture_output=True, text=True, check=False
    )
    if "Summary of media dosimetry" not in done.stdout:
        raise RuntimeError(f"egs_app failed: {done.stdout[-2000:]} {done.stderr[-500:]}")
    return done.stdout


def organ_energies(output: str) -> dict[str, tuple[float, float]]:
    """Energy [MeV] per photon and its standard uncertainty [%], organ by organ."""
    found = {}
    for organ in ORGANS:
        match = re.search(rf"\n\s*{_medium_name(organ)}\s+(\S+)\s+\+/-\s+(\S+)\s+%", output)
        if match is None:
            raise RuntimeError(f"egs_app scored no energy in {organ}.")
        found[organ] = (float(match[1]), float(match[2]))
    return found


def write_table(energies: Mapping[str, tuple[float, float]]) -> None:
    """Keep the numbers, and say where they are from."""
    TARGET.mkdir(parents=True, exist_ok=True)
    path = TARGET / "adult_male_from_testes_511keV.csv"
    rows = "".join(f"{organ},{energy:.5e},{percent:.3f}\n" for organ, (energy, percent) in energies.items())
    path.write_text(
        f"# Energy [MeV] per 511 keV photon from the testes of the stylised adult male in voxels of {SPACING_MM:g} mm, "
        f"secondary electrons not followed; 1 sigma. {EDITION}, {HISTORIES} histories.\n"
        f"organ,energy_mev,uncertainty_percent\n{rows}",
        encoding="utf-8",
    )
    (TARGET / "SOURCE.toml").write_text(
        "[[table]]\n"
        f'file = "{path.name}"\n'
        'title = "EGSnrc: photons of 511 keV from the testes of the stylised adult male"\n'
        'doi = "10.4224/40001303"\n'
        f'table = "egs_app of {EDITION}; XCOM photon data; geometry of ORNL/TM-8381 as rasterised by this project"\n'
        'licence = "our own computation: numbers only, no code or data of EGSnrc"\n'
        f'sha256 = "{hashlib.sha256(path.read_bytes()).hexdigest()}"\n'
        'generator = "Resources/Sources/run_egsnrc_phantom.py"\n',
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()

"""Make the radial tables behind every voxel kernel: energy around a point source in each medium, by our transport.

Run from the project's root after a change of the physics (about an hour on two cores):

    python Resources/Sources/generate_point_kernels.py [MEDIUM ...]

Writes `radiodosimetry/transport/data/point_kernels/<medium>.npz`; the nodes and meaning of its arrays are described in
`radiodosimetry/transport/point_kernels.py`. `--source-toml` rewrites the SOURCE.toml from what is there.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

from radiodosimetry import __version__
from radiodosimetry.media import electron_table, named_material, named_materials, photon_table
from radiodosimetry.media.materials import Material
from radiodosimetry.transport.point_kernels import (
    DISPLACEMENT_EDGES,
    ELECTRON_EDGES,
    ELECTRON_ENERGIES_KEV,
    PHOTON_ENERGIES_KEV,
    SCATTER_EDGES,
)
from radiodosimetry.transport.shells import simulate_shells

TARGET = Path(__file__).parents[2] / "RadioDosimetry/radiodosimetry/transport/data/point_kernels"
FIRST_MEDIA = ("water", "soft-tissue", "lung", "bone")
ELECTRON_HISTORIES, SCATTER_HISTORIES, DISPLACEMENT_HISTORIES = 120_000, 160_000, 120_000
FIRST_MEDIA_FACTOR = 2


def main() -> None:
    """Generate the media named on the command line, all by default, the most used first."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("media", nargs="*")
    parser.add_argument("--source-toml", action="store_true")
    arguments = parser.parse_args()
    if not arguments.source_toml:
        names = arguments.media or sorted(named_materials(), key=lambda name: name not in FIRST_MEDIA)
        for name in tqdm(names, file=sys.stderr):
            factor = FIRST_MEDIA_FACTOR if name in FIRST_MEDIA else 1
            np.savez_compressed(TARGET / f"{name}.npz", **radial_tables(named_material(name), factor))
    write_source()


def radial_tables(material: Material, factor: int) -> dict[str, np.ndarray]:
    """All radial tables of one medium as float32, relative to the emitted energy."""
    electrons, electron_errors = zip(*(electron_row(material, e, factor) for e in ELECTRON_ENERGIES_KEV), strict=True)
    scatter, scatter_errors, displacement, displacement_errors = zip(
        *(photon_rows(material, e, factor) for e in PHOTON_ENERGIES_KEV), strict=True
    )
    columns = {
        "electron_cumulative": electrons,
        "electron_error": electron_errors,
        "scatter_cumulative": scatter,
        "scatter_error": scatter_errors,
        "displacement_cumulative": displacement,
        "displacement_error": displacement_errors,
    }
    return {name: np.array(rows, dtype=np.float32) for name, rows in columns.items()}


def electron_row(material: Material, energy_kev: float, factor: int) -> tuple[np.ndarray, np.ndarray]:
    """Share of an electron's collisional energy within each radius, in units of the CSDA range."""
    range_g_per_cm2 = float(electron_table(material).at("csda_range_g_per_cm2", energy_kev))
    energy, error = simulate_shells(
        material, "electron", energy_kev * 1e-3, ELECTRON_EDGES * range_g_per_cm2, ELECTRON_HISTORIES * factor,
        steps="linear",
    )
    return np.cumsum(energy[:-1]) / energy.sum(), error[:-1] / energy.sum()


def photon_rows(material: Material, energy_kev: float, factor: int) -> tuple[np.ndarray, ...]:
    """Scattered photons' energy within each radius in free paths, and how far secondary electrons move it."""
    total = float(photon_table(material).at("total", energy_kev))
    emitted_mev = energy_kev * 1e-3
    edges = SCATTER_EDGES / total
    scatter, scatter_error = simulate_shells(
        material, "photon", emitted_mev, edges, SCATTER_HISTORIES * factor, steps="logarithmic",
        secondaries="scored in flight",
    )
    reach = DISPLACEMENT_EDGES * float(electron_table(material).at("csda_range_g_per_cm2", energy_kev))
    followed, _ = simulate_shells(
        material, "photon", emitted_mev, reach, DISPLACEMENT_HISTORIES * factor, steps="logarithmic",
        secondaries="transported",
    )
    stayed, error = simulate_shells(
        material, "photon", emitted_mev, reach, DISPLACEMENT_HISTORIES * factor, steps="logarithmic",
        secondaries="local",
    )
    displacement = np.cumsum((followed - stayed)[:-1])
    return (
        np.cumsum(scatter[:-1]) / emitted_mev,
        scatter_error[:-1] / emitted_mev,
        displacement / emitted_mev,
        error[:-1] / emitted_mev,
    )


def write_source() -> None:
    """One SOURCE.toml entry per medium with the hash of its table."""
    entries = []
    for file in sorted(TARGET.glob("*.npz")):
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        entries.append(
            f'[[table]]\nfile = "{file.name}"\ntitle = "Energy around a point source in {file.stem}"\n'
            'doi = "none: computed by this project\'s transport"\ntable = "electrons, scattered photons, secondary '
            'electrons"\nlicence = "Apache-2.0"\n'
            f'sha256 = "{digest}"\ngenerator = "Resources/Sources/generate_point_kernels.py"\n'
            f'made_with = "radiodosimetry {__version__}"\n'
        )
    (TARGET / "SOURCE.toml").write_text("\n".join(entries), encoding="utf-8")


if __name__ == "__main__":
    main()

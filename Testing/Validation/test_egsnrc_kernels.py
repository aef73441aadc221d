"""Kernels from tables and from transport against EGSnrc, an independent code, in water, lung and bone.

EGSnrc v2025a+3 (commit 9edee3ebf), `egs_app`, 2026-11-20, spin effects off, so that its electrons are not to be
trusted below 0.5 % of the energy emitted. Its uncertainty of a voxel reached by a handful of bremsstrahlung photons is
itself uncertain: low values come with too small errors. `test_egsnrc_rings` compares with runs that know those voxels.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from egsnrc_reference import (
    ALL_REFERENCES,
    BALANCE_TOLERANCE_PERCENT,
    CHI_SQUARED,
    ELECTRON_REFERENCES,
    FAR_SHARE,
    PHOTON_REFERENCES,
    SOURCE_TOLERANCE_PERCENT,
    Y90_REFERENCE,
    Agreement,
    VoxelReference,
    agreement,
    kernel_energies,
    lu177_composite_electrons,
    lu177_composite_photons,
    reference_energies,
    simulated_energies,
    table_kernel,
)

CHARGED_REFERENCES = (*ELECTRON_REFERENCES, Y90_REFERENCE)
HISTORIES = {"e": 400_000, "n": 400_000, "g": 1_500_000}
"""By the first letter of the file."""

_FEW = "voxels of a few bremsstrahlung photons have errors too small where their number is low; EGSnrc run again "
LUNG = (
    "6 of 282: (2, 1, 0) +3.2 % and (2, 1, 1) +3.4 % of 0.07 and 0.02 % of the energy, where EGSnrc without spin "
    "counts hard collisions twice in their deflections, and 4 with few photons; EGSnrc run again keeps 98.9 %"
)
FAR_DISAGREEMENTS = {
    ("tables", "e_water_133keV_3.87mm"): _FEW + "keeps 98.1 % of this file's, as ours: (5, 5, 3)",
    ("tables", "e_water_935keV_3.87mm"): _FEW + "keeps 98.1 % of this file's, as ours: (5, 2, 0)",
    ("tables", "e_lung_497keV_3.87mm"): LUNG,
    ("tables", "n_water_Lu177composite_3.87mm_electrons"): _FEW + "keeps 92.6 % of this file's, ours 94.4 %",
    ("tables", "n_water_Y-90_3.0mm_all"): _FEW + "keeps 90.0 % of this file's, ours 91.2 %",
    ("transport", "e_bone_497keV_3.87mm"): _FEW + "keeps 98.1 % of this file's, as ours",
    ("transport", "e_lung_497keV_3.87mm"): LUNG,
    ("transport", "n_water_Lu177composite_3.87mm_electrons"): _FEW + "keeps 92.6 % of this file's",
    ("transport", "n_water_Y-90_3.0mm_all"): _FEW + "keeps 90.0 % of this file's",
}
KNOWN_DISAGREEMENTS = {
    ("tables", "e_water_935keV_3.87mm"): FAR_DISAGREEMENTS["tables", "e_water_935keV_3.87mm"],
    **{(engine, "e_lung_497keV_3.87mm"): LUNG for engine in ("tables", "transport")},
}


def named(file: str) -> VoxelReference:
    """The run of a file."""
    return next(reference for reference in ALL_REFERENCES if reference.file == file)


@cache
def compared(engine: str, file: str) -> tuple[Agreement, float]:
    """Agreement of one of our engines with one file, and our energy balance."""
    reference = named(file)
    theirs = reference_energies(reference)
    emitted_mev = sum(spectrum.energy_per_decay_kev for spectrum in reference.spectra()) * 1e-3
    if engine == "tables":
        kernel = table_kernel(reference, int(theirs.offsets.max()))
        return agreement(kernel_energies(kernel, theirs.offsets), theirs, emitted_mev), kernel.energy_balance
    simulated = simulated_energies(reference, theirs.offsets, HISTORIES[file[0]])
    return agreement(simulated.folded, theirs, emitted_mev), simulated.balance


def cases(references: tuple[VoxelReference, ...], marks: dict[tuple[str, str], str] | None = None) -> list[object]:
    """Engine and file of every comparison, those with a known disagreement marked with its reason."""
    marks = marks or {}
    return [
        pytest.param(
            engine,
            reference.file,
            id=f"{engine}-{reference.file}",
            marks=[pytest.mark.xfail(strict=engine == "tables", reason=marks[engine, reference.file])]
            if (engine, reference.file) in marks
            else [],
        )
        for engine in ("tables", "transport")
        for reference in references
    ]


def test_the_composite_lu177_spectra_hold_the_energy_their_runs_state() -> None:
    electrons, photons = lu177_composite_electrons(), lu177_composite_photons()
    assert electrons.particles_per_decay == pytest.approx(1.2367, abs=2e-4)
    assert electrons.energy_per_decay_kev == pytest.approx(147.44, abs=0.3)
    assert photons.particles_per_decay == pytest.approx(0.22732, abs=1e-4)


@pytest.mark.parametrize(("engine", "file"), cases(ALL_REFERENCES))
def test_the_source_voxel_agrees(engine: str, file: str) -> None:
    found, _ = compared(engine, file)
    assert abs(found.source_percent) <= SOURCE_TOLERANCE_PERCENT, found


@pytest.mark.parametrize(("engine", "file"), cases(CHARGED_REFERENCES))
def test_the_face_neighbour_of_electrons_agrees(engine: str, file: str) -> None:
    found, _ = compared(engine, file)
    assert found.face_holds, found


@pytest.mark.parametrize(("engine", "file"), cases(ALL_REFERENCES, FAR_DISAGREEMENTS))
def test_farther_voxels_agree(engine: str, file: str) -> None:
    found, _ = compared(engine, file)
    assert found.share_within >= FAR_SHARE, found


@pytest.mark.parametrize(("engine", "file"), cases(ALL_REFERENCES, KNOWN_DISAGREEMENTS))
def test_farther_voxels_that_egsnrc_knows_well_agree(engine: str, file: str) -> None:
    found, _ = compared(engine, file)
    assert found.share_of_known_within >= FAR_SHARE, found


@pytest.mark.parametrize(("engine", "file"), cases(PHOTON_REFERENCES))
def test_farther_voxels_of_photons_scatter_as_their_errors_say(engine: str, file: str) -> None:
    found, _ = compared(engine, file)
    assert CHI_SQUARED[0] <= found.chi_squared <= CHI_SQUARED[1], found


@pytest.mark.parametrize(("engine", "file"), cases(ALL_REFERENCES))
def test_energy_is_conserved(engine: str, file: str) -> None:
    _, balance = compared(engine, file)
    assert abs(balance - 1) * 100 <= BALANCE_TOLERANCE_PERCENT


def test_secondary_electrons_lower_the_source_voxel_and_not_the_sum() -> None:
    kerma, full = PHOTON_REFERENCES[:2]
    local, transported = table_kernel(kerma, 4), table_kernel(full, 4)
    assert local.octant_kji[0, 0, 0] / transported.octant_kji[0, 0, 0] == pytest.approx(1.022, abs=0.01)
    assert local.energy_in_array == pytest.approx(transported.energy_in_array, rel=2e-3)
    assert np.all(local.octant_kji > 0)

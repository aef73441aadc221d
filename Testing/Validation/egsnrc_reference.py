"""EGSnrc kernels as tests compare with them: the files of Testing/Data/egsnrc, what they ran, how to compare."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations, product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from radiodosimetry.media import named_material
from radiodosimetry.media.materials import Material
from radiodosimetry.nuclides import Radionuclide
from radiodosimetry.nuclides.beta import allowed_density
from radiodosimetry.nuclides.spectrum import ParticleSpectrum, merged
from radiodosimetry.transport.voxels import TransportSettings, VoxelScene, simulate_voxels
from radiodosimetry.units import JOULE_PER_MEV
from radiodosimetry.voxel_dose.kernels import DoseKernel, voxel_kernel
from radiodosimetry.voxel_dose.sources import EmissionSource

EGSNRC_FOLDER = Path(__file__).resolve().parents[1] / "Data" / "egsnrc"
SPLIT_FOLDER = EGSNRC_FOLDER.with_name("egsnrc_split")
"""The electron runs once more, bremsstrahlung split 100-fold: `Resources/Sources/run_egsnrc.py`."""

SOURCE_TOLERANCE_PERCENT = 1.5
"""Source voxel, photons and electrons."""

FACE_TOLERANCE_PERCENT = 3.0
"""Face neighbour of an electron source ..."""

FACE_TOLERANCE_PERCENT_OF_EMITTED = 0.2
"""... or this share of the energy emitted, whichever is larger."""

FAR_SIGMAS, FAR_TOLERANCE_PERCENT, FAR_SHARE = 3.0, 3.0, 0.99
"""Farther voxels: this share of them within so many combined standard errors or so many percent."""

CHI_SQUARED = (0.8, 1.2)
"""Mean squared deviation of the farther voxels of photons, in combined standard errors."""

BALANCE_TOLERANCE_PERCENT = 0.3
"""Energy deposited and escaped over energy emitted."""

PHOTON_CUT_KEV = 2.0
"""Soft bremsstrahlung travels millimetres in lung."""

_LU177_BETA_BRANCHES_KEV = np.array([(149.30, 0.7944), (111.67, 0.0889), (68.80, 0.00016), (47.69, 0.1166)])
_LU177_ELECTRON_LINES_KEV = np.array(
    [(6.2, 8.6), (44.2, 0.27), (47.6, 5.19), (101.9, 6.84), (110.7, 2.25), (143.0, 0.45), (197.1, 0.06)]
)
_LU177_PHOTON_LINES_KEV = np.array(
    [(54.61, 1.58), (55.79, 2.77), (63.2, 1.11), (71.64, 0.166), (112.95, 6.23), (136.72, 0.047), (208.37, 10.41),
     (249.67, 0.201), (321.32, 0.217)]
)  # fmt: skip
_HAFNIUM = 72


def lu177_composite_electrons() -> ParticleSpectrum:
    """The composite Lu-177 electrons of the reference runs: allowed β branches by their means, and lines in percent."""
    edges = np.linspace(0.0, 498.3, 251)
    fine = 0.5 * (np.linspace(0.0, 498.3, 5001)[1:] + np.linspace(0.0, 498.3, 5001)[:-1])
    density = allowed_density(fine, _LU177_BETA_BRANCHES_KEV, _HAFNIUM)
    in_bin = np.searchsorted(edges, fine) - 1
    number = np.bincount(in_bin, weights=density, minlength=250)
    energy = np.bincount(in_bin, weights=density * fine, minlength=250)
    filled = number > 0
    beta = ParticleSpectrum("electron", energy[filled] / number[filled], number[filled] * (fine[1] - fine[0]), "beta")
    lines = ParticleSpectrum("electron", _LU177_ELECTRON_LINES_KEV[:, 0], _LU177_ELECTRON_LINES_KEV[:, 1] / 100, "CE")
    return merged([beta, lines], "electron")


def lu177_composite_photons() -> ParticleSpectrum:
    """The composite Lu-177 photons of the reference runs, per decay."""
    return ParticleSpectrum("photon", _LU177_PHOTON_LINES_KEV[:, 0], _LU177_PHOTON_LINES_KEV[:, 1] / 100, "photons")


def per_particle(spectrum: ParticleSpectrum) -> ParticleSpectrum:
    """One particle of a spectrum."""
    return spectrum.scaled(1.0 / spectrum.particles_per_decay)


def y90_by_lnhb_mean() -> tuple[ParticleSpectrum, ...]:
    """Y-90 as ICRP-107 has it, its β energies stretched by < 1 % to the mean of LNHB, on which the reference ran."""
    emitted = Radionuclide("Y-90").emissions()
    electrons = emitted.electron_spectrum()
    scale = 0.9345e3 / electrons.energy_per_decay_kev
    return (
        ParticleSpectrum("electron", electrons.energy_kev * scale, electrons.yield_per_decay, "Y-90"),
        emitted.photon_spectrum(),
    )


def _mono(particle: str, energy_kev: float) -> Callable[[], tuple[ParticleSpectrum, ...]]:
    return lambda: (ParticleSpectrum(particle, np.array([energy_kev]), np.array([1.0])),)


@dataclass(frozen=True)
class VoxelReference:
    """One run of EGSnrc in a homogeneous medium.

    Attributes
    ----------
    file
        Name without suffix.
    medium, spacing_mm
        Where.
    spectra
        What one source particle or decay emits.
    secondaries
        "transported" or "local" electrons of photons.
    """

    file: str
    medium: str
    spectra: Callable[[], tuple[ParticleSpectrum, ...]]
    secondaries: str = "transported"
    spacing_mm: float = 3.87

    @property
    def material(self) -> Material:
        """The medium at its density."""
        return named_material(self.medium)

    @property
    def is_of_photons(self) -> bool:
        """Whether nothing but photons is emitted."""
        return all(spectrum.particle == "photon" for spectrum in self.spectra())


ELECTRON_REFERENCES = (
    VoxelReference("e_water_133keV_3.87mm", "water", _mono("electron", 133.0)),
    VoxelReference("e_water_497keV_3.87mm", "water", _mono("electron", 497.0)),
    VoxelReference("e_water_935keV_3.87mm", "water", _mono("electron", 935.0)),
    VoxelReference("e_bone_497keV_3.87mm", "bone", _mono("electron", 497.0)),
    VoxelReference("e_lung_497keV_3.87mm", "lung", _mono("electron", 497.0)),
    VoxelReference(
        "n_water_Lu177composite_3.87mm_electrons", "water", lambda: (per_particle(lu177_composite_electrons()),)
    ),
)
PHOTON_REFERENCES = (
    VoxelReference("g_water_208keV_3.87mm_kerma", "water", _mono("photon", 208.4), "local"),
    VoxelReference("g_water_208keV_3.87mm_full", "water", _mono("photon", 208.4)),
    VoxelReference("g_water_113keV_3.87mm_full", "water", _mono("photon", 112.9)),
    VoxelReference("g_bone_113keV_3.87mm_full", "bone", _mono("photon", 112.9)),
    VoxelReference("g_lung_208keV_3.87mm_full", "lung", _mono("photon", 208.4)),
    VoxelReference(
        "n_water_Lu177composite_3.87mm_photons", "water", lambda: (per_particle(lu177_composite_photons()),)
    ),
)
SPLIT_REFERENCES = (
    *ELECTRON_REFERENCES,
    VoxelReference("e_water_2280keV_3.87mm", "water", _mono("electron", 2280.0)),
    VoxelReference("n_water_Y-90_3.0mm_betas", "water", lambda: y90_by_lnhb_mean()[:1], spacing_mm=3.0),
)
Y90_REFERENCE = VoxelReference("n_water_Y-90_3.0mm_all", "water", y90_by_lnhb_mean, spacing_mm=3.0)
ALL_REFERENCES = (*ELECTRON_REFERENCES, *PHOTON_REFERENCES, Y90_REFERENCE)


def read_columns(name: str, folder: Path = EGSNRC_FOLDER) -> dict[str, NDArray[np.float64]]:
    """Columns of a file of numbers."""
    with (folder / f"{name}.csv").open(encoding="utf-8") as stream:
        next(stream)
        rows = list(csv.DictReader(stream))
    return {column: np.array([float(row[column]) for row in rows]) for column in rows[0]}


@dataclass(frozen=True, eq=False)
class FoldedEnergies:
    """Energy [MeV] per voxel and source particle, folded over the symmetries of the cube.

    Attributes
    ----------
    offsets
        a ≥ b ≥ c, shape (n, 3); the source voxel and the face neighbour come first.
    energy_mev, sigma_mev
        Shape (n,).
    """

    offsets: NDArray[np.int_]
    energy_mev: NDArray[np.float64]
    sigma_mev: NDArray[np.float64]


def reference_energies(reference: VoxelReference, folder: Path = EGSNRC_FOLDER) -> FoldedEnergies:
    """What EGSnrc got."""
    columns = read_columns(reference.file, folder)
    offsets = np.stack([columns[name] for name in "abc"], axis=1).astype(int)
    energy = columns["energy_mev"]
    return FoldedEnergies(offsets, energy, energy * columns["uncertainty_percent"] / 100)


def kernel_energies(kernel: DoseKernel, offsets: NDArray[np.int_]) -> FoldedEnergies:
    """Energies of a kernel at some offsets; its own uncertainty only where it states one."""
    octant = kernel.octant_kji * kernel.voxel_mass_kg / JOULE_PER_MEV
    energy = octant[tuple(offsets.T)]
    sigma = np.zeros_like(energy)
    sigma[0] = energy[0] * (kernel.centre_uncertainty or 0.0)
    sigma[1] = energy[1] * (kernel.face_uncertainty or 0.0)
    return FoldedEnergies(offsets, energy, sigma)


def table_kernel(reference: VoxelReference, half_width: int) -> DoseKernel:
    """Our kernel from radial tables for the case of a reference run."""
    source = EmissionSource.from_spectra(reference.file, reference.spectra(), per_particle=True)
    return voxel_kernel(
        source, reference.material, (reference.spacing_mm,) * 3, half_width, secondaries=reference.secondaries
    )


@dataclass(frozen=True, eq=False)
class SimulatedEnergies:
    """Our transport for the case of a reference run: energies, and what was deposited and escaped over emitted."""

    folded: FoldedEnergies
    balance: float


def simulated_energies(
    reference: VoxelReference, offsets: NDArray[np.int_], histories: int, seed: int = 1
) -> SimulatedEnergies:
    """Our transport in voxels, electrons followed wherever they may leave their voxel."""
    half = int(offsets.max())
    shape = (2 * half + 1,) * 3
    material = reference.material
    scene = VoxelScene(
        np.full(shape, material.density_g_per_cm3, dtype=np.float32),
        np.zeros(shape, dtype=np.uint8),
        (material,),
        (reference.spacing_mm,) * 3,
        surroundings=material,
    )
    decays = np.zeros(shape)
    decays[half, half, half] = 1.0
    estimator = "analog" if reference.secondaries == "transported" else "track-length"
    settings = TransportSettings(
        histories=histories,
        seed=seed,
        estimator=estimator,
        secondaries=reference.secondaries,
        **({} if reference.is_of_photons else {"local_range_share": 0.0, "photon_cut_kev": PHOTON_CUT_KEV}),
    )
    result = simulate_voxels(scene, decays, reference.spectra(), settings)
    energy, sigma = np.empty(len(offsets)), np.empty(len(offsets))
    for row, offset in enumerate(offsets):
        voxels = tuple(np.array(equivalent(offset)).T + half)
        energy[row] = result.energy_mev_kji[voxels].mean()
        sigma[row] = np.sqrt((result.standard_error_mev_kji[voxels] ** 2).sum()) / len(voxels[0])
    balance = (result.energy_mev_kji.sum() + result.escaped_mev) / result.emitted_mev
    return SimulatedEnergies(FoldedEnergies(offsets, energy, sigma), float(balance))


def equivalent(offset: NDArray[np.int_]) -> list[tuple[int, ...]]:
    """All offsets that mirrors and exchanges of axes make of one."""
    signs = list(product((1, -1), repeat=3))
    orders = list(permutations(offset))
    return sorted({tuple(s * v for s, v in zip(sign, order, strict=True)) for order in orders for sign in signs})


WELL_KNOWN_PERCENT = 20.0
"""Standard error up to which a voxel of EGSnrc counts as well known: some 25 particles or more reached it."""


@dataclass(frozen=True)
class Agreement:
    """How our energies compare with EGSnrc's.

    Attributes
    ----------
    source_percent, face_percent
        Relative deviation of the source voxel and of its face neighbour.
    source_sigma_percent, face_sigma_percent
        Combined standard errors of both.
    face_percent_of_emitted
        The face neighbour's deviation as a share of the energy emitted.
    share_within, share_of_known_within
        Share of the farther voxels within 3 combined standard errors or 3 %; of all, and of those EGSnrc knows well.
    chi_squared
        Mean squared deviation of the farther voxels in combined standard errors.
    far_sum_percent
        Deviation of the energy of all farther voxels together.
    """

    source_percent: float
    source_sigma_percent: float
    face_percent: float
    face_sigma_percent: float
    face_percent_of_emitted: float
    share_within: float
    share_of_known_within: float
    chi_squared: float
    far_sum_percent: float

    @property
    def face_holds(self) -> bool:
        """Whether the face neighbour lies within its tolerance."""
        return (
            abs(self.face_percent) <= FACE_TOLERANCE_PERCENT
            or abs(self.face_percent_of_emitted) <= FACE_TOLERANCE_PERCENT_OF_EMITTED
        )


def agreement(ours: FoldedEnergies, theirs: FoldedEnergies, emitted_mev: float) -> Agreement:
    """Compare energies at the same offsets."""
    known = theirs.energy_mev > 0
    sigma = np.hypot(ours.sigma_mev, theirs.sigma_mev)
    difference = ours.energy_mev - theirs.energy_mev
    percent = 100 * np.divide(difference, theirs.energy_mev, out=np.zeros_like(difference), where=known)
    deviation = np.divide(difference, sigma, out=np.zeros_like(difference), where=sigma > 0)
    far = known & (np.arange(len(known)) >= 2)
    within = (np.abs(deviation) <= FAR_SIGMAS) | (np.abs(percent) <= FAR_TOLERANCE_PERCENT)
    count = np.array([len(equivalent(offset)) for offset in ours.offsets])
    return Agreement(
        float(percent[0]),
        float(100 * sigma[0] / theirs.energy_mev[0]),
        float(percent[1]),
        float(100 * sigma[1] / theirs.energy_mev[1]),
        float(100 * difference[1] / emitted_mev),
        float(within[far].mean()),
        float(within[far & (100 * theirs.sigma_mev <= WELL_KNOWN_PERCENT * theirs.energy_mev)].mean()),
        float((deviation[far] ** 2).mean()),
        float(100 * (count * difference)[far].sum() / (count * theirs.energy_mev)[far].sum()),
    )

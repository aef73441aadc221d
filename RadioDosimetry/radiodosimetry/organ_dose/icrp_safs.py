"""Specific absorbed fractions as ICRP Publication 133 files them, read from the user's own copy; and S-values of them.

The electronic supplement of the publication has one text file per phantom and particle (`rcp-am_photon_….SAF`): three
lines of description; a line with the numbers of targets and sources (4 columns each) and, from column 23 on, the
energies in MeV (10 columns each); a line of dashes; and then one line per pair: target (10 columns), `<-`, source (10
columns), one SAF per energy in 1/kg (10 columns each), the lowest energy with a SAF above zero, and its number. The
files themselves may not be passed on and are not part of this package.

References
----------
.. [1] ICRP Publication 133, The ICRP computational framework for internal dose assessment for reference adults:
   specific absorbed fractions, Ann ICRP 45(2) (2016) 1-74.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from ..errors import FileFormatError, InputError
from ..nuclides import Radionuclide
from ..nuclides.spectrum import ParticleSpectrum
from ..provenance import Record, file_identity
from ..units import JOULE_PER_MEV
from .organ_names import plain_name
from .s_value_table import SValueTable

Floats = NDArray[np.float64]

SAF_PARTICLES = ("photon", "electron", "alpha")
"""Particles with a file of this layout; positrons take the electrons', recoils the lowest energy of the α particles."""

ICRP_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "Breast": "breasts",
        "Endost-BS": "osteogenic_cells",
        "GB-cont": "gallbladder_contents",
        "GB-wall": "gallbladder_wall",
        "Ht-wall": "heart_wall",
        "R-marrow": "red_marrow",
        "SI-cont": "small_intestine_contents",
        "SI-wall": "small_intestine_wall",
        "St-cont": "stomach_contents",
        "St-wall": "stomach_wall",
        "UB-cont": "bladder_contents",
        "UB-wall": "urinary_bladder_wall",
    }
)
"""Acronyms of ICRP Publication 133 that name an organ other tables have too; all others only change their spelling."""

_HEADER_LINES = 5
_NAME_WIDTH, _ARROW, _FIELD_WIDTH = 10, "<-", 10
_FIRST_VALUE = 2 * _NAME_WIDTH + len(_ARROW)
_EXPONENT_WITHOUT_LETTER = re.compile(r"(?<=[\d.])([+-]\d+)$")


@dataclass(frozen=True, eq=False)
class SafTable:
    """Specific absorbed fractions of one particle in one phantom.

    Attributes
    ----------
    particle
        One of `SAF_PARTICLES`.
    energies_kev
        Ascending [keV], shape (e,).
    targets, sources
        Names in lower snake case.
    saf_per_kg
        Shape (targets, sources, e) [1/kg].
    record
        Where they come from.
    """

    particle: str
    energies_kev: Floats
    targets: tuple[str, ...]
    sources: tuple[str, ...]
    saf_per_kg: Floats
    record: Record

    def __post_init__(self) -> None:
        if self.particle not in SAF_PARTICLES:
            raise InputError(f"SAFs of '{self.particle}' are unknown; expected one of {', '.join(SAF_PARTICLES)}.")
        shape = (len(self.targets), len(self.sources), len(self.energies_kev))
        if self.saf_per_kg.shape != shape:
            raise InputError(
                f"SAFs must have the shape (targets, sources, energies) {shape}, found {self.saf_per_kg.shape}."
            )
        if len(self.energies_kev) < 2 or (np.diff(self.energies_kev) <= 0).any():
            raise InputError("The energies of SAFs must ascend, two at least.")
        if not np.isfinite(self.saf_per_kg).all() or (self.saf_per_kg < 0).any():
            raise InputError("SAFs must be finite and not negative; correct the table.")

    def at(self, energy_kev: Floats) -> Floats:
        """SAFs at energies [keV], shape (targets, sources, n): monotone cubic in energy, constant below the first.

        Raises
        ------
        InputError
            An energy is above the last one of the table.
        """
        energy = np.asarray(energy_kev, dtype=np.float64)
        if energy.size and energy.max() > self.energies_kev[-1]:
            last = self.energies_kev[-1]
            found = energy.max()
            raise InputError(f"Found {found:.0f} keV among the {self.particle}s; their SAFs end at {last:.0f} keV.")
        inside = np.clip(energy, self.energies_kev[0], None)
        return np.asarray(PchipInterpolator(self.energies_kev, self.saf_per_kg, axis=2)(inside))


def read_icrp_safs(path: Path, particle: str | None = None) -> SafTable:
    """The SAFs of a file of ICRP Publication 133 for photons, electrons or α particles.

    Parameters
    ----------
    path
        The file.
    particle
        One of `SAF_PARTICLES`; what the file's name says if None.

    Raises
    ------
    FileFormatError
        The file is missing, or has another layout; the text names the line.
    InputError
        Neither argument nor name says which particle, or it has no file of this layout.
    """
    path = Path(path)
    particle = particle or next((name for name in SAF_PARTICLES if name in path.name.lower()), None)
    if particle is None:
        raise InputError(
            f"The name '{path.name}' does not say which particle its SAFs are of; name one of "
            f"{', '.join(SAF_PARTICLES)}."
        )
    try:
        lines = path.read_text(encoding="latin-1").splitlines()
    except OSError as error:
        raise FileFormatError(f"The SAF file '{path}' cannot be read ({error}).") from error
    target_count, source_count, energies_mev = _header(path, lines)
    values: dict[tuple[str, str], Floats] = {}
    for number, line in enumerate(lines[_HEADER_LINES:], _HEADER_LINES + 1):
        if line.strip():
            pair, safs = _pair(f"Line {number} of the SAF file '{path.name}'", line, len(energies_mev))
            if pair in values:
                raise FileFormatError(f"Line {number} of the SAF file '{path.name}' repeats {pair[0]} <- {pair[1]}.")
            values[pair] = safs
    targets = tuple(dict.fromkeys(target for target, _ in values))
    sources = tuple(dict.fromkeys(source for _, source in values))
    counts = (len(targets), len(sources), len(values))
    if counts != (target_count, source_count, target_count * source_count):
        raise FileFormatError(
            f"The SAF file '{path.name}' announces {target_count} targets and {source_count} sources, found "
            f"{counts[0]}, {counts[1]} and {counts[2]} pairs; get the file again."
        )
    table = np.array([[values[target, source] for source in sources] for target in targets])
    record = Record(
        "SAFs read from a file of ICRP Publication 133",
        parameters={"particle": particle, "description": [line.strip() for line in lines[:3]]},
        inputs={f"{particle}_safs": file_identity(path)},
        datasets={f"{particle} SAFs": f"user's file {path.name}"},
    )
    names = tuple(map(_our_name, targets)), tuple(map(_our_name, sources))
    return SafTable(particle, 1e3 * np.array(energies_mev), *names, table, record)


def s_values_from_safs(
    tables: Mapping[str, SafTable], nuclide: Radionuclide | str, include_progeny: bool = True
) -> SValueTable:
    """S-values of a nuclide from specific absorbed fractions: S = Σ yield × energy × SAF.

    Parameters
    ----------
    tables
        Particle to its SAFs, all of one phantom. Electrons serve β particles of both signs.
    nuclide
        The radionuclide, or its name.
    include_progeny
        Whether the short-lived progeny decays where the nuclide does.

    Returns
    -------
    SValueTable
        Without uncertainties, as the record says. Recoil nuclei take the SAF of the slowest α particle.

    Raises
    ------
    InputError
        The nuclide emits a particle that has no table, tables differ in their regions, or an energy is too high.
    UnknownNuclideError
        The nuclide is not in the dataset.
    """
    nuclide = Radionuclide(nuclide) if isinstance(nuclide, str) else nuclide
    nuclide.require_emissions_for_dose()
    emitted = nuclide.emissions(include_progeny)
    spectra = (
        ("electron", emitted.electron_spectrum()),
        ("electron", emitted.positron_spectrum()),
        ("photon", emitted.photon_spectrum()),
        ("alpha", emitted.alphas),
        ("alpha", emitted.alpha_recoils),
    )
    needed = [(particle, spectrum) for particle, spectrum in spectra if not spectrum.is_empty]
    missing = sorted({particle for particle, _ in needed if particle not in tables})
    if missing or not needed:
        raise InputError(
            f"{nuclide.name} needs SAFs of {', '.join(missing) or 'some particle'}; give that file as well."
        )
    first = tables[needed[0][0]]
    if any((t.targets, t.sources) != (first.targets, first.sources) for t in tables.values()):
        raise InputError("The SAFs of the particles have different targets or sources; give files of one phantom.")
    s_values = np.zeros((len(first.targets), len(first.sources)))
    alphas = np.zeros_like(s_values)
    for particle, spectrum in needed:
        part = _dose_per_decay(tables[particle], spectrum)
        s_values += part
        alphas += part if particle == "alpha" else 0.0
    record = Record(
        "S-values from specific absorbed fractions",
        {"nuclide": nuclide.name, "include_progeny": include_progeny},
        {key: value for table in tables.values() for key, value in table.record.inputs.items()},
        {"emissions": nuclide.dataset, **{k: v for t in tables.values() for k, v in t.record.datasets.items()}},
    ).with_warnings(*nuclide.warnings, "SAF files come without uncertainties; these count as 0.")
    return SValueTable(first.targets, first.sources, s_values, np.zeros_like(s_values), nuclide.name, record, alphas)


def _dose_per_decay(table: SafTable, spectrum: ParticleSpectrum) -> Floats:
    """Σ yield × energy × SAF [Gy per decay], shape (targets, sources)."""
    energy_j = spectrum.energy_kev * 1e-3 * JOULE_PER_MEV
    return np.asarray(table.at(spectrum.energy_kev) @ (energy_j * spectrum.yield_per_decay))


def _header(path: Path, lines: list[str]) -> tuple[int, int, list[float]]:
    """Numbers of targets and sources, and the energies [MeV], of the fourth line."""
    fields = lines[3].split() if len(lines) > _HEADER_LINES else []
    energies: list[float] = []
    try:
        counts = int(fields[0]), int(fields[1])
        for field in fields[2:]:
            if not re.fullmatch(r"[\d.]+(?:[eE][+-]?\d+)?", field):
                break
            energies.append(float(field))
    except (IndexError, ValueError):
        counts = (0, 0)
    if min(counts) < 1 or len(energies) < 2:
        raise FileFormatError(
            f"Line 4 of the SAF file '{path.name}' must hold the numbers of targets and sources and the energies in "
            f"MeV, found '{lines[3].strip()[:60] if len(lines) > 3 else 'nothing'}'."
        )
    return counts[0], counts[1], energies


def _pair(where: str, line: str, count: int) -> tuple[tuple[str, str], Floats]:
    """Target, source and SAFs of a line."""
    arrow = line[_NAME_WIDTH : _NAME_WIDTH + len(_ARROW)]
    if arrow != _ARROW:
        raise FileFormatError(f"{where} must have '{_ARROW}' in columns 11 and 12, found '{arrow}'.")
    safs = np.empty(count)
    for index in range(count):
        start = _FIRST_VALUE + index * _FIELD_WIDTH
        text = line[start : start + _FIELD_WIDTH].strip()
        try:
            safs[index] = float(_EXPONENT_WITHOUT_LETTER.sub(r"e\1", text))
        except ValueError:
            raise FileFormatError(f"{where}: SAF {index + 1} of {count} is '{text}', expected a number.") from None
    pair = line[:_NAME_WIDTH].strip(), line[_NAME_WIDTH + len(_ARROW) : _FIRST_VALUE].strip()
    if not all(pair):
        raise FileFormatError(f"{where} names no target or no source.")
    return pair, safs


def _our_name(acronym: str) -> str:
    return ICRP_NAMES.get(acronym, plain_name(acronym))

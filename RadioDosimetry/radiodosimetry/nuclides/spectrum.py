"""Energies and yields of one kind of particle: what every source of radiation is handed out as."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FileFormatError, InputError

PARTICLES = ("electron", "positron", "photon", "alpha", "recoil")
"""Kinds of particle a spectrum can hold; `recoil` is the nucleus that an α pushes away."""

FILE_PARTICLES = PARTICLES[:4]
"""Kinds of particle a spectrum file may name."""

FILE_COLUMNS = ("particle", "energy_kev", "yield")
"""Columns a spectrum file must have; others are ignored."""


@dataclass(frozen=True, eq=False)
class ParticleSpectrum:
    """Discrete lines of one kind of particle. Continuous spectra are fine bins, each a line at its mean energy.

    Attributes
    ----------
    particle
        One of `PARTICLES`.
    energy_kev
        Kinetic (photons: quantum) energies [keV], shape (n,), strictly ascending and positive; n may be 0. Given in any
        order; equal energies are added up. Read-only.
    yield_per_decay
        Number emitted per decay, shape (n,), not negative. Read-only.
    label
        What the lines are ("beta-", "gamma, X"), for tables and messages.

    Raises
    ------
    InputError
        An unknown particle, arrays that do not match, or values that are NaN, infinite or out of range.
    """

    particle: str
    energy_kev: NDArray[np.float64]
    yield_per_decay: NDArray[np.float64]
    label: str = ""

    def __post_init__(self) -> None:
        if self.particle not in PARTICLES:
            raise InputError(f"Particle '{self.particle}' is unknown; expected one of: {', '.join(PARTICLES)}.")
        energy = np.array(self.energy_kev, dtype=np.float64)
        yields = np.array(self.yield_per_decay, dtype=np.float64)
        if energy.ndim != 1 or energy.shape != yields.shape:
            raise InputError(
                f"A spectrum needs one yield for each energy, found shapes {energy.shape} of energies and "
                f"{yields.shape} of yields."
            )
        if not np.isfinite(energy).all() or (energy <= 0).any():
            raise InputError(
                f"Energies of a spectrum must be positive numbers in keV, found {_first_bad(energy, 0.0)}."
            )
        if not np.isfinite(yields).all() or (yields < 0).any():
            raise InputError(f"Yields of a spectrum must be zero or more per decay, found {_first_bad(yields, -1.0)}.")
        distinct, line_of = np.unique(energy, return_inverse=True)
        summed = np.bincount(line_of, weights=yields, minlength=distinct.size).astype(np.float64)
        for name, array in (("energy_kev", distinct), ("yield_per_decay", summed)):
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    @classmethod
    def empty(cls, particle: str, label: str = "") -> ParticleSpectrum:
        """A spectrum without a line."""
        return cls(particle, np.empty(0), np.empty(0), label)

    @classmethod
    def from_csv(cls, path: Path) -> dict[str, ParticleSpectrum]:
        """Spectra of a file with the columns particle, energy_kev and yield (per decay, or per source particle).

        Parameters
        ----------
        path
            UTF-8 CSV, particles `FILE_PARTICLES`, lines in any order; lines that begin with # are comments.

        Returns
        -------
        dict
            Particle to its spectrum; only particles the file names.

        Raises
        ------
        FileFormatError
            The file is missing, not such a table, empty, or a line of it does not hold a particle and two numbers.
        """
        path = Path(path)
        lines: dict[str, list[tuple[float, float]]] = {}
        for number, row in _rows(path):
            particle, energy_kev, count = _line_of(row, f"Line {number} of '{path.name}'")
            lines.setdefault(particle, []).append((energy_kev, count))
        if not lines:
            raise FileFormatError(f"Spectrum file '{path.name}' has no line; expected at least one under its header.")
        spectra = {}
        for particle, pairs in lines.items():
            energy, yields = np.array(pairs, dtype=np.float64).T
            spectra[particle] = cls(particle, energy, yields, path.name)
        return spectra

    @property
    def is_empty(self) -> bool:
        """Whether nothing is emitted."""
        return not self.yield_per_decay.any()

    @property
    def particles_per_decay(self) -> float:
        """Number of particles emitted per decay."""
        return float(self.yield_per_decay.sum())

    @property
    def energy_per_decay_kev(self) -> float:
        """Energy emitted per decay [keV]."""
        return float(self.energy_kev @ self.yield_per_decay)

    @property
    def mean_energy_kev(self) -> float:
        """Mean energy of a particle [keV]; 0 for an empty spectrum."""
        return 0.0 if self.is_empty else self.energy_per_decay_kev / self.particles_per_decay

    @property
    def max_energy_kev(self) -> float:
        """Highest energy that is emitted at all [keV]; 0 for an empty spectrum."""
        return 0.0 if self.is_empty else float(self.energy_kev[self.yield_per_decay > 0].max())

    def scaled(self, factor: float) -> ParticleSpectrum:
        """The same lines with every yield multiplied by `factor`."""
        return ParticleSpectrum(self.particle, self.energy_kev, self.yield_per_decay * factor, self.label)

    def above(self, energy_kev: float) -> ParticleSpectrum:
        """The lines at or above an energy [keV]; what is cut off is lost."""
        kept = self.energy_kev >= energy_kev
        return ParticleSpectrum(self.particle, self.energy_kev[kept], self.yield_per_decay[kept], self.label)

    def rebinned(self, count: int) -> ParticleSpectrum:
        """At most `count` lines with the same number of particles and the same energy.

        The energy axis is cut into `count` equal bins from 0 to the highest line; the lines of a bin become one at
        their mean energy.

        Raises
        ------
        InputError
            `count` is less than 1.
        """
        if count < 1:
            raise InputError(f"A spectrum needs at least one bin, found {count}.")
        if self.is_empty:
            return self
        edges = np.linspace(0.0, self.max_energy_kev, count + 1)
        bin_of = np.clip(np.searchsorted(edges, self.energy_kev, side="left") - 1, 0, count - 1)
        yields = np.bincount(bin_of, weights=self.yield_per_decay, minlength=count).astype(np.float64)
        relative = self.yield_per_decay / self.yield_per_decay.max()  # the smallest floats have too few digits left
        numbers = np.bincount(bin_of, weights=relative, minlength=count)
        energies = np.bincount(bin_of, weights=relative * self.energy_kev, minlength=count)
        kept = numbers > np.finfo(np.float64).tiny
        return ParticleSpectrum(self.particle, energies[kept] / numbers[kept], yields[kept], self.label)

    def __repr__(self) -> str:
        name = f"{self.particle}, {self.label}" if self.label else self.particle
        return (
            f"ParticleSpectrum({name}: {self.energy_kev.size} lines, {self.particles_per_decay:.5g} per decay, "
            f"mean {self.mean_energy_kev:.5g} keV)"
        )


def merged(spectra: Iterable[ParticleSpectrum], particle: str, label: str | None = None) -> ParticleSpectrum:
    """All lines of several spectra of one kind of particle in one spectrum.

    Parameters
    ----------
    spectra
        What to merge; may be none.
    particle
        Kind of particle all of them must be.
    label
        Label of the result; by default the labels of those that are not empty.

    Raises
    ------
    InputError
        A spectrum is of another particle.
    """
    parts = [spectrum for spectrum in spectra if spectrum.energy_kev.size]
    for part in parts:
        if part.particle != particle:
            raise InputError(
                f"Spectra of different particles cannot be merged: found {part.particle} among {particle}."
            )
    if label is None:
        label = ", ".join(dict.fromkeys(part.label for part in parts if part.label))
    if not parts:
        return ParticleSpectrum.empty(particle, label)
    energy = np.concatenate([part.energy_kev for part in parts])
    yields = np.concatenate([part.yield_per_decay for part in parts])
    return ParticleSpectrum(particle, energy, yields, label)


def _first_bad(values: NDArray[np.float64], smallest_wrong: float) -> str:
    wrong = ~np.isfinite(values) | ((values <= 0) if smallest_wrong == 0 else (values < 0))
    index = int(np.flatnonzero(wrong)[0])
    return f"{values[index]} at index {index}"


def _rows(path: Path) -> list[tuple[int, dict[str | Any, str | Any]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise FileFormatError(f"Spectrum file '{path}' cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise FileFormatError(f"Spectrum file '{path.name}' is not UTF-8 text; expected a CSV table.") from error
    numbered = [
        (number, line)
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    try:
        reader = csv.DictReader([line for _, line in numbered], skipinitialspace=True)
        names = [(name or "").strip() for name in reader.fieldnames or []]
        rows = list(reader)
    except csv.Error as error:
        raise FileFormatError(f"Spectrum file '{path.name}' is not a CSV table: {error}.") from error
    missing = [name for name in FILE_COLUMNS if name not in names]
    if missing:
        found = ", ".join(names) if names else "no header"
        raise FileFormatError(
            f"Spectrum file '{path.name}' lacks the column {', '.join(missing)}; expected {', '.join(FILE_COLUMNS)}, "
            f"found {found[:200]}."
        )
    named = [{name: row[raw] for name, raw in zip(names, reader.fieldnames or [], strict=True)} for row in rows]
    return [(number, row) for (number, _), row in zip(numbered[1:], named, strict=False)]


def _line_of(row: dict[str | Any, str | Any], where: str) -> tuple[str, float, float]:
    particle = (row["particle"] or "").strip().lower()
    if particle not in FILE_PARTICLES:
        raise FileFormatError(
            f"{where}: particle '{particle}' is unknown; expected one of: {', '.join(FILE_PARTICLES)}."
        )
    numbers = []
    for column in FILE_COLUMNS[1:]:
        text = (row[column] or "").strip()
        try:
            value = float(text)
        except ValueError:
            raise FileFormatError(f"{where}: {column} is '{text}'; expected a number.") from None
        lowest = "more than 0 keV" if column == "energy_kev" else "0 or more"
        if not np.isfinite(value) or value < 0 or (value == 0 and column == "energy_kev"):
            raise FileFormatError(f"{where}: {column} is {text}; expected a finite number, {lowest}.")
        numbers.append(value)
    return particle, numbers[0], numbers[1]

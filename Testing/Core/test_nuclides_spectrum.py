"""Spectra as values and as files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from radiodosimetry.errors import FileFormatError, InputError
from radiodosimetry.nuclides import ParticleSpectrum, merged


def test_lines_are_sorted_and_equal_energies_added_up() -> None:
    spectrum = ParticleSpectrum("photon", np.array([208.4, 113.0, 208.4]), np.array([0.1, 0.06, 0.01]), "gamma")
    assert spectrum.energy_kev.tolist() == [113.0, 208.4]
    assert spectrum.yield_per_decay == pytest.approx([0.06, 0.11])
    assert spectrum.energy_per_decay_kev == pytest.approx(113.0 * 0.06 + 208.4 * 0.11)
    assert spectrum.mean_energy_kev == pytest.approx(spectrum.energy_per_decay_kev / 0.17)


def test_a_spectrum_cannot_be_changed() -> None:
    spectrum = ParticleSpectrum("photon", np.array([208.4]), np.array([0.1]))
    with pytest.raises(ValueError, match="read-only"):
        spectrum.energy_kev[0] = 1.0


def test_an_empty_spectrum_emits_nothing() -> None:
    spectrum = ParticleSpectrum.empty("alpha")
    assert spectrum.is_empty
    assert (spectrum.energy_per_decay_kev, spectrum.mean_energy_kev, spectrum.max_energy_kev) == (0.0, 0.0, 0.0)
    assert spectrum.rebinned(10).is_empty


@pytest.mark.parametrize(
    ("particle", "energy", "yields", "text"),
    [
        ("muon", [1.0], [1.0], "Particle 'muon' is unknown; expected one of: electron"),
        ("photon", [1.0, 2.0], [1.0], "one yield for each energy"),
        ("photon", [[1.0]], [[1.0]], "one yield for each energy"),
        ("photon", [1.0, 0.0], [1.0, 1.0], "must be positive numbers in keV, found 0.0 at index 1"),
        ("photon", [np.nan], [1.0], "must be positive numbers in keV, found nan"),
        ("photon", [1.0], [-0.5], "must be zero or more per decay, found -0.5 at index 0"),
        ("photon", [1.0], [np.inf], "must be zero or more per decay, found inf"),
    ],
)
def test_a_spectrum_that_cannot_be_is_refused(particle: str, energy: Any, yields: Any, text: str) -> None:
    with pytest.raises(InputError, match=text):
        ParticleSpectrum(particle, np.array(energy), np.array(yields))


def test_rebinning_keeps_particles_and_energy() -> None:
    energy = np.linspace(1.0, 1000.0, 777)
    spectrum = ParticleSpectrum("electron", energy, np.sqrt(energy))
    coarse = spectrum.rebinned(20)
    assert coarse.energy_kev.size == 20
    assert coarse.particles_per_decay == pytest.approx(spectrum.particles_per_decay)
    assert coarse.energy_per_decay_kev == pytest.approx(spectrum.energy_per_decay_kev)
    with pytest.raises(InputError, match="at least one bin"):
        spectrum.rebinned(0)


def test_merging_keeps_every_line_and_refuses_other_particles() -> None:
    gamma = ParticleSpectrum("photon", np.array([208.4]), np.array([0.1]), "gamma")
    x_ray = ParticleSpectrum("photon", np.array([55.8]), np.array([0.03]), "X")
    both = merged((gamma, x_ray), "photon")
    assert both.energy_kev.tolist() == [55.8, 208.4]
    assert both.label == "gamma, X"
    with pytest.raises(InputError, match="found photon among electron"):
        merged((gamma,), "electron")


def test_scaling_and_cutting_act_on_the_lines() -> None:
    spectrum = ParticleSpectrum("photon", np.array([10.0, 100.0]), np.array([1.0, 2.0]))
    assert spectrum.scaled(0.5).yield_per_decay.tolist() == [0.5, 1.0]
    assert spectrum.above(50.0).energy_kev.tolist() == [100.0]


def test_a_spectrum_file_gives_one_spectrum_for_each_particle(tmp_path: Path) -> None:
    file = tmp_path / "lines.csv"
    file.write_text(
        "# composite spectrum\nnote, energy_kev, particle, yield\n"
        "a,208.4,photon,0.1\n\n,113,Photon,0.06\n,47.6,electron,0\n",
        encoding="utf-8",
    )
    spectra = ParticleSpectrum.from_csv(file)
    assert set(spectra) == {"photon", "electron"}
    assert spectra["photon"].energy_kev.tolist() == [113.0, 208.4]
    assert spectra["photon"].label == "lines.csv"
    assert spectra["electron"].is_empty


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("", "lacks the column particle, energy_kev, yield; .* found no header"),
        ("particle,energy\nphoton,1\n", "lacks the column energy_kev, yield"),
        ("particle,energy_kev,yield\n", "has no line"),
        ("particle,energy_kev,yield\nmuon,1,1\n", "Line 2 of 'bad.csv': particle 'muon' is unknown"),
        ("particle,energy_kev,yield\nphoton,x,1\n", "Line 2 of 'bad.csv': energy_kev is 'x'; expected a number"),
        ("# c\nparticle,energy_kev,yield\nphoton,1,1\nphoton,1\n", "Line 4 of 'bad.csv': yield is ''"),
        ("particle,energy_kev,yield\nphoton,nan,1\n", "energy_kev is nan; expected a finite number"),
        ("particle,energy_kev,yield\nphoton,0,1\n", "energy_kev is 0; expected a finite number, more than 0 keV"),
        ("particle,energy_kev,yield\nphoton,1,-1\n", "yield is -1; expected a finite number, 0 or more"),
        ("particle,energy_kev,yield\nphoton,1,inf\n", "yield is inf"),
    ],
)
def test_a_bad_spectrum_file_is_refused_with_its_line(tmp_path: Path, content: str, text: str) -> None:
    file = tmp_path / "bad.csv"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(FileFormatError, match=text):
        ParticleSpectrum.from_csv(file)


def test_a_missing_or_binary_spectrum_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="cannot be read: No such file"):
        ParticleSpectrum.from_csv(tmp_path / "none.csv")
    with pytest.raises(FileFormatError, match="cannot be read"):
        ParticleSpectrum.from_csv(tmp_path)
    (tmp_path / "image.csv").write_bytes(b"\x89PNG\xff\xfe\x00")
    with pytest.raises(FileFormatError, match="not UTF-8 text"):
        ParticleSpectrum.from_csv(tmp_path / "image.csv")

"""What holds for every spectrum, every name and every file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from radiodosimetry.errors import FileFormatError, UnknownNuclideError
from radiodosimetry.nuclides import ParticleSpectrum, Radionuclide, merged
from radiodosimetry.nuclides.chains import branchings
from radiodosimetry.nuclides.dataset import nuclide_names

lines = st.lists(st.tuples(st.floats(1e-3, 1e4), st.floats(0.0, 1e3)), min_size=1, max_size=40)


def _spectrum(pairs: list[tuple[float, float]]) -> ParticleSpectrum:
    energy, yields = np.array(pairs).T
    return ParticleSpectrum("electron", energy, yields)


@given(lines, st.integers(1, 300))
def test_rebinning_never_loses_particles_or_energy(pairs: list[tuple[float, float]], count: int) -> None:
    spectrum = _spectrum(pairs)
    coarse = spectrum.rebinned(count)
    assert coarse.particles_per_decay == pytest.approx(spectrum.particles_per_decay, rel=1e-9)
    assert coarse.energy_per_decay_kev == pytest.approx(spectrum.energy_per_decay_kev, rel=1e-9)
    assert coarse.max_energy_kev <= spectrum.max_energy_kev * (1 + 1e-9)


@given(lines, lines)
def test_merging_adds_particles_and_energy(first: list[tuple[float, float]], second: list[tuple[float, float]]) -> None:
    one, other = _spectrum(first), _spectrum(second)
    both = merged((one, other), "electron")
    assert both.energy_per_decay_kev == pytest.approx(one.energy_per_decay_kev + other.energy_per_decay_kev)
    assert (np.diff(both.energy_kev) > 0).all()


@given(st.text(max_size=12))
def test_any_text_is_a_nuclide_or_an_unknown_nuclide(text: str) -> None:
    try:
        name = Radionuclide(text).name
    except UnknownNuclideError:
        return
    assert name in nuclide_names()


@settings(deadline=None, max_examples=50)
@given(st.sampled_from(sorted(nuclide_names())))
def test_every_nuclide_is_found_by_each_spelling(name: str) -> None:
    element, mass = name.split("-")
    assert {Radionuclide(text).name for text in (name, element + mass, mass + element, mass + "-" + element)} == {name}
    assert Radionuclide(name.lower()).name == name


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(sorted(branchings())), st.floats(0.0, 1e12))
def test_activity_of_a_chain_is_never_more_than_its_decays_allow(parent: str, time_s: float) -> None:
    nuclide = Radionuclide(parent)
    ratios = nuclide.ingrowth(time_s)
    decays = nuclide.chain.integrated_ingrowth(time_s)
    assert ratios[parent] == pytest.approx(np.exp(-nuclide.decay_constant_per_s * time_s), rel=1e-6, abs=1e-300)
    assert all(float(ratio) >= 0.0 for ratio in ratios.values())
    if nuclide.excluded_progeny:
        return  # these feed members of the default chain, too, which that chain does not count
    for name, branching in nuclide.progeny:
        assert 0.0 <= float(decays[name]) * nuclide.decay_constant_per_s <= branching * (1 + 1e-9)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=200))
def test_any_spectrum_file_is_read_or_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "any.csv"
    file.write_text("particle,energy_kev,yield\n" + text, encoding="utf-8", errors="surrogatepass", newline="")
    try:
        spectra = ParticleSpectrum.from_csv(file)
    except FileFormatError:
        return
    assert spectra

"""Names, errors, emissions and chains of a radionuclide."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from radiodosimetry.cli import main
from radiodosimetry.errors import FileFormatError, InputError, MissingDependencyError, UnknownNuclideError
from radiodosimetry.nuclides import EmissionSpectrum, Radionuclide, dataset
from radiodosimetry.nuclides.beta import allowed_density
from radiodosimetry.nuclides.dataset import decay_data, nuclide_names, parsed_decay_data
from radiodosimetry.nuclides.emissions import own_emissions
from radiodosimetry.nuclides.radionuclide import MOST_FISSION_SHARE


@pytest.mark.parametrize("spelling", ["Lu-177", "177Lu", "Lu177", "lu-177", "LU 177", "177-lu", " ¹⁷⁷Lu "])
def test_a_nuclide_may_be_written_in_any_usual_way(spelling: str) -> None:
    assert Radionuclide(spelling).name == "Lu-177"


@pytest.mark.parametrize("spelling", ["Tc-99m", "99mTc", "Tc99m", "TC-99M", "99m-Tc"])
def test_an_isomer_may_be_written_in_any_usual_way(spelling: str) -> None:
    assert Radionuclide(spelling).name == "Tc-99m"


def test_mass_first_is_not_mistaken_for_an_isomer() -> None:
    assert Radionuclide("99Mo").name == "Mo-99"
    assert Radionuclide("13N").name == "N-13"


@pytest.mark.parametrize(
    ("name", "offer"), [("Lu-175", "Lu-174"), ("Lu-1777", "nearest: Lu-177"), ("Bi-209", "Bi-208"), ("Yt-90", "Y-90")]
)
def test_an_unknown_nuclide_is_refused_with_the_nearest_names(name: str, offer: str) -> None:
    with pytest.raises(UnknownNuclideError, match="is not in the decay dataset") as error:
        Radionuclide(name)
    assert offer in str(error.value)


@pytest.mark.parametrize("name", ["", "lutetium chloride", "³", "../Lu-177", "Lu-177\n.json"])
def test_what_is_no_nuclide_is_refused_with_an_example(name: str) -> None:
    with pytest.raises(UnknownNuclideError, match="is not in the decay dataset"):
        Radionuclide(name)


def test_the_dataset_is_named_with_its_version_and_shown() -> None:
    nuclide = Radionuclide("Lu-177")
    assert nuclide.dataset.startswith("ICRP-107 (icrp107-database ")
    assert repr(nuclide) == f"Radionuclide(Lu-177, half-life 6.647 d, {nuclide.dataset})"


def test_radionuclides_are_values() -> None:
    assert Radionuclide("177Lu") == Radionuclide("Lu-177")
    assert hash(Radionuclide("177Lu")) == hash(Radionuclide("Lu-177"))
    assert Radionuclide("Lu-177").emissions() is Radionuclide("177Lu").emissions()


def test_a_missing_data_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(dataset, "import_module", absent)
    dataset._folder.cache_clear()
    try:
        with pytest.raises(MissingDependencyError, match="pip install icrp107-database"):
            dataset._folder()
    finally:
        dataset._folder.cache_clear()


def _entry(**emissions: Any) -> dict[str, Any]:
    return {"half_life": 1.0, "time_unit": "h", "emissions": emissions}


def test_a_nuclide_without_emissions_is_refused() -> None:
    with pytest.raises(UnknownNuclideError, match="lists no emission of Xx-1; a dose needs at least one"):
        parsed_decay_data("Xx-1", _entry(gamma=[], alpha=[]))


@pytest.mark.parametrize(
    "entry",
    [
        {"half_life": 1.0, "time_unit": "h"},
        {"half_life": 1.0, "time_unit": "fortnight", "emissions": {}},
        _entry(gamma=[[0.1]]),
        _entry(gamma=[[0.1, -1.0]]),
        _entry(gamma=[[float("nan"), 1.0]]),
        _entry(gamma=[["a", "b"]]),
    ],
)
def test_a_damaged_entry_is_refused(entry: dict[str, Any]) -> None:
    with pytest.raises(FileFormatError, match="The entry of Xx-1 in the decay dataset is damaged"):
        parsed_decay_data("Xx-1", entry)


def test_every_nuclide_of_the_dataset_can_be_read_and_keeps_particles_and_energy() -> None:
    for name in sorted(nuclide_names()):
        emissions, lines = own_emissions(name), decay_data(name).lines
        for key, spectrum in (("beta-", emissions.beta_minus), ("beta+", emissions.beta_plus)):
            table = lines.get(key, np.zeros((0, 2)))
            assert spectrum.particles_per_decay == pytest.approx(table[:, 1].sum(), rel=1e-9)
            assert spectrum.energy_per_decay_kev == pytest.approx(table[:, 0] @ table[:, 1], rel=1e-9)
            assert spectrum.is_empty or spectrum.energy_kev.size >= 100


def test_beta_spectra_have_the_shape_of_the_dataset() -> None:
    tabulated = decay_data("Y-90").beta_density
    assert tabulated is not None
    spectrum = own_emissions("Y-90").beta_minus
    edges = np.concatenate([[0.0], 0.5 * (spectrum.energy_kev[1:] + spectrum.energy_kev[:-1])])
    density = spectrum.yield_per_decay[:-1] / np.diff(edges)
    inside = slice(2, 215)  # the linear interpolation of the table is coarse at the endpoint
    expected = np.interp(spectrum.energy_kev[:-1], tabulated[:, 0], tabulated[:, 1])
    assert density[inside] == pytest.approx(expected[inside], rel=0.02)
    assert spectrum.max_energy_kev == pytest.approx(2280.1, abs=10)


def test_both_signs_of_beta_together_are_the_tabulated_spectrum() -> None:
    tabulated = decay_data("Cu-64").beta_density
    lines = decay_data("Cu-64").lines
    assert tabulated is not None
    energy_kev = tabulated[:, 0]
    calculated = allowed_density(energy_kev, lines["beta-"], 30) + allowed_density(energy_kev, lines["beta+"], -28)
    most = energy_kev < 500
    assert calculated[most] == pytest.approx(tabulated[most, 1], rel=0.015)
    emissions = own_emissions("Cu-64")
    assert emissions.beta_minus.mean_energy_kev == pytest.approx(190.43, abs=0.01)
    assert emissions.beta_plus.mean_energy_kev == pytest.approx(278.22, abs=0.01)


def test_allowed_shape_returns_number_and_mean_energy_of_its_branches() -> None:
    energy_kev = np.linspace(0.0, 2000.0, 40001)
    density = allowed_density(energy_kev, np.array([[149.3, 0.8], [47.7, 0.2]]), 72)
    assert np.trapezoid(density, energy_kev) == pytest.approx(1.0, rel=1e-4)
    assert np.trapezoid(density * energy_kev, energy_kev) == pytest.approx(0.8 * 149.3 + 0.2 * 47.7, rel=1e-3)
    endpoint_kev = energy_kev[np.flatnonzero(density)[-1]]
    assert endpoint_kev == pytest.approx(498.3, rel=0.01)  # Lu-177


def test_annihilation_quanta_can_be_left_to_the_transport_of_positrons() -> None:
    nuclide = Radionuclide("F-18")
    assert nuclide.photon_spectrum(annihilation=False).is_empty
    assert nuclide.photon_spectrum().energy_kev.tolist() == pytest.approx([511.0])
    annihilation = nuclide.emissions().annihilation_quanta
    assert annihilation.particles_per_decay == pytest.approx(2 * nuclide.positron_spectrum().particles_per_decay)


def test_spectra_are_of_their_particles_and_add_up_to_the_energy() -> None:
    nuclide = Radionuclide("Ac-225")
    spectra = {
        "electron": nuclide.electron_spectrum(),
        "positron": nuclide.positron_spectrum(),
        "photon": nuclide.photon_spectrum(),
        "alpha": nuclide.alpha_spectrum(),
    }
    assert {particle: spectrum.particle for particle, spectrum in spectra.items()} == {p: p for p in spectra}
    energy = nuclide.energy_per_decay_kev
    assert spectra["electron"].energy_per_decay_kev == pytest.approx(energy["electrons"])
    assert spectra["photon"].energy_per_decay_kev == pytest.approx(energy["photons"])
    assert spectra["alpha"].energy_per_decay_kev == pytest.approx(energy["alphas"])
    assert spectra["alpha"].particles_per_decay == pytest.approx(4.0, abs=1e-3)


def test_progeny_can_be_left_out() -> None:
    alone = Radionuclide("Sr-90").emissions(include_progeny=False).energy_per_decay_kev
    together = Radionuclide("Sr-90").energy_per_decay_kev
    assert together["electrons"] - alone["electrons"] == pytest.approx(933.1, abs=0.05)


def test_emissions_of_a_mixture_are_weighted_sums() -> None:
    lutetium, yttrium = own_emissions("Lu-177"), own_emissions("Y-90")
    mixture = EmissionSpectrum.sum_of([(1.0, lutetium), (0.5, yttrium)])
    expected = lutetium.energy_per_decay_kev["electrons"] + 0.5 * yttrium.energy_per_decay_kev["electrons"]
    assert mixture.energy_per_decay_kev["electrons"] == pytest.approx(expected)


def test_spontaneous_fission_is_left_out_with_a_warning() -> None:
    nuclide = Radionuclide("Cf-252")
    assert any("fissions spontaneously" in warning for warning in nuclide.warnings)
    assert nuclide.emissions().beta_minus.is_empty


def test_no_dose_is_computed_of_a_nuclide_whose_fission_is_missing() -> None:
    # 3.1 % of the decays of Cf-252 fission with about 200 MeV, as much as the α particles of 6.1 MeV of the others
    californium = Radionuclide("Cf-252")
    assert californium.fission_share == pytest.approx(0.5, abs=0.02)
    with pytest.raises(InputError, match=r"lack the neutrons, fragments .* 49.* % of the energy .* at most 1 %"):
        californium.require_emissions_for_dose()
    refused = {name for name in nuclide_names() if Radionuclide(name).fission_share > MOST_FISSION_SHARE}
    assert refused == {
        "Cf-250", "Cf-252", "Cf-254", "Cm-248", "Cm-250", "Es-254m", "Es-255", "Fm-254", "Fm-256", "Fm-257", "Pu-244"
    }  # fmt: skip


@pytest.mark.parametrize("name", ["Lu-177", "Ac-225", "U-238", "Cf-249", "Cm-244"])
def test_rare_fission_does_not_keep_a_nuclide_from_use(name: str) -> None:
    Radionuclide(name).require_emissions_for_dose()


def test_a_nuclide_outside_the_branching_table_warns_that_progeny_are_unknown() -> None:
    assert Radionuclide("Cf-252").progeny == ()
    assert any("table of branchings lacks Cf-252" in warning for warning in Radionuclide("Cf-252").warnings)
    assert Radionuclide("Lu-177").warnings == ()


def test_ingrowth_of_one_progeny_is_batemans_closed_form() -> None:
    parent, child = Radionuclide("Mo-99"), Radionuclide("Tc-99m")
    times_s = np.array([[0.0, 1.0], [3600.0, 1e6]])
    slow, fast = parent.decay_constant_per_s, child.decay_constant_per_s
    expected = 0.8773 * fast / (fast - slow) * (np.exp(-slow * times_s) - np.exp(-fast * times_s))
    found = parent.ingrowth(times_s)
    assert found["Tc-99m"].shape == (2, 2)
    assert found["Tc-99m"] == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert found["Mo-99"] == pytest.approx(np.exp(-slow * times_s), rel=1e-12)


def test_ingrowth_keeps_its_digits_at_early_times_of_a_stiff_chain() -> None:
    nuclide = Radionuclide("Pb-212")
    tiny_s = 1e-3
    rates = [Radionuclide(name).decay_constant_per_s for name in ("Bi-212", "Tl-208")]
    leading = 0.3594 * rates[0] * rates[1] * tiny_s**2 / 2
    assert nuclide.ingrowth(tiny_s)["Tl-208"] == pytest.approx(leading, rel=1e-4)
    assert nuclide.ingrowth(0.0)["Po-212"] == 0.0


def test_decays_over_all_time_are_the_branching_products() -> None:
    nuclide = Radionuclide("Pb-212")
    decays = nuclide.chain.integrated_ingrowth(1000 * nuclide.half_life_s)
    for name, branching in nuclide.progeny:
        assert float(decays[name]) * nuclide.decay_constant_per_s == pytest.approx(branching, rel=1e-12)


@pytest.mark.parametrize("times_s", [-1.0, float("nan"), [0.0, float("inf")]])
def test_ingrowth_refuses_times_that_are_none(times_s: Any) -> None:
    with pytest.raises(InputError, match="must be finite and not negative"):
        Radionuclide("Mo-99").ingrowth(times_s)


def test_the_command_writes_the_nuclide_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nuclide", "177Lu", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["name"] == "Lu-177"
    assert result["half_life_s"] == pytest.approx(574300.8)
    assert result["dataset"] == Radionuclide("Lu-177").dataset
    assert result["energy_per_decay_kev"]["electrons"] == pytest.approx(147.92, abs=0.005)
    assert result["progeny"] == []


def test_the_command_lists_progeny_with_decays_per_parent_decay(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nuclide", "Pb-212", "--json"]) == 0
    progeny = {entry["name"]: entry["branching"] for entry in json.loads(capsys.readouterr().out)["progeny"]}
    assert progeny["Po-212"] == pytest.approx(0.6406)
    assert progeny["Tl-208"] == pytest.approx(0.3594)


def test_the_command_prints_a_table_and_warns_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nuclide", "At-211"]) == 0
    captured = capsys.readouterr()
    assert "half-life 7.214 h" in captured.out
    assert "Po-211" in captured.out
    assert "Bi-207 (0.418 decays per decay of At-211) is not counted" in captured.err


def test_the_command_refuses_an_unknown_nuclide_in_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nuclide", "Lu-175", "--json"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.strip().splitlines()) == 1
    assert "nearest: Lu-174" in captured.err


def test_reading_a_damaged_file_of_the_dataset_says_to_reinstall(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Lu-177.json").write_text("{", encoding="utf-8")
    monkeypatch.setattr(dataset, "_folder", lambda: tmp_path)
    decay_data.cache_clear()
    try:
        with pytest.raises(FileFormatError, match="'Lu-177.json' of .* cannot be read"):
            decay_data("Lu-177")
    finally:
        decay_data.cache_clear()

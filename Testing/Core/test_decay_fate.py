"""Daughters that leave their source: conservation, closed forms, and the dose of a chain as the sum of its members."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from radiodosimetry.errors import FileFormatError, InputError, RegionError, UnknownNuclideError
from radiodosimetry.nuclides import Radionuclide
from radiodosimetry.organ_dose.decay_fate import (
    ANYWHERE,
    EXCRETED,
    Fate,
    FateMatrix,
    chain_s_values,
    chain_transfer,
    member_residence_times_s,
    read_fates,
)
from radiodosimetry.organ_dose.s_value_table import SValueTable
from radiodosimetry.provenance import Record

ALPHA_CHAINS = ("Ac-225", "Ra-223", "Pb-212", "Bi-213")
TIMES_S = {"tumour": 3.0e5, "kidneys": 4.0e4}


def table(nuclide: str, values, stds=None, include_progeny: bool = False, names=("tumour", "kidneys")) -> SValueTable:
    values = np.asarray(values, dtype=float)
    stds = 0.1 * values if stds is None else np.asarray(stds)
    record = Record("test", {"include_progeny": include_progeny})
    return SValueTable(names, names, values, stds, nuclide, record, 0.9 * values)


def tables(parent: str) -> dict[str, SValueTable]:
    names = [parent, *(name for name, _ in Radionuclide(parent).progeny)]
    return {name: table(name, (number + 1) * np.array([[5.0, 0.1], [0.2, 3.0]])) for number, name in enumerate(names)}


@pytest.mark.parametrize("parent", ALPHA_CHAINS)
def test_in_place_every_member_decays_where_its_parent_does(parent: str) -> None:
    found = member_residence_times_s(parent, TIMES_S)
    expected = {parent: 1.0, **dict(Radionuclide(parent).progeny)}
    assert set(found) == set(expected)
    for member, decays in expected.items():
        assert found[member] == pytest.approx({name: decays * time for name, time in TIMES_S.items()})


@pytest.mark.parametrize("parent", ALPHA_CHAINS)
def test_no_decay_is_lost_wherever_the_daughters_go(parent: str) -> None:
    members = [name for name, _ in Radionuclide(parent).progeny]
    fates = [Fate(name, ANYWHERE, 0.3, "blood") for name in members[:2]]
    fates += [Fate(members[-1], "tumour", 0.25, "kidneys"), Fate(members[-1], "tumour", 0.5, EXCRETED)]
    found = member_residence_times_s(parent, TIMES_S, FateMatrix(tuple(fates)))
    for member, decays in ((parent, 1.0), *Radionuclide(parent).progeny):
        assert sum(found[member].values()) == pytest.approx(decays * sum(TIMES_S.values()), rel=1e-12)
        assert min(found[member].values()) > 0


def test_a_daughter_that_leaves_takes_its_own_daughters_along() -> None:
    """Ac-225 in closed form: 40 % of the Bi-213 born in the tumour decays in the kidneys, and all that follows it."""
    fates = FateMatrix((Fate("Bi213", "tumour", 0.4, "kidneys"),))
    found = member_residence_times_s("Ac-225", TIMES_S, fates)
    progeny = dict(Radionuclide("Ac-225").progeny)
    assert found["Fr-221"] == pytest.approx(TIMES_S)
    for member in ("Bi-213", "Po-213", "Tl-209", "Pb-209"):
        moved = 0.4 * TIMES_S["tumour"]
        assert found[member]["tumour"] == pytest.approx(progeny[member] * (TIMES_S["tumour"] - moved))
        assert found[member]["kidneys"] == pytest.approx(progeny[member] * (TIMES_S["kidneys"] + moved))


def test_moves_follow_one_another_along_the_chain() -> None:
    """Fr-221 goes to the blood (all of it), from there half of the Bi-213 to the kidneys and a third outside."""
    fates = FateMatrix(
        (
            Fate("Fr-221", "tumour", 1.0, "blood"),
            Fate("Bi-213", "blood", 0.5, "kidneys"),
            Fate("Bi-213", "blood", 1 / 3, EXCRETED),
        )
    )
    found = member_residence_times_s("Ac-225", {"tumour": 600.0}, fates)
    bismuth = dict(Radionuclide("Ac-225").progeny)["Bi-213"] * 600.0
    assert found["Ac-225"] == {"tumour": 600.0}
    assert found["At-217"] == pytest.approx({"blood": 600.0})
    assert found["Pb-209"] == pytest.approx({"blood": bismuth / 6, "kidneys": bismuth / 2, EXCRETED: bismuth / 3})


def test_a_row_of_its_own_comes_before_that_of_every_region() -> None:
    fates = FateMatrix((Fate("Tl-208", ANYWHERE, 1.0, "blood"), Fate("Tl-208", "kidneys", 0.5, EXCRETED)))
    transfer = chain_transfer("Pb-212", ["tumour", "kidneys"], fates)
    decays = dict(Radionuclide("Pb-212").progeny)["Tl-208"]
    assert transfer.regions == ("tumour", "kidneys", "blood", EXCRETED)
    expected = decays * np.array([[0, 0], [0, 0.5], [1, 0], [0, 0.5]])
    assert transfer.decays["Tl-208"] == pytest.approx(expected)
    assert transfer.members[0] == "Pb-212"


def test_the_chain_in_place_has_the_sum_of_its_members_s_values() -> None:
    members = tables("Bi-213")
    total, by_member = chain_s_values("Bi-213", members)
    expected = sum(
        decays * members[name].s_gy_per_bq_s for name, decays in (("Bi-213", 1.0), *Radionuclide("Bi-213").progeny)
    )
    assert total.s_gy_per_bq_s == pytest.approx(expected)
    assert total.alpha_gy_per_bq_s == pytest.approx(0.9 * expected)
    assert sum(part.s_gy_per_bq_s for part in by_member.values()) == pytest.approx(total.s_gy_per_bq_s)
    assert total.nuclide == "Bi-213"
    assert total.record.parameters["include_progeny"] is True


def test_dose_by_moved_s_values_is_the_sum_over_moved_residence_times() -> None:
    members = tables("Ac-225")
    fates = FateMatrix((Fate("Bi-213", "tumour", 0.4, "kidneys"), Fate("Fr-221", ANYWHERE, 0.1, EXCRETED)))
    total, _ = chain_s_values("Ac-225", members, fates)
    dose = total.s_gy_per_bq_s @ [TIMES_S[name] for name in total.sources]
    expected = np.zeros(2)
    for member, times in member_residence_times_s("Ac-225", TIMES_S, fates).items():
        for region, time_s in times.items():
            if region != EXCRETED:
                expected += time_s * members[member].s_gy_per_bq_s[:, total.sources.index(region)]
    assert dose == pytest.approx(expected, rel=1e-12)
    assert any("decay at their destination at once" in warning for warning in total.record.warnings)


def test_uncertainties_of_members_add_in_squares() -> None:
    members = {
        "Bi-212": table("Bi-212", [[4.0]], [[0.3]], names=("tumour",)),
        "Po-212": table("Po-212", [[9.0]], [[0.4]], names=("tumour",)),
        "Tl-208": table("Tl-208", [[1.0]], [[0.2]], names=("tumour",)),
    }
    total, _ = chain_s_values("Bi-212", members)
    shares = dict(Radionuclide("Bi-212").progeny)
    expected = np.sqrt(0.3**2 + (shares["Po-212"] * 0.4) ** 2 + (shares["Tl-208"] * 0.2) ** 2)
    assert total.std_gy_per_bq_s[0, 0] == pytest.approx(expected)


def test_a_file_of_fates_is_read_with_its_identity(tmp_path: Path) -> None:
    path = tmp_path / "fates.csv"
    path.write_text("# from a biodistribution\ndaughter,source,fraction,destination\n213Bi,Tumour 1,0.35,Kidneys\n"
                    "Fr-221,*,0.05,excreted\n")  # fmt: skip
    fates = read_fates(path)
    assert fates.fates == (Fate("Bi-213", "tumour_1", 0.35, "kidneys"), Fate("Fr-221", ANYWHERE, 0.05, EXCRETED))
    assert len(fates.record.inputs["fates"]["sha256"]) == 64


@pytest.mark.parametrize(
    ("row", "error", "text"),
    [
        ("Bi-213,tumour,1.2,kidneys", InputError, "fraction of Bi-213 that leaves tumour is 1.2; expected 0 to 1"),
        ("Bi-213,tumour,much,kidneys", FileFormatError, "Line 2 of the fates of daughters .*fraction is 'much'"),
        ("Bi-999,tumour,0.5,kidneys", UnknownNuclideError, "Bi-999"),
        ("Bi-213,,0.5,kidneys", RegionError, "The source of Bi-213 is ''; expected the name of a region"),
        ("Bi-213,tumour,0.5,", RegionError, "The destination of Bi-213 is ''"),
        ("Bi-213,tumour,0.6,kidneys\nBi-213,tumour,0.5,blood", InputError, "leave tumour sum to 1.1; expected at most"),
    ],
)
def test_a_file_of_wrong_fates_is_refused(tmp_path: Path, row: str, error: type[Exception], text: str) -> None:
    path = tmp_path / "fates.csv"
    path.write_text(f"daughter,source,fraction,destination\n{row}\n")
    with pytest.raises(error, match=text):
        read_fates(path)


def test_fates_outside_chain_and_regions_are_refused() -> None:
    with pytest.raises(InputError, match="Ra-223 is not a daughter that Ac-225 takes along; expected one of: Fr-221"):
        chain_transfer("Ac-225", ["tumour"], FateMatrix((Fate("Ra-223", "tumour", 0.1, "blood"),)))
    with pytest.raises(InputError, match="Ac-225 is not a daughter"):
        chain_transfer("Ac-225", ["tumour"], FateMatrix((Fate("Ac-225", "tumour", 0.1, "blood"),)))
    with pytest.raises(RegionError, match=r"leaves 'tumor', where nothing decays; expected tumour"):
        chain_transfer("Ac-225", ["tumour"], FateMatrix((Fate("Bi-213", "tumor", 0.1, "blood"),)))
    with pytest.raises(RegionError, match="There is no region with Ac-225"):
        chain_transfer("Ac-225", [])
    with pytest.raises(InputError, match="residence time of tumour is -1"):
        member_residence_times_s("Ac-225", {"tumour": -1.0})


def test_tables_that_do_not_fit_the_chain_are_refused() -> None:
    members = tables("Bi-213")
    with pytest.raises(InputError, match="needs S-values of each member; missing: Po-213"):
        chain_s_values("Bi-213", {name: part for name, part in members.items() if name != "Po-213"})
    with pytest.raises(InputError, match="hold its progeny already, which would count twice"):
        chain_s_values("Bi-213", {**members, "Bi-213": table("Bi-213", np.eye(2), include_progeny=True)})
    other = table("Po-213", np.eye(2), names=("tumour", "liver"))
    with pytest.raises(InputError, match="S-values of Po-213 have other targets or sources"):
        chain_s_values("Bi-213", {**members, "Po-213": other})
    with pytest.raises(RegionError, match="have no source blood, where daughters of Bi-213 are sent"):
        chain_s_values("Bi-213", members, FateMatrix((Fate("Po-213", "tumour", 0.1, "blood"),)))

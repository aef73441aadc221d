"""Delayed PET end to end on toy patients: trained, better than decay on patients it has not seen, bounded, marked."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from delayed_pet_samples import HOUR_S, pix2pix_settings, ratio_settings, toy_patient

pytest.importorskip("torch")

from radiodosimetry.cli import main
from radiodosimetry.delayed_pet import shipped
from radiodosimetry.delayed_pet.baselines import (
    PopulationKinetics,
    early_decayed,
    population_kinetics,
    region_activities,
)
from radiodosimetry.delayed_pet.dosimetry import dose_table, dose_table_csv, patient_dosimetry
from radiodosimetry.delayed_pet.early_scan import activity_from_suv
from radiodosimetry.delayed_pet.evaluation import DECAYED, MODEL, evaluate_on_patients
from radiodosimetry.delayed_pet.inference import NO_REGIONS_WARNING, synthesize
from radiodosimetry.delayed_pet.network_files import load_network
from radiodosimetry.delayed_pet.pairs import PatientIdentity, SerialPet, check_pair, require_pairs
from radiodosimetry.delayed_pet.training import train_on_patients
from radiodosimetry.errors import InputError, UnitError
from radiodosimetry.images.geometry import VolumeGeometry
from radiodosimetry.images.readers import read_volume
from radiodosimetry.images.regions import write_label_map
from radiodosimetry.images.resampling import total_activity
from radiodosimetry.images.volume import QuantitativeVolume
from radiodosimetry.images.writers import write_volume
from radiodosimetry.learning.model_files import load_model, read_card, save_model
from radiodosimetry.nuclides import Radionuclide
from radiodosimetry.units import Quantity

TIMES_S = (24 * HOUR_S, 48 * HOUR_S)


@pytest.fixture(scope="module")
def patients() -> list[SerialPet]:
    return [toy_patient(seed) for seed in range(12)]


@pytest.fixture(scope="module")
def unseen() -> list[SerialPet]:
    return [toy_patient(1000 + seed) for seed in range(5)]


@pytest.fixture(scope="module")
def model(patients: list[SerialPet], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_on_patients(patients, ratio_settings(), tmp_path_factory.mktemp("ratio"))


@pytest.fixture(scope="module")
def early(unseen: list[SerialPet]) -> QuantitativeVolume:
    return unseen[0].scans[HOUR_S]


def organ_errors(patient: SerialPet, array: np.ndarray, time_s: float) -> list[float]:
    assert patient.labels is not None
    wanted = region_activities(patient.scans[time_s].array_kji, patient.labels)
    found = region_activities(array, patient.labels)
    return [abs(found[name] / wanted[name] - 1.0) for name in patient.labels.names.values()]


# -- what is learned ---------------------------------------------------------------------------------------------------


def test_the_trained_network_beats_decay_on_unseen_patients(model: Path, unseen: list[SerialPet]) -> None:
    network = load_network(model)
    for index, time_s in enumerate(TIMES_S):
        found: dict[str, list[float]] = {"model": [], "decayed": []}
        voxels: dict[str, list[float]] = {"model": [], "decayed": []}
        for patient in unseen:
            scan = patient.scans[HOUR_S]
            made = synthesize(network, scan, HOUR_S, TIMES_S, "Cu-64", patient.ct).volumes[index].array_kji
            decayed = early_decayed(scan, "Cu-64", HOUR_S, time_s)
            acquired = np.asarray(patient.scans[time_s].array_kji)
            for name, array in (("model", np.asarray(made)), ("decayed", decayed)):
                found[name] += organ_errors(patient, array, time_s)
                voxels[name].append(float(np.abs(array - acquired).mean()))
        assert np.mean(found["model"]) < 0.5 * np.mean(found["decayed"])
        assert np.mean(voxels["model"]) < 0.7 * np.mean(voxels["decayed"])


def test_a_network_beats_decay_with_known_regions_too(model: Path, unseen: list[SerialPet]) -> None:
    network = load_network(model)
    errors: dict[str, list[float]] = {"decayed": [], "with regions": []}
    for patient in unseen:
        scan = patient.scans[HOUR_S]
        made = synthesize(network, scan, HOUR_S, TIMES_S, "Cu-64", patient.ct, labels=patient.labels).volumes
        for time_s, volume in zip(TIMES_S, made, strict=True):
            errors["with regions"] += organ_errors(patient, np.asarray(volume.array_kji), time_s)
            errors["decayed"] += organ_errors(patient, early_decayed(scan, "Cu-64", HOUR_S, time_s), time_s)
    assert np.mean(errors["with regions"]) < 0.5 * np.mean(errors["decayed"])


def test_regions_of_another_grid_are_refused(model: Path, unseen: list[SerialPet], early: QuantitativeVolume) -> None:
    other = toy_patient(1, shape=(16, 20, 26)).labels
    with pytest.raises(InputError, match="different grids"):
        synthesize(model, early, HOUR_S, TIMES_S, "Cu-64", unseen[0].ct, labels=other)


def test_regions_are_understood_as_people_and_segmentation_tools_spell_them(
    model: Path, unseen: list[SerialPet], early: QuantitativeVolume
) -> None:
    patient = unseen[0]
    assert patient.labels is not None
    own = synthesize(model, early, HOUR_S, TIMES_S, "Cu-64", patient.ct, labels=patient.labels)
    spelled = replace(patient.labels, names={1: "Whole body", 2: "Liver", 3: "spleen ", 4: "kidney_left"})
    found = synthesize(model, early, HOUR_S, TIMES_S, "Cu-64", patient.ct, labels=spelled)
    strange = replace(patient.labels, names={1: "Body", 2: "Liver", 3: "spleen", 4: "parathyroid"})
    other = synthesize(model, early, HOUR_S, TIMES_S, "Cu-64", patient.ct, labels=strange)
    for mine, theirs, unknown in zip(own.volumes, found.volumes, other.volumes, strict=True):
        np.testing.assert_array_equal(mine.array_kji, theirs.array_kji)
        assert not np.array_equal(mine.array_kji, unknown.array_kji)
    assert not any("knows no tissue" in text for text in found.record.warnings)
    assert "The model knows no tissue of the name of parathyroid: taken as the remainder of the body." in (
        other.record.warnings
    )


def test_what_drawn_regions_leave_out_the_network_finds(model: Path, unseen: list[SerialPet]) -> None:
    """Only the kidneys are drawn: the liver must not become a part of the remainder."""
    network = load_network(model)
    errors: dict[tuple[bool, str], list[float]] = {}
    for patient in unseen:
        assert patient.labels is not None
        only = np.where(patient.labels.array_kji == 4, 4, 0)
        kidneys = replace(patient.labels, array_kji=only, names={4: "kidneys"})
        for labels in (kidneys, None):
            made = synthesize(network, patient.scans[HOUR_S], HOUR_S, TIMES_S, "Cu-64", patient.ct, labels=labels)
            found = organ_errors(patient, np.asarray(made.volumes[1].array_kji), TIMES_S[1])
            for name, error in zip(patient.labels.names.values(), found, strict=True):
                errors.setdefault((labels is not None, name), []).append(error)
            assert any("of the body unnamed" in text for text in made.record.warnings) == (labels is not None)
    mean = {key: float(np.mean(values)) for key, values in errors.items()}
    assert mean[True, "liver"] < 1.3 * mean[False, "liver"]
    assert mean[True, "kidneys"] < 0.5 * mean[False, "kidneys"]


def test_population_kinetics_come_back_from_a_card(patients: list[SerialPet]) -> None:
    population = population_kinetics(patients, HOUR_S, TIMES_S)
    again = PopulationKinetics.from_rows(json.loads(json.dumps(population.as_rows())))
    assert again == population
    assert population.kinetics[TIMES_S[0]]["kidneys"].log_ratio == pytest.approx(-1.0, abs=0.3)


def test_the_same_seed_gives_the_same_weights(patients: list[SerialPet], tmp_path: Path) -> None:
    states = [
        load_model(train_on_patients(patients[:5], ratio_settings(epochs=1), tmp_path / name))[1] for name in "ab"
    ]
    assert all(np.array_equal(states[0][name].numpy(), states[1][name].numpy()) for name in states[0])


def test_the_published_network_trains_and_synthesises(
    patients: list[SerialPet], early: QuantitativeVolume, tmp_path: Path
) -> None:
    path = train_on_patients(patients[:3], pix2pix_settings(), tmp_path / "run")
    card = read_card(path)
    assert card.architecture["network"] == "pix2pix"
    made = synthesize(path, early, HOUR_S, [24 * HOUR_S], "Cu-64")
    assert made.volumes[0].geometry.same_grid(early.geometry)
    assert made.uncertainties == (None,)
    assert np.asarray(made.volumes[0].array_kji).min() >= 0


def test_neighbouring_slices_and_the_ct_can_be_shown(patients: list[SerialPet], tmp_path: Path) -> None:
    settings = pix2pix_settings(neighbours=1)
    settings = replace(settings, images=replace(settings.images, use_ct=True, target_hours=(24.0, 48.0)))
    path = train_on_patients(patients[:3], settings, tmp_path / "run")
    assert read_card(path).architecture["in_channels"] == 7
    made = synthesize(path, patients[0].scans[HOUR_S], HOUR_S, TIMES_S, "Cu-64", patients[0].ct)
    assert len(made.volumes) == 2


def test_an_ensemble_holds_its_members(patients: list[SerialPet], tmp_path: Path) -> None:
    path = train_on_patients(patients[:5], ratio_settings(epochs=2, members=2), tmp_path / "run")
    network = load_network(path)
    assert len(network.members) == 2
    assert path.stat().st_size < 10e6


def test_another_tracer_needs_kinetics_of_its_own_alone(
    model: Path, patients: list[SerialPet], unseen: list[SerialPet], tmp_path: Path
) -> None:
    other = [_faster(toy_patient(400 + seed)) for seed in range(6)]
    settings = ratio_settings()
    settings = replace(settings, ratio=replace(settings.ratio, tissue_model=str(model)))
    path = train_on_patients(other, settings, tmp_path / "run")
    first, second = load_model(model)[1], load_model(path)[1]
    assert all(np.array_equal(first[name].numpy(), second[name].numpy()) for name in first)
    errors: dict[Path, list[float]] = {model: [], path: []}
    for patient in map(_faster, unseen):
        for one, column in errors.items():
            made = synthesize(one, patient.scans[HOUR_S], HOUR_S, TIMES_S, "Cu-64", patient.ct).volumes
            for time_s, volume in zip(TIMES_S, made, strict=True):
                column += organ_errors(patient, np.asarray(volume.array_kji), time_s)
    assert np.mean(errors[path]) < 0.6 * np.mean(errors[model])
    sources = read_card(path).training["training_sources"]
    assert {"toy:0", "toy:400"} <= set(sources)


def _faster(patient: SerialPet) -> SerialPet:
    """The patient with a tracer of which half as much is there later."""
    scans = {
        time_s: scan if time_s == HOUR_S else scan.with_array(0.5 * np.asarray(scan.array_kji))
        for time_s, scan in patient.scans.items()
    }
    return replace(patient, scans=scans, tracer="fast toy")


def test_shipped_models_are_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped, "MODELS_FOLDER", tmp_path)
    (tmp_path / "cu64_antibody.safetensors").touch()
    assert shipped.model_named("cu64_antibody") == tmp_path / "cu64_antibody.safetensors"
    assert shipped.model_named("elsewhere.safetensors") == Path("elsewhere.safetensors")
    with pytest.raises(InputError, match=r"no model 'lu177'.*\(cu64_antibody\)"):
        shipped.model_named("lu177")


def test_the_record_says_what_was_known_and_warns_of_what_was_not(
    model: Path, unseen: list[SerialPet], early: QuantitativeVolume
) -> None:
    patient = unseen[0]
    given = synthesize(
        model, early, HOUR_S, TIMES_S, "Cu-64", patient.ct, labels=patient.labels, tracer="Toy", administered_bq=3e8
    ).record
    assert given.parameters["regions"] == ["remainder", "liver", "spleen", "kidneys"]
    assert (given.parameters["tracer"], given.parameters["model_tracer"]) == ("Toy", "toy")
    unknown = synthesize(model, early, HOUR_S, TIMES_S, "Cu-64", patient.ct).record
    assert unknown.parameters["regions"] is None
    assert [text for text in unknown.warnings if text not in given.warnings] == [
        "Which tracer was given was not stated; the model is for toy alone.",
        "The administered activity was not given; it was taken as that of the model's training patients, 300 MBq.",
        NO_REGIONS_WARNING,
    ]


# -- what comes out ----------------------------------------------------------------------------------------------------


def test_a_synthetic_volume_lies_on_the_grid_of_the_early_scan_and_says_what_it_is(
    model: Path, unseen: list[SerialPet], early: QuantitativeVolume
) -> None:
    made = synthesize(model, early, HOUR_S, TIMES_S, "Cu-64", unseen[0].ct)
    for time_s, volume, uncertainty in zip(made.times_s, made.volumes, made.uncertainties, strict=True):
        assert volume.geometry.same_grid(early.geometry)
        assert volume.quantity is Quantity.ACTIVITY_CONCENTRATION
        assert np.asarray(volume.array_kji).min() >= 0
        assert uncertainty is not None
        assert np.asarray(uncertainty.array_kji).min() >= 0
        assert volume.record.warnings[0].startswith("This volume is synthetic")
        assert volume.record.parameters["synthetic"] is True
        assert volume.record.parameters["time_s"] == time_s


def test_no_volume_holds_more_than_decay_leaves(model: Path, unseen: list[SerialPet]) -> None:
    half_life_s = Radionuclide("Cu-64").half_life_s
    for patient in unseen:
        scan = patient.scans[HOUR_S]
        made = synthesize(model, scan, HOUR_S, TIMES_S, "Cu-64", patient.ct)
        for time_s, volume in zip(made.times_s, made.volumes, strict=True):
            left = total_activity(scan) * 2.0 ** (-(time_s - HOUR_S) / half_life_s)
            assert total_activity(volume) <= left * (1 + 1e-5)


def test_twice_the_activity_gives_twice_the_activity_nearly(
    model: Path, unseen: list[SerialPet], early: QuantitativeVolume
) -> None:
    once = synthesize(model, early, HOUR_S, TIMES_S[:1], "Cu-64", unseen[0].ct).volumes[0]
    twice = synthesize(
        model, early.with_array(1.2 * np.asarray(early.array_kji)), HOUR_S, TIMES_S[:1], "Cu-64", unseen[0].ct
    ).volumes[0]
    assert total_activity(twice) / total_activity(once) == pytest.approx(1.2, rel=0.1)


def test_a_finer_grid_gives_the_same_organs(model: Path, unseen: list[SerialPet], early: QuantitativeVolume) -> None:
    finer = VolumeGeometry(
        tuple(2 * count for count in early.geometry.shape_kji),  # type: ignore[arg-type]
        (5.0, 5.0, 5.0),
        (-2.5, -2.5, -2.5),
    )
    array = np.kron(np.asarray(early.array_kji), np.ones((2, 2, 2)))
    coarse = synthesize(model, early, HOUR_S, TIMES_S[:1], "Cu-64", unseen[0].ct).volumes[0]
    fine = synthesize(model, early.__class__(array, finer, early.quantity), HOUR_S, TIMES_S[:1], "Cu-64", unseen[0].ct)
    assert total_activity(fine.volumes[0]) == pytest.approx(total_activity(coarse), rel=0.02)


def test_the_evaluation_says_how_good_the_model_is_and_keeps_training_patients_out(
    model: Path, patients: list[SerialPet], unseen: list[SerialPet]
) -> None:
    network = load_network(model)
    result, tables, pictures = evaluate_on_patients(network, unseen)
    numbers = result.as_dict()
    json.dumps(numbers)
    at = numbers["hours"]["24"]
    assert at[MODEL]["organ_error_percent"]["mean"] < at[DECAYED]["organ_error_percent"]["mean"]
    assert at[f"{MODEL} minus {DECAYED}"]["organ_error_percent"]["high_95"] < 0
    assert 0 < numbers["uncertainty"]["coverage"] <= 1
    assert numbers["kim_2025"]["ssim_headline"] == {"24": 0.8094, "48": 0.7714}
    assert set(tables) == {
        "images.csv", "organs.csv", "organ_doses.csv", "residence_times.csv", "time_activity.csv"
    }  # fmt: skip
    assert set(pictures) == {"residence_times.png", "time_activity.png"}
    assert all(picture.startswith(b"\x89PNG") for picture in pictures.values())
    assert tables["organ_doses.csv"].splitlines()[0].startswith("target,acquired_mgy_per_mbq,generated_mgy_per_mbq")
    with pytest.raises(InputError, match="split leaks"):
        evaluate_on_patients(network, patients[:1])


def test_the_chain_gives_the_same_doses_for_the_same_scans(unseen: list[SerialPet]) -> None:
    patient = unseen[0]
    assert patient.labels is not None
    once = patient_dosimetry(patient.scans, patient.labels, "Cu-64", 3e8)
    rows = dose_table([once], [once])
    assert len(rows) == 25
    assert all(row.relative_error == 0 for row in rows)
    assert "liver," in dose_table_csv(rows)
    assert set(once.residence_times_h) == {"liver", "spleen", "kidneys", "remainder_of_body"}


# -- what is refused ---------------------------------------------------------------------------------------------------


def changed(early: QuantitativeVolume, **changes: object) -> QuantitativeVolume:
    return replace(early, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"early_time_s": 4 * HOUR_S}, "expects an early scan 0.5 to 1.5 h after injection, found 4 h"),
        ({"times_s": [96 * HOUR_S]}, "23 to 25 h or 47 to 49 h after injection, not 96 h"),
        ({"nuclide": "Zr-89"}, "was trained on Cu-64 .toy., found Zr-89"),
        ({"tracer": "cu64-dotatate"}, "was trained on the tracer toy, found cu64-dotatate"),
        ({"times_s": []}, "no time to synthesise"),
        ({"times_s": [48 * HOUR_S, 24 * HOUR_S]}, "must rise"),
    ],
)
def test_a_use_outside_of_what_is_declared_is_refused(
    model: Path, early: QuantitativeVolume, options: dict[str, object], message: str
) -> None:
    given = {"early_time_s": HOUR_S, "times_s": [24 * HOUR_S], "nuclide": "Cu-64"} | options
    with pytest.raises(InputError, match=message):
        synthesize(model, early, **given)  # type: ignore[arg-type]


def test_scans_of_another_kind_are_refused(model: Path, early: QuantitativeVolume) -> None:
    array = np.asarray(early.array_kji)
    with pytest.raises(UnitError, match="expected a quantitative PET"):
        synthesize(model, changed(early, quantity=Quantity.COUNTS), HOUR_S, TIMES_S, "Cu-64")
    with pytest.raises(InputError, match="scan is empty"):
        synthesize(model, changed(early, array_kji=0 * array), HOUR_S, TIMES_S, "Cu-64")
    with pytest.raises(InputError, match="check its unit"):
        synthesize(model, changed(early, array_kji=1e3 * array), HOUR_S, TIMES_S, "Cu-64")
    small = VolumeGeometry((5, 20, 24), (10.0, 10.0, 10.0))
    with pytest.raises(InputError, match="field of view"):
        synthesize(model, QuantitativeVolume(array[:5], small, early.quantity), HOUR_S, TIMES_S, "Cu-64")
    wide = VolumeGeometry(array.shape, (30.0, 30.0, 30.0))
    with pytest.raises(InputError, match="expects voxels of 5 to 20 mm"):
        synthesize(model, QuantitativeVolume(array, wide, early.quantity), HOUR_S, TIMES_S, "Cu-64")


def test_a_model_of_another_kind_is_refused(model: Path, early: QuantitativeVolume, tmp_path: Path) -> None:
    card, state = load_model(model)
    other = save_model(tmp_path / "other", state, replace(card, kind="dblurdosenet"))
    with pytest.raises(InputError, match="is a 'dblurdosenet', expected a 'delayed-pet'"):
        synthesize(other, early, HOUR_S, TIMES_S, "Cu-64")


def test_suv_becomes_activity_where_weight_and_dose_are_known(early: QuantitativeVolume) -> None:
    suv = changed(early, quantity=Quantity.DIMENSIONLESS, array_kji=np.full(early.geometry.shape_kji, 2.0))
    half_life_s = Radionuclide("Cu-64").half_life_s
    found = activity_from_suv(suv, 80.0, 3e8, half_life_s, "Cu-64")
    assert float(np.asarray(found.array_kji)[0, 0, 0]) == pytest.approx(2.0 * 1.5e8 / 80e3)
    with pytest.raises(InputError, match="the body weight and the administered activity are not known"):
        activity_from_suv(suv, None, None, 0.0, "Cu-64")


def test_pairs_of_different_patients_are_refused(patients: list[SerialPet]) -> None:
    patient = patients[0]
    times = sorted(patient.scans)
    mine = PatientIdentity("A", "F", 60.0, 1.65)
    for other, message in (
        (PatientIdentity("B", "F", 60.0), "different patient IDs"),
        (PatientIdentity("A", "M", 60.0), "different sexes"),
        (PatientIdentity("A", "F", 95.0), "different weights"),
    ):
        mixed = replace(patient, identities={times[0]: mine, times[1]: other})
        with pytest.raises(InputError, match=message):
            require_pairs(mixed, HOUR_S, TIMES_S)


def test_pairs_of_another_matrix_or_frame_are_refused(patients: list[SerialPet]) -> None:
    early, late = (patients[0].scans[time_s] for time_s in (HOUR_S, TIMES_S[0]))
    shorter = QuantitativeVolume(
        np.asarray(late.array_kji)[1:], VolumeGeometry((15, 20, 24), (10.0, 10.0, 10.0)), late.quantity
    )
    assert "matrices or fields of view differ" in check_pair(early, shorter).problems[0]
    framed = [
        replace(scan, geometry=replace(scan.geometry, frame_of_reference_uid=uid))
        for scan, uid in ((early, "1.2.3"), (late, "1.2.4"))
    ]
    assert "different frames of reference" in check_pair(*framed).problems[0]


def test_a_shifted_pair_is_reported_with_its_shift(patients: list[SerialPet]) -> None:
    early, late = (patients[0].scans[time_s] for time_s in (HOUR_S, TIMES_S[0]))
    assert check_pair(early, late).doubts == ()
    moved = late.with_array(np.roll(np.asarray(late.array_kji), 3, axis=1))
    check = check_pair(early, moved)
    assert check.shift_mm == pytest.approx((0.0, 30.0, 0.0), abs=10.0)
    assert "30 mm beside" in check.doubts[0] or "mm beside" in check.doubts[0]


def test_patients_of_one_source_do_not_stand_on_both_sides(tmp_path: Path) -> None:
    twins = [toy_patient(seed, source=f"toy:{seed // 2}") for seed in range(8)]
    path = train_on_patients(twins, ratio_settings(epochs=1), tmp_path / "run", fold=(1, 2))
    split = read_card(path).training["split"]
    held = {f"toy:{int(name.removeprefix('toy_')) // 2}" for name in split["held_out"]}
    seen = {f"toy:{int(name.removeprefix('toy_')) // 2}" for name in (*split["training"], *split["validation"])}
    assert held.isdisjoint(seen)


# -- the command -------------------------------------------------------------------------------------------------------


def test_the_command_writes_volumes_uncertainties_and_dicom(
    model: Path, unseen: list[SerialPet], early: QuantitativeVolume, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert unseen[0].ct is not None
    write_volume(early, tmp_path / "early.nii.gz")
    write_volume(unseen[0].ct, tmp_path / "ct.nii.gz")
    output = tmp_path / "out"
    code = main(
        ["synthesize", "--model", str(model), "--early", str(tmp_path / "early.nii.gz"), "--early-time-h", "1",
         "--nuclide", "Cu-64", "--time-h", "24", "--time-h", "48", "--ct", str(tmp_path / "ct.nii.gz"),
         "--injection-time", "2024-05-31T09:00", "--dicom", "--output", str(output), "--json"]
    )  # fmt: skip
    captured = capsys.readouterr()
    assert code == 0, captured.err
    assert "synthetic" in captured.err
    assert json.loads(captured.out)["synthetic"] is True
    assert {path.name for path in output.iterdir()} == {
        "pet_24h.nii.gz", "pet_24h.nii.gz.json", "pet_24h_uncertainty.nii.gz", "pet_24h_uncertainty.nii.gz.json",
        "pet_48h.nii.gz", "pet_48h.nii.gz.json", "pet_48h_uncertainty.nii.gz", "pet_48h_uncertainty.nii.gz.json",
        "pet_24h_dicom", "pet_48h_dicom",
    }  # fmt: skip
    volume = read_volume(output / "pet_24h.nii.gz")
    assert volume.time is not None
    assert volume.time.isoformat() == "2024-06-01T09:00:00"
    assert "synthetic" in volume.record.warnings[0]
    series = read_volume(output / "pet_24h_dicom", Quantity.ACTIVITY_CONCENTRATION)
    assert total_activity(series) == pytest.approx(total_activity(volume), rel=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--unit", "Bq/mL", "--early-time-h", "5"], "expects an early scan"),
        (["--early-time-h", "1"], "does not say its unit"),
        (["--unit", "SUV", "--early-time-h", "1"], "body weight and the administered activity are not known"),
        (["--unit", "MBq/mL", "--early-time-h", "1"], "check its unit"),
    ],
)
def test_the_command_refuses_in_one_line(
    model: Path,
    early: QuantitativeVolume,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    message: str,
) -> None:
    write_volume(early, tmp_path / "early.nii.gz")
    (tmp_path / "early.nii.gz.json").unlink()
    code = main(
        ["synthesize", "--model", str(model), "--early", str(tmp_path / "early.nii.gz"), "--nuclide", "Cu-64",
         "--time-h", "24", "--output", str(tmp_path / "out"), *options]
    )  # fmt: skip
    captured = capsys.readouterr()
    assert code == 2
    assert message in captured.err
    assert not (tmp_path / "out").exists()


@pytest.fixture
def case(early: QuantitativeVolume, unseen: list[SerialPet], tmp_path: Path) -> Path:
    """Early scan, CT, labels of the organs and their names in a folder."""
    patient = unseen[0]
    assert patient.ct is not None
    assert patient.labels is not None
    write_volume(early, tmp_path / "early.nii.gz")
    write_volume(patient.ct, tmp_path / "ct.nii.gz")
    write_label_map(patient.labels, tmp_path / "labels.nii.gz", tmp_path / "labels.csv")
    return tmp_path


def command(case: Path, model: str, *more: str) -> list[str]:
    return [
        "synthesize", "--model", model, "--early", str(case / "early.nii.gz"), "--early-time-h", "1", "--nuclide",
        "Cu-64", "--time-h", "24", "--ct", str(case / "ct.nii.gz"), "--output", str(case / "out"), *more,
    ]  # fmt: skip


def test_the_command_takes_a_shipped_model_by_its_name(
    model: Path, case: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shipped, "MODELS_FOLDER", model.parent)
    assert main(command(case, "model")) == 0
    assert read_volume(case / "out" / "pet_24h.nii.gz").record.inputs["model"]["sha256"] == read_card(model).sha256
    capsys.readouterr()
    assert main(command(case, "modle")) == 2
    assert "There is no model 'modle': neither a file of this name nor one that comes" in capsys.readouterr().err


def test_the_command_takes_regions_and_their_expressions(
    model: Path, case: Path, early: QuantitativeVolume, unseen: list[SerialPet]
) -> None:
    regions = ["--labels", str(case / "labels.nii.gz"), "--label-names", str(case / "labels.csv")]
    known = ["--tracer", "TOY", "--administered-mbq", "300"]
    assert main(command(case, str(model), *regions, *known)) == 0
    found = read_volume(case / "out" / "pet_24h.nii.gz")
    patient = unseen[0]
    expected = synthesize(
        model, early, HOUR_S, TIMES_S[:1], "Cu-64", patient.ct, labels=patient.labels, administered_bq=3e8
    ).volumes[0]
    np.testing.assert_allclose(found.array_kji, expected.array_kji, rtol=1e-5)
    assert found.record.parameters["regions"] == ["remainder", "liver", "spleen", "kidneys"]
    assert main(command(case, str(model), *regions, "--region", "abdomen=liver+spleen")) == 0
    record = read_volume(case / "out" / "pet_24h.nii.gz").record
    assert record.parameters["regions"] == ["remainder", "liver", "spleen", "kidneys"]
    assert "Left out, since smaller regions cover them wholly: abdomen." in record.warnings


def test_regions_beside_the_scan_or_without_labels_are_refused(
    model: Path, case: Path, unseen: list[SerialPet], capsys: pytest.CaptureFixture[str]
) -> None:
    labels = unseen[0].labels
    assert labels is not None
    beside = replace(labels, geometry=replace(labels.geometry, origin_mm=(5000.0, 0.0, 0.0)))
    write_label_map(beside, case / "beside.nii.gz", case / "beside.csv")
    assert main(command(case, str(model), "--labels", str(case / "beside.nii.gz"))) == 2
    assert "do not overlap" in capsys.readouterr().err
    assert main(command(case, str(model), "--region", "abdomen=liver+spleen")) == 2
    assert "but no labels; give the labels too" in capsys.readouterr().err
    assert not (case / "out").exists()

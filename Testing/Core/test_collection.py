"""A user's own serial PET as a data set: what is taken, what is refused and told, and what is left behind."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from delayed_pet_samples import HOUR_S, ratio_settings, toy_patient
from dicom_samples import ct_slice, pet_slice, save_series
from radiodosimetry.cli import main
from radiodosimetry.delayed_pet.pairs import SerialPet, displacement_between, require_pairs
from radiodosimetry.delayed_pet.training import check_patients, read_patients
from radiodosimetry.errors import CancelledError, InputError, UnknownNuclideError
from radiodosimetry.images.geometry import VolumeGeometry
from radiodosimetry.images.regions import LabelMap, write_label_map
from radiodosimetry.images.resampling import total_activity
from radiodosimetry.images.volume import QuantitativeVolume
from radiodosimetry.images.writers import write_volume
from radiodosimetry.nuclides import Radionuclide
from radiodosimetry.units import Quantity
from radiodosimetry.virtual_patients.dataset import MANIFEST, read_dataset, scan_name
from radiodosimetry.workflows.collection import collect_patients

HEADER = "patient,hours,scan,ct,labels,label_names,administered_mbq,source"
HOURS = (1.0, 24.0, 48.0)
CU_64_S = f"{Radionuclide('Cu-64').half_life_s:.6g}"
SECRET = "MRN-4711"


def write_table(folder: Path, *lines: str, header: str = HEADER) -> Path:
    path = folder / "patients.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def write_files(folder: Path, patient: SerialPet, name: str) -> None:
    """The files of a toy patient: CT, labels and a scan for each hour."""
    home = folder / name
    home.mkdir()
    assert patient.ct is not None
    assert patient.labels is not None
    write_volume(patient.ct, home / "ct.nrrd")
    write_label_map(patient.labels, home / "labels.nii.gz", home / "labels.csv")
    for hours in HOURS:
        write_volume(patient.scans[hours * HOUR_S], home / f"pet{hours:g}.nii.gz")


def rows_of(name: str) -> list[str]:
    """Rows of the table for them; what holds for all scans stands in one row alone."""
    more = f"{name}/ct.nrrd,{name}/labels.nii.gz,{name}/labels.csv,300,"
    return [f"{name},{hours:g},{name}/pet{hours:g}.nii.gz,{more if hours == 24.0 else ',,,,'}" for hours in HOURS]


@pytest.fixture
def patient() -> SerialPet:
    return toy_patient(0)


@pytest.fixture
def files(tmp_path: Path, patient: SerialPet) -> Path:
    """A folder with the files of one toy patient and its table."""
    write_files(tmp_path, patient, "P01")
    write_table(tmp_path, *rows_of("P01"))
    return tmp_path


def collect(folder: Path, **options: Any) -> Any:
    return collect_patients(folder / "patients.csv", "Cu-64", "toy", folder / "out", **options)


def require_nothing_written(folder: Path) -> None:
    assert not (folder / "out").exists()
    assert not list(folder.glob(".partial*"))


def refusal(folder: Path, **options: Any) -> str:
    """What the table is refused with; nothing may be left behind."""
    with pytest.raises(InputError) as caught:
        collect(folder, **options)
    require_nothing_written(folder)
    return str(caught.value)


# What is taken


def test_collected_patients_are_what_training_and_judging_read(tmp_path: Path) -> None:
    toys = [toy_patient(seed) for seed in range(2)]
    for number, toy in enumerate(toys):
        write_files(tmp_path, toy, f"P0{number}")
    write_table(tmp_path, *rows_of("P00"), *rows_of("P01"))
    dataset = collect(tmp_path)
    assert [one.id for one in dataset.patients] == ["P00", "P01"]
    assert dataset.manifest["seed"] is None
    assert dataset.nuclide == "Cu-64"
    read = read_patients(read_dataset(tmp_path / "out"))
    assert check_patients(read, ratio_settings()) == []
    for toy, found in zip(toys, read, strict=True):
        assert found.source == found.id
        assert found.administered_bq == 3e8
        assert found.tracer == "toy"
        assert list(found.scans) == [hours * HOUR_S for hours in HOURS]
        assert found.ct is not None
        assert toy.ct is not None
        assert found.labels is not None
        assert toy.labels is not None
        np.testing.assert_array_equal(found.ct.array_kji, toy.ct.array_kji)
        np.testing.assert_array_equal(found.labels.array_kji, toy.labels.array_kji)
        assert found.labels.names == toy.labels.names
        for time_s, scan in found.scans.items():
            np.testing.assert_array_equal(scan.array_kji, toy.scans[time_s].array_kji)
    assert all(one.entry["warnings"] == [] for one in dataset.patients)


def test_a_model_learns_from_collected_patients_and_its_card_calls_them_real(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from radiodosimetry.delayed_pet.network_files import load_network
    from radiodosimetry.delayed_pet.training import VIRTUAL_LIMIT, train_on_patients

    for number in range(4):
        write_files(tmp_path, toy_patient(number), f"P0{number}")
    write_table(tmp_path, *(row for number in range(4) for row in rows_of(f"P0{number}")))
    dataset = collect(tmp_path)
    patients = read_patients(dataset)
    model = train_on_patients(patients, ratio_settings(epochs=1), tmp_path / "run", manifest=dataset.manifest)
    card = load_network(model).card
    assert card.training["data"]["virtual"] is False
    assert VIRTUAL_LIMIT not in card.limits
    assert set(card.training["training_sources"]) == {"P00", "P01", "P02", "P03"}


def test_a_model_is_judged_on_collected_patients(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from radiodosimetry.delayed_pet.evaluation import MODEL, WITH_REGIONS, evaluate_delayed_pet
    from radiodosimetry.delayed_pet.training import train_on_patients

    model = train_on_patients([toy_patient(10 + seed) for seed in range(5)], ratio_settings(epochs=1), tmp_path / "run")
    for number in range(2):
        write_files(tmp_path, toy_patient(number), f"P0{number}")
    write_table(tmp_path, *rows_of("P00"), *rows_of("P01"))
    collect(tmp_path)
    (tmp_path / "judged").mkdir()
    at = evaluate_delayed_pet(model, read_dataset(tmp_path / "out"), tmp_path / "judged").as_dict()["hours"]["24"]
    assert at[WITH_REGIONS]["organ_error_percent"]["mean"] > 0
    assert "conditional mean (oracle)" not in at, "nobody knows the truth of real patients"
    assert f"{MODEL} minus early scan decayed" in at
    assert (tmp_path / "judged" / "residence_times.csv").exists()


def test_ct_labels_and_later_scans_come_onto_the_grid_of_the_earliest(tmp_path: Path, patient: SerialPet) -> None:
    later = patient.scans[24 * HOUR_S]
    array = later.array_kji.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    fine = VolumeGeometry(array.shape, (5.0, 5.0, 5.0), (-2.5, -2.5, -2.5))  # type: ignore[arg-type]
    assert patient.ct is not None
    coarse = VolumeGeometry((16, 10, 12), (20.0, 20.0, 10.0), (5.0, 5.0, 0.0))
    ct = QuantitativeVolume(patient.ct.array_kji[:, ::2, ::2], coarse, Quantity.CT_NUMBER)
    fine_scan = QuantitativeVolume(array, fine, Quantity.ACTIVITY_CONCENTRATION)
    write_files(tmp_path, replace(patient, ct=ct, scans={**patient.scans, 24 * HOUR_S: fine_scan}), "P01")
    write_table(tmp_path, *rows_of("P01"))
    (found,) = collect(tmp_path).patients
    grid = patient.scans[HOUR_S].geometry
    assert found.geometry.same_grid(grid)
    assert found.volume("ct").geometry.same_grid(grid)
    assert total_activity(found.volume("scan_024h")) == pytest.approx(total_activity(later), rel=1e-6)


def test_a_unit_may_be_given_and_a_byte_order_mark_stand_first(files: Path, patient: SerialPet) -> None:
    for hours in HOURS:
        (files / f"P01/pet{hours:g}.nii.gz.json").unlink()
    rows = [f"P01,{hours:g},P01/pet{hours:g}.nii.gz,P01/ct.nrrd,kBq/mL" for hours in HOURS]
    table = write_table(files, *rows, header="patient,hours,scan,ct,unit")
    table.write_text(table.read_text(encoding="utf-8"), encoding="utf-8-sig")
    scan = collect(files).patients[0].volume("scan_001h")
    np.testing.assert_allclose(scan.array_kji, 1000.0 * patient.scans[HOUR_S].array_kji, rtol=1e-6)


def test_the_command_says_what_there_is(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--patients", str(files / "patients.csv"), "--nuclide", "64Cu", "--tracer", "toy"]
    assert main(["collect", *words, "--output", str(files / "new/out")]) == 0
    printed = capsys.readouterr()
    assert "1 patient with toy" in printed.out
    assert "P01: 1, 24, 48 h" in printed.out
    assert main(["collect", *words, "--output", str(files / "new/out")]) == 2
    assert "never written over" in capsys.readouterr().err


# DICOM


def pet_series(folder: Path, values: np.ndarray, **attributes: Any) -> Path:
    """A PET series of Cu-64, whole numbers times 2.5 Bq/mL, in voxels of 10 mm."""
    stored = np.round(values / values.max() * 30000).astype(np.uint16)
    given = {"RadionuclideHalfLife": CU_64_S, "RadionuclideTotalDose": "300000000", "PatientID": SECRET}
    given |= {"PatientSex": "F", "PatientWeight": "70", "PatientSize": "1.7", **attributes}
    slices = []
    for number, plane in enumerate(stored):
        one = pet_slice(number + 1, plane, 10.0 * number, **given)
        one.PixelSpacing, one.SliceThickness = ["10", "10"], "10"
        slices.append(one)
    return save_series(slices, folder)


def ct_series(folder: Path, hu: np.ndarray, **attributes: Any) -> Path:
    slices = []
    for number, plane in enumerate((hu + 1024).astype(np.uint16)):
        one = ct_slice(number + 1, plane, 10.0 * number, **({"PatientID": SECRET} | attributes))
        one.PixelSpacing, one.SliceThickness = ["10", "10"], "10"
        slices.append(one)
    return save_series(slices, folder)


NEXT_DAY = {"SeriesDate": "20240302", "AcquisitionDate": "20240302", "SeriesInstanceUID": "1.2.3.4.99"}


@pytest.fixture
def dicom(tmp_path: Path, patient: SerialPet) -> Callable[..., Path]:
    """Writes a DICOM patient, scanned on one day at 12:00 and on the next, after an injection at 11:00."""

    def write(name: str = "P01", **later: Any) -> Path:
        assert patient.ct is not None
        home = tmp_path / SECRET / name
        pet_series(home / "early", patient.scans[HOUR_S].array_kji)
        pet_series(home / "late", patient.scans[24 * HOUR_S].array_kji, **{**NEXT_DAY, **later})
        ct_series(home / "ct", patient.ct.array_kji)
        rows = [f"{name},,{SECRET}/{name}/{scan}" for scan in ("early", "late")]
        write_table(tmp_path, f"{rows[0]},{SECRET}/{name}/ct", f"{rows[1]},", header="patient,hours,scan,ct")
        return tmp_path

    return write


def test_hours_activity_and_identity_come_from_dicom_headers(dicom: Callable[..., Path]) -> None:
    folder = dicom()
    dataset = collect(folder)
    (found,) = dataset.patients
    # frames of two minutes from 12:00; the second day's header says 11:00 without a date
    assert found.scan_hours == pytest.approx((1 + 1 / 60, 25 + 1 / 60), abs=1e-5)
    (serial,) = read_patients(dataset)
    assert serial.administered_bq == 3e8
    assert sorted(serial.identities) == sorted(serial.scans)
    for identity in serial.identities.values():
        assert identity.patient_id is None
        assert (identity.sex, identity.weight_kg, identity.height_m) == ("F", 70.0, 1.7)
        assert identity.frame_of_reference_uid == "1.2.3.4.1"
    early = serial.scans[min(serial.scans)]
    # the header holds what there was at 12:00, the scan what there was in the middle of its frame
    expected = 30000 * 2.5 * 0.5 ** (60.0 / Radionuclide("Cu-64").half_life_s)
    assert float(early.array_kji.max()) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("correction", ["START", "ADMIN"])
def test_collected_scans_are_activity_at_their_time_for_whatever_reads_them(
    dicom: Callable[..., Path], tmp_path: Path, correction: str
) -> None:
    (first,) = collect(dicom(DecayCorrection=correction)).patients
    rows = [f"P01,,out/P01/{path.name},out/P01/ct.nii.gz" for name in first.names if "scan" in name
            for path in [first.path(name)]]  # fmt: skip
    again = write_table(tmp_path, *rows, header="patient,hours,scan,ct")
    (second,) = collect_patients(again, "Cu-64", "toy", tmp_path / "again").patients
    assert second.scan_hours == pytest.approx(first.scan_hours, abs=1e-5)
    for one, other in zip(first.scan_hours, second.scan_hours, strict=True):
        before, after = first.volume(scan_name("scan", one)), second.volume(scan_name("scan", other))
        np.testing.assert_allclose(after.array_kji, before.array_kji, rtol=1e-6)
    late = first.volume(scan_name("scan", first.scan_hours[1])).array_kji.max()
    half_lives = (25 * HOUR_S + 60.0 if correction == "ADMIN" else 60.0) / Radionuclide("Cu-64").half_life_s
    assert float(late) == pytest.approx(30000 * 2.5 * 0.5**half_lives, rel=1e-6)


def test_no_file_of_the_data_set_names_the_person(dicom: Callable[..., Path]) -> None:
    folder = dicom()
    collect(folder)
    texts = [path for path in (folder / "out").rglob("*") if path.suffix in (".json", ".csv")]
    assert len(texts) >= 4
    for path in texts:
        assert SECRET not in path.read_text(encoding="utf-8"), path
        assert "Test^Patient" not in path.read_text(encoding="utf-8"), path


@pytest.mark.parametrize(
    ("later", "told"),
    [
        ({"PatientID": "MRN-4712"}, "different patient IDs (MRN-4711 and MRN-4712)"),
        ({"PatientSex": "M"}, "different sexes (F and M)"),
        ({"PatientWeight": "100"}, "different weights (70 and 100 kg)"),
        ({"PatientSize": "1.3"}, "different heights (1.7 and 1.3 m)"),
        ({"RadionuclideHalfLife": "6586.2"}, "half-life of 6586.2 s, Cu-64 has"),
        ({"Radiopharmaceutical": "F-18"}, "names the nuclide 'F-18', expected Cu-64"),
        ({"FrameOfReferenceUID": "1.2.3.4.55"}, "different frames of reference; register them (--register"),
        ({"RadiopharmaceuticalStartTime": "093000"}, "counts from an injection at"),
        ({"Units": "PROPCPS"}, "counts per second in proportion to activity"),
    ],
)
def test_scans_that_do_not_belong_together_are_refused(
    dicom: Callable[..., Path], later: dict[str, str], told: str
) -> None:
    text = refusal(dicom(**later))
    assert told in text
    assert "P01" in text


def test_a_ct_of_somebody_else_is_refused(dicom: Callable[..., Path], patient: SerialPet) -> None:
    folder = dicom()
    assert patient.ct is not None
    ct_series(folder / SECRET / "P01/ct", patient.ct.array_kji, PatientID="MRN-1")
    assert "the CT are of different patients: different patient IDs (MRN-4711 and MRN-1)" in refusal(folder)


def test_one_person_under_two_names_needs_one_source(dicom: Callable[..., Path]) -> None:
    first = dicom("P01").joinpath("patients.csv").read_text().splitlines()[1:]
    folder = dicom("P02")
    lines = [*first, *(folder / "patients.csv").read_text().splitlines()[1:]]
    write_table(folder, *lines, header="patient,hours,scan,ct")
    assert "P01 and P02 have the same Patient ID (MRN-4711)" in refusal(folder)
    write_table(folder, *(f"{line},both" for line in lines), header="patient,hours,scan,ct,source")
    assert [one.source for one in collect(folder).patients] == ["both", "both"]


def test_training_refuses_a_manifest_that_joins_two_persons(dicom: Callable[..., Path]) -> None:
    folder = dicom()
    collect(folder)
    manifest = json.loads((folder / "out" / MANIFEST).read_text(encoding="utf-8"))
    identities = manifest["patients"][0]["identities"]
    early, late = sorted(identities, key=float)
    identities[late]["sex"] = "M"
    (folder / "out" / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    (found,) = read_patients(read_dataset(folder / "out"))
    with pytest.raises(InputError, match="different patients: different sexes"):
        require_pairs(found, float(early) * HOUR_S, [float(late) * HOUR_S])
    identities[late] = {"weight_kg": "heavy"}
    (folder / "out" / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(InputError, match="identities of P01 in the manifest cannot be understood"):
        read_patients(read_dataset(folder / "out"))


def test_the_table_wins_over_the_header_with_a_warning(dicom: Callable[..., Path]) -> None:
    folder = dicom()
    rows = [f"P01,{hours},{SECRET}/P01/{scan},{SECRET}/P01/ct,200" for hours, scan in ((1, "early"), (24, "late"))]
    write_table(folder, *rows, header="patient,hours,scan,ct,administered_mbq")
    (found,) = collect(folder).patients
    assert found.scan_hours == (1.0, 24.0)
    assert found.kinetics() == {"administered_bq": 2e8}
    warned = " ".join(found.entry["warnings"])
    assert "300 MBq by the header" in warned
    assert "25 h after the administration by its header, 24 h were given" in warned


# Registration


def moved(volume: QuantitativeVolume, shift_kji: Sequence[float], outside: float = 0.0) -> QuantitativeVolume:
    return volume.with_array(ndimage.shift(np.asarray(volume.array_kji), shift_kji, order=1, cval=outside))


def amid_air(volume: QuantitativeVolume, outside: float = 0.0) -> QuantitativeVolume:
    """Five voxels more on every side."""
    array = np.pad(volume.array_kji, 5, constant_values=outside)
    return replace(volume, array_kji=array, geometry=VolumeGeometry(array.shape, volume.geometry.spacing_mm))


@pytest.fixture
def shifted(tmp_path: Path) -> tuple[Path, SerialPet]:
    """A toy patient amid air who lay 20 mm further along x and 30 mm along z at 24 h, with a CT of that session."""
    toy = toy_patient(3)
    assert toy.ct is not None
    assert toy.labels is not None
    scans = {time_s: amid_air(scan) for time_s, scan in toy.scans.items()}
    names, grid = toy.labels.names, scans[HOUR_S].geometry
    labels = LabelMap(np.pad(toy.labels.array_kji, 5), grid, names)
    patient = replace(toy, ct=amid_air(toy.ct, -1000.0), labels=labels, scans=scans)
    assert patient.ct is not None
    shift, later = (3.0, 0.0, 2.0), scans[24 * HOUR_S]
    write_files(tmp_path, replace(patient, scans={**patient.scans, 24 * HOUR_S: moved(later, shift)}), "P01")
    write_volume(moved(patient.ct, shift, -1000.0), tmp_path / "P01/ct24.nrrd")
    write_table(tmp_path, *rows_of("P01"))
    return tmp_path, patient


def test_a_displaced_scan_is_a_warning_on_the_terminal_and_in_the_manifest(
    shifted: tuple[Path, SerialPet], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = shifted
    words = ["--patients", str(folder / "patients.csv"), "--nuclide", "Cu-64", "--tracer", "toy"]
    assert main(["collect", *words, "--output", str(folder / "out")]) == 0
    warning = "P01, 24 h: the delayed scan lies 36 mm beside the early one."
    assert warning in capsys.readouterr().err
    assert warning in read_dataset(folder / "out").patients[0].entry["warnings"]


@pytest.mark.parametrize("session_ct", [False, True])
def test_registration_brings_a_displaced_scan_back(shifted: tuple[Path, SerialPet], session_ct: bool) -> None:
    folder, patient = shifted
    cts = ("P01/ct.nrrd", "P01/ct24.nrrd" if session_ct else "", "")
    rows = [f"P01,{hours:g},P01/pet{hours:g}.nii.gz,{ct}" for hours, ct in zip(HOURS, cts, strict=True)]
    write_table(folder, *rows, header="patient,hours,scan,ct")
    (found,) = collect(folder, register=True).patients
    true, early = patient.scans[24 * HOUR_S], found.volume("scan_001h")
    later = found.volume("scan_024h")
    assert displacement_between(early, later)[0] == (0.0, 0.0, 0.0)
    centres = [ndimage.center_of_mass(np.asarray(scan.array_kji)) for scan in (true, later)]
    # a fifth of a voxel of 10 mm
    np.testing.assert_allclose(centres[1], centres[0], atol=0.2)
    assert not [text for text in found.entry["warnings"] if "beside the early one" in text]
    parameters = later.record.parameters
    assert parameters["registration"]["quality"]["mean_displacement_mm"] == pytest.approx(36.06, abs=2.0)
    assert parameters["registered_by"].startswith("CT to CT" if session_ct else "PET to PET")
    as_it_lay = found.volume("scan_048h")
    assert "left as it lay" in as_it_lay.record.parameters["registered_by"]
    np.testing.assert_array_equal(as_it_lay.array_kji, patient.scans[48 * HOUR_S].array_kji)


def test_registration_joins_frames_of_reference(dicom: Callable[..., Path]) -> None:
    folder = dicom(FrameOfReferenceUID="1.2.3.4.55")
    dataset = collect(folder, register=True)
    (found,) = dataset.patients
    scans = [found.volume(name) for name in found.names if name.startswith("scan")]
    assert {scan.geometry.frame_of_reference_uid for scan in scans} == {"1.2.3.4.1"}
    (serial,) = read_patients(dataset)
    assert require_pairs(serial, min(serial.scans), [max(serial.scans)]) == []


def test_several_cts_are_for_registration_alone(shifted: tuple[Path, SerialPet]) -> None:
    folder, _ = shifted
    rows = [f"P01,{hours:g},P01/pet{hours:g}.nii.gz,P01/ct{'24' if hours == 24 else ''}.nrrd" for hours in HOURS]
    write_table(folder, *rows, header="patient,hours,scan,ct")
    assert "expected one, or register the scans (--register)" in refusal(folder)


# What is refused


def test_every_problem_of_every_patient_is_told_at_once(dicom: Callable[..., Path], patient: SerialPet) -> None:
    folder = dicom(PatientSex="M")
    write_files(folder, patient, "P02")
    empty = patient.scans[24 * HOUR_S].with_array(np.zeros(patient.scans[HOUR_S].geometry.shape_kji))
    write_volume(empty, folder / "P02/pet24.nii.gz")
    lines = (folder / "patients.csv").read_text().splitlines()[1:]
    more = [f"P02,{hours:g},P02/pet{hours:g}.nii.gz,P02/ct.nrrd" for hours in HOURS]
    write_table(folder, *lines, *more, header="patient,hours,scan,ct")
    text = refusal(folder)
    assert text.startswith("2 things must be put right, nothing was written: (1) P01: ")
    assert "different sexes" in text
    assert "P02, the scan at 24 h: the scan is empty" in text


def changed(line: int, **fields: str) -> Callable[[Path], None]:
    """Changes fields of a row of the table."""

    def change(folder: Path) -> None:
        names, rows = HEADER.split(","), [row.split(",") for row in rows_of("P01")]
        for name, value in fields.items():
            rows[line][names.index(name)] = value
        write_table(folder, *map(",".join, rows))

    return change


def without_column(folder: Path) -> None:
    write_table(folder, "P01,P01/pet1.nii.gz", header="patient,scan")


def with_unit(unit: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        rows = [f"P01,{hours:g},P01/pet{hours:g}.nii.gz,P01/ct.nrrd,{unit}" for hours in HOURS]
        write_table(folder, *rows, header="patient,hours,scan,ct,unit")

    return change


def text_table(content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / "patients.csv").write_bytes(content) and None


def counts(folder: Path) -> None:
    write_volume(
        QuantitativeVolume(np.ones((16, 20, 24)), VolumeGeometry((16, 20, 24), (10, 10, 10)), Quantity.COUNTS),
        folder / "P01/pet24.nii.gz",
    )


def no_ct(folder: Path) -> None:
    write_table(folder, *(f"P01,{hours:g},P01/pet{hours:g}.nii.gz" for hours in HOURS), header="patient,hours,scan")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (without_column, "lacks the columns hours: found patient,scan"),
        (lambda folder: write_table(folder, "a", header="patient,hours,scan,lables"), "did you mean 'labels'?"),
        (lambda folder: write_table(folder, "a", header="patient,hours,scan,zzz"), "expected some of patient, hours"),
        (lambda folder: write_table(folder, "a", header="patient,hours,scan,scan"), "column 'scan' twice"),
        (text_table(b"patient;hours;scan\nP01;1;a.nii\n"), "separated by semicolons (found 'patient;hours;scan')"),
        (text_table("patient,hours,scan\nMüller,1,a".encode("latin-1")), "cannot be read"),
        (text_table(b""), "is empty"),
        (text_table(b"patient,hours,scan\n"), "has a header and no row"),
        (changed(1, scan="P01/none.nii.gz"), "Line 3 of the patients 'patients.csv': the scan"),
        (changed(1, scan=""), "Line 3 of the patients 'patients.csv': the scan is missing"),
        (changed(1, scan="P01/pet1.nii.gz"), "stands in line 2 of the patients 'patients.csv' already"),
        (changed(1, hours="soon"), "Line 3 of the patients 'patients.csv': hours is 'soon', expected a number"),
        (changed(1, hours="-3"), "hours is '-3', expected a number of at least 0"),
        (changed(1, hours="nan"), "hours is 'nan'"),
        (changed(1, hours="1"), "A time of the scans of P01 comes twice (found 1, 1, 48 h)"),
        (changed(1, hours="72"), "of the scans of P01"),
        (changed(1, hours=""), "P01, the scan of line 3"),
        (changed(0, patient="../P02"), "since it names a folder"),
        (changed(0, patient="p01"), "differ in capitals alone"),
        (changed(0, patient="P02"), "P02 has one scan; expected an early one and at least one later"),
        (changed(0, source="A"), None),
        (changed(0, administered_mbq="299"), "the column administered_mbq holds 299 and 300"),
        (changed(1, administered_mbq="0"), "administered_mbq is 0, expected a number above zero"),
        (changed(1, administered_mbq="much"), "administered_mbq is 'much'"),
        (changed(1, labels=""), "label_names are given without labels"),
        (changed(0, labels="P01/ct.nrrd"), "the column labels holds P01/ct.nrrd and P01/labels.nii.gz"),
        (changed(1, ct="P01/pet24.nii.gz"), "ct_number is needed here"),
        (no_ct, "P01 has no CT; a data set keeps one for every patient"),
        (with_unit("SUV"), "multiply it by the activity left at the scan"),
        (with_unit("g/mL"), "the scan is in SUV"),
        (with_unit("counts"), "Unit 'counts' is not a unit of activity_concentration"),
        (counts, "holds counts according to pet24.nii.gz.json"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(
    files: Path, change: Callable[[Path], object], told: str | None
) -> None:
    change(files)
    if told is None:
        assert collect(files).patients[0].source == "A"
    else:
        assert told in refusal(files)


def test_contradicting_sources_of_a_patient_are_refused(files: Path) -> None:
    rows = [f"{row}{source}" for row, source in zip(rows_of("P01"), "AAB", strict=True)]
    write_table(files, *rows)
    assert "P01: the column source holds A and B" in refusal(files)


def test_scans_minutes_apart_are_refused(files: Path) -> None:
    for line, hours in ((0, "1.51"), (1, "1.53")):
        rows = [row.split(",") for row in (files / "patients.csv").read_text().splitlines()[1:]]
        rows[line][1] = hours
        write_table(files, *map(",".join, rows))
    assert "less than six minutes apart (found 1.51, 1.53, 48 h)" in refusal(files)


def test_nuclide_and_tracer_must_be_known_and_agree(files: Path) -> None:
    table, out = files / "patients.csv", files / "out"
    with pytest.raises(UnknownNuclideError, match="Cu-999"):
        collect_patients(table, "Cu-999", "toy", out)
    with pytest.raises(InputError, match="carries Lu-177, not Cu-64"):
        collect_patients(table, "Cu-64", "lu177-psma-617", out)
    with pytest.raises(InputError, match="tracer has no name"):
        collect_patients(table, "Cu-64", " ", out)
    require_nothing_written(files)


def test_what_stands_in_the_output_folder_is_never_written_over(files: Path) -> None:
    (files / "out").mkdir()
    assert len(collect(files).patients) == 1
    before = (files / "out" / MANIFEST).read_bytes()
    with pytest.raises(InputError, match="holds P01, manifest.json; patients are never written over"):
        collect(files)
    assert (files / "out" / MANIFEST).read_bytes() == before
    with pytest.raises(InputError, match="is a file; give a folder"):
        collect_patients(files / "patients.csv", "Cu-64", "toy", files / "patients.csv")


def test_nothing_is_left_after_a_cancel_or_a_crash(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Impatient:
        def report(self, fraction: float, message: str) -> None:
            self.late = message.startswith("writing")

        def cancelled(self) -> bool:
            return getattr(self, "late", False)

    with pytest.raises(CancelledError):
        collect(files, progress=Impatient())
    require_nothing_written(files)

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("radiodosimetry.workflows.collection.write_manifest", interrupted)
    with pytest.raises(KeyboardInterrupt):
        collect_patients(files / "patients.csv", "Cu-64", "toy", files / "new" / "out")
    require_nothing_written(files)
    assert not (files / "new").exists()

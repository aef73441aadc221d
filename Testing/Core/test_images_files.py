"""Images on disk: round trips, sidecars, outputs that are complete or absent, and files that cannot be used."""

from __future__ import annotations

import gzip
import json
import os
import signal
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from radiodosimetry.errors import FileFormatError, InputError, OutputError, UnitError
from radiodosimetry.images import (
    OutputTransaction,
    QuantitativeVolume,
    VolumeGeometry,
    check_writable,
    read_volume,
    write_atomically,
    write_text_atomically,
    write_volume,
)
from radiodosimetry.images.writers import WRITABLE_SUFFIXES
from radiodosimetry.provenance import Record
from radiodosimetry.units import Quantity

OBLIQUE = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, -1.0]])


def a_dose(rng: np.random.Generator) -> QuantitativeVolume:
    geometry = VolumeGeometry((4, 5, 6), (1.5, 2.0, 3.0), (-10.0, 20.0, 30.5), OBLIQUE, "1.2.3")
    record = Record("voxel dose", parameters={"alpha": 1.5}, inputs={"ct": {"uid": "1.9"}}, warnings=("mind",), seed=7)
    return QuantitativeVolume(
        rng.random(geometry.shape_kji), geometry, Quantity.ABSORBED_DOSE, datetime(2024, 5, 31, 14, tzinfo=UTC), record
    )


def names_in(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


@pytest.mark.parametrize("suffix", WRITABLE_SUFFIXES)
def test_a_volume_survives_the_round_trip_through_a_file(tmp_path: Path, rng: np.random.Generator, suffix: str) -> None:
    dose = a_dose(rng)
    path = tmp_path / f"dose{suffix}"
    write_volume(dose, path)
    back = read_volume(path)
    np.testing.assert_array_equal(back.array_kji, dose.array_kji.astype(np.float32))
    assert back.geometry.same_grid(dose.geometry)
    assert back.geometry.frame_of_reference_uid == "1.2.3"
    assert (back.quantity, back.unit, back.time) == (dose.quantity, "Gy", dose.time)
    assert back.record.parameters == {"alpha": 1.5}
    assert (back.record.seed, back.record.warnings, back.record.created) == (7, ("mind",), dose.record.created)
    assert back.record.inputs["ct"] == {"uid": "1.9"}
    assert back.record.inputs["file"]["path"] == path.name
    assert len(back.record.inputs["file"]["sha256"]) == 64
    assert names_in(tmp_path) == [path.name, f"{path.name}.json"]


def test_the_sidecar_says_quantity_unit_time_and_the_record_at_its_top_level(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    write_volume(a_dose(rng), tmp_path / "dose.nrrd")
    values = json.loads((tmp_path / "dose.nrrd.json").read_text(encoding="utf-8"))
    assert values["quantity"] == "absorbed_dose"
    assert values["unit"] == "Gy"
    assert values["time"] == "2024-05-31T14:00:00+00:00"
    assert values["stored_type"] == "float32"
    assert {"operation", "version", "created", "datasets", "parameters", "seed", "device", "inputs"} <= set(values)


@pytest.mark.parametrize(
    ("given", "stored"), [(bool, "uint8"), (np.uint8, "uint8"), (np.int64, "int32"), (np.int16, "int16")]
)
def test_whole_numbers_keep_their_type(tmp_path: Path, given: type, stored: str) -> None:
    array = (np.arange(24).reshape(2, 3, 4) % 2).astype(given)
    write_volume(QuantitativeVolume(array, VolumeGeometry((2, 3, 4), (1, 1, 1)), Quantity.LABEL), tmp_path / "l.nii.gz")
    back = read_volume(tmp_path / "l.nii.gz")
    assert str(back.array_kji.dtype) == stored
    np.testing.assert_array_equal(back.array_kji, array)


def test_the_unit_given_converts_to_the_core_unit(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(np.full((2, 2, 2), 3.0, np.float32)), str(tmp_path / "a.nii"))
    volume = read_volume(tmp_path / "a.nii", Quantity.ACTIVITY_CONCENTRATION, "kBq/mL")
    assert volume.array_kji.max() == 3000.0


def test_an_image_without_sidecar_needs_quantity_and_unit(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(np.ones((2, 2, 2), np.float32)), str(tmp_path / "a.nrrd"))
    with pytest.raises(UnitError, match=r"no sidecar a\.nrrd\.json\. Give its quantity and unit"):
        read_volume(tmp_path / "a.nrrd")
    with pytest.raises(UnitError, match="Give the unit of its activity_concentration, for example 'Bq/mL'"):
        read_volume(tmp_path / "a.nrrd", Quantity.ACTIVITY_CONCENTRATION)
    assert read_volume(tmp_path / "a.nrrd", Quantity.CT_NUMBER).unit == "HU"


def test_arguments_that_contradict_the_sidecar_are_refused(tmp_path: Path, rng: np.random.Generator) -> None:
    path = tmp_path / "dose.nrrd"
    write_volume(a_dose(rng), path)
    assert read_volume(path, Quantity.ABSORBED_DOSE, "Gy").unit == "Gy"
    with pytest.raises(UnitError, match="holds absorbed_dose according to dose.nrrd.json, but ct_number is needed"):
        read_volume(path, Quantity.CT_NUMBER)
    with pytest.raises(UnitError, match="is in 'Gy' according to dose.nrrd.json, but the unit 'mGy' was given"):
        read_volume(path, Quantity.ABSORBED_DOSE, "mGy")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "cannot be read"),
        ("[1]", "must hold a JSON object, found list"),
        ('{"quantity": 1, "unit": "Gy"}', "must name its quantity as text, found 1"),
        ('{"quantity": "absorbed_dose"}', "must name its unit as text, found None"),
        ('{"quantity": "dose", "unit": "Gy"}', "Quantity 'dose' is unknown"),
        ('{"quantity": "absorbed_dose", "unit": "HU"}', "Unit 'HU' is not a unit of absorbed_dose"),
        ('{"quantity": "absorbed_dose", "unit": "Gy", "time": "noon"}', "must be ISO 8601"),
        ('{"quantity": "absorbed_dose", "unit": "Gy", "operation": "x", "inputs": 3}', "inputs must be a JSON object"),
        ("[" * 100_000, "cannot be read"),
    ],
)
def test_a_corrupt_sidecar_is_refused_by_name(
    tmp_path: Path, rng: np.random.Generator, text: str, complaint: str
) -> None:
    write_volume(a_dose(rng), tmp_path / "dose.nrrd")
    (tmp_path / "dose.nrrd.json").write_text(text, encoding="utf-8")
    with pytest.raises(FileFormatError, match=complaint) as caught:
        read_volume(tmp_path / "dose.nrrd")
    assert "dose.nrrd.json" in str(caught.value)


def test_a_sidecar_written_by_hand_needs_quantity_and_unit_only(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(np.ones((2, 2, 2), np.float32)), str(tmp_path / "a.mha"))
    (tmp_path / "a.mha.json").write_text(
        '\ufeff{"quantity": "time_integrated_activity_concentration", "unit": "MBq h/mL"}', encoding="utf-8"
    )
    assert read_volume(tmp_path / "a.mha").array_kji.max() == pytest.approx(3.6e9)


@pytest.mark.parametrize("name", ["none.nii.gz", "none.nrrd", "none.dcm", "none"])
def test_a_missing_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileFormatError, match="does not exist"):
        read_volume(tmp_path / name, Quantity.CT_NUMBER)


@pytest.mark.parametrize("suffix", WRITABLE_SUFFIXES)
def test_an_empty_file_is_refused(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"a{suffix}").touch()
    with pytest.raises(FileFormatError, match="is empty"):
        read_volume(tmp_path / f"a{suffix}", Quantity.CT_NUMBER)


@pytest.mark.parametrize("suffix", WRITABLE_SUFFIXES)
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.95])
def test_a_truncated_file_is_refused(
    tmp_path: Path, rng: np.random.Generator, suffix: str, kept: float, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"dose{suffix}"
    write_volume(a_dose(rng), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(FileFormatError, match=r"truncated|damaged") as caught:
        read_volume(path)
    assert path.name in str(caught.value)
    assert capfd.readouterr().err == ""


def test_a_header_that_claims_more_than_the_file_holds_is_refused_before_memory_is_asked(tmp_path: Path) -> None:
    header = "NRRD0004\ntype: float\ndimension: 3\nsizes: {0} {0} {0}\nencoding: gzip\nendian: little\n\nxxxx"
    path = tmp_path / "big.nrrd"
    path.write_text(header.format(1_000_000))
    with pytest.raises(FileFormatError, match=r"claims 1e\+18 voxels, at most"):
        read_volume(path, Quantity.CT_NUMBER)
    path.write_text(header.format(1000))
    with pytest.raises(FileFormatError, match=r"claims 1e\+09 voxels, more than its \d+ bytes can hold"):
        read_volume(path, Quantity.CT_NUMBER)


def test_other_dimensions_are_refused_with_what_was_found(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(np.ones((3, 4), np.float32)), str(tmp_path / "two.nrrd"))
    series = sitk.GetImageFromArray(np.ones((2, 3, 4, 5), np.float32), isVector=False)
    sitk.WriteImage(series, str(tmp_path / "four.nii.gz"))
    vectors = sitk.GetImageFromArray(np.ones((2, 3, 4, 3), np.float32), isVector=True)
    sitk.WriteImage(vectors, str(tmp_path / "vector.mha"))
    with pytest.raises(FileFormatError, match="has 2 axes of 4 × 3 voxels; expected a volume of three"):
        read_volume(tmp_path / "two.nrrd", Quantity.CT_NUMBER)
    with pytest.raises(FileFormatError, match="has 4 axes"):
        read_volume(tmp_path / "four.nii.gz", Quantity.CT_NUMBER)
    with pytest.raises(FileFormatError, match="holds 3 numbers per voxel; expected one"):
        read_volume(tmp_path / "vector.mha", Quantity.CT_NUMBER)


@pytest.mark.parametrize("suffix", WRITABLE_SUFFIXES)
def test_nan_is_refused_with_the_name_of_the_file(tmp_path: Path, suffix: str) -> None:
    array = np.ones((2, 2, 2), np.float32)
    array[0, 0, 0] = np.nan
    sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / f"a{suffix}"))
    with pytest.raises(FileFormatError, match=rf"a\{suffix} cannot be used: 1 of 8 voxels .*NaN or infinite"):
        read_volume(tmp_path / f"a{suffix}", Quantity.CT_NUMBER)


def test_sheared_axes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "sheared.nrrd"
    path.write_bytes(
        b"NRRD0004\ntype: uint8\ndimension: 3\nspace: left-posterior-superior\nsizes: 2 2 2\n"
        b"space directions: (1,0,0) (0.5,1,0) (0,0,1)\nkinds: domain domain domain\nencoding: raw\n"
        b"space origin: (0,0,0)\n\n" + bytes(8)
    )
    with pytest.raises(FileFormatError, match="orthonormal"):
        read_volume(path, Quantity.CT_NUMBER)


@pytest.mark.parametrize("suffix", [".mhd", ".nhdr"])
def test_a_header_with_its_data_in_a_second_file_is_read(tmp_path: Path, suffix: str) -> None:
    array = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / f"a{suffix}"))
    np.testing.assert_array_equal(read_volume(tmp_path / f"a{suffix}", Quantity.CT_NUMBER).array_kji, array)
    data = next(entry for entry in tmp_path.iterdir() if entry.suffix != suffix)
    data.unlink()
    with pytest.raises(FileFormatError, match=rf"a\{suffix}"):
        read_volume(tmp_path / f"a{suffix}", Quantity.CT_NUMBER)


@pytest.mark.parametrize(
    ("axes", "sizes", "data", "complaint"),
    [
        ("-3", "4 3 2", "LOCAL", "is damaged: -3 axes of 4 3 2 voxels"),
        ("3", "4 3", "LOCAL", "is damaged: 3 axes of 4 3 voxels"),
        ("3", "4 3 x", "LOCAL", "is damaged: invalid literal"),
        ("3", "4 3 2", "LIST", "expected one file in the same folder"),
        ("3", "4 3 2", "/other/a.raw", "expected one file in the same folder"),
    ],
)
def test_a_metaimage_header_that_would_bring_the_program_down_is_refused(
    tmp_path: Path, axes: str, sizes: str, data: str, complaint: str
) -> None:
    header = (
        f"ObjectType = Image\nNDims = {axes}\nDimSize = {sizes}\nElementType = MET_CHAR\nElementDataFile = {data}\n"
    )
    (tmp_path / "a.mha").write_bytes(header.encode() + bytes(24))
    with pytest.raises(FileFormatError, match=complaint):
        read_volume(tmp_path / "a.mha", Quantity.CT_NUMBER)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello")
    (tmp_path / "a.nii").write_text("hello " * 100)
    with pytest.raises(FileFormatError, match="neither DICOM nor one of the known image files"):
        read_volume(tmp_path / "a.txt", Quantity.CT_NUMBER)
    with pytest.raises(FileFormatError, match="is not a NIfTI file"):
        read_volume(tmp_path / "a.nii", Quantity.CT_NUMBER)


def test_a_damaged_check_sum_is_refused(tmp_path: Path, rng: np.random.Generator) -> None:
    path = tmp_path / "dose.nii.gz"
    write_volume(a_dose(rng), path)
    content = bytearray(path.read_bytes())
    content[-6] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(FileFormatError, match="damaged or truncated"):
        read_volume(path)


def test_a_nifti_file_in_several_gzip_members_is_read(tmp_path: Path, rng: np.random.Generator) -> None:
    write_volume(a_dose(rng), tmp_path / "a.nii")
    content = (tmp_path / "a.nii").read_bytes()
    (tmp_path / "b.nii.gz").write_bytes(gzip.compress(content[:500]) + gzip.compress(content[500:]))
    assert read_volume(tmp_path / "b.nii.gz", Quantity.ABSORBED_DOSE, "Gy").geometry.voxel_count == 120


def test_dicom_options_are_refused_for_other_files(tmp_path: Path, rng: np.random.Generator) -> None:
    write_volume(a_dose(rng), tmp_path / "dose.nrrd")
    with pytest.raises(InputError, match="options calibration are for DICOM input"):
        read_volume(tmp_path / "dose.nrrd", calibration=3.0)
    assert read_volume(tmp_path / "dose.nrrd", calibration=None).unit == "Gy"


def test_a_name_without_a_known_suffix_is_not_written(tmp_path: Path, rng: np.random.Generator) -> None:
    with pytest.raises(InputError, match=r"expected a name in \.nrrd"):
        write_volume(a_dose(rng), tmp_path / "dose.tif")
    assert names_in(tmp_path) == []


def test_a_value_beyond_float32_is_not_written(tmp_path: Path) -> None:
    volume = QuantitativeVolume(np.full((1, 1, 1), 1e300), VolumeGeometry((1, 1, 1), (1, 1, 1)), Quantity.ABSORBED_DOSE)
    with pytest.raises(InputError, match="beyond what a float32 file can hold"):
        write_volume(volume, tmp_path / "dose.nrrd")
    assert names_in(tmp_path) == []


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="file size limits stand in for a full disk")
@pytest.mark.parametrize("suffix", WRITABLE_SUFFIXES)
def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, rng: np.random.Generator, suffix: str) -> None:
    import resource

    geometry = VolumeGeometry((20, 30, 40), (1, 1, 1))
    volume = QuantitativeVolume(rng.random(geometry.shape_kji), geometry, Quantity.ABSORBED_DOSE)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(OutputError, match="disk may be full; nothing was left behind|disk may be full or"):
            write_volume(volume, tmp_path / f"dose{suffix}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert names_in(tmp_path) == []


def test_a_missing_output_folder_is_refused_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="the folder .* does not exist; create it first"):
        OutputTransaction(tmp_path / "none" / "dose.nrrd")
    with pytest.raises(OutputError, match="it is a folder; give the name of a file"):
        check_writable(tmp_path)
    with pytest.raises(OutputError, match="Cannot write"):
        check_writable(tmp_path / ("x" * 300))
    with pytest.raises(InputError, match="Two outputs would be written to"):
        OutputTransaction(tmp_path / "a.csv", tmp_path / "." / "a.csv")
    assert names_in(tmp_path) == []


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="permissions do not bind the superuser")
def test_a_folder_closed_to_writing_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OutputError, match="permission denied"):
            check_writable(tmp_path / "a.csv")
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_interrupted_transaction_leaves_the_old_files_and_nothing_else(
    tmp_path: Path, error: type[BaseException]
) -> None:
    write_text_atomically(tmp_path / "a.csv", "old")
    transaction = OutputTransaction(tmp_path / "a.csv", tmp_path / "b.csv")
    transaction.write_text(tmp_path / "a.csv", "new")

    def interrupted() -> None:
        with transaction:
            transaction.path_for(tmp_path / "b.csv").write_text("half")
            raise error

    with pytest.raises(error):
        interrupted()
    assert names_in(tmp_path) == ["a.csv"]
    assert (tmp_path / "a.csv").read_text() == "old"


def test_all_files_of_a_transaction_appear_at_its_end(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("old")
    with OutputTransaction() as transaction:
        transaction.write_text(tmp_path / "a.csv", "new")
        transaction.path_for(tmp_path / "b.nii.gz").write_bytes(b"12")
        assert (tmp_path / "a.csv").read_text() == "old"
        assert not (tmp_path / "b.nii.gz").exists()
    assert names_in(tmp_path) == ["a.csv", "b.nii.gz"]
    assert (tmp_path / "a.csv").read_text() == "new"


@pytest.mark.parametrize("error", [OSError("no"), KeyboardInterrupt()])
def test_a_rename_that_fails_takes_back_those_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    (tmp_path / "a.csv").write_text("old")
    true_replace = os.replace

    def replace_but_c(source: Path, target: Path) -> None:
        if Path(target).name == "c.csv":
            raise error
        true_replace(source, target)

    monkeypatch.setattr(os, "replace", replace_but_c)
    transaction = OutputTransaction()
    for name in ("a.csv", "b.csv", "c.csv"):
        transaction.write_text(tmp_path / name, "new")
    with pytest.raises(OutputError if isinstance(error, OSError) else KeyboardInterrupt):
        transaction.commit()
    assert names_in(tmp_path) == ["a.csv"]
    assert (tmp_path / "a.csv").read_text() == "old"


def test_a_system_error_while_writing_becomes_an_output_error(tmp_path: Path) -> None:
    def without_space() -> None:
        with write_atomically(tmp_path / "a.csv") as temporary:
            temporary.write_text("half")
            raise OSError(28, "No space left")

    with pytest.raises(OutputError, match=r"Could not write .*a\.csv: no space left; nothing was left behind"):
        without_space()
    assert names_in(tmp_path) == []


@pytest.mark.shared_data
def test_a_real_patient_has_the_activity_its_table_says(shared_data: Path) -> None:
    from radiodosimetry.images import body_mask, total_activity

    folder = shared_data / "lu177_dotatate_patient"
    activity = read_volume(folder / "patient15_activity_235MBq_Bqml.nii.gz", Quantity.ACTIVITY_CONCENTRATION, "Bq/mL")
    ct = read_volume(folder / "patient15_ct_hu.nii.gz", Quantity.CT_NUMBER)
    assert total_activity(activity) == pytest.approx(235e6, rel=1e-6)
    assert ct.geometry.same_grid(activity.geometry)
    body = body_mask(ct)
    assert not np.any(activity.array_kji[~body])
    assert 20e3 < body.sum() * ct.geometry.voxel_volume_ml < 30e3


@pytest.mark.shared_data
def test_a_real_dose_grid_is_read(shared_data: Path) -> None:
    dose = read_volume(shared_data / "dvh_prostate" / "EclipseProstate_Dose.nrrd", Quantity.ABSORBED_DOSE, "Gy")
    assert dose.geometry.shape_kji == (92, 86, 136)
    assert dose.array_kji.max() < 60

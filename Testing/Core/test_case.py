"""A case folder: what runs again and what does not, and what is said of a case that cannot be used."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from case_folders import CASE_TEXT, change, copy_of, write_torso_case

from radiodosimetry.cli import main
from radiodosimetry.errors import CancelledError, FileFormatError, InputError, OutputError, UnknownNuclideError
from radiodosimetry.images.readers import read_volume
from radiodosimetry.images.writers import write_volume
from radiodosimetry.workflows import case_state
from radiodosimetry.workflows.case import run_case
from radiodosimetry.workflows.case_settings import Case, read_case
from radiodosimetry.workflows.case_state import CaseState, one_run_at_a_time
from radiodosimetry.workflows.case_template import CaseStart, case_text
from radiodosimetry.workflows.report import write_report
from radiodosimetry.workflows.settings_reader import settings_from

_ALL = ("masses", "curves", "fits", "tia", "dose/local", "dose/multiple-vsv", "organ_dose", "report")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A case that has run; only to be read."""
    folder = write_torso_case(tmp_path_factory.mktemp("cases") / "torso")
    assert run_case(folder).done == _ALL
    return folder


@pytest.fixture
def case(finished: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    return copy_of(finished, tmp_path / "torso")


def _without_times(text: str) -> str:
    return re.sub(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\+00:00)?", "TIME", text)


def _report(case: Path) -> str:
    return (case / "results" / "report" / "report.html").read_text(encoding="utf-8")


def test_a_second_run_computes_nothing_and_touches_no_file(case: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (case / "results").rglob("*") if path.name != ".lock"}
    again = run_case(case)
    assert again.done == ()
    assert again.kept == _ALL
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_the_same_case_computed_anew_gives_the_same_report_but_for_time(case: Path) -> None:
    first = _report(case)
    shutil.rmtree(case / "results")
    assert run_case(case).done == _ALL
    assert _without_times(_report(case)) == _without_times(first)


def test_a_changed_method_computes_that_dose_and_the_report_alone(case: Path) -> None:
    first = _report(case)
    change(case, '["local", "multiple-vsv"]', '["single-vsv", "multiple-vsv"]')
    assert run_case(case).done == ("dose/single-vsv", "report")
    assert "single-vsv" in _report(case)
    change(case, '["single-vsv", "multiple-vsv"]', '["local", "multiple-vsv"]')
    assert run_case(case).done == ("report",)
    assert _without_times(_report(case)) == _without_times(first)


@pytest.mark.parametrize(
    ("before", "after", "done"),
    [
        ('patient_name = "', 'patient_id = "17"\npatient_name = "', ("report",)),
        ("alpha_beta_gy = 2.5", "alpha_beta_gy = 10.0", ("dose/local", "dose/multiple-vsv", "report")),
        ("lesions =", "patient_masses = true\nlesions =", ("organ_dose", "report")),
        ("calibration_std_percent = 5.0", "calibration_std_percent = 6.0", ("curves", "fits", "dose/local",
         "dose/multiple-vsv", "organ_dose", "report")),
        ("[dose]", '[tia]\nmethod = "trapezoid"\n\n[dose]', ("tia", "dose/local", "dose/multiple-vsv", "report")),
    ],
)  # fmt: skip
def test_a_changed_setting_computes_what_depends_on_it(
    case: Path, before: str, after: str, done: tuple[str, ...]
) -> None:
    change(case, before, after)
    assert run_case(case).done == done


def test_a_changed_image_computes_what_is_made_of_it(case: Path) -> None:
    ct = read_volume(case / "ct.nii.gz")
    values = np.array(ct.array_kji)
    values[0, 0, 0] += 1
    write_volume(ct.with_array(values), case / "ct.nii.gz")
    assert run_case(case).done == ("masses", "dose/local", "dose/multiple-vsv", "organ_dose", "report")


def test_comments_and_the_place_of_the_folder_do_not_matter(case: Path, tmp_path: Path) -> None:
    change(case, "format = 1", "# a remark\nformat = 1")
    moved = case.rename(tmp_path / "elsewhere")
    assert run_case(moved).done == ()


def test_a_file_that_was_damaged_or_removed_is_made_anew(case: Path) -> None:
    (case / "results" / "dose" / "local" / "table.csv").write_text("nonsense", encoding="utf-8")
    assert run_case(case).done == ("dose/local", "report")
    (case / "results" / "report" / "report.html").unlink()
    assert run_case(case).done == ("report",)


def test_another_version_computes_everything_again(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(case_state, "__version__", "99.0.0")
    assert run_case(case).done == _ALL
    monkeypatch.undo()
    with pytest.raises(InputError, match=r"made by RadioDosimetry 99\.0\.0, which is newer.*update RadioDosimetry"):
        run_case(case)


def test_doses_are_those_of_the_commands(finished: Path, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    words = ["dose", "--method", "multiple-vsv", "--nuclide", "Lu-177", "--ct", f"{finished}/ct.nii.gz"]
    words += ["--tia", f"{finished}/results/tia/tia.nrrd", "--labels", f"{finished}/labels.nii.gz"]
    words += ["--label-names", f"{finished}/labels.csv", "--region", "kidneys=left_kidney+right_kidney"]
    assert main([*words, "--output", str(tmp_path / "dose.nrrd"), "--table", str(table)]) == 0
    ours = (finished / "results" / "dose" / "multiple-vsv" / "table.csv").read_text(encoding="utf-8").splitlines()
    theirs = table.read_text(encoding="utf-8").splitlines()
    columns = len(theirs[0].split(","))
    assert [line.split(",")[:columns] for line in ours] == [line.split(",") for line in theirs]


# What cannot be used


def _refused(folder: Path, text: str) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "case.toml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as raised:
        read_case(folder)
    return str(raised.value)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("[dose]\nmethods", "[dose]\nmetods", r"\[?dose.* has the unknown key 'metods'; did you mean methods"),
        ("administered_mbq", "administred_mbq", "unknown key 'administred_mbq'; did you mean administered_mbq"),
        ('"multiple-vsv"]', '"multiple-vsw"]', "'multiple-vsw', which is unknown; did you mean multiple-vsv"),
        ('phantom = "adult-male"', 'phantom = "adult-mail"', "'adult-mail', which is unknown; did you mean adult-male"),
        ("hours = 24.0", 'hours = "24"', "hours in entry 2 of scan in .* must be a number, found '24'"),
        ("hours = 24.0", "hours = 200.0", r"out of order \(found 4, 200, 96, 168 h\)"),
        ("hours = 24.0", "hours = 4.0", "comes twice"),
        ("hours = 24.0", "hours = nan", "must be a finite number"),
        ("scan_024h", "scan_004h", "scan_004h.nii.gz is given for two scans, 3 images for 4 times"),
        ("format = 1", "format = 2", r"written for a newer RadioDosimetry \(format 2, this one knows 1\); update"),
        ("administered_mbq = 7400.0\n", "", r"\[organ_dose\] needs residence times; give administered_mbq"),
        ("remainder = true", "remainder = 1", "remainder in regions in .* must be true or false, found 1"),
        ('ct = "ct.nii.gz"\n', "", "lacks the key 'ct'"),
        ('only = ["liver"', 'only = [3, "liver"', "entry 1 of only in regions in .* must be a text in quotes, found 3"),
        ('methods = ["local", "multiple-vsv"]', "methods = []", "methods is empty"),
        ("calibration_std_percent = 5.0", "calibration_std_percent = 500", "must lie between 0 and 100 %"),
        ("[dose]", "[dose]\nhistories = 5\ntarget_uncertainty_percent = 1.0", "not both"),
    ],
)
def test_a_wrong_setting_is_named_with_what_was_expected(tmp_path: Path, before: str, after: str, said: str) -> None:
    assert before in CASE_TEXT
    found = _refused(tmp_path / "torso", CASE_TEXT.replace(before, after, 1))
    assert re.search(said, found), found
    assert "case.toml" in found


def test_broken_toml_names_the_line(tmp_path: Path) -> None:
    assert re.search("cannot be read as TOML.*line 1", _refused(tmp_path / "torso", "format = = 1"))


def test_an_unknown_nuclide_is_an_error_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "case.toml").write_text(CASE_TEXT.replace("Lu-177", "Lu-1777"), encoding="utf-8")
    with pytest.raises(UnknownNuclideError, match="Lu-1777"):
        read_case(tmp_path)


def test_a_missing_file_is_named_with_the_case_and_its_role(case: Path) -> None:
    (case / "scan_096h.nii.gz").unlink()
    with pytest.raises(FileFormatError, match=r"Case 'torso' .*scan_096h\.nii\.gz as its scan 3, which does not exist"):
        run_case(case)


def test_a_folder_without_a_case_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="case.toml does not exist.*case init"):
        run_case(tmp_path)


def test_times_that_the_images_contradict_are_refused(case: Path) -> None:
    change(case, "hours = 24.0", "hours = 48.0")
    with pytest.raises(InputError, match=r"scan_024h\.nii\.gz says .*20\.00 h after scan_004h.*hours say 44\.00 h"):
        run_case(case)
    change(case, "[regions]\n", "[images]\ncheck_times = false\n\n[regions]\n")
    assert "curves" in run_case(case).done


def test_regions_that_do_not_exist_are_said_with_the_case(case: Path) -> None:
    change(case, 'only = ["liver"', 'only = ["livver"')
    with pytest.raises(InputError, match="Case 'torso', time-activity curves: In the scan at 4 h .* no region livver"):
        run_case(case)


def test_two_runs_on_one_folder_are_refused_and_the_holder_is_named(case: Path) -> None:
    with one_run_at_a_time(case / "results"), pytest.raises(InputError, match=r"Another run works on .*process \d+ on"):
        run_case(case)
    assert run_case(case).done == ()


def test_a_killed_run_does_not_leave_the_folder_locked(case: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path\n"
        "from radiodosimetry.workflows.case_state import one_run_at_a_time\n"
        "with one_run_at_a_time(Path(sys.argv[1])):\n    print('held', flush=True); time.sleep(600)"
    )
    words = [sys.executable, "-c", code, str(case / "results")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(InputError, match=f"process {other.pid} on"):
            run_case(case)
        other.kill()
        other.wait()
    assert run_case(case).done == ()


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A disk that takes no more once a file with one of these words in its name is written."""
    words: list[str] = []
    from radiodosimetry.images.atomic import OutputTransaction

    write = OutputTransaction.write_text

    def refuse(self: OutputTransaction, final: Path, text: str) -> None:
        if any(word in str(final) for word in words):
            raise OSError(28, "No space left on device")
        write(self, final, text)

    monkeypatch.setattr(OutputTransaction, "write_text", refuse)
    return words


def test_a_disk_that_is_full_in_the_middle_leaves_finished_steps_valid(tmp_path: Path, full_disk: list[str]) -> None:
    case = write_torso_case(tmp_path / "torso")
    full_disk.append("multiple-vsv")
    with pytest.raises(OutputError, match="no space left"):
        run_case(case)
    assert not list((case / "results" / "dose" / "multiple-vsv").iterdir())
    full_disk.clear()
    again = run_case(case)
    assert again.kept == ("masses", "curves", "fits", "tia", "dose/local")
    assert again.done == ("dose/multiple-vsv", "organ_dose", "report")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of the size of files")
def test_a_disk_that_takes_no_more_leaves_no_half_file_and_what_was_finished_is_kept(tmp_path: Path) -> None:
    """The operating system itself refuses to write on, in the middle of a file."""
    case = write_torso_case(tmp_path / "torso")
    code = (
        "import resource, sys\nresource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))\n"
        "from radiodosimetry.cli import main\nsys.exit(main(['case', 'run', sys.argv[1]]))"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(case)], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    last = ran.stderr.splitlines()[-1]
    assert re.fullmatch(r"radiodosimetry: Could not write .*: file too large; nothing was left behind\. .*", last)
    results = case / "results"
    named = {file for step in CaseState.read(results).steps.values() for file in step.files}
    there = {path.relative_to(results).as_posix() for path in results.rglob("*") if path.is_file()}
    assert there - named == {"state.json", ".lock"}
    assert run_case(case).kept == ("masses", "curves")


def test_a_disk_that_is_full_for_the_state_costs_that_step_alone(case: Path, full_disk: list[str]) -> None:
    change(case, '"Torso', '"Another torso')
    full_disk.append("state.json")
    with pytest.raises(OutputError, match="no space left"):
        run_case(case)
    full_disk.clear()
    assert run_case(case).done == ("report",)


def test_a_cancelled_run_keeps_what_was_finished(tmp_path: Path) -> None:
    class Impatient:
        def __init__(self) -> None:
            self.seen = ""

        def report(self, fraction: float, message: str) -> None:
            self.seen = message

        def cancelled(self) -> bool:
            return self.seen.startswith("Dose by local")

    case = write_torso_case(tmp_path / "torso")
    with pytest.raises(CancelledError):
        run_case(case, Impatient())
    assert run_case(case).kept == ("masses", "curves", "fits", "tia")


def test_a_folder_of_a_newer_format_is_refused_whatever_its_version(case: Path) -> None:
    path = case / "results" / "state.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"format": 1', '"format": 2'), encoding="utf-8")
    with pytest.raises(InputError, match=r"newer than this one .*update RadioDosimetry, or remove the folder"):
        run_case(case)


def test_a_damaged_state_says_what_to_remove(case: Path) -> None:
    (case / "results" / "state.json").write_text("{", encoding="utf-8")
    with pytest.raises(FileFormatError, match="remove it, and every step is run again"):
        run_case(case)


def test_the_state_names_every_file_of_every_step(finished: Path) -> None:
    results = finished / "results"
    named = {file for step in CaseState.read(results).steps.values() for file in step.files}
    there = {path.relative_to(results).as_posix() for path in results.rglob("*") if path.is_file()}
    assert there - named == {"state.json", ".lock"}
    assert json.loads((results / "state.json").read_text(encoding="utf-8"))["format"] == 1


# Commands


def test_init_writes_a_case_that_runs_as_it_stands(finished: Path, tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path / "new"
    words = ["case", "init", str(folder), "--ct", f"{finished}/ct.nii.gz", "--labels", f"{finished}/labels.nii.gz"]
    words += ["--label-names", f"{finished}/labels.csv", "--administered-mbq", "7400", "--phantom", "adult-male"]
    for hours in (4, 24):
        words += ["--scan", f"{hours}={finished}/scan_{hours:03d}h.nii.gz"]
    assert main(words) == 0
    assert "case run" in capsys.readouterr().out
    case = read_case(folder)
    assert case.organ_dose.lesions == ("tumour1", "tumour2", "tumour3")
    assert case.ct.resolve() == (finished / "ct.nii.gz").resolve()
    assert main(words) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["case", "run", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["done"][-1] == "report"


def test_init_without_options_shows_what_to_fill_in(tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    assert main(["case", "init", str(tmp_path / "new")]) == 0
    assert main(["case", "run", str(tmp_path / "new")]) == 2
    assert "ct.nii.gz as its ct, which does not exist" in capsys.readouterr().err


def test_every_key_that_init_shows_is_one_that_a_case_has(tmp_path: Path) -> None:
    text = case_text(CaseStart(), tmp_path)
    shown = re.sub(r"(?m)^# (?=\[|\w+ = )", "", text)
    assert shown.count("\n# ") == 1, "a remark alone, no key"
    shown = shown.replace('["multiple-vsv"]', '["unet", "multiple-vsv", "monte-carlo"]')
    case = settings_from({"name": "shown", **tomllib.loads(shown)}, Case, "case.toml", tmp_path)
    assert case.dose.models == {"unet": tmp_path / "model.safetensors"}
    assert case.radiobiology["kidneys"].alpha_beta_gy == 2.5
    assert case.report.dicom


def test_options_of_init_are_refused_by_run(case: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    assert main(["case", "run", str(case), "--nuclide", "Y-90"]) == 2
    assert "--nuclide belongs to `case init`" in capsys.readouterr().err


def test_report_refuses_steps_that_are_out_of_date(case: Path) -> None:
    change(case, "alpha_beta_gy = 2.5", "alpha_beta_gy = 10.0")
    with pytest.raises(InputError, match="older than its settings or inputs: dose/local, dose/multiple-vsv"):
        write_report(case)


def test_report_writes_the_report_anew(case: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    first = _report(case)
    (case / "results" / "report" / "report.html").unlink()
    assert main(["report", str(case)]) == 0
    assert capsys.readouterr().out.strip().endswith("report.html")
    assert _without_times(_report(case)) == _without_times(first)
    assert run_case(case).done == ()


def test_a_single_scan_goes_by_the_shape_of_its_organs(finished: Path, tmp_path: Path) -> None:
    text = CASE_TEXT.replace(CASE_TEXT[CASE_TEXT.index("[[scan]]") : CASE_TEXT.index("[regions]\n")], _ONE_SCAN)
    text = re.sub(r"(?s)\[regions.expressions\].*?\n\n", "", text).replace(', "kidneys"', "")
    text = re.sub(r"only = .*\n|remainder = .*\n", "", text)
    text = text[: text.index("[radiobiology")] + '[fit]\nmodel = "hanscheid"\n'
    case = copy_of(finished, tmp_path / "torso")
    (case / "case.toml").write_text(text, encoding="utf-8")
    done = run_case(case)
    assert "tia" in done.done
    record = json.loads((done.results / "tia" / "tia.nrrd.json").read_text(encoding="utf-8"))
    assert record["parameters"]["method"] == "organ-shape"


_ONE_SCAN = '[[scan]]\nhours = 96.0\nimage = "scan_096h.nii.gz"\n\n'

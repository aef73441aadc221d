"""The real patient of the shared data as a case: run twice, another method, the same report but for time.

The patient was scanned once, with one activity per label. Three more scans come from it by effective half-lives of the
order published for Lu-177-DOTATATE (organs 50 to 70 h, tumours 90 h): exact exponentials, so that what the case finds
must be what was put in.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from radiodosimetry.images.readers import read_volume
from radiodosimetry.images.regions import read_label_map
from radiodosimetry.images.writers import write_volume
from radiodosimetry.time_activity.fit_files import read_fits
from radiodosimetry.units import Quantity
from radiodosimetry.workflows.case import run_case

pytestmark = pytest.mark.shared_data

_HALF_LIVES_H = {
    "liver": 67.0, "spleen": 67.0, "kidney_left": 52.0, "kidney_right": 52.0,
    "tumour1": 91.0, "tumour2": 91.0, "tumour3": 91.0,
}  # fmt: skip
_SCAN_H = 24.0
_HOURS = (4.0, 24.0, 72.0, 168.0)
_STEPS = ("masses", "curves", "fits", "tia", "dose/local", "dose/multiple-vsv", "organ_dose", "report")


@pytest.fixture(scope="module")
def case(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A case folder whose CT and labels lie where they are."""
    source, folder = shared_data / "lu177_dotatate_patient", tmp_path_factory.mktemp("patient")
    quantity = Quantity.ACTIVITY_CONCENTRATION
    activity = read_volume(source / "patient15_activity_235MBq_Bqml.nii.gz", quantity, "Bq/mL")
    labels = read_label_map(source / "patient15_labels.nii.gz", source / "labels.csv")
    half_life_h = np.full(activity.geometry.shape_kji, 60.0)
    for name, value in _HALF_LIVES_H.items():
        half_life_h[labels.mask(name)] = value
    lines = ['nuclide = "Lu-177"', "administered_mbq = 7400.0", f'ct = "{source / "patient15_ct_hu.nii.gz"}"']
    for hours in _HOURS:
        scan = np.asarray(activity.array_kji, dtype=np.float64) * 2.0 ** ((_SCAN_H - hours) / half_life_h)
        write_volume(activity.with_array(scan.astype(np.float32)), folder / f"scan_{hours:03.0f}h.nii.gz")
        lines += ["[[scan]]", f"hours = {hours}", f'image = "scan_{hours:03.0f}h.nii.gz"']
    lines += ["[regions]", f'labels = "{source / "patient15_labels.nii.gz"}"']
    lines += [f'label_names = "{source / "labels.csv"}"', "calibration_std_percent = 5.0"]
    lines += ["[dose]", 'methods = ["local", "multiple-vsv"]', "[organ_dose]", 'phantom = "adult-male"']
    lines += ['lesions = ["tumour1", "tumour2", "tumour3"]', "patient_masses = true"]
    (folder / "case.toml").write_text("\n".join(lines), encoding="utf-8")
    return folder


def _report(case: Path) -> str:
    text = (case / "results" / "report" / "report.html").read_text(encoding="utf-8")
    return re.sub(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\+00:00)?", "TIME", text)


def test_the_case_runs_once_and_another_method_runs_that_dose_alone(case: Path) -> None:
    assert run_case(case).done == _STEPS
    assert run_case(case).done == ()
    first = _report(case)
    path = case / "case.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"local"', '"density-scaled"'), encoding="utf-8")
    assert run_case(case).done == ("dose/density-scaled", "report")
    assert _report(case) != first
    path.write_text(text, encoding="utf-8")
    assert run_case(case).done == ("report",)
    assert _report(case) == first


def test_the_fits_give_back_half_lives_and_activities_that_were_put_in(case: Path, shared_data: Path) -> None:
    fits = read_fits(run_case(case).results / "fits" / "fits.json")
    rows = (shared_data / "lu177_dotatate_patient" / "labels.csv").read_text(encoding="utf-8").splitlines()[1:]
    measured_mbq = {row.split(",")[1]: float(row.split(",")[5]) for row in rows}
    for name, half_life_h in _HALF_LIVES_H.items():
        assert fits[name].effective_half_life_s == pytest.approx(3600 * half_life_h, rel=1e-5), name
        at_zero_mbq = measured_mbq[name] * 2.0 ** (_SCAN_H / half_life_h)
        expected = at_zero_mbq * 1e6 * 3600 * half_life_h / math.log(2)
        # The activities of labels.csv are rounded to 0.1 MBq.
        assert fits[name].tia_bq_s == pytest.approx(expected, rel=0.05 / measured_mbq[name] + 1e-4), name


def test_doses_of_organs_by_voxels_and_by_the_phantom_agree_where_self_dose_rules(case: Path) -> None:
    results = run_case(case).results
    organs = (results / "organ_dose" / "organ_dose.csv").read_text(encoding="utf-8").splitlines()
    columns = organs[0].split(",")
    by_mird = {row.split(",")[0]: float(row.split(",")[columns.index("absorbed_dose_gy")]) for row in organs[1:]}
    values = json.loads((results / "report" / "report.json").read_text(encoding="utf-8"))
    by_voxels = {row["region"]: row["mean_gy"] for row in values["tables"]["region_doses"]["rows"]}
    # Self-doses scaled to the patient's masses against voxels of the patient: what photons bring from elsewhere, the
    # phantom's shape, and electrons that leave through the surface of a small lesion remain.
    for organ in ("liver", "spleen"):
        assert by_mird[organ] == pytest.approx(by_voxels[organ], rel=0.06), organ
    for lesion in ("tumour1", "tumour2", "tumour3"):
        assert by_mird[lesion] == pytest.approx(by_voxels[lesion], rel=0.06), lesion

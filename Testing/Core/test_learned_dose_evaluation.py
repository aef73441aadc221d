"""`evaluate` with all that it can do, on tiny scanned patients and networks that were never trained."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="networks need PyTorch")
pytest.importorskip("monai", reason="networks need MONAI")

from radiodosimetry.cli import main
from radiodosimetry.errors import InputError, MissingDependencyError
from radiodosimetry.learned_dose import dblur_dose, judge, unet_dose, variants
from radiodosimetry.learned_dose.architectures import DblurArchitecture, UNetArchitecture
from radiodosimetry.learned_dose.bases import base_settings
from radiodosimetry.learned_dose.comparators import MONTE_CARLO, RESCALED
from radiodosimetry.learned_dose.contenders import combine_models, contenders, validation_folders
from radiodosimetry.learned_dose.dataset_patients import BASES, stream_patients
from radiodosimetry.learned_dose.dose_model import build_network, load_dose_model
from radiodosimetry.learned_dose.evaluation import evaluate_dose_model
from radiodosimetry.learned_dose.patients import DosePatient
from radiodosimetry.learned_dose.stated_uncertainty import SPREAD_ALONE, ErrorModel, StatedUncertainty
from radiodosimetry.learned_dose.variants import OTHER_SCANS, OTHER_VOXELS, PET_LIKE, SCAN, SHARP, activity_variants
from radiodosimetry.learning.model_files import ModelCard, read_card, save_model
from radiodosimetry.virtual_patients.dataset import Dataset, read_dataset
from radiodosimetry.virtual_patients.pytomography_import import pytomography_module
from radiodosimetry.virtual_patients.simulation import simulate_dataset
from radiodosimetry.virtual_patients.simulation_settings import SimulationSettings
from radiodosimetry.virtual_patients.spect import SpectSettings

DBLUR = DblurArchitecture(features=4)
UNET = UNetArchitecture(("density", "photon"), features=4, levels=2, head="scale")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Three patients of 16 mm voxels with a scan and Monte Carlo doses."""
    try:
        pytomography_module()
    except MissingDependencyError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("scanned") / "data"
    settings = SimulationSettings(
        patients=3, nuclide="Lu-177", seed=11, scan_hours=(24.0,), spacing_mm=(16.0,) * 3, histories=20_000,
        spect=SpectSettings(angles=16, iterations=2, subsets=4),
    )  # fmt: skip
    return simulate_dataset(settings, folder)


@pytest.fixture(scope="module")
def model(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Writes untrained networks whose cards say that the last two patients validated them."""
    folder = tmp_path_factory.mktemp("models")
    last = data.patients[1:]
    split = {
        "training": [], "validation": [one.id for one in last], "training_sources": [one.source for one in last],
    }  # fmt: skip

    def write(architecture: DblurArchitecture | UNetArchitecture, seed: int, name: str) -> Path:
        kind = dblur_dose.KIND if isinstance(architecture, DblurArchitecture) else unet_dose.KIND
        module = dblur_dose if kind == dblur_dose.KIND else unet_dose
        network = build_network(kind, architecture.as_dict(), seed)
        card = ModelCard(
            kind, architecture.as_dict(), {**module.preprocessing((16.0,) * 3), "base": base_settings(BASES[kind])},
            {"nuclides": ["Lu-177"], "spacing_mm": [[15.9, 16.1]] * 3, "density_g_per_cm3": [0.0, 3.0]},
            {"seed": seed, "split": split, "loss": {"kind": "mse"}},
        )  # fmt: skip
        rng = np.random.default_rng(seed)  # training starts at the base: these have gone somewhere
        state = {
            key: value.numpy() + 0.05 * rng.standard_normal(value.shape) if value.ndim > 1 else value.numpy()
            for key, value in network.state_dict().items()
        }
        return save_model(folder / name, state, card)

    return write


def evaluated(output: Path, data: Dataset, models: list[Path], *words: str) -> dict[str, Any]:
    given = [word for path in models for word in ("--model", str(path))]
    assert main(["evaluate", *given, "--data", str(data.path), "--output", str(output), *words]) == 0
    return dict(json.loads((output / "evaluation.json").read_text(encoding="utf-8")))


def test_scans_are_judged_with_everything_that_li_2022_compares(
    data: Dataset, model: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seeds = [model(DBLUR, 1, "one"), model(DBLUR, 2, "two")]
    plain = model(replace(DBLUR, residual=False), 1, "no_residual")
    words = ["--shifts", "--monte-carlo", "20000", "--realisations", "2", "--validation", str(data.path)]
    words += ["--combine", str(tmp_path / "both"), "--shift-data", str(data.path)]
    found = evaluated(tmp_path / "out", data, [*seeds, plain], *words)
    printed = capsys.readouterr()
    assert "left out: patient_0002, patient_0003" in printed.err
    assert "gains over the base" in printed.out
    assert "stated standard uncertainties" in printed.out

    assert (tmp_path / "out" / "bland_altman.png").read_bytes().startswith(b"\x89PNG")

    assert found["patients"] == 1
    assert found["methods"] == [
        "single-vsv", "density-scaled", "multiple-vsv", RESCALED, MONTE_CARLO, "network", "no_residual",
    ]  # fmt: skip
    assert found["members"] == {"network": 2, "no_residual": 1}
    liver = {row["method"]: row for row in found["kim_2022"] if row["region"] == "liver"}
    assert liver["network"]["mae_seed_std_percent"] > 0
    assert liver["no_residual"]["mae_seed_std_percent"] is None
    assert set(found["gains_of_others"]) == {"no_residual"}
    assert found["gains_over_base"]["nrmse_reduction_percent"]["seed_std"] > 0
    assert found["gains_of_others"]["no_residual"]["nrmse_reduction_percent"]["seed_std"] is None
    assert 0 < found["monte_carlo_of_scan"]["voxel_uncertainty"]["body"] < 1

    assert set(found["shifts"]) == {SHARP, PET_LIKE, *OTHER_SCANS, OTHER_VOXELS, "data"}
    for name, one in found["shifts"].items():
        assert {row["method"] for row in one["kim_2022"]} >= {"density-scaled", "network"}, name
    noise = {(row["region"], row["method"]): row["noise_percent"] for row in found["ensemble_noise"]}
    assert noise["liver", "density-scaled"] > 0
    assert {method for _, method in noise} == {"density-scaled", "network", "no_residual"}

    coverage = found["coverage"]
    card = read_card(tmp_path / "both")
    assert coverage["stated_by"] == "validation"
    assert coverage["regions"]["count"] == sum(row["regions"] for row in found["li_2022"] if row["method"] == "network")
    assert 0 <= coverage["voxels"]["within_1_sigma"] <= coverage["voxels"]["within_2_sigma"] <= 1
    assert coverage["stated"] == card.training["calibration"]
    assert coverage["stated"]["regions"]["patients"] == 2
    assert len(load_dose_model(tmp_path / "both").networks) == 2
    with (tmp_path / "out" / "table_shifts.csv").open(encoding="utf-8") as stream:
        assert {row["shift"] for row in csv.DictReader(stream)} == set(found["shifts"])


def test_a_combined_model_is_judged_like_its_members_and_knows_whom_it_learned_from(
    data: Dataset, model: Callable[..., Path], tmp_path: Path
) -> None:
    seeds = [model(UNET, 1, "u1"), model(UNET, 2, "u2")]
    apart = evaluated(tmp_path / "apart", data, seeds)
    stated = StatedUncertainty(ErrorModel(change=0.5), ErrorModel(floor=100.0))
    together = combine_models(seeds, tmp_path / "both", stated)
    joined = evaluated(tmp_path / "joined", data, [together])
    assert joined["patients"] == apart["patients"] == 1
    assert joined["kim_2022"] == apart["kim_2022"]
    assert joined["edges"] == apart["edges"]
    assert apart["coverage"]["stated"] == SPREAD_ALONE.as_dict()
    assert (apart["coverage"]["stated_by"], joined["coverage"]["stated_by"]) == ("spread of the members", "card")
    assert apart["coverage"]["regions"] == joined["coverage"]["regions_by_the_spread_alone"]
    assert joined["coverage"]["stated"] == stated.as_dict()
    assert joined["coverage"]["voxels"]["within_1_sigma"] == 1
    assert (tmp_path / "joined" / "calibration.png").read_bytes().startswith(b"\x89PNG")
    assert RESCALED not in joined["methods"]
    names = [row["method"] for row in joined["edges"] if row["stratum"] == "all"]
    assert names[-3:] == ["network", "network, seed 1", "network, seed 2"]


def test_a_network_of_true_activity_is_shown_scans_as_a_shift(
    data: Dataset, model: Callable[..., Path], tmp_path: Path
) -> None:
    found = evaluated(tmp_path / "out", data, [model(UNET, 1, "u1")], "--shifts")
    assert set(found["shifts"]) == {SHARP, PET_LIKE, SCAN, OTHER_VOXELS}
    assert found["ensemble_noise"] == []
    assert found["coverage"] is None
    calibrated = evaluated(tmp_path / "calibrated", data, [model(UNET, 1, "u1")], "--validation", str(data.path))
    assert calibrated["coverage"]["stated_by"] == "validation"
    assert calibrated["coverage"]["stated"]["voxels"]["count"] > 0
    assert "regions_by_the_spread_alone" not in calibrated["coverage"]


def test_a_blur_of_the_activity_keeps_its_total_and_the_label(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variants, "PET_LIKE_FWHM_MM", 25.0)  # voxels are of 16 mm here
    folder = data.patients[0]
    (scanned,) = stream_patients(data, (folder,), dblur_dose.KIND)
    seen = {one.name: one.patient for one in activity_variants(data, folder, dblur_dose.KIND)}
    totals = {name: one.maps.activity_scale_bq_s_per_ml for name, one in seen.items()}
    assert totals[PET_LIKE] == pytest.approx(totals[SHARP], rel=1e-3)
    assert seen[PET_LIKE].maps.activity_kji.max() < seen[SHARP].maps.activity_kji.max()
    for one in seen.values():
        np.testing.assert_allclose(one.label_gy, scanned.label_gy, rtol=1e-5)


def test_memory_does_not_grow_with_the_patients(data: Dataset, model: Callable[..., Path], tmp_path: Path) -> None:
    held, most = 0, 0
    original = judge.stream_patients

    class Counted(DosePatient):
        def __del__(self) -> None:
            nonlocal held
            held -= 1

    def counted(*words: Any, **options: Any) -> Any:
        nonlocal held, most
        for patient in original(*words, **options):
            object.__setattr__(patient, "__class__", Counted)
            held += 1
            most = max(most, held)
            yield patient

    stranger = replace(data, manifest={**data.manifest})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judge, "stream_patients", counted)
        judged = judge.Judge(contenders([model(DBLUR, 1, "one")]), None, "cpu", judge.EvaluationOptions())
        judged.patients(judged.stream(stranger, stranger.patients), 3, None, None)
    assert len({one.patient for one in judged.tally.patients}) == 3
    assert most <= 2  # the next is read while the last is let go


def test_models_that_do_not_belong_together_are_refused(
    data: Dataset, model: Callable[..., Path], tmp_path: Path
) -> None:
    dblur, unet = model(DBLUR, 1, "one"), model(UNET, 1, "u1")
    with pytest.raises(InputError, match="kinds dblurdosenet and residual-unet-3d; judge one kind at a time"):
        contenders([dblur, unet])
    with pytest.raises(InputError, match="differ in their architecture; combine models trained alike"):
        combine_models([dblur, model(replace(DBLUR, residual=False), 1, "no_residual")], tmp_path / "both")
    strangers = Dataset(data.path, data.patients[:1], data.manifest)
    with pytest.raises(InputError, match="None of the patients of .* validated all of the models .one."):
        validation_folders(strangers, contenders([dblur])[0].models)
    with pytest.raises(InputError, match="belong to dblurdosenet, which sees scans; leave them out"):
        evaluate_dose_model(unet, data, tmp_path / "out", options=judge.EvaluationOptions(realisations=2))
    with pytest.raises(InputError, match="two realisations or more, found 1; 0 leaves it out"):
        judge.EvaluationOptions(realisations=1)


def test_a_scan_from_elsewhere_cannot_be_repeated(data: Dataset, model: Callable[..., Path], tmp_path: Path) -> None:
    from radiodosimetry.learned_dose.variants import scan_settings

    entry = json.loads(json.dumps(dict(data.patients[0].entry)))
    entry["files"]["scan_024h"] = entry["files"]["truth_024h"]
    with pytest.raises(InputError, match="expected a simulated SPECT: only that can be repeated"):
        scan_settings(replace(data.patients[0], entry=entry))
    assert scan_settings(data.patients[0]).angles == 16
    assert read_dataset(data.path).nuclide == "Lu-177"

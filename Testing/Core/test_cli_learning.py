"""`radiodosimetry train` and `evaluate`: what they hand on, what they print and what they refuse."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")

from radiodosimetry.cli import main  # noqa: E402
from radiodosimetry.learning.model_files import ModelCard, save_model  # noqa: E402
from radiodosimetry.learning.training_errors import ShareDoneError  # noqa: E402


@dataclass(frozen=True)
class Patient:
    id: str
    source: str


@dataclass(frozen=True)
class Dataset:
    patients: tuple[Patient, ...]


@dataclass(frozen=True)
class Judgement:
    patients: tuple[Patient, ...]

    def as_dict(self) -> dict[str, Any]:
        return {"patients": [one.id for one in self.patients], "mae": {"liver": np.float32(0.5)}, "r": 0.12345678}


SPLIT = {"training_sources": ["torso:1", "torso:2"]}


@pytest.fixture
def calls(monkeypatch) -> list[tuple[str, dict[str, Any]]]:
    """Stands in for reading data, training and judging, which are tested where they live; notes how they are called."""
    noted: list[tuple[str, dict[str, Any]]] = []
    data = Dataset(tuple(Patient(f"patient_{number}", f"torso:{number}") for number in range(1, 5)))

    def trains(name: str, kind: str):
        def train(*words: Any, **options: Any) -> Path:
            noted.append((name, options | {"words": words}))
            output = words[-1]
            output.mkdir()
            card = ModelCard(kind, training={"loop": {"best_epoch": 3}, "split": SPLIT}, limits=("Virtual patients.",))
            return save_model(output / "model", {"w": np.ones(3)}, card)

        return train

    def judges(name: str):
        def judge(model: Path, dataset: Dataset, output: Path, **options: Any) -> Judgement:
            noted.append((name, options))
            return Judgement(dataset.patients)

        return judge

    stand_ins = {
        "virtual_patients.dataset": {"read_dataset": lambda path: data},
        "learned_dose.training": {"train_dose_network": trains("dose", "residual-unet-3d")},
        "delayed_pet.training": {"train_delayed_pet": trains("pet", "delayed-pet")},
        "learned_dose.evaluation": {"evaluate_dose_model": judges("dose")},
        "delayed_pet.evaluation": {"evaluate_delayed_pet": judges("pet")},
    }
    for name, functions in stand_ins.items():
        module = ModuleType(f"radiodosimetry.{name}")
        vars(module).update(functions)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return noted


@pytest.fixture
def data(tmp_path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def train(data: Path, *words: str, network: str = "unet") -> int:
    return main(["train", network, "--data", str(data), "--output", str(data.parent / "run"), *words])


def model(folder: Path, kind: str = "residual-unet-3d", sources: tuple[str, ...] = ("torso:1", "torso:2")) -> Path:
    card = ModelCard(kind, training={"split": {"training_sources": list(sources)}})
    return save_model(folder / "m", {"w": np.ones(3)}, card)


@pytest.mark.parametrize(("network", "where"), [("unet", "dose"), ("dblurdosenet", "dose"), ("delayed-pet", "pet")])
def test_a_training_is_handed_all_that_was_asked_for(calls, data, capsys, network, where) -> None:
    config = data / "c.toml"
    config.write_text("")
    words = ["--config", str(config), "--resume", "--fold", "2/5", "--device", "cuda:1"]
    assert train(data, *words, network=network) == 0
    ((name, options),) = calls
    assert name == where
    assert options["words"][-2:] == (config, data.parent / "run")
    if where == "dose":
        assert options["words"][0] == network
    assert (options["resume"], options["fold"], options["device"]) == (True, (2, 5), "cuda:1")
    printed = capsys.readouterr().out
    assert "model.safetensors" in printed
    assert "loop.best_epoch: 3" in printed
    assert "Limit: Virtual patients." in printed


def test_only_the_first_of_several_processes_speaks(calls, data, capsys, monkeypatch) -> None:
    monkeypatch.setenv("RANK", "1")
    assert train(data) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--fold", "6/5"], "expected a fold from 1/N to N/N"),
        (["--fold", "1/1"], "with N of at least 2"),
        (["--fold", "half"], "expected a fold as 1/5"),
        (["--config", "none.toml"], "'none.toml' does not exist"),
    ],
)
def test_wrong_options_are_named(calls, data, capsys, words, message) -> None:
    assert train(data, *words) == 2
    assert message in capsys.readouterr().err
    assert calls == []


def test_an_unknown_network_is_named(calls, data, capsys) -> None:
    assert train(data, network="unett") == 2
    assert "invalid choice: 'unett'" in capsys.readouterr().err
    from radiodosimetry.workflows.training import train_model

    with pytest.raises(ValueError, match="no network 'unett' to train; did you mean 'unet'"):
        train_model("unett", data, None, data.parent / "run")


def test_a_data_folder_without_manifest_is_bad_input(data, capsys) -> None:
    assert train(data) == 2
    assert "is not a data set: it has no manifest.json" in capsys.readouterr().err
    assert not (data.parent / "run").exists()


def test_without_pytorch_both_commands_say_what_to_install(calls, data, capsys, monkeypatch) -> None:
    made = model(data)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert train(data) == 2
    assert "PyTorch is not installed" in capsys.readouterr().err
    assert main(["evaluate", "--model", str(made), "--data", str(data), "--output", str(data / "out")]) == 2
    assert "torch>=2.8,<2.14" in capsys.readouterr().err


def test_a_training_stopped_with_ctrl_c_says_how_to_go_on(calls, data, capsys, monkeypatch) -> None:
    def interrupted(*words: Any, **options: Any) -> Path:
        (words[-1]).mkdir()
        (words[-1] / "checkpoint.pt").write_bytes(b"")
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["radiodosimetry.learned_dose.training"], "train_dose_network", interrupted)
    assert train(data) == 130
    assert "Cancelled; go on with --resume" in capsys.readouterr().err


@pytest.mark.parametrize(("kind", "where"), [("dblurdosenet", "dose"), ("delayed-pet", "pet")])
def test_a_model_is_judged_on_patients_it_has_not_seen(calls, data, capsys, kind, where) -> None:
    made = model(data, kind)
    words = ["evaluate", "--model", str(made), "--data", str(data), "--output", str(data / "out"), "--json"]
    assert main(words) == 0
    own = {"inception": None} if where == "pet" else {}
    assert calls == [(where, {"device": "cpu", "progress": calls[0][1]["progress"], **own})]
    printed = capsys.readouterr()
    assert json.loads(printed.out)["patients"] == ["patient_3", "patient_4"]
    assert "has learned from 2 of 4 patients; left out: patient_1, patient_2" in printed.err
    assert main([word for word in words if word != "--json"]) == 0
    assert "mae.liver: 0.5\nr: 0.123457\n" in capsys.readouterr().out


def test_the_file_of_inception_goes_to_delayed_pet_alone(calls, data, capsys) -> None:
    weights = data / "inception.pt"
    weights.touch()
    for kind, status in (("delayed-pet", 0), ("dblurdosenet", 2)):
        words = ["evaluate", "--model", str(model(data, kind)), "--data", str(data), "--inception", str(weights)]
        assert main([*words, "--output", str(data / kind)]) == status
    assert [options["inception"] for _, options in calls] == [weights]
    assert "A FID is of images" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("package", "name", "kind", "where"),
    [("delayed_pet", "m", "delayed-pet", "pet"), ("learned_dose", "unet", "residual-unet-3d", "dose")],
)
def test_a_model_that_comes_with_the_package_is_judged_by_its_name(
    calls, data, capsys, monkeypatch, package, name, kind, where
) -> None:
    monkeypatch.setattr(f"radiodosimetry.{package}.shipped.MODELS_FOLDER", data)
    made = model(data, kind)
    for path in (made, made.with_suffix(".json")):
        path.rename(path.with_stem(name))
    assert main(["evaluate", "--model", name, "--data", str(data), "--output", str(data / "out")]) == 0
    assert [called for called, _ in calls] == [where]
    assert main(["evaluate", "--model", "nobody", "--data", str(data), "--output", str(data / "out")]) == 2
    assert "There is no model 'nobody'" in capsys.readouterr().err


def test_a_model_that_has_seen_everybody_is_not_judged(calls, data, capsys) -> None:
    made = model(data, sources=tuple(f"torso:{number}" for number in range(1, 5)))
    assert main(["evaluate", "--model", str(made), "--data", str(data), "--output", str(data / "out")]) == 2
    assert "has learned from all 4 patients of the data (see m.json); give patients that" in capsys.readouterr().err
    assert calls == []
    assert not (data / "out").exists()


def test_a_missing_model_is_bad_input(calls, data, capsys) -> None:
    assert main(["evaluate", "--model", "none.safetensors", "--data", str(data), "--output", str(data / "out")]) == 2
    assert "none.safetensors does not exist; give the file of a model" in capsys.readouterr().err


def test_a_process_that_has_done_its_share_leaves_the_model_to_the_first(calls, data, capsys, monkeypatch) -> None:
    def shared(*words: Any, **options: Any) -> Path:
        raise ShareDoneError("Process 1 of 2 has done its share.")

    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr(sys.modules["radiodosimetry.learned_dose.training"], "train_dose_network", shared)
    assert train(data) == 0
    assert capsys.readouterr().out == ""

"""Model files: what was saved comes back, and whatever is wrong with a file is named before it is used."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from radiodosimetry import __version__
from radiodosimetry.errors import FileFormatError, InputError, MissingDependencyError, OutputError
from radiodosimetry.learning.torch_import import library_module, torch_module

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")

from radiodosimetry.learning.model_files import (  # noqa: E402
    ModelCard,
    card_path,
    load_model,
    load_network_state,
    read_card,
    save_model,
)

CARD = ModelCard(
    "residual-unet-3d",
    architecture={"features": 4},
    declared={"nuclides": ["Lu-177"], "spacing_mm": [3.0, 5.0]},
    training={"seeds": [1, 2]},
    limits=("Trained on virtual patients.",),
)


def network() -> torch.nn.Module:
    torch.manual_seed(1)
    return torch.nn.Sequential(torch.nn.Conv3d(2, 4, 3), torch.nn.BatchNorm3d(4), torch.nn.Conv3d(4, 1, 1))


@pytest.fixture
def model(tmp_path) -> Path:
    return save_model(tmp_path / "unet", network().state_dict(), CARD)


def rewrite_card(model: Path, **changes: object) -> None:
    values = json.loads(card_path(model).read_text())
    card_path(model).write_text(json.dumps(values | changes))


def test_weights_and_card_come_back(model) -> None:
    original = network().state_dict()
    for path in (model, card_path(model), model.with_suffix("")):
        card, state = load_model(path, kind="residual-unet-3d")
        assert card.declared == CARD.declared
        assert card.limits == CARD.limits
        assert card.package_version == __version__
        assert card.sha256 == hashlib.sha256(model.read_bytes()).hexdigest()
        assert state.keys() == original.keys()
        for name, value in state.items():
            assert value.dtype in (torch.float32, torch.int64)
            expected = original[name].half().float() if original[name].ndim > 1 else original[name]
            assert torch.equal(value, expected), name
    load_network_state(network(), state, model)


def test_full_precision_is_kept_on_request(tmp_path) -> None:
    original = network().state_dict()
    _, state = load_model(save_model(tmp_path / "unet", original, CARD, half=False))
    assert all(torch.equal(state[name], value) for name, value in original.items())


def test_half_precision_halves_the_file_and_keeps_what_does_not_fit(tmp_path) -> None:
    big = {"filter": torch.full((64, 64), 1e5), "small": torch.ones(64, 64), "statistics": torch.full((64,), 1e5)}
    model = save_model(tmp_path / "m", big, CARD)
    _, state = load_model(model)
    assert all(torch.equal(state[name], value) for name, value in big.items())
    assert 64 * 64 * 6 <= model.stat().st_size < 64 * 64 * 6 + 1000


def test_the_same_weights_give_the_same_file(tmp_path) -> None:
    first, second = (save_model(tmp_path / name, network().state_dict(), CARD) for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()


def test_weights_that_are_not_numbers_are_not_written(tmp_path) -> None:
    with pytest.raises(InputError, match="weights 'w' hold NaN or infinite numbers; no model was written"):
        save_model(tmp_path / "m", {"w": np.array([1.0, np.nan])}, CARD)
    with pytest.raises(InputError, match="needs weights, found none"):
        save_model(tmp_path / "m", {}, CARD)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_an_output_error(tmp_path) -> None:
    with pytest.raises(OutputError, match="does not exist; create it first"):
        save_model(tmp_path / "no" / "m", network().state_dict(), CARD)


def test_a_missing_model_is_named(tmp_path, model) -> None:
    with pytest.raises(FileFormatError, match=r"none.safetensors does not exist; give the file of a model"):
        load_model(tmp_path / "none.safetensors")
    card_path(model).rename(tmp_path / "aside.json")
    with pytest.raises(FileFormatError, match=r"unet.json does not exist; it belongs beside its weights"):
        load_model(model)
    (tmp_path / "aside.json").rename(card_path(model))
    model.unlink()
    with pytest.raises(FileFormatError, match=r"unet.safetensors do not exist, only their card"):
        load_model(model)


@pytest.mark.parametrize("kept", [0, 4, 100, -1])
def test_a_truncated_model_is_named(model, kept) -> None:
    model.write_bytes(model.read_bytes()[:kept])
    with pytest.raises(FileFormatError, match=r"unet.safetensors are truncated \(\d+ bytes are there"):
        load_model(model)


def test_weights_that_are_something_else_are_named(model) -> None:
    for content in (b"\xff" * 200, (20).to_bytes(8, "little") + b"not a json header...." * 3):
        model.write_bytes(content)
        with pytest.raises(FileFormatError, match="are not a safetensors file"):
            load_model(model)


def test_an_altered_model_is_named(model) -> None:
    content = bytearray(model.read_bytes())
    content[-5] ^= 1
    model.write_bytes(bytes(content))
    with pytest.raises(FileFormatError, match=r"are not those that the card names \(SHA-256 .*altered or exchanged"):
        load_model(model)


@pytest.mark.parametrize(
    ("found", "advice"), [(2, "update RadioDosimetry"), (0, "train the model again"), ("x", "train the model again")]
)
def test_a_model_of_another_version_is_named(model, found, advice) -> None:
    rewrite_card(model, format=found, package_version="9.1")
    with pytest.raises(FileFormatError, match=rf"has format {found!r} \(RadioDosimetry 9.1 wrote it\).*{advice}"):
        load_model(model)


def test_a_model_with_weights_that_are_not_numbers_is_refused(model) -> None:
    state = {name: value.numpy() for name, value in network().state_dict().items()}
    state["0.weight"][0, 0, 0, 0, 0] = np.nan
    content = library_module("safetensors.numpy").save(state)
    model.write_bytes(content)
    rewrite_card(model, sha256=hashlib.sha256(content).hexdigest())
    with pytest.raises(FileFormatError, match=r"weights '0.weight' of .* hold NaN or infinite numbers"):
        load_model(model)


def test_a_model_of_another_kind_is_refused(model) -> None:
    with pytest.raises(InputError, match=r"is a 'residual-unet-3d', expected a 'dblurdosenet'"):
        load_model(model, kind="dblurdosenet")
    with pytest.raises(InputError, match="kind must be one of residual-unet-3d, dblurdosenet, delayed-pet"):
        ModelCard("resnet")
    rewrite_card(model, kind="resnet")
    with pytest.raises(FileFormatError, match=r"unet.json cannot be used: The model's kind"):
        load_model(model)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read"),
        ("[1]", "is not the card of a model"),
        ('{"quantity": "absorbed dose"}', "is not the card of a model"),
        ('{"kind": "dblurdosenet", "format": 1}', "lacks 'architecture'"),
    ],
)
def test_a_card_that_is_none_is_named(model, content, message) -> None:
    card_path(model).write_text(content)
    with pytest.raises(FileFormatError, match=message):
        read_card(model)


def test_a_card_with_a_wrong_type_is_named(model) -> None:
    rewrite_card(model, declared=["Lu-177"])
    with pytest.raises(FileFormatError, match="must have dict for 'declared', found list"):
        load_model(model)


def test_weights_for_another_network_are_named(model) -> None:
    _, state = load_model(model)
    other = torch.nn.Sequential(torch.nn.Conv3d(2, 4, 5), torch.nn.BatchNorm3d(4), torch.nn.Conv3d(4, 1, 1))
    with pytest.raises(FileFormatError, match=r"do not fit the network that its card describes \(.*0.weight"):
        load_network_state(other, state, model)
    with pytest.raises(FileFormatError, match=r"do not fit the network that its card describes \(Missing key"):
        load_network_state(network(), {"0.weight": state["0.weight"]}, model)


@pytest.mark.parametrize(
    ("library", "message"),
    [
        ("torch", r"PyTorch is not installed.*PyTorch extension in 3D Slicer, or torch>=2.8,<2.14 elsewhere"),
        ("monai", r"MONAI is not installed.*\[learning\]'"),
        ("safetensors", r"safetensors is not installed.*\[learning\]'"),
    ],
)
def test_a_library_that_is_absent_is_named_with_what_to_install(monkeypatch, library, message) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(InputError, match=message):
        library_module(library)
    with pytest.raises(MissingDependencyError, match="is not installed"):
        library_module(library)


def test_a_library_that_is_broken_says_how(monkeypatch) -> None:
    def broken(name: str) -> None:
        raise OSError("libcudart.so: cannot open shared object file")

    monkeypatch.setattr("importlib.import_module", broken)
    with pytest.raises(MissingDependencyError, match=r"does not load \(libcudart.so"):
        torch_module()

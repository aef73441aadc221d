"""Settings from TOML: every mistake is named with its key, what was found and what was expected."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from radiodosimetry.errors import FileFormatError, InputError
from radiodosimetry.learning.configuration import config_text, read_config
from radiodosimetry.learning.training_settings import TrainingSettings


@dataclass(frozen=True)
class Network:
    features: int = 16
    loss: Literal["l1", "mse"] = "l1"
    window_kji: tuple[int, int, int] = (64, 64, 64)
    times_h: tuple[float, ...] = (24.0,)
    weights: Path | None = None

    def __post_init__(self) -> None:
        if self.features < 1:
            raise InputError(f"'features' must be at least 1, found {self.features}.")


@dataclass(frozen=True)
class Config:
    name: str = 'a "quoted"\n\\name'
    residual: bool = True
    network: Network = field(default_factory=Network)
    training: TrainingSettings = TrainingSettings(epochs=200, learning_rate=2e-5)  # noqa: RUF009


@dataclass(frozen=True)
class Needy:
    folder: str
    network: Network


def read(tmp_path: Path, text: str, kind: type = Config):
    path = tmp_path / "c.toml"
    path.write_text(text, encoding="utf-8")
    return read_config(path, kind)


def test_what_a_file_leaves_out_keeps_the_default_of_its_table(tmp_path) -> None:
    config = read(tmp_path, "residual = false\n[training]\nepochs = 5\n[network]\ntimes_h = [24, 48.5]\n")
    assert config.residual is False
    assert config.training == TrainingSettings(epochs=5, learning_rate=2e-5)
    assert config.network == Network(times_h=(24.0, 48.5))
    assert read_config(None, Config) == Config() == read(tmp_path, "")


def test_settings_written_out_are_read_as_they_were(tmp_path) -> None:
    config = Config(network=Network(window_kji=(8, 16, 32), weights=Path("vgg.safetensors"), loss="mse"))
    assert read(tmp_path, config_text(config)) == config
    assert read(tmp_path, config_text(Config())) == Config()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("residul = true", "has the key 'residul', which does not exist; did you mean 'residual'?"),
        ("[training]\nepoch = 3", "has the key 'training.epoch', which does not exist; did you mean 'epochs'?"),
        ("[network]\nzzz = 3", "known are features, loss, times_h, weights, window_kji."),
        ("[training]\nepochs = 'many'", r"'training.epochs' must be a whole number, found 'many' \(text\)"),
        ("[training]\nepochs = 2.5", r"'training.epochs' must be a whole number, found 2.5 \(number\)"),
        ("[training]\nepochs = true", r"must be a whole number, found True \(truth value\)"),
        ("[training]\nlearning_rate = nan", "'training.learning_rate' must be a finite number, found nan"),
        ("[training]\nlearning_rate = '1e-3'", "must be a finite number, found '1e-3' .text."),
        ("residual = 1", r"'residual' must be true or false, found 1 \(whole number\)"),
        ("network = 3", r"'network' must be a table \[network\], found 3"),
        ("[network]\nloss = 'l2'", "'network.loss' must be one of 'l1', 'mse', found 'l2'"),
        ("[network]\nwindow_kji = [1, 2]", "'network.window_kji' must have 3 entries, found 2"),
        ("[network]\nwindow_kji = 64", r"'network.window_kji' must be a list"),
        ("[network]\nwindow_kji = [1, 2, 'x']", r"'network.window_kji\[2\]' must be a whole number, found 'x'"),
        ("[network]\nfeatures = 0", r"c.toml: 'features' must be at least 1, found 0"),
        ("[training]\nepochs = 0", r"c.toml: 'epochs' must be at least 1, found 0"),
    ],
)
def test_a_mistake_is_named(tmp_path, text, message) -> None:
    with pytest.raises(InputError, match=message):
        read(tmp_path, text)


def test_a_key_without_default_must_be_there(tmp_path) -> None:
    with pytest.raises(InputError, match="lacks the key 'folder', which has no default; add it"):
        read(tmp_path, "", Needy)
    assert read(tmp_path, "folder = 'x'", Needy) == Needy("x", Network())


def test_a_file_that_is_not_toml_or_not_there_is_named(tmp_path) -> None:
    with pytest.raises(FileFormatError, match=r"c.toml is not a TOML file: .*repair it"):
        read(tmp_path, "epochs = = 3")
    with pytest.raises(FileFormatError, match=r"none.toml does not exist; give an existing TOML file"):
        read_config(tmp_path / "none.toml", Config)
    with pytest.raises(FileFormatError, match="is not a TOML file"):
        read_config(tmp_path, Config)
    (tmp_path / "big.toml").write_bytes(b"#" * (1 << 20) + b"#")
    with pytest.raises(FileFormatError, match="larger than any settings"):
        read_config(tmp_path / "big.toml", Config)

"""Model files: weights as safetensors, and beside them a JSON card that says what they are, where they hold and why.

`model.safetensors` holds nothing but numbers, so that opening a model of unknown origin runs none of its code;
`model.json` names the file's SHA-256, so that weights and card cannot be mixed up.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..__about__ import __version__
from ..errors import FileFormatError, InputError
from ..images.atomic import OutputTransaction
from ..provenance import to_json
from .torch_import import library_module, torch_module

if TYPE_CHECKING:
    import torch

MODEL_KINDS = ("residual-unet-3d", "dblurdosenet", "delayed-pet")
"""Networks that have model files."""

MODEL_FORMAT = 1
"""Version of the card and of what preprocessing it implies; files of another one are refused."""

WEIGHTS_SUFFIX = ".safetensors"
CARD_SUFFIX = ".json"

_LARGEST_CARD_BYTES = 16 << 20
_LARGEST_HEADER_BYTES = 100_000_000
"""Safetensors' own limit."""


@dataclass(frozen=True)
class ModelCard:
    """What must be known to use a model's weights, and to judge them.

    Attributes
    ----------
    kind
        One of `MODEL_KINDS`.
    architecture
        Arguments that build the network.
    preprocessing
        How images become its input and its output an image: spacing, normalisation, base method, …
    declared
        Ranges within which it was trained and tested: nuclides, spacing_mm, counts, times, …
    training
        Data, seeds, metrics with their spread.
    limits
        What it must not be used for, in plain English.
    licence
        SPDX name of the weights' licence.
    package_version, format
        RadioDosimetry that wrote the card, and the card's format.
    sha256
        Of the weights' file; `save_model` fills it in.
    """

    kind: str
    architecture: Mapping[str, Any] = field(default_factory=dict)
    preprocessing: Mapping[str, Any] = field(default_factory=dict)
    declared: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    limits: tuple[str, ...] = ()
    licence: str = "Apache-2.0"
    package_version: str = __version__
    format: int = MODEL_FORMAT
    sha256: str = ""

    def __post_init__(self) -> None:
        if self.kind not in MODEL_KINDS:
            raise InputError(f"The model's kind must be one of {', '.join(MODEL_KINDS)}, found '{self.kind}'.")

    def as_dict(self) -> dict[str, Any]:
        """The card as JSON-ready values, what a reader looks for first in front."""
        names = ("kind", "format", "package_version", "limits", "declared", "preprocessing", "architecture")
        return {name: getattr(self, name) for name in (*names, "training", "licence", "sha256")}

    @property
    def trained_on(self) -> str:
        """Whose images it learned from ("60 virtual patients alone"); those of a seed were simulated."""
        data = self.training.get("data") or {}
        count = data.get("patients", self.training.get("patients", "an unknown number of"))
        is_virtual = data.get("virtual", data.get("seed") is not None)
        return f"{count} virtual patients alone" if is_virtual else f"{count} patients"

    def as_parameters(self, name: str) -> dict[str, Any]:
        """What the record of a result says of the model called `name`: whom it learned from, and its limits in full."""
        return model_parameters(name, self.trained_on, self.limits)

    def sentence(self, name: str) -> str:
        """What results warn of the model called `name`, see `model_sentence`."""
        return model_sentence(name, self.trained_on, self.limits)


def model_parameters(name: str, trained_on: str, limits: Sequence[str]) -> dict[str, Any]:
    """Of the record of a result that a model made."""
    return {"model": name, "model_trained_on": trained_on, "model_limits": list(limits)}


def model_sentence(name: str, trained_on: str, limits: Sequence[str]) -> str:
    """The warning that goes with a model's result, and with all that is made of it: short, since the limits themselves
    are in the record of the result (`model_parameters`) and on the model's card.
    """
    count = len(limits)
    listed = f"; its card lists {count} {'limit' if count == 1 else 'limits'}" if count else ""
    return f"The model is {name}, trained on {trained_on.rstrip('.')}{listed}."


def weights_path(model: Path) -> Path:
    """`model`, `model.json` or `model.safetensors` → `model.safetensors`."""
    model = Path(model)
    if model.suffix in (WEIGHTS_SUFFIX, CARD_SUFFIX):
        return model.with_suffix(WEIGHTS_SUFFIX)
    return model.with_name(model.name + WEIGHTS_SUFFIX)


def card_path(model: Path) -> Path:
    """`model`, `model.json` or `model.safetensors` → `model.json`."""
    return weights_path(model).with_suffix(CARD_SUFFIX)


def save_model(path: Path, state: Mapping[str, Any], card: ModelCard, half: bool = True) -> Path:
    """Write weights and card, both or neither.

    Parameters
    ----------
    path
        Of the model, with or without `.safetensors`.
    state
        Names of tensors (PyTorch or NumPy) to their values, as `network.state_dict()` gives them.
    card
        What the weights are; its `sha256` is filled in.
    half
        Store filters as 16-bit numbers. Vectors (biases, statistics of normalisation) stay as they are, as does a
        filter whose numbers do not fit 16 bits.

    Returns
    -------
    Path
        The weights' file; the card lies beside it.

    Raises
    ------
    InputError
        A tensor holds NaN or infinite numbers, or there is none.
    OutputError
        The files could not be written.
    """
    target = weights_path(path)
    if not state:
        raise InputError("A model needs weights, found none.")
    arrays = {name: _array_of(value) for name, value in state.items()}
    bad = _not_finite(arrays)
    if bad:
        raise InputError(f"The weights '{bad}' hold NaN or infinite numbers; no model was written. Train it again.")
    stored = {name: _stored(value, half) for name, value in arrays.items()}
    library_module("safetensors")
    content: bytes = library_module("safetensors.numpy").save(stored, metadata={"kind": card.kind})
    complete = dataclasses.replace(card, sha256=hashlib.sha256(content).hexdigest())
    with OutputTransaction(target, card_path(target)) as transaction:
        transaction.path_for(target).write_bytes(content)
        transaction.write_text(card_path(target), to_json(complete.as_dict()))
    return target


def load_model(path: Path, kind: str | None = None) -> tuple[ModelCard, dict[str, torch.Tensor]]:
    """Read a model and make sure that it is what its card says.

    Parameters
    ----------
    path
        Of the model: its `.safetensors`, its `.json`, or their common name.
    kind
        What it must be, one of `MODEL_KINDS`; None takes any.

    Returns
    -------
    tuple
        The card, and names to tensors on the CPU, floating-point ones as float32.

    Raises
    ------
    FileFormatError
        Weights or card are missing, truncated, altered, of another format, or hold NaN or infinite numbers.
    InputError
        The model is of another kind.
    LearningLibraryError
        PyTorch or safetensors is not installed.
    """
    card = read_card(path)
    source = weights_path(path)
    if kind is not None and card.kind != kind:
        raise InputError(f"The model {source} is a '{card.kind}', expected a '{kind}'; give a model of that kind.")
    torch = torch_module()
    arrays = _read_weights(source, card)
    return card, {name: _tensor(torch, value) for name, value in arrays.items()}


def read_card(path: Path) -> ModelCard:
    """The card of a model; needs neither PyTorch nor the weights.

    Raises
    ------
    FileFormatError
        It is missing, is not a card, or has another format than this version of RadioDosimetry reads.
    """
    source = card_path(path)
    if not source.exists() and not weights_path(path).exists():
        raise FileFormatError(f"The model {weights_path(path)} does not exist; give the file of a model.")
    values = _card_values(source)
    found = values.get("format")
    if found != MODEL_FORMAT:
        advice = "update RadioDosimetry" if isinstance(found, int) and found > MODEL_FORMAT else "train the model again"
        raise FileFormatError(
            f"The model {source} has format {found!r} (RadioDosimetry {values.get('package_version')} wrote it); this "
            f"version, {__version__}, reads format {MODEL_FORMAT}: {advice}."
        )
    names = [one.name for one in dataclasses.fields(ModelCard)]
    missing = [name for name in names if name not in values]
    if missing:
        raise FileFormatError(f"The model card {source} lacks '{missing[0]}'; fetch or train the model again.")
    for one in dataclasses.fields(ModelCard):
        _require_type(values, one.name, source)
    try:
        return ModelCard(**{name: values[name] for name in names if name != "limits"}, limits=tuple(values["limits"]))
    except InputError as error:
        raise FileFormatError(f"The model card {source} cannot be used: {error}") from error


def load_network_state(network: torch.nn.Module, state: Mapping[str, torch.Tensor], path: Path) -> None:
    """Put a model's weights into a network built from its card.

    Raises
    ------
    FileFormatError
        Names or shapes are not those of the network.
    """
    try:
        network.load_state_dict(dict(state), strict=True)
    except RuntimeError as error:
        first = next((line.strip() for line in str(error).splitlines()[1:] if line.strip()), str(error))
        raise FileFormatError(
            f"The weights of {path} do not fit the network that its card describes ({first.rstrip('.')}); fetch or "
            "train the model again."
        ) from error


def _card_values(source: Path) -> dict[str, Any]:
    if not source.exists():
        raise FileFormatError(f"The model card {source} does not exist; it belongs beside its weights.")
    try:
        if source.stat().st_size > _LARGEST_CARD_BYTES:
            raise FileFormatError(f"The model card {source} is larger than any card; give the JSON of a model.")
        values = json.loads(source.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(f"The model card {source} cannot be read ({error}); fetch the model again.") from error
    if not isinstance(values, dict) or "kind" not in values:
        raise FileFormatError(f"{source} is not the card of a model; give the .safetensors or .json of a model.")
    return values


def _require_type(values: Mapping[str, Any], name: str, source: Path) -> None:
    expected: type = {"format": int, "limits": list}.get(name, str)
    if name in ("architecture", "preprocessing", "declared", "training"):
        expected = dict
    if not isinstance(values[name], expected):
        raise FileFormatError(
            f"The model card {source} must have {expected.__name__} for '{name}', found "
            f"{type(values[name]).__name__}; fetch or train the model again."
        )


def _read_weights(source: Path, card: ModelCard) -> dict[str, Any]:
    """Tensors of the file as NumPy arrays, checked against the card's hash and for NaN."""
    safetensors = library_module("safetensors")
    try:
        content = source.read_bytes()
    except FileNotFoundError as error:
        raise FileFormatError(f"The weights {source} do not exist, only their card; fetch the model again.") from error
    except OSError as error:
        raise FileFormatError(f"The weights {source} cannot be read ({error}); fetch the model again.") from error
    _require_complete(content, source)
    found = hashlib.sha256(content).hexdigest()
    if found != card.sha256:
        raise FileFormatError(
            f"The weights {source} are not those that the card names (SHA-256 {found[:12]}…, expected "
            f"{card.sha256[:12]}…): one of the two files was altered or exchanged; fetch the model again."
        )
    try:
        arrays: dict[str, Any] = library_module("safetensors.numpy").load(content)
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise FileFormatError(f"The weights {source} are not safetensors ({error}); fetch the model again.") from error
    bad = _not_finite(arrays)
    if bad:
        raise FileFormatError(
            f"The weights '{bad}' of {source} hold NaN or infinite numbers; the model is of no use. Fetch or train it "
            "again."
        )
    return arrays


def _require_complete(content: bytes, source: Path) -> None:
    """Compare the length of a safetensors file with what its header promises."""
    header_bytes = int.from_bytes(content[:8], "little")
    if len(content) >= 8 and header_bytes > _LARGEST_HEADER_BYTES:
        raise FileFormatError(f"The weights {source} are not a safetensors file; give the file of a model.")
    try:
        if len(content) < 8 + header_bytes or len(content) < 8:
            raise EOFError
        header = json.loads(content[8 : 8 + header_bytes])
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        expected = 8 + header_bytes + max(ends, default=0)
        if len(content) < expected:
            raise EOFError
    except EOFError:
        raise FileFormatError(
            f"The weights {source} are truncated ({len(content)} bytes are there, more were expected); fetch the model "
            "again."
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise FileFormatError(f"The weights {source} are not a safetensors file; give the file of a model.") from error


def _array_of(value: Any) -> np.ndarray[Any, Any]:
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.float() if value.is_floating_point() and value.element_size() < 4 else value
        value = value.contiguous().numpy()
    return np.asarray(value, order="C")  # np.ascontiguousarray would give a scalar an axis


def _not_finite(arrays: Mapping[str, Any]) -> str | None:
    for name, value in arrays.items():
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            return name
    return None


def _stored(value: np.ndarray[Any, Any], half: bool) -> np.ndarray[Any, Any]:
    """What goes into the file: floats of 32 bits, filters of 16 if they fit."""
    if value.dtype.kind != "f":
        return value
    single = value.astype(np.float32)
    if not half or value.ndim < 2:
        return single
    with np.errstate(over="ignore"):
        halved = single.astype(np.float16)
    return halved if np.isfinite(halved).all() else single


def _tensor(torch: Any, value: np.ndarray[Any, Any]) -> torch.Tensor:
    writable = np.array(value, dtype=np.float32 if value.dtype.kind == "f" else value.dtype)
    tensor: torch.Tensor = torch.from_numpy(writable)
    return tensor

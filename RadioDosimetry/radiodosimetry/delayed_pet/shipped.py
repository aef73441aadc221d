"""Models of delayed PET that come with RadioDosimetry."""

from __future__ import annotations

from pathlib import Path

from ..errors import InputError

MODELS_FOLDER = Path(__file__).resolve().parent / "models"
"""Where shipped models lie: `<name>.safetensors` and `<name>.json`."""


def shipped_models() -> dict[str, Path]:
    """Name of each shipped model to its file, by name."""
    return {path.stem: path for path in sorted(MODELS_FOLDER.glob("*.safetensors"))}


def model_named(model: str | Path) -> Path:
    """A model file by its path, or a shipped one by its name.

    Raises
    ------
    InputError
        There is neither; the text names the shipped ones.
    """
    known = shipped_models()
    path = Path(model)
    if path.exists() or path.suffix:
        return path
    if str(model) in known:
        return known[str(model)]
    names = ", ".join(known) or "none with this version"
    raise InputError(
        f"There is no model '{model}': neither a file of this name nor one that comes with RadioDosimetry ({names}). "
        "Give a model file, or train one with 'radiodosimetry train delayed-pet'."
    )

"""Models that come with RadioDosimetry."""

from __future__ import annotations

from pathlib import Path

from ..errors import InputError
from . import dblur_dose, unet_dose

KINDS = {"unet": unet_dose.KIND, "dblurdosenet": dblur_dose.KIND}
"""Dose methods that need a model, to the kind of its file."""

LEARNED_METHODS = tuple(KINDS)
"""Dose methods that need a model."""

MODELS_FOLDER = Path(__file__).resolve().parent / "models"
"""Where shipped models lie: `<method>.safetensors` and `<method>.json`."""


def model_of(method: str, model: Path | None = None) -> Path:
    """The model of a method: the one given, else the shipped one.

    Raises
    ------
    InputError
        None is given and none is shipped.
    """
    if model is not None:
        return Path(model)
    shipped = MODELS_FOLDER / f"{method}.safetensors"
    if not shipped.exists():
        raise InputError(
            f"No model of '{method}' comes with this version of RadioDosimetry; train one with 'radiodosimetry train "
            f"{method}' and give it with --model (DoseOptions.model)."
        )
    return shipped

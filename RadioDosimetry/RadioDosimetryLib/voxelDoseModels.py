"""Methods of VoxelDose that a network learned: their model files, and why one cannot be used."""

from __future__ import annotations

from pathlib import Path

from slicer.i18n import tr as _

from .requirements import missingTorch

LEARNED_METHODS = ("unet", "dblurdosenet")
"""Methods of the panel that need a model; the core is loaded only when one of them is chosen."""


def isLearned(method: str) -> bool:
    """Whether a method needs a model."""
    return method in LEARNED_METHODS


def missingForModel(method: str, modelFile: str) -> str:
    """Why a learned method cannot be applied, a sentence; empty if it can.

    Parameters
    ----------
    method
        One of `LEARNED_METHODS`.
    modelFile
        File of the model; empty takes the one that comes with this version.
    """
    from radiodosimetry.errors import RadioDosimetryError
    from radiodosimetry.workflows.dose import DOSE_METHODS

    if method not in DOSE_METHODS:
        return _("This version has no networks for dose; choose another method.")
    missing = missingTorch()
    if missing:
        return missing
    from radiodosimetry.learned_dose.shipped import KINDS, model_of
    from radiodosimetry.learning.model_files import read_card

    try:
        card = read_card(model_of(method, Path(modelFile) if modelFile else None))
    except RadioDosimetryError as error:
        return str(error)
    if card.kind != KINDS[method]:
        return _("The model file holds a network of another kind ({found}); choose one of kind {wanted}.").format(
            found=card.kind, wanted=KINDS[method]
        )
    return ""

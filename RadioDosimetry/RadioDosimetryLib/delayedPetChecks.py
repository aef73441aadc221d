"""What keeps DelayedPETSynthesis from being applied, in the user's words, and what its boxes offer."""

from __future__ import annotations

from collections.abc import Mapping

from slicer.i18n import tr as _

from .delayedPet import ANY_TRACER, OTHER_TRACER, DelayedPetModel, ModelCard, hoursFromText
from .delayedPetNodes import isOwnSequence, showsScanOf
from .delayedPetWork import timeProblems
from .quantities import quantityOf, unitOf


def missingForSynthesis(parameters, models: Mapping[str, DelayedPetModel]) -> str:
    """Why volumes cannot be synthesised; empty if they can."""
    from radiodosimetry.errors import InputError

    if not models:
        return noModel()
    if parameters.earlyVolume is None:
        return _("Select the early PET.")
    if parameters.oneSequence and not isOwnSequence(parameters.outputSequence):
        return _("The sequence holds scans that were not made here; choose another one, or a new one.")
    if parameters.oneSequence and showsScanOf(parameters.earlyVolume, parameters.outputSequence):
        return _("The early PET shows a scan of that sequence; choose another one, or a new one.")
    if parameters.modelName not in models:
        return _("Select a model.")
    regions = parameters.regions
    if regions is not None and not regions.GetSegmentation().GetNumberOfSegments():
        return _("Segmentation '{name}' has no segment; draw a region, or select none.").format(name=regions.GetName())
    card = models[parameters.modelName].card
    try:
        hours = hoursFromText(parameters.targetTimesH)
    except InputError as error:
        return str(error)
    problems = [card.tracerProblem(parameters.nuclide, parameters.tracer or None)]
    problems += timeProblems(card, 3600.0 * parameters.earlyTimeH, [3600.0 * hour for hour in hours])
    problems += _scanProblems(card, parameters.earlyVolume)
    if card.needs_ct and parameters.ctVolume is None:
        problems.append(_("This model needs the CT of the early scan; select it."))
    return " ".join(problem for problem in problems if problem)


def tracerChoices(card: ModelCard | None, stated: str) -> dict[str, str]:
    """What the panel offers as the tracer that was given: words to the value of the parameter."""
    offered = {_("not stated"): ""}
    if card is not None and card.tracer != ANY_TRACER:
        offered[card.tracer] = card.tracer
    if stated not in ("", OTHER_TRACER):
        offered.setdefault(stated, stated)
    return {**offered, _("another tracer"): OTHER_TRACER}


def noModel() -> str:
    """What the panel says without models."""
    return _("No model is installed, so that nothing can be synthesised; install one and open this module again.")


def _scanProblems(card: ModelCard, node) -> list[str | None]:
    """What of the early scan the card does not cover, as far as the node itself shows it."""
    image = node.GetImageData()
    if image is None:
        return [_("The early PET has no voxels; select another one.")]
    spacing_mm = node.GetSpacing()
    extent_mm = [count * edge for count, edge in zip(image.GetDimensions(), spacing_mm, strict=True)]
    problems = [card.gridProblem(spacing_mm, extent_mm)]
    quantity = quantityOf(node)
    if quantity is not None and quantity.value == "activity_concentration" and unitOf(node) in (None, "Bq/mL"):
        problems.append(card.concentrationProblem(image.GetScalarRange()[1]))
    return problems

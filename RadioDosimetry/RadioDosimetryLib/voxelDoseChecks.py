"""What keeps VoxelDose from being applied, in the user's words, and what a scene leaves no doubt about."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from .outputChecks import inputAsOutput
from .pathFields import unusableFile
from .quantities import quantityOf
from .voxelDoseModels import isLearned, missingForModel
from .voxelDoseWork import COUNTS_UNIT, isSequence, saysActivity

ACTIVITY_QUANTITIES = ("activity_concentration", "time_integrated_activity_concentration", "counts")
"""What an activity volume may say that it holds."""


def missingForDose(parameters) -> str:
    """What is missing for a dose; empty if it can be computed."""
    ct, activity = parameters.ctVolume, parameters.activityVolume
    if ct is None:
        return _("Select the CT.")
    if activity is None:
        return _("Select the activity or time-integrated activity.")
    if ct is activity:
        return _("Select different volumes as CT and as activity.")
    for node in (ct, activity):
        if not isSequence(node) and node.GetImageData() is None:
            return _("Volume '{name}' has no voxels; select another one.").format(name=node.GetName())
    if _quantityName(ct) not in ("", "ct_number"):
        return _("'{name}' is not a CT, it holds {quantity}; select the CT.").format(
            name=ct.GetName(), quantity=_quantityName(ct).replace("_", " ")
        )
    if _quantityName(activity) not in ("", *ACTIVITY_QUANTITIES):
        return _("'{name}' is no activity, it holds {quantity}; select another volume.").format(
            name=activity.GetName(), quantity=_quantityName(activity).replace("_", " ")
        )
    unit = parameters.activityUnit.value
    if not unit and _isCounts(activity):
        unit = COUNTS_UNIT
    if not unit and not saysActivity(activity):
        return _("'{name}' does not say its unit; choose the activity unit.").format(name=activity.GetName())
    if unit == COUNTS_UNIT and not parameters.calibrationFactor > 0:
        return _("Give the calibration factor of the counts.")
    if unit != COUNTS_UNIT and parameters.calibrationFactor > 0:
        return _("A calibration factor belongs to the unit 'counts'; choose it, or set the factor to zero.")
    missing = _unusableFiles(parameters)
    if missing:
        return missing
    segmentation = parameters.segmentation
    if parameters.bed and segmentation is None:
        return _("Select the regions whose BED and EUD are wanted, or leave them out.")
    if segmentation is not None and segmentation.GetSegmentation().GetNumberOfSegments() == 0:
        return _("Segmentation '{name}' has no segment; draw a region, or select none.").format(
            name=segmentation.GetName()
        )
    return _wrongOutput(parameters)


def missingForDifference(parameters) -> str:
    """What is missing for a difference of doses; empty if it can be computed."""
    reference, test = parameters.referenceDose, parameters.testDose
    if reference is None or test is None:
        return _("Select two doses on one grid.")
    if reference is test:
        return _("Select two different doses.")
    if parameters.differenceVolume in (reference, test):
        return _("'{name}' is compared and is not overwritten; select another output.").format(
            name=parameters.differenceVolume.GetName()
        )
    return ""


def missingForPictures(parameters) -> str:
    """Why there are no pictures of a dose to save; empty if there are."""
    if parameters is None:
        return _("There is no scene to work in.")
    dose = parameters.shownDose
    return "" if isDose(dose) and dose.GetImageData() is not None else _("Compute or select a dose.")


def firstCt():
    """First volume of the scene that says it is a CT."""
    return _firstVolume(lambda node: _quantityName(node) == "ct_number")


def firstActivity():
    """First volume of the scene that says it is activity; integrated activity before activity."""
    integrated = _firstVolume(lambda node: _quantityName(node) == "time_integrated_activity_concentration")
    return integrated or _firstVolume(saysActivity)


def firstSegmentation():
    """The scene's segmentation; None if there are several or none."""
    count = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")
    return slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSegmentationNode") if count == 1 else None


def isDose(node) -> bool:
    """Whether a volume says it is absorbed dose."""
    return node is not None and _quantityName(node) == "absorbed_dose"


def _firstVolume(isWanted):
    volumes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    return next((node for node in volumes if node.GetImageData() is not None and isWanted(node)), None)


def _unusableFiles(parameters) -> str:
    """Why one of the files that will be read cannot be; empty if all can."""
    missing = unusableFile(parameters.ctCalibrationFile, _("CT calibration"))
    if not missing and isLearned(parameters.method.value):
        missing = missingForModel(parameters.method.value, parameters.modelFile)
    if not missing and parameters.bed:
        missing = unusableFile(parameters.radiobiologyFile, _("table of radiobiology"))
    return missing


def _wrongOutput(parameters) -> str:
    outputs = (parameters.doseVolume, parameters.uncertaintyVolume)
    wrong = inputAsOutput(outputs, (parameters.ctVolume, parameters.activityVolume))
    if wrong:
        return wrong
    if outputs[0] is not None and outputs[0] is outputs[1]:
        return _("Select different volumes for the dose and its uncertainty.")
    return ""


def _isCounts(node) -> bool:
    return _quantityName(node) == "counts"


def _quantityName(node) -> str:
    if isSequence(node):
        return ""
    quantity = quantityOf(node)
    return "" if quantity is None else quantity.value

"""VoxelDose: absorbed dose per voxel and region from a CT and an activity image. Module, panel, logic, self-test."""

from pathlib import Path
from typing import Annotated, Union

import slicer
from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode, vtkMRMLSequenceNode, vtkMRMLTableNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import Choice, Default, WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

from RadioDosimetryLib.panelLifeCycle import PanelLifeCycle
from RadioDosimetryLib.voxelDoseChoices import NUCLIDES, ActivityUnit, ComputeDevice, DoseMethod


class VoxelDose(ScriptedLoadableModule):
    """What Slicer shows of the module before it is opened."""

    def __init__(self, parent) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Voxel Dose")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Nuclear Medicine")]
        self.parent.dependencies = []
        self.parent.contributors = ["RadioDosimetry maintainers"]
        self.parent.helpText = _(
            "Absorbed dose of a radiopharmaceutical, per voxel and per region, from a CT and a quantitative PET or "
            "SPECT image or a map of time-integrated activity. Five methods, from local deposition to Monte Carlo; "
            "dose volume, uncertainty, dose-volume histograms, differences between methods, DICOM RT Dose. "
            "Research software, not a medical device."
        )
        self.parent.acknowledgementText = _(
            "Decay data: ICRP Publication 107. Voxel S-values: MIRD Pamphlet No. 17. CT calibration: Schneider et al., "
            "Phys Med Biol 45 (2000) 459-478."
        )
        slicer.app.connect("startupCompleted()", registerWithSlicer)


def registerWithSlicer() -> None:
    """Offer sample data, dose figures in Segment Statistics and RT Dose export, where the host has those modules."""
    from contextlib import suppress

    with suppress(ImportError):
        registerSampleData()
    with suppress(ImportError):
        from RadioDosimetryLib.doseStatisticsPlugin import registerDoseStatistics

        registerDoseStatistics()
    with suppress(ImportError):
        from RadioDosimetryLib.rtDosePlugin import registerRTDoseExport

        registerRTDoseExport()


def registerSampleData() -> None:
    """Offer the generated patient in the Sample Data module; nothing is downloaded."""
    import SampleData

    from RadioDosimetryLib.sampleOffer import loadOrSay

    category = "RadioDosimetry"
    SampleData.SampleDataLogic.registerCustomSampleDataCategory(category, title=_("Radionuclide dosimetry"))
    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category=category,
        sampleName=_("Virtual patient: CT, Lu-177 SPECT, organs and lesions (generated)"),
        uris="generated",
        fileNames="VoxelDosePatient",
        thumbnailFileName=str(Path(__file__).parent / "Resources" / "Icons" / "VoxelDose.svg"),
        customDownloader=lambda source: loadOrSay(loadSamplePatient),
    )


def loadSamplePatient(voxelMm: float = 4.0):
    """Put the virtual patient into the scene: nodes of CT, Lu-177 SPECT a day after 7.4 GBq, and segmentation."""
    from RadioDosimetryLib.samplePatient import lutetiumNodes, showPatient

    ct, (activity,), segmentation = lutetiumNodes((24.0,), voxelMm)
    showPatient(ct, activity, segmentation)
    return ct, activity, segmentation


def loadSampleTorso(voxelMm: float = 4.0):
    """Put the torso of the self-test into the scene, ellipsoids of known volume: CT, activity and segmentation."""
    from RadioDosimetryLib.requirements import ensureWithUser
    from RadioDosimetryLib.voxelDoseSample import sampleTorso

    ensureWithUser()
    ct, activity, segmentation = sampleTorso(voxelMm)
    if slicer.app.layoutManager() is not None:
        slicer.util.setSliceViewerLayers(background=ct, fit=True)
        slicer.vtkMRMLSliceNode.JumpAllSlices(slicer.mrmlScene, 92.0, 22.0, -32.0)  # the largest lesion (RAS, mm)
    return ct, activity, segmentation


@parameterNodeWrapper
class VoxelDoseParameterNode:
    """Choices of the user; the names are kept in scene files.

    `excludedSegmentIDs` (the segments without a check mark) and the files are wired by hand, all others through
    `connectGui`.
    """

    ctVolume: vtkMRMLScalarVolumeNode
    activityVolume: Union[vtkMRMLScalarVolumeNode, vtkMRMLSequenceNode, None]  # noqa: UP007 (as Slicer documents it)
    activityUnit: ActivityUnit = ActivityUnit.AS_STORED
    calibrationFactor: Annotated[float, WithinRange(0.0, 1e9)] = 0.0
    nuclide: Annotated[str, Choice(list(NUCLIDES)), Default("Lu-177")]
    method: DoseMethod = DoseMethod.MULTIPLE_VSV
    segmentation: vtkMRMLSegmentationNode
    excludedSegmentIDs: list[str]
    doseVolume: vtkMRMLScalarVolumeNode
    uncertaintyVolume: vtkMRMLScalarVolumeNode
    doseTable: vtkMRMLTableNode
    histories: Annotated[int, WithinRange(1000, 2_000_000_000)] = 2_000_000
    targetUncertaintyPercent: Annotated[float, WithinRange(0.0, 50.0)] = 0.0
    seed: Annotated[int, WithinRange(0, 2_147_483_647)] = 1
    device: ComputeDevice = ComputeDevice.CPU
    kernelReachMm: Annotated[float, WithinRange(10.0, 600.0)] = 600.0
    singleMedium: Annotated[str, Choice(["water", "soft-tissue"]), Default("water")]
    ctCalibrationFile: str
    clampCtNumbers: bool = False
    bodyMask: bool = False
    lesionsExcluded: bool = False
    modelFile: str
    bed: bool = False
    organAlphaBetaGy: Annotated[float, WithinRange(0.1, 100.0)] = 2.5
    organRepairHours: Annotated[float, WithinRange(0.01, 100.0)] = 2.8
    lesionAlphaBetaGy: Annotated[float, WithinRange(0.1, 100.0)] = 10.0
    lesionRepairHours: Annotated[float, WithinRange(0.01, 100.0)] = 1.5
    effectiveHalfLifeHours: Annotated[float, WithinRange(0.0, 1e5)] = 0.0
    alphaPerGy: Annotated[float, WithinRange(0.0, 10.0)] = 0.0
    radiobiologyFile: str
    shownDose: vtkMRMLScalarVolumeNode
    referenceDose: vtkMRMLScalarVolumeNode
    testDose: vtkMRMLScalarVolumeNode
    differenceVolume: vtkMRMLScalarVolumeNode


HAND_WIRED_PARAMETERS = ("excludedSegmentIDs", "ctCalibrationFile", "modelFile", "radiobiologyFile")
"""Parameters without a connector in Slicer's `connectGui`."""


class VoxelDoseWidget(PanelLifeCycle, ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel: it reads choices, starts the logic in the background, and shows results and messages."""

    def makeLogic(self):
        """What computes."""
        return VoxelDoseLogic()

    def makePanel(self):
        """What answers to the widgets."""
        from RadioDosimetryLib.voxelDosePanel import VoxelDosePanel

        return VoxelDosePanel(self.ui, self.logic)

    def chooseInputs(self) -> None:
        """Choose the nodes that say what they are."""
        self.logic.chooseInputs(self._parameterNode)


class VoxelDoseLogic(ScriptedLoadableModuleLogic):
    """Absorbed dose from nodes to nodes; usable from the console and in batch, without the panel."""

    def getParameterNode(self) -> VoxelDoseParameterNode:
        """Choices kept in the scene."""
        return VoxelDoseParameterNode(super().getParameterNode())

    def computeDose(
        self,
        ctNode,
        activityNode,
        nuclide: str = "Lu-177",
        method: str = "multiple-vsv",
        segmentationNode=None,
        segmentIDs=None,
        activityUnit: str | None = None,
        calibrationFactor: float | None = None,
        doseNode=None,
        uncertaintyNode=None,
        tableNode=None,
        progress=None,
        **settings,
    ):
        """Compute a dose and leave it in the scene.

        >>> import VoxelDose
        >>> ct, activity, segmentation = VoxelDose.loadSamplePatient()
        >>> nodes = VoxelDose.VoxelDoseLogic().computeDose(ct, activity, "Lu-177", segmentationNode=segmentation)
        >>> nodes.dose, nodes.table, nodes.chart

        Parameters
        ----------
        ctNode, activityNode
            CT [HU]; activity [Bq/mL], integrated by physical decay, or time-integrated activity [Bq s/mL], or a
            sequence of registered activity scans over hours after administration, integrated voxel by voxel.
        nuclide
            Any radionuclide of ICRP-107.
        method
            "local", "single-vsv", "density-scaled", "multiple-vsv" or "monte-carlo"; "unet" or "dblurdosenet" with a
            model file.
        segmentationNode, segmentIDs
            Regions of the table and the histogram; all segments if `segmentIDs` is None.
        activityUnit, calibrationFactor
            Unit where the volume does not say it; [Bq/mL] per count for the unit "counts".
        doseNode, uncertaintyNode, tableNode
            Outputs; new nodes if None. Never an input.
        progress
            `report(fraction, message)` and `cancelled()`; None: nobody watches.
        **settings
            See `RadioDosimetryLib.voxelDoseWork.DoseSettings`: histories, targetUncertaintyPercent, seed, device,
            clampCtNumbers, bodyMask, ctCalibrationFile, kernelReachMm, singleMedium, lesionsExcluded, modelFile, and
            biology (`RadioDosimetryLib.voxelDoseRadiobiology.BiologySettings`) for BED and EUD.

        Returns
        -------
        RadioDosimetryLib.voxelDoseOutputs.DoseNodes
            Nodes `dose`, `uncertainty`, `table`, `histograms`, `chart`.

        Raises
        ------
        radiodosimetry.errors.RadioDosimetryError
            With a text that says what to do; the scene is then as it was.
        """
        from RadioDosimetryLib.voxelDoseOutputs import DoseTargets, storeDose
        from RadioDosimetryLib.voxelDoseWork import DoseSettings, computeRequest, doseRequest

        targets = DoseTargets(ctNode, activityNode, segmentationNode, doseNode, uncertaintyNode, tableNode)
        targets.requireDistinct()
        request = doseRequest(
            ctNode, activityNode, nuclide, method, segmentationNode, segmentIDs, activityUnit, calibrationFactor,
            DoseSettings(**settings),
        )  # fmt: skip
        result = computeRequest(request, progress)
        return storeDose(result, targets, self.title(activityNode, method))

    def computeDifference(self, referenceNode, testNode, differenceNode=None):
        """Volume of the difference of two doses on one grid, test minus reference [Gy]."""
        from RadioDosimetryLib.voxelDoseOutputs import storeDifference

        return storeDifference(referenceNode, testNode, f"Difference of {testNode.GetName()}", differenceNode)

    def exportRtDose(self, doseNode, path, reference=None) -> None:
        """Write a dose volume as DICOM RT Dose; `reference`: DICOM file or folder of the CT."""
        from RadioDosimetryLib.voxelDoseOutputs import exportRtDose

        exportRtDose(doseNode, Path(path), None if reference is None else Path(reference))

    def savePictures(self, doseNode, folder, ctNode=None, segmentationNode=None) -> list:
        """Save the report's pictures of a dose into an existing folder; see `RadioDosimetryLib.pictures.dosePictures`.

        CT and regions are those that the dose was computed from, where none are given. Returns the paths.
        """
        from RadioDosimetryLib.pictures import dosePictures

        return dosePictures(doseNode, Path(folder), ctNode, segmentationNode).run()

    def title(self, activityNode, method: str) -> str:
        """Name of a new dose volume."""
        return f"Dose {method} {activityNode.GetName()}"

    def chooseInputs(self, parameterNode: VoxelDoseParameterNode) -> None:
        """Fill empty inputs with the first node of the scene that says it is one."""
        from RadioDosimetryLib.voxelDoseChecks import firstActivity, firstCt, firstSegmentation

        with slicer.util.NodeModify(parameterNode):
            if parameterNode.ctVolume is None:
                parameterNode.ctVolume = firstCt()
            if parameterNode.activityVolume is None:
                parameterNode.activityVolume = firstActivity()
            if parameterNode.segmentation is None:
                parameterNode.segmentation = firstSegmentation()


class VoxelDoseTest(ScriptedLoadableModuleTest):
    """Self-test on the generated patient; no download."""

    def setUp(self) -> None:
        """Begin with an empty scene, and with the packages that the core needs."""
        from RadioDosimetryLib.selfTests import requirePackages

        requirePackages()
        slicer.mrmlScene.Clear()

    def runTest(self) -> None:
        """All tests."""
        from RadioDosimetryLib.selfTests import runSelfTests

        runSelfTests(self, (self.test_dose_equals_the_core, self.test_missing_unit_changes_nothing))

    def test_dose_equals_the_core(self) -> None:
        """The dose volume holds what the core computes, and the table has a row per segment."""
        import numpy as np

        from radiodosimetry.workflows.dose import compute_dose, integrate_physical_decay
        from RadioDosimetryLib.volumes import volumeFromNode

        ct, activity, segmentation = loadSampleTorso(16.0)
        nodes = VoxelDoseLogic().computeDose(ct, activity, "Lu-177", "local", segmentation)
        tia = integrate_physical_decay(volumeFromNode(activity), "Lu-177")
        expected = compute_dose(volumeFromNode(ct), tia, "Lu-177", "local").dose
        np.testing.assert_array_equal(slicer.util.arrayFromVolume(nodes.dose), expected.array_kji)
        self.assertEqual(nodes.table.GetNumberOfRows(), segmentation.GetSegmentation().GetNumberOfSegments())
        self.assertEqual(nodes.dose.GetVoxelValueUnits().GetCodeValue(), "Gy")
        self.delayDisplay("Dose of the virtual torso equals that of the core")

    def test_missing_unit_changes_nothing(self) -> None:
        """A volume without a unit is refused with a message, and no node appears."""
        from radiodosimetry.errors import UnitError

        ct, activity, _segmentation = loadSampleTorso(16.0)
        unknown = slicer.util.addVolumeFromArray(slicer.util.arrayFromVolume(activity), name="unknown")
        count = slicer.mrmlScene.GetNumberOfNodes()
        with self.assertRaises(UnitError):
            VoxelDoseLogic().computeDose(ct, unknown)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), count)

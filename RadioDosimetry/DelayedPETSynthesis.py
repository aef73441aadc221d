"""DelayedPETSynthesis: later PET volumes from one early scan, by an installed model.

Module, panel, logic, self-test.
"""

from pathlib import Path
from typing import Annotated

import slicer
from slicer import (
    vtkMRMLScalarVolumeNode,
    vtkMRMLSegmentationNode,
    vtkMRMLSequenceNode,
    vtkMRMLTableNode,
)
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import Default, WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

from RadioDosimetryLib.panelLifeCycle import PanelLifeCycle


class DelayedPETSynthesis(ScriptedLoadableModule):
    """What Slicer shows of the module before it is opened."""

    def __init__(self, parent) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Delayed PET Synthesis")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Nuclear Medicine")]
        self.parent.dependencies = []
        self.parent.contributors = ["RadioDosimetry maintainers"]
        self.parent.helpText = _(
            "Synthesises the PET volumes of later times from one early scan with an installed model, states their "
            "uncertainty where the model gives it, compares them with a scan that was acquired, and hands the series "
            "over to TimeActivityFit. What a model was trained on and where it must not be used stands on its card. "
            "Synthetic volumes were never measured. Research software, not a medical device."
        )
        self.parent.acknowledgementText = _(
            "Physical decay: ICRP Publication 107. Each model names its own sources and licence on its card."
        )
        slicer.app.connect("startupCompleted()", registerSampleData)


def registerSampleData() -> None:
    """Offer generated scans in the Sample Data module; nothing is downloaded."""
    try:
        import SampleData
    except ImportError:  # a host without that module
        return
    from RadioDosimetryLib.sampleOffer import loadOrSay

    category = "RadioDosimetry"
    SampleData.SampleDataLogic.registerCustomSampleDataCategory(category, title=_("Radionuclide dosimetry"))
    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category=category,
        sampleName=_("Virtual patient: CT, Cu-64 PET at 1 h and 24 h, organs and lesions (generated)"),
        uris="",
        thumbnailFileName=str(Path(__file__).parent / "Resources" / "Icons" / "DelayedPETSynthesis.svg"),
        customDownloader=lambda source: loadOrSay(loadSamplePatient),
    )


def loadSamplePatient(voxelMm: float = 4.0):
    """Put the virtual patient into the scene: nodes of CT, Cu-64 antibody PET at 1 h and 24 h, and segmentation."""
    from RadioDosimetryLib.samplePatient import copperNodes, showPatient

    ct, (early, late), segmentation = copperNodes(voxelMm)
    showPatient(ct, late, segmentation)
    return ct, early, late, segmentation


def loadSampleScans(voxelMm: float = 4.0):
    """Put the torso of the self-test into the scene: nodes of CT, PET at 1 h, PET at 24 h and segmentation."""
    from RadioDosimetryLib.delayedPetSample import sampleScans
    from RadioDosimetryLib.requirements import ensureWithUser

    ensureWithUser()
    return sampleScans(voxelMm)


@parameterNodeWrapper
class DelayedPETSynthesisParameterNode:
    """Choices of the user; the names are kept in scene files.

    `modelName`, `nuclide` and `tracer` are wired by hand: what can be chosen depends on the installed models. A
    `tracer` of "" is not stated.
    """

    modelName: str
    earlyVolume: vtkMRMLScalarVolumeNode
    earlyTimeH: Annotated[float, WithinRange(0.0, 1000.0)] = 1.0
    nuclide: str
    tracer: str
    administeredActivityMBq: Annotated[float, WithinRange(0.0, 1e6)] = 0.0
    ctVolume: vtkMRMLScalarVolumeNode
    regions: vtkMRMLSegmentationNode
    targetTimesH: Annotated[str, Default("24, 48")]
    withUncertainty: bool = True
    oneSequence: bool = False
    outputSequence: vtkMRMLSequenceNode
    activitiesTable: vtkMRMLTableNode
    acquiredVolume: vtkMRMLScalarVolumeNode
    acquiredTimeH: Annotated[float, WithinRange(0.0, 1000.0)] = 24.0
    segmentation: vtkMRMLSegmentationNode
    comparisonTable: vtkMRMLTableNode


HAND_WIRED_PARAMETERS = ("modelName", "nuclide", "tracer")
"""Parameters that are not bound through `connectGui`."""


class DelayedPETSynthesisWidget(PanelLifeCycle, ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel: it reads choices, starts the logic in the background, and shows results and messages."""

    def makeLogic(self):
        """What computes."""
        return DelayedPETSynthesisLogic()

    def makePanel(self):
        """What answers to the widgets."""
        from RadioDosimetryLib.delayedPetPanel import DelayedPetPanel

        return DelayedPetPanel(self.ui, self.logic)


class DelayedPETSynthesisLogic(ScriptedLoadableModuleLogic):
    """Later PET volumes from nodes to nodes; usable from the console and in batch, without the panel."""

    def getParameterNode(self) -> DelayedPETSynthesisParameterNode:
        """Choices kept in the scene."""
        return DelayedPETSynthesisParameterNode(super().getParameterNode())

    def models(self) -> dict:
        """Installed models by name: those that come with the package, and what was registered in this session."""
        from RadioDosimetryLib.delayedPet import installedModels
        from RadioDosimetryLib.delayedPetFiles import registerShippedModels

        registerShippedModels()
        return installedModels()

    def request(self, parameterNode: DelayedPETSynthesisParameterNode):
        """The choices as a request of core values.

        Raises
        ------
        radiodosimetry.errors.InputError
            A choice is missing or cannot be used.
        """
        from RadioDosimetryLib.delayedPet import hoursFromText
        from RadioDosimetryLib.delayedPetFiles import modelNamed
        from RadioDosimetryLib.delayedPetNodes import requestFromNodes

        return requestFromNodes(
            modelNamed(parameterNode.modelName),
            parameterNode.earlyVolume,
            parameterNode.nuclide,
            parameterNode.earlyTimeH,
            hoursFromText(parameterNode.targetTimesH),
            parameterNode.ctVolume,
            parameterNode.regions,
            parameterNode.tracer,
            parameterNode.administeredActivityMBq,
        )

    def synthesise(
        self,
        modelName: str,
        earlyNode,
        nuclide: str,
        earlyHours: float,
        targetHours,
        ctNode=None,
        withUncertainty: bool = True,
        oneSequence: bool = False,
        sequenceNode=None,
        regionsNode=None,
        tracer: str = "",
        administeredMBq: float = 0.0,
        progress=None,
    ) -> list:
        """Make the later volumes and leave them in the scene.

        >>> import DelayedPETSynthesis
        >>> logic = DelayedPETSynthesis.DelayedPETSynthesisLogic()
        >>> volumes = logic.synthesise(list(logic.models())[0], earlyNode, "Cu-64", 1.0, [24.0, 48.0])

        Parameters
        ----------
        modelName
            One of `models()`, or the file of a model.
        earlyNode
            Activity concentration present at the early scan [Bq/mL].
        nuclide
            Nuclide of the tracer, one of the model's.
        earlyHours, targetHours
            Times after injection of the early scan and of the volumes wanted [h].
        ctNode
            CT of the early scan, where the model needs it.
        withUncertainty
            Whether the standard uncertainty is left in the scene too, where the model gives it.
        oneSequence, sequenceNode
            One sequence of early and synthetic scans instead of volumes; the node to fill, a new one if None.
        regionsNode
            Segmentation of organs and lesions, where they are known; where segments overlap the smallest counts.
        tracer
            Name of the tracer that was given; a model of another one is refused. Empty: not stated.
        administeredMBq
            Administered activity [MBq]; 0 where it is not known.
        progress
            `report(fraction, message)` and `cancelled()`; None: nobody watches.

        Returns
        -------
        list of vtkMRMLScalarVolumeNode, or of one vtkMRMLSequenceNode
            What was made.

        Raises
        ------
        radiodosimetry.errors.RadioDosimetryError
            With a text that says what to do; the scene is then as it was.
        """
        from RadioDosimetryLib.delayedPetFiles import modelNamed
        from RadioDosimetryLib.delayedPetNodes import requestFromNodes
        from RadioDosimetryLib.delayedPetWork import runSynthesis

        request = requestFromNodes(
            modelNamed(modelName), earlyNode, nuclide, earlyHours, targetHours, ctNode, regionsNode, tracer,
            administeredMBq,
        )  # fmt: skip
        results = runSynthesis(request, progress)
        return self.store(results, request, earlyNode, withUncertainty, oneSequence, sequenceNode)

    def store(self, results, request, earlyNode, withUncertainty=True, oneSequence=False, sequenceNode=None) -> list:
        """Leave synthetic volumes in the scene, as volumes or as one sequence, and remember them there."""
        from RadioDosimetryLib.delayedPetNodes import UNCERTAINTY_REFERENCE, nodesFromResults, sequenceFromResults
        from RadioDosimetryLib.delayedPetResults import rememberResults
        from RadioDosimetryLib.outputs import allOrNothing, inScene

        sequenceNode = inScene(sequenceNode) if oneSequence else None
        stated = sequenceNode.GetNodeReference(UNCERTAINTY_REFERENCE) if sequenceNode is not None else None
        with allOrNothing((sequenceNode, stated)):
            if oneSequence:
                nodes = [sequenceFromResults(results, request, earlyNode, withUncertainty, sequenceNode)]
            else:
                nodes = nodesFromResults(results, earlyNode, withUncertainty)
            rememberResults(super().getParameterNode(), nodes)
        return nodes

    def results(self) -> list:
        """What the last run made and is still in the scene: volumes, or one sequence."""
        from RadioDosimetryLib.delayedPetResults import rememberedResults

        return rememberedResults(super().getParameterNode())

    def activities(self, segmentationNode=None, tableNode=None):
        """Table of what the last results hold in the whole image and in each segment, with standard uncertainty.

        Raises
        ------
        radiodosimetry.errors.InputError
            There are no results, or a segment cannot be used.
        """
        from RadioDosimetryLib.delayedPetResults import activitiesTable
        from RadioDosimetryLib.outputs import allOrNothing, inScene

        with allOrNothing((inScene(tableNode),)):
            return activitiesTable(self.results(), segmentationNode, node=inScene(tableNode))

    def compare(self, acquiredNode, acquiredHours: float, nuclide: str, segmentationNode=None, tableNode=None):
        """Table of how close the last results are to an acquired scan, for the whole image and each segment.

        Raises
        ------
        radiodosimetry.errors.InputError
            There are no results, none is near in time, or a node cannot be used.
        """
        from RadioDosimetryLib.delayedPetResults import comparisonOf, comparisonTable
        from RadioDosimetryLib.outputs import allOrNothing, inScene

        synthetic, rows = comparisonOf(self.results(), acquiredNode, acquiredHours, nuclide, segmentationNode)
        with allOrNothing((inScene(tableNode),)):
            return comparisonTable(synthetic, rows, node=inScene(tableNode))

    def handOver(self, nuclide: str, earlyHours: float, segmentationNode=None, administeredMBq: float = 0.0) -> None:
        """Put the early scan and the last results into TimeActivityFit's table of scans, in the order of their times.

        Raises
        ------
        radiodosimetry.errors.InputError
            There are no results.
        """
        from RadioDosimetryLib.delayedPetResults import handOverTo
        from TimeActivityFit import TimeActivityFitLogic

        fit = TimeActivityFitLogic().getParameterNode()
        handOverTo(fit, self.results(), nuclide, earlyHours, segmentationNode, administeredMBq)


class DelayedPETSynthesisTest(ScriptedLoadableModuleTest):
    """Self-test with a model of known output; no download."""

    def setUp(self) -> None:
        """Begin with an empty scene, and with the packages that the core needs."""
        from RadioDosimetryLib.selfTests import requirePackages

        requirePackages()
        slicer.mrmlScene.Clear()

    def runTest(self) -> None:
        """All tests."""
        from RadioDosimetryLib.selfTests import runSelfTests

        runSelfTests(self, (self.test_decayed_scan_is_synthesised, self.test_unknown_model_is_refused))

    def test_decayed_scan_is_synthesised(self) -> None:
        """A model that decays the early scan leaves the decayed voxels in the scene, marked as synthetic."""
        import numpy as np

        from RadioDosimetryLib.delayedPet import registerModel, unregisterModel
        from RadioDosimetryLib.delayedPetSample import DecayOnly, sampleEarlyScan

        model = DecayOnly()
        registerModel(model)
        try:
            early = sampleEarlyScan()
            logic = DelayedPETSynthesisLogic()
            volumes = logic.synthesise(model.card.name, early, "Cu-64", 1.0, [24.0, 48.0])
        finally:
            unregisterModel(model.card.name)
        voxels = slicer.util.arrayFromVolume(early)
        for hours, volume in zip((24.0, 48.0), volumes, strict=True):
            decayed = voxels * 2.0 ** (-(hours - 1.0) / 12.7)
            np.testing.assert_allclose(slicer.util.arrayFromVolume(volume), decayed, rtol=0.01)
            self.assertEqual(volume.GetAttribute("RadioDosimetry.Synthetic"), "1")
            self.assertIn("synthetic", volume.GetName())
        self.delayDisplay("Synthetic volumes of the model are in the scene")

    def test_unknown_model_is_refused(self) -> None:
        """Without the model nothing is made."""
        from radiodosimetry.errors import InputError
        from RadioDosimetryLib.delayedPetSample import sampleEarlyScan

        early = sampleEarlyScan()
        count = slicer.mrmlScene.GetNumberOfNodes()
        with self.assertRaises(InputError):
            DelayedPETSynthesisLogic().synthesise("no such model", early, "Cu-64", 1.0, [24.0])
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), count)

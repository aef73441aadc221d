"""TimeActivityFit: from serial scans to time-activity curves, residence times, organ doses and a map for VoxelDose.

Module, panel, logic, self-test.
"""

from pathlib import Path
from typing import Annotated

import slicer
from slicer import (
    vtkMRMLNode,
    vtkMRMLPlotChartNode,
    vtkMRMLScalarVolumeNode,
    vtkMRMLSegmentationNode,
    vtkMRMLTableNode,
    vtkMRMLTransformNode,
)
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
from RadioDosimetryLib.timeActivityChoices import (
    FitModel,
    RegistrationKind,
    SimulationDevice,
    SValueSource,
    SValueUnit,
    TiaMethod,
    TrapezoidTail,
)

NUCLIDES = (
    "Lu-177", "Y-90", "I-131", "Ho-166", "Sm-153", "Tb-161", "Cu-67", "Re-186", "Re-188", "Sr-89", "Er-169", "P-32",
    "Ac-225", "Ra-223", "Pb-212", "Bi-213", "At-211", "Th-227",
    "F-18", "C-11", "Ga-68", "Cu-64", "Zr-89", "I-124", "Tc-99m", "In-111", "I-123", "Ga-67", "Tl-201",
)  # fmt: skip
"""Radionuclides of the panel: therapy, alpha emitters, imaging. Logic takes every nuclide of ICRP-107."""


class TimeActivityFit(ScriptedLoadableModule):
    """What Slicer shows of the module before it is opened."""

    def __init__(self, parent) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Time-Activity Fit")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Nuclear Medicine")]
        self.parent.dependencies = []
        self.parent.contributors = ["RadioDosimetry maintainers"]
        self.parent.helpText = _(
            "Time-activity curves of regions over serial quantitative SPECT or PET, their fits with uncertainties, "
            "residence times, organ doses with the S-values of stylised adults or of the patient's own CT, and maps of "
            "time-integrated activity for the module Voxel Dose. Research software, not a medical device."
        )
        self.parent.acknowledgementText = _(
            "Decay data: ICRP Publication 107. Fits: EANM guidance on uncertainty, Gear et al., Eur J Nucl Med Mol "
            "Imaging 45 (2018) 2456-2474. Organ doses: MIRD Pamphlet No. 21, Bolch et al., J Nucl Med 50 (2009) 477."
        )
        slicer.app.connect("startupCompleted()", registerSampleData)


def registerSampleData() -> None:
    """Offer the generated patient in the Sample Data module; nothing is downloaded."""
    try:
        import SampleData
    except ImportError:  # a host without that module
        return
    from RadioDosimetryLib.sampleOffer import loadOrSay

    category = "RadioDosimetry"
    SampleData.SampleDataLogic.registerCustomSampleDataCategory(category, title=_("Radionuclide dosimetry"))
    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category=category,
        sampleName=_("Virtual patient: CT, four Lu-177 SPECT over a week, organs and lesions (generated)"),
        uris="",
        thumbnailFileName=str(Path(__file__).parent / "Resources" / "Icons" / "TimeActivityFit.svg"),
        customDownloader=lambda source: loadOrSay(lambda: _nodesOf(loadSamplePatient())),
    )


def loadSamplePatient(voxelMm: float = 4.0):
    """Put the virtual patient into the scene: CT node, four Lu-177 SPECT nodes, their hours, segmentation node."""
    from RadioDosimetryLib.samplePatient import LUTETIUM_HOURS, lutetiumNodes, showPatient

    ct, scans, segmentation = lutetiumNodes(LUTETIUM_HOURS, voxelMm)
    showPatient(ct, scans[1], segmentation)
    return ct, scans, list(LUTETIUM_HOURS), segmentation


def _nodesOf(loaded) -> list:
    """Nodes of `loadSamplePatient` in one list, as the Sample Data module takes them."""
    ct, scans, _hours, segmentation = loaded
    return [ct, *scans, segmentation]


def loadSampleScans(voxelMm: float = 4.0, noisePercent: float = 0.0):
    """Put the torso of the self-test into the scene: CT node, four scan nodes, their hours, segmentation node."""
    from RadioDosimetryLib.requirements import ensureWithUser
    from RadioDosimetryLib.timeActivitySample import sampleScans

    ensureWithUser()
    return sampleScans(voxelMm, noisePercent)


@parameterNodeWrapper
class TimeActivityFitParameterNode:
    """Choices of the user; the names are kept in scene files. Those of `HAND_WIRED_PARAMETERS` have no connector."""

    scanNodes: list[vtkMRMLNode]
    scanHours: list[float]
    scanCTs: list[vtkMRMLScalarVolumeNode]
    scanTransforms: list[vtkMRMLTransformNode]
    segmentedScans: list[vtkMRMLNode]
    scanSegmentations: list[vtkMRMLSegmentationNode]
    referenceScan: int = 0
    registration: RegistrationKind = RegistrationKind.RIGID
    nuclide: Annotated[str, Choice(list(NUCLIDES)), Default("Lu-177")]
    administeredActivityMBq: Annotated[float, WithinRange(0.0, 1e6)] = 0.0
    injectionTime: str
    segmentation: vtkMRMLSegmentationNode
    excludedSegmentIDs: list[str]
    segmentModels: dict[str, str]
    segmentOrgans: dict[str, str]
    remainder: bool = False
    wholeBody: bool = False
    bodySegmentID: str
    imageUnit: Annotated[str, Choice(["Bq/mL", "kBq/mL", "MBq/mL"]), Default("Bq/mL")]
    calibrationBqPerMlPerCount: Annotated[float, WithinRange(0.0, 1e9)] = 0.0
    correctedToInjection: bool = False
    recoveryFile: str
    calibrationUncertaintyPercent: Annotated[float, WithinRange(0.0, 99.0)] = 0.0
    volumeUncertaintyPercent: Annotated[float, WithinRange(0.0, 99.0)] = 0.0
    model: FitModel = FitModel.AUTOMATIC
    effectiveHalfLifeHours: Annotated[float, WithinRange(0.0, 1e5)] = 0.0
    tail: TrapezoidTail = TrapezoidTail.DEFAULT
    shownRegion: str
    logarithmicAxis: bool = False
    curvesTable: vtkMRMLTableNode
    fitsTable: vtkMRMLTableNode
    residenceTimeTable: vtkMRMLTableNode
    curveChart: vtkMRMLPlotChartNode
    residualChart: vtkMRMLPlotChartNode
    sValues: SValueSource = SValueSource.ADULT_MALE
    massesFile: str
    sValuesFile: str
    sValuesUnit: SValueUnit = SValueUnit.STATED
    patientCT: vtkMRMLScalarVolumeNode
    patientSpacingMm: Annotated[float, WithinRange(1.0, 20.0)] = 4.0
    histories: Annotated[int, WithinRange(1000, 100_000_000)] = 500_000
    device: SimulationDevice = SimulationDevice.CPU
    bed: bool = False
    organAlphaBetaGy: Annotated[float, WithinRange(0.1, 100.0)] = 2.5
    organRepairHours: Annotated[float, WithinRange(0.01, 100.0)] = 2.8
    lesionAlphaBetaGy: Annotated[float, WithinRange(0.1, 100.0)] = 10.0
    lesionRepairHours: Annotated[float, WithinRange(0.01, 100.0)] = 1.5
    radiobiologyFile: str
    organDoseTable: vtkMRMLTableNode
    tiaMethod: TiaMethod = TiaMethod.MONO
    noisePercent: Annotated[float, WithinRange(0.0, 900.0)] = 0.0
    tiaVolume: vtkMRMLScalarVolumeNode
    tiaUncertaintyVolume: vtkMRMLScalarVolumeNode
    openVoxelDose: bool = True


HAND_WIRED_PARAMETERS = (
    "scanNodes", "scanHours", "scanCTs", "scanTransforms", "segmentedScans", "scanSegmentations", "referenceScan",
    "excludedSegmentIDs", "segmentModels", "segmentOrgans", "bodySegmentID", "recoveryFile", "massesFile",
    "sValuesFile", "radiobiologyFile", "shownRegion", "curvesTable", "fitsTable", "residenceTimeTable", "curveChart",
    "residualChart",
)  # fmt: skip
"""Parameters without a connector in Slicer's `connectGui`, and nodes that no selector shows."""


class TimeActivityFitWidget(PanelLifeCycle, ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel: it reads choices, starts the logic in the background, and shows results and messages."""

    def makeLogic(self):
        """What computes."""
        return TimeActivityFitLogic()

    def makePanel(self):
        """What answers to the widgets."""
        from RadioDosimetryLib.timeActivityPanel import TimeActivityPanel

        return TimeActivityPanel(self.ui, self.logic, {model.value: model.label() for model in FitModel})

    def setup(self) -> None:
        """Beside what all panels do: hear of scans and results that leave the scene."""
        super().setup()
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.NodeRemovedEvent, self.onNodeRemoved)

    def onNodeRemoved(self, caller=None, event=None) -> None:
        """A scan or a result may be gone."""
        if self._parameterNode is not None and not slicer.mrmlScene.IsClosing():
            self._panel.update()


class TimeActivityFitLogic(ScriptedLoadableModuleLogic):
    """Time-activity analysis from nodes to nodes; usable from the console and in batch, without the panel.

    >>> import TimeActivityFit
    >>> ct, scans, hours, segmentation = TimeActivityFit.loadSamplePatient()
    >>> logic = TimeActivityFit.TimeActivityFitLogic()
    >>> curves = logic.measureCurves(list(zip(scans, hours)), segmentation, "Lu-177", administeredActivityMBq=7400)
    >>> fits = logic.fitCurves(curves, model="auto")
    >>> doses = logic.organDoses(fits, phantom="adult-male", organs={"liver": "liver", "spleen": "spleen"})
    >>> tia = logic.timeIntegratedActivity(list(zip(scans, hours)), "Lu-177", method="mono")

    Every method raises `radiodosimetry.errors.RadioDosimetryError` with a text that says what to do, and leaves the
    scene as it was then. `progress` has `report(fraction, message)` and `cancelled()`; None: nobody watches.
    """

    def getParameterNode(self) -> TimeActivityFitParameterNode:
        """Choices kept in the scene."""
        return TimeActivityFitParameterNode(super().getParameterNode())

    def series(self, scans, imageUnit="Bq/mL", calibrationBqPerMlPerCount=None, referenceScan=0):
        """The scans of a patient.

        Parameters
        ----------
        scans
            Sequence nodes, pairs (volume node, hours after injection), or rows with CT, transform and segmentation of
            their own (`RadioDosimetryLib.timeActivityScans.ScanNode`).
        imageUnit
            Unit of images that do not say it.
        calibrationBqPerMlPerCount
            Calibration factor [Bq/mL per count] of images that hold counts.
        referenceScan
            Index of the scan that the transforms lead to.
        """
        from RadioDosimetryLib.timeActivityScans import ImageUnits, ScanNode
        from RadioDosimetryLib.timeActivitySeries import Series

        rows = tuple(ScanNode.of(scan) for scan in scans)
        return Series(rows, ImageUnits(imageUnit, calibrationBqPerMlPerCount), referenceScan)

    def measureCurves(
        self, scans, segmentationNode, nuclide="Lu-177", segmentIDs=None, tableNode=None, progress=None,
        imageUnit="Bq/mL", calibrationBqPerMlPerCount=None, referenceScan=0, **options,
    ):  # fmt: skip
        """Table node of the activity in each segment over the scans.

        Parameters
        ----------
        scans, imageUnit, calibrationBqPerMlPerCount, referenceScan
            See `series`.
        segmentationNode, segmentIDs
            Regions that the scans without their own have in common, drawn on the reference scan; all segments if
            `segmentIDs` is None.
        nuclide
            Any radionuclide of ICRP-107.
        tableNode
            Output table; a new one if None.
        **options
            See `RadioDosimetryLib.timeActivityWork.MeasurementOptions`: administeredActivityMBq, correctedToInjection,
            remainder, wholeBody, body, recoveryFile, calibrationUncertaintyPercent, volumeUncertaintyPercent.
        """
        from RadioDosimetryLib.timeActivityTasks import measurementTask
        from RadioDosimetryLib.timeActivityWork import MeasurementOptions

        series = self.series(scans, imageUnit, calibrationBqPerMlPerCount, referenceScan)
        settings = MeasurementOptions(nuclide, **options)
        task = measurementTask(series, segmentationNode, settings, segmentIDs, nodes={"curves": tableNode})
        return task.run(progress)["curves"]

    def fitCurves(
        self, curvesTableNode, model="auto", models=None, effectiveHalfLifeHours=None, tail=None, tableNode=None,
        progress=None,
    ):  # fmt: skip
        """Table node of the fits of a table of `measureCurves`; `models`: region to its own model."""
        from RadioDosimetryLib.outputs import allOrNothing, inScene, refuseInputAsOutput
        from RadioDosimetryLib.timeActivityKept import curvesFromTable, fitsTable
        from RadioDosimetryLib.timeActivityWork import FitOptions, fittedCurves

        curves, nuclide, administeredBq = curvesFromTable(curvesTableNode)
        options = FitOptions(model, dict(models or {}), effectiveHalfLifeHours, tail)
        refuseInputAsOutput(tableNode, (curvesTableNode,))
        fits = fittedCurves(curves, nuclide, options, administeredBq, progress)
        with allOrNothing((inScene(tableNode),)):
            return fitsTable(fits, inScene(tableNode))

    def residenceTimes(self, fitsTableNode, tableNode=None):
        """Table node of the residence times of a table of `fitCurves` [h]."""
        from RadioDosimetryLib.outputs import allOrNothing, inScene, refuseInputAsOutput
        from RadioDosimetryLib.timeActivityKept import fitsFromTable
        from RadioDosimetryLib.timeActivityResults import residenceTimeTable

        refuseInputAsOutput(tableNode, (fitsTableNode,))
        with allOrNothing((inScene(tableNode),)):
            return residenceTimeTable(fitsFromTable(fitsTableNode), inScene(tableNode))

    def charts(self, curvesTableNode, fitsTableNode, region, chartNode=None, residualChartNode=None, logScale=False):
        """Chart nodes of one region: points with its fit, and residuals."""
        from RadioDosimetryLib.timeActivityResults import regionCharts

        return regionCharts(curvesTableNode, fitsTableNode, region, chartNode, residualChartNode, logScale)

    def savePictures(self, curvesTableNode, fitsTableNode, folder, progress=None) -> list:
        """Save a picture of each region's curve and fit into an existing folder; returns their paths."""
        from RadioDosimetryLib.pictures import curvePictures

        return curvePictures(curvesTableNode, fitsTableNode, Path(folder)).run(progress)

    def organDoses(
        self, fitsTableNode, phantom="adult-male", organs=None, massesFile=None, ctNode=None, segmentationNode=None,
        spacingMm=4.0, histories=500_000, lesionMassesG=None, tableNode=None, progress=None, device="cpu",
        sValuesFile=None, sValuesUnit=None, bed=None,
    ):  # fmt: skip
        """Table node of the organ doses of a table of `fitCurves`.

        Parameters
        ----------
        fitsTableNode
            Fits, with the administered activity.
        phantom
            "adult-male"; "adult-female"; "patient": Monte Carlo in `ctNode` with the segments that have a fit; or
            "file": the S-values of `sValuesFile`.
        organs
            Region to source organ, or "lesion": a sphere of the mass in `lesionMassesG` (region to mass [g]);
            organs that `RadioDosimetryLib.organNames` knows if None, and no lesion without a mass.
        massesFile
            CSV `organ,mass_g` of the patient's organs.
        ctNode, segmentationNode, spacingMm, histories, device
            For "patient"; `device` is "cpu" or "cuda".
        sValuesFile, sValuesUnit
            For "file": see `radiodosimetry.organ_dose.importers.read_s_value_table`.
        bed
            `RadioDosimetryLib.timeActivityRadiobiology.BedOptions` for biologically effective doses; none if None.
        tableNode
            Output table; a new one if None.
        """
        from RadioDosimetryLib.outputs import refuseInputAsOutput
        from RadioDosimetryLib.timeActivityDoses import DoseOptions
        from RadioDosimetryLib.timeActivityKept import fitsFromTable
        from RadioDosimetryLib.timeActivityResults import organsByName
        from RadioDosimetryLib.timeActivityTasks import organDoseTask, patientInput

        fits = fitsFromTable(fitsTableNode)
        isPatient, isFile = phantom == SValueSource.PATIENT.value, phantom == SValueSource.FILE.value
        patient = None
        if isPatient:
            patient = patientInput(ctNode, segmentationNode, fits, spacingMm, histories, device)
        lesions = dict(lesionMassesG or {})
        if organs is None:
            organs = {one: organ for one, organ in organsByName(fits).items() if organ != "lesion" or one in lesions}
        options = DoseOptions(
            organs, None if isPatient or isFile else phantom, patient, sValuesFile if isFile else None, sValuesUnit,
            massesFile, lesions, bed,
        )  # fmt: skip
        refuseInputAsOutput(tableNode, (fitsTableNode,))
        return organDoseTask(fits, options, tableNode).run(progress)[0]

    def timeIntegratedActivity(
        self, scans, nuclide="Lu-177", method="mono", noisePercent=None, segmentationNode=None, fitsTableNode=None,
        volumeNode=None, uncertaintyNode=None, correctedToInjection=False, progress=None, imageUnit="Bq/mL",
        calibrationBqPerMlPerCount=None, referenceScan=0,
    ):  # fmt: skip
        """Volume node of time-integrated activity [Bq s/mL], which VoxelDose takes as it is.

        Parameters
        ----------
        scans, imageUnit, calibrationBqPerMlPerCount, referenceScan
            See `series`; the map lies on the grid of the reference scan.
        method
            "mono", "bi", "trapezoid" or "organ-shape", which needs `segmentationNode` and `fitsTableNode`.
        noisePercent
            Relative standard deviation of one voxel in one scan [%]; told from the residuals if None.
        volumeNode, uncertaintyNode
            Outputs; a new volume and no uncertainty if None. Never an input.
        """
        from RadioDosimetryLib.timeActivityKept import fitsFromTable
        from RadioDosimetryLib.timeActivityTasks import tiaTask
        from RadioDosimetryLib.timeActivityWork import MeasurementOptions

        series = self.series(scans, imageUnit, calibrationBqPerMlPerCount, referenceScan)
        options = MeasurementOptions(nuclide, correctedToInjection=correctedToInjection)
        fits = fitsFromTable(fitsTableNode) if method == "organ-shape" else None
        task = tiaTask(series, options, method, noisePercent, segmentationNode, fits, volumeNode, uncertaintyNode)
        return task.run(progress)

    def registerScans(self, scans, referenceScan=0, kind="rigid", progress=None):
        """Transform nodes of rows with CTs (`ScanNode`) onto the reference scan; None where none is needed.

        `kind` is "rigid", or "b-spline": a smooth deformation after it.
        """
        from RadioDosimetryLib.timeActivityRegistration import registrationTask

        return registrationTask(self.series(scans, referenceScan=referenceScan), kind).run(progress)


class TimeActivityFitTest(ScriptedLoadableModuleTest):
    """Self-test on the generated patient; no download."""

    def setUp(self) -> None:
        """Begin with an empty scene, and with the packages that the core needs."""
        from RadioDosimetryLib.selfTests import requirePackages

        requirePackages()
        slicer.mrmlScene.Clear()

    def runTest(self) -> None:
        """All tests."""
        from RadioDosimetryLib.selfTests import runSelfTests

        runSelfTests(self, (self.test_known_half_lives_are_found, self.test_times_out_of_order_change_nothing))

    def test_known_half_lives_are_found(self) -> None:
        """Every structure's half-life is found, and the voxels of the map add up to the integral of the regions."""
        from radiodosimetry.virtual_patients import torso_structures
        from RadioDosimetryLib.segmentations import regionsFromSegmentation
        from RadioDosimetryLib.volumes import volumeFromNode

        _ct, scans, hours, segmentation = loadSampleScans(16.0)
        rows = list(zip(scans, hours, strict=True))
        logic = TimeActivityFitLogic()
        fits = logic.fitCurves(logic.measureCurves(rows, segmentation, administeredActivityMBq=7400.0), model="mono")
        map_ = volumeFromNode(logic.timeIntegratedActivity(rows, method="mono"))
        masks = {region.name: region.mask_kji for region in regionsFromSegmentation(segmentation, map_.geometry)}
        halfLives = {each.name: each.effective_half_life_h for each in torso_structures()}
        columns = ("Region", "Effective half-life (h)", "TIA (MBq h)")
        cells = {name: fits.GetTable().GetColumnByName(name) for name in columns}
        self.assertEqual(fits.GetNumberOfRows(), len(masks))
        for row in range(fits.GetNumberOfRows()):
            region, halfLife, tia = (cells[name].GetValue(row) for name in cells)
            self.assertAlmostEqual(halfLife, halfLives[region], places=3)
            voxels = map_.array_kji[masks[region]].sum() * map_.geometry.voxel_volume_ml / 3.6e9
            self.assertAlmostEqual(voxels / tia, 1.0, places=4)
        self.delayDisplay("Half-lives and integrals of the virtual torso are found")

    def test_times_out_of_order_change_nothing(self) -> None:
        """Times that do not rise are refused with a message, and no node appears."""
        from radiodosimetry.errors import InputError

        _ct, scans, hours, segmentation = loadSampleScans(16.0)
        count = slicer.mrmlScene.GetNumberOfNodes()
        with self.assertRaises(InputError):
            TimeActivityFitLogic().measureCurves(list(zip(scans, hours[::-1], strict=True)), segmentation)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), count)

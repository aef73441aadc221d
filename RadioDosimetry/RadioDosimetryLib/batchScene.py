"""The scene of a batch run: read from a file, filled with inputs and results, and saved."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .batchCase import caseNodes
from .batchWords import IMAGE_SUFFIXES, FileWord, fileWords, optionValue, optionValues, stemOf
from .headless import hasApplication

if TYPE_CHECKING:
    from radiodosimetry.images.geometry import VolumeGeometry
    from radiodosimetry.images.volume import QuantitativeVolume

SCENE_SUFFIXES = (".mrb", ".mrml")
"""Scene files that can be read; `.mrb` alone is written, since it holds everything."""


def loadScene(scene, path: Path) -> None:
    """Read a saved scene in the place of the present one.

    Raises
    ------
    FileFormatError
        The file is missing, or no scene.
    InputError
        The present scene has changes that are not saved.
    """

    from radiodosimetry.errors import FileFormatError, InputError
    from radiodosimetry.images.readers import quiet_stderr

    advice = "give a scene that 3D Slicer saved, .mrb or .mrml"
    if not path.is_file():
        raise FileFormatError(f"The scene {path} does not exist; {advice}.")
    if path.suffix.lower() not in SCENE_SUFFIXES:
        raise FileFormatError(f"The scene {path} is of another format; {advice}.")
    if _hasUnsavedData(scene):
        raise InputError("The scene has changes that are not saved; save or close it before another one is read.")
    scene.Clear(False)
    try:
        with quiet_stderr(), _sameFolder():
            isRead = _readScene(scene, path.resolve())
    except RuntimeError:
        isRead = False
    if not isRead:
        scene.Clear(False)
        raise FileFormatError(f"The scene {path} cannot be read: it is damaged, truncated or no scene; {advice}.")


def saveScene(scene, path: Path, folder: Path) -> None:
    """Save the scene as `.mrb`, complete or not at all; `folder` takes the file until it is complete.

    Raises
    ------
    OutputError
        The scene could not be written.
    """
    from radiodosimetry.errors import OutputError
    from radiodosimetry.images.atomic import write_atomically
    from radiodosimetry.images.readers import quiet_stderr

    staged = folder.resolve() / path.name
    with quiet_stderr(), _sameFolder():
        isSaved = _writeScene(scene, staged)
    if not isSaved or not staged.is_file():
        raise OutputError(f"Could not write the scene {path}: the disk may be full; nothing was left behind.")
    with write_atomically(path) as temporary:
        shutil.copyfile(staged, temporary)


class SceneResults:
    """Puts what a command read and made into the scene; all of it, or nothing.

    Parameters
    ----------
    scene
        Where to put it.
    command
        The command that ran.
    given
        Its command line as the user gave it, with nodes.
    run
        Its command line as it ran, with files in the place of nodes.
    nodeFiles
        What made the second from the first.
    made
        Files in the output folders of the command that it made.
    case
        The case that ran; None for other commands.
    """

    def __init__(
        self, scene, command: str, given: Sequence[str], run: Sequence[str], nodeFiles, made, case: Path | None = None
    ) -> None:
        self._scene = scene
        self._command = command
        self._given = list(given)
        self._run = list(run)
        self._nodeFiles = nodeFiles
        self._made = list(made)
        self._case = case
        self._nodes: dict[str, list] = {}
        self._new: list = []
        self.warnings: list[str] = []

    def add(self, withInputs: bool) -> dict[str, list[str]]:
        """Add nodes; returns the names of the nodes of each option, inputs among them.

        Parameters
        ----------
        withInputs
            Whether input files become nodes too, for a scene that is saved.
        """
        before = {self._scene.GetNthNode(index).GetID() for index in range(self._scene.GetNumberOfNodes())}
        try:
            self._addAll(withInputs)
        except BaseException:
            added = [self._scene.GetNthNode(index) for index in range(self._scene.GetNumberOfNodes())]
            for node in [node for node in added if node.GetID() not in before]:
                if self._scene.IsNodePresent(node):
                    self._scene.RemoveNode(node)
            raise
        return {option: [node.GetName() for node in nodes] for option, nodes in self._nodes.items()}

    def _addAll(self, withInputs: bool) -> None:
        words = fileWords(self._command, self._given)
        for word in words:
            if not word.role.isOutput and word.isNode:
                self._nodes.setdefault(word.option, []).append(self._nodeFiles.nodeOf(word))
        for word in words:
            if withInputs and not word.role.isOutput and not word.isNode:
                self._addInput(word)
        for word in words:
            if word.role.isOutput and not word.isNode:
                self._addOutput(word, Path(word.path), withInputs)
        for word, path in self._nodeFiles.outputs.items():
            self._addOutput(word, path, True)
        if self._case is not None:
            self._nodes |= caseNodes(self._case)
        self._show()

    def _addInput(self, word: FileWord) -> None:
        """An input file as a node; what only the command can read stays outside, with a warning."""
        from radiodosimetry.errors import RadioDosimetryError

        try:
            if word.role.kind == "image":
                node = addVolume(self._inputVolume(word), stemOf(Path(word.path)))
            elif word.role.kind == "regions":
                node = self._segmentation(word)
            else:
                return
        except RadioDosimetryError as error:
            self.warnings.append(f"{word.path} was not put into the scene: {error}")
            return
        self._keep(word.option, node)

    def _inputVolume(self, word: FileWord) -> QuantitativeVolume:
        from radiodosimetry.images.readers import read_volume
        from radiodosimetry.units import Quantity

        unit = None
        options: dict[str, float] = {}
        if word.option in ("--tia", "--activity", "--scan", "reference", "test"):
            name = {"--tia": "--tia-unit", "reference": "--dose-unit", "test": "--dose-unit"}
            unit = optionValue(self._command, self._given, name.get(word.option, "--activity-unit"))
            factor = optionValue(self._command, self._given, "--calibration-bq-per-ml-per-count")
            if factor is not None:
                options = {"calibration_bq_per_ml_per_count": float(factor)}
        return read_volume(Path(word.path), Quantity(word.role.quantity), unit, **options)

    def _segmentation(self, word: FileWord):
        """Regions of a label file as segments, with those that the command line makes of them."""
        from radiodosimetry.images.regions import read_label_map, regions_of
        from radiodosimetry.workflows.dose import read_regions

        from .segmentations import segmentationFromRegions

        path, names, expressions = Path(word.path), self._labelNames(), self._expressions()
        if path.suffix.lower() in (".dcm", ".dicom", ".ima"):
            geometry: VolumeGeometry = self._nodeFiles.grid()
            regions, _ = read_regions(path, names, geometry, expressions)
        else:
            labelMap = read_label_map(path, names)
            geometry, regions = labelMap.geometry, regions_of(labelMap, expressions)
        return segmentationFromRegions(regions, geometry, stemOf(path))

    def _labelNames(self) -> Path | None:
        names = optionValue(self._command, self._run, "--label-names")
        return None if names is None else Path(names)

    def _expressions(self) -> dict[str, str]:
        from radiodosimetry.images.regions import split_region_option

        return dict(split_region_option(text) for text in optionValues(self._command, self._run, "--region"))

    def _addOutput(self, word: FileWord, path: Path, isWanted: bool) -> None:
        if not isWanted:
            return
        name = word.nodeName if word.isNode else stemOf(path)
        files = [file for file in self._made if path in file.parents] if word.role.kind == "folder" else [path]
        for file in files:
            node = self._addFile(file, stemOf(file) if word.role.kind == "folder" else name)
            if node is not None:
                self._keep(word.option, node)
                source = next((nodes[0] for option, nodes in self._nodes.items() if option in _SOURCES), None)
                _placeBeside(node, source)

    def _addFile(self, path: Path, name: str):
        """A result file as a node; None for files that are no node (RT Dose, pictures)."""
        from radiodosimetry.images.readers import read_volume

        from .batchTables import tableFromCsv, textNode

        lower = path.name.lower()
        if lower.endswith(IMAGE_SUFFIXES):
            return addVolume(read_volume(path), name)
        if lower.endswith(".csv"):
            return tableFromCsv(path, name)
        if lower.endswith(".json") and path.with_name(path.name.removesuffix(".json")) not in self._made:
            return textNode(path, name)
        return None

    def _keep(self, option: str, node) -> None:
        self._nodes.setdefault(option, []).append(node)
        self._new.append(node)

    def _show(self) -> None:
        """Colours of new maps (nodes of the user keep theirs), histograms of a dose, references between the nodes."""
        from .display import showDifference, showDose, showUncertainty
        from .quantities import quantityOf

        ct = next(iter(self._nodes.get("--ct", [])), None)
        maps = [node for node in self._new if node.IsA("vtkMRMLScalarVolumeNode")]
        kinds = {node.GetID(): getattr(quantityOf(node), "value", None) for node in maps}
        for kind, show in (
            ("relative_uncertainty", showUncertainty),
            ("time_integrated_activity_concentration", showDose),
            ("absorbed_dose", showDose),
        ):
            for node in (node for node in maps if kinds[node.GetID()] == kind):
                show(node, ct)
        if self._command == "compare":
            for node in (node for node in maps if node.GetName().startswith(_ERROR_MAP)):
                showDifference(node, title="Relative error")
        if self._command == "dose" and self._nodes.get("--output"):
            self._connectDose(self._nodes["--output"][0])

    def _connectDose(self, dose) -> None:
        """Dose-volume histograms with their chart, and what the dose was made from."""
        from radiodosimetry.voxel_dose.dose_volume import dvh
        from radiodosimetry.workflows.dose import read_regions

        from .hierarchy import placeUnderStudyOf
        from .plots import dvhChart
        from .segmentations import segmentNames
        from .tables import dvhTable
        from .volumes import volumeFromNode

        segmentation = next(iter(self._nodes.get("--labels", [])), None)
        activity = next(iter(self._nodes.get("--tia", []) + self._nodes.get("--activity", [])), None)
        ct = next(iter(self._nodes.get("--ct", [])), None)
        roles = {"ct": ct, "activity": activity, "segmentation": segmentation}
        for role, node in roles.items():
            if node is not None:
                dose.SetNodeReferenceID(f"RadioDosimetry.{role}Ref", node.GetID())
        labels = optionValue(self._command, self._run, "--labels")
        if labels is None:
            return
        volume = volumeFromNode(dose)
        regions, _ = read_regions(Path(labels), self._labelNames(), volume.geometry, self._expressions())
        isSegmentation = segmentation is not None and segmentation.IsA("vtkMRMLSegmentationNode")
        ids = {name: key for key, name in segmentNames(segmentation).items()} if isSegmentation else {}
        tables = [
            dvhTable(dvh(volume, region), dose, segmentation if isSegmentation else None, ids.get(region.name))
            for region in regions
        ]
        chart = dvhChart(tables, f"{dose.GetName()} histogram")
        for number, table in enumerate(tables):
            dose.SetNthNodeReferenceID("RadioDosimetry.dvhTableRef", number, table.GetID())
        dose.SetNodeReferenceID("RadioDosimetry.dvhChartRef", chart.GetID())
        for node in (*tables, chart):
            placeUnderStudyOf(node, activity)


def addVolume(volume: QuantitativeVolume, name: str):
    """A new volume node; the name of one that is there already gets a number."""
    from .volumes import nodeFromVolume

    node = nodeFromVolume(volume, name)
    _placeBeside(node, None)
    return node


_ERROR_MAP = "relative_error"
"""Map of a comparison that has two signs."""

_SOURCES = ("--tia", "--activity", "--scan", "reference", "--ct")
"""Inputs beside which results are put in the subject hierarchy, the first that there is."""


def _placeBeside(node, source) -> None:
    from .hierarchy import itemOf, placeUnderStudyOf

    if source is None or source is node or source.IsA("vtkMRMLSequenceNode"):
        itemOf(node)
    else:
        placeUnderStudyOf(node, source)


def _hasUnsavedData(scene) -> bool:
    """Whether a user would lose something; what Slicer keeps for itself (slices of views, colours) does not count."""
    import vtk

    modified = vtk.vtkCollection()
    scene.GetStorableNodesModifiedSinceRead(modified)
    nodes = [modified.GetItemAsObject(index) for index in range(modified.GetNumberOfItems())]
    return any(node.GetSaveWithScene() and not node.GetHideFromEditors() for node in nodes)


@contextlib.contextmanager
def _sameFolder() -> Iterator[None]:
    """Come back to the working folder, which unpacking a scene leaves."""
    folder = Path.cwd()
    try:
        yield
    finally:
        os.chdir(folder)


def _readScene(scene, path: Path) -> bool:
    import slicer

    if hasApplication():
        slicer.util.loadScene(str(path))  # raises where it fails; its value says nothing
        return True
    messages = slicer.vtkMRMLMessageCollection()
    if path.suffix.lower() == ".mrb":
        return bool(scene.ReadFromMRB(str(path), True, messages))
    scene.SetURL(str(path))
    return bool(scene.Connect(messages))


def _writeScene(scene, path: Path) -> bool:
    import slicer

    if hasApplication():
        return bool(slicer.util.saveScene(str(path)))
    return bool(scene.WriteToMRB(str(path), None, slicer.vtkMRMLMessageCollection()))

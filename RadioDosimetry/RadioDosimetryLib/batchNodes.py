"""Nodes named on a command line, as files that the command reads.

Volumes become NRRD with the sidecar that says quantity, unit and record; segmentations label maps with their names, or,
where segments overlap, DICOM Segmentations; tables CSV; texts files. Files lie in a folder that the caller removes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .batchWords import NODE_PREFIX, FileRole, FileWord, fileWords, optionValue, replaced, stemOf

if TYPE_CHECKING:
    from radiodosimetry.images.geometry import VolumeGeometry
    from radiodosimetry.images.regions import Region
    from radiodosimetry.images.volume import QuantitativeVolume

NODE_CLASSES = {
    "image": ("vtkMRMLScalarVolumeNode",),
    "regions": ("vtkMRMLSegmentationNode", "vtkMRMLLabelMapVolumeNode"),
    "table": ("vtkMRMLTableNode",),
    "text": ("vtkMRMLTextNode",),
}
"""Classes of the nodes that can stand for a file."""

SUFFIX_OF_KIND = {"image": ".nrrd", "table": ".csv", "text": ".json"}
"""File format of outputs that become nodes."""

_GRID_OPTIONS = ("--tia", "--activity", "--scan", "--early", "reference", "--ct")
"""Whose grid regions are put on: that of the image in which the command looks at them."""

_UNIT_OPTIONS = {
    "--tia": "--tia-unit", "--activity": "--activity-unit", "--scan": "--activity-unit", "--early": "--unit"
}  # fmt: skip
_COUNTS_OPTIONS = ("--calibration-bq-per-ml-per-count", "--calibration-bq-per-count-per-s")


class NodeFiles:
    """The files of the nodes of one command line.

    Parameters
    ----------
    scene
        Where the nodes are.
    command, words
        The command line.
    folder
        Empty folder for the files.
    isTableWanted
        Whether a dose by regions leaves its region table in the scene though no file of it is asked for.
    """

    def __init__(self, scene, command: str, words: Sequence[str], folder: Path, isTableWanted: bool = False) -> None:
        self._scene = scene
        self._command = command
        self._given = list(words)
        self._folder = folder
        self._isTableWanted = isTableWanted
        self.names: dict[str, str] = {}
        """Path of each file to what the user called it."""
        self.outputs: dict[FileWord, Path] = {}
        """Outputs that shall become nodes, and the files they come from."""

    def write(self) -> list[str]:
        """Write all files and return the command line that reads them.

        Raises
        ------
        InputError
            A node is missing or of another class, or cannot be what its option needs.
        """
        changes: dict[FileWord, list[str]] = {}
        files = [word for word in fileWords(self._command, self._given) if word.isNode]
        regions = [word for word in files if word.option == "--labels"]
        for word in files:
            if word.role.isOutput:
                changes[word] = [str(self._outputFile(word))]
            elif word not in regions:
                changes[word] = self._inputFiles(word)
        extra = self._writeRegions(regions, changes) + self._tableWords()
        return replaced(self._given, changes) + extra

    def _tableWords(self) -> list[str]:
        """Words that ask for the region table of a dose, which becomes a node named after the dose."""
        files = {word.option: word for word in fileWords(self._command, self._given)}
        if not self._isTableWanted or self._command != "dose" or "--table" in files:
            return []
        if "--labels" not in files or "--output" not in files:
            return []
        dose = files["--output"]
        name = f"{dose.nodeName if dose.isNode else stemOf(Path(dose.path))} table"
        path = self._path(name, ".csv", name)
        role = FileRole("table", isOutput=True)
        self.outputs[FileWord(len(self._given), "--table", role, "", NODE_PREFIX + name)] = path
        return ["--table", str(path)]

    def nodeOf(self, word: FileWord):
        """The node that a word names.

        Raises
        ------
        InputError
            There is none, several share the name, or it is of another class.
        """
        from radiodosimetry.errors import InputError

        if word.role.kind not in NODE_CLASSES:
            raise InputError(f"{word.option} takes no node, found '{word.path}'; give a path.")
        classes = NODE_CLASSES[word.role.kind] + (("vtkMRMLSequenceNode",) if word.option == "--scan" else ())
        byId = self._scene.GetNodeByID(word.nodeName)
        collection = self._scene.GetNodesByName(word.nodeName)
        named = [collection.GetItemAsObject(index) for index in range(collection.GetNumberOfItems())]
        nodes = [byId] if byId is not None else named
        fitting = [node for node in nodes if any(node.IsA(name) for name in classes)]
        if len(fitting) == 1:
            return fitting[0]
        if len(fitting) > 1:
            ids = ", ".join(f"node:{node.GetID()}" for node in fitting)
            raise InputError(f"{len(fitting)} nodes are called '{word.nodeName}'; name the one meant by its ID: {ids}.")
        known = ", ".join(self._known(classes)) or "none"
        others = [node for node in nodes if not node.GetHideFromEditors()]
        if others:
            raise InputError(
                f"{word.option} cannot use '{word.nodeName}', which is a {others[0].GetNodeTagName()}; expected "
                f"{' or '.join(name.removeprefix('vtkMRML') for name in classes)}. The scene has: {known}."
            )
        raise InputError(f"The scene has no node '{word.nodeName}' for {word.option}; it has: {known}.")

    def _known(self, classes: Sequence[str]) -> list[str]:
        """Names of the nodes that would do."""
        found = []
        for name in classes:
            collection = self._scene.GetNodesByClass(name)
            collection.UnRegister(None)
            found += [collection.GetItemAsObject(index) for index in range(collection.GetNumberOfItems())]
        return list(dict.fromkeys(node.GetName() for node in found if not node.GetHideFromEditors()))

    def _outputFile(self, word: FileWord) -> Path:
        from radiodosimetry.errors import InputError

        suffix = SUFFIX_OF_KIND.get(word.role.kind)
        if suffix is None:
            raise InputError(f"{word.option} cannot become a node, found '{word.path}'; give a path.")
        if not word.nodeName.strip():
            raise InputError(f"{word.option} needs a name for its node, found '{word.path}'; give node:NAME.")
        if self._scene.GetFirstNodeByName(word.nodeName) is not None:
            raise InputError(f"The scene has a node '{word.nodeName}' already; give {word.option} another name.")
        path = self._path(word.nodeName, suffix, word.path)
        self.outputs[word] = path
        return path

    def _inputFiles(self, word: FileWord) -> list[str]:
        """The words that take the place of a node: paths, with the hours of scans."""
        node = self.nodeOf(word)
        if node.IsA("vtkMRMLSequenceNode"):
            return self._sequenceFiles(word, node)
        hours = f"{word.hours}=" if word.hours else ""
        return [hours + str(self._inputFile(word, node))]

    def _inputFile(self, word: FileWord, node) -> Path:
        from .tables import columnsOf

        if word.role.kind == "table":
            path = self._path(node.GetName(), ".csv", word.path)
            path.write_text(_csv(columnsOf(node)), encoding="utf-8", newline="\n")
            return path
        if word.role.kind == "text":
            path = self._path(node.GetName(), ".json", word.path)
            path.write_text(node.GetText() or "", encoding="utf-8", newline="\n")
            return path
        path = self._path(node.GetName(), ".nrrd", word.path)
        unit = self._unitGiven(word)
        writeImage(self._volume(word, node), path, unit)
        return path

    def _sequenceFiles(self, word: FileWord, sequence) -> list[str]:
        """HOURS=PATH of each volume of a sequence."""
        from .sequences import volumesFromSequence

        values = []
        for hours, node in volumesFromSequence(sequence):
            path = self._path(f"{sequence.GetName()}_{hours:g}h", ".nrrd", f"{word.path} at {hours:g} h")
            writeImage(self._volume(word, node), path, self._unitGiven(word))
            values.append(f"{float(hours)!r}={path}")
        return values

    def _volume(self, word: FileWord, node) -> QuantitativeVolume:
        """A volume node in the quantity of its option; it says its own unit, or the command line does."""
        from radiodosimetry.images.readers import QUANTITIES_WITH_ONE_UNIT
        from radiodosimetry.units import Quantity

        from .quantities import quantityOf
        from .volumes import volumeFromNode

        quantity = Quantity(word.role.quantity)
        unit = self._unitGiven(word)
        if any(optionValue(self._command, self._given, option) for option in _COUNTS_OPTIONS):
            quantity, unit = Quantity.COUNTS, None
        isSaid = quantityOf(node) is not None or (unit is None and quantity not in QUANTITIES_WITH_ONE_UNIT)
        return volumeFromNode(node, None if isSaid else quantity, unit)

    def _unitGiven(self, word: FileWord) -> str | None:
        option = _UNIT_OPTIONS.get(word.option)
        if self._command == "compare":
            option = "--dose-unit"
        return None if option is None else optionValue(self._command, self._given, option)

    def _writeRegions(self, words: Sequence[FileWord], changes: dict[FileWord, list[str]]) -> list[str]:
        """Put the files of segmentations into `changes`; returns further words that name the labels."""
        from radiodosimetry.errors import InputError

        if not words:
            return []
        if optionValue(self._command, self._given, "--label-names") is not None:
            raise InputError("--label-names belongs to label files; a segmentation holds its own names. Leave it out.")
        geometry = self.grid()
        extra = []
        for word in words:
            node = self.nodeOf(word)
            regions = _regionsOfNode(node, geometry)
            if len(words) > 1 or _overlap(regions):
                path = self._path(node.GetName(), ".dcm", word.path)
                from .batchSegments import writeSegmentationFile

                writeSegmentationFile(regions, geometry, path)
            else:
                path = self._path(node.GetName(), ".nrrd", word.path)
                names = path.with_suffix(".csv")
                _writeLabels(regions, geometry, path, names, node.GetName())
                extra = ["--label-names", str(names)]
            changes[word] = [str(path)]
        return extra

    def grid(self) -> VolumeGeometry:
        """Grid of the image in which the command looks at regions."""
        from radiodosimetry.errors import InputError

        from .geometries import geometryOfVolume

        words = fileWords(self._command, self._given)
        for option in _GRID_OPTIONS:
            word = next((word for word in words if word.option == option), None)
            if word is None:
                continue
            if not word.isNode:
                return _geometryOfFile(Path(word.path), word.role.quantity)
            node = self.nodeOf(word)
            if node.IsA("vtkMRMLSequenceNode"):
                from .sequences import volumesFromSequence

                node = volumesFromSequence(node)[0][1]
            return geometryOfVolume(node)
        raise InputError(f"'{self._command}' has no image whose grid the segmentation could be put on; give one.")

    def _path(self, name: str, suffix: str, called: str) -> Path:
        """A path for a node of this name, in a folder of its own: names may occur twice."""
        folder = self._folder / str(len(self.names))
        folder.mkdir()
        safe = re.sub(r"[^\w.+-]+", "_", name).strip("._") or "node"
        path = folder / f"{safe[:80]}{suffix}"
        self.names[str(path)] = called
        return path


def writeImage(volume: QuantitativeVolume, path: Path, unit: str | None = None) -> None:
    """Write a volume with its sidecar, in another unit of its quantity than the core's if one is given."""
    from radiodosimetry.images.sidecar import sidecar_path
    from radiodosimetry.images.writers import write_volume
    from radiodosimetry.provenance import to_json
    from radiodosimetry.units import factor_to_core_unit

    if unit is None or unit == volume.unit:
        write_volume(volume, path)
        return
    factor = factor_to_core_unit(volume.quantity, unit)
    write_volume(volume.with_array(volume.array_kji / factor), path)
    values = json.loads(sidecar_path(path).read_text(encoding="utf-8"))
    sidecar_path(path).write_text(to_json({**values, "unit": unit}), encoding="utf-8")


def _regionsOfNode(node, geometry: VolumeGeometry) -> list[Region]:
    """Regions of a segmentation or label map node on a grid."""
    from radiodosimetry.images.regions import LabelMap
    from radiodosimetry.units import Quantity
    from radiodosimetry.workflows.dose import regions_on_grid

    from .segmentations import regionsFromSegmentation
    from .volumes import volumeFromNode

    if node.IsA("vtkMRMLSegmentationNode"):
        return regionsFromSegmentation(node, geometry)
    volume = volumeFromNode(node, Quantity.LABEL)
    return regions_on_grid(LabelMap(volume.array_kji, volume.geometry, _labelNames(node), volume.record), geometry)


def _labelNames(node) -> dict[int, str]:
    """Names of the colours of a label map node that the node uses."""
    import numpy as np
    import slicer

    display = node.GetDisplayNode()
    colors = display.GetColorNode() if display is not None else None
    if colors is None:
        return {}
    labels = [int(label) for label in np.unique(slicer.util.arrayFromVolume(node)) if label]
    names = {label: colors.GetColorName(label) for label in labels if 0 <= label < colors.GetNumberOfColors()}
    named = {label: name.strip() for label, name in names.items() if name and name.strip() and name != "(none)"}
    return named if len(set(named.values())) == len(named) else {}


def _overlap(regions: Sequence[Region]) -> bool:
    import numpy as np

    total = np.zeros(regions[0].mask_kji.shape, dtype=np.uint16)
    for region in regions:
        total += region.mask_kji
    return bool(total.max() > 1)


def _writeLabels(regions: Sequence[Region], geometry: VolumeGeometry, path: Path, names: Path, title: str) -> None:
    import numpy as np

    from radiodosimetry.images.regions import LabelMap, write_label_map
    from radiodosimetry.provenance import Record

    labels = np.zeros(geometry.shape_kji, dtype=np.int32)
    for label, region in enumerate(regions, start=1):
        labels[region.mask_kji] = label
    nameOf = {label: region.name for label, region in enumerate(regions, start=1)}
    record = Record(f"segmentation '{title}' of a Slicer scene, on the grid of the image")
    write_label_map(LabelMap(labels, geometry, nameOf, record), path, names)


def _geometryOfFile(path: Path, quantity: str | None) -> VolumeGeometry:
    from radiodosimetry.images.readers import read_volume
    from radiodosimetry.images.sidecar import read_sidecar
    from radiodosimetry.units import Quantity

    wanted = Quantity(quantity) if quantity is not None else Quantity.DIMENSIONLESS
    sidecar = read_sidecar(path) if path.is_file() else None
    if sidecar is not None:
        return read_volume(path).geometry
    return read_volume(path, wanted, wanted.unit).geometry


def _csv(columns: dict[str, list]) -> str:
    """CSV text of the columns of a table; NaN is empty, text is quoted."""
    import csv
    import io
    import math

    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        writer.writerow(["" if isinstance(cell, float) and math.isnan(cell) else _cell(cell) for cell in row])
    return stream.getvalue()


def _cell(cell: object) -> object:
    """A number as the shortest text that gives it back, whole numbers without a point."""
    if isinstance(cell, float):
        return int(cell) if cell.is_integer() and abs(cell) < 2**53 else repr(cell)
    return cell

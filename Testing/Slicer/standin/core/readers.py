"""Readers by type of file: each calls the logic that the reader of Slicer calls."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer

WRITTEN_AS = {
    "vtkMRMLSegmentationNode": "SegmentationFile",
    "vtkMRMLVolumeNode": "VolumeFile",
    "vtkMRMLTableNode": "TableFile",
    "vtkMRMLTransformNode": "TransformFile",
    "vtkMRMLSequenceNode": "SequenceFile",
    "vtkMRMLMarkupsNode": "MarkupsFile",
    "vtkMRMLModelNode": "ModelFile",
    "vtkMRMLColorNode": "ColorTableFile",
    "vtkMRMLTextNode": "TextFile",
}
"""File type of a node by its class, derived classes before their parents."""

_VOLUME_OPTIONS = {"labelmap": 1, "center": 2, "singleFile": 4, "autoWindowLevel": 8, "discardOrientation": 16}
"""Bits of vtkSlicerVolumesLogic::LoadingOptions by the name of the property."""

Nodes = list[Any] | None


def _logic(name: str) -> Any:
    return getattr(slicer.modules, name).logic()


def _name(path: str, parameters: dict[str, Any]) -> str:
    """Name for the node: as asked for, or that of the file without its ending."""
    return str(parameters.get("name") or Path(path).name.split(".")[0])


def _one(node: Any) -> Nodes:
    return None if node is None else [node]


def _scene(scene: Any, path: str, parameters: dict[str, Any], messages: Any) -> Nodes:
    clear = bool(parameters.get("clear", False))
    if path.lower().endswith(".mrb"):
        return [] if scene.ReadFromMRB(path, clear, messages) else None
    scene.SetURL(path)
    return [] if (scene.Connect(messages) if clear else scene.Import(messages)) else None


def _volume(scene: Any, path: str, parameters: dict[str, Any], messages: Any) -> Nodes:
    wanted = {"singleFile": True, "autoWindowLevel": True, **parameters}
    options = sum(bit for name, bit in _VOLUME_OPTIONS.items() if wanted.get(name))
    node = _logic("volumes").AddArchetypeVolume(path, _name(path, parameters), options, None)
    if node is not None and parameters.get("show", True):
        selection = slicer.app.applicationLogic().GetSelectionNode()
        if node.IsA("vtkMRMLLabelMapVolumeNode"):
            selection.SetActiveLabelVolumeID(node.GetID())
        else:
            selection.SetActiveVolumeID(node.GetID())
        slicer.app.applicationLogic().PropagateVolumeSelection()
    return _one(node)


def _segmentation(scene: Any, path: str, parameters: dict[str, Any], messages: Any) -> Nodes:
    opacities = bool(parameters.get("autoOpacities", True))
    return _one(_logic("segmentations").LoadSegmentationFromFile(path, opacities, _name(path, parameters)))


def _table(scene: Any, path: str, parameters: dict[str, Any], messages: Any) -> Nodes:
    return _one(_logic("tables").AddTable(path, _name(path, parameters)))


def _transform(scene: Any, path: str, parameters: dict[str, Any], messages: Any) -> Nodes:
    return _one(_logic("transforms").AddTransform(path, scene))


def _model(scene: Any, path: str, parameters: dict[str, Any], messages: Any) -> Nodes:
    return _one(_logic("models").AddModel(path))


def _markups(scene: Any, path: str, parameters: dict[str, Any], messages: Any) -> Nodes:
    identifier = _logic("markups").LoadMarkups(path, _name(path, parameters))
    return _one(scene.GetNodeByID(identifier)) if identifier else None


def _colors(scene: Any, path: str, parameters: dict[str, Any], messages: Any) -> Nodes:
    return _one(_logic("colors").LoadColorFile(path, _name(path, parameters)))


def _sequence(scene: Any, path: str, parameters: dict[str, Any], messages: Any) -> Nodes:
    """The sequence, and a browser for it unless `show` is off."""
    node = _logic("sequences").AddSequence(path)
    if node is None:
        return None
    node.SetName(scene.GenerateUniqueName(_name(path, parameters)))
    if parameters.get("show", True):
        browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", f"{node.GetName()} browser")
        browser.SetAndObserveMasterSequenceNodeID(node.GetID())
    return [node]


def _text(scene: Any, path: str, parameters: dict[str, Any], messages: Any) -> Nodes:
    node = scene.AddNewNodeByClass("vtkMRMLTextNode", scene.GenerateUniqueName(_name(path, parameters)))
    storage = scene.AddNewNodeByClass("vtkMRMLTextStorageNode")
    storage.SetFileName(path)
    node.SetAndObserveStorageNodeID(storage.GetID())
    if storage.ReadData(node):
        return [node]
    scene.RemoveNode(storage)
    scene.RemoveNode(node)
    return None


READERS: dict[str, Callable[[Any, str, dict[str, Any], Any], Nodes]] = {
    "SceneFile": _scene,
    "VolumeFile": _volume,
    "SegmentationFile": _segmentation,
    "TableFile": _table,
    "TransformFile": _transform,
    "ModelFile": _model,
    "MarkupsFile": _markups,
    "ColorTableFile": _colors,
    "SequenceFile": _sequence,
    "TextFile": _text,
}
"""Reader of every type; it returns the nodes read, or None when it failed."""

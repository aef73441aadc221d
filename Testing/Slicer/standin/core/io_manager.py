"""`slicer.app.coreIOManager()`: files read and written by Slicer's own logics and storage nodes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import vtk

from . import readers

_TYPE_OF_ENDING = {
    ".mrml": "SceneFile",
    ".mrb": "SceneFile",
    ".seg.nrrd": "SegmentationFile",
    ".seg.nhdr": "SegmentationFile",
    ".seg.vtm": "SegmentationFile",
    ".seq.nrrd": "SequenceFile",
    ".seq.nhdr": "SequenceFile",
    ".seq.mha": "SequenceFile",
    ".seq.mrb": "SequenceFile",
    ".nrrd": "VolumeFile",
    ".nhdr": "VolumeFile",
    ".nii": "VolumeFile",
    ".nii.gz": "VolumeFile",
    ".mha": "VolumeFile",
    ".mhd": "VolumeFile",
    ".csv": "TableFile",
    ".tsv": "TableFile",
    ".tfm": "TransformFile",
    ".h5": "TransformFile",
    ".mrk.json": "MarkupsFile",
    ".fcsv": "MarkupsFile",
    ".vtk": "ModelFile",
    ".vtp": "ModelFile",
    ".stl": "ModelFile",
    ".ply": "ModelFile",
    ".obj": "ModelFile",
    ".ctbl": "ColorTableFile",
    ".txt": "TextFile",
    ".json": "TextFile",
}
"""Type of the reader with the highest confidence, by the longest ending that fits."""


class IOManager:
    """Stands in for qSlicerCoreIOManager."""

    def __init__(self, scene: Any) -> None:
        self._scene = scene

    def fileType(self, fileName: Any) -> str:
        """Type of a file by its name; `NoFile` when no reader knows it."""
        return _TYPE_OF_ENDING.get(_known_ending(str(fileName)), "NoFile")

    def extractKnownExtension(self, fileName: Any, node: Any = None) -> str:
        """Longest known ending of a file name, such as `.seg.nrrd`."""
        return _known_ending(str(fileName))

    def registeredFileReaderCount(self, fileType: str) -> int:
        """Number of readers of a type."""
        return int(fileType in readers.READERS)

    def loadNodes(
        self, fileType: str, parameters: dict[str, Any], loadedNodes: Any = None, messages: Any = None
    ) -> bool:
        """Read a file into the scene; loaded nodes go into a vtkCollection, explanations into the messages."""
        path = str(parameters["fileName"])
        reader = readers.READERS.get(fileType)
        if reader is None:
            return _failed(messages, f"No reader found to read {fileType} file '{path}'")
        if not os.path.exists(path):
            return _failed(messages, f"Reading file failed: '{path}' does not exist")
        nodes = reader(self._scene, path, parameters, messages)
        if nodes is None:
            return _failed(messages, f"Reading {fileType} file '{path}' failed")
        if loadedNodes is not None:
            for node in nodes:
                loadedNodes.AddItem(node)
        return True

    def fileWriterFileType(self, node: Any) -> str:
        """Type of file in which a node is written; `NoFile` for a node that cannot be written."""
        if not node.IsA("vtkMRMLStorableNode"):
            return "NoFile"
        return next((kind for name, kind in readers.WRITTEN_AS.items() if node.IsA(name)), "NoFile")

    def fileWriterExtensions(self, node: Any) -> tuple[str, ...]:
        """Formats in which a node can be written, such as `NRRD (.nrrd)`."""
        storage = node.CreateDefaultStorageNode()
        if storage is None:
            return ()
        storage.SetScene(self._scene)  # volumes ask the scene for the formats of ITK
        types = storage.GetSupportedWriteFileTypes()
        return tuple(types.GetValue(index) for index in range(types.GetNumberOfValues()))

    def saveNodes(self, fileType: str, parameters: dict[str, Any], messages: Any = None) -> bool:
        """Write a node, or the scene when `fileType` is `SceneFile`; False with a message when that fails."""
        path = str(parameters["fileName"])
        if fileType == "SceneFile":
            return self._save_scene(path, messages)
        node = self._scene.GetNodeByID(parameters["nodeID"])
        if node is None or fileType == "NoFile":
            return _failed(messages, f"No writer found to write '{path}'")
        return self._write(node, path, parameters, messages)

    def exportNodes(
        self,
        nodeIDs: list[str],
        fileNames: list[str],
        parameters: dict[str, Any],
        hardenTransforms: bool,
        messages: Any = None,
    ) -> bool:
        """Write nodes to files without changing where the scene keeps them."""
        if hardenTransforms:
            raise NotImplementedError("the stand-in exports nodes without their transforms only")
        return all(
            self._export(self._scene.GetNodeByID(identifier), str(path), messages)
            for identifier, path in zip(nodeIDs, fileNames, strict=True)
        )

    def _write(self, node: Any, path: str, parameters: dict[str, Any], messages: Any) -> bool:
        storage = node.GetStorageNode()
        if storage is None:
            if not node.AddDefaultStorageNode(path):
                return _failed(messages, f"{node.GetName()} has no storage")
            storage = node.GetStorageNode()
        if storage.GetSupportedFileExtension(path, False, True) == "" and _known_ending(path) == "":
            return _failed(messages, f"{node.GetName()} cannot be written as '{path}': unknown file format")
        storage.SetFileName(path)
        if "useCompression" in parameters:
            storage.SetUseCompression(int(bool(parameters["useCompression"])))
        return bool(storage.WriteData(node)) or _failed(messages, f"Writing '{path}' failed")

    def _export(self, node: Any, path: str, messages: Any) -> bool:
        storage = node.CreateDefaultStorageNode()
        storage.SetFileName(path)
        return bool(storage.WriteData(node)) or _failed(messages, f"Writing '{path}' failed")

    def _save_scene(self, path: str, messages: Any) -> bool:
        if not Path(path).parent.is_dir():
            return _failed(messages, f"Folder of '{path}' does not exist")
        if path.endswith(".mrb"):
            return bool(self._scene.WriteToMRB(path, None, messages))
        if path.endswith(".mrml"):
            self._scene.SetURL(path)
            self._scene.SetRootDirectory(str(Path(path).parent))
            return bool(self._scene.Commit(path, messages))
        return bool(self._scene.SaveSceneToSlicerDataBundleDirectory(path, None, messages))


def _known_ending(path: str) -> str:
    name = path.lower()
    return max((ending for ending in _TYPE_OF_ENDING if name.endswith(ending)), key=len, default="")


def _failed(messages: Any, text: str) -> bool:
    """Say why, and return False."""
    if messages is not None:
        messages.AddMessage(vtk.vtkCommand.ErrorEvent, text)
    return False

"""The module SegmentStatistics: its plugin base, and a logic that runs the plugins that were registered."""

from __future__ import annotations

from typing import Any, ClassVar

import slicer
import vtk

from .scripted_module import ScriptedLoadableModuleLogic


class SegmentStatisticsPluginBase:
    """Base of a plugin: set `name`, `title`, `keys`, `defaultKeys`; write computeStatistics and getMeasurementInfo."""

    def __init__(self) -> None:
        self.name = ""
        self.title = ""
        self.keys: list[str] = []
        self.defaultKeys: list[str] = []
        self.parameterNode: Any = None

    @staticmethod
    def createCodedEntry(codeValue: str, codingScheme: str, codeMeaning: str, returnAsString: bool = False) -> Any:
        """Coded entry as an object or as text."""
        entry = slicer.vtkCodedEntry()
        entry.SetValueSchemeMeaning(codeValue, codingScheme, codeMeaning)
        return entry.GetAsString() if returnAsString else entry

    @staticmethod
    def createMeasurementInfo(
        name: str,
        title: str,
        description: str,
        units: str,
        quantityDicomCode: str | None = None,
        unitsDicomCode: str | None = None,
        measurementMethodDicomCode: str | None = None,
        derivationDicomCode: str | None = None,
        componentNames: Any = None,
    ) -> dict[str, Any]:
        """What the table says of a measurement; codes as text."""
        info = {"name": name, "title": title, "description": description, "units": units}
        codes = {
            "DICOM.QuantityCode": quantityDicomCode,
            "DICOM.UnitsCode": unitsDicomCode,
            "DICOM.MeasurementMethodCode": measurementMethodDicomCode,
            "DICOM.DerivationCode": derivationDicomCode,
            "componentNames": componentNames,
        }
        return {**info, **{key: value for key, value in codes.items() if value}}

    def computeStatistics(self, segmentID: str) -> dict[str, Any]:
        """Measurements of a segment by their keys."""
        raise NotImplementedError

    def getMeasurementInfo(self, key: str) -> dict[str, Any] | None:
        """What the table says of a measurement."""
        raise NotImplementedError

    def toLongKey(self, key: str) -> str:
        """Key with the name of the plugin."""
        return f"{type(self).__name__}.{key}"

    def setDefaultParameters(self, parameterNode: Any, overwriteExisting: bool = False) -> None:
        """Enable the plugin and its default measurements."""
        if not parameterNode.GetParameter(f"{type(self).__name__}.enabled"):
            parameterNode.SetParameter(f"{type(self).__name__}.enabled", "True")
        for key in self.keys:
            name = f"{self.toLongKey(key)}.enabled"
            if overwriteExisting or not parameterNode.GetParameter(name):
                parameterNode.SetParameter(name, str(key in self.defaultKeys))

    def getRequestedKeys(self) -> Any:
        """Keys of the measurements that are enabled."""
        if not self.parameterNode:
            return ()
        node = self.parameterNode
        return [key for key in self.keys if node.GetParameter(f"{self.toLongKey(key)}.enabled") == "True"]

    def setParameterNode(self, parameterNode: Any) -> None:
        """Read parameters from a node from now on."""
        self.parameterNode = parameterNode
        self.setDefaultParameters(parameterNode)

    def getParameterNode(self) -> Any:
        """The node with the parameters."""
        return self.parameterNode


class SegmentStatisticsLogic(ScriptedLoadableModuleLogic):
    """Runs all plugins on the visible segments; Slicer's own three plugins are not here."""

    registeredPlugins: ClassVar[list[type[SegmentStatisticsPluginBase]]] = []

    @staticmethod
    def registerPlugin(plugin: Any) -> None:
        """Make a plugin known: an object, not its class. Slicer passes over anything else without a word."""
        if not isinstance(plugin, SegmentStatisticsPluginBase):
            raise TypeError(f"found {plugin!r}, expected an object of a class derived from SegmentStatisticsPluginBase")
        if any("." in key for key in plugin.keys):
            raise ValueError(f"found the keys {plugin.keys}, expected none with a point")
        if type(plugin) not in SegmentStatisticsLogic.registeredPlugins:
            SegmentStatisticsLogic.registeredPlugins.append(type(plugin))

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self.moduleName = "SegmentStatistics"
        self.isSingletonParameterNode = False
        self.plugins = [plugin() for plugin in SegmentStatisticsLogic.registeredPlugins]
        self._statistics: dict[Any, Any] = {"SegmentIDs": [], "MeasurementInfo": {}}
        node = self.getParameterNode()
        node.SetParameter("visibleSegmentsOnly", node.GetParameter("visibleSegmentsOnly") or "True")
        for plugin in self.plugins:
            plugin.setParameterNode(node)

    def getStatistics(self) -> dict[Any, Any]:
        """Measurements by segment and long key, with SegmentIDs and MeasurementInfo."""
        return self._statistics

    def computeStatistics(self) -> None:
        """Run every enabled plugin on every visible segment of the node named by the parameter Segmentation."""
        node = self.getParameterNode()
        segmentation = slicer.mrmlScene.GetNodeByID(node.GetParameter("Segmentation"))
        identifiers = vtk.vtkStringArray()
        if node.GetParameter("visibleSegmentsOnly") == "True":
            segmentation.GetDisplayNode().GetVisibleSegmentIDs(identifiers)
        else:
            segmentation.GetSegmentation().GetSegmentIDs(identifiers)
        self._statistics = {"SegmentIDs": [], "MeasurementInfo": {}}
        for index in range(identifiers.GetNumberOfValues()):
            self._compute(segmentation, identifiers.GetValue(index))

    def _compute(self, segmentation: Any, segmentID: str) -> None:
        self._statistics["SegmentIDs"].append(segmentID)
        self._statistics[segmentID, "Segment"] = segmentation.GetSegmentation().GetSegment(segmentID).GetName()
        for plugin in self.plugins:
            if self.getParameterNode().GetParameter(f"{type(plugin).__name__}.enabled") != "True":
                continue
            for key, value in plugin.computeStatistics(segmentID).items():
                self._statistics[segmentID, plugin.toLongKey(key)] = value
                self._statistics["MeasurementInfo"][plugin.toLongKey(key)] = plugin.getMeasurementInfo(key)

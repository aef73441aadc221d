"""`slicer.app.layoutManager()`: views of the slice, plot and table view nodes that Slicer's layout logic makes."""

from __future__ import annotations

from typing import Any

import slicer

from ..conventions import CLASSES
from .slice_view import SliceView, registerDisplayableManagers


class SliceWidget:
    """What `sliceWidget(name)` gives: the members of qMRMLSliceWidget that modules use."""

    def __init__(self, view: SliceView) -> None:
        self._view = view

    def mrmlSliceNode(self) -> Any:
        """Slice node."""
        return self._view.node()

    def sliceLogic(self) -> Any:
        """Slice logic."""
        return self._view.logic()

    def mrmlSliceCompositeNode(self) -> Any:
        """Composite node: which volumes are shown."""
        return self._view.logic().GetSliceCompositeNode()

    def fitSliceToBackground(self) -> None:
        """Show the whole background."""
        self._view.fit()

    def sliceView(self) -> SliceWidget:
        """The view; here the widget itself."""
        return self

    def forceRender(self) -> None:
        """Draw now."""
        self._view.repaint()


class LayoutManager:
    """Slicer's layout logic with views; of the layout itself only the nodes matter here."""

    SLICES = ("Red", "Yellow", "Green")

    def __init__(self, application: Any) -> None:
        self._applicationLogic = application.applicationLogic()
        scene = application.mrmlScene()
        registerDisplayableManagers(self._applicationLogic)
        self._logic = slicer.vtkMRMLLayoutLogic()
        self._logic.SetMRMLScene(scene)
        self._layoutNode = self._logic.GetLayoutNode()
        self._layoutNode.SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        self._views = {name: SliceView(self._sliceNode(scene, name), self._applicationLogic) for name in self.SLICES}

    @staticmethod
    def _sliceNode(scene: Any, name: str) -> Any:
        nodes = slicer.util.getNodesByClass("vtkMRMLSliceNode", scene)
        return next(node for node in nodes if node.GetLayoutName() == name)

    def views(self) -> dict[str, SliceView]:
        """The slice views by their names (the stand-in's own)."""
        return self._views

    # --- what modules use ------------------------------------------------------------------------------------------

    def mrmlScene(self) -> Any:
        """The scene."""
        return slicer.mrmlScene

    def layoutLogic(self) -> Any:
        """Slicer's layout logic."""
        return self._logic

    def sliceViewNames(self) -> tuple[str, ...]:
        """Names of the slice views."""
        return tuple(self._views)

    def sliceWidget(self, name: str) -> SliceWidget | None:
        """A slice view by its name."""
        return SliceWidget(self._views[name]) if name in self._views else None

    def mrmlSliceLogics(self) -> Any:
        """Collection of the slice logics."""
        return self._applicationLogic.GetSliceLogics()

    @property
    def layout(self) -> int:
        """Number of the layout."""
        return int(self._layoutNode.GetViewArrangement())

    @layout.setter
    def layout(self, number: int) -> None:
        self.setLayout(number)

    def setLayout(self, number: int) -> None:
        """Change the layout."""
        if not self._layoutNode.IsLayoutDescription(number):
            raise ValueError(f"qMRMLLayoutManager.setLayout: there is no layout {number}")
        self._layoutNode.SetViewArrangement(number)

    def resetSliceViews(self) -> None:
        """Show the whole background in every slice view."""
        for view in self._views.values():
            view.fit()

    def resetThreeDViews(self) -> None:
        """The stand-in has no 3-D views."""

    def pauseRender(self) -> None:
        """Hold all views."""

    def resumeRender(self) -> None:
        """Let all views draw again."""

    @property
    def threeDViewCount(self) -> int:
        """Number of 3-D views: the stand-in has none."""
        return 0

    @property
    def plotViewCount(self) -> int:
        """Number of plot views."""
        return slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLPlotViewNode")

    @property
    def tableViewCount(self) -> int:
        """Number of table views."""
        return slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLTableViewNode")

    def plotWidget(self, index: int) -> Any:
        """A plot view by its number, None when there is none."""
        node = slicer.mrmlScene.GetNthNodeByClass(index, "vtkMRMLPlotViewNode")
        if node is None:
            return None
        widget = CLASSES["qMRMLPlotWidget"]()
        widget.setMRMLScene(slicer.mrmlScene)
        widget.setMRMLPlotViewNode(node)
        return widget

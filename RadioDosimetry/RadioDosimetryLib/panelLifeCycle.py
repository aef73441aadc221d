"""What every panel of this extension does from being opened to being closed: made, bound to a scene, let go of it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import slicer
import vtk
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleWidget
from slicer.util import VTKObservationMixin


def _isList(value) -> bool:
    """Whether a parameter is a list; a parameter node gives lists of its own class, which hear of changes."""
    return isinstance(value, Sequence) and not isinstance(value, str)


class PanelLifeCycle:
    """First base of a module's widget, ahead of the two that Slicer documents.

    >>> class VoxelDoseWidget(PanelLifeCycle, ScriptedLoadableModuleWidget, VTKObservationMixin):
    ...     def makeLogic(self): ...
    ...     def makePanel(self): ...

    `makePanel` is called once `self.ui` and `self.logic` are there, and gives an object with

    - `connect()`: connect the widgets, once;
    - `setParameterNode(parameters)`: take the choices of a parameter node, or of none (None);
    - `update()`: bring what `connectGui` does not reach up to date with the choices;
    - `abandon()`: stop what runs and forget its result.
    """

    logic = None
    ui = None
    _panel = None
    _parameterNode = None
    _parameterNodeGuiTag = None

    def __init__(self, parent=None) -> None:
        VTKObservationMixin.__init__(self)  # first: without a parent, Slicer's class calls `setup` as it is made
        ScriptedLoadableModuleWidget.__init__(self, parent)

    def makeLogic(self):
        """The module's logic."""
        raise NotImplementedError(f"{type(self).__name__} gives no logic.")

    def makePanel(self):
        """The object that answers to the widgets."""
        raise NotImplementedError(f"{type(self).__name__} gives no panel.")

    def chooseInputs(self) -> None:
        """Choose what the scene leaves no doubt about; a module with such a choice overrides this."""

    def setup(self) -> None:
        """Load the widgets, wire them, and begin in the scene that is open."""
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath(f"UI/{self.moduleName}.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = self.makeLogic()
        self._panel = self.makePanel()
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        leaving = slicer.mrmlScene.NodeAboutToBeRemovedEvent
        self.addObserver(slicer.mrmlScene, leaving, self.onNodeAboutToBeRemoved, priority=1.0)  # before the selectors
        self._panel.connect()
        self._hearOfNodes()
        self.initializeParameterNode()

    def _hearOfNodes(self) -> None:
        """Take a node that the user picks, also between nodes of one name: with Qt 6 the signal that `connectGui`
        listens to is then silent, and the selector would turn back unseen."""
        for widget in vars(self.ui).values():
            name = widget.property("SlicerParameterName")
            if name and type(widget) is slicer.qMRMLNodeComboBox:
                widget.connect("nodeActivated(vtkMRMLNode*)", partial(self._onNodePicked, name))

    def _onNodePicked(self, name: str, node) -> None:
        if self._parameterNode is not None and getattr(self._parameterNode, name) is not node:
            setattr(self._parameterNode, name, node)

    def cleanup(self) -> None:
        """Stop what runs and let go of the scene: the panel is going away."""
        if self._panel is not None:
            self._panel.abandon()
            self.setParameterNode(None)
        self.removeObservers()

    def enter(self) -> None:
        """Called when the user opens the module."""
        self.initializeParameterNode()

    def exit(self) -> None:
        """Called when the user opens another module; a run goes on."""
        self.setParameterNode(None)

    def onSceneStartClose(self, caller=None, event=None) -> None:
        """Let go of the nodes before they vanish, and stop the run that would write into them."""
        self._panel.abandon()
        self.setParameterNode(None)

    def onSceneEndClose(self, caller=None, event=None) -> None:
        """Begin anew in the empty scene."""
        if self.parent.isEntered:
            self.initializeParameterNode()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onNodeAboutToBeRemoved(self, caller, event, node) -> None:
        """Take a node out of the choices before it leaves the scene.

        Slicer's selectors hear of it later, and turn to the next node of their lists: an image that nobody chose would
        be read, or overwritten as an output.
        """
        parameters = self._parameterNode
        if parameters is None or slicer.mrmlScene.IsClosing():
            return
        with slicer.util.NodeModify(parameters):
            for name in type(parameters).__annotations__:
                value = getattr(parameters, name)
                if value is node:
                    setattr(parameters, name, None)
                elif _isList(value) and any(item is node for item in value):
                    setattr(parameters, name, [None if item is node else item for item in value])

    def initializeParameterNode(self) -> None:
        """Take the choices that the scene keeps."""
        self.setParameterNode(self.logic.getParameterNode())
        self.chooseInputs()

    def setParameterNode(self, parameterNode) -> None:
        """Bind the panel to a parameter node, or to none.

        The scene's own node is observed, not its wrapper: Slicer's mixin keeps what it has observed, and each wrapper
        that lives on answers to every change with every one of its parameters.
        """
        modified = vtk.vtkCommand.ModifiedEvent
        if self._parameterNode is not None:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self._parameterNodeGuiTag = None
            self.removeObserver(self._parameterNode.parameterNode, modified, self.onParameterNodeModified)
        self._parameterNode = parameterNode
        if parameterNode is not None:
            self._parameterNodeGuiTag = parameterNode.connectGui(self.ui)
            self.addObserver(parameterNode.parameterNode, modified, self.onParameterNodeModified)
        self._panel.setParameterNode(parameterNode)

    def onParameterNodeModified(self, caller=None, event=None) -> None:
        """Bring what `connectGui` does not reach up to date."""
        self._panel.update()

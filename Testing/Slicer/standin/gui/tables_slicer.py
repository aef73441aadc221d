"""The classes of `ctk`, and those widgets of `slicer` that panels use: properties, slots and signals of their headers.

PythonQt shows properties, slots, signals and Q_INVOKABLE methods of these classes and nothing else: a getter or setter
that is no slot (`qMRMLNodeComboBox::setNoneEnabled`) does not exist in Python.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from . import (
    ctk_widgets,
    module_widget,
    node_combo_box,
    path_line_edit,
    plot_widget,
    segment_editor,
    segment_effects,
    segment_widgets,
    table_view,
)
from .conventions import CLASSES, define


def defineCtk(module: ModuleType) -> None:
    """Write down the classes of CTK and put them into the module `ctk`."""
    define(
        "ctkCollapsibleButton", ctk_widgets.ctkCollapsibleButton, "QAbstractButton",
        "collapsed:bool collapsedHeight:int", "", "contentsCollapsed(bool)",
    )
    define(
        "ctkDoubleSpinBox", ctk_widgets.ctkDoubleSpinBox, "QWidget",
        "value:float minimum:float maximum:float singleStep:float decimals:int prefix:str suffix:str cleanText:str! "
        "readOnly:bool",
        "setValue(float) stepUp() stepDown() setDecimals(int)",
        "valueChanged(double) valueChanged(QString)=valueTextChanged editingFinished() decimalsChanged(int)",
    )
    define(
        "ctkSliderWidget", ctk_widgets.ctkSliderWidget, "QWidget",
        "value:float minimum:float maximum:float singleStep:float pageStep:float decimals:int prefix:str suffix:str "
        "tracking:bool spinBoxVisible:bool",
        "reset() setValue(float) setSpinBoxVisible(bool) setDecimals(int)",
        "valueChanged(double) valueIsChanging(double) decimalsChanged(int)",
    )
    define("ctkComboBox", ctk_widgets.ctkComboBox, "QComboBox", "defaultText:str")
    define(
        "ctkCheckableComboBox", ctk_widgets.ctkCheckableComboBox, "QComboBox", "",
        "checkableModel() checkedIndexes() allChecked() noneChecked() setCheckState(QModelIndex,enum) "
        "checkState(QModelIndex)",
        "checkedIndexesChanged()",
    )
    define("ctkMenuButton", ctk_widgets.ctkMenuButton, "QPushButton")
    define("ctkMessageBox", ctk_widgets.ctkMessageBox, "QMessageBox")
    define(
        "ctkPathLineEdit", path_line_edit.ctkPathLineEdit, "QWidget",
        "currentPath:str filters:enum label:str settingKey:str nameFilters:strings showBrowseButton:bool "
        "showHistoryButton:bool",
        "comboBox() setCurrentPath(str) browse() retrieveHistory() addCurrentPathToHistory()",
        "currentPathChanged(QString) validInputChanged(bool)",
    )
    for name, kind in CLASSES.items():
        if name.startswith("ctk"):
            setattr(module, name, kind)


def defineQMRML(slicer: Any) -> None:
    """Write down the widgets of Slicer and put them into the module `slicer`."""
    _widgets()
    for name, kind in CLASSES.items():
        if name.startswith(("qMRML", "qSlicer")):
            setattr(slicer, name, kind)


def _widgets() -> None:
    define(
        "qMRMLWidget", node_combo_box.qMRMLWidget, "QWidget", "", "mrmlScene() setMRMLScene(vtkMRMLScene)",
        "mrmlSceneChanged(vtkMRMLScene*)",
    )
    define(
        "qMRMLNodeComboBox", node_combo_box.qMRMLNodeComboBox, "QWidget",
        "currentNodeID:str nodeTypes:strings showHidden:bool showChildNodeTypes:bool hideChildNodeTypes:strings "
        "baseName:str noneEnabled:bool addEnabled:bool removeEnabled:bool editEnabled:bool renameEnabled:bool "
        "interactionNodeSingletonTag:str selectNodeUponCreation:bool noneDisplay:str",
        "mrmlScene() addAttribute(str,str,any?) removeAttribute(str,str) setNodeTypeLabel(str,str) nodeTypeLabel(str) "
        "nodeCount() nodeFromIndex(int) currentNode() setMRMLScene(vtkMRMLScene) setCurrentNode(vtkMRMLNode|str) "
        "setCurrentNodeID(str) setCurrentNodeIndex(int) addNode(str?) removeCurrentNode()",
        "currentNodeChanged(vtkMRMLNode*) currentNodeChanged(bool)=currentNodeValid currentNodeIDChanged(QString) "
        "nodeActivated(vtkMRMLNode*) nodeAdded(vtkMRMLNode*) nodeAddedByUser(vtkMRMLNode*) "
        "nodeAddedByUserAction(vtkMRMLNode*) nodeAboutToBeRemoved(vtkMRMLNode*) currentNodeRenamed(QString) "
        "nodeAboutToBeEdited(vtkMRMLNode*)",
    )
    define(
        "qMRMLTableView", table_view.qMRMLTableView, "QTableView",
        "transposed:bool firstRowLocked:bool firstColumnLocked:bool",
        "mrmlScene() mrmlTableNode() setMRMLScene(vtkMRMLScene) setMRMLTableNode(vtkMRMLNode) setTransposed(bool) "
        "setFirstRowLocked(bool) setFirstColumnLocked(bool)",
        "mrmlSceneChanged(vtkMRMLScene*) selectionChanged()=selectionChangedSignal",
    )
    define(
        "qMRMLSegmentsTableView", segment_widgets.qMRMLSegmentsTableView, "qMRMLWidget",
        "selectionMode:int headerVisible:bool visibilityColumnVisible:bool colorColumnVisible:bool "
        "opacityColumnVisible:bool statusColumnVisible:bool layerColumnVisible:bool readOnly:bool "
        "filterBarVisible:bool textFilter:str jumpToSelectedSegmentEnabled:bool segmentCount:int!",
        "segmentationNode() tableWidget() selectedSegmentIDs() setSelectedSegmentIDs(strings) clearSelection() "
        "setHideSegments(strings) hideSegments() displayedSegmentIDs() rowForSegmentID(str) segmentIDForRow(int) "
        "setSegmentationNode(vtkMRMLNode) setMRMLScene(vtkMRMLScene) setSelectionMode(int)",
        "selectionChanged(QItemSelection,QItemSelection) segmentAboutToBeModified(QString)",
    )
    define(
        "qMRMLSegmentSelectorWidget", segment_widgets.qMRMLSegmentSelectorWidget, "qMRMLWidget",
        "noneEnabled:bool editEnabled:bool multiSelection:bool segmentationNodeSelectorVisible:bool",
        "currentNode() currentNodeID() currentSegmentID() selectedSegmentIDs() segmentIDs() "
        "setCurrentNode(vtkMRMLNode) setCurrentNodeID(str) setCurrentSegmentID(str) setMRMLScene(vtkMRMLScene)",
        "currentNodeChanged(vtkMRMLNode*) currentNodeChanged(bool)=currentNodeValid currentSegmentChanged(QString) "
        "segmentSelectionChanged(QStringList) nodeAboutToBeEdited(vtkMRMLNode*)",
    )
    define(
        "qMRMLSegmentEditorWidget", segment_editor.qMRMLSegmentEditorWidget, "qMRMLWidget",
        "segmentationNodeSelectorVisible:bool sourceVolumeNodeSelectorVisible:bool "
        "switchToSegmentationsButtonVisible:bool",
        "mrmlSegmentEditorNode() segmentationNode() segmentationNodeID() sourceVolumeNode() sourceVolumeNodeID() "
        "currentSegmentID() activeEffect() setActiveEffect(qSlicerSegmentEditorScriptedEffect*) effectByName(str) "
        "availableEffectNames() setupViewObservations() removeViewObservations() setMRMLScene(vtkMRMLScene) "
        "setMRMLSegmentEditorNode(vtkMRMLSegmentEditorNode) updateWidgetFromMRML() setSegmentationNode(vtkMRMLNode) "
        "setSourceVolumeNode(vtkMRMLNode) setCurrentSegmentID(str) setActiveEffectByName(str) saveStateForUndo() "
        "undo() redo()",
        "currentSegmentIDChanged(QString) sourceVolumeNodeChanged(vtkMRMLVolumeNode*) "
        "segmentationNodeChanged(vtkMRMLSegmentationNode*)",
    )
    define(
        "qSlicerSegmentEditorScriptedEffect", segment_effects.qSlicerSegmentEditorScriptedEffect, "QObject",
        "name:str! title:str perSegment:bool! requireSegments:bool",
        "self() optionsFrame() parameterSetNode() setParameterSetNode(vtkMRMLSegmentEditorNode) active() helpText() "
        "setParameter(str,str|int|float) setParameterDefault(str,str|int|float) parameterDefined(str) parameter(str) "
        "doubleParameter(str) integerParameter(str) sourceVolumeImageData() defaultModifierLabelmap() "
        "modifySelectedSegmentByLabelmap(vtkOrientedImageData,int,bool?) saveStateForUndo() selectEffect(str) "
        "confirmCurrentSegmentVisible()",
    )
    define(
        "qMRMLPlotView", plot_widget.qMRMLPlotView, "QWidget", "",
        "setMRMLScene(vtkMRMLScene) setMRMLPlotViewNode(vtkMRMLPlotViewNode) fitToContent()",
        "mrmlSceneChanged(vtkMRMLScene*)",
    )
    define(
        "qMRMLPlotWidget", plot_widget.qMRMLPlotWidget, "qMRMLWidget", "viewLabel:str",
        "mrmlPlotViewNode() plotView() viewWidget() setMRMLPlotViewNode(vtkMRMLPlotViewNode) "
        "setMRMLScene(vtkMRMLScene)",
    )
    define(
        "qSlicerScriptedLoadableModuleWidget", module_widget.qSlicerScriptedLoadableModuleWidget, "qMRMLWidget",
        "isEntered:bool! moduleName:str!", "enter() exit() self() reload()",
    )

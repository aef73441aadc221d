"""The stand-in's widgets behave as PythonQt and Slicer do, and refuse what those refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed, and this is not Slicer")
pytest.importorskip("PySide6", reason="PySide6 is not installed: no widgets")

PANEL = """<?xml version="1.0" encoding="UTF-8"?>
<ui version="4.0">
 <class>Panel</class>
 <widget class="qMRMLWidget" name="Panel">
  <layout class="QFormLayout" name="formLayout">
   <item row="0" column="1">
    <widget class="qMRMLNodeComboBox" name="ctSelector">
     <property name="nodeTypes"><stringlist notr="true"><string>vtkMRMLScalarVolumeNode</string></stringlist></property>
     <property name="noneEnabled"><bool>true</bool></property>
     <property name="SlicerParameterName" stdset="0"><string>ctVolume</string></property>
    </widget>
   </item>
   <item row="1" column="1">
    <widget class="ctkPathLineEdit" name="pathLineEdit">
     <property name="filters"><set>ctkPathLineEdit::Files|ctkPathLineEdit::Writable</set></property>
    </widget>
   </item>
   <item row="2" column="1">
    <widget class="QPushButton" name="applyButton"><property name="text"><string>Apply</string></property></widget>
   </item>
  </layout>
 </widget>
 <customwidgets>
  <customwidget><class>qMRMLWidget</class><extends>QWidget</extends><header>qMRMLWidget.h</header></customwidget>
  <customwidget><class>qMRMLNodeComboBox</class><extends>QWidget</extends><header>q.h</header></customwidget>
  <customwidget><class>ctkPathLineEdit</class><extends>QWidget</extends><header>c.h</header></customwidget>
 </customwidgets>
 <connections>
  <connection>
   <sender>Panel</sender><signal>mrmlSceneChanged(vtkMRMLScene*)</signal>
   <receiver>ctSelector</receiver><slot>setMRMLScene(vtkMRMLScene*)</slot>
  </connection>
 </connections>
</ui>
"""


@pytest.fixture(autouse=True)
def _stand_in(application: Any, scene: Any) -> None:
    if type(application).__module__.partition(".")[0] != "standin":
        pytest.skip("these are properties of the stand-in, and this is Slicer")


def _load(folder: Path, text: str = PANEL) -> Any:
    import slicer

    path = folder / "Panel.ui"
    path.write_text(text, encoding="utf-8")
    return slicer.util.loadUI(str(path))


def _warnings() -> str:
    import standin

    return "\n".join(str(problem) for problem in standin.forgetProblems())


def _volume(name: str = "CT") -> Any:
    import slicer

    return slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)


# --- PythonQt's conventions ------------------------------------------------------------------------------------------


def test_properties_are_attributes_and_names_are_found() -> None:
    import qt

    button = qt.QPushButton("Apply")
    button.enabled = False
    button.objectName = "applyButton"
    assert (button.text, button.enabled, button.name) == ("Apply", False, "applyButton")
    assert button.className() == "QPushButton"
    assert isinstance(button, qt.QWidget)
    assert type(button) is qt.QPushButton


def test_a_getter_called_like_a_method_is_refused() -> None:
    import qt

    with pytest.raises(TypeError, match="'str' object is not callable"):
        qt.QPushButton("Apply").text()


def test_unknown_attributes_are_refused_for_reading_and_for_writing() -> None:
    import qt

    button = qt.QPushButton("Apply")
    with pytest.raises(AttributeError, match="QPushButton has no attribute named 'lable'"):
        _ = button.lable
    with pytest.raises(AttributeError, match="'lable' does not exist on QPushButton"):
        button.lable = "x"
    with pytest.raises(AttributeError, match="'sizeHint' of QPushButton is not writable"):
        button.sizeHint = None


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        ("QPushButton", "text", 3),
        ("QPushButton", "text", None),
        ("QSpinBox", "value", 1.5),
        ("QDoubleSpinBox", "value", "1.5"),
        ("QCheckBox", "checked", "yes"),
    ],
)
def test_values_of_another_type_are_refused(kind: str, name: str, value: Any) -> None:
    import qt

    with pytest.raises(ValueError, match=f"Property '{name}' of type"):
        setattr(getattr(qt, kind)(), name, value)


def test_classes_without_a_table_and_named_arguments_are_refused() -> None:
    import ctk
    import qt
    import slicer

    with pytest.raises(AttributeError):
        _ = qt.QCalendarWidget
    with pytest.raises(AttributeError):
        _ = ctk.ctkFancyWidget
    with pytest.raises(AttributeError):
        _ = slicer.qMRMLMarkupsToolBar
    with pytest.raises(TypeError, match="no named arguments"):
        qt.QPushButton(text="Apply")


def test_slots_get_as_many_arguments_as_they_take() -> None:
    import qt

    button, heard = qt.QPushButton("Apply"), []
    button.connect("clicked(bool)", lambda: heard.append("none"))
    button.connect("clicked(bool)", lambda checked: heard.append(checked))
    button.connect("clicked()", lambda *arguments: heard.append(arguments))
    button.click()
    assert heard == ["none", False, ()]


def test_disconnected_slots_are_silent() -> None:
    import qt

    button, heard = qt.QPushButton("Apply"), []
    slot = lambda: heard.append(1)  # noqa: E731
    button.connect("clicked(bool)", slot)
    assert button.disconnect("clicked(bool)", slot)
    assert not button.disconnect("clicked(bool)", slot)
    button.click()
    assert heard == []


@pytest.mark.parametrize("signature", ["clicked(int)", "pushed()", "clicked", "currentIndexChanged(QString)"])
def test_signals_that_do_not_exist_are_refused(signature: str) -> None:
    import qt

    with pytest.raises(ValueError, match="has no signal"):
        qt.QPushButton("Apply").connect(signature, print)


def test_exceptions_in_slots_are_kept_as_problems(capsys: pytest.CaptureFixture[str]) -> None:
    import qt
    import standin

    button = qt.QPushButton("Apply")
    button.connect("clicked(bool)", lambda: 1 / 0)
    button.click()
    assert [type(problem) for problem in standin.forgetProblems()] == [ZeroDivisionError]
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_exceptions_in_timers_and_observers_are_kept_as_problems() -> None:
    import qt
    import slicer
    import standin

    def fail(*_: Any) -> None:
        raise KeyError("lost")

    qt.QTimer.singleShot(0, fail)
    slicer.app.processEvents()
    node = _volume()
    node.AddObserver("ModifiedEvent", fail)
    node.Modified()
    assert [type(problem) for problem in standin.forgetProblems()] == [KeyError, KeyError]


def test_enumerators_are_ints_that_qt_takes_back() -> None:
    import qt

    assert qt.QMessageBox.Ok == 0x400
    label = qt.QLabel("x")
    label.alignment = qt.Qt.AlignRight | qt.Qt.AlignTop
    assert label.alignment & qt.Qt.AlignTop
    assert not label.alignment & qt.Qt.AlignLeft
    item = qt.QTableWidgetItem("x")
    item.setFlags(item.flags() & ~qt.Qt.ItemIsEditable)
    assert item.text() == "x"
    assert not item.flags() & qt.Qt.ItemIsEditable


def test_windows_that_wait_for_a_person_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import qt

    with pytest.raises(RuntimeError, match=r"QFileDialog\.getSaveFileName would wait for a person"):
        qt.QFileDialog.getSaveFileName(None, "Save")
    with pytest.raises(RuntimeError, match="QDialog.exec_ would wait"):
        qt.QDialog().exec_()
    monkeypatch.setattr(qt.QFileDialog, "getSaveFileName", lambda *_: "dose.dcm")
    assert qt.QFileDialog.getSaveFileName(None, "Save") == "dose.dcm"


def test_destroyed_widgets_are_refused() -> None:
    import qt
    import shiboken6

    button = qt.QPushButton("Apply")
    shiboken6.delete(button.real_())
    assert not button
    with pytest.raises(RuntimeError, match="destroyed QPushButton"):
        _ = button.text


# --- .ui files -------------------------------------------------------------------------------------------------------


def test_a_panel_is_loaded_with_its_names_connections_and_sets(tmp_path: Path) -> None:
    import ctk
    import slicer

    widget = _load(tmp_path)
    ui = slicer.util.childWidgetVariables(widget)
    assert not ui.ctSelector.enabled
    widget.setMRMLScene(slicer.mrmlScene)
    assert ui.ctSelector.enabled
    assert ui.ctSelector.mrmlScene() is slicer.mrmlScene
    assert ui.pathLineEdit.filters == ctk.ctkPathLineEdit.Files | ctk.ctkPathLineEdit.Writable
    assert ui.ctSelector.property("SlicerParameterName") == "ctVolume"
    assert slicer.util.findChild(widget, "applyButton") == ui.applyButton
    assert type(ui.ctSelector) is slicer.qMRMLNodeComboBox


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"QPushButton"', '"qMRMLMissingWidget"', "unknown widget class qMRMLMissingWidget"),
        ('name="noneEnabled"', 'name="nonEnabled"', "qMRMLNodeComboBox ctSelector has no property nonEnabled"),
        ("<bool>true</bool>", "<string>true</string>", "noneEnabled of qMRMLNodeComboBox ctSelector is of type bool"),
        ("setMRMLScene(vtk", "setScene(vtk", "cannot be made: qMRMLNodeComboBox has no attribute named 'setScene'"),
        ("mrmlSceneChanged(vtk", "sceneChanged(vtk", "cannot be made: qMRMLWidget has no signal"),
        ("<receiver>ctSelector", "<receiver>ctSelektor", "unknown widgets Panel and ctSelektor"),
        ("Edit::Files", "Edit::Filez", "unknown value ctkPathLineEdit::Filez|ctkPathLineEdit::Writable of filters"),
        ("<class>ctkPathLineEdit</class>", "<class>ctkOther</class>", "ctkPathLineEdit is not among the <custom"),
    ],
)
def test_what_slicer_would_pass_over_in_a_ui_file_is_a_problem(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in PANEL
    _load(tmp_path, PANEL.replace(old, new))
    assert words in _warnings()


# --- node combo boxes ------------------------------------------------------------------------------------------------


def _combo(**properties: Any) -> Any:
    import slicer

    combo = slicer.qMRMLNodeComboBox()
    combo.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    for name, value in ({"addEnabled": False, "removeEnabled": False} | properties).items():
        setattr(combo, name, value)
    combo.setMRMLScene(slicer.mrmlScene)
    return combo


def test_a_node_combo_box_chooses_the_first_node_only_without_other_rows() -> None:
    plain, withNone, withAdd = _combo(), _combo(noneEnabled=True), _combo(addEnabled=True)
    node = _volume()
    assert plain.currentNode() is node
    assert withNone.currentNode() is None
    assert withAdd.currentNode() is None
    assert [combo.nodeCount() for combo in (plain, withNone, withAdd)] == [1, 1, 1]


def test_a_node_combo_box_offers_what_its_properties_say() -> None:
    import slicer

    labels = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Labels")
    hidden = _volume("hidden")
    hidden.SetHideFromEditors(True)
    dose = _volume("dose")
    dose.SetAttribute("DicomRtImport.DoseVolume", "1")
    combo = _combo(noneEnabled=True)
    assert {combo.nodeFromIndex(index) for index in range(combo.nodeCount())} == {labels, dose}
    combo.showChildNodeTypes = False
    assert [combo.nodeFromIndex(index) for index in range(combo.nodeCount())] == [dose]
    combo.addAttribute("vtkMRMLScalarVolumeNode", "DicomRtImport.DoseVolume", "0")
    assert combo.nodeCount() == 0


def test_a_node_combo_box_tells_of_choices_additions_and_removals() -> None:
    import slicer

    combo, heard = _combo(noneEnabled=True, addEnabled=True), []
    combo.connect("currentNodeChanged(vtkMRMLNode*)", lambda node: heard.append(node and node.GetName()))
    combo.connect("currentNodeChanged(bool)", lambda valid: heard.append(valid))
    combo.connect("nodeAddedByUser(vtkMRMLNode*)", lambda node: heard.append("added"))
    combo.real_().choose("Create new Volume")
    assert heard == ["Volume", True, "added"]
    assert combo.currentNodeID == combo.currentNode().GetID()
    slicer.mrmlScene.RemoveNode(combo.currentNode())
    assert heard[3:] == [None, False]


def test_setters_that_are_no_slots_are_refused() -> None:
    combo = _combo()
    with pytest.raises(AttributeError, match="qMRMLNodeComboBox has no attribute named 'setNoneEnabled'"):
        combo.setNoneEnabled(True)
    with pytest.raises(TypeError):
        combo.currentNodeID()
    with pytest.raises(ValueError, match="Could not find matching overload"):
        combo.setCurrentNode(3)
    with pytest.raises(ValueError, match="Could not find matching overload"):
        combo.setMRMLScene()


# --- parameters, tables, segments, charts, views -------------------------------------------------------------------


def test_parameters_follow_widgets_and_widgets_follow_parameters(tmp_path: Path) -> None:
    import slicer
    from slicer.parameterNodeWrapper import parameterNodeWrapper
    from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic

    fields = {"__annotations__": {"ctVolume": slicer.vtkMRMLScalarVolumeNode}}
    Parameters = parameterNodeWrapper(type("Parameters", (), fields))
    widget = _load(tmp_path)
    ui = slicer.util.childWidgetVariables(widget)
    widget.setMRMLScene(slicer.mrmlScene)
    parameters = Parameters(ScriptedLoadableModuleLogic().getParameterNode())
    tag = parameters.connectGui(ui)
    first, second = _volume("first"), _volume("second")
    ui.ctSelector.setCurrentNode(first)
    assert parameters.ctVolume is first
    parameters.ctVolume = second
    assert ui.ctSelector.currentNode() is second
    parameters.disconnectGui(tag)
    ui.ctSelector.setCurrentNode(first)
    assert parameters.ctVolume is second


@pytest.mark.parametrize(("chosen", "then"), [(0, "B"), (1, "C"), (2, "B")])
def test_a_node_combo_box_turns_to_the_next_node_once_the_chosen_one_is_removed(chosen: int, then: str) -> None:
    """As Qt's combo box does within Slicer's: the row that moves up is chosen, at the end of the list the last one."""
    import slicer

    box = slicer.qMRMLNodeComboBox()
    box.nodeTypes = ["vtkMRMLTextNode"]
    box.noneEnabled = True
    box.setMRMLScene(slicer.mrmlScene)
    nodes = [slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode", name) for name in "ABC"]
    box.setCurrentNode(nodes[chosen])
    told: list[Any] = []
    box.connect("currentNodeChanged(vtkMRMLNode*)", told.append)
    slicer.mrmlScene.RemoveNode(nodes[chosen])
    assert box.currentNode().GetName()[0] == then
    assert [node.GetName()[0] for node in told] == [then]
    for node in nodes:
        if slicer.mrmlScene.IsNodePresent(node):
            slicer.mrmlScene.RemoveNode(node)
    assert box.currentNode() is None
    assert told[-1] is None


def test_a_node_combo_box_tells_its_node_again_when_the_row_moves_or_the_name_changes() -> None:
    import slicer

    box = slicer.qMRMLNodeComboBox()
    box.nodeTypes = ["vtkMRMLTextNode"]
    box.setMRMLScene(slicer.mrmlScene)
    first, second = (slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode", name) for name in "AB")
    box.setCurrentNode(second)
    told: list[Any] = []
    box.connect("currentNodeChanged(vtkMRMLNode*)", told.append)
    slicer.mrmlScene.RemoveNode(first)
    second.SetName("Renamed")
    assert told == [second, second]
    slicer.mrmlScene.RemoveNode(second)


def test_pairs_without_a_connector_in_slicer_are_refused() -> None:
    import ctk
    import slicer
    from slicer.parameterNodeWrapper import createGuiConnector

    for widget, datatype in (
        (slicer.qMRMLSegmentsTableView(), list[str]),
        (ctk.ctkPathLineEdit(), str),
        (ctk.ctkCheckableComboBox(), str),
    ):
        with pytest.raises(RuntimeError, match="Unable to create GUI connector"):
            createGuiConnector(widget, datatype)


@pytest.mark.parametrize(
    ("filters", "typed", "told"),
    [
        ([], ["a", "", "a.txt", "a.txt"], ["a", True, False, "a.txt", True]),
        (["Tables (*.csv)"], ["a.txt", "b.txt", ""], []),  # from refused to refused: nothing at all
        (["Tables (*.csv)"], ["a.csv", "a.CSV", "a.cs"], ["a.csv", True, False, "a.cs", True]),
        (["Models (*.h5 *.pt)", "All files (*)"], ["a.pt", "a.pth"], ["a.pt", True, False]),
    ],
)
def test_a_path_line_edit_tells_a_path_only_where_its_validator_accepts_it(
    filters: list[str], typed: list[str], told: list[Any]
) -> None:
    """As read in CTK's ctkPathLineEdit::updateHasValidInput and ctk::nameFiltersToRegularExpression."""
    import ctk

    edit = ctk.ctkPathLineEdit()
    edit.nameFilters = filters
    heard: list[Any] = []
    edit.connect("currentPathChanged(QString)", heard.append)
    edit.connect("validInputChanged(bool)", heard.append)
    line = edit.comboBox().lineEdit()
    for text in typed:
        line.setText(text)
        assert edit.currentPath == text
    assert heard == told


def test_a_table_view_shows_titles_and_cells_of_its_node() -> None:
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", "Table")
    slicer.util.updateTableFromArray(node, [np.array([1.5, 2.5])], ["Dose"])
    node.SetColumnTitle("Dose", "Absorbed dose [Gy]")
    view = slicer.qMRMLTableView()
    view.setMRMLScene(slicer.mrmlScene)
    view.setMRMLTableNode(node)
    model = view.model()
    assert (model.rowCount(), model.columnCount()) == (2, 1)
    assert view.real_().model().item(1, 0).text() == "2.5"
    assert view.real_().model().horizontalHeaderItem(0).text() == "Absorbed dose [Gy]"
    slicer.mrmlScene.RemoveNode(node)
    assert view.mrmlTableNode() is None


def _segmentation() -> Any:
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Regions")
    node.CreateDefaultDisplayNodes()
    for segmentID in ("liver", "spleen"):
        node.GetSegmentation().AddEmptySegment(segmentID, segmentID.title())
    return node


def test_a_segments_table_selects_and_hides_segments() -> None:
    import qt
    import slicer

    node, table = _segmentation(), slicer.qMRMLSegmentsTableView()
    table.setMRMLScene(slicer.mrmlScene)
    table.setSegmentationNode(node)
    heard: list[Any] = []
    table.connect("selectionChanged(QItemSelection,QItemSelection)", lambda: heard.append(table.selectedSegmentIDs()))
    table.setSelectedSegmentIDs(["spleen"])
    assert table.selectedSegmentIDs() == ("spleen",)
    assert heard
    table.tableWidget().real_().item(0, 0).setCheckState(qt.Qt.Unchecked.enumerator)
    assert not node.GetDisplayNode().GetSegmentVisibility("liver")
    node.GetSegmentation().RemoveSegment("liver")
    assert table.displayedSegmentIDs() == ("spleen",)
    with pytest.raises(TypeError):
        table.segmentCount()


def test_a_segment_selector_gives_its_segment_by_a_method() -> None:
    import slicer

    node, selector = _segmentation(), slicer.qMRMLSegmentSelectorWidget()
    selector.setMRMLScene(slicer.mrmlScene)
    selector.setCurrentNode(node)
    selector.setCurrentSegmentID("spleen")
    assert (selector.currentNodeID(), selector.currentSegmentID()) == (node.GetID(), "spleen")


def test_collapsible_buttons_close_to_their_header() -> None:
    import ctk

    section, heard = ctk.ctkCollapsibleButton(), []
    section.connect("contentsCollapsed(bool)", lambda closed: heard.append(closed))
    section.collapsed = True
    section.click()
    assert heard == [True, False]
    assert not section.collapsed


def test_a_slider_keeps_to_its_range_and_tells_its_value() -> None:
    import ctk

    slider, heard = ctk.ctkSliderWidget(), []
    slider.minimum, slider.maximum, slider.decimals = 1.0, 3.0, 1
    slider.connect("valueChanged(double)", lambda value: heard.append(value))
    slider.value = 9.0
    assert slider.value == 3.0
    assert heard == [3.0]
    with pytest.raises(AttributeError):
        slider.setRange(0.0, 1.0)


def _pixels(image: Any) -> np.ndarray:
    from PySide6.QtGui import QImage

    image = image.convertToFormat(QImage.Format.Format_RGB888)
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3).copy()


def test_a_plot_view_draws_the_series_of_its_chart() -> None:
    import slicer
    from standin.gui.charts import chartImage

    table = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", "Table")
    slicer.util.updateTableFromArray(table, [np.arange(5.0), np.arange(5.0) ** 2], ["t", "A"])
    series = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", "liver")
    series.SetAndObserveTableNodeID(table.GetID())
    series.SetXColumnName("t")
    series.SetYColumnName("A")
    series.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
    series.SetColor(1.0, 0.0, 0.0)
    chart = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotChartNode", "Chart")
    empty = _pixels(chartImage(chart, 200, 150))
    chart.AddAndObservePlotSeriesNodeID(series.GetID())
    drawn = _pixels(chartImage(chart, 200, 150))
    assert not np.any((empty[..., 0] > 200) & (empty[..., 1] < 60))
    assert np.sum((drawn[..., 0] > 200) & (drawn[..., 1] < 60)) > 50


def test_slice_views_show_background_and_foreground_of_all_composite_nodes() -> None:
    import slicer

    volume = slicer.util.addVolumeFromArray(np.full((20, 20, 20), 100.0))
    volume.CreateDefaultDisplayNodes()
    volume.GetDisplayNode().SetAutoWindowLevel(False)
    volume.GetDisplayNode().SetWindowLevelMinMax(0.0, 100.0)
    manager = slicer.app.layoutManager()
    view = manager.views()["Red"]
    view.resize(200, 200)
    before = _pixels(view.render())[100 - 11, 100]
    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    assert manager.sliceWidget("Red").mrmlSliceCompositeNode().GetBackgroundVolumeID() == volume.GetID()
    assert tuple(before) == (0, 0, 0)
    assert tuple(_pixels(view.render())[100 - 11, 100]) == (255, 255, 255)
    with pytest.raises(ValueError, match="there is no layout 987654"):
        manager.setLayout(987654)


def test_a_screenshot_holds_panel_and_views(tmp_path: Path) -> None:
    import slicer
    import standin
    from PySide6.QtGui import QImage

    volume = slicer.util.addVolumeFromArray(np.arange(8000.0).reshape(20, 20, 20))
    volume.CreateDefaultDisplayNodes()
    slicer.util.setSliceViewerLayers(background=volume)
    panel = _load(tmp_path)
    path = standin.screenshot(panel, tmp_path / "shot.png")
    pixels = _pixels(QImage(str(path)))
    assert pixels.shape[:2] == (1000, 1600)
    assert len(np.unique(pixels[:, :470].reshape(-1, 3), axis=0)) > 10
    assert len(np.unique(pixels[:, 600:].reshape(-1, 3), axis=0)) > 100
    assert not panel.real_().parentWidget()


def test_the_command_for_screenshots_drives_a_panel_and_saves_it(tmp_path: Path) -> None:
    import make_screenshots
    from PySide6.QtGui import QImage

    assert make_screenshots.main([str(tmp_path), "--module", "VoxelDose", "--voxel-mm", "16"]) == 0
    assert not QImage(str(tmp_path / "VoxelDose.png")).isNull()


WITHOUT_AN_OBJECT = {
    "QAbstractButton", "QAbstractItemView", "QAbstractItemModel", "QApplication", "QLayout", "QBoxLayout",
}  # fmt: skip
"""Classes that cannot be made without arguments; their entries are seen through the classes derived from them."""

OF_SLICER_ALONE = {"ctkPathLineEdit": {"browse", "retrieveHistory"}}
"""Slots that exist in Slicer and wait for a person; the stand-in does not have them."""


def test_tables_name_only_what_their_classes_have() -> None:
    import standin.gui.conventions as conventions
    from standin.gui.values import readProperty

    wrong = []
    for name, table in conventions.TABLES.items():
        if table.isOpen or name in WITHOUT_AN_OBJECT | {"Qt", "QUiLoader", "QHeaderView", "QClipboard"}:
            continue
        real = conventions.CLASSES[name]().real_()
        for base in conventions.CLASSES[name].__mro__:
            entries = base.__dict__.get("_table") or table
            methods = set(entries.methods) - OF_SLICER_ALONE.get(name, set())
            wrong += [f"{name}.{method}()" for method in methods if not hasattr(real, method)]
            wrong += [f"{name} signal {inner}" for inner in entries.signals.values() if not hasattr(real, inner)]
            for entry in entries.properties:
                try:
                    readProperty(real, entry)
                except Exception as error:
                    wrong.append(f"{name}.{entry}: {error!r}")
    assert "\n".join(sorted(set(wrong))) == ""

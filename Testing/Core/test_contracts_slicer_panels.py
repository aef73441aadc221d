"""Panels and scripts fit each other: widgets, custom classes, scene connections, parameters, tooltips and units.

Each contract is a function that tells what is wrong with a module; it finds nothing in ours, and finds each of the
breaks that `_BREAKS` makes in copies of them.
"""

from __future__ import annotations

import re
import shutil
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import pytest

from slicer_sources import ModuleSources, modules_of

_CUSTOM = re.compile(r"^(qMRML|qSlicer|ctk)")

_SCENE_CONNECTION = ("mrmlSceneChanged(vtkMRMLScene*)", "setMRMLScene(vtkMRMLScene*)")

_ENTRY_CLASSES = (
    "QCheckBox", "QComboBox", "QDoubleSpinBox", "QLineEdit", "QPlainTextEdit", "QPushButton", "QSpinBox",
    "QTableWidget", "QToolButton", "ctkCheckableComboBox", "ctkComboBox", "ctkDoubleSpinBox", "ctkMenuButton",
    "ctkPathLineEdit", "ctkSliderWidget", "qMRMLNodeComboBox", "qMRMLSegmentSelectorWidget", "qMRMLSegmentsTableView",
)  # fmt: skip
"""Widgets that a user handles: each needs a tooltip."""

_NUMBER_CLASSES = ("QDoubleSpinBox", "QSpinBox", "ctkDoubleSpinBox", "ctkSliderWidget")

_UNITLESS = re.compile(r"histor|seed|number|count|decimals", re.IGNORECASE)
"""Numbers that have no unit."""

_UNIT = re.compile(r"[\[(].+[\])]|Bq/mL per ")
"""How a label names a unit: in brackets, or by being one."""

_CONNECTORS = {
    "QCheckBox": {"bool"},
    "QComboBox": {"Choice", "Enum"},
    "QDoubleSpinBox": {"float"},
    "QLineEdit": {"str"},
    "QPushButton": {"bool"},
    "QSpinBox": {"int"},
    "ctkCheckBox": {"bool"},
    "ctkCollapsibleButton": set(),
    "ctkDoubleSpinBox": {"float"},
    "ctkPathLineEdit": {"Path"},
    "ctkSliderWidget": {"float"},
    "qMRMLNodeComboBox": {"node"},
}
"""Widget classes that Slicer's `connectGui` binds (Base/Python/slicer/parameterNodeWrapper/guiConnectors.py), and to
which parameters; all others are wired by hand."""


def _missing_widgets(module: ModuleSources) -> list[str]:
    """Widgets that the scripts use and the panel lacks."""
    used = module.used_widgets()
    return [f"line {line}: no widget '{name}'" for name, line in used.items() if name not in module.widgets]


def _undeclared_classes(module: ModuleSources) -> list[str]:
    """Custom classes that the panel uses without declaring them, or declares without a header or use."""
    declared = {item.findtext("class"): item.findtext("header") for item in module.panel.iter("customwidget")}
    used = {element.get("class", "") for element in module.widgets.values()}
    custom = {name for name in used if _CUSTOM.match(name)}
    return [
        *(f"{name} is not declared" for name in sorted(custom - declared.keys())),
        *(f"{name} is declared and not used" for name in sorted(set(map(str, declared)) - used)),
        *(f"{name} is declared without its header" for name, header in declared.items() if header != f"{name}.h"),
    ]


def _unconnected_widgets(module: ModuleSources) -> list[str]:
    """MRML widgets that do not get the scene from the outermost widget, and connections of widgets that are gone."""
    root = next(iter(module.widgets))
    found = [] if module.widgets[root].get("class") == "qMRMLWidget" else [f"{root} is no qMRMLWidget"]
    connected = set()
    for connection in module.panel.iter("connection"):
        sender, receiver = connection.findtext("sender"), connection.findtext("receiver")
        if (connection.findtext("signal"), connection.findtext("slot")) == _SCENE_CONNECTION and sender == root:
            connected.add(receiver)
        found += [f"connection of no widget '{name}'" for name in (sender, receiver) if name not in module.widgets]
    needs = {name for name, element in module.widgets.items() if element.get("class", "").startswith("qMRML")} - {root}
    return [*found, *(f"{name} is not connected to the scene" for name in sorted(needs - connected))]


def _unbound_parameters(module: ModuleSources) -> list[str]:
    """Parameters without a widget, widgets without a parameter, and hand-wired ones that nothing wires."""
    fields, by_hand = module.parameters(), module.hand_wired()
    bound: dict[str, str] = {}
    found = [] if fields else ["no parameter node"]
    for name, element in module.widgets.items():
        parameter = _parameter_of(element)
        if parameter is None:
            continue
        if parameter in bound:
            found.append(f"{parameter} is bound to both {bound[parameter]} and {name}")
        bound[parameter] = name
        if parameter not in fields:
            found.append(f"{name} is bound to the unknown parameter {parameter}")
        elif not _fits(module, element, fields[parameter]):
            found.append(f"{name} cannot be bound to {parameter}: {fields[parameter]}")
    used = {name for text in module.texts() for name in re.findall(r"\.(\w+)", text)}
    unbound = sorted(fields.keys() - bound.keys() - {*by_hand})
    found += [f"{name} is neither bound nor wired by hand" for name in unbound]
    found += [f"{name} is bound and also wired by hand" for name in by_hand if name in bound]
    found += [f"{name} is wired by hand but no parameter" for name in by_hand if name not in fields]
    return found + [f"{name} is said to be wired by hand, and nothing uses it" for name in by_hand if name not in used]


def _other_dynamic_properties(module: ModuleSources) -> list[str]:
    """Dynamic properties under another name: a misspelt SlicerParameterName binds nothing."""
    return [
        f"{name} has the dynamic property '{entry.get('name')}'"
        for name, element in module.widgets.items()
        for entry in element.findall("property")
        if entry.get("stdset") == "0" and entry.get("name") != "SlicerParameterName"
    ]


def _filtered_paths(module: ModuleSources) -> list[str]:
    """Fields of files with name filters: CTK's widget is silent where one text that they refuse follows another."""
    return [
        f"{name} has name filters"
        for name, element in module.widgets.items()
        if element.get("class") == "ctkPathLineEdit"
        and any(entry.get("name") == "nameFilters" for entry in element.findall("property"))
    ]


def _silent_widgets(module: ModuleSources) -> list[str]:
    """Widgets that a user handles and that say nothing when pointed at.

    A button that begins disabled may have its tooltip from the script alone, which tells there what is missing.
    """
    told = any(".toolTip = " in text for text in module.texts())
    return [
        f"{name} has no tooltip"
        for name, element in module.widgets.items()
        if element.get("class") in _ENTRY_CLASSES
        and len((_string(element, "toolTip") or "").split()) < 3
        and not (told and element.findtext("property[@name='enabled']/bool") == "false")
    ]


def _numbers_without_unit(module: ModuleSources) -> list[str]:
    """Number fields whose unit stands neither behind the number, nor in the label, nor in the tooltip."""
    labels = _labels(module.panel)
    found = []
    for name, element in module.widgets.items():
        if element.get("class") not in _NUMBER_CLASSES or _UNITLESS.search(name):
            continue
        label = labels.get(name, "")
        if not ((_string(element, "suffix") or "").strip() or _UNIT.search(label)):
            found.append(f"{name} has no unit (label '{label}')")
    return found


_CONTRACTS: dict[str, Callable[[ModuleSources], list[str]]] = {
    "widgets": _missing_widgets,
    "custom classes": _undeclared_classes,
    "scene": _unconnected_widgets,
    "parameters": _unbound_parameters,
    "dynamic properties": _other_dynamic_properties,
    "path fields": _filtered_paths,
    "tooltips": _silent_widgets,
    "units": _numbers_without_unit,
}


def _parameter_of(element: ElementTree.Element) -> str | None:
    return _string(element, "SlicerParameterName")


def _fits(module: ModuleSources, element: ElementTree.Element, annotation: str) -> bool:
    """Whether `connectGui` has a connector from a widget to a parameter, and a selector offers its kind of node."""
    kinds = _CONNECTORS.get(element.get("class", ""))
    if kinds is None:
        return False
    if "Choice(" in annotation:
        kind = "Choice"
    elif "vtkMRML" in annotation:
        types = [item.text for entry in element.findall("property[@name='nodeTypes']") for item in entry.iter("string")]
        return "node" in kinds and set(types) == set(re.findall(r"vtkMRML\w+", annotation))
    else:
        kind = re.sub(r"Annotated\[(\w+).*", r"\1", annotation)
        kind = kind if kind in {"bool", "int", "float", "str", "Path"} else "Enum"
    return kind in kinds


def _string(element: ElementTree.Element, name: str) -> str | None:
    return next((entry.findtext("string") for entry in element.findall("property") if entry.get("name") == name), None)


def _labels(panel: ElementTree.Element) -> dict[str, str]:
    """Text of the label in the same row of the form, or in the same line, of each widget."""
    found: dict[str, str] = {}
    for layout in panel.iter("layout"):
        rows: dict[str, list[ElementTree.Element]] = {}
        for item in layout.findall("item"):
            rows.setdefault(item.get("row", "0"), []).append(item)
        for items in rows.values() if layout.get("class") != "QVBoxLayout" else ():
            widgets = [element for item in items for element in item.iter("widget")]
            texts = [_string(element, "text") or "" for element in widgets if element.get("class") == "QLabel"]
            for element in widgets if texts else ():
                found[element.get("name", "")] = " ".join(texts)
    return found


def _modules(project_root: Path) -> list[ModuleSources]:
    folder = project_root / "RadioDosimetry"
    return [ModuleSources(folder, name) for name in modules_of(folder)]


@pytest.mark.parametrize("contract", _CONTRACTS)
def test_every_module_keeps_the_contract(project_root: Path, contract: str) -> None:
    modules = _modules(project_root)
    assert modules
    found = {module.name: _CONTRACTS[contract](module) for module in modules}
    assert {name: findings for name, findings in found.items() if findings} == {}


_UNIT_IN_LABELS = {"units": " [h]"}
"""What is taken out of the panel too, so that the contract has nothing else to find."""

_FILTERED = 'class="ctkPathLineEdit" name="edit"><property name="nameFilters"/></widget><widget class="QLineEdit"'
"""What makes a field with name filters of the panel's line edit, and leaves that there."""

_SELECTOR = '<string notr="true">earlyVolume</string>'

_BREAKS = [
    ("widgets", "panel", "ui.applyButton", "ui.aplyButton", "no widget 'aplyButton'"),
    ("widgets", "panel", "ui.showButton", "ui.shownButton", "no widget 'shownButton'"),
    ("widgets", "ui", 'name="cancelButton"', 'name="stopButton"', "no widget 'cancelButton'"),
    ("custom classes", "ui", "<class>qMRMLTableView</class>", "<class>qMRMLTabView</class>", "View is not declared"),
    ("custom classes", "ui", "<header>qMRMLTableView.h", "<header>qMRMLTable.h", "without its header"),
    ("scene", "ui", "<receiver>earlySelector</receiver>", "<receiver>ctSelector</receiver>", "is not connected"),
    ("scene", "ui", "<slot>setMRMLScene(vtkMRMLScene*)</slot>", "<slot>setScene()</slot>", "is not connected to the"),
    ("scene", "ui", "<receiver>earlySelector</receiver>", "<receiver>oldSelector</receiver>", "widget 'oldSelector'"),
    ("scene", "ui", 'class="qMRMLWidget" name', 'class="QWidget" name', "is no qMRMLWidget"),
    ("parameters", "ui", _SELECTOR, "<string>erlyVolume</string>", "unknown parameter erlyVolume"),
    ("parameters", "ui", _SELECTOR, "<string>ctVolume</string>", "bound to both"),
    ("parameters", "ui", ">vtkMRMLTableNode<", ">vtkMRMLTextNode<", "cannot be bound to comparisonTable"),
    ("parameters", "py", "    oneSequence: bool", "    oneSequence: str", "cannot be bound to oneSequence: str"),
    ("parameters", "py", "    ctVolume: vtk", "    forgotten: str\n    ctVolume: vtk", "forgotten is neither bound"),
    ("parameters", "py", '"nuclide", "tracer")', '"tracer")', "nuclide is neither bound nor"),
    ("parameters", "py", '"tracer")', '"tracer", "oneSequence")', "oneSequence is bound and also"),
    ("parameters", "py", '"tracer")', '"tracer", "scanner")', "scanner is wired by hand but no parameter"),
    ("dynamic properties", "ui", '"SlicerParameterName"', '"invertThreshold"', "property 'invertThreshold'"),
    ("path fields", "ui", 'class="QLineEdit"', _FILTERED, "edit has name filters"),
    ("tooltips", "ui", "Hours from the injection to the early scan.", "", "earlyTimeSpinBox has no"),
    ("units", "ui", "<string> h</string>", "<string></string>", "has no unit (label 'Early scan after injection:')"),
]
"""Contract, file (script, panel's helper or .ui), what is replaced everywhere by what, and what is found then."""


@pytest.fixture
def copied_folder(project_root: Path, tmp_path: Path) -> Path:
    """DelayedPETSynthesis, its helpers and panel, in a folder of their own."""
    folder = project_root / "RadioDosimetry"
    shutil.copy(folder / "DelayedPETSynthesis.py", tmp_path)
    shutil.copytree(folder / "RadioDosimetryLib", tmp_path / "RadioDosimetryLib")
    (tmp_path / "Resources" / "UI").mkdir(parents=True)
    shutil.copy(folder / "Resources" / "UI" / "DelayedPETSynthesis.ui", tmp_path / "Resources" / "UI")
    return tmp_path


@pytest.mark.parametrize(("contract", "file", "old", "new", "words"), _BREAKS)
def test_the_contract_notices_a_break(
    copied_folder: Path, contract: str, file: str, old: str, new: str, words: str
) -> None:
    files = {
        "py": copied_folder / "DelayedPETSynthesis.py",
        "panel": copied_folder / "RadioDosimetryLib" / "delayedPetPanel.py",
        "ui": copied_folder / "Resources" / "UI" / "DelayedPETSynthesis.ui",
    }
    check = _CONTRACTS[contract]
    assert check(ModuleSources(copied_folder, "DelayedPETSynthesis")) == []
    text = files[file].read_text(encoding="utf-8")
    assert old in text
    files[file].write_text(text.replace(old, new).replace(_UNIT_IN_LABELS.get(contract, "\0"), ""), encoding="utf-8")
    found = check(ModuleSources(copied_folder, "DelayedPETSynthesis"))
    assert any(words in finding for finding in found), found


def test_every_contract_was_seen_failing() -> None:
    assert {contract for contract, *_ in _BREAKS} == set(_CONTRACTS)

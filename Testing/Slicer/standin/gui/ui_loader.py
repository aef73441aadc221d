"""Loading of `.ui` files by Qt's own loader, told of everything that Qt would pass over in silence.

Unknown widget classes, unknown properties and connections that cannot be made only print a line in Slicer, if that;
here each is reported as a problem. Connections are made through the tables of the classes, since MRML pointers are not
types that Qt knows here, and enumerations of custom widgets are set after loading.
"""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QObject
from PySide6.QtUiTools import QUiLoader
from PySide6.QtWidgets import QWidget

from ..core.reports import report
from .conventions import CLASSES, TABLES, _find, unwrap, wrap
from .values import isOfType, writeProperty

PLAIN = {"Line", "QSpacerItem"}
"""Elements of .ui files that need no class of their own."""

LAYOUT_PROPERTIES = {"leftMargin", "topMargin", "rightMargin", "bottomMargin", "margin", "spacing"}
"""Properties of layouts in .ui files that are not Qt properties."""


class UiWarning(RuntimeWarning):
    """Something in a .ui file that Slicer would pass over."""


class UiLoader(QUiLoader):
    """`qt.QUiLoader` with the custom widgets known."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        for name, table in TABLES.items():
            if not name.startswith("Q") and issubclass(table.real, QWidget):
                self.registerCustomWidget(table.real)

    def load(self, file: QIODevice, parent: QWidget | None = None) -> QWidget | None:
        tree = ElementTree.fromstring(bytes(file.readAll().data()))
        name = getattr(file, "fileName", lambda: "")()
        late = _takeEnumerations(tree, name)
        connections = tree.find("connections")
        if connections is not None:
            tree.remove(connections)
        _checkClasses(tree, name)
        buffer = QBuffer()
        buffer.setData(QByteArray(ElementTree.tostring(tree)))
        buffer.open(QIODevice.OpenModeFlag.ReadOnly)
        widget = super().load(buffer, parent)
        if widget is None:
            return None
        for objectName, propertyName, value in late:
            target = _child(widget, objectName)
            if target is not None:
                writeProperty(target, propertyName, value)
        for connection in connections if connections is not None else ():
            _connect(widget, connection, name)
        return widget


def _child(root: QWidget, name: str) -> Any:
    return root if root.objectName() == name else root.findChild(QObject, name)


def _warn(name: str, text: str) -> None:
    report(UiWarning(f"{name}: {text}"))


def _checkClasses(tree: ElementTree.Element, name: str) -> None:
    """Every widget has a table, every property of it exists there and has the right type; custom ones are declared."""
    declared = {element.findtext("class") for element in tree.iter("customwidget")}
    for element in tree.iter("widget"):
        kind, objectName = element.get("class", ""), element.get("name", "")
        if kind in PLAIN:
            continue
        if kind not in CLASSES:
            _warn(name, f"widget {objectName}: unknown widget class {kind}")
            continue
        if not kind.startswith("Q") and kind not in declared:
            _warn(name, f"widget {objectName}: class {kind} is not among the <customwidgets>")
        for item in element.findall("property"):
            _checkProperty(kind, objectName, item, name)


def _checkProperty(kind: str, objectName: str, item: ElementTree.Element, name: str) -> None:
    propertyName = item.get("name", "")
    if item.get("stdset") == "0" and not item.findall("enum"):
        return  # a dynamic property
    found = _find(CLASSES[kind], "properties", propertyName)
    if found is None:
        _warn(name, f"{kind} {objectName} has no property {propertyName}")
        return
    value = _valueOf(item[0])
    if value is not None and not isOfType(value, found[0]):
        _warn(name, f"property {propertyName} of {kind} {objectName} is of type {found[0]}, found {value!r}")


def _valueOf(element: ElementTree.Element) -> Any:
    """Plain value of a property in a .ui file; None for those that only Qt reads."""
    text = element.text or ""
    if element.tag == "bool":
        return text == "true"
    if element.tag == "number":
        return int(text)
    if element.tag in ("double", "float"):
        return float(text)
    if element.tag in ("string", "cstring"):
        return text
    if element.tag == "stringlist":
        return [part.text or "" for part in element.findall("string")]
    return None


def _takeEnumerations(tree: ElementTree.Element, name: str) -> list[tuple[str, str, Any]]:
    """Take enumerations and sets of custom widgets out, which Qt's loader cannot read for classes written in Python."""
    late = []
    for element in tree.iter("widget"):
        kind = element.get("class", "")
        if kind not in TABLES or kind.startswith("Q"):
            continue
        for item in list(element.findall("property")):
            own = _find(CLASSES[kind], "properties", item.get("name", ""))
            if item[0].tag in ("enum", "set") and own is not None and _definedByCustomClass(kind, item.get("name", "")):
                value = _enumeration(item[0].text or "", TABLES[kind].real)
                if value is None:
                    _warn(name, f"{kind} {element.get('name')}: unknown value {item[0].text} of {item.get('name')}")
                else:
                    late.append((element.get("name", ""), item.get("name", ""), value))
                element.remove(item)
    return late


def _definedByCustomClass(kind: str, propertyName: str) -> bool:
    owner: str | None = kind
    while owner is not None and not owner.startswith("Q"):
        if propertyName in TABLES[owner].properties:
            return True
        owner = TABLES[owner].base
    return False


def _enumeration(text: str, real: type) -> Any:
    value: Any = None
    for part in text.split("|"):
        member = getattr(real, part.split("::")[-1], None)
        if member is None and part.startswith(("Qt::", "Q")):
            owner = CLASSES.get(part.split("::")[0])
            member = unwrap(getattr(owner, part.split("::")[-1], None)) if owner is not None else None
        if member is None:
            return None
        value = member if value is None else value | member
    return value


def _connect(root: QWidget, connection: ElementTree.Element, name: str) -> None:
    words = {part: connection.findtext(part, "") for part in ("sender", "signal", "receiver", "slot")}
    sender, receiver = _child(root, words["sender"]), _child(root, words["receiver"])
    if sender is None or receiver is None:
        _warn(name, f"connection between unknown widgets {words['sender']} and {words['receiver']}")
        return
    try:
        wrap(sender).connect(words["signal"], wrap(receiver), words["slot"])
    except (AttributeError, TypeError, ValueError) as error:
        _warn(name, f"connection {words} cannot be made: {error}")

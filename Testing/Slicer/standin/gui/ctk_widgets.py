"""The widgets of CTK that panels use, drawn with Qt's own: same properties, signals and defaults as CTK documents."""

from __future__ import annotations

import enum
from typing import Any

from PySide6.QtCore import Property, QRect, Qt, Signal
from PySide6.QtGui import QMouseEvent, QPaintEvent, QStandardItem, QStandardItemModel
from PySide6.QtWidgets import (
    QAbstractButton,
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QMessageBox,
    QPushButton,
    QSlider,
    QStyle,
    QStyleOption,
    QStyleOptionButton,
    QStylePainter,
    QWidget,
)


class ctkCollapsibleButton(QAbstractButton):
    """A section with a header that opens and closes it."""

    contentsCollapsed = Signal(bool)
    MARGIN = 6

    def __init__(self, *arguments: Any) -> None:
        text = arguments[0] if arguments and isinstance(arguments[0], str) else ""
        parent = next((argument for argument in arguments if isinstance(argument, QWidget)), None)
        super().__init__(parent)
        self._height = -1
        self.setText(text)
        self.setCheckable(True)
        self.setChecked(True)
        self.setContentsMargins(0, self.headerHeight(), 0, 0)
        self.toggled.connect(self._onToggled)

    def headerHeight(self) -> int:
        """Height of the header [pixels]."""
        return int(self.fontMetrics().height()) + 2 * self.MARGIN

    def hitButton(self, position: Any) -> bool:
        return bool(QRect(0, 0, self.width(), self.headerHeight()).contains(position))

    def _onToggled(self, isOpen: bool) -> None:
        if isOpen:
            self.setMinimumHeight(0)
            self.setMaximumHeight(16777215)
        else:
            self.setFixedHeight(self.headerHeight())
        self.updateGeometry()
        self.contentsCollapsed.emit(not isOpen)

    def _collapsed(self) -> bool:
        return not self.isChecked()

    def setCollapsed(self, collapsed: bool) -> None:
        """Close or open the section."""
        self.setChecked(not collapsed)

    collapsed = Property(bool, _collapsed, setCollapsed)

    def _collapsedHeight(self) -> int:
        return self._height

    def setCollapsedHeight(self, height: int) -> None:
        """Height of the frame that stays when closed [pixels]; not drawn here."""
        self._height = height

    collapsedHeight = Property(int, _collapsedHeight, setCollapsedHeight)

    def sizeHint(self) -> Any:
        layout = self.layout()
        hint = super().sizeHint() if layout is None else layout.totalSizeHint()
        return hint.expandedTo(super().minimumSizeHint())

    def minimumSizeHint(self) -> Any:
        layout = self.layout()
        return super().minimumSizeHint() if layout is None else layout.totalMinimumSize()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QStylePainter(self)
        header = QRect(0, 0, self.width(), self.headerHeight())
        if self.isChecked():
            painter.setPen(self.palette().mid().color())
            painter.drawRect(self.rect().adjusted(0, header.height() // 2, -1, -1))
        option = QStyleOptionButton()
        option.initFrom(self)
        option.rect = header.adjusted(0, 1, 0, -1)
        option.state |= QStyle.StateFlag.State_Raised
        painter.drawControl(QStyle.ControlElement.CE_PushButtonBevel, option)
        arrow = QStyleOption()
        arrow.initFrom(self)
        arrow.rect = QRect(self.MARGIN, (header.height() - 12) // 2, 12, 12)
        element = QStyle.PrimitiveElement
        painter.drawPrimitive(
            element.PE_IndicatorArrowDown if self.isChecked() else element.PE_IndicatorArrowRight, arrow
        )
        painter.setPen(self.palette().buttonText().color())
        painter.drawText(
            header.adjusted(self.MARGIN + 18, 0, -self.MARGIN, 0), Qt.AlignmentFlag.AlignVCenter, self.text()
        )

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if self.hitButton(event.position().toPoint()):
            super().mousePressEvent(event)
        else:
            event.ignore()


class ctkDoubleSpinBox(QWidget):
    """A spin box of real numbers."""

    valueChanged = Signal(float)
    valueTextChanged = Signal(str)
    editingFinished = Signal()
    decimalsChanged = Signal(int)

    class SetMode(enum.IntEnum):
        """When a set value is written."""

        SetAlways = 0
        SetIfDifferent = 1

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._box = QDoubleSpinBox(self)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._box)
        self._box.valueChanged.connect(self.valueChanged)
        self._box.textChanged.connect(self.valueTextChanged)
        self._box.editingFinished.connect(self.editingFinished)

    def setValue(self, value: float) -> None:
        """Set the number."""
        self._box.setValue(value)

    def setDecimals(self, decimals: int) -> None:
        """Set the number of decimals."""
        if decimals != self._box.decimals():
            self._box.setDecimals(decimals)
            self.decimalsChanged.emit(decimals)

    def setRange(self, low: float, high: float) -> None:
        """Set both ends."""
        self._box.setRange(low, high)

    def stepUp(self) -> None:
        """Add one step."""
        self._box.stepUp()

    def stepDown(self) -> None:
        """Take one step away."""
        self._box.stepDown()

    value = Property(float, lambda self: self._box.value(), setValue)
    decimals = Property(int, lambda self: self._box.decimals(), setDecimals)
    minimum = Property(float, lambda self: self._box.minimum(), lambda self, v: self._box.setMinimum(v))
    maximum = Property(float, lambda self: self._box.maximum(), lambda self, v: self._box.setMaximum(v))
    singleStep = Property(float, lambda self: self._box.singleStep(), lambda self, v: self._box.setSingleStep(v))
    prefix = Property(str, lambda self: self._box.prefix(), lambda self, v: self._box.setPrefix(v))
    suffix = Property(str, lambda self: self._box.suffix(), lambda self, v: self._box.setSuffix(v))
    cleanText = Property(str, lambda self: self._box.cleanText())
    readOnly = Property(bool, lambda self: self._box.isReadOnly(), lambda self, v: self._box.setReadOnly(v))


class ctkSliderWidget(ctkDoubleSpinBox):
    """A slider with a spin box beside it."""

    valueIsChanging = Signal(float)
    STEPS = 10_000

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._slider = QSlider(Qt.Orientation.Horizontal, self)
        self._slider.setRange(0, self.STEPS)
        self.layout().insertWidget(0, self._slider, 1)
        self._box.setRange(0.0, 99.0)
        self._tracking = True
        self._pageStep = 10.0
        self._box.valueChanged.connect(self._moveSlider)
        self._slider.sliderMoved.connect(self._onSlider)

    def _moveSlider(self, value: float) -> None:
        span = self._box.maximum() - self._box.minimum()
        self._slider.setValue(round((value - self._box.minimum()) / span * self.STEPS) if span > 0 else 0)

    def _onSlider(self, position: int) -> None:
        span = self._box.maximum() - self._box.minimum()
        value = self._box.minimum() + position / self.STEPS * span
        self.valueIsChanging.emit(value)
        self._box.setValue(value)

    def _setMinimum(self, value: float) -> None:
        self._box.setMinimum(value)
        self._moveSlider(self._box.value())

    def _setMaximum(self, value: float) -> None:
        self._box.setMaximum(value)
        self._moveSlider(self._box.value())

    def _setTracking(self, tracking: bool) -> None:
        self._tracking = tracking

    def _setPageStep(self, step: float) -> None:
        self._pageStep = step

    def setSpinBoxVisible(self, visible: bool) -> None:
        """Show or hide the spin box."""
        self._box.setVisible(visible)

    def reset(self) -> None:
        """Return to the minimum."""
        self._box.setValue(self._box.minimum())

    minimum = Property(float, lambda self: self._box.minimum(), _setMinimum)
    maximum = Property(float, lambda self: self._box.maximum(), _setMaximum)
    tracking = Property(bool, lambda self: self._tracking, _setTracking)
    pageStep = Property(float, lambda self: self._pageStep, _setPageStep)
    spinBoxVisible = Property(bool, lambda self: not self._box.isHidden(), setSpinBoxVisible)


class ctkComboBox(QComboBox):
    """A combo box that shows a text while nothing is chosen."""

    def _defaultText(self) -> str:
        return str(self.placeholderText())

    defaultText = Property(str, _defaultText, lambda self, text: self.setPlaceholderText(text))


class ctkCheckableComboBox(QComboBox):
    """A combo box whose entries are ticked."""

    checkedIndexesChanged = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setModel(_CheckableModel(self))
        self.model().itemChanged.connect(lambda item: self.checkedIndexesChanged.emit())

    def checkableModel(self) -> Any:
        """Model of the entries."""
        return self.model()

    def _items(self) -> list[QStandardItem]:
        return [self.model().item(row) for row in range(self.model().rowCount())]

    def checkedIndexes(self) -> list[Any]:
        """Indexes of the ticked entries."""
        return [item.index() for item in self._items() if item.checkState() == Qt.CheckState.Checked]

    def allChecked(self) -> bool:
        """Whether every entry is ticked."""
        return len(self.checkedIndexes()) == self.count()

    def noneChecked(self) -> bool:
        """Whether no entry is ticked."""
        return not self.checkedIndexes()

    def checkState(self, index: Any) -> Qt.CheckState:
        """Whether an entry is ticked."""
        return self.model().itemFromIndex(index).checkState()

    def setCheckState(self, index: Any, state: Qt.CheckState) -> None:
        """Tick an entry or not."""
        self.model().itemFromIndex(index).setCheckState(state)


class _CheckableModel(QStandardItemModel):
    """Entries that can be ticked, unticked at first."""

    def insertRows(self, row: int, count: int, parent: Any = None) -> bool:
        for _ in range(count):
            item = QStandardItem()
            item.setCheckable(True)
            self.insertRow(row, item)
        return True


class ctkMenuButton(QPushButton):
    """A button with a menu of its own at its right."""


class ctkMessageBox(QMessageBox):
    """A message box that can be told not to come again."""

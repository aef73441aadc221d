"""The classes of `qt`: what Qt's own documentation lists of them, in the form PythonQt shows it.

Only what Qt 5.15 and Qt 6 share is written down, so that a panel which works here works in either build of Slicer.
"""

from __future__ import annotations

from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets

from .conventions import define

_MODULES = (QtWidgets, QtGui, QtCore, QtUiTools)


def _real(name: str) -> type:
    return next(getattr(module, name) for module in _MODULES if hasattr(module, name))


def _qt(name: str, base: str | None, properties: str = "", methods: str = "", signals: str = "") -> None:
    define(name, _real(name), base, properties, methods, signals, setters=True)


def defineQt() -> None:
    """Write down every class."""
    _objects()
    _buttons()
    _inputs()
    _views()
    _containers()
    _dialogs()
    _layouts()
    for name in (
        "QSize", "QPoint", "QRect", "QSizePolicy", "QIcon", "QPixmap", "QColor", "QBrush", "QFont", "QCursor", "QUrl",
        "QDir", "QFileInfo", "QFile", "QModelIndex", "QItemSelection", "QKeySequence", "QSpacerItem",
        "QTableWidgetItem", "QListWidgetItem", "QPalette", "QMargins", "QStandardItem", "QLocale", "QDesktopServices",
        "QIODevice", "QLayoutItem", "QWidgetItem",
    ):  # fmt: skip
        define(name, _real(name), None, isOpen=True)


def _objects() -> None:
    _qt(
        "QObject", None,
        "objectName:str name:str",
        "children parent setParent property setProperty dynamicPropertyNames blockSignals signalsBlocked deleteLater "
        "inherits installEventFilter removeEventFilter isWidgetType startTimer killTimer",
        "destroyed() destroyed(QObject*)",
    )
    _qt(
        "QWidget", "QObject",
        "enabled:bool visible:bool toolTip:str statusTip:str whatsThis:str windowTitle:str styleSheet:str "
        "font:QFont sizePolicy:QSizePolicy cursor:QCursor palette:QPalette windowIcon:QIcon focusPolicy:enum "
        "minimumWidth:int minimumHeight:int maximumWidth:int maximumHeight:int minimumSize:QSize maximumSize:QSize "
        "width:int! height:int! size:QSize! sizeHint:QSize! minimumSizeHint:QSize! geometry:QRect pos:QPoint! "
        "acceptDrops:bool contextMenuPolicy:enum layoutDirection:enum locale:QLocale fullScreen:bool! "
        "updatesEnabled:bool mouseTracking:bool windowOpacity:float accessibleName:str accessibleDescription:str "
        "autoFillBackground:bool toolTipDuration:int windowModified:bool",
        "show hide close update repaint raise_ setDisabled setFixedWidth setFixedHeight setFixedSize resize move "
        "setMinimumSize setMaximumSize setSizePolicy layout setLayout window parentWidget adjustSize setFocus "
        "clearFocus hasFocus childAt isVisibleTo isEnabledTo activateWindow setWindowFlags windowFlags unsetCursor "
        "setContentsMargins contentsRect mapToGlobal mapFromGlobal grab addAction actions updateGeometry isWindow "
        "setAttribute focusWidget nextInFocusChain ensurePolished",
        "customContextMenuRequested(QPoint)",
    )
    _qt(
        "QTimer", "QObject", "active:bool! interval:int singleShot:bool timerType:enum remainingTime:int!",
        "start stop singleShot", "timeout()",
    )
    _qt(
        "QSettings", "QObject", "",
        "value setValue contains remove allKeys beginGroup endGroup childKeys childGroups sync fileName group",
    )
    _qt("QEventLoop", "QObject", "", "exec_ quit exit isRunning processEvents")
    _qt(
        "QAction", "QObject",
        "text:str icon:QIcon checkable:bool checked:bool enabled:bool visible:bool toolTip:str statusTip:str "
        "shortcut:QKeySequence",
        "trigger toggle setMenu menu setSeparator setData data",
        "triggered() triggered(bool) toggled(bool) changed()",
    )
    _qt("QUiLoader", "QObject", "", "load")
    _qt(
        "QApplication", "QObject", "",
        "processEvents setOverrideCursor restoreOverrideCursor overrideCursor clipboard keyboardModifiers "
        "topLevelWidgets instance beep",
        "aboutToQuit()",
    )
    _qt("QClipboard", "QObject", "", "setText text")


def _buttons() -> None:
    _qt(
        "QAbstractButton", "QWidget",
        "text:str checkable:bool checked:bool icon:QIcon iconSize:QSize autoExclusive:bool autoRepeat:bool down:bool "
        "shortcut:QKeySequence",
        "click animateClick toggle group",
        "clicked() clicked(bool) toggled(bool) pressed() released()",
    )
    _qt("QPushButton", "QAbstractButton", "autoDefault:bool default:bool flat:bool", "menu setMenu showMenu")
    _qt("QCheckBox", "QAbstractButton", "tristate:bool", "checkState setCheckState", "stateChanged(int)")
    _qt("QRadioButton", "QAbstractButton")
    _qt(
        "QToolButton", "QAbstractButton", "popupMode:enum toolButtonStyle:enum autoRaise:bool arrowType:enum",
        "menu setMenu showMenu defaultAction setDefaultAction", "triggered(QAction*)",
    )


def _inputs() -> None:
    _qt("QFrame", "QWidget", "frameShape:enum frameShadow:enum lineWidth:int midLineWidth:int")
    _qt(
        "QLabel", "QFrame",
        "text:str textFormat:enum pixmap:QPixmap alignment:enum wordWrap:bool margin:int indent:int "
        "openExternalLinks:bool textInteractionFlags:enum scaledContents:bool hasSelectedText:bool! selectedText:str!",
        "clear buddy setBuddy setNum", "linkActivated(QString) linkHovered(QString)",
    )
    _qt(
        "QLineEdit", "QWidget",
        "text:str displayText:str! placeholderText:str readOnly:bool maxLength:int alignment:enum echoMode:enum "
        "clearButtonEnabled:bool modified:bool cursorPosition:int frame:bool hasAcceptableInput:bool! inputMask:str",
        "clear selectAll setValidator undo redo copy cut paste end home",
        "textChanged(QString) textEdited(QString) editingFinished() returnPressed() selectionChanged()",
    )
    _qt(
        "QAbstractSpinBox", "QWidget",
        "text:str! specialValueText:str readOnly:bool alignment:enum buttonSymbols:enum keyboardTracking:bool "
        "wrapping:bool accelerated:bool frame:bool correctionMode:enum acceptableInput:bool!",
        "clear selectAll stepUp stepDown stepBy", "editingFinished()",
    )
    _qt(
        "QSpinBox", "QAbstractSpinBox",
        "value:int minimum:int maximum:int singleStep:int prefix:str suffix:str cleanText:str! "
        "displayIntegerBase:int stepType:enum",
        "setRange", "valueChanged(int)",
    )
    _qt(
        "QDoubleSpinBox", "QAbstractSpinBox",
        "value:float minimum:float maximum:float singleStep:float decimals:int prefix:str suffix:str cleanText:str! "
        "stepType:enum",
        "setRange", "valueChanged(double)",
    )
    _qt(
        "QComboBox", "QWidget",
        "currentIndex:int currentText:str currentData:any! count:int! editable:bool maxVisibleItems:int "
        "sizeAdjustPolicy:enum minimumContentsLength:int insertPolicy:enum maxCount:int duplicatesEnabled:bool "
        "frame:bool iconSize:QSize",
        "addItem addItems insertItem insertItems removeItem clear findText findData itemText itemData setItemText "
        "setItemData setItemIcon itemIcon model view lineEdit showPopup hidePopup clearEditText insertSeparator",
        "currentIndexChanged(int) currentTextChanged(QString) activated(int) editTextChanged(QString) "
        "highlighted(int)",
    )
    _qt(
        "QProgressBar", "QWidget",
        "value:int minimum:int maximum:int format:str text:str! textVisible:bool orientation:enum alignment:enum "
        "invertedAppearance:bool",
        "setRange reset", "valueChanged(int)",
    )


def _views() -> None:
    _qt("QAbstractScrollArea", "QFrame", "horizontalScrollBarPolicy:enum verticalScrollBarPolicy:enum "
        "sizeAdjustPolicy:enum", "viewport horizontalScrollBar verticalScrollBar")
    _qt(
        "QPlainTextEdit", "QAbstractScrollArea",
        "plainText:str readOnly:bool lineWrapMode:enum placeholderText:str maximumBlockCount:int "
        "undoRedoEnabled:bool overwriteMode:bool tabChangesFocus:bool blockCount:int! centerOnScroll:bool",
        "toPlainText appendPlainText appendHtml insertPlainText clear selectAll copy undo redo ensureCursorVisible "
        "moveCursor",
        "textChanged() selectionChanged() modificationChanged(bool)",
    )
    _qt("QScrollArea", "QAbstractScrollArea", "widgetResizable:bool alignment:enum", "widget setWidget takeWidget")
    _qt(
        "QAbstractItemView", "QAbstractScrollArea",
        "selectionMode:enum selectionBehavior:enum editTriggers:enum alternatingRowColors:bool iconSize:QSize "
        "tabKeyNavigation:bool textElideMode:enum verticalScrollMode:enum "
        "horizontalScrollMode:enum",
        "model setModel selectionModel currentIndex setCurrentIndex clearSelection selectAll reset scrollToTop "
        "scrollToBottom edit",
        "clicked(QModelIndex) doubleClicked(QModelIndex) activated(QModelIndex) pressed(QModelIndex)",
    )
    _qt(
        "QTableView", "QAbstractItemView",
        "showGrid:bool sortingEnabled:bool wordWrap:bool gridStyle:enum cornerButtonEnabled:bool",
        "horizontalHeader verticalHeader resizeColumnsToContents resizeRowsToContents resizeColumnToContents "
        "setColumnWidth columnWidth setRowHeight rowHeight selectRow selectColumn hideColumn showColumn hideRow "
        "showRow setColumnHidden isColumnHidden setRowHidden isRowHidden sortByColumn setSpan",
    )
    _qt(
        "QTableWidget", "QTableView", "rowCount:int columnCount:int",
        "item setItem takeItem cellWidget setCellWidget removeCellWidget insertRow removeRow insertColumn "
        "removeColumn clear clearContents setHorizontalHeaderLabels setVerticalHeaderLabels horizontalHeaderItem "
        "setHorizontalHeaderItem verticalHeaderItem setVerticalHeaderItem currentRow currentColumn currentItem "
        "setCurrentCell setCurrentItem selectedItems row column itemAt sortItems scrollToItem openPersistentEditor",
        "cellChanged(int,int) cellClicked(int,int) cellDoubleClicked(int,int) currentCellChanged(int,int,int,int) "
        "itemChanged(QTableWidgetItem*) itemSelectionChanged() itemClicked(QTableWidgetItem*) "
        "itemDoubleClicked(QTableWidgetItem*)",
    )
    _qt(
        "QHeaderView", "QAbstractItemView",
        "stretchLastSection:bool defaultSectionSize:int minimumSectionSize:int highlightSections:bool "
        "defaultAlignment:enum",
        "setSectionResizeMode resizeSection sectionSize hideSection showSection setSectionHidden count "
        "resizeSections", "sectionClicked(int)",
    )
    _qt("QAbstractItemModel", "QObject", "", "rowCount columnCount index data headerData setData flags",
        "dataChanged(QModelIndex,QModelIndex)")
    _qt("QItemSelectionModel", "QObject", "", "selectedRows selectedIndexes hasSelection clearSelection isRowSelected",
        "selectionChanged(QItemSelection,QItemSelection)")


def _containers() -> None:
    _qt(
        "QGroupBox", "QWidget", "title:str checkable:bool checked:bool flat:bool alignment:enum", "",
        "toggled(bool) clicked() clicked(bool)",
    )
    _qt(
        "QTabWidget", "QWidget",
        "currentIndex:int count:int! tabPosition:enum documentMode:bool tabsClosable:bool usesScrollButtons:bool "
        "movable:bool tabShape:enum elideMode:enum",
        "addTab insertTab removeTab widget currentWidget setCurrentWidget indexOf tabText setTabText setTabToolTip "
        "setTabEnabled isTabEnabled setTabIcon tabBar clear setTabVisible",
        "currentChanged(int) tabCloseRequested(int) tabBarClicked(int)",
    )
    _qt(
        "QStackedWidget", "QFrame", "currentIndex:int count:int!",
        "addWidget insertWidget removeWidget widget currentWidget setCurrentWidget indexOf", "currentChanged(int)",
    )
    _qt(
        "QSplitter", "QFrame", "orientation:enum handleWidth:int childrenCollapsible:bool opaqueResize:bool",
        "addWidget insertWidget widget count indexOf setSizes sizes setStretchFactor setCollapsible",
        "splitterMoved(int,int)",
    )
    _qt("QMenu", "QWidget", "title:str icon:QIcon", "addAction addMenu addSeparator clear exec_ popup setDefaultAction "
        "actions isEmpty", "triggered(QAction*) aboutToShow() aboutToHide()")
    _qt("QStatusBar", "QWidget", "", "showMessage clearMessage currentMessage")


def _dialogs() -> None:
    _qt("QDialog", "QWidget", "modal:bool sizeGripEnabled:bool", "exec_ open accept reject done result setResult",
        "accepted() rejected() finished(int)")
    _qt(
        "QMessageBox", "QDialog",
        "text:str informativeText:str detailedText:str icon:enum standardButtons:enum textFormat:enum",
        "addButton button clickedButton defaultButton setDefaultButton setEscapeButton buttons standardButton "
        "setCheckBox checkBox information warning critical question about removeButton setTextInteractionFlags",
        "buttonClicked(QAbstractButton*)",
    )
    _qt(
        "QFileDialog", "QDialog", "fileMode:enum acceptMode:enum defaultSuffix:str options:enum viewMode:enum",
        "getExistingDirectory getOpenFileName getOpenFileNames getSaveFileName selectedFiles setDirectory directory "
        "setNameFilter setNameFilters selectFile setOption",
        "fileSelected(QString) filesSelected(QStringList)",
    )
    _qt(
        "QProgressDialog", "QDialog",
        "value:int minimum:int maximum:int labelText:str minimumDuration:int autoClose:bool autoReset:bool "
        "wasCanceled:bool!",
        "cancel reset setRange setCancelButton setCancelButtonText setLabel", "canceled()",
    )
    _qt("QInputDialog", "QDialog", "", "getText getInt getDouble getItem")


def _layouts() -> None:
    _qt("QLayout", "QObject", "spacing:int sizeConstraint:enum",
        "addWidget addItem removeWidget removeItem count itemAt takeAt indexOf setContentsMargins contentsMargins "
        "setAlignment setEnabled parentWidget activate update replaceWidget")
    _qt("QBoxLayout", "QLayout", "", "addLayout addStretch addSpacing insertWidget insertLayout insertStretch "
        "insertSpacing setStretch setStretchFactor stretch addSpacerItem")
    _qt("QVBoxLayout", "QBoxLayout")
    _qt("QHBoxLayout", "QBoxLayout")
    _qt(
        "QFormLayout", "QLayout",
        "fieldGrowthPolicy:enum rowWrapPolicy:enum labelAlignment:enum formAlignment:enum horizontalSpacing:int "
        "verticalSpacing:int",
        "addRow insertRow removeRow rowCount setWidget setLayout labelForField takeRow getWidgetPosition",
    )
    _qt(
        "QGridLayout", "QLayout", "horizontalSpacing:int verticalSpacing:int",
        "addLayout setRowStretch setColumnStretch rowCount columnCount setRowMinimumHeight setColumnMinimumWidth "
        "itemAtPosition",
    )

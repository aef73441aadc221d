"""How results are shown: dose over CT with colours, legend and threshold, differences, uncertainty, side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import slicer

from .colorNodes import colorNode
from .translation import tr as _

DOSE_OPACITY = 0.55
"""Opacity of a dose over the CT."""

LOWEST_SHOWN_SHARE = 0.01
"""Dose below this share of the window's top is transparent, so that the CT shows where there is no dose."""

WINDOW_PERCENTILE, DOSE_WINDOW_PERCENTILE = 99.9, 99.99
"""Percentile of the voxels above zero at which a window ends, and that of a dose: single hot voxels of noise do not
darken the rest, and the dose of a lesion of some millilitres in a torso is not beyond the colours."""

_LARGEST_SAMPLE = 2_000_000
_FIRST_LAYOUT = 59300
_LEGEND_SIZE, _LEGEND_POSITION, _LEGEND_FONT_SIZE = (0.08, 0.4), (0.99, 0.9), 14
_COLOURED = {
    "absorbed_dose": "dose",
    "activity_concentration": "activity",
    "time_integrated_activity_concentration": "activity",
}


def showDose(
    doseNode, ctNode=None, maximumGy: float | None = None, minimumGy: float | None = None, opacity: float = DOSE_OPACITY
) -> None:
    """Show a dose (or another non-negative map) in colours over the CT, with a legend, transparent where it is zero.

    Parameters
    ----------
    doseNode
        The map.
    ctNode
        Background; None leaves the views' backgrounds as they are.
    maximumGy
        Top of the colour window; a round number above the map's highest values if None.
    minimumGy
        Lowest value that is shown; `LOWEST_SHOWN_SHARE` of the top if None.
    opacity
        Of the map over the CT, 0 to 1.
    """
    top = maximumGy if maximumGy is not None else niceCeiling(_highValue(doseNode))
    lowest = minimumGy if minimumGy is not None else LOWEST_SHOWN_SHARE * top
    _colour(doseNode, "dose", 0.0, top, lowest)
    showInSliceViews(doseNode, ctNode, opacity)
    showLegend(doseNode)


def showUncertainty(uncertaintyNode, ctNode=None, opacity: float = DOSE_OPACITY) -> None:
    """Show a map of relative standard uncertainty, 0 to at most 100 %, transparent where there is none."""
    top = min(niceCeiling(_highValue(uncertaintyNode)), 1.0)
    _colour(uncertaintyNode, "uncertainty", 0.0, top, LOWEST_SHOWN_SHARE * top)
    showInSliceViews(uncertaintyNode, ctNode, opacity)
    showLegend(uncertaintyNode, labelFormat="%.2f")


def showDifference(
    differenceNode, backgroundNode=None, largest: float | None = None, title: str | None = None,
    opacity: float = DOSE_OPACITY,
) -> None:  # fmt: skip
    """Show a signed map from blue (negative) over white (zero) to red (positive), symmetric about zero.

    Magnitudes below 1.2 % of the end of the scale are transparent (`colorNodes.TRANSPARENT_SHARE`).

    Parameters
    ----------
    differenceNode
        The map.
    backgroundNode
        Background; None leaves it as it is.
    largest
        End of the scale on both sides; a round number above the map's largest magnitudes if None.
    title
        Of the legend; from the map's quantity if None.
    opacity
        Of the map, 0 to 1.
    """
    end = largest if largest is not None else niceCeiling(_highValue(differenceNode))
    _colour(differenceNode, "difference", -end, end, None)
    showInSliceViews(differenceNode, backgroundNode, opacity)
    showLegend(differenceNode, title, "%+.3g")


def showLegend(node, title: str | None = None, labelFormat: str | None = None) -> None:
    """Show the colour legend of a volume that is in the views, with its quantity and unit as title.

    Labels are whole numbers where the window ends between a thousand and ten million, else have three digits; the
    legend takes them from the window, in the unit of the voxels. It does not look again at layers that are put there
    later.
    """
    from .quantities import quantityOf

    logic = slicer.modules.colors.logic()
    legend = logic.GetColorLegendDisplayNode(node) or logic.AddDefaultColorLegendDisplayNode(node)
    quantity = quantityOf(node)
    name = quantity.value if quantity is not None else ""
    legend.SetVisibility(False)  # views take a new size from the moment on that it is shown
    legend.SetTitleText(title or _legendTitle(name) or node.GetName())
    legend.SetLabelFormat(labelFormat or ("%.0f" if 1e3 <= node.GetDisplayNode().GetWindowLevelMax() < 1e7 else "%.3g"))
    legend.SetNumberOfLabels(5)
    legend.SetSize(*_LEGEND_SIZE)
    legend.SetPosition(*_LEGEND_POSITION)
    for words in (legend.GetTitleTextProperty(), legend.GetLabelTextProperty()):
        words.SetFontSize(_LEGEND_FONT_SIZE)
        words.SetFontFamilyToArial()
    legend.SetVisibility(True)


def _legendTitle(quantity: str) -> str:
    """Words and unit of a quantity over its colours; empty of others."""
    return {
        "absorbed_dose": _("Absorbed dose") + "\nGy",
        "absorbed_dose_rate": _("Absorbed dose rate") + "\nGy/s",
        "activity_concentration": _("Activity") + "\nBq/mL",
        "time_integrated_activity_concentration": _("Time-integrated activity") + "\nBq s/mL",
        "relative_uncertainty": _("Relative standard\nuncertainty"),
    }.get(quantity, "")


def hideLegendsOfOthers(shownNodes: Sequence) -> None:
    """Hide the colour legends of volumes that are no longer shown: a legend stays in the views otherwise."""
    for legend in slicer.util.getNodesByClass("vtkMRMLColorLegendDisplayNode"):
        if legend.GetDisplayableNode() not in shownNodes:
            legend.SetVisibility(False)


def showInSliceViews(foregroundNode, backgroundNode=None, opacity: float = DOSE_OPACITY) -> None:
    """Put volumes into all slice views; None leaves the background as it is."""
    for composite in sliceCompositeNodes():
        if backgroundNode is not None:
            composite.SetBackgroundVolumeID(backgroundNode.GetID())
        composite.SetForegroundVolumeID(foregroundNode.GetID() if foregroundNode is not None else None)
        composite.SetForegroundOpacity(opacity)
    hideLegendsOfOthers([foregroundNode])


def showSideBySide(
    volumeNodes: Sequence,
    ctNode=None,
    opacity: float = DOSE_OPACITY,
    viewNames: Sequence[str] = ("Red", "Yellow", "Green"),
    windowsOfTheirOwn: bool = False,
) -> list[str]:
    """Put volumes into slice views beside each other, linked, and all of them axial and at one place.

    Activity maps of one quantity get one window, so that colours compare, and so do doses; each view has its legend.

    Parameters
    ----------
    volumeNodes
        Early, delayed, dose, …; as many as there are views, the others are left out.
    ctNode
        Background of all; None shows the volumes themselves as background.
    opacity
        Of the volumes over the background, 0 to 1.
    viewNames
        Slice views from left to right.
    windowsOfTheirOwn
        Give each volume the window that suits it, whatever the others hold.

    Returns
    -------
    list of str
        Names of the views used; `arrangeSideBySide` shows them.
    """
    shown = [node for node in volumeNodes if node is not None]
    for group in [[node] for node in shown] if windowsOfTheirOwn else [shown]:
        shareWindow(group)
    compositeOf = {composite.GetLayoutName(): composite for composite in sliceCompositeNodes()}
    used = [name for name in viewNames if name in compositeOf]
    for name, node in zip(used, volumeNodes, strict=False):
        composite = compositeOf[name]
        background = ctNode if ctNode is not None else node
        composite.SetBackgroundVolumeID(background.GetID())
        composite.SetForegroundVolumeID(node.GetID() if ctNode is not None else None)
        composite.SetForegroundOpacity(opacity)
    _lookAtOnePlace([_sliceNode(name) for name in used])
    hideLegendsOfOthers(volumeNodes)
    for node in volumeNodes[: len(used)]:
        showLegend(node)
    linkSliceViews(True)
    return used[: len(volumeNodes)]


def showWithUncertainty(volumeNode, uncertaintyNode, ctNode=None) -> list[str]:
    """Put a volume and its standard uncertainty, in the unit of its voxels, into views beside each other.

    Each has a window of its own, since an uncertainty at the window of what it belongs to would be dark: the colours of
    the two do not compare, and their legends say which values they stand for.

    Returns
    -------
    list of str
        Names of the views used; `arrangeSideBySide` shows them.
    """
    used = showSideBySide([volumeNode, uncertaintyNode], ctNode, windowsOfTheirOwn=True)
    showLegend(uncertaintyNode, _("Standard uncertainty") + "\nBq/mL")
    return used


def _lookAtOnePlace(sliceNodes: Sequence) -> None:
    """Turn slice views to axial, with the place and the field of view of the first."""
    first, *others = sliceNodes
    first.SetOrientation("Axial")
    for node in others:
        node.SetOrientation("Axial")
        node.GetSliceToRAS().DeepCopy(first.GetSliceToRAS())
        node.SetFieldOfView(*first.GetFieldOfView())
        node.UpdateMatrices()


def sideBySideLayout(viewNames: Sequence[str]) -> str:
    """Layout description (XML) of slice views beside each other, for `vtkMRMLLayoutNode.AddLayoutDescription`."""
    items = "".join(
        f'<item><view class="vtkMRMLSliceNode" singletontag="{name}">'
        '<property name="orientation" action="default">Axial</property>'
        f'<property name="viewlabel" action="default">{name[:1]}</property></view></item>'
        for name in viewNames
    )
    return f'<layout type="horizontal" split="true">{items}</layout>'


def arrangeSideBySide(viewNames: Sequence[str]) -> None:
    """Turn the window to a layout of these slice views beside each other; nothing without a window."""
    manager = slicer.app.layoutManager()
    if manager is None:
        return
    node = manager.layoutLogic().GetLayoutNode()
    number = _FIRST_LAYOUT + len(viewNames)
    if node.IsLayoutDescription(number):
        node.SetLayoutDescription(number, sideBySideLayout(viewNames))
    else:
        node.AddLayoutDescription(number, sideBySideLayout(viewNames))
    manager.setLayout(number)


def linkSliceViews(linked: bool) -> None:
    """Link all slice views, so that they scroll and zoom together while the mouse moves; or unlink them."""
    for composite in sliceCompositeNodes():
        composite.SetLinkedControl(linked)
        composite.SetHotLinkedControl(linked)


def shareWindow(nodes: Sequence) -> None:
    """Give volumes of the same quantity the same window, from zero to a round number above all of them.

    Doses get the colours of doses, and activities that are grey so far those of activities, transparent where there is
    none; what the user has coloured keeps its colours.
    """
    from .quantities import quantityOf

    groups: dict[object, list] = {}
    for node in nodes:
        groups.setdefault(quantityOf(node), []).append(node)
    for quantity, group in groups.items():
        if quantity is None:
            continue
        top = niceCeiling(max(_highValue(node) for node in group))
        for node in group:
            node.CreateDefaultDisplayNodes()
            if quantity.value in _COLOURED and (quantity.value == "absorbed_dose" or _isGrey(node)):
                _colour(node, _COLOURED[quantity.value], 0.0, top, LOWEST_SHOWN_SHARE * top)
                continue
            node.GetDisplayNode().SetAutoWindowLevel(False)
            node.GetDisplayNode().SetWindowLevelMinMax(0.0, top)


def _isGrey(node) -> bool:
    """Whether a volume has the colours that Slicer gives to every new one."""
    color = node.GetDisplayNode().GetColorNode()
    return color is None or "grey" in color.GetName().lower()


def sliceCompositeNodes() -> list:
    """The scene's slice composite nodes, one per slice view; empty without views."""
    count = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSliceCompositeNode")
    return [slicer.mrmlScene.GetNthNodeByClass(index, "vtkMRMLSliceCompositeNode") for index in range(count)]


def _sliceNode(viewName: str):
    count = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSliceNode")
    nodes = (slicer.mrmlScene.GetNthNodeByClass(index, "vtkMRMLSliceNode") for index in range(count))
    return next((node for node in nodes if node.GetLayoutName() == viewName), None)


def niceCeiling(value: float) -> float:
    """The least of 1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8 times a power of ten that is not below a value; 1 for none."""
    if not (math.isfinite(value) and value > 0):
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    steps = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
    return next(step for step in steps if step * power >= value * (1 - 1e-9)) * power


def _colour(node, kind: str, low: float, high: float, lowestShown: float | None) -> None:
    """Colours, window and threshold of a volume's display."""
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID(colorNode(kind).GetID())
    display.SetInterpolate(True)
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(low, high)
    if lowestShown is None:
        display.SetApplyThreshold(False)
        return
    top = node.GetImageData().GetScalarRange()[1]
    display.SetAutoThreshold(False)
    display.SetThreshold(lowestShown, max(top, high) * 1.001)
    display.SetApplyThreshold(True)


def _highValue(node) -> float:
    """A magnitude that only the very highest voxels of a volume exceed."""
    from .quantities import quantityOf

    quantity = quantityOf(node)
    isDose = quantity is not None and quantity.value == "absorbed_dose"
    magnitudes = np.abs(slicer.util.arrayFromVolume(node)).ravel()
    magnitudes = magnitudes[:: max(1, magnitudes.size // _LARGEST_SAMPLE)]
    magnitudes = magnitudes[magnitudes > 0]
    percentile = DOSE_WINDOW_PERCENTILE if isDose else WINDOW_PERCENTILE
    return float(np.percentile(magnitudes, percentile)) if magnitudes.size else 0.0

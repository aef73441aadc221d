# ruff: noqa: N802, N999 (camelCase, as everywhere in Slicer)
"""What is missing before a panel can compute, in words for the tooltip of its disabled button."""

from __future__ import annotations

from collections.abc import Sequence

from .quantities import quantityOf
from .segmentations import segmentNames


def missingVolume(node, what: str) -> str | None:
    """What is missing of a volume choice; None if it can be used. `what` is its label: "CT", "activity volume"."""
    if node is None:
        return f"Choose a {what}."
    if node.GetImageData() is None or node.GetImageData().GetNumberOfPoints() == 0:
        return f"The {what} '{node.GetName()}' has no voxels; choose another."
    if node.GetImageData().GetNumberOfScalarComponents() != 1:
        return f"The {what} '{node.GetName()}' has several numbers per voxel; choose a scalar volume."
    return None


def missingQuantity(node, accepted: Sequence[str], what: str) -> str | None:
    """What is missing where a volume says that it holds something else; None if it says a right thing, or nothing.

    Parameters
    ----------
    node
        Volume node.
    accepted
        Values of the core's quantities ("absorbed_dose", …).
    what
        Label of the choice.
    """
    quantity = quantityOf(node)
    if quantity is None or quantity.value in accepted:
        return None
    words = " or ".join(name.replace("_", " ") for name in accepted)
    return f"The {what} '{node.GetName()}' holds {quantity.value.replace('_', ' ')}; choose one with {words}."


def missingSegments(segmentationNode, segmentIDs: Sequence[str] | None = None) -> str | None:
    """What is missing of a segmentation choice; None if it can be used. None as `segmentIDs` means all segments."""
    if segmentationNode is None:
        return "Choose a segmentation."
    names = segmentNames(segmentationNode)
    if not names:
        return f"Segmentation '{segmentationNode.GetName()}' has no segment; draw a region in Segment Editor."
    wanted = names.keys() if segmentIDs is None else set(segmentIDs) & names.keys()
    return None if wanted else "Tick at least one segment."


def firstMissing(*messages: str | None) -> str | None:
    """The first thing that is missing; None if nothing is."""
    return next((message for message in messages if message), None)

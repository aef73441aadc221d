"""Where results stand in the subject hierarchy: in the study of what they were made from."""

from __future__ import annotations

from collections.abc import Sequence

import slicer

DOSE_UNIT_ATTRIBUTES = {"DicomRtImport.DoseUnitName": "GY", "DicomRtImport.DoseUnitValue": "1.0"}
"""What SlicerRT writes on a study with dose: the unit, and what one voxel unit is in it."""


def placeUnderStudyOf(outputNode, inputNode) -> int:
    """Move an output beside an input in the subject hierarchy, and tell its study the unit of a dose.

    Parameters
    ----------
    outputNode
        A node of the scene; gets a subject hierarchy item if it has none.
    inputNode
        What it was made from; None leaves the output where it is.

    Returns
    -------
    int
        Subject hierarchy item of the output.
    """
    hierarchy = subjectHierarchy()
    output = itemOf(outputNode)
    if inputNode is not None and inputNode is not outputNode:
        hierarchy.SetItemParent(output, hierarchy.GetItemParent(itemOf(inputNode)))
    study = studyOf(output)
    if study and outputNode.GetAttribute("DicomRtImport.DoseVolume") == "1":
        for name, value in DOSE_UNIT_ATTRIBUTES.items():
            hierarchy.SetItemAttribute(study, name, value)
    return output


def placeInFolder(nodes: Sequence, folderName: str, besideNode) -> int:
    """Put nodes into one folder of the subject hierarchy beside another node; a folder of that name is used again.

    Returns
    -------
    int
        Subject hierarchy item of the folder.
    """
    hierarchy = subjectHierarchy()
    parent = hierarchy.GetItemParent(itemOf(besideNode))
    folder = hierarchy.GetItemChildWithName(parent, folderName)
    if not folder or hierarchy.GetItemDataNode(folder) is not None:
        folder = hierarchy.CreateFolderItem(parent, folderName)
    for node in nodes:
        hierarchy.SetItemParent(itemOf(node), folder)
    return folder


def itemOf(node) -> int:
    """Subject hierarchy item of a node, made if there is none: outside Slicer nothing else makes them."""
    hierarchy = subjectHierarchy()
    found = hierarchy.GetItemByDataNode(node)
    return found or hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)


def studyOf(item: int) -> int:
    """The study that a subject hierarchy item lies in, 0 if in none."""
    hierarchy = subjectHierarchy()
    constants = slicer.vtkMRMLSubjectHierarchyConstants
    return hierarchy.GetItemAncestorAtLevel(item, constants.GetDICOMLevelStudy())


def subjectHierarchy():
    """The scene's subject hierarchy node."""
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)

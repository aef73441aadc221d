"""Grids between MRML (RAS, a 4 × 4 matrix in the node) and the core (LPS, `VolumeGeometry`), transforms included."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import slicer
import vtk

if TYPE_CHECKING:
    from radiodosimetry.images.geometry import VolumeGeometry

RIGID_TOLERANCE = 1e-5
"""Largest departure of a transform's 3 × 3 part from a rotation: registrations write their matrices in six digits."""

FRAME_ATTRIBUTE = "RadioDosimetry.FrameOfReferenceUID"
"""Node attribute with the DICOM frame of reference of a volume that the core made."""

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def geometryOfVolume(node) -> VolumeGeometry:
    """Where the voxels of a volume node lie in the world, its parent transform applied where that is rigid.

    A volume under a transform has no frame of reference: the user moved it into the space of another.

    Raises
    ------
    InputError
        The node has no voxels or more than one number per voxel, its axes are sheared, or its parent transform is not
        a rigid motion.
    """
    from radiodosimetry.errors import InputError

    image = node.GetImageData()
    if image is None or image.GetNumberOfPoints() == 0:
        raise InputError(f"Volume '{node.GetName()}' has no voxels; load or choose another one.")
    if image.GetNumberOfScalarComponents() != 1:
        raise InputError(
            f"Volume '{node.GetName()}' has {image.GetNumberOfScalarComponents()} numbers per voxel; expected one. "
            "Choose a scalar volume."
        )
    ijkToRas = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(ijkToRas)
    parent = rigidParentMatrix(node)
    frame = None if parent is not None else frameOfReferenceOf(node)
    matrix = slicer.util.arrayFromVTKMatrix(ijkToRas)
    shape = tuple(reversed(image.GetDimensions()))
    return geometryFromMatrix(matrix if parent is None else parent @ matrix, shape, frame)


def rigidParentMatrix(node) -> np.ndarray | None:
    """Matrix from a node to the world (RAS), shape (4, 4); None without a transform.

    Raises
    ------
    InputError
        The parent transform is no rigid motion.
    """
    from radiodosimetry.errors import InputError

    transform = node.GetParentTransformNode()
    if transform is None:
        return None
    advice = "harden the transform first (module Transforms), or take the node out of it."
    where = f"'{node.GetName()}' lies under the transform '{transform.GetName()}'"
    if not transform.IsTransformToWorldLinear():
        raise InputError(f"{where}, which deforms space; expected a rigid motion: {advice}")
    toWorld = vtk.vtkMatrix4x4()
    transform.GetMatrixTransformToWorld(toWorld)
    matrix = slicer.util.arrayFromVTKMatrix(toWorld)
    rotation = matrix[:3, :3]
    departure = np.abs(rotation.T @ rotation - np.eye(3)).max()
    if not np.isfinite(departure) or departure > RIGID_TOLERANCE or np.linalg.det(rotation) < 0:
        raise InputError(f"{where}, which scales, shears or mirrors; expected a rigid motion: {advice}")
    return None if np.array_equal(matrix, np.eye(4)) else matrix


def geometryFromMatrix(
    ijkToRas: np.ndarray, shapeKji: tuple[int, int, int], frameOfReferenceUid: str | None = None
) -> VolumeGeometry:
    """The core's grid of a 4 × 4 matrix from voxel index (i, j, k, 1) to position (RAS) [mm].

    Raises
    ------
    InputError
        The axes are sheared, or a voxel size is zero.
    """
    from radiodosimetry.images.geometry import VolumeGeometry

    ijkToLps = _LPS_TO_RAS @ np.asarray(ijkToRas, dtype=np.float64)
    spacing = np.linalg.norm(ijkToLps[:3, :3], axis=0)
    direction = ijkToLps[:3, :3] / np.where(spacing > 0, spacing, 1.0)
    return VolumeGeometry(shapeKji, tuple(spacing), tuple(ijkToLps[:3, 3]), direction, frameOfReferenceUid)


def ijkToRasMatrix(geometry: VolumeGeometry):
    """vtkMatrix4x4 from voxel index (i, j, k, 1) to position (RAS) [mm] of a core grid."""
    return slicer.util.vtkMatrixFromArray(_LPS_TO_RAS @ geometry.ijk_to_lps)


def frameOfReferenceOf(node) -> str | None:
    """DICOM frame of reference of a node: what the core left on it, else what the subject hierarchy knows of it."""
    own = node.GetAttribute(FRAME_ATTRIBUTE)
    if own:
        return own
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    item = hierarchy.GetItemByDataNode(node) if hierarchy is not None else 0
    if not item:
        return None
    name = slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMFrameOfReferenceUIDAttributeName()
    return hierarchy.GetItemAttribute(item, name) or None

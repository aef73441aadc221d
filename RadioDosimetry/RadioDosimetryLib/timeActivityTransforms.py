"""How a scan lies to the reference scan: a user's transform node, or a registration of the core as one."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import slicer
import vtk

from .geometries import RIGID_TOLERANCE

if TYPE_CHECKING:
    from radiodosimetry.images.geometry import VolumeGeometry
    from radiodosimetry.images.registered import Registration
    from radiodosimetry.images.volume import QuantitativeVolume

_LPS_SIGNS = np.array([-1.0, -1.0, 1.0])
_LPS_TO_RAS = np.diag([*_LPS_SIGNS, 1.0])


def movedBy(volume: QuantitativeVolume, transform, reference: VolumeGeometry) -> QuantitativeVolume:
    """An activity image moved by a transform node: its grid where the motion is rigid, else its voxels.

    Parameters
    ----------
    volume
        The image.
    transform
        Transform node from the image to the reference.
    reference
        Grid onto which a deformed image is brought, its activity conserved.
    """
    matrix = _rigidMatrix(transform)
    words = {"moved_by_transform": transform.GetName()}
    if matrix is not None:
        toLps = _LPS_TO_RAS @ matrix @ _LPS_TO_RAS
        grid = volume.geometry
        origin = toLps[:3, :3] @ np.array(grid.origin_mm) + toLps[:3, 3]
        moved = replace(
            grid,
            origin_mm=tuple(origin),
            direction=toLps[:3, :3] @ grid.direction,
            frame_of_reference_uid=reference.frame_of_reference_uid,
        )
        return replace(volume, geometry=moved, record=volume.record.with_parameters(**words))
    deformed = _registrationOf(transform, reference, volume.geometry).apply_to_activity(volume)
    return replace(deformed, record=deformed.record.with_parameters(**words))


def transformFromRegistration(registration: Registration, name: str):
    """A new transform node that takes the moving scan to the fixed one: linear if rigid, else one that deforms.

    Slicer's transforms take the moved node to its parent, ITK's take points of the fixed scan to the moving one: a
    linear node holds the inverse, in RAS. A deformation is read by Slicer's own reader of ITK transforms, which keeps
    the rigid part and the nodes of the B-spline as they are.

    Raises
    ------
    InputError
        Slicer cannot read the deformation.
    """
    if registration.kind == "rigid":
        node = _newNode("vtkMRMLLinearTransformNode", name)
        node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(_rigidToParent(registration.transform)))
        return node
    return _deformingNode(registration, name)


def _newNode(className: str, name: str):
    return slicer.mrmlScene.AddNewNodeByClass(className, slicer.mrmlScene.GenerateUniqueName(name))


def _rigidToParent(euler) -> np.ndarray:
    """Matrix from the moving to the fixed scan (RAS) of a sitk.Euler3DTransform, shape (4, 4)."""
    toMoving = np.eye(4)
    toMoving[:3, :3] = np.array(euler.GetMatrix()).reshape(3, 3)
    toMoving[:3, 3] = euler.TransformPoint((0.0, 0.0, 0.0))
    return _LPS_TO_RAS @ np.linalg.inv(toMoving) @ _LPS_TO_RAS


def _deformingNode(registration: Registration, name: str):
    from radiodosimetry.errors import InputError

    with tempfile.TemporaryDirectory(prefix="RadioDosimetry-") as folder:
        path = Path(folder) / "registration.h5"
        registration.save(path)
        storage = slicer.vtkMRMLTransformStorageNode()
        storage.SetFileName(str(path))
        node = _newNode("vtkMRMLTransformNode", name)
        if not storage.ReadData(node):
            slicer.mrmlScene.RemoveNode(node)
            raise InputError("Slicer could not take over the deformation; register the scans rigidly.")
    return node


def _rigidMatrix(transform) -> np.ndarray | None:
    """Matrix to the world (RAS) of a rigid transform node, shape (4, 4); None of one that deforms."""
    if not transform.IsTransformToWorldLinear():
        return None
    toWorld = vtk.vtkMatrix4x4()
    transform.GetMatrixTransformToWorld(toWorld)
    matrix = slicer.util.arrayFromVTKMatrix(toWorld)
    rotation = matrix[:3, :3]
    departure = np.abs(rotation.T @ rotation - np.eye(3)).max()
    return matrix if departure <= RIGID_TOLERANCE and np.linalg.det(rotation) > 0 else None


def _registrationOf(transform, reference: VolumeGeometry, moving: VolumeGeometry) -> Registration:
    """A deforming transform node as the core's registration: its displacements at the voxels of the reference scan."""
    import SimpleITK as sitk
    from vtk.util import numpy_support

    from radiodosimetry.images.registered import Registration
    from radiodosimetry.provenance import Record

    count = reference.shape_kji
    ijk = np.indices(count).reshape(3, -1)[::-1].T
    fixed = (ijk @ reference.ijk_to_lps[:3, :3].T + reference.ijk_to_lps[:3, 3]) * _LPS_SIGNS
    fromWorld = vtk.vtkGeneralTransform()
    transform.GetTransformFromWorld(fromWorld)
    points, found = vtk.vtkPoints(), vtk.vtkPoints()
    for one in (points, found):
        one.SetDataTypeToDouble()
    points.SetData(numpy_support.numpy_to_vtk(np.ascontiguousarray(fixed), deep=True))
    fromWorld.TransformPoints(points, found)
    displacement = (numpy_support.vtk_to_numpy(found.GetData()) - fixed) * _LPS_SIGNS
    field = sitk.GetImageFromArray(displacement.reshape(*count, 3), isVector=True)
    field.SetSpacing(reference.spacing_mm)
    field.SetOrigin(reference.origin_mm)
    field.SetDirection(reference.direction.ravel().tolist())
    record = Record(f"transform '{transform.GetName()}' of a Slicer scene")
    displaced = sitk.DisplacementFieldTransform(field)
    return Registration(displaced, "b-spline", reference, moving.frame_of_reference_uid, {}, record)

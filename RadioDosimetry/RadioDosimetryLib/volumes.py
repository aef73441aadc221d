"""Volume nodes to the core's `QuantitativeVolume` and back. Input nodes are read, never written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import slicer

from .geometries import FRAME_ATTRIBUTE, geometryOfVolume, ijkToRasMatrix
from .outputs import refuseInputAsOutput
from .quantities import describeQuantity, hasCodedQuantity, quantityOf, setQuantity, unitOf

if TYPE_CHECKING:
    from radiodosimetry.images.sidecar import Sidecar
    from radiodosimetry.images.volume import QuantitativeVolume
    from radiodosimetry.provenance import Record
    from radiodosimetry.units import Quantity

RECORD_ATTRIBUTE = "RadioDosimetry.Record"
"""Node attribute with the record of a result, JSON."""

TIME_ATTRIBUTE = "RadioDosimetry.Time"
"""Node attribute with the time at which the values hold, ISO 8601."""


def volumeFromNode(node, quantity: Quantity | None = None, unit: str | None = None) -> QuantitativeVolume:
    """The core's value of a volume node: its own copy of the voxels, in the core's unit, on a grid in LPS.

    Parameters
    ----------
    node
        A scalar volume or label map node. A rigid parent transform is applied to the grid.
    quantity
        What the voxels hold, where the node does not say so (`quantityOf`); must not contradict the node.
    unit
        Unit of the voxels, where the node does not say so; must not contradict the node. Without any the core's unit
        of the quantity is taken, and for activity and dose the record warns.

    Raises
    ------
    InputError
        There is no node, it has no voxels, its axes are sheared, a voxel is not finite, or its parent transform is no
        rigid motion ("harden the transform").
    UnitError
        Neither node nor argument say the quantity, or they contradict each other.
    """
    from radiodosimetry.errors import InputError
    from radiodosimetry.images.volume import QuantitativeVolume

    if node is None:
        raise InputError("No volume is chosen; choose one.")
    geometry = geometryOfVolume(node)
    sidecar = _sidecarOf(node)
    quantity = _quantity(node, quantity, sidecar)
    unit, guess = _unit(node, quantity, unit, sidecar)
    array = np.array(slicer.util.arrayFromVolume(node))
    record = recordOf(node) or (sidecar.record if sidecar is not None else None) or _recordOfInput(node, array)
    if guess:
        record = record.with_warnings(guess)
    try:
        return QuantitativeVolume.from_unit(array, unit, geometry, quantity, _timeOf(node, sidecar), record)
    except InputError as error:
        raise type(error)(f"Volume '{node.GetName()}': {error}") from error


def nodeFromVolume(volume: QuantitativeVolume, name: str, node=None, inputs: Sequence = ()):
    """A volume node of a core value: voxels, grid in RAS, coded quantity and unit, record.

    Parameters
    ----------
    volume
        The value. Truth values are stored as bytes.
    name
        Name of a new node, made unique in the scene; ignored with `node`.
    node
        Output node to fill; a new one if None. It leaves its parent transform.
    inputs
        Nodes that were read for this result; `node` must not be one of them.

    Returns
    -------
    vtkMRMLScalarVolumeNode
        `node`, or a vtkMRMLScalarVolumeNode (of labels: vtkMRMLLabelMapVolumeNode) in the scene.

    Raises
    ------
    InputError
        `node` is one of `inputs`.
    """
    from radiodosimetry.units import Quantity

    refuseInputAsOutput(node, inputs)
    if node is None:
        isLabel = volume.quantity is Quantity.LABEL
        className = "vtkMRMLLabelMapVolumeNode" if isLabel else "vtkMRMLScalarVolumeNode"
        node = slicer.mrmlScene.AddNewNodeByClass(className, slicer.mrmlScene.GenerateUniqueName(name))
    filled = slicer.vtkMRMLScalarVolumeNode()
    slicer.util.updateVolumeFromArray(filled, _storable(volume.array_kji))
    with slicer.util.NodeModify(node):
        node.SetAndObserveTransformNodeID(None)
        node.SetAndObserveImageData(filled.GetImageData())  # the old image stays as it is for whoever holds it
        node.SetIJKToRASMatrix(ijkToRasMatrix(volume.geometry))
        setQuantity(node, volume.quantity)
        setRecord(node, volume.record)
        _setOrRemove(node, FRAME_ATTRIBUTE, volume.geometry.frame_of_reference_uid)
        _setOrRemove(node, TIME_ATTRIBUTE, volume.time.isoformat() if volume.time else None)
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
    return node


def setRecord(node, record: Record) -> None:
    """Leave a record on a node, where the scene file keeps it."""
    from radiodosimetry.provenance import json_ready

    node.SetAttribute(RECORD_ATTRIBUTE, json.dumps(json_ready(record.as_dict()), ensure_ascii=False))


def recordOf(node) -> Record | None:
    """The record on a node; None where there is none, or none that can be read."""
    from radiodosimetry.provenance import Record

    text = node.GetAttribute(RECORD_ATTRIBUTE)
    try:
        values = json.loads(text) if text else None
        return Record.from_dict(values) if isinstance(values, dict) else None
    except (ValueError, TypeError, RecursionError):
        return None


def _quantity(node, given: Quantity | None, sidecar: Sidecar | None) -> Quantity:
    from radiodosimetry.errors import UnitError

    found = quantityOf(node)
    if found is None and sidecar is not None and not hasCodedQuantity(node):
        found = sidecar.quantity
    if given is None and found is None:
        raise UnitError(
            f"Volume '{node.GetName()}' holds {describeQuantity(node)}, which says too little; say what its voxels are "
            "and in which unit."
        )
    if given is not None and (found not in (None, given) or (found is None and hasCodedQuantity(node))):
        holds = describeQuantity(node) if found is None else found.value
        raise UnitError(
            f"Volume '{node.GetName()}' holds {holds}, expected {given.value} [{given.unit}]; choose another volume."
        )
    return found if given is None else given


def _unit(node, quantity: Quantity, given: str | None, sidecar: Sidecar | None) -> tuple[str, str | None]:
    """Unit of the voxels, and a warning where it is a guess."""
    from radiodosimetry.errors import UnitError
    from radiodosimetry.units import Quantity, factor_to_core_unit

    found = unitOf(node)
    if found is None and sidecar is not None and sidecar.quantity is quantity:
        found = sidecar.unit
    entry = node.GetVoxelValueUnits()
    if found is None and given is None and entry is not None and entry.GetCodeValue():
        raise UnitError(
            f"Volume '{node.GetName()}' is in {entry.GetCodeValue()}, expected a unit of {quantity.value} "
            f"such as {quantity.unit}; choose another volume."
        )
    if found is not None:
        factor = factor_to_core_unit(quantity, found)
        if given is not None and factor_to_core_unit(quantity, given) != factor:
            raise UnitError(
                f"Volume '{node.GetName()}' says that it is in {found}, but {given} was given; expected both alike. "
                "Leave the unit out."
            )
        return found, None
    if given is not None:
        factor_to_core_unit(quantity, given)
        return given, None
    if quantity in (Quantity.CT_NUMBER, Quantity.LABEL, Quantity.DIMENSIONLESS, Quantity.RELATIVE_UNCERTAINTY):
        return quantity.unit, None
    return quantity.unit, f"Volume '{node.GetName()}' says no unit: its voxels were taken to be in {quantity.unit}."


def _sidecarOf(node) -> Sidecar | None:
    """What the sidecar of the file says that the node was read from; None once the voxels differ from the file."""
    from radiodosimetry.errors import FileFormatError
    from radiodosimetry.images.sidecar import read_sidecar

    storage = node.GetStorageNode()
    fileName = storage.GetFileName() if storage is not None else None
    if not fileName or node.GetModifiedSinceRead():
        return None
    try:
        return read_sidecar(Path(fileName))
    except FileFormatError:
        return None


def _recordOfInput(node, array: np.ndarray) -> Record:
    """Record of a volume that the core did not make: its DICOM instances, or the hash of its voxels."""
    from radiodosimetry.provenance import Record

    uids = (node.GetAttribute("DICOM.instanceUIDs") or "").split()
    if uids:
        identity = {"node": node.GetName(), "uid": uids[0], "instances": len(uids)}
    else:
        identity = {"node": node.GetName(), "voxels_sha256": hashlib.sha256(np.ascontiguousarray(array)).hexdigest()}
    return Record(f"volume '{node.GetName()}' of a Slicer scene", inputs={"file": identity})


def _timeOf(node, sidecar: Sidecar | None) -> datetime | None:
    text = node.GetAttribute(TIME_ATTRIBUTE)
    try:
        return datetime.fromisoformat(text) if text else (sidecar.time if sidecar is not None else None)
    except ValueError:
        return None


def _setOrRemove(node, attribute: str, value: str | None) -> None:
    if value:
        node.SetAttribute(attribute, value)
    else:
        node.RemoveAttribute(attribute)


def _storable(array: np.ndarray) -> np.ndarray:
    """The array in a number type that volume nodes and their files hold."""
    if array.dtype == bool:
        return array.astype(np.uint8)
    if array.dtype == np.float16:
        return array.astype(np.float32)
    if array.dtype.kind in "iu" and array.dtype.itemsize == 8:
        smallest = np.min_scalar_type(array.min()) if array.min() < 0 else np.min_scalar_type(array.max())
        fitting = np.result_type(smallest, np.min_scalar_type(array.max()), np.int16)
        return array.astype(fitting if fitting.itemsize < 8 else np.float64)
    return np.ascontiguousarray(array)

"""Registration of the scans of a series by their CTs, as a task: rigid, or rigid and then by a B-spline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .outputs import allOrNothing
from .timeActivityScans import isSequence
from .timeActivitySeries import Series
from .timeActivityTasks import Task
from .timeActivityTransforms import transformFromRegistration

if TYPE_CHECKING:
    from radiodosimetry.progress import Progress

RIGID, DEFORMABLE = "rigid", "b-spline"
"""Kinds of registration, by the core's names."""


def registrationTask(series: Series, kind: str = RIGID) -> Task:
    """Registration of the CT of every other row to that of the reference scan.

    Parameters
    ----------
    series
        Rows with their CTs.
    kind
        `RIGID`, or `DEFORMABLE`: a B-spline after the rigid registration.

    Returns
    -------
    Task
        Its result: a list with a new transform node for each row that was registered, None for the others.

    Raises
    ------
    InputError
        A row has no CT, or there is nothing to register.
    """
    from radiodosimetry.errors import InputError
    from radiodosimetry.units import Quantity

    from .volumes import volumeFromNode

    rows = series.rows
    if any(isSequence(row.node) for row in rows):
        raise InputError("The volumes of a sequence share one space; expected single volumes to register.")
    missing = [row.node.GetName() for row in rows if row.ct is None]
    if missing:
        raise InputError(f"Registration compares CTs, and {', '.join(missing)} has none; choose the CT of every scan.")
    if kind not in (RIGID, DEFORMABLE):
        raise InputError(f"There is no registration '{kind}'; expected {RIGID} or {DEFORMABLE}.")
    if len(rows) < 2 or not 0 <= series.referenceScan < len(rows):
        raise InputError("There is nothing to register; expected at least two scans with their CTs.")
    cts = [volumeFromNode(row.ct, Quantity.CT_NUMBER) for row in rows]
    # A scan taken on the same machine at the same time: the reference's own CT needs no transform.
    moving = [
        number
        for number, row in enumerate(rows)
        if number != series.referenceScan and row.ct is not rows[series.referenceScan].ct
    ]

    def work(progress: Progress | None = None) -> dict[int, Any]:
        from radiodosimetry.images.registration import register_bspline, register_rigid
        from radiodosimetry.progress import PartialProgress

        found = {}
        for step, number in enumerate(moving):
            part = PartialProgress(progress, step / len(moving), (step + 1) / len(moving))
            register = register_rigid if kind == RIGID else register_bspline
            found[number] = register(cts[series.referenceScan], cts[number], progress=part)
        return found

    def finish(found: Mapping[int, Any]) -> list[Any]:
        from .volumes import setRecord

        reference = rows[series.referenceScan].node.GetName()
        words = "" if kind == RIGID else " (deforming)"
        nodes: list[Any] = [None] * len(rows)
        with allOrNothing():
            for number, registration in found.items():
                name = f"{rows[number].node.GetName()} to {reference}{words}"
                nodes[number] = transformFromRegistration(registration, name)
                setRecord(nodes[number], registration.record.with_parameters(quality=dict(registration.quality)))
        return nodes

    return Task(work, finish)


def displacementWords(node) -> str:
    """How far a registration moved a scan, in few words; empty where its record does not say it."""
    from .volumes import recordOf

    record = recordOf(node)
    quality = {} if record is None else record.parameters.get("quality") or {}
    largest = quality.get("largest_displacement_mm")
    return "" if largest is None else f"{node.GetName()}: {largest:.1f} mm"

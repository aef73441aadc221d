"""CSV and JSON results of the command as nodes."""

from __future__ import annotations

import csv
import json
from pathlib import Path

_UNIT_OF_ENDING = {
    "_s_mgy_per_mbq_s": "mGy/(MBq.s)",
    "_mgy_per_mbq_s": "mGy/(MBq.s)",
    "_mgy_per_mbq": "mGy/MBq",
    "_percent_per_gy": "%/Gy",
    "_percent": "%",
    "percent_id": "%",
    "_mbq_h": "MBq.h",
    "_mbq": "MBq",
    "_bq_per_ml": "Bq/ml",
    "_mgy": "mGy",
    "_gy": "Gy",
    "_ml": "ml",
    "_mm": "mm",
    "_kev": "keV",
    "_g": "g",
    "_h": "h",
    "_s": "s",
}
"""UCUM unit of a column by the end of its name, the longer first."""


def tableFromCsv(path: Path, name: str):
    """A table node with the columns of a CSV: numbers as numbers, units as unit labels, the record of its sidecar."""
    from .tables import tableNode

    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.reader(line for line in stream if not line.startswith("#")))
    header, body = rows[0], [row for row in rows[1:] if row]
    columns = {title: _cells([row[index] for row in body]) for index, title in enumerate(header)}
    units = {title: unitOfColumn(title) for title in header}
    return tableNode(name, columns, {title: unit for title, unit in units.items() if unit}, record=_recordBeside(path))


def unitOfColumn(title: str) -> str | None:
    """UCUM unit of a column of our tables, None where its name says none."""
    return next((unit for ending, unit in _UNIT_OF_ENDING.items() if title.endswith(ending)), None)


def textNode(path: Path, name: str):
    """A text node with the content of a file."""
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode", slicer.mrmlScene.GenerateUniqueName(name))
    node.SetText(path.read_text(encoding="utf-8"))
    return node


def _cells(texts: list[str]) -> list:
    """Numbers, with None for empty cells, if all cells are such; else the texts."""
    try:
        return [float(text) if text.strip() else None for text in texts] if any(texts) else list(texts)
    except ValueError:
        return list(texts)


def _recordBeside(path: Path):
    from radiodosimetry.images.sidecar import sidecar_path
    from radiodosimetry.provenance import Record

    try:
        values = json.loads(sidecar_path(path).read_text(encoding="utf-8"))
        return Record.from_dict(values) if isinstance(values, dict) and "operation" in values else None
    except (OSError, ValueError, TypeError):
        return None

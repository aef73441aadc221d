# ruff: noqa: N802, N999 (camelCase, as everywhere in Slicer)
"""Batch runs of cases and cohorts: what they read and made, for the summary, and their results as nodes of a scene.

A case has its inputs in `case.toml` and its outputs in `results`, not on the command line.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from radiodosimetry.workflows.case_settings import Case


def caseOf(command: str | None, words: Sequence[str]) -> Path | None:
    """The case that `case run` or `report` works on; None for other commands and for words that cannot be read."""
    if command not in ("case", "report"):
        return None
    arguments = _parsed(command, words)
    if arguments is None or getattr(arguments, "action", "run") != "run":
        return None
    return Path(arguments.case)


def cohortFolder(command: str | None, words: Sequence[str]) -> Path | None:
    """Folder of the tables that `cohort run` writes; None for other commands."""
    arguments = _parsed(command, words) if command == "cohort" else None
    return None if arguments is None else Path(arguments.output)


def caseInputs(path: Path) -> list[dict[str, Any]]:
    """`case.toml` and every file that it names, with its role and hash; as far as they can be read."""
    from radiodosimetry.errors import RadioDosimetryError
    from radiodosimetry.provenance import file_identity
    from radiodosimetry.workflows.case_settings import case_file_of, read_case

    try:
        files = {"case.toml": case_file_of(path), **read_case(path).input_files()}
    except RadioDosimetryError:
        return [{"option": "case", "path": str(path)}]
    found = []
    for role, file in files.items():
        entry = {"option": "case", "role": role, "path": str(file)}
        try:
            found.append(entry | {"sha256": file_identity(file)["sha256"]})
        except OSError:
            found.append(entry)
    return found


def caseOutputs(path: Path) -> list[dict[str, Any]]:
    """Every file of the finished steps of a case, with its step."""
    from radiodosimetry.errors import RadioDosimetryError
    from radiodosimetry.workflows.case import results_folder
    from radiodosimetry.workflows.case_state import CaseState

    try:
        results = results_folder(path)
        steps = CaseState.read(results).steps
    except RadioDosimetryError:
        return []
    return [
        {"option": "case", "step": name, "path": str(results / file)}
        for name, step in steps.items()
        for file in step.files
    ]


def cohortOutputs(folder: Path) -> list[dict[str, Any]]:
    """Tables and figures of a cohort."""
    files = sorted(folder.glob("*.csv")) + sorted(folder.glob("*.png"))
    return [{"option": "--output", "path": str(file)} for file in files]


def caseRecord(path: Path) -> dict[str, Any] | None:
    """Record of the dose that the report shows, with the warnings of all steps as the report has them."""
    from radiodosimetry.errors import RadioDosimetryError
    from radiodosimetry.workflows.case import results_folder
    from radiodosimetry.workflows.case_settings import read_case

    try:
        results, case = results_folder(path), read_case(path)
        shown = results / "dose" / case.dose.shown_method / "table.csv.json"
        record = dict(json.loads(shown.read_text(encoding="utf-8")))
        report = json.loads((results / "report" / "report.json").read_text(encoding="utf-8"))
        warnings = [f"{each['from']}: {each['text']}" for each in report["warnings"]]
    except (RadioDosimetryError, OSError, ValueError, KeyError):
        return None
    return record | {"warnings": warnings}


def caseNodes(path: Path) -> dict[str, list[Any]]:
    """CT, time-integrated activity, dose maps, regions and tables of a case that has run, as new nodes.

    Parameters
    ----------
    path
        The case.

    Returns
    -------
    dict
        Kind of result ("ct", "tia", "dose", "regions", "tables") to its nodes, the dose that the report shows first.
    """
    from radiodosimetry.images.readers import read_volume
    from radiodosimetry.units import Quantity
    from radiodosimetry.workflows.case import results_folder
    from radiodosimetry.workflows.case_settings import read_case
    from radiodosimetry.workflows.case_steps import case_regions

    from .batchTables import tableFromCsv
    from .display import showDose
    from .segmentations import segmentationFromRegions
    from .volumes import nodeFromVolume

    case, results = read_case(path), results_folder(path)
    ct = nodeFromVolume(read_volume(case.ct, Quantity.CT_NUMBER), f"{case.name} CT")
    tia = nodeFromVolume(read_volume(results / "tia" / "tia.nrrd"), f"{case.name} time-integrated activity")
    doses = {}
    for method in _shownFirst(case):
        volume = read_volume(results / "dose" / method / "dose.nrrd")
        doses[method] = (nodeFromVolume(volume, f"{case.name} dose, {method}"), volume)
    shown, volume = next(iter(doses.values()))
    regions, _ = case_regions(case, volume)
    segmentation = segmentationFromRegions(regions, volume.geometry, f"{case.name} regions")
    tables = [
        tableFromCsv(file, f"{case.name} {file.stem.replace('_', ' ')}")
        for file in sorted((results / "report" / "tables").glob("*.csv"))
        if file.stem in ("region_doses", "organ_doses", "residence_times", "uncertainty_budget")
    ]
    for node, _ in reversed(doses.values()):
        showDose(node, ct)
    for role, node in (("ct", ct), ("activity", tia), ("segmentation", segmentation)):
        shown.SetNodeReferenceID(f"RadioDosimetry.{role}Ref", node.GetID())
    maps = [node for node, _ in doses.values()]
    return {"ct": [ct], "tia": [tia], "dose": maps, "regions": [segmentation], "tables": tables}


def _shownFirst(case: Case) -> list[str]:
    first = case.dose.shown_method
    return [first, *(method for method in case.dose.methods if method != first)]


def _parsed(command: str, words: Sequence[str]) -> argparse.Namespace | None:
    """The words as the command reads them; None where it would refuse them."""
    from radiodosimetry.cli import build_parser

    parser = build_parser(command, importlib.import_module(f"radiodosimetry.cli.{command.replace('-', '_')}"))
    silence = io.StringIO()
    try:
        with contextlib.redirect_stdout(silence), contextlib.redirect_stderr(silence):
            return parser.parse_args(list(words))
    except SystemExit:
        return None

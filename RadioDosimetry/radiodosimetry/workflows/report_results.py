"""What the finished steps of a case left, read back for its report."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..errors import FileFormatError
from ..images.readers import read_volume
from ..images.regions import Region
from ..images.resampling import resample_activity, resample_ct
from ..images.sidecar import sidecar_path
from ..images.volume import QuantitativeVolume
from ..time_activity.fit_files import FitSet, read_fits
from ..units import Quantity
from .case_budget import read_budget
from .case_settings import Case
from .case_state import CaseState

_LARGEST_NUMBER = 40


@dataclass(frozen=True)
class CaseResults:
    """A case and the files of its steps; read when first asked for.

    Attributes
    ----------
    case
        The case.
    results
        Its results folder.
    """

    case: Case
    results: Path

    @property
    def dose_folder(self) -> Path:
        """Of the method that is shown."""
        return self.results / "dose" / self.case.dose.shown_method

    @cached_property
    def fits(self) -> FitSet:
        """Fits of the regions."""
        return read_fits(self.results / "fits" / "fits.json")

    @cached_property
    def budget(self) -> dict[str, dict[str, float | None]]:
        """Region to cause to relative standard uncertainty [%]."""
        return read_budget(self.results / "fits" / "uncertainty.csv")

    @cached_property
    def dose(self) -> QuantitativeVolume:
        """Dose map of the method that is shown [Gy]."""
        return read_volume(self.dose_folder / "dose.nrrd")

    @cached_property
    def uncertainty(self) -> QuantitativeVolume | None:
        """Relative uncertainty of the dose map that is shown; None where its method states none."""
        path = self.dose_folder / "uncertainty.nrrd"
        return read_volume(path) if path.exists() else None

    @cached_property
    def ct(self) -> QuantitativeVolume:
        """CT on the grid of the dose [HU]."""
        return resample_ct(read_volume(self.case.ct, Quantity.CT_NUMBER), self.dose.geometry)

    @cached_property
    def regions(self) -> tuple[Region, ...]:
        """All regions on the grid of the dose."""
        from .case_steps import case_regions

        return tuple(case_regions(self.case, self.dose)[0])

    @property
    def shown_regions(self) -> tuple[Region, ...]:
        """Those the report draws: the ones asked for, else all that were labelled and not composed."""
        asked = self.case.report.regions
        if asked:
            return tuple(region for region in self.regions if region.name in asked)
        return tuple(region for region in self.regions if region.name == region.expression) or self.regions

    @cached_property
    def activity(self) -> QuantitativeVolume:
        """Activity of the first scan on the grid of the dose [Bq/mL]."""
        from .case_steps import first_scan_image

        return resample_activity(first_scan_image(self.case), self.dose.geometry)

    @cached_property
    def state(self) -> CaseState:
        """The finished steps."""
        return CaseState.read(self.results)

    def table(self, *parts: str) -> list[dict[str, Any]]:
        """Rows of a CSV: numbers as numbers, None where there is nothing."""
        path = self.results.joinpath(*parts)
        try:
            with path.open(encoding="utf-8", newline="") as stream:
                return [{name: _cell(text) for name, text in row.items()} for row in csv.DictReader(stream)]
        except OSError as error:
            raise FileFormatError(f"{path} cannot be read ({error}); run the case again.") from error

    def record(self, *parts: str) -> dict[str, Any]:
        """The record beside a file."""
        path = sidecar_path(self.results.joinpath(*parts))
        try:
            return dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise FileFormatError(f"{path} cannot be read ({error}); run the case again.") from error

    @cached_property
    def records(self) -> Mapping[str, dict[str, Any]]:
        """Title of each step to its record."""
        found = {
            "Masses": self.record("masses", "masses.csv"),
            "Curves": self.record("curves", "curves.csv"),
            "Fits": _fit_record(self.results / "fits" / "fits.json"),
            "Time-integrated activity": self.record("tia", "tia.nrrd"),
        }
        for method in self.case.dose.methods:
            found[f"Dose, {method}"] = self.record("dose", method, "table.csv")
        if self.case.organ_dose.asked_for:
            found["Organ dose"] = self.record("organ_dose", "organ_dose.csv")
        return found


def read_results(case: Case, results: Path) -> CaseResults:
    """The results of a case, opened.

    Raises
    ------
    FileFormatError
        A file of a step is missing or cannot be read.
    """
    found = CaseResults(case, results)
    _ = found.records, found.fits
    return found


def _fit_record(path: Path) -> dict[str, Any]:
    """Record of the fits, which is part of their file."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FileFormatError(f"{path} cannot be read ({error}); run the case again.") from error
    return {name: value for name, value in values.items() if name != "regions"}


def _cell(text: str | None) -> str | float | None:
    if text is None or text == "":
        return None
    if len(text) < _LARGEST_NUMBER and text[0] in "+-.0123456789":
        try:
            return float(text)
        except ValueError:
            return text
    return text

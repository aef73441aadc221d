"""The demonstration: a virtual patient, his dose by two methods, and his four scans the whole way to a report."""

from __future__ import annotations

import contextlib
import csv
import io
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..evaluation.differences import mean_error_percent
from ..images.atomic import OutputTransaction
from ..images.regions import LabelMap, regions_of, write_label_map
from ..images.volume import QuantitativeVolume
from ..images.writers import write_volume
from ..progress import PartialProgress, Progress, report_progress
from ..provenance import Record, to_json
from ..units import BECQUEREL_PER_MEGABECQUEREL
from ..virtual_patients.patient import Anatomy
from ..virtual_patients.sample_patient import (
    LUTETIUM_SPECT,
    ORGANS,
    as_scanned,
    sample_activity,
    sample_anatomy,
    sample_labels,
)
from ..voxel_dose.statistics import RegionDose
from .case_settings import RESULTS_FOLDER
from .demo_case import run_demo_case
from .demo_delayed_pet import DelayedDemo, run_demo_delayed_pet
from .dose import DoseOptions, DoseResult, compute_dose, integrate_physical_decay
from .output_folder import output_folder

NUCLIDE = LUTETIUM_SPECT.nuclide
TEST_METHOD, REFERENCE_METHOD = "multiple-vsv", "monte-carlo"

DEFAULT_HISTORIES = 5_000_000
"""Enough for half a percent in lungs and marrow and a tenth of that in kidneys, in half a minute on two cores."""

LABELLED = (*ORGANS, "cortical_bone")
"""Organs of the demo; bone holds next to no activity of its own and shows what the methods differ by."""

WHOLE_LIVER = "whole_liver"
"""Region of the demo beyond the labels: the liver with its lesions."""

SERIAL_HOURS = (4, 24, 96, 168)
"""Hours after the administration of the serial scans."""

SHOWN_HOURS = 24
"""That of the true activity whose dose by both methods is compared; the case is of all scans."""

SERIAL_FILES = tuple(f"scan_{hours:03d}h.nii.gz" for hours in SERIAL_HOURS)

FILES = (
    "ct.nii.gz",
    "activity.nii.gz",
    *SERIAL_FILES,
    "labels.nii.gz",
    "labels.csv",
    "dose_multiple_vsv.nrrd",
    "dose_monte_carlo.nrrd",
    "uncertainty_monte_carlo.nrrd",
    "demo.csv",
    "dose_multiple_vsv.png",
    "dose_monte_carlo.png",
    "difference.png",
)
"""What the demo writes, each with its record beside it; `case.toml` and the folder `results` come to it."""

TABLE_COLUMNS = (
    "region",
    "volume_ml",
    "monte_carlo_gy",
    "monte_carlo_uncertainty_percent",
    "multiple_vsv_gy",
    "difference_percent",
)


@dataclass(frozen=True)
class RegionDifference:
    """Mean dose of a region by both methods; the names of the attributes are the columns of the table.

    Attributes
    ----------
    region
        Name of the region.
    volume_ml
        Volume [mL].
    monte_carlo_gy, multiple_vsv_gy
        Mean dose by mass [Gy].
    monte_carlo_uncertainty_percent
        Statistical standard uncertainty of `monte_carlo_gy` [%].
    difference_percent
        Multiple-VSV against Monte Carlo [%]; None where the dose is zero.
    """

    region: str
    volume_ml: float
    monte_carlo_gy: float
    monte_carlo_uncertainty_percent: float | None
    multiple_vsv_gy: float
    difference_percent: float | None


@dataclass(frozen=True)
class DemoResult:
    """What the demonstration found and where it wrote it.

    Attributes
    ----------
    folder
        Folder with all files.
    files
        Names of the files, records aside.
    table
        One row per region.
    report
        HTML report of the case of all scans.
    delayed
        What came of delayed PET; None where no model of it is there.
    """

    folder: Path
    files: tuple[str, ...]
    table: tuple[RegionDifference, ...]
    report: Path
    delayed: DelayedDemo | None = None

    def text(self) -> str:
        """Where the report is, the table and the list of files, for a terminal."""
        width = max(len("region"), *(len(row.region) for row in self.table))
        lines = [
            f"Report of all four scans: {self.report}",
            "",
            f"Mean absorbed dose of {NUCLIDE}, {TEST_METHOD} against {REFERENCE_METHOD} (± one standard uncertainty)",
            "",
            f"{'region':<{width}}  volume [mL]   Monte Carlo [Gy]  multiple VSV [Gy]  difference [%]",
        ]
        for row in self.table:
            sigma, difference = row.monte_carlo_uncertainty_percent, row.difference_percent
            reference = f"{row.monte_carlo_gy:.3g}" + ("" if sigma is None else f" ± {sigma:.2f} %")
            lines.append(
                f"{row.region:<{width}}  {row.volume_ml:>11.1f}  {reference:>17}  {row.multiple_vsv_gy:>17.3g}  "
                f"{'-' if difference is None else f'{difference:+.1f}':>14}"
            )
        if self.delayed is not None:
            lines += ["", self.delayed.text().rstrip()]
        return "\n".join([*lines, "", f"In {self.folder}: {', '.join(self.files)}"]) + "\n"

    def csv_text(self) -> str:
        """The table as CSV with the columns `TABLE_COLUMNS`; unknowns are empty."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(TABLE_COLUMNS)
        for row in self.table:
            values = [getattr(row, column) for column in TABLE_COLUMNS[1:]]
            writer.writerow([row.region, *("" if value is None else f"{value:.7g}" for value in values)])
        return stream.getvalue()


def run_demo(
    output: Path,
    *,
    seed: int = 0,
    histories: int = DEFAULT_HISTORIES,
    device: str = "cpu",
    voxel_mm: float = 4.0,
    progress: Progress | None = None,
) -> DemoResult:
    """Generate a virtual patient, compute his dose by two methods, and his scans as a case with a report.

    Learned dose and delayed PET are part of it where their models come with RadioDosimetry and what runs them is there.

    Parameters
    ----------
    output
        Folder to write to; made if it is absent. Files of the same names are replaced.
    seed
        Of the scans' noise and of the Monte Carlo runs; the patient is always the same.
    histories
        Particles to follow in the Monte Carlo run.
    device
        Where the Monte Carlo run is computed, "cpu" or "cuda".
    voxel_mm
        Edge of the voxels [mm].
    progress
        Told how much is done.

    Returns
    -------
    DemoResult
        The differences per region.

    Raises
    ------
    OutputError
        The folder cannot be made or written; nothing is left behind.
    DeviceError
        The device is not there.
    CancelledError
        The user cancelled; nothing is left behind.
    """
    output = Path(output)
    with _taken_back(output), output_folder(output):
        report_progress(progress, 0.0, "Generating the patient")
        anatomy = sample_anatomy(voxel_mm)
        labels = sample_labels(anatomy, LABELLED)
        activity = sample_activity(LUTETIUM_SPECT, SERIAL_HOURS, anatomy)
        shown = activity[SERIAL_HOURS.index(SHOWN_HOURS)]
        regions = regions_of(labels, {WHOLE_LIVER: _whole_liver(anatomy, labels)})
        tia = integrate_physical_decay(shown, NUCLIDE)
        options = DoseOptions(histories=histories, seed=seed, device=device)
        test, reference = (
            compute_dose(anatomy.ct, tia, NUCLIDE, method, regions, options, progress=PartialProgress(progress, *part))
            for method, part in ((TEST_METHOD, (0.05, 0.12)), (REFERENCE_METHOD, (0.12, 0.5)))
        )
        report_progress(progress, 0.5, "Writing images and pictures")
        report = output / RESULTS_FOLDER / "report" / "report.html"
        result = DemoResult(output, FILES, _differences(test.table, reference.table), report)
        patient = _Patient(anatomy, labels, shown, as_scanned(LUTETIUM_SPECT, SERIAL_HOURS, activity, seed))
        _write(result, patient, test, reference)
        scans = list(zip(SERIAL_HOURS, SERIAL_FILES, strict=True))
        administered_mbq = LUTETIUM_SPECT.administered_bq / BECQUEREL_PER_MEGABECQUEREL
        work = PartialProgress(progress, 0.55, 0.9)
        run_demo_case(output, NUCLIDE, administered_mbq, scans, labels, histories, seed, device, work)
        delayed = run_demo_delayed_pet(output, seed, device, PartialProgress(progress, 0.9, 1.0))
        report_progress(progress, 1.0, "Demonstration done")
        return replace(result, delayed=delayed)


@dataclass(frozen=True)
class _Patient:
    """The patient with the true activity that is shown, and his scans."""

    anatomy: Anatomy
    labels: LabelMap
    activity: QuantitativeVolume
    scans: Sequence[QuantitativeVolume]


def _whole_liver(anatomy: Anatomy, labels: LabelMap) -> str:
    """Expression of the liver with those of its lesions that are labelled."""
    sites = anatomy.record.parameters["lesion_sites"]
    lesions = [name for name in labels.names.values() if sites.get(name) == "liver"]
    return "+".join(["liver", *lesions])


@contextlib.contextmanager
def _taken_back(output: Path) -> Iterator[None]:
    """Remove the folder if this run made it and then failed; what was there before stays."""
    existed = output.exists()
    try:
        yield
    except BaseException:
        if not existed and output.is_dir():
            shutil.rmtree(output, ignore_errors=True)
        raise


def _differences(test: Sequence[RegionDose], reference: Sequence[RegionDose]) -> tuple[RegionDifference, ...]:
    """Rows of two region tables of the same regions side by side."""
    return tuple(
        RegionDifference(
            region=expected.region,
            volume_ml=expected.volume_ml,
            monte_carlo_gy=expected.mean_gy,
            monte_carlo_uncertainty_percent=expected.mean_uncertainty_percent,
            multiple_vsv_gy=found.mean_gy,
            difference_percent=mean_error_percent(expected.mean_gy, found.mean_gy),
        )
        for found, expected in zip(test, reference, strict=True)
    )


def _write(
    result: DemoResult, patient: _Patient, test: DoseResult, reference: DoseResult
) -> None:
    """Write all files of the demo, all of them or none."""
    folder = result.folder
    images: dict[str, QuantitativeVolume | None] = {
        "ct.nii.gz": patient.anatomy.ct,
        "activity.nii.gz": patient.activity,
        **dict(zip(SERIAL_FILES, patient.scans, strict=True)),
        "dose_multiple_vsv.nrrd": test.dose,
        "dose_monte_carlo.nrrd": reference.dose,
        "uncertainty_monte_carlo.nrrd": reference.uncertainty,
    }
    with OutputTransaction() as transaction:
        for name, volume in images.items():
            if volume is not None:
                write_volume(volume, folder / name, transaction)
        write_label_map(patient.labels, folder / "labels.nii.gz", folder / "labels.csv", transaction)
        transaction.write_text(folder / "demo.csv", result.csv_text())
        _draw(folder, patient, test, reference, transaction)
        both = _record_of_both(test, reference)
        for name, record in (
            ("labels.csv", patient.labels.record),
            ("demo.csv", both),
            ("dose_multiple_vsv.png", test.record),
            ("dose_monte_carlo.png", reference.record),
            ("difference.png", both),
        ):
            said = {"quantity": record.operation, "unit": "as labelled", "time": None, **record.as_dict()}
            transaction.write_text(folder / f"{name}.json", to_json(said))


def _record_of_both(test: DoseResult, reference: DoseResult) -> Record:
    """The records of both dose maps in one, for what compares them."""
    return Record(
        f"voxel dose by {TEST_METHOD} against {REFERENCE_METHOD}",
        parameters={TEST_METHOD: test.record.parameters, REFERENCE_METHOD: reference.record.parameters},
        inputs=reference.record.inputs,
        datasets={**test.record.datasets, **reference.record.datasets},
        seed=reference.record.seed,
        device=reference.record.device,
    ).with_warnings(*test.record.warnings, *reference.record.warnings)


def _draw(
    folder: Path, patient: _Patient, test: DoseResult, reference: DoseResult, transaction: OutputTransaction
) -> None:
    """Pictures of both dose maps on one scale, and of their difference, through the largest lesion."""
    from ..report import overlay_figure, save_figure

    outlines = [region for region in reference.regions if region.name not in (WHOLE_LIVER, "cortical_bone")]
    voxel_kji = _middle_of_hottest(reference)
    highest_gy = max(row.mean_gy for row in reference.table)
    difference = test.dose.with_array(test.dose.array_kji.astype(np.float64) - reference.dose.array_kji)
    for name, title, volume, signed in (
        ("dose_multiple_vsv.png", "Multiple voxel S-values", test.dose, False),
        ("dose_monte_carlo.png", "Monte Carlo", reference.dose, False),
        ("difference.png", "Multiple voxel S-values less Monte Carlo", difference, True),
    ):
        figure = overlay_figure(
            volume,
            patient.anatomy.ct,
            outlines,
            title=f"{title}, {NUCLIDE}, virtual patient",
            voxel_kji=voxel_kji,
            highest=0.05 * highest_gy if signed else highest_gy,
            threshold=0.005 * highest_gy if signed else 0.02 * highest_gy,
            signed=signed,
            square_root_scale=True,
        )
        save_figure(figure, folder / name, transaction)


def _middle_of_hottest(result: DoseResult) -> tuple[int, int, int]:
    """Voxel (k, j, i) in the middle of the region with the highest mean dose."""
    name = max(result.table, key=lambda row: row.mean_gy).region
    mask = next(region.mask_kji for region in result.regions if region.name == name)
    k, j, i = (round(float(index.mean())) for index in np.nonzero(mask))
    return k, j, i

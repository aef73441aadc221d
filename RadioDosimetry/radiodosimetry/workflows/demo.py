"""The demonstration: a synthetic patient, its dose by two methods, and its four scans the whole way to a report."""

from __future__ import annotations

import contextlib
import csv
import io
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..evaluation.differences import mean_error_percent
from ..images.atomic import OutputTransaction
from ..images.geometry import VolumeGeometry
from ..images.regions import regions_of, write_label_map
from ..images.volume import QuantitativeVolume
from ..images.writers import write_volume
from ..progress import PartialProgress, Progress, report_progress
from ..provenance import Record, to_json
from ..virtual_patients import SyntheticPatient, torso_patient, torso_scans
from ..virtual_patients.torso import ADMINISTERED_MBQ
from ..voxel_dose.statistics import RegionDose
from .case_settings import RESULTS_FOLDER
from .demo_case import run_demo_case
from .dose import DoseOptions, DoseResult, compute_dose, integrate_physical_decay
from .output_folder import output_folder

NUCLIDE = "Lu-177"
TEST_METHOD, REFERENCE_METHOD = "multiple-vsv", "monte-carlo"

DEFAULT_HISTORIES = 5_000_000
"""Enough for a percent in lungs and marrow and a tenth of that in kidneys, in half a minute on two cores."""

COMPOSED_REGIONS = {"whole_liver": "liver+tumour1+tumour2"}
"""Regions of the demo beyond the labels: the liver with its lesions."""

SERIAL_HOURS = (4, 24, 96, 168)
"""Hours after the administration of the serial scans; both dose maps are of the second one alone, the case of all."""

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
    """

    folder: Path
    files: tuple[str, ...]
    table: tuple[RegionDifference, ...]
    report: Path

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
    geometry: VolumeGeometry | None = None,
    progress: Progress | None = None,
) -> DemoResult:
    """Generate a synthetic patient, compute its dose by two methods, and its scans as a case with a report.

    Parameters
    ----------
    output
        Folder to write to; made if it is absent. Files of the same names are replaced.
    seed
        Of the patient's texture and of the Monte Carlo run.
    histories
        Particles to follow in the Monte Carlo run.
    device
        Where the Monte Carlo run is computed, "cpu" or "cuda".
    geometry
        Grid of the patient; the whole torso at 4 mm if None.
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
        patient = torso_patient(geometry, seed)
        tia = integrate_physical_decay(patient.activity, NUCLIDE)
        regions = regions_of(patient.labels, COMPOSED_REGIONS)
        options = DoseOptions(histories=histories, seed=seed, device=device)
        test, reference = (
            compute_dose(patient.ct, tia, NUCLIDE, method, regions, options, progress=PartialProgress(progress, *part))
            for method, part in ((TEST_METHOD, (0.02, 0.12)), (REFERENCE_METHOD, (0.12, 0.55)))
        )
        report_progress(progress, 0.55, "Writing images and pictures")
        report = output / RESULTS_FOLDER / "report" / "report.html"
        result = DemoResult(output, FILES, _differences(test.table, reference.table), report)
        _write(result, patient, torso_scans(SERIAL_HOURS, geometry, seed), test, reference)
        scans = list(zip(SERIAL_HOURS, SERIAL_FILES, strict=True))
        work = PartialProgress(progress, 0.6, 1.0)
        run_demo_case(output, NUCLIDE, ADMINISTERED_MBQ, scans, histories, seed, device, work)
        return result


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
    result: DemoResult,
    patient: SyntheticPatient,
    scans: Sequence[QuantitativeVolume],
    test: DoseResult,
    reference: DoseResult,
) -> None:
    """Write all files of the demo, all of them or none."""
    folder = result.folder
    images: dict[str, QuantitativeVolume | None] = {
        "ct.nii.gz": patient.ct,
        "activity.nii.gz": patient.activity,
        **dict(zip(SERIAL_FILES, scans, strict=True)),
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
    folder: Path, patient: SyntheticPatient, test: DoseResult, reference: DoseResult, transaction: OutputTransaction
) -> None:
    """Pictures of both dose maps on one scale, and of their difference, through the largest lesion."""
    from ..report import overlay_figure, save_figure

    outlines = [region for region in reference.regions if region.name not in (*COMPOSED_REGIONS, "cortical_bone")]
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
            patient.ct,
            outlines,
            title=f"{title}, {NUCLIDE}, synthetic patient",
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

"""Two dose maps from files to a folder of numbers, error maps and figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..evaluation import (
    DoseComparison,
    axis_profile,
    bland_altman,
    compare_doses,
    comparison_csv,
    relative_error_map_percent,
)
from ..evaluation.gamma import DEFAULT_CUTOFF_PERCENT, DEFAULT_GAMMA_MM, DEFAULT_GAMMA_PERCENT
from ..images.atomic import OutputTransaction, refuse_overwriting
from ..images.geometry import require_same_grid
from ..images.readers import read_volume
from ..images.regions import Region
from ..images.sidecar import sidecar_path
from ..images.volume import QuantitativeVolume
from ..images.writers import write_volume
from ..progress import PartialProgress, Progress, report_progress
from ..provenance import Record, to_json
from ..report.curves import bland_altman_figure, dvh_figure, profile_figure
from ..report.figure_style import save_figure
from ..report.figures import overlay_figure
from ..units import Quantity
from ..voxel_dose.dose_volume import dvh
from .dose import read_regions
from .output_folder import output_folder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLAND_ALTMAN_VOXELS = 5000
"""Most voxels drawn in a Bland-Altman figure, taken at equal steps through the judged ones."""

ERROR_CUTOFF_PERCENT = 1.0
"""Voxels below this share of the reference's maximum have no relative error: nearly nothing over nearly nothing [%]."""

ERROR_SCALE_PERCENT = (2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
"""Ends of the colour scale of an error map; the first that holds 95 % of the errors is taken."""

_OUTPUTS = (
    "comparison.json", "regions.csv", "relative_error.nrrd", "gamma.nrrd",
    "error_map.png", "profiles.png", "bland_altman.png", "dvh.png",
)  # fmt: skip
"""All that a comparison may write, each with its record beside it."""

_LINES = {"left-right": 0, "anterior-posterior": 1, "inferior-superior": 2}


def compare_dose_files(
    reference: Path,
    test: Path,
    output: Path,
    labels: Path | None = None,
    label_names: Path | None = None,
    expressions: Mapping[str, str] | None = None,
    gamma_percent: float = DEFAULT_GAMMA_PERCENT,
    gamma_mm: float = DEFAULT_GAMMA_MM,
    gamma_cutoff_percent: float = DEFAULT_CUTOFF_PERCENT,
    dose_unit: str | None = None,
    progress: Progress | None = None,
) -> DoseComparison:
    """Compare two dose maps and write what was found into a folder.

    Parameters
    ----------
    reference, test
        Dose images with a sidecar, or RTDOSE, on one grid.
    output
        Folder; made if it is absent. Gets `comparison.json`, `regions.csv` (with labels), `relative_error.nrrd`
        (a fraction of the reference, zero below `ERROR_CUTOFF_PERCENT`), `gamma.nrrd` and figures, each with its record
        beside it; all appear, or nothing does.
    labels, label_names
        Label image and CSV of its names, or an RTSTRUCT or SEG; another grid is resampled onto that of the doses.
    expressions
        Name of each further region to its expression over label names.
    gamma_percent, gamma_mm, gamma_cutoff_percent
        Criteria of the gamma index (see `compare_doses`).
    dose_unit
        Unit of images that have no sidecar; ignored for the others.
    progress
        Told how much is done.

    Returns
    -------
    DoseComparison
        What was written.

    Raises
    ------
    InputError
        An input cannot be read or used, the grids differ, or an input would be overwritten.
    OutputError
        The folder cannot be written.
    """
    inputs = [path for path in (reference, test, labels, label_names) if path is not None]
    outputs = [output / name for name in _OUTPUTS]
    refuse_overwriting((*outputs, *map(sidecar_path, outputs)), (*inputs, *map(sidecar_path, inputs)))
    report_progress(progress, 0.0, "reading the doses")
    doses = [_read_dose(path, dose_unit) for path in (reference, test)]
    require_same_grid(doses[0].geometry, doses[1].geometry, f"Reference {reference.name}", f"test {test.name}")
    regions, label_record = _read_regions(labels, label_names, expressions or {}, doses[0])
    with output_folder(output):
        comparison = compare_doses(
            doses[0],
            doses[1],
            regions,
            gamma_percent,
            gamma_mm,
            gamma_cutoff_percent,
            progress=PartialProgress(progress, 0.05, 0.7),
        )
        record = _record(doses, regions, label_record, comparison)
        with OutputTransaction() as transaction:
            _write_all(output, doses[0], doses[1], regions, comparison, record, transaction, progress)
    report_progress(progress, 1.0, "done")
    return comparison


def _read_dose(path: Path, dose_unit: str | None) -> QuantitativeVolume:
    if dose_unit is None or sidecar_path(path).exists():
        return read_volume(path)
    return read_volume(path, Quantity.ABSORBED_DOSE, dose_unit)


def _read_regions(
    labels: Path | None, label_names: Path | None, expressions: Mapping[str, str], dose: QuantitativeVolume
) -> tuple[list[Region], Record | None]:
    """Regions on the grid of the dose, and the record of the labels."""
    if labels is None:
        return [], None
    regions, record = read_regions(labels, label_names, dose.geometry, expressions)
    if "resampling" in record.parameters:
        record = record.with_warnings("The labels were resampled onto the grid of the doses.")
    return regions, record


def _record(
    doses: Sequence[QuantitativeVolume], regions: Sequence[Region], labels: Record | None, comparison: DoseComparison
) -> Record:
    inputs = {name: dose.record.inputs.get("file", {}) for name, dose in zip(("reference", "test"), doses, strict=True)}
    warnings = [f"{name}: {text}" for name, dose in zip(inputs, doses, strict=True) for text in dose.record.warnings]
    if labels is not None:
        inputs["labels"] = labels.inputs.get("file", {})
        warnings += [f"labels: {text}" for text in labels.warnings]
    if comparison.gamma.judged_kji.sum() < 100:
        warnings.append("Fewer than 100 voxels reach the cutoff of the gamma index: its pass rate says little.")
    return Record(
        "comparison of two dose maps",
        parameters={
            "gamma_percent": comparison.gamma_percent,
            "gamma_mm": comparison.gamma_mm,
            "gamma_cutoff_percent": comparison.gamma_cutoff_percent,
            "largest_gamma": comparison.gamma.largest,
            "regions": {region.name: region.expression for region in regions},
        },
        inputs=inputs,
        datasets={
            f"{name}: {role}": dataset
            for name, dose in zip(("reference", "test"), doses, strict=True)
            for role, dataset in dose.record.datasets.items()
        },
        warnings=tuple(warnings),
    )


def _write_all(
    output: Path,
    reference: QuantitativeVolume,
    test: QuantitativeVolume,
    regions: Sequence[Region],
    comparison: DoseComparison,
    record: Record,
    transaction: OutputTransaction,
    progress: Progress | None,
) -> None:
    """Write every file of a comparison."""
    said = _record_values(reference, "comparison of two dose maps", record)
    transaction.write_text(output / "comparison.json", to_json(comparison.as_dict() | said))
    transaction.write_text(output / "comparison.json.json", to_json(said))
    if regions:
        transaction.write_text(output / "regions.csv", comparison_csv(comparison.regions))
        transaction.write_text(output / "regions.csv.json", to_json(said))
    error_kji = relative_error_map_percent(reference.array_kji, test.array_kji, ERROR_CUTOFF_PERCENT)
    maps = {"relative_error.nrrd": error_kji / np.float32(100.0), "gamma.nrrd": comparison.gamma.gamma_kji}
    for name, array_kji in maps.items():
        volume = reference.with_array(array_kji, Quantity.DIMENSIONLESS, record)
        write_volume(volume, output / name, transaction)
    figures = _figures(reference, test, regions, comparison, error_kji)
    for number, (name, draw) in enumerate(figures.items()):
        report_progress(progress, 0.75 + 0.25 * number / len(figures), f"drawing {name}")
        save_figure(draw(), output / name, transaction)
        said = _record_values(reference, "figure of a comparison of two dose maps", record)
        transaction.write_text(output / f"{name}.json", to_json(said))


def _record_values(reference: QuantitativeVolume, quantity: str, record: Record) -> dict[str, Any]:
    """What the record beside a table or figure says: several quantities, each with its unit where it stands."""
    time = None if reference.time is None else reference.time.isoformat()
    return {"quantity": quantity, "unit": "as labelled", "time": time, **record.as_dict()}


def _figures(
    reference: QuantitativeVolume,
    test: QuantitativeVolume,
    regions: Sequence[Region],
    comparison: DoseComparison,
    error_kji: NDArray[np.float32],
) -> dict[str, Callable[[], Figure]]:
    """Name of each figure to what draws it."""
    voxel = _hottest_voxel(reference, regions)
    figures: dict[str, Callable[[], Figure]] = {
        "error_map.png": partial(_draw_error_map, reference, regions, error_kji, voxel),
        "profiles.png": partial(_draw_profiles, reference, test, voxel),
        "bland_altman.png": partial(_draw_agreement, reference, test, comparison),
    }
    is_dose = reference.quantity is Quantity.ABSORBED_DOSE
    if regions and is_dose and min(reference.array_kji.min(), test.array_kji.min()) >= 0:
        figures["dvh.png"] = partial(_draw_histograms, reference, test, regions)
    return figures


def _draw_error_map(
    reference: QuantitativeVolume,
    regions: Sequence[Region],
    error_kji: NDArray[np.float32],
    voxel_kji: tuple[int, int, int],
) -> Figure:
    errors = np.abs(error_kji[error_kji != 0])
    largest = float(np.percentile(errors, 95)) if errors.size else 0.0
    scale = next((end for end in ERROR_SCALE_PERCENT if end >= largest), ERROR_SCALE_PERCENT[-1])
    return overlay_figure(
        reference.with_array(error_kji, Quantity.DIMENSIONLESS),
        reference,
        regions,
        f"Error where the reference exceeds {ERROR_CUTOFF_PERCENT:g} % of its maximum, over the reference dose",
        "(test − reference) / reference [%]",
        voxel_kji,
        threshold=0.0,
        highest=scale,
        signed=True,
    )


def _draw_profiles(reference: QuantitativeVolume, test: QuantitativeVolume, voxel_kji: tuple[int, int, int]) -> Figure:
    """Lines along the three axes of the patient through one voxel."""
    profiles = {}
    for line, patient_axis in _LINES.items():
        axis_kji = 2 - int(np.argmax(np.abs(reference.geometry.direction[patient_axis])))
        profiles[line] = {
            name: axis_profile(volume.array_kji, volume.geometry, voxel_kji, axis_kji)
            for name, volume in (("reference", reference), ("test", test))
        }
    return profile_figure(profiles, _value_label(reference), "Lines through the highest reference dose")


def _draw_agreement(reference: QuantitativeVolume, test: QuantitativeVolume, comparison: DoseComparison) -> Figure:
    judged = np.flatnonzero(comparison.gamma.judged_kji)
    step = max(1, -(-judged.size // BLAND_ALTMAN_VOXELS))
    expected, found = (volume.array_kji.ravel()[judged[::step]] for volume in (reference, test))
    shown = [region for region in comparison.regions if region.reference_mean_gy + region.test_mean_gy > 0]
    of_regions = None
    if shown:
        of_regions = bland_altman([r.reference_mean_gy for r in shown], [r.test_mean_gy for r in shown])
    names = [region.region for region in shown]
    return bland_altman_figure(of_regions, names, bland_altman(expected, found), "Agreement of test and reference")


def _draw_histograms(reference: QuantitativeVolume, test: QuantitativeVolume, regions: Sequence[Region]) -> Figure:
    histograms = {
        name: [dvh(dose, region) for region in regions] for name, dose in (("reference", reference), ("test", test))
    }
    return dvh_figure(histograms, "Cumulative dose-volume histograms")


def _hottest_voxel(dose: QuantitativeVolume, regions: Sequence[Region]) -> tuple[int, int, int]:
    values = dose.array_kji
    if regions:
        values = np.where(np.any([region.mask_kji for region in regions], axis=0), values, -np.inf)
    k, j, i = np.unravel_index(int(np.argmax(values)), values.shape)
    return int(k), int(j), int(i)


def _value_label(volume: QuantitativeVolume) -> str:
    name = "Absorbed dose" if volume.quantity is Quantity.ABSORBED_DOSE else "Absorbed dose rate"
    return f"{name} [{volume.unit}]"

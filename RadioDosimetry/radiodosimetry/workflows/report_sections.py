"""What the report of a case says: facts, tables, pictures, methods and records, in the order they are read."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np

from ..nuclides import Radionuclide
from ..progress import Progress, report_progress
from ..report.curves import dvh_figure, method_comparison_figure
from ..report.document import (
    Column,
    Picture,
    Report,
    ReportSection,
    ReportTable,
    Text,
    name_text,
    number_text,
    table_from_records,
)
from ..report.figures import overlay_figure, round_levels
from ..report.method_names import method_title, within_sentence
from ..report.methods_text import methods_paragraph
from ..report.slice_rendering import SliceRenderer
from ..report.time_activity import panel_columns
from ..time_activity.fit_files import BECQUEREL_SECONDS_PER_MEGABECQUEREL_HOUR
from ..units import SECONDS_PER_HOUR
from ..voxel_dose.dose_volume import dvh
from .case_budget import BUDGET_CAUSES, with_statistics
from .report_origins import input_table, methods_facts, record_texts, scan_hours, scan_table, step_table
from .report_results import CaseResults
from .report_warnings import names_text, readable, report_warnings

LEAST_ACTIVITY_SHARE = 0.03
"""Share of the hottest region's mean activity below which nothing is coloured."""

PICTURE_WIDTH_INCH = 8.4
"""Of overlays: text stays readable on a page of paper."""

LEAST_PERCENT = 0.01
"""Smallest uncertainty printed as a number [%]."""

WIDE_RANGE = 10.0
"""Ratio of the regions' mean doses from which their histograms are drawn against the logarithm of dose."""

_REGION = Column("region", "Region")


def report_of(
    found: CaseResults, created: str, progress: Progress | None = None, renderer: SliceRenderer | None = None
) -> Report:
    """The report of a case.

    Parameters
    ----------
    found
        The results of its steps.
    created
        When the report is made, ISO 8601.
    progress
        Told the share of the work done.
    renderer
        Draws the slices of the pictures; matplotlib if None.
    """
    case = found.case
    report_progress(progress, 0.1, "Pictures")
    images = _images(found, renderer)
    report_progress(progress, 0.6, "Tables and graphs")
    sections = [
        ReportSection("Absorbed dose of regions", (_region_doses(found),)),
        ReportSection("Images", images),
        ReportSection("Dose-volume histograms", (_dvh_picture(found),)),
        ReportSection("Time-activity curves", (_residence_times(found), *_curves_pictures(found))),
    ]
    if len(case.dose.methods) > 1:
        sections.append(ReportSection("Comparison of dose methods", _comparison(found)))
    if case.organ_dose.asked_for:
        sections.append(ReportSection("Organ doses", _organ_doses(found)))
    sections.append(ReportSection("Uncertainty budget", (_budget(found),)))
    sections.append(ReportSection("Inputs", (input_table(found), scan_table(found))))
    paragraph, references = methods_paragraph(methods_facts(found))
    sections.append(ReportSection("Methods, ready to paste", (Text((paragraph,)), Text(references, "numbered"))))
    origins = (step_table(found), Text(record_texts(found), "record"))
    sections.append(ReportSection("Steps and records", origins, new_page=True, appendix=True))
    what = case.study.radiopharmaceutical or case.nuclide
    return Report(
        f"Dosimetry report: {case.name}",
        f"Absorbed doses of {what}, computed by {within_sentence(case.dose.shown_method)}",
        created,
        report_warnings(found),
        _facts(found),
        tuple(sections),
        running_head=_running_head(found),
    )


def _facts(found: CaseResults) -> tuple[tuple[str, str], ...]:
    case, study = found.case, found.case.study
    known: list[tuple[str, Any]] = [
        ("Patient", study.patient_name),
        ("Patient ID", study.patient_id),
        ("Date of birth", study.birth_date),
        ("Sex", study.sex),
        ("Weight", None if study.weight_kg is None else f"{study.weight_kg:g} kg"),
        ("Height", None if study.height_cm is None else f"{study.height_cm:g} cm"),
        ("Diagnosis", study.diagnosis),
        ("Radiopharmaceutical", study.radiopharmaceutical),
        ("Cycle", study.cycle),
        ("Nuclide", f"{case.nuclide}, half-life {Radionuclide(case.nuclide).half_life_s / SECONDS_PER_HOUR:.4g} h"),
        ("Administered activity", None if case.administered_mbq is None else f"{case.administered_mbq:g} MBq"),
        ("Administered on", None if study.administered_on is None else _moment(study.administered_on)),
        ("Scans", f"{len(case.scans)}, at {', '.join(f'{hour:.4g}' for hour in scan_hours(found))} h"),
        ("Institution", study.institution),
        ("Physician", study.physician),
        ("Physicist", study.physicist),
        ("Comment", study.comment),
    ]
    return tuple((name, str(value)) for name, value in known if value is not None)


def _moment(time: datetime) -> str:
    """Date and time to the minute, with the offset from UTC where it is known."""
    zone = "" if time.tzinfo is None else f" {time.tzname()}"
    return f"{time:%Y-%m-%d %H:%M}{zone}"


def _running_head(found: CaseResults) -> str:
    """Whose report it is, for every page: the case, and patient and study as far as they are stated."""
    study = found.case.study
    known = (study.patient_name, study.patient_id, study.radiopharmaceutical or found.case.nuclide)
    administered = None if study.administered_on is None else f"{study.administered_on:%Y-%m-%d}"
    return ", ".join(str(part) for part in (found.case.name, *known, administered) if part)


def _region_doses(found: CaseResults) -> ReportTable:
    """Doses of the shown method with what is known of their uncertainty."""
    rows = _dose_rows(found, found.case.dose.shown_method)
    with_bed = any(row.get("bed_gy") is not None for row in rows)
    for row in rows:
        total = _total_percent(found, row)
        row["std_gy"], row["u_percent"] = row["std_gy"], total
    columns = [
        _REGION,
        Column("volume_ml", "Volume", "mL"),
        Column("mass_g", "Mass", "g"),
        Column("mean_gy", "Mean dose", "Gy"),
        Column("u_percent", "Uncertainty of mean (1 σ)", "%", 2, least=LEAST_PERCENT),
        Column("std_gy", "Spread in region (SD)", "Gy"),
        Column("d98_gy", "D98", "Gy"),
        Column("d2_gy", "D2", "Gy"),
    ]
    if with_bed:
        columns += [Column("eud_gy", "EUD", "Gy"), Column("bed_gy", "BED", "Gy")]
    note = (
        "Means by mass, D98 and D2 by volume. The uncertainty joins calibration, volume, recovery, fit and dose "
        "computation as far as they are known (see the budget); a dash: not known."
    )
    caption = f"Absorbed dose of regions by {within_sentence(found.case.dose.shown_method)}"
    return table_from_records("region_doses", caption, columns, rows, note)


def _dose_rows(found: CaseResults, method: str) -> list[dict[str, Any]]:
    """Rows of a method's region table, of the regions asked for."""
    asked = found.case.report.regions
    return [row for row in found.table("dose", method, "table.csv") if not asked or row["region"] in asked]


def _total_percent(found: CaseResults, row: dict[str, Any]) -> float | None:
    budget = found.budget.get(row["region"])
    if budget is None:
        return None
    return with_statistics(budget["total"] or None, row.get("mean_uncertainty_percent"))


def _dvh_picture(found: CaseResults) -> Picture:
    histograms = [dvh(found.dose, region) for region in found.shown_regions]
    means = [float(found.dose.array_kji[region.mask_kji].mean()) for region in found.shown_regions]
    wide = min(means) > 0 and max(means) > WIDE_RANGE * min(means)
    figure = dvh_figure({found.case.dose.shown_method: histograms}, logarithmic=wide, height_inch=2.55)
    names = ", ".join(region.name.replace("_", " ") for region in found.shown_regions)
    return Picture.of(
        figure,
        f"Cumulative dose-volume histograms by {within_sentence(found.case.dose.shown_method)}.",
        f"Graph: share of the volume against absorbed dose for {names}. The numbers are in tables/dvh.csv.",
    )


def _images(found: CaseResults, renderer: SliceRenderer | None) -> tuple[Picture, ...]:
    """Activity and dose over the CT, through the middle of the hottest region."""
    case, regions = found.case, found.shown_regions
    rows = {row["region"]: row for row in found.table("dose", case.dose.shown_method, "table.csv")}
    hottest = max(regions, key=lambda region: rows[region.name]["mean_gy"])
    voxel = _middle(hottest.mask_kji)
    top_gy = rows[hottest.name]["mean_gy"]
    levels = case.report.isodoses_gy or round_levels(top_gy)
    name = hottest.name.replace("_", " ")
    activity = overlay_figure(
        found.activity,
        found.ct,
        regions,
        voxel_kji=voxel,
        threshold=LEAST_ACTIVITY_SHARE * float(found.activity.array_kji[hottest.mask_kji].mean()),
        square_root_scale=True,
        width_inch=PICTURE_WIDTH_INCH,
        renderer=renderer,
    )
    dose = overlay_figure(
        found.dose,
        found.ct,
        regions,
        voxel_kji=voxel,
        highest=top_gy,
        threshold=0.5 * levels[0],
        square_root_scale=True,
        contour_levels=levels,
        width_inch=PICTURE_WIDTH_INCH,
        renderer=renderer,
    )
    method = within_sentence(case.dose.shown_method)
    hour, lines = f"{scan_hours(found)[0]:.4g}", ", ".join(f"{level:g}" for level in levels)
    planes = f"Axial, coronal and sagittal slices through the middle of {name}"
    coloured = "regions outlined in colour; the scale is that of the square root, and low values are left clear"
    return (
        Picture.of(
            activity,
            f"Activity concentration {hour} h after the administration over the CT. {planes}; {coloured}.",
            f"{planes}: activity concentration in colour over the CT in grey, {len(regions)} regions outlined.",
            ".png",
        ),
        Picture.of(
            dose,
            f"Absorbed dose by {method} over the CT with isodoses of {lines} Gy. {planes}; {coloured}.",
            f"{planes}: absorbed dose in colour over the CT in grey, isodose lines of {lines} Gy in white, "
            f"{len(regions)} regions outlined.",
            ".png",
        ),
    )


def _middle(mask_kji: Any) -> tuple[int, int, int]:
    """The voxel of a mask nearest to its centre."""
    voxels = np.argwhere(mask_kji)
    nearest = voxels[np.argmin(((voxels - voxels.mean(axis=0)) ** 2).sum(axis=1))]
    return int(nearest[0]), int(nearest[1]), int(nearest[2])


def _curves_pictures(found: CaseResults) -> tuple[Picture, ...]:
    """The rows of graphs that the fits left; the last has the caption of all."""
    files = [found.results / file for file in found.state.steps["fits"].files if file.endswith(".svg")]
    caption = (
        "Activity present in each region against the time after the administration (points, ± 1 σ where known) and "
        "what was fitted (line, band ± 1 σ); dashed after the last scan."
    )
    pictures = []
    columns = panel_columns(len(found.fits))
    for number, file in enumerate(files):
        regions = list(found.fits)[number * columns : (number + 1) * columns]
        words = f"Graphs of activity against time on logarithmic axes for {names_text(regions)}; numbers in the table"
        below = caption if number == len(files) - 1 else ""
        pictures.append(Picture(file.read_bytes(), below, f"{words} and in curves/curves.csv.", ".svg"))
    return tuple(pictures)


def _residence_times(found: CaseResults) -> ReportTable:
    administered = found.fits.administered_bq
    rows = []
    for region, fit in found.fits.items():
        tia, std = fit.tia_bq_s, fit.tia_std_bq_s
        half_life_s = fit.effective_half_life_s
        rows.append(
            {
                "region": region,
                "model": fit.model,
                "tia_mbq_h": tia / BECQUEREL_SECONDS_PER_MEGABECQUEREL_HOUR,
                "tia_std_percent": None if std is None or tia == 0 else 100 * std / tia,
                "residence_time_h": None if administered is None else tia / administered / SECONDS_PER_HOUR,
                "effective_half_life_h": None if half_life_s is None else half_life_s / SECONDS_PER_HOUR,
            }
        )
    columns = [
        _REGION,
        Column("model", "Model"),
        Column("tia_mbq_h", "Time-integrated activity", "MBq h", 4),
        Column("tia_std_percent", "Uncertainty (1 σ)", "%", 2, least=LEAST_PERCENT),
        Column("residence_time_h", "Residence time", "h"),
        Column("effective_half_life_h", "Effective half-life", "h"),
    ]
    note = "Residence time: time-integrated activity per administered activity. Half-lives are of the final phase."
    return table_from_records("residence_times", "Fits and residence times", columns, rows, note)


def _comparison(found: CaseResults) -> tuple[Picture, ReportTable]:
    """Mean doses of all methods, and how far each lies from the one that is shown."""
    case, reference = found.case, found.case.dose.reference_method
    tables = {method: {row["region"]: row for row in _dose_rows(found, method)} for method in case.dose.methods}
    order = [reference, *(method for method in case.dose.methods if method != reference)]
    columns = [_REGION, Column(f"{_key(reference)}_gy", method_title(reference), "Gy")]
    of_norm = f"Uncertainty of {method_title(reference)} (1 σ)"
    statistics = Column("statistics_percent", of_norm, "%", 2, least=LEAST_PERCENT)
    if any(row.get("mean_uncertainty_percent") is not None for row in tables[reference].values()):
        columns.append(statistics)
    for method in order[1:]:
        columns += [
            Column(f"{_key(method)}_gy", method_title(method), "Gy"),
            Column(f"{_key(method)}_difference_percent", "Difference", "%", signed=True, decimals=2),
        ]
    rows = []
    for region, row in tables[reference].items():
        expected = row["mean_gy"]
        values: dict[str, Any] = {"region": region, f"{_key(reference)}_gy": expected}
        values[statistics.name] = row.get("mean_uncertainty_percent")
        for method in order[1:]:
            mean = tables[method][region]["mean_gy"]
            values[f"{_key(method)}_gy"] = mean
            if expected:
                values[f"{_key(method)}_difference_percent"] = 100 * (mean / expected - 1)
        rows.append(values)
    names = [region.name for region in found.shown_regions]
    title = {method: method_title(method) for method in order}
    figure = method_comparison_figure(
        {title[method]: {name: tables[method][name]["mean_gy"] for name in names} for method in order},
        title[reference],
        {title[reference]: {name: tables[reference][name].get("mean_uncertainty_percent") for name in names}},
        width_inch=PICTURE_WIDTH_INCH,
        height_inch=4.4,
    )
    norm = within_sentence(reference)
    caption = f"Mean dose of regions by each method; below, differences from {norm}."
    methods = ", ".join(within_sentence(method) for method in order)
    picture = Picture.of(figure, caption, f"Bar chart of the mean doses by {methods}; numbers in the table.")
    heading = f"Mean dose by method; differences are from {norm}"
    return picture, table_from_records("method_comparison", heading, columns, rows)


def _key(method: str) -> str:
    return method.replace("-", "_")


def _organ_doses(found: CaseResults) -> tuple[ReportTable | Text, ...]:
    record = found.record("organ_dose", "organ_dose.csv")
    rows = found.table("organ_dose", "organ_dose.csv")
    for row in rows:
        value, std = row["absorbed_dose_mgy_per_mbq"], row["std"]
        row["std_percent"] = 100 * std / value if value and std else None
    columns = [
        Column("target", "Organ or lesion"),
        Column("absorbed_dose_gy", "Absorbed dose", "Gy"),
        Column("absorbed_dose_mgy_per_mbq", "Per administered activity", "mGy/MBq"),
        Column("std_percent", "Uncertainty (1 σ)", "%", 2, least=LEAST_PERCENT),
        Column("largest_source", "Largest source"),
    ]
    if any(row.get("alpha_weighted_dose_mgy_per_mbq") is not None for row in rows):
        columns.append(Column("alpha_weighted_dose_mgy_per_mbq", "α-weighted", "mGy/MBq"))
    phantom = found.case.organ_dose.phantom
    s_values = "the given S-values" if phantom is None else f"S-values of the stylised {phantom.replace('-', ' ')}"
    made_of = record["parameters"].get("regions_of_organs") or {}
    joined = {organ: parts for organ, parts in made_of.items() if tuple(parts) != (organ,)}
    added = "; ".join(f"{name_text(organ)} = {' + '.join(map(name_text, parts))}" for organ, parts in joined.items())
    note = f"Sources: {names_text(list(made_of))}{f' ({added})' if added else ''}. Doses are to the organs of the "
    note += "phantom, whatever was imaged; the patient's own regions stand above."
    caption = f"Organ absorbed doses by the MIRD sum, {s_values}"
    blocks: list[ReportTable | Text] = [table_from_records("organ_doses", caption, columns, rows, note)]
    effective = record["parameters"].get("effective_dose")
    if effective is not None:
        total = effective["value_msv"]
        words = f"Effective dose (ICRP 103): {number_text(effective['value_msv_per_mbq'])} mSv/MBq"
        words += f", {number_text(total)} mSv" if total is not None else ""
        flags = readable(" ".join(effective["flags"]), [row["target"] for row in rows])
        blocks.append(Text((f"{words}. {flags}",)))
    return tuple(blocks)


def _budget(found: CaseResults) -> ReportTable:
    rows = []
    for row in _dose_rows(found, found.case.dose.shown_method):
        budget = found.budget.get(row["region"])
        if budget is None:
            continue
        statistics = row.get("mean_uncertainty_percent")
        total = with_statistics(budget["total"], statistics)
        parts = {f"{cause}_percent": _stated(found, cause, budget[cause]) for cause in BUDGET_CAUSES}
        expanded = None if total is None else 2 * total
        rows.append(
            {
                "region": row["region"], **parts, "statistics_percent": statistics, "total_percent": total,
                "expanded_percent": expanded,
            }
        )  # fmt: skip
    titles = {"volume": "Volume, net", "recovery": "Recovery", "calibration": "Calibration"}
    titles |= {"synthesis": "Synthetic scans", "fit": "Points and fit"}
    synthetic = any(row["synthesis_percent"] for row in rows)
    causes = [cause for cause in BUDGET_CAUSES if cause != "synthesis" or synthetic]
    named = {f"{cause}_percent": titles.get(cause, "Choice of model") for cause in causes}
    named |= {"statistics_percent": "Dose computation", "total_percent": "Combined (1 σ)"}
    named["expanded_percent"] = "Expanded (k = 2)"
    columns = [_REGION, *(Column(name, title, "%", 2, least=LEAST_PERCENT) for name, title in named.items())]
    note = (
        "Relative standard uncertainties of a region's mean dose by cause, combined in quadrature. The volume counts "
        "in activity and mass, where it cancels inside uniform activity. Not in the budget: partial-volume effects "
        "without recovery coefficients, registration, organ motion, and the model behind a dose method that states no "
        "uncertainty or, Monte Carlo, that of its statistics alone. A dash: nothing was stated, or no choice was made."
    )
    if found.case.dose.shown_method == "dblurdosenet":
        note += " What DblurDoseNet states holds what it leaves of the scan's blur; beside recovery it counts twice."
    return table_from_records("uncertainty_budget", "Uncertainty of the mean dose by cause", columns, rows, note)


def _stated(found: CaseResults, cause: str, percent: float | None) -> float | None:
    """A part of the budget; None where nobody said anything of it, which is not the same as zero."""
    looked_at = {"fit": True, "volume": found.case.regions.volume_std_percent > 0}
    return percent if percent or looked_at.get(cause, False) else None

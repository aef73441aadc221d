"""What a reader of a report must know first: the warnings of all steps, and what no step alone can see."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

import numpy as np

from ..nuclides import Radionuclide
from ..report.document import name_text
from .case_settings import NOISY_METHOD
from .fits import read_measured_curves
from .report_results import CaseResults

NO_CALIBRATION_WARNING = (
    "No uncertainty of the calibration was stated (calibration_std_percent): the uncertainties below hold what "
    "scatters from scan to scan and the statistics of the computation, and are too small."
)
"""What the report says where the largest part of the budget is missing."""

NO_RECOVERY_WARNING = (
    "No recovery coefficients were given: partial-volume effects are neither corrected nor in the uncertainties. They "
    "matter most in small regions:"
)
"""What the report says where small regions go uncorrected; their names follow."""

NOISE_WARNING = 0.05
"""Uncertainty of single voxels from which histograms and isodoses are visibly broadened, or wrong."""

NOISE_WORDS = "D98, D2, histograms and isodoses are broadened by noise; means of regions are not."
"""What noise does to a dose by Monte Carlo."""

ERROR_WORDS = "D98, D2, histograms and isodoses may be off by as much; means have an uncertainty of their own."
"""What the errors of a network do to its dose."""

SMALL_REGION_ML = 30.0
"""Volume below which the limited resolution of SPECT and PET takes a good part of a region's activity out of it."""

MISSED_POINT = 0.25
"""Share of a measured activity by which a fitted curve may miss it before a warning says so."""


def report_warnings(found: CaseResults) -> tuple[tuple[str, str], ...]:
    """Every warning once with the step that gave it first; what is said of several regions is said once of all."""
    said: dict[str, tuple[str, list[str]]] = {}
    for step, record in found.records.items():
        for warning in record.get("warnings") or ():
            region, colon, text = warning.partition(": ")
            is_named = bool(colon) and region in found.fits
            _, regions = said.setdefault(text if is_named else warning, (step, []))
            if is_named and region not in regions:
                regions.append(region)
    warnings = [(step, f"{names_text(regions)}: {text}" if regions else text) for text, (step, regions) in said.items()]
    rows = found.table("masses", "masses.csv")
    own = [*_missed_points(found), *_noise(found)]
    if found.case.regions.calibration_std_percent == 0:
        own.append(("Uncertainties", NO_CALIBRATION_WARNING))
    small = [f"{name_text(r['region'])} {r['volume_ml']:.3g} mL" for r in rows if r["volume_ml"] < SMALL_REGION_ML]
    if small and found.case.regions.recovery is None:
        own.insert(0, ("Partial volume", f"{NO_RECOVERY_WARNING} {', '.join(small)}."))
    names = {*found.fits, *(row["region"] for row in rows)}
    return tuple((step, readable(text, names)) for step, text in (*own, *warnings))


def names_text(regions: Sequence[str]) -> str:
    """Names of regions for readers."""
    return ", ".join(name_text(region) for region in regions)


def readable(text: str, names: Iterable[str]) -> str:
    """A text in which names of regions are written for readers, as in the tables."""
    with_underscore = sorted((name for name in names if "_" in name), key=len, reverse=True)
    if not with_underscore:
        return text
    pattern = "|".join(map(re.escape, with_underscore))
    return re.sub(rf"(?<!\w)({pattern})(?!\w)", lambda match: name_text(match[0]), text)


def _missed_points(found: CaseResults) -> list[tuple[str, str]]:
    """Regions whose curve passes far from a point that was measured."""
    worst: dict[str, tuple[float, float]] = {}
    curves = read_measured_curves(found.results / "curves" / "curves.csv", Radionuclide(found.case.nuclide))
    for curve in curves:
        measured = curve.activity_bq > 0.05 * curve.activity_bq.max()
        if curve.region not in found.fits or not measured.any():
            continue
        off = found.fits[curve.region].value(curve.times_s[measured]) / curve.activity_bq[measured] - 1.0
        at = int(np.argmax(np.abs(off)))
        if abs(off[at]) > MISSED_POINT:
            worst[curve.region] = (float(off[at]), float(curve.times_h[measured][at]))
    if not worst:
        return []
    said = ", ".join(f"{name_text(name)} ({100 * off:+.0f} % at {hour:.3g} h)" for name, (off, hour) in worst.items())
    return [
        (
            "Fits",
            f"The fitted curve misses a measured point by more than {100 * MISSED_POINT:.0f} %: "
            f"{said.replace('-', chr(0x2212))}. Look at the curves; another model goes into [fit.regions].",
        )
    ]


def _noise(found: CaseResults) -> list[tuple[str, str]]:
    """A dose map whose single voxels are uncertain, by noise or by what a network does not know."""
    uncertainty = found.uncertainty
    if uncertainty is None:
        return []
    inside = np.any([region.mask_kji for region in found.shown_regions], axis=0)
    noise = float(np.median(uncertainty.array_kji[inside]))
    if not math.isfinite(noise) or noise <= NOISE_WARNING:
        return []
    words = NOISE_WORDS if found.case.dose.shown_method == NOISY_METHOD else ERROR_WORDS
    text = f"Voxels are uncertain by {100 * noise:.0f} % (median in the regions): {words}"
    return [(f"Dose, {found.case.dose.shown_method}", text)]

"""What is made of a curve: concentration, uptake, SUV; decay-corrected or not; and uptake that cannot be."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..units import BECQUEREL_PER_MEGABECQUEREL, SECONDS_PER_HOUR
from .curve_tables import require_administered, require_different_regions
from .time_activity_curve import TimeActivityCurve

REMAINING_TOLERANCE = 0.05
"""Share by which a region may hold more than physical decay leaves of the administered activity before a warning:
the uncertainty of a calibration and of a dose calibrator."""


class CurveQuantity(Enum):
    """A quantity made of a curve; the value is its name in tables."""

    ACTIVITY = "activity"
    CONCENTRATION = "concentration"
    PERCENT_ID = "percent_id"
    PERCENT_ID_PER_G = "percent_id_per_g"
    SUV = "suv"

    @property
    def unit(self) -> str:
        """Unit of the values."""
        return {"activity": "Bq", "concentration": "Bq/mL", "percent_id": "%", "percent_id_per_g": "%/g"}.get(
            self.value, "g/mL"
        )


@dataclass(frozen=True)
class CurveScales:
    """What the quantities need besides the curve; each only where it is used.

    Attributes
    ----------
    administered_bq
        Administered activity [Bq], for uptake and SUV.
    decay_constant_per_s
        Of the nuclide [1/s], for decay correction.
    body_weight_g
        Of the patient [g], for SUV.
    density_g_per_ml
        Of the region [g/mL], for uptake per mass by its volume.
    mass_g
        Of the region [g], instead of density times volume.
    """

    administered_bq: float | None = None
    decay_constant_per_s: float | None = None
    body_weight_g: float | None = None
    density_g_per_ml: float | None = None
    mass_g: float | None = None

    def __post_init__(self) -> None:
        require_administered(self.administered_bq)
        for name in ("decay_constant_per_s", "body_weight_g", "density_g_per_ml", "mass_g"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise InputError(f"{name} must be a number above zero, found {value:g}.")

    def needed(self, name: str, why: str) -> float:
        """One of the values.

        Raises
        ------
        InputError
            It was not given.
        """
        value = getattr(self, name)
        if value is None:
            raise InputError(f"{why} needs {name.replace('_', ' ')}, found none; give it.")
        return float(value)


def curve_values(
    curve: TimeActivityCurve, quantity: CurveQuantity, decay_corrected: bool, scales: CurveScales | None = None
) -> NDArray[np.float64]:
    """A quantity at each time of a curve.

    Parameters
    ----------
    curve
        Activity present.
    quantity
        What is wanted: activity [Bq], concentration [Bq/mL] (activity over volume), %ID (percent of the administered
        activity), %ID/g, or SUV by body weight [g/mL] (concentration over administered activity per gram of body).
    decay_corrected
        Whether the activity is decay-corrected to the administration first. SUV usually is; time-integrated activity
        must not be.
    scales
        Administered activity, decay constant, weight, density or mass, as the quantity needs.

    Returns
    -------
    ndarray
        Shape (n,), in `quantity.unit`.

    Raises
    ------
    InputError
        Something needed was not given, or the curve has no volume.
    """
    scales = scales or CurveScales()
    values = np.array(curve.activity_bq)
    if decay_corrected:
        with np.errstate(over="ignore"):
            values = curve.decay_corrected_bq(scales.needed("decay_constant_per_s", "Decay correction"))
        if not np.isfinite(values).all():
            raise InputError(
                f"The curve of region '{curve.region}' reaches {curve.times_h[-1]:.4g} h, too many half-lives to be "
                "decay-corrected; check nuclide and times."
            )
    if quantity is CurveQuantity.ACTIVITY:
        return values
    if quantity is CurveQuantity.PERCENT_ID:
        return 100.0 * values / scales.needed("administered_bq", "%ID")
    if quantity is CurveQuantity.PERCENT_ID_PER_G:
        mass_g = np.asarray(scales.mass_g) if scales.mass_g is not None else _mass_g(curve, scales)
        return 100.0 * values / scales.needed("administered_bq", "%ID/g") / mass_g
    concentration = values / _volume_ml(curve, quantity.value)
    if quantity is CurveQuantity.CONCENTRATION:
        return concentration
    weight_g = scales.needed("body_weight_g", "SUV")
    return concentration * weight_g / scales.needed("administered_bq", "SUV")


def quantities_csv(
    curves: Sequence[TimeActivityCurve], scales: CurveScales, masses_g: Mapping[str, float] | None = None
) -> str:
    """A table of every quantity that can be made, with and without decay correction, empty where something lacks.

    Columns: `region,time_h`, then each quantity as present at the time and, ending in `_decay_corrected`, corrected to
    the administration: activity [MBq], concentration [kBq/mL], %ID, %ID/g, SUV [g/mL].

    Raises
    ------
    InputError
        Two curves have the same region.
    """
    require_different_regions(curves)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    columns = [
        (quantity, corrected, _COLUMNS[quantity][0] + ("_decay_corrected" if corrected else ""))
        for quantity in CurveQuantity
        for corrected in (False, True)
    ]
    writer.writerow(["region", "time_h", *(name for _, _, name in columns)])
    for curve in curves:
        own = CurveScales(
            scales.administered_bq,
            scales.decay_constant_per_s,
            scales.body_weight_g,
            scales.density_g_per_ml,
            (masses_g or {}).get(curve.region, scales.mass_g),
        )
        values = [_or_none(curve, quantity, corrected, own) for quantity, corrected, _ in columns]
        factors = [_COLUMNS[quantity][1] for quantity, _, _ in columns]
        for index, time_s in enumerate(curve.times_s):
            cells = [
                "" if column is None else f"{column[index] * factor:.10g}"
                for column, factor in zip(values, factors, strict=True)
            ]
            writer.writerow([curve.region, f"{time_s / SECONDS_PER_HOUR:.10g}", *cells])
    return stream.getvalue()


def uptake_warnings(
    curves: Sequence[TimeActivityCurve], administered_bq: float | None, decay_constant_per_s: float | None
) -> dict[str, str]:
    """Regions that hold more than was administered, or more than physical decay has left of it, each with a warning.

    Empty without an administered activity. The worst time of each region is named with its number.
    """
    require_administered(administered_bq)
    found: dict[str, str] = {}
    if administered_bq is None:
        return found
    for curve in curves:
        percent = 100.0 * curve.activity_bq / administered_bq
        worst = int(np.argmax(percent))
        if percent[worst] > 100.0:
            found[curve.region] = (
                f"Region '{curve.region}' holds {percent[worst]:.4g} % of the administered activity at "
                f"{curve.times_h[worst]:g} h: more than 100 % cannot be. Check the unit of the images, their "
                "calibration, and the administered activity."
            )
        elif decay_constant_per_s is not None:
            left = np.maximum(100.0 * np.exp(-decay_constant_per_s * curve.times_s), np.finfo(np.float64).tiny)
            worst = int(np.argmax(percent / left))
            if percent[worst] > (1.0 + REMAINING_TOLERANCE) * left[worst]:
                found[curve.region] = (
                    f"Region '{curve.region}' holds {percent[worst]:.4g} % of the administered activity at "
                    f"{curve.times_h[worst]:g} h, when physical decay has left {left[worst]:.4g} %: check whether the "
                    "image is decay-corrected, its unit and time, and the administered activity."
                )
    return found


_COLUMNS = {
    CurveQuantity.ACTIVITY: ("activity_mbq", 1.0 / BECQUEREL_PER_MEGABECQUEREL),
    CurveQuantity.CONCENTRATION: ("concentration_kbq_per_ml", 1e-3),
    CurveQuantity.PERCENT_ID: ("percent_id", 1.0),
    CurveQuantity.PERCENT_ID_PER_G: ("percent_id_per_g", 1.0),
    CurveQuantity.SUV: ("suv_g_per_ml", 1.0),
}
"""Column of each quantity in the table, and the factor from the core's unit."""


def _or_none(
    curve: TimeActivityCurve, quantity: CurveQuantity, corrected: bool, scales: CurveScales
) -> NDArray[np.float64] | None:
    try:
        return curve_values(curve, quantity, corrected, scales)
    except InputError:
        return None


def _volume_ml(curve: TimeActivityCurve, what: str) -> NDArray[np.float64]:
    if curve.volume_ml is None:
        raise InputError(f"The {what} of region '{curve.region}' needs its volume, found none; give volume_ml.")
    return curve.volume_ml


def _mass_g(curve: TimeActivityCurve, scales: CurveScales) -> NDArray[np.float64]:
    return _volume_ml(curve, "%ID/g") * scales.needed("density_g_per_ml", "%ID/g")

"""Fits of all regions as JSON: megabecquerels and hours outside, becquerels and seconds inside; and back again."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import FileFormatError, InputError
from ..provenance import Record, to_json
from ..units import BECQUEREL_PER_MEGABECQUEREL, SECONDS_PER_HOUR
from .curve_fit import CurveFit, FittedParameter, ModelAverage
from .models import ActivityFunction, ExponentialSum, GammaUptake, PiecewiseLinear

BECQUEREL_SECONDS_PER_MEGABECQUEREL_HOUR = BECQUEREL_PER_MEGABECQUEREL * SECONDS_PER_HOUR

_LARGEST_FILE_BYTES = 64 * 1024 * 1024
_EDGE_UNITS = (
    ("_bq", "Bq", "_mbq", 1.0 / BECQUEREL_PER_MEGABECQUEREL),
    ("_per_s", "1/s", "_per_h", SECONDS_PER_HOUR),
)
"""End of a parameter's name and unit inside, its end in the file, and the factor from inside to the file."""


@dataclass(frozen=True, eq=False)
class FitSet(Mapping[str, CurveFit]):
    """Fits of the regions of one patient: a mapping of region to `CurveFit`.

    Attributes
    ----------
    nuclide
        Its canonical name.
    fits
        Region to its fit, in the order of the curves.
    administered_bq
        Administered activity [Bq], None if not known.
    record
        How the fits came to be.

    Raises
    ------
    InputError
        There is no fit, or the administered activity is not above zero.
    """

    nuclide: str
    fits: Mapping[str, CurveFit]
    administered_bq: float | None = None
    record: Record = field(default_factory=lambda: Record("time-activity fits"))

    def __post_init__(self) -> None:
        if not self.fits:
            raise InputError("A set of fits needs at least one region, found none.")
        administered = self.administered_bq
        if administered is not None and not (math.isfinite(administered) and administered > 0):
            raise InputError(f"The administered activity must be above zero, found {administered:g} Bq; leave it out.")

    def __getitem__(self, region: str) -> CurveFit:
        return self.fits[region]

    def __iter__(self) -> Iterator[str]:
        return iter(self.fits)

    def __len__(self) -> int:
        return len(self.fits)

    def residence_times_s(self) -> dict[str, tuple[float, float | None]]:
        """Region to time-integrated per administered activity and its standard uncertainty [s].

        Raises
        ------
        InputError
            The administered activity is not known.
        """
        if self.administered_bq is None:
            raise InputError("Residence times need the administered activity, found none; give it.")
        return {
            region: (
                fit.tia_bq_s / self.administered_bq,
                None if fit.tia_std_bq_s is None else fit.tia_std_bq_s / self.administered_bq,
            )
            for region, fit in self.fits.items()
        }


def fits_json(fit_set: FitSet) -> str:
    """The text of a fits file.

    Each region has `model`, `parameters` (name to `value` and `std`: `a_mbq`, `lambda1_per_h`, …; rates effective),
    `aicc_weights`, `tia_mbq_h`, `tia_std_mbq_h`, `shared_relative_std` (cause to its part of that, relative; absent in
    older files), `residence_time_h`, `residence_time_std_h`, `effective_half_life_h`, `warnings`, `quality`,
    `model_average` and `curve`, which alone is enough to evaluate the activity; what is not known is null.
    """
    regions = {name: _region_values(fit, fit_set.administered_bq) for name, fit in fit_set.fits.items()}
    administered = fit_set.administered_bq
    head: dict[str, Any] = {
        "quantity": "time-activity fits",
        "unit": "see names: MBq, h; rates are effective",
        "nuclide": fit_set.nuclide,
        "administered_mbq": None if administered is None else administered / BECQUEREL_PER_MEGABECQUEREL,
        "regions": regions,
    }
    return to_json({**head, **fit_set.record.as_dict()})


def residence_times_csv(fit_set: FitSet) -> str:
    """Residence times as `region,residence_time_h,std`, an empty `std` where it is not known.

    Raises
    ------
    InputError
        The administered activity is not known.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(("region", "residence_time_h", "std"))
    for region, (value_s, std_s) in fit_set.residence_times_s().items():
        std = "" if std_s is None else f"{std_s / SECONDS_PER_HOUR:.9g}"
        writer.writerow((region, f"{value_s / SECONDS_PER_HOUR:.9g}", std))
    return stream.getvalue()


def read_fits(path: Path) -> FitSet:
    """Fits from the file that `fits_json` wrote.

    A file written by hand needs per region `model` and `parameters` of an exponential model (`mono`, `bi`, `tri`,
    `uptake-clearance`), or `curve`; the rest is filled in from them where it is absent.

    Parameters
    ----------
    path
        The JSON file.

    Returns
    -------
    FitSet
        With curve, parameters, integrals and warnings; the least-squares solutions are not kept in files.

    Raises
    ------
    FileFormatError
        The file is missing, is not JSON, or lacks or garbles what is needed; the text names the region.
    """
    values = _json_object(Path(path))
    regions = values.get("regions")
    if not isinstance(regions, dict) or not regions:
        raise FileFormatError(f"{path} holds no regions; expected the fits file that `radiodosimetry fit` writes.")
    fits = {}
    for name, entry in regions.items():
        try:
            fits[name] = _fit_from(name, entry)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            reason = f"'{error.args[0]}' is missing" if isinstance(error, KeyError) else str(error)
            raise FileFormatError(
                f"Region '{name}' of {path} cannot be read ({reason.rstrip('.')}); write the file anew."
            ) from error
    administered = values.get("administered_mbq")
    if administered is not None and not (_is_number(administered) and administered > 0):
        raise FileFormatError(f"{path} has administered_mbq {administered!r}; expected a number above zero or null.")
    record = Record.from_dict(values) if isinstance(values.get("operation"), str) else Record("time-activity fits")
    known = None if administered is None else float(administered) * BECQUEREL_PER_MEGABECQUEREL
    return FitSet(str(values.get("nuclide", "unknown")), fits, known, record)


def _region_values(fit: CurveFit, administered_bq: float | None) -> dict[str, Any]:
    """One region as JSON-ready values in MBq and h."""
    unit = BECQUEREL_SECONDS_PER_MEGABECQUEREL_HOUR
    per_administered = None if administered_bq is None else 1.0 / (administered_bq * SECONDS_PER_HOUR)
    std = fit.tia_std_bq_s
    average = fit.model_average
    return {
        "model": fit.model,
        "parameters": dict(_outside(name, parameter) for name, parameter in fit.parameters.items()),
        "aicc_weights": dict(fit.aicc_weights),
        "tia_mbq_h": fit.tia_bq_s / unit,
        "tia_std_mbq_h": None if std is None else std / unit,
        "shared_relative_std": dict(fit.shared_relative_std),
        "residence_time_h": None if per_administered is None else fit.tia_bq_s * per_administered,
        "residence_time_std_h": None if per_administered is None or std is None else std * per_administered,
        "effective_half_life_h": _scaled(fit.effective_half_life_s, 1.0 / SECONDS_PER_HOUR),
        "warnings": list(fit.warnings),
        "quality": list(fit.quality),
        "model_average": None
        if average is None
        else {
            "tia_mbq_h": average.tia_bq_s / unit,
            "tia_std_mbq_h": _scaled(average.tia_std_bq_s, 1.0 / unit),
            "tia_of_model_mbq_h": {name: value / unit for name, value in average.tia_of_model_bq_s.items()},
        },
        "curve": _curve_values(fit.curve),
    }


def _outside(name: str, parameter: FittedParameter) -> tuple[str, dict[str, float | None]]:
    """Name, value and uncertainty of a parameter in MBq and h."""
    for inner, _, outer, factor in _EDGE_UNITS:
        if name.endswith(inner):
            edge_name = name.removesuffix(inner) + outer
            return edge_name, {"value": parameter.value * factor, "std": _scaled(parameter.std, factor)}
    return name, {"value": parameter.value, "std": parameter.std}


def _inside(name: str, entry: Mapping[str, Any] | float) -> tuple[str, FittedParameter]:
    """The same back in Bq and s; a plain number is a value without uncertainty."""
    value, std = (entry["value"], entry.get("std")) if isinstance(entry, Mapping) else (entry, None)
    for inner, unit, outer, factor in _EDGE_UNITS:
        if name.endswith(outer):
            known = None if std is None else _number(std) / factor
            return name.removesuffix(outer) + inner, FittedParameter(_number(value) / factor, known, unit)
    return name, FittedParameter(_number(value), None if std is None else _number(std), "1")


def _curve_values(curve: ActivityFunction) -> dict[str, Any]:
    """What it takes to evaluate the activity, in MBq and h."""
    if isinstance(curve, ExponentialSum):
        return {
            "kind": "exponentials",
            "amplitudes_mbq": curve.amplitudes_bq / BECQUEREL_PER_MEGABECQUEREL,
            "rates_per_h": curve.rates_per_s * SECONDS_PER_HOUR,
        }
    if isinstance(curve, GammaUptake):
        return {
            "kind": "gamma-uptake",
            "amplitude_mbq": curve.amplitude_bq / BECQUEREL_PER_MEGABECQUEREL,
            "shape": curve.shape,
            "uptake_rate_per_h": curve.uptake_rate_per_s * SECONDS_PER_HOUR,
            "decay_constant_per_h": curve.decay_constant_per_s * SECONDS_PER_HOUR,
        }
    if isinstance(curve, PiecewiseLinear):
        return {
            "kind": "straight-lines",
            "times_h": curve.times_s / SECONDS_PER_HOUR,
            "activity_mbq": curve.activity_bq / BECQUEREL_PER_MEGABECQUEREL,
            "tail_rate_per_h": curve.tail_rate_per_s * SECONDS_PER_HOUR,
            "tail_start_mbq": _scaled(curve.tail_start_bq, 1.0 / BECQUEREL_PER_MEGABECQUEREL),
        }
    raise TypeError(f"No file form is known for a curve of type {type(curve).__name__}.")


def _curve_from(values: Mapping[str, Any]) -> ActivityFunction:
    kind = values["kind"]
    if kind == "exponentials":
        return ExponentialSum(
            np.array(values["amplitudes_mbq"], dtype=np.float64) * BECQUEREL_PER_MEGABECQUEREL,
            np.array(values["rates_per_h"], dtype=np.float64) / SECONDS_PER_HOUR,
        )
    if kind == "gamma-uptake":
        return GammaUptake(
            _number(values["amplitude_mbq"]) * BECQUEREL_PER_MEGABECQUEREL,
            _number(values["shape"]),
            _number(values["uptake_rate_per_h"]) / SECONDS_PER_HOUR,
            _number(values["decay_constant_per_h"]) / SECONDS_PER_HOUR,
        )
    if kind == "straight-lines":
        start = values.get("tail_start_mbq")
        return PiecewiseLinear(
            np.array(values["times_h"], dtype=np.float64) * SECONDS_PER_HOUR,
            np.array(values["activity_mbq"], dtype=np.float64) * BECQUEREL_PER_MEGABECQUEREL,
            _number(values["tail_rate_per_h"]) / SECONDS_PER_HOUR,
            None if start is None else _number(start) * BECQUEREL_PER_MEGABECQUEREL,
        )
    raise ValueError(f"a curve of kind '{kind}' is unknown")


def _fit_from(name: str, entry: Mapping[str, Any]) -> CurveFit:
    """One region; integral and half-life from the curve where the file does not say."""
    unit = BECQUEREL_SECONDS_PER_MEGABECQUEREL_HOUR
    model = str(entry["model"])
    parameters = dict(_inside(key, value) for key, value in entry.get("parameters", {}).items())
    stored = entry.get("curve")
    curve = _curve_from(stored) if stored is not None else _exponentials_of(model, parameters)
    tia, std, half_life = (entry.get(key) for key in ("tia_mbq_h", "tia_std_mbq_h", "effective_half_life_h"))
    average = entry.get("model_average")
    return CurveFit(
        name,
        model,
        parameters,
        None,
        curve,
        {key: _number(weight) for key, weight in entry.get("aicc_weights", {}).items()},
        curve.integral_bq_s() if tia is None else _number(tia) * unit,
        None if std is None else _number(std) * unit,
        None if half_life is None else _number(half_life) * SECONDS_PER_HOUR,
        tuple(str(warning) for warning in entry.get("warnings", ())),
        tuple(str(word) for word in entry.get("quality", ())),
        None if average is None else _average_from(average),
        shared_relative_std={
            str(cause): _number(part) for cause, part in (entry.get("shared_relative_std") or {}).items()
        },
    )


def _average_from(values: Mapping[str, Any]) -> ModelAverage:
    unit = BECQUEREL_SECONDS_PER_MEGABECQUEREL_HOUR
    std = values.get("tia_std_mbq_h")
    return ModelAverage(
        _number(values["tia_mbq_h"]) * unit,
        None if std is None else _number(std) * unit,
        {key: _number(value) * unit for key, value in values["tia_of_model_mbq_h"].items()},
    )


def _exponentials_of(model: str, parameters: Mapping[str, FittedParameter]) -> ExponentialSum:
    """The curve of an exponential model from its parameters alone."""
    if model == "uptake-clearance":
        amplitude = parameters["a_bq"].value
        rates = [parameters["lambda1_per_s"].value, parameters["lambda2_per_s"].value]
        return ExponentialSum(np.array([amplitude, -amplitude]), np.array(rates))
    counts = {"mono": 1, "madsen": 1, "physical": 1, "bi": 2, "tri": 3}
    if model not in counts:
        raise ValueError(f"model '{model}' needs its curve")
    count = counts[model]
    amplitudes = [parameters["a_bq" if count == 1 else f"a{index}_bq"].value for index in range(1, count + 1)]
    rates = [parameters[f"lambda{index}_per_s"].value for index in range(1, count + 1)]
    return ExponentialSum(np.array(amplitudes), np.array(rates))


def _json_object(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _LARGEST_FILE_BYTES:
            raise FileFormatError(f"{path} is larger than any fits file; give the JSON of a fit.")
        values = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(f"The fits file {path} cannot be read ({error}); give the JSON of a fit.") from error
    if not isinstance(values, dict):
        raise FileFormatError(f"The fits file {path} must hold a JSON object, found {type(values).__name__}.")
    return values


def _number(value: Any) -> float:
    if not _is_number(value):
        raise ValueError(f"found {value!r}, expected a finite number")
    return float(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor

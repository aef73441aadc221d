"""Recovery of activity lost by the blur of the image: coefficients by volume, from phantom spheres."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import OptimizeWarning, curve_fit

from ..errors import FileFormatError, InputError
from ..provenance import Record, file_identity
from .curve_tables import cell_number, table_rows

RECOVERY_COLUMNS = ("volume_ml", "recovery")
"""Columns a recovery table must have; `std` (of the coefficient) may follow."""

RECOVERY_METHODS = ("fitted", "interpolated")
"""A curve 1/(1 + (b/V)^c) fitted to the points, or straight lines between them over the logarithm of the volume."""

FEWEST_POINTS_TO_FIT = 3
"""The curve has two parameters; with two points it would fit anything exactly."""

LARGEST_RECOVERY = 1.5
"""Edge artefacts of resolution modelling lift recovery above 1, never this far; more is per cent given as shares."""

POOR_FIT = 0.05
"""Root mean square residual of the fitted curve (in units of recovery) beyond which the record warns."""


@dataclass(frozen=True, eq=False)
class RecoveryCurve:
    """Recovery coefficient, the measured share of a region's activity, as a function of its volume.

    Attributes
    ----------
    volumes_ml, coefficients
        Measured points, volumes rising, shape (n,).
    std
        Standard uncertainties of the coefficients, shape (n,), None if unknown.
    method
        One of `RECOVERY_METHODS`.
    parameters
        Of the fitted curve: `b_ml`, `c`, their standard errors and correlation, `rms_residual`; empty if interpolated.
    record
        How the curve came to be.

    References
    ----------
    .. [1] Gear et al., EANM practical guidance on uncertainty analysis for molecular radiotherapy absorbed dose
       calculations, Eur J Nucl Med Mol Imaging 45 (2018) 2456-2474, doi:10.1007/s00259-018-4136-7 (form of the curve).
    """

    volumes_ml: NDArray[np.float64]
    coefficients: NDArray[np.float64]
    std: NDArray[np.float64] | None = None
    method: str = "fitted"
    parameters: Mapping[str, float] = field(default_factory=dict)
    record: Record = field(default_factory=lambda: Record("recovery coefficients given as numbers"))

    def __post_init__(self) -> None:
        for name in ("volumes_ml", "coefficients", "std"):
            if getattr(self, name) is not None:
                column = np.array(getattr(self, name), dtype=np.float64)
                column.setflags(write=False)
                object.__setattr__(self, name, column)
        _check_points(self.volumes_ml, self.coefficients, self.std, self.method)
        if self.method == "fitted":
            object.__setattr__(self, "parameters", _fit(self.volumes_ml, self.coefficients, self.std))

    def at(self, volume_ml: ArrayLike) -> NDArray[np.float64]:
        """Recovery coefficient at each volume [mL], same shape.

        Outside the measured volumes the fitted curve goes on, towards 0 and 1; the interpolated one keeps its last
        value. `warnings_for` tells.
        """
        volumes = np.asarray(volume_ml, dtype=np.float64)
        if self.method == "fitted":
            return _logistic(volumes, self.parameters["b_ml"], self.parameters["c"])
        return np.asarray(np.interp(np.log(volumes), np.log(self.volumes_ml), self.coefficients))

    def relative_std(self, volume_ml: ArrayLike) -> NDArray[np.float64]:
        """Relative standard uncertainty of the coefficient at each volume [mL], zero where nothing is known of it.

        Of the fitted curve it follows from the covariance of b and c; of the interpolated one from the points' `std`.
        """
        volumes = np.asarray(volume_ml, dtype=np.float64)
        if self.method == "interpolated":
            if self.std is None:
                return np.zeros_like(volumes)
            return np.asarray(np.interp(np.log(volumes), np.log(self.volumes_ml), self.std)) / self.at(volumes)
        b, c = self.parameters["b_ml"], self.parameters["c"]
        value = _logistic(volumes, b, c)
        by_b = (1.0 - value) * c / b  # −d ln R/db
        by_c = (1.0 - value) * np.log(b / volumes)  # −d ln R/dc
        std_b, std_c = self.parameters["b_std_ml"], self.parameters["c_std"]
        covariance = self.parameters["correlation"] * std_b * std_c
        return np.sqrt((by_b * std_b) ** 2 + (by_c * std_c) ** 2 + 2.0 * by_b * by_c * covariance)

    def warnings_for(self, region: str, volume_ml: ArrayLike) -> tuple[str, ...]:
        """A warning where a region's volume [mL] lies outside the measured ones, or the curve fits them badly."""
        return (*self._poor_fit(), *self._extrapolation(region, volume_ml))

    def _poor_fit(self) -> tuple[str, ...]:
        residual = self.parameters.get("rms_residual", 0.0)
        if residual <= POOR_FIT:
            return ()
        return (
            f"The recovery curve 1/(1 + (b/V)^c) misses its points by {residual:.3f} (root mean square): look at the "
            "coefficients, or interpolate them.",
        )

    def _extrapolation(self, region: str, volume_ml: ArrayLike) -> tuple[str, ...]:
        volumes = np.atleast_1d(np.asarray(volume_ml, dtype=np.float64))
        first, last = float(self.volumes_ml[0]), float(self.volumes_ml[-1])
        outside = volumes[(volumes < first) | (volumes > last)]
        if outside.size == 0:
            return ()
        volume = float(outside[np.argmax(np.abs(np.log(outside / math.sqrt(first * last))))])
        how = "the fitted curve was extrapolated" if self.method == "fitted" else "the nearest coefficient was kept"
        return (
            f"The volume of region '{region}', {volume:.4g} mL, lies outside the {first:.4g} to {last:.4g} mL that "
            f"recovery was measured for: {how} to {float(self.at(volume)):.3f}.",
        )

    def as_dict(self) -> dict[str, object]:
        """What a record says of it."""
        return {
            "method": self.method,
            "form": "1/(1 + (b/V)^c)" if self.method == "fitted" else "linear over the logarithm of the volume",
            "volumes_ml": self.volumes_ml,
            "coefficients": self.coefficients,
            "std": self.std,
            **self.parameters,
        }


def read_recovery(path: Path, method: str | None = None) -> RecoveryCurve:
    """Recovery coefficients from a CSV with the columns `volume_ml,recovery` and, if known, `std`.

    Parameters
    ----------
    path
        The table; lines in any order.
    method
        One of `RECOVERY_METHODS`; None fits where there are `FEWEST_POINTS_TO_FIT` points and else interpolates.

    Raises
    ------
    FileFormatError
        The file is missing, lacks a column or lines, or holds something that is no number.
    InputError
        A volume or coefficient is out of range or comes twice, or the curve cannot be fitted.
    """
    path = Path(path)
    points = []
    for line, cells in table_rows(path, RECOVERY_COLUMNS):
        std_text = cells.get("std", "")
        points.append(
            (
                *(cell_number(cells.get(name, ""), f"{name} in line {line} of {path}") for name in RECOVERY_COLUMNS),
                cell_number(std_text, f"std in line {line} of {path}") if std_text else math.nan,
            )
        )
    if not points:
        raise FileFormatError(f"{path} has a header and no line below it; expected one line per sphere.")
    volumes_ml, coefficients, std = np.array(sorted(points)).T
    if method is None:
        method = "fitted" if len(points) >= FEWEST_POINTS_TO_FIT else "interpolated"
    record = Record("recovery coefficients read from a table", inputs={"recovery": file_identity(path)})
    try:
        return RecoveryCurve(volumes_ml, coefficients, None if np.isnan(std).any() else std, method, record=record)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _logistic(volume_ml: NDArray[np.float64], b_ml: float, c: float) -> NDArray[np.float64]:
    return np.asarray(1.0 / (1.0 + (b_ml / volume_ml) ** c))


def _check_points(
    volumes_ml: NDArray[np.float64], coefficients: NDArray[np.float64], std: NDArray[np.float64] | None, method: str
) -> None:
    if method not in RECOVERY_METHODS:
        raise InputError(f"Recovery method '{method}' is unknown; expected one of: {', '.join(RECOVERY_METHODS)}.")
    columns = [volumes_ml, coefficients, *([] if std is None else [std])]
    if volumes_ml.ndim != 1 or volumes_ml.size == 0 or any(column.shape != volumes_ml.shape for column in columns):
        raise InputError("Recovery needs one coefficient (and one std, or none) per volume; found unequal numbers.")
    if not (np.isfinite(volumes_ml).all() and volumes_ml.min() > 0):
        raise InputError(f"Volumes of recovery coefficients must be above zero, found {volumes_ml.min():g} mL.")
    if (np.diff(volumes_ml) <= 0).any():
        raise InputError("Volumes of recovery coefficients must differ and rise; average points of the same volume.")
    bad = coefficients[~((coefficients > 0) & (coefficients <= LARGEST_RECOVERY))]
    if bad.size:
        raise InputError(
            f"A recovery coefficient is {bad[0]:g}; expected a share above 0 and at most {LARGEST_RECOVERY:g}, not "
            "per cent."
        )
    if std is not None and not (np.isfinite(std).all() and std.min() >= 0):
        raise InputError(f"The std of a recovery coefficient must not be negative, found {std.min():g}.")
    if method == "fitted" and volumes_ml.size < FEWEST_POINTS_TO_FIT:
        raise InputError(
            f"A recovery curve is fitted to at least {FEWEST_POINTS_TO_FIT} points, found {volumes_ml.size}; measure "
            "more spheres, or interpolate."
        )


def _fit(
    volumes_ml: NDArray[np.float64], coefficients: NDArray[np.float64], std: NDArray[np.float64] | None
) -> dict[str, float]:
    """b and c by least squares over their logarithms, which keeps both above zero."""
    weights = None if std is None or std.min() == 0 else std

    def model(logarithms: NDArray[np.float64], log_b: float, log_c: float) -> NDArray[np.float64]:
        return np.asarray(1.0 / (1.0 + np.exp(np.exp(log_c) * (log_b - logarithms))))

    half = float(np.interp(0.5, np.maximum.accumulate(coefficients), np.log(volumes_ml)))
    try:
        with warnings.catch_warnings(), np.errstate(over="ignore"):
            warnings.simplefilter("ignore", OptimizeWarning)  # a covariance that is not finite is looked for below
            found, covariance = curve_fit(
                model, np.log(volumes_ml), coefficients, (half, 0.0), weights, absolute_sigma=weights is not None
            )
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"No curve 1/(1 + (b/V)^c) fits the recovery coefficients ({error}); expected them to rise with the "
            "volume towards 1. Interpolate them instead."
        ) from error
    b_ml, c = math.exp(found[0]), math.exp(found[1])
    if not (np.isfinite(covariance).all() and np.isfinite((b_ml, c)).all()):
        raise InputError(
            "No curve 1/(1 + (b/V)^c) fits the recovery coefficients: they do not determine it. Interpolate them."
        )
    log_std = np.sqrt(np.diag(covariance))
    residuals = model(np.log(volumes_ml), *found) - coefficients
    return {
        "b_ml": b_ml,
        "c": c,
        "b_std_ml": b_ml * float(log_std[0]),
        "c_std": c * float(log_std[1]),
        "correlation": float(covariance[0, 1] / (log_std[0] * log_std[1])) if log_std.min() > 0 else 0.0,
        "rms_residual": float(np.sqrt(np.mean(residuals**2))),
    }

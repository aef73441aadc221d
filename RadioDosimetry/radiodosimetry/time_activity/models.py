"""Activity of a region as a function of time: exponentials, uptake by a gamma variate, straight lines with a tail."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammainc, gammaln, psi

from ..errors import InputError

_SERIES_TOLERANCE = 1e-17
_LONGEST_SERIES = 4000


class ActivityFunction(Protocol):
    """Activity present in a region at any time after administration, with its integral."""

    def value(self, times_s: ArrayLike) -> NDArray[np.float64]:
        """Activity [Bq] at times after administration [s], shape of `times_s`."""

    def integral_bq_s(self, start_s: float = 0.0, end_s: float = math.inf) -> float:
        """Time-integrated activity [Bq s] between two times after administration [s]."""

    @property
    def final_rate_per_s(self) -> float:
        """Effective rate at which the activity finally falls [1/s]."""


@dataclass(frozen=True, eq=False)
class ExponentialSum:
    """A sum of exponentials, Σ a·exp(−λt).

    Attributes
    ----------
    amplitudes_bq
        Amplitudes at administration [Bq], shape (m,); negative ones describe uptake.
    rates_per_s
        Effective rates, physical decay and clearance together [1/s], shape (m,), all above zero.

    Raises
    ------
    InputError
        Shapes differ, a number is not finite or a rate is not above zero.
    """

    amplitudes_bq: NDArray[np.float64]
    rates_per_s: NDArray[np.float64]

    def __post_init__(self) -> None:
        amplitudes = np.atleast_1d(np.array(self.amplitudes_bq, dtype=np.float64))
        rates = np.atleast_1d(np.array(self.rates_per_s, dtype=np.float64))
        if amplitudes.ndim != 1 or amplitudes.shape != rates.shape or amplitudes.size == 0:
            raise InputError(
                f"A sum of exponentials needs as many amplitudes as rates, found shapes {amplitudes.shape} and "
                f"{rates.shape}."
            )
        if not (np.all(np.isfinite(amplitudes)) and np.all(np.isfinite(rates)) and np.all(rates > 0)):
            raise InputError(
                f"A sum of exponentials needs finite amplitudes and rates above zero, found amplitudes "
                f"{amplitudes.tolist()} Bq and rates {rates.tolist()} per s."
            )
        for name, array in (("amplitudes_bq", amplitudes), ("rates_per_s", rates)):
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    def value(self, times_s: ArrayLike) -> NDArray[np.float64]:
        """Activity [Bq] at times after administration [s], shape of `times_s`."""
        times = np.asarray(times_s, dtype=np.float64)
        return np.asarray(np.exp(-times[..., None] * self.rates_per_s) @ self.amplitudes_bq)

    def integral_bq_s(self, start_s: float = 0.0, end_s: float = math.inf) -> float:
        """Time-integrated activity [Bq s] between two times after administration [s]."""
        _require_interval(start_s, end_s)
        # exp(−λa) − exp(−λb) = −exp(−λa)·expm1(−λ(b − a)) keeps its digits for short intervals.
        decayed = -np.expm1(-self.rates_per_s * (end_s - start_s)) * np.exp(-self.rates_per_s * start_s)
        return float(np.sum(self.amplitudes_bq * decayed / self.rates_per_s))

    @property
    def final_rate_per_s(self) -> float:
        """Rate of the slowest phase that has an amplitude [1/s]."""
        present = self.rates_per_s[self.amplitudes_bq != 0]
        return float(present.min() if present.size else self.rates_per_s.min())


@dataclass(frozen=True)
class GammaUptake:
    """Uptake by a gamma-variate transit, then nothing but physical decay: A·P(α, βt)·exp(−λ_phys t).

    What arrives per time follows a gamma variate t^(α−1)·exp(−βt); P, the regularised lower incomplete gamma function,
    is its integral. Nothing leaves the region but by physical decay: the tail is physical.

    Attributes
    ----------
    amplitude_bq
        Activity taken up in the end, as of administration [Bq].
    shape
        α, above zero; α = 1 is uptake at a constant rate of what is left, 1 − exp(−βt).
    uptake_rate_per_s
        β [1/s].
    decay_constant_per_s
        λ_phys [1/s].
    """

    amplitude_bq: float
    shape: float
    uptake_rate_per_s: float
    decay_constant_per_s: float

    def __post_init__(self) -> None:
        for name in ("shape", "uptake_rate_per_s", "decay_constant_per_s"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise InputError(
                    f"{name} of an uptake must be a finite number above zero, found {getattr(self, name)}."
                )
        if not math.isfinite(self.amplitude_bq):
            raise InputError(f"amplitude_bq of an uptake must be a finite number, found {self.amplitude_bq}.")

    def value(self, times_s: ArrayLike) -> NDArray[np.float64]:
        """Activity [Bq] at times after administration [s], shape of `times_s`."""
        times = np.asarray(times_s, dtype=np.float64)
        taken_up = gammainc(self.shape, self.uptake_rate_per_s * times)
        return np.asarray(self.amplitude_bq * taken_up * np.exp(-self.decay_constant_per_s * times))

    def integral_bq_s(self, start_s: float = 0.0, end_s: float = math.inf) -> float:
        """Time-integrated activity [Bq s] between two times after administration [s]."""
        _require_interval(start_s, end_s)
        return self._integral_until(end_s) - (self._integral_until(start_s) if start_s > 0 else 0.0)

    def _integral_until(self, time_s: float) -> float:
        """By parts: ∫P(α, βt)e^(−λt)dt = [(β/(β+λ))^α·P(α, (β+λ)t) − P(α, βt)e^(−λt)]/λ."""
        rate, decay = self.uptake_rate_per_s, self.decay_constant_per_s
        ratio = (rate / (rate + decay)) ** self.shape
        if math.isinf(time_s):
            return self.amplitude_bq * ratio / decay
        left = gammainc(self.shape, rate * time_s) * math.exp(-decay * time_s)
        return float(self.amplitude_bq * (ratio * gammainc(self.shape, (rate + decay) * time_s) - left) / decay)

    @property
    def final_rate_per_s(self) -> float:
        """The decay constant [1/s]."""
        return self.decay_constant_per_s


@dataclass(frozen=True, eq=False)
class PiecewiseLinear:
    """Straight lines from zero at administration through measured points, then one exponential.

    Attributes
    ----------
    times_s
        Times of the points [s], shape (n,), strictly ascending, not below zero. Where the first is above zero the
        activity rises from 0 at time 0 (Kim 2022).
    activity_bq
        Activity at the points [Bq], shape (n,).
    tail_rate_per_s
        Effective rate after the last point [1/s].
    tail_start_bq
        Activity from which the tail falls at the last time [Bq]; the last point's by default, another where the tail
        was fitted to several points.

    References
    ----------
    .. [1] Kim et al., Nucl Med Mol Imaging 56 (2022), eq. 1: trapezoids from A(0) = 0 and a physical tail.
    """

    times_s: NDArray[np.float64]
    activity_bq: NDArray[np.float64]
    tail_rate_per_s: float
    tail_start_bq: float | None = None

    def __post_init__(self) -> None:
        times = np.atleast_1d(np.array(self.times_s, dtype=np.float64))
        activity = np.atleast_1d(np.array(self.activity_bq, dtype=np.float64))
        if times.ndim != 1 or times.shape != activity.shape or times.size == 0:
            raise InputError(
                f"A polyline needs as many times as activities, found shapes {times.shape} and {activity.shape}."
            )
        if not (np.all(np.isfinite(times)) and np.all(np.diff(times) > 0) and times[0] >= 0):
            raise InputError(f"Times must ascend from zero or later, found {times.tolist()} s.")
        if not np.all(np.isfinite(activity)):
            raise InputError(f"Activities must be finite numbers, found {activity.tolist()} Bq.")
        if not (math.isfinite(self.tail_rate_per_s) and self.tail_rate_per_s > 0):
            raise InputError(f"The tail needs a rate above zero, found {self.tail_rate_per_s} per s.")
        for name, array in (("times_s", times), ("activity_bq", activity)):
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        if self.tail_start_bq is None:
            object.__setattr__(self, "tail_start_bq", float(activity[-1]))

    def value(self, times_s: ArrayLike) -> NDArray[np.float64]:
        """Activity [Bq] at times after administration [s], shape of `times_s`."""
        times = np.asarray(times_s, dtype=np.float64)
        corner_times, corners = self._corners()
        after = np.maximum(times - corner_times[-1], 0.0)
        tail = self._tail_start_bq * np.exp(-self.tail_rate_per_s * after)
        return np.where(times > corner_times[-1], tail, np.interp(times, corner_times, corners))

    def integral_bq_s(self, start_s: float = 0.0, end_s: float = math.inf) -> float:
        """Time-integrated activity [Bq s] between two times after administration [s]."""
        _require_interval(start_s, end_s)
        corner_times, corners = self._corners()
        last_s = float(corner_times[-1])
        begin, end = min(start_s, last_s), min(end_s, last_s)
        inner = corner_times[(corner_times > begin) & (corner_times < end)]
        nodes = np.concatenate([[begin], inner, [end]])
        lines = float(np.trapezoid(np.interp(nodes, corner_times, corners), nodes))
        begin, end = max(start_s, last_s) - last_s, max(end_s, last_s) - last_s
        tail = -math.exp(-self.tail_rate_per_s * begin) * math.expm1(-self.tail_rate_per_s * (end - begin))
        return lines + self._tail_start_bq * tail / self.tail_rate_per_s

    @property
    def final_rate_per_s(self) -> float:
        """Rate of the tail [1/s]."""
        return self.tail_rate_per_s

    @property
    def _tail_start_bq(self) -> float:
        return float(self.activity_bq[-1] if self.tail_start_bq is None else self.tail_start_bq)

    def _corners(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Times and activities of all corners, the zero at administration included."""
        if self.times_s[0] == 0:
            return self.times_s, self.activity_bq
        return np.concatenate([[0.0], self.times_s]), np.concatenate([[0.0], self.activity_bq])


def gammainc_shape_derivative(shape: float, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """∂P(α, x)/∂α of the regularised lower incomplete gamma function, by its ascending series.

    Parameters
    ----------
    shape
        α, above zero.
    x
        Second argument, not below zero, any shape.

    References
    ----------
    .. [1] NIST Digital Library of Mathematical Functions, 8.7.1 (the series that is differentiated term by term).
    """
    x = np.asarray(x, dtype=np.float64)
    derivative = np.zeros_like(x)
    # Far beyond the mean of the gamma variate P is 1 for every shape near this one.
    inside = (x > 0) & (x < shape + 40.0 * math.sqrt(shape) + 60.0)
    if not inside.any():
        return derivative
    z = x[inside]
    log_z = np.log(z)
    total = np.zeros_like(z)
    for n in range(_LONGEST_SERIES):
        log_term = (shape + n) * log_z - z - gammaln(shape + n + 1.0)
        term = np.exp(log_term) * (log_z - psi(shape + n + 1.0))
        total += term
        if n > z.max() and np.all(np.abs(term) <= _SERIES_TOLERANCE * (np.abs(total) + _SERIES_TOLERANCE)):
            break
    derivative[inside] = total
    return derivative


def _require_interval(start_s: float, end_s: float) -> None:
    if not (0 <= start_s <= end_s) or math.isinf(start_s):
        raise InputError(f"An integral runs from a time not below zero to a later one, found {start_s} s to {end_s} s.")

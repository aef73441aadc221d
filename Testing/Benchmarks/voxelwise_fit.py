"""Speed and peak memory of voxel-wise time-integrated activity against a loop of scipy.optimize.curve_fit, in one run.

    python Testing/Benchmarks/voxelwise_fit.py [--side 128] [--sample 2000] [--threads N]

Four noisy scans of a cube of voxels, all of them active. The loop fits a sample of the same voxels: once as plain as
can be (no bounds, the unit of time chosen well, the start at the first scan), once with the bound that our fit keeps, λ
no slower than physical decay. Wanted: at least 200 times as fast per voxel as the plain loop, counted in core-seconds,
which a busy machine changes least and which give ours no credit for its threads. The best of three runs counts, of the
loop and of ours (of the long bi-exponential the only one). Every measurement of ours runs in a process of its own, so
that its peak memory is its own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from reporting import peak_memory_mb, print_table, timed
from scipy.optimize import curve_fit

from radiodosimetry.images.geometry import VolumeGeometry
from radiodosimetry.images.regions import Region
from radiodosimetry.images.volume import QuantitativeVolume
from radiodosimetry.nuclides import Radionuclide
from radiodosimetry.time_activity.models import ExponentialSum
from radiodosimetry.time_activity.scans import Scan
from radiodosimetry.time_activity.voxelwise import TiaOptions, tia_map
from radiodosimetry.time_activity.voxelwise_models import VoxelModel
from radiodosimetry.units import SECONDS_PER_HOUR, Quantity

TIMES_H = np.array([4.0, 24.0, 72.0, 120.0])

WANTED_RATIO = 200.0

NOISE = 0.10
"""Relative standard deviation of a voxel in one scan."""


REPEATS = 3


@dataclass(frozen=True)
class OrganCurve:
    """A fitted organ as `organ-shape` takes it."""

    curve: ExponentialSum
    tia_std_bq_s: float | None = None

    @property
    def tia_bq_s(self) -> float:
        """Time-integrated activity [Bq s]."""
        return self.curve.integral_bq_s()

    def value(self, times_s: np.ndarray) -> np.ndarray:
        """Activity [Bq]."""
        return self.curve.value(times_s)


def scans_of(side: int) -> list[Scan]:
    """Four scans of a cube whose voxels clear with half-lives from twelve hours to five days."""
    rng = np.random.default_rng(1)
    shape = (side, side, side)
    rates_per_h = np.log(2.0) / rng.uniform(12.0, 120.0, shape)
    amplitudes = np.exp(rng.normal(10.0, 1.0, shape))
    geometry = VolumeGeometry(shape, (4.0, 4.0, 4.0))
    scans = []
    for time_h in TIMES_H:
        values = amplitudes * np.exp(-rates_per_h * time_h) * (1 + NOISE * rng.normal(size=shape))
        volume = QuantitativeVolume(values.astype(np.float32), geometry, Quantity.ACTIVITY_CONCENTRATION)
        scans.append(Scan(time_h * SECONDS_PER_HOUR, volume))
    return scans


def ours(side: int, method: str, threads: int | None) -> tuple[float, float, float, float, np.ndarray, np.ndarray]:
    """Seconds, core-seconds, peak memory with the scans and before the fit [MB], map and models of all voxels."""
    scans = scans_of(side)
    decay = Radionuclide("Lu-177").decay_constant_per_s
    options = TiaOptions(threads=threads)
    regions, curves = [], {}
    if method == "organ-shape":
        left = np.zeros((side, side, side), bool)
        left[:, :, : side // 2] = True
        regions = [Region("left", left, "left"), Region("right", ~left, "right")]
        fitted = ExponentialSum(np.array([1e9]), np.array([0.012 / SECONDS_PER_HOUR]))
        curves = {region.name: OrganCurve(fitted) for region in regions}
    before = peak_memory_mb()
    repeats = 1 if method == "bi" else REPEATS
    made, seconds, cores = best(lambda: tia_map(scans, decay, method, options, regions, curves), repeats)
    return seconds, cores, peak_memory_mb(), before, made.tia.array_kji.ravel(), made.model_map_kji.ravel()


def loop(data: np.ndarray, lowest_rate_per_h: float | None) -> np.ndarray:
    """Time-integrated activity [Bq h/mL] of each column of `data` by curve_fit; NaN where it gives up."""
    found = np.full(data.shape[1], np.nan)
    bounds = {} if lowest_rate_per_h is None else {"bounds": ([0.0, lowest_rate_per_h], [np.inf, np.inf])}
    for voxel, values in enumerate(data.T):
        try:
            (a, rate), _ = curve_fit(
                lambda t, a, rate: a * np.exp(-rate * t), TIMES_H, values, p0=(values[0], 0.02), **bounds
            )
        except RuntimeError:
            continue
        found[voxel] = a / rate
    return found


def best(work: Callable, repeats: int) -> tuple:
    """What `work` returns, and the least seconds and core-seconds of some runs."""
    runs = [timed(work) for _ in range(repeats)]
    return runs[-1][0], min(run[1] for run in runs), min(run[2] for run in runs)


def ratios(reference_s: np.ndarray, seconds: float, core_seconds: float) -> tuple[str, str]:
    """How many times as fast as the reference, by the clock and per core."""
    return f"{reference_s[0] / seconds:.3g}", f"{reference_s[1] / core_seconds:.3g}"


def alone(work: Callable, *arguments: object):
    """What a function returns in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


def main() -> int:
    """Measure, print, and fail where the ratio is below what is wanted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--sample", type=int, default=2000)
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    count = arguments.side**3
    decay_per_h = Radionuclide("Lu-177").decay_constant_per_s * SECONDS_PER_HOUR
    scans = scans_of(arguments.side)
    sample = np.random.default_rng(2).choice(count, arguments.sample, replace=False)
    data = np.stack([scan.volume.array_kji.ravel()[sample] for scan in scans]).astype(np.float64)
    del scans
    plain, *plain_s = best(lambda: loop(data, None), REPEATS)
    bounded_part = max(arguments.sample // 10, 1)
    _, *bounded_s = best(lambda: loop(data[:, :bounded_part], decay_per_h), REPEATS)
    whole_s = {
        "curve_fit loop, no bounds": np.array(plain_s) * count / arguments.sample,
        "curve_fit loop, λ ≥ λ_phys": np.array(bounded_s) * count / bounded_part,
    }
    reference_s = whole_s["curve_fit loop, no bounds"]
    rows = [
        (f"{name} (from {number})", f"{seconds:.0f}", f"{cores:.0f}", "", *ratios(reference_s, seconds, cores))
        for (name, (seconds, cores)), number in zip(whole_s.items(), (arguments.sample, bounded_part), strict=True)
    ]
    ratio = 0.0
    for method in ("mono", "trapezoid", "organ-shape", "bi"):
        seconds, cores, peak, before, tia, models = alone(ours, arguments.side, method, arguments.threads)
        rows.append(
            (
                method,
                f"{seconds:.1f}",
                f"{cores:.1f}",
                f"{peak:.0f} ({before:.0f})",
                *ratios(reference_s, seconds, cores),
            )
        )
        if method == "mono":
            ratio = reference_s[1] / cores
            same = (models[sample] == VoxelModel.MONO_EXPONENTIAL) & np.isfinite(plain)
            difference = np.abs(tia[sample] / SECONDS_PER_HOUR / plain - 1)[same]
            agreement = (
                f"mono against curve_fit on {same.sum()} of {sample.size} sampled voxels (the others held at decay or "
                f"fallen back): largest difference {difference.max():.1e}, median {np.median(difference):.1e}"
            )
    print_table(
        f"Time-integrated activity of {arguments.side}³ voxels × {TIMES_H.size} scans, {100 * NOISE:g} % noise",
        ("work", "seconds", "core-seconds", "peak MB (before)", "ratio", "ratio of core-seconds"),
        rows,
    )
    print(agreement)
    print(f"mono: {ratio:.0f} times the plain loop per core, wanted {WANTED_RATIO:.0f}")
    return 0 if ratio >= WANTED_RATIO else 1


if __name__ == "__main__":
    sys.exit(main())

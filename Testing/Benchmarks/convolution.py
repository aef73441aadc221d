"""Speed and peak memory of the convolution methods against plain FFT convolution, in one run on this machine.

    python Testing/Benchmarks/convolution.py [--closed-forms]

Prints one line per measurement. `--closed-forms` takes kernels from formulas instead of the radial tables. Every
measurement runs in a process of its own, so that its peak memory is its own. The plain calls get kernels of 99³ voxels;
ours are measured with the same and with kernels through the whole image. Wanted: at least 4 times as fast.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from reporting import machine

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from radiodosimetry.images.geometry import VolumeGeometry
from radiodosimetry.images.volume import QuantitativeVolume
from radiodosimetry.media import DensityBands, MediaMap, schneider_2000
from radiodosimetry.nuclides import Radionuclide
from radiodosimetry.units import Quantity
from radiodosimetry.voxel_dose.convolution import density_scaled, multiple_vsv
from radiodosimetry.voxel_dose.convolution_settings import ConvolutionOptions
from radiodosimetry.voxel_dose.kernels import voxel_kernel
from radiodosimetry.voxel_dose.sources import EmissionSource

LI_2022_SECONDS = 20.0
"""Density-scaled kernel on 512 × 512 × 130 voxels on a CPU, Li et al. 2022."""


PLAIN_HALF_WIDTH = 49
"""Half-width of the kernels of the plain calls: 99³ voxels, the smallest anyone published."""


def media_of(shape: tuple[int, int, int], spacing_mm: tuple[float, float, float], fill: float) -> MediaMap:
    """An ellipsoid that fills a share of the grid's width with all twenty media in layers, air around it."""
    bands = DensityBands()
    media = bands.media(schneider_2000())
    axes = [np.linspace(-1, 1, count) / fill for count in shape]
    inside = (axes[0][:, None, None] * fill) ** 2 + axes[1][:, None] ** 2 + axes[2] ** 2 < 1
    centres = np.array(bands.centres_g_per_cm3)
    layer = np.minimum((np.linspace(0, 1, shape[2]) * len(media)).astype(int), len(media) - 1)
    density = np.where(inside, centres[layer], 0.0012).astype(np.float32)
    return MediaMap(density, bands.index(density), media, VolumeGeometry(shape, spacing_mm))


def tia_in(media: MediaMap) -> QuantitativeVolume:
    """Activity wherever there is body."""
    rng = np.random.default_rng(1)
    array = np.where(media.density_kji > 0.1, rng.random(media.geometry.shape_kji, dtype=np.float32) * 1e9, 0)
    return QuantitativeVolume(array, media.geometry, Quantity.TIME_INTEGRATED_ACTIVITY_CONCENTRATION)


def plain(options: ConvolutionOptions, shape: tuple[int, int, int], spacing_mm: tuple[float, float, float]) -> float:
    """Seconds of 20 plain calls with kernels of 99³ voxels, kernels made beforehand."""
    from scipy import signal

    media = media_of(shape, spacing_mm, 1.0)
    tia = tia_in(media)
    source = EmissionSource.from_nuclide(Radionuclide("Lu-177"))
    provider = options.point_kernels
    kernel = voxel_kernel(source, media.media[10], spacing_mm, PLAIN_HALF_WIDTH, point_kernels=provider).array_kji
    dose = np.zeros(shape)
    started = time.perf_counter()
    for index in range(20):
        here = media.medium_index_kji == index
        dose[here] = signal.fftconvolve(tia.array_kji.astype(np.float64), kernel, mode="same")[here]
    return time.perf_counter() - started


def ours(options: ConvolutionOptions, shape: tuple[int, int, int], spacing_mm: tuple[float, float, float]) -> float:
    """Seconds of multiple-VSV with all twenty media, kernels from the cache or made on the way."""
    media = media_of(shape, spacing_mm, 1.0)
    tia = tia_in(media)
    source = EmissionSource.from_nuclide(Radionuclide("Lu-177"))
    multiple_vsv(tia, media, source, options)
    started = time.perf_counter()
    multiple_vsv(tia, media, source, options)
    return time.perf_counter() - started


def density(options: ConvolutionOptions, shape: tuple[int, int, int], spacing_mm: tuple[float, float, float]) -> float:
    """Seconds of density scaling on a clinical grid, body in 70 % of its width."""
    media = media_of(shape, spacing_mm, 0.7)
    tia = tia_in(media)
    source = EmissionSource.from_nuclide(Radionuclide("Lu-177"))
    started = time.perf_counter()
    density_scaled(tia, media, source, options)
    return time.perf_counter() - started


def measure(work: Callable[..., float], *arguments: object) -> tuple[float, float, float]:
    """Seconds, peak memory [GB] of the process, and what it took before the work began [GB]."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measured, (work, *arguments))


def _measured(work: Callable[..., float], *arguments: object) -> tuple[float, float, float]:
    before = _peak_gb()
    seconds = work(*arguments)
    return seconds, _peak_gb(), before


def _peak_gb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e9 if sys.platform == "darwin" else 1e6)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--closed-forms", action="store_true")
    options = ConvolutionOptions()
    if parser.parse_args().closed_forms:
        from voxel_dose_samples import closed_form_provider

        options = ConvolutionOptions(point_kernels=closed_form_provider)
    cube, spacing = (128, 128, 128), (4.0, 4.0, 4.0)
    print(machine())
    reference, reference_peak, _ = measure(plain, options, cube, spacing)
    print(f"20 plain fftconvolve calls, 128³, kernels 99³: {reference:.1f} s, peak {reference_peak:.2f} GB")
    same_reach = replace(options, reach_mm=(PLAIN_HALF_WIDTH - 1) * spacing[0])
    for settings, width in ((same_reach, "99³, as the plain calls"), (options, "255³, the whole image")):
        seconds, peak, before = measure(ours, settings, cube, spacing)
        print(
            f"multiple-vsv, 20 media, 128³, kernels {width}: {seconds:.1f} s, peak {peak:.2f} GB "
            f"(start {before:.2f} GB), ratio {reference / seconds:.1f}"
        )
    clinical, clinical_spacing = (130, 512, 512), (0.98, 0.98, 3.0)
    for published in (False, True):
        settings = replace(options, published_density_scaling=published)
        seconds, peak, _ = measure(density, settings, clinical, clinical_spacing)
        form = "published form" if published else "electron part scaled, no truncation"
        print(
            f"density-scaled, 512 × 512 × 130, {form}: {seconds:.1f} s, peak {peak:.2f} GB "
            f"(Li 2022: {LI_2022_SECONDS:.0f} s)"
        )


if __name__ == "__main__":
    main()

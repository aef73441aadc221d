"""Voxel dose: kernels for any nuclide and voxel size, convolution methods, Monte Carlo dose, dose-volume statistics."""

from .convolution import convolve_dose_kernel, density_scaled, local_deposition, multiple_vsv, single_vsv
from .convolution_settings import ConvolutionOptions
from .dose_volume import DoseVolumeHistogram, dvh
from .kernels import DoseKernel, voxel_kernel
from .monte_carlo import MonteCarloDose, monte_carlo_dose, simulated_kernel
from .radiobiology import Radiobiology, read_radiobiology
from .sources import EmissionSource
from .statistics import RegionDose, region_statistics

__all__ = [
    "ConvolutionOptions",
    "DoseKernel",
    "DoseVolumeHistogram",
    "EmissionSource",
    "MonteCarloDose",
    "Radiobiology",
    "RegionDose",
    "convolve_dose_kernel",
    "density_scaled",
    "dvh",
    "local_deposition",
    "monte_carlo_dose",
    "multiple_vsv",
    "read_radiobiology",
    "region_statistics",
    "simulated_kernel",
    "single_vsv",
    "voxel_kernel",
]

"""RadioDosimetry: absorbed dose of radiopharmaceuticals from quantitative images.

Research software, not a medical device.

The names below are the package's front door: the functions that the commands call, also under the commands' names
(`dose` is `compute_dose`; the command `organ-dose` is `compute_organ_doses`, since `organ_dose` is the package). They
load their part of the package when first used, so that `import radiodosimetry` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from .__about__ import __version__

_HOME_OF_NAME = {
    "DoseKernel": "voxel_dose.kernels",
    "DoseOptions": "workflows.dose",
    "DoseResult": "workflows.dose",
    "EmissionSource": "voxel_dose.sources",
    "Material": "media",
    "ParticleSpectrum": "nuclides",
    "QuantitativeVolume": "images",
    "Quantity": "units",
    "RadioDosimetryError": "errors",
    "Radionuclide": "nuclides",
    "RegionScan": "time_activity",
    "TimeActivityCurve": "time_activity",
    "VolumeGeometry": "images",
    "compare_dose_files": "workflows.compare",
    "compare_doses": "evaluation",
    "compute_dose": "workflows.dose",
    "compute_organ_doses": "workflows.organ_dose",
    "curves_from_files": "workflows.curves",
    "curves_from_volumes": "time_activity",
    "fit_curve": "time_activity",
    "fit_curves": "workflows.fits",
    "integrate_physical_decay": "workflows.dose",
    "named_material": "media",
    "organ_doses": "organ_dose",
    "patient_s_value_table": "workflows.s_values",
    "patient_s_values": "organ_dose",
    "phantom_s_value_table": "workflows.s_values",
    "phantom_s_values": "organ_dose",
    "read_curves": "time_activity",
    "read_dicom": "images.dicom_reader",
    "read_fits": "time_activity",
    "read_regions": "workflows.dose",
    "read_s_values": "organ_dose",
    "read_volume": "images",
    "region_statistics": "voxel_dose.statistics",
    "register_bspline": "images",
    "register_rigid": "images",
    "run_demo": "workflows.demo",
    "simulated_kernel": "voxel_dose.monte_carlo",
    "sphere_s_value": "organ_dose",
    "stylised_phantom": "organ_dose",
    "tia_from_files": "workflows.tia",
    "tia_map": "time_activity.voxelwise",
    "torso_patient": "virtual_patients",
    "voxel_kernel": "voxel_dose.kernels",
    "write_rtdose": "images.dicom_rtdose_writer",
    "write_volume": "images",
}

_FUNCTION_OF_COMMAND = {
    "compare": "compare_dose_files",
    "curves": "curves_from_files",
    "demo": "run_demo",
    "dose": "compute_dose",
    "fit": "fit_curves",
    "kernel": "voxel_kernel",
    "nuclide": "Radionuclide",
    "svalues": "phantom_s_value_table",
    "tia": "tia_from_files",
}

__all__ = ["__version__", *sorted({*_HOME_OF_NAME, *_FUNCTION_OF_COMMAND})]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    function = _FUNCTION_OF_COMMAND.get(name, name)
    if function not in _HOME_OF_NAME:
        raise AttributeError(f"module 'radiodosimetry' has no attribute '{name}'")
    return getattr(import_module(f".{_HOME_OF_NAME[function]}", __name__), function)


def __dir__() -> list[str]:
    return __all__

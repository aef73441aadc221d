"""How well an early scan tells what lesions hold, and how well a forecast from it can do at best.

    python Resources/Sources/delayed_pet_lesions.py --data DIR [--hours 24 48]

DIR is a data set of virtual patients (`radiodosimetry simulate --kind pet`). Each lesion's early concentration is
recovered from the scan with its regions known, in two ways: from the regions' means (the geometric transfer matrix that
the model uses) and by least squares over the voxels of the body, weighted by their variance. Both are compared with the
simulator's true concentration, and the line that fits the logarithms best on these same lesions is drawn: what is left
about it is what the scan does not tell. The conditional mean given the true early activity, moved by that error, is the
forecast that could be made from the scan. The line is fitted to the lesions it is judged on, which flatters it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.optimize import nnls

from radiodosimetry.delayed_pet.baselines import region_activities
from radiodosimetry.delayed_pet.forecast import given_places
from radiodosimetry.delayed_pet.kinetics_fit import LOWEST_SHARE, tissues_of
from radiodosimetry.delayed_pet.normalisation import DecayNormalisation
from radiodosimetry.delayed_pet.oracle_ratios import region_forecasts
from radiodosimetry.delayed_pet.pairs import SerialPet
from radiodosimetry.delayed_pet.ratio_inputs import RatioInputs, labels_on_grid, ratio_inputs
from radiodosimetry.delayed_pet.region_names import is_lesion
from radiodosimetry.delayed_pet.settings import RatioSettings
from radiodosimetry.delayed_pet.spill_over import unmix
from radiodosimetry.delayed_pet.training import read_patients
from radiodosimetry.virtual_patients.dataset import read_dataset

EARLY_S, HOUR_S = 3600.0, 3600.0
LOWEST_VARIANCE = 0.1
"""Of a voxel, over the mean of the body: the noise of a scan does not vanish where it shows nothing."""

SMALLEST_BQ_PER_ML = 1e-3
"""Far below what any lesion holds: a logarithm of nothing is none. No lesion of the patients looked at came to it."""

Array = NDArray[np.float64]


def recovered(patient: SerialPet, tissues: Sequence[str]) -> dict[str, tuple[float, float, float]]:
    """Lesion to its volume [mL], and its concentration [Bq/mL] from the regions' means and from the voxels."""
    assert patient.labels is not None
    ratio, normalisation = RatioSettings(), DecayNormalisation(patient.nuclide)
    inputs = ratio_inputs(patient.scans[EARLY_S], EARLY_S, normalisation, patient.ct, ratio.grid_mm)
    labels = labels_on_grid(patient.labels, inputs)
    places, numbers = given_places(labels, patient.labels, inputs, tissues)
    regions = unmix(inputs.early_kji, places, numbers, ratio.response, ratio.grid_mm)
    by_voxels = _least_squares(inputs, regions.shares)
    names = [name for label, name in patient.labels.names.items() if (labels == label).any()]
    unit = normalisation.constant_bq_per_ml(EARLY_S)
    columns = zip(names, regions.volume_ml[1:], unit * regions.uptake[1:], unit * by_voxels[1:], strict=False)
    return {name: tuple(map(float, values)) for name, *values in columns if is_lesion(name)}  # type: ignore[misc]


def _least_squares(inputs: RatioInputs, shares: NDArray[np.float32]) -> Array:
    """Concentrations ≥ 0 whose blurred regions come nearest to the scan in the body."""
    body = inputs.body_kji
    variance = ndimage.gaussian_filter(inputs.early_kji, 2.0)[body].astype(np.float64)
    weight = 1.0 / np.sqrt(np.maximum(variance, LOWEST_VARIANCE * float(inputs.early_kji[body].mean())))
    design = shares[:, body].T * weight[:, None]
    q, r = np.linalg.qr(design.astype(np.float64))
    return np.asarray(nnls(r, q.T @ (inputs.early_kji[body] * weight))[0])


def lesions_of(patient: SerialPet, tissues: Sequence[str], hours: Sequence[float]) -> list[list[float]]:
    """Of each lesion that later scans show: volume, logarithms of its concentrations, errors of forecasts."""
    assert patient.labels is not None
    late = {hour: region_activities(patient.scans[hour * HOUR_S].array_kji, patient.labels) for hour in hours}
    whole = {hour: float(np.sum(patient.scans[hour * HOUR_S].array_kji, dtype=np.float64)) for hour in hours}
    means = {hour: region_forecasts(patient, EARLY_S, hour * HOUR_S) for hour in hours}
    rows = []
    for name, (volume_ml, by_means, by_voxels) in recovered(patient, tissues).items():
        if all(name in means[hour] and late[hour].get(name, 0.0) > LOWEST_SHARE * whole[hour] for hour in hours):
            true = means[hours[0]][name].early_bq / volume_ml
            errors = [np.log(means[hour][name].mean_bq / means[hour][name].later_bq) for hour in hours]
            rows.append([volume_ml, *np.log(np.maximum([true, by_means, by_voxels], SMALLEST_BQ_PER_ML)), *errors])
    return rows


def main() -> None:
    """Print what the scans tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--hours", nargs="+", type=float, default=[24.0, 48.0])
    arguments = parser.parse_args()
    patients = read_patients(read_dataset(arguments.data))
    tissues = tissues_of(patients)
    found = np.array([row for patient in patients for row in lesions_of(patient, tissues, arguments.hours)])
    volume_ml, true, by_means, by_voxels = found[:, :4].T
    low, middle, high = np.quantile(volume_ml, [0.0, 0.5, 1.0])
    print(f"{len(found)} lesions of {low:.1f} to {high:.1f} mL, median {middle:.1f} mL")
    print(f"early concentration: spread over lesions {100 * true.std(ddof=1):.0f} % (of the logarithm)")
    for name, seen in (("regions' means", by_means), ("least squares over voxels", by_voxels)):
        left = np.polyval(np.polyfit(seen, true, 1), seen) - true
        print(f"recovered by {name}: correlation {np.corrcoef(seen, true)[0, 1]:.2f}, "
              f"left about the best line {100 * left.std(ddof=2):.0f} %")  # fmt: skip
        for hour, error in zip(arguments.hours, found[:, 4:].T, strict=True):
            known, told = (100 * np.mean(np.abs(np.expm1(one))) for one in (error, error + left))
            print(f"  {hour:g} h: conditional mean {known:.0f} % off given the truth, {told:.0f} % given the scan")


if __name__ == "__main__":
    main()

"""A real patient through the learned dose methods: pictures and a table of what the networks change, and how rightly.

    python Resources/Sources/learned_dose_patient.py --ct CT --activity IMAGE --labels LABELS --label-names CSV \\
        --nuclide Lu-177 --output DIR [--unet MODEL] [--dblurdosenet MODEL] [--histories N]

The activity [Bq/mL] is taken for the truth, decaying in place. The U-Net is given it as it is; DblurDoseNet is given a
simulated SPECT of it. Both are held against one Monte Carlo dose of the truth: `regions.csv` has the errors of the
region means by base and network with the Monte Carlo's own uncertainty and the one that the model states,
`<method>.png` the dose and the errors in the coronal plane with the largest error of the base, `<method>_profiles.png`
profiles through the hottest voxel.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np

from radiodosimetry.images.readers import read_volume
from radiodosimetry.images.regions import LabelMap, read_label_map, regions_of
from radiodosimetry.images.resampling import resample_ct
from radiodosimetry.images.volume import QuantitativeVolume
from radiodosimetry.learned_dose.dataset_patients import BASES, decaying_in_place
from radiodosimetry.learned_dose.figures import error_maps_png, profiles_png
from radiodosimetry.learned_dose.patients import DosePatient, dose_patient
from radiodosimetry.learned_dose.prediction import LearnedDose, predict_dose
from radiodosimetry.learned_dose.shipped import KINDS, LEARNED_METHODS, model_of
from radiodosimetry.nuclides import Radionuclide
from radiodosimetry.units import Quantity
from radiodosimetry.virtual_patients.dose_labels import DoseLabel, dose_label
from radiodosimetry.virtual_patients.spect import SpectSettings, simulate_spect

SEED = 15
COLUMNS = (
    "method", "region", "volume_ml", "monte_carlo_gy", "std_percent", "base_error_percent", "error_percent",
    "stated_percent",
)  # fmt: skip


def main() -> None:
    """Simulate, compute, compare, draw."""
    arguments = _arguments()
    ct = read_volume(arguments.ct, Quantity.CT_NUMBER, "HU")
    activity = read_volume(arguments.activity, Quantity.ACTIVITY_CONCENTRATION, "Bq/mL")
    ct = resample_ct(ct, activity.geometry)
    labels = read_label_map(arguments.labels, arguments.label_names)
    nuclide = Radionuclide(arguments.nuclide)
    arguments.output.mkdir(parents=True, exist_ok=True)
    masks = {name: labels.mask(name) for name in labels.names.values()}
    truth = dose_label(decaying_in_place(activity, nuclide), ct, nuclide.name, masks, arguments.histories, SEED)
    rows: list[dict[str, object]] = []
    for method in LEARNED_METHODS:
        shown = activity
        if method == "dblurdosenet":
            shown = simulate_spect(activity, ct, SpectSettings(nuclide=nuclide.name), SEED)
        tia = decaying_in_place(shown, nuclide)
        learned = predict_dose(
            model_of(method, getattr(arguments, method)), ct, tia, nuclide.name, regions=regions_of(labels)
        )
        patient = _compared(ct, tia, truth, labels, nuclide.name, method, learned, arguments.output)
        rows += _rows(method, patient, truth, learned)
        for warning in learned.record.warnings:
            print(f"{method}: {warning}")
    with (arguments.output / "regions.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print((arguments.output / "regions.csv").read_text(encoding="utf-8"))


def _compared(
    ct: QuantitativeVolume,
    tia: QuantitativeVolume,
    truth: DoseLabel,
    labels: LabelMap,
    nuclide: str,
    method: str,
    learned: LearnedDose,
    output: Path,
) -> DosePatient:
    """The patient with its truth; draws the pictures, and says what no dose may be."""
    base_method = BASES[KINDS[method]]
    patient = dose_patient(
        "patient", "patient", nuclide, ct, tia, truth.dose, labels, base_method, noise=truth.uncertainty
    )
    base, dose = (np.asarray(one.array_kji, dtype=np.float64) for one in (learned.base, learned.dose))
    (output / f"{method}.png").write_bytes(error_maps_png(patient, base, dose))
    (output / f"{method}_profiles.png").write_bytes(profiles_png(patient, {"base": base, method: dose}))
    body = patient.body_kji & (base > 0)
    ratio = dose[body] / base[body]
    print(
        f"{method}: {body.sum()} voxels; not finite {np.count_nonzero(~np.isfinite(dose))}, "
        f"below zero {np.count_nonzero(dose < 0)}, highest {dose.max():.4g} Gy (Monte Carlo "
        f"{float(truth.dose.array_kji.max()):.4g}); network over base: lowest {ratio.min():.3g}, "
        f"1 % {np.percentile(ratio, 1):.3g}, median {np.median(ratio):.4g}, 99 % {np.percentile(ratio, 99):.3g}, "
        f"highest {ratio.max():.3g}"
    )
    return patient


def _rows(method: str, patient: DosePatient, truth: DoseLabel, learned: LearnedDose) -> list[dict[str, object]]:
    """Errors of region means, by voxels."""
    true, base, dose = (np.asarray(one.array_kji, dtype=np.float64) for one in (truth.dose, learned.base, learned.dose))
    voxel_ml = truth.dose.geometry.voxel_volume_ml
    return [
        {
            "method": method,
            "region": name,
            "volume_ml": f"{mask.sum() * voxel_ml:.2f}",
            "monte_carlo_gy": f"{true[mask].mean():.4g}",
            "std_percent": f"{100 * truth.uncertainty_of_regions[name]:.3f}",
            "base_error_percent": f"{100 * (base[mask].mean() / true[mask].mean() - 1):.2f}",
            "error_percent": f"{100 * (dose[mask].mean() / true[mask].mean() - 1):.2f}",
            "stated_percent": f"{100 * learned.region_uncertainty.get(name, float('nan')):.2f}",
        }
        for name, mask in patient.regions.items()
        if name in truth.uncertainty_of_regions
    ]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("ct", "activity", "labels", "label-names", "output"):
        parser.add_argument(f"--{name}", required=True, type=Path)
    parser.add_argument("--nuclide", required=True)
    for method in LEARNED_METHODS:
        parser.add_argument(f"--{method}", type=Path, help="model file; the shipped one if left out")
    parser.add_argument("--histories", type=int, default=40_000_000, help="of the Monte Carlo dose of the truth")
    return parser.parse_args()


if __name__ == "__main__":
    main()

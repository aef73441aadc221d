"""The table of delayed PET: the published network and every improvement on the same folds of the same patients.

    python Resources/Sources/delayed_pet_table.py --data DIR --output DIR [--rows NAME …] [--minutes M]

DIR is a data set of virtual patients (`radiodosimetry simulate --kind pet`). Rows are made in the order of their cost,
fold by fold; what is made is kept in the output folder, trainings that were stopped go on, so that the same command
can be run again until it says that the table is complete. `table.csv` has the mean over folds and their standard
deviation; `differences.csv` each row's paired difference to the population's kinetics over all patients with its 95 %
bootstrap interval; `ensemble.csv` what the mean of the published network and its variants is worth, and which share of
the organs' errors their spread holds. The published network does not fit this budget: its rows say how much smaller it
was trained.
"""

from __future__ import annotations

import argparse
import csv
import json
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiodosimetry.delayed_pet.baselines import early_decayed, population_kinetics, region_activities
from radiodosimetry.delayed_pet.forecast import forecast, scan_regions
from radiodosimetry.delayed_pet.inference import synthesize
from radiodosimetry.delayed_pet.kinetics_fit import LOWEST_SHARE, PatientSums, fit_lines, patient_sums, tissues_of
from radiodosimetry.delayed_pet.network_files import DelayedPetNetwork, load_network
from radiodosimetry.delayed_pet.normalisation import DecayNormalisation, normalised
from radiodosimetry.delayed_pet.pairs import SerialPet
from radiodosimetry.delayed_pet.ratio_inputs import bounding_box, ratio_inputs
from radiodosimetry.delayed_pet.samples import time_weights
from radiodosimetry.delayed_pet.settings import (
    DelayedPetSettings,
    ImageSettings,
    Pix2PixSettings,
    PublishedTraining,
    RatioSettings,
)
from radiodosimetry.delayed_pet.spill_over import Response
from radiodosimetry.delayed_pet.tissue_kinetics import GIVEN, OWN
from radiodosimetry.delayed_pet.training import MODEL_NAME, read_patients, train_on_patients
from radiodosimetry.evaluation.image_measures import image_measures, paired_difference_interval
from radiodosimetry.images.body import body_mask
from radiodosimetry.learning.splits import Fold, fold_of
from radiodosimetry.virtual_patients.dataset import read_dataset

FOLDS, SEED, VALIDATION = 5, 0, 0.15
EARLY_H, HOURS = 1.0, (24.0, 48.0)
HOUR_S = 3600.0
MEASURES = ("organ_error_percent", "organ_percent_id_error", "mae_percent", "ssim", "slice_jump")
POPULATION = "population kinetics, regions given"

Volumes = dict[float, NDArray[np.float64]]
Maker = Callable[[SerialPet], Volumes]

_LOG = logging.getLogger("delayed_pet_table")


@dataclass(frozen=True)
class Row:
    """A method: what makes volumes of held-out patients once the others of a fold have taught it."""

    name: str
    taught: Callable[[Fold[SerialPet], Path], Maker]


# -- methods without a network -----------------------------------------------------------------------------------------


def decayed(fold: Fold[SerialPet], folder: Path) -> Maker:
    """The early scan with physical decay."""
    return lambda patient: {
        hour: early_decayed(patient.scans[EARLY_H * HOUR_S], patient.nuclide, EARLY_H * HOUR_S, hour * HOUR_S)
        for hour in HOURS
    }


def population(fold: Fold[SerialPet], folder: Path) -> Maker:
    """The mean change of each organ."""
    known = population_kinetics(fold.training, EARLY_H * HOUR_S, [hour * HOUR_S for hour in HOURS])

    def make(patient: SerialPet) -> Volumes:
        assert patient.labels is not None
        early = patient.scans[EARLY_H * HOUR_S]
        return {
            hour: known.forecast(early, patient.labels, patient.nuclide, EARLY_H * HOUR_S, hour * HOUR_S)[0]
            for hour in HOURS
        }

    return make


def given_regions(**ratio: float | bool) -> Callable[[Fold[SerialPet], Path], Maker]:
    """Kinetics of tissues at the given regions, with some of the settings."""
    settings = ratio_settings(**ratio)

    def taught(fold: Fold[SerialPet], folder: Path) -> Maker:
        tissues = tissues_of(fold.training)
        sums = [_sums(patient, settings, tissues) for patient in fold.training]
        fitted = fit_lines(
            sums, len(tissues), settings.ratio.use_uptake, settings.ratio.smooth, settings.ratio.fit_organs
        )
        lines, coverage = dict.fromkeys((GIVEN, OWN), fitted), dict.fromkeys((GIVEN, OWN), 1.0)

        def make(patient: SerialPet) -> Volumes:
            assert patient.administered_bq is not None
            early, n = patient.scans[EARLY_H * HOUR_S], DecayNormalisation(patient.nuclide)
            inputs = ratio_inputs(early, EARLY_H * HOUR_S, n, patient.ct, settings.ratio.grid_mm)
            shown = normalised(np.maximum(early.array_kji, 0.0), n.constant_bq_per_ml(EARLY_H * HOUR_S))
            scan = scan_regions(
                shown.astype(np.float32), early.geometry, inputs, [], tissues, patient.labels, True,
                settings.ratio.response,
            )  # fmt: skip
            scale = patient.administered_bq / REFERENCE_BQ
            return {
                hour: forecast(scan, lines, scale, time_weights(hour * HOUR_S, HOURS), coverage)[0]
                * n.constant_bq_per_ml(hour * HOUR_S)
                for hour in HOURS
            }

        return make

    return taught


REFERENCE_BQ = 1e8
"""Any: the uptake's logarithm is judged about its mean over the training patients."""

_SUMS: dict[tuple[str, Response, tuple[str, ...]], PatientSums] = {}


def _sums(patient: SerialPet, settings: DelayedPetSettings, tissues: tuple[str, ...]) -> PatientSums:
    """Sums of a patient, kept: they are the same in every fold."""
    key = (patient.id, settings.ratio.response, tissues)
    if key not in _SUMS:
        assert patient.administered_bq is not None
        _SUMS[key] = patient_sums(patient, settings, [], tissues, patient.administered_bq / REFERENCE_BQ, given=True)
    return _SUMS[key]


# -- networks ----------------------------------------------------------------------------------------------------------


def ratio_settings(epochs: int = 10, **ratio: float | bool) -> DelayedPetSettings:
    """The improved network, for about ten minutes of one core."""
    return DelayedPetSettings(
        network="ratio-3d",
        validation_fraction=VALIDATION,
        images=ImageSettings(EARLY_H, HOURS, use_ct=True),
        ratio=RatioSettings(**({"slab": 64} | ratio)),  # type: ignore[arg-type]
        training=PublishedTraining(
            epochs=epochs, batch_size=1, learning_rate=6e-3, schedule="cosine", mixed_precision="bf16",
            largest_gradient_norm=1.0, threads=1, seed=SEED,
        ),
    )  # fmt: skip


def pix2pix_settings(
    hours: Sequence[float], features: int = 16, neighbours: int = 0, **images: object
) -> DelayedPetSettings:
    """The published network with fewer features and steps: batches of 8 slices, a rate tenfold the published one."""
    return DelayedPetSettings(
        validation_fraction=VALIDATION,
        images=ImageSettings(EARLY_H, tuple(hours), **images),  # type: ignore[arg-type]
        pix2pix=Pix2PixSettings(features=features, discriminator_features=features, neighbours=neighbours),
        training=PublishedTraining(
            epochs=1, batch_size=8, learning_rate=2e-4, mixed_precision="bf16", threads=1, checkpoint_steps=200,
            seed=SEED,
        ),
    )


def network(settings: Sequence[DelayedPetSettings]) -> Callable[[Fold[SerialPet], Path], Maker]:
    """One network, or one for each target time."""

    def taught(fold: Fold[SerialPet], folder: Path) -> Maker:
        made = []
        for number, one in enumerate(settings):
            own = folder / f"network_{number}"
            path = own / f"{MODEL_NAME}.safetensors"
            if not (own / "complete").exists():
                everyone = (*fold.training, *fold.validation, *fold.held_out)
                path = train_on_patients(
                    everyone, one, own, fold=(fold.number, FOLDS), resume=(own / "checkpoint.pt").exists()
                )
                (own / "complete").touch()
            made.append(load_network(path))

        def make(patient: SerialPet) -> Volumes:
            return {hour: volume for one in made for hour, volume in synthesised(one, patient).items()}

        return make

    return taught


def synthesised(one: DelayedPetNetwork, patient: SerialPet) -> Volumes:
    """Volumes of a network at all its target times, without regions."""
    hours = [float(hour) for hour in one.card.preprocessing["target_hours"]]
    early = patient.scans[EARLY_H * HOUR_S]
    found = synthesize(
        one, early, EARLY_H * HOUR_S, [hour * HOUR_S for hour in hours], patient.nuclide, patient.ct,
        administered_bq=patient.administered_bq,
    )  # fmt: skip
    return dict(zip(hours, (np.asarray(volume.array_kji, dtype=np.float64) for volume in found.volumes), strict=True))


PUBLISHED = "pix2pix (16 features, 1 epoch, batch 8, rate 2e-4)"
EARLY_MAXIMUM = "pix2pix by the early maximum"
SLICE_NETWORKS = (PUBLISHED, "… both times in one", "… both times in one, with CT", "… and 2.5-D", EARLY_MAXIMUM)
ROWS = (
    Row("early scan decayed", decayed),
    Row(POPULATION, population),
    Row("kinetics of given regions", given_regions(resolution_mm=0.0, tail_share=0.0, use_uptake=False, smooth=False)),
    Row("… and spill-over", given_regions(use_uptake=False, smooth=False)),
    Row("… and early uptake", given_regions(smooth=False)),
    Row("… and smoothing", given_regions()),
    Row("… fitted to voxels alone", given_regions(fit_organs=False)),
    Row("tissues seen by the network", network([ratio_settings()])),
    Row(PUBLISHED, network([pix2pix_settings([hour]) for hour in HOURS])),
    Row(SLICE_NETWORKS[1], network([pix2pix_settings(HOURS)])),
    Row(SLICE_NETWORKS[2], network([pix2pix_settings(HOURS, use_ct=True)])),
    Row(SLICE_NETWORKS[3], network([pix2pix_settings(HOURS, use_ct=True, neighbours=2)])),
    Row(EARLY_MAXIMUM, network([pix2pix_settings([hour], normalisation="early-maximum") for hour in HOURS])),
)


# -- judging and the table ---------------------------------------------------------------------------------------------


_BODIES: dict[str, tuple[NDArray[np.bool_], tuple[slice, slice, slice]]] = {}
"""Patient to its body and the box around it, which every row needs."""


def _body_of(patient: SerialPet) -> tuple[NDArray[np.bool_], tuple[slice, slice, slice]]:
    if patient.id not in _BODIES:
        assert patient.ct is not None
        body = body_mask(patient.ct)
        box = bounding_box(body, 6)
        _BODIES[patient.id] = body[box], box
    return _BODIES[patient.id]


Judged = dict[str, dict[str, Any]]
"""By hour: a patient's measures, and "organs" with the activities made and acquired [Bq] of each."""


def judged(patient: SerialPet, volumes: Mapping[float, NDArray[np.float64]]) -> Judged:
    """Measures of a patient's volumes against the acquired scans."""
    body, box = _body_of(patient)
    found: Judged = {}
    for hour, volume in volumes.items():
        acquired = np.asarray(patient.scans[hour * HOUR_S].array_kji, dtype=np.float64)
        images = image_measures(acquired[box], volume[box], body)
        assert patient.labels is not None
        assert patient.administered_bq is not None
        wanted, made = (region_activities(one, patient.labels) for one in (acquired, volume))
        least = LOWEST_SHARE * float(acquired.sum())
        organs = [name for name in patient.labels.names.values() if wanted.get(name, 0.0) > least]
        voxel_ml = patient.scans[hour * HOUR_S].geometry.voxel_volume_ml
        share = 100.0 * voxel_ml / patient.administered_bq
        found[f"{hour:g}"] = {
            "organ_error_percent": 100.0 * float(np.mean([abs(made[name] / wanted[name] - 1) for name in organs])),
            "organ_percent_id_error": share * float(np.mean([abs(made[name] - wanted[name]) for name in organs])),
            "mae_percent": images.mae_percent,
            "ssim": images.ssim,
            "slice_jump": images.slice_jump,
            "organs": {name: [voxel_ml * made[name], voxel_ml * wanted[name]] for name in organs},
        }
    return found


def made_for(folder: Path, identity: Mapping[str, Any]) -> bool:
    """Whether a fold is there, refusing one of other data.

    Raises
    ------
    SystemExit
        It was made from other patients.
    """
    path = folder / "judged.json"
    if not path.exists():
        return False
    if json.loads(path.read_text(encoding="utf-8")).get("identity") != identity:
        raise SystemExit(f"{path} is of other patients; give another output folder, or remove it.")
    return True


def make_row(row: Row, folds: Sequence[Fold[SerialPet]], output: Path, until: float, data: Mapping[str, Any]) -> bool:
    """Make what is missing of a row; False when time ran out."""
    for fold in folds:
        folder = output / row.name / f"fold_{fold.number}"
        identity = {**data, **fold.as_dict()}
        if made_for(folder, identity):
            continue
        if time.monotonic() > until:
            return False
        folder.mkdir(parents=True, exist_ok=True)
        begun = time.process_time()
        make = row.taught(fold, folder)
        taught_s = time.process_time() - begun
        result = {patient.id: judged(patient, make(patient)) for patient in fold.held_out}
        text = json.dumps({"identity": identity, "core_seconds": taught_s, "patients": result}, indent=1)
        (folder / "judged.partial").write_text(text, encoding="utf-8")
        (folder / "judged.partial").rename(folder / "judged.json")
        _LOG.info("%s, fold %d: taught in %.0f core seconds", row.name, fold.number, taught_s)
        write_tables(output)
    return True


def write_tables(output: Path) -> None:
    """`table.csv` and `differences.csv` from what is there."""
    per_fold: dict[str, list[dict[str, Judged]]] = {}
    for row in ROWS:
        paths = sorted((output / row.name).glob("fold_*/judged.json"))
        if paths:
            per_fold[row.name] = [json.loads(path.read_text(encoding="utf-8"))["patients"] for path in paths]
    rows, differences = [], []
    for name, folds in per_fold.items():
        for hour in (f"{hour:g}" for hour in HOURS):
            for measure in MEASURES:
                means = [np.mean([one[hour][measure] for one in fold.values()]) for fold in folds]
                spread = float(np.std(means, ddof=1)) if len(means) > 1 else 0.0
                rows.append([name, hour, measure, f"{np.mean(means):.4g}", f"{spread:.2g}", len(means)])
                differences += _difference(name, hour, measure, folds, per_fold.get(POPULATION, []))
    _csv(output / "table.csv", ["method", "hour", "measure", "mean", "std_over_folds", "folds"], rows)
    header = ["method", "hour", "measure", "minus_population", "low_95", "high_95", "patients"]
    _csv(output / "differences.csv", header, differences)
    if all(name in per_fold for name in SLICE_NETWORKS):
        header = ["hour", "organ_error_percent", "within_spread_percent", "within_two_percent", "organs"]
        _csv(output / "ensemble.csv", header, _ensemble([per_fold[name] for name in SLICE_NETWORKS]))


def _ensemble(members: Sequence[Sequence[Mapping[str, Judged]]]) -> list[list[object]]:
    """Organs of the mean volume, which hold the mean of the members' activities, and how the spread tells its error."""
    patients = [{key: one for fold in folds for key, one in fold.items()} for folds in members]
    rows: list[list[object]] = []
    for hour in (f"{hour:g}" for hour in HOURS):
        errors, spreads = [], []
        for patient in sorted(set.intersection(*(set(one) for one in patients))):
            organs = [one[patient][hour]["organs"] for one in patients]
            for organ, (_, acquired) in organs[0].items():
                made = [one[organ][0] / acquired for one in organs]
                errors.append(abs(float(np.mean(made)) - 1.0))
                spreads.append(float(np.std(made, ddof=1)))
        within = [100.0 * float(np.mean(np.array(errors) <= reach * np.array(spreads))) for reach in (1.0, 2.0)]
        rows.append([hour, f"{100 * np.mean(errors):.4g}", *(f"{share:.3g}" for share in within), len(errors)])
    return rows


def _difference(
    name: str,
    hour: str,
    measure: str,
    folds: Sequence[Mapping[str, Judged]],
    others: Sequence[Mapping[str, Judged]],
) -> list[list[object]]:
    mine = {patient: one[hour][measure] for fold in folds for patient, one in fold.items()}
    theirs = {patient: one[hour][measure] for fold in others for patient, one in fold.items()}
    both = sorted(set(mine) & set(theirs))
    if name == POPULATION or len(both) < 2:
        return []
    mean, low, high = paired_difference_interval([mine[p] for p in both], [theirs[p] for p in both], SEED)
    return [[name, hour, measure, f"{mean:.4g}", f"{low:.4g}", f"{high:.4g}", len(both)]]


def _csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    partial = path.with_suffix(f".{os.getpid()}.partial")  # two runs may make different rows at once
    with partial.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
    partial.rename(path)


def main() -> None:
    """Make the table as far as the time goes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--output", required=True, type=Path)
    parser.add_argument("--rows", nargs="*", help="names of rows to make; all if left out")
    parser.add_argument("--patients", type=int, help="use the first so many patients")
    parser.add_argument("--minutes", type=float, default=1e9, help="begin nothing new after so many minutes")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    until = time.monotonic() + 60.0 * arguments.minutes
    dataset = read_dataset(arguments.data)
    patients = read_patients(dataset)[: arguments.patients]
    data = {name: dataset.manifest.get(name) for name in ("seed", "tracer", "nuclide")}
    _LOG.info("%d patients", len(patients))
    folds = [fold_of(patients, (number, FOLDS), SEED, VALIDATION) for number in range(1, FOLDS + 1)]
    chosen = [row for row in ROWS if not arguments.rows or row.name in arguments.rows]
    complete = all(make_row(row, folds, arguments.output, until, data) for row in chosen)
    write_tables(arguments.output)
    _LOG.info("The table is %s.", "complete" if complete else "not complete; run the same command again")


if __name__ == "__main__":
    main()

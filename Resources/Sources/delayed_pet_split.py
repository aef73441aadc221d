"""What a split of augmented copies is worth: the published network judged by copies of its patients, and by others.

    python Resources/Sources/delayed_pet_split.py --data DIR --output DIR [--splits patients copies] [--epochs E]

DIR is a data set of virtual patients. `copies`: six patients become sixty by turning and cropping, as in Kim 2025, and
the copies are divided afterwards, so that copies of one patient teach and judge. `patients`: sixty patients, each on
one side. Both networks see as many scans for as many steps, and both are judged by the same patients that taught
neither; the first by its own held-out copies as well, which is what the paper reports as augmented. It is fold 1 of
the table of `delayed_pet_table.py`, its published network at 24 h, trained for longer. Trainings that were stopped go
on.
"""

from __future__ import annotations

import argparse
import json
import logging
from dataclasses import replace
from pathlib import Path

import delayed_pet_table as table
import numpy as np

from radiodosimetry.delayed_pet.network_files import load_network
from radiodosimetry.delayed_pet.pairs import SerialPet
from radiodosimetry.delayed_pet.samples import drawn_affine, warped
from radiodosimetry.delayed_pet.settings import Pix2PixSettings
from radiodosimetry.delayed_pet.training import MODEL_NAME, read_patients, train_on_patients
from radiodosimetry.images.regions import LabelMap
from radiodosimetry.images.resampling import AIR_HU
from radiodosimetry.images.volume import QuantitativeVolume
from radiodosimetry.learning.splits import fold_of
from radiodosimetry.virtual_patients.dataset import Dataset, read_dataset

PEOPLE, COPIES = 6, 10
HOUR = 24.0
SPLITS = ("patients", "copies")

_LOG = logging.getLogger("delayed_pet_split")


def copies_of(patient: SerialPet, count: int, rng: np.random.Generator) -> list[SerialPet]:
    """A patient and its turned and cropped copies, each of which passes for a patient of its own.

    A cropped one is larger, and was given as much more as it holds more.
    """
    assert patient.administered_bq is not None
    drawn = Pix2PixSettings()
    assert patient.ct is not None
    assert patient.labels is not None
    _, rows, columns = patient.labels.geometry.shape_kji
    aspect = np.array([[1.0, rows / columns, 1.0], [columns / rows, 1.0, 1.0]], dtype=np.float32)
    made = [replace(patient, id=f"{patient.id}:0", source=f"{patient.id}:0")]
    for number in range(1, count):
        # Places run from −1 to 1 along both sides, whatever their lengths.
        matrix = aspect * drawn_affine(rng, drawn.rotation_degrees, 1.0 / drawn.smallest_crop - 1.0)

        def turned(volume: QuantitativeVolume, beyond: float = 0.0, at: np.ndarray = matrix) -> QuantitativeVolume:
            values = np.asarray(volume.array_kji, dtype=np.float32)
            return volume.with_array(warped(values - np.float32(beyond), at) + np.float32(beyond))

        labels = np.zeros_like(patient.labels.array_kji)
        for label in patient.labels.names:
            labels[warped((patient.labels.array_kji == label).astype(np.float32), matrix) > 0.5] = label
        name, scans = f"{patient.id}:{number}", {time_s: turned(scan) for time_s, scan in patient.scans.items()}
        before, after = (float(np.sum(one[min(one)].array_kji)) for one in (patient.scans, scans))
        made.append(
            replace(
                patient, id=name, source=name, scans=scans, ct=turned(patient.ct, AIR_HU),
                labels=LabelMap(labels, patient.labels.geometry, patient.labels.names),
                administered_bq=patient.administered_bq * after / before,
            )
        )  # fmt: skip
    return made


def judged_by(split: str, dataset: Dataset, epochs: int, output: Path) -> dict[str, table.Judged]:
    """Train on one split; measures of the patients of the table's first fold, and of the split's own held-out ones."""
    fold = fold_of(dataset.patients, (1, table.FOLDS), table.SEED, table.VALIDATION)
    unseen = read_patients(replace(dataset, patients=fold.held_out))
    if split == "copies":
        rng = np.random.default_rng(table.SEED)
        people = read_patients(replace(dataset, patients=fold.training[:PEOPLE]))
        everyone = [copy for patient in people for copy in copies_of(patient, COPIES, rng)]
    else:
        everyone = [*read_patients(replace(dataset, patients=(*fold.training, *fold.validation))), *unseen]
    settings = table.pix2pix_settings([HOUR])
    settings = replace(settings, training=replace(settings.training, epochs=epochs))
    path = output / f"{MODEL_NAME}.safetensors"
    if not (output / "complete").exists():
        resume = (output / "checkpoint.pt").exists()
        path = train_on_patients(everyone, settings, output, fold=(1, table.FOLDS), resume=resume)
        (output / "complete").touch()
    network = load_network(path)
    own = fold_of(everyone, (1, table.FOLDS), table.SEED, table.VALIDATION).held_out
    judges = {patient.id: patient for patient in (*unseen, *own)}
    return {name: table.judged(patient, table.synthesised(network, patient)) for name, patient in judges.items()}


def main() -> None:
    """Train, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--output", required=True, type=Path)
    parser.add_argument("--splits", nargs="+", choices=SPLITS, default=SPLITS)
    parser.add_argument("--epochs", type=int, default=4)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    dataset = read_dataset(arguments.data)
    for split in arguments.splits:
        found = judged_by(split, dataset, arguments.epochs, arguments.output / split)
        (arguments.output / split / "judged.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
        for name, copies in (("other patients", False), ("held-out copies", True)):
            chosen = [one[f"{HOUR:g}"] for key, one in found.items() if (":" in key) == copies]
            for measure in table.MEASURES if chosen else ():
                values = np.array([one[measure] for one in chosen])
                spread = values.std(ddof=1)
                _LOG.info("%s, by %d %s: %s %.4g ± %.2g", split, len(values), name, measure, values.mean(), spread)


if __name__ == "__main__":
    main()

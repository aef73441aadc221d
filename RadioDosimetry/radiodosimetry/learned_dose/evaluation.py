"""A model against Monte Carlo of the true activity, and against the methods without a network, on unseen patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..images.atomic import OutputTransaction
from ..learning.ensembles import calibrate_coverage
from ..learning.model_files import save_model
from ..nuclides import Radionuclide
from ..progress import PartialProgress, Progress, report_progress
from ..provenance import json_ready, to_json
from ..units import Quantity
from .bases import base_dose
from .dataset_patients import BASES, dataset_patients
from .declared import is_declared_spacing, require_nuclide
from .dose_model import DoseModel, ensemble_state, load_dose_model
from .figures import error_maps_png, profiles_png
from .measures import PatientMeasure, RegionMeasure, measure_patient, measure_regions
from .patients import DosePatient
from .tables import KIM_COLUMNS, LI_COLUMNS, kim_table, li_table, paired_gains, table_csv

if TYPE_CHECKING:
    from ..virtual_patients.dataset import Dataset

REFERENCE_METHODS = ("single-vsv", "density-scaled", "multiple-vsv")
"""Methods without a network that stand beside it."""

NETWORK = "network"
"""Name of the model in tables."""

FEWEST_FOR_CALIBRATION = 8
"""Regions that a coverage of an ensemble's spread is worth stating for."""


@dataclass(frozen=True, eq=False)
class DoseEvaluation:
    """What judging a model came to.

    Attributes
    ----------
    methods
        Names of the methods compared; the model is `NETWORK`.
    base
        The method whose dose the network corrects.
    patients, regions
        Errors of each method for every patient and region.
    coverage
        How the members' spread compares with the errors of region means, None for a single network.
    model
        Name of the model.
    """

    methods: tuple[str, ...]
    base: str
    patients: tuple[PatientMeasure, ...]
    regions: tuple[RegionMeasure, ...]
    coverage: Mapping[str, Any] | None
    model: str

    def as_dict(self) -> dict[str, Any]:
        """All numbers, JSON-ready: tables, errors per patient, and paired gains over the base."""
        return {
            "model": self.model,
            "base": self.base,
            "methods": list(self.methods),
            "patients": len({one.patient for one in self.patients}),
            "kim_2022": kim_table(self.regions, self.methods),
            "li_2022": li_table(self.regions, self.methods),
            "per_patient": [one.as_dict() for one in self.patients],
            "gains_over_base": paired_gains(self.patients, self.regions, self.base, NETWORK),
            "coverage_of_spread": None if self.coverage is None else dict(self.coverage),
        }


def evaluate_dose_model(
    model: Path, dataset: Dataset, output: Path, *, device: str = "cpu", progress: Progress | None = None
) -> DoseEvaluation:
    """Judge a model on the patients of a dataset, none of which it has learned from.

    Parameters
    ----------
    model
        Of kind residual-unet-3d or dblurdosenet.
    dataset
        Virtual patients with Monte Carlo doses; the caller leaves out those the model knows.
    output
        Folder that receives `evaluation.json`, `table_kim2022.csv`, `table_li2022.csv`, `per_patient.csv`, error maps
        and profiles.
    device
        "cpu", "cuda" or "cuda:N".
    progress
        Told the share of the work done.

    Returns
    -------
    DoseEvaluation
        Its `as_dict` is what `evaluation.json` holds.

    Raises
    ------
    FileFormatError, InputError
        Model or dataset cannot be used, or the model does not hold for the nuclide or the voxels.
    OutputError, DeviceError, CancelledError
        As their names say.
    """
    loaded = load_dose_model(model)
    require_nuclide(loaded.card, dataset.nuclide, loaded.name)
    patients = dataset_patients(
        dataset, dataset.patients, loaded.kind, with_photons=loaded.needs_photons,
        cache=Path(output) / "base-doses", progress=PartialProgress(progress, 0.0, 0.3),
    )  # fmt: skip
    evaluation, pictures = evaluate_on_patients(
        loaded, patients, device=device, progress=PartialProgress(progress, 0.3, 0.98)
    )
    _write(evaluation, pictures, Path(output))
    report_progress(progress, 1.0, "Evaluation done")
    return evaluation


def evaluate_on_patients(
    model: DoseModel, patients: Sequence[DosePatient], *, device: str = "cpu", progress: Progress | None = None
) -> tuple[DoseEvaluation, dict[str, bytes]]:
    """As `evaluate_dose_model`, for patients in memory; returns the figures by file name beside the numbers.

    Raises
    ------
    InputError
        There is no patient, or one has voxels the model was not trained on: its label cannot be resampled fairly.
    """
    if not patients:
        raise InputError("There is no patient to judge the model on; give a dataset with patients it has not seen.")
    for patient in patients:
        if not is_declared_spacing(model.card, patient.maps.geometry):
            raise InputError(
                f"{patient.id} has voxels of {patient.maps.geometry.spacing_mm} mm, outside what {model.name} "
                "declares; simulate the dataset with voxels of the training, or use 'dose' and 'compare'."
            )
    base = BASES[model.kind]
    methods = (*dict.fromkeys([*REFERENCE_METHODS, base]), NETWORK)
    measures: list[PatientMeasure] = []
    regions: list[RegionMeasure] = []
    errors: list[float] = []
    spreads: list[float] = []
    pictures: dict[str, bytes] = {}
    for number, patient in enumerate(patients):
        report_progress(progress, number / len(patients), f"{patient.id}, {number + 1} of {len(patients)}")
        members = [patient.maps.dose_gy(dose) for dose in model.member_doses(patient.maps, device)]
        doses = {method: _method_dose(patient, method, base) for method in methods[:-1]}
        doses[NETWORK] = np.mean(members, axis=0, dtype=np.float32)
        for method in methods:
            measures.append(measure_patient(patient, method, doses[method]))
            regions += measure_regions(patient, method, doses[method])
        if len(members) > 1:
            own = [[one.dose_gy for one in measure_regions(patient, NETWORK, dose)] for dose in members]
            errors += [one.dose_gy - one.reference_gy for one in measure_regions(patient, NETWORK, doses[NETWORK])]
            spreads += np.std(own, axis=0, ddof=1).tolist()
        if number == 0:
            pictures["error_maps.png"] = error_maps_png(patient, doses[base], doses[NETWORK])
            pictures["profiles.png"] = profiles_png(patient, {name: doses[name] for name in (base, NETWORK)})
    coverage = None
    if len(errors) >= FEWEST_FOR_CALIBRATION and min(spreads) > 0:
        coverage = calibrate_coverage(np.array(errors), np.array(spreads)).as_dict()
    return DoseEvaluation(methods, base, tuple(measures), tuple(regions), coverage, model.name), pictures


def combine_models(models: Sequence[Path], output: Path, coverage: Mapping[str, Any] | None = None) -> Path:
    """One model file of several that differ in their seed; its spread becomes the dose's uncertainty.

    Parameters
    ----------
    models
        Of one kind, architecture, preprocessing and nuclide.
    output
        Of the new model.
    coverage
        `DoseEvaluation.coverage` of such an ensemble on patients that neither trained nor judge it: its factor is then
        applied to the spread.

    Returns
    -------
    Path
        The weights of the ensemble; the card lists the members' training.

    Raises
    ------
    InputError
        There are fewer than two models, or they do not belong together.
    """
    loaded = [load_dose_model(path) for path in models]
    if len(loaded) < 2 or any(len(one.networks) > 1 for one in loaded):
        raise InputError(f"An ensemble is made of at least two single networks, found {len(loaded)} model(s).")
    first = loaded[0].card
    for one in loaded[1:]:
        parts = ("kind", "architecture", "preprocessing")
        differing = [part for part in parts if getattr(one.card, part) != getattr(first, part)]
        if differing or one.card.declared.get("nuclides") != first.declared.get("nuclides"):
            what = ", ".join(differing) or "nuclides"
            raise InputError(f"{one.name} and {loaded[0].name} differ in their {what}; combine models trained alike.")
    sources = sorted({str(source) for one in loaded for source in one.card.training.get("sources", ())})
    training: dict[str, Any] = {"members": [dict(one.card.training) for one in loaded], "sources": sources}
    if coverage is not None:
        training["calibration"] = dict(coverage)
    card = replace(first, architecture={**first.architecture, "members": len(loaded)}, training=training, sha256="")
    return save_model(output, ensemble_state([one.networks[0].state_dict() for one in loaded]), card)


def _method_dose(patient: DosePatient, method: str, base: str) -> NDArray[np.float32]:
    """Dose [Gy] of a method without a network, from the same activity."""
    if method == base:
        return patient.maps.dose_gy(patient.maps.base_kji)
    from ..media import segment_media
    from ..voxel_dose.convolution import single_vsv
    from ..voxel_dose.sources import EmissionSource

    ct, tia = patient.images()
    media = segment_media(ct)
    tia = replace(tia, geometry=media.geometry)
    source = EmissionSource.from_nuclide(Radionuclide(patient.nuclide))
    dose = single_vsv(tia, media, source) if method == "single-vsv" else base_dose(method, tia, media, source)
    assert dose.quantity is Quantity.ABSORBED_DOSE
    return np.asarray(dose.array_kji, dtype=np.float32)


def _write(evaluation: DoseEvaluation, pictures: Mapping[str, bytes], output: Path) -> None:
    """All files of an evaluation, or none."""
    columns = tuple(PatientMeasure.__dataclass_fields__)
    numbers = evaluation.as_dict()
    texts = {
        "evaluation.json": to_json(json_ready(numbers)),
        "table_kim2022.csv": table_csv(numbers["kim_2022"], KIM_COLUMNS),
        "table_li2022.csv": table_csv(numbers["li_2022"], LI_COLUMNS),
        "per_patient.csv": table_csv(numbers["per_patient"], columns),
    }
    output.mkdir(parents=True, exist_ok=True)
    with OutputTransaction(*(output / name for name in (*texts, *pictures))) as transaction:
        for name, text in texts.items():
            transaction.write_text(output / name, text)
        for name, picture in pictures.items():
            transaction.path_for(output / name).write_bytes(picture)

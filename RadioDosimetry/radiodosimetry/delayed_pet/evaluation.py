"""How good a model is on patients it has not seen: images, organs, uncertainty, and the doses they come to.

Beside the model stand the early scan decayed and the population's kinetics per organ, which every network must beat,
and where the patients are virtual the conditional mean of the generator. No forecast has smaller squared errors of the
organs' true activity; by other measures, against acquired scans, one may be a little better.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..evaluation.frechet import FeatureExtractor, FrechetResult, compare_slices, inception_extractor
from ..evaluation.image_measures import ImageMeasures, image_measures
from ..evaluation.ssim import SSIM_DEFINITION
from ..images.atomic import OutputTransaction
from ..images.body import body_mask
from ..images.resampling import resample_ct
from ..images.volume import QuantitativeVolume
from ..learning.ensembles import CENTRAL_68_PERCENT
from ..learning.splits import require_no_leak
from ..progress import PartialProgress, Progress, report_progress
from ..provenance import to_json
from ..units import SECONDS_PER_HOUR
from .baselines import PopulationKinetics, early_decayed, region_activities
from .dosimetry import (
    PatientDosimetry,
    curve_table_csv,
    dose_table,
    dose_table_csv,
    patient_dosimetry,
    residence_errors,
    residence_table_csv,
)
from .evaluation_statistics import mean_and_std, paired_differences, stated_coverage
from .evaluation_tables import OrganRow, organ_table_csv, share_errors, table_csv
from .figures import residence_times_png, time_activity_png
from .inference import synthesize
from .network_files import DelayedPetNetwork, load_network, same_tracer
from .oracle_ratios import RegionForecast, oracle_volume, region_forecasts
from .organ_uncertainty import LOWEST_SHARE, organ_errors_of
from .pairs import SerialPet, require_pairs
from .ratio_inputs import body_on_pet
from .region_names import EVERYTHING_ELSE
from .training import SerialPetDataset, read_patients

_LOG = logging.getLogger(__name__)

MODEL, DECAYED, POPULATION = "model", "early scan decayed", "population kinetics"
WITH_REGIONS, ORACLE = "model with regions", "conditional mean (oracle)"
"""Methods that are compared."""

KIM_2025 = {
    "ssim_headline": {"24": 0.8094, "48": 0.7714},
    "ssim_fold_mean_l1": {"24": 0.730, "48": 0.505},
    "fid": {"24": 62.93, "48": 74.35},
    "source": "Kim et al., Sci Rep 15 (2025) 5627, doi:10.1038/s41598-025-88498-z, text and Table 1; six patients, "
    "another definition of SSIM: not the same quantity as ours",
}
"""What the paper reports, to stand beside ours."""


@dataclass(frozen=True, eq=False)
class DelayedPetEvaluation:
    """What judging a model came to.

    Attributes
    ----------
    images
        (method, hour) to the measures of every patient.
    organs
        A row per organ, patient, time and method.
    coverage
        Share of organs whose acquired activity lies in the stated 68 % interval; None without uncertainty.
    frechet
        (method, hour) to the Fréchet distance of all slices.
    summary
        Everything, JSON-ready.
    """

    images: Mapping[tuple[str, float], Sequence[ImageMeasures]]
    organs: Sequence[OrganRow]
    coverage: float | None
    frechet: Mapping[tuple[str, float], FrechetResult]
    summary: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """All numbers, JSON-ready."""
        return dict(self.summary)


def evaluate_delayed_pet(
    model: Path,
    dataset: SerialPetDataset,
    output: Path,
    *,
    inception: Path | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> DelayedPetEvaluation:
    """Judge a model on a data set; tables go into `output`.

    Parameters
    ----------
    model
        Model file.
    dataset
        Patients that it has not learned from.
    output
        Existing folder for `evaluation.json`, `images.csv`, `organs.csv`, `organ_doses.csv` (the form of Kim 2025's
        Table 2), `residence_times.csv` and `time_activity.csv` (the data of its Figures 4 and 3) and pictures of both.
    inception
        Inception v3 as TorchScript, for the FID; None: another Fréchet distance, which needs no weights.
    device
        "cpu" or "cuda".
    progress
        Who watches, and may cancel.

    Raises
    ------
    InputError
        A patient was trained on, has no scan at a target time, has scans that make no pair, or lies outside of what the
        model declares, but for the tracer: how a model does with another one is worth knowing, and is warned of.
    FileFormatError
        The file of Inception v3 is none.
    """
    network = load_network(model, device)
    extractor = None if inception is None else inception_extractor(inception, device)
    patients = read_patients(dataset, with_truth=True, progress=PartialProgress(progress, 0.0, 0.1))
    result, tables, pictures = evaluate_on_patients(network, patients, PartialProgress(progress, 0.1, 1.0), extractor)
    with OutputTransaction() as transaction:
        for name, text in {**tables, "evaluation.json": to_json(result.as_dict())}.items():
            transaction.write_text(Path(output) / name, text)
        for name, picture in pictures.items():
            transaction.path_for(Path(output) / name).write_bytes(picture)
    return result


def evaluate_on_patients(
    network: DelayedPetNetwork,
    patients: Sequence[SerialPet],
    progress: Progress | None = None,
    extractor: tuple[FeatureExtractor, str] | None = None,
) -> tuple[DelayedPetEvaluation, dict[str, str], dict[str, bytes]]:
    """As `evaluate_delayed_pet`, on patients in memory; the result, its tables and its pictures by file name."""
    _require_unseen(network, patients)
    hours = [float(hour) for hour in network.card.preprocessing["target_hours"]]
    early_s = float(network.card.preprocessing["early_hour"]) * SECONDS_PER_HOUR
    times_s = [hour * SECONDS_PER_HOUR for hour in hours]
    doubts = [doubt for patient in patients for doubt in require_pairs(patient, early_s, times_s)]
    taught, tracers = network.declared.tracer, sorted({patient.tracer for patient in patients if patient.tracer})
    if not all(same_tracer(name, taught) for name in tracers):
        doubts.append(f"The model was trained on the tracer {taught}, the data are of {', '.join(tracers)}.")
    for doubt in doubts:
        _LOG.warning("%s", doubt)
    rows = network.card.training.get("population_kinetics")
    population = PopulationKinetics.from_rows(rows) if rows else None
    unknown = {} if population is None else _unknown_regions(population, patients)
    work = _Work()
    for number, patient in enumerate(patients):
        report_progress(progress, number / len(patients), f"judging {patient.id}")
        at_s, early = patient.scan_at(early_s)
        late = {hour: patient.scan_at(hour * SECONDS_PER_HOUR) for hour in hours}
        made = synthesize(
            network, early, at_s, [late[hour][0] for hour in hours], patient.nuclide, patient.ct,
            administered_bq=patient.administered_bq,
        )  # fmt: skip
        informed = None
        if patient.labels is not None and network.network == "ratio-3d":
            informed = synthesize(
                network, early, at_s, [late[hour][0] for hour in hours], patient.nuclide, patient.ct,
                labels=patient.labels, administered_bq=patient.administered_bq,
            )  # fmt: skip
        body = _body(patient, early)
        series: dict[str, dict[float, QuantitativeVolume]] = {}
        for index, hour in enumerate(hours):
            time_s, acquired = late[hour]
            methods = {
                MODEL: np.asarray(made.volumes[index].array_kji, dtype=np.float64),
                DECAYED: early_decayed(early, patient.nuclide, at_s, time_s),
            }
            if population is not None and patient.labels is not None:
                forecast, _ = population.forecast(early, patient.labels, patient.nuclide, at_s, time_s)
                methods[POPULATION] = forecast
            if informed is not None:
                methods[WITH_REGIONS] = np.asarray(informed.volumes[index].array_kji, dtype=np.float64)
                work.informed += organ_errors_of(informed, index, acquired, patient)
            work.uncertainty += organ_errors_of(made, index, acquired, patient)
            work.finish(patient, hour, early, acquired, methods, body, at_s, time_s)
            for name, array in methods.items():
                series.setdefault(name, {})[time_s] = early.with_array(array.astype(np.float32))
        work.dosimetry(patient, {at_s: early}, dict(late.values()), series)
    report_progress(progress, 0.95, "comparing distributions of slices")
    result = work.result(network, patients, hours, extractor or (None, None))
    result.summary.update(doubts=doubts, tracers=tracers, regions_unknown_to_population=unknown)
    return result, work.tables(), work.pictures()


def _unknown_regions(population: PopulationKinetics, patients: Sequence[SerialPet]) -> dict[str, list[str]]:
    """Patient to the regions that the population's kinetics take for the remainder, warned of."""
    found = {patient.id: population.unknown_regions(patient.labels) for patient in patients if patient.labels}
    for patient_id, names in found.items():
        if names:
            _LOG.warning("%s: population kinetics take %s for the remainder.", patient_id, ", ".join(names))
    return {patient_id: names for patient_id, names in found.items() if names}


class _Work:
    """What is collected from patient to patient."""

    def __init__(self) -> None:
        self.images: dict[tuple[str, float], dict[str, ImageMeasures]] = {}
        self.organs: list[OrganRow] = []
        self.uncertainty: list[tuple[str, float, float]] = []
        self.informed: list[tuple[str, float, float]] = []
        self.acquired: dict[str, PatientDosimetry] = {}
        self.generated: dict[str, dict[str, PatientDosimetry]] = {}
        self._slices: dict[tuple[str, float], list[NDArray[np.float64]]] = {}
        self._image_rows: list[list[Any]] = []
        self._true: dict[tuple[str, float], dict[str, float]] = {}

    def finish(
        self,
        patient: SerialPet,
        hour: float,
        early: QuantitativeVolume,
        acquired: QuantitativeVolume,
        methods: dict[str, NDArray[np.float64]],
        body: NDArray[np.bool_],
        early_time_s: float,
        time_s: float,
    ) -> None:
        """Compare all methods at one time, and the conditional mean where the patient is virtual."""
        if patient.kinetics is not None and patient.ct is not None and patient.labels is not None:
            known = region_forecasts(patient, early_time_s, time_s)
            methods[ORACLE] = oracle_volume(patient, known, early_time_s, time_s)
            self.add_truth(patient, hour, early, methods, known)
        self.compare(patient, hour, acquired, methods, body)

    def compare(
        self,
        patient: SerialPet,
        hour: float,
        acquired: QuantitativeVolume,
        methods: Mapping[str, NDArray[np.float64]],
        body: NDArray[np.bool_],
    ) -> None:
        """Images and organs of all methods at one time."""
        mean = float(np.asarray(acquired.array_kji)[body].mean())
        self._keep_slices("acquired", hour, np.asarray(acquired.array_kji, dtype=np.float64) / mean, body)
        for name, array in methods.items():
            measures = image_measures(acquired.array_kji, array, body)
            self.images.setdefault((name, hour), {})[patient.id] = measures
            self._image_rows.append([patient.id, name, f"{hour:g}", *measures.as_dict().values()])
            self._keep_slices(name, hour, array / mean, body)
            if patient.labels is not None:
                self._add_organs(patient, hour, acquired, name, array)

    def add_truth(
        self,
        patient: SerialPet,
        hour: float,
        early: QuantitativeVolume,
        methods: Mapping[str, NDArray[np.float64]],
        known: Mapping[str, RegionForecast],
    ) -> None:
        """Errors of the organs' change from early to late against the true change, and the generator's own.

        The change is taken within one region of one scanner, so that what its resolution loses cancels, and no noise of
        the later scan is in it: this is what the conditional mean can be compared with.
        """
        if patient.labels is None:
            return
        before = region_activities(early.array_kji, patient.labels)
        total = float(np.sum(early.array_kji, dtype=np.float64))
        judged = [name for name in known if before.get(name, 0.0) > LOWEST_SHARE * total]
        if not judged:
            return
        errors = {ORACLE: [abs(known[name].mean_bq / known[name].later_bq - 1.0) for name in judged]}
        for method, array in methods.items():
            if method != ORACLE:
                after = region_activities(array, patient.labels)
                errors[method] = [
                    abs(after[name] / before[name] * known[name].early_bq / known[name].later_bq - 1.0)
                    for name in judged
                ]
        for method, column in errors.items():
            self._true.setdefault((method, hour), {})[patient.id] = 100.0 * float(np.mean(column))

    def _add_organs(
        self, patient: SerialPet, hour: float, acquired: QuantitativeVolume, method: str, array: NDArray[np.float64]
    ) -> None:
        labels = patient.labels
        if labels is None:
            return
        wanted = region_activities(acquired.array_kji, labels)
        found = region_activities(array, labels)
        total = float(np.sum(acquired.array_kji, dtype=np.float64))
        given = patient.administered_bq
        percent = None if given is None else 100.0 * acquired.geometry.voxel_volume_ml / given
        for region, value in wanted.items():
            if region == EVERYTHING_ELSE or value <= LOWEST_SHARE * total:
                continue
            error = 100.0 * (found[region] / value - 1.0)
            first, second = (None if percent is None else percent * one for one in (value, found[region]))
            self.organs.append(OrganRow(patient.id, method, hour, region, first, second, error))

    def _keep_slices(self, name: str, hour: float, array: NDArray[np.float64], body: NDArray[np.bool_]) -> None:
        """Slices with body, every second one, for the distribution of slices."""
        inside = np.flatnonzero(body.any(axis=(1, 2)))[::2]
        self._slices.setdefault((name, hour), []).append(_square(array[inside]))

    def dosimetry(
        self,
        patient: SerialPet,
        early: Mapping[float, QuantitativeVolume],
        late: Mapping[float, QuantitativeVolume],
        series: Mapping[str, Mapping[float, QuantitativeVolume]],
    ) -> None:
        """Doses by the acquired scans, and by the early scan with the later ones of every method."""
        if patient.labels is None or patient.administered_bq is None:
            return
        known = patient.labels, patient.nuclide, patient.administered_bq
        self.acquired[patient.id] = patient_dosimetry({**early, **late}, *known)
        for method, scans in series.items():
            self.generated.setdefault(method, {})[patient.id] = patient_dosimetry({**early, **scans}, *known)

    @property
    def shown(self) -> str:
        """The method whose curves and doses are shown: the model at its best."""
        return WITH_REGIONS if WITH_REGIONS in self.generated else MODEL

    def both(self, method: str) -> tuple[list[PatientDosimetry], list[PatientDosimetry]]:
        """The patients of a method by acquired scans and by its own."""
        generated = self.generated[method]
        return [self.acquired[patient] for patient in generated], list(generated.values())

    def result(
        self,
        network: DelayedPetNetwork,
        patients: Sequence[SerialPet],
        hours: Sequence[float],
        extractor: tuple[FeatureExtractor | None, str | None],
    ) -> DelayedPetEvaluation:
        """Means, spreads, intervals and distances."""
        coverage, informed = stated_coverage(self.uncertainty), stated_coverage(self.informed)
        features, named = extractor
        acquired = {hour: np.concatenate(self._slices["acquired", hour]) for hour in hours}
        frechet = {
            (name, hour): compare_slices(acquired[hour], np.concatenate(slices), features, name=named)
            for (name, hour), slices in self._slices.items()
            if name != "acquired"
        }
        summary: dict[str, Any] = {
            "model": {"path": network.path.name, "sha256": network.card.sha256, "network": network.network},
            "patients": [patient.id for patient in patients],
            "ssim_definition": SSIM_DEFINITION,
            "hours": {f"{hour:g}": self._at(hour, frechet) for hour in hours},
            "uncertainty": None
            if coverage is None
            else {
                "stated": CENTRAL_68_PERCENT,
                "coverage": coverage,
                "coverage_with_regions": informed,
                "organs": len(self.uncertainty),
            },
            "dosimetry": self._dosimetry_summary(),
            "kim_2025": KIM_2025,
        }
        images = {key: tuple(column.values()) for key, column in self.images.items()}
        return DelayedPetEvaluation(images, tuple(self.organs), coverage, frechet, summary)

    def _at(self, hour: float, frechet: Mapping[tuple[str, float], FrechetResult]) -> dict[str, Any]:
        """All methods at one time, and the model's paired differences to the others."""
        methods = [name for name, at in self.images if at == hour]
        values: dict[str, Any] = {}
        per_patient = {name: self._columns(name, hour) for name in methods}
        for name in methods:
            values[name] = {
                measure: dict(zip(("mean", "std"), mean_and_std(column), strict=True))
                for measure, column in per_patient[name].items()
                if column
            }
            values[name]["frechet"] = frechet[name, hour].as_dict()
        ours = [name for name in (MODEL, WITH_REGIONS) if name in methods]
        for mine, name in ((mine, name) for mine in ours for name in methods if name not in ours):
            values[f"{mine} minus {name}"] = paired_differences(per_patient[mine], per_patient[name])
        return values

    def _columns(self, method: str, hour: float) -> dict[str, dict[str, float]]:
        """Measure to its value for each patient by name; patients without regions lack those of organs."""
        measures = self.images[method, hour]
        columns = {
            name: {patient: float(getattr(one, name)) for patient, one in measures.items()}
            for name in ("ssim", "mae_percent", "slice_jump")
        }
        columns["psnr_db"] = {patient: min(one.psnr_db, 200.0) for patient, one in measures.items()}
        rows: dict[str, list[OrganRow]] = {}
        for row in self.organs:
            if row.method == method and row.hour == hour:
                rows.setdefault(row.patient, []).append(row)
        if rows:
            columns["organ_error_percent"] = {
                patient: float(np.mean([abs(row.error_percent) for row in own])) for patient, own in rows.items()
            }
            shares = {patient: share_errors(own) for patient, own in rows.items()}
            columns["organ_percent_id_error"] = {
                patient: float(np.mean(column)) for patient, column in shares.items() if column
            }
        if (method, hour) in self._true:
            columns["organ_change_error_percent"] = self._true[method, hour]
        return columns

    def _dosimetry_summary(self) -> dict[str, Any] | None:
        if not self.acquired:
            return None
        return {
            "patients": len(self.acquired),
            "generated_by": self.shown,
            "organ_dose_relative_error": {
                row.target: row.relative_error for row in dose_table(*self.both(self.shown))
            },
            "methods": {
                method: {
                    "mean_patient_dose_relative_error": {
                        row.target: row.mean_patient_error for row in dose_table(*self.both(method))
                    },
                    "residence_time_relative_error": residence_errors(*self.both(method)),
                }
                for method in self.generated
            },
        }

    def tables(self) -> dict[str, str]:
        """CSV files by name."""
        names = ("ssim", "psnr_db", "mae_bq_per_ml", "mae_percent", "slice_jump")
        found = {"images.csv": table_csv(["patient", "method", "hour", *names], self._image_rows)}
        found["organs.csv"] = organ_table_csv(self.organs)
        if self.acquired:
            shown, patients = self.both(self.shown), list(self.generated[self.shown])
            found["organ_doses.csv"] = dose_table_csv(dose_table(*shown))
            found["residence_times.csv"] = residence_table_csv(patients, *shown)
            found["time_activity.csv"] = curve_table_csv(patients, *shown)
        return found

    def pictures(self) -> dict[str, bytes]:
        """Figures by name, of patients with regions."""
        if not self.acquired:
            return {}
        return {
            "residence_times.png": residence_times_png(*self.both(self.shown)),
            "time_activity.png": time_activity_png(*self.both(self.shown)),
        }


def _require_unseen(network: DelayedPetNetwork, patients: Sequence[SerialPet]) -> None:
    if not patients:
        raise InputError("There is no patient to judge the model on; give a data set.")
    sources = network.card.training.get("training_sources", ())
    require_no_leak([_Source(str(source)) for source in sources], patients)


@dataclass(frozen=True)
class _Source:
    """A training patient of which the card keeps the source alone."""

    source: str

    @property
    def id(self) -> str:
        """Name for messages."""
        return f"a training patient of {self.source}"


def _body(patient: SerialPet, early: QuantitativeVolume) -> NDArray[np.bool_]:
    if patient.ct is None:
        return body_on_pet(np.asarray(early.array_kji, dtype=np.float64), float(np.mean(early.geometry.spacing_mm)))
    return body_mask(resample_ct(patient.ct, early.geometry))


def _square(slices: NDArray[np.float64], size: int = 64) -> NDArray[np.float64]:
    """Slices of any matrix on one square, so that patients can be put together."""
    from .resizing import SliceResizing

    return SliceResizing(slices.shape[1], slices.shape[2], size).forward(slices)

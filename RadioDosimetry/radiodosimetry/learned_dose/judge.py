"""Judging models patient by patient: all methods are measured, and only numbers are kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..progress import PartialProgress, Progress, report_progress
from . import dblur_dose
from .comparators import MONTE_CARLO, mean_doses_gy, method_dose, methods_beside, monte_carlo_of_scan
from .contenders import NETWORK, Contender
from .dataset_patients import BASES, stream_patients
from .declared import is_declared_spacing
from .figures import calibration_png, error_maps_png, profiles_png
from .measures import (
    EdgeMeasure,
    PatientMeasure,
    RegionMeasure,
    edge_strata,
    ensemble_noise_percent,
    group_of,
    measure_edges,
    measure_patient,
    measure_regions,
)
from .patients import BaseCache, DosePatient
from .stated_uncertainty import SPREAD_ALONE, Errors, StatedUncertainty, coverage
from .tables import Row, edge_table, kim_table, lesion_table, li_table, paired_gains, voxel_table
from .variants import OTHER_VOXELS, activity_variants, on_other_voxels, realisations, scan_variants

if TYPE_CHECKING:
    from ..virtual_patients.dataset import Dataset, PatientFolder

NOISE_PATIENTS = 3
"""Patients whose scan is repeated for `EvaluationOptions.realisations`."""


@dataclass(frozen=True)
class EvaluationOptions:
    """What is judged besides the patients as they are.

    Attributes
    ----------
    shifts
        Also the same patients seen otherwise than in the training: `variants` and voxels of another size.
    monte_carlo_histories
        Of a Monte Carlo of each scan, the third method of Li et al. 2022; 0 leaves it out. For dblurdosenet.
    realisations
        Scans of the first `NOISE_PATIENTS` patients repeated with other counting noise; 0, or two and more. For
        dblurdosenet.
    """

    shifts: bool = False
    monte_carlo_histories: int = 0
    realisations: int = 0

    def __post_init__(self) -> None:
        if self.realisations < 0 or self.realisations == 1:
            raise InputError(f"Noise needs two realisations or more, found {self.realisations}; 0 leaves it out.")
        if self.monte_carlo_histories and self.monte_carlo_histories < 10_000:
            raise InputError(f"Found {self.monte_carlo_histories} histories; expected 10000 or more, or 0.")


@dataclass(eq=False)
class Tally:
    """Errors of methods over patients."""

    methods: tuple[str, ...]
    members: Mapping[str, Sequence[str]] = field(default_factory=dict)
    patients: list[PatientMeasure] = field(default_factory=list)
    regions: list[RegionMeasure] = field(default_factory=list)
    edges: list[EdgeMeasure] = field(default_factory=list)

    def add(
        self,
        patient: DosePatient,
        method: str,
        dose_gy: NDArray[np.floating],
        strata: Mapping[str, Any],
        noise_gy: NDArray[np.floating] | None = None,
        *,
        with_gamma: bool = True,
    ) -> None:
        """All measures of a method; `noise_gy` is that of a dose by Monte Carlo."""
        self.patients.append(measure_patient(patient, method, dose_gy, with_gamma=with_gamma))
        self.regions += measure_regions(patient, method, dose_gy, noise_gy)
        self.edges += measure_edges(patient, method, dose_gy, strata, noise_gy)

    def tables(self) -> dict[str, list[Row]]:
        """Tables in the forms of the publications."""
        return {
            "kim_2022": kim_table(self.regions, self.methods, self.members),
            "li_2022": li_table(self.regions, self.methods, self.members),
            "edges": edge_table(self.edges, (*self.methods, *(name for own in self.members.values() for name in own))),
            "lesions": lesion_table(self.regions, self.methods),
            "voxels": voxel_table(self.patients, self.methods, self.members),
        }

    def gains(self, base: str, network: str) -> dict[str, Any]:
        """Paired gains of a network over its base; of an ensemble also their standard deviation over the seeds."""

        def over_base(name: str) -> dict[str, Any]:
            return paired_gains(self.patients, self.regions, base, name, self.edges)

        gains = over_base(network)
        seeds = [over_base(name) for name in self.members.get(network, ())]
        for name, one in gains.items():
            values = [seed[name]["value"] for seed in seeds if name in seed]
            one["seed_std"] = float(np.std(values, ddof=1)) if len(values) > 1 else None
        return gains


class Judge:
    """Measures contenders, and keeps numbers only.

    Attributes
    ----------
    tally
        Errors on the patients as they are.
    coverage
        How the uncertainty that the first contender states compares with its errors, None where it states none.
    shifts
        Name of a shift to its tables and gains.
    noise
        Noise over repeated scans by region and method.
    pictures
        Figures by file name.
    """

    def __init__(
        self, judged: Sequence[Contender], cache: Path | None, device: str, options: EvaluationOptions
    ) -> None:
        self.judged = judged
        self.kind = judged[0].models[0].kind
        self.base = BASES[self.kind]
        self.cache = BaseCache(cache)
        self.device = device
        self.options = options
        self.pictures: dict[str, bytes] = {}
        names = tuple(one.name for one in judged)
        self.members = {one.name: one.member_names for one in judged}
        self.beside = methods_beside(self.base, self.kind, options.monte_carlo_histories)
        self.tally = Tally((*self.beside, *names), self.members)
        self.coverage: Mapping[str, Any] | None = None
        self.shifts: dict[str, dict[str, Any]] = {}
        self.noise: tuple[Row, ...] = ()
        self.monte_carlo_sigma: list[dict[str, float]] = []

    @property
    def needs_photons(self) -> bool:
        """Whether a model takes the photons' part of the base."""
        return any(model.needs_photons for one in self.judged for model in one.models)

    def stream(
        self, dataset: Dataset, folders: Sequence[PatientFolder], progress: Progress | None = None
    ) -> Iterator[DosePatient]:
        """Patients of a dataset as the contenders see them, one after the other."""
        return stream_patients(
            dataset, folders, self.kind, with_photons=self.needs_photons, cache=self.cache.folder, progress=progress
        )

    def patients(
        self,
        patients: Iterable[DosePatient],
        count: int,
        calibration: StatedUncertainty | None,
        progress: Progress | None,
    ) -> None:
        """All methods on all patients, and how far the uncertainty that the first contender states can be believed.

        `calibration` is that of patients of the validation; None takes what the contender's card says.
        """
        errors: list[tuple[Errors, Errors]] = []
        for number, patient in enumerate(patients):
            part = PartialProgress(progress, number / count, (number + 1) / count)
            report_progress(part, 0.0, f"{patient.id}, {number + 1} of {count}")
            self._require_trained_voxels(patient)
            errors.append(self._patient(patient, part, pictures=number == 0))
        stated = calibration or self.judged[0].stated_uncertainty
        if stated is not None and errors and all(part.count for one in errors for part in one):
            regions, voxels = (Errors.together(part) for part in zip(*errors, strict=True))
            self.coverage = {
                "stated_by": "validation" if calibration else self.judged[0].stated_by,
                "stated": stated.as_dict(),
                "regions": coverage(stated.regions, regions),
                "voxels": coverage(stated.voxels, voxels),
            }
            if self.judged[0].count > 1:
                self.coverage["regions_by_the_spread_alone"] = coverage(SPREAD_ALONE.regions, regions)
            self.pictures["calibration.png"] = calibration_png(stated, regions, voxels)

    def _patient(self, patient: DosePatient, progress: Progress, pictures: bool) -> tuple[Errors, Errors]:
        """One patient by all methods; errors of the regions and voxels of the first contender."""
        strata = edge_strata(patient)
        base_gy = method_dose(patient, self.base, self.base)
        for method in self.beside:
            if method == MONTE_CARLO:
                self._monte_carlo(patient, strata, PartialProgress(progress, 0.0, 0.3))
            else:
                self.tally.add(patient, method, method_dose(patient, method, self.base), strata)
        found = [self._contender(patient, one, strata, PartialProgress(progress, 0.3, 1.0)) for one in self.judged]
        mean, errors = found[0]
        if pictures:
            self.pictures["error_maps.png"] = error_maps_png(patient, base_gy, mean)
            self.pictures["profiles.png"] = profiles_png(patient, {self.base: base_gy, NETWORK: mean})
        return errors

    def _contender(
        self, patient: DosePatient, one: Contender, strata: Mapping[str, Any], progress: Progress
    ) -> tuple[NDArray[np.float32], tuple[Errors, Errors]]:
        """Mean dose of a contender, measured as are its members', and its errors."""

        def see(name: str, dose: NDArray[np.float32], regions: list[RegionMeasure]) -> None:
            self.tally.patients.append(measure_patient(patient, name, dose, with_gamma=False))
            self.tally.regions += regions
            self.tally.edges += measure_edges(patient, name, dose, strata)

        mean, errors = one.judged(patient, self.device, progress, see)
        self.tally.add(patient, one.name, mean, strata)
        return mean, errors

    def _monte_carlo(self, patient: DosePatient, strata: Mapping[str, Any], progress: Progress) -> None:
        dose, noise = monte_carlo_of_scan(patient, self.options.monte_carlo_histories, self.cache, progress)
        self.tally.add(patient, MONTE_CARLO, dose, strata, noise)
        body = patient.body_kji
        self.monte_carlo_sigma.append(
            {
                name: float(np.sqrt(np.mean(np.square(noise[mask], dtype=np.float64)) / np.mean(dose[mask] ** 2)))
                for name, mask in {"body": body, **patient.regions}.items()
                if dose[mask].any()
            }
        )

    def shifted(
        self, dataset: Dataset, beside: Mapping[str, Dataset], paths: Sequence[Path], progress: Progress | None = None
    ) -> None:
        """What base and contenders err where patients are seen otherwise, or are of another kind."""
        tallies: dict[str, Tally] = {}

        def tally(name: str) -> Tally:
            return tallies.setdefault(name, Tally((self.base, *(one.name for one in self.judged))))

        total = (len(dataset.patients) if self.options.shifts else 0) + sum(
            len(one.patients) for one in beside.values()
        )
        done = 0
        for folder in dataset.patients if self.options.shifts else ():
            report_progress(progress, done / total, f"{folder.id} seen otherwise")
            words = {"with_photons": self.needs_photons}
            for variant in activity_variants(dataset, folder, self.kind, cache=self.cache, **words):
                self._against_base(tally(variant.name), variant.patient)
            if self.kind == dblur_dose.KIND:
                part = PartialProgress(progress, done / total, (done + 1) / total)
                for variant in scan_variants(dataset, folder, self.kind, progress=part, **words):
                    self._against_base(tally(variant.name), variant.patient)
            (patient,) = self.stream(dataset, (folder,))
            before, after = on_other_voxels(paths, patient, self.base, self.device)
            for method, dose in ((self.base, before), (NETWORK, after)):
                tally(OTHER_VOXELS).regions += measure_regions(patient, method, dose)
            done += 1
        for name, other in beside.items():
            for patient in self.stream(other, other.patients):
                report_progress(progress, done / total, f"{patient.id} of {name}")
                self._against_base(tally(name), patient)
                done += 1
        for name, found in tallies.items():
            self.shifts[name] = {**found.tables(), "gains_over_base": found.gains(self.base, NETWORK)}

    def _against_base(self, tally: Tally, patient: DosePatient) -> None:
        strata = edge_strata(patient)
        tally.add(patient, self.base, method_dose(patient, self.base, self.base), strata, with_gamma=False)
        for one in self.judged:
            tally.add(patient, one.name, mean_doses_gy(patient, one, self.device), strata, with_gamma=False)

    def noise_of_scans(self, dataset: Dataset, progress: Progress) -> None:
        """Noise of base and contenders over repeated scans, by region."""
        if self.options.realisations == 0 or self.kind != dblur_dose.KIND:
            return
        found: dict[tuple[str, str], list[float]] = {}
        folders = dataset.patients[:NOISE_PATIENTS]
        for number, folder in enumerate(folders):
            part = PartialProgress(progress, number / len(folders), (number + 1) / len(folders))
            doses: dict[str, list[NDArray[np.float32]]] = {}
            for patient in realisations(
                dataset, folder, self.kind, self.options.realisations, with_photons=self.needs_photons, progress=part
            ):
                regions = patient.regions
                doses.setdefault(self.base, []).append(method_dose(patient, self.base, self.base))
                for one in self.judged:
                    doses.setdefault(one.name, []).append(mean_doses_gy(patient, one, self.device))
            for method, maps in doses.items():
                stack = np.stack(maps)
                for name, mask in regions.items():
                    if mask.any() and stack[:, mask].any():
                        region = "lesion" if group_of(name) == "tumours" else name
                        found.setdefault((region, method), []).append(ensemble_noise_percent(stack, mask))
        self.noise = tuple(
            {
                "region": region, "method": method, "patients": len(folders), "noise_percent": float(np.mean(values)),
                "noise_std_percent": float(np.std(values, ddof=1)) if len(values) > 1 else None,
            }
            for (region, method), values in sorted(found.items())
        )  # fmt: skip

    @property
    def monte_carlo(self) -> dict[str, Any] | None:
        """Histories of the Monte Carlo of the scans, and how sure it is: root mean square σ over dose by region."""
        if not self.monte_carlo_sigma:
            return None
        names = sorted({name for one in self.monte_carlo_sigma for name in one})
        sigma = {name: [one[name] for one in self.monte_carlo_sigma if name in one] for name in names}
        return {
            "histories": self.options.monte_carlo_histories,
            "voxel_uncertainty": {name: float(np.mean(values)) for name, values in sigma.items()},
        }

    def _require_trained_voxels(self, patient: DosePatient) -> None:
        for one in self.judged:
            for model in one.models:
                if not is_declared_spacing(model.card, patient.maps.geometry):
                    raise InputError(
                        f"{patient.id} has voxels of {patient.maps.geometry.spacing_mm} mm, outside what {model.name} "
                        "declares; simulate the dataset with voxels of the training, or use 'dose' and 'compare'."
                    )

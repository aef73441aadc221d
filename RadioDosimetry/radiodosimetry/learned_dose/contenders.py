"""Models to be judged: those that differ in their seed alone are one ensemble, others stand beside each other."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..learning.ensembles import combine_members
from ..learning.model_files import save_model
from ..progress import PartialProgress, Progress
from ..provenance import to_json
from .dose_model import DoseModel, ensemble_state, load_dose_model
from .measures import RegionMeasure, measure_regions
from .patient_maps import PatientMaps
from .stated_uncertainty import SPREAD_ALONE, Errors, StatedUncertainty, calibrated, patient_errors

if TYPE_CHECKING:
    from ..virtual_patients.dataset import Dataset, PatientFolder
    from .patients import DosePatient

_LOG = logging.getLogger(__name__)

NETWORK = "network"
"""Name of the first model, or of all that differ from it in their seed alone, in tables."""

LARGEST_FILE_BYTES = 10_000_000
"""Size that a model file should keep below, so that it can travel with the package."""


@dataclass(frozen=True, eq=False)
class Contender:
    """One row of the tables: a network, or several that differ in their seed.

    Attributes
    ----------
    name
        In tables.
    models
        One or more of the same kind and preparation.
    """

    name: str
    models: tuple[DoseModel, ...]

    @property
    def count(self) -> int:
        """Number of networks."""
        return sum(len(model.networks) for model in self.models)

    @property
    def member_names(self) -> tuple[str, ...]:
        """Names under which its networks are measured one by one; none for a single network."""
        return tuple(f"{self.name}, seed {number}" for number in range(1, self.count + 1)) if self.count > 1 else ()

    @property
    def stated_uncertainty(self) -> StatedUncertainty | None:
        """What it states of its doses; None where no patients and no members speak for any."""
        if len(self.models) == 1:
            return self.models[0].stated_uncertainty
        return SPREAD_ALONE

    @property
    def stated_by(self) -> str:
        """Where that uncertainty comes from: the model's card, or nothing but the spread of the members."""
        return "spread of the members" if self.stated_uncertainty is SPREAD_ALONE else "card"

    def member_doses_gy(
        self, maps: PatientMaps, device: str = "cpu", progress: Progress | None = None
    ) -> Iterator[NDArray[np.float32]]:
        """Dose of each network [Gy], one after the other."""
        done = 0
        for model in self.models:
            part = PartialProgress(progress, done / self.count, (done + len(model.networks)) / self.count)
            for dose in model.member_doses(maps, device, part):
                yield maps.dose_gy(dose)
            done += len(model.networks)

    def judged(
        self,
        patient: DosePatient,
        device: str = "cpu",
        progress: Progress | None = None,
        see: Callable[[str, NDArray[np.float32], list[RegionMeasure]], None] | None = None,
    ) -> tuple[NDArray[np.float32], tuple[Errors, Errors]]:
        """Mean dose of the networks [Gy] (k, j, i), and the errors of its regions and voxels.

        `see` gets each member's name, dose and regions; a single network has no members.
        """
        spreads: dict[str, list[float]] = {}

        def members() -> Iterator[NDArray[np.float32]]:
            doses = self.member_doses_gy(patient.maps, device, progress)
            for name, dose in zip(self.member_names, doses, strict=True):
                regions = measure_regions(patient, name, dose)
                for one in regions:
                    spreads.setdefault(one.region, []).append(one.dose_gy)
                if see is not None:
                    see(name, dose, regions)
                yield dose

        if self.count == 1:
            (mean,) = self.member_doses_gy(patient.maps, device, progress)
            return mean, patient_errors(patient, mean, None, {})
        together = combine_members(members())
        of_regions = {name: float(np.std(values, ddof=1)) for name, values in spreads.items()}
        return together.mean, patient_errors(patient, together.mean, together.spread, of_regions)


def contenders(paths: Sequence[Path]) -> tuple[Contender, ...]:
    """Models by what they are, seeds together; the first is called `NETWORK`, others after their files.

    Raises
    ------
    FileFormatError
        A model cannot be read.
    InputError
        There is none, or they are of different kinds.
    """
    if not paths:
        raise InputError("There is no model to judge; give at least one.")
    loaded = [(Path(path), load_dose_model(path)) for path in paths]
    kinds = sorted({model.kind for _, model in loaded})
    if len(kinds) > 1:
        raise InputError(f"Found models of the kinds {' and '.join(kinds)}; judge one kind at a time.")
    groups: dict[str, list[tuple[Path, DoseModel]]] = {}
    for path, model in loaded:
        groups.setdefault(_preparation(model), []).append((path, model))
    found: list[Contender] = []
    for members in groups.values():
        name = _unused(_file_name(members[0][0]), {one.name for one in found}) if found else NETWORK
        found.append(Contender(name, tuple(model for _, model in members)))
    return tuple(found)


def combine_models(models: Sequence[Path], output: Path, calibration: StatedUncertainty | None = None) -> Path:
    """One model file of several that differ in their seed.

    Parameters
    ----------
    models
        Of one kind, architecture, preprocessing and nuclide.
    output
        Of the new model.
    calibration
        What `calibration_on` found on patients that the models were validated with; without it the model states the
        spread of its members.

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
    state = ensemble_state([one.networks[0].state_dict() for one in loaded])
    size = 2 * sum(value.numel() for value in state.values())
    if size > LARGEST_FILE_BYTES:
        _LOG.warning("%d networks make a file of %.1f MB; one that travels with the package stays below %g MB.",
                     len(loaded), size / 1e6, LARGEST_FILE_BYTES / 1e6)  # fmt: skip
    sources = sorted({str(source) for one in loaded for source in one.card.training.get("sources", ())})
    training: dict[str, Any] = {"members": [dict(one.card.training) for one in loaded], "sources": sources}
    if "split" in first.training:
        training["split"] = {"training_sources": sorted({name for one in loaded for name in _sources(one)})}
    if calibration is not None:
        training["calibration"] = calibration.as_dict()
    card = replace(first, architecture={**first.architecture, "members": len(loaded)}, training=training, sha256="")
    return save_model(output, state, card)


def validation_folders(dataset: Dataset, models: Sequence[DoseModel]) -> tuple[PatientFolder, ...]:
    """Patients of a dataset that all models were validated with and none was trained on.

    Raises
    ------
    InputError
        There is none.
    """
    found = []
    for folder in dataset.patients:
        splits = [model.card.training.get("split") or {} for model in models]
        known = all(folder.source in split.get("training_sources", ()) for split in splits)
        validated = all(folder.id in split.get("validation", ()) for split in splits)
        if known and validated:
            found.append(folder)
    if not found:
        names = ", ".join(sorted({model.name for model in models}))
        raise InputError(
            f"None of the patients of {dataset.path} validated all of the models ({names}) without training one; give "
            "the data that they were trained with, and train them with the same split_seed."
        )
    return tuple(found)


def calibration_on(
    patients: Iterable[DosePatient], contender: Contender, device: str = "cpu", progress: Progress | None = None
) -> StatedUncertainty | None:
    """The uncertainty that a contender's errors speak for; None for too few regions.

    Parameters
    ----------
    patients
        That neither trained nor judge the networks.
    contender
        One network or several.
    device, progress
        As elsewhere.
    """
    return calibrated(contender.judged(patient, device, progress)[1] for patient in patients)


def models_of(contender: Contender, paths: Sequence[Path]) -> tuple[Path, ...]:
    """Files of a contender's models among those given to `contenders`."""
    own = {_preparation(contender.models[0])}
    return tuple(Path(path) for path in paths if _preparation(load_dose_model(path)) in own)


def _preparation(model: DoseModel) -> str:
    """All that two models share that differ in their seed alone."""
    card = model.card
    how = {name: card.training.get(name) for name in ("loss", "sampling", "data")}
    return to_json(
        {
            "kind": card.kind,
            "architecture": dict(card.architecture),
            "preprocessing": dict(card.preprocessing),
            "nuclides": card.declared.get("nuclides"),
            **how,
        }
    )


def _sources(model: DoseModel) -> tuple[str, ...]:
    split = model.card.training.get("split") or {}
    return tuple(split.get("training_sources") or model.card.training.get("sources") or ())


def _file_name(path: Path) -> str:
    """Of the model, or of its folder where every training calls it alike."""
    return path.stem if path.stem != "model" else path.resolve().parent.name


def _unused(name: str, used: set[str]) -> str:
    number, found = 2, name
    while found in used:
        found = f"{name} {number}"
        number += 1
    return found

# ruff: noqa: N802, N999 (camelCase, as everywhere in Slicer)
"""Model files of delayed PET as models of the panel: those that come with the package, and the user's own.

Reading a card needs no torch, so that the panel can show what a model is for before anything is installed.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .delayedPet import DelayedPetModel, ModelCard, SyntheticVolume, installedModels, registerModel

if TYPE_CHECKING:
    from radiodosimetry.images.regions import LabelMap
    from radiodosimetry.images.volume import QuantitativeVolume
    from radiodosimetry.progress import Progress

_BY_TISSUES = "ratio-3d"
"""Network that tells tissues apart: it states its uncertainty, and takes regions where they are known."""

_SUMMARIES = {
    _BY_TISSUES: "A 3-D network tells the tissues apart, unless regions are given; the activity of each changes with "
    "its early uptake as that of the training patients did, and spills over into its neighbours as the scanner shows.",
    "pix2pix": "The adversarial network of Kim et al. 2025 makes each axial slice by itself.",
}

_REFERENCES = {"pix2pix": "Kim et al., Sci Rep 15 (2025) 5627, doi:10.1038/s41598-025-88498-z"}


class FileModel:
    """A model file as the panel knows models.

    Parameters
    ----------
    path
        Its `.safetensors` or `.json`.

    Raises
    ------
    radiodosimetry.errors.InputError
        The card is missing, damaged, or of another kind of model.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.card = cardOfFile(self.path)
        self._network: Any = None

    def synthesise(
        self,
        early: QuantitativeVolume,
        *,
        nuclide: str,
        early_time_s: float,
        times_s: Sequence[float],
        ct: QuantitativeVolume | None = None,
        labels: LabelMap | None = None,
        tracer: str | None = None,
        administered_bq: float | None = None,
        progress: Progress | None = None,
    ) -> list[SyntheticVolume]:
        """Volumes at the times asked for; see `DelayedPetModel`."""
        from radiodosimetry.delayed_pet.inference import synthesize
        from radiodosimetry.delayed_pet.network_files import load_network

        from .requirements import ensureLearning

        ensureLearning(interactive=False)
        if self._network is None:
            self._network = load_network(self.path)
        made = synthesize(
            self._network, early, early_time_s, times_s, nuclide, ct, labels=labels, tracer=tracer,
            administered_bq=administered_bq, progress=progress,
        )  # fmt: skip
        rows = zip(made.times_s, made.volumes, made.uncertainties, strict=True)
        return [SyntheticVolume(time_s, volume, uncertainty) for time_s, volume, uncertainty in rows]


def cardOfFile(path: Path) -> ModelCard:
    """What the panel shows of a model file, from its card alone.

    Raises
    ------
    radiodosimetry.errors.InputError
        The card is missing, damaged, or of another kind of model.
    """
    from radiodosimetry.delayed_pet.network_files import declared_of
    from radiodosimetry.learning.model_files import read_card

    declared, card = declared_of(path), read_card(path)
    network = str(card.architecture.get("network", ""))
    return ModelCard(
        name=path.stem,
        version=f"{card.package_version}, {card.sha256[:8]}",
        summary=_SUMMARIES.get(network, network),
        trained_on=card.trained_on,
        nuclides=declared.nuclides,
        tracer=declared.tracer,
        early_time_range_s=declared.early_range_s,
        target_time_ranges_s=declared.target_ranges_s,
        target_times_s=tuple(3600.0 * float(hour) for hour in card.preprocessing.get("target_hours", ())),
        spacing_range_mm=declared.spacing_range_mm,
        gives_uncertainty=network == _BY_TISSUES,
        needs_ct=declared.needs_ct,
        uses_ct=bool(card.preprocessing.get("use_ct")),
        takes_regions=network == _BY_TISSUES,
        largest_concentration_bq_per_ml=declared.largest_concentration_bq_per_ml,
        smallest_field_of_view_mm=declared.smallest_field_of_view_mm,
        limits=tuple(card.limits),
        licence=card.licence,
        reference=_REFERENCES.get(network, ""),
    )


def registerModelFile(path: Path) -> FileModel:
    """Install a model file for this session.

    Raises
    ------
    radiodosimetry.errors.InputError
        It cannot be used.
    """
    model = FileModel(path)
    registerModel(model)
    return model


def modelNamed(name: str) -> DelayedPetModel:
    """An installed model by its name, else one that comes with the package, else that of a file.

    Raises
    ------
    radiodosimetry.errors.InputError
        There is none; the text names those that come with the package.
    """
    from radiodosimetry.delayed_pet.shipped import model_named

    installed = installedModels()
    return installed[name] if name in installed else FileModel(model_named(name))


def registerShippedModels() -> None:
    """Install the models that come with the package, those already installed aside; one that is damaged is logged."""
    from radiodosimetry.delayed_pet.shipped import shipped_models
    from radiodosimetry.errors import RadioDosimetryError

    for name, path in shipped_models().items():
        if name in installedModels():
            continue
        try:
            registerModelFile(path)
        except RadioDosimetryError as error:
            logging.error("The model %s of RadioDosimetry cannot be used: %s", path.name, error)

"""What the panel of delayed PET knows of a model: its card, its interface, and which models are installed.

Nothing here needs Slicer. A model's own names are those of the core (PEP 8, base units); no model is installed until
one registers itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from radiodosimetry.images.regions import LabelMap
    from radiodosimetry.images.volume import QuantitativeVolume
    from radiodosimetry.progress import Progress

INTERFACE_VERSION = 2
"""Version of `DelayedPetModel`; a model made for another one is refused."""

TIME_TOLERANCE_S = 1.0
"""Times after injection closer than this are the same: panels show minutes."""

ANY_TRACER, OTHER_TRACER = "any", "another"
"""Tracer of a model that is for all, and name of a tracer that no model is for."""


@dataclass(frozen=True)
class ModelCard:
    """What a model is for, was made from and must not be used for.

    Attributes
    ----------
    name, version
        What the user chooses and what is written into results.
    summary
        One sentence: the method.
    trained_on
        Whose images, how many; words that go after "trained on".
    nuclides
        Nuclides of the tracers it was trained on ("Cu-64").
    tracer
        The tracer ("cu64-antibody", or `ANY_TRACER`); a nuclide alone does not say how the body handles it.
    early_time_range_s
        Earliest and latest time of the early scan after injection [s].
    target_time_ranges_s
        Ranges of times it can synthesise [s]; a single time is a range of no length.
    target_times_s
        Times it was trained for [s]; () where they are the ends of the ranges.
    spacing_range_mm
        Smallest and largest voxel edge of the early scan [mm].
    gives_uncertainty
        Whether each synthesised volume comes with its standard uncertainty.
    needs_ct, uses_ct
        Whether it cannot do without the CT, and whether it looks at one.
    takes_regions
        Whether known regions of the patient change what it makes.
    largest_concentration_bq_per_ml
        Largest voxel that an early scan may have [Bq/mL], a multiple of the training's; None if any will do.
    smallest_field_of_view_mm
        Least extent of the scan along its columns, rows and slices [mm]; None if any will do.
    limits
        Sentences that a reader must see before believing a result.
    licence, reference
        Of the model; "" if not stated.
    interface_version
        The `INTERFACE_VERSION` it was made for.
    """

    name: str
    version: str
    summary: str
    trained_on: str
    nuclides: tuple[str, ...]
    tracer: str
    early_time_range_s: tuple[float, float]
    target_time_ranges_s: tuple[tuple[float, float], ...]
    spacing_range_mm: tuple[float, float]
    target_times_s: tuple[float, ...] = ()
    gives_uncertainty: bool = False
    needs_ct: bool = False
    uses_ct: bool = False
    takes_regions: bool = False
    largest_concentration_bq_per_ml: float | None = None
    smallest_field_of_view_mm: tuple[float, float, float] | None = None
    limits: tuple[str, ...] = ()
    licence: str = ""
    reference: str = ""
    interface_version: int = INTERFACE_VERSION

    def __post_init__(self) -> None:
        from radiodosimetry.errors import InputError

        if not self.name.strip():
            raise InputError("A model card has no name; expected the name that the user chooses.")
        if not self.nuclides or not self.target_time_ranges_s:
            raise InputError(f"The card of the model '{self.name}' names no nuclide or no target time; it needs both.")
        ranges = (self.early_time_range_s, *self.target_time_ranges_s, self.spacing_range_mm)
        if any(not 0 <= low <= high < float("inf") for low, high in ranges):
            raise InputError(
                f"The card of the model '{self.name}' has a range that does not rise from zero or later: {ranges}."
            )

    def earlyProblem(self, time_s: float) -> str | None:
        """Why the model cannot use an early scan of this time after injection [s]; None if it can."""
        low, high = self.early_time_range_s
        if low - TIME_TOLERANCE_S <= time_s <= high + TIME_TOLERANCE_S:
            return None
        expected = rangeText(low, high)
        return f"'{self.name}' expects the early scan {expected} after injection, found {time_s / 3600:g} h."

    def targetProblem(self, time_s: float) -> str | None:
        """Why the model cannot synthesise this time after injection [s]; None if it can."""
        if any(low - TIME_TOLERANCE_S <= time_s <= high + TIME_TOLERANCE_S for low, high in self.target_time_ranges_s):
            return None
        known = ", ".join(rangeText(*limits) for limits in self.target_time_ranges_s)
        return f"'{self.name}' cannot synthesise {time_s / 3600:g} h after injection, only {known}."

    def tracerProblem(self, nuclide: str, tracer: str | None = None) -> str | None:
        """Why the model cannot be used with a tracer of this nuclide; a `tracer` of None is not known."""
        from radiodosimetry.delayed_pet.network_files import same_tracer

        if nuclide not in self.nuclides:
            return f"'{self.name}' was made for {', '.join(self.nuclides)}, found {nuclide}."
        if tracer is not None and self.tracer != ANY_TRACER and not same_tracer(tracer, self.tracer):
            return f"'{self.name}' was made for the tracer {self.tracer}, found {tracer}; use a model of that tracer."
        return None

    def gridProblem(self, spacing_mm: Sequence[float], extent_mm: Sequence[float]) -> str | None:
        """Why the model cannot use a scan of such voxels and extent along columns, rows, slices; None if it can."""
        low, high = self.spacing_range_mm
        if min(spacing_mm) < low or max(spacing_mm) > high:
            found = " × ".join(f"{edge:g}" for edge in spacing_mm)
            expected = f"voxel edges of {low:g} to {high:g} mm"
            return f"'{self.name}' expects {expected}, found {found} mm; resample the scan."
        least = self.smallest_field_of_view_mm
        if least is not None and any(mine < wanted for mine, wanted in zip(extent_mm, least, strict=True)):
            found, expected = (" × ".join(f"{one:.0f}" for one in extent) for extent in (extent_mm, least))
            return f"The early scan covers {found} mm, '{self.name}' needs at least {expected} mm of the body."
        return None

    def concentrationProblem(self, largest_bq_per_ml: float) -> str | None:
        """Why the model cannot use a scan with this largest voxel [Bq/mL]."""
        if largest_bq_per_ml <= 0:
            return "The early scan holds no activity: no voxel is above zero."
        limit = self.largest_concentration_bq_per_ml
        if limit is not None and largest_bq_per_ml > limit:
            return (
                f"The early scan reaches {largest_bq_per_ml / 1e3:.4g} kBq/mL, more than the {limit / 1e3:.4g} kBq/mL "
                f"that '{self.name}' accepts; check its unit."
            )
        return None


@dataclass(frozen=True, eq=False)
class SyntheticVolume:
    """One volume that a model made.

    Attributes
    ----------
    time_s
        Time after injection [s].
    volume
        Activity concentration present at that time [Bq/mL], on the grid of the early scan.
    uncertainty
        Standard uncertainty of each voxel [Bq/mL], same grid; None if the model gives none.
    """

    time_s: float
    volume: QuantitativeVolume
    uncertainty: QuantitativeVolume | None = None


@runtime_checkable
class DelayedPetModel(Protocol):
    """A model that makes later PET volumes from an early one."""

    @property
    def card(self) -> ModelCard:
        """What the model is for."""

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
    ) -> Sequence[SyntheticVolume]:
        """Volumes at the times asked for, in their order.

        Parameters
        ----------
        early
            Activity concentration present at the early scan [Bq/mL].
        nuclide
            Nuclide of the tracer.
        early_time_s, times_s
            Times after injection of the early scan and of the volumes wanted [s].
        ct
            CT of the same session on any grid, if there is one.
        labels
            Organs and lesions on the grid of the early scan, where they are known; a model may ignore them.
        tracer
            Name of the tracer that was given, already compared with the card's; None where it was not stated.
        administered_bq
            Administered activity [Bq], where it is known.
        progress
            Who watches, and may cancel (`CancelledError`).
        """


_installed: dict[str, DelayedPetModel] = {}


def registerModel(model: DelayedPetModel) -> None:
    """Install a model under the name of its card; one of the same name is replaced.

    Raises
    ------
    InputError
        It lacks a card or `synthesise`, or was made for another version of the interface.
    """
    from radiodosimetry.errors import InputError

    if not isinstance(model, DelayedPetModel) or not isinstance(model.card, ModelCard):
        raise InputError(f"{type(model).__name__} is no model of delayed PET; expected a `card` and `synthesise`.")
    if model.card.interface_version != INTERFACE_VERSION:
        raise InputError(
            f"The model '{model.card.name}' was made for version {model.card.interface_version} of the interface, "
            f"expected {INTERFACE_VERSION}; install a model file of this release."
        )
    _installed[model.card.name] = model


def unregisterModel(name: str) -> None:
    """Forget a model; nothing happens if there is none of this name."""
    _installed.pop(name, None)


def installedModels() -> dict[str, DelayedPetModel]:
    """Installed models by name, in the order of their names."""
    return dict(sorted(_installed.items()))


def cardText(card: ModelCard) -> str:
    """The card as lines to read before choosing the model."""
    low, high = card.spacing_range_mm
    uncertainty = "with each volume" if card.gives_uncertainty else "none: the error of a voxel is not known"
    lines = [
        f"{card.name} {card.version}",
        card.summary,
        f"Trained on: {card.trained_on}",
        f"Tracer: {card.tracer} ({', '.join(card.nuclides)})",
        f"Early scan: {rangeText(*card.early_time_range_s)} after injection, voxel edges {low:g} to {high:g} mm",
        f"Synthesises: {', '.join(rangeText(*limits) for limits in card.target_time_ranges_s)} after injection",
        f"Uncertainty: {uncertainty}",
    ]
    if card.needs_ct:
        lines.append("Needs the CT of the early scan.")
    elif card.uses_ct:
        lines.append("CT: learned with one, errs more without")
    if card.takes_regions:
        lines.append("Regions: those given, else tissues that it finds itself")
    if card.largest_concentration_bq_per_ml is not None:
        lines.append(f"Largest voxel accepted: {card.largest_concentration_bq_per_ml / 1e3:.4g} kBq/mL")
    lines += [f"Limit: {limit}" for limit in card.limits]
    if card.reference:
        lines.append(f"Reference: {card.reference}")
    if card.licence:
        lines.append(f"Licence: {card.licence}")
    return "\n".join(lines)


def rangeText(low_s: float, high_s: float) -> str:
    """A range of times in hours: "24 h", "0.5 to 2 h"."""
    low, high = low_s / 3600, high_s / 3600
    return f"{low:g} h" if high - low < TIME_TOLERANCE_S / 3600 else f"{low:g} to {high:g} h"


def hoursFromText(text: str) -> tuple[float, ...]:
    """Times in hours as a user writes them: "24, 48" or "24; 48" or "24 48"; "1,5" is refused as two times that fall.

    Raises
    ------
    InputError
        There is no time, one is no positive number, or they do not rise.
    """
    from radiodosimetry.errors import InputError

    words = text.replace(";", " ").replace(",", " ").split()
    try:
        hours = tuple(float(word) for word in words)
    except ValueError:
        raise InputError(f"Target times '{text}' are not numbers of hours; write them like 24, 48.") from None
    if not hours:
        raise InputError("There is no target time; write hours after injection like 24, 48.")
    if not all(0 < hour < float("inf") for hour in hours):
        raise InputError(f"Target times must be hours after injection above zero, found '{text}'.")
    if any(later <= earlier for earlier, later in zip(hours, hours[1:], strict=False)):
        raise InputError(f"Target times must rise, found '{text}'; write each once, in order, with a decimal point.")
    return hours

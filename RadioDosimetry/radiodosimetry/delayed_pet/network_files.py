"""Model files of delayed PET: what the card says of a network, and the network that it describes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import FileFormatError, InputError
from ..images.volume import QuantitativeVolume
from ..learning.model_files import ModelCard, load_model, read_card
from ..nuclides import Radionuclide
from ..units import SECONDS_PER_HOUR
from .pairs import require_quantitative_pet

if TYPE_CHECKING:
    from .networks import Generator
    from .tissue_kinetics import TissueKinetics
    from .tissue_network import TissueNetwork

KIND = "delayed-pet"
"""Of the model files."""

TIME_TOLERANCE_S = 1.0
"""Times closer than this are the same."""

NETWORKS = ("pix2pix", "ratio-3d")
"""Networks that model files may hold."""


@dataclass(frozen=True)
class Declared:
    """Where a model may be used.

    Attributes
    ----------
    nuclides, tracer
        Of the training data.
    early_range_s
        Earliest and latest early scan after injection [s].
    target_ranges_s
        Ranges of times that it synthesises [s].
    spacing_range_mm
        Smallest and largest voxel edge [mm].
    smallest_field_of_view_mm
        Least extent of the scan along its columns, rows and slices [mm].
    largest_concentration_bq_per_ml
        Largest voxel of an early scan it may be given [Bq/mL].
    needs_ct
        Whether a CT must be given.
    """

    nuclides: tuple[str, ...]
    tracer: str
    early_range_s: tuple[float, float]
    target_ranges_s: tuple[tuple[float, float], ...]
    spacing_range_mm: tuple[float, float]
    smallest_field_of_view_mm: tuple[float, float, float]
    largest_concentration_bq_per_ml: float
    needs_ct: bool

    def as_dict(self) -> dict[str, Any]:
        """For the card, times in hours."""
        return {
            "nuclides": list(self.nuclides),
            "tracer": self.tracer,
            "early_hours": [time / SECONDS_PER_HOUR for time in self.early_range_s],
            "target_hours": [[time / SECONDS_PER_HOUR for time in one] for one in self.target_ranges_s],
            "spacing_mm": list(self.spacing_range_mm),
            "smallest_field_of_view_mm": list(self.smallest_field_of_view_mm),
            "largest_concentration_bq_per_ml": self.largest_concentration_bq_per_ml,
            "needs_ct": self.needs_ct,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], name: str) -> Declared:
        """From a card.

        Raises
        ------
        FileFormatError
            The card lacks a range.
        """
        try:
            early, spacing, field = values["early_hours"], values["spacing_mm"], values["smallest_field_of_view_mm"]
            return cls(
                tuple(str(one) for one in values["nuclides"]),
                str(values["tracer"]),
                (float(early[0]) * SECONDS_PER_HOUR, float(early[1]) * SECONDS_PER_HOUR),
                tuple((float(a) * SECONDS_PER_HOUR, float(b) * SECONDS_PER_HOUR) for a, b in values["target_hours"]),
                (float(spacing[0]), float(spacing[1])),
                (float(field[0]), float(field[1]), float(field[2])),
                float(values["largest_concentration_bq_per_ml"]),
                bool(values["needs_ct"]),
            )
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise FileFormatError(
                f"The card of the model {name} does not say where the model may be used ({error}); train it again."
            ) from error

    def problems(
        self,
        early: QuantitativeVolume,
        early_time_s: float,
        times_s: Sequence[float],
        nuclide: str,
        with_ct: bool,
        tracer: str | None = None,
    ) -> list[str]:
        """Everything that speaks against a use of the model, a sentence each; a `tracer` of None is not known."""
        found = []
        if tracer is not None and not same_tracer(tracer, self.tracer):
            found.append(f"The model was trained on the tracer {self.tracer}, found {tracer}.")
        if Radionuclide(nuclide).name not in self.nuclides:
            found.append(f"The model was trained on {', '.join(self.nuclides)} ({self.tracer}), found {nuclide}.")
        if not _within(early_time_s, self.early_range_s):
            found.append(
                f"The model expects an early scan {_hours(self.early_range_s)} after injection, found "
                f"{early_time_s / SECONDS_PER_HOUR:g} h."
            )
        for time_s in times_s:
            if not any(_within(time_s, one) for one in self.target_ranges_s):
                known = " or ".join(_hours(one) for one in self.target_ranges_s)
                found.append(f"The model synthesises {known} after injection, not {time_s / SECONDS_PER_HOUR:g} h.")
        edges = early.geometry.spacing_mm
        low, high = self.spacing_range_mm
        if min(edges) < low or max(edges) > high:
            shown = " × ".join(f"{edge:g}" for edge in edges)
            found.append(f"The model expects voxels of {low:g} to {high:g} mm, found {shown} mm; resample the scan.")
        extent = [count * edge for count, edge in zip(early.geometry.shape_kji[::-1], edges, strict=True)]
        if any(mine < least for mine, least in zip(extent, self.smallest_field_of_view_mm, strict=True)):
            shown = " × ".join(f"{one:.0f}" for one in extent)
            least = " × ".join(f"{one:.0f}" for one in self.smallest_field_of_view_mm)
            found.append(f"The field of view is {shown} mm, the model needs at least {least} mm of the body.")
        largest = float(np.max(early.array_kji))
        if largest > self.largest_concentration_bq_per_ml:
            found.append(
                f"The scan reaches {largest / 1e3:.4g} kBq/mL, more than the "
                f"{self.largest_concentration_bq_per_ml / 1e3:.4g} kBq/mL that the model is meant for; check its unit."
            )
        if self.needs_ct and not with_ct:
            found.append("The model needs the CT of the early scan; give it.")
        return found

    def require(
        self,
        early: QuantitativeVolume,
        early_time_s: float,
        times_s: Sequence[float],
        nuclide: str,
        with_ct: bool,
        tracer: str | None = None,
    ) -> None:
        """Refuse a use outside of what is declared.

        Raises
        ------
        UnitError
            The scan is not quantitative.
        InputError
            It is empty or outside of a range, the times do not rise, or there are none.
        """
        require_quantitative_pet(early, "The early scan")
        if not times_s:
            raise InputError("There is no time to synthesise; give hours after injection.")
        if any(later <= earlier for earlier, later in zip((early_time_s, *times_s), times_s, strict=False)):
            raise InputError("The times to synthesise must rise and lie after the early scan.")
        problems = self.problems(early, early_time_s, times_s, nuclide, with_ct, tracer)
        if problems:
            raise InputError(" ".join(problems))


@dataclass(frozen=True, eq=False)
class DelayedPetNetwork:
    """A network ready for use.

    Attributes
    ----------
    card
        Of its file.
    declared
        Where it may be used.
    members
        Networks of the ensemble, in evaluation mode on the device.
    path
        Where it was read.
    kinetics
        What becomes of the tissues; None for the published network.
    """

    card: ModelCard
    declared: Declared
    members: tuple[Generator | TissueNetwork, ...]
    path: Path
    kinetics: TissueKinetics | None = None

    @property
    def network(self) -> str:
        """One of `NETWORKS`."""
        return str(self.card.architecture["network"])


def declared_of(path: Path) -> Declared:
    """Where the model of a file may be used, without reading its weights."""
    card = read_card(path)
    if card.kind != KIND:
        raise InputError(f"The model {path} is a '{card.kind}', expected a '{KIND}'; give a model of delayed PET.")
    return Declared.from_dict(card.declared, str(path))


def load_network(path: Path, device: str = "cpu") -> DelayedPetNetwork:
    """Read a model of delayed PET.

    Raises
    ------
    FileFormatError
        The file is damaged, or its weights do not fit the network of its card.
    InputError
        It is a model of another kind.
    DeviceError
        There is no such device.
    """
    from ..learning.devices import torch_device

    card, state = load_model(path, KIND)
    declared = Declared.from_dict(card.declared, str(path))
    where = torch_device(device)
    members = tuple(
        member.to(where) for member in members_of(card.architecture, state, path)
    )
    kinetics = None
    if card.architecture.get("network") == "ratio-3d":
        from .tissue_kinetics import TissueKinetics

        kinetics = TissueKinetics.from_dict(card.training.get("kinetics", {}), str(path))
    return DelayedPetNetwork(card, declared, members, Path(path), kinetics)


def members_of(
    architecture: Mapping[str, Any], state: Mapping[str, Any], path: Path
) -> list[Any]:
    """The networks of a model file, in evaluation mode.

    Raises
    ------
    FileFormatError
        The weights do not fit.
    """
    members = []
    for number in range(int(architecture.get("members", 1))):
        network = build_network(architecture)
        prefix = f"member_{number}."
        own = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        try:
            network.load_state_dict(own, strict=True)
        except RuntimeError as error:
            raise FileFormatError(
                f"The weights of {path} do not fit the network that its card describes; train the model again."
            ) from error
        members.append(network.eval())
    return members


def build_network(architecture: Mapping[str, Any]) -> Generator | TissueNetwork:
    """The network of a card's `architecture`, with weights at random.

    Raises
    ------
    FileFormatError
        It is none that this version knows.
    """
    name = architecture.get("network")
    try:
        if name == "pix2pix":
            from .networks import Generator

            return Generator(
                int(architecture["in_channels"]), int(architecture["features"]), int(architecture["blocks"])
            )
        if name == "ratio-3d":
            from .tissue_network import TissueNetwork

            return TissueNetwork(
                int(architecture["in_channels"]),
                int(architecture["features"]),
                int(architecture["levels"]),
                int(architecture["tissues"]),
                int(architecture["patch"]),
            )
    except (KeyError, TypeError, ValueError) as error:
        raise FileFormatError(f"The model's card does not describe its network ({error}); train it again.") from error
    raise FileFormatError(f"The model's network '{name}' is unknown; expected one of: {', '.join(NETWORKS)}.")


def same_tracer(one: str, other: str) -> bool:
    """Whether two names mean one tracer: capitals, spaces and signs between the words do not count."""
    plain, expected = ("".join(filter(str.isalnum, name.casefold())) for name in (one, other))
    return plain == expected


def _within(time_s: float, limits: tuple[float, float]) -> bool:
    return limits[0] - TIME_TOLERANCE_S <= time_s <= limits[1] + TIME_TOLERANCE_S


def _hours(limits: tuple[float, float]) -> str:
    low, high = limits[0] / SECONDS_PER_HOUR, limits[1] / SECONDS_PER_HOUR
    return f"{low:g} h" if low == high else f"{low:g} to {high:g} h"

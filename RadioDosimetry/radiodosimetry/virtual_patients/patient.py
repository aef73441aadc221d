"""`Anatomy`: CT and regions of one virtual patient, and which patient it derives from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, UnitError
from ..images.geometry import require_same_grid
from ..images.regions import LabelMap
from ..images.volume import QuantitativeVolume
from ..provenance import Record
from ..units import Quantity

REMAINDER = "remainder"
"""Region of all of the body that no other region holds."""

LESION_PREFIX = "lesion_"
"""Lesions are called lesion_1, lesion_2, ..."""

SEXES = ("female", "male")

REFERENCE_BODY_MASS_KG = 73.0
"""Mass of the adult male of ICRP Publication 89, Ann ICRP 32 (2002), where a patient's is not known."""


@dataclass(frozen=True, eq=False)
class Anatomy:
    """CT and regions of a virtual patient on one grid.

    Attributes
    ----------
    ct
        CT numbers [HU], array (k, j, i).
    labels
        Regions by name, `remainder` among them: every voxel of the body has a label, 0 is outside of the body.
    source
        The patient it derives from ("torso:17", "ct:3fa9…"): copies deformed from one patient share it, and what
        shares it must never stand on both sides of a split.
    sex
        "female" or "male", None if unknown.
    record
        How it came to be; parameters `body_mass_kg` and `lesion_sites` (name of each lesion to "liver", "bone", "lung"
        or "soft tissue") where they are known.

    Raises
    ------
    UnitError
        `ct` is not a CT.
    GeometryMismatchError
        CT and labels have different grids.
    InputError
        The source is empty or the sex is neither of the two nor None.
    """

    ct: QuantitativeVolume
    labels: LabelMap
    source: str
    sex: str | None = None
    record: Record = field(default_factory=lambda: Record("given as CT and labels"))

    def __post_init__(self) -> None:
        if self.ct.quantity is not Quantity.CT_NUMBER:
            raise UnitError(f"An anatomy needs CT numbers, found {self.ct.quantity.value}.")
        require_same_grid(self.ct.geometry, self.labels.geometry, "The CT", "the labels")
        if not self.source.strip():
            raise InputError("An anatomy needs the name of the patient it derives from, found an empty one.")
        if self.sex is not None and self.sex not in SEXES:
            raise InputError(f"Sex must be one of {', '.join(SEXES)} or unknown (None), found '{self.sex}'.")

    @property
    def regions(self) -> tuple[str, ...]:
        """Names of the regions that have a voxel, in the order of their labels."""
        absent = set(self.labels.absent)
        return tuple(name for name in self.labels.names.values() if name not in absent)

    @property
    def lesions(self) -> tuple[str, ...]:
        """Names of the lesions that have a voxel."""
        return tuple(name for name in self.regions if name.startswith(LESION_PREFIX))

    @cached_property
    def volumes_ml(self) -> Mapping[str, float]:
        """Volume of each region that has a voxel [mL]."""
        counts = np.bincount(self.labels.array_kji.ravel())
        voxel_ml = self.ct.geometry.voxel_volume_ml
        return MappingProxyType(
            {
                name: float(counts[label]) * voxel_ml
                for label, name in self.labels.names.items()
                if label < counts.size and counts[label]
            }
        )

    @property
    def body_mass_kg(self) -> float:
        """Mass of the whole patient [kg]; that of the reference adult male where it is not known."""
        return float(self.record.parameters.get("body_mass_kg", REFERENCE_BODY_MASS_KG))

    def lesion_site(self, lesion: str) -> str:
        """Where a lesion sits: "liver", "bone", "lung" or "soft tissue" (also where that is not known)."""
        return str(dict(self.record.parameters.get("lesion_sites", {})).get(lesion, "soft tissue"))

    def body_mask(self) -> NDArray[np.bool_]:
        """All voxels of the body, shape (k, j, i)."""
        return np.asarray(self.labels.array_kji > 0)

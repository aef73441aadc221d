"""What a data set of virtual patients is made of: how many, of which nuclide, scanned when and how, and the labels."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..nuclides import Radionuclide
from ..provenance import file_identity
from ..units import SECONDS_PER_HOUR
from .dataset import scan_name
from .dose_labels import TARGET_VOXEL_UNCERTAINTY
from .gamma_camera import PHOTOPEAKS
from .pet import PetSettings
from .spect import SpectSettings

KINDS = ("spect", "pet")

SCAN_HOURS = {
    ("Lu-177", "spect"): (4.0, 24.0, 96.0, 168.0),
    ("I-131", "spect"): (24.0, 48.0, 96.0, 168.0),
    ("Cu-64", "pet"): (1.0, 24.0, 48.0),
    ("Y-90", "pet"): (20.0,),
}
"""Usual times of scans [h]; those of Cu-64 are Kim 2025's. Other nuclides: a quarter, one and two half-lives."""

COUNTS = {"spect": (3e6, 20e6), "pet": (3e6, 60e6)}
"""Range of counts of a scan: Li 2022's for SPECT; an assumption for PET."""

Y90_COUNTS = (5e5, 3e6)
"""True coincidences of a Y-90 PET, whose positrons come from 32 decays in a million; an assumption."""

MISREGISTRATION_MM = {"spect": 1.0, "pet": 2.0}
"""Standard deviation per axis by which a scan stays off the first one after registration [mm]; an assumption."""

FIELD_OF_VIEW_MM = {"spect": (512.0, 384.0, 400.0), "pet": None}
"""What is simulated of the parametric torso: one bed position of a gamma camera, or all of it."""


@dataclass(frozen=True)
class SimulationSettings:
    """What to simulate.

    Attributes
    ----------
    patients
        Number of patients.
    nuclide
        Name of the nuclide.
    tracer
        Name of the tracer, one of `kinetics.TRACERS`; the first of the nuclide if None.
    kind
        "spect" or "pet"; None takes SPECT where it can be simulated.
    seed
        Names all random numbers.
    scan_hours
        Hours of the scans after administration; `SCAN_HOURS` if None.
    spacing_mm
        Voxel size along x, y, z [mm].
    shape_kji
        Voxels of the parametric torso; what covers `FIELD_OF_VIEW_MM` if None. Not used with a CT.
    histories
        Of each dose map; None takes what `voxel_uncertainty` needs; 0 leaves the dose maps out.
    voxel_uncertainty
        Relative standard uncertainty that the voxels of dose maps shall have where no histories are given: root mean
        square over each region, and near the surfaces of lung and bone.
    scan_dose_hour
        Scan whose activity is integrated by physical decay for `scan_dose`; the one nearest to a day if None.
    ct, labels, label_names
        A patient to derive the others from, instead of the parametric torso.
    deformation
        Strength of the random deformation of each patient; 0 for none.
    spect, pet
        Acquisition; `counts` are drawn from `COUNTS` for each patient and fall with the activity.
    draw_counts
        Whether counts are drawn; if not, each scan has those of `spect` or `pet`.
    misregistration_mm
        See `MISREGISTRATION_MM`, which None takes.
    """

    patients: int
    nuclide: str
    tracer: str | None = None
    kind: str | None = None
    seed: int = 0
    scan_hours: tuple[float, ...] | None = None
    spacing_mm: tuple[float, float, float] = (4.0, 4.0, 4.0)
    shape_kji: tuple[int, int, int] | None = None
    histories: int | None = None
    voxel_uncertainty: float = TARGET_VOXEL_UNCERTAINTY
    scan_dose_hour: float | None = None
    ct: Path | None = None
    labels: Path | None = None
    label_names: Path | None = None
    deformation: float = 1.0
    spect: SpectSettings | None = None
    pet: PetSettings = field(default_factory=PetSettings)
    draw_counts: bool = True
    misregistration_mm: float | None = None

    def __post_init__(self) -> None:
        if self.patients < 1:
            raise InputError(f"Found {self.patients} patients to simulate; expected at least one.")
        if not 0 <= self.seed < 2**32:
            raise InputError(f"The seed must be a whole number from 0 to 2³² − 1, found {self.seed}.")
        if self.kind is not None and self.kind not in KINDS:
            raise InputError(f"There is no scan of kind '{self.kind}'; expected {' or '.join(KINDS)}.")
        if (self.ct is None) != (self.labels is None) or (self.label_names is not None and self.labels is None):
            raise InputError("A patient to derive others from needs a CT and a label map; give both, or none.")
        if len(self.spacing_mm) != 3 or not all(0.2 <= side <= 50 for side in self.spacing_mm):
            raise InputError(f"Voxel sizes must be three lengths from 0.2 to 50 mm, found {self.spacing_mm}.")
        if self.histories is not None and self.histories != 0 and self.histories < 10_000:
            raise InputError(f"Found {self.histories} histories; expected 10000 or more, or 0 for no dose maps.")
        if not 0.001 <= self.voxel_uncertainty <= 1:
            raise InputError(
                f"The uncertainty of voxels must lie between 0.1 and 100 %, found {100 * self.voxel_uncertainty:g} %."
            )
        if not 0 <= self.deformation <= 4:
            raise InputError(f"The strength of the deformation must lie between 0 and 4, found {self.deformation:g}.")
        if self.misregistration_mm is not None and not 0 <= self.misregistration_mm <= 50:
            raise InputError(f"The misregistration must lie between 0 and 50 mm, found {self.misregistration_mm:g}.")
        Radionuclide(self.nuclide)
        if self.used_kind == "spect":
            _ = self.used_spect
        self._check_hours()

    def _check_hours(self) -> None:
        hours = self.hours
        if not hours or not all(math.isfinite(one) and 0 <= one < 1000 for one in hours):
            raise InputError(f"Scan hours must be numbers from 0 to below 1000, found {list(hours)}.")
        names = [scan_name("scan", one) for one in hours]
        if len(set(names)) < len(names) or list(hours) != sorted(hours):
            raise InputError(f"Scan hours must ascend and be a tenth of an hour apart, found {list(hours)}.")
        if self.scan_dose_hour is not None and self.scan_dose_hour not in hours:
            raise InputError(
                f"The scan for the dose at one time is at {self.scan_dose_hour:g} h; expected one of "
                f"{', '.join(f'{one:g}' for one in hours)} h."
            )

    @property
    def used_kind(self) -> str:
        """ "spect" or "pet"."""
        return self.kind or ("spect" if self.nuclide in PHOTOPEAKS else "pet")

    @property
    def hours(self) -> tuple[float, ...]:
        """Hours of the scans."""
        if self.scan_hours is not None:
            return tuple(float(one) for one in self.scan_hours)
        known = SCAN_HOURS.get((self.nuclide, self.used_kind))
        if known is not None:
            return known
        half_life_h = Radionuclide(self.nuclide).half_life_s / SECONDS_PER_HOUR
        return tuple(round(factor * min(half_life_h, 72.0), 1) for factor in (0.25, 1.0, 2.0))

    @property
    def dose_hour(self) -> float:
        """Hour of the scan for `scan_dose`."""
        return min(self.hours, key=lambda one: abs(one - 24.0)) if self.scan_dose_hour is None else self.scan_dose_hour

    @property
    def used_spect(self) -> SpectSettings:
        """Settings of the SPECT, for this nuclide."""
        settings = self.spect or SpectSettings(nuclide=self.nuclide)
        if settings.nuclide != self.nuclide:
            raise InputError(
                f"The SPECT is set for {settings.nuclide}, the patients get {self.nuclide}; set both alike."
            )
        return settings

    @property
    def counts_range(self) -> tuple[float, float]:
        """Lowest and highest counts of a scan."""
        return Y90_COUNTS if (self.nuclide, self.used_kind) == ("Y-90", "pet") else COUNTS[self.used_kind]

    @property
    def used_misregistration_mm(self) -> float:
        """Misregistration, given or usual [mm]."""
        return MISREGISTRATION_MM[self.used_kind] if self.misregistration_mm is None else self.misregistration_mm

    @property
    def used_shape_kji(self) -> tuple[int, int, int] | None:
        """Voxels of the parametric torso; None for its own field of view."""
        extent = FIELD_OF_VIEW_MM[self.used_kind]
        if self.shape_kji is not None or extent is None:
            return self.shape_kji
        counts = [max(1, round(length / step)) for length, step in zip(extent, self.spacing_mm, strict=True)]
        return counts[2], counts[1], counts[0]

    def identity(self, tracer: str) -> dict[str, Any]:
        """All that changes a patient's files: two runs with the same identity give the same bytes.

        The number of patients is left out, so that a data set can be enlarged.
        """
        from dataclasses import asdict

        acquisition = asdict(self.used_spect) if self.used_kind == "spect" else asdict(self.pet)
        given = {
            name: None if path is None else file_identity(path)
            for name, path in (("ct", self.ct), ("labels", self.labels), ("label_names", self.label_names))
        }
        return {
            "seed": self.seed,
            "tracer": tracer,
            "nuclide": self.nuclide,
            "kind": self.used_kind,
            "scan_hours": list(self.hours),
            "scan_dose_hour": self.dose_hour,
            "spacing_mm": list(self.spacing_mm),
            "shape_kji": None if self.used_shape_kji is None else list(self.used_shape_kji),
            "histories": self.histories,
            "voxel_uncertainty": self.voxel_uncertainty if self.histories is None else None,
            "derived_from": given if self.ct is not None else None,
            "deformation": self.deformation,
            "acquisition": acquisition,
            "draw_counts": self.draw_counts,
            "counts_range": list(self.counts_range) if self.draw_counts else None,
            "misregistration_mm": self.used_misregistration_mm,
        }

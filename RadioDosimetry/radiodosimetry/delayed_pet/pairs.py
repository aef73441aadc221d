"""Serial PET of one patient as a network needs it: early and delayed scans that belong together, or why they do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..errors import FileFormatError, InputError, UnitError
from ..images.geometry import describe_grid
from ..images.regions import LabelMap
from ..images.volume import QuantitativeVolume
from ..units import SECONDS_PER_HOUR, Quantity

LARGEST_SIZE_DIFFERENCE = 0.2
"""Relative difference in weight or height beyond which two scans are not of one patient."""

LARGEST_SHIFT_MM = 15.0
"""Displacement of the delayed scan against the early one beyond which a pair is reported: about two voxels of a
network's grid."""

LEAST_CORRELATION = 0.3
"""Correlation of the logarithms of the two scans below which a pair is reported: they may not show the same body."""

_CHECK_VOXELS_MM = 8.0
"""Voxels of the registration check [mm]."""


@dataclass(frozen=True)
class PatientIdentity:
    """What tells two patients apart; None where it is not known.

    Attributes
    ----------
    patient_id
        DICOM's Patient ID, or the name in a data set.
    sex
        "F", "M" or another word of the header.
    weight_kg, height_m
        Body size.
    frame_of_reference_uid
        DICOM's name of the space.
    """

    patient_id: str | None = None
    sex: str | None = None
    weight_kg: float | None = None
    height_m: float | None = None
    frame_of_reference_uid: str | None = None

    def differences(self, other: PatientIdentity) -> list[str]:
        """Why the other cannot be the same patient, a few words each; what is unknown speaks against nothing."""
        found = []
        for name, word in (("patient_id", "patient IDs"), ("sex", "sexes")):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine and theirs and mine != theirs:
                found.append(f"different {word} ({mine} and {theirs})")
        for name, word, unit in (("weight_kg", "weights", "kg"), ("height_m", "heights", "m")):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine and theirs and abs(mine - theirs) > LARGEST_SIZE_DIFFERENCE * max(mine, theirs):
                found.append(f"different {word} ({mine:g} and {theirs:g} {unit})")
        return found

    def as_dict(self) -> dict[str, Any]:
        """What is known, ready for JSON."""
        return {name: value for name, value in vars(self).items() if value is not None}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PatientIdentity:
        """The identity that `as_dict` wrote.

        Raises
        ------
        ValueError, TypeError
            A name is unknown, or a size is no number.
        """
        sizes = {name: float(values[name]) for name in ("weight_kg", "height_m") if values.get(name) is not None}
        words = {name: str(value) for name, value in values.items() if name not in sizes and value is not None}
        return cls(**words, **sizes)  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class SerialPet:
    """All scans of one patient.

    Attributes
    ----------
    id, source
        Name in its data set, and the patient that it derives from: the unit of leakage.
    nuclide
        Of the tracer.
    scans
        Time after injection [s] to the activity concentration present at that time [Bq/mL].
    ct
        CT of the session [HU] on any grid; None without.
    labels
        Regions on the grid of the scans; None without.
    administered_bq
        Administered activity [Bq]; None if unknown.
    truth
        Time to the true activity concentration, of virtual patients.
    tracer
        In words; "" if unknown.
    identities
        Time to what the header of that scan says of the patient.
    kinetics
        What was drawn, of virtual patients (`virtual_patients.kinetics.PatientKinetics.as_dict`).
    """

    id: str
    source: str
    nuclide: str
    scans: Mapping[float, QuantitativeVolume]
    ct: QuantitativeVolume | None = None
    labels: LabelMap | None = None
    administered_bq: float | None = None
    truth: Mapping[float, QuantitativeVolume] = field(default_factory=dict)
    tracer: str = ""
    identities: Mapping[float, PatientIdentity] = field(default_factory=dict)
    kinetics: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        for time_s, scan in self.scans.items():
            require_quantitative_pet(scan, f"{self.id}, scan at {time_s / SECONDS_PER_HOUR:g} h")

    def scan_at(self, time_s: float, tolerance_s: float = 1800.0) -> tuple[float, QuantitativeVolume]:
        """The scan nearest to a time, with its own time [s].

        Raises
        ------
        InputError
            None lies within the tolerance.
        """
        nearest = min(self.scans, key=lambda known: abs(known - time_s), default=None)
        if nearest is None or abs(nearest - time_s) > tolerance_s:
            known = ", ".join(f"{time / SECONDS_PER_HOUR:g}" for time in sorted(self.scans)) or "none"
            raise InputError(
                f"{self.id} has no scan at {time_s / SECONDS_PER_HOUR:g} h after injection; its scans lie at {known} h."
            )
        return nearest, self.scans[nearest]


def require_quantitative_pet(scan: QuantitativeVolume, name: str) -> None:
    """Refuse what is not activity concentration, or empty.

    Raises
    ------
    UnitError
        Another quantity.
    InputError
        No voxel is above zero.
    """
    if scan.quantity is not Quantity.ACTIVITY_CONCENTRATION:
        raise UnitError(
            f"{name}: expected a quantitative PET (activity concentration [Bq/mL]), found {scan.quantity.value}; give "
            "its unit, or convert it."
        )
    if not scan.array_kji.max() > 0:
        raise InputError(f"{name}: the scan is empty, no voxel is above zero; check the file and its unit.")


@dataclass(frozen=True)
class PairCheck:
    """Whether an early and a delayed scan belong together.

    Attributes
    ----------
    problems
        What forbids the pair, a sentence part each.
    doubts
        What should be looked at.
    shift_mm
        Displacement of the delayed scan that fits the early one best [mm] (x, y, z of the image axes).
    correlation
        Of the logarithms of the two scans as they lie.
    """

    problems: tuple[str, ...]
    doubts: tuple[str, ...]
    shift_mm: tuple[float, float, float]
    correlation: float


def check_pair(
    early: QuantitativeVolume,
    delayed: QuantitativeVolume,
    early_identity: PatientIdentity | None = None,
    delayed_identity: PatientIdentity | None = None,
) -> PairCheck:
    """Grid, frame of reference, patient and registration of two scans.

    Parameters
    ----------
    early, delayed
        Activity concentrations [Bq/mL].
    early_identity, delayed_identity
        What their headers say of the patient; None if unknown.
    """
    problems = []
    if early_identity is not None and delayed_identity is not None:
        problems += [f"they are of different patients: {text}" for text in early_identity.differences(delayed_identity)]
    if not early.geometry.same_frame(delayed.geometry):
        problems.append("they lie in different frames of reference; register them first")
    if not early.geometry.same_grid(delayed.geometry):
        problems.append(
            f"their matrices or fields of view differ ({describe_grid(early.geometry)} against "
            f"{describe_grid(delayed.geometry)}); resample the delayed scan onto the early one"
        )
        return PairCheck(tuple(problems), (), (0.0, 0.0, 0.0), 0.0)
    shift_mm, correlation = displacement_between(early, delayed)
    doubts = []
    if float(np.linalg.norm(shift_mm)) > LARGEST_SHIFT_MM:
        doubts.append(f"the delayed scan lies {np.linalg.norm(shift_mm):.0f} mm beside the early one")
    if correlation < LEAST_CORRELATION:
        doubts.append(f"the scans correlate with {correlation:.2f} only")
    return PairCheck(tuple(problems), tuple(doubts), shift_mm, correlation)


def displacement_between(
    early: QuantitativeVolume, delayed: QuantitativeVolume
) -> tuple[tuple[float, float, float], float]:
    """Whole-voxel shift of the delayed scan that correlates best with the early one, and the correlation without it.

    Logarithms are compared, on voxels of about 8 mm: the body's outline counts as much as its hottest organ. The two
    must share their grid.

    Returns
    -------
    tuple
        Shift [mm] along the image's columns, rows and slices (positive: the delayed scan lies further along the
        axis), and Pearson's correlation as the scans lie.
    """
    steps = [max(1, round(_CHECK_VOXELS_MM / edge)) for edge in early.geometry.spacing_mm[::-1]]
    first, second = (_coarse_logarithm(scan.array_kji, steps) for scan in (early, delayed))
    norm = float(np.sqrt(np.sum(first**2) * np.sum(second**2)))
    if norm == 0:
        return (0.0, 0.0, 0.0), 0.0
    shape, axes = [2 * count for count in first.shape], (0, 1, 2)
    product = np.fft.rfftn(second, shape, axes) * np.conj(np.fft.rfftn(first, shape, axes))
    correlation = np.fft.irfftn(product, shape, axes)
    peak = np.unravel_index(int(np.argmax(correlation)), correlation.shape)
    shift = [int(at) - size if at >= size // 2 else int(at) for at, size in zip(peak, shape, strict=True)]
    edges = early.geometry.spacing_mm[::-1]
    mm = [float(count * step * edge) for count, step, edge in zip(shift, steps, edges, strict=True)]
    return (mm[2], mm[1], mm[0]), float(np.sum(first * second)) / norm


def _coarse_logarithm(array_kji: NDArray[Any], steps: Sequence[int]) -> NDArray[np.float64]:
    smooth = ndimage.uniform_filter(np.asarray(array_kji, dtype=np.float64), steps)[
        tuple(slice(step // 2, None, step) for step in steps)
    ]
    positive = np.maximum(smooth, 0.0)
    mean = float(positive[positive > 0].mean()) if (positive > 0).any() else 1.0
    logarithm = np.log1p(positive / (0.1 * mean))
    return np.asarray(logarithm - logarithm.mean())


def require_pairs(patient: SerialPet, early_time_s: float, times_s: Sequence[float]) -> list[str]:
    """Refuse a patient whose scans cannot be paired; the doubts about those that can, a sentence each.

    Raises
    ------
    InputError
        A scan is missing, or a pair has a problem; the text names patient and time.
    """
    at_s, early = patient.scan_at(early_time_s)
    doubts = []
    for time_s in times_s:
        found_s, delayed = patient.scan_at(time_s)
        if found_s <= at_s:
            raise InputError(f"{patient.id}: the scan at {found_s / SECONDS_PER_HOUR:g} h is not after the early one.")
        check = check_pair(early, delayed, patient.identities.get(at_s), patient.identities.get(found_s))
        name = f"{patient.id}, {at_s / SECONDS_PER_HOUR:g} h and {found_s / SECONDS_PER_HOUR:g} h"
        if check.problems:
            raise InputError(f"{name}: the scans make no pair: {'; '.join(check.problems)}.")
        doubts += [f"{name}: {text}." for text in check.doubts]
    return doubts


class PatientFiles(Protocol):
    """A patient of a data set on disk (`virtual_patients.dataset.PatientFolder`)."""

    @property
    def id(self) -> str:
        """Name in the data set."""

    @property
    def source(self) -> str:
        """The patient it derives from."""

    @property
    def scan_hours(self) -> Sequence[float]:
        """Times of the scans after injection [h]."""

    @property
    def entry(self) -> Mapping[str, Any]:
        """What the manifest says of it, `identities` (hours to `PatientIdentity.as_dict`) where they are known."""

    def has(self, name: str) -> bool:
        """Whether it has a file of this name."""

    def volume(self, name: str) -> QuantitativeVolume:
        """One of its images."""

    def labels(self) -> LabelMap:
        """Its regions."""

    def kinetics(self) -> Mapping[str, Any]:
        """What is known of the injection, `administered_bq` [Bq] among it."""


def serial_pet_of(
    folder: PatientFiles, nuclide: str, tracer: str = "", with_truth: bool = False
) -> SerialPet:
    """The scans of a patient of a data set, read from disk.

    Parameters
    ----------
    folder
        The patient.
    nuclide, tracer
        What the data set says of the injection.
    with_truth
        Read the true activity too, where there is one.

    Raises
    ------
    InputError
        A file is missing or cannot be used; the text names patient and file.
    """
    from ..virtual_patients.dataset import scan_name

    scans, truth = {}, {}
    kinetics = folder.kinetics() if folder.has("kinetics") else {}
    given = kinetics.get("administered_bq")
    for hours in folder.scan_hours:
        time_s = float(hours) * SECONDS_PER_HOUR
        scans[time_s] = folder.volume(scan_name("scan", hours))
        if with_truth and folder.has(scan_name("truth", hours)):
            truth[time_s] = folder.volume(scan_name("truth", hours))
    return SerialPet(
        id=folder.id,
        source=folder.source,
        nuclide=nuclide,
        scans=scans,
        ct=folder.volume("ct") if folder.has("ct") else None,
        labels=folder.labels() if folder.has("labels") else None,
        administered_bq=None if given is None else float(given),
        truth=truth,
        tracer=tracer,
        identities=_identities_of(folder),
        kinetics=kinetics if "draws" in kinetics else None,
    )


def _identities_of(folder: PatientFiles) -> dict[float, PatientIdentity]:
    """Time [s] to what the manifest keeps of the header of that scan."""
    try:
        known = dict(folder.entry.get("identities") or {})
        return {float(hours) * SECONDS_PER_HOUR: PatientIdentity.from_dict(values) for hours, values in known.items()}
    except (TypeError, ValueError, AttributeError) as error:
        raise FileFormatError(
            f"The identities of {folder.id} in the manifest cannot be understood ({error}); expected hours to "
            f"{', '.join(PatientIdentity.__dataclass_fields__)}. Correct or remove them."
        ) from error

"""What a case is made of: the tables and keys of `case.toml` as frozen values, checked as they are read."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from ..errors import FileFormatError, InputError
from ..learned_dose.shipped import LEARNED_METHODS
from ..nuclides import Radionuclide
from ..organ_dose.phantom import PHANTOM_NAMES
from ..time_activity.fitting import FIT_MODELS
from ..time_activity.voxelwise import TIA_METHODS
from ..voxel_dose.radiobiology import DEFAULT_ALPHA_PER_GY, Radiobiology
from .curves import uncertainty_file_of
from .dose import DEFAULT_METHOD, DOSE_METHODS
from .settings_reader import settings_from

CASE_FILE = "case.toml"
"""Name of the file that describes a case."""

CASE_FORMAT = 1
"""Version of the keys in `case.toml` and of the folder a run writes."""

NOISY_METHOD = "monte-carlo"
"""The method whose dose maps have statistical noise."""

RESULTS_FOLDER = "results"
"""Where a run writes, inside the folder of `case.toml`."""


@dataclass(frozen=True)
class Study:
    """Who was examined, with what, by whom: the head of the report. Nothing is computed from it.

    Attributes
    ----------
    patient_name, patient_id, birth_date, sex, diagnosis
        Of the patient, as the report shall print them.
    weight_kg, height_cm
        Of the patient.
    radiopharmaceutical, cycle
        What was given, and the how-manieth time.
    administered_on
        When it was given; `case run` holds the scans' own times against it.
    institution, physician, physicist, comment
        As the report shall print them.
    """

    patient_name: str | None = None
    patient_id: str | None = None
    birth_date: str | None = None
    sex: str | None = None
    diagnosis: str | None = None
    weight_kg: float | None = None
    height_cm: float | None = None
    radiopharmaceutical: str | None = None
    cycle: str | None = None
    administered_on: datetime | None = None
    institution: str | None = None
    physician: str | None = None
    physicist: str | None = None
    comment: str | None = None


@dataclass(frozen=True)
class CaseScan:
    """One scan: image, time, and what is its own.

    Attributes
    ----------
    image
        File or DICOM folder.
    hours
        Time after the administration [h]; None takes it from the DICOM header.
    labels
        Regions drawn on this scan; None takes those of `[regions]`.
    frame_duration_s
        See `ScanFile`.
    """

    image: Path
    hours: float | None = None
    labels: Path | None = None
    frame_duration_s: float | None = None


@dataclass(frozen=True)
class CaseImages:
    """How the images are read; see `ImageOptions`. `check_times` holds the scans' own times against `hours`."""

    unit: str | None = None
    bq_per_ml_per_count: float | None = None
    bq_per_count_per_s: float | None = None
    decay_corrected_to_administration: bool = False
    check_times: bool = True


@dataclass(frozen=True)
class CaseRegions:
    """Regions and what their curves need.

    Attributes
    ----------
    labels, label_names
        Label image with the names of its labels, or an RTSTRUCT or SEG file; they serve scans without labels of their
        own, the masses and the dose.
    expressions
        Further regions: name to label names joined by + and -.
    only
        Regions whose curves are kept; all if empty.
    remainder, body
        Whether a curve of the rest of the body is made, and the region that is the body.
    recovery, recovery_method
        Table of recovery coefficients.
    calibration_std_percent, volume_std_percent
        Relative standard uncertainty of the calibration and of the regions' volumes [%].
    """

    labels: Path
    label_names: Path | None = None
    expressions: Mapping[str, str] = field(default_factory=dict)
    only: tuple[str, ...] = ()
    remainder: bool = False
    body: str | None = None
    recovery: Path | None = None
    recovery_method: str | None = None
    calibration_std_percent: float = 0.0
    volume_std_percent: float = 0.0

    def __post_init__(self) -> None:
        for name in ("calibration_std_percent", "volume_std_percent"):
            if not 0 <= getattr(self, name) < 100:
                raise InputError(f"{name} must lie between 0 and 100 %, found {getattr(self, name):g}.")


@dataclass(frozen=True)
class RegionFit:
    """Model of one region's curve where it is not that of the others; None takes theirs."""

    model: str | None = None
    effective_half_life_h: float | None = None
    tail: str | None = None

    def __post_init__(self) -> None:
        if self.model is not None:
            require_one_of(self.model, FIT_MODELS, "The model")


@dataclass(frozen=True)
class CaseFit:
    """Model of the curves; see `fit_curve`. `regions` has those that differ."""

    model: str = "auto"
    effective_half_life_h: float | None = None
    tail: str | None = None
    regions: Mapping[str, RegionFit] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require_one_of(self.model, FIT_MODELS, "The model")


@dataclass(frozen=True)
class CaseTia:
    """How activity is integrated in voxels; "auto" is mono from two scans on, else the shape of the organs' curves."""

    method: str = "auto"
    tail: str = "fitted"
    start: str = "zero"
    noise_percent: float | None = None

    def __post_init__(self) -> None:
        require_one_of(self.method, ("auto", *TIA_METHODS), "The method")
        require_one_of(self.tail, ("fitted", "physical"), "The tail")
        require_one_of(self.start, ("zero", "constant"), "The start")


@dataclass(frozen=True)
class CaseDose:
    """Voxel dose.

    Attributes
    ----------
    methods
        Of `DOSE_METHODS`, at least one; each is a step of its own.
    reference
        The one the others are compared with; the most faithful one if None.
    shown
        The one the report shows in full; if None the most faithful one that is not learned and has no statistical
        noise, which would broaden histograms and isodoses.
    histories, target_uncertainty_percent, seed, device
        Of Monte Carlo.
    body_mask, clamp_hu
        See `DoseOptions` and `dose --clamp-hu`.
    models
        Learned method to the file of its model.
    """

    methods: tuple[str, ...] = (DEFAULT_METHOD,)
    reference: str | None = None
    shown: str | None = None
    histories: int | None = None
    target_uncertainty_percent: float | None = None
    seed: int = 1
    device: str = "cpu"
    body_mask: bool = False
    clamp_hu: bool = False
    models: Mapping[str, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.methods:
            raise InputError(f"methods is empty; give at least one of: {', '.join(DOSE_METHODS)}.")
        if len(set(self.methods)) < len(self.methods):
            raise InputError(f"methods names one twice: {', '.join(self.methods)}; keep each once.")
        for method in (*self.methods, *self.models):
            require_one_of(method, DOSE_METHODS, "The method")
        for name in ("reference", "shown"):
            if getattr(self, name) is not None:
                require_one_of(getattr(self, name), self.methods, f"{name} among methods")
        require_one_of(self.device, ("cpu", "cuda"), "The device")
        if self.histories is not None and self.histories < 1:
            raise InputError(f"histories must be above zero, found {self.histories}.")
        if self.histories is not None and self.target_uncertainty_percent is not None:
            raise InputError("Give either histories or target_uncertainty_percent, not both.")

    @property
    def shown_method(self) -> str:
        """The method the report shows in full."""
        smooth = [method for method in self.methods if method not in (NOISY_METHOD, *LEARNED_METHODS)]
        return self.shown or max(smooth or self.methods, key=_faithfulness)

    @property
    def reference_method(self) -> str:
        """The method that the others are compared with."""
        return self.reference or max(self.methods, key=_faithfulness)


@dataclass(frozen=True)
class CaseOrganDose:
    """Organ doses by the MIRD sum; left out without a phantom and S-values.

    Attributes
    ----------
    phantom
        "adult-male" or "adult-female".
    s_values
        S-values to use in the phantom's place.
    organs
        Region to the organ it is of; several may be parts of one ("kidneys"). Empty: by their names.
    lesions
        Regions that are no organs: spheres of their mass in the CT.
    patient_masses
        Scale the self-doses of the organs to their masses in the CT.
    alpha_weight
        Weight of α particles.
    """

    phantom: str | None = None
    s_values: Path | None = None
    organs: Mapping[str, str] = field(default_factory=dict)
    lesions: tuple[str, ...] = ()
    patient_masses: bool = False
    alpha_weight: float | None = None

    def __post_init__(self) -> None:
        if self.phantom is not None:
            require_one_of(self.phantom, PHANTOM_NAMES, "The phantom")
        both = sorted(set(self.organs) & set(self.lesions))
        if both:
            raise InputError(f"{', '.join(both)} is both an organ and a lesion; keep one of them.")

    @property
    def asked_for(self) -> bool:
        """Whether there is anything to compute with."""
        return self.phantom is not None or self.s_values is not None


@dataclass(frozen=True)
class CaseRadiobiology:
    """Of one region; without `effective_half_life_h` that of its fit is taken."""

    alpha_beta_gy: float
    repair_half_life_h: float
    effective_half_life_h: float | None = None
    alpha_per_gy: float | None = None

    def with_half_life_s(self, effective_half_life_s: float) -> Radiobiology:
        """The region's radiobiology, its dose falling with this half-life [s] unless another was given."""
        given_h = self.effective_half_life_h
        return Radiobiology(
            self.alpha_beta_gy,
            self.repair_half_life_h * 3600.0,
            effective_half_life_s if given_h is None else given_h * 3600.0,
            DEFAULT_ALPHA_PER_GY if self.alpha_per_gy is None else self.alpha_per_gy,
            self.alpha_per_gy is None,
        )


@dataclass(frozen=True)
class CaseReport:
    """What the report shows.

    Attributes
    ----------
    isodoses_gy
        Levels of the isodose lines [Gy]; round numbers up to the hottest region if empty.
    regions
        Regions drawn and tabled first; all if empty.
    dicom
        Whether RT Dose, Segmentation, Structured Report and Secondary Capture are written beside it.
    rtdose_bits
        Bits of a voxel of RT Dose, 32 or 16.
    """

    isodoses_gy: tuple[float, ...] = ()
    regions: tuple[str, ...] = ()
    dicom: bool = True
    rtdose_bits: int = 16

    def __post_init__(self) -> None:
        if any(level <= 0 for level in self.isodoses_gy):
            raise InputError("isodoses_gy must be above zero.")
        if self.rtdose_bits not in (16, 32):
            raise InputError(f"rtdose_bits must be 16 or 32, found {self.rtdose_bits}.")


@dataclass(frozen=True)
class Case:
    """A patient's dosimetry as `case.toml` describes it.

    Attributes
    ----------
    nuclide
        Canonical name.
    ct
        CT in HU, file or DICOM folder.
    scans
        In the order of time.
    regions, fit, tia, dose, organ_dose, radiobiology, images, study, report
        See their classes.
    administered_mbq
        Administered activity [MBq]; None if not known.
    name
        Of the case, in the report and in cohorts; that of the folder if the file does not say.
    format
        `CASE_FORMAT` of the file.
    """

    nuclide: str
    ct: Path
    scans: tuple[CaseScan, ...] = field(metadata={"key": "scan"})
    regions: CaseRegions
    fit: CaseFit = field(default_factory=CaseFit)
    tia: CaseTia = field(default_factory=CaseTia)
    dose: CaseDose = field(default_factory=CaseDose)
    organ_dose: CaseOrganDose = field(default_factory=CaseOrganDose)
    radiobiology: Mapping[str, CaseRadiobiology] = field(default_factory=dict)
    images: CaseImages = field(default_factory=CaseImages)
    study: Study = field(default_factory=Study)
    report: CaseReport = field(default_factory=CaseReport)
    administered_mbq: float | None = None
    name: str = ""
    format: int = CASE_FORMAT

    def __post_init__(self) -> None:
        object.__setattr__(self, "nuclide", Radionuclide(self.nuclide).name)
        if not self.scans:
            raise InputError("There is no scan; give at least one [[scan]] with image and hours.")
        if self.administered_mbq is not None and self.administered_mbq <= 0:
            raise InputError(f"administered_mbq must be above zero, found {self.administered_mbq:g}.")
        if self.organ_dose.asked_for and self.administered_mbq is None:
            raise InputError("[organ_dose] needs residence times; give administered_mbq.")
        known = [scan.hours for scan in self.scans if scan.hours is not None]
        if len(known) == len(self.scans):
            from ..time_activity.time_activity_curve import require_rising_times

            require_rising_times([3600.0 * hours for hours in known], "the scans")
        images = [scan.image for scan in self.scans]
        twice = next((image for image in images if images.count(image) > 1), None)
        if twice is not None:
            raise InputError(
                f"The image {twice.name} is given for two scans, {len(set(images))} images for {len(images)} times; "
                "give each time its own image."
            )

    @property
    def tia_method(self) -> str:
        """The method of `[tia]` with "auto" resolved."""
        if self.tia.method != "auto":
            return self.tia.method
        return "mono" if len(self.scans) > 1 else "organ-shape"

    def input_files(self) -> dict[str, Path]:
        """Role of every file or folder the case reads to its path."""
        files: dict[str, Path | None] = {"ct": self.ct}
        for number, scan in enumerate(self.scans, start=1):
            files[f"scan {number}"] = scan.image
            uncertainty = uncertainty_file_of(scan.image)
            if uncertainty is not None and uncertainty.exists():
                files[f"scan {number} uncertainty"] = uncertainty
            files[f"labels of scan {number}"] = scan.labels
        files["labels"] = self.regions.labels
        files["label names"] = self.regions.label_names
        files["recovery coefficients"] = self.regions.recovery
        files["S-values"] = self.organ_dose.s_values
        files |= {f"model of {method}": path for method, path in self.dose.models.items()}
        return {role: path for role, path in files.items() if path is not None}


def _faithfulness(method: str) -> int:
    """Place among the methods; learned ones, which rest on what they were trained on, come first."""
    return -1 if method in LEARNED_METHODS else DOSE_METHODS.index(method)


def case_file_of(path: Path) -> Path:
    """The `case.toml` of a case that is named by its folder or by the file itself.

    Raises
    ------
    FileFormatError
        Neither exists.
    """
    path = Path(path)
    file = path / CASE_FILE if path.is_dir() else path
    if not file.is_file():
        raise FileFormatError(
            f"There is no case {path}: {file} does not exist. Give a folder with a {CASE_FILE}, or make one with "
            "`radiodosimetry case init`."
        )
    return file


def read_case(path: Path) -> Case:
    """A case from its folder or its `case.toml`; relative paths start from the file's folder.

    Raises
    ------
    FileFormatError
        The file is missing or is not TOML, or one it names is missing (the text names the case and the role).
    InputError
        Unknown key, wrong type, a value that cannot be used, times out of order, or a file of a newer version.
    UnknownNuclideError
        The nuclide is not in the dataset.
    """
    file = case_file_of(path)
    folder = file.resolve().parent
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise FileFormatError(f"{file} cannot be read as TOML: {error}. Correct that line.") from error
    version = values.get("format", CASE_FORMAT)
    if isinstance(version, int) and version > CASE_FORMAT:
        raise InputError(
            f"{file} is written for a newer RadioDosimetry (format {version}, this one knows {CASE_FORMAT}); update "
            "RadioDosimetry."
        )
    case = settings_from({"name": folder.name, **values}, Case, str(file), folder)
    for role, named in case.input_files().items():
        if not named.exists():
            raise FileFormatError(
                f"Case '{case.name}' ({file}) names {named} as its {role}, which does not exist; correct the path "
                f"(relative ones start from {folder})."
            )
    return case


def require_one_of(value: str, known: tuple[str, ...], what: str) -> None:
    """Refuse a word that is not known, offering the nearest.

    Raises
    ------
    InputError
        As said.
    """
    if value not in known:
        near = difflib.get_close_matches(value, known, n=1, cutoff=0.4)
        offer = f"did you mean {near[0]}?" if near else f"expected one of: {', '.join(known)}."
        raise InputError(f"{what} is '{value}', which is unknown; {offer}")

"""Shapes of the networks: what a configuration may say of them, checked without torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ..errors import InputError

UNET_CHANNELS = (
    "hu", "density", "activity", "base", "photon", "log-activity", "log-base", "photon-share", "local-share", "nuclide"
)  # fmt: skip
"""What a `ResidualUNet3D` can be shown, see `patient_maps.PatientMaps.channel`."""

BLURRED_MM = {"share-3mm": 3.0, "share-6mm": 6.0, "share-12mm": 12.0, "share-24mm": 24.0}
"""Channels that compare the activity around a voxel with its base dose, and how far around (σ of a Gaussian [mm])."""

RELIEF_VOXELS = {"peak-1": 1, "peak-2": 2, "peak-4": 4, "valley-1": 1, "valley-2": 2, "valley-4": 4}
"""Channels that compare a voxel's base dose with the highest or lowest around it, and how many voxels around."""

DBLUR_CHANNELS = (
    "activity", "density", "base", "log-activity", "log-base", "local-share", *BLURRED_MM, *RELIEF_VOXELS
)  # fmt: skip
"""What a `DblurDoseNet` can be shown of each slice."""

HEADS = ("add", "scale", "log-ratio", "kernel", "transport")
"""How output and base become dose; `add` is the published way."""


@dataclass(frozen=True)
class UNetArchitecture:
    """Shape of a `ResidualUNet3D`; the defaults are Kim et al. 2022.

    Attributes
    ----------
    inputs
        Input channels, names of `UNET_CHANNELS`.
    features
        Feature maps of the first level; doubled at each level below.
    levels
        Resolutions, one more than poolings. The paper does not print the number; 4 is that of the 3-D U-Net it builds
        on (Çiçek et al. 2016).
    head
        One of `HEADS`.
    neighbours
        `kernel`, `transport`: voxels on either side whose electron energy counts (1 is 3³ voxels).
    decoder_norm
        Batch normalisation in the decoder as well; the paper names it for the encoder alone.

    Raises
    ------
    InputError
        An unknown channel or head, or a size below its least.
    """

    inputs: tuple[str, ...] = ("hu", "activity")
    features: int = 16
    levels: int = 4
    head: str = "add"
    neighbours: int = 1
    decoder_norm: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", tuple(self.inputs))
        unknown = [name for name in self.inputs if name not in UNET_CHANNELS]
        if unknown or not self.inputs or len(set(self.inputs)) < len(self.inputs):
            raise InputError(
                f"The input channels are {', '.join(self.inputs) or 'none'}; expected different names out of "
                f"{', '.join(UNET_CHANNELS)}."
            )
        if self.head not in HEADS:
            raise InputError(f"The head '{self.head}' is unknown; expected one of {', '.join(HEADS)}.")
        if self.features < 1 or not 1 <= self.levels <= 6 or not 0 <= self.neighbours <= 3:
            raise InputError(
                f"Found {self.features} features, {self.levels} levels and {self.neighbours} neighbours; expected at "
                "least 1 feature, 1 to 6 levels and 0 to 3 neighbours."
            )

    @property
    def outputs(self) -> int:
        """Feature maps that the head takes: one, or one or two factors and one share per neighbour."""
        factors = {"kernel": 1, "transport": 2}.get(self.head)
        return 1 if factors is None else factors + (2 * self.neighbours + 1) ** 3

    @property
    def needs_photons(self) -> bool:
        """Whether an input or the head takes the photons' part of the base."""
        return self.head == "transport" or any(name.startswith("photon") for name in self.inputs)

    @property
    def divisor(self) -> int:
        """Every side of an input must be a multiple of this."""
        return int(2 ** (self.levels - 1))

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {**asdict(self), "inputs": list(self.inputs)}


SLICES = 11
"""Slices the network sees at once; the middle one gets its dose."""

DBLUR_HEADS = ("add", "scale", "log-ratio")
"""How output and base of a `DblurDoseNet` become dose; `add` is the published way."""

DEPTH_EXTRACTORS = ("3d", "2d")
"""Three 3-D convolutions that bring eleven slices to one (published), or the slices taken as channels (ablation)."""


@dataclass(frozen=True)
class DblurArchitecture:
    """Shape of a `DblurDoseNet`; the defaults are Li et al. 2022.

    Attributes
    ----------
    inputs
        Input channels of each slice, names of `DBLUR_CHANNELS`.
    features
        Feature maps of the first level of the 2-D U-Net (16); deeper ones follow it.
    extracted
        The first so many input channels go through the network; 0: all, as published. The others are for `pointwise`.
    pointwise
        Hidden features of three 1×1 convolutions that take the network's features and all input channels of the middle
        slice to the output, instead of one that takes the features alone (0, as published). Seven by seven filters
        with random weights wash out what lies within a voxel or two, and need thousands of steps to find it again.
    residual
        Whether the output is added to the base dose; False is the paper's ablation.
    extractor
        One of `DEPTH_EXTRACTORS`.
    head
        `add`: base + output (published). `scale`: base × (1 + output). `log-ratio`: base × exp(output).

    Raises
    ------
    InputError
        An unknown channel, extractor or head, an odd number of features, or `scale` without `residual`.
    """

    inputs: tuple[str, ...] = ("activity", "density")
    features: int = 16
    extracted: int = 0
    pointwise: int = 0
    residual: bool = True
    extractor: str = "3d"
    head: str = "add"

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", tuple(self.inputs))
        unknown = [name for name in self.inputs if name not in DBLUR_CHANNELS]
        if unknown or not self.inputs or len(set(self.inputs)) < len(self.inputs):
            raise InputError(
                f"The input channels are {', '.join(self.inputs) or 'none'}; expected different names out of "
                f"{', '.join(DBLUR_CHANNELS)}."
            )
        if self.extractor not in DEPTH_EXTRACTORS:
            raise InputError(
                f"The extractor '{self.extractor}' is unknown; expected one of {', '.join(DEPTH_EXTRACTORS)}."
            )
        if self.head not in DBLUR_HEADS:
            raise InputError(f"The head '{self.head}' is unknown; expected one of {', '.join(DBLUR_HEADS)}.")
        if not 0 <= self.extracted <= len(self.inputs) or self.pointwise < 0:
            raise InputError(
                f"Found extracted = {self.extracted} of {len(self.inputs)} inputs and pointwise = {self.pointwise}; "
                "expected at most all inputs, and at least 0."
            )
        if 0 < self.extracted < len(self.inputs) and not self.pointwise:
            raise InputError("Inputs that are not extracted are for the pointwise end of the network; set 'pointwise'.")
        if self.features < 2 or self.features % 2:
            raise InputError(f"DblurDoseNet needs an even number of features of at least 2, found {self.features}.")
        if self.head != "add" and not self.residual:
            raise InputError(f"The head '{self.head}' multiplies the base; it needs residual = true.")

    @property
    def needs_photons(self) -> bool:
        """False: the base is taken as one."""
        return False

    @property
    def divisor(self) -> int:
        """Rows and columns of an input must be multiples of this."""
        return 16

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {**asdict(self), "inputs": list(self.inputs)}

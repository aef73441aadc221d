"""What a training of delayed PET can be told in its TOML file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ..errors import InputError
from ..learning.training_settings import TrainingSettings
from .spill_over import Response

PUBLISHED_LEARNING_RATE = 2e-5
"""Of Kim 2025, printed as '2 × 105'."""


@dataclass(frozen=True)
class PublishedTraining(TrainingSettings):
    """Settings of the loop whose defaults are those of Kim 2025; see `TrainingSettings`."""

    epochs: int = 200
    batch_size: int = 32
    learning_rate: float = PUBLISHED_LEARNING_RATE


@dataclass(frozen=True)
class ImageSettings:
    """Which images become which, and how they come to a network.

    Attributes
    ----------
    early_hour
        Time of the early scan after injection [h].
    target_hours
        Times to synthesise [h].
    tracer
        In words, for the card ("antibody"); "" takes what the data set says.
    normalisation
        "decay" (N(t)) or "early-maximum"; the latter for `network = "pix2pix"` only.
    use_ct
        Show the network the CT.
    """

    early_hour: float = 1.0
    target_hours: tuple[float, ...] = (24.0, 48.0)
    tracer: str = ""
    normalisation: Literal["decay", "early-maximum"] = "decay"
    use_ct: bool = False

    def __post_init__(self) -> None:
        if self.early_hour <= 0 or not self.target_hours or min(self.target_hours) <= self.early_hour:
            raise InputError(
                f"The target times must lie after the early scan at a positive time, found {self.early_hour:g} h and "
                f"{', '.join(f'{hour:g}' for hour in self.target_hours)} h."
            )
        if any(later <= sooner for sooner, later in zip(self.target_hours, self.target_hours[1:], strict=False)):
            raise InputError(
                f"The target times must rise, found {', '.join(f'{hour:g}' for hour in self.target_hours)} h."
            )


@dataclass(frozen=True)
class Pix2PixSettings:
    """The published network (Kim 2025) and its neighbours.

    Attributes
    ----------
    features, discriminator_features, blocks
        Features of the first layers (ngf, ndf), residual blocks.
    neighbours
        Slices on each side that are shown too: 0 is the published 2-D form, 2 a 2.5-D one.
    similarity
        "l1", or "perceptual" with `vgg_weights`.
    similarity_weight, adversarial_weight
        λ of both losses.
    vgg_weights
        File of the VGG19 weights.
    rotation_degrees, smallest_crop
        Augmentation of the training side: rotation up to this angle, crop of at least this share of the side.
    """

    features: int = 64
    discriminator_features: int = 64
    blocks: int = 6
    neighbours: int = 0
    similarity: Literal["l1", "perceptual"] = "l1"
    similarity_weight: float = 100.0
    adversarial_weight: float = 1.0
    vgg_weights: str = ""
    rotation_degrees: float = 10.0
    smallest_crop: float = 0.9

    def __post_init__(self) -> None:
        for name in ("features", "discriminator_features", "blocks"):
            if getattr(self, name) < 1:
                raise InputError(f"'{name}' must be at least 1, found {getattr(self, name)}.")
        if self.neighbours < 0 or self.similarity_weight < 0 or self.adversarial_weight < 0:
            raise InputError("'neighbours' and the weights of the losses must not be negative.")
        if not 0 < self.smallest_crop <= 1 or not 0 <= self.rotation_degrees <= 180:
            raise InputError("'smallest_crop' must lie above 0 and at most 1, 'rotation_degrees' from 0 to 180.")
        if self.similarity == "perceptual" and not self.vgg_weights:
            raise InputError("The perceptual similarity needs 'vgg_weights', the file of VGG19's ImageNet weights.")


@dataclass(frozen=True)
class RatioSettings:
    """The improved network: tissues seen by a 3-D network, and what becomes of each.

    Attributes
    ----------
    features, levels, patch
        Of the 3-D U-Net: features of the first level (a multiple of four), halvings, edge of the cubes that are packed
        into channels.
    grid_mm
        Edge of its cubic voxels [mm].
    members
        Networks of the ensemble, each from its own initial weights.
    slab
        Slices of its grid that a training sample shows; 0 shows all.
    overlap_weight
        Of the tissues' overlap (Dice) beside their cross-entropy: it holds for small tissues what the other holds for
        large ones.
    weight_decay
        Of AdamW.
    drop_ct
        Share of the training samples shown without CT, so that the model can do without; 0 where it shall need it.
    rotation_degrees, largest_zoom
        Augmentation of the training side: rotation in the slices up to this angle, magnification by up to 1 ± this.
    resolution_mm, tail_share, tail_mm
        The scanner's response, by which tissues spill into one another: full width at half maximum [mm], and the share
        of a tail that is as wide as `tail_mm`. Zeros leave spill-over out. The defaults are the resolution of simulated
        PET. A tail of 17 % describes its scans better (cold regions hold more than is there), and its patients' later
        organs worse: what it takes away from cold regions is mostly noise.
    use_uptake
        Let a tissue's clearance depend on its early uptake.
    smooth
        Let the noise of the early scan be smoothed.
    fit_organs
        Fit the kinetics to the organs' activities beside the voxels; False: to the voxels alone.
    tissue_model
        Model file whose tissue networks are taken as they are; kinetics alone are fitted, to another tracer's patients
        for example. "" trains networks.
    """

    features: int = 16
    levels: int = 3
    patch: int = 2
    grid_mm: float = 4.0
    members: int = 1
    slab: int = 96
    overlap_weight: float = 1.0
    weight_decay: float = 0.01
    drop_ct: float = 0.2
    rotation_degrees: float = 10.0
    largest_zoom: float = 0.1
    resolution_mm: float = 7.0
    tail_share: float = 0.0
    tail_mm: float = 45.0
    use_uptake: bool = True
    smooth: bool = True
    fit_organs: bool = True
    tissue_model: str = ""

    def __post_init__(self) -> None:
        if self.features < 4 or self.features % 4 or not 1 <= self.levels <= 5 or min(self.members, self.patch) < 1:
            raise InputError("'features' must be a multiple of 4, 'levels' 1 to 5, 'members' and 'patch' at least 1.")
        if not 1.0 <= self.grid_mm <= 50.0 or not 0 <= self.largest_zoom < 0.5 or not 0 <= self.resolution_mm < 50:
            raise InputError(
                "'grid_mm' must lie from 1 to 50, 'largest_zoom' from 0 to 0.5, 'resolution_mm' from 0 to 50."
            )
        if not 0 <= self.tail_share < 1 or not 0 < self.tail_mm <= 500:
            raise InputError("'tail_share' must lie from 0 to below 1, 'tail_mm' above 0 and at most 500.")
        if not 0 <= self.drop_ct <= 1 or self.slab < 0:
            raise InputError("'drop_ct' must lie from 0 to 1, 'slab' must not be negative.")
        if min(self.overlap_weight, self.weight_decay, self.rotation_degrees) < 0:
            raise InputError("'overlap_weight', 'weight_decay' and 'rotation_degrees' must not be negative.")

    @property
    def response(self) -> Response:
        """Of the scanner."""
        return Response(self.resolution_mm, self.tail_share, self.tail_mm)


@dataclass(frozen=True)
class DelayedPetSettings:
    """All settings of a training; the defaults are the network and the training of Kim 2025.

    But for the times: one network for 24 h and 48 h, where the paper has one for each (`images.target_hours`).

    Attributes
    ----------
    network
        "pix2pix" (published), or "ratio-3d" (improved).
    images, pix2pix, ratio, training
        Tables of the file.
    validation_fraction
        Share of the training patients that decide which weights are best.
    """

    network: Literal["pix2pix", "ratio-3d"] = "pix2pix"
    validation_fraction: float = 0.2
    images: ImageSettings = field(default_factory=ImageSettings)
    pix2pix: Pix2PixSettings = field(default_factory=Pix2PixSettings)
    ratio: RatioSettings = field(default_factory=RatioSettings)
    training: PublishedTraining = field(default_factory=PublishedTraining)

    def __post_init__(self) -> None:
        if self.network == "ratio-3d" and self.images.normalisation != "decay":
            raise InputError("The network 'ratio-3d' needs the normalisation 'decay', which takes decay out.")
        if self.network == "ratio-3d" and not self.ratio.tissue_model and self.training.batch_size != 1:
            raise InputError(
                "The network 'ratio-3d' learns from one body at a time, as bodies differ in size; set batch_size = 1, "
                f"found {self.training.batch_size}."
            )
        if not 0 < self.validation_fraction < 1:
            raise InputError(f"'validation_fraction' must lie between 0 and 1, found {self.validation_fraction:g}.")

"""Later activity from an early scan: its regions, what each holds, what becomes of it, and the image of that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ..images.geometry import VolumeGeometry
from ..images.regions import LabelMap
from .ratio_inputs import RatioInputs, labels_on_grid
from .region_names import EVERYTHING_ELSE, REMAINDER, known_tissue
from .spill_over import Response, SpillOver, unmix
from .tissue_kinetics import GIVEN, OWN, Lines, components
from .tissue_network import TissueNetwork

Floats = NDArray[np.float32]

LARGEST_GAP = 0.25
"""Share of the body that given regions may leave unnamed and still be taken for a whole patient, whose unnamed part is
the remainder; beyond it the networks find the tissues there, as where lesions alone were drawn."""

@dataclass(frozen=True, eq=False)
class ScanRegions:
    """An early scan and the regions it is made of.

    Attributes
    ----------
    early_kji
        The scan over N(t), not negative, on its own grid.
    spacing_mm
        Of that grid along i, j and k.
    inputs
        The scan on the grid of the regions, and the way back.
    regions
        On the grid of the regions.
    given
        Which of them were given, and not seen by the networks, (regions,).
    gap
        Share of the body that given regions leave unnamed; 0 without.
    """

    early_kji: Floats
    spacing_mm: tuple[float, float, float]
    inputs: RatioInputs
    regions: SpillOver
    given: NDArray[np.bool_]
    gap: float = 0.0

    def images(self) -> list[Floats]:
        """The `components` on the scan's grid."""
        return components(self.early_kji, self.inputs.spread(self.regions.image_kji), self.spacing_mm)


def scan_regions(
    early_kji: Floats,
    geometry: VolumeGeometry,
    inputs: RatioInputs,
    members: Sequence[TissueNetwork],
    tissues: Sequence[str],
    labels: LabelMap | None,
    with_ct: bool,
    response: Response,
    complete: bool = False,
) -> ScanRegions:
    """Regions of a scan: the given ones, or where there are none those that the networks see.

    Parameters
    ----------
    early_kji, geometry
        The scan over N(t), not negative, and its grid.
    inputs
        The same on the networks' grid.
    members, tissues
        Networks and the names of what they tell apart.
    labels
        Regions on the scan's grid; None to let the networks see them.
    with_ct
        Show the networks the CT.
    response
        Of the scanner.
    complete
        Let the networks see what given regions leave unnamed, where that is more than `LARGEST_GAP` of the body.
    """
    spacing_mm, gap = inputs.grid.spacing_mm[0], 0.0
    if labels is None:
        places, numbers = seen_places(members, inputs, with_ct), np.arange(len(tissues))
        given = np.zeros(len(numbers), dtype=bool)
    else:
        labels_kji = labels_on_grid(labels, inputs)
        places, numbers = given_places(labels_kji, labels, inputs, tissues)
        given = np.ones(len(numbers), dtype=bool)
        gap = float(np.mean(labels_kji[inputs.body_kji] == 0)) if inputs.body_kji.any() else 0.0
        if complete and gap > LARGEST_GAP:
            named, own = labels_kji != 0, seen_places(members, inputs, with_ct)
            kept = [index for index, place in enumerate(places) if (place > 0)[named].any()]
            places = np.concatenate([places[kept], own * ~named])
            given = np.arange(len(places)) < len(kept)
            numbers = np.concatenate([numbers[kept], np.arange(len(tissues))])
    regions = unmix(inputs.early_kji, places, numbers, response, spacing_mm)
    return ScanRegions(early_kji, geometry.spacing_mm, inputs, regions, given, gap)


def seen_places(members: Sequence[TissueNetwork], inputs: RatioInputs, with_ct: bool) -> Floats:
    """Mean probability of each tissue over the networks, shape (tissues, k, j, i)."""
    device = next(members[0].parameters()).device
    channels = torch.from_numpy(inputs.channels_ckji(with_ct))[None].to(device)
    with torch.inference_mode():
        shares = torch.stack([torch.softmax(member(channels)[0].float(), dim=0) for member in members]).mean(dim=0)
    return np.asarray(shares.cpu().numpy(), dtype=np.float32)


def given_places(
    labels_kji: NDArray[np.int32], labels: LabelMap, inputs: RatioInputs, tissues: Sequence[str]
) -> tuple[Floats, NDArray[np.int64]]:
    """Zeros and ones of each given region that has a voxel, and the number of its tissue.

    First comes what is outside of the body and without a label, last what is in the body and without one.
    """
    places = [(labels_kji == 0) & ~inputs.body_kji]
    numbers = [0]
    for label, name in labels.names.items():
        mask = labels_kji == label
        if mask.any():
            places.append(mask)
            numbers.append(tissue_number(name, tissues))
    rest = (labels_kji == 0) & inputs.body_kji
    if rest.any():
        places.append(rest)
        numbers.append(tissue_number(EVERYTHING_ELSE, tissues))
    return np.stack(places).astype(np.float32), np.array(numbers)


def tissue_number(region: str, tissues: Sequence[str]) -> int:
    """Number of a region's tissue; regions that no tissue is made of count as the body's remainder."""
    name = known_tissue(region, tissues) or REMAINDER
    return tissues.index(name) if name in tissues else 0


def forecast(
    scan: ScanRegions,
    lines: Mapping[str, Lines],
    activity_scale: float,
    time_weights: Sequence[float],
    coverage: Mapping[str, float],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Delayed image over N(t) and its relative standard uncertainty, on the scan's grid.

    Parameters
    ----------
    scan
        Early scan and its regions.
    lines
        By origin of the regions, `OWN` and `GIVEN`.
    activity_scale, time_weights
        See `Lines.log_ratios`.
    coverage
        What the stated uncertainty is multiplied by, by origin.
    """
    weights, regions = np.asarray(time_weights, dtype=np.float64), scan.regions
    ratios, stds = np.empty(len(regions.tissues)), np.empty(len(regions.tissues))
    for origin, mine in ((GIVEN, scan.given), (OWN, ~scan.given)):
        ratios[mine] = np.exp(lines[origin].log_ratios(regions, activity_scale, time_weights))[mine]
        stds[mine] = coverage[origin] * np.exp(weights @ lines[origin].log_std)[regions.tissues][mine]
    mixture = weights @ lines[GIVEN if scan.given.all() else OWN].mixture
    fractions = regions.fractions
    ratio = np.tensordot(ratios.astype(np.float32), fractions, axes=1)
    relative = np.tensordot((ratios * stds).astype(np.float32), fractions, axes=1) / np.maximum(ratio, 1e-9)
    mixed = sum(share * image for share, image in zip(mixture, scan.images(), strict=True))
    delayed = np.asarray(mixed, dtype=np.float64) * scan.inputs.spread(ratio)
    return np.maximum(delayed, 0.0), np.asarray(scan.inputs.spread(relative), dtype=np.float64)

"""Lines of tissues fitted to training patients: what their organs hold later, and how noisy their images are.

Whatever is linear in the regions' ratios is summed over voxels once for each patient; the fit itself is a small problem
that takes seconds, whichever network saw the regions. It minimises the mean logarithmic error of the organs' activities
and the mean absolute difference of the voxels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import InputError
from ..images.regions import LabelMap
from ..learning.samples import STATISTICS, generator_for
from ..units import SECONDS_PER_HOUR
from .forecast import ScanRegions, scan_regions
from .normalisation import DecayNormalisation, normalised
from .pairs import SerialPet
from .ratio_inputs import RatioInputs, bounding_box, ratio_inputs
from .region_names import tissue_of
from .settings import DelayedPetSettings
from .tissue_kinetics import COMPONENTS, LARGEST_LOG_RATIO, OUTSIDE, Lines, believed_excess
from .tissue_network import TissueNetwork

Array = NDArray[np.float64]

LOWEST_SHARE = 1e-3
"""Organs with less than this share of a scan's activity do not count: noise and spill-in are most of theirs."""

VOXELS_PER_PATIENT = 1000
"""Voxels of a patient that decide how much the early scan is smoothed."""

SLOPE_PRIOR_STD, LEVEL_PRIOR_STD = 0.1, 0.15
"""Standard deviations of the priors of slopes about zero and of levels about the organs' mean change."""

ORGAN_SCALE = 0.1
"""Usual logarithmic error of an organ, the scale of its (Laplace) likelihood."""

PRIOR_ORGANS = 4.0
"""So many organs of usual error are added to each tissue's own before its spread is told."""

STEPS = 500
"""Of the optimiser."""


@dataclass(frozen=True, eq=False)
class PatientSums:
    """What the fit needs of a patient.

    Attributes
    ----------
    contents
        Early activity of each organ by component and region it comes from, (components, organs, regions).
    wanted
        Acquired activity of the organs at each target time, (targets, organs).
    organ_tissues
        Tissue of each organ; −1 where it is not to be judged.
    log_uptake, volume_ml, tissues
        Logarithm of early concentration per administered activity, size, and tissue, of each region.
    voxel_images, voxel_fractions, voxels_wanted
        Of some voxels of the body: components (components, n), fractions (regions, n), acquired (targets, n); over the
        mean of the early scan.
    """

    contents: Array
    wanted: Array
    organ_tissues: NDArray[np.int64]
    log_uptake: Array
    volume_ml: Array
    tissues: NDArray[np.int64]
    voxel_images: Array
    voxel_fractions: Array
    voxels_wanted: Array


def tissues_of(patients: Sequence[SerialPet]) -> tuple[str, ...]:
    """Names of all tissues that at least one patient has, `OUTSIDE` first.

    Raises
    ------
    InputError
        A patient has no regions, or there is no patient.
    """
    names: set[str] = set()
    for patient in patients:
        if patient.labels is None:
            raise InputError(f"{patient.id} has no regions; the network 'ratio-3d' learns the activity of organs.")
        names |= {tissue_of(name) for name in patient.labels.names.values()}
    if not names:
        raise InputError("No training patient has a region; check the regions.")
    return (OUTSIDE, *sorted(names))


def reference_activity_bq(patients: Sequence[SerialPet]) -> float:
    """Median administered activity [Bq]; 0 where one is not known."""
    known = [patient.administered_bq for patient in patients]
    return 0.0 if None in known else float(np.median([one for one in known if one is not None]))


def patient_sums(
    patient: SerialPet,
    settings: DelayedPetSettings,
    members: Sequence[TissueNetwork],
    tissues: Sequence[str],
    activity_scale: float,
    given: bool,
) -> PatientSums:
    """Sums over a patient's voxels, with its own regions or those that the networks see."""
    labels = patient.labels
    if labels is None:
        raise InputError(f"{patient.id} has no regions; the network 'ratio-3d' learns the activity of organs.")
    images, ratio = settings.images, settings.ratio
    at_s, early = patient.scan_at(images.early_hour * SECONDS_PER_HOUR)
    normalisation = DecayNormalisation(patient.nuclide)
    inputs = ratio_inputs(early, at_s, normalisation, patient.ct if images.use_ct else None, ratio.grid_mm)
    early_kji = normalised(np.maximum(early.array_kji, 0.0), normalisation.constant_bq_per_ml(at_s)).astype(np.float32)
    known = labels if given else None
    scan = scan_regions(
        early_kji, early.geometry, inputs, members, tissues, known, images.use_ct, ratio.response
    )
    later = []
    for hour in images.target_hours:
        late_s, late = patient.scan_at(hour * SECONDS_PER_HOUR)
        later.append(normalised(late.array_kji, normalisation.constant_bq_per_ml(late_s)))
    return _summed(scan, np.stack(later), labels, tissues, activity_scale)


def _summed(
    scan: ScanRegions, later: NDArray[np.floating], labels: LabelMap, tissues: Sequence[str], activity_scale: float
) -> PatientSums:
    label_kji = np.asarray(labels.array_kji)
    box = bounding_box(label_kji > 0, 0)
    inside = np.flatnonzero(label_kji[box] > 0)
    order = inside[np.argsort(label_kji[box].ravel()[inside], kind="stable")]
    sorted_labels = label_kji[box].ravel()[order]
    starts = np.flatnonzero(np.diff(sorted_labels, prepend=-1))
    names = [labels.names[int(label)] for label in sorted_labels[starts]]
    components = np.stack([image[box].ravel()[order] for image in scan.images()])
    cut = _cut(scan.inputs, box)
    fractions = np.stack([cut.spread(part).ravel()[order] for part in scan.regions.fractions])
    contents = np.stack([np.add.reduceat(fractions * image, starts, axis=1).T for image in components])
    late = np.stack([one[box].ravel()[order] for one in later]).astype(np.float64)
    wanted = np.add.reduceat(late, starts, axis=1)
    total = later.sum(axis=(1, 2, 3), dtype=np.float64)
    judged = (wanted > LOWEST_SHARE * total[:, None]).all(axis=0) & (contents[0].sum(axis=1) > 0)
    numbers = [tissues.index(tissue_of(name)) if tissue_of(name) in tissues else -1 for name in names]
    rng = generator_for(0, STATISTICS)
    some = np.sort(rng.choice(order.size, min(VOXELS_PER_PATIENT, order.size), replace=False))
    return PatientSums(
        contents.astype(np.float64),
        wanted,
        np.where(judged, numbers, -1),
        np.log(np.maximum(scan.regions.uptake / activity_scale, 1e-6)),
        scan.regions.volume_ml,
        scan.regions.tissues,
        components[:, some].astype(np.float64) / float(components[0].mean()),
        fractions[:, some].astype(np.float64),
        late[:, some] / float(components[0].mean()),
    )


def _cut(inputs: RatioInputs, box: tuple[slice, slice, slice]) -> RatioInputs:
    """The way back to a part of the scan alone."""
    weights = [np.ascontiguousarray(one[part]) for one, part in zip(inputs.weights, box, strict=True)]
    return replace(inputs, weights=(weights[0], weights[1], weights[2]))


def fit_lines(
    patients: Sequence[PatientSums],
    tissue_count: int,
    use_uptake: bool = True,
    smooth: bool = True,
    fit_organs: bool = True,
) -> Lines:
    """Lines of all tissues for one origin of regions.

    Parameters
    ----------
    patients
        Sums of the training patients.
    tissue_count
        Number of tissues.
    use_uptake
        Let clearance depend on early uptake; False gives every tissue its population's mean.
    smooth
        Let the early scan's noise be smoothed; False keeps the scan as it is.
    fit_organs
        Let the organs' activities decide beside the voxels; False leaves it to the voxels, and to the priors.
    """
    if not patients:
        raise InputError("The kinetics of tissues need training patients; found none.")
    targets = len(patients[0].wanted)
    start = _mean_changes(patients, tissue_count, targets)
    centre = _centres(patients, tissue_count)
    batch = _Batch.of(patients, centre)
    level, slope = (torch.tensor(values, requires_grad=True) for values in (start, np.zeros_like(start)))
    logits = torch.zeros((targets, COMPONENTS), dtype=torch.float64, requires_grad=True)
    raw = torch.zeros((targets, COMPONENTS), dtype=torch.float64)
    raw[:, 0] = 1.0
    learned = [level] + ([slope] if use_uptake else []) + ([logits] if smooth else [])
    optimiser = torch.optim.Adam(learned, lr=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    begun = torch.tensor(start)
    for _ in range(STEPS):
        mixture = torch.softmax(logits, dim=1) if smooth else raw
        errors, voxels = batch.errors(level, slope, mixture)
        organs = torch.sqrt(errors**2 + 1e-4).sum() / ORGAN_SCALE if fit_organs else 0.0
        priors = (slope**2).sum() / SLOPE_PRIOR_STD**2 + ((level - begun) ** 2).sum() / LEVEL_PRIOR_STD**2
        loss = organs + 0.5 * priors + len(patients) * targets * voxels / ORGAN_SCALE
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        mixture = torch.softmax(logits, dim=1) if smooth else raw
        errors, _ = batch.errors(level, slope, mixture)
    spread = _spreads(errors.numpy(), batch, tissue_count)
    found = [one.detach().numpy() for one in (level, slope, mixture)]
    return Lines(centre, found[0], found[1], np.log(spread), found[2])


@dataclass(frozen=True, eq=False)
class _Batch:
    """All patients as tensors of one size; what a patient lacks counts nothing."""

    contents: torch.Tensor
    excess: torch.Tensor
    tissues: torch.Tensor
    log_wanted: torch.Tensor
    patient_of: torch.Tensor
    organ_of: torch.Tensor
    organ_tissue: torch.Tensor
    images: torch.Tensor
    fractions: torch.Tensor
    voxels: torch.Tensor

    @classmethod
    def of(cls, patients: Sequence[PatientSums], centre: Array) -> _Batch:
        regions = max(len(one.tissues) for one in patients)
        organs = max(one.contents.shape[1] for one in patients)
        count, targets = len(patients), len(patients[0].wanted)
        sampled = min(one.voxel_images.shape[1] for one in patients)
        contents = np.zeros((count, COMPONENTS, organs, regions))
        excess, tissues = np.zeros((count, regions)), np.zeros((count, regions), dtype=np.int64)
        fractions = np.zeros((count, regions, sampled))
        judged, wanted = [], []
        for number, one in enumerate(patients):
            own = len(one.tissues)
            contents[number, :, : one.contents.shape[1], :own] = one.contents
            tissues[number, :own] = one.tissues
            excess[number, :own] = believed_excess(one.log_uptake - centre[one.tissues], one.volume_ml)
            fractions[number, :own] = one.voxel_fractions[:, :sampled]
            for organ in np.flatnonzero(one.organ_tissues >= 0):
                judged.append((number, organ, one.organ_tissues[organ]))
                wanted.append(np.log(one.wanted[:, organ]))
        places = np.array(judged, dtype=np.int64).reshape(-1, 3)
        return cls(
            torch.tensor(contents),
            torch.tensor(excess),
            torch.tensor(tissues),
            torch.tensor(np.array(wanted).reshape(-1, targets)),
            torch.tensor(places[:, 0]),
            torch.tensor(places[:, 1]),
            torch.tensor(places[:, 2]),
            torch.tensor(np.stack([one.voxel_images[:, :sampled] for one in patients])),
            torch.tensor(fractions),
            torch.tensor(np.stack([one.voxels_wanted[:, :sampled] for one in patients])),
        )

    def errors(
        self, level: torch.Tensor, slope: torch.Tensor, mixture: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """ln(forecast / acquired) of the judged organs (organs, targets), and the voxels' mean absolute difference."""
        log_ratio = level[:, self.tissues] + slope[:, self.tissues] * self.excess
        ratio = torch.exp(log_ratio.clamp(-LARGEST_LOG_RATIO, LARGEST_LOG_RATIO))
        found = torch.einsum("tc,pcor,tpr->tpo", mixture, self.contents, ratio)
        errors = torch.log(found[:, self.patient_of, self.organ_of].T) - self.log_wanted
        mixed = torch.einsum("tc,pcx->tpx", mixture, self.images) * torch.einsum("prx,tpr->tpx", self.fractions, ratio)
        wanted = self.voxels.permute(1, 0, 2)
        return errors, (torch.abs(mixed - wanted).mean(dim=2) / wanted.mean(dim=2).clamp(min=1e-9)).mean()


def _mean_changes(patients: Sequence[PatientSums], tissues: int, targets: int) -> Array:
    """Mean logarithm of the change of each tissue's organs, (targets, tissues); of all where there is none."""
    found: list[list[Array]] = [[] for _ in range(tissues)]
    for one in patients:
        for organ in np.flatnonzero(one.organ_tissues >= 0):
            change = np.log(one.wanted[:, organ] / one.contents[0, organ].sum())
            found[one.organ_tissues[organ]].append(change)
    everything = [change for rows in found for change in rows]
    if not everything:
        raise InputError("No region of the training patients holds activity in all scans; check the regions.")
    overall = np.median(everything, axis=0)
    return np.stack([np.mean(rows, axis=0) if rows else overall for rows in found], axis=1).reshape(targets, tissues)


def _centres(patients: Sequence[PatientSums], tissues: int) -> Array:
    """Mean logarithm of early concentration per administered activity of each tissue."""
    found: list[list[float]] = [[] for _ in range(tissues)]
    for one in patients:
        for tissue, value in zip(one.tissues, one.log_uptake, strict=True):
            found[tissue].append(float(value))
    return np.array([np.median(rows) if rows else 0.0 for rows in found])


def _spreads(errors: Array, batch: _Batch, tissues: int) -> Array:
    """Root mean square of each tissue's organ errors, with `PRIOR_ORGANS` of the usual size among them."""
    squares, usual = errors**2, float(np.mean(errors**2))
    own = batch.organ_tissue.numpy()
    rows = []
    for tissue in range(tissues):
        mine = squares[own == tissue]
        rows.append((mine.sum(axis=0) + PRIOR_ORGANS * usual) / (len(mine) + PRIOR_ORGANS))
    return np.sqrt(np.maximum(np.stack(rows, axis=1), math.exp(-2 * LARGEST_LOG_RATIO)))

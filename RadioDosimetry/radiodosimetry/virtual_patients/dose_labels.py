"""Dose maps to learn from: Monte Carlo of the true activity, spending histories where voxels lack them.

Sources are drawn in proportion to activity, so that background voxels, most of the body, would get few histories of
their own. Here the activity is cut into levels a factor of four apart and each level run apart: electrons and positrons
get histories in proportion to Σ √activity of their level, photons a share of their own. Doses and variances add.
Where a target is set instead of a number, electrons born in the regions of interest (or next to them) are run apart
from the others as well. A pilot run says how many histories each part needs; where the forecast was too low, the parts
that lack them get more, until the targets are met.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from ..errors import InputError
from ..images.volume import QuantitativeVolume
from ..media import MediaMap, segment_media
from ..nuclides import Radionuclide
from ..progress import PartialProgress, Progress, report_progress
from ..provenance import Record
from ..units import Quantity
from ..voxel_dose.monte_carlo import monte_carlo_dose
from ..voxel_dose.sources import EmissionSource
from .strata import Mask, Part, StrataSum, Stratum

TARGET_VOXEL_UNCERTAINTY = 0.02
"""Relative standard uncertainty of a voxel where no number of histories is asked for.

Relative to the voxel's own dose, root mean square over a region: noise then adds no more than about this to the
region's root mean square error.
"""

TARGET_REGION_UNCERTAINTY = 0.002
"""Relative standard uncertainty of a region's mean dose where no number of histories is asked for."""

PILOT_HISTORIES = 4_000_000
"""Histories of the run that finds out how many the target takes."""

MOST_HISTORIES = 1_000_000_000
"""Limit of what the target may ask for."""

MOST_ROUNDS = 4
"""How often parts that lack histories get more."""

REST_FACTOR = 2.5
"""By how much more uncertain voxels with activity may be that lie in no region: muscle and fat."""

REST = "elsewhere"
"""Name of those voxels among the targets."""

NOISE_EXPONENT = 0.65
"""Power of the histories with which a voxel's uncertainty falls: sources are stratified, so faster than a square root.

Measured with Lu-177 in a torso of 4 mm voxels: 0.67 in lung over a factor of 25, 0.69 in spleen, 0.77 in kidneys and
0.80 in liver over a factor of 5; from the pilot to 2 %, a factor of 60, 0.58 in lung. What the forecast misses is run
in rounds.
"""

INDEPENDENT_EXPONENT = 0.5
"""Power for independent histories: of a region's mean, and of a further run beside an earlier one."""

LEVEL_RATIO = 4.0
MOST_LEVELS = 6
"""Activity more than 4⁵ below the highest is one level."""

PHOTON_SHARE = 0.1
"""Share of the histories that photons of the nuclide get where it emits charged particles as well."""

FEWEST_PER_STRATUM = 2_000
"""Histories of the smallest stratum."""

DOSED_SHARE = 0.01
"""Regions with dose have at least this share of the highest region's mean dose."""


@dataclass(frozen=True, eq=False)
class DoseLabel:
    """A dose map with its statistics.

    Attributes
    ----------
    dose
        Absorbed dose [Gy].
    uncertainty
        Relative standard uncertainty of every voxel; 1 where there is no dose.
    voxel_uncertainty_of_regions
        Root mean square of the voxels' relative uncertainties in each region.
    uncertainty_of_regions
        Relative standard uncertainty of each region's mean dose (by mass).
    histories
        Histories in all, those of the pilot run aside.
    """

    dose: QuantitativeVolume
    uncertainty: QuantitativeVolume
    voxel_uncertainty_of_regions: Mapping[str, float]
    uncertainty_of_regions: Mapping[str, float]
    histories: int


def dose_label(
    tia: QuantitativeVolume,
    ct: QuantitativeVolume,
    nuclide: str,
    masks: Mapping[str, Mask],
    histories: int | None,
    seed: int,
    progress: Progress | None = None,
    *,
    voxel_uncertainty: float = TARGET_VOXEL_UNCERTAINTY,
    always: Collection[str] = (),
) -> DoseLabel:
    """Dose of a time-integrated activity by Monte Carlo.

    Parameters
    ----------
    tia
        Time-integrated activity concentration [Bq s/mL], array (k, j, i), not negative.
    ct
        CT numbers [HU] on the same grid.
    nuclide
        Name of the nuclide.
    masks
        Regions that shall reach `voxel_uncertainty` and `TARGET_REGION_UNCERTAINTY` where they have dose; all get
        statistics.
    histories
        Number of histories; if None as many as the targets take, `MOST_HISTORIES` at most.
    seed
        Names the random numbers; the result is the same on any number of cores.
    progress
        Told the share of the work done.
    voxel_uncertainty
        Relative standard uncertainty that voxels shall have; ignored where histories are given.
    always
        Regions that the targets hold for however little dose they have.

    Raises
    ------
    InputError
        There is no activity.
    UnitError, GeometryMismatchError
        The images are not what they must be.
    CancelledError
        The user cancelled.
    """
    media = segment_media(ct, bands=None)
    source = EmissionSource.from_nuclide(Radionuclide(nuclide))
    work = _Work(tia, media, source, seed, {name: mask for name, mask in masks.items() if mask.any()})
    if histories is None:
        found = work.run_to_targets(voxel_uncertainty, always, progress)
    else:
        found = work.run(work.strata(histories), 1, progress)
    record = replace(
        found.record.with_parameters(
            histories=found.histories,
            histories_of_strata=[part.histories for part in found.parts],
            level_ratio=LEVEL_RATIO,
        ),
        seed=seed,
    )
    report_progress(progress, 1.0, "Monte Carlo done")
    relative = found.relative()
    return DoseLabel(
        tia.with_array(found.dose_gy.astype(np.float32), Quantity.ABSORBED_DOSE, record),
        tia.with_array(relative.astype(np.float32), Quantity.RELATIVE_UNCERTAINTY, record),
        {name: _root_mean_square(relative[mask]) for name, mask in masks.items() if mask.any()},
        found.of_regions(),
        found.histories,
    )


@dataclass(frozen=True, eq=False)
class _Work:
    """A patient's activity, media and nuclide, ready to be run with any number of histories."""

    tia: QuantitativeVolume
    media: MediaMap
    source: EmissionSource
    seed: int
    masks: Mapping[str, Mask]

    def run(
        self, strata: Sequence[Stratum], purpose: int, progress: Progress | None, onto: Sequence[Part] | None = None
    ) -> StrataSum:
        """All strata, onto parts of theirs if there are any; `purpose` keeps random numbers of runs apart."""
        from ..transport.voxels import TransportSettings

        seeds = np.random.SeedSequence((self.seed, purpose)).generate_state(len(strata))
        shape = self.tia.geometry.shape_kji
        none = np.zeros(shape, dtype=np.float32)
        parts = list(onto or (Part(one, none, none) for one in strata))
        records: list[Record] = []
        mass_g = self.media.voxel_mass_g()
        done, histories = 0, sum(one.histories for one in strata)
        for one, part, seed in zip(strata, parts, seeds, strict=True):
            share = PartialProgress(progress, done / histories, (done + one.histories) / histories)
            settings = TransportSettings(histories=one.histories, seed=int(seed))
            result = monte_carlo_dose(one.tia, self.media, one.source, settings, self.masks, share)
            part.add(result, mass_g, self.masks)
            records.append(result.dose.record)
            done += one.histories
        return StrataSum(parts, records[0])

    def run_to_targets(self, voxel_uncertainty: float, always: Collection[str], progress: Progress | None) -> StrataSum:
        """As many histories as the targets take: what a pilot forecasts, and more where that was not enough."""
        shape = self.tia.geometry.shape_kji
        regions = np.asarray(np.logical_or.reduce([np.zeros(shape, dtype=bool), *self.masks.values()]))
        rest = (self.tia.array_kji > 0) & ~regions
        strata = self.strata(PILOT_HISTORIES, binary_dilation(regions))
        pilot = self.run(strata, 0, PartialProgress(progress, 0.0, 0.1))
        factors = needed_factors(*self._targets(pilot, rest, voxel_uncertainty, always, NOISE_EXPONENT))
        strata = _limited(strata, factors * [one.histories for one in strata], MOST_HISTORIES)
        del pilot
        found = self.run(strata, 1, PartialProgress(progress, 0.1, 0.7))
        for number in range(MOST_ROUNDS):
            targets = self._targets(found, rest, voxel_uncertainty, always, INDEPENDENT_EXPONENT)
            missed = targets[0].sum(axis=1) > targets[1]
            if not missed.any():
                break
            factors = needed_factors(*(one[missed] for one in targets))
            lacking = [part for part, factor in zip(found.parts, factors, strict=True) if factor > 1]
            room = MOST_HISTORIES - found.histories
            if room < len(lacking) * FEWEST_PER_STRATUM:
                break
            more = [(factor - 1) * part.histories for part, factor in zip(found.parts, factors, strict=True)]
            wanted = np.array([count for count in more if count > 0])
            part_of_rounds = 0.7 + 0.3 * np.array([number, number + 1]) / MOST_ROUNDS
            further = _limited([part.stratum for part in lacking], wanted, room)
            self.run(further, 2 + number, PartialProgress(progress, *part_of_rounds), onto=lacking)
        return found

    def strata(self, histories: int, near: Mask | None = None) -> list[Stratum]:
        """Photons of all activity, and the electrons of each level, those born in `near` and elsewhere apart."""
        charged = replace(self.source, photons=(), annihilation=()) if self.source.charged else None
        photons = replace(self.source, charged=(), annihilation=(), local_energy_mev=0.0)
        if charged is None:
            return [Stratum(self.tia, self.source, max(histories, FEWEST_PER_STRATUM))]
        found = []
        photon_histories = 0
        if photons.photons:
            photon_histories = max(int(PHOTON_SHARE * histories), FEWEST_PER_STRATUM)
            found.append(Stratum(self.tia, photons, photon_histories))
        activity = self.tia.array_kji.astype(np.float64)
        level = _levels(activity)
        parts = [level == one for one in range(MOST_LEVELS)]
        if near is not None:
            parts = [part & where for part in parts for where in (near, ~near)]
        weights = [float(np.sqrt(activity[part]).sum()) for part in parts]
        for part, weight in zip(parts, weights, strict=True):
            if weight > 0:
                count = max(int((histories - photon_histories) * weight / sum(weights)), FEWEST_PER_STRATUM)
                found.append(Stratum(self.tia.with_array(np.where(part, activity, 0.0)), charged, count))
        return found

    def _targets(
        self, found: StrataSum, rest: Mask, voxel_uncertainty: float, always: Collection[str], exponent: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Relative variances of each target (row) by stratum (column), the variances wanted, and their powers."""
        dose_gy = found.dose_gy
        means = {name: float(dose_gy[mask].mean()) for name, mask in self.masks.items()}
        least = DOSED_SHARE * max(means.values(), default=0.0)
        held = {name: mask for name, mask in self.masks.items() if means[name] >= least or name in always}
        rows, wanted, powers = [], [], []
        for name, mask in (held | {REST: rest}).items():
            if not dose_gy[mask].any():
                continue
            rows.append(found.relative_variances(mask))
            wanted.append((voxel_uncertainty * (REST_FACTOR if mask is rest else 1.0)) ** 2)
            powers.append(2 * exponent)
            if mask is not rest:
                rows.append([part.energy_variance_gy2_g2[name] / found.energy_gy_g(name) ** 2 for part in found.parts])
                wanted.append(TARGET_REGION_UNCERTAINTY**2)
                powers.append(2 * INDEPENDENT_EXPONENT)
        return np.array(rows).reshape(len(rows), len(found.parts)), np.array(wanted), np.array(powers)


def _limited(strata: Sequence[Stratum], wanted: NDArray[np.float64], most: float) -> list[Stratum]:
    """The strata with the histories wanted, all fewer in proportion where they would be more than `most`."""
    scale = min(1.0, most / float(np.sum(wanted)))
    return [
        replace(one, histories=max(int(scale * count), FEWEST_PER_STRATUM))
        for one, count in zip(strata, wanted, strict=True)
    ]


def needed_factors(
    variances: NDArray[np.float64], wanted: NDArray[np.float64], powers: NDArray[np.float64]
) -> NDArray[np.float64]:
    """By how much the histories of each stratum must grow for all targets to be met.

    Parameters
    ----------
    variances
        What each stratum (column) adds to the variance of each target (row) with the histories it had.
    wanted
        The variance that each target may have.
    powers
        Of the histories with which the variance of each target falls.

    Returns
    -------
    ndarray
        One factor per stratum: the largest that Neyman's allocation asks of it for any target. Below one where fewer
        histories will do.

    References
    ----------
    .. [1] Neyman, J R Stat Soc 97 (1934) 558, DOI 10.2307/2342192.
    """
    if not variances.size:
        return np.ones(variances.shape[1])
    roots = np.sqrt(variances)
    asked = (roots * roots.sum(axis=1, keepdims=True) / wanted[:, None]) ** (1 / powers[:, None])
    return np.asarray(asked.max(axis=0))


def _levels(activity: NDArray[np.float64]) -> NDArray[np.int64]:
    """Level of each voxel, 0 the highest activity; −1 without any."""
    highest = float(activity.max(initial=0.0))
    if highest <= 0:
        raise InputError("The activity is zero everywhere; there is no dose to simulate.")
    level = np.full(activity.shape, -1, dtype=np.int64)
    active = activity > 0
    steps = np.floor(np.log(highest / activity[active]) / np.log(LEVEL_RATIO))
    level[active] = np.minimum(steps, MOST_LEVELS - 1)
    return level


def _root_mean_square(values: NDArray[np.floating]) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))

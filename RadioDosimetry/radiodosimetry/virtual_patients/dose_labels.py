"""Dose maps to learn from: Monte Carlo of the true activity, spending histories where voxels lack them.

Sources are drawn in proportion to activity, so that background voxels, most of the body, would get few histories of
their own. Here the activity is cut into levels a factor of four apart and each level run apart: electrons and positrons
get histories in proportion to Σ √activity of their level, photons a share of their own. Doses and variances add.
Where a target is set instead of a number, electrons born in the regions of interest (or next to them) are run apart
from the others as well, and a pilot run says how many histories each part needs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from ..errors import InputError
from ..images.volume import QuantitativeVolume
from ..media import MediaMap, segment_media
from ..nuclides import Radionuclide
from ..progress import PartialProgress, Progress, report_progress
from ..units import Quantity
from ..voxel_dose.monte_carlo import MonteCarloDose, monte_carlo_dose
from ..voxel_dose.sources import EmissionSource

Mask = NDArray[np.bool_]

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

REST_FACTOR = 2.5
"""By how much more uncertain voxels with activity may be that lie in no region: muscle and fat."""

REST = "elsewhere"
"""Name of those voxels among the targets."""

NOISE_EXPONENT = 0.65
"""Power of the histories with which a voxel's uncertainty falls: sources are stratified, so faster than a square root.

Measured with Lu-177 in a torso of 4 mm voxels: 0.67 in lung over a factor of 25, 0.69 in spleen, 0.77 in kidneys and
0.80 in liver over a factor of 5.
"""

REGION_NOISE_EXPONENT = 0.5
"""Power of the histories with which the uncertainty of a region's mean falls: no faster than independent histories."""

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
        strata = work.strata_for_targets(voxel_uncertainty, always, PartialProgress(progress, 0.0, 0.1))
    else:
        strata = work.strata(histories)
    found = work.run(strata, 1, PartialProgress(progress, 0.1, 1.0))
    record = replace(
        found.first.dose.record.with_parameters(
            histories=found.histories,
            histories_of_strata=[one.histories for one in strata],
            level_ratio=LEVEL_RATIO,
        ),
        seed=seed,
    )
    relative = found.relative()
    return DoseLabel(
        tia.with_array(found.dose_gy.astype(np.float32), Quantity.ABSORBED_DOSE, record),
        tia.with_array(relative.astype(np.float32), Quantity.RELATIVE_UNCERTAINTY, record),
        {name: _root_mean_square(relative[mask]) for name, mask in masks.items() if mask.any()},
        found.of_regions(),
        found.histories,
    )


@dataclass(frozen=True, eq=False)
class Stratum:
    """A part of the activity, with some of its emissions, that gets histories of its own.

    Attributes
    ----------
    tia
        Activity of the part, zero elsewhere.
    source
        Its emissions that are followed.
    histories
        How many it gets.
    """

    tia: QuantitativeVolume
    source: EmissionSource
    histories: int


@dataclass(eq=False)
class _Sum:
    """Doses and variances of the strata run so far."""

    dose_gy: NDArray[np.float64]
    variance_gy2: NDArray[np.float64]
    first: MonteCarloDose
    histories: int = 0
    region_energy: dict[str, float] = field(default_factory=dict)
    region_variances: dict[str, list[float]] = field(default_factory=dict)
    kept: Mask | None = None
    voxel_variances: list[NDArray[np.float32]] = field(default_factory=list)

    def add(self, part: MonteCarloDose, mass_g: NDArray[np.float64], masks: Mapping[str, Mask]) -> None:
        dose = part.dose.array_kji.astype(np.float64)
        for name, mask in masks.items():
            energy = float(np.sum(dose[mask] * mass_g[mask]))
            error = energy * part.region_uncertainty.get(name, 0.0)
            self.region_energy[name] = self.region_energy.get(name, 0.0) + energy
            self.region_variances.setdefault(name, []).append(error**2)
        variance = (dose * part.uncertainty.array_kji) ** 2
        self.dose_gy += dose
        self.variance_gy2 += variance
        if self.kept is not None:
            self.voxel_variances.append(variance[self.kept].astype(np.float32))
        self.histories += part.histories

    def relative_variances(self, mask: Mask) -> list[float]:
        """What each stratum adds to the mean squared relative uncertainty of voxels that are among the kept ones."""
        weight = np.zeros(self.dose_gy.shape)
        np.divide(1.0, self.dose_gy**2, out=weight, where=self.dose_gy > 0)
        share = weight[mask] / mask.sum()
        own = mask[self.kept]
        return [float(np.dot(variance[own], share)) for variance in self.voxel_variances]

    def relative(self) -> NDArray[np.float64]:
        """Relative standard uncertainty, 1 where there is no dose."""
        relative = np.ones_like(self.dose_gy)
        np.divide(np.sqrt(self.variance_gy2), self.dose_gy, out=relative, where=self.dose_gy > 0)
        return relative

    def of_regions(self) -> dict[str, float]:
        """Relative standard uncertainty of each region's mean dose; regions without dose are left out."""
        return {
            name: float(np.sqrt(sum(self.region_variances[name])) / energy)
            for name, energy in self.region_energy.items()
            if energy > 0
        }


@dataclass(frozen=True, eq=False)
class _Work:
    """A patient's activity, media and nuclide, ready to be run with any number of histories."""

    tia: QuantitativeVolume
    media: MediaMap
    source: EmissionSource
    seed: int
    masks: Mapping[str, Mask]

    def run(self, strata: Sequence[Stratum], purpose: int, progress: Progress | None, kept: Mask | None = None) -> _Sum:
        """All strata; `purpose` keeps the random numbers of pilot and result apart; variances of `kept` are held."""
        from ..transport.voxels import TransportSettings

        seeds = np.random.SeedSequence((self.seed, purpose)).generate_state(len(strata))
        shape = self.tia.geometry.shape_kji
        total: _Sum | None = None
        mass_g = self.media.voxel_mass_g()
        done, histories = 0, sum(one.histories for one in strata)
        for one, seed in zip(strata, seeds, strict=True):
            share = PartialProgress(progress, done / histories, (done + one.histories) / histories)
            settings = TransportSettings(histories=one.histories, seed=int(seed))
            result = monte_carlo_dose(one.tia, self.media, one.source, settings, self.masks, share)
            if total is None:
                total = _Sum(np.zeros(shape), np.zeros(shape), result, kept=kept)
            total.add(result, mass_g, self.masks)
            done += one.histories
        assert total is not None
        report_progress(progress, 1.0, "Monte Carlo done")
        return total

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

    def strata_for_targets(
        self, voxel_uncertainty: float, always: Collection[str], progress: Progress | None
    ) -> list[Stratum]:
        """Strata with as many histories as a pilot run says that the targets take."""
        shape = self.tia.geometry.shape_kji
        regions = np.asarray(np.logical_or.reduce([np.zeros(shape, dtype=bool), *self.masks.values()]))
        rest = (self.tia.array_kji > 0) & ~regions
        strata = self.strata(PILOT_HISTORIES, binary_dilation(regions))
        pilot = self.run(strata, 0, progress, regions | rest)
        factors = needed_factors(*self._targets(pilot, rest, voxel_uncertainty, always))
        wanted = [factor * one.histories for factor, one in zip(factors, strata, strict=True)]
        scale = min(1.0, MOST_HISTORIES / sum(wanted))
        return [
            replace(one, histories=max(int(scale * count), FEWEST_PER_STRATUM))
            for one, count in zip(strata, wanted, strict=True)
        ]

    def _targets(
        self, pilot: _Sum, rest: Mask, voxel_uncertainty: float, always: Collection[str]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Relative variances of each target (row) by stratum (column), the variances wanted, and their powers."""
        means = {name: float(pilot.dose_gy[mask].mean()) for name, mask in self.masks.items()}
        least = DOSED_SHARE * max(means.values(), default=0.0)
        held = {name: mask for name, mask in self.masks.items() if means[name] >= least or name in always}
        rows, wanted, powers = [], [], []
        for name, mask in (held | {REST: rest}).items():
            if not pilot.dose_gy[mask].any():
                continue
            rows.append(pilot.relative_variances(mask))
            wanted.append((voxel_uncertainty * (REST_FACTOR if mask is rest else 1.0)) ** 2)
            powers.append(2 * NOISE_EXPONENT)
            if mask is not rest:
                rows.append([one / pilot.region_energy[name] ** 2 for one in pilot.region_variances[name]])
                wanted.append(TARGET_REGION_UNCERTAINTY**2)
                powers.append(2 * REGION_NOISE_EXPONENT)
        return np.array(rows).reshape(len(rows), len(pilot.voxel_variances)), np.array(wanted), np.array(powers)


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

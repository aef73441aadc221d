"""S-values of a patient: Monte Carlo from every region of the patient's own CT to every other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import GeometryMismatchError, InputError, RegionError, UnitError
from ..images.body import body_mask
from ..images.geometry import VolumeGeometry
from ..images.regions import LabelMap, Region, regions_of
from ..images.resampling import resample_ct
from ..images.volume import QuantitativeVolume
from ..media import MEDIA_DATASETS, MediaMap, SchneiderConversion, segment_media
from ..nuclides import Radionuclide
from ..progress import PartialProgress, Progress, report_progress
from ..provenance import Record
from ..units import JOULE_PER_MEV, Quantity
from .emissions import DecayEmissions, decay_emissions
from .organ_names import REMAINDER, organ_named, plain_name
from .s_value_table import SValueTable

if TYPE_CHECKING:
    from ..transport.voxels import TransportResult, TransportSettings

Floats = NDArray[np.float64]

DEFAULT_HISTORIES = 500_000
"""Histories per source region where none are asked for."""

AIR_DENSITY_G_PER_CM3 = 0.1
"""Below is air: activity there is a wrong contour, or gas in the gut (lung has 0.2 g/cm³ and more)."""

AIR_SHARE_WARNING = 0.02
"""Share of a region's voxels in air, or outside the CT, beyond which the record warns."""

FEW_VOXELS = 30
"""Regions of fewer voxels have a shape of steps: the record warns."""

POOR_STATISTICS = 0.1
"""Relative standard uncertainty of a pair beyond which the record counts it."""

MOST_VOXELS = 40_000_000
"""Voxels a run may have: at some 90 bytes each, 3.6 GB on two threads."""

PHOTON_SHARE = 0.4
"""At least so many of the histories are photons where a nuclide emits them (`transport.source_lines`)."""


@dataclass(frozen=True)
class _Run:
    """What all sources of a table share."""

    media: MediaMap
    regions: tuple[Region, ...]
    emitted: DecayEmissions
    histories: int
    seed: int
    device: str
    secondaries: str

    def masses_g(self) -> Floats:
        mass_kji = self.media.voxel_mass_g()
        return np.array([float(mass_kji[region.mask_kji].sum()) for region in self.regions])


def patient_s_values(
    ct: QuantitativeVolume,
    regions: LabelMap | Sequence[Region],
    nuclide: Radionuclide | str,
    histories: int = DEFAULT_HISTORIES,
    seed: int = 1,
    progress: Progress | None = None,
    *,
    geometry: VolumeGeometry | None = None,
    sources: Sequence[str] | None = None,
    remainder: bool = False,
    include_progeny: bool = True,
    secondaries: str = "local",
    device: str = "cpu",
    conversion: SchneiderConversion | None = None,
) -> SValueTable:
    """Mean absorbed dose of each region of a patient per decay in each other, by Monte Carlo.

    Electrons, positrons and photons of uniform activity (per volume) in one region after the other are followed
    through the voxels of the CT; α particles and recoils stay in their voxel. Around the grid is vacuum.

    Parameters
    ----------
    ct
        CT numbers [HU] on any grid that overlaps the regions; resampled onto theirs.
    regions
        A label map, or masks (k, j, i) on `geometry`. They may overlap, and need not fill the body.
    nuclide
        The radionuclide, or its name.
    histories
        Histories per source region.
    seed
        Names the random numbers; each source has its own from it.
    progress
        Told the share of the sources done.
    geometry
        Grid of the masks; that of the label map, or of the CT, if None.
    sources
        Names of the source regions; all regions if None.
    remainder
        Add the region `REMAINDER`: the body on the CT without all other regions.
    include_progeny
        Whether the short-lived progeny decay where the nuclide does.
    secondaries
        "local" leaves electrons set free by photons where they are born (expected energy along each flight, few
        histories needed); "transported" follows them (many histories needed for distant pairs).
    device
        "cpu" or "cuda".
    conversion
        CT calibration; Schneider et al. 2000 if None.

    Returns
    -------
    SValueTable
        S-values [Gy/(Bq s)] and their standard uncertainties (1 σ, statistics of the histories alone), rows the
        regions as targets. A pair that no history reached has the value 0 and, as uncertainty, what a single photon
        history could at most have left. The record holds the masses and, per source, the share of the energy that
        leaves the grid.

    Raises
    ------
    InputError
        A setting cannot be used.
    UnitError
        `ct` is not a CT.
    GeometryMismatchError
        CT and regions do not overlap, or masks are on another grid.
    RegionError
        There is no region, two have one name, a source is unknown, or nothing is left as remainder.
    UnknownNuclideError
        The nuclide is not in the dataset.
    DeviceError
        The device is not there.
    CancelledError
        The user cancelled.

    References
    ----------
    .. [1] Bolch et al., MIRD Pamphlet No. 21, J Nucl Med 50 (2009) 477, doi:10.2967/jnumed.108.056036.
    """
    if ct.quantity is not Quantity.CT_NUMBER:
        raise UnitError(f"The CT must hold CT numbers in HU, found {ct.quantity.value} [{ct.unit}].")
    emitted = decay_emissions(nuclide, include_progeny)
    _settings(histories, seed, secondaries, device)  # a setting that cannot be used is refused before the work
    report_progress(progress, 0.0, "Media from the CT")
    grid, masks = _on_one_grid(ct, regions, geometry)
    placed = resample_ct(ct, grid)
    masks = _with_remainder(masks, placed) if remainder else masks
    chosen = _chosen_sources(masks, sources)
    run = _Run(segment_media(placed, conversion, None), masks, emitted, histories, seed, device, secondaries)
    masses_g = run.masses_g()
    energy_mev, error_mev = np.zeros((len(masks), len(chosen))), np.zeros((len(masks), len(chosen)))
    local_mev = emitted.local_energy_mev * _shares_inside(masks, chosen)
    escaped: dict[str, float] = {}
    device_name = device
    for column, source in enumerate(chosen):
        part = PartialProgress(progress, 0.02 + 0.98 * column / len(chosen), 0.02 + 0.98 * (column + 1) / len(chosen))
        report_progress(part, 0.0, f"S-values from {source.name}")
        seed_of_source = _seed_of_source(seed, masks.index(source))
        result = _simulate(run, source, seed_of_source, part)
        if result is not None:
            energy_mev[:, column], error_mev[:, column] = _energy_per_decay(run, source, result)
            escaped[source.name] = result.escaped_mev / source.voxel_count / emitted.emitted_energy_mev
            device_name = result.device
    energy_mev += local_mev
    gy_per_mev = JOULE_PER_MEV / (masses_g[:, None] * 1e-3)
    mass_of = dict(zip((region.name for region in masks), masses_g.tolist(), strict=True))
    record = _record(run, ct, mass_of, chosen, escaped, device_name, include_progeny)
    report_progress(progress, 1.0, "S-values done")
    return SValueTable(
        tuple(mass_of),
        tuple(source.name for source in chosen),
        energy_mev * gy_per_mev,
        error_mev * gy_per_mev,
        emitted.nuclide,
        record.with_warnings(*_statistics_warnings(tuple(mass_of), chosen, energy_mev, error_mev)),
        local_mev * gy_per_mev,
        {source.name: mass_of[source.name] for source in chosen},
    )


def grid_with_spacing(geometry: VolumeGeometry, spacing_mm: float | tuple[float, float, float]) -> VolumeGeometry:
    """The grid of another voxel size that covers the same box, its first corner in the same place.

    Parameters
    ----------
    geometry
        The box.
    spacing_mm
        Voxel size [mm], one for all axes or along i, j, k.

    Raises
    ------
    InputError
        A voxel size is not a positive length.
    """
    sides = (spacing_mm,) * 3 if isinstance(spacing_mm, int | float) else tuple(spacing_mm)
    if len(sides) != 3 or not all(np.isfinite(side) and side > 0 for side in sides):
        raise InputError(f"The voxel size must be a positive length in mm, or three of them, found {spacing_mm}.")
    extent_mm = np.array(geometry.shape_kji[::-1]) * np.array(geometry.spacing_mm)
    count_ijk = np.maximum(np.ceil(extent_mm / np.array(sides) - 1e-6), 1).astype(int)
    shift_mm = 0.5 * (np.array(sides) - np.array(geometry.spacing_mm))
    origin_mm = np.array(geometry.origin_mm) + geometry.direction @ shift_mm
    return VolumeGeometry(
        (int(count_ijk[2]), int(count_ijk[1]), int(count_ijk[0])),
        (float(sides[0]), float(sides[1]), float(sides[2])),
        (float(origin_mm[0]), float(origin_mm[1]), float(origin_mm[2])),
        geometry.direction,
        geometry.frame_of_reference_uid,
    )


def _on_one_grid(
    ct: QuantitativeVolume, regions: LabelMap | Sequence[Region], geometry: VolumeGeometry | None
) -> tuple[VolumeGeometry, tuple[Region, ...]]:
    """The grid and its regions, checked."""
    if isinstance(regions, LabelMap):
        grid, masks = regions.geometry, tuple(regions_of(regions))
    else:
        grid, masks = geometry or ct.geometry, tuple(regions)
    masks = tuple(replace(region, name=plain_name(region.name)) for region in masks)
    if not masks:
        raise RegionError("There is no region; give at least one as source and target of the S-values.")
    names = [region.name for region in masks]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise RegionError(f"More than one region is called {', '.join(repeated)}; give each its own name.")
    if grid.voxel_count > MOST_VOXELS:
        raise InputError(
            f"The grid of the regions has {grid.voxel_count} voxels, more than the {MOST_VOXELS} that fit the memory; "
            "give larger voxels (a spacing of 2 to 4 mm does)."
        )
    for region in masks:
        if region.mask_kji.shape != grid.shape_kji:
            raise GeometryMismatchError(
                f"Region '{region.name}' has a mask of shape {region.mask_kji.shape}, its grid {grid.shape_kji} "
                "(k, j, i); give the regions and their geometry together."
            )
    return grid, masks


def _with_remainder(masks: tuple[Region, ...], ct: QuantitativeVolume) -> tuple[Region, ...]:
    """The regions and what they leave of the body."""
    if any(region.name == REMAINDER for region in masks):
        raise RegionError(f"A region is called {REMAINDER} already; rename it, or do not ask for the remainder.")
    left = body_mask(ct)
    for region in masks:
        left &= ~region.mask_kji
    if not left.any():
        raise RegionError("The regions fill the body: no remainder of the body is left; do not ask for it.")
    return (*masks, Region(REMAINDER, left, "body without all other regions"))


def _chosen_sources(masks: tuple[Region, ...], sources: Sequence[str] | None) -> tuple[Region, ...]:
    if sources is None:
        return masks
    by_name = {region.name: region for region in masks}
    if not sources:
        raise RegionError(f"Found no source region; expected some of {', '.join(by_name)}.")
    names = [organ_named(name, tuple(by_name), "region of the patient") for name in sources]
    return tuple(by_name[name] for name in dict.fromkeys(names))


def _seed_of_source(seed: int, index: int) -> int:
    """Random numbers of its own for every source, the same whichever other sources are asked for."""
    return int(np.random.SeedSequence((seed, index)).generate_state(1, np.uint32)[0])


def _simulate(run: _Run, source: Region, seed: int, progress: Progress) -> TransportResult | None:
    """One decay in every voxel of the source; None where nothing is emitted that moves."""
    if not run.emitted.transported:
        return None
    from ..transport.voxels import VoxelScene, simulate_voxels

    media = run.media
    scene = VoxelScene(media.density_kji, media.medium_index_kji, media.media, media.geometry.spacing_mm)
    targets = {region.name: region.mask_kji for region in run.regions}
    settings = _settings(run.histories, seed, run.secondaries, run.device)
    return simulate_voxels(
        scene, source.mask_kji.astype(np.float32), run.emitted.transported, settings, targets, progress
    )


def _settings(histories: int, seed: int, secondaries: str, device: str) -> TransportSettings:
    from ..transport.voxels import TransportSettings

    chosen: Any = secondaries
    estimator: Any = "analog" if secondaries == "transported" else "track-length"
    return TransportSettings(histories, seed=seed, estimator=estimator, secondaries=chosen, device=device)


def _energy_per_decay(run: _Run, source: Region, result: TransportResult) -> tuple[Floats, Floats]:
    """Energy that transport gives each region per decay in the source, and its standard error [MeV], (targets,)."""
    energy, error = np.zeros(len(run.regions)), np.zeros(len(run.regions))
    for row, target in enumerate(run.regions):
        energy[row] = float(result.energy_mev_kji[target.mask_kji].sum()) / source.voxel_count
        error[row] = energy[row] * result.region_mean_uncertainty.get(target.name, 0.0)
        if energy[row] == 0:
            error[row] = run.emitted.photon_energy_mev / (PHOTON_SHARE * run.histories)
    return energy, error


def _shares_inside(targets: Sequence[Region], sources: Sequence[Region]) -> Floats:
    """Share of each source's voxels that lie in each target, shape (targets, sources)."""
    return np.array([[float(target.mask_kji[source.mask_kji].mean()) for source in sources] for target in targets])


def _record(
    run: _Run,
    ct: QuantitativeVolume,
    mass_of_g: Mapping[str, float],
    sources: Sequence[Region],
    escaped: Mapping[str, float],
    device: str,
    include_progeny: bool,
) -> Record:
    voxel_ml = run.media.geometry.voxel_volume_ml
    parameters = {
        "method": "monte-carlo on the patient's CT",
        "nuclide": run.emitted.nuclide,
        "include_progeny": include_progeny,
        "histories_per_source": run.histories,
        "secondaries": run.secondaries,
        "spacing_mm": list(run.media.geometry.spacing_mm),
        "shape_kji": list(run.media.geometry.shape_kji),
        "source_activity": "uniform per volume",
        "mass_g": dict(mass_of_g),
        "sources": [source.name for source in sources],
        "volume_ml": {region.name: region.voxel_count * voxel_ml for region in run.regions},
        "regions": {region.name: region.expression for region in run.regions},
        "escaped_share": dict(escaped),
        "emitted_energy_mev": run.emitted.emitted_energy_mev,
        "media": dict(run.media.record.parameters),
    }
    datasets = {"emissions": run.emitted.dataset, **run.media.record.datasets, **MEDIA_DATASETS}
    record = Record(
        "patient S-values by Monte Carlo", parameters, {"ct": dict(ct.record.inputs)}, datasets, (), run.seed, device
    )
    return record.with_warnings(
        *run.emitted.warnings,
        *ct.record.warnings,
        *run.media.warnings,
        *_region_warnings(run),
    )


def _region_warnings(run: _Run) -> list[str]:
    """Regions of few voxels or in air."""
    found = []
    density = run.media.density_kji
    for region in run.regions:
        if region.voxel_count < FEW_VOXELS:
            found.append(
                f"Region {region.name} has {region.voxel_count} voxels: its shape and self-dose depend on them; use "
                "smaller voxels or the sphere model."
            )
        in_air = float(np.mean(density[region.mask_kji] < AIR_DENSITY_G_PER_CM3))
        if in_air > AIR_SHARE_WARNING:
            found.append(
                f"{100 * in_air:.1f} % of region {region.name} lies in air (below {AIR_DENSITY_G_PER_CM3:g} g/cm³) or "
                "outside the CT: check the registration of CT and regions."
            )
    return found


def _statistics_warnings(targets: Sequence[str], sources: Sequence[Region], energy: Floats, error: Floats) -> list[str]:
    """How many pairs are uncertain, or were never reached."""
    unreached = [
        f"{targets[row]} from {sources[column].name}" for row, column in np.argwhere((energy == 0) & (error > 0))
    ]
    poor = int(np.count_nonzero((error > POOR_STATISTICS * energy) & (energy > 0)))
    found = []
    if unreached:
        named = ", ".join(unreached[:5]) + (" and others" if len(unreached) > 5 else "")
        found.append(f"{len(unreached)} pairs were reached by no history ({named}): ask for more histories.")
    if poor:
        found.append(
            f"{poor} of {energy.size} pairs have a statistical uncertainty above {100 * POOR_STATISTICS:.0f} %: "
            "ask for more histories where they matter."
        )
    return found

"""Patients of a dataset as the networks see them, with the Monte Carlo dose they shall reach."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..__about__ import __version__
from ..errors import InputError
from ..images.activity import without_negative_activity
from ..images.geometry import SPACING_TOLERANCE_MM, require_same_grid
from ..images.resampling import resample_ct
from ..images.volume import QuantitativeVolume
from ..media import MediaMap, segment_media
from ..nuclides import Radionuclide
from ..progress import PartialProgress, Progress, report_progress
from ..units import Quantity
from ..voxel_dose.edges import edge_mask
from ..voxel_dose.sources import EmissionSource
from .bases import base_dose, base_settings
from .patient_maps import PatientMaps, patient_maps

if TYPE_CHECKING:
    from ..images.regions import LabelMap

Mask = NDArray[np.bool_]

WHOLE_BODY_REGIONS = ("remainder", "body")
"""Where a region has one of these names, the regions together are the patient's body."""


@dataclass(frozen=True, eq=False)
class DosePatient:
    """One patient with maps and label.

    Attributes
    ----------
    id, source
        Name in the dataset, and the patient it derives from.
    nuclide
        Its nuclide.
    maps
        What a network sees.
    label_kji
        Monte Carlo dose of the true activity in units of `maps.dose_scale_gy`, float32.
    edges_kji
        Voxels near lung and bone surfaces.
    regions
        Masks of the labelled regions.
    noise_kji
        Relative standard uncertainty of the label, None where it is not stated.
    """

    id: str
    source: str
    nuclide: str
    maps: PatientMaps
    label_kji: NDArray[np.float32]
    edges_kji: Mask
    regions: Mapping[str, Mask]
    noise_kji: NDArray[np.float32] | None = None

    @property
    def noise_gy(self) -> NDArray[np.float32] | None:
        """Standard uncertainty of the label [Gy], None where it is not stated."""
        return None if self.noise_kji is None else np.asarray(self.noise_kji * self.label_gy, dtype=np.float32)

    @property
    def body_kji(self) -> Mask:
        """Matter of the patient: couch and clothes are left out where regions fill the body."""
        if not any(name in self.regions for name in WHOLE_BODY_REGIONS):
            return self.maps.matter_kji
        return np.asarray(np.logical_or.reduce(list(self.regions.values())) & self.maps.matter_kji)

    @property
    def label_gy(self) -> NDArray[np.float32]:
        """The label [Gy]."""
        return np.asarray(self.label_kji * self.maps.dose_scale_gy, dtype=np.float32)

    def images(self) -> tuple[QuantitativeVolume, QuantitativeVolume]:
        """CT [HU] and time-integrated activity [Bq s/mL] again, from the maps."""
        grid, quantity = self.maps.geometry, Quantity.TIME_INTEGRATED_ACTIVITY_CONCENTRATION
        activity = self.maps.activity_kji.astype(np.float64) * self.maps.activity_scale_bq_s_per_ml
        ct = QuantitativeVolume(self.maps.hu_kji, grid, Quantity.CT_NUMBER)
        return ct, QuantitativeVolume(activity, grid, quantity)


@dataclass(frozen=True)
class BaseCache:
    """Base doses on disk, so that each is computed once.

    Attributes
    ----------
    folder
        Where they lie; None computes them anew.
    """

    folder: Path | None = None

    def get(self, key: str, names: Sequence[str]) -> dict[str, NDArray[np.float32]] | None:
        """The arrays kept under a key, None if they are not there or cannot be read."""
        if self.folder is None:
            return None
        try:
            with np.load(self.folder / f"{key}.npz", allow_pickle=False) as stored:
                return {name: stored[name] for name in names}
        except (OSError, KeyError, ValueError):
            return None

    def put(self, key: str, arrays: Mapping[str, NDArray[np.float32]]) -> None:
        """Keep arrays under a key; a reader never sees half a file."""
        if self.folder is None:
            return
        from ..images.atomic import write_atomically

        self.folder.mkdir(parents=True, exist_ok=True)
        contents: dict[str, Any] = dict(arrays)
        with write_atomically(self.folder / f"{key}.npz") as temporary, temporary.open("wb") as stream:
            np.savez(stream, **contents)


def dose_patient(
    name: str,
    source: str,
    nuclide: str,
    ct: QuantitativeVolume,
    tia: QuantitativeVolume,
    label: QuantitativeVolume,
    labels: LabelMap | None,
    base_method: str,
    *,
    with_photons: bool = False,
    noise: QuantitativeVolume | None = None,
    cache: BaseCache | None = None,
    progress: Progress | None = None,
) -> DosePatient:
    """A patient from its images.

    Parameters
    ----------
    name, source
        Of the patient, and of what it derives from.
    nuclide
        Its nuclide.
    ct
        CT numbers [HU], any grid that overlaps the activity.
    tia
        Time-integrated activity [Bq s/mL] the network is shown.
    label
        Monte Carlo dose [Gy] of the true activity, on the grid of `tia`.
    labels
        Regions, on that grid.
    base_method
        A name of `bases.BASE_METHODS`.
    with_photons
        Whether the photons' part of the base is wanted as well.
    noise
        Relative standard uncertainty of the label, on that grid.
    cache
        Where base doses are kept.
    progress
        Told the share of the work done.

    Raises
    ------
    InputError
        Grids or frames differ, activity is negative beyond noise, or there is no activity or no label.
    """
    cache = cache or BaseCache()
    require_same_grid(tia.geometry, label.geometry, f"Activity and dose of {name}:", "the dose")
    tia = without_negative_activity(tia)
    if not float(tia.array_kji.max()) > 0 or not float(label.array_kji.max()) > 0:
        raise InputError(f"{name} has no activity or no dose at all; leave it out of the data.")
    emitted = EmissionSource.from_nuclide(Radionuclide(nuclide))
    ct = resample_ct(ct, tia.geometry)
    media = segment_media(ct)
    tia = replace(tia, geometry=media.geometry)
    base, photon = _base_of(name, ct, tia, media, emitted, base_method, with_photons, cache, progress)
    maps = patient_maps(ct, media, tia, emitted, base, photon)
    regions: dict[str, Mask] = {}
    if labels is not None:
        require_same_grid(tia.geometry, labels.geometry, f"Activity and labels of {name}:", "the labels")
        regions = {one: labels.mask(one) for one in labels.names.values() if one not in labels.absent}
    return DosePatient(
        name, source, nuclide, maps, maps.normalised(label.array_kji), edge_mask(maps.density_kji, regions), regions,
        None if noise is None else np.asarray(noise.array_kji, dtype=np.float32),
    )  # fmt: skip


def common_spacing_mm(patients: Sequence[DosePatient]) -> tuple[float, float, float]:
    """The voxel size that all patients share [mm] (i, j, k).

    Raises
    ------
    InputError
        Two differ.
    """
    first = patients[0]
    for patient in patients[1:]:
        if not np.allclose(patient.maps.geometry.spacing_mm, first.maps.geometry.spacing_mm, atol=SPACING_TOLERANCE_MM):
            raise InputError(
                f"{patient.id} has voxels of {patient.maps.geometry.spacing_mm} mm, {first.id} of "
                f"{first.maps.geometry.spacing_mm} mm; a network is trained on one voxel size. Simulate them alike."
            )
    return first.maps.geometry.spacing_mm


def _base_of(
    name: str,
    ct: QuantitativeVolume,
    tia: QuantitativeVolume,
    media: MediaMap,
    emitted: EmissionSource,
    method: str,
    with_photons: bool,
    cache: BaseCache,
    progress: Progress | None,
) -> tuple[QuantitativeVolume, QuantitativeVolume | None]:
    """Base dose and its photons' part, from the cache if they are there."""
    key = f"{name}-{method}-{_identity(ct, tia, emitted, method)}"
    names = ("base", "photon") if with_photons else ("base",)
    found = cache.get(key, names)
    if found is None:
        report_progress(progress, 0.0, f"Base dose of {name}")
        half = PartialProgress(progress, 0.0, 0.6 if with_photons else 1.0)
        base = base_dose(method, tia, media, emitted, half)
        found = {"base": np.asarray(base.array_kji, dtype=np.float32)}
        if with_photons:
            found["photon"] = photon_part(method, tia, media, emitted, PartialProgress(progress, 0.6, 1.0))
        cache.put(key, found)
    photon = tia.with_array(found["photon"], Quantity.ABSORBED_DOSE) if with_photons else None
    return tia.with_array(found["base"], Quantity.ABSORBED_DOSE), photon


def photon_part(
    method: str, tia: QuantitativeVolume, media: MediaMap, emitted: EmissionSource, progress: Progress | None = None
) -> NDArray[np.float32]:
    """Base dose of the γ, X and annihilation photons alone [Gy], zero for a source that has none."""
    if not emitted.photon_spectra:
        return np.zeros(tia.geometry.shape_kji, dtype=np.float32)
    photons = replace(emitted, charged=(), local_energy_mev=0.0)
    return np.asarray(base_dose(method, tia, media, photons, progress).array_kji, dtype=np.float32)


def _identity(ct: QuantitativeVolume, tia: QuantitativeVolume, emitted: EmissionSource, method: str) -> str:
    """A hash of all that a base dose depends on."""
    digest = hashlib.sha256(json.dumps([base_settings(method), emitted.identity(), __version__]).encode())
    for volume in (ct, tia):
        grid = (volume.array_kji.dtype.str, volume.geometry.shape_kji, volume.geometry.spacing_mm)
        digest.update(repr(grid).encode())
        digest.update(np.ascontiguousarray(volume.array_kji).tobytes())
    return digest.hexdigest()[:16]

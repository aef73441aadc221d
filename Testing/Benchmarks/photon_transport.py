"""Photon histories per second and core, and the efficiency 1/(σ² t) of the two estimators, on the shared patient.

Run with `python Testing/Benchmarks/photon_transport.py [HISTORIES]`. Photons of Lu-177 start where the patient's
activity is. The efficiency of a region is the mean over its voxels of 1/σ² per core-second of each estimator; the two
run on the same source with as many histories.
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray
from reporting import SHARED_PATIENT, print_table, timed

from radiodosimetry.images import read_label_map, read_volume
from radiodosimetry.media import segment_media
from radiodosimetry.nuclides import Radionuclide
from radiodosimetry.transport.voxels import TransportResult, TransportSettings, VoxelScene, simulate_voxels
from radiodosimetry.units import Quantity

REGIONS = ("liver", "kidney_left", "kidney_right", "spleen")


def main() -> None:
    """Run both estimators and print speed and efficiency."""
    histories = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    scene, decays, masks = patient_scene()
    photons = Radionuclide("Lu-177").photon_spectrum()
    results, core_seconds, rows = {}, {}, []
    for estimator in ("track-length", "analog"):
        warm_up = TransportSettings(histories=2_000, estimator=estimator)
        simulate_voxels(scene, decays, [photons], warm_up)
        settings = TransportSettings(histories=histories, estimator=estimator)
        result, wall_s, cores_s = timed(lambda chosen=settings: simulate_voxels(scene, decays, [photons], chosen))
        results[estimator], core_seconds[estimator] = result, cores_s
        rows.append([estimator, f"{histories:,}", f"{wall_s:.1f}", f"{histories / wall_s:,.0f}",
                     f"{histories / cores_s:,.0f}", f"{cores_s / wall_s:.2f}"])
    print_table("Photon histories of Lu-177 in the patient",
                ["estimator", "histories", "seconds", "per second", "per core-second", "cores at work"], rows)
    print()
    efficiency = [
        [name, *(f"{value:.3g}" for value in efficiencies(results, core_seconds, masks[name]))] for name in REGIONS
    ]
    print_table("Efficiency 1/(σ² t) per voxel, σ relative, t in core-seconds",
                ["region", "track-length", "analog", "ratio"], efficiency)


def patient_scene() -> tuple[VoxelScene, NDArray[np.float64], dict[str, NDArray[np.bool_]]]:
    """The patient's voxels, activity as decays, and regions, on the grid of the activity."""
    activity = read_volume(SHARED_PATIENT / "patient15_activity_235MBq_Bqml.nii.gz",
                           Quantity.ACTIVITY_CONCENTRATION, "Bq/mL")
    ct = read_volume(SHARED_PATIENT / "patient15_ct_hu.nii.gz", Quantity.CT_NUMBER, "HU")
    labels = read_label_map(SHARED_PATIENT / "patient15_labels.nii.gz", SHARED_PATIENT / "labels.csv")
    media = segment_media(ct)
    scene = VoxelScene(media.density_kji, media.medium_index_kji, media.media, media.geometry.spacing_mm)
    return scene, np.maximum(activity.array_kji, 0.0), {name: labels.mask(name) for name in labels.names.values()}


def efficiencies(
    results: dict[str, TransportResult], core_seconds: dict[str, float], mask: NDArray[np.bool_]
) -> tuple[float, float, float]:
    """1/(σ² t) of each estimator with the mean σ² over the region's voxels, and their ratio."""
    dose = results["track-length"].energy_mev_kji[mask]
    values = [
        1.0 / (np.mean((results[name].standard_error_mev_kji[mask] / dose) ** 2) * core_seconds[name])
        for name in ("track-length", "analog")
    ]
    return values[0], values[1], values[0] / values[1]


if __name__ == "__main__":
    main()

"""Speed and peak memory of delayed PET on 128 slices of 128 × 128: the published network and the improved one.

    python Testing/Benchmarks/delayed_pet.py [--slices 128] [--threads 1]

The improved network is the shipped `cu64_antibody` without CT and regions; the published one, which is not shipped, has
random weights, which change neither time nor memory. float32 is the peer; bfloat16 is what could be faster, and is
sound if no voxel moves by more than a per cent of the largest. Every measurement runs in a process of its own, so that
its peak memory is its own; the best of three runs counts.
"""

from __future__ import annotations

import argparse
import multiprocessing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from reporting import peak_memory_mb, print_table, timed

if TYPE_CHECKING:
    from radiodosimetry.delayed_pet.network_files import DelayedPetNetwork
    from radiodosimetry.images.volume import QuantitativeVolume

SPACING_MM = 4.0
HALF_WIDTHS = (30.0, 48.0)
ORGANS = (((20.0, -24.0, 2.0), 12.0, 4.0), ((10.0, 26.0, 6.0), 7.0, 5.0), ((-30.0, 0.0, -4.0), 8.0, 12.0))
"""Middle from that of the volume and radius [voxels], and activity over that of the body."""


def measure(network: str, precision: str, slices: int, threads: int, queue: Any) -> None:
    """Seconds, core-seconds, peak memory [MB] and the volume of one network."""
    import torch

    from radiodosimetry.delayed_pet.inference import synthesize
    from radiodosimetry.delayed_pet.network_files import load_network
    from radiodosimetry.delayed_pet.shipped import model_named

    torch.set_num_threads(threads)
    loaded = load_network(model_named("cu64_antibody")) if network == "ratio-3d" else _published()
    early, best = _scan(slices), None
    for _ in range(3):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bfloat16"):
            made, wall, cores = timed(lambda: synthesize(loaded, early, 3600.0, [86400.0], "Cu-64"))
        if best is None or wall < best[1]:
            best = np.asarray(made.volumes[0].array_kji), wall, cores
    if best is not None:
        queue.put((best[1], best[2], peak_memory_mb(), best[0][::2, ::2, ::2]))


def _published() -> DelayedPetNetwork:
    """The published network at its size."""
    import torch

    from radiodosimetry.delayed_pet.network_files import Declared, DelayedPetNetwork, build_network
    from radiodosimetry.learning.model_files import ModelCard

    torch.manual_seed(1)
    architecture: dict[str, Any] = {"network": "pix2pix", "in_channels": 1, "features": 64, "blocks": 6, "members": 1}
    declared = Declared(
        ("Cu-64",), "any", (3600.0, 3600.0), ((86400.0, 86400.0),), (1.0, 9.0), (1.0, 1.0, 1.0), 1e9, False
    )
    preprocessing = {"normalisation": "decay", "target_hours": [24.0], "neighbours": 0}
    card = ModelCard("delayed-pet", architecture=architecture, preprocessing=preprocessing)
    return DelayedPetNetwork(card, declared, (build_network(architecture).eval(),), Path("random weights"), None)


def _scan(slices: int) -> QuantitativeVolume:
    """A body with three warm organs and the noise of a scan."""
    from scipy import ndimage

    from radiodosimetry.images.geometry import VolumeGeometry
    from radiodosimetry.images.volume import QuantitativeVolume
    from radiodosimetry.units import Quantity

    k, j, i = np.ogrid[:slices, :128, :128]
    k, j, i = k - slices / 2, j - 64.0, i - 64.0
    body = (j / HALF_WIDTHS[0]) ** 2 + (i / HALF_WIDTHS[1]) ** 2 + 0 * k < 1
    activity = np.where(body, 3e3, 0.0)
    for (z, x, y), radius, uptake in ORGANS:
        activity[(k - z) ** 2 + (j - y) ** 2 + (i - x) ** 2 < radius**2] = uptake * 3e3
    noise = ndimage.gaussian_filter(np.random.default_rng(1).normal(0.0, 1.0, activity.shape), 0.8)
    scan = ndimage.gaussian_filter(activity, 0.8) * np.exp(0.3 * noise / noise.std())
    return QuantitativeVolume(
        scan.astype(np.float32), VolumeGeometry(scan.shape, (SPACING_MM,) * 3), Quantity.ACTIVITY_CONCENTRATION
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--slices", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    rows, context = [], multiprocessing.get_context("spawn")
    for network in ("ratio-3d", "pix2pix"):
        reference = None
        for precision in ("float32", "bfloat16"):
            queue = context.Queue()
            process = context.Process(
                target=measure, args=(network, precision, options.slices, options.threads, queue)
            )
            process.start()
            wall, cores, memory, volume = queue.get(timeout=600)
            process.join()
            reference = volume if reference is None else reference
            difference = float(np.abs(volume - reference).max() / reference.max())
            rows.append(
                [f"{network} {precision}", f"{wall:.1f}", f"{cores:.1f}", f"{memory:.0f}", f"{100 * difference:.2f}"]
            )
    columns = ("network", "s / volume", "core-s", "peak MB", "largest difference [%]")
    print_table(f"Delayed PET, {options.slices} slices of 128 x 128, {options.threads} threads", columns, rows)


if __name__ == "__main__":
    main()

"""Speed and peak memory of delayed PET on 128 slices of 128 × 128: the published network and the improved one.

    python Testing/Benchmarks/delayed_pet.py [--slices 128] [--threads 1]

Weights are random: they change neither time nor memory. float32 is the peer; bfloat16 is what could be faster, and is
sound if no voxel moves by more than a per cent of the largest. Every measurement runs in a process of its own, so that
its peak memory is its own; the best of three runs counts.
"""

from __future__ import annotations

import argparse
import multiprocessing
from pathlib import Path
from typing import Any

import numpy as np
from reporting import peak_memory_mb, print_table, timed

SPACING_MM = 4.0
TISSUES = 22


def measure(network: str, precision: str, slices: int, threads: int, queue: Any) -> None:
    """Seconds, core-seconds, peak memory [MB] and the volume of one network."""
    import torch

    from radiodosimetry.delayed_pet.inference import synthesize
    from radiodosimetry.delayed_pet.network_files import Declared, DelayedPetNetwork, build_network
    from radiodosimetry.delayed_pet.tissue_kinetics import COMPONENTS, GIVEN, OWN, Lines, TissueKinetics
    from radiodosimetry.images.geometry import VolumeGeometry
    from radiodosimetry.images.volume import QuantitativeVolume
    from radiodosimetry.learning.model_files import ModelCard
    from radiodosimetry.units import Quantity

    torch.set_num_threads(threads)
    torch.manual_seed(1)
    architecture: dict[str, Any] = {"network": network, "in_channels": 1, "features": 64, "blocks": 6, "members": 1}
    if network == "ratio-3d":
        architecture |= {"in_channels": 4, "features": 16, "levels": 3, "patch": 2, "tissues": TISSUES}
    declared = Declared(
        ("Cu-64",), "any", (3600.0, 3600.0), ((86400.0, 86400.0),), (1.0, 9.0), (1.0, 1.0, 1.0), 1e9, False
    )
    preprocessing = {"normalisation": "decay", "target_hours": [24.0], "neighbours": 0}
    preprocessing |= {"grid_mm": 4.0, "response": {"resolution_mm": 7.0}}
    card = ModelCard("delayed-pet", architecture=architecture, preprocessing=preprocessing)
    zero = np.zeros((1, TISSUES))
    lines = Lines(zero[0], zero, zero, zero, np.full((1, COMPONENTS), 1 / COMPONENTS))
    kinetics = TissueKinetics(tuple(f"tissue {number}" for number in range(TISSUES)), 0.0, {OWN: lines, GIVEN: lines})
    members = (build_network(architecture).eval(),)
    loaded = DelayedPetNetwork(card, declared, members, Path("random weights"), kinetics)
    geometry = VolumeGeometry((slices, 128, 128), (SPACING_MM,) * 3)
    k, j, i = np.ogrid[:slices, :128, :128]
    body = (j - 64.0) ** 2 / 30**2 + (i - 64.0) ** 2 / 48**2 + 0 * k < 1
    early = QuantitativeVolume(np.where(body, 5e3, 0.0).astype(np.float32), geometry, Quantity.ACTIVITY_CONCENTRATION)
    best = None
    for _ in range(3):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bfloat16"):
            made, wall, cores = timed(lambda: synthesize(loaded, early, 3600.0, [86400.0], "Cu-64"))
        if best is None or wall < best[1]:
            best = np.asarray(made.volumes[0].array_kji), wall, cores
    if best is not None:
        queue.put((best[1], best[2], peak_memory_mb(), best[0][::4, ::4, ::4]))


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

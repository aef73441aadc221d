"""Speed and memory of the learned dose methods on this machine.

    python Testing/Benchmarks/learned_dose.py [--threads N] [--grid 128x128x128] [--training] [--organ-percent P]

Prints, one line each: the multiplications of every layer of the published DblurDoseNet and of the U-Net for one grid,
computed from their shapes as the papers print them; the seconds and the peak memory of both networks on the grid (base
dose aside), each in a process of its own; what Monte Carlo takes for organ means as sure as P %; with `--training` also
the seconds of a training step. Weights are untrained: they do not change the time.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from reporting import machine

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from radiodosimetry.images.geometry import VolumeGeometry
from radiodosimetry.learned_dose.architectures import DblurArchitecture, UNetArchitecture
from radiodosimetry.learned_dose.patient_maps import PatientMaps

LI_2022_MINUTES, LI_2022_GRID = 20.0, (130, 512, 512)
"""DblurDoseNet on an i9 at 2.3 GHz, Li et al. 2022, without the base dose."""

KIM_2022_SECONDS = 3.0
"""U-Net with its base dose on a graphics card, 128³ voxels, Kim et al. 2022."""

SPACING_MM = (4.0, 4.0, 4.0)

UNETS = {
    "unet, published": UNetArchitecture(),
    "unet, kernel head": UNetArchitecture(("density",), levels=3, head="kernel"),
}


def body(shape: tuple[int, int, int]) -> PatientMaps:
    """An elliptic cylinder of water with activity everywhere, filling nine tenths of the rows and columns."""
    rng = np.random.default_rng(1)
    rows, columns = (np.linspace(-1, 1, count) / 0.9 for count in shape[1:])
    inside = np.broadcast_to(rows[:, None] ** 2 + columns**2 < 1, shape)
    density = np.where(inside, 1.0, 0.0012).astype(np.float32)
    activity = np.where(inside, rng.random(shape, dtype=np.float32), 0).astype(np.float32)
    hu = np.where(inside, 0.0, -1000.0).astype(np.float32)
    return PatientMaps(hu, density, activity, activity, None, 1.0, 1.0, 150.0, VolumeGeometry(shape, SPACING_MM))


def seconds_of_network(name: str, shape: tuple[int, int, int], threads: int) -> float:
    """Of an untrained network on the body: sliding windows of a U-Net, slice by slice of DblurDoseNet."""
    import torch

    from radiodosimetry.learned_dose.dose_model import build_network, predict_normalised

    torch.set_num_threads(threads)
    if name == "dblurdosenet":
        network = build_network("dblurdosenet", DblurArchitecture().as_dict()).eval()
    else:
        network = build_network("residual-unet-3d", UNETS[name].as_dict()).eval()
    maps = body(shape)
    start = time.perf_counter()
    predict_normalised(network, maps)
    return time.perf_counter() - start


def layers_of_dblur() -> list[tuple[str, int, float]]:
    """Name, parameters and multiplications per voxel of each convolution of the published DblurDoseNet."""
    import torch

    from radiodosimetry.learned_dose.dblurdosenet import DblurDoseNet

    edge = 64
    with torch.device("meta"):
        inputs, base = torch.empty(1, 2, 11, edge, edge), torch.empty(1, 1, edge, edge)
    return _layers(DblurDoseNet().to("meta"), (inputs, base), edge**2)


def layers_of_unet(architecture: UNetArchitecture) -> list[tuple[str, int, float]]:
    """Name, parameters and multiplications per voxel of each convolution of a U-Net."""
    import torch

    from radiodosimetry.learned_dose.residual_unet import ResidualUNet3D

    edge = 16
    with torch.device("meta"):
        inputs = torch.empty(1, len(architecture.inputs), edge, edge, edge)
        carried = [torch.empty(1, 1, edge, edge, edge) for _ in range(3)]
    return _layers(ResidualUNet3D(architecture).to("meta"), (inputs, *carried), edge**3)


def _layers(network: object, arguments: tuple[object, ...], voxels: int) -> list[tuple[str, int, float]]:
    """Each convolution's weights and multiplications per output voxel of the network, from shapes alone."""
    import torch

    assert isinstance(network, torch.nn.Module)
    found: list[tuple[str, int, float]] = []

    def hook(name: str) -> Callable[..., None]:
        def measure(module: torch.nn.Module, _: object, output: torch.Tensor) -> None:
            weight = module.weight
            assert isinstance(weight, torch.Tensor)
            positions = output[0, 0].numel()
            parameters = sum(one.numel() for one in module.parameters())
            found.append((name, parameters, positions * weight.numel() / voxels))

        return measure

    for name, module in network.named_modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Conv3d):
            module.register_forward_hook(hook(name))
    network.eval()(*arguments)
    return found


def monte_carlo_seconds(percent: float) -> tuple[float, float]:
    """Seconds and histories until Monte Carlo knows every organ mean of the synthetic torso to so many percent."""
    from radiodosimetry.media import segment_media
    from radiodosimetry.nuclides import Radionuclide
    from radiodosimetry.transport.voxels import TransportSettings
    from radiodosimetry.units import Quantity
    from radiodosimetry.virtual_patients import torso_patient
    from radiodosimetry.voxel_dose.monte_carlo import monte_carlo_dose
    from radiodosimetry.voxel_dose.sources import EmissionSource

    patient = torso_patient()
    activity = patient.activity.array_kji.astype(np.float64) * 1e6
    tia = patient.activity.with_array(activity, Quantity.TIME_INTEGRATED_ACTIVITY_CONCENTRATION)
    media = segment_media(patient.ct, None, None)
    labels = patient.labels
    masks = {name: labels.mask(name) for name in labels.names.values() if name not in labels.absent}
    source = EmissionSource.from_nuclide(Radionuclide("Lu-177"))
    settings = TransportSettings(histories=1_000_000)
    monte_carlo_dose(tia, media, source, TransportSettings(histories=20_000))  # compiles
    start = time.perf_counter()
    found = monte_carlo_dose(tia, media, source, settings, masks)
    seconds = time.perf_counter() - start
    factor = (max(found.region_uncertainty.values()) / (percent / 100)) ** 2
    return seconds * factor, settings.histories * factor


def training_step(kind: str, edge: int, batch: int, threads: int) -> float:
    """Seconds of forward, backward and Adam on random input, the better of two."""
    import torch

    from radiodosimetry.learned_dose.dblurdosenet import DblurDoseNet
    from radiodosimetry.learned_dose.residual_unet import ResidualUNet3D

    torch.set_num_threads(threads)
    if kind == "dblurdosenet":
        network: torch.nn.Module = DblurDoseNet()
        arguments = [torch.rand(batch, 2, 11, edge, edge), torch.rand(batch, 1, edge, edge)]
    else:
        network = ResidualUNet3D(UNETS[kind])
        channels = len(UNETS[kind].inputs)
        arguments = [torch.rand(batch, channels, edge, edge, edge)] + [torch.rand(batch, 1, edge, edge, edge)] * 3
    optimiser = torch.optim.Adam(network.parameters())
    best = np.inf
    for _ in range(3):
        start = time.perf_counter()
        optimiser.zero_grad()
        network(*arguments).square().mean().backward()
        optimiser.step()
        best = min(best, time.perf_counter() - start)
    return best


def _alone(function: Callable[..., object], *arguments: object) -> tuple[object, float]:
    """A call in a process of its own, and that process's peak memory [GB]."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_report, args=(queue, function, arguments))
    process.start()
    result: tuple[object, float] = queue.get()
    process.join()
    return result


def _report(
    queue: multiprocessing.Queue[object], function: Callable[..., object], arguments: tuple[object, ...]
) -> None:
    value = function(*arguments)
    queue.put((value, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2))


def _print_layers(shape: tuple[int, int, int], grid: str) -> None:
    """Multiplications of every layer, and the rate that Li 2022 had."""
    layers = {"dblurdosenet, published": layers_of_dblur()}
    layers |= {name: layers_of_unet(architecture) for name, architecture in UNETS.items()}
    for name, rows in layers.items():
        for layer, parameters, per_voxel in rows:
            print(f"{name:24} {layer:16} {parameters:8d} parameters {per_voxel:10.0f} multiplications per voxel")
        total = sum(one[2] for one in rows)
        print(f"{name:24} sum {total:.0f} per voxel, {total * np.prod(shape) * 1e-12:.2f} T on {grid}")
    published = sum(one[2] for one in layers["dblurdosenet, published"]) * np.prod(LI_2022_GRID)
    rate = published / (60 * LI_2022_MINUTES)
    print(f"Li 2022: {published * 1e-12:.1f} T multiplications in {LI_2022_MINUTES:g} min are {rate * 1e-9:.1f} G/s")


def main() -> None:
    """Print everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--grid", default="128x128x128", help="columns x rows x slices, such as 512x512x130")
    parser.add_argument("--organ-percent", type=float, default=1.0)
    parser.add_argument("--training", action="store_true")
    parser.add_argument("--only", choices=("layers", "inference", "monte-carlo"), default=None)
    arguments = parser.parse_args()
    columns, rows, slices = (int(count) for count in arguments.grid.split("x"))
    shape = (slices, rows, columns)
    print(machine(), f"{arguments.threads} thread(s)")
    if arguments.only in (None, "layers"):
        _print_layers(shape, arguments.grid)
    if arguments.only in (None, "inference"):
        for name in (*UNETS, "dblurdosenet"):
            seconds, memory = _alone(seconds_of_network, name, shape, arguments.threads)
            print(f"{name:24} {arguments.grid}: {seconds:.1f} s, peak {memory:.2f} GB")
        print(f"Kim 2022, graphics card, with its base: {KIM_2022_SECONDS:g} s")
    if arguments.only in (None, "monte-carlo"):
        seconds, histories = monte_carlo_seconds(arguments.organ_percent)
        what = f"every organ of the torso within {arguments.organ_percent:g} %"
        print(f"Monte Carlo, {what}: {seconds:.0f} s, {histories:.2g} histories")
    if arguments.training:
        for kind, edge, batch in (
            ("unet, published", 48, 1), ("unet, published", 48, 2), ("unet, published", 64, 1),
            ("unet, published", 64, 4),
            ("unet, kernel head", 48, 2), ("dblurdosenet", 128, 4), ("dblurdosenet", 64, 16),
        ):  # fmt: skip
            seconds = training_step(kind, edge, batch, arguments.threads)
            print(f"training step, {kind:20} edge {edge:3d} batch {batch:2d}: {seconds:.2f} s")


if __name__ == "__main__":
    main()

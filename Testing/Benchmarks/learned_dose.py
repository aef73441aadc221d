"""Speed and memory of the learned dose methods on this machine, against Monte Carlo and the published implementations.

    python Testing/Benchmarks/learned_dose.py [--grid 128x128x128] [--threads N] [--only PART] [--model FILE]

Prints, one line each, for a torso of simple shapes on a grid of 500 × 500 × 390 mm with Lu-177:

layers        the multiplications of every layer of the published networks and of those of `Resources/Docs/training`,
              from their shapes as the papers print them, and the rate at which Li 2022 went through theirs
inference     seconds (and core-seconds, which a busy machine changes less) and peak memory of the base dose and of each
              network behind it, each in a process of its own, with the rate of its multiplications
monte-carlo   what Monte Carlo takes on the same grid until every organ mean is as sure as `--organ-percent`; give the
              error of the networks' organ means there (their tables' mean absolute error)
training      seconds of a training step (only when asked for)

Untrained weights take the time of trained ones; `--model` times a model file too. The grid of Li 2022,
`--grid 512x512x130`, wants an idle machine, 8 GB and half an hour on one core.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from reporting import machine, timed

from radiodosimetry.images.geometry import VolumeGeometry
from radiodosimetry.images.volume import QuantitativeVolume
from radiodosimetry.learned_dose.architectures import DblurArchitecture, UNetArchitecture
from radiodosimetry.learned_dose.training_config import DblurTrainingConfig, UNetTrainingConfig
from radiodosimetry.learning.configuration import read_config
from radiodosimetry.units import Quantity

LI_2022_MINUTES, LI_2022_GRID = 20.0, (130, 512, 512)
"""DblurDoseNet on an i9 at 2.3 GHz, Li et al. 2022, without the base dose."""

LI_2022_DVK_SECONDS, LI_2022_DPM_MINUTES = 20.0, 60.0
"""Its base dose, and 10⁹ histories of DPM, on the same processor."""

KIM_2022_SECONDS, KIM_2022_BASE_SECONDS = 3.0, 2.0
"""U-Net with its base dose, and that alone, on a graphics card, 128³ voxels, Kim et al. 2022."""

Times = tuple[float, float]
"""Seconds, and seconds of all cores together."""

FIELD_MM = (500.0, 500.0, 390.0)
NUCLIDE = "Lu-177"
DOCS = Path(__file__).resolve().parents[2] / "Resources" / "Docs" / "training"
PUBLISHED_UNET, PUBLISHED_DBLUR = "unet, published", "dblurdosenet, published"

MONTE_CARLO_HISTORIES = 2_000_000
"""From which the histories for a given accuracy are extrapolated."""


def architectures() -> dict[str, UNetArchitecture | DblurArchitecture]:
    """The published networks, and those of the configurations that are trained here."""
    return {
        PUBLISHED_UNET: UNetArchitecture(),
        "unet, unet_cpu.toml": read_config(DOCS / "unet_cpu.toml", UNetTrainingConfig).network,
        PUBLISHED_DBLUR: DblurArchitecture(),
        "dblurdosenet, dblurdosenet_cpu.toml": read_config(DOCS / "dblurdosenet_cpu.toml", DblurTrainingConfig).network,
    }


def torso(
    shape: tuple[int, int, int],
) -> tuple[QuantitativeVolume, QuantitativeVolume, dict[str, NDArray[np.bool_]]]:
    """CT, time-integrated activity and organs of an elliptic cylinder with lungs and five hotter organs."""
    spacing = tuple(length / count for length, count in zip(FIELD_MM, shape[::-1], strict=True))
    grid = VolumeGeometry(shape, (spacing[0], spacing[1], spacing[2]))
    z, y, x = (
        np.float32(step) * (np.arange(count, dtype=np.float32) - (count - 1) / 2)
        for step, count in zip(spacing[::-1], shape, strict=True)
    )
    z, y, x = z[:, None, None], y[None, :, None], x[None, None, :]

    def ellipsoid(middle: tuple[float, float, float], radii: tuple[float, float, float]) -> NDArray[np.bool_]:
        parts = [((axis - at) / radius) ** 2 for axis, at, radius in zip((x, y, z), middle, radii, strict=True)]
        return np.asarray(parts[0] + parts[1] + parts[2] < 1)

    body = np.broadcast_to((x / 180) ** 2 + (y / 120) ** 2 < 1, shape)
    organs = {
        "left_lung": ellipsoid((90, 0, 100), (55, 80, 85)),
        "right_lung": ellipsoid((-90, 0, 100), (55, 80, 85)),
        "liver": ellipsoid((-70, -10, -40), (85, 75, 65)),
        "spleen": ellipsoid((115, 40, -30), (30, 25, 45)),
        "left_kidney": ellipsoid((70, 60, -100), (25, 22, 50)),
        "right_kidney": ellipsoid((-70, 60, -120), (25, 22, 50)),
        "lesion": ellipsoid((-40, -40, -40), (15, 15, 15)),
    }
    hu = np.where(body, 40, -1000).astype(np.int16)
    hu[organs["left_lung"] | organs["right_lung"]] = -750
    activity = np.where(body, 1.0, 0.0).astype(np.float32)
    for name, level in (
        ("liver", 10.0),
        ("spleen", 30.0),
        ("left_kidney", 25.0),
        ("right_kidney", 25.0),
        ("lesion", 80.0),
    ):
        activity[organs[name]] = level
    ct = QuantitativeVolume(hu, grid, Quantity.CT_NUMBER)
    tia = QuantitativeVolume(activity * np.float32(1e8), grid, Quantity.TIME_INTEGRATED_ACTIVITY_CONCENTRATION)
    return ct, tia, organs


def seconds_of_base(method: str, shape: tuple[int, int, int]) -> Times:
    """Of a base dose of the torso, kernels from their tables included."""
    from radiodosimetry.learned_dose.bases import base_dose
    from radiodosimetry.media import segment_media
    from radiodosimetry.nuclides import Radionuclide
    from radiodosimetry.voxel_dose.sources import EmissionSource

    ct, tia, _ = torso(shape)
    media = segment_media(ct)
    source = EmissionSource.from_nuclide(Radionuclide(NUCLIDE))
    return timed(lambda: base_dose(method, tia, media, source))[1:]


def seconds_of_network(name: str, shape: tuple[int, int, int], threads: int, model: Path | None) -> Times:
    """Of a network behind its base dose: sliding windows of a U-Net, slice by slice of DblurDoseNet."""
    import torch

    from radiodosimetry.learned_dose.dose_model import build_network, load_dose_model, predict_normalised
    from radiodosimetry.learned_dose.patient_maps import PatientMaps

    torch.set_num_threads(threads)
    ct, tia, _ = torso(shape)
    density = np.where(ct.array_kji > -900, 1.0 + ct.array_kji / np.float32(1000), 0.0012).astype(np.float32)
    activity = np.asarray(tia.array_kji / np.float32(1e9), dtype=np.float32)
    hu = ct.array_kji.astype(np.float32)
    maps = PatientMaps(hu, density, activity, activity, activity * np.float32(0.1), 1.0, 1.0, 150.0, ct.geometry)
    if model is not None:
        networks = load_dose_model(model).networks
    else:
        architecture = architectures()[name]
        kind = "dblurdosenet" if isinstance(architecture, DblurArchitecture) else "residual-unet-3d"
        networks = (build_network(kind, architecture.as_dict()).eval(),)
    return timed(lambda: [predict_normalised(network, maps) for network in networks])[1:]


def layers_of(architecture: UNetArchitecture | DblurArchitecture) -> list[tuple[str, int, float]]:
    """Name, parameters and multiplications per voxel of each convolution of a network."""
    import torch

    from radiodosimetry.learned_dose.dblurdosenet import DblurDoseNet
    from radiodosimetry.learned_dose.residual_unet import ResidualUNet3D

    channels = len(architecture.inputs)
    if isinstance(architecture, DblurArchitecture):
        with torch.device("meta"):
            arguments = [torch.empty(1, channels, 11, 64, 64), torch.empty(1, 1, 64, 64)]
        return _layers(DblurDoseNet(architecture).to("meta"), arguments, 64**2)
    with torch.device("meta"):
        arguments = [torch.empty(1, channels, 16, 16, 16), *(torch.empty(1, 1, 16, 16, 16) for _ in range(_carried()))]
    return _layers(ResidualUNet3D(architecture).to("meta"), arguments, 16**3)


def _carried() -> int:
    """Maps that the head of a U-Net takes besides the channels."""
    import inspect

    from radiodosimetry.learned_dose.residual_unet import ResidualUNet3D

    return len(inspect.signature(ResidualUNet3D.forward).parameters) - 2


def _layers(network: object, arguments: list[object], voxels: int) -> list[tuple[str, int, float]]:
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


def monte_carlo_seconds(shape: tuple[int, int, int], percent: float, threads: int) -> tuple[float, float, str]:
    """Core-seconds and histories until Monte Carlo knows organ means to so many percent, and the last organ."""
    from radiodosimetry.media import segment_media
    from radiodosimetry.nuclides import Radionuclide
    from radiodosimetry.transport.voxels import TransportSettings
    from radiodosimetry.voxel_dose.monte_carlo import monte_carlo_dose
    from radiodosimetry.voxel_dose.sources import EmissionSource

    ct, tia, organs = torso(shape)
    media = segment_media(ct, None, None)
    source = EmissionSource.from_nuclide(Radionuclide(NUCLIDE))
    monte_carlo_dose(tia, media, source, TransportSettings(histories=20_000, thread_count=threads))  # compiles
    settings = TransportSettings(histories=MONTE_CARLO_HISTORIES, thread_count=threads)
    found, _, seconds = timed(lambda: monte_carlo_dose(tia, media, source, settings, organs))
    worst = max(found.region_uncertainty, key=lambda name: found.region_uncertainty[name])
    factor = (found.region_uncertainty[worst] / (percent / 100)) ** 2
    return seconds * factor, settings.histories * factor, worst


def training_step(architecture: UNetArchitecture | DblurArchitecture, edge: int, batch: int, threads: int) -> float:
    """Seconds of forward, backward and Adam on random input, the best of three."""
    import torch

    from radiodosimetry.learned_dose.dblurdosenet import DblurDoseNet
    from radiodosimetry.learned_dose.residual_unet import ResidualUNet3D

    torch.set_num_threads(threads)
    channels = len(architecture.inputs)
    if isinstance(architecture, DblurArchitecture):
        network: torch.nn.Module = DblurDoseNet(architecture)
        arguments = [torch.rand(batch, channels, 11, edge, edge), torch.rand(batch, 1, edge, edge)]
    else:
        network = ResidualUNet3D(architecture)
        arguments = [torch.rand(batch, channels, edge, edge, edge)]
        arguments += [torch.rand(batch, 1, edge, edge, edge) for _ in range(_carried())]
    optimiser = torch.optim.Adam(network.parameters())
    best = np.inf
    for _ in range(3):
        start = time.perf_counter()
        optimiser.zero_grad()
        network(*arguments).square().mean().backward()
        optimiser.step()
        best = min(best, time.perf_counter() - start)
    return best


def _alone(function: Callable[..., object], *arguments: object) -> tuple[Any, float]:
    """A call in a process of its own, and that process's peak memory [GB]."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_report, args=(queue, function, arguments))
    process.start()
    result: tuple[Any, float] = queue.get()
    process.join()
    return result


def _report(
    queue: multiprocessing.Queue[object], function: Callable[..., object], arguments: tuple[object, ...]
) -> None:
    value = function(*arguments)
    queue.put((value, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2))


def _print_layers(shape: tuple[int, int, int], grid: str) -> dict[str, float]:
    """Multiplications of every layer; those of each network per voxel."""
    sums = {}
    for name, architecture in architectures().items():
        rows = layers_of(architecture)
        for layer, parameters, per_voxel in rows:
            print(f"{name:36} {layer:24} {parameters:8d} parameters {per_voxel:10.0f} multiplications per voxel")
        sums[name] = sum(one[2] for one in rows)
        print(f"{name:36} sum {sums[name]:.0f} per voxel, {sums[name] * np.prod(shape) * 1e-12:.2f} T on {grid}")
    published = sums[PUBLISHED_DBLUR] * np.prod(LI_2022_GRID)
    rate = published / (60 * LI_2022_MINUTES)
    print(f"Li 2022: {published * 1e-12:.1f} T multiplications in {LI_2022_MINUTES:g} min are {rate * 1e-9:.1f} G/s")
    return sums


def _print_inference(shape: tuple[int, int, int], grid: str, threads: int, models: list[Path]) -> None:
    """Seconds, memory and rates of bases and networks."""
    for method in ("multiple-vsv", "density-scaled"):
        print(f"{method:36} {grid}: {_words(_alone(seconds_of_base, method, shape))}")
    print(
        f"Kim 2022, multiple VSV on a graphics card, 128³: {KIM_2022_BASE_SECONDS:g} s; with the U-Net "
        f"{KIM_2022_SECONDS:g} s. Li 2022, 512 × 512 × 130: DVK {LI_2022_DVK_SECONDS:g} s"
    )
    matter = float(np.mean(torso(shape)[0].array_kji > -900))
    for name, architecture in architectures().items():
        found = _alone(seconds_of_network, name, shape, threads, None)
        rate = sum(one[2] for one in layers_of(architecture)) * np.prod(shape) / found[0][1]
        print(
            f"{name:36} {grid}: {_words(found)}; {rate * 1e-9:.1f} G multiplications per core-second of the whole grid "
            f"({100 * matter:.0f} % of it is matter)"
        )
    for path in models:
        print(f"{path.stem:36} {grid}: {_words(_alone(seconds_of_network, path.stem, shape, threads, path))}")


def _words(found: tuple[Any, float]) -> str:
    """Times and memory of a process."""
    (seconds, core_seconds), memory = found
    return f"{seconds:.1f} s, {core_seconds:.1f} core-seconds, peak {memory:.2f} GB"


def main() -> None:
    """Print everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--grid", default="128x128x128", help="columns x rows x slices, such as 512x512x130")
    parser.add_argument("--organ-percent", type=float, default=1.0)
    parser.add_argument("--model", type=Path, action="append", default=[], help="a model file to time as well")
    parser.add_argument("--only", choices=("layers", "inference", "monte-carlo", "training"), default=None)
    arguments = parser.parse_args()
    columns, rows, slices = (int(count) for count in arguments.grid.split("x"))
    shape = (slices, rows, columns)
    print(machine(), f"{arguments.threads} thread(s)")
    if arguments.only in (None, "layers"):
        _print_layers(shape, arguments.grid)
    if arguments.only in (None, "inference"):
        _print_inference(shape, arguments.grid, arguments.threads, arguments.model)
    if arguments.only in (None, "monte-carlo"):
        found, memory = _alone(monte_carlo_seconds, shape, arguments.organ_percent, arguments.threads)
        seconds, histories, worst = found
        what = f"every organ within {arguments.organ_percent:g} % ({worst} last)"
        print(
            f"Monte Carlo {arguments.grid}, {what}: {seconds:.1f} core-seconds, {histories:.2g} histories, peak "
            f"{memory:.2f} GB; Li 2022: 10⁹ histories of DPM in {LI_2022_DPM_MINUTES:g} min"
        )
    if arguments.only == "training":
        for name, edge, batch in (
            (PUBLISHED_UNET, 64, 1), ("unet, unet_cpu.toml", 40, 2), (PUBLISHED_DBLUR, 128, 4),
            ("dblurdosenet, dblurdosenet_cpu.toml", 64, 8),
        ):  # fmt: skip
            seconds = training_step(architectures()[name], edge, batch, arguments.threads)
            print(f"training step, {name:36} edge {edge:3d} batch {batch:2d}: {seconds:.2f} s")


if __name__ == "__main__":
    sys.exit(main())

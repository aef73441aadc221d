"""`radiodosimetry kernel`: the dose kernel around a voxel for a nuclide or a mono-energetic particle."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..images.atomic import OutputTransaction, full_suffix, refuse_overwriting
from ..images.sidecar import sidecar_path
from ..images.writers import WRITABLE_SUFFIXES, write_volume
from ..media import Material, named_material
from ..nuclides import ParticleSpectrum, Radionuclide
from ..provenance import file_identity
from ..voxel_dose.kernels import DoseKernel, voxel_kernel
from ..voxel_dose.radial_energy import SECONDARIES
from ..voxel_dose.sources import EMISSION_CHOICES, EmissionSource
from .common import EXIT_OK, existing_file, positive_count, positive_number, print_json, seed_number, terminal_progress

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_LOG = logging.getLogger(__name__)

LARGEST_ARRAY_VOXELS = 512**3
"""Largest kernel the command makes (1 GB in memory)."""


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand to the command line."""
    parser = subparsers.add_parser(
        "kernel",
        help="dose kernel around a voxel for a nuclide or a mono-energetic particle",
        description="Absorbed dose per decay, Gy/(Bq s), or per particle, Gy, around a uniform source voxel in a "
        "homogeneous medium. The source's centre lies at (0, 0, 0) mm.",
    )
    source = parser.add_argument_group("source, one of three")
    which = source.add_mutually_exclusive_group()
    which.add_argument("--nuclide", metavar="N", help="radionuclide, such as Lu-177")
    which.add_argument("--particle", choices=("electron", "photon"), help="one particle of --energy-kev")
    source.add_argument("--energy-kev", type=positive_number, metavar="E")
    source.add_argument(
        "--spectrum", type=existing_file, metavar="FILE",
        help="columns particle,energy_kev,yield per decay; alone, or instead of the nuclide's own lines",
    )  # fmt: skip
    source.add_argument("--emissions", choices=EMISSION_CHOICES, default="all", help="default: %(default)s")
    medium = parser.add_argument_group("medium")
    medium.add_argument(
        "--medium", required=True, metavar="NAME", help="water, lung, bone, soft-tissue or a tissue of the CT"
    )
    medium.add_argument("--density-g-per-cm3", type=positive_number, metavar="D", help="instead of the medium's own")
    array = parser.add_argument_group("array")
    array.add_argument("--spacing-mm", required=True, nargs=3, type=positive_number, metavar=("X", "Y", "Z"))
    array.add_argument(
        "--half-width", required=True, type=_half_width, metavar="N", help="voxels beside the source: 2N+1 per axis"
    )
    array.add_argument("--output", required=True, type=Path, metavar="FILE", help=".nrrd, .nii.gz or .mha")
    engine = parser.add_argument_group("engine")
    engine.add_argument(
        "--engine", choices=("tables", "transport"), default="tables",
        help="deterministic, from radial tables (default), or a direct simulation",
    )  # fmt: skip
    engine.add_argument("--histories", type=positive_count, metavar="H", help="transport only")
    engine.add_argument("--seed", type=seed_number, help="transport only")
    engine.add_argument("--device", choices=("cpu", "cuda"), help="transport only")
    engine.add_argument(
        "--secondaries", choices=SECONDARIES, default="transported", help="electrons set free by photons: %(default)s"
    )
    parser.add_argument("--json", action="store_true", help="write centre, neighbours and energy balance as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Make the kernel and write it.

    Raises
    ------
    InputError
        Options contradict each other or cannot be used.
    OutputError
        The kernel cannot be written.
    """
    _check_options(arguments)
    refuse_overwriting((arguments.output, sidecar_path(arguments.output)), [arguments.spectrum])
    with OutputTransaction(arguments.output, sidecar_path(arguments.output)):
        pass  # the folder takes files; found out before the work rather than after it
    source = _source(arguments)
    kernel = _kernel(arguments, source, _material(arguments))
    for warning in kernel.record.warnings:
        _LOG.warning("%s", warning)
    volume = kernel.as_volume()
    if arguments.spectrum is not None:
        volume = volume.with_record(volume.record.with_inputs(spectrum=file_identity(arguments.spectrum)))
    write_volume(volume, arguments.output)
    if arguments.json:
        print_json(kernel.summary())
    else:
        sys.stdout.write(_text(kernel))
    return EXIT_OK


def _check_options(arguments: argparse.Namespace) -> None:
    """Refuse options that do not fit together, before anything is computed."""
    if arguments.nuclide is None and arguments.particle is None and arguments.spectrum is None:
        raise InputError("A source is missing; give --nuclide, --particle with --energy-kev, or --spectrum.")
    if (arguments.particle is None) != (arguments.energy_kev is None):
        raise InputError("--particle and --energy-kev belong together; give both or none.")
    if arguments.particle is not None and arguments.spectrum is not None:
        raise InputError("--spectrum holds its own energies; leave out --particle and --energy-kev.")
    if arguments.engine == "tables":
        for option in ("histories", "seed", "device"):
            if getattr(arguments, option) is not None:
                raise InputError(
                    f"--{option} belongs to --engine transport: the tables engine is deterministic. Leave it out, or "
                    "choose --engine transport."
                )
    if full_suffix(arguments.output) not in WRITABLE_SUFFIXES:
        raise InputError(f"--output {arguments.output} must end in one of {', '.join(WRITABLE_SUFFIXES)}.")
    side = 2 * arguments.half_width + 1
    if side**3 > LARGEST_ARRAY_VOXELS:
        raise InputError(
            f"--half-width {arguments.half_width} makes {side}³ voxels, more than fit; give a smaller one."
        )


def _source(arguments: argparse.Namespace) -> EmissionSource:
    """What the source voxel emits."""
    if arguments.particle is not None:
        source = EmissionSource.mono_energetic(arguments.particle, arguments.energy_kev)
        if (arguments.emissions, arguments.particle) in (("photons", "electron"), ("electrons", "photon")):
            raise InputError(f"--emissions {arguments.emissions} leaves no {arguments.particle}; leave it out.")
        return source
    if arguments.spectrum is None:
        return EmissionSource.from_nuclide(Radionuclide(arguments.nuclide), arguments.emissions)
    spectra = ParticleSpectrum.from_csv(arguments.spectrum)
    name = arguments.spectrum.name if arguments.nuclide is None else Radionuclide(arguments.nuclide).name
    return EmissionSource.from_spectra(
        name, spectra.values(), arguments.emissions, dataset=f"file {arguments.spectrum.name}"
    )


def _material(arguments: argparse.Namespace) -> Material:
    material = named_material(arguments.medium)
    if arguments.density_g_per_cm3 is None:
        return material
    return material.with_density(arguments.density_g_per_cm3)


def _kernel(arguments: argparse.Namespace, source: EmissionSource, material: Material) -> DoseKernel:
    spacing = tuple(arguments.spacing_mm)
    if arguments.engine == "tables":
        return voxel_kernel(source, material, spacing, arguments.half_width, arguments.secondaries)
    from ..voxel_dose.monte_carlo import simulated_kernel

    with terminal_progress(arguments, "Kernel") as progress:
        return simulated_kernel(
            source,
            material,
            spacing,
            arguments.half_width,
            arguments.secondaries,
            arguments.histories,
            1 if arguments.seed is None else arguments.seed,
            arguments.device or "cpu",
            progress,
        )


def _half_width(text: str) -> int:
    """Argument type: a whole number from 0 up."""
    if text.strip() == "0":
        return 0
    return positive_count(text)


def _text(kernel: DoseKernel) -> str:
    """The summary for reading."""
    lines = []
    for name, value in kernel.summary().items():
        shown = "-" if value is None else value if isinstance(value, str) else f"{value:.6g}"
        lines.append(f"{name:<27} {shown}\n")
    return "".join(lines)

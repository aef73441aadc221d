"""`radiodosimetry simulate`: virtual patients with true activity, simulated scans and dose, as a data set."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from .common import EXIT_OK, existing_file, positive_count, positive_number, seed_number, terminal_progress

if TYPE_CHECKING:
    from ..virtual_patients.dataset import Dataset
    from ..virtual_patients.simulation_settings import SimulationSettings

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand to the command line."""
    parser = subparsers.add_parser(
        "simulate",
        help="virtual patients: CT, true activity, simulated scans and Monte Carlo dose, as a data set",
        description="Simulates patients into a folder: anatomy (a torso by formula, or copies of your CT and labels), "
        "kinetics of a tracer, scans at several times by projection and OSEM, and the Monte Carlo dose of the true "
        "activity, with a manifest and hashes. The same command goes on where an earlier run was stopped; with more "
        "patients it enlarges the folder. The same seed gives the same bytes for any number of workers.",
    )
    parser.add_argument("--patients", type=positive_count, required=True, metavar="N", help="number of patients")
    parser.add_argument("--nuclide", required=True, help="nuclide, as Lu-177")
    parser.add_argument("--tracer", help="tracer, as lu177-psma-617; the first of the nuclide if left out")
    parser.add_argument("--kind", choices=("spect", "pet"), help="kind of scan; SPECT where it can be simulated")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder to write to; made if absent")
    parser.add_argument("--seed", type=seed_number, default=0, help="names all random numbers")
    parser.add_argument(
        "--scan-hours", type=_hours, metavar="H,H,…", help="hours of the scans after administration, as 4,24,96,168"
    )
    parser.add_argument(
        "--spacing-mm", type=_spacing, default=(4.0, 4.0, 4.0), metavar="MM", help="voxel size, one length or x,y,z"
    )
    _add_patient_options(parser)
    _add_work_options(parser)
    parser.set_defaults(run=run)


def _add_patient_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("a patient to derive the others from, instead of the torso by formula")
    group.add_argument("--ct", type=existing_file, metavar="FILE", help="CT in HU")
    group.add_argument("--labels", type=existing_file, metavar="FILE", help="label map of organs and lesions")
    group.add_argument("--label-names", type=existing_file, metavar="CSV", help="names of the labels: label,name")
    group.add_argument(
        "--deformation",
        type=_not_negative,
        default=1.0,
        metavar="S",
        help="strength of the random deformation, 0 for none",
    )


def _add_work_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("scans, dose and work")
    group.add_argument(
        "--counts", type=positive_number, metavar="N", help="counts of every scan; drawn for each patient if left out"
    )
    group.add_argument("--angles", type=positive_count, help="views of a SPECT or directions of a PET")
    group.add_argument("--iterations", type=positive_count, help="of the reconstruction")
    group.add_argument("--subsets", type=positive_count, help="of the reconstruction")
    group.add_argument(
        "--no-resolution-recovery", action="store_true", help="SPECT: reconstruct without the collimator's blur"
    )
    group.add_argument(
        "--histories",
        type=_histories,
        metavar="H",
        help="Monte Carlo histories per dose map; as many as --voxel-uncertainty needs if left out, 0 for no dose maps",
    )
    group.add_argument(
        "--voxel-uncertainty",
        type=positive_number,
        default=2.0,
        metavar="PERCENT",
        help="standard uncertainty of a voxel's dose, root mean square over each region and near lung and bone "
        "(default: 2); ignored with --histories",
    )
    group.add_argument("--workers", type=positive_count, default=1, metavar="W", help="patients made side by side")
    group.add_argument(
        "--scheduler", metavar="ADDRESS", help="Dask scheduler whose workers make the patients (they see DIR)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Simulate and say what there is.

    Raises
    ------
    InputError
        Settings cannot be used, or the folder holds something else.
    OutputError
        The folder cannot be written; complete patients stay.
    MissingDependencyError
        PyTomography or Dask is not installed.
    CancelledError
        Ctrl-C; complete patients stay.
    """
    from ..errors import CancelledError
    from ..virtual_patients.simulation import simulate_dataset

    settings = _settings(arguments)
    try:
        with terminal_progress(arguments, "simulate") as progress:
            dataset = simulate_dataset(
                settings, arguments.output, workers=arguments.workers, scheduler=arguments.scheduler, progress=progress
            )
    except KeyboardInterrupt as stop:
        raise CancelledError(
            f"Cancelled; complete patients stay in {arguments.output}, and the same command goes on from there."
        ) from stop
    print(_summary(dataset), end="")
    return EXIT_OK


def _settings(arguments: argparse.Namespace) -> SimulationSettings:
    from dataclasses import replace

    from ..virtual_patients.pet import PetSettings
    from ..virtual_patients.simulation_settings import SimulationSettings
    from ..virtual_patients.spect import SpectSettings

    settings = SimulationSettings(
        patients=arguments.patients,
        nuclide=arguments.nuclide,
        tracer=arguments.tracer,
        kind=arguments.kind,
        seed=arguments.seed,
        scan_hours=arguments.scan_hours,
        spacing_mm=arguments.spacing_mm,
        histories=arguments.histories,
        voxel_uncertainty=arguments.voxel_uncertainty / 100,
        ct=arguments.ct,
        labels=arguments.labels,
        label_names=arguments.label_names,
        deformation=arguments.deformation,
        draw_counts=arguments.counts is None,
    )
    given = {
        name: getattr(arguments, name)
        for name in ("counts", "angles", "iterations", "subsets")
        if getattr(arguments, name) is not None
    }
    if settings.used_kind == "pet":
        return replace(settings, pet=PetSettings(**given))
    recovery = not arguments.no_resolution_recovery
    return replace(settings, spect=SpectSettings(nuclide=settings.nuclide, resolution_recovery=recovery, **given))


def _summary(dataset: Dataset) -> str:
    """What the folder holds, for a terminal."""
    hours = ", ".join(f"{one:g}" for one in dataset.patients[0].scan_hours)
    size_mb = sum(patient.path(name).stat().st_size for patient in dataset.patients for name in patient.names) / 1e6
    return (
        f"{len(dataset.patients)} patients with {dataset.manifest['tracer']} in {dataset.path} ({size_mb:.0f} MB), "
        f"scanned at {hours} h; each has {', '.join(dataset.patients[0].names)}.\n"
    )


def _hours(text: str) -> tuple[float, ...]:
    """Argument type: hours from 0, with commas between them."""
    return tuple(_not_negative(one) for one in text.split(","))


def _spacing(text: str) -> tuple[float, float, float]:
    """Argument type: one length, or three with commas between them."""
    lengths = [positive_number(one) for one in text.split(",")]
    if len(lengths) not in (1, 3):
        raise argparse.ArgumentTypeError(f"found '{text}', expected one length or three with commas, as 4 or 4,4,3")
    x, y, z = lengths * (3 // len(lengths))
    return x, y, z


def _histories(text: str) -> int:
    """Argument type: 0 or a positive count."""
    return 0 if text.strip() == "0" else positive_count(text)


def _not_negative(text: str) -> float:
    """Argument type: a finite number from 0."""
    return 0.0 if text.strip() in ("0", "0.0") else positive_number(text)

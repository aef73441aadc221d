"""`radiodosimetry synthesize`: later PET volumes from one early scan, by a trained model."""

from __future__ import annotations

import argparse
import logging
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .common import (
    EXIT_OK,
    add_region_options,
    existing_path,
    format_table,
    positive_number,
    print_json,
    refuse_repeated_regions,
    terminal_progress,
)

if TYPE_CHECKING:
    from ..delayed_pet.inference import DelayedPet

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_LOG = logging.getLogger(__name__)

UNITS = ("Bq/mL", "kBq/mL", "MBq/mL", "SUV")
"""Units of an early scan that has no sidecar."""


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand to the command line."""
    parser = subparsers.add_parser(
        "synthesize",
        help="later PET volumes from one early scan, by a trained model",
        description="Synthesises the PET of later times from one early scan, with uncertainty where the model states "
        "it. The volumes are synthetic: they were never measured, and every file says so.",
    )
    parser.add_argument(
        "--model", required=True, type=Path, metavar="M",
        help="name of a model that comes with RadioDosimetry, or a file: .safetensors with its .json beside it",
    )  # fmt: skip
    parser.add_argument(
        "--early", required=True, type=existing_path, metavar="FILE", help="early PET, file or DICOM folder"
    )
    parser.add_argument(
        "--early-time-h", required=True, type=positive_number, metavar="H", help="its time after injection [h]"
    )
    parser.add_argument("--nuclide", required=True, metavar="N", help="radionuclide of the tracer, such as Cu-64")
    parser.add_argument(
        "--time-h", required=True, type=positive_number, action="append", metavar="H",
        help="time to synthesise [h after injection]; once for each",
    )  # fmt: skip
    parser.add_argument("--ct", type=existing_path, metavar="FILE", help="CT of the session, where the model uses it")
    add_region_options(
        parser, labels_help=": organs and lesions where they are known; a lesion that takes up the tracer late can "
        "hardly be seen on an early scan",
    )  # fmt: skip
    parser.add_argument(
        "--tracer", metavar="NAME", help="tracer that was given, such as cu64-antibody: a model of another is refused"
    )
    parser.add_argument(
        "--output", required=True, type=Path, metavar="DIR", help="for pet_24h.nii.gz, pet_24h_uncertainty.nii.gz, …"
    )
    known = parser.add_argument_group("what the early scan does not say")
    known.add_argument("--unit", choices=UNITS, help="unit of --early where it has no sidecar (DICOM knows its own)")
    known.add_argument("--weight-kg", type=positive_number, metavar="KG", help="body weight, for SUV")
    known.add_argument(
        "--administered-mbq", type=positive_number, metavar="MBQ",
        help="administered activity: what the early uptake is measured by, for SUV, and no volume holds more than "
        "decay leaves of it; that of a DICOM header if left out",
    )  # fmt: skip
    known.add_argument(
        "--injection-time", type=_moment, metavar="ISO", help="2024-05-31T09:00, for a scan without a time and --dicom"
    )
    parser.add_argument("--dicom", action="store_true", help="also write each volume as a DICOM PET series")
    parser.add_argument("--device", default="cpu", metavar="D", help="cpu (default), cuda or cuda:N")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Synthesise, write, and say what was written.

    Raises
    ------
    InputError
        Model, scan or times cannot be used.
    OutputError
        The folder cannot be written.
    """
    from ..workflows.delayed_pet import SynthesisRequest, synthesize_files

    activity = arguments.administered_mbq
    refuse_repeated_regions(arguments.region)
    request = SynthesisRequest(
        model=arguments.model,
        early=arguments.early,
        early_time_h=arguments.early_time_h,
        times_h=tuple(arguments.time_h),
        nuclide=arguments.nuclide,
        ct=arguments.ct,
        labels=arguments.labels,
        label_names=arguments.label_names,
        expressions=dict(arguments.region),
        tracer=arguments.tracer,
        unit=arguments.unit,
        weight_kg=arguments.weight_kg,
        administered_bq=None if activity is None else activity * 1e6,
        injection=arguments.injection_time,
        dicom=arguments.dicom,
        device=arguments.device,
    )
    with terminal_progress(arguments, "Synthesis") as progress:
        made, paths = synthesize_files(request, arguments.output, progress)
    for warning in dict.fromkeys(text for volume in made.volumes for text in volume.record.warnings):
        _LOG.warning("%s", warning)
    rows = _rows(made)
    model = {name: made.record.parameters[name] for name in ("model", "model_trained_on", "model_limits")}
    if arguments.json:
        print_json({"synthetic": True, "files": paths, "volumes": rows, "warnings": made.record.warnings, **model})
    else:
        shown = [[f"{row['time_h']:g}", f"{row['total_mbq']:.4g}", _share(row)] for row in rows]
        print(format_table(("Time [h]", "Total [MBq]", "Mean uncertainty [%]"), shown))
        print("\n".join(str(path) for path in paths))
        for limit in model["model_limits"]:
            print(f"Limit of {model['model']}: {limit}")
    return EXIT_OK


def _rows(made: DelayedPet) -> list[dict[str, Any]]:
    from ..images.resampling import total_activity

    rows: list[dict[str, Any]] = []
    for time_s, volume, uncertainty in zip(made.times_s, made.volumes, made.uncertainties, strict=True):
        total = total_activity(volume)
        # The voxels' errors stand together, so that their standard uncertainties add up.
        share = None if uncertainty is None or total <= 0 else 100.0 * total_activity(uncertainty) / total
        rows.append({"time_h": time_s / 3600.0, "total_mbq": total / 1e6, "mean_uncertainty_percent": share})
    return rows


def _share(row: dict[str, Any]) -> str:
    return "none" if row["mean_uncertainty_percent"] is None else f"{row['mean_uncertainty_percent']:.3g}"


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"found '{text}', expected a time such as 2024-05-31T09:00") from None

"""`radiodosimetry nuclide`: half-life, emitted energies and progeny of a radionuclide."""

from __future__ import annotations

import argparse
import logging
from typing import TYPE_CHECKING, Any

from ..nuclides import Radionuclide
from ..nuclides.radionuclide import readable_duration
from ..provenance import to_json

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_LOG = logging.getLogger(__name__)


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand to the command line."""
    parser = subparsers.add_parser(
        "nuclide",
        help="show half-life, emitted energies and progeny of a radionuclide",
        description="Half-life, energy per decay and progeny of a radionuclide. Energies include the default progeny, "
        "those that live shorter than the nuclide, in equilibrium with it.",
    )
    parser.add_argument("name", metavar="NAME", help="nuclide, such as Lu-177, 177Lu or Tc99m")
    parser.add_argument("--json", action="store_true", help="write the result as JSON on standard output")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print what is known of the nuclide.

    Raises
    ------
    UnknownNuclideError
        The nuclide is not in the decay dataset.
    """
    nuclide = Radionuclide(arguments.name)
    for warning in nuclide.warnings:
        _LOG.warning("%s", warning)
    print(to_json(nuclide_summary(nuclide)) if arguments.json else nuclide_table(nuclide), end="")
    return 0


def nuclide_summary(nuclide: Radionuclide) -> dict[str, Any]:
    """What the command says about a nuclide, as JSON-ready values.

    `energy_per_decay_kev` includes the default progeny, `own_energy_per_decay_kev` does not; `branching` is decays of a
    progeny per decay of the nuclide.
    """
    return {
        "name": nuclide.name,
        "half_life_s": nuclide.half_life_s,
        "dataset": nuclide.dataset,
        "energy_per_decay_kev": nuclide.energy_per_decay_kev,
        "progeny": [{"name": name, "branching": branching} for name, branching in nuclide.progeny],
        "own_energy_per_decay_kev": nuclide.emissions(include_progeny=False).energy_per_decay_kev,
        "excluded_progeny": [
            {
                "name": member.name,
                "branching": member.branching,
                "half_life_s": member.half_life_s,
                "reason": member.reason,
            }
            for member in nuclide.excluded_progeny
        ],
        "stable_products": [{"name": name, "branching": count} for name, count in nuclide.chain.stable_products],
        "warnings": list(nuclide.warnings),
    }


def nuclide_table(nuclide: Radionuclide) -> str:
    """The same for the eye."""
    whole = nuclide.energy_per_decay_kev
    own = nuclide.emissions(include_progeny=False).energy_per_decay_kev
    lines = [
        f"{nuclide.name}   half-life {readable_duration(nuclide.half_life_s)} ({nuclide.half_life_s:.6g} s)",
        f"data: {nuclide.dataset}",
        "",
        f"{'energy per decay [keV]':<26}{'own':>12}{'with progeny':>16}",
        *(f"  {kind:<24}{own[kind]:>12.2f}{whole[kind]:>16.2f}" for kind in whole),
    ]
    if nuclide.chain.progeny:
        lines += ["", f"{'progeny':<14}{'decays per decay':>18}   half-life"]
        lines += [
            f"  {member.name:<12}{member.branching:>18.6g}   {readable_duration(member.half_life_s)}"
            for member in nuclide.chain.progeny
        ]
    if nuclide.excluded_progeny:
        lines += ["", f"{'not counted':<14}{'decays per decay':>18}   half-life"]
        lines += [
            f"  {member.name:<12}{member.branching:>18.6g}   {readable_duration(member.half_life_s)}"
            for member in nuclide.excluded_progeny
        ]
    return "\n".join(lines) + "\n"

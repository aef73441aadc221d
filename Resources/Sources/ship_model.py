"""Put a trained and judged model where RadioDosimetry looks for shipped ones, with what was measured on its card.

    python Resources/Sources/ship_model.py --model RUN/model.safetensors --evaluation DIR/evaluation.json \\
        --limit "What it must not be used for." [--limit …] --output RadioDosimetry/radiodosimetry/…/models/NAME

`evaluation.json` is what `radiodosimetry evaluate` wrote for this very model on patients it had not learned from. Its
tables go onto the card, those of single patients aside; the limits follow those that the training wrote. The shipped
model states the uncertainty that it was judged with: its own, or that of `evaluate --validation`. Weights are stored as
16-bit numbers.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from radiodosimetry.learning.model_files import load_model, save_model, weights_path

LARGEST_MB = 10.0
"""Of a shipped model: all of them, over the whole history, must leave room in a repository of 100 MB."""

KEPT = {
    "delayed-pet": ("hours", "uncertainty", "dosimetry", "ssim_definition"),
    "residual-unet-3d": ("base", "kim_2022", "edges", "voxels", "gains_over_base", "coverage"),
    "dblurdosenet": ("base", "kim_2022", "li_2022", "lesions", "voxels", "gains_over_base", "coverage"),
}
"""Parts of an evaluation that a card holds, by kind."""


def main() -> None:
    """Read, add, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, type=Path)
    parser.add_argument("--evaluation", required=True, type=Path)
    parser.add_argument("--limit", action="append", default=[], help="a sentence; may be given several times")
    parser.add_argument("--output", required=True, type=Path, help="file to write, without suffix")
    arguments = parser.parse_args()
    card, state = load_model(arguments.model)
    judged: Mapping[str, Any] = json.loads(arguments.evaluation.read_text(encoding="utf-8"))
    patients = judged["patients"]
    test = {"patients": patients if isinstance(patients, int) else len(patients)}
    test |= {name: judged[name] for name in KEPT[card.kind] if name in judged}
    training = {name: value for name, value in card.training.items() if name != "test"}
    if judged.get("coverage"):
        training["calibration"] = judged["coverage"]["stated"]
    limits = tuple(dict.fromkeys((*card.limits, *arguments.limit)))
    path = save_model(arguments.output, state, replace(card, training={**training, "test": test}, limits=limits))
    size_mb = weights_path(path).stat().st_size / 1e6
    print(f"{path}: {size_mb:.2f} MB")
    if size_mb > LARGEST_MB:
        raise SystemExit(f"A shipped model may have {LARGEST_MB:g} MB at most; take fewer features.")


if __name__ == "__main__":
    main()

"""How long importing the three module scripts takes beyond importing Slicer: start-up time that every user pays.

    python Testing/Benchmarks/module_import.py

Each run is a process of its own on slicer-core with the stand-in application; the best of five counts. The same script
runs inside Slicer (`Slicer --no-splash --testing --python-script`), where it measures its own process once.
Exit code 1 above the limit.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

LIMIT_S = 0.3
"""What the three may add together."""

MODULES = ("DelayedPETSynthesis", "TimeActivityFit", "VoxelDose")

ROOT = Path(__file__).resolve().parents[2]


def measure() -> dict[str, float]:
    """Seconds that the imports take in this process: Slicer first, then each module script."""
    seconds = {}
    start = time.perf_counter()
    import slicer

    seconds["slicer"] = time.perf_counter() - start
    if getattr(slicer, "app", None) is None:
        sys.path.insert(0, str(ROOT / "Testing" / "Slicer"))
        import standin

        standin.start(gui=False)
    sys.path.insert(0, str(ROOT / "RadioDosimetry"))
    for name in MODULES:
        sys.modules.pop(name, None)
        start = time.perf_counter()
        __import__(name)
        seconds[name] = time.perf_counter() - start
    return seconds


def main() -> int:
    """Measure, print, and judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--once", action="store_true", help="measure this process and print JSON")
    arguments = parser.parse_args()
    if arguments.once:
        print(json.dumps(measure()))
        return 0
    runs = [measure()] if "slicer" in sys.modules else [_run() for _ in range(arguments.runs)]
    best = {name: min(run[name] for run in runs) for name in runs[0]}
    for name, seconds in best.items():
        print(f"{name:22} {1000 * seconds:8.1f} ms")
    added = sum(best[name] for name in MODULES)
    print(f"the three module scripts add {added:.3f} s (limit {LIMIT_S} s)")
    return int(added >= LIMIT_S)


def _run() -> dict[str, float]:
    command = [sys.executable, str(Path(__file__).resolve()), "--once"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return dict(json.loads(output.strip().splitlines()[-1]))


if __name__ == "__main__":
    sys.exit(main())

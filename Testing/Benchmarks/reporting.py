"""What the benchmarks share: the machine in words, a small table, time and peak memory of a piece of work."""

from __future__ import annotations

import os
import platform
import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

SHARED_PATIENT = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "lu177_dotatate_patient"
"""The real patient that lies beside the checkout."""

T = TypeVar("T")


def machine() -> str:
    """Processor, cores, how busy they are, and Python."""
    name = platform.processor() or platform.machine()
    cpu_info = Path("/proc/cpuinfo")
    if cpu_info.exists():
        names = [line.split(":")[1].strip() for line in cpu_info.read_text().splitlines() if "model name" in line]
        name = names[0] if names else name
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return f"{name}, {os.cpu_count()} cores{load}, Python {platform.python_version()}"


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A title with the machine, and columns wide enough for what they hold."""
    widths = [max(len(row[index]) for row in [columns, *rows]) for index in range(len(columns))]
    print(f"{title}\n{machine()}")
    for row in [columns, *rows]:
        first, *others = (cell.ljust(width) if index == 0 else cell.rjust(width)
                          for index, (cell, width) in enumerate(zip(row, widths, strict=True)))
        print("  ".join([first, *others]))


def timed(work: Callable[[], T]) -> tuple[T, float, float]:
    """What `work` returns, the seconds it took, and the seconds all cores together worked on it."""
    wall, cores = time.perf_counter(), time.process_time()
    result = work()
    return result, time.perf_counter() - wall, time.process_time() - cores


def peak_memory_mb() -> float:
    """Largest memory of this process so far [MB]."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

"""DelayedPETSynthesis's panel opened for tests, and a model of known output for it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from panel_hands import opened

HALF_LIFE_H = 12.7006
"""Of Cu-64, ICRP Publication 107 [h]."""


class Doubles:
    """A model that doubles and decays the scan, waits and fails where it is told to, and keeps what it was told."""

    def __init__(self, name: str = "Doubling model", **changes: Any) -> None:
        from RadioDosimetryLib.delayedPet import ModelCard

        values = {
            "name": name,
            "version": "0.1",
            "summary": "Doubles the scan.",
            "trained_on": "Nothing; written for this test.",
            "nuclides": ("Cu-64", "Zr-89"),
            "tracer": "antibody",
            "early_time_range_s": (1800.0, 7200.0),
            "target_time_ranges_s": ((24 * 3600.0, 24 * 3600.0), (48 * 3600.0, 48 * 3600.0)),
            "spacing_range_mm": (2.0, 6.0),
            "gives_uncertainty": True,
            "limits": ("Made up.",),
        }
        self.card = ModelCard(**{**values, **changes})
        self.go = threading.Event()
        self.go.set()
        self.failure: Exception | None = None
        self.known: dict[str, Any] = {}

    def synthesise(self, early, *, early_time_s, times_s, progress=None, **known):
        from radiodosimetry.progress import report_progress
        from RadioDosimetryLib.delayedPet import SyntheticVolume

        self.known = known
        while not self.go.wait(0.01):
            report_progress(progress, 0.25, "doubling")
        if self.failure is not None:
            raise self.failure
        made = []
        for time_s in times_s:
            array = early.array_kji * 2.0 * 2.0 ** (-(time_s - early_time_s) / 3600 / HALF_LIFE_H)
            made.append(SyntheticVolume(time_s, early.with_array(array), early.with_array(0.1 * array)))
        return made


def opened_panel() -> Iterator[SimpleNamespace]:
    """The panel of the module, opened; what runs is stopped and the module left in the end."""
    yield from opened("DelayedPETSynthesis", "statusLabel")

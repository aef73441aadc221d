"""How organs and lesions answer to dose where nothing is known of the patient's own."""

from __future__ import annotations

from dataclasses import dataclass

SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True)
class Tissue:
    """α/β [Gy] and the half-life of the repair of sublethal damage [h]."""

    alphaBetaGy: float
    repairHalfLifeHours: float

    def __str__(self) -> str:
        return f"α/β {self.alphaBetaGy:g} Gy, repair half-life {self.repairHalfLifeHours:g} h"


LATE_REACTING = Tissue(2.5, 2.8)
"""Assumed of organs where nothing is given: the kidney's values in MIRD Pamphlet No. 20 (Wessels et al., J Nucl Med 49
(2008) 1884-1899)."""

TUMOUR = Tissue(10.0, 1.5)
"""Assumed of lesions where nothing is given: a convention for tumours, no measurement."""

# ruff: noqa: N802, N999 (camelCase, as everywhere in Slicer)
"""For the self-test of DelayedPETSynthesis: an early scan, and a model whose output is known beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .delayedPet import ModelCard, SyntheticVolume

if TYPE_CHECKING:
    from radiodosimetry.images.volume import QuantitativeVolume
    from radiodosimetry.progress import Progress


class DecayOnly:
    """The early scan, decayed physically: no model of the body, but the floor that every model must beat."""

    card = ModelCard(
        name="Early scan, decayed",
        version="1",
        summary="Every voxel of the early scan decays where it is; nothing moves and nothing is excreted.",
        trained_on="nothing",
        nuclides=("Cu-64", "Zr-89", "I-124"),
        tracer="any",
        early_time_range_s=(0.0, 24 * 3600.0),
        target_time_ranges_s=((0.0, 200 * 3600.0),),
        spacing_range_mm=(0.5, 20.0),
        limits=("Only for trying the panel: later uptake and clearance are ignored.",),
    )

    def synthesise(
        self,
        early: QuantitativeVolume,
        *,
        nuclide: str,
        early_time_s: float,
        times_s: Sequence[float],
        ct: QuantitativeVolume | None = None,
        progress: Progress | None = None,
    ) -> list[SyntheticVolume]:
        """The decayed volumes; `ct` is ignored."""
        from radiodosimetry.nuclides import Radionuclide
        from radiodosimetry.progress import report_progress

        half_life_s = Radionuclide(nuclide).half_life_s
        made = []
        for number, time_s in enumerate(times_s):
            report_progress(progress, number / len(times_s), f"decaying to {time_s / 3600:g} h")
            factor = 2.0 ** (-(time_s - early_time_s) / half_life_s)
            made.append(SyntheticVolume(time_s, early.with_array((early.array_kji * factor).astype(np.float32))))
        return made


def sampleEarlyScan(name: str = "Early PET"):
    """A volume node of a warm ellipsoid with two hot spheres [Bq/mL], 4 mm voxels, generated."""
    from radiodosimetry.images.geometry import VolumeGeometry
    from radiodosimetry.images.volume import QuantitativeVolume
    from radiodosimetry.provenance import Record
    from radiodosimetry.units import Quantity

    from .volumes import nodeFromVolume

    shape = (24, 32, 40)
    z, y, x = (4.0 * (np.arange(count) - (count - 1) / 2) for count in shape)
    z_mm, y_mm, x_mm = np.meshgrid(z, y, x, indexing="ij")
    activity = np.where((x_mm / 75) ** 2 + (y_mm / 58) ** 2 + (z_mm / 44) ** 2 < 1, 2000.0, 0.0)
    for centre_mm, radius_mm, concentration in (((-30, 5, 0), 16.0, 20000.0), ((28, -10, 8), 12.0, 35000.0)):
        squares = [(axis - at) ** 2 for axis, at in zip((x_mm, y_mm, z_mm), centre_mm, strict=True)]
        activity[sum(squares) < radius_mm**2] = concentration
    geometry = VolumeGeometry(shape, (4.0, 4.0, 4.0), (-78.0, -62.0, -46.0))
    record = Record("generated early scan")
    volume = QuantitativeVolume(
        activity.astype(np.float32), geometry, Quantity.ACTIVITY_CONCENTRATION, record=record
    )
    return nodeFromVolume(volume, name)

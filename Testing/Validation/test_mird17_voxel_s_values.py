"""Voxel S-values in soft tissue (1.04 g/cm³) as printed by MIRD pamphlet 17 and by Lanconelli et al. 2012.

References
----------
Bolch et al., J Nucl Med 40 (1999) 11S; Lanconelli et al., Phys Med Biol 57 (2012) 517,
doi:10.1088/0031-9155/57/2/517.
"""

from __future__ import annotations

import pytest

from radiodosimetry.media import named_material
from radiodosimetry.nuclides import Radionuclide
from radiodosimetry.voxel_dose.kernels import voxel_kernel
from radiodosimetry.voxel_dose.sources import EmissionSource

TOLERANCE = 0.03
"""Other decay data and another transport stand behind the printed values."""

TC99M_TOLERANCE = 0.08
"""Its electrons are conversion and Auger electrons alone, on which decay data differ more."""


def s_value_mgy_per_mbq_s(nuclide: str, spacing_mm: float, offset: int | tuple[int, int, int]) -> float:
    """Our voxel S-value at an offset in voxels."""
    k, j, i = (offset,) * 3 if isinstance(offset, int) else offset
    source = EmissionSource.from_nuclide(Radionuclide(nuclide))
    kernel = voxel_kernel(source, named_material("soft-tissue"), (spacing_mm,) * 3, 5)
    return float(kernel.octant_kji[k, j, i] * 1e9)


@pytest.mark.parametrize(
    ("nuclide", "spacing_mm", "offset", "printed"),
    [
        ("Sr-89", 6.0, 0, 0.285), ("Y-90", 6.0, 0, 0.346), ("I-131", 6.0, 0, 0.129), ("P-32", 6.0, 0, 0.319),
        ("Tc-99m", 6.0, 0, 0.0120), ("I-131", 6.0, 5, 6.1e-6), ("Tc-99m", 6.0, 5, 2.33e-6),
        ("P-32", 3.0, 0, 1.65), ("Sr-89", 3.0, 0, 1.55), ("Y-90", 3.0, 0, 1.61), ("I-131", 3.0, 0, 0.920),
        ("Tc-99m", 3.0, 0, 0.0902),
    ],
)  # fmt: skip
def test_s_values_of_mird_pamphlet_17(nuclide: str, spacing_mm: float, offset: int, printed: float) -> None:
    tolerance = TC99M_TOLERANCE if nuclide == "Tc-99m" else TOLERANCE
    assert s_value_mgy_per_mbq_s(nuclide, spacing_mm, offset) == pytest.approx(printed, rel=tolerance)


@pytest.mark.parametrize(
    ("spacing_mm", "offset", "printed"),
    [(3.0, (0, 0, 0), 1.59), (3.0, (0, 0, 1), 0.275), (6.0, (0, 0, 0), 0.342), (6.0, (0, 0, 1), 0.0380)],
)
def test_y90_of_lanconelli_2012(spacing_mm: float, offset: tuple[int, int, int], printed: float) -> None:
    assert s_value_mgy_per_mbq_s("Y-90", spacing_mm, offset) == pytest.approx(printed, rel=TOLERANCE)


def test_lu177_holds_the_conversion_and_auger_electrons_that_lanconelli_2012_lacks() -> None:
    assert s_value_mgy_per_mbq_s("Lu-177", 4.8, 0) == pytest.approx(0.192, rel=TOLERANCE)


@pytest.mark.parametrize(("offset", "printed"), [((0, 0, 5), 2.68e-6), ((5, 5, 5), 9.50e-7)])
def test_photon_tails_of_lu177_of_lanconelli_2012(offset: tuple[int, int, int], printed: float) -> None:
    assert s_value_mgy_per_mbq_s("Lu-177", 4.8, offset) == pytest.approx(printed, rel=TOLERANCE)

"""Lesions beside the organs of an S-value table: each a sphere of its mass, which no organ and no other lesion sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..errors import RegionError
from ..media import Material
from ..units import JOULE_PER_MEV
from .organ_names import plain_name
from .s_value_table import SValueTable
from .spheres import DEFAULT_TISSUE, SphereSValue, sphere_s_values


def with_lesions(
    table: SValueTable,
    masses_g: Mapping[str, float],
    tissue: Material | str = DEFAULT_TISSUE,
    include_progeny: bool = True,
) -> SValueTable:
    """An S-value table with lesions as further targets and sources.

    Parameters
    ----------
    table
        S-values of organs.
    masses_g
        Lesion to its mass [g]; the table has its name in lower case with underscores, as those of organs.
    tissue
        What the lesions are made of, a medium or its name.
    include_progeny
        Whether the short-lived progeny decay in the lesion as well.

    Returns
    -------
    SValueTable
        The organs' S-values as they were, the lesions' to themselves by the sphere model, none between the two.

    Raises
    ------
    RegionError
        A lesion has the name of an organ of the table, or of another lesion.
    InputError
        A mass is not a positive number.
    UnknownMediumError
        The tissue has no kernel table.
    """
    if len({plain_name(name) for name in masses_g}) < len(masses_g):
        raise RegionError(f"Two lesions have the same name among {', '.join(masses_g)}; give each its own.")
    masses_g = {plain_name(name): mass for name, mass in masses_g.items()}
    taken = sorted(set(masses_g) & {*table.targets, *table.sources})
    if taken:
        raise RegionError(f"{', '.join(taken)} is an organ of the S-values already; give the lesion another name.")
    if not masses_g:
        return table
    spheres = sphere_s_values(table.nuclide, list(masses_g.values()), tissue, include_progeny=include_progeny)
    alpha = table.alpha_gy_per_bq_s
    warnings = {warning for sphere in spheres for warning in sphere.record.warnings}
    record = table.record.with_parameters(
        lesions={
            name: {"mass_g": sphere.mass_g, "medium": sphere.medium, "radius_mm": sphere.radius_mm}
            for name, sphere in zip(masses_g, spheres, strict=True)
        }
    ).with_warnings(
        f"Lesions are spheres on their own ({', '.join(masses_g)}): organs get no dose from them nor give any.",
        *sorted(warnings),
    )
    return replace(
        table,
        targets=(*table.targets, *masses_g),
        sources=(*table.sources, *masses_g),
        s_gy_per_bq_s=_beside(table.s_gy_per_bq_s, [sphere.s_gy_per_bq_s for sphere in spheres]),
        std_gy_per_bq_s=_beside(table.std_gy_per_bq_s, [sphere.std_gy_per_bq_s for sphere in spheres]),
        alpha_gy_per_bq_s=None if alpha is None else _beside(alpha, [_local_part(sphere) for sphere in spheres]),
        source_masses_g={**table.source_masses_g, **masses_g},
        record=record,
    )


def _beside(organs: NDArray[np.float64], lesions: list[float]) -> NDArray[np.float64]:
    """Organs in one corner, lesions on the diagonal of the other, zero between them."""
    rows, columns = organs.shape
    joined = np.zeros((rows + len(lesions), columns + len(lesions)))
    joined[:rows, :columns] = organs
    joined[rows:, columns:] = np.diag(lesions)
    return joined


def _local_part(sphere: SphereSValue) -> float:
    """What α particles and recoils give a sphere [Gy/(Bq s)]."""
    return sphere.local_energy_mev * JOULE_PER_MEV / (sphere.mass_g * 1e-3)

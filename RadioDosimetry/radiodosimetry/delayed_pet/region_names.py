"""What regions are called: one name for each tissue, however this project, TotalSegmentator or a person spells it."""

from __future__ import annotations

from collections.abc import Container, Mapping

from ..virtual_patients.labelled_ct import region_of_label
from ..virtual_patients.patient import REMAINDER

EVERYTHING_ELSE = "everything_else"
"""Name of the voxels without a label of their own."""

LESION = "lesion"
"""All lesions are one tissue."""

_TISSUES: Mapping[str, str] = {"marrow-bearing": "red_marrow", "bone": "cortical_bone"}
"""What regions that `region_of_label` understands are made of."""

_ALIKE: Mapping[str, tuple[str, ...]] = {
    "kidneys": ("left_kidney",), "left_kidney": ("kidneys",), "right_kidney": ("kidneys",),
    "lungs": ("left_lung",), "left_lung": ("lungs",), "right_lung": ("lungs",),
    "remainder_of_body": (REMAINDER,), "total_body": (REMAINDER,), "whole_body": (REMAINDER,),
}  # fmt: skip
"""Tissues that stand for another where that is not known."""


def tissue_of(region: str) -> str:
    """The tissue that a region is made of, as training names it: "Tumour 2" is a lesion, "vertebra_L1" red marrow."""
    understood = region_of_label(region)
    return _TISSUES.get(understood, understood)


def is_lesion(region: str) -> bool:
    """Whether a region is a lesion by its name."""
    return tissue_of(region) == LESION


def known_tissue(region: str, known: Container[str]) -> str | None:
    """The tissue of a region among those that are known, or one that stands for it; None where there is none."""
    name = tissue_of(region)
    return next((one for one in (name, *_ALIKE.get(name, ())) if one in known), None)

"""Dose methods as readers of a report know them."""

from __future__ import annotations

from collections.abc import Mapping

METHOD_TITLES: Mapping[str, str] = {
    "local": "Local deposition",
    "single-vsv": "Voxel S-values of water",
    "density-scaled": "Density-scaled voxel S-values",
    "multiple-vsv": "Multiple voxel S-values",
    "monte-carlo": "Monte Carlo",
    "unet": "Residual U-Net",
    "dblurdosenet": "DblurDoseNet",
}
"""Name of a method in files and options to its title."""


def method_title(method: str) -> str:
    """Title of a method, its name where it has none."""
    return METHOD_TITLES.get(method, method)


def within_sentence(method: str) -> str:
    """Title of a method inside a sentence: without its capital unless that is a name's."""
    title = method_title(method)
    is_name = title.split()[0] in ("Monte", "DblurDoseNet", method)
    return title if is_name else title[0].lower() + title[1:]

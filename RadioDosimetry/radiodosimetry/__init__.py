"""Absorbed dose of radiopharmaceuticals from quantitative images. Research software, not a medical device."""

from .__about__ import __version__

__all__ = ["__version__"]

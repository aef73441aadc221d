"""Delayed PET from one early scan: pairs, normalisation, networks, training, inference, baselines, evaluation."""

from .normalisation import DecayNormalisation, EarlyMaximumNormalisation
from .resizing import SliceResizing

__all__ = ["DecayNormalisation", "EarlyMaximumNormalisation", "SliceResizing"]

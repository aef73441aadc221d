"""What both networks may do with their output before it meets the base."""

from __future__ import annotations

import torch
from torch import Tensor

LARGEST_LOG_RATIO = 3.0
"""`log-ratio`: the base is changed by a factor of at most e³ either way, softly."""


def soft_exponential(output: Tensor) -> Tensor:
    """Factor on the base of the head `log-ratio`: exp(output) near zero, levelling off at e^±3."""
    return torch.exp(LARGEST_LOG_RATIO * torch.tanh(output / LARGEST_LOG_RATIO))

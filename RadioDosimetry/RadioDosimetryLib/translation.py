"""Words in the language of the application; as they stand where there is none (batch runs on Slicer's libraries)."""

from __future__ import annotations

try:
    from slicer.i18n import tr
except ImportError:  # slicer-core alone

    def tr(text: str) -> str:
        """The text itself."""
        return text


__all__ = ["tr"]

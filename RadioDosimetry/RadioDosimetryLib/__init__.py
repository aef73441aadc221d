# ruff: noqa: N802, N999 (camelCase, as everywhere in Slicer)
"""The Slicer side of RadioDosimetry: MRML nodes to core values and back. Import the modules, not this package."""

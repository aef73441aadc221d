"""The Slicer side of RadioDosimetry: MRML nodes to core values and back. Import the modules, not this package."""

"""The stand-in without widgets: scene, logics, files, and the parts of Slicer's Python that slicer-core lacks."""

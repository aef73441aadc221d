"""What the body is made of: materials, cross-sections, stopping powers, and the way from CT numbers to media."""

from .catalogue import named_material, named_materials
from .data_tables import MEDIA_DATASETS
from .electrons import ElectronTable, density_effect, electron_table
from .elements import Element, known_elements
from .materials import Material
from .photons import PhotonTable, photon_table
from .schneider import SchneiderConversion, schneider_2000, schneider_tissues
from .segmentation import DensityBands, MediaMap, segment_media

__all__ = [
    "MEDIA_DATASETS",
    "DensityBands",
    "Element",
    "ElectronTable",
    "Material",
    "MediaMap",
    "PhotonTable",
    "SchneiderConversion",
    "density_effect",
    "electron_table",
    "known_elements",
    "named_material",
    "named_materials",
    "photon_table",
    "schneider_2000",
    "schneider_tissues",
    "segment_media",
]

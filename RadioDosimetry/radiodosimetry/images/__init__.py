"""Images that know their grid, quantity, unit, time and origin; reading, writing, resampling, registering them."""

from .activity import without_negative_activity
from .atomic import OutputTransaction, check_writable, write_atomically, write_text_atomically
from .geometry import VolumeGeometry, describe_grid, require_same_frame, require_same_grid
from .readers import read_volume
from .regions import (
    LabelMap,
    Region,
    read_label_map,
    read_label_names,
    regions_of,
    split_region_option,
    write_label_map,
)
from .registered import Registration, load_registration
from .registration import register_bspline, register_rigid
from .resampling import body_mask, resample_activity, resample_ct, resample_labels, total_activity
from .volume import QuantitativeVolume
from .writers import write_volume

__all__ = [
    "LabelMap",
    "OutputTransaction",
    "QuantitativeVolume",
    "Region",
    "Registration",
    "VolumeGeometry",
    "body_mask",
    "check_writable",
    "describe_grid",
    "load_registration",
    "read_label_map",
    "read_label_names",
    "read_volume",
    "regions_of",
    "register_bspline",
    "register_rigid",
    "require_same_frame",
    "require_same_grid",
    "resample_activity",
    "resample_ct",
    "resample_labels",
    "split_region_option",
    "total_activity",
    "without_negative_activity",
    "write_atomically",
    "write_label_map",
    "write_text_atomically",
    "write_volume",
]

"""A registration as a value: the transform between two scans, applied to images, written and read back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ..errors import FileFormatError, InputError, OutputError, RadioDosimetryError, UnitError
from ..provenance import Record, to_json
from .atomic import OutputTransaction, full_suffix
from .file_checks import check_file
from .geometry import VolumeGeometry, require_same_frame
from .readers import image_of, quiet_stderr
from .regions import LabelMap
from .registration_measures import jacobian_determinant
from .resampling import AIR_HU, DENSITY_LIKE, averaged_over_voxels, conserved_averages, total_activity
from .sidecar import sidecar_path
from .volume import QuantitativeVolume

LOST_ACTIVITY_WARNING = 0.02
"""Change of the total activity by a transform above which the record warns."""

TRANSFORM_SUFFIXES = (".tfm", ".h5")
"""Formats of saved transforms: ITK text and ITK HDF5; 3D Slicer reads both."""


@dataclass(frozen=True, eq=False)
class Registration:
    """How points of a fixed scan are found in a moving scan.

    Attributes
    ----------
    transform
        Takes points of the fixed scan to points of the moving scan (LPS, mm).
    kind
        "rigid" or "b-spline".
    geometry
        Grid of the fixed scan, with its frame of reference.
    moving_frame_uid
        Frame of reference of the moving scan, None if unknown.
    quality
        Measures by name: `mutual_information_before`, `…_after` [nat], `correlation_before`, `…_after`,
        `body_dice_before`, `…_after`, `largest_displacement_mm`, `mean_displacement_mm` (in the fixed body),
        `jacobian_min`, `jacobian_max`.
    record
        How the registration came to be.
    """

    transform: sitk.Transform
    kind: str
    geometry: VolumeGeometry
    moving_frame_uid: str | None
    quality: Mapping[str, float]
    record: Record

    def apply_to_ct(self, moving: QuantitativeVolume, outside: float = AIR_HU) -> QuantitativeVolume:
        """The moving CT on the fixed grid by linear interpolation; `outside` [HU] where it does not reach."""
        self._require_moving_frame(moving.geometry, "The CT")
        array = self._resampled(moving.array_kji.astype(np.float32), moving.geometry, sitk.sitkLinear, outside)
        return QuantitativeVolume(array, self.geometry, moving.quantity, moving.time, self._record_of(moving.record))

    def apply_to_activity(self, moving: QuantitativeVolume) -> QuantitativeVolume:
        """The moving activity image on the fixed grid, its activity conserved.

        A rigid transform conserves what the fixed grid covers, as `resample_activity` does. Through a deformation the
        concentration is carried along and multiplied with the Jacobian determinant: tissue that the transform
        squeezes keeps its activity. The record holds the ratio of the totals.

        Raises
        ------
        UnitError
            The quantity is not a concentration of activity.
        GeometryMismatchError
            The image lies in another frame of reference than the moving scan.
        """
        if moving.quantity not in DENSITY_LIKE:
            raise UnitError(f"Expected an activity concentration, found {moving.quantity.value}.")
        self._require_moving_frame(moving.geometry, "The activity image")
        if self.kind == "rigid":
            array = conserved_averages(moving, self.geometry, self.transform)
        else:
            image = image_of(moving.array_kji.astype(np.float32), moving.geometry)
            array = averaged_over_voxels(image, self.geometry, min(moving.geometry.spacing_mm), self.transform)
            array *= self.jacobian_kji()
        before = total_activity(moving)
        ratio = float(array.sum()) * self.geometry.voxel_volume_ml / before if before > 0 else 1.0
        record = self._record_of(moving.record).with_parameters(activity_kept_share=ratio)
        if abs(ratio - 1) > LOST_ACTIVITY_WARNING:
            record = record.with_warnings(
                f"The registered image holds {100 * ratio:.1f} % of the activity of the original: parts lie "
                "outside the fixed scan, or the deformation is not smooth."
            )
        return QuantitativeVolume(array, self.geometry, moving.quantity, moving.time, record)

    def apply_to_labels(self, moving: LabelMap) -> LabelMap:
        """The moving labels on the fixed grid, nearest neighbour."""
        self._require_moving_frame(moving.geometry, "The label map")
        array = self._resampled(moving.array_kji, moving.geometry, sitk.sitkNearestNeighbor, 0)
        return LabelMap(array, self.geometry, moving.names, self._record_of(moving.record))

    def jacobian_kji(self) -> NDArray[np.float64]:
        """Jacobian determinant of the transform at the fixed voxels: moving volume per fixed volume."""
        return jacobian_determinant(self.transform, self.geometry)

    def save(self, path: Path) -> None:
        """Write the transform (`.tfm` or `.h5`) and `<file name>.json` with grid, quality and record.

        Raises
        ------
        InputError
            The suffix is neither.
        OutputError
            The files could not be written; nothing is left behind.
        """
        path = Path(path)
        if full_suffix(path) not in TRANSFORM_SUFFIXES:
            raise InputError(f"Cannot tell the transform format of {path}; expected a name in .tfm or .h5.")
        with OutputTransaction() as transaction:
            try:
                with quiet_stderr():
                    sitk.WriteTransform(self.transform, str(transaction.path_for(path)))
            except RuntimeError as error:
                raise OutputError(f"Could not write {path}: the disk may be full; nothing was left behind.") from error
            transaction.write_text(sidecar_path(path), to_json(self._as_dict()))

    def _as_dict(self) -> dict[str, Any]:
        grid = self.geometry
        return {
            "kind": self.kind,
            "direction": "points of the fixed scan to points of the moving scan, LPS, mm",
            "fixed_grid": {
                "shape_kji": grid.shape_kji,
                "spacing_mm": grid.spacing_mm,
                "origin_mm": grid.origin_mm,
                "direction": grid.direction,
                "frame_of_reference_uid": grid.frame_of_reference_uid,
            },
            "moving_frame_uid": self.moving_frame_uid,
            "quality": dict(self.quality),
            **self.record.as_dict(),
        }

    def _require_moving_frame(self, geometry: VolumeGeometry, name: str) -> None:
        scan = replace(geometry, frame_of_reference_uid=self.moving_frame_uid)
        require_same_frame(geometry, scan, name, "the moving scan of the registration")

    def _resampled(
        self, array_kji: NDArray[Any], geometry: VolumeGeometry, interpolator: int, outside: float
    ) -> NDArray[Any]:
        image = image_of(array_kji, geometry)
        reference = image_of(np.zeros(self.geometry.shape_kji, np.uint8), self.geometry)
        return np.asarray(
            sitk.GetArrayFromImage(sitk.Resample(image, reference, self.transform, interpolator, outside))
        )

    def _record_of(self, record: Record) -> Record:
        return record.with_parameters(registration={"kind": self.kind, "quality": dict(self.quality)}).with_warnings(
            *self.record.warnings
        )


def load_registration(path: Path) -> Registration:
    """The registration that `Registration.save` wrote.

    Raises
    ------
    FileFormatError
        The transform or its sidecar is missing or damaged.
    """
    path = Path(path)
    for file in (path, sidecar_path(path)):
        check_file(file)
    try:
        values = json.loads(sidecar_path(path).read_text(encoding="utf-8"))
        grid = values["fixed_grid"]
        geometry = VolumeGeometry(
            tuple(grid["shape_kji"]),
            tuple(grid["spacing_mm"]),
            tuple(grid["origin_mm"]),
            np.array(grid["direction"]),
            grid.get("frame_of_reference_uid"),
        )
        with quiet_stderr():
            transform = sitk.ReadTransform(str(path))
        kind = values["kind"]
        if kind == "rigid":
            transform = sitk.Euler3DTransform(transform)
        return Registration(
            transform, kind, geometry, values.get("moving_frame_uid"), dict(values["quality"]), Record.from_dict(values)
        )
    except (RadioDosimetryError, RuntimeError, ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise FileFormatError(
            f"{path} cannot be used as a saved registration: the transform or {sidecar_path(path).name} is damaged "
            f"({type(error).__name__}). Register the scans again."
        ) from error

"""What VoxelDose computes: nodes to a request, a request to a dose. The request holds core values alone.

Reading nodes (`doseRequest`) belongs to the thread of the scene; computing (`computeRequest`) touches no node and may
run in another.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from .quantities import quantityOf, unitOf
from .segmentations import regionsFromSegmentation
from .sequences import volumesFromSequence
from .volumes import volumeFromNode
from .voxelDoseRadiobiology import BiologySettings, radiobiologyOf

if TYPE_CHECKING:
    from radiodosimetry.images.regions import Region
    from radiodosimetry.images.volume import QuantitativeVolume
    from radiodosimetry.progress import Progress
    from radiodosimetry.time_activity.scans import Scan
    from radiodosimetry.voxel_dose.radiobiology import Radiobiology
    from radiodosimetry.workflows.dose import DoseOptions, DoseResult

COUNTS_UNIT = "counts"
"""Unit of an uncalibrated SPECT; it needs a calibration factor."""

ACTIVITY_UNITS = ("Bq/mL", "kBq/mL", "MBq/mL")
TIA_UNITS = ("Bq s/mL", "MBq s/mL", "Bq h/mL", "kBq h/mL", "MBq h/mL")
"""Units that an activity volume may be said to have."""

INTEGRATION_SHARE = 0.2
"""Share of the progress that the integration of serial scans takes."""

LESION_NAME = re.compile(r"tumou?r|lesion|metasta|\bptv\b|\bgtv\b", re.IGNORECASE)
"""Segments that are lesions by their name."""


@dataclass(frozen=True)
class DoseSettings:
    """How VoxelDose computes; what a method does not use is ignored.

    Attributes
    ----------
    histories
        Monte Carlo: number of histories.
    targetUncertaintyPercent
        Monte Carlo: go on until the largest uncertainty of a region's mean dose is below this [%]; takes the place of
        `histories`. None or 0: by histories.
    seed
        Monte Carlo: names the random numbers.
    device
        Monte Carlo: "cpu" or "cuda".
    clampCtNumbers
        Take CT numbers beyond the calibration as its ends; refused otherwise.
    bodyMask
        Couch and blankets on the CT are air, and get no dose.
    ctCalibrationFile
        CSV with the columns hu,density_g_per_cm3; Schneider et al. 2000 if empty.
    kernelReachMm
        Convolution methods: farthest distance that a kernel covers [mm].
    singleMedium
        Medium of `single-vsv`.
    lesionsExcluded
        Take segments that are lesions by their name out of every other region.
    biology
        How biological effect is computed; neither BED nor EUD if None.
    modelFile
        Model of a learned method.
    """

    histories: int | None = None
    targetUncertaintyPercent: float | None = None
    seed: int = 1
    device: str = "cpu"
    clampCtNumbers: bool = False
    bodyMask: bool = False
    ctCalibrationFile: str = ""
    kernelReachMm: float = 600.0
    singleMedium: str = "water"
    lesionsExcluded: bool = False
    biology: BiologySettings | None = None
    modelFile: str = ""

    def asOptions(self) -> DoseOptions:
        """The core's settings.

        Raises
        ------
        InputError
            A value is out of its range, or the calibration cannot be read.
        """
        from radiodosimetry.errors import InputError
        from radiodosimetry.voxel_dose.convolution_settings import ConvolutionOptions
        from radiodosimetry.workflows.dose import DoseOptions

        model = {"model": Path(self.modelFile)} if self.modelFile else {}
        percent = self.targetUncertaintyPercent or None
        if percent is not None and not 0 < percent <= 50:
            raise InputError(f"The target uncertainty must lie above 0 and at most at 50 %, found {percent:g} %.")
        if percent is None and self.histories is not None and self.histories < 1:
            raise InputError(f"Monte Carlo needs at least one history, found {self.histories}.")
        return DoseOptions(
            convolution=ConvolutionOptions(reach_mm=self.kernelReachMm, single_medium=self.singleMedium),
            histories=None if percent is not None else self.histories,
            target_uncertainty=None if percent is None else percent / 100.0,
            seed=self.seed,
            device=self.device,
            conversion=self._conversion(),
            body_mask=self.bodyMask,
            **model,
        )

    def _conversion(self):
        """The CT calibration; None for the core's own."""
        from radiodosimetry.media import SchneiderConversion, schneider_2000

        if self.ctCalibrationFile:
            conversion = SchneiderConversion.from_csv(Path(self.ctCalibrationFile))
            return conversion.with_clamped_hu() if self.clampCtNumbers else conversion
        return schneider_2000().with_clamped_hu() if self.clampCtNumbers else None


@dataclass(frozen=True, eq=False)
class DoseRequest:
    """All that a dose is computed from, as core values.

    Attributes
    ----------
    ct
        CT numbers [HU].
    activity
        Activity [Bq/mL] or time-integrated activity concentration [Bq s/mL]; serial scans of activity for a sequence.
    nuclide
        Name of the radionuclide.
    method
        One of the core's `DOSE_METHODS`.
    regions
        Regions on the grid of `activity`.
    options
        Settings of the methods.
    radiobiology
        Region to its radiobiology; None without.
    warnings
        What the record must say beside what the core says.
    """

    ct: QuantitativeVolume
    activity: QuantitativeVolume | tuple[Scan, ...]
    nuclide: str
    method: str
    regions: tuple[Region, ...]
    options: DoseOptions = field(repr=False)
    radiobiology: Mapping[str, Radiobiology] | None = None
    warnings: tuple[str, ...] = ()


def doseRequest(
    ctNode,
    activityNode,
    nuclide: str,
    method: str,
    segmentationNode=None,
    segmentIDs: Sequence[str] | None = None,
    activityUnit: str | None = None,
    calibrationFactor: float | None = None,
    settings: DoseSettings | None = None,
) -> DoseRequest:
    """Read nodes into a request; they are not changed.

    Parameters
    ----------
    ctNode, activityNode
        Volumes; their grids may differ. A rigid parent transform is applied. The activity may be a sequence of
        registered scans over hours after administration: each voxel is then fitted with one exponential.
    nuclide, method
        As in the core's `compute_dose`.
    segmentationNode
        Regions; None for the dose map alone.
    segmentIDs
        Segments wanted; all if None, none at all (the dose map alone) if empty.
    activityUnit
        One of `ACTIVITY_UNITS`, `TIA_UNITS`, `COUNTS_UNIT`, where the node does not say its own.
    calibrationFactor
        Activity concentration [Bq/mL] of one count; for `COUNTS_UNIT` alone.
    settings
        See `DoseSettings`.

    Raises
    ------
    InputError
        A node is missing or unusable: no voxels, a transform that is not rigid, no or another quantity, empty regions.
    """
    from radiodosimetry.errors import InputError
    from radiodosimetry.units import Quantity

    if ctNode is None:
        raise InputError("No CT is chosen; choose the CT of the patient.")
    if activityNode is None:
        raise InputError("No activity is chosen; choose an activity or time-integrated activity volume.")
    if ctNode is activityNode:
        raise InputError(f"'{ctNode.GetName()}' is chosen as CT and as activity; choose two volumes.")
    settings = settings or DoseSettings()
    options = settings.asOptions()
    ct = volumeFromNode(ctNode, Quantity.CT_NUMBER)
    activity: QuantitativeVolume | tuple[Scan, ...]
    if isSequence(activityNode):
        activity = _scansOf(activityNode, activityUnit, calibrationFactor)
        geometry = activity[0].volume.geometry
    else:
        activity = activityFromNode(activityNode, activityUnit, calibrationFactor)
        geometry = activity.geometry
    regions: list[Region] = []
    if segmentationNode is not None and (segmentIDs is None or len(segmentIDs) > 0):
        regions = regionsFromSegmentation(segmentationNode, geometry, segmentIDs)
    if settings.lesionsExcluded:
        regions = withoutLesions(regions)
    radiobiology, warnings = None, []
    if settings.biology is not None:
        if not regions:
            raise InputError("BED and EUD are those of regions; choose a segmentation, or leave them out.")
        names = [region.name for region in regions]
        radiobiology, warnings = radiobiologyOf(names, nuclide, settings.biology, isLesion)
    return DoseRequest(ct, activity, nuclide, method, tuple(regions), options, radiobiology, tuple(warnings))


def activityFromNode(node, unit: str | None = None, calibrationFactor: float | None = None) -> QuantitativeVolume:
    """Activity or time-integrated activity of a volume node.

    Raises
    ------
    UnitError
        The node has no unit and none is given, it contradicts the given one, or it is neither quantity.
    InputError
        Counts without a calibration factor, or a factor without counts.
    """
    from radiodosimetry.errors import InputError, UnitError
    from radiodosimetry.units import Quantity

    coded = quantityOf(node)
    if unit == COUNTS_UNIT or (unit is None and coded is Quantity.COUNTS):
        return _calibrated(volumeFromNode(node, Quantity.COUNTS, COUNTS_UNIT), node.GetName(), calibrationFactor)
    if calibrationFactor:
        raise InputError(
            "A calibration factor belongs to a volume in counts; choose the unit 'counts', or leave the factor out."
        )
    if unit is None:
        volume = volumeFromNode(node)
    elif unit in ACTIVITY_UNITS or unit in TIA_UNITS:
        integrated = Quantity.TIME_INTEGRATED_ACTIVITY_CONCENTRATION
        volume = volumeFromNode(node, integrated if unit in TIA_UNITS else Quantity.ACTIVITY_CONCENTRATION, unit)
    else:
        known = ", ".join((*ACTIVITY_UNITS, *TIA_UNITS, COUNTS_UNIT))
        raise UnitError(f"Unit '{unit}' is not one of an activity volume; expected one of: {known}.")
    if volume.quantity not in (Quantity.ACTIVITY_CONCENTRATION, Quantity.TIME_INTEGRATED_ACTIVITY_CONCENTRATION):
        raise UnitError(
            f"Volume '{node.GetName()}' holds {volume.quantity.value} [{volume.unit}], expected activity [Bq/mL] or "
            "time-integrated activity [Bq s/mL]; choose another volume."
        )
    return volume


def saysActivity(node) -> bool:
    """Whether a volume, or each of a sequence, says that it is activity or time-integrated activity, with its unit."""
    if isSequence(node):
        count = node.GetNumberOfDataNodes()
        return count > 0 and all(saysActivity(node.GetNthDataNode(number)) for number in range(count))
    if not node.IsA("vtkMRMLVolumeNode"):
        return False
    quantity = quantityOf(node)
    names = ("activity_concentration", "time_integrated_activity_concentration")
    return quantity is not None and quantity.value in names and unitOf(node) is not None


def isLesion(name: str) -> bool:
    """Whether a segment is a lesion by its name."""
    return LESION_NAME.search(name) is not None


def isSequence(node) -> bool:
    """Whether a node is a sequence of scans."""
    return node is not None and node.IsA("vtkMRMLSequenceNode")


def withoutLesions(regions: Sequence[Region]) -> list[Region]:
    """The regions with all lesions taken out of those that are none.

    Raises
    ------
    RegionError
        Nothing is left of a region.
    """
    import numpy as np

    from radiodosimetry.errors import RegionError

    lesions = [region for region in regions if isLesion(region.name)]
    if not lesions:
        return list(regions)
    lesionMask = np.any([lesion.mask_kji for lesion in lesions], axis=0)
    kept = []
    for region in regions:
        if region not in lesions and np.any(region.mask_kji & lesionMask):
            inside = [lesion for lesion in lesions if np.any(lesion.mask_kji & region.mask_kji)]
            left = region.mask_kji & ~lesionMask
            if not left.any():
                raise RegionError(
                    f"Nothing is left of segment '{region.name}' without its lesions; untick it, or keep lesions in."
                )
            expression = "-".join([region.expression, *(lesion.expression for lesion in inside)])
            region = replace(region, mask_kji=left, expression=expression)
        kept.append(region)
    return kept


def computeRequest(request: DoseRequest, progress: Progress | None = None) -> DoseResult:
    """The dose of a request: activity is integrated over time, then the core's `compute_dose`.

    A single scan is integrated by physical decay, serial scans voxel by voxel.

    Raises
    ------
    RadioDosimetryError
        As the core's `integrate_physical_decay`, `tia_map` and `compute_dose`.
    """
    from radiodosimetry.progress import PartialProgress
    from radiodosimetry.units import Quantity
    from radiodosimetry.workflows.dose import compute_dose, integrate_physical_decay

    work = progress
    if isinstance(request.activity, tuple):
        tia = _integrated(request.activity, request.nuclide, PartialProgress(progress, 0.0, INTEGRATION_SHARE))
        work = PartialProgress(progress, INTEGRATION_SHARE, 1.0)
    elif request.activity.quantity is Quantity.ACTIVITY_CONCENTRATION:
        tia = integrate_physical_decay(request.activity, request.nuclide)
    else:
        tia = request.activity
    result = compute_dose(
        request.ct,
        tia,
        request.nuclide,
        request.method,
        request.regions,
        request.options,
        request.radiobiology,
        progress=work,
    )
    expressions = {region.name: region.expression for region in request.regions}
    record = result.record.with_inputs(regions=expressions) if expressions else result.record
    return result.with_record(record.with_warnings(*request.warnings))


def _scansOf(sequenceNode, unit: str | None, calibrationFactor: float | None) -> tuple[Scan, ...]:
    from radiodosimetry.time_activity.scans import Scan

    return tuple(
        Scan(hours * 3600.0, activityFromNode(node, unit, calibrationFactor))
        for hours, node in volumesFromSequence(sequenceNode)
    )


def _integrated(scans: Sequence[Scan], nuclide: str, progress: Progress | None) -> QuantitativeVolume:
    """Time-integrated activity of serial scans, one exponential per voxel."""
    from radiodosimetry.nuclides import Radionuclide
    from radiodosimetry.time_activity.voxelwise import tia_map

    return tia_map(scans, Radionuclide(nuclide).decay_constant_per_s, "mono", progress=progress).tia


def _calibrated(counts: QuantitativeVolume, name: str, factor: float | None) -> QuantitativeVolume:
    import numpy as np

    from radiodosimetry.errors import InputError
    from radiodosimetry.units import Quantity

    if not factor or not np.isfinite(factor) or factor < 0:
        raise InputError(
            f"Volume '{name}' is in counts; expected a calibration factor above zero [Bq/mL per count]. Give it, or "
            "choose another unit."
        )
    record = counts.record.with_parameters(calibration_bq_per_ml_per_count=factor)
    values = counts.array_kji.astype(np.float64) * factor
    return counts.with_array(values, Quantity.ACTIVITY_CONCENTRATION, record)

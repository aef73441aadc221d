"""Dose figures for the module Segment Statistics: mean dose, D98 to D2, total activity. Import it through
`registerDoseStatistics`: it needs that module."""

from __future__ import annotations

import logging
from functools import cache

import slicer
from SegmentStatisticsPlugins import SegmentStatisticsPluginBase
from slicer.i18n import tr as _

from .geometries import geometryOfVolume
from .quantities import quantityOf
from .segmentations import regionsFromSegmentation
from .volumes import volumeFromNode

_DOSE_KEYS = {
    "mean_dose_gy": ("Mean dose", "Mean absorbed dose by volume", "mean_gy"),
    "min_dose_gy": ("Minimum dose", "Lowest voxel dose", "min_gy"),
    "max_dose_gy": ("Maximum dose", "Highest voxel dose", "max_gy"),
    "d98_gy": ("D98", "Least dose to the hottest 98 % of the volume", 98.0),
    "d95_gy": ("D95", "Least dose to the hottest 95 % of the volume", 95.0),
    "d50_gy": ("D50", "Median dose", 50.0),
    "d2_gy": ("D2", "Least dose to the hottest 2 % of the volume", 2.0),
}
_TOTAL_KEYS = {
    "total_activity_mbq": ("Total activity", "Volume integral of the activity concentration", "MBq", 1e-6),
    "total_tia_mbq_h": ("Total TIA", "Volume integral of the time-integrated activity", "MBq.h", 1e-6 / 3600.0),
}
_QUANTITY_OF_TOTAL = {
    "total_activity_mbq": "activity_concentration",
    "total_tia_mbq_h": "time_integrated_activity_concentration",
}


class DoseStatisticsPlugin(SegmentStatisticsPluginBase):
    """Figures of the volume that is chosen in Segment Statistics, where that is a dose or an activity map."""

    def __init__(self) -> None:
        super().__init__()
        self.name = "Radionuclide dose"
        self.title = _("Radionuclide dose")
        self.keys = [*_DOSE_KEYS, *_TOTAL_KEYS]
        self.defaultKeys = list(self.keys)

    def computeStatistics(self, segmentID: str) -> dict[str, float]:
        """Requested figures of a segment; none where the volume is neither dose nor activity, or cannot be used."""
        from radiodosimetry.errors import RadioDosimetryError

        requested = self.getRequestedKeys()
        parameters = self.getParameterNode()
        segmentation = slicer.mrmlScene.GetNodeByID(parameters.GetParameter("Segmentation"))
        volumeNode = slicer.mrmlScene.GetNodeByID(parameters.GetParameter("ScalarVolume"))
        if not requested or segmentation is None or volumeNode is None or quantityOf(volumeNode) is None:
            return {}
        try:
            return _figures(volumeNode, segmentation, segmentID, requested)
        except RadioDosimetryError as error:
            logging.warning("Dose statistics: %s", error)
            return {}

    def getMeasurementInfo(self, key: str):
        """Name, description and unit of a figure; None for an unknown key."""
        if key in _DOSE_KEYS:
            name, description, _ = _DOSE_KEYS[key]
            units = "Gy"
        elif key in _TOTAL_KEYS:
            name, description, units, _ = _TOTAL_KEYS[key]
        else:
            return None
        return self.createMeasurementInfo(name=name, title=name, description=description, units=units)


@cache
def registerDoseStatistics() -> None:
    """Offer the figures in Segment Statistics; once per session."""
    import SegmentStatistics

    SegmentStatistics.SegmentStatisticsLogic.registerPlugin(DoseStatisticsPlugin())


def _figures(volumeNode, segmentation, segmentID: str, requested) -> dict[str, float]:
    from radiodosimetry.units import Quantity
    from radiodosimetry.voxel_dose.dose_volume import dose_to_hottest_percent_gy

    quantity = quantityOf(volumeNode)
    isDose = quantity is Quantity.ABSORBED_DOSE
    totals = [key for key in requested if _QUANTITY_OF_TOTAL.get(key) == quantity.value]
    if not (isDose or totals):
        return {}
    (region,) = regionsFromSegmentation(segmentation, geometryOfVolume(volumeNode), [segmentID])
    volume = volumeFromNode(volumeNode)
    values = volume.array_kji[region.mask_kji].astype("float64")
    found = {key: float(values.sum() * volume.geometry.voxel_volume_ml * _TOTAL_KEYS[key][3]) for key in totals}
    if isDose:
        simple = {"mean_gy": values.mean(), "min_gy": values.min(), "max_gy": values.max()}
        for key in requested:
            if key in _DOSE_KEYS:
                figure = _DOSE_KEYS[key][2]
                value = simple[figure] if isinstance(figure, str) else dose_to_hottest_percent_gy(values, figure)
                found[key] = float(value)
    return found

"""Time-activity curves, their fits and time-integrated activity with its uncertainty."""

from .bootstrap import BootstrapResult, bootstrap_fit
from .curve_fit import CurveFit, FittedParameter, ModelAverage
from .curves import CurveOptions, RegionScan, TimeActivityCurve, curves_csv, curves_from_volumes, read_curves
from .fit_files import FitSet, fits_json, read_fits, residence_times_csv
from .fitting import FIT_MODELS, fit_curve
from .models import ExponentialSum, GammaUptake, PiecewiseLinear
from .single_time_point import SingleTimePoint, hanscheid, known_half_life, madsen, physical
from .uncertainty import ChainInputs, DoseUncertainty, chain_inputs_of, dose_uncertainty

__all__ = [
    "FIT_MODELS",
    "BootstrapResult",
    "ChainInputs",
    "CurveFit",
    "CurveOptions",
    "DoseUncertainty",
    "ExponentialSum",
    "FitSet",
    "FittedParameter",
    "GammaUptake",
    "ModelAverage",
    "PiecewiseLinear",
    "RegionScan",
    "SingleTimePoint",
    "TimeActivityCurve",
    "bootstrap_fit",
    "chain_inputs_of",
    "curves_csv",
    "curves_from_volumes",
    "dose_uncertainty",
    "fit_curve",
    "fits_json",
    "hanscheid",
    "known_half_life",
    "madsen",
    "physical",
    "read_curves",
    "read_fits",
    "residence_times_csv",
]

"""What both learned packages share: samples, training, cross-validation, model files and inference in windows.

Nothing here loads PyTorch when it is imported; what needs it asks `torch_import` for it when it is called.
"""

from .configuration import config_text, read_config
from .ensembles import CoverageCalibration, MemberSummary, calibrate_coverage, combine_members
from .model_files import ModelCard, load_model, load_network_state, save_model
from .patches import grid_windows, lattice_variant, random_window
from .sliding_window import predict_windows
from .splits import Fold, fold_of, hold_out, k_folds, require_no_leak
from .training_errors import TrainingStoppedError
from .training_settings import TrainingSettings

__all__ = [
    "CoverageCalibration",
    "Fold",
    "MemberSummary",
    "ModelCard",
    "TrainingSettings",
    "TrainingStoppedError",
    "calibrate_coverage",
    "combine_members",
    "config_text",
    "fold_of",
    "grid_windows",
    "hold_out",
    "k_folds",
    "lattice_variant",
    "load_model",
    "load_network_state",
    "predict_windows",
    "random_window",
    "read_config",
    "require_no_leak",
    "save_model",
]

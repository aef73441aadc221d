"""Organ doses: stylised adults, S-values of phantoms and patients, MIRD sums, effective dose, marrow and spheres."""

from .decay_fate import Fate, FateMatrix, chain_s_values, chain_transfer, member_residence_times_s, read_fates
from .dose_tables import contributions_csv, organ_dose_csv
from .effective_dose import EffectiveDose, effective_dose, sex_averaged
from .icrp_safs import read_icrp_safs, s_values_from_safs
from .importers import compare_s_values, read_s_value_table
from .lesions import with_lesions
from .marrow_dose import (
    marrow_residence_time_from_blood,
    marrow_residence_time_from_image,
    marrow_to_blood_ratio,
)
from .mird import OrganDoseTable, organ_doses
from .organ_names import REMAINDER, STYLISED_TARGETS
from .patient import patient_s_values
from .phantom import PHANTOM_NAMES, StylisedPhantom, stylised_phantom
from .photon_safs import PhotonSafTable, load_photon_safs
from .reference_masses import STYLISED_SOURCES, reference_masses_g
from .residence_times import ResidenceTime, read_organ_masses_g, read_residence_times
from .s_value_table import SValueTable, read_s_values, s_values_csv
from .s_values import phantom_s_values
from .spheres import sphere_s_value, sphere_s_values
from .theranostics import converted_activity_bq, converted_rates_per_s, converted_residence_time_s

__all__ = [
    "PHANTOM_NAMES",
    "REMAINDER",
    "STYLISED_SOURCES",
    "STYLISED_TARGETS",
    "EffectiveDose",
    "Fate",
    "FateMatrix",
    "OrganDoseTable",
    "PhotonSafTable",
    "ResidenceTime",
    "SValueTable",
    "StylisedPhantom",
    "chain_s_values",
    "chain_transfer",
    "compare_s_values",
    "contributions_csv",
    "converted_activity_bq",
    "converted_rates_per_s",
    "converted_residence_time_s",
    "effective_dose",
    "load_photon_safs",
    "marrow_residence_time_from_blood",
    "marrow_residence_time_from_image",
    "marrow_to_blood_ratio",
    "member_residence_times_s",
    "organ_dose_csv",
    "organ_doses",
    "patient_s_values",
    "phantom_s_values",
    "read_fates",
    "read_icrp_safs",
    "read_organ_masses_g",
    "read_residence_times",
    "read_s_value_table",
    "read_s_values",
    "reference_masses_g",
    "s_values_csv",
    "s_values_from_safs",
    "sex_averaged",
    "sphere_s_value",
    "sphere_s_values",
    "stylised_phantom",
    "with_lesions",
]

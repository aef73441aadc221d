"""The methods paragraph of a report, ready to paste into a paper, with numbered references."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

REFERENCES: Mapping[str, str] = {
    "decay": "ICRP. Nuclear decay data for dosimetric calculations. ICRP Publication 107. Ann ICRP 38(3) (2008). "
    "doi:10.1016/j.icrp.2008.10.004",
    "mird21": "Bolch WE et al. MIRD Pamphlet No. 21. J Nucl Med 50 (2009) 477-484. doi:10.2967/jnumed.108.056036",
    "mird17": "Bolch WE et al. MIRD Pamphlet No. 17: the dosimetry of nonuniform activity distributions. J Nucl Med 40 "
    "(1999) 11S-36S",
    "schneider": "Schneider W, Bortfeld T, Schlegel W. Correlation between CT numbers and tissue parameters needed for "
    "Monte Carlo simulations of clinical dose distributions. Phys Med Biol 45 (2000) 459-478. "
    "doi:10.1088/0031-9155/45/2/314",
    "lee": "Lee MS et al. Whole-body voxel-based personalized dosimetry: the multiple voxel S-value approach for "
    "heterogeneous media with nonuniform activity distributions. J Nucl Med 59 (2018) 1133-1139",
    "kim": "Kim KM et al. Voxel-based internal dosimetry for 177Lu-labeled radiopharmaceutical therapy using deep "
    "residual learning. Nucl Med Mol Imaging (2022)",
    "li": "Li Z et al. DblurDoseNet: a deep residual learning network for voxel radionuclide dosimetry compensating "
    "for single-photon emission computerized tomography imaging resolution. Med Phys 49 (2022) 1216. "
    "doi:10.1002/mp.15397",
    "ornl": "Cristy M, Eckerman KF. Specific absorbed fractions of energy at various ages from internal photon "
    "sources. ORNL/TM-8381, Oak Ridge National Laboratory (1987)",
    "gear": "Gear JI et al. EANM practical guidance on uncertainty analysis for molecular radiotherapy absorbed dose "
    "calculations. Eur J Nucl Med Mol Imaging 45 (2018) 2456-2474. doi:10.1007/s00259-018-4136-7",
    "hanscheid": "Hänscheid H et al. Dose mapping after endoradiotherapy with 177Lu-DOTATATE/DOTATOC by a single "
    "measurement after 4 days. J Nucl Med 59 (2018) 75-81",
    "madsen": "Madsen MT et al. Technical note: single time point dose estimate for exponential clearance. Med Phys 45 "
    "(2018) 2318-2324",
    "bed": "Baechler S et al. Extension of the biological effective dose to the MIRD schema and possible implications "
    "in radionuclide therapy dosimetry. Med Phys 35 (2008) 1123-1134. doi:10.1118/1.2836421",
    "icrp103": "ICRP. The 2007 recommendations. ICRP Publication 103. Ann ICRP 37(2-4) (2007). "
    "doi:10.1016/j.icrp.2007.10.003",
}
"""Key to reference."""

_MODEL_WORDS = {
    "mono": "a mono-exponential function",
    "bi": "a bi-exponential function",
    "tri": "a tri-exponential function",
    "uptake-clearance": "an exponential uptake and clearance",
    "gamma-uptake": "a gamma-shaped uptake and exponential clearance",
    "trapezoid": "trapezoids",
    "hanscheid": "the single-time-point formula of Hänscheid et al. [@hanscheid]",
    "madsen": "the single-time-point formula of Madsen et al. [@madsen]",
    "physical": "physical decay from a single scan",
    "known-half-life": "a single scan with a known effective half-life",
}

_TIA_WORDS = {
    "mono": "with a mono-exponential function in each voxel",
    "bi": "with a bi-exponential function in each voxel",
    "trapezoid": "by the trapezoidal rule in each voxel",
    "organ-shape": "by giving each voxel the time course of its organ's fit",
}

_DOSE_WORDS = {
    "local": "local deposition of the electrons' energy",
    "single-vsv": "convolution with voxel S-values of water [@mird17]",
    "density-scaled": "convolution with voxel S-values scaled by density [@li]",
    "multiple-vsv": "convolution with voxel S-values of several media, each used where its medium is [@lee; @kim]",
    "unet": "a residual 3D U-Net that corrects a convolution [@kim]",
    "dblurdosenet": "DblurDoseNet [@li]",
}


@dataclass(frozen=True)
class MethodsFacts:
    """What the paragraph tells.

    Attributes
    ----------
    nuclide, half_life_h
        And its physical half-life [h].
    hours
        Of the scans after the administration.
    tia_method, fit_models, dose_methods
        By their names in `case.toml`; `fit_models` as used, each once.
    version
        Of RadioDosimetry.
    histories
        Of Monte Carlo; None without it.
    phantom
        Of the organ doses; None without.
    patient_masses, with_lesions, with_radiobiology, with_recovery, effective_dose
        Whether these were used.
    calibration_std_percent
        Relative standard uncertainty of the calibration [%], 0 if not stated.
    """

    nuclide: str
    half_life_h: float
    hours: Sequence[float]
    tia_method: str
    fit_models: Sequence[str]
    dose_methods: Sequence[str]
    version: str
    histories: int | None = None
    phantom: str | None = None
    patient_masses: bool = False
    with_lesions: bool = False
    with_radiobiology: bool = False
    with_recovery: bool = False
    effective_dose: bool = False
    calibration_std_percent: float = 0.0
    further: tuple[str, ...] = field(default=())


def methods_paragraph(facts: MethodsFacts) -> tuple[str, tuple[str, ...]]:
    """The paragraph with numbers in brackets, and the references in the order of the numbers."""
    text = " ".join(_sentences(facts))
    order: list[str] = []
    for part in text.split("[@")[1:]:
        for key in part.split("]")[0].replace("@", "").split("; "):
            if key not in order:
                order.append(key)
    for key in order:
        text = text.replace(f"@{key}", str(order.index(key) + 1))
    return text, tuple(REFERENCES[key] for key in order)


def _sentences(facts: MethodsFacts) -> list[str]:
    """One after the other, references as [@key] or [@one; @other]."""
    count = len(facts.hours)
    hours = _listed([f"{hour:.3g}" for hour in facts.hours])
    scans = f"one scan {hours} h" if count == 1 else f"{count} scans {hours} h"
    found = [
        f"Absorbed doses of {facts.nuclide} (half-life {facts.half_life_h:.4g} h, decay data of ICRP Publication 107 "
        f"[@decay]) were computed with RadioDosimetry {facts.version} following the MIRD schema [@mird21] from {scans} "
        "after the administration."
    ]
    fitted = _listed([_MODEL_WORDS.get(model, model) for model in facts.fit_models])
    recovery = " and corrected by recovery coefficients" if facts.with_recovery else ""
    found.append(
        f"The activity in each region was taken from the images{recovery}, described by {fitted} and integrated to "
        "infinity."
    )
    tia = _TIA_WORDS.get(facts.tia_method, facts.tia_method)
    found.append(f"Maps of time-integrated activity were made {tia}.")
    found.append("CT numbers were converted to density and tissue by stoichiometric calibration [@schneider].")
    found.append(_dose_sentence(facts))
    if facts.phantom is not None:
        masses = ", self-doses scaled to the patient's organ masses" if facts.patient_masses else ""
        lesions = "; lesions were spheres of their mass" if facts.with_lesions else ""
        effective = ", and the effective dose with the weights of ICRP Publication 103 [@icrp103]"
        found.append(
            f"Organ doses were computed with S-values of the stylised {facts.phantom.replace('-', ' ')} [@ornl]{masses}"
            f"{lesions}{effective if facts.effective_dose else ''}."
        )
    if facts.with_radiobiology:
        found.append("Biologically effective doses were computed voxel by voxel [@bed].")
    stated = facts.calibration_std_percent
    calibration = f" with {stated:g} % for the calibration" if stated else ""
    found.append(f"Uncertainties (one standard deviation) were propagated as EANM recommends [@gear]{calibration}.")
    return [*found, *facts.further]


def _dose_sentence(facts: MethodsFacts) -> str:
    words = [_DOSE_WORDS[method] for method in facts.dose_methods if method in _DOSE_WORDS]
    if "monte-carlo" in facts.dose_methods:
        amount = "" if facts.histories is None else f" with {facts.histories:,} histories".replace(",", "\u00a0")
        words.append(f"Monte Carlo transport of photons and electrons through the voxels of the CT{amount}")
    return f"The absorbed dose in each voxel was computed by {_listed(words)}."


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"

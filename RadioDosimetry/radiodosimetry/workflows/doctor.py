"""What is installed and whether it works: packages, devices, data sets, models, and answers that are known."""

from __future__ import annotations

import hashlib
import math
import os
import platform
import sys
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from ..__about__ import __version__
from ..errors import RadioDosimetryError
from ..images.geometry import VolumeGeometry
from ..images.volume import QuantitativeVolume
from ..nuclides import Radionuclide
from ..processors import core_count
from ..progress import Progress, report_progress
from ..units import JOULE_PER_KEV, Quantity

PACKAGE = Path(__file__).resolve().parent.parent

RUNTIME_PACKAGES = (
    "numpy",
    "scipy",
    "SimpleITK",
    "pydicom",
    "highdicom",
    "icrp107-database",
    "matplotlib",
    "jinja2",
    "tqdm",
    "warp-lang",
)
"""Packages that everything needs."""

OPTIONAL_PACKAGES = {
    "torch": "learned dose, delayed PET",
    "monai": "learned dose, delayed PET",
    "safetensors": "model files",
    "pytomography": "simulated SPECT",
    "distributed": "cohorts over a cluster",
}
"""Packages that a part needs, and which."""

LU177_HALF_LIFE_S = 574300.8
LU177_ELECTRON_KEV = 147.923
"""As ICRP Publication 107 prints them: 6.647 d, and the electrons' energy per decay [keV]."""

METHODS_AGREE = 0.02
"""By how much Monte Carlo and convolution may differ in uniform water: the statistics of a short run, several times."""


CLOSED_FORM_AGREES = 1e-4
"""By how much a dose in closed form may differ from the computed one: 32-bit numbers."""


@dataclass(frozen=True)
class Finding:
    """One thing looked at.

    Attributes
    ----------
    group
        "system", "packages", "devices", "data sets", "models" or "checks".
    name
        What it is.
    found
        Its version, hash or value, in words.
    ok
        False where something is wrong; None where something optional is absent.
    """

    group: str
    name: str
    found: str
    ok: bool | None = True


@dataclass(frozen=True)
class Examination:
    """All findings.

    Attributes
    ----------
    findings
        In the order of their groups.
    """

    findings: tuple[Finding, ...]

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong; optional parts may be absent."""
        return all(finding.ok is not False for finding in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready values: whether all is well, then findings by group."""
        groups: dict[str, list[dict[str, Any]]] = {}
        for finding in self.findings:
            values = asdict(finding)
            groups.setdefault(values.pop("group"), []).append(values)
        return {"version": __version__, "healthy": self.healthy, **groups}

    def text(self) -> str:
        """The findings for a terminal."""
        width = max(len(finding.name) for finding in self.findings)
        lines, group = [], ""
        for finding in self.findings:
            if finding.group != group:
                group = finding.group
                lines += ["", group.capitalize()]
            sign = {True: "ok", False: "WRONG", None: "absent"}[finding.ok]
            lines.append(f"  {sign:<6}  {finding.name:<{width}}  {finding.found}")
        verdict = "All is well." if self.healthy else "Something is wrong; see the lines marked WRONG."
        return "\n".join([*lines[1:], "", verdict]) + "\n"


def examine(self_test: bool = True, models: Iterable[Path] = (), progress: Progress | None = None) -> Examination:
    """Look at everything RadioDosimetry needs and, on request, compute what is known already.

    Parameters
    ----------
    self_test
        Compute the known answers, which takes some seconds (more at the first use of the transport).
    models
        Folders with further models, beside those that come with RadioDosimetry.
    progress
        Told the share of the work done.

    Raises
    ------
    CancelledError
        The user cancelled.
    """
    findings = [*_system(), *_packages(), *_devices(), *_data_sets(), *_models(models)]
    if self_test:
        for number, (name, check) in enumerate(_CHECKS.items()):
            report_progress(progress, number / len(_CHECKS), name)
            findings.append(_checked(name, check))
        report_progress(progress, 1.0, "Examined")
    return Examination(tuple(findings))


def _system() -> list[Finding]:
    supported = sys.version_info >= (3, 11)
    memory = _memory_bytes()
    return [
        Finding("system", "RadioDosimetry", f"{__version__} in {PACKAGE}"),
        Finding("system", "Python", f"{platform.python_version()} ({platform.platform()})", supported),
        Finding("system", "processor cores", str(core_count())),
        Finding("system", "memory", "unknown" if memory is None else f"{memory / 2**30:.1f} GiB"),
    ]


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _packages() -> list[Finding]:
    found = []
    for name in RUNTIME_PACKAGES:
        version = _version(name)
        found.append(Finding("packages", name, version or "missing: pip install it", version is not None))
    for name, use in OPTIONAL_PACKAGES.items():
        version = _version(name)
        found.append(Finding("packages", name, version or f"only for {use}", True if version else None))
    return found


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _devices() -> list[Finding]:
    """What the transport and the networks can run on."""
    found = []
    try:
        from ..transport.engine import cuda_device_names

        names = cuda_device_names()
        found.append(Finding("devices", "transport, cpu", "available"))
        found.append(Finding("devices", "transport, cuda", ", ".join(names) or "none", True if names else None))
    except Exception as error:  # a broken driver must be a finding, not the end
        found.append(Finding("devices", "transport", f"{type(error).__name__}: {error}", False))
    if _version("torch") is not None:
        try:
            import torch

            there = torch.cuda.is_available()
            name = torch.cuda.get_device_name(0) if there else "none"
            found.append(Finding("devices", "networks, cuda", name, True if there else None))
        except Exception as error:
            found.append(Finding("devices", "networks", f"{type(error).__name__}: {error}", False))
    return found


def _data_sets() -> list[Finding]:
    """Every table of the package against the checksum of its SOURCE.toml."""
    found = [Finding("data sets", "decay data", Radionuclide("Lu-177").dataset)]
    for source in sorted(PACKAGE.glob("*/data/*/SOURCE.toml")):
        values = tomllib.loads(source.read_text(encoding="utf-8"))
        entries = values["table"] if isinstance(values.get("table"), list) else [values]
        wrong = [entry["file"] for entry in entries if _sha256(source.parent / entry["file"]) != entry["sha256"]]
        name = f"{source.parts[-4]}/{source.parent.name}"
        text = f"{', '.join(wrong)} changed or missing: reinstall" if wrong else str(entries[0]["title"])
        found.append(Finding("data sets", name, text, not wrong))
    return found


def _models(folders: Iterable[Path]) -> list[Finding]:
    """Shipped models and those in the folders given, each against the hash on its card."""
    places = [folder / "models" for folder in (PACKAGE / "learned_dose", PACKAGE / "delayed_pet")]
    files = [file for place in (*places, *folders) for file in sorted(Path(place).rglob("*.safetensors"))]
    if not files:
        return [Finding("models", "models", "none: train one, or give it with --model", None)]
    return [_model(file) for file in files]


def _model(file: Path) -> Finding:
    from ..learning.model_files import read_card

    try:
        card = read_card(file)
    except RadioDosimetryError as error:
        return Finding("models", file.name, str(error), False)
    same = _sha256(file) == card.sha256
    text = f"{card.kind}, sha256 {card.sha256[:12]}" + ("" if same else ": the weights are others than the card's")
    return Finding("models", file.name, text, same)


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def _checked(name: str, check: Callable[[], tuple[str, bool]]) -> Finding:
    try:
        text, ok = check()
    except Exception as error:  # what fails here must be said, whatever it is
        return Finding("checks", name, f"{type(error).__name__}: {error}", False)
    return Finding("checks", name, text, ok)


def _check_decay_data() -> tuple[str, bool]:
    lu177 = Radionuclide("Lu-177")
    electrons_kev = lu177.energy_per_decay_kev["electrons"]
    ok = math.isclose(lu177.half_life_s, LU177_HALF_LIFE_S, rel_tol=1e-6)
    ok = ok and math.isclose(electrons_kev, LU177_ELECTRON_KEV, rel_tol=1e-4)
    return f"Lu-177: {lu177.half_life_s / 86400:.3f} d, {electrons_kev:.3f} keV of electrons per decay", ok


def _check_fit() -> tuple[str, bool]:
    from ..time_activity.fitting import fit_curve
    from ..time_activity.time_activity_curve import TimeActivityCurve

    times_s, half_life_s = np.array([4.0, 24.0, 72.0, 168.0]) * 3600, 50 * 3600.0
    curve = TimeActivityCurve("check", times_s, 1e8 * 2.0 ** (-times_s / half_life_s))
    fit = fit_curve(curve, Radionuclide("Lu-177").decay_constant_per_s, "mono")
    off = fit.tia_bq_s / (1e8 * half_life_s / math.log(2)) - 1
    return f"integral of a known exponential: {100 * off:+.1e} % off", abs(off) < 1e-6


def _check_local_dose() -> tuple[str, bool]:
    """Ã·E/ρ of the electrons, in closed form."""
    dose_gy, density_g_per_cm3 = _dose_in_water("local", 0)
    energy_j_per_ml = _TIA_BQ_S_PER_ML * Radionuclide("Lu-177").energy_per_decay_kev["electrons"] * JOULE_PER_KEV
    ratio = dose_gy / (energy_j_per_ml / (1e-3 * density_g_per_cm3))
    return f"local dose over the closed form: {ratio:.5f}", abs(ratio - 1) < CLOSED_FORM_AGREES


def _check_transport() -> tuple[str, bool]:
    ratio = _dose_in_water("monte-carlo", 200_000)[0] / _dose_in_water("multiple-vsv", 0)[0]
    return f"Monte Carlo over convolution in water: {ratio:.4f}", abs(ratio - 1) < METHODS_AGREE


_TIA_BQ_S_PER_ML = 1e9


def _dose_in_water(method: str, histories: int) -> tuple[float, float]:
    """Mean dose of Lu-177 spread evenly over a small cube of water in air [Gy], and the water's density [g/cm³]."""
    from .dose import DoseOptions, compute_dose

    geometry = VolumeGeometry((12, 12, 12), (4.0, 4.0, 4.0))
    inside = np.zeros(geometry.shape_kji, dtype=bool)
    inside[3:9, 3:9, 3:9] = True
    ct = QuantitativeVolume(np.where(inside, 0, -1000).astype(np.int16), geometry, Quantity.CT_NUMBER)
    values = np.where(inside, _TIA_BQ_S_PER_ML, 0.0)
    tia = QuantitativeVolume(values, geometry, Quantity.TIME_INTEGRATED_ACTIVITY_CONCENTRATION)
    found = compute_dose(ct, tia, "Lu-177", method, (), DoseOptions(histories=histories or None))
    density = float(found.media.density_kji[inside].mean(dtype=np.float64))
    return float(found.dose.array_kji[inside].mean(dtype=np.float64)), density


_CHECKS: dict[str, Callable[[], tuple[str, bool]]] = {
    "decay data": _check_decay_data,
    "curve fit": _check_fit,
    "local dose": _check_local_dose,
    "transport": _check_transport,
}
"""Name to what computes a known answer: the finding in words, and whether it is right."""

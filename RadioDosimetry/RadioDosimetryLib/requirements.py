"""Packages that Slicer does not bundle: installed when they are needed and the user agrees, never at start-up."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from pathlib import Path

RESOURCES_FOLDER = Path(__file__).resolve().parent.parent / "Resources"
REQUIREMENTS_FILE = RESOURCES_FOLDER / "requirements.txt"
LEARNING_REQUIREMENTS_FILE = RESOURCES_FOLDER / "requirements-learning.txt"

TORCH_VERSIONS = ">=2.8,<2.14"
"""Versions of torch that the networks are tested with."""

_NO_TORCH = "PyTorch is not installed; install the extension PyTorch in the Extensions Manager and restart Slicer."


def ensureRequirements(interactive: bool, requester: str = "RadioDosimetry") -> None:
    """Make sure that the packages of `Resources/requirements.txt` are there.

    Parameters
    ----------
    interactive
        Whether the user may be asked to have them installed; in a batch they are not.
    requester
        Who asks, for the dialog.

    Raises
    ------
    MissingDependencyError
        They are missing and were not installed.
    """
    _ensure(REQUIREMENTS_FILE, interactive, requester)


def ensureWithUser() -> None:
    """As `ensureRequirements`, with the question to the user where there is a window to ask in.

    Raises
    ------
    MissingDependencyError
        They are missing and were not installed.
    """
    from slicer.util import mainWindow

    ensureRequirements(interactive=mainWindow() is not None)


def ensureLearning(interactive: bool, requester: str = "RadioDosimetry") -> None:
    """Make sure that networks can run: PyTorch through its extension, then the packages that stand on it.

    Raises
    ------
    MissingDependencyError
        They are missing and were not installed.
    """
    torchModule(interactive)
    _ensure(LEARNING_REQUIREMENTS_FILE, interactive, requester)


def missingTorch() -> str:
    """Why networks cannot run here, nor PyTorch be installed by a click; empty if they can or it can."""
    if any(importlib.util.find_spec(name) is not None for name in ("torch", "PyTorchUtils")):
        return ""
    return _NO_TORCH


def _ensure(file: Path, interactive: bool, requester: str) -> None:
    """Make sure that the packages of a file are there."""
    from radiodosimetry.errors import MissingDependencyError

    missing = missingRequirements(file)
    if not missing:
        return
    advice = f"install them with: pip install {' '.join(missing)}"
    if not interactive:
        raise MissingDependencyError(f"Packages are missing: {', '.join(missing)}; {advice}.")
    try:
        import slicer.packaging
    except ImportError as error:
        raise MissingDependencyError(f"Packages are missing and Slicer 5.12 installs none here; {advice}.") from error
    try:
        slicer.packaging.pip_ensure(slicer.packaging.load_requirements(str(file)), requester=requester)
    except RuntimeError as error:
        raise MissingDependencyError(f"Packages were not installed ({error}); {advice}.") from error
    still = missingRequirements(file)
    if still:
        raise MissingDependencyError(f"Packages are still missing: {', '.join(still)}; restart Slicer, or {advice}.")


def missingRequirements(file: Path | None = None) -> list[str]:
    """The lines of a file of requirements that are not met here; of `Resources/requirements.txt` if None."""
    file = file or REQUIREMENTS_FILE
    try:
        import slicer.packaging

        requirements = slicer.packaging.load_requirements(str(file))
        return [str(line) for line in requirements if not slicer.packaging.pip_check([line])]
    except ImportError:
        return [line for line in requirementLines(file) if not _isMet(line)]


def requirementLines(path: Path) -> list[str]:
    """Requirements of a file, without comments and blank lines."""
    lines = (line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


def torchModule(interactive: bool = True):
    """The module torch, through the PyTorch extension where it has to be installed.

    Raises
    ------
    MissingDependencyError
        torch is not there and was not installed.
    """
    from radiodosimetry.errors import MissingDependencyError

    try:
        import torch

        return torch
    except ImportError:
        pass
    try:
        import PyTorchUtils
    except ImportError as error:
        raise MissingDependencyError(_NO_TORCH) from error
    if not interactive:
        raise MissingDependencyError("PyTorch is not installed; install it with the module PyTorch Utils.")
    torch = PyTorchUtils.PyTorchUtilsLogic().installTorch(askConfirmation=True, torchVersionRequirement=TORCH_VERSIONS)
    if torch is None:
        raise MissingDependencyError("PyTorch was not installed; agree to its installation to use networks.")
    return torch


def _isMet(line: str) -> bool:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        requirement = Requirement(line)
        return requirement.specifier.contains(importlib.metadata.version(requirement.name), prereleases=True)
    except (InvalidRequirement, importlib.metadata.PackageNotFoundError):
        return False

"""`slicer.packaging` for tests: requirements are read and checked for real, and nothing is ever installed."""

from __future__ import annotations

import importlib.metadata
import logging
import tomllib
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

Requirements = str | Requirement | list[str | Requirement]


def load_requirements(path: str | Path) -> list[Requirement]:
    """Requirements of a requirements file; its comments and options are passed over."""
    lines = (line.strip() for line in Path(path).read_text(encoding="utf-8").splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith(("#", "-"))]


def load_pyproject_dependencies(path: str | Path) -> list[Requirement]:
    """Dependencies in the `[project]` table of a pyproject.toml; KeyError when it has no such table."""
    content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    return [Requirement(line) for line in content["project"].get("dependencies", [])]


def pip_check(req: Requirements) -> bool:
    """Whether everything required is installed in a version that suits, extras included."""
    return all(_installed(requirement) for requirement in _as_list(req))


def pip_ensure(
    requirements: Requirements,
    constraints: str | Path | None = None,
    skip_packages: list[str] | None = None,
    prompt_install: bool = True,
    prompt_restart: bool = True,
    requester: str | None = None,
    skip_in_testing: bool = True,
    show_progress: bool = True,
) -> list[str] | None:
    """Install what is missing: under test nothing is, silently, as Slicer does it.

    Raises
    ------
    RuntimeError
        The user declines, or the stand-in would have to install something.
    """
    import slicer

    missing = [requirement for requirement in _as_list(requirements) if not pip_check(requirement)]
    if not missing:
        return None
    if skip_in_testing and slicer.app.testingEnabled():
        logging.info("Testing mode: pip_ensure does not install %s", ", ".join(map(str, missing)))
        return None
    if prompt_install and not slicer.util.confirmOkCancelDisplay(
        f"{len(missing)} Python packages need to be installed.", f"{requester or 'Slicer'} - Install Python Packages"
    ):
        raise RuntimeError("User declined package installation")
    return pip_install([str(requirement) for requirement in missing])


def pip_install(requirements: Any, *arguments: Any, **options: Any) -> list[str] | None:
    """Refused: tests change no environment."""
    raise RuntimeError(f"found pip_install({requirements!r}); the stand-in installs nothing")


def pip_uninstall(requirements: Any, *arguments: Any, **options: Any) -> None:
    """Refused: tests change no environment."""
    raise RuntimeError(f"found pip_uninstall({requirements!r}); the stand-in removes nothing")


def isPipInstallInProgress() -> bool:
    """Whether an installation runs: never."""
    return False


def _as_list(requirements: Requirements) -> list[Requirement]:
    if isinstance(requirements, Requirement):
        return [requirements]
    if isinstance(requirements, str):
        try:
            return [Requirement(requirements)]
        except InvalidRequirement:
            return [Requirement(part) for part in requirements.split()]
    if isinstance(requirements, list):
        return [Requirement(part) if isinstance(part, str) else part for part in requirements]
    raise TypeError(f"Expected str, Requirement, or list, got {type(requirements).__name__}")


def _installed(requirement: Requirement) -> bool:
    if requirement.marker is not None and not requirement.marker.evaluate():
        return True
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return version in requirement.specifier and all(_installed(part) for part in _required_by_extras(requirement))


def _required_by_extras(requirement: Requirement) -> list[Requirement]:
    parts = [Requirement(line) for line in importlib.metadata.requires(requirement.name) or []]
    wanted = [
        part
        for part in parts
        if part.marker is not None and any(part.marker.evaluate({"extra": extra}) for extra in requirement.extras)
    ]
    for part in wanted:
        part.marker = None
    return wanted

"""PyTorch and the libraries around it, loaded when they are first needed, or an error that says what to install."""

from __future__ import annotations

import importlib
import warnings
from types import ModuleType

from ..errors import InputError, MissingDependencyError, extra_advice


class LearningLibraryError(MissingDependencyError, InputError):
    """A learned method was asked for where the library that it runs on is not installed."""


def torch_module() -> ModuleType:
    """PyTorch.

    Raises
    ------
    LearningLibraryError
        PyTorch is not installed, or its installation does not load; the text says what to install.
    """
    return library_module("torch")


def library_module(name: str) -> ModuleType:
    """One of the libraries of the extra `learning`, or a module of one ("monai.inferers").

    Raises
    ------
    LearningLibraryError
        It is not installed, or its installation does not load; the text says what to install.
    """
    try:
        with warnings.catch_warnings():
            # What these libraries say to their own developers while they load.
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", FutureWarning)
            return importlib.import_module(name)
    except (ImportError, OSError) as error:
        library = name.split(".")[0]
        found = "is not installed" if isinstance(error, ModuleNotFoundError) else f"does not load ({error})"
        raise LearningLibraryError(f"{_TITLES.get(library, library)} {found}, and {_advice(library)}") from error


_TITLES = {"torch": "PyTorch", "monai": "MONAI"}


def _advice(library: str) -> str:
    if library == "torch":
        return (
            "learned methods run on it; install the PyTorch extension in 3D Slicer, or torch>=2.8,<2.14 elsewhere "
            f"({extra_advice('learning')})."
        )
    return f"learned methods need it; beside PyTorch {extra_advice('learning')}."

"""The one place that imports PyTomography: says what to install where it is absent, and undoes its side effects."""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..errors import MissingDependencyError, extra_advice

_LOCK = threading.Lock()
_USERS: list[int] = []
_THREADS_BEFORE: list[int] = []
# PyTorch's number of threads belongs to the process: the last of several computations side by side puts it back.


def pytomography_module() -> Any:
    """PyTomography with the parts that reconstruct SPECT, computing on the CPU.

    Its import ignores all warnings and floating-point errors of the whole process from then on; both are put back.

    Raises
    ------
    MissingDependencyError
        PyTomography or PyTorch is not installed.
    """
    before = np.geterr()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pytomography  # type: ignore[import-untyped]
            import pytomography.algorithms  # type: ignore[import-untyped]
            import pytomography.likelihoods  # type: ignore[import-untyped]
            import pytomography.metadata.SPECT  # type: ignore[import-untyped]
            import pytomography.projectors.SPECT  # type: ignore[import-untyped]
    except ImportError as error:
        raise MissingDependencyError(
            f"Simulated scans need PyTomography ({error}); {extra_advice('simulation')}."
        ) from error
    finally:
        np.seterr(**before)
    pytomography.set_device("cpu")
    return pytomography


@contextlib.contextmanager
def one_torch_thread() -> Iterator[None]:
    """Run the block on one thread, which alone makes the sums of a matrix product the same on every machine load.

    Raises
    ------
    MissingDependencyError
        PyTorch is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingDependencyError(
            f"Simulated scans need PyTorch ({error}); {extra_advice('simulation')}."
        ) from error
    with _LOCK:
        if not _USERS:
            _THREADS_BEFORE[:] = [torch.get_num_threads()]
            torch.set_num_threads(1)
        _USERS.append(1)
    try:
        yield
    finally:
        with _LOCK:
            _USERS.pop()
            if not _USERS:
                torch.set_num_threads(_THREADS_BEFORE[0])

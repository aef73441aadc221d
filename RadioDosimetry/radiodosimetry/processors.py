"""How many processor cores this process may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_LIMIT: ContextVar[int | None] = ContextVar("core_limit", default=None)


def core_count() -> int:
    """Cores for threads of a computation: those the system gives this process, fewer inside `limited_cores`."""
    limit = _LIMIT.get()
    try:
        given = len(os.sched_getaffinity(0))
    except AttributeError:  # Windows and macOS
        given = os.cpu_count() or 1
    return given if limit is None else max(min(limit, given), 1)


@contextmanager
def limited_cores(limit: int) -> Iterator[None]:
    """Let computations of the block take at most this many cores each, where several of them share a machine."""
    token = _LIMIT.set(limit)
    try:
        yield
    finally:
        _LIMIT.reset(token)

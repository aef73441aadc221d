"""PythonQt's `connect` for objects that are not widgets: named signals, refused when unknown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from .reports import report


class Signals:
    """An object with signals in the notation of Qt, such as `startupCompleted()`."""

    SIGNALS: ClassVar[frozenset[str]] = frozenset()

    def __init__(self) -> None:
        self._slots: dict[str, list[Callable[..., Any]]] = {}

    def connect(self, signal: str, slot: Callable[..., Any]) -> bool:
        """Call `slot` whenever the signal is emitted; an unknown signal is refused."""
        self._check(signal)
        if not callable(slot):
            raise ValueError(f"found a slot {slot!r} for {signal}, expected something that can be called")
        self._slots.setdefault(signal, []).append(slot)
        return True

    def disconnect(self, signal: str, slot: Callable[..., Any]) -> bool:
        """Undo a connection; False when there was none."""
        self._check(signal)
        slots = self._slots.get(signal, [])
        if slot not in slots:
            return False
        slots.remove(slot)
        return True

    def _emit(self, signal: str, *arguments: Any) -> None:
        """Call the slots; their errors are reported, as Qt does not pass them on."""
        self._check(signal)
        for slot in list(self._slots.get(signal, [])):
            try:
                slot(*arguments)
            except Exception as error:
                report(error)

    def _check(self, signal: str) -> None:
        if signal not in self.SIGNALS:
            raise ValueError(
                f"found the signal {signal!r}, expected one of {type(self).__name__}: {', '.join(sorted(self.SIGNALS))}"
            )

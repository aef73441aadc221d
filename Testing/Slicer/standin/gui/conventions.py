"""PythonQt's view of Qt objects: properties are attributes, signals have signatures, and what a class lacks raises.

Each class that Python code sees is made from a :class:`Table`. Its instances hold the PySide object and let through
only what the table names, so that a panel that works here uses nothing that PythonQt would refuse.
"""

from __future__ import annotations

import enum
import inspect
import operator
import traceback
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import shiboken6
from PySide6.QtCore import QObject

from ..core.reports import report
from .values import ALIASES, isOfType, readProperty, writeProperty


@dataclass(frozen=True)
class Table:
    """What one class offers: properties with their types, methods, signals."""

    name: str
    real: type
    base: str | None
    properties: Mapping[str, str] = field(default_factory=dict)
    """Name to type; a type that ends in `!` cannot be written."""
    methods: Mapping[str, tuple[str, ...] | None] = field(default_factory=dict)
    """Name to the types of the parameters; None where PySide checks them."""
    signals: Mapping[str, str] = field(default_factory=dict)
    """Signature to the name of the PySide signal."""
    isOpen: bool = False
    """Value classes (QSize, QIcon) have methods alone, and all of them may be called."""


TABLES: dict[str, Table] = {}
CLASSES: dict[str, type] = {}


def define(
    name: str, real: type, base: str | None, properties: str = "", methods: str = "", signals: str = "",
    setters: bool = False, isOpen: bool = False,
) -> type:
    """Write down a class and return what Python code sees as it.

    `properties` holds `name:type` words, `methods` either names or `name(type,type?)` words where `?` marks what may
    be left out, `signals` holds signatures, `=name` behind one names the PySide signal where overloads share a name.
    With `setters` every property has its setX method too (Qt's own classes; ctk and qMRML show slots alone).
    """
    propertyTable = dict(word.split(":") for word in properties.split())
    methodTable: dict[str, tuple[str, ...] | None] = {}
    for word in methods.split():
        method, bracket, rest = word.partition("(")
        methodTable[method] = tuple(part for part in rest.rstrip(")").split(",") if part) if bracket else None
    if setters:
        written = (p for p, kind in propertyTable.items() if not kind.endswith("!") and p not in ALIASES)
        methodTable |= {_setterOf(p): None for p in written}
    signalTable = {}
    for word in signals.split():
        signature, _, inner = word.partition("=")
        signalTable[signature] = inner or signature.partition("(")[0]
    table = Table(name, real, base, propertyTable, methodTable, signalTable, isOpen)
    parents = (CLASSES[base],) if base else (PythonQtObject,)
    TABLES[name] = table
    CLASSES[name] = PythonQtType(name, parents, {"_table": table, "__slots__": ()})
    return CLASSES[name]


def _setterOf(propertyName: str) -> str:
    return "set" + propertyName[0].upper() + propertyName[1:]


class EnumValue(int):
    """A Qt enumerator as PythonQt gives it: an int that remembers what it is an enumerator of."""

    enumerator: enum.Enum

    def __new__(cls, real: enum.Enum) -> EnumValue:
        value = int.__new__(cls, real.value)
        value.enumerator = real
        return value

    def _joined(self, other: Any, operation: Callable[[Any, Any], Any]) -> Any:
        if not isinstance(other, int):
            return NotImplemented
        same = other.enumerator if isinstance(other, EnumValue) else type(self.enumerator)(other)
        return EnumValue(operation(self.enumerator, same))

    def __or__(self, other: Any) -> Any:
        return self._joined(other, operator.or_)

    def __and__(self, other: Any) -> Any:
        return self._joined(other, operator.and_)

    def __xor__(self, other: Any) -> Any:
        return self._joined(other, operator.xor)

    def __invert__(self) -> Any:
        return EnumValue(~self.enumerator)

    __ror__, __rand__, __rxor__ = __or__, __and__, __xor__

    def __repr__(self) -> str:
        return f"{type(self.enumerator).__name__}.{self.enumerator.name} ({int(self)})"


def wrap(value: Any) -> Any:
    """What Python code sees of a value that comes from PySide."""
    if isinstance(value, enum.Enum):
        return EnumValue(value)
    if isinstance(value, (list, tuple)):
        return tuple(wrap(item) for item in value)
    if isinstance(value, shiboken6.Object):
        for kind in type(value).__mro__:
            if kind.__name__ in CLASSES:
                return _holding(CLASSES[kind.__name__], value)
        return _holding(define(type(value).__name__, type(value), None, isOpen=True), value)
    return value


def unwrap(value: Any) -> Any:
    """What PySide receives of a value that comes from Python code."""
    if isinstance(value, PythonQtObject):
        return value.real_()
    if isinstance(value, PythonQtType):
        return value._table.real
    if isinstance(value, EnumValue):
        return value.enumerator
    if isinstance(value, (list, tuple)):
        return type(value)(unwrap(item) for item in value)
    if isinstance(value, (types.FunctionType, types.MethodType)):
        return guarded(value, "callback")
    return value


def _holding(kind: type, real: Any) -> Any:
    view = object.__new__(kind)
    object.__setattr__(view, "_real", real)
    return view


def guarded(slot: Callable[..., Any], where: str, parameterCount: int | None = None) -> Callable[..., None]:
    """Call as PythonQt calls slots: surplus arguments are dropped, exceptions are told and swallowed."""
    accepted = _acceptedArguments(slot)

    def call(*arguments: Any) -> None:
        given = arguments if parameterCount is None else arguments[:parameterCount]
        try:
            slot(*(wrap(argument) for argument in given[:accepted]))
        except Exception as error:
            error.add_note(where)
            report(error)
            traceback.print_exception(error)

    # PySide reads the number of parameters off the receiver, and gives one that takes any number the fewest.
    fixed = (lambda: call(), lambda a: call(a), lambda a, b: call(a, b), lambda a, b, c: call(a, b, c),
             lambda a, b, c, d: call(a, b, c, d))  # fmt: skip
    return call if parameterCount is None else fixed[parameterCount]


def _acceptedArguments(slot: Callable[..., Any]) -> int | None:
    """Number of positional arguments of a Python function; None (all are passed) for any other callable."""
    function = getattr(slot, "__func__", slot)
    if not isinstance(function, types.FunctionType) or function.__code__.co_flags & inspect.CO_VARARGS:
        return None
    return function.__code__.co_argcount - (1 if isinstance(slot, types.MethodType) else 0)


class PythonQtType(type):
    """Classes as PythonQt shows them: enumerators and static functions are attributes of the class."""

    _table: Table

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("_") or cls.__dict__.get("_table") is None:
            raise AttributeError(name)
        value = getattr(cls._table.real, name, None)
        if isinstance(value, enum.Enum):
            return EnumValue(value)
        if inspect.isclass(value) and issubclass(value, enum.Enum):
            return types.SimpleNamespace(**{key: EnumValue(item) for key, item in value.__members__.items()})
        if callable(value) and (cls._table.isOpen or _find(cls, "methods", name) is not None):
            if name in WAITS_FOR_A_PERSON.get(cls.__name__, ()):
                return lambda *arguments: _refuseToWait(cls.__name__, name)
            return lambda *arguments: wrap(value(*(unwrap(argument) for argument in arguments)))
        raise AttributeError(f"type object '{cls.__name__}' has no attribute '{name}' (PythonQt shows none)")


def _find(cls: type, kind: str, name: str) -> tuple[Any] | None:
    """Entry of the table of the class or of the nearest of its bases, in a tuple."""
    for part in cls.__mro__:
        table = part.__dict__.get("_table")
        if table is not None and name in getattr(table, kind):
            return (getattr(table, kind)[name],)
    return None


WAITS_FOR_A_PERSON = {
    "QFileDialog": ("getExistingDirectory", "getOpenFileName", "getOpenFileNames", "getSaveFileName"),
    "QMessageBox": ("information", "warning", "critical", "question", "about"),
}
"""Static functions that open a window and wait; a test replaces them by the answer it wants to give."""


def _refuseToWait(className: str, name: str) -> None:
    raise RuntimeError(f"{className}.{name} would wait for a person: replace it in the test by the person's answer")


_CONNECTIONS: dict[int, list[tuple[str, Any, Any]]] = {}
"""Per C++ object: signature, the callable that Python code gave, the guarded one that PySide has."""


class PythonQtObject(metaclass=PythonQtType):
    """One Qt object as PythonQt shows it."""

    __slots__ = ("__weakref__", "_real")
    _table: Table | None = None

    def __init__(self, *arguments: Any, **named: Any) -> None:
        if named:
            raise TypeError(f"{type(self).__name__}() takes no named arguments in PythonQt: {', '.join(named)}")
        if type(self)._table is None or "_table" not in type(self).__dict__:
            raise TypeError(f"the stand-in has no classes derived in Python: {type(self).__name__}")
        real = type(self)._table.real(*(unwrap(argument) for argument in arguments))
        object.__setattr__(self, "_real", real)

    def real_(self) -> Any:
        """The PySide object; for the stand-in itself."""
        if isinstance(self._real, QObject) and not shiboken6.isValid(self._real):
            raise RuntimeError(f"Trying to use a destroyed {type(self).__name__} object")
        return self._real

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PythonQtObject):
            return False
        if isinstance(self._real, QObject):
            return self._real is other._real
        return bool(self._real == other._real)

    def __hash__(self) -> int:
        return hash(id(self._real)) if isinstance(self._real, QObject) else hash(self._real)

    def __bool__(self) -> bool:
        return not isinstance(self._real, QObject) or shiboken6.isValid(self._real)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} seen through the stand-in>"

    def __getattr__(self, name: str) -> Any:
        if name == "_real" or (name.startswith("__") and name.endswith("__")):
            raise AttributeError(name)
        found = _find(type(self), "properties", name)
        if found is not None:
            return wrap(readProperty(self.real_(), name))
        if any(signature.partition("(")[0] == name for signature in _signals(type(self))):
            return Signal(self, name)
        found = _find(type(self), "methods", name)
        if found is not None:
            return _Method(self, name, found[0])
        if type(self)._table.isOpen and callable(getattr(self._real, name, None)):
            return _Method(self, name, None)
        try:
            return getattr(type(self), name)
        except AttributeError:
            raise AttributeError(f"{type(self).__name__} has no attribute named '{name}'") from None

    def __setattr__(self, name: str, value: Any) -> None:
        found = _find(type(self), "properties", name)
        if found is None:
            raise AttributeError(f"'{name}' does not exist on {type(self).__name__} and can not be assigned to")
        if found[0].endswith("!"):
            raise AttributeError(f"Property '{name}' of {type(self).__name__} is not writable")
        if not isOfType(value, found[0]):
            raise ValueError(
                f"Property '{name}' of type '{found[0]}' does not accept an object of type "
                f"{type(value).__name__} ({value!r})"
            )
        writeProperty(self.real_(), name, unwrap(value))

    def className(self) -> str:
        """Name of the class."""
        return type(self).__name__

    def connect(self, signature: str, receiver: Any, slot: str | None = None) -> bool:
        """Call `receiver` (or its slot of that signature) whenever the signal is sent."""
        if slot is not None:
            receiver = getattr(receiver, slot.partition("(")[0])
        if not callable(receiver):
            raise TypeError(f"{type(self).__name__}.connect: {receiver!r} cannot be called")
        normal = normalized(signature)
        known = _signals(type(self))
        if normal not in known:
            near = ", ".join(sorted(known))
            raise ValueError(f"{type(self).__name__} has no signal '{signature}'; it has {near}")
        if isinstance(receiver, _Method):
            receiver._dropSurplus = True
        parameters = normal.partition("(")[2].rstrip(")")
        count = len(parameters.split(",")) if parameters else 0
        inner = guarded(receiver, f"slot of {type(self).__name__}.{normal}", count)
        getattr(self.real_(), known[normal]).connect(inner)
        pointer = shiboken6.getCppPointer(self._real)[0]
        if pointer not in _CONNECTIONS:
            self._real.destroyed.connect(lambda *_: _CONNECTIONS.pop(pointer, None))
        _CONNECTIONS.setdefault(pointer, []).append((normal, receiver, inner))
        return True

    def disconnect(self, signature: str, receiver: Any, slot: str | None = None) -> bool:
        """Undo :meth:`connect`."""
        if slot is not None:
            receiver = getattr(receiver, slot.partition("(")[0])
        normal = normalized(signature)
        connections = _CONNECTIONS.get(shiboken6.getCppPointer(self.real_())[0], [])
        for entry in connections:
            if entry[0] == normal and entry[1] == receiver:
                getattr(self._real, _signals(type(self))[normal]).disconnect(entry[2])
                connections.remove(entry)
                return True
        return False


class _Method:
    """A method or slot of one object."""

    def __init__(self, owner: PythonQtObject, name: str, parameters: tuple[str, ...] | None) -> None:
        self._owner, self._name, self._parameters, self._dropSurplus = owner, name, parameters, False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Method) and (self._owner, self._name) == (other._owner, other._name)

    def __hash__(self) -> int:
        return hash((self._owner, self._name))

    def __call__(self, *arguments: Any) -> Any:
        where = f"{type(self._owner).__name__}.{self._name}"
        if self._parameters is not None:
            if self._dropSurplus:
                arguments = arguments[: len(self._parameters)]
            required = [kind for kind in self._parameters if not kind.endswith("?")]
            fits = len(required) <= len(arguments) <= len(self._parameters) and all(
                isOfType(argument, kind) for argument, kind in zip(arguments, self._parameters, strict=False)
            )
            if not fits:
                raise ValueError(
                    f"Could not find matching overload for given arguments: {where}({', '.join(self._parameters)}) "
                    f"called with {arguments!r}"
                )
        elif self._dropSurplus and not _fitsPySide(self._owner, self._name, arguments):
            arguments = ()
        if self._name == "exec_" and isinstance(self._owner, (CLASSES["QDialog"], CLASSES["QMenu"])):
            _refuseToWait(type(self._owner).__name__, self._name)
        method = getattr(self._owner.real_(), self._name)
        return wrap(method(*(unwrap(argument) for argument in arguments)))


def _fitsPySide(owner: PythonQtObject, name: str, arguments: tuple[Any, ...]) -> bool:
    """Whether a slot named after its property's setter takes what a signal brings: setX takes it, close() does not."""
    return name.startswith("set") and len(arguments) == 1


class Signal:
    """`widget.valueChanged`, for `widget.valueChanged.connect(f)`; the first overload of the name."""

    def __init__(self, owner: PythonQtObject, name: str) -> None:
        self._owner = owner
        candidates = [known for known in _signals(type(owner)) if known.partition("(")[0] == name]
        self._signature = max(candidates, key=lambda signature: not signature.endswith("()"))

    def connect(self, receiver: Any) -> bool:
        """See :meth:`PythonQtObject.connect`."""
        return self._owner.connect(self._signature, receiver)

    def disconnect(self, receiver: Any) -> bool:
        """See :meth:`PythonQtObject.disconnect`."""
        return self._owner.disconnect(self._signature, receiver)

    def emit(self, *arguments: Any) -> None:
        """Send the signal."""
        getattr(self._owner.real_(), _signals(type(self._owner))[self._signature]).emit(*map(unwrap, arguments))


def _signals(cls: type) -> dict[str, str]:
    known: dict[str, str] = {}
    for part in reversed(cls.__mro__):
        table = part.__dict__.get("_table")
        if table is not None:
            known |= table.signals
    return known


def normalized(signature: str) -> str:
    """A signature as Qt's moc normalises it: no blanks, no `const …&`."""
    return signature.replace("const ", "").replace("&", "").replace(" ", "")

"""Several parameters in one: classes made by `@parameterPack`."""

from __future__ import annotations

import typing
from dataclasses import dataclass
from typing import Any

from .serializers import Serializer, ValidatedSerializer, createSerializer, nodeModify, parameterNodeSerializer
from .typing_tools import extractDefault, splitAnnotations, splitDottedName, unannotatedType
from .validators import IsInstance, NotNone


@dataclass
class ParameterInfo:
    """What a class says of one parameter."""

    basename: str
    serializer: ValidatedSerializer
    default: Any
    unalteredType: Any


def isParameterPack(obj: Any) -> bool:
    """Whether a class or object was made by `@parameterPack`."""
    return bool(getattr(obj, "_is_parameterPack", False))


def nestedParameterNames(pack: Any) -> list[str]:
    """Dotted names of all parameters of a pack."""
    names = []
    for name, info in unannotatedType(pack).allParameters.items():
        inner = unannotatedType(info.unalteredType)
        names += [f"{name}.{part}" for part in nestedParameterNames(inner)] if isParameterPack(inner) else [name]
    return names


def parameterPack(classtype: Any = None) -> Any:
    """Class decorator: the annotated members become checked parameters that are saved together."""
    if classtype is None:
        return parameterPack
    members = typing.get_type_hints(classtype, include_extras=True)
    if not members:
        raise ValueError("Unable to find any members in parameterPack")
    parameters = {name: _parameter(classtype, name, hint) for name, hint in members.items()}
    reserved = {"allParameters", "_is_parameterPack", "getValue", "setValue", "dataType"}
    for name in sorted(
        reserved | {_place(part) for part in members} | {f"_parameterPack_{p}_serializer" for p in members}
    ):
        if hasattr(classtype, name) or name in members:
            raise ValueError(f"Cannot use reserved name '{name}' in a parameterPack")
    for name, info in parameters.items():
        setattr(classtype, name, _checked_property(info))
    own_start = classtype.__dict__.get("__init__")
    classtype.allParameters = parameters
    classtype._is_parameterPack = True
    classtype.__init__ = _start_method(own_start)
    classtype.getValue = _getValue
    classtype.setValue = _setValue
    classtype.__setattr__ = _set
    classtype.dataType = staticmethod(lambda name: _dataType(classtype, name))
    for name, method in (("__eq__", _equal), ("__repr__", _text), ("__str__", _text)):
        if name not in classtype.__dict__:
            setattr(classtype, name, method)
    return classtype


def checkMember(pack: Any, name: str) -> None:
    """Raise ValueError for a dotted name that a pack does not have."""
    top, rest = splitDottedName(name)
    if not hasattr(pack, top):
        raise ValueError(f"{pack} has no member '{top}'")
    if rest is not None:
        inner = unannotatedType(pack.allParameters[top].unalteredType)
        if not isParameterPack(inner):
            raise ValueError(f"{inner} is not a parameter pack but expects to have '{rest}'")
        checkMember(inner, rest)


def _parameter(classtype: Any, name: str, hint: Any) -> ParameterInfo:
    bare, annotations = splitAnnotations(hint)
    serializer, others = createSerializer(bare, annotations)
    default, _ = extractDefault(others)
    if name in classtype.__dict__:
        value = classtype.__dict__[name]
    else:
        value = default.value if default is not None else serializer.default()
    try:
        serializer.validate(value)
    except Exception as error:
        raise ValueError(f"The default parameter of '{value}' fails the validation checks:\n  {error}") from error
    return ParameterInfo(name, serializer, value, hint)


def _place(name: str) -> str:
    return f"_parameterPack_{name}_impl"


def _checked_property(info: ParameterInfo) -> property:
    def write(self: Any, value: Any) -> None:
        info.serializer.validate(value)
        object.__setattr__(self, _place(info.basename), value)
        save = self.__dict__.get("_save")
        if save is not None:
            save(self)

    return property(lambda self: getattr(self, _place(info.basename)), write)


def _start_method(own: Any) -> Any:
    """`__init__`: defaults, then the class's own, or values by position and name."""

    def start(self: Any, *args: Any, **kwargs: Any) -> None:
        for name, info in self.allParameters.items():
            object.__setattr__(self, _place(name), info.default)
        if own is not None:
            own(self, *args, **kwargs)
            return
        names = list(self.allParameters)
        if len(args) > len(names):
            raise TypeError(f"found {len(args)} values for {type(self).__name__}, expected at most {len(names)}")
        given = dict(zip(names, args, strict=False))
        for name, value in kwargs.items():
            if name not in names:
                raise TypeError(f"__init__() got an unexpected keyword argument '{name}'")
            if name in given:
                raise TypeError(f"__init__() got multiple values for argument '{name}'")
            given[name] = value
        for name, value in given.items():
            setattr(self, name, value)

    return start


def _set(self: Any, name: str, value: Any) -> None:
    """Change an attribute; a pack that was read from a node takes no new ones."""
    if "_save" in self.__dict__ and not hasattr(self, name):
        raise AttributeError(f"'{type(self).__name__}' has no attribute '{name}' and attributes cannot be added")
    object.__setattr__(self, name, value)


def _getValue(self: Any, membername: str) -> Any:
    """Value of a parameter by its dotted name."""
    checkMember(self, membername)
    top, rest = splitDottedName(membername)
    value = getattr(self, top)
    return value if rest is None else value.getValue(rest)


def _setValue(self: Any, membername: str, value: Any) -> None:
    """Change a parameter by its dotted name."""
    checkMember(self, membername)
    top, rest = splitDottedName(membername)
    if rest is None:
        setattr(self, top, value)
    else:
        getattr(self, top).setValue(rest, value)
        save = self.__dict__.get("_save")
        if save is not None:
            save(self)


def _dataType(pack: Any, membername: str) -> Any:
    """Type of a parameter by its dotted name."""
    checkMember(pack, membername)
    top, rest = splitDottedName(membername)
    hint = pack.allParameters[top].unalteredType
    return hint if rest is None else _dataType(unannotatedType(hint), rest)


def _equal(self: Any, other: object) -> bool:
    return type(self) is type(other) and all(
        getattr(self, _place(name)) == getattr(other, _place(name)) for name in self.allParameters
    )


def _text(self: Any) -> str:
    values = ", ".join(f"{name}={getattr(self, _place(name))!r}" for name in self.allParameters)
    return f"{type(self).__name__}({values})"


@parameterNodeSerializer
class ParameterPackSerializer(Serializer):
    """Packs: each parameter in `name.<parameter>`; a pack that was read writes its changes back."""

    def __init__(self, type_: Any) -> None:
        self.type = type_

    @staticmethod
    def canSerialize(type_: Any) -> bool:
        return isParameterPack(type_)

    @staticmethod
    def create(type_: Any) -> Any:
        return ValidatedSerializer(ParameterPackSerializer(type_), [NotNone(), IsInstance(type_)])

    def default(self) -> Any:
        return self.type()

    def isIn(self, parameterNode: Any, name: str) -> bool:
        first = next(iter(self.type.allParameters.values()))
        return first.serializer.isIn(parameterNode, f"{name}.{first.basename}")

    def write(self, parameterNode: Any, name: str, value: Any) -> None:
        with nodeModify(parameterNode):
            for part, info in self.type.allParameters.items():
                info.serializer.write(parameterNode, f"{name}.{part}", getattr(value, _place(part)))

    def read(self, parameterNode: Any, name: str) -> Any:
        pack = self.type.__new__(self.type)
        for part, info in self.type.allParameters.items():
            object.__setattr__(pack, _place(part), info.serializer.read(parameterNode, f"{name}.{part}"))
        object.__setattr__(pack, "_save", lambda changed: self.write(parameterNode, name, changed))
        return pack

    def remove(self, parameterNode: Any, name: str) -> None:
        for part, info in self.type.allParameters.items():
            info.serializer.remove(parameterNode, f"{name}.{part}")

    def supportsCaching(self) -> bool:
        return all(info.serializer.supportsCaching() for info in self.type.allParameters.values())


@parameterPack
class FloatRange:
    """A range of numbers; its lower end is never above its upper end."""

    _minimum: float
    _maximum: float

    def __init__(self, minimum: float = 0, maximum: float = 0) -> None:
        self.setRange(minimum, maximum)

    @property
    def minimum(self) -> float:
        """Lower end."""
        return self._minimum

    @minimum.setter
    def minimum(self, value: float) -> None:
        self.setRange(value, self._maximum)

    @property
    def maximum(self) -> float:
        """Upper end."""
        return self._maximum

    @maximum.setter
    def maximum(self, value: float) -> None:
        self.setRange(self._minimum, value)

    def setRange(self, minimum: float, maximum: float) -> None:
        """Change both ends."""
        if not minimum <= maximum:
            raise ValueError(f"FloatRange must have minimum <= maximum: {minimum} <= {maximum}")
        self._minimum = minimum
        self._maximum = maximum

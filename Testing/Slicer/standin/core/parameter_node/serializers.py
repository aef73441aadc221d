"""How single values are written into a parameter node, in the form in which Slicer saves them in scenes."""

from __future__ import annotations

import abc
import enum
import pathlib
from typing import Any

import slicer

from .typing_tools import isNodeType, splitAnnotations
from .validators import IsInstance, IsNone, NotNone, Validator, extractValidators

_registered: list[type[Serializer]] = []


class Serializer(abc.ABC):
    """Reads and writes values of one type in a parameter node."""

    @staticmethod
    @abc.abstractmethod
    def canSerialize(type_: Any) -> bool:
        """Whether the class is meant for a type."""

    @staticmethod
    @abc.abstractmethod
    def create(type_: Any) -> Any:
        """Serializer of a type, None when the class is not meant for it."""

    @abc.abstractmethod
    def default(self) -> Any:
        """Value of a parameter for which no default was given."""

    @abc.abstractmethod
    def isIn(self, parameterNode: Any, name: str) -> bool:
        """Whether the node holds the parameter."""

    @abc.abstractmethod
    def write(self, parameterNode: Any, name: str, value: Any) -> None:
        """Put a value into the node."""

    @abc.abstractmethod
    def read(self, parameterNode: Any, name: str) -> Any:
        """Value in the node."""

    @abc.abstractmethod
    def remove(self, parameterNode: Any, name: str) -> None:
        """Take the parameter out of the node."""

    def supportsCaching(self) -> bool:
        """Whether a value that was read may be kept until the node changes."""
        return False


class ValidatedSerializer(Serializer):
    """A serializer that first asks validators."""

    def __init__(self, serializer: Serializer, validators: list[Validator] | None) -> None:
        nested = isinstance(serializer, ValidatedSerializer)
        self.serializer: Serializer = serializer.serializer if nested else serializer  # type: ignore[attr-defined]
        self.validators = (serializer.validators if nested else []) + list(validators or [])  # type: ignore[attr-defined]

    @staticmethod
    def canSerialize(type_: Any) -> bool:
        return False

    @staticmethod
    def create(type_: Any) -> Any:
        raise TypeError("a ValidatedSerializer is made from another serializer")

    def default(self) -> Any:
        return self.serializer.default()

    def isIn(self, parameterNode: Any, name: str) -> bool:
        return self.serializer.isIn(parameterNode, name)

    def validate(self, value: Any) -> None:
        """Raise for a value that one of the validators refuses."""
        for validator in self.validators:
            validator.validate(value)

    def write(self, parameterNode: Any, name: str, value: Any) -> None:
        self.validate(value)
        self.serializer.write(parameterNode, name, value)

    def read(self, parameterNode: Any, name: str) -> Any:
        return self.serializer.read(parameterNode, name)

    def remove(self, parameterNode: Any, name: str) -> None:
        self.serializer.remove(parameterNode, name)

    def supportsCaching(self) -> bool:
        return self.serializer.supportsCaching()


def parameterNodeSerializer(classtype: Any = None) -> Any:
    """Class decorator: make a serializer known."""
    if classtype is None:
        return parameterNodeSerializer
    if not issubclass(classtype, Serializer):
        raise TypeError(f"found {classtype}, expected a Serializer")
    _registered.append(classtype)
    return classtype


def createSerializer(type_: Any, annotations: Any) -> tuple[ValidatedSerializer, list[Any]]:
    """Serializer of a type with the validators among its annotations, and the other annotations."""
    validators, others = extractValidators(annotations)
    own = [item for item in others if isinstance(item, Serializer)]
    others = [item for item in others if not isinstance(item, Serializer)]
    if len(own) > 1:
        raise ValueError(f"found {len(own)} serializers among the annotations, expected one")
    return ValidatedSerializer(own[0] if own else _for_type(type_), validators), others


def serializerOf(annotatedType: Any) -> ValidatedSerializer:
    """Serializer of a type that may carry annotations."""
    return createSerializer(*splitAnnotations(annotatedType))[0]


def _for_type(type_: Any) -> Serializer:
    maker = next((known for known in _registered if known.canSerialize(type_)), None)
    if maker is None:
        raise TypeError(f"Unable to create serializer for type: {type_}")
    return maker.create(type_)


class _Text(Serializer):
    """What values that are one text have in common."""

    def isIn(self, parameterNode: Any, name: str) -> bool:
        return bool(parameterNode.HasParameter(name))

    def write(self, parameterNode: Any, name: str, value: Any) -> None:
        parameterNode.SetParameter(name, str(value))

    def remove(self, parameterNode: Any, name: str) -> None:
        parameterNode.UnsetParameter(name)

    def supportsCaching(self) -> bool:
        return True


@parameterNodeSerializer
class NumberSerializer(_Text):
    """int and float."""

    def __init__(self, type_: type) -> None:
        self.type = type_

    @staticmethod
    def canSerialize(type_: Any) -> bool:
        return type_ in (int, float)

    @staticmethod
    def create(type_: Any) -> Any:
        return ValidatedSerializer(
            NumberSerializer(type_), [NotNone(), IsInstance((int, float) if type_ is float else int)]
        )

    def default(self) -> Any:
        return 0

    def read(self, parameterNode: Any, name: str) -> Any:
        return self.type(parameterNode.GetParameter(name))


@parameterNodeSerializer
class StringSerializer(_Text):
    """str."""

    @staticmethod
    def canSerialize(type_: Any) -> bool:
        return type_ is str

    @staticmethod
    def create(type_: Any) -> Any:
        return ValidatedSerializer(StringSerializer(), [NotNone(), IsInstance(str)])

    def default(self) -> Any:
        return ""

    def read(self, parameterNode: Any, name: str) -> Any:
        return parameterNode.GetParameter(name)


@parameterNodeSerializer
class PathSerializer(_Text):
    """Paths of pathlib."""

    _TYPES = (
        pathlib.Path,
        pathlib.PosixPath,
        pathlib.WindowsPath,
        pathlib.PurePath,
        pathlib.PurePosixPath,
        pathlib.PureWindowsPath,
    )

    def __init__(self, type_: type) -> None:
        self.type = type_

    @staticmethod
    def canSerialize(type_: Any) -> bool:
        return type_ in PathSerializer._TYPES

    @staticmethod
    def create(type_: Any) -> Any:
        return ValidatedSerializer(PathSerializer(type_), [NotNone(), IsInstance(type_)])

    def default(self) -> Any:
        return self.type()

    def read(self, parameterNode: Any, name: str) -> Any:
        return self.type(parameterNode.GetParameter(name))


@parameterNodeSerializer
class BoolSerializer(_Text):
    """bool."""

    @staticmethod
    def canSerialize(type_: Any) -> bool:
        return type_ is bool

    @staticmethod
    def create(type_: Any) -> Any:
        return ValidatedSerializer(BoolSerializer(), [NotNone(), IsInstance(bool)])

    def default(self) -> Any:
        return False

    def write(self, parameterNode: Any, name: str, value: Any) -> None:
        parameterNode.SetParameter(name, "True" if value else "False")

    def read(self, parameterNode: Any, name: str) -> Any:
        return parameterNode.GetParameter(name) == "True"


@parameterNodeSerializer
class NodeSerializer(_Text):
    """MRML nodes: a reference, so that it survives saving and renaming."""

    @staticmethod
    def canSerialize(type_: Any) -> bool:
        return isNodeType(type_)

    @staticmethod
    def create(type_: Any) -> Any:
        return ValidatedSerializer(NodeSerializer(), [IsInstance(type_)])

    def default(self) -> Any:
        return None

    def write(self, parameterNode: Any, name: str, value: Any) -> None:
        parameterNode.SetParameter(name, "")
        parameterNode.SetNodeReferenceID(name, value.GetID() if value is not None else None)

    def read(self, parameterNode: Any, name: str) -> Any:
        return parameterNode.GetNodeReference(name)

    def remove(self, parameterNode: Any, name: str) -> None:
        parameterNode.UnsetParameter(name)
        parameterNode.RemoveNodeReferenceIDs(name)


@parameterNodeSerializer
class EnumSerializer(_Text):
    """Enumerations, by the name of the member."""

    def __init__(self, enumeration: type[enum.Enum]) -> None:
        if len(enumeration) == 0:
            raise ValueError("Cannot serialize empty Enum.")
        self.enum = enumeration

    @staticmethod
    def canSerialize(type_: Any) -> bool:
        return isinstance(type_, type) and issubclass(type_, enum.Enum)

    @staticmethod
    def create(type_: Any) -> Any:
        return ValidatedSerializer(EnumSerializer(type_), [IsInstance(type_)])

    def default(self) -> Any:
        return next(iter(self.enum))

    def write(self, parameterNode: Any, name: str, value: Any) -> None:
        parameterNode.SetParameter(name, value.name)

    def read(self, parameterNode: Any, name: str) -> Any:
        saved = parameterNode.GetParameter(name)
        if saved not in self.enum.__members__:
            raise ValueError(f"Found {saved!r} in parameter node but it is not a name in {self.enum!r}")
        return self.enum[saved]


@parameterNodeSerializer
class NoneSerializer(_Text):
    """None, for optional values."""

    @staticmethod
    def canSerialize(type_: Any) -> bool:
        return type_ is type(None)

    @staticmethod
    def create(type_: Any) -> Any:
        return ValidatedSerializer(NoneSerializer(), [IsNone()])

    def default(self) -> Any:
        return None

    def write(self, parameterNode: Any, name: str, value: Any) -> None:
        parameterNode.SetParameter(name, "True")

    def read(self, parameterNode: Any, name: str) -> Any:
        return None


def nodeModify(parameterNode: Any) -> Any:
    """Context in which several changes of a node make one event."""
    return slicer.util.NodeModify(parameterNode)

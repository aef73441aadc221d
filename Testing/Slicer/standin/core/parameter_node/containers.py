"""Lists, tuples, dictionaries and alternatives; a list or dictionary that was read writes its changes back."""

from __future__ import annotations

import collections.abc
import importlib
import typing
from collections.abc import Callable, Iterator
from typing import Any

from .serializers import (
    NoneSerializer,
    NumberSerializer,
    Serializer,
    StringSerializer,
    ValidatedSerializer,
    nodeModify,
    parameterNodeSerializer,
    serializerOf,
)
from .typing_tools import unionMembers


class ObservedList(collections.abc.MutableSequence[Any]):
    """A list whose changes go straight into the parameter node."""

    def __init__(self, values: list[Any], save: Callable[[list[Any]], list[Any]]) -> None:
        self._values = values
        self._save = save

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, index: Any) -> Any:
        return self._values[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        self._change(lambda values: values.__setitem__(index, value))

    def __delitem__(self, index: Any) -> None:
        self._change(lambda values: values.__delitem__(index))

    def insert(self, index: int, value: Any) -> None:
        """Put a value in front of another."""
        self._change(lambda values: values.insert(index, value))

    def extend(self, values: Any) -> None:
        """Add several values, or none when one of them is refused."""
        self._change(lambda own: own.extend(values))

    def clear(self) -> None:
        """Remove all values."""
        self._change(lambda own: own.clear())

    def reverse(self) -> None:
        """Turn the order round."""
        self._change(lambda own: own.reverse())

    def sort(self, *args: Any, **kwargs: Any) -> None:
        """Sort the values."""
        self._change(lambda own: own.sort(*args, **kwargs))

    def __iadd__(self, values: Any) -> ObservedList:
        self.extend(values)
        return self

    def __imul__(self, times: int) -> ObservedList:
        self._change(lambda own: own.__imul__(times))
        return self

    def __eq__(self, other: object) -> bool:
        return self._values == (other._values if isinstance(other, ObservedList) else other)

    def __repr__(self) -> str:
        return f"ObservedList({self._values})"

    def __add__(self, other: object) -> Any:
        raise NotImplementedError("Adding an ObservedList is not supported. However, += is supported.")

    __radd__ = __mul__ = __rmul__ = __add__

    def _change(self, change: Callable[[list[Any]], Any]) -> None:
        values = list(self._values)
        change(values)
        self._values = self._save(values)


class ObservedDict(collections.abc.MutableMapping[Any, Any]):
    """A dictionary whose changes go straight into the parameter node."""

    def __init__(self, values: dict[Any, Any], save: Callable[[dict[Any, Any]], dict[Any, Any]]) -> None:
        self._values = values
        self._save = save

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def __getitem__(self, key: Any) -> Any:
        return self._values[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self._values = self._save({**self._values, key: value})

    def __delitem__(self, key: Any) -> None:
        if key not in self._values:
            raise KeyError(key)
        self._values = self._save({name: value for name, value in self._values.items() if name != key})

    def popitem(self) -> tuple[Any, Any]:
        """Remove the last item."""
        key = next(reversed(self._values))
        return key, self.pop(key)

    def clear(self) -> None:
        """Remove all items."""
        self._values = self._save({})

    def __eq__(self, other: object) -> bool:
        return self._values == (other._values if isinstance(other, ObservedDict) else other)

    def __repr__(self) -> str:
        return f"ObservedDict({self._values})"


@parameterNodeSerializer
class ListSerializer(Serializer):
    """Lists: their length in `name.len`, the items in `name.0` and so on."""

    def __init__(self, element: Serializer) -> None:
        self._element = element
        self._length = NumberSerializer(int)

    @staticmethod
    def canSerialize(type_: Any) -> bool:
        return type_ is list or typing.get_origin(type_) is list

    @staticmethod
    def create(type_: Any) -> Any:
        return ListSerializer(serializerOf((typing.get_args(type_) or (Any,))[0]))

    def default(self) -> Any:
        return []

    def isIn(self, parameterNode: Any, name: str) -> bool:
        return self._length.isIn(parameterNode, f"{name}.len")

    def write(self, parameterNode: Any, name: str, value: Any) -> None:
        before = list(self.read(parameterNode, name)) if self.isIn(parameterNode, name) else None
        with nodeModify(parameterNode):
            try:
                self._write_items(parameterNode, name, list(value))
            except Exception:
                self.remove(parameterNode, name)
                if before is not None:
                    self._write_items(parameterNode, name, before)
                raise

    def read(self, parameterNode: Any, name: str) -> Any:
        def save(values: list[Any]) -> list[Any]:
            self.write(parameterNode, name, values)
            return self._read_items(parameterNode, name)

        return ObservedList(self._read_items(parameterNode, name), save)

    def remove(self, parameterNode: Any, name: str) -> None:
        with nodeModify(parameterNode):
            for index in range(self._count(parameterNode, name)):
                self._element.remove(parameterNode, f"{name}.{index}")
            self._length.remove(parameterNode, f"{name}.len")

    def supportsCaching(self) -> bool:
        return self._element.supportsCaching()

    def _count(self, parameterNode: Any, name: str) -> int:
        return int(self._length.read(parameterNode, f"{name}.len")) if self.isIn(parameterNode, name) else 0

    def _read_items(self, parameterNode: Any, name: str) -> list[Any]:
        count = self._count(parameterNode, name)
        return [self._element.read(parameterNode, f"{name}.{index}") for index in range(count)]

    def _write_items(self, parameterNode: Any, name: str, values: list[Any]) -> None:
        before = self._count(parameterNode, name)
        for index, value in enumerate(values):
            self._element.write(parameterNode, f"{name}.{index}", value)
        self._length.write(parameterNode, f"{name}.len", len(values))
        for index in range(len(values), before):
            self._element.remove(parameterNode, f"{name}.{index}")


@parameterNodeSerializer
class TupleSerializer(Serializer):
    """Tuples of a fixed length."""

    def __init__(self, elements: list[Serializer]) -> None:
        self._elements = elements

    @staticmethod
    def canSerialize(type_: Any) -> bool:
        return typing.get_origin(type_) is tuple

    @staticmethod
    def create(type_: Any) -> Any:
        return TupleSerializer([serializerOf(argument) for argument in typing.get_args(type_)])

    def default(self) -> Any:
        return tuple(element.default() for element in self._elements)

    def isIn(self, parameterNode: Any, name: str) -> bool:
        return self._elements[0].isIn(parameterNode, f"{name}.0")

    def write(self, parameterNode: Any, name: str, value: Any) -> None:
        values = tuple(value)
        if len(values) != len(self._elements):
            raise ValueError(f"found {len(values)} values for {name}, expected {len(self._elements)}")
        with nodeModify(parameterNode):
            for index, (item, element) in enumerate(zip(values, self._elements, strict=True)):
                element.write(parameterNode, f"{name}.{index}", item)

    def read(self, parameterNode: Any, name: str) -> Any:
        return tuple(element.read(parameterNode, f"{name}.{index}") for index, element in enumerate(self._elements))

    def remove(self, parameterNode: Any, name: str) -> None:
        with nodeModify(parameterNode):
            for index, element in enumerate(self._elements):
                element.remove(parameterNode, f"{name}.{index}")

    def supportsCaching(self) -> bool:
        return all(element.supportsCaching() for element in self._elements)


@parameterNodeSerializer
class DictSerializer(Serializer):
    """Dictionaries: a list of pairs, which keeps their order."""

    def __init__(self, key: Serializer, value: Serializer) -> None:
        self._pairs = ListSerializer(TupleSerializer([key, value]))

    @staticmethod
    def canSerialize(type_: Any) -> bool:
        return type_ is dict or typing.get_origin(type_) is dict

    @staticmethod
    def create(type_: Any) -> Any:
        key, value = typing.get_args(type_) or (Any, Any)
        return DictSerializer(serializerOf(key), serializerOf(value))

    def default(self) -> Any:
        return {}

    def isIn(self, parameterNode: Any, name: str) -> bool:
        return self._pairs.isIn(parameterNode, name)

    def write(self, parameterNode: Any, name: str, value: Any) -> None:
        self._pairs.write(parameterNode, name, value.items())

    def read(self, parameterNode: Any, name: str) -> Any:
        def save(values: dict[Any, Any]) -> dict[Any, Any]:
            self.write(parameterNode, name, values)
            return dict(self._pairs.read(parameterNode, name))

        return ObservedDict(dict(self._pairs.read(parameterNode, name)), save)

    def remove(self, parameterNode: Any, name: str) -> None:
        self._pairs.remove(parameterNode, name)

    def supportsCaching(self) -> bool:
        return self._pairs.supportsCaching()


@parameterNodeSerializer
class UnionSerializer(Serializer):
    """One of several types: the value lies in `name.<index of its type>`."""

    def __init__(self, choices: list[Any]) -> None:
        self._choices = [ValidatedSerializer(choice, []) for choice in choices]

    @staticmethod
    def canSerialize(type_: Any) -> bool:
        return bool(unionMembers(type_))

    @staticmethod
    def create(type_: Any) -> Any:
        return UnionSerializer([serializerOf(member) for member in unionMembers(type_)])

    def default(self) -> Any:
        if len(self._choices) == 2 and isinstance(self._choices[1].serializer, NoneSerializer):
            return None
        return self._choices[0].default()

    def isIn(self, parameterNode: Any, name: str) -> bool:
        return self._written(parameterNode, name) is not None

    def write(self, parameterNode: Any, name: str, value: Any) -> None:
        index, choice = self._choice_for(value)
        with nodeModify(parameterNode):
            self.remove(parameterNode, name)
            choice.write(parameterNode, f"{name}.{index}", value)

    def read(self, parameterNode: Any, name: str) -> Any:
        index = self._written(parameterNode, name)
        if index is None:
            raise KeyError(f"Unable to find value for name: {name}")
        return self._choices[index].read(parameterNode, f"{name}.{index}")

    def remove(self, parameterNode: Any, name: str) -> None:
        with nodeModify(parameterNode):
            for index, choice in enumerate(self._choices):
                choice.remove(parameterNode, f"{name}.{index}")

    def supportsCaching(self) -> bool:
        return all(choice.supportsCaching() for choice in self._choices)

    def _written(self, parameterNode: Any, name: str) -> int | None:
        indices = range(len(self._choices))
        return next((i for i in indices if self._choices[i].isIn(parameterNode, f"{name}.{i}")), None)

    def _choice_for(self, value: Any) -> tuple[int, ValidatedSerializer]:
        refusal: Exception = TypeError(f"Unable to write value '{value}' of type '{type(value)}'")
        for index, choice in enumerate(self._choices):
            if choice.serializer.canSerialize(type(value)):
                try:
                    choice.validate(value)
                except Exception as error:
                    refusal = error
                else:
                    return index, choice
        raise refusal


@parameterNodeSerializer
class AnySerializer(Serializer):
    """Values of any type that has a serializer: its module and name in `name.type`, the value in `name.value`."""

    def __init__(self) -> None:
        self._kind = TupleSerializer([StringSerializer(), StringSerializer()])

    @staticmethod
    def canSerialize(type_: Any) -> bool:
        return type_ is Any

    @staticmethod
    def create(type_: Any) -> Any:
        return AnySerializer()

    def default(self) -> Any:
        return None

    def isIn(self, parameterNode: Any, name: str) -> bool:
        return self._kind.isIn(parameterNode, f"{name}.type")

    def write(self, parameterNode: Any, name: str, value: Any) -> None:
        self.remove(parameterNode, name)
        serializerOf(type(value)).write(parameterNode, f"{name}.value", value)
        self._kind.write(parameterNode, f"{name}.type", (type(value).__module__, type(value).__name__))

    def read(self, parameterNode: Any, name: str) -> Any:
        return self._serializer(parameterNode, name).read(parameterNode, f"{name}.value")

    def remove(self, parameterNode: Any, name: str) -> None:
        if self.isIn(parameterNode, name):
            self._serializer(parameterNode, name).remove(parameterNode, f"{name}.value")
            self._kind.remove(parameterNode, f"{name}.type")

    def _serializer(self, parameterNode: Any, name: str) -> Serializer:
        module, kind = self._kind.read(parameterNode, f"{name}.type")
        if (module, kind) == ("builtins", "NoneType"):
            return serializerOf(type(None))
        return serializerOf(getattr(importlib.import_module(module), kind))

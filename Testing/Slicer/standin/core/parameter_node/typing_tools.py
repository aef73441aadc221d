"""Types with annotations: taking them apart, and what they say of defaults and nodes."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from typing import Annotated, Any

import slicer


class Default:
    """Annotation with the value a parameter starts from, or a function that makes it."""

    def __init__(self, value: Any = None, *, generator: Callable[[], Any] | None = None) -> None:
        self._value = value
        self._generator = generator

    @property
    def value(self) -> Any:
        """The value, made anew where it is made by a function."""
        return self._generator() if self._generator else self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Default) and (self._value, self._generator) == (other._value, other._generator)

    def __hash__(self) -> int:
        return id(self)


def splitAnnotations(possiblyAnnotatedType: Any) -> tuple[Any, tuple[Any, ...]]:
    """The bare type and its annotations."""
    if typing.get_origin(possiblyAnnotatedType) is Annotated:
        bare, *annotations = typing.get_args(possiblyAnnotatedType)
        return bare, tuple(annotations)
    return possiblyAnnotatedType, ()


def unannotatedType(possiblyAnnotatedType: Any) -> Any:
    """The bare type."""
    return splitAnnotations(possiblyAnnotatedType)[0]


def findFirstAnnotation(annotationsList: Any, annotationType: type) -> Any:
    """First annotation of a type, None when there is none."""
    return next((item for item in annotationsList if isinstance(item, annotationType)), None)


def extractDefault(annotations: Any) -> tuple[Default | None, list[Any]]:
    """The default among the annotations, and the others."""
    defaults = [item for item in annotations if isinstance(item, Default)]
    if len(defaults) > 1:
        raise ValueError(f"found {len(defaults)} defaults, expected one")
    return (defaults[0] if defaults else None), [item for item in annotations if not isinstance(item, Default)]


def unionMembers(datatype: Any) -> tuple[Any, ...]:
    """Types that are joined by `Union`, `Optional` or `|`; empty for any other type."""
    bare = unannotatedType(datatype)
    if typing.get_origin(bare) in (typing.Union, types.UnionType):
        return typing.get_args(bare)
    return ()


def isNodeType(datatype: Any) -> bool:
    """Whether a type is a class of MRML nodes."""
    bare = unannotatedType(datatype)
    return isinstance(bare, type) and issubclass(bare, slicer.vtkMRMLNode)


def isNodeOrUnionOfNodes(datatype: Any) -> bool:
    """Whether a type is a class of nodes, or several of them, with or without None."""
    members = unionMembers(datatype)
    if members:
        return all(isNodeType(member) or member is type(None) for member in members)
    return isNodeType(datatype)


def getNodeTypes(datatype: Any) -> tuple[str, ...]:
    """Class names of the nodes of a type."""
    if not isNodeOrUnionOfNodes(datatype):
        raise TypeError(f"Cannot handle type {datatype}")
    members = unionMembers(datatype) or (datatype,)
    return tuple(unannotatedType(member).__name__ for member in members if isNodeType(member))


def splitDottedName(name: str) -> tuple[str, str | None]:
    """`a.b.c` as `a` and `b.c`; `a` as `a` and None."""
    top, dot, rest = name.partition(".")
    return top, rest if dot else None

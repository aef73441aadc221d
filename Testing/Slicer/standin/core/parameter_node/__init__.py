"""`slicer.parameterNodeWrapper`: typed, checked and saved parameters of a module, bound to its widgets."""

from __future__ import annotations

from .connectors import (
    Decimals,
    GuiConnector,
    SingleStep,
    SlicerPackParameterNamePropertyName,
    createGuiConnector,
    parameterNodeGuiConnector,
)
from .containers import (
    AnySerializer,
    DictSerializer,
    ListSerializer,
    TupleSerializer,
    UnionSerializer,
)
from .packs import FloatRange, isParameterPack, nestedParameterNames, parameterPack
from .serializers import (
    BoolSerializer,
    NodeSerializer,
    NumberSerializer,
    PathSerializer,
    Serializer,
    StringSerializer,
    ValidatedSerializer,
    parameterNodeSerializer,
)
from .typing_tools import (
    Default,
    findFirstAnnotation,
    getNodeTypes,
    isNodeOrUnionOfNodes,
    splitAnnotations,
    unannotatedType,
)
from .validators import (
    Choice,
    Exclude,
    IsInstance,
    Maximum,
    Minimum,
    NotNone,
    RangeBounds,
    Validator,
    WithinRange,
)
from .wrapper import (
    SlicerParameterNamePropertyName,
    findChildWidgetForParameter,
    isParameterNodeWrapper,
    parameterNodeWrapper,
)

__all__ = [
    "AnySerializer",
    "BoolSerializer",
    "Choice",
    "Decimals",
    "Default",
    "DictSerializer",
    "Exclude",
    "FloatRange",
    "GuiConnector",
    "IsInstance",
    "ListSerializer",
    "Maximum",
    "Minimum",
    "NodeSerializer",
    "NotNone",
    "NumberSerializer",
    "PathSerializer",
    "RangeBounds",
    "Serializer",
    "SingleStep",
    "SlicerPackParameterNamePropertyName",
    "SlicerParameterNamePropertyName",
    "StringSerializer",
    "TupleSerializer",
    "UnionSerializer",
    "ValidatedSerializer",
    "Validator",
    "WithinRange",
    "createGuiConnector",
    "findChildWidgetForParameter",
    "findFirstAnnotation",
    "getNodeTypes",
    "isNodeOrUnionOfNodes",
    "isParameterNodeWrapper",
    "isParameterPack",
    "nestedParameterNames",
    "parameterNodeGuiConnector",
    "parameterNodeSerializer",
    "parameterNodeWrapper",
    "parameterPack",
    "splitAnnotations",
    "unannotatedType",
]

"""The stand-in without widgets: it does what Slicer does with scenes, files and parameters, and refuses the rest."""

from __future__ import annotations

import enum
import pathlib
from pathlib import Path
from typing import Annotated, Any, Optional

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed, and this is not Slicer")

import standin  # noqa: E402

standin.start(gui=False)

from slicer.parameterNodeWrapper import (  # noqa: E402
    Choice,
    Default,
    FloatRange,
    NotNone,
    WithinRange,
    parameterNodeWrapper,
    parameterPack,
)
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic  # noqa: E402


class Method(enum.Enum):
    KERNEL = 1
    MONTE_CARLO = 2


@parameterPack
class Advanced:
    histories: int = 1000
    window: FloatRange


@parameterNodeWrapper
class Parameters:
    volume: slicer.vtkMRMLScalarVolumeNode
    nuclide: Annotated[str, Choice(["Lu-177", "Y-90"]), Default("Lu-177")]
    method: Method = Method.MONTE_CARLO
    cutoff: Annotated[float, WithinRange(0.0, 3.0)] = 0.2
    hours: list[float]
    organs: dict[str, str]
    seed: Optional[int]  # noqa: UP045 - one of the two ways that modules write it
    limit: int | None = 4
    folder: pathlib.Path
    advanced: Advanced


class SampleLogic(ScriptedLoadableModuleLogic):
    def getParameterNode(self) -> Any:
        return Parameters(super().getParameterNode())


@pytest.fixture
def parameters(scene: Any) -> Any:
    return SampleLogic().getParameterNode()


def _volume(name: str = "SPECT") -> Any:
    array = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
    return slicer.util.addVolumeFromArray(array, name=name)


def test_parameters_start_from_their_defaults(parameters: Any) -> None:
    assert (parameters.nuclide, parameters.method, parameters.cutoff) == ("Lu-177", Method.MONTE_CARLO, 0.2)
    assert (parameters.hours, parameters.organs, parameters.seed, parameters.limit) == ([], {}, None, 4)
    assert parameters.advanced == Advanced()
    assert parameters.volume is None


def test_parameters_survive_saving_and_loading_the_scene(parameters: Any, tmp_path: Path) -> None:
    parameters.volume = _volume()
    parameters.nuclide = "Y-90"
    parameters.method = Method.KERNEL
    parameters.hours.append(4.5)
    parameters.hours += [24.0, 96.0]
    parameters.organs["s1"] = "liver"
    parameters.seed = 7
    parameters.limit = None
    parameters.folder = tmp_path
    parameters.advanced.histories = 5
    parameters.advanced.window.maximum = 2.5
    assert slicer.util.saveScene(str(tmp_path / "case.mrb"), {})
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(tmp_path / "case.mrb"), {})

    again = SampleLogic().getParameterNode()

    assert again.volume.GetName() == "SPECT"
    assert (again.nuclide, again.method) == ("Y-90", Method.KERNEL)
    assert again.hours == [4.5, 24.0, 96.0]
    assert again.organs == {"s1": "liver"}
    assert (again.seed, again.limit, again.folder) == (7, None, tmp_path)
    assert (again.advanced.histories, again.advanced.window.maximum) == (5, 2.5)


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("nuclide", "Xx-1", ValueError),
        ("nuclide", None, ValueError),
        ("cutoff", 3.1, ValueError),
        ("cutoff", "1", TypeError),
        ("method", "KERNEL", TypeError),
        ("hours", ["soon"], TypeError),
        ("seed", "7", TypeError),
        ("advanced", None, ValueError),
    ],
)
def test_a_bad_value_is_refused_and_changes_nothing(parameters: Any, name: str, value: Any, error: type) -> None:
    before = getattr(parameters, name)
    with pytest.raises(error):
        setattr(parameters, name, value)
    assert getattr(parameters, name) == before


def test_a_node_of_another_class_is_refused(parameters: Any, scene: Any) -> None:
    with pytest.raises(TypeError, match="vtkMRMLScalarVolumeNode"):
        parameters.volume = scene.AddNewNodeByClass("vtkMRMLTableNode")


def test_a_list_keeps_its_items_when_a_new_one_is_refused(parameters: Any) -> None:
    parameters.hours = [1.0, 2.0]
    with pytest.raises(TypeError):
        parameters.hours.append("later")
    assert parameters.hours == [1.0, 2.0]


def test_a_range_never_turns_round(parameters: Any) -> None:
    parameters.advanced.window.maximum = 3.0
    with pytest.raises(ValueError, match="minimum <= maximum"):
        parameters.advanced.window.minimum = 4.0
    assert parameters.advanced.window.minimum == 0.0


def test_two_wrappers_of_one_node_see_each_others_changes(parameters: Any) -> None:
    other = SampleLogic().getParameterNode()
    parameters.cutoff = 1.5
    assert other.cutoff == 1.5


def test_observers_of_the_node_already_read_the_new_value(parameters: Any) -> None:
    import vtk

    seen = []
    tag = parameters.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: seen.append(parameters.cutoff))
    parameters.cutoff = 2.5
    parameters.RemoveObserver(tag)
    parameters.cutoff = 1.0
    assert seen == [2.5]


def test_an_enumeration_saved_under_another_name_is_refused(scene: Any) -> None:
    node = SampleLogic().createParameterNode()
    scene.AddNode(node)
    node.SetParameter("method", "PENCIL_BEAM")
    with pytest.raises(ValueError, match="PENCIL_BEAM"):
        Parameters(node)


def test_a_default_that_its_own_check_refuses_is_noticed(scene: Any) -> None:
    @parameterNodeWrapper
    class Wrong:
        nuclide: Annotated[str, Choice(["Lu-177"])]

    with pytest.raises(ValueError, match="Lu-177"):
        Wrong(SampleLogic().createParameterNode())


def test_names_of_the_wrapper_itself_are_refused_as_parameters() -> None:
    with pytest.raises(ValueError, match="reserved name 'connectGui'"):

        @parameterNodeWrapper
        class Wrong:
            connectGui: int

    with pytest.raises(Exception, match="Unable to create serializer"):

        @parameterNodeWrapper
        class AlsoWrong:
            value: complex


def test_not_none_holds_for_nodes_too(scene: Any) -> None:
    @parameterNodeWrapper
    class Needed:
        volume: Annotated[slicer.vtkMRMLScalarVolumeNode, NotNone()]

    with pytest.raises(ValueError, match="must not be None"):
        Needed(SampleLogic().createParameterNode())


def test_a_parameter_node_is_made_once_per_scene(scene: Any) -> None:
    first = ScriptedLoadableModuleLogic.getParameterNode(SampleLogic())
    assert ScriptedLoadableModuleLogic.getParameterNode(SampleLogic()) is first
    assert first.GetAttribute("ModuleName") == "Sample"
    scene.Clear(0)
    assert ScriptedLoadableModuleLogic.getParameterNode(SampleLogic()) is not None

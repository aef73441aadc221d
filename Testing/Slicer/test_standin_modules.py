"""Module scripts in the stand-in: loaded as Slicer loads them, translated, and refused where Slicer refuses them."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed, and this is not Slicer")

import standin  # noqa: E402

standin.start(gui=False)
if standin.insideSlicer():
    pytest.skip("inside Slicer, Slicer itself loads the modules", allow_module_level=True)

SCRIPT = """
import unittest
import slicer
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import *

class {name}(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Sample")
        {more}
        slicer.app.connect("startupCompleted()", started)

calls = []

def started():
    calls.append("started")

class {name}Logic(ScriptedLoadableModuleLogic):
    pass

class {name}Test(ScriptedLoadableModuleTest):
    def test_one(self):
        calls.append("one")
        self.assertTrue({outcome})
"""


@pytest.fixture
def load(application: Any, tmp_path: Path) -> Iterator[Any]:
    names = []

    def loaded(name: str, more: str = "pass", outcome: str = "True") -> Any:
        names.append(name)
        (tmp_path / f"{name}.py").write_text(SCRIPT.format(name=name, more=more, outcome=outcome), encoding="utf-8")
        return application.moduleManager().loadScript(tmp_path / f"{name}.py")

    yield loaded
    standin.forgetProblems()
    for name in names:
        sys.modules.pop(name, None)
        application.moduleManager()._modules.pop(name, None)
    sys.path[:] = [folder for folder in sys.path if folder != str(tmp_path)]


def test_a_module_is_found_by_its_name_and_started_once(load: Any, application: Any, tmp_path: Path) -> None:
    module = load("SampleOne")
    application.completeStartup()
    assert sys.modules["SampleOne"].calls == ["started"]
    assert slicer.modules.sampleone is module
    assert slicer.util.getModule("SampleOne").title == "Sample"
    assert slicer.util.modulePath("SampleOne") == str(tmp_path / "SampleOne.py")
    assert slicer.modules.SampleOneInstance.resourcePath("UI/a.ui") == str(tmp_path / "Resources" / "UI" / "a.ui")
    with pytest.raises(RuntimeError, match="SampleTwo"):
        slicer.util.getModule("SampleTwo")


def test_the_tests_inside_a_module_run_and_their_failure_is_seen(load: Any) -> None:
    load("SampleGood")
    slicer.selfTests["SampleGood"]()
    assert sys.modules["SampleGood"].calls == ["started", "one"]
    load("SampleBad", outcome="False")
    with pytest.raises(AssertionError):
        slicer.selfTests["SampleBad"]()
    runUnitTest = sys.modules["slicer.testing"].runUnitTest
    with pytest.raises(Exception, match="1 tests of SampleBad failed"):
        runUnitTest([], "SampleBad")
    del sys.modules["SampleBad"].SampleBadTest
    with pytest.raises(AssertionError, match="SampleBadTest"):
        slicer.selfTests["SampleBad"]()
    with pytest.raises(Exception, match="found no test"):
        runUnitTest([], "SampleBad")


@pytest.mark.parametrize(
    ("more", "error", "text"),
    [
        ("self.parent.catgories = []", AttributeError, "catgories"),
        ("self.parent.categories = 'Nuclear Medicine'", ValueError, "expected a list"),
        ("self.parent.title = 3", ValueError, "expected a str"),
        ("self.parent.title = ''", RuntimeError, "no title"),
        ("slicer.app.connect('startupComplete()', print)", ValueError, "startupComplete"),
        ("slicer.app.connect('startupCompleted()', 5)", ValueError, "can be called"),
        ("slicer.app.mainWindow()", AttributeError, "mainWindow"),
        ("slicer.app.applicationTitle = 'x'", AttributeError, "applicationTitle"),
        ("slicer.modules.nosuchmodule.logic()", AttributeError, "nosuchmodule"),
        ("_(5)", ValueError, "expected a text"),
    ],
)
def test_a_module_with_a_mistake_is_refused(load: Any, more: str, error: type, text: str) -> None:
    with pytest.raises(error, match=text):
        load("SampleWrong", more=more)
    assert not hasattr(slicer.modules, "samplewrong")


def test_a_file_without_its_class_is_refused(application: Any, load: Any, tmp_path: Path) -> None:
    (tmp_path / "Helper.py").write_text("x = 1\n", encoding="utf-8")
    with pytest.raises(RuntimeError, match="no class Helper"):
        application.moduleManager().loadScript(tmp_path / "Helper.py")
    sys.modules.pop("Helper")


def test_errors_in_slots_and_observers_are_kept(load: Any, application: Any, scene: Any) -> None:
    import vtk

    def fails(*_: Any) -> None:
        raise ValueError("in a slot")

    application.connect("startupCompleted()", fails)
    application.completeStartup()
    assert [str(problem) for problem in standin.problems()] == ["in a slot"]
    node = scene.AddNewNodeByClass("vtkMRMLTextNode")
    node.AddObserver(vtk.vtkCommand.ModifiedEvent, fails)
    node.SetName("changed")
    assert len(standin.forgetProblems()) > 1


def test_text_is_translated_in_the_context_of_its_file(application: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from slicer.i18n import tr as _

    seen = []

    def translate(context: str, text: str) -> str:
        seen.append((context, text))
        return {"Loaded {name}": "{nom}", "Dose": "Dosis"}[text]

    monkeypatch.setattr(type(application), "translate", lambda self, context, text: translate(context, text))
    assert _("Dose") == "Dosis"
    assert seen == [("test_standin_modules", "Dose")]
    assert _("Loaded {name}") == "Loaded {name}", "a translation that loses a placeholder is passed over"


def test_requirements_are_checked_and_nothing_is_installed(application: Any, tmp_path: Path) -> None:
    import slicer.packaging

    path = tmp_path / "requirements.txt"
    path.write_text("# comment\n--no-deps\nnumpy>=1.0\n\nno-such-package-for-sure>=2\n", encoding="utf-8")
    requirements = slicer.packaging.load_requirements(path)
    assert [requirement.name for requirement in requirements] == ["numpy", "no-such-package-for-sure"]
    assert slicer.packaging.pip_check(requirements[:1])
    assert slicer.packaging.pip_check("numpy>=1.0 packaging")
    assert not slicer.packaging.pip_check(requirements)
    assert not slicer.packaging.pip_check("numpy>=1000")
    assert slicer.packaging.pip_check("no-such-package-for-sure; sys_platform == 'none'")
    assert slicer.packaging.pip_ensure(requirements, requester="Test") is None
    with pytest.raises(TypeError):
        slicer.packaging.pip_check(3)


def test_sample_data_must_name_their_addresses_even_when_they_are_made(application: Any) -> None:
    import SampleData

    register = SampleData.SampleDataLogic.registerCustomSampleDataSource
    with pytest.raises(TypeError):
        register(category="Test", sampleName="patient", customDownloader=print)
    register(category="Test", sampleName="patient", uris="", customDownloader=print)
    register(category="Test", sampleName="patient", uris="", customDownloader=print)
    assert len(SampleData.SampleDataLogic.sampleDataSourcesByCategory("Test")) == 1
    del slicer.modules.sampleDataSources["Test"]


def test_segment_statistics_run_the_plugins_that_were_registered(scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import SegmentStatistics
    from SegmentStatisticsPlugins import SegmentStatisticsPluginBase

    class Sample(SegmentStatisticsPluginBase):
        def __init__(self) -> None:
            super().__init__()
            self.keys = ["length", "width"]
            self.defaultKeys = ["length"]

        def computeStatistics(self, segmentID: str) -> dict[str, float]:
            return {key: float(len(segmentID)) for key in self.getRequestedKeys()}

        def getMeasurementInfo(self, key: str) -> dict[str, Any]:
            return self.createMeasurementInfo(name=key, title=key, description="letters", units="1")

    Logic = SegmentStatistics.SegmentStatisticsLogic
    monkeypatch.setattr(Logic, "registeredPlugins", [])
    with pytest.raises(TypeError, match="object of a class"):
        Logic.registerPlugin(Sample)
    Logic.registerPlugin(Sample())
    segmentation = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    segmentation.CreateDefaultDisplayNodes()
    segmentation.GetSegmentation().AddEmptySegment("liver", "Liver")
    logic = Logic()
    logic.getParameterNode().SetParameter("Segmentation", segmentation.GetID())

    logic.computeStatistics()

    statistics = logic.getStatistics()
    assert statistics["SegmentIDs"] == ["liver"]
    assert statistics["liver", "Sample.length"] == 5.0
    assert ("liver", "Sample.width") not in statistics
    assert statistics["MeasurementInfo"]["Sample.length"]["units"] == "1"


def test_exit_keeps_its_code(application: Any) -> None:
    before = application.exitCodes()
    slicer.util.exit(2)
    assert application.exitCodes() == [*before, 2]
    assert not application.commandOptions().runPythonAndExit


def test_an_error_is_passed_on_by_the_error_display(application: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), pytest.raises(ValueError, match="too large"):  # noqa: SIM117 - the order counts
        with slicer.util.tryWithErrorDisplay("Failed"):
            raise ValueError("too large")
    assert slicer.util.mainWindow() is None or application.hasGui()

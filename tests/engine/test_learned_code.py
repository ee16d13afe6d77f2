"""What a worker was taught: each function is loaded once, each template made ready, both forgotten when told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nbray.engine import environment
from nbray.engine.hosted_actor import HostedActor
from nbray.ids import ActorId, CellRunId, TemplateId
from nbray.scheduler.messages import ActorSpec, Forget, Template
from tests.engine.worker_lab import Lab


class Thing:
    def get(self) -> str:
        return "got"


def test_a_function_is_loaded_once(lab: Lab) -> None:
    code = lab.worker._code
    template = code.templates[lab.spec(lambda: 5).template_id]
    function = code.prepare(template)
    assert function() == 5
    assert code.prepared == (template, function)
    assert code.prepare(template) is function


def test_what_is_forgotten_is_gone(lab: Lab) -> None:
    code = lab.worker._code
    template = code.templates[lab.spec(lambda: 5).template_id]
    code.prepare(template)
    code.forget(Forget([template.function_key], [template.template_id]))
    assert (code.templates, code.prepared) == ({}, None)
    with pytest.raises(KeyError):
        code.prepare(template)


def test_a_task_runs_where_its_caller_is(lab: Lab, tmp_path: Path) -> None:
    code, before = lab.worker._code, Path.cwd()
    template = code.templates[lab.spec(os.getcwd).template_id]
    os.chdir(tmp_path)
    elsewhere = Template(TemplateId(99), template.function_key, "f", CellRunId("cell"), {}, environment=environment.capture())
    os.chdir(before)
    assert code.prepare(template)() == str(before)
    assert code.prepare(elsewhere)() == str(tmp_path)


def test_methods_are_those_of_the_hosted_actor(lab: Lab) -> None:
    code = lab.worker._code
    creation = code.templates[lab.spec(Thing).template_id]
    method = Template(TemplateId(8), b"", "Thing.get", CellRunId("cell"), {}, method="get")
    with pytest.raises(AssertionError, match=r"Thing\.get was sent to a worker that hosts no actor"):
        code.prepare(method)
    code.host = HostedActor(ActorId(1), ActorSpec("Thing"))
    code.prepare(Template(TemplateId(7), creation.function_key, "Thing", CellRunId("cell"), {}, method="__init__"))()
    assert code.prepare(method)() == "got"

import pytest

from nbray.ids import BACKGROUND, ActorId, ObjectId, TemplateId
from nbray.scheduler.actor_records import WINDOW, Actor, Call, Creation, is_restart, outlives_job
from nbray.scheduler.cell_runs import CellRun, Job
from nbray.scheduler.messages import ActorSpec, TaskSpec, Template
from nbray.scheduler.ownership import ObjectEntry
from nbray.scheduler.pool import Pool
from nbray.scheduler.states import ActorState, move_actor
from nbray.scheduler.tasks import CallTemplate, Function


def make_template(name: str, run: CellRun) -> CallTemplate:
    template = Template(TemplateId(1), b"", name, BACKGROUND, {}, method="add")
    return CallTemplate(template, 1, Function(b"", name, b""), run, Pool({}).shape({}), "")  # type: ignore[arg-type]


def make_actor(number: int = 1, spec: ActorSpec | None = None, namespace: str = "a.ipynb") -> Actor:
    """An actor that nobody has created."""
    run = CellRun(Job("a.ipynb"), BACKGROUND)
    task = TaskSpec(ActorId(number), TemplateId(1), b"")
    return Actor(ActorId(number), spec or ActorSpec("Counter"), namespace, task, make_template("Counter", run), run)


def make_call(actor: Actor, number: int) -> Call:
    """A call in the actor's worker."""
    spec = TaskSpec(ObjectId(number), TemplateId(1), b"")
    call = Call(ObjectId(number), spec, make_template("Counter.add", actor.run), actor.run, ObjectEntry(ObjectId(number), 2), 0)
    call.actor = actor
    actor.running[call.task_id] = call
    return call


def make_creation(actor: Actor) -> Creation:
    spec = actor.task
    assert actor.template is not None
    creation = Creation(spec.task_id, spec, actor.template, actor.run, ObjectEntry(spec.task_id, 2), 0)
    creation.actor = actor
    return creation


@pytest.mark.parametrize(("spec", "label"), [
    (ActorSpec("Counter"), "Counter"),
    (ActorSpec("Counter", name="totals"), "Counter 'totals'"),
])  # fmt: skip
def test_what_people_call_it(spec: ActorSpec, label: str) -> None:
    assert make_actor(spec=spec).label == label


def test_which_call_runs_is_certain_only_without_concurrency() -> None:
    actor = make_actor()
    assert actor.head is None
    first, _ = make_call(actor, 5), make_call(actor, 6)
    assert actor.head is first
    concurrent = make_actor(spec=ActorSpec("Counter", concurrency="threads", max_concurrency=2))
    make_call(concurrent, 5)
    assert concurrent.head is None


@pytest.mark.parametrize(("most", "window"), [(1, WINDOW), (WINDOW, 2 * WINDOW)])
def test_the_window_covers_twice_what_may_run_at_a_time(most: int, window: int) -> None:
    assert make_actor(spec=ActorSpec("Counter", max_concurrency=most)).window == window


def test_whose_end_a_creation_shares() -> None:
    actor = make_actor()
    creation = make_creation(actor)
    move_actor(actor, ActorState.PENDING)
    assert not is_restart(creation)
    assert not outlives_job(creation)
    assert not outlives_job(make_call(actor, 7))
    move_actor(actor, ActorState.ALIVE)
    move_actor(actor, ActorState.RESTARTING)
    assert is_restart(creation)
    assert outlives_job(creation)
    assert outlives_job(make_creation(make_actor(spec=ActorSpec("Counter", detached=True))))


def test_it_shows_state_and_calls() -> None:
    actor = make_actor(16, ActorSpec("Counter", name="totals"))
    move_actor(actor, ActorState.PENDING)
    assert repr(actor) == "<actor Counter 'totals' 0x10 PENDING, 0 calls>"

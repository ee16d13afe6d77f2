"""Every message of the task plane: one table, one name for one idea on every hop.

    message            sender      receiver    says
    -----------------  ----------  ----------  --------------------------------------------------------------
    Hello              process     scheduler   who connects: a driver of a job, the worker of a slot, or who only asks
    DescribeCellRun    driver      scheduler   the label of a cell run, before its first task
    NoteCellRun        driver      scheduler   what a later driver of the job must know of it
    RegisterFunction   process     scheduler   a pickled function under the hash of its bytes
    RegisterTemplate   process     scheduler   a function with the options of its calls
    ForgetTemplates    process     scheduler   no more calls of these templates will come
    Submit             process     scheduler   tasks to run
    CreateActor        process     scheduler   an actor to start; its id is that of the task that creates it
    Call               process     scheduler   method calls of one actor, in the order in which they shall run
    KillActor          process     scheduler   end an actor: now, or after the calls that are queued
    ExitActor          worker      scheduler   the actor that it hosts ends on purpose
    CreateGang         process     scheduler   bundles of resources to set aside, all or none
    RemoveGang         process     scheduler   give them back, and end what runs in them
    Scale              process     scheduler   how many workers there should be; answered by Answer
    Yielded            worker      scheduler   the next items of a task that yields
    Consumed           consumer    worker      how many items of a stream were taken so far; the scheduler passes it on
    Put                process     scheduler   an object made by the sender
    Allocate           process     scheduler   asks for an extent of the arena
    GiveBack           process     scheduler   an extent that was granted and will not be used
    Finished           worker      scheduler   results of tasks, in the order in which they ran
    TakenBack          worker      scheduler   prefetched tasks that will not be run there
    Blocked            worker      scheduler   the running task waits for objects: its resources are free
    Unblocked          worker      scheduler   ... and goes on
    Held               process     scheduler   references to objects of others now live in the sender
    Released           process     scheduler   the sender's last reference (and pin) of each is gone
    Subscribe          process     scheduler   push these objects' values once they are there
    Fetch              process     scheduler   bring an object back from disk; answered by Fetched or Refused
    LetGone            process     scheduler   the answer to LetGo: which of the objects are in use and must stay
    Cancel             process     scheduler   cancel tasks or cell runs; answered by Answer
    Ask                process     scheduler   a question by name; answered by Answer
    Output             worker      scheduler   what a task printed or displayed
    Goodbye            process     scheduler   the sender leaves on purpose; a driver may end the cluster with it
    Welcome            scheduler   process     the sender's process number, the arena's size and limits
    Granted            scheduler   process     an extent; `warm` when all its pages hold memory already
    Refused            scheduler   process     a request that cannot be met, as a Failure
    Ready              scheduler   process     values of objects
    LetGo              scheduler   process     these objects are about to leave the arena: forget where they were
    Fetched            scheduler   process     where an object is that was asked for by Fetch
    Learn              scheduler   worker      functions and templates, before the first task that needs them
    Forget             scheduler   worker      functions and templates that will not be needed again
    Host               scheduler   worker      the next Run creates this actor, which the worker then serves all its life
    Run                scheduler   worker      tasks to run, in this order
    CancelCalls        scheduler   worker      stop these calls of an actor that runs several at a time
    Streamed           scheduler   consumer    the next items of a stream, for the process that submitted its task
    TakeBack           scheduler   worker      return these tasks if they have not started
    Emitted            scheduler   driver      output of a task, with the cell run that it belongs to
    Answer             scheduler   process     the answer to Ask or Cancel, as MessagePack
    Exit               scheduler   process     a worker ends now; a driver learns why the cluster ends

"process" is a driver or a worker: a task may submit tasks too. User data travels as opaque bytes; nothing here unpickles.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from nbray.ids import NO_TASK, ActorId, CellRunId, ObjectId, ProcessId, TaskId, TemplateId

PROTOCOL = 1
MAX_FRAME = 256 * 1024 * 1024
INLINE_LIMIT = 64 * 1024
STAYS = "other drivers go on with it"
"""The reason in the Exit that a driver hears whose Goodbye does not end the cluster."""
STREAMING = -1
"""`num_returns` of a task that yields: its items travel in `Yielded`, its own object only says how it ended."""
DYNAMIC = -2
"""`num_returns` of a task that yields and whose one value is the refs of all its items."""
MOST_RETURNS = 100_000
"""Of one task; each is an object from the moment of its submission."""
NO_LIMIT = -1
PROMPT = "prompt"
"""The stream of an Emitted with what a task asks a person (Ask "prompt"): JSON that only its worker and the driver understand."""
SKIPPED = "skipped"
"""The stream of an Output that only counts, in decimal, bytes of a worker's log which nobody reads for a cell."""
TAKEN_OVER = "none", "unseen", "all"
"""What the Ask "take_over" can ask for: which output of the cell run is sent again."""
AGAIN = "again"
"""The stream of an Emitted behind which what was kept of a cell run is sent again; its data is how many bytes are missing."""


def rewrites_line(data: bytes) -> bool:
    """Whether a piece of output is one more state of a progress bar: it takes the last one's place, not room of its own.

    >>> rewrites_line(b"\\r 42%|####"), rewrites_line(b"\\r100%|####\\n")
    (True, False)
    """
    return data[:1] == b"\r" and len(data) <= 512 and b"\n" not in data


# What a peer says is a number within these bounds, or no message at all: nothing behind the decoder looks again.
Count = Annotated[int, msgspec.Meta(ge=0)]
CountOrNone = Annotated[int, msgspec.Meta(ge=-1)]
"""-1 has a meaning of its own: no limit, none."""
Bytes = Annotated[int, msgspec.Meta(ge=1, le=1 << 50)]
Returns = Annotated[int, msgspec.Meta(ge=DYNAMIC, le=MOST_RETURNS)]
Seconds = Annotated[float, msgspec.Meta(ge=0.0)]

FailureKind = Literal[
    "exception", "unpicklable_result", "cancelled", "timeout", "worker_died", "store_full", "lost", "infeasible", "refused",
    "gang_removed", "out_of_memory", "actor_died",
]  # fmt: skip


class Inline(msgspec.Struct, array_like=True, tag=1, frozen=True, gc=False):
    """A small value with references to other objects inside it, which it keeps alive."""

    data: bytes
    nested: list[ObjectId]


class Stored(msgspec.Struct, array_like=True, tag=2, frozen=True, gc=False):
    """A value in the arena: `size` bytes from `offset`, keeping `nested` alive."""

    offset: Count
    size: Count
    nested: list[ObjectId] = []
    restored: Count = 0
    """How often it has come back from disk, so that its places are told apart."""


class Failure(msgspec.Struct, array_like=True, tag=3, frozen=True, gc=False):
    """Why there is no value; stands in the object's place and raises in `get`."""

    kind: FailureKind
    message: str
    type_name: str = ""
    pickled: bytes = b""
    traceback: str = ""
    task: str = ""
    worker: str = ""
    attempt: int = 1
    log_tail: str = ""
    retriable: bool = False
    frames: str = ""
    """The file with the frames of an exception, for post-mortems."""


class Spilled(msgspec.Struct, array_like=True, tag=4, frozen=True, gc=False):
    """A value of `size` bytes that is on disk now, or on the way there; who wants to read it asks for it by Fetch."""

    size: Count
    nested: list[ObjectId] = []


Value = bytes | Inline | Stored | Failure | Spilled
"""What an object is: bare bytes (a small value without references, the common case) or one of the four above."""


class Template(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A function with the options of its calls; resources in units of 1/10,000 (`nbray.resources`)."""

    template_id: TemplateId
    function_key: bytes
    name: str
    cell_run: CellRunId
    resources: dict[str, Count]
    num_returns: Returns = 1
    max_retries: CountOrNone = 0
    timeout: Seconds = 0.0
    options: bytes = b""
    """What only the worker needs (retry_exceptions), pickled."""
    environment: bytes = b""
    """Where the code finds modules and files, for the worker."""
    method: str = ""
    """When set, the call of this method of the actor that the worker hosts; there is no function then."""
    priority: int = 0
    """Tasks of a higher one go first, within their job."""
    max_calls: Count = 0
    """Calls of the function after which a worker is replaced; 0: no limit."""
    profile: bytes = b""
    """What the worker must be started with (`nbray.runtime_env`); opaque to the scheduler, equal bytes mean equal workers."""
    gang: ObjectId = NO_TASK
    """When set, the task draws its resources from this gang's bundles."""
    bundle: CountOrNone = -1
    """From this one of them; -1: from any."""
    window: CountOrNone = 0
    """Of a stream: how many items it may be ahead of its consumer; 0: as many as usual, -1: any number."""


class ActorSpec(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What an actor is, beside the task that creates it."""

    class_name: str
    name: str = ""
    namespace: str = ""
    detached: bool = False
    """It lives until it is killed or the cluster ends, whoever holds a handle."""
    max_restarts: CountOrNone = 0
    """-1: no limit."""
    max_task_retries: CountOrNone = 0
    """Re-runs of a call that was in the actor when its worker died; -1: no limit."""
    concurrency: Literal["sync", "threads", "async"] = "sync"
    max_concurrency: Count = 1
    description: bytes = b""
    """What `get_actor` needs to make a handle: opaque here."""


class TaskSpec(msgspec.Struct, array_like=True, gc=False):
    """One submitted task; its returns are `task_id`, `task_id + 1`, ..."""

    task_id: TaskId
    template_id: TemplateId
    args: bytes
    deps: list[ObjectId] = []
    """Objects that must exist first and whose values the task receives."""
    nested: list[ObjectId] = []
    """References inside the arguments, kept alive until the task ends."""
    payload: ObjectId = ObjectId(0)
    """When set, the object that holds the pickled arguments instead of `args`; also listed in `deps`, last."""
    parent: TaskId = NO_TASK
    """The call that makes this one, said only by an actor that runs several at a time: of others the scheduler knows it."""


class RunSpec(msgspec.Struct, array_like=True, gc=False):
    """One task as the worker gets it, with the values of its dependencies."""

    task_id: TaskId
    template_id: TemplateId
    attempt: int
    args: bytes
    deps: list[tuple[ObjectId, Value]] = []
    has_payload: bool = False
    """The last dependency holds the pickled arguments."""


class TaskResult(msgspec.Struct, array_like=True, gc=False):
    """How one attempt ended: one value per return, or a single Failure that stands for all of them."""

    task_id: TaskId
    values: list[Value]
    micros: Count
    """Run time of the attempt in microseconds."""
    log_end: Count = 0
    """Length of the worker's log after the attempt when the attempt wrote to it (fd 1 or 2), else 0."""


class Hello(msgspec.Struct, array_like=True, tag=1):
    role: Literal["driver", "worker", "watcher"]
    pid: int
    protocol: int
    epoch: str
    job: str = ""
    slot: CountOrNone = -1
    linger: Seconds = 0.0


class DescribeCellRun(msgspec.Struct, array_like=True, tag=2):
    cell_run: CellRunId
    label: str


class NoteCellRun(msgspec.Struct, array_like=True, tag=30):
    """`note` is opaque here."""

    cell_run: CellRunId
    note: bytes


class RegisterFunction(msgspec.Struct, array_like=True, tag=3):
    key: bytes
    name: str
    blob: bytes
    nested: list[ObjectId] = []


class RegisterTemplate(msgspec.Struct, array_like=True, tag=4):
    template: Template


class ForgetTemplates(msgspec.Struct, array_like=True, tag=5):
    template_ids: list[TemplateId]


class Submit(msgspec.Struct, array_like=True, tag=6):
    tasks: list[TaskSpec]


class Put(msgspec.Struct, array_like=True, tag=7):
    object_id: ObjectId
    value: Value


class Allocate(msgspec.Struct, array_like=True, tag=8):
    request_id: int
    size: Bytes


class GiveBack(msgspec.Struct, array_like=True, tag=9):
    offset: int


class Finished(msgspec.Struct, array_like=True, tag=10):
    results: list[TaskResult]


class TakenBack(msgspec.Struct, array_like=True, tag=11):
    task_ids: list[TaskId]


class Blocked(msgspec.Struct, array_like=True, tag=12):
    task_id: TaskId


class Unblocked(msgspec.Struct, array_like=True, tag=13):
    task_id: TaskId


class Held(msgspec.Struct, array_like=True, tag=14):
    object_ids: list[ObjectId]


class Released(msgspec.Struct, array_like=True, tag=15):
    object_ids: list[ObjectId]


class Subscribe(msgspec.Struct, array_like=True, tag=16):
    object_ids: list[ObjectId]


class Cancel(msgspec.Struct, array_like=True, tag=17):
    """Cancel `task_ids`, every task of `cell_runs` and, with `everything`, every task of the sender's job.

    SIGINT first, SIGKILL after the grace period; `force` kills at once. The answer counts what happened:
    `{"cancelled": n, "finished": n, "stopping": n}`, where finished counts the named cell runs' ended tasks.
    With `unstarted` only what no worker has been given yet is cancelled; the rest goes on and is not counted.
    """

    request_id: int
    task_ids: list[TaskId] = []
    cell_runs: list[CellRunId] = []
    everything: bool = False
    force: bool = False
    unstarted: bool = False
    recursive: bool = True
    """Also what the tasks have submitted themselves, and so on."""


class Ask(msgspec.Struct, array_like=True, tag=18):
    """`question` is one of "snapshot", "cell_runs", "tasks" (argument: most rows of each state; text: one state only), "objects"
    (argument: most rows), "gangs", "gang" (text: its name), "renew" (workers import anew), "started" (argument: a task),
    "actors", "actor", "actor_state", "namespace", "prompt" (what a task, the argument, asks a person: answered when somebody
    has), "reply" (what a person says to a task; without text: whether it waits), "left_work" (argument: 1 for that
    of all jobs), "take_over" (text: a cell run; argument: which output comes again, an index of `TAKEN_OVER`), "jobs"
    (how many drivers each has), "inject" (text: a fault, as `engine.injection` has them), "turns" (how long the turns of the
    loop took, `engine.turns`).
    """

    request_id: int
    question: str
    argument: Count = 0
    text: str = ""
    """A name that the question is about, for example an actor's."""


class Output(msgspec.Struct, array_like=True, tag=19):
    """`stream` is "stdout", "stderr", or the name of a display message; `data` is UTF-8 text or JSON."""

    task_id: TaskId
    stream: str
    data: bytes


class Goodbye(msgspec.Struct, array_like=True, tag=20):
    """The sender leaves on purpose; with `stop`, the cluster ends now instead of lingering."""

    stop: bool = False


class CreateActor(msgspec.Struct, array_like=True, tag=21):
    """`task` makes the instance and its id is the actor's. Handles are references to it: when none is left, the actor ends."""

    task: TaskSpec
    actor: ActorSpec


class Call(msgspec.Struct, array_like=True, tag=22):
    actor_id: ActorId
    tasks: list[TaskSpec]


class KillActor(msgspec.Struct, array_like=True, tag=23):
    actor_id: ActorId
    no_restart: bool = True
    after_calls: bool = False
    """Let the calls that are queued end first."""


class ExitActor(msgspec.Struct, array_like=True, tag=24):
    actor_id: ActorId


class Yielded(msgspec.Struct, array_like=True, tag=25):
    """`first` is the index of the first item; the ids are the worker's own, the references are the consumer's.

    What was delivered before, by an earlier attempt, is skipped.
    """

    task_id: TaskId
    first: Count
    items: list[tuple[ObjectId, Value]]


class Consumed(msgspec.Struct, array_like=True, tag=26):
    """`count` items of the stream were taken so far; `NO_LIMIT`: the worker need not wait for its consumer any more."""

    task_id: TaskId
    count: CountOrNone


class CreateGang(msgspec.Struct, array_like=True, tag=27):
    """The gang's id is that of an object, whose value is `value` as soon as all bundles are set aside; handles refer to it.

    When nobody holds the object and nothing is queued or runs in the gang, it ends by itself, unless it is `detached`.
    """

    gang_id: ObjectId
    bundles: list[dict[str, Count]]
    value: bytes
    """Pickled, opaque here."""
    strategy: Literal["PACK", "SPREAD", "STRICT_PACK", "STRICT_SPREAD"] = "PACK"
    name: str = ""
    detached: bool = False


class RemoveGang(msgspec.Struct, array_like=True, tag=28):
    gang_id: ObjectId


class Scale(msgspec.Struct, array_like=True, tag=29):
    """From now on at least `least` workers, and up to `most` while tasks are queued; `most` is also the number of CPUs."""

    request_id: int
    least: int
    most: int


class Welcome(msgspec.Struct, array_like=True, tag=40):
    process_id: ProcessId
    epoch: str
    arena_size: int
    observer: str
    """Address of the observer plane."""
    resources: dict[str, int]
    """All that the cluster has, in units of 1/10,000."""
    default_max_retries: int
    store_limit: int = 1 << 30
    """Most bytes that live objects may take."""


class Granted(msgspec.Struct, array_like=True, tag=41):
    request_id: int
    offset: int
    size: int
    warm: bool


class Refused(msgspec.Struct, array_like=True, tag=42):
    request_id: int
    failure: Failure


class Ready(msgspec.Struct, array_like=True, tag=43):
    values: list[tuple[ObjectId, Value]]


class Learn(msgspec.Struct, array_like=True, tag=44):
    functions: list[tuple[bytes, str, bytes]]
    """Key, name and pickled bytes of each."""
    templates: list[Template]


class Forget(msgspec.Struct, array_like=True, tag=45):
    function_keys: list[bytes]
    template_ids: list[TemplateId]


class Run(msgspec.Struct, array_like=True, tag=46):
    tasks: list[RunSpec]


class TakeBack(msgspec.Struct, array_like=True, tag=47):
    task_ids: list[TaskId]


class Emitted(msgspec.Struct, array_like=True, tag=48):
    task_id: TaskId
    cell_run: CellRunId
    task: str
    worker: str
    stream: str
    data: bytes


class Answer(msgspec.Struct, array_like=True, tag=49):
    request_id: int
    body: bytes


class Exit(msgspec.Struct, array_like=True, tag=50):
    reason: str


class Host(msgspec.Struct, array_like=True, tag=51):
    actor_id: ActorId
    actor: ActorSpec


class Fetch(msgspec.Struct, array_like=True, tag=38):
    """`request_id` 0 is a hint that the sender will ask soon, and is not answered."""

    request_id: int
    object_id: ObjectId


class LetGone(msgspec.Struct, array_like=True, tag=39):
    """The sender knows no more where the objects of that LetGo are, but for those `in_use`, whose bytes it reads."""

    request_id: int
    in_use: list[ObjectId] = []


class LetGo(msgspec.Struct, array_like=True, tag=68):
    request_id: int
    object_ids: list[ObjectId]


class Fetched(msgspec.Struct, array_like=True, tag=69):
    request_id: int
    object_id: ObjectId
    value: Value


class CancelCalls(msgspec.Struct, array_like=True, tag=52):
    task_ids: list[TaskId]


class Streamed(msgspec.Struct, array_like=True, tag=53):
    task_id: TaskId
    items: list[tuple[ObjectId, Value]]


ToScheduler = (
    Hello | DescribeCellRun | NoteCellRun | RegisterFunction | RegisterTemplate | ForgetTemplates | Submit | Put | Allocate
    | GiveBack | Finished | TakenBack | Blocked | Unblocked | Held | Released | Subscribe | Cancel | Ask | Output | Goodbye
    | CreateActor | Call | KillActor | ExitActor | Yielded | Consumed | CreateGang | RemoveGang | Scale
    | Fetch | LetGone
)  # fmt: skip
FromScheduler = (
    Welcome | Granted | Refused | Ready | Learn | Forget | Run | TakeBack | Emitted | Answer | Exit
    | Host | CancelCalls | Streamed | Consumed | LetGo | Fetched
)  # fmt: skip

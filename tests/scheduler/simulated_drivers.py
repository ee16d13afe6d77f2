"""Simulated notebooks, which do what real ones may do, in any order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from nbray.ids import BACKGROUND, CellRunId, ObjectId, ProcessId, TaskId
from nbray.resources import CPU, GPU, UNIT
from nbray.scheduler import messages
from nbray.scheduler.messages import PROMPT, Inline, Stored, Value
from tests.scheduler.simulated import Simulated

if TYPE_CHECKING:
    from tests.scheduler.world import World

QUESTIONS = [
    "renew", "snapshot", "cell_runs", "gangs", "gang", "tasks", "objects", "started", "actors", "actor_state", "namespace",
    "left_work", "jobs", "reply", "who knows",
]  # fmt: skip


class SimulatedDriver(Simulated):
    """A notebook in a hurry."""

    greedy = True

    def __init__(self, world: World, process_id: ProcessId, job: str) -> None:
        super().__init__(world, process_id)
        self.job = job
        self.cells = 0
        self._asked = 0
        self.requests: dict[int, int] = {}
        """Questions and cancels that are not answered: how many tasks each must account for."""
        self.taking_over: set[int] = set()

    def read(self) -> bool:
        """Take in one message."""
        message = self.inbox.popleft()
        if self.reader.hear(message):
            pass
        elif isinstance(message, messages.Ready):
            self.learn(message.values)
        elif isinstance(message, messages.Granted) and self.writing is not None:
            size, nested = self.writing
            self.writing = None
            self.world.arena.write(self.process_id, message.offset, size)
            if self.random.random() < 0.1:
                self.say(messages.GiveBack(message.offset))
            else:
                self.put(Stored(message.offset, size, nested))
        elif isinstance(message, messages.Refused):
            assert message.failure.kind == "store_full"
            self.writing = None
        elif isinstance(message, messages.Streamed):
            self.streams.receive(message)
        elif isinstance(message, messages.Answer) and message.request_id in self.actors.lookups:
            self.actors.found(message.request_id, message.body)
        elif isinstance(message, messages.Answer) and message.request_id in self.taking_over:
            self.taking_over.remove(message.request_id)
            self._took_over(message.body)
        elif isinstance(message, messages.Emitted) and message.stream == PROMPT:
            if self.random.random() < 0.7:
                self.reply(message.task_id)
        elif isinstance(message, messages.Answer) and message.request_id:
            named = self.requests.pop(message.request_id)
            if named >= 0:
                self.world.check_answer(named, message.body)
        return True

    def act(self) -> bool:
        """Do something that a user may do."""
        draw = self.random
        choice = draw.random()
        on_disk = self.reader.on_disk() if self.world.scheduler._spilling.spilled else []
        if on_disk and draw.random() < 0.5:
            self.reader.fetch(draw.choice(on_disk))
        elif len(self.refs) > self.world.roomy:
            self.release(draw.sample(sorted(self.refs), len(self.refs) // 2))
        elif self.world.crowded():
            if draw.random() < 0.3:
                self._look()
        elif self.world.with_actors and draw.random() < 0.4:
            self.actors.act(self)
        elif choice < 0.4 or not self.templates:
            self._call()
        elif choice < 0.5:
            value: Value = b"small" if draw.random() < 0.5 else Inline(b"holds", self.some(2))
            self.put(value)
        elif choice < (0.75 if self.world.heavy else 0.6) and self.writing is None:
            self.writing = (draw.choice([100, 5000, 200_000, 400_000, 900_000]), self.some(1))
            self.say(messages.Allocate(1, self.writing[0]))
        elif choice < 0.8:
            self.release(self.some(3))
        elif choice < 0.85 and len(self.templates) > 2:
            self.say(messages.ForgetTemplates([self.templates.pop(0).template_id]))
        elif choice < 0.89:
            self._cancel()
        elif choice < 0.935:
            self._gang()
        elif choice < 0.94:
            self._asked += 1
            self.requests[self._asked] = -1
            least = draw.choice([1, 1, 2])
            self.say(messages.Scale(self._asked, least, self.world.cpus + draw.choice([0, 0, 1, 2])))
        else:
            self._look()
        return True

    def _look(self) -> None:
        """Ask for a value once more, or for what people see; or stop something."""
        draw = self.random
        choice = draw.random()
        if choice < 0.4 and self.refs:
            self.subscribe([draw.choice(sorted(self.refs))])
        elif choice < 0.5:
            self._asked += 1
            self.requests[self._asked] = -1
            self.say(messages.Ask(self._asked, draw.choice(QUESTIONS), draw.choice([0, 1, 1000])))
        elif choice < 0.7:
            self._cancel()
        else:
            self.release(self.some(4))

    def take_over(self, cells: int) -> None:
        """What the notebook's last kernel left is this one's from now on."""
        for number in range(max(1, cells - 2), cells + 1):
            self._asked += 1
            self.taking_over.add(self._asked)
            self.say(messages.Ask(self._asked, "take_over", self.random.choice([0, 1, 2]), f"cell {number}"))

    def _took_over(self, body: bytes) -> None:
        answer = msgspec.msgpack.decode(body)
        fresh = [ObjectId(number) for number in answer["results"] if number not in self.refs]
        self.world.seen["taken over"] += len(fresh)
        self.refs.update(dict.fromkeys(fresh))
        self.subscribe(fresh)

    def reply(self, task_id: TaskId) -> None:
        """A person answers what a task asks."""
        self._asked += 1
        self.requests[self._asked] = -1
        self.say(messages.Ask(self._asked, "reply", task_id, '{"text": "yes"}'))

    def _gang(self) -> None:
        """Set resources aside, or give them back."""
        draw = self.random
        if self.gangs and draw.random() < 0.5:
            gang = self.gangs.pop()
            self.say(messages.RemoveGang(gang))
            self.forget_gang(gang)
            return
        sizes = [{CPU: UNIT}, {CPU: UNIT // 2}, {CPU: UNIT, "disk": UNIT}] + [{CPU: UNIT, GPU: UNIT}] * bool(self.world.gpus)
        bundles = draw.choices(sizes, k=draw.choice([1, 1, 2, 3]))
        gang = self.new_object()
        self.refs[gang] = None
        self.gangs.append(gang)
        self.world.ledger.gang(self.process_id, gang, b"gang %d" % gang)
        strategies: list[Literal["PACK", "STRICT_SPREAD"]] = ["PACK", "PACK", "PACK", "STRICT_SPREAD"]
        self.say(messages.CreateGang(gang, [dict(bundle) for bundle in bundles], b"gang %d" % gang, draw.choice(strategies)))
        for _ in range(draw.choice([1, 2])):
            self.submit(self.register(BACKGROUND, gang), draw.choice([1, 2, 5]))

    def _call(self) -> None:
        draw = self.random
        if not self.templates or draw.random() < 0.3:
            self.cells += not self.cells or draw.random() < 0.4
            cell = CellRunId(draw.choice([BACKGROUND, f"cell {self.cells}"]))
            self.say(messages.DescribeCellRun(cell, f"[{self.cells}]"))
            self.register(cell)
        self.submit(draw.choice(self.templates), draw.choice([1, 1, 2, 5, 30]))

    def _cancel(self) -> None:
        draw = self.random
        self._asked += 1
        request = self._asked
        tasks = [TaskId(number) for number in self.some(5)]
        cells = [CellRunId(f"cell {self.cells}")] if draw.random() < 0.3 else []
        everything = draw.random() < 0.05
        self.requests[request] = -1 if cells or everything else len(tasks)
        self.say(messages.Cancel(request, tasks, cells, everything, draw.random() < 0.2))

"""A run's life as a state machine: whatever callers, executors and messages do in whatever order, the rules hold.

The repository, the API's routes and Postgres are the real ones. What runs outside of them in production (processes,
clocks, Kafka) is played by the rules: an executor that dies is one that does nothing more, one that was frozen goes on
with a lease that is over, a lost answer is a statement that is done twice or whose result is thrown away.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from service.executor.claims import ClaimedRun, LeaseLostError
from service.executor.progress import StepState
from service.executor.repository import RunRepository
from service.executor.waiting import Waiting
from service.platform.tables import FINAL_RUN_STATUSES
from tests.service.faults.life_world import LifeWorld, RunRow, StepRow

MOST_RUNS = 4
_UNHELD_ENDS = {"cancelled", "failed"}
MAY_BECOME = {
    "queued": {"running", "paused"} | _UNHELD_ENDS,
    "running": {"paused", "waiting", *FINAL_RUN_STATUSES},
    "paused": {"queued"} | _UNHELD_ENDS,
    "waiting": {"queued", "running", "paused"} | _UNHELD_ENDS,
    **{status: set() for status in FINAL_RUN_STATUSES},
}
"""The statuses that may follow one another; any but those of the last line may also stay."""

numbers = st.integers(0, 1000)
executors = st.integers(0, 2)


@dataclass(eq=False)
class Holder:
    """An executor that believes to have a run."""

    executor: RunRepository
    run: ClaimedRun
    steps: dict[str, StepState]
    signals: int = field(default=0)


class RunLife(RuleBasedStateMachine):
    """Rules are what may happen, invariants what must hold after each of them."""

    def __init__(self, world: LifeWorld) -> None:
        super().__init__()
        self.world = world
        world.clear()
        self.holders: list[Holder] = []
        self.keys: dict[UUID, str] = {}
        self.messages: dict[UUID, int] = {}
        self.claims: set[tuple[UUID, int]] = set()
        self.known: dict[UUID, RunRow] = {}
        self.known_steps: dict[tuple[UUID, str], StepRow] = {}
        self.outputs = 0

    @initialize(executed=st.integers(0, 2), claimed=st.integers(0, 2))
    def begin(self, executed: int, claimed: int) -> None:
        """Some runs are under way: what may happen to those is the most."""
        for _ in range(executed + claimed):
            self.execute()
        if claimed:
            self.deliver(0, list(range(claimed)), dies=False)

    # Callers.

    @precondition(lambda self: len(self.messages) < MOST_RUNS)
    @rule()
    def execute(self) -> None:
        """A caller starts a run."""
        key = f"key-{len(self.messages)}"
        answer = self.world.post(f"/workflows/{self.world.workflow_id}/execute", {"input": {}}, key)
        assert answer.status_code == 202, answer.text
        run_id = UUID(answer.json()["run_id"])
        self.messages[run_id], self.keys[run_id] = 1, key

    @precondition(lambda self: self.keys)
    @rule(which=numbers)
    def execute_again(self, which: int) -> None:
        """The caller did not get the answer and asks again."""
        run_id, key = list(self.keys.items())[which % len(self.keys)]
        answer = self.world.post(f"/workflows/{self.world.workflow_id}/execute", {"input": {}}, key)
        assert (answer.status_code, answer.json()["run_id"]) == (202, str(run_id))

    @precondition(lambda self: self.messages)
    @rule(which=numbers, what=st.sampled_from(["cancel", "pause", "resume"]))
    def steer(self, which: int, what: str) -> None:
        """Somebody cancels, pauses or resumes."""
        run_id = self._run(which)
        before = self.world.runs()[run_id].status
        answer = self.world.post(f"/runs/{run_id}/{what}")
        assert answer.status_code in (202, 409) or before in FINAL_RUN_STATUSES, answer.text
        if what == "resume" and answer.status_code == 202 and before == "paused":
            self.messages[run_id] += 1

    @precondition(lambda self: self.messages)
    @rule(which=numbers, outcome=st.sampled_from(["approve", "reject"]))
    def signal(self, which: int, outcome: str) -> None:
        """Somebody decides what the first step may wait for."""
        run_id = self._run(which)
        before = self.world.runs()[run_id].status
        answer = self.world.post(f"/runs/{run_id}/steps/first/signal", {"outcome": outcome})
        assert answer.status_code in (202, 404, 409), answer.text
        if answer.status_code == 202 and before == "waiting":
            self.messages[run_id] += 1

    @precondition(lambda self: 0 < len(self.messages) < MOST_RUNS)
    @rule(which=numbers)
    def retry(self, which: int) -> None:
        """Somebody retries what has failed."""
        run_id = self._run(which)
        before = self.world.runs()[run_id].status
        answer = self.world.post(f"/runs/{run_id}/retry")
        assert answer.status_code == (202 if before in ("failed", "cancelled") else 409), answer.text
        if answer.status_code == 202:
            self.messages[UUID(answer.json()["run_id"])] = 1

    # Messages and claims.

    @precondition(lambda self: self.messages)
    @rule(by=executors, which=st.lists(numbers, min_size=1, max_size=4), dies=st.booleans())
    def deliver(self, by: int, which: list[int], dies: bool) -> None:
        """Messages reach an executor: in any order, late, several times; it may die with its claims."""
        requests = self.world.requests()
        chosen = [requests[each % len(requests)] for each in which]
        executor = self.world.executors[by]
        self._claimed(executor, self.world.do(executor.claim_received(chosen)), dies=dies)

    @rule(by=executors, dies=st.booleans())
    def sweep(self, by: int, dies: bool) -> None:
        """An executor takes what nobody keeps alive, and what was queued for long."""
        executor = self.world.executors[by]
        for claim in (executor.claim_expired(5), executor.claim_forgotten(5, older_than_seconds=0)):
            self._claimed(executor, self.world.do(claim), dies=dies)
        self._claimed(executor, self.world.do(executor.claim_woken(5)), dies=dies)

    @precondition(lambda self: self.messages)
    @rule(which=numbers)
    def time_passes(self, which: int) -> None:
        """The lease of a run is over; whoever has it does not know."""
        self.world.expire(self._run(which))

    # What an executor that has a run does; it may have lost it long ago.

    @precondition(lambda self: self.holders)
    @rule(
        which=numbers,
        name=st.sampled_from(["first", "second"]),
        status=st.sampled_from(["running", "completed", "waiting", "failed"]),
        twice=st.booleans(),
    )
    def journal(self, which: int, name: str, status: str, twice: bool) -> None:
        """A step is begun or ends; ``twice`` where the first answer was lost."""
        holder = self._holder(which)
        state = self._step(holder, name, status)
        for _ in range(1 + twice):
            if self._has_it(holder):
                marks = self.world.do(holder.executor.journal(holder.run, [state]))
                row = self.world.runs()[holder.run.id]
                assert (marks.cancel, marks.pause, marks.signals) == (row.cancel, row.pause, row.signals)
                holder.signals = marks.signals
            else:
                self._is_refused(holder.executor.journal(holder.run, [state]))

    @precondition(lambda self: self.holders)
    @rule(which=numbers)
    def note_failure(self, which: int) -> None:
        """The run has failed and has still something to do."""
        holder = self._holder(which)
        noting = holder.executor.note_failure(holder.run, [], {"code": "noted"})
        if self._has_it(holder):
            self.world.do(noting)
        else:
            self._is_refused(noting)

    @precondition(lambda self: self.holders)
    @rule(which=numbers, status=st.sampled_from(FINAL_RUN_STATUSES), twice=st.booleans())
    def finish(self, which: int, status: str, twice: bool) -> None:
        """The run ends; the second answer is the one of the first."""
        holder = self._holder(which)
        ending = [self._step(holder, "second", "completed")]
        if not self._has_it(holder):
            row = self.world.runs()[holder.run.id]
            if (row.status, row.token) != (status, holder.run.token):
                self._is_refused(holder.executor.finish(holder.run, status, ending))
            return
        answers = {self.world.do(holder.executor.finish(holder.run, status, ending)) for _ in range(1 + twice)}
        assert len(answers) == 1
        assert self.world.runs()[holder.run.id].status == status

    @precondition(lambda self: self.holders)
    @rule(which=numbers, status=st.sampled_from(["paused", "waiting"]), twice=st.booleans())
    def park(self, which: int, status: str, twice: bool) -> None:
        """An executor lets go of a run that goes on at a later event."""
        holder, before = self._holder(which), self.world.runs()
        row = before[holder.run.id]
        asked = row.pause if status == "paused" else not row.pause and row.signals == holder.signals
        allowed = self._has_it(holder) and not row.cancel and asked
        step = self._step(holder, "first", "waiting") if status == "waiting" else None
        for _ in range(1 + twice):
            parking = holder.executor.park(holder.run, status, [step] if step else [], signals=holder.signals)
            did = self.world.do(parking)
            assert did is allowed or (row.status, row.token) == (status, holder.run.token)

    @precondition(lambda self: self.holders)
    @rule(which=numbers, twice=st.booleans())
    def release(self, which: int, twice: bool) -> None:
        """An executor that stops gives its run back, and does nothing more of it."""
        holder = self._holder(which)
        had, before = self._has_it(holder), self.world.runs()[holder.run.id]
        for _ in range(1 + twice):
            self.world.do(holder.executor.release(holder.run))
        after = self.world.runs()[holder.run.id]
        if had:
            assert (after.owner, after.attempt) == (None, max(0, before.attempt - 1))
        else:
            assert after == before
        # Its heartbeat may be on the way.
        assert holder.run.id not in self.world.do(holder.executor.renew([holder.run]))
        self.holders.remove(holder)

    @precondition(lambda self: self.holders)
    @rule(by=executors)
    def renew(self, by: int) -> None:
        """A heartbeat: what is kept is exactly what the executor still has."""
        executor = self.world.executors[by]
        mine = [holder for holder in self.holders if holder.executor is executor]
        newest = {holder.run.id: holder for holder in sorted(mine, key=lambda each: each.run.token)}
        kept = self.world.do(executor.renew([holder.run for holder in newest.values()]))
        assert set(kept) == {run_id for run_id, holder in newest.items() if self._has_it(holder)}

    @precondition(lambda self: self.messages)
    @rule(by=executors, which=numbers, after=st.sampled_from([0.0, 3600.0]))
    def end_cancelled(self, by: int, which: int, after: float) -> None:
        """Executors end what was cancelled: by its message, and by force."""
        executor = self.world.executors[by]
        self.world.do(executor.cancel_queued(self._run(which)))
        self.world.do(executor.force_cancellations(5, after_seconds=after))

    # What holds always.

    @invariant()
    def what_is_stored_fits_what_was_before(self) -> None:
        """No run is lost, tokens only grow, statuses follow one another, ends and completed steps stay as they are."""
        rows, steps = self.world.runs(), self.world.steps()
        assert set(rows) == set(self.messages), "a run was lost, or is there that nobody asked for"
        for run_id, row in rows.items():
            before = self.known.get(run_id)
            if before is not None:
                self._follows(before, row)
                if before.status in FINAL_RUN_STATUSES:
                    own = {name: step for (owner, name), step in steps.items() if owner == run_id}
                    was = {name: step for (owner, name), step in self.known_steps.items() if owner == run_id}
                    assert own == was, "the journal of a finished run has changed"
            assert row.owner is None or row.status == "running", "somebody holds a run that is not running"
            assert (row.finished is not None) == (row.status in FINAL_RUN_STATUSES)
        for place, step in self.known_steps.items():
            assert step.status != "completed" or steps[place] == step, "a step's effect was recorded a second time"
        self.known, self.known_steps = rows, steps

    @invariant()
    def each_acceptance_has_one_message_and_each_end_one_audit_entry(self) -> None:
        """What is told is told in the transaction of what it tells."""
        assert self.world.sent() == self.messages
        ended = {run_id: 1 for run_id, row in self.world.runs().items() if row.status in FINAL_RUN_STATUSES}
        assert self.world.audited_ends() == ended

    def teardown(self) -> None:
        """Everybody is dead but one executor, and nobody steers any more: it brings every run to its end."""
        last = self.world.executors[0]
        for run_id, row in self.world.runs().items():
            if row.status == "paused":
                self.steer(list(self.messages).index(run_id), "resume")
            if row.status == "waiting" and row.wake is None:
                self.world.post(f"/runs/{run_id}/cancel")
            self.world.expire(run_id)
        self.what_is_stored_fits_what_was_before()
        self.world.do(last.force_cancellations(MOST_RUNS, after_seconds=0))
        for claim in (last.claim_expired(9), last.claim_forgotten(9, older_than_seconds=0), last.claim_woken(9)):
            claimed = self.world.do(claim)
            self.what_is_stored_fits_what_was_before()
            for run in claimed:
                self.world.do(last.finish(run, "cancelled" if run.cancel_requested else "completed", []))
        left = {run_id: row.status for run_id, row in self.world.runs().items() if row.status not in FINAL_RUN_STATUSES}
        assert not left, "runs that nothing brings to an end"
        self.what_is_stored_fits_what_was_before()
        self.each_acceptance_has_one_message_and_each_end_one_audit_entry()

    def _follows(self, before: RunRow, row: RunRow) -> None:
        if before.status in FINAL_RUN_STATUSES:
            assert row == before, "a finished run has changed"
        elif before.status != row.status:
            assert row.status in MAY_BECOME[before.status], f"{before.status} became {row.status}"
        assert row.token >= before.token, "a lease's token went back"

    def _claimed(self, executor: RunRepository, runs: Sequence[ClaimedRun], *, dies: bool) -> None:
        for run in runs:
            assert (run.id, run.token) not in self.claims, "a run was given away twice under one token"
            self.claims.add((run.id, run.token))
            if not dies:
                steps = self.world.states(executor, run)
                self.holders.append(Holder(executor, run, steps, run.signals))

    def _run(self, which: int) -> UUID:
        return list(self.messages)[which % len(self.messages)]

    def _holder(self, which: int) -> Holder:
        return self.holders[which % len(self.holders)]

    def _has_it(self, holder: Holder) -> bool:
        row = self.world.runs()[holder.run.id]
        return row.status == "running" and row.token == holder.run.token

    def _step(self, holder: Holder, name: str, status: str) -> StepState:
        self.outputs += 1
        state = holder.steps[name]
        state.status, state.output = status, {"number": self.outputs} if status == "completed" else None
        state.waits = Waiting("approval", {}) if status == "waiting" else None
        return state

    def _is_refused(self, write: Any) -> None:
        try:
            self.world.do(write)
        except LeaseLostError:
            return
        raise AssertionError("an executor wrote of a run that it does not have any more")

"""Runs that are followed live, by both clients: what is told, when they come back, and when they give up."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from service.events import schemas
from tests.service.client_support import (
    RUN,
    Answers,
    Chunks,
    Clock,
    Make,
    answer,
    awaited_client,
    problem,
    run_told,
    settled,
    stream,
    told,
    waiting_client,
)
from wfm import (
    EndEvent,
    InvalidError,
    NotFoundError,
    RunEvent,
    StepEvent,
    UnexpectedAnswerError,
    UnreachableError,
    events,
)
from wfm.events import MOST_BYTES, EventReader
from wfm.following import SILENCE_SECONDS

pytestmark = pytest.mark.ring("unit")

ID = RUN["id"]
_TIMES = {"started_at": None, "finished_at": None}
RETRY = b"retry: 1000\n\n"
COMMENT = b": ping\n\n"
CUT = httpx.ReadError("reset")


def step(number: int, status: str = "running", error: dict[str, Any] | None = None) -> bytes:
    return told("step", number, id="a", status=status, attempt=1, error=error, **_TIMES)


def end(number: int, status: str = "completed") -> bytes:
    return told("end", number, status=status)


def places(api: Answers) -> list[str | None]:
    """From where each request wanted to be told."""
    return [each.headers.get("Last-Event-ID") for each in api.requests]


@pytest.fixture(params=[waiting_client, awaited_client], ids=["waiting", "awaited"])
def make(request: pytest.FixtureRequest) -> Make:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    found.install(monkeypatch)
    return found


async def test_events_are_told_until_the_end(make: Make) -> None:
    answers = stream(RETRY, run_told(1) + step(2), COMMENT, run_told(3, "completed") + end(4))
    api = Answers(answers)
    found = await settled(make(api, api_key="k").runs.events(ID))
    assert [(each.kind, each.id, type(each.data)) for each in found] == [
        ("run", "1", RunEvent),
        ("step", "2", StepEvent),
        ("run", "3", RunEvent),
        ("end", "4", EndEvent),
    ]
    assert [each.data.status for each in found] == ["running", "running", "completed", "completed"]
    assert (api.requests[0].url.path, api.requests[0].headers["X-API-Key"]) == (f"/api/v1/runs/{ID}/events", "k")
    assert answers.is_closed


async def test_after_a_cut_it_goes_on_after_the_last_event(make: Make, clock: Clock) -> None:
    api = Answers(stream(RETRY, run_told(1), CUT), stream(RETRY, step(2) + end(3)))
    found = await settled(make(api).runs.events(ID))
    assert [each.id for each in found] == ["1", "2", "3"]
    assert places(api) == [None, "1"]
    assert len(clock.pauses) == 2
    assert 1 <= clock.pauses[0] < 1.5


async def test_half_an_event_before_a_cut_is_not_told(make: Make) -> None:
    api = Answers(stream(run_told(1), step(2)[:-1], CUT), stream(step(2) + end(3)))
    assert [each.id for each in await settled(make(api).runs.events(ID))] == ["1", "2", "3"]


async def test_a_stream_that_ends_before_the_run_is_opened_again(make: Make) -> None:
    api = Answers(stream(run_told(1)), stream(COMMENT), stream(COMMENT), stream(end(2)))
    assert [each.id for each in await settled(make(api, retry_seconds=0).runs.events(ID))] == ["1", "2"]
    assert places(api) == [None, "1", "1", "1"]


async def test_the_end_is_told_where_it_only_was_missed(make: Make) -> None:
    api = Answers(stream(run_told(1, "failed"), CUT), httpx.Response(204))
    found = await settled(make(api).runs.events(ID))
    assert [(each.kind, each.data.status) for each in found] == [("run", "failed"), ("end", "failed")]


async def test_who_comes_back_after_the_end_is_told_nothing(make: Make) -> None:
    api = Answers(httpx.Response(204))
    assert await settled(make(api).runs.events(ID, last_event_id="9")) == []
    assert places(api) == ["9"]


async def test_tries_without_a_sign_of_life_end_in_time(make: Make, clock: Clock) -> None:
    api = Answers(*(stream(RETRY) for _ in range(100)))
    began = clock.now
    with pytest.raises(UnreachableError, match="before anything was told"):
        await settled(make(api, retry_seconds=20).runs.events(ID))
    assert len(api.requests) > 3
    assert clock.now - began <= 20


async def test_a_connection_that_breaks_again_and_again_is_told(make: Make) -> None:
    api = Answers(*(stream(RETRY, CUT) for _ in range(100)))
    with pytest.raises(UnreachableError, match="reset"):
        await settled(make(api, retry_seconds=20).runs.events(ID))


async def test_a_run_that_is_gone_meanwhile_is_told(make: Make) -> None:
    with pytest.raises(NotFoundError):
        await settled(make(Answers(stream(run_told(1)), problem(404, "not-found"))).runs.events(ID))


async def test_a_refusal_is_read_to_its_end(make: Make) -> None:
    refusal = problem(422, "validation", "It is no id of an event.")
    api = Answers(httpx.Response(422, headers=refusal.headers, stream=Chunks(refusal.content)))
    with pytest.raises(InvalidError, match="no id of an event"):
        await settled(make(api).runs.events(ID, last_event_id="x"))


async def test_a_busy_server_is_asked_again(make: Make) -> None:
    busy = problem(503, "too-many-streams", headers={"Retry-After": "2"})
    assert [each.id for each in await settled(make(Answers(busy, stream(end(1)))).runs.events(ID))] == ["1"]


async def test_a_token_that_ends_while_a_run_is_followed_is_renewed(make: Make) -> None:
    token = {"access_token": "first", "expires_in": 3600}
    second = answer(token | {"access_token": "second"})
    api = Answers(answer(token), stream(run_told(1)), problem(401, "unauthenticated"), second, stream(end(2)))
    assert [each.id for each in await settled(make(api, username="ada", password="s").runs.events(ID))] == ["1", "2"]
    assert api.requests[-1].headers["Authorization"] == "Bearer second"


async def test_something_else_than_events_is_refused(make: Make) -> None:
    with pytest.raises(UnexpectedAnswerError, match="something else than this API gives"):
        await settled(make(Answers(answer(RUN))).runs.events(ID))


@pytest.mark.parametrize("text", ["{", "[]", '{"status": 1}'])
async def test_an_event_of_something_else_is_refused(make: Make, text: str) -> None:
    api = Answers(stream(f"event: end\ndata: {text}\n\n".encode()))
    with pytest.raises(UnexpectedAnswerError, match="The event 'end' is something else"):
        await settled(make(api).runs.events(ID))


async def test_a_client_that_waits_briefly_for_answers_still_bears_a_quiet_run(make: Make) -> None:
    api = Answers(stream(end(1)))
    await settled(make(api, timeout=3).runs.events(ID))
    timeouts = api.requests[0].extensions["timeout"]
    assert (timeouts["read"], timeouts["connect"]) == (SILENCE_SECONDS, 3)


async def test_following_ends_at_the_next_word_after_the_timeout(make: Make, clock: Clock) -> None:
    def quarter() -> None:
        clock.now += 15

    api = Answers(stream(run_told(1), quarter, COMMENT, quarter, COMMENT, step(2)), stream(end(3)))
    found = await settled(make(api).runs.events(ID, timeout=20))
    assert [each.kind for each in found] == ["run"]
    assert len(api.requests) == 1
    assert api.requests[0].extensions["timeout"]["read"] == 20


async def test_silence_at_the_timeout_is_no_failure(make: Make, clock: Clock) -> None:
    def silence() -> None:
        clock.now += 20
        raise httpx.ReadTimeout("late")

    api = Answers(stream(run_told(1), silence))
    assert [each.kind for each in await settled(make(api).runs.events(ID, timeout=20))] == ["run"]


async def test_who_stops_reading_ends_the_connection() -> None:
    answers = [stream(run_told(1), step(2), end(3)) for _ in range(2)]
    for _ in waiting_client(Answers(answers[0])).runs.events(ID):
        break
    found = awaited_client(Answers(answers[1])).runs.events(ID)
    await anext(found)
    await found.aclose()
    assert [each.is_closed for each in answers] == [True, True]


Cutter = Callable[[bytes], list[bytes]]


@pytest.mark.parametrize("length", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("ends", [b"\n", b"\r\n"])
def test_events_are_the_same_wherever_their_bytes_are_cut(length: int, ends: bytes) -> None:
    text = "ä \u2028 \x85 \U0001f600 a\r b"
    content = (RETRY + COMMENT + step(1, "failed", {"message": text}) + end(2)).replace(b"\n", ends)
    reader = EventReader()
    found = [each for place in range(0, len(content), length) for each in reader.read(content[place : place + length])]
    assert [each.id for each in found] == ["1", "2"]
    assert isinstance(found[0].data, StepEvent)
    assert found[0].data.error == {"message": text}
    assert (reader.heard, reader.retry_seconds) == (True, 1)


def test_data_of_several_lines_is_one_event() -> None:
    found = list(EventReader().read(b'event: end\ndata: {"status":\ndata:"failed"}\nid: 1\n\n'))
    assert found[0].data == EndEvent(status="failed")


def test_events_and_fields_of_a_newer_server_are_told() -> None:
    found = list(EventReader().read(told("colour", 1, red=5) + told("end", 2, status="gone", why="x")))
    assert [(each.kind, each.data.model_dump()) for each in found] == [
        ("colour", {"red": 5}),
        ("end", {"status": "gone", "why": "x"}),
    ]


@pytest.mark.parametrize("line", [b"data: " + b"x" * 100_000 + b"\n", b"x" * 100_000], ids=["lines", "no-line"])
def test_an_event_without_an_end_is_refused(line: bytes) -> None:
    reader = EventReader()

    def read() -> None:
        for _ in range(2 + MOST_BYTES // len(line)):
            list(reader.read(line))

    with pytest.raises(UnexpectedAnswerError, match="longer than 4 MiB"):
        read()


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (events.RunEvent, schemas.RunEvent),
        (events.StepEvent, schemas.StepEvent),
        (events.EndEvent, schemas.EndEvent),
    ],
)
def test_events_are_read_as_the_server_makes_them(ours: Any, theirs: Any) -> None:
    def described(model: Any) -> tuple[set[str], set[str]]:
        found = json.loads(json.dumps(model.model_json_schema()))
        return set(found["properties"]), set(found["required"])

    assert described(ours) == described(theirs)

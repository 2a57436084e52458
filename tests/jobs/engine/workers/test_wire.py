"""What travels between a scheduler and its workers."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.engine.run import ClaimedRun
from jobs.engine.statements import FinishedRun
from jobs.engine.workers.wire import (
    HEADER,
    LARGEST_FRAME,
    BadMessage,
    Frames,
    decode_outcome,
    decode_run,
    encode_odd_run,
    encode_outcome,
    encode_run,
    frame,
    frame_of_run,
)

pytestmark = pytest.mark.once

NOW = datetime(2030, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
MESSAGES = st.lists(st.dictionaries(TEXTS, st.integers(-(2**53), 2**53) | TEXTS | st.none()), max_size=5)


@given(messages=MESSAGES, cuts=st.lists(st.integers(0, 400), max_size=8))
def test_messages_survive_however_the_stream_is_cut(messages: list[dict[str, Any]], cuts: list[int]) -> None:
    stream = b"".join(frame(message) for message in messages)
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    frames = Frames()
    assert [message for start, end in pairwise(edges) for message in frames.feed(stream[start:end])] == messages


@pytest.mark.parametrize("body", [b"[1, 2]", b"7", b"nonsense", b"", b'{"a": NaN}', b"\xff\xfe"])
def test_a_frame_that_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(BadMessage):
        list(Frames().feed(HEADER.pack(len(body)) + body))


def test_a_frame_that_claims_to_be_huge_is_refused_before_it_is_read() -> None:
    with pytest.raises(BadMessage, match=str(LARGEST_FRAME)):
        list(Frames().feed(HEADER.pack(LARGEST_FRAME + 1)))


def travel(value: Any) -> Any:
    """The value as it arrives on the other side."""
    return next(Frames().feed(frame({"value": value})))["value"]


def test_a_run_arrives_with_everything_that_its_execution_needs() -> None:
    run = ClaimedRun(7, "job", NOW, "function", {"a": [1, None, "ü"]}, 2, "retry", "loop", 30)
    run.slot = 12
    arrived = decode_run(travel(encode_run(run)))
    names = ("id", "job_id", "scheduled_for", "function", "kwargs", "attempt", "cause", "pool", "timeout_seconds", "slot")
    assert [getattr(arrived, name) for name in names] == [getattr(run, name) for name in names]


@pytest.mark.parametrize("kwargs", [{"number": 10**30}, {"text": "\ud800"}, {"deep": json.loads("[" * 300 + "]" * 300)}, {}])
def test_arguments_that_orjson_refuses_arrive_all_the_same(kwargs: Any) -> None:
    run = ClaimedRun(7, "job", NOW, "function", kwargs)
    message = next(Frames().feed(frame_of_run(run)))
    assert decode_run(message["run"]).kwargs == kwargs


def test_arguments_that_are_too_large_fail_their_run_and_hold_up_no_other() -> None:
    arrived = decode_run(travel(encode_odd_run(ClaimedRun(7, "job", NOW, "function", {"text": "x" * LARGEST_FRAME}))))
    assert str(arrived.kwargs) == "arguments that are too large for a worker"


def test_arguments_that_no_json_can_hold_fail_their_run_and_hold_up_no_other() -> None:
    kwargs: dict[str, Any] = {}
    kwargs["itself"] = kwargs
    arrived = decode_run(travel(encode_odd_run(ClaimedRun(7, "job", NOW, "function", kwargs))))
    assert not isinstance(arrived.kwargs, dict)  # which fails the run, see execute.UnusableArguments


@given(
    status=st.sampled_from(["succeeded", "failed", "timed_out", "cancelled"]),
    duration=st.floats(0, 1e6),
    reason=TEXTS,
    error=TEXTS,
    log=TEXTS,
    result=st.none() | st.just('{"a": 1}'),
)
def test_an_outcome_arrives_as_it_was_sent(status: str, duration: float, reason: str, error: str, log: str, result: str | None) -> None:
    finished = FinishedRun(7, status, NOW, NOW, duration, reason, result, error, "", log, None)
    assert decode_outcome(travel(encode_outcome(finished))) == finished


GOOD = [7, "succeeded", "2030-01-01T12:00:00+00:00", "2030-01-01T12:00:01+00:00", 1.0]


@pytest.mark.parametrize(
    ("index", "value"),
    [
        (0, "7"),
        (0, True),
        (0, None),
        (1, "running"),
        (1, "abandoned"),
        (1, "nonsense"),
        (1, None),
        (2, "yesterday"),
        (2, 5),
        (2, "2030-01-01T12:00:00"),
        (2, "0001-01-01T00:00:00+14:00"),
        (3, "9999-12-31T23:59:59-12:00"),
        (3, None),
        (4, "1.0"),
        (4, -1.0),
        (4, math.inf),
        (4, 1),
    ],
)
def test_an_outcome_that_no_worker_of_ours_would_send_is_refused(index: int, value: Any) -> None:
    with pytest.raises(BadMessage):
        decode_outcome([*GOOD[:index], value, *GOOD[index + 1 :]])


@pytest.mark.parametrize(
    "values",
    [
        None,
        7,
        [],
        GOOD[:3],
        [*GOOD, "", None, "", "", "", None, "one too many"],
        [*GOOD, 5, None, "", "", "", None],
        [*GOOD, "", 5, "", "", "", None],
        [*GOOD, "", None, None, "", "", None],
        [*GOOD, "", None, "", "", "", ["progress"]],
    ],
)
def test_an_outcome_of_the_wrong_shape_is_refused(values: Any) -> None:
    with pytest.raises(BadMessage):
        decode_outcome(values)


def test_a_quiet_outcome_is_five_values() -> None:
    assert len(orjson.loads(orjson.dumps(encode_outcome(FinishedRun(1, "succeeded", NOW, NOW, 0.1))))) == 5

"""A request with an idempotency key acts once, however often, from however many threads and after whatever failure it is repeated."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, connections, transaction
from django.db.migrations.loader import MigrationLoader
from django.utils.timezone import now

from jobs.exceptions import IdempotencyKeyInUse, IdempotencyKeyReused
from jobs.maintenance.prune import SLICE, prune
from jobs.models import IdempotencyKey, JobRun, idempotency
from jobs.models.idempotency import KEPT_FOR, KeyedRequest
from tests.jobs.damage import damage, damages
from tests.jobs.engine.concurrently import at_the_same_time
from tests.jobs.engine.manual_scheduler import STAFF, define

pytestmark = pytest.mark.django_db

TAKE_OVER = import_module("jobs.migrations.0013_keep_answers_for_idempotency_keys").take_over_keys


def request(fields: dict[str, Any] | None = None, key: str = "night-7", target: str = "a", caller: str = "user:1") -> KeyedRequest:
    return KeyedRequest(caller, STAFF.name, key, "run_job", target, fields or {})


def run_once(asked: KeyedRequest) -> tuple[str, bool]:
    def act() -> str:
        run = JobRun.objects.request(asked.target, STAFF.name)
        return json.dumps({"data": {"run": {"id": run.pk}}})

    return IdempotencyKey.objects.answer_once(asked, act)


def test_a_key_belongs_to_its_caller_and_to_what_came_with_it() -> None:
    define("a")
    first, _ = run_once(request({"x": 1, "y": 2}))
    assert run_once(request({"y": 2, "x": 1})) == (first, True)
    assert run_once(request(caller="user:2"))[1] is False
    assert run_once(request(key="night-8"))[1] is False
    for other in (request({"x": 1}), request({"x": 1, "y": 2}, target="b")):
        with pytest.raises(IdempotencyKeyReused, match="the idempotency key 'night-7' was used for another request"):
            run_once(other)
    assert JobRun.objects.count() == 3


def test_a_key_is_forgotten_after_a_day() -> None:
    define("a")
    run_once(request({"x": 1}))
    IdempotencyKey.objects.update(created_at=now() - KEPT_FOR + timedelta(minutes=1))
    assert run_once(request({"x": 1}))[1] is True
    IdempotencyKey.objects.update(created_at=now() - KEPT_FOR)
    assert run_once(request({"x": 2}))[1] is False
    assert (JobRun.objects.count(), IdempotencyKey.objects.count()) == (2, 1)


def test_pruning_deletes_what_is_forgotten() -> None:
    made = now()
    IdempotencyKey.objects.bulk_create(IdempotencyKey(caller="user:1", key=f"old-{number}", created_at=made - KEPT_FOR) for number in range(SLICE + 1))
    IdempotencyKey.objects.create(caller="user:1", key="new", created_at=made)
    prune(made)
    assert IdempotencyKey.objects.get().key == "new"


def test_a_request_that_fails_keeps_no_key() -> None:
    define("a")

    def fail() -> str:
        JobRun.objects.request("a", STAFF.name)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        IdempotencyKey.objects.answer_once(request(), fail)
    assert not JobRun.objects.exists()
    assert run_once(request())[1] is False


def test_what_cannot_be_answered_again_has_not_been_done(monkeypatch: pytest.MonkeyPatch) -> None:
    define("a")
    save = IdempotencyKey.save

    def crash_after_the_act(row: IdempotencyKey, **options: Any) -> None:
        if "update_fields" in options:
            assert JobRun.objects.exists()
            raise KeyboardInterrupt
        save(row, **options)

    monkeypatch.setattr(IdempotencyKey, "save", crash_after_the_act)
    with pytest.raises(KeyboardInterrupt):
        run_once(request())
    monkeypatch.undo()
    assert not JobRun.objects.exists()
    assert run_once(request())[1] is False


@pytest.mark.django_db(transaction=True)
def test_of_requests_at_once_one_acts_and_all_get_its_answer() -> None:
    define("a")
    answers = at_the_same_time(*[lambda: run_once(request()) for _ in range(6)])
    assert len({answer for answer, _ in answers}) == JobRun.objects.count() == 1
    assert sorted(is_replayed for _, is_replayed in answers) == [False] + [True] * 5


@pytest.mark.django_db(transaction=True)
def test_of_requests_at_once_with_an_expired_key_one_acts() -> None:
    define("a")
    run_once(request())
    IdempotencyKey.objects.update(created_at=now() - KEPT_FOR)
    answers = at_the_same_time(*[lambda: run_once(request()) for _ in range(6)])
    assert len({answer for answer, _ in answers}) == 1
    assert JobRun.objects.count() == 2


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_who_would_wait_too_long_for_the_first_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "WAIT_SECONDS", 0.05)
    define("a")
    acting, may_end = threading.Event(), threading.Event()

    def slow() -> str:
        acting.set()
        may_end.wait(30)
        return '{"data": {}}'

    first = in_a_thread(lambda: IdempotencyKey.objects.answer_once(request(), slow))
    assert acting.wait(30)
    with pytest.raises(IdempotencyKeyInUse, match="still in progress"):
        run_once(request())
    assert run_once(request(key="other"))[1] is False
    may_end.set()
    first.join(30)
    assert run_once(request()) == ('{"data": {}}', True)


def in_a_thread(step: Callable[[], Any]) -> threading.Thread:
    def work() -> None:
        try:
            step()
        finally:
            connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_a_damaged_row_acts_no_second_time_and_is_refused() -> None:
    define("a")
    stored = 0
    for column, value in damages("jobs_idempotencykey"):
        with transaction.atomic():
            run_once(request())
            if column != "id" and damage("jobs_idempotencykey", column, value, "caller = 'user:1'"):
                stored += 1
                prune(now())
                try:
                    _answer, is_replayed = run_once(request())
                except IdempotencyKeyReused:
                    is_replayed = True
                assert is_replayed or column in {"caller", "key", "created_at"}, (column, value)
            transaction.set_rollback(True)
    assert stored


class BeforeTheTable:
    """The models as the migration sees them."""

    def __init__(self) -> None:
        self._before = MigrationLoader(connection).project_state(("jobs", "0012_claim_only_what_is_applied")).apps

    def get_model(self, app: str, name: str) -> Any:
        return apps.get_model(app, name) if name == "IdempotencyKey" else self._before.get_model(app, name)


@pytest.fixture
def old_column() -> None:
    """The column that later migrations may have dropped."""
    with connection.cursor() as cursor:
        if "idempotency_key" not in {column.name for column in connection.introspection.get_table_description(cursor, "jobs_jobrun")}:
            cursor.execute("ALTER TABLE jobs_jobrun ADD COLUMN idempotency_key varchar(255)")


def test_keys_from_before_the_table_are_taken_over(old_column: None) -> None:
    job = define("a", kwargs={"limit": 1})
    plain, with_arguments, old = (job.request_run(STAFF, kwargs) for kwargs in (None, {"limit": 2}, None))
    JobRun.objects.filter(pk=old.pk).update(queued_at=now() - KEPT_FOR)
    JobRun.objects.filter(pk=plain.pk).update(status="succeeded", finished_at=now())
    with connection.cursor() as cursor:
        for key, run in (("plain", plain), ("arguments", with_arguments), ("old", old)):
            cursor.execute("UPDATE jobs_jobrun SET idempotency_key = %s WHERE id = %s", [key, run.pk])
    TAKE_OVER(BeforeTheTable(), None)
    assert sorted(IdempotencyKey.objects.values_list("key", flat=True)) == ["arguments", "plain"]
    answer, is_replayed = run_once(request(key="plain"))
    run = json.loads(answer)["data"]["run"]
    assert (is_replayed, run["id"], run["status"], run["job_id"]) == (True, plain.pk, "queued", "a")
    assert run_once(request({"kwargs": {"limit": 2}}, key="arguments"))[1] is True
    for another in (request({"kwargs": {"limit": 3}}, key="arguments"), request(key="plain", target="b")):
        with pytest.raises(IdempotencyKeyReused):
            run_once(another)
    stranger = KeyedRequest("user:2", "eve", "plain", "run_job", "a", {})
    assert run_once(stranger)[1] is False

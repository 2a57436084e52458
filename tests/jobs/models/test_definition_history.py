from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from jobs.models import CODE, Author, JobDefinition
from tests.jobs.engine.manual_scheduler import STAFF, define

pytestmark = pytest.mark.django_db


def test_history_says_who_when_why_and_from_where() -> None:
    ada = User.objects.create_user("ada")
    edited = define("a").edit(Author.of_user(ada, "api"), reason="the upstream is slow", interval_seconds=120)
    record = edited.history.get(revision=2)
    assert (record.history_user, record.author, record.source) == (ada, "ada", "api")
    assert (record.history_change_reason, record.history_date) == ("the upstream is slow", edited.updated_at)
    assert (record.interval_seconds, record.prev_record.interval_seconds) == (120, 60)


def test_each_revision_has_one_record() -> None:
    definition = define("a")
    for interval in (5, 6, 7):
        definition.edit(STAFF, interval_seconds=interval)
    definition.archive(STAFF)
    assert list(definition.history.order_by("revision").values_list("revision", "interval_seconds")) == [(1, 60), (2, 5), (3, 6), (4, 7), (5, 7)]


def test_a_change_from_a_shell_is_recorded_as_that() -> None:
    definition = define("a")
    definition.title = "From a shell"
    definition.save()
    record = definition.history.get(revision=2)
    assert (record.source, record.author, record.history_user) == ("shell", "", None)


def test_the_author_of_one_change_is_not_the_author_of_the_next() -> None:
    ada = User.objects.create_user("ada")
    edited = define("a").edit(Author.of_user(ada, "admin"), reason="mine", title="x")
    edited.edit(CODE, title="y")
    record = edited.history.get(revision=3)
    assert (record.history_user, record.author, record.history_change_reason) == (None, "code", None)


def test_a_refused_change_leaves_no_record() -> None:
    definition = define("a")
    with pytest.raises(Exception, match="interval_seconds"):
        definition.edit(STAFF, interval_seconds=-1)
    assert definition.history.count() == 1


def test_what_a_scheduler_writes_back_is_no_change() -> None:
    definition = define("a")
    JobDefinition.objects.filter(pk="a").update(applied_revision=1, applied_by="one")
    assert definition.history.count() == 1
    assert JobDefinition.objects.get(pk="a").revision == 1


def test_history_outlives_the_definition() -> None:
    define("a").delete()
    assert list(JobDefinition.history.values_list("history_type", flat=True).order_by("history_id")) == ["+", "-"]

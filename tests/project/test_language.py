"""German: the catalogue is whole, and it is used where people read and nowhere else."""

from __future__ import annotations

import ast
import gettext
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.conf import settings
from django.test import Client
from django.utils.timezone import now
from django.utils.translation import override
from django.utils.translation.template import templatize

from jobs.models import Author, JobDefinition, JobRun, ScheduledJob
from jobs.schedule.validators import cron_problem

FOLDER = Path(settings.BASE_DIR) / "locale" / "de" / "LC_MESSAGES"
CONTEXT = "\x04"
"""What gettext puts between a context and its text."""
FUNCTIONS = {"_": 1, "gettext": 1, "gettext_lazy": 1, "ngettext": 1, "pgettext": 2, "pgettext_lazy": 2}
PLACEHOLDER = re.compile(r"%\((\w+)\)\w|%[sd]")
IN_TEMPLATE = re.compile(r"""(?:gettext|\b_)\(\s*u?('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""")
GERMAN = {"accept-language": "de-AT,de;q=0.9,en;q=0.5"}


class Entry(NamedTuple):
    plural: str
    texts: list[str]


def entries() -> dict[str, Entry]:
    """The .po file: its entries by the key that gettext has for them."""
    found = {}
    for entry in (FOLDER / "django.po").read_text().split("\n\n")[1:]:
        fields = {name: ast.literal_eval(text) for name, text in re.findall(r"^(msg[a-z_]+(?:\[\d\])?) (\".*\")$", entry, re.MULTILINE)}
        key = fields.get("msgctxt", "") + (CONTEXT if "msgctxt" in fields else "") + fields["msgid"]
        found[key] = Entry(fields.get("msgid_plural", ""), [text for name, text in fields.items() if name.startswith("msgstr")])
    return found


def texts_in_python() -> Iterator[str]:
    for folder in ("jobs", "health", "vsadmin"):
        for path in (Path(settings.BASE_DIR) / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
                if isinstance(node, ast.Call) and name in FUNCTIONS and "migrations" not in path.parts:
                    words = [argument.value for argument in node.args[: FUNCTIONS[name]] if isinstance(argument, ast.Constant)]
                    yield CONTEXT.join(map(str, words))


def texts_in_templates() -> Iterator[str]:
    for folder in ("templates", "jobs", "vsadmin"):
        for path in (Path(settings.BASE_DIR) / folder).rglob("*.html"):
            for quoted in IN_TEMPLATE.findall(templatize(path.read_text())):
                yield ast.literal_eval(quoted)


def test_every_text_is_translated() -> None:
    used = {text for text in (*texts_in_python(), *texts_in_templates()) if text}
    known = entries()
    assert len(used) > 400
    assert sorted(used - known.keys()) == []
    assert [key for key, entry in known.items() if not all(entry.texts)] == []


def test_no_translation_is_left_over() -> None:
    assert sorted(entries().keys() - {*texts_in_python(), *texts_in_templates()}) == []


def test_a_translation_says_the_same_values() -> None:
    for key, entry in entries().items():
        wanted = set(PLACEHOLDER.findall(key + entry.plural))
        assert set(PLACEHOLDER.findall(entry.texts[-1])) == wanted, key
        assert set(PLACEHOLDER.findall(entry.texts[0])) <= wanted, key  # "one job" needs no number


def test_the_compiled_catalogue_is_that_of_the_texts() -> None:
    """After a change of the .po file: `msgfmt -o django.mo django.po`."""
    with (FOLDER / "django.mo").open("rb") as file:
        compiled: dict[Any, str] = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]  # it has no public way to list what it holds
    plain = {key if isinstance(key, str) else key[0]: text for key, text in compiled.items() if key != "" and (isinstance(key, str) or key[1] == 0)}
    assert plain == {key: entry.texts[0] for key, entry in entries().items()}


@pytest.fixture
def house(db: None) -> JobRun:
    author, moment = Author("mira", "admin"), now()
    job = JobDefinition.objects.add(author, id="backup", title="Back up the world", function="prune_job_runs", trigger="interval", interval_seconds=3600)
    job = job.edit(author, max_retries=2, reason="flaky disk")
    ScheduledJob.objects.create(job=job, next_run_time=moment + timedelta(hours=7, minutes=7, seconds=7), job_state=b"")
    return JobRun.objects.create(job=job, scheduled_for=moment - timedelta(hours=3), status="failed", finished_at=moment, started_at=moment, duration_seconds=0.25)


PAGES = {
    "": ("Überblick", "Die nächsten 24 Stunden", "Läufe je Stunde", "Es läuft kein Scheduler: Nichts wird ausgeführt.", "jede Stunde"),
    "jobs/jobdefinition/": ("Nächster Lauf", "in 7 h", "fehlgeschlagen", "0,25 s", "vor 3 h", "Jetzt ausführen"),
    "jobs/jobdefinition/backup/change/": ("Wenn ein Lauf fehlschlägt", "Noch pünktlich bis", "in festem Abstand", "Läuft:"),
    "jobs/jobdefinition/backup/run/": ("Jetzt ausführen", "Er beginnt sofort"),
    "jobs/jobdefinition/backup/history/": ("Fassung 2", "Wiederholungen", "Zurück zu 1"),
    "jobs/jobrun/": ("Läufe", "Termin", "Ursache", "Zeitplan"),
    "jobs/jobrun/{run}/change/": ("Hergang", "Verspätung", "Noch einmal ausführen"),
}


@pytest.mark.parametrize("path", PAGES)
def test_a_page_speaks_the_language_of_the_browser(admin_client: Client, house: JobRun, path: str) -> None:
    address = f"/admin/{path.format(run=house.pk)}"
    answer = admin_client.get(address, headers=GERMAN)
    page = answer.content.decode()
    assert [text for text in PAGES[path] if text not in page] == []
    assert '<html lang="de"' in page
    assert (answer["Content-Language"], answer["Vary"].count("Accept-Language")) == ("de", 1)
    assert '<html lang="en"' in admin_client.get(address).content.decode()


def test_charts_are_drawn_with_points_whatever_the_language(admin_client: Client, house: JobRun) -> None:
    page = admin_client.get("/admin/", headers=GERMAN).content.decode()
    charts = "".join(re.findall(r'<svg class="vs-chart".*?</svg>', page, re.DOTALL))
    drawn = re.findall(r'\b(?:x|y|x1|x2|y1|y2|width|height)="([^"]*)"', charts)
    assert len(drawn) > 100
    assert [number for number in drawn if not re.fullmatch(r"\d+(\.\d+)?", number)] == []
    assert re.search(r'class="vs-mark" x="\d+\.\d"', page)


def test_the_api_speaks_english_to_everybody(admin_client: Client, house: JobRun) -> None:
    admin_client.get("/admin/", headers=GERMAN)  # the thread has spoken German
    answer = admin_client.get("/api/v1alpha1/jobs", headers=GERMAN)
    assert answer.json()["data"]["jobs"][0]["schedule"] == "every hour"
    assert "Content-Language" not in answer


def test_a_problem_is_not_remembered_in_the_language_of_whoever_met_it_first() -> None:
    with override("de"):
        assert cron_problem("1 2 3") is not None
        assert "erwartet werden fünf Felder" in str(cron_problem("1 2 3"))
    with override("en"):  # this thread may have spoken German before
        assert "Expected five fields" in str(cron_problem("1 2 3"))


@pytest.mark.parametrize(("seconds", "words"), [(1, "jede Sekunde"), (86_400, "jeden Tag"), (5400, "alle 1 Stunde 30 Minuten"), (172_800, "alle 2 Tage")])
def test_an_interval_is_said_as_people_say_it(db: None, seconds: int, words: str) -> None:
    with override("de"):
        assert JobDefinition(id="x", trigger="interval", interval_seconds=seconds).schedule.describe() == words

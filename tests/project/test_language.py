"""German: both catalogues are complete, and pages use them; the API does not."""

from __future__ import annotations

import ast
import gettext
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import django.contrib.admin
import pytest
from django.conf import settings
from django.test import Client
from django.utils import translation
from django.utils.timezone import now
from django.utils.translation import override
from django.utils.translation.template import templatize

from jobs.models import Author, JobDefinition, JobRun, ScheduledJob
from jobs.schedule.validators import cron_problem

ROOT = Path(settings.BASE_DIR)
IN_FOLDER = Path("de", "LC_MESSAGES")
CONTEXT = "\x04"
"""What gettext puts between a context and its text."""
FUNCTIONS = {"_": 1, "gettext": 1, "gettext_lazy": 1, "ngettext": 1, "pgettext": 2, "pgettext_lazy": 2}
"""For each function, how many of its first arguments make the key of the text."""
PLACEHOLDER = re.compile(r"%\((\w+)\)\w|%[sd]")
FIELD = re.compile(r"""^(msg[a-z_]+(?:\[\d\])?) ((?:".*"\n?)+)""", re.MULTILINE)
GERMAN = {"accept-language": "de-AT,de;q=0.9,en;q=0.5"}


class Catalogue(NamedTuple):
    folder: Path
    sources: tuple[str, ...]
    at_least: int
    """So many texts the sources have at least: a test that finds none cannot succeed."""


class Entry(NamedTuple):
    plural: str
    texts: list[str]


CATALOGUES = {
    "jobs": Catalogue(ROOT / "jobs" / "locale" / IN_FOLDER, ("jobs",), at_least=300),
    "site": Catalogue(ROOT / "locale" / IN_FOLDER, ("health", "vsadmin", "templates"), at_least=100),
}
each_catalogue = pytest.mark.parametrize("catalogue", CATALOGUES.values(), ids=CATALOGUES)


def entries(catalogue: Catalogue) -> dict[str, Entry]:
    """The .po file: its entries by the key that gettext has for them."""
    found = {}
    for entry in (catalogue.folder / "django.po").read_text().split("\n\n")[1:]:
        fields = {name: ast.literal_eval(f"({text})") for name, text in FIELD.findall(entry)}
        key = fields.get("msgctxt", "") + (CONTEXT if "msgctxt" in fields else "") + fields["msgid"]
        assert key not in found
        found[key] = Entry(fields.get("msgid_plural", ""), [text for name, text in fields.items() if name.startswith("msgstr")])
    return found


def compiled(folder: Path) -> dict[str, list[str]]:
    """The .mo file: the forms of each text by its key."""
    with (folder / "django.mo").open("rb") as file:
        catalog: dict[Any, str] = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]  # it has no public way to list what it holds
    found: dict[str, list[str]] = {}
    for key, text in catalog.items():  # the key of a plural form is (text, number of the form)
        found.setdefault(key if isinstance(key, str) else key[0], []).append(text)
    return {key: texts for key, texts in found.items() if key}


def texts_in(source: str) -> Iterator[str]:
    """The keys of the texts that one Python source translates."""
    for node in ast.walk(ast.parse(source)):
        name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
        if isinstance(node, ast.Call) and name in FUNCTIONS:
            words = [argument.value for argument in node.args[: FUNCTIONS[name]] if isinstance(argument, ast.Constant)]
            yield CONTEXT.join(map(str, words))


def calls_of(template: str) -> str:
    """The calls of gettext in a template, as Python."""
    calls = re.findall(r"""\b(?:_|[np]?gettext)\((?:[^'"()]|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")*\)""", templatize(template))
    return "\n".join(calls)


def texts_used(catalogue: Catalogue) -> set[str]:
    folders = [ROOT / source for source in catalogue.sources]
    python = [path.read_text() for folder in folders for path in folder.rglob("*.py") if "migrations" not in path.parts]
    templates = [calls_of(path.read_text()) for folder in folders for path in folder.rglob("*.html")]
    return {text for source in (*python, *templates) for text in texts_in(source) if text}


@each_catalogue
def test_every_text_is_translated(catalogue: Catalogue) -> None:
    used, known = texts_used(catalogue), entries(catalogue)
    assert len(used) > catalogue.at_least
    assert sorted(used - known.keys()) == []
    assert [key for key, entry in known.items() if not all(entry.texts)] == []


@each_catalogue
def test_no_translation_is_left_over(catalogue: Catalogue) -> None:
    assert sorted(entries(catalogue).keys() - texts_used(catalogue)) == []
    assert re.findall(r"^#~.*|^#,.*fuzzy.*", (catalogue.folder / "django.po").read_text(), re.MULTILINE) == []


@each_catalogue
def test_a_translation_says_the_same_values(catalogue: Catalogue) -> None:
    for key, entry in entries(catalogue).items():
        wanted = set(PLACEHOLDER.findall(key + entry.plural))
        assert set(PLACEHOLDER.findall(entry.texts[-1])) == wanted, key
        assert set(PLACEHOLDER.findall(entry.texts[0])) <= wanted, key  # "one job" needs no number


@each_catalogue
def test_the_compiled_catalogue_is_that_of_the_texts(catalogue: Catalogue) -> None:
    """After a change of the .po file: `msgfmt -o django.mo django.po`."""
    assert compiled(catalogue.folder) == {key: entry.texts for key, entry in entries(catalogue).items()}


@each_catalogue
def test_pages_show_the_translation_of_the_catalogue_and_not_that_of_another_app(catalogue: Catalogue) -> None:
    """Django merges the catalogues of all apps: the first app in INSTALLED_APPS wins, and LOCALE_PATHS wins over all."""
    with override("de"):
        for key, entry in entries(catalogue).items():
            context, _, text = key.rpartition(CONTEXT)
            assert (translation.pgettext(context, text) if context else translation.gettext(text)) == entry.texts[0], key
            if entry.plural:
                assert [translation.ngettext(text, entry.plural, number) for number in (1, 2)] == entry.texts, key


@each_catalogue
def test_a_text_that_django_admin_has_too_is_translated_as_there(catalogue: Catalogue) -> None:
    """Otherwise the order of the apps would decide what its pages and ours say."""
    theirs = compiled(Path(django.contrib.admin.__file__).parent / "locale" / IN_FOLDER)
    shared = {key: entry.texts for key, entry in entries(catalogue).items() if key in theirs}
    assert "Home" in shared
    assert shared == {key: theirs[key] for key in shared}


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("jobdefinition/", ("Nächster Lauf", "jede Stunde", "Es läuft kein Scheduler", "Jetzt ausführen")),
        ("jobdefinition/backup/change/", ("Nur manuell", "Läufe … Tage behalten", "Sichern", "Verlauf")),
        ("jobrun/", ("Noch keine Läufe",)),
    ],
)
def test_the_pages_of_jobs_are_german_in_a_project_without_this_site(page: str, words: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "tests.support.other_project", "de", f"/admin/jobs/{page}"]
    html = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=True).stdout
    assert '<html lang="de"' in html
    assert [word for word in words if word not in html] == []


@pytest.fixture
def failed_run(db: None) -> JobRun:
    author, at = Author("mira", "admin"), now()
    job = JobDefinition.objects.add(author, id="backup", title="Back up the world", function="prune_job_runs", trigger="interval", interval_seconds=3600)
    job = job.edit(author, max_retries=2, reason="flaky disk")
    ScheduledJob.objects.create(job=job, next_run_time=at + timedelta(hours=7, minutes=7, seconds=7), job_state=b"")
    return JobRun.objects.create(job=job, scheduled_for=at - timedelta(hours=3), status="failed", finished_at=at, started_at=at, duration_seconds=0.25)


PAGES = {
    "": ("Übersicht", "Die nächsten 24 Stunden", "Auslastung", "Es läuft kein Scheduler, daher starten keine Jobs.", "Letzte Fehlschläge"),
    "jobs/jobdefinition/": ("Nächster Lauf", "jede Stunde", "in 7 h", "fehlgeschlagen", "0,25 s", "vor 3 h", "Jetzt ausführen", "Herkunft"),
    "jobs/jobdefinition/backup/change/": ("Fehlgeschlagene Läufe", "Spätester Start nach", "In einem Intervall", "Nur manuell", "Nach Cron-Zeitplan"),
    "jobs/jobdefinition/backup/run/": ("Jetzt ausführen", "Startet sofort"),
    "jobs/jobdefinition/backup/history/": ("Verlauf", "Revision 2", "Wiederholungen", "Revision 1 wiederherstellen"),
    "jobs/jobrun/": ("Läufe", "Termin", "Ursache", "Zeitplan", "Nicht beendet"),
    "jobs/jobrun/{run}/change/": ("Verspätung", "Gestartet", "Erneut ausführen"),
}


@pytest.mark.parametrize("path", PAGES)
def test_a_page_speaks_the_language_of_the_browser(admin_client: Client, failed_run: JobRun, path: str) -> None:
    address = f"/admin/{path.format(run=failed_run.pk)}"
    answer = admin_client.get(address, headers=GERMAN)
    page = answer.content.decode()
    assert [text for text in PAGES[path] if text not in page] == []
    assert '<html lang="de"' in page
    assert (answer["Content-Language"], answer["Vary"].count("Accept-Language")) == ("de", 1)
    assert '<html lang="en"' in admin_client.get(address).content.decode()


def test_charts_use_decimal_points_in_german_too(admin_client: Client, failed_run: JobRun) -> None:
    page = admin_client.get("/admin/", headers=GERMAN).content.decode()
    charts = "".join(re.findall(r'<svg class="vs-chart".*?</svg>', page, re.DOTALL))
    drawn = re.findall(r'\b(?:x|y|x1|x2|y1|y2|width|height)="([^"]*)"', charts)
    assert len(drawn) > 100
    assert [number for number in drawn if not re.fullmatch(r"\d+(\.\d+)?", number)] == []
    assert re.search(r'class="vs-mark" x="\d+\.\d"', page)


def test_the_api_answers_in_english(admin_client: Client, failed_run: JobRun) -> None:
    admin_client.get("/admin/", headers=GERMAN)  # activates German in this thread
    answer = admin_client.get("/api/v1alpha1/jobs", headers=GERMAN)
    assert answer.json()["data"]["jobs"][0]["schedule"] == "every hour"
    assert "Content-Language" not in answer


def test_a_problem_is_stated_in_the_language_of_the_thread_and_not_cached_in_another() -> None:
    with override("de"):
        assert cron_problem("1 2 3") is not None
        assert "Erwartet werden fünf Felder" in str(cron_problem("1 2 3"))
    with override("en"):
        assert "Expected five fields" in str(cron_problem("1 2 3"))


@pytest.mark.parametrize(("seconds", "words"), [(1, "jede Sekunde"), (86_400, "jeden Tag"), (5400, "alle 1 Stunde 30 Minuten"), (172_800, "alle 2 Tage")])
def test_an_interval_in_german_words(db: None, seconds: int, words: str) -> None:
    with override("de"):
        assert JobDefinition(id="x", trigger="interval", interval_seconds=seconds).schedule.describe() == words

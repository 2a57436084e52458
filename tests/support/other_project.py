"""A Django project that installs the app `jobs` and nothing of this site: `python -m tests.support.other_project LANGUAGE PATH` prints a page."""

from __future__ import annotations

import sys

import django
from django.conf import settings
from django.core.management import call_command
from django.test import Client
from django.urls import URLPattern, URLResolver, path

DJANGO = "django.contrib"
DJANGO_APPS = [f"{DJANGO}.{app}" for app in ("admin", "auth", "contenttypes", "sessions", "messages", "staticfiles")]
CONTEXT_PROCESSORS = ["django.template.context_processors.request", f"{DJANGO}.auth.context_processors.auth", f"{DJANGO}.messages.context_processors.messages"]
urlpatterns: list[URLPattern | URLResolver] = []


def main(language: str, address: str) -> None:
    settings.configure(
        SECRET_KEY="x" * 50,
        ALLOWED_HOSTS=["testserver"],
        ROOT_URLCONF=__name__,
        INSTALLED_APPS=[
            *(f"{DJANGO}.{app}" for app in ("admin", "auth", "contenttypes", "sessions", "messages", "staticfiles")),
            "simple_history",
            "django_apscheduler",
            "jobs",
        ],
        MIDDLEWARE=[
            f"{DJANGO}.sessions.middleware.SessionMiddleware",
            "django.middleware.locale.LocaleMiddleware",
            f"{DJANGO}.auth.middleware.AuthenticationMiddleware",
            f"{DJANGO}.messages.middleware.MessageMiddleware",
        ],
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True, "OPTIONS": {"context_processors": CONTEXT_PROCESSORS}}],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        STATIC_URL="/static/",
        USE_TZ=True,
    )
    django.setup()
    from django.contrib import admin
    from django.contrib.auth.models import User

    from jobs.models import Author, JobDefinition

    urlpatterns.append(path("admin/", admin.site.urls))
    call_command("migrate", verbosity=0)
    JobDefinition.objects.add(Author("mira", "admin"), id="backup", title="Back up the world", function="prune_job_runs", trigger="interval", interval_seconds=3600)
    client = Client(headers={"accept-language": language})
    client.force_login(User.objects.create_superuser("admin"))
    sys.stdout.write(client.get(address).content.decode())


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Django's settings for Celery beat's own tables, in the database of the benchmark."""

from vsadmin.settings import *  # noqa: F403  the same database, the same logging
from vsadmin.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "django_celery_beat"]

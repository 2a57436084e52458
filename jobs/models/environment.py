"""The environment that a database belongs to, so that a copy of it fires nothing in another environment."""

from __future__ import annotations

from django.db import models
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from jobs import conf


class DatabaseEnvironmentQuerySet(models.QuerySet["DatabaseEnvironment"]):
    def claim(self) -> DatabaseEnvironment:
        """The database's environment; the first scheduler writes its own."""
        row, _created = self.get_or_create(pk=1, defaults={"name": conf.environment()})
        return row

    def adopt(self) -> DatabaseEnvironment:
        """Make the database belong to this process's environment."""
        row, _created = self.update_or_create(pk=1, defaults={"name": conf.environment(), "since": now()})
        return row

    def foreign(self) -> DatabaseEnvironmentQuerySet:
        """The database's environment, if it is another one than this process's."""
        return self.filter(pk=1).exclude(name=conf.environment())


class DatabaseEnvironment(models.Model):
    """One row: the `JOBS_ENVIRONMENT` of the first scheduler that used this database, or of the last that adopted it."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    name = models.CharField(_("environment"), max_length=100)
    since = models.DateTimeField(default=now)

    objects = DatabaseEnvironmentQuerySet.as_manager()

    class Meta:
        constraints = (models.CheckConstraint(name="jobs_one_environment", condition=models.Q(id=1)),)

    def __str__(self) -> str:
        return self.name

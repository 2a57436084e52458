"""A table of idempotency keys, with those of the last 24 hours from the runs.

The column of the runs and its index stay in the database: a web server of the version before may run until it is restarted.
"""

import json
from datetime import timedelta

from django.core.serializers.json import DjangoJSONEncoder
from django.db import DatabaseError, migrations, models
from django.utils.timezone import now

FIELDS = ("id", "job_id", "scheduled_for", "cause", "queued_at", "not_before", "requested_by", "kwargs", "idempotency_key")
WHEN_REQUESTED = {
    "slots": 1,
    "attempt": 1,
    "status": "queued",
    "reason": "",
    "started_at": None,
    "finished_at": None,
    "lateness": None,
    "duration": None,
    "instance": "",
    "cancel_requested_at": None,
    "progress": None,
    "error": "",
}
"""What a run had in the answer to its request; since then it may have started."""


def take_over_keys(apps, schema_editor):
    keys = apps.get_model("jobs", "IdempotencyKey").objects
    runs = apps.get_model("jobs", "JobRun").objects.filter(idempotency_key__isnull=False, queued_at__gt=now() - timedelta(hours=24))
    for run_id in list(runs.values_list("pk", flat=True)):
        try:
            run = runs.filter(pk=run_id).values(*FIELDS).get()
        except (DatabaseError, ValueError, TypeError, OverflowError):
            continue  # damaged by hand; its key was of no use before either
        key = run.pop("idempotency_key")
        answer = json.dumps({"status": "ok", "data": {"run": WHEN_REQUESTED | run}}, cls=DjangoJSONEncoder)
        keys.create(caller=run["requested_by"], key=key, request_sha256="", answer=answer, created_at=run["queued_at"])


class Migration(migrations.Migration):

    dependencies = [
        ('jobs', '0012_claim_only_what_is_applied'),
    ]

    operations = [
        migrations.CreateModel(
            name='IdempotencyKey',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('caller', models.CharField(max_length=200)),
                ('key', models.CharField(max_length=255)),
                ('request_sha256', models.CharField(blank=True, default='', max_length=64)),
                ('answer', models.TextField(default='')),
                ('created_at', models.DateTimeField()),
            ],
            options={
                'base_manager_name': 'objects',
            },
        ),
        migrations.AddIndex(
            model_name='idempotencykey',
            index=models.Index(fields=['created_at'], name='jobs_key_created'),
        ),
        migrations.AddConstraint(
            model_name='idempotencykey',
            constraint=models.UniqueConstraint(fields=('caller', 'key'), name='jobs_key_once_a_caller'),
        ),
        migrations.RunPython(take_over_keys, migrations.RunPython.noop),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RemoveConstraint(model_name='jobrun', name='jobs_run_one_request_a_key'),
                migrations.RemoveField(model_name='jobrun', name='idempotency_key'),
            ],
        ),
    ]

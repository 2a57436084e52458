"""The admin of the registry: jobs, runs and the overview."""

import django_apscheduler.admin  # noqa: F401 -- it has to register its pages before they can go
from django.contrib import admin
from django_apscheduler.models import DjangoJob, DjangoJobExecution

from jobs.admin.job.model_admin import JobDefinitionAdmin
from jobs.admin.run.model_admin import JobRunAdmin
from jobs.models import JobDefinition, JobRun

# The stock pages run jobs inside the web worker, for anybody who may look at them.
admin.site.unregister(DjangoJob)
admin.site.unregister(DjangoJobExecution)
admin.site.register(JobDefinition, JobDefinitionAdmin)
admin.site.register(JobRun, JobRunAdmin)

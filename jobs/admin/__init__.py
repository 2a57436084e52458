"""Admin pages of jobs and runs."""

import django_apscheduler.admin  # noqa: F401 -- its pages must be registered before they can be unregistered
from django.contrib import admin
from django_apscheduler.models import DjangoJob, DjangoJobExecution

from jobs.admin.job.model_admin import JobDefinitionAdmin
from jobs.admin.run.model_admin import JobRunAdmin
from jobs.models import JobDefinition, JobRun

# The stock pages run jobs inside the web worker, for every user with view permission.
admin.site.unregister(DjangoJob)
admin.site.unregister(DjangoJobExecution)
admin.site.register(JobDefinition, JobDefinitionAdmin)
admin.site.register(JobRun, JobRunAdmin)

"""Forms: user input turned into values for the models."""

from jobs.admin.forms.actions import PauseForm, ReasonForm, RunForm, RunManyForm
from jobs.admin.forms.conflict import Conflict
from jobs.admin.forms.duration import DurationField
from jobs.admin.forms.job import FAILURE, FIELDS, LATENESS, RETENTION, SCHEDULE, JobForm, ScheduleForm, job_form

__all__ = [
    "FAILURE",
    "FIELDS",
    "LATENESS",
    "RETENTION",
    "SCHEDULE",
    "Conflict",
    "DurationField",
    "JobForm",
    "PauseForm",
    "ReasonForm",
    "RunForm",
    "RunManyForm",
    "ScheduleForm",
    "job_form",
]

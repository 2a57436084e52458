"""The forms of the admin: what people type, made into what the models take."""

from jobs.forms.actions import PauseForm, ReasonForm, RunForm, RunManyForm
from jobs.forms.conflict import Conflict
from jobs.forms.duration import DurationField
from jobs.forms.job import FAILURE, FIELDS, LATENESS, RETENTION, SCHEDULE, JobForm, ScheduleForm, job_form

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

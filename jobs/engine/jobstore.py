"""What APScheduler sees of the store.

Its life cycle insists on a job store, and programs may ask a scheduler for its jobs.  Nothing of ours reads the store
by this class: claims and reconcile use the rows.  DjangoJobStore itself pickles jobs, deletes what it cannot read, and
lets two schedulers run every slot twice.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from apscheduler.job import Job
from apscheduler.jobstores.base import BaseJobStore, ConflictingIdError, JobLookupError
from django_apscheduler.jobstores import DjangoJobStore
from django_apscheduler.models import DjangoJob

from jobs.engine.plan import Plan
from jobs.engine.plans import Plans
from jobs.schedule.schedule import UNSCHEDULABLE
from jobs.schedule.triggers import OnceTrigger, SlotTrigger


class JobStore(DjangoJobStore):  # type: ignore[misc]  # django-apscheduler has no types
    """DjangoJobStore without pickles, without deletion on read and without a history of its own."""

    def __init__(self, plans: Plans) -> None:
        super().__init__()
        self._plans = plans

    def start(self, scheduler: Any, alias: str) -> None:
        """Start without the stock listeners: history goes to JobRun."""
        BaseJobStore.start(self, scheduler, alias)

    def shutdown(self) -> None:
        """Leave the database connection open: it belongs to the caller."""

    def lookup_job(self, job_id: str) -> Job | None:
        return next(iter(self._get_jobs(id=job_id)), None)

    def _get_jobs(self, **filters: Any) -> list[Job]:
        rows = DjangoJob.objects.filter(**filters).order_by("next_run_time").values_list("id", "next_run_time", "job_state")
        entries = [(job_id, at, bytes(state)) for job_id, at, state in rows]
        plans = self._plans.read(entries)
        return [self._as_job(job_id, at, plans[job_id]) for job_id, at, _state in entries if job_id in plans]

    def _as_job(self, job_id: str, at: datetime | None, plan: Plan) -> Job:
        job = Job.__new__(Job)
        job._scheduler, job._jobstore_alias = self._scheduler, self._alias
        job.id, job.name, job.trigger, job.next_run_time = job_id, plan.call.title or job_id, _slots_of(plan), at
        job.func, job.func_ref, job.args, job.kwargs = None, None, (), plan.call.kwargs
        job.executor, job.coalesce, job.max_instances = plan.pool, plan.policy.coalesce, plan.policy.max_instances
        job.misfire_grace_time = plan.policy.misfire_grace_seconds
        return job

    def add_job(self, job: Job) -> None:
        """Refuse: a job gets into the store by its definition."""
        raise ConflictingIdError(job.id)

    def update_job(self, job: Job) -> None:
        """Refuse, for the same reason."""
        raise JobLookupError(job.id)

    def remove_job(self, job_id: str) -> None:
        if not DjangoJob.objects.filter(pk=job_id)._raw_delete(DjangoJob.objects.db):
            raise JobLookupError(job_id)


def _slots_of(plan: Plan) -> SlotTrigger:
    try:
        return plan.schedule.slots
    except UNSCHEDULABLE:  # damaged by hand: it never fires, and its definition says why
        return OnceTrigger(None)

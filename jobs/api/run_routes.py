"""The API's operations on runs, functions and schedulers."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.http import HttpRequest
from ninja import Query

from jobs.api.envelope import Answer, Problem, rendered
from jobs.api.inputs import JobRunsQuery, RunsQuery
from jobs.api.pages import page_of_runs
from jobs.api.permissions import MONITOR, needs
from jobs.api.preconditions import IfMatch, digest_of, matches_digest
from jobs.api.router import JobId, RunId, author_of, next_url, router
from jobs.api.schemas import CallerData, FunctionOut, FunctionsData, LogData, RunData, RunDetailsData, RunsData, SchedulerData
from jobs.exceptions import RunChanged
from jobs.models import JobDefinition, JobRun, SchedulerInstance
from jobs.monitoring.status import read_status
from jobs.registry import all_functions


def _runs(request: HttpRequest, job_id: str, query: JobRunsQuery) -> dict[str, Any]:
    runs, cursor = page_of_runs(job_id, query.status, query.cursor, query.limit)
    return {"data": {"runs": runs, "next": next_url(request, cursor=cursor) if cursor else None}}


def _details(run: JobRun) -> Answer[RunDetailsData]:
    return Answer[RunDetailsData].model_validate({"data": {"run": run}})


@router.get("/jobs/{job_id}/runs", response=Answer[RunsData], summary="List the runs of a job")
@needs("jobs.view_jobrun")
def list_job_runs(request: HttpRequest, job_id: JobId, query: Query[JobRunsQuery]) -> Any:
    """The newest slot first.  `next` is the address of the next page; runs that arrive meanwhile do not shift it."""
    return _runs(request, JobDefinition.objects.find(job_id).pk, query)


@router.get("/runs", response=Answer[RunsData], summary="List the runs of all jobs")
@needs("jobs.view_jobrun")
def list_runs(request: HttpRequest, query: Query[RunsQuery]) -> Any:
    """The newest first.  `next` is the address of the next page; runs that arrive meanwhile do not shift it."""
    return _runs(request, query.job, query)


@router.get("/runs/{run_id}", response=Answer[RunDetailsData], summary="Get a run")
@needs("jobs.view_jobrun")
def get_run(request: HttpRequest, run_id: RunId) -> Any:
    """With its result, and the traceback of an exception."""
    return _details(JobRun.objects.find(run_id))


@router.get("/runs/{run_id}/log", response=Answer[LogData], summary="Get the log of a run")
@needs("jobs.view_jobrun")
def get_run_log(request: HttpRequest, run_id: RunId) -> Any:
    """What the job function has logged, also while it runs: 64 KiB at most, the beginning and the end."""
    return {"data": {"log": JobRun.objects.find(run_id).log}}


@router.post("/runs/{run_id}/cancel", response={200: Answer[RunData], 409: Problem, 412: Problem}, summary="Cancel a run")
@needs("jobs.cancel_jobrun")
def cancel_run(request: HttpRequest, run_id: RunId, if_match: IfMatch = None) -> Any:
    """Ends a run that has not started, and asks for the end of one that is running.  A run that has ended: 409."""
    with transaction.atomic():
        if if_match is not None and not matches_digest(if_match, digest_of(rendered(_details(JobRun.objects.select_for_update(of=("self",)).find(run_id))).encode())):
            raise RunChanged(run_id)
        return {"data": {"run": JobRun.objects.find(run_id).request_cancel(author_of(request).name)}}


@router.get("/functions", response=Answer[FunctionsData], summary="List the functions that a job can call")
@needs("jobs.view_jobdefinition")
def list_functions(request: HttpRequest) -> Any:
    """With their parameters, and the defaults of the job that a scheduler creates for each."""
    return {"data": {"functions": [FunctionOut.of(function) for function in all_functions()]}}


@router.get("/scheduler", response=Answer[SchedulerData], summary="Get the state of all schedulers")
@needs("jobs.view_schedulerinstance")
def get_scheduler(request: HttpRequest) -> Any:
    """The state of all together, as in `/healthz`, and each scheduler process."""
    return {"data": {"scheduler": read_status().as_dict(), "instances": list(SchedulerInstance.objects.order_by("started_at"))}}


@router.get("/auth/me", response=Answer[CallerData], summary="Get the caller's name and role")
@needs(MONITOR)
def who_am_i(request: HttpRequest) -> Any:
    """Checks a key or a session."""
    return {"data": {"name": request.auth.name, "role": request.auth.role}}  # type: ignore[attr-defined]  # set by ninja

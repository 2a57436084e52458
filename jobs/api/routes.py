"""The API's operations on jobs and runs; each calls the model once."""

from __future__ import annotations

import json
from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.timezone import now
from ninja import Header, Path, Query, Router

from jobs.api.idempotency import IdempotencyKeyHeader, answer_once
from jobs.api.inputs import JobChange, JobCreate, JobRunsQuery, JobsQuery, Pause, Preview, RunRequest, RunsQuery, UpcomingQuery
from jobs.api.pages import find_with_last_run, page_of_jobs, page_of_runs
from jobs.api.permissions import MONITOR, needs
from jobs.api.schemas import (
    Answer,
    CallerData,
    FunctionOut,
    FunctionsData,
    JobData,
    JobOut,
    JobsData,
    LogData,
    MessageData,
    Problem,
    RunData,
    RunDetailsData,
    RunsData,
    SchedulerData,
    UpcomingData,
)
from jobs.models import Author, JobDefinition, JobRun, SchedulerInstance
from jobs.monitoring.status import read_status
from jobs.registry import all_functions

router = Router()

JobId = Annotated[str, Path(max_length=100, description="The id of a job.", examples=["mod_cache_refresh"])]
RunId = Annotated[int, Path(ge=1, le=9_223_372_036_854_775_807)]
IfMatch = Annotated[str | None, Header(alias="If-Match", pattern=r'^(\*|"[0-9]{1,9}")$', description='The ETag that the change is based on, such as "7".')]


def _author(request: HttpRequest) -> Author:
    author: Author = request.auth.author  # type: ignore[attr-defined]  # set by ninja
    return author


def _url(request: HttpRequest, name: str, **path: Any) -> str:
    namespace = request.resolver_match.namespace if request.resolver_match else ""
    return request.build_absolute_uri(reverse(f"{namespace}:{name}", kwargs=path))


def _next(request: HttpRequest, **changes: Any) -> str:
    parameters = request.GET.copy()
    for name, value in changes.items():
        parameters[name] = str(value)
    return request.build_absolute_uri(f"{request.path}?{parameters.urlencode()}")


def _job(job_id: str, response: HttpResponse) -> dict[str, Any]:
    job, last_run = find_with_last_run(job_id)
    response["ETag"] = f'"{job.revision}"'
    return {"data": {"job": JobOut.of(job, last_run)}}


def _runs(request: HttpRequest, job_id: str, query: JobRunsQuery) -> dict[str, Any]:
    runs, cursor = page_of_runs(job_id, query.status, query.cursor, query.limit)
    return {"data": {"runs": runs, "next": _next(request, cursor=cursor) if cursor else None}}


@router.get("/jobs", response=Answer[JobsData], summary="List jobs")
@needs("jobs.view_jobdefinition")
def list_jobs(request: HttpRequest, query: Query[JobsQuery]) -> Any:
    page, end = page_of_jobs(query), query.offset + query.limit
    jobs = [JobOut.of(job, last_run) for job, last_run in page.rows]
    data = JobsData.model_construct(jobs=jobs, total=page.total, next=_next(request, offset=end) if end < page.total else None)
    return Answer[JobsData].model_construct(data=data)  # ninja sends a model instance as it is; it would validate a dict field by field


@router.post("/jobs", response={201: Answer[JobData], 409: Problem}, summary="Create a job")
@needs("jobs.add_jobdefinition")
def create_job(request: HttpRequest, job: JobCreate, idempotency_key: IdempotencyKeyHeader = None) -> Any:
    def create() -> Answer[JobData]:
        made = JobDefinition.objects.add(_author(request), **job.given())
        return Answer[JobData](data=JobData(job=JobOut.of(*find_with_last_run(made.pk))))

    response = answer_once(request, idempotency_key, "create_job", "", job, create)
    made = json.loads(response.content)["data"]["job"]
    response.status_code, response["ETag"] = 201, f'"{made["revision"]}"'
    response["Location"] = _url(request, "get_job", job_id=made["id"])
    return response


@router.post("/jobs/preview", response=Answer[UpcomingData], summary="Preview a schedule without storing it")
@needs("jobs.view_jobdefinition")
def preview_schedule(request: HttpRequest, preview: Preview) -> Any:
    fields = preview.given()
    count = fields.pop("count", 5)
    job = JobDefinition.objects.draft(**fields)
    return {"data": {"upcoming": job.schedule.upcoming(now(), count), "schedule": job.schedule.describe()}}


@router.get("/jobs/{job_id}", response=Answer[JobData], summary="Get a job, archived or not; its ETag is its revision")
@needs("jobs.view_jobdefinition")
def get_job(request: HttpRequest, job_id: JobId, response: HttpResponse) -> Any:
    return _job(job_id, response)


@router.patch("/jobs/{job_id}", response={200: Answer[JobData], 412: Problem}, summary="Change a job")
@needs("jobs.change_jobdefinition")
def change_job(request: HttpRequest, job_id: JobId, change: JobChange, response: HttpResponse, if_match: IfMatch = None) -> Any:
    expected = int(if_match.strip('"')) if if_match not in {None, "*"} and if_match else None
    JobDefinition.objects.find(job_id).edit(_author(request), expected_revision=expected, **change.given())
    return _job(job_id, response)


@router.delete("/jobs/{job_id}", response=Answer[MessageData], summary="Archive a job: it is unscheduled, its history is kept")
@needs("jobs.delete_jobdefinition")
def delete_job(request: HttpRequest, job_id: JobId) -> Any:
    JobDefinition.objects.find(job_id).archive(_author(request))
    return {"data": {"message": f"Job '{job_id}' deleted"}}


@router.post("/jobs/{job_id}/run", response={202: Answer[RunData], 409: Problem}, summary="Run a job now")
@needs("jobs.run_jobdefinition")
def run_job(request: HttpRequest, job_id: JobId, body: RunRequest | None = None, idempotency_key: IdempotencyKeyHeader = None) -> Any:
    wanted = body or RunRequest()

    def run() -> Answer[RunData]:
        requested = JobDefinition.objects.find(job_id).request_run(_author(request), wanted.kwargs)
        return Answer[RunData].model_validate({"data": {"run": requested}})

    response = answer_once(request, idempotency_key, "run_job", job_id, wanted, run)
    response.status_code = 202
    response["Location"] = _url(request, "get_run", run_id=json.loads(response.content)["data"]["run"]["id"])
    return response


@router.post("/jobs/{job_id}/pause", response=Answer[JobData], summary="Pause a job until a time, or until it is resumed")
@needs("jobs.pause_jobdefinition")
def pause_job(request: HttpRequest, job_id: JobId, response: HttpResponse, body: Pause | None = None) -> Any:
    pause = body or Pause()
    JobDefinition.objects.find(job_id).pause(_author(request), until=pause.until, reason=pause.reason)
    return _job(job_id, response)


@router.post("/jobs/{job_id}/resume", response=Answer[JobData], summary="Resume a paused job")
@needs("jobs.pause_jobdefinition")
def resume_job(request: HttpRequest, job_id: JobId, response: HttpResponse) -> Any:
    JobDefinition.objects.find(job_id).resume(_author(request))
    return _job(job_id, response)


@router.post("/jobs/{job_id}/restore", response=Answer[JobData], summary="Restore an archived job")
@needs("jobs.delete_jobdefinition")
def restore_job(request: HttpRequest, job_id: JobId, response: HttpResponse) -> Any:
    JobDefinition.objects.find(job_id).restore(_author(request))
    return _job(job_id, response)


@router.get("/jobs/{job_id}/runs", response=Answer[RunsData], summary="List the runs of a job, newest slot first")
@needs("jobs.view_jobrun")
def list_job_runs(request: HttpRequest, job_id: JobId, query: Query[JobRunsQuery]) -> Any:
    return _runs(request, JobDefinition.objects.find(job_id).pk, query)


@router.get("/jobs/{job_id}/upcoming", response=Answer[UpcomingData], summary="List the next fire times of a job")
@needs("jobs.view_jobdefinition")
def list_upcoming(request: HttpRequest, job_id: JobId, query: Query[UpcomingQuery]) -> Any:
    job = JobDefinition.objects.find(job_id)
    if problem := job.problem:
        return {"data": {"upcoming": [], "schedule": "", "problem": problem}}
    return {"data": {"upcoming": job.schedule.upcoming(now(), query.count), "schedule": job.schedule.describe()}}


@router.get("/runs", response=Answer[RunsData], summary="List the runs of all jobs, newest first")
@needs("jobs.view_jobrun")
def list_runs(request: HttpRequest, query: Query[RunsQuery]) -> Any:
    return _runs(request, query.job, query)


@router.get("/runs/{run_id}", response=Answer[RunDetailsData], summary="Get a run with its result and traceback")
@needs("jobs.view_jobrun")
def get_run(request: HttpRequest, run_id: RunId) -> Any:
    return {"data": {"run": JobRun.objects.find(run_id)}}


@router.get("/runs/{run_id}/log", response=Answer[LogData], summary="Get the log of a run")
@needs("jobs.view_jobrun")
def get_run_log(request: HttpRequest, run_id: RunId) -> Any:
    return {"data": {"log": JobRun.objects.find(run_id).log}}


@router.post("/runs/{run_id}/cancel", response={200: Answer[RunData], 409: Problem}, summary="Request the cancellation of a run")
@needs("jobs.cancel_jobrun")
def cancel_run(request: HttpRequest, run_id: RunId) -> Any:
    return {"data": {"run": JobRun.objects.find(run_id).request_cancel(_author(request).name)}}


@router.get("/functions", response=Answer[FunctionsData], summary="List the functions that a job can call")
@needs("jobs.view_jobdefinition")
def list_functions(request: HttpRequest) -> Any:
    return {"data": {"functions": [FunctionOut.of(function) for function in all_functions()]}}


@router.get("/scheduler", response=Answer[SchedulerData], summary="Get the state of all schedulers")
@needs("jobs.view_schedulerinstance")
def get_scheduler(request: HttpRequest) -> Any:
    return {"data": {"scheduler": read_status().as_dict(), "instances": list(SchedulerInstance.objects.order_by("started_at"))}}


@router.get("/auth/me", response=Answer[CallerData], summary="Get the caller's name and role")
@needs(MONITOR)
def who_am_i(request: HttpRequest) -> Any:
    return {"data": {"name": request.auth.name, "role": request.auth.role}}  # type: ignore[attr-defined]  # set by ninja

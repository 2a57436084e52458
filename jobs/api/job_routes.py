"""The API's operations on jobs; each calls the model once."""

from __future__ import annotations

import json
from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils.timezone import now
from ninja import Query

from jobs.api.envelope import Answer, Problem
from jobs.api.headers import sends
from jobs.api.idempotency import IdempotencyKeyHeader, answer_once
from jobs.api.inputs import JobChange, JobCreate, JobsQuery, Pause, Preview, RunRequest, UpcomingQuery
from jobs.api.pages import find_with_last_run, page_of_jobs
from jobs.api.permissions import needs
from jobs.api.preconditions import IfMatch, expected_revisions, revision_tag
from jobs.api.router import JobId, author_of, next_url, router, url_of
from jobs.api.schemas import JobData, JobOut, JobsData, MessageData, RunData, UpcomingData
from jobs.models import JobDefinition


def _job(job_id: str, response: HttpResponse) -> dict[str, Any]:
    job, last_run = find_with_last_run(job_id)
    response["ETag"] = revision_tag(job.revision)
    return {"data": {"job": JobOut.of(job, last_run)}}


@router.get("/jobs", response=Answer[JobsData], summary="List jobs")
@needs("jobs.view_jobdefinition")
def list_jobs(request: HttpRequest, query: Query[JobsQuery]) -> Any:
    """Filtered and ordered by the parameters.  `next` is the address of the next page; jobs that come and go meanwhile do not shift it."""
    page = page_of_jobs(query)
    jobs = [JobOut.of(job, last_run) for job, last_run in page.rows]
    data = JobsData.model_construct(jobs=jobs, total=page.total, next=next_url(request, **page.next) if page.next else None)
    return Answer[JobsData].model_construct(data=data)  # ninja sends a model instance as it is; it would validate a dict field by field


@router.post("/jobs", response={201: Answer[JobData], 409: Problem}, summary="Create a job")
@needs("jobs.add_jobdefinition")
@sends("ETag", "Location", "Idempotency-Replayed")
def create_job(request: HttpRequest, job: JobCreate, idempotency_key: IdempotencyKeyHeader = None) -> Any:
    """A scheduler applies it within a quarter of a second.  With an `Idempotency-Key` the request is safe to repeat."""

    def create() -> Answer[JobData]:
        made = JobDefinition.objects.add(author_of(request), **job.given())
        return Answer[JobData](data=JobData(job=JobOut.of(*find_with_last_run(made.pk))))

    response = answer_once(request, idempotency_key, "create_job", "", job, create)
    made = json.loads(response.content)["data"]["job"]
    response.status_code, response["ETag"] = 201, revision_tag(made["revision"])
    response["Location"] = url_of(request, "get_job", job_id=made["id"])
    return response


@router.post("/jobs/preview", response=Answer[UpcomingData], summary="Preview a schedule")
@needs("jobs.view_jobdefinition")
def preview_schedule(request: HttpRequest, preview: Preview) -> Any:
    """Its description in words and its next fire times; nothing is stored."""
    fields = preview.given()
    count = fields.pop("count", 5)
    job = JobDefinition.objects.draft(**fields)
    return {"data": {"upcoming": job.schedule.upcoming(now(), count), "schedule": job.schedule.describe()}}


@router.get("/jobs/{job_id}", response=Answer[JobData], summary="Get a job")
@needs("jobs.view_jobdefinition")
def get_job(request: HttpRequest, job_id: JobId, response: HttpResponse) -> Any:
    """Archived or not.  The `ETag` begins with its revision."""
    return _job(job_id, response)


@router.patch("/jobs/{job_id}", response={200: Answer[JobData], 412: Problem}, summary="Change a job")
@needs("jobs.change_jobdefinition")
@sends("ETag")
def change_job(request: HttpRequest, job_id: JobId, change: JobChange, response: HttpResponse, if_match: IfMatch = None) -> Any:
    """Fields that are left out keep their values.  With `If-Match` the change is refused if somebody else has changed the job since."""
    JobDefinition.objects.find(job_id).edit(author_of(request), expected_revisions(if_match), **change.given())
    return _job(job_id, response)


@router.delete("/jobs/{job_id}", response={200: Answer[MessageData], 412: Problem}, summary="Archive a job")
@needs("jobs.delete_jobdefinition")
def delete_job(request: HttpRequest, job_id: JobId, if_match: IfMatch = None) -> Any:
    """It is unscheduled and its history is kept; `restore` undoes it.  A job that is archived already: 404."""
    JobDefinition.objects.current().find(job_id).archive(author_of(request), expected_revision=expected_revisions(if_match))
    return {"data": {"message": f"Job '{job_id}' deleted"}}


@router.post("/jobs/{job_id}/run", response={202: Answer[RunData], 409: Problem, 412: Problem}, summary="Run a job now")
@needs("jobs.run_jobdefinition")
@sends("Location", "Idempotency-Replayed")
def run_job(request: HttpRequest, job_id: JobId, body: RunRequest | None = None, if_match: IfMatch = None, idempotency_key: IdempotencyKeyHeader = None) -> Any:
    """A scheduler starts it at once, unless as many runs as the job allows are in progress.  With an `Idempotency-Key` the request is safe to repeat."""
    wanted = body or RunRequest()

    def run() -> Answer[RunData]:
        with transaction.atomic():
            job = JobDefinition.objects.find_locked(job_id, expected_revisions(if_match)) if if_match is not None else JobDefinition.objects.find(job_id)
            requested = job.request_run(author_of(request), wanted.kwargs)
        return Answer[RunData].model_validate({"data": {"run": requested}})

    response = answer_once(request, idempotency_key, "run_job", job_id, wanted, run)
    response.status_code = 202
    response["Location"] = url_of(request, "get_run", run_id=json.loads(response.content)["data"]["run"]["id"])
    return response


@router.post("/jobs/{job_id}/pause", response={200: Answer[JobData], 412: Problem}, summary="Pause a job")
@needs("jobs.pause_jobdefinition")
@sends("ETag")
def pause_job(request: HttpRequest, job_id: JobId, response: HttpResponse, body: Pause | None = None, if_match: IfMatch = None) -> Any:
    """Until a time, or until it is resumed."""
    pause = body or Pause()
    JobDefinition.objects.find(job_id).pause(author_of(request), pause.until, pause.reason, expected_revisions(if_match))
    return _job(job_id, response)


@router.post("/jobs/{job_id}/resume", response={200: Answer[JobData], 412: Problem}, summary="Resume a paused job")
@needs("jobs.pause_jobdefinition")
@sends("ETag")
def resume_job(request: HttpRequest, job_id: JobId, response: HttpResponse, if_match: IfMatch = None) -> Any:
    """Slots that passed during the pause are not caught up with."""
    JobDefinition.objects.find(job_id).resume(author_of(request), expected_revision=expected_revisions(if_match))
    return _job(job_id, response)


@router.post("/jobs/{job_id}/restore", response={200: Answer[JobData], 412: Problem}, summary="Restore an archived job")
@needs("jobs.delete_jobdefinition")
@sends("ETag")
def restore_job(request: HttpRequest, job_id: JobId, response: HttpResponse, if_match: IfMatch = None) -> Any:
    """It is scheduled again, with its history."""
    JobDefinition.objects.find(job_id).restore(author_of(request), expected_revision=expected_revisions(if_match))
    return _job(job_id, response)


@router.get("/jobs/{job_id}/upcoming", response=Answer[UpcomingData], summary="List the next fire times of a job")
@needs("jobs.view_jobdefinition")
def list_upcoming(request: HttpRequest, job_id: JobId, query: Query[UpcomingQuery]) -> Any:
    """With `problem` instead if the job cannot be scheduled."""
    job = JobDefinition.objects.find(job_id)
    if problem := job.problem:
        return {"data": {"upcoming": [], "schedule": "", "problem": problem}}
    return {"data": {"upcoming": job.schedule.upcoming(now(), query.count), "schedule": job.schedule.describe()}}

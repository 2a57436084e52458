"""A claim starts only what is applied: a scheduler that was frozen while a job was edited, paused or archived obeys at once."""

from importlib import import_module

from django.db import migrations

from jobs.migrations._postgresql import on_postgresql

CREATE = """
CREATE OR REPLACE FUNCTION jobs_claim(jobs text[], moments timestamptz[], digests text[], followings timestamptz[], slots timestamptz[], counts bigint[],
                                      reasons text[], claimed_at timestamptz, owner text) RETURNS TABLE (run bigint, job text) LANGUAGE plpgsql
-- Some hundred jobs by their ids: PostgreSQL would rather read the whole table and hash it.
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  locked text[];
  free text[];
  everything boolean;  -- PostgreSQL compares with a variable's elements one by one
  stored_runs bigint[];
  stored_jobs text[];
  everything_is_applied boolean := (SELECT MIN(id) FROM jobs_jobdefinition WHERE NOT (applied_revision = revision)) IS NULL;
BEGIN
  locked := ARRAY(
    SELECT j.id FROM unnest(jobs, moments, digests) AS u (id, moment, digest) JOIN django_apscheduler_djangojob j ON j.id = u.id
    -- Not by the index of times: thousands of jobs may be due at the same moment.
    WHERE NOT (j.next_run_time <> u.moment) AND substr(j.job_state, 12, 16) = convert_to(u.digest, 'UTF8')
      AND (everything_is_applied OR NOT EXISTS (SELECT 1 FROM jobs_jobdefinition d WHERE d.id = j.id AND NOT (d.applied_revision = d.revision)))
    FOR UPDATE OF j SKIP LOCKED
  );
  free := ARRAY(
    SELECT unnest(locked) EXCEPT
    SELECT r.job_id FROM jobs_jobrun r WHERE r.job_id = ANY(locked) AND r.status IN ('queued', 'running') AND r.instance <> ''
  );
  everything := cardinality(free) = cardinality(jobs);
  UPDATE django_apscheduler_djangojob j SET next_run_time = u.following
  FROM unnest(jobs, followings) AS u (id, following) WHERE j.id = u.id AND (everything OR u.id = ANY(free));
  WITH stored AS (
    INSERT INTO jobs_jobrun (job_id, scheduled_for, slots, status, reason, instance, cause, attempt, queued_at, started_at, requested_by, error, traceback, log)
    SELECT u.id, COALESCE(u.slot, u.moment), COALESCE(u.count, 1), 'running', COALESCE(u.reason, ''), owner, 'schedule', 1, claimed_at, claimed_at, '', '', '', ''
    FROM unnest(jobs, moments, slots, counts, reasons) AS u (id, moment, slot, count, reason) WHERE everything OR u.id = ANY(free)
    RETURNING jobs_jobrun.id, jobs_jobrun.job_id
  )
  SELECT array_agg(stored.id), array_agg(stored.job_id::text) INTO stored_runs, stored_jobs FROM stored;
  RETURN QUERY SELECT * FROM unnest(stored_runs, stored_jobs);  -- only now: what was returned is not undone
EXCEPTION WHEN unique_violation THEN
  RETURN;  -- some slot has its answer already: nothing of this call has happened
END $$;
"""

BEFORE = import_module("jobs.migrations.0006_return_only_runs_that_were_stored").CREATE


class Migration(migrations.Migration):
    dependencies = [("jobs", "0011_read_related_rows_by_our_managers")]
    operations = [on_postgresql(CREATE, BEFORE)]

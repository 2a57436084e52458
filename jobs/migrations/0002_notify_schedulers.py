"""On PostgreSQL a change of a definition, or a requested run, wakes every scheduler that listens.

A trigger and not code, so that no writer can forget: a shell, a fixture and raw SQL notify as well.
SQLite needs none; its schedulers watch `PRAGMA data_version`.
"""

from django.db import migrations

from jobs.migrations._postgresql import on_postgresql

CREATE = """
CREATE FUNCTION jobs_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('jobs_changed', '');
  RETURN NULL;
END $$;
CREATE TRIGGER jobs_definition_changed AFTER INSERT OR UPDATE OF revision OR DELETE ON jobs_jobdefinition
  FOR EACH STATEMENT EXECUTE FUNCTION jobs_notify();
CREATE TRIGGER jobs_run_requested AFTER INSERT ON jobs_jobrun
  FOR EACH ROW WHEN (NEW.instance = '' AND NEW.status = 'queued') EXECUTE FUNCTION jobs_notify();
CREATE TRIGGER jobs_run_cancel_requested AFTER UPDATE OF cancel_requested_at ON jobs_jobrun
  FOR EACH ROW WHEN (NEW.cancel_requested_at IS DISTINCT FROM OLD.cancel_requested_at) EXECUTE FUNCTION jobs_notify();
"""

DROP = """
DROP TRIGGER jobs_run_cancel_requested ON jobs_jobrun;
DROP TRIGGER jobs_run_requested ON jobs_jobrun;
DROP TRIGGER jobs_definition_changed ON jobs_jobdefinition;
DROP FUNCTION jobs_notify();
"""


class Migration(migrations.Migration):
    dependencies = [("jobs", "0001_initial"), ("django_apscheduler", "0009_djangojobexecution_unique_job_executions")]
    operations = [on_postgresql(CREATE, DROP)]

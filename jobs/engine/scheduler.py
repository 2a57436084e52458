"""The scheduler: one loop that makes the store follow the definitions, claims what is due, and keeps going whatever happens.

A tick does only what there is to do: reconcile, claim, hand over; now and then heartbeat and reap.  It never waits
for a job function and never lets an error out.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog
from apscheduler.schedulers import SchedulerAlreadyRunningError, SchedulerNotRunningError
from apscheduler.schedulers.base import STATE_STOPPED, BaseScheduler
from apscheduler.schedulers.blocking import BlockingScheduler
from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections, connection

from jobs.clock import Clock, database_now, look_at_database
from jobs.engine.backoff import Outage
from jobs.engine.claim_result import Claim
from jobs.engine.executors import RunExecutor, make_executors
from jobs.engine.heartbeat import Heartbeat
from jobs.engine.instance import Instance, settle_runs_of
from jobs.engine.jobstore import JobStore
from jobs.engine.notifier import changes_for_connection
from jobs.engine.poller import Lookout, is_due
from jobs.engine.pools import Room
from jobs.engine.reconcile import reconcile, restore_entries
from jobs.engine.recorder import Recorder
from jobs.engine.requested import claim_requested
from jobs.engine.statements import Peek, for_connection
from jobs.models import DatabaseEnvironment, JobDefinition, JobRun, Status
from jobs.registry import find_current_run
from jobs.run_log import capture_logs

log = structlog.get_logger()

TICK_SECONDS = 0.2
BUSY_PAUSE = 0.002
"""Seconds between two claims while slots keep coming due, so that each finds more than one."""

PAUSE_PER_RUN = 0.0001
LONGEST_BUSY_PAUSE = 0.02
"""A claim has its price, whatever it brings: the more come due, the longer the next one waits for company."""

CLAIM_LIMIT = 2000
CLOCK_AHEAD_AT_MOST = timedelta(days=1)
STEP_SECONDS = 1.0
"""How long a step of the end waits for a lock, of the 20 s that a write is patient at other times."""


class Scheduler(BlockingScheduler):  # type: ignore[misc]  # APScheduler has no types
    """APScheduler's loop and life cycle around our own tick.

    `start()` blocks until `stop()` is called from a signal handler or another thread, then drains and returns.
    """

    def __init__(self, version: str = "", threads: int | None = None, drain_seconds: float = 30.0, *, once: bool = False) -> None:
        super().__init__(timezone=UTC)
        self.instance = Instance(version)
        self.outage = Outage()
        self.drain_seconds = drain_seconds
        self.once = once
        self._threads = threads or settings.SCHEDULER_THREADS
        self.closing = False
        self._stopped_at = 0.0
        self._event = threading.Event()
        self._last_tick = time.monotonic()
        self._left: set[str] = set()
        self._worked = False
        self._pause = BUSY_PAUSE
        self._prepared = self._registered = self._learned = False
        self._statements = for_connection()
        self._store = JobStore()
        self._changes = changes_for_connection(self._event)
        self._lookout = Lookout(self._statements, self._changes, self._store.agenda, always=once)
        self.clock = Clock(datetime.now(UTC))
        self._heartbeat = Heartbeat(self.instance, self.clock, self._statements)
        self.recorder = Recorder(self.instance.id, self.clock.now, lambda: list(self.lanes.values()), self._after_record)
        self.ticked, self.ended = threading.Event(), threading.Event()

    @property
    def tick_age(self) -> float:
        """Seconds since the last completed tick, by a monotonic clock."""
        return time.monotonic() - self._last_tick

    @property
    def lanes(self) -> dict[str, RunExecutor]:
        return self._executors  # type: ignore[no-any-return]  # APScheduler has no types

    # -- life ---------------------------------------------------------------------------------------

    def start(self, paused: bool = False) -> None:  # noqa: FBT001, FBT002 -- APScheduler's signature
        """Run until `stop()`, then drain and return."""
        if self.state != STATE_STOPPED or self.closing:
            raise SchedulerAlreadyRunningError
        capture_logs()
        self.add_jobstore(self._store, "default")
        for lane, executor in make_executors(self._threads, self.clock.now, self.recorder.put).items():
            self.add_executor(executor, lane)
        BaseScheduler.start(self, paused)
        self._changes.start()
        with self._statements.lent() as self.recorder.borrow:
            self.recorder.start()
            try:
                self._main_loop()
            finally:
                self.ended.set()

    def _prepare(self) -> None:
        """What has to be true before the first claim: the clock, our environment, our row.  Repeated when the database fails in the middle."""
        self._set_clock()
        self._heartbeat.check_environment(DatabaseEnvironment.objects.claim().name)
        self.instance.appear(database_now())
        self._prepared = True
        log.info("scheduler_started", instance=self.instance.id, threads=self._threads, database=connection.vendor)

    def _set_clock(self) -> None:
        """To the database's time; or to that of the last claim, if the clock was set back since."""
        latest = JobRun.objects.order_by("-pk").values_list("queued_at", flat=True).first()
        look = look_at_database()
        self.clock.restart(look.moment, look.middle)
        if latest is not None and (now := self.clock.now()) < latest < now + CLOCK_AHEAD_AT_MOST:
            self.clock.restart(latest)

    def _register(self) -> None:
        made = JobDefinition.objects.register_defaults()
        for definition in made:
            log.info("job_registered", job=definition.pk, function=definition.function)
        log.info("default_jobs_registered", made=len(made), total=JobDefinition.objects.current().count())
        JobDefinition.objects.request_at_start()
        restore_entries(self.clock.now())
        self._registered = True

    def stop(self) -> None:
        """Claim nothing more; `start()` returns once running jobs have completed, or `drain_seconds` later.

        Safe in a signal handler: it takes no lock.  A handler runs in the middle of the loop, which may hold the
        event's own lock at that moment; the loop looks at `closing` every 200 ms by itself.
        """
        if not self.closing:
            self._stopped_at = time.monotonic()
        self.closing = True

    def _main_loop(self) -> None:
        while not self.closing:
            self._event.clear()
            wait = self._process_jobs()
            if self.once and self._nothing_left():
                self.stop()
            if not self.closing:
                self._wait(wait)
        self._drain()

    def _nothing_left(self) -> bool:
        """Whether whatever was due has been done, or cannot be."""
        busy = self._worked or self._left or self.running_runs or any(executor.waiting for executor in self.lanes.values()) or not self.recorder.idle
        return self.outage.failures > 0 or not busy

    def _wait(self, seconds: float) -> None:
        try:
            self._changes.wait(seconds)
        except (DatabaseError, InterfaceError) as error:
            self._event.wait(self._fail(error))

    # -- the tick -------------------------------------------------------------------------------------

    def _process_jobs(self) -> float:
        """One tick; returns the seconds until the next."""
        with self._statements.alone():
            try:
                wait = self.tick()
            except Exception as error:  # noqa: BLE001 -- the next line says it; a scheduler that stops because of one error is worse than any error
                return self._fail(error)
        self._last_tick = time.monotonic()
        self.outage.over()
        self.ticked.set()
        return wait

    def _fail(self, error: Exception) -> float:
        wait = self.outage.failed(error)
        self._lookout.again = True
        self._statements.drop_connection(error)
        return wait

    def tick(self) -> float:
        """Do what there is to do; returns the seconds until there may be more."""
        if not self._prepared:
            self._prepare()
        if not self._registered and self._heartbeat.foreign is None:
            self._register()
        now = self.clock.now()
        self._check_lanes()
        if self._heartbeat.is_due:
            self._beat()
        if self._heartbeat.foreign is not None:
            return TICK_SECONDS
        if self.ticked.is_set() and not self._learned:
            self._store.learn()
            self._learned = True
        self._worked = self._work(now, self._lookout.look(now, self.instance.id))
        return self._pause if self._worked else self._until_next(now)

    def _check_lanes(self) -> None:
        for executor in self.lanes.values():
            executor.check()

    def _work(self, now: datetime, peek: Peek | None) -> bool:
        """Do what the rows tell of, if they were asked, and what is known to be due in any case; whether there was anything."""
        if peek is None:
            return self._claim(now, looked=False, from_rows=False)
        if peek.cancelled:
            self._cancel()
        # A fresh look at the clock: what the peek saw may have been committed after this tick began.
        applied = peek.unapplied and reconcile(self._store, self.instance.id, self.clock.now()) > 0
        worked = self._claim(now, looked=True, from_rows=applied or self._lookout.is_unknown_due(peek, now))
        requested = (applied or is_due(peek.next_request, now)) and self._claim_requested(now)
        self._lookout.again |= applied or requested
        return applied or worked or requested

    def _claim(self, now: datetime, *, looked: bool, from_rows: bool) -> bool:
        """Claim what is known to be due, and ask the rows if there may be more; whether there was anything."""
        rooms = self._rooms(now)
        total = Claim()
        if from_rows:
            total.add(self._dispatch(self._store.claim(now, self.instance.id, rooms, CLAIM_LIMIT)))
        total.add(self._dispatch(self._store.claim_known(now, self.instance.id, rooms, CLAIM_LIMIT)))
        if not from_rows and (total.doubtful or any(rooms[lane].soon > 0 for lane in total.left)):
            total.add(self._dispatch(self._store.claim(now, self.instance.id, rooms, CLAIM_LIMIT)))
        self._lookout.again |= total.more
        self._left = total.left if looked else total.left | self._left
        self._pause = BUSY_PAUSE if total.more or total.left else min(BUSY_PAUSE + PAUSE_PER_RUN * total.answered, LONGEST_BUSY_PAUSE)
        return total.answered > 0

    def _claim_requested(self, now: datetime) -> bool:
        return self._dispatch(claim_requested(self._statements, now, self.instance.id, self._rooms(now), CLAIM_LIMIT)).answered > 0

    def _rooms(self, now: datetime) -> dict[str, Room]:
        return {lane: executor.room(now, left_over=lane in self._left) for lane, executor in self.lanes.items()}

    def _dispatch(self, claim: Claim) -> Claim:
        for run in claim.start:
            self.lanes[run.lane].hand_over(run)
        for run in claim.keep:
            self.lanes[run.lane].waiting.append(run)
        return claim

    def _cancel(self) -> None:
        asked = JobRun.objects.filter(instance=self.instance.id, cancel_requested_at__isnull=False).active().order_by()
        for run_id in asked.values_list("pk", flat=True):
            for executor in self.lanes.values():
                executor.stop(run_id, Status.CANCELLED)

    def _until_next(self, now: datetime) -> float:
        moments = [moment for moment in (self._store.agenda.next_moment, self._lookout.next_moment) if moment is not None and moment > now]
        longest = LONGEST_BUSY_PAUSE if any(executor.backlog for executor in self.lanes.values()) else TICK_SECONDS
        return min([longest, *((moment - now).total_seconds() for moment in moments)])

    def _beat(self) -> None:
        self._lookout.again |= self._heartbeat.beat(list(self.lanes.values()), self._known_runs, self.outage.calm_seconds)
        if not self._statements.keeps_connection:
            close_old_connections()

    def _known_runs(self) -> set[int]:
        known = set(self.recorder.in_hand)
        for executor in self.lanes.values():
            known.update(list(executor.handed))
            known.update(run.id for run in list(executor.waiting))
        return known

    def _after_record(self, retries: bool) -> None:  # noqa: FBT001 -- called by the recorder alone
        """Room was made: slots that were left due for want of it can be claimed.  Of retries, which came by our own connection, nobody else tells."""
        if retries:
            self._lookout.again = True
        if self._left or retries:
            self._event.set()

    # -- the end ------------------------------------------------------------------------------------

    def _drain(self) -> None:
        """Give back what never started, let the rest complete, record it; what is left at the deadline is abandoned."""
        deadline = self._stopped_at + self.drain_seconds
        self.recorder.promoting = False
        self._quietly(self._give_back)
        while time.monotonic() < deadline and (self.running_runs or not self.recorder.idle):
            self._check_lanes()
            self._event.wait(0.02)
            self._event.clear()
            if self._heartbeat.is_due:
                self._heartbeat.put_off()  # also when it fails
                self._quietly(self._beat)
        left = self.running_runs
        unwritten = self.recorder.close(timeout=max(1.0, deadline - time.monotonic()))
        self._quietly(self._abandon_rest)
        self._changes.stop()
        self.kill_processes()
        BlockingScheduler.shutdown(self, wait=False)
        self._quietly(self.instance.vanish)
        log.info("scheduler_stopped", instance=self.instance.id, abandoned=left, unwritten=len(unwritten))

    @property
    def running_runs(self) -> int:
        return sum(len(executor.handed) for executor in self.lanes.values())

    def _give_back(self) -> None:
        self.instance.stopping()
        for executor in self.lanes.values():
            executor.waiting.clear()
        self.instance.release(self.clock.now())

    def _abandon_rest(self) -> None:
        reason = f"it was still running {self.drain_seconds:g} s after its scheduler was told to stop"
        settle_runs_of([self.instance.id], self.clock.now(), reason)

    def _quietly(self, step: Callable[[], None]) -> None:
        """A step of the end; without a database, or when somebody keeps it locked, it is left to the reaper of another instance."""
        try:
            with self._statements.alone(STEP_SECONDS):
                try:
                    self._statements.wait_at_most(STEP_SECONDS)
                    step()
                except (DatabaseError, InterfaceError) as error:
                    self._statements.drop_connection(error)
                    raise
        except (DatabaseError, InterfaceError) as error:
            log.warning("scheduler_end_incomplete", step=step.__name__, error=str(error))

    def kill_processes(self) -> None:
        """Leave no job's process behind."""
        for executor in self.lanes.values():
            executor.kill()

    def shutdown(self, wait: bool = True) -> None:  # noqa: FBT001, FBT002 -- APScheduler's signature
        """Stop; with `wait`, return when running jobs have completed.  A job function that calls this cannot wait for itself."""
        if self.state == STATE_STOPPED:
            raise SchedulerNotRunningError
        self.stop()
        if wait and find_current_run() is None:
            self.ended.wait()

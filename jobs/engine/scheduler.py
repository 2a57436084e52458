"""The scheduler: one loop that makes the store follow the definitions and claims what is due.

A tick does only what there is to do: reconcile, claim, dispatch; now and then heartbeat and reap.  It never waits
for a job function, and no error leaves it.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime

import structlog
from apscheduler.schedulers import SchedulerAlreadyRunningError, SchedulerNotRunningError
from apscheduler.schedulers.base import STATE_STOPPED, BaseScheduler
from apscheduler.schedulers.blocking import BlockingScheduler
from django.db import DatabaseError, InterfaceError, connection

from jobs import conf
from jobs.clock import Clock, database_now
from jobs.engine.backoff import Backoff
from jobs.engine.dispatcher import TICK_SECONDS, Dispatcher
from jobs.engine.drain import Drain
from jobs.engine.executors import RunExecutor, make_executors
from jobs.engine.heartbeat import Heartbeat
from jobs.engine.instance import Instance
from jobs.engine.jobstore import JobStore
from jobs.engine.liveness import Liveness
from jobs.engine.notifier import notifier_for_connection
from jobs.engine.reconcile import restore_entries
from jobs.engine.recorder import Recorder
from jobs.engine.statements import for_connection
from jobs.engine.workers.limits import Limits
from jobs.engine.workers.pools import make_worker_pools
from jobs.engine.workers.supervisor import Supervisor
from jobs.models import DatabaseEnvironment, JobDefinition
from jobs.registry import find_current_run, register_default_jobs
from jobs.run_log import capture_logs

log = structlog.get_logger()


class Scheduler(BlockingScheduler):  # type: ignore[misc]  # APScheduler has no types
    """APScheduler's loop and life cycle around our own tick.

    `start()` blocks until `stop()` is called from a signal handler or another thread, then drains and returns.
    """

    def __init__(self, version: str = "", threads: int | None = None, drain_seconds: float = 30.0, *, workers: int = 0, once: bool = False) -> None:
        super().__init__(timezone=UTC)
        self.instance = Instance(version)
        self.drain_seconds = drain_seconds
        self.once = once
        self._threads = threads or conf.threads()
        self.closing = False
        self.stopped_at = 0.0
        self._event = threading.Event()
        self._last_tick = time.monotonic()
        self._prepared = self._registered = self._preloaded = False
        self.statements = for_connection()
        self.notifier = notifier_for_connection(self._event)
        self.clock = Clock(datetime.now(UTC))
        self.backoff = Backoff(self.clock.now)
        self.heartbeat = Heartbeat(self.instance, self.clock, self.statements)
        self.recorder = Recorder(self.instance, self.clock.now, lambda: list(self.pools.values()), self._after_record)
        self.dispatcher = Dispatcher(self.statements, self.notifier, self.instance, self.clock.now, self.recorder.wake, always_poll=once)
        self.supervisor = self._make_supervisor(workers) if workers else None
        self.liveness = Liveness(self)
        self.ticked, self.ended = threading.Event(), threading.Event()

    @property
    def tick_age(self) -> float:
        """Seconds since the last completed tick, by a monotonic clock."""
        return time.monotonic() - self._last_tick

    @property
    def pools(self) -> dict[str, RunExecutor]:
        return self._executors  # type: ignore[no-any-return]  # APScheduler has no types

    @property
    def running_runs(self) -> int:
        return sum(len(executor.in_flight) for executor in self.pools.values())

    # -- life ---------------------------------------------------------------------------------------

    def start(self, paused: bool = False) -> None:  # noqa: FBT001, FBT002 -- APScheduler's signature
        """Run until `stop()`, then drain and return."""
        if self.state != STATE_STOPPED or self.closing:
            raise SchedulerAlreadyRunningError
        capture_logs()
        self.add_jobstore(JobStore(self.dispatcher.plans), "default")
        for pool, executor in self._make_pools().items():
            self.add_executor(executor, pool)
        self.dispatcher.pools = self.pools
        BaseScheduler.start(self, paused)
        self.notifier.start()
        with self.statements.guarded(), self.statements.shared_connection() as self.recorder.adopt_connection:
            self.recorder.start()
            try:
                self._main_loop()
            finally:
                self.ended.set()

    def _make_supervisor(self, workers: int) -> Supervisor:
        limits = Limits(conf.worker_max_runs(), conf.worker_max_megabytes())
        return Supervisor(workers, self._threads, self.clock, self._wake_for_room, limits)

    def _make_pools(self) -> dict[str, RunExecutor]:
        """Executors in worker processes; with 0 workers, in this one."""
        if self.supervisor is None:
            return make_executors(self._threads, self.clock.now, self.recorder.put)
        self.supervisor.pools = make_worker_pools(self._threads, self.clock.now, self.recorder.put, self.supervisor)
        self.supervisor.start()
        return self.supervisor.pools

    def stop(self) -> None:
        """Claim nothing more; `start()` returns once running jobs have completed, or `drain_seconds` later.

        Safe in a signal handler: it takes no lock.  A handler runs in the middle of the loop, which may hold the
        event's lock at that moment; the loop reads `closing` every 200 ms by itself.
        """
        if not self.closing:
            self.stopped_at = time.monotonic()
        self.closing = True

    def shutdown(self, wait: bool = True) -> None:  # noqa: FBT001, FBT002 -- APScheduler's signature
        """Stop; with `wait`, return when running jobs have completed.  A job function that calls this cannot wait for itself."""
        if self.state == STATE_STOPPED:
            raise SchedulerNotRunningError
        self.stop()
        if wait and find_current_run() is None:
            self.ended.wait()

    def end_life_cycle(self) -> None:
        """End APScheduler's life cycle: the executors and the job store."""
        BlockingScheduler.shutdown(self, wait=False)
        if self.supervisor is not None:
            self.supervisor.close()

    def kill_processes(self) -> None:
        for executor in self.pools.values():
            executor.kill()
        if self.supervisor is not None:
            self.supervisor.kill_all()

    def _main_loop(self) -> None:
        while not self.closing:
            self._event.clear()
            wait = self._process_jobs()
            if self.once and self._has_nothing_left():
                self.stop()
            if not self.closing:
                self._wait(wait)
        Drain(self).run()

    def _has_nothing_left(self) -> bool:
        """Whether everything due is done, or cannot be because the database fails."""
        waiting = self.dispatcher.worked or self.dispatcher.pools_full or any(executor.buffered for executor in self.pools.values())
        return self.backoff.failures > 0 or not (waiting or self.running_runs or not self.recorder.idle)

    def _wait(self, seconds: float) -> None:
        try:
            self.notifier.wait(seconds)
        except (DatabaseError, InterfaceError) as error:
            self._event.wait(self._fail(error))

    # -- the tick -------------------------------------------------------------------------------------

    def _process_jobs(self) -> float:
        """One tick; returns the seconds until the next."""
        with self.statements.exclusive():
            try:
                wait = self.tick()
            except Exception as error:  # noqa: BLE001 -- the next line logs it; a scheduler that stops because of one error is worse than any error
                return self._fail(error)
        self._last_tick = time.monotonic()
        self.backoff.completed()
        self.ticked.set()
        return wait

    def _fail(self, error: Exception) -> float:
        wait = self.backoff.failed(error)
        self.dispatcher.poll_again()
        self.statements.drop_connection(error)
        self.liveness.report(error)
        return wait

    def tick(self) -> float:
        """Do what there is to do; returns the seconds until there may be more."""
        self.statements.check_file()
        if not self._prepared:
            self._prepare()
        if not self._registered and self.heartbeat.foreign is None:
            self._register()
        self.liveness.check_threads()
        self.check_pools()
        wait = TICK_SECONDS if self.heartbeat.foreign is not None else self._work()
        # Last: a heartbeat says that a tick was completed.
        return 0.0 if self.heartbeat.is_due and self.liveness.beat() else wait

    def _work(self) -> float:
        if self.ticked.is_set() and not self._preloaded:
            self.dispatcher.plans.preload()
            self._preloaded = True
        return self.dispatcher.work(self.clock.now())

    def _prepare(self) -> None:
        """Set the clock, check the environment and make the instance's row, before the first claim.  Repeated when the database fails in between."""
        self.heartbeat.set_clock()
        self.heartbeat.check_environment(DatabaseEnvironment.objects.claim().name)
        self.instance.register(database_now())
        self._prepared = True
        log.info("scheduler_started", instance=self.instance.id, threads=self._threads, database=connection.vendor)

    def _register(self) -> None:
        register_default_jobs()
        JobDefinition.objects.request_at_start()
        restore_entries(self.clock.now())
        self._registered = True

    def check_pools(self) -> None:
        """Stop runs that have reached their time limit."""
        for executor in self.pools.values():
            executor.check()

    def start_over(self) -> None:
        """Let the next tick prepare and register as the first one did."""
        self.statements.follow_file()
        self._prepared = self._registered = self._preloaded = False

    def _after_record(self, retries: bool) -> None:  # noqa: FBT001 -- called by the recorder alone
        """Wake the loop when the recorder has made room for due slots, or has queued retries: no notification tells of our own writes."""
        if retries:
            self.dispatcher.poll_again()
        if self.dispatcher.pools_full or retries:
            self._event.set()

    def _wake_for_room(self) -> None:
        """Wake the loop when workers have made room for a number of due slots: a claim has a fixed cost."""
        if any(self.pools[pool].has_room for pool in list(self.dispatcher.pools_full)):
            self._event.set()

    def rest(self, seconds: float) -> None:
        """Wait for `seconds`, or until the recorder wakes the loop."""
        self._event.wait(seconds)
        self._event.clear()

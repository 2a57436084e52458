"""procrastinate's periodic tasks: `python -m tests.benchmarks.peers.procrastinate_periodic JOBS SECONDS`, on PostgreSQL."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time

from procrastinate import App, PsycopgConnector

THREADS = 10
WARM_UP_SECONDS = 4.0
COUNT = "SELECT count(*) AS finished FROM procrastinate_jobs WHERE status = 'succeeded'"


async def main(jobs: int, seconds: float) -> None:
    app = App(connector=PsycopgConnector(conninfo=os.environ["VS_DATABASE_URL"]))
    for number in range(jobs):

        @app.periodic(cron="* * * * * *")  # type: ignore[untyped-decorator]  # its sixth field is the second
        @app.task(name=f"peer{number}", queueing_lock=None)  # type: ignore[untyped-decorator]  # procrastinate leaves it so
        async def nothing(timestamp: int) -> None:
            """The same as our own job does."""

    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        worker = asyncio.create_task(app.run_worker_async(concurrency=THREADS, install_signal_handlers=False, delete_jobs="never"))
        await asyncio.sleep(WARM_UP_SECONDS)
        before = (await app.connector.execute_query_one_async(COUNT))["finished"]
        cpu, started = time.process_time(), time.monotonic()
        await asyncio.sleep(seconds)
        used, elapsed = time.process_time() - cpu, time.monotonic() - started
        after = (await app.connector.execute_query_one_async(COUNT))["finished"]
        sys.stdout.write(json.dumps({"runs": after - before, "cpu_seconds": used, "seconds": elapsed}) + "\n")
        sys.stdout.flush()
        worker.cancel()
        os._exit(0)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))

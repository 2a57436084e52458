"""Worker processes: job code runs in them, and never in the process that schedules.

the scheduler's process (arbiter)          a worker process, forked from a warm fork server
supervisor.py  starts, watches, replaces   child.py   reads runs, writes outcomes
handle.py      one worker, seen from here  worker.py  executes: threads and an event loop
pools.py       the executors of the pools
wire.py  what travels between them: JSON, many runs a message
"""

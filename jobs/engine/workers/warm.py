"""What the fork server loads before it forks workers: Django, the apps and their `jobs` modules.

`multiprocessing` imports this module by its name, in the fork server and nowhere else.  A worker that is forked from it
can run a function 15 ms later, where a new interpreter takes 1.5 s.
"""

from __future__ import annotations

import gc
import signal

import django

# systemd and Ctrl-C signal every process of the group: only the scheduler obeys, and ends the others.
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGINT, signal.SIG_IGN)
django.setup()

from jobs import left_open  # noqa: E402 -- after django.setup()
from jobs.engine.workers import child, fork_server  # noqa: E402, F401 -- after django.setup(), which they need

fork_server.restore_python_path()
left_open.note_before_fork()
gc.collect()
gc.freeze()  # a collection in a worker would write to every object, and so copy the pages that processes share

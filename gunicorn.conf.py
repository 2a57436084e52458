"""Settings of gunicorn: `gunicorn vsadmin.wsgi` reads this file by itself.

Command-line options override them, such as `--bind 0.0.0.0:8000 --workers 4`.
"""

from typing import Any

from vsadmin.environment import read_environment
from vsadmin.http.limits import MAX_HEAD_BYTES
from vsadmin.logging import logging_settings

bind = "127.0.0.1:8000"
worker_class = "vsadmin.http.buffering_worker.BufferingWorker"
workers = 1
threads = 8
worker_connections = 500  # fewer than the usual 1,024 open files of a process
timeout = 30
graceful_timeout = 25  # systemd and `./dev up` kill after 30 s
# gunicorn would open a Unix socket by which other processes can control it.
control_socket_disable = True

# VS_TRUSTED_PROXIES decides about X-Forwarded-Proto; gunicorn's default trusts it from 127.0.0.1.
forwarded_allow_ips = ""

# The same JSON lines as all others.  No access log: django-structlog logs each request with its id.
logconfig_dict = logging_settings(read_environment().log_level)
accesslog = None

# One field may take the whole head, which the worker limits; gunicorn's default would answer a large API key in HTML.
limit_request_field_size = MAX_HEAD_BYTES


def post_worker_init(worker: Any) -> None:
    """Tell the load shedder the number of threads, so that it can keep one free for the probes."""
    from vsadmin.http.load_shedding import load_shedder  # Django is set up only once a worker exists

    load_shedder.threads = worker.cfg.threads

"""How gunicorn serves vsadmin: `gunicorn vsadmin.wsgi` reads this file by itself.

Every line can be overruled on the command line, such as `--bind 0.0.0.0:8000 --workers 4`.
"""

from typing import Any

from vsadmin.environment import read_environment
from vsadmin.logging import logging_settings

bind = "127.0.0.1:8000"
workers = 1
threads = 8
timeout = 30
graceful_timeout = 25  # systemd and `./dev up` kill after 30 s
# A unix socket that controls the server would be one more door, and nobody asked for it.
control_socket_disable = True

# Whom to believe about X-Forwarded-Proto is for VS_TRUSTED_PROXIES to say; by default gunicorn believes 127.0.0.1.
forwarded_allow_ips = ""

# The same JSON lines as the rest.  There is no access log: django-structlog writes each request with its id.
logconfig_dict = logging_settings(read_environment().log_level)
accesslog = None

# The API answers a key of 100 kB like any other that it does not know; gunicorn's own limit would answer 400 in HTML.
limit_request_field_size = 131_072


def post_worker_init(worker: Any) -> None:
    """Tell the process how many threads it has, so that it can keep one free for the probes."""
    from vsadmin.http.load_shedding import load_shedder  # Django is set up only once a worker exists

    load_shedder.threads = worker.cfg.threads

"""Django's settings, made from the environment."""

from __future__ import annotations

import logging
import re
import sys
import warnings
from typing import Any

from corsheaders.defaults import default_headers
from csp.constants import NONE, SELF
from django.core.management.utils import get_random_secret_key

from vsadmin import __version__
from vsadmin.environment import BASE_DIR, database_file, database_settings, read_environment
from vsadmin.http.limits import MAX_BODY_BYTES
from vsadmin.logging import logging_settings
from vsadmin.private_files import private_database, private_folder

ENV = read_environment()

DEBUG = ENV.debug
# A random key for each start is for DEBUG only; read_environment() requires one otherwise.
SECRET_KEY = ENV.secret_key or get_random_secret_key()
ALLOWED_HOSTS = ENV.allowed_hosts
TRUSTED_PROXIES = ENV.trusted_proxies
CSRF_TRUSTED_ORIGINS = ENV.csrf_trusted_origins
FORCE_SCRIPT_NAME = ENV.path_prefix or None

JOBS_ENVIRONMENT = ENV.environment
JOBS_THREADS = ENV.scheduler_threads
if ENV.scheduler_workers is not None:
    JOBS_WORKERS = ENV.scheduler_workers
JOBS_WORKER_MAX_RUNS = ENV.scheduler_worker_runs
JOBS_WORKER_MAX_MEGABYTES = ENV.scheduler_worker_megabytes
JOBS_VERSION = __version__
JOBS_WORKING_DIRECTORY = BASE_DIR
# Decides for the scheduler's own probe server whether a request may read /metrics; `jobs` has no API keys.
JOBS_METRICS_GUARD = "vsadmin.api.auth.metrics_status"

API_KEY_ADMIN = ENV.api_key_admin
API_KEY_MONITOR = ENV.api_key_monitor
API_REQUESTS_PER_MINUTE = ENV.api_requests_per_minute

DATA_DIR = ENV.data_dir
SERVER_DIR = ENV.server_dir
VERSIONS_URL = ENV.versions_url
MODDB_URL = ENV.moddb_url
MOD_LIST_REFRESH_INTERVAL = ENV.mod_list_refresh_interval
SERVER_VERSIONS_REFRESH_INTERVAL = ENV.server_versions_refresh_interval
GAME_SERVER_WATCH_INTERVAL = ENV.game_server_watch_interval

INSTALLED_APPS = [
    "django.contrib.admin.apps.SimpleAdminConfig",  # the URL map imports the admin pages, so that a scheduler starts without them
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "corsheaders",
    "csp",
    "django_structlog",
    "ninja",  # its docs page takes Swagger's files from static files instead of a CDN only when it is listed here
    "simple_history",
    "django_apscheduler",
    "jobs",
    "health",
    "vsadmin",
    "vsadmin.game",
]

MIDDLEWARE = [
    "health.middleware.probes",
    "vsadmin.http.request_id.request_id",
    "corsheaders.middleware.CorsMiddleware",  # before all that may refuse: a page can read an error only with these headers
    "vsadmin.http.load_shedding.shed_load",
    "vsadmin.http.conditional.conditional",
    "vsadmin.http.api_problems.api_problems",
    "vsadmin.http.nul.refuse_nul",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "vsadmin.http.session_idle.SessionIdle",
    "vsadmin.http.language.PageLanguage",
    "vsadmin.http.host_check.HostCheck",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "vsadmin.http.request_log.RequestLog",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "vsadmin.urls"
WSGI_APPLICATION = "vsadmin.wsgi.application"
ASGI_APPLICATION = "vsadmin.asgi.application"

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {"default": database_settings(ENV.database_url)}
DATABASE_FILE = database_file(ENV.database_url)
if ENV.database_url.startswith("sqlite:///var/"):  # not tracked by git, so a fresh clone has no such folder
    private_folder(BASE_DIR / "var")
if DATABASE_FILE is not None:
    private_database(DATABASE_FILE)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator", "NumericPasswordValidator")
]

LOGIN_REDIRECT_URL = "admin:index"  # also after a login whose `next` leads to another host

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = ENV.time_zone
USE_I18N = True
USE_TZ = True

STATIC_URL = f"{ENV.path_prefix}/static/"
STATIC_ROOT = BASE_DIR / "static-collected"
STATICFILES_DIRS = [BASE_DIR / "static"]
# Before collectstatic has run, and always with DEBUG, files are served from the apps' folders.
COLLECTED = not DEBUG and (STATIC_ROOT / "staticfiles.json").exists()
IS_COLLECTING = not DEBUG and sys.argv[1:2] == ["collectstatic"]  # which makes that file, with the storage that needs it
warnings.filterwarnings("ignore", "No directory at", UserWarning)  # whitenoise, when STATIC_ROOT does not exist yet
WHITENOISE_USE_FINDERS = not COLLECTED
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage" if COLLECTED or IS_COLLECTING else "django.contrib.staticfiles.storage.StaticFilesStorage",
    },
}

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    },
}
X_FRAME_OPTIONS = "DENY"
HTTPS = ENV.https and not DEBUG
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
if HTTPS:  # browsers accept such cookies over HTTPS from this host only: no other host of the domain can set them
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-sessionid", "__Host-csrftoken"
SESSION_COOKIE_AGE = ENV.session_idle_minutes * 60
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_REDIRECT_EXEMPT = [rf"^{re.escape(f'{ENV.path_prefix}/metrics'[1:])}$"]  # `health.middleware` answers the probes before
if ENV.trusted_proxies:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# Pages of other sites use the API with a key; cookies are not sent, so that no page acts as the person who is logged in.
CORS_ALLOWED_ORIGINS = ENV.cors_origins
CORS_URLS_REGEX = r"^/api/"
CORS_ALLOW_HEADERS = (*default_headers, "x-api-key", "x-request-id", "idempotency-key", "if-match", "if-none-match")
CORS_EXPOSE_HEADERS = ("ETag", "Location", "Retry-After", "X-Request-ID", "Idempotency-Replayed")

DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_BODY_BYTES
NINJA_PAGINATION_MAX_LIMIT = 200

LOG_LEVEL = ENV.log_level
# The line at the end of a request has all fields of the one at its start.
DJANGO_STRUCTLOG_STATUS_START_LOG_LEVEL = logging.DEBUG
# vsadmin.http.request_id comes first, and has replaced an id that could spoil the log.
DJANGO_STRUCTLOG_TRUST_UPSTREAM_REQUEST_ID = True
LOGGING = logging_settings(LOG_LEVEL)
LOGGING_CONFIG = "vsadmin.logging.configure"

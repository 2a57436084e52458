"""The ASGI entry point: `uvicorn vsadmin.asgi:application`."""

import os

from django.conf import settings
from django.core.asgi import get_asgi_application

from vsadmin.http.asgi_limits import limit_bodies
from vsadmin.http.path_prefix import prefixed_asgi

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vsadmin.settings")
application = limit_bodies(prefixed_asgi(get_asgi_application(), settings.FORCE_SCRIPT_NAME))

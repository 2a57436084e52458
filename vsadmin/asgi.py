"""The ASGI entry point: `uvicorn vsadmin.asgi:application`."""

import os

from django.core.asgi import get_asgi_application

from vsadmin.http.asgi_limits import limit_bodies

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vsadmin.settings")
application = limit_bodies(get_asgi_application())

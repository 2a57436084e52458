"""The ASGI entry point: `uvicorn vsadmin.asgi:application`."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vsadmin.settings")
application = get_asgi_application()

"""The WSGI entry point: `gunicorn vsadmin.wsgi`."""

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from vsadmin.http.path_prefix import prefixed_wsgi
from vsadmin.http.wsgi_limits import read_bodies

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vsadmin.settings")
application = read_bodies(prefixed_wsgi(get_wsgi_application(), settings.FORCE_SCRIPT_NAME))

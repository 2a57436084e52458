"""The WSGI entry point: `gunicorn vsadmin.wsgi`."""

import os

from django.core.wsgi import get_wsgi_application

from vsadmin.http.wsgi_limits import read_bodies

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vsadmin.settings")
application = read_bodies(get_wsgi_application())

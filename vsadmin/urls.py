"""The URL map: metrics, API, admin.  `health.middleware` answers the probes before it."""

from django.contrib import admin
from django.urls import path
from django.views.generic import RedirectView

from vsadmin.api.api import api
from vsadmin.login import LoginForm
from vsadmin.outage import page_of_error
from vsadmin.views import metrics

admin.autodiscover()
admin.site.login_form = LoginForm
admin.site.site_url = None  # the site is the admin; there is nothing else to view

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("metrics", metrics),
    path("api/v1alpha1/", api.urls),
    path("admin/", admin.site.urls),
]

handler500 = page_of_error

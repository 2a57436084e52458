"""The URL map with one page more, which fails while it holds a secret."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import path

from vsadmin.urls import urlpatterns as real_urlpatterns


def fail(request: HttpRequest) -> HttpResponse:
    secret = "hunter" + str(1 + 1)
    return HttpResponse(str(len(secret) / 0))


urlpatterns = [path("broken", fail), *real_urlpatterns]

"""The site's addresses, and a view that does nothing at all."""

from django.http import HttpRequest, HttpResponse
from django.urls import path

from vsadmin.urls import urlpatterns as site


def empty(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


urlpatterns = [path("empty", empty), *site]

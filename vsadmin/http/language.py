"""The language of a response."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.locale import LocaleMiddleware
from django.utils import translation

from vsadmin.http.api_problems import API_ROOT


class PageLanguage(LocaleMiddleware):
    """Pages use the language of the browser; the API always answers in English, because programs compare its texts."""

    def process_request(self, request: HttpRequest) -> None:
        if request.path_info.startswith(API_ROOT):
            translation.activate(settings.LANGUAGE_CODE)  # the previous request of this thread may have activated another
            return
        super().process_request(request)

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        return response if request.path_info.startswith(API_ROOT) else super().process_response(request, response)

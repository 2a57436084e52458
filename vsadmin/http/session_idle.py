"""Ends sessions that nobody uses: each request of a person renews the time of its session."""

from __future__ import annotations

import time

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.deprecation import MiddlewareMixin

SEEN_AT = "seen_at"
BY_SCRIPT = "X-Requested-With"
"""Sent by the scripts that refresh a page by themselves: an open page is not a person at work."""


class SessionIdle(MiddlewareMixin):
    """Saves a session in use again, with a new expiry, but not at every request: each save is a write."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        session = request.session
        if session.accessed and not session.modified and "_auth_user_id" in session and BY_SCRIPT not in request.headers:
            now = int(time.time())
            if not 0 <= now - session.get(SEEN_AT, 0) < settings.SESSION_COOKIE_AGE / 20:
                session[SEEN_AT] = now
        return response

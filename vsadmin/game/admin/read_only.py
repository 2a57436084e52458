"""The base of the game's admin pages, which show rows that only jobs write, and their columns and badges."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.safestring import SafeString

if TYPE_CHECKING:
    Base = admin.ModelAdmin[Any]
else:
    Base = admin.ModelAdmin


class ReadOnlyAdmin(Base):
    """An admin without adding, changing and deleting, even for superusers."""

    actions = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def time_column(field: str, title: Any) -> Callable[[Any, Any], str | None]:
    """A column for a ModelAdmin class that shows the time in `field` with its time zone and its age."""

    def show(page: Any, row: Any) -> str | None:
        time = getattr(row, field)
        return render_to_string("admin/game/time.html", {"time": time}) if time else None

    return admin.display(description=title, ordering=field)(show)


def badge(text: object, kind: str) -> SafeString:
    """A status as text and colour; `kind` is ok, warn, bad or muted."""
    return format_html('<span class="vs-badge vs-badge--{}">{}</span>', kind, text)


def outside_link(url: str, text: object) -> SafeString:
    """A link to another site."""
    return format_html('<a href="{}" rel="noopener noreferrer" target="_blank">{}</a>', url, text)

"""Admin pages of API keys.  A new key is shown once; an old one is revoked instead of deleted."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from vsadmin.models import ApiKey, Role


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # Django's own class takes no parameter
    list_display = ("name", "prefix", "role", "state", "created_by", "created_at", "expires_at", "last_used_at")
    list_filter = ("role",)
    search_fields = ("name", "prefix")
    actions = ("revoke",)

    @admin.display(description=_("state"))
    def state(self, key: ApiKey) -> str:
        return key.problem(now()) or "valid"

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[str, ...]:
        entered = ("name", "role", "expires_at")
        return entered if obj is None else (*entered, "prefix", "state", "created_by", "created_at", "last_used_at", "revoked_at")

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[str, ...]:
        return () if obj is None else tuple(self.get_fields(request, obj))

    def formfield_for_choice_field(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "role":
            kwargs["choices"] = [(role.value, role.label) for role in Role if role.may_be_given_by(request.user)]
        return super().formfield_for_choice_field(db_field, request, **kwargs)

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """Filters in the address: only those of the page.  `?sha256__startswith=` would tell the hash letter by letter."""
        return lookup.split("__", maxsplit=1)[0] in self.list_filter

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return False  # a revoked key stays as a record of past access

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:  # noqa: FBT001 -- Django's signature
        request.new_key = obj.renew()  # type: ignore[attr-defined]  # read by response_add()
        obj.created_by = request.user.get_username()
        super().save_model(request, obj, form, change)

    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None) -> HttpResponse:
        """Show the key in this response: a message would store it in a cookie until the next page."""
        context = {**self.admin_site.each_context(request), "title": _("New API key"), "row": obj, "key": request.new_key, "opts": self.opts}  # type: ignore[attr-defined]  # read by response_add()
        return TemplateResponse(request, "admin/vsadmin/apikey/created.html", context, headers={"Cache-Control": "no-store"})

    @admin.action(description=_("Revoke the selected keys"), permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        count = sum(key.revoke(now()) for key in queryset)
        self.message_user(request, ngettext("%(n)d key revoked.", "%(n)d keys revoked.", count) % {"n": count}, messages.SUCCESS)

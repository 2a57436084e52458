"""The author of a change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AbstractBaseUser


@dataclass(frozen=True, slots=True)
class Author:
    """The author of a change; `source` is `admin`, `api`, `cli` or `code`."""

    name: str
    source: str
    user: AbstractBaseUser | None = None

    @classmethod
    def of_user(cls, user: Any, source: str) -> Author:
        return cls(name=user.get_username(), source=source, user=user)


CODE = Author(name="code", source="code")

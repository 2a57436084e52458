"""modinfo.json, the identity of a mod, parsed as leniently as the game does."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator

from vsadmin.game.disk.lenient_json import decode, loads
from vsadmin.game.exceptions import LenientJsonError
from vsadmin.game.sanitize import capped, clean_text

MAX_MODINFO_BYTES = 1_048_576

Side = Literal["universal", "client", "server"]


def _side(value: object) -> object:
    text = clean_text(value, 20).lower()
    return text if text in {"client", "server"} else "universal"


def _people(value: object) -> list[str]:
    names = value if isinstance(value, list) else [value]
    return [text for name in names[:50] if isinstance(name, str) and (text := clean_text(name, 100))]


def _dependencies(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    return {clean_text(key, 100).lower(): clean_text(version, 40) for key, version in list(value.items())[:200]}


def derive_modid(name: str) -> str:
    """The identifier of a mod without a `modid`: the letters and digits of its name, in lower case."""
    return re.sub(r"[^a-z0-9]", "", name.lower())[:100]


class Modinfo(BaseModel):
    """The fields of modinfo.json that vsadmin uses."""

    model_config = ConfigDict(extra="ignore")

    modid: Annotated[str, capped(100)] = ""
    name: Annotated[str, capped(200)] = ""
    version: Annotated[str, capped(40)] = ""
    description: Annotated[str, capped(2000)] = ""
    authors: Annotated[list[str], BeforeValidator(_people)] = []
    side: Annotated[Side, BeforeValidator(_side)] = "universal"
    dependencies: Annotated[dict[str, str], BeforeValidator(_dependencies)] = {}

    @model_validator(mode="after")
    def _fill_name_and_modid(self) -> Modinfo:
        self.modid = self.modid or derive_modid(self.name)
        self.name = self.name or self.modid
        if not self.modid:
            raise ValueError("neither a modid nor a name to derive it from")
        return self

    @property
    def game_minimum(self) -> str:
        """The lowest game version that the mod requires; "" when it has no requirement."""
        return self.dependencies.get("game", "").replace("*", "")


def parse_modinfo(raw: bytes) -> Modinfo:
    """The content of a modinfo.json; raises LenientJsonError when it is invalid."""
    data = loads(decode(raw))
    if not isinstance(data, dict):
        raise LenientJsonError(f"expected an object with modid and name, got a {type(data).__name__}")
    try:
        return Modinfo.model_validate({str(key).lower(): value for key, value in data.items()})
    except ValidationError as error:
        raise LenientJsonError(_first_problem(error.errors(include_url=False, include_input=False))) from None


def _first_problem(errors: list[Any]) -> str:
    where = ".".join(str(part) for part in errors[0]["loc"])
    return f"{where}: {errors[0]['msg']}" if where else str(errors[0]["msg"]).removeprefix("Value error, ")

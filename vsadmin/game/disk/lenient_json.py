"""A parser for JSON as the game accepts it: with comments, trailing commas, single quotes, bare keys, a byte order mark.

The text is rewritten as strict JSON, token by token, and parsed by the standard library.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any

from vsadmin.game.exceptions import LenientJsonError

_TOKEN = re.compile(
    r"""
      (?P<space>   \s+ | //[^\r\n]*+ | /\*.*?(?:\*/|\Z) | \ufeff )
    | (?P<double>  "(?:[^"\\]|\\.)*+" )
    | (?P<single>  '(?:[^'\\]|\\.)*+' )
    | (?P<mark>    [{}\[\]:,] )
    | (?P<number>  [-+]?(?:0[xX][0-9a-fA-F]++|(?:[0-9]++\.?+[0-9]*+|\.[0-9]++)(?:[eE][-+]?[0-9]++)?+)(?![\w$]) )
    | (?P<word>    [\w$][\w$-]*+ )
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r'\\(.)|(")', re.DOTALL)
_WORDS = {"true": "true", "false": "false", "null": "null", "undefined": "null", "nan": "null"}
_BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def decode(raw: bytes) -> str:
    """The text in `raw`, decoded by its byte order mark or as UTF-8; invalid bytes become replacement characters."""
    encoding = next((name for mark, name in _BOMS.items() if raw.startswith(mark)), "utf-8")
    return raw.decode(encoding, errors="replace")


def loads(text: str) -> Any:
    """The value in `text`; raises LenientJsonError when it cannot be parsed."""
    try:
        return _read(text)
    except RecursionError:
        raise LenientJsonError("nested too deeply") from None
    except ValueError as error:
        raise LenientJsonError(str(error)) from None


def _read(text: str) -> Any:
    try:
        # Most files are strict JSON, and the standard library parses it a hundred times faster.
        return json.loads(text.removeprefix("\ufeff"), strict=False)
    except ValueError:
        return json.loads("".join(_without_trailing_commas(_strict_tokens(text))), strict=False)


def _strict_tokens(text: str) -> Iterator[str]:
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise LenientJsonError(f"unexpected {text[position : position + 20]!r} at character {position}")
        position = match.end()
        if match.lastgroup != "space":
            yield _strict(str(match.lastgroup), match.group())


def _strict(group: str, token: str) -> str:
    if group in {"single", "double"}:
        return f'"{_ESCAPE.sub(_requote, token[1:-1])}"'
    if group == "number":
        return _number(token)
    if group == "word":
        return _WORDS.get(token.lower()) or json.dumps(token)
    return token


def _requote(match: re.Match[str]) -> str:
    """The character, escaped as strict JSON requires; an escape that JSON does not define stands for the character itself."""
    escaped, quote = match.groups()
    if quote:
        return '\\"'
    return match.group() if escaped in '"\\/bfnrtu' else escaped


def _number(token: str) -> str:
    if "x" in token.lower():
        return str(int(token, 16))
    digits = token.lstrip("+")
    return digits if re.fullmatch(r"-?(?:0|[1-9][0-9]*)", digits) else json.dumps(float(digits))


def _without_trailing_commas(tokens: Iterator[str]) -> Iterator[str]:
    held = ""
    for piece in tokens:
        if held and piece not in {"]", "}"}:
            yield held
        held = "," if piece == "," else ""
        if not held:
            yield piece + " "

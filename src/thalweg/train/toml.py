"""TOML out; reading it is `tomllib` of the standard library."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from thalweg.errors import ConfigError

__all__ = ["to_toml"]

_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")


def to_toml(values: Mapping[str, Any]) -> str:
    """`values` as TOML text that `tomllib.loads` turns back into equal values.

    Values are bools, ints, floats (NaN and infinities too), texts, lists or tuples of values, and
    mappings, which become tables. TOML has no null: a key whose value is None is left out.
    Raises `ConfigError`, naming the key, for anything else.

    >>> print(to_toml({"lr": 1e-05, "hidden": [30, 30], "data": {"name": "digits", "limit": None}}))
    lr = 1e-05
    hidden = [30, 30]
    <BLANKLINE>
    [data]
    name = "digits"
    <BLANKLINE>
    """
    return "\n".join(_lines(values, ())).lstrip("\n") + "\n" if values else ""


def _lines(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    """A table's own values, then the tables in it, each under its header."""
    own = {key: value for key, value in table.items() if not isinstance(value, Mapping)}
    for key, value in own.items():
        if value is not None:
            yield f"{_key(key, path)} = {_value(value, (*path, key))}"
    for key, value in table.items():
        if isinstance(value, Mapping):
            below = (*path, key)
            names = ".".join(_key(name, path) for name in below)
            yield from ("", f"[{names}]", *_lines(value, below))


def _key(key: Any, path: tuple[str, ...]) -> str:
    if not isinstance(key, str):
        raise ConfigError(
            f"{_spoken(path) or 'the table'}: the key {key!r} is of type {type(key).__name__}; "
            f"TOML has texts as keys. Use {str(key)!r}"
        )
    return key if _BARE_KEY.fullmatch(key) else _text(key, path)


def _value(value: Any, path: tuple[str, ...]) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value, path)
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        return float.__repr__(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(entry, path) for entry in value)}]"
    if isinstance(value, Mapping):
        entries = (f"{_key(k, path)} = {_value(v, (*path, k))}" for k, v in value.items())
        return f"{{{', '.join(entries)}}}"
    raise ConfigError(
        f"{_spoken(path)} = {value!r} is of type {type(value).__name__}; TOML holds "
        "bools, numbers, texts, lists and tables of them"
    )


def _text(text: str, path: tuple[str, ...]) -> str:
    """A basic string: JSON's escapes are TOML's, and DEL needs one of its own."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"{_spoken(path)} = {text!r}: character {error.start + 1} cannot be written in UTF-8"
        ) from error
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _spoken(path: tuple[str, ...]) -> str:
    return ".".join(map(str, path))

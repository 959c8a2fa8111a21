"""zstd for recordings: the standard module of Python 3.14, or its backport; both are optional."""

from __future__ import annotations

import importlib
import zlib
from contextlib import suppress
from typing import Any, Final

from coldframe.errors import ConfigError

_MODULES: Final = ("compression.zstd", "backports.zstd")


def damage_errors() -> tuple[type[Exception], ...]:
    """What reading a damaged compression raises: gzip's error, and zstd's where there is one."""
    errors: list[type[Exception]] = [zlib.error]
    for name in _MODULES:
        with suppress(ModuleNotFoundError):
            errors.append(importlib.import_module(name).ZstdError)
    return tuple(errors)


def find_zstd() -> Any | None:
    """The module that reads and writes zstd; None where there is none."""
    for name in _MODULES:
        with suppress(ModuleNotFoundError):
            return importlib.import_module(name)
    return None


def zstd_module(path: object) -> Any:
    """The module that reads and writes zstd. Raises `ConfigError`, naming the recording `path`, where there is none."""
    found = find_zstd()
    if found is not None:
        return found
    raise ConfigError(f"{path}: zstd recordings need Python 3.14, or python -m pip install backports.zstd")

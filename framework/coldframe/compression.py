"""zstd for recordings: the standard module of Python 3.14, or its backport; both are optional."""

from __future__ import annotations

import importlib
import zlib
from contextlib import suppress
from functools import cache
from typing import Any, Final

from coldframe.errors import ConfigError

_MODULES: Final = ("compression.zstd", "backports.zstd")


@cache
def _modules(names: tuple[str, ...]) -> tuple[Any, ...]:
    """Those of the modules that are there. Looked for once: a search that fails costs a walk through the whole path each time."""
    found = []
    for name in names:
        with suppress(ModuleNotFoundError):
            found.append(importlib.import_module(name))
    return tuple(found)


def damage_errors() -> tuple[type[Exception], ...]:
    """What reading a damaged compression raises: gzip's error, and zstd's where there is one."""
    return (zlib.error, *(module.ZstdError for module in _modules(_MODULES)))


def find_zstd() -> Any | None:
    """The module that reads and writes zstd; None where there is none."""
    return next(iter(_modules(_MODULES)), None)


def zstd_module(path: object) -> Any:
    """The module that reads and writes zstd. Raises `ConfigError`, naming the recording `path`, where there is none."""
    found = find_zstd()
    if found is not None:
        return found
    raise ConfigError(f"{path}: zstd recordings need Python 3.14, or python -m pip install backports.zstd")

"""Finding plugins: by the name of an entry point, or as a class in a file. What cannot be loaded is refused in one sentence.

Entry points of the group `coldframe.plugins` name modules that implement `provide_strategies`; only the ones a configuration asks
for are imported. A file is named `path/to/file.py:Class`, relative to the configuration.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from importlib.machinery import SourceFileLoader
from importlib.metadata import EntryPoint, entry_points
from os.path import isfile
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import attrs
import pluggy

from coldframe.errors import PluginError
from coldframe.plug.fence import fenced
from coldframe.plug.hookspecs import PROJECT, BotHooks, Check, Sink
from coldframe.plug.strategy_plugin import why_unfit

GROUP = "coldframe.plugins"


@attrs.frozen
class Plugin:
    """A loaded strategy or overlay class, with the attrs class of its parameters if it has any."""

    name: str
    kind: type
    origin: str
    params: type | None

    @property
    def summary(self) -> str:
        """The first line of its docstring."""
        return (self.kind.__doc__ or "").strip().split("\n", 1)[0]


@attrs.frozen
class Module:
    """An installed plugin module, by its entry point: what it provides, and whether this bot has loaded it."""

    name: str
    origin: str
    #: Of `strategies`, `checks` and `sinks`.
    provides: tuple[str, ...]
    active: bool


class PluginRegistry:
    """All plugins of a run: found when asked for, each imported once."""

    def __init__(self, points: Iterable[EntryPoint] | None = None) -> None:
        found = entry_points(group=GROUP) if points is None else points
        self._points = {point.name: point for point in found}
        self._modules: dict[Path, ModuleType] = {}
        self._manager = _manager()
        #: Modules that a configuration has asked for: only their checks and sinks count.
        self._active: list[object] = []

    @property
    def names(self) -> list[str]:
        """Names of the installed entry points."""
        return sorted(self._points)

    def load(self, asked: str, base: Path) -> Plugin:
        """The plugin that a configuration in the folder `base` asks for. Raises `PluginError` with one sentence."""
        path, colon, name = asked.rpartition(":")
        if colon and path.endswith(".py"):
            return _plugin(name, self._class_in_file(base / path, name), path)
        if asked not in self._points:
            raise PluginError(f"{self._none_of(asked)}:Class")
        strategies = self._provided(asked)
        self._activate(self._loaded(asked))
        if asked not in strategies:
            raise PluginError(f"the entry point {asked!r} provides {', '.join(strategies) or 'nothing'}, but no {asked!r}")
        return _plugin(asked, strategies[asked], self._points[asked].value)

    def activate(self, asked: str, base: Path) -> None:
        """Loads a plugin for its checks and sinks. Raises `PluginError` with one sentence."""
        if asked.endswith(".py"):
            module: object = self._module_in_file(base / asked)
            if not self._manager.is_registered(module):
                self._register(module, asked)
        elif asked in self._points:
            self._provided(asked)
            module = self._loaded(asked)
        else:
            raise PluginError(self._none_of(asked))
        if not {"checks", "sinks"} & set(self._offers(module)):
            raise PluginError(f"plugin {asked!r} provides no checks and no sinks: it belongs to a strategy, or nowhere")
        self._activate(module)

    def modules(self) -> list[Module]:
        """Every installed module, by its entry points."""
        found = []
        for name in self.names:
            self._provided(name)
            module = self._loaded(name)
            found.append(Module(name, self._points[name].value, self._offers(module), self._is_active(module)))
        return found

    def _activate(self, module: object) -> None:
        if not self._is_active(module):
            self._active.append(module)

    def _is_active(self, module: object) -> bool:
        return any(module is named for named in self._active)

    def _offers(self, module: object) -> tuple[str, ...]:
        """What a module provides."""
        kinds = ("strategies", "checks", "sinks")
        return tuple(kind for kind in kinds if self._manager.parse_hookimpl_opts(module, f"provide_{kind}") is not None)

    def _loaded(self, point: str) -> object:
        return fenced(_no_plugin(point), self._points[point].load)

    def _none_of(self, asked: str) -> str:
        close = get_close_matches(asked, self.names, 1)
        meant = f" (did you mean {close[0]!r}?)" if close else ""
        return f"no plugin {asked!r}{meant}; installed: {', '.join(self.names) or 'none'}; or write path/to/file.py"

    def installed(self) -> list[Plugin]:
        """Every strategy and overlay of every entry point."""
        return [
            _plugin(name, kind, self._points[point].value)
            for point in self.names
            for name, kind in sorted(self._provided(point).items())
        ]

    def checks(self) -> list[Check]:
        """The checks of all plugins that were asked for; what they raise passes."""
        return [check for checks in self._hook("provide_checks")() for check in checks]

    def sinks(self) -> list[Sink]:
        """The sinks of all plugins that were asked for. Raises `PluginError` when one cannot give its own."""
        return fenced(_no_sinks, self._ask_for_sinks)

    def _ask_for_sinks(self) -> list[Sink]:
        return [sink for sinks in self._hook("provide_sinks")() for sink in sinks]

    def _hook(self, name: str) -> Any:
        """A hook of the modules that were asked for, and of no others."""
        others = [module for module in self._manager.get_plugins() if not self._is_active(module)]
        return self._manager.subset_hook_caller(name, others)

    def _provided(self, point: str) -> Mapping[str, type]:
        return fenced(_no_plugin(point), self._ask, point)

    def _ask(self, point: str) -> dict[str, type]:
        plugin = self._points[point].load()
        # Several entry points may name one module.
        if not self._manager.is_registered(plugin):
            self._register(plugin, point)
        others = [known for known in self._manager.get_plugins() if known is not plugin]
        merged: dict[str, type] = {}
        for provided in self._manager.subset_hook_caller("provide_strategies", others)():
            if not isinstance(provided, Mapping) or not all(
                isinstance(name, str) and isinstance(kind, type) for name, kind in provided.items()
            ):
                raise PluginError(f"plugin {point!r} cannot be loaded: provide_strategies has to return classes by their names")
            merged.update(provided)
        return merged

    def _register(self, plugin: object, point: str) -> None:
        """Registers a module; on trial first, so that one that does not fit spoils no other."""
        trial = _manager()
        try:
            trial.register(plugin, point)
            trial.check_pending()
        except pluggy.PluginValidationError as error:
            raise PluginError(f"plugin {point!r} cannot be loaded: {why_unfit(error)}") from None
        self._manager.register(plugin, point)

    def _module_in_file(self, path: Path) -> ModuleType:
        where = path.absolute()
        if where not in self._modules:
            self._modules[where] = _module_of(path)
        return self._modules[where]

    def _class_in_file(self, path: Path, name: str) -> type:
        module = self._module_in_file(path)
        # Only what stands in it: a module may answer for more names by code of its own.
        found = vars(module).get(name)
        if not isinstance(found, type):
            classes = [
                known for known, value in vars(module).items() if isinstance(value, type) and value.__module__ == module.__name__
            ]
            raise PluginError(f"plugin file {path} has no class {name}: it has {', '.join(classes) or 'none'}")
        return found


def _no_plugin(point: str) -> Callable[[str], PluginError]:
    return lambda line: PluginError(f"plugin {point!r} cannot be loaded: {line}")


def _no_sinks(line: str) -> PluginError:
    return PluginError(f"the sinks of a plugin cannot be had: {line}")


def _manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(BotHooks)
    return manager


class _SourceLoader(SourceFileLoader):
    """Compiles a file each time.

    Python keeps compiled code, and tells it from newer source by second and length alone: a figure that was edited within a second
    would not count.
    """

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code


def _module_of(path: Path) -> ModuleType:
    """A file, run as a module of its own."""
    if not isfile(path):
        raise PluginError(f"no plugin file {path}")
    module_name = f"coldframe_user_{path.stem}_{abs(hash(path.resolve()))}"
    spec = importlib.util.spec_from_file_location(module_name, path, loader=_SourceLoader(module_name, str(path)))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Registered while it runs, so that attrs and dataclasses in it can resolve their own module.
    sys.modules[module_name] = module
    fenced(lambda line: PluginError(f"plugin file {path} cannot be loaded: {line}"), spec.loader.exec_module, module)
    return module


def _plugin(name: str, kind: type, origin: str) -> Plugin:
    params: Any = getattr(kind, "Params", None)
    if params is not None and not attrs.has(params):
        raise PluginError(f"plugin {name!r}: Params must be an attrs class")
    return Plugin(name, kind, origin, params)

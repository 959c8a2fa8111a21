"""A strategy with its overlays: one plugin manager, every hook bound in advance.

Validated by pluggy at load; at run time a hook is a plain call of the bound functions unless an overlay wraps it, because a call
through pluggy costs microseconds per event. Whatever a plugin raises ends here as a `StrategyFault`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import setcontext
from difflib import get_close_matches
from functools import cached_property
from itertools import islice
from typing import Any, Final

import attrs
import pluggy

from coldframe.core.strategies.runtime import INTENTS_PER_CALL, OnError, is_intent
from coldframe.core.strategies.view import StrategyView
from coldframe.errors import PluginError, StrategyFault, StrategyTooSlow
from coldframe.model.events import StrategyEvent
from coldframe.model.intents import Intent
from coldframe.model.wants import Wants
from coldframe.plug.fence import fenced, plain_text
from coldframe.plug.hookspecs import EVENT_HOOKS, PROJECT, StrategyHooks
from coldframe.text import class_name
from coldframe.units import NS_PER_MS, arithmetic

#: Nanoseconds a hook may take before it is named in the log.
HOOK_BUDGET_NS: Final = 20_000_000
_HOOKS: Final = EVENT_HOOKS | {"review_intent"}
#: What a plugin has because it is an object is not a hook.
_OF_EVERY_OBJECT: Final = frozenset(dir(object))
_ARGUMENTS: Final = {**dict.fromkeys(EVENT_HOOKS, ("event", "view")), "review_intent": ("intent", "view")}

Stopwatch = Callable[[], int]
SlowHook = Callable[[str, str, int], None]


class StrategyPlugin:
    """A strategy with its overlays, as the engine sees it (`coldframe.core.strategies.runtime.StrategyPort`).

    `stopwatch` reads a monotonic clock in nanoseconds; `on_slow` is told strategy, hook and duration of a call over budget, and a
    call over `limit_ms` (0: none) is a fault: what it wanted is not done. `wants` takes the place of what the strategy declares.
    Raises `PluginError` when an implementation does not fit its hook, or a declaration is not one.
    """

    def __init__(
        self,
        strategy_id: str,
        symbols: Sequence[str],
        on_error: OnError,
        strategy: object,
        overlays: Sequence[object] = (),
        *,
        stopwatch: Stopwatch | None = None,
        on_slow: SlowHook | None = None,
        limit_ms: int = 0,
        wants: Wants | None = None,
    ) -> None:
        self.id = strategy_id
        self.symbols = tuple(symbols)
        self.on_error = on_error
        self._stopwatch = stopwatch
        self._on_slow = on_slow
        self._limit_ms = limit_ms
        #: A call that takes no longer is neither named nor faulted.
        self._least_noted_ns = min(HOOK_BUDGET_NS, limit_ms * NS_PER_MS) if limit_ms else HOOK_BUDGET_NS
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(StrategyHooks)
        register(self._manager, strategy, strategy_id)
        for number, overlay in enumerate(overlays):
            register(self._manager, overlay, f"{strategy_id}.overlay{number}")
        declared = _declared_wants(strategy, overlays)
        self.wants = declared if wants is None else wants
        self._calls = {name: call for name in EVENT_HOOKS if (call := self._bind(name)) is not None}
        self.hooks = frozenset(self._calls)
        self._review = self._bind_review()
        self._refusals = {name: _refusal_of(name) for name in _HOOKS}

    @property
    def reviews(self) -> bool:
        """Whether anything in it looks at intents before they are judged."""
        return self._review is not None

    @property
    def speaks(self) -> bool:
        """Whether anything in it may ever want something: a hook that only wraps others, or reviews, never does by itself."""
        return any(
            not (hookimpl.wrapper or hookimpl.hookwrapper)
            for name in self.hooks
            for hookimpl in getattr(self._manager.hook, name).get_hookimpls()
        )

    def call(self, hook: str, event: StrategyEvent, view: StrategyView) -> Sequence[object]:
        stopwatch, refuse = self._stopwatch, self._refusals[hook]
        began = stopwatch() if stopwatch is not None else 0
        wanted = fenced(refuse, self._calls[hook], event, view)
        intents = [] if wanted is None else fenced(refuse, _listed, wanted)
        if stopwatch is not None and (took_ns := stopwatch() - began) > self._least_noted_ns:
            self._time(hook, took_ns)
        return intents

    def review(self, intent: Intent, view: StrategyView) -> str | None:
        if self._review is None:
            return None
        began = self._stopwatch() if self._stopwatch else 0
        against = fenced(self._refusals["review_intent"], self._review, intent, view)
        if self._stopwatch:
            self._time("review_intent", self._stopwatch() - began)
        return against

    def _time(self, hook: str, took_ns: int) -> None:
        """Names a call that took long, and faults one that took too long: all the while nothing else was done."""
        if self._limit_ms and took_ns > self._limit_ms * NS_PER_MS:
            took_ms = took_ns // NS_PER_MS
            raise StrategyTooSlow(f"{hook}: it took {took_ms} ms, more than its hook_limit_ms of {self._limit_ms}")
        if self._on_slow and took_ns > HOOK_BUDGET_NS:
            self._on_slow(self.id, hook, took_ns)

    def _bind(self, name: str) -> Callable[[Any, StrategyView], object] | None:
        """A function that calls every implementation of a hook; None when there is none."""
        caller = getattr(self._manager.hook, name)
        impls = caller.get_hookimpls()
        if not impls:
            return None
        if any(impl.wrapper or impl.hookwrapper for impl in impls):
            return lambda event, view: _flatten(caller(event=event, view=view))
        bound = [_adapt(impl) for impl in reversed(impls)]
        if len(bound) == 1:
            return bound[0]
        return lambda event, view: [intent for call in bound for intent in _listed(_alone(call, event, view))]

    def _bind_review(self) -> Callable[[Intent, StrategyView], str | None] | None:
        """A function that asks the overlays one by one until one of them objects; None when there is none."""
        caller = self._manager.hook.review_intent
        impls = caller.get_hookimpls()
        if not impls:
            return None
        if any(impl.wrapper or impl.hookwrapper for impl in impls):
            return lambda intent, view: _objection(caller(intent=intent, view=view))
        bound = [_adapt(impl) for impl in reversed(impls)]

        def review(intent: Intent, view: StrategyView) -> str | None:
            for call in bound:
                against = _objection(_alone(call, intent, view))
                if against is not None:
                    return against
            return None

        return review


def _declared_wants(strategy: object, overlays: Sequence[object]) -> Wants:
    """What a strategy says that it wants less of. Raises `PluginError` for what is not a declaration, and for one of an overlay."""
    for overlay in overlays:
        if _declaration_of(overlay) is not None:
            raise PluginError(f"plugin {class_name(overlay)}: an overlay declares no wants: it is called with its strategy")
    found = _declaration_of(strategy)
    if found is None:
        return Wants()
    if type(found) is not Wants:
        raise PluginError(f"plugin {class_name(strategy)}: wants must be a coldframe.Wants, not {class_name(found)}")
    # A copy, so that what a plugin does to its own changes nothing.
    return fenced(lambda line: PluginError(f"plugin {class_name(strategy)}: {line}"), attrs.evolve, found)


def _declaration_of(plugin: object) -> object:
    """The attribute `wants` of a plugin: of its class or its own. Its code may be asked for it."""
    return fenced(lambda line: PluginError(f"plugin {class_name(plugin)}: {line}"), getattr, plugin, "wants", None)


def _refusal_of(hook: str) -> Callable[[str], StrategyFault]:
    return lambda line: StrategyFault(f"{hook}: {line}")


def register(manager: pluggy.PluginManager, plugin: object, name: str) -> None:
    """Registers a plugin and refuses what would be silent or broken later. Raises `PluginError` with one sentence."""
    if isinstance(plugin, type):
        raise PluginError(f"plugin {plugin.__name__} is a class: an instance of it is needed")
    # Its own code may be asked for its attributes, and to compare itself.
    fenced(lambda line: PluginError(f"plugin {class_name(plugin)}: {line}"), _register, manager, plugin, name)


def _register(manager: pluggy.PluginManager, plugin: object, name: str) -> None:
    who = f"plugin {class_name(plugin)}"
    _refuse_misfits(manager, plugin)
    try:
        manager.register(plugin, name)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise PluginError(f"{who}: {why_unfit(error)}") from None
    except ValueError:
        # pluggy takes plugins that compare equal for one and the same.
        raise PluginError(f"{who}: the same overlay with the same parameters stands here twice") from None
    for impl in (
        implementation for caller in vars(manager.hook).values() for implementation in getattr(caller, "get_hookimpls", list)()
    ):
        wrong = _unfit(impl.function)
        if wrong:
            raise PluginError(f"{who}: {impl.function.__name__} {wrong}")


def _unfit(function: Callable[..., object]) -> str | None:
    """What is wrong with an implementation that pluggy lets pass; None when nothing is."""
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return "is asynchronous; hooks are plain functions"
    plain = inspect.unwrap(getattr(function, "__func__", function))
    code = getattr(plain, "__code__", None)
    if code is None:
        return None
    if inspect.ismethod(function) and code.co_varnames[:1] in (("event",), ("view",), ("intent",)):
        return "lacks self as its first argument"
    if code.co_kwonlyargcount > len(getattr(function, "__kwdefaults__", None) or {}):
        return "takes an argument by keyword only; hooks are called with event and view, or intent and view, in their places"
    return _unfit_arguments(inspect.signature(function))


def _unfit_arguments(signature: inspect.Signature) -> str | None:
    """Arguments whose value pluggy does not fix."""
    arguments = signature.parameters.values()
    defaulted = [
        argument.name
        for argument in arguments
        if argument.default is not argument.empty and argument.name in ("event", "intent", "view")
    ]
    if defaulted:
        # Which of the two values arrives depends on pluggy's version, and on whether an overlay wraps the hook.
        return f"gives {' and '.join(defaulted)} a default value; it may ask for an argument or leave it out"
    for argument in arguments:
        if argument.kind in (argument.VAR_POSITIONAL, argument.VAR_KEYWORD):
            stars = "*" if argument.kind is argument.VAR_POSITIONAL else "**"
            return f"takes {stars}{argument.name}, which nothing is ever put into: name event and view, or intent and view"
    return None


def why_unfit(error: pluggy.PluginValidationError) -> str:
    """What pluggy says against an implementation, in one line and without the names of objects in memory."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or ["no reason given"]
    hook = re.search(r"for hook '(\w+)'", lines[0])
    name = hook[1] if hook else ""
    undeclared = re.search(r"Argument\(s\) \{(.*)\} are declared", lines[-1])
    if undeclared:
        taken = ", ".join(sorted(re.findall(r"'(\w+)'", undeclared[1])))
        has = _ARGUMENTS.get(name, ())
        return f"{name} takes {taken}, but a hook gets {' and '.join(has) if has else 'no arguments'}"
    return (f"{name}: " if name else "") + lines[-1].partition(" in plugin <")[0]


def _refuse_misfits(manager: pluggy.PluginManager, plugin: object) -> None:
    """A method that is marked as a hook, or looks like one, but is not valid would never be called: better said now."""
    for name in dir(plugin):
        if name in _OF_EVERY_OBJECT and getattr(type(plugin), name, None) is getattr(object, name):
            continue
        marked = manager.parse_hookimpl_opts(plugin, name)
        if marked is None and not _looks_like_a_hook(plugin, name):
            continue
        hook = (marked["specname"] if marked else None) or name
        if hook not in _HOOKS:
            raise PluginError(f"plugin {class_name(plugin)}: there is no hook {hook}{_meant(hook)}")
        if marked is None:
            raise PluginError(f"plugin {class_name(plugin)}: {name} lacks its @hookimpl and would never be called")


def _looks_like_a_hook(plugin: object, name: str) -> bool:
    if not name.startswith("on_") and not get_close_matches(name, ["review_intent"], 1, 0.85):
        return False
    # A property is not a hook, and may work only once the strategy runs.
    found = inspect.getattr_static(plugin, name, None)
    return not isinstance(found, property | cached_property) and callable(getattr(plugin, name))


def _meant(name: str) -> str:
    close = get_close_matches(name, sorted(_HOOKS), 1)
    return f" (did you mean {close[0]}?)" if close else ""


def _adapt(impl: Any) -> Callable[[Any, StrategyView], object]:
    """A bound implementation, whichever of the two arguments it takes."""
    function = impl.function
    match impl.argnames:
        case ("event" | "intent", "view"):
            return function  # type: ignore[no-any-return]
        case ("view", "event" | "intent"):
            return lambda what, view: function(view, what)
        case ("event" | "intent",):
            return lambda what, _: function(what)
        case ("view",):
            return lambda _, view: function(view)
        case _:
            return lambda _what, _view: function()


def _alone(call: Callable[[Any, StrategyView], object], what: object, view: StrategyView) -> object:
    """Calls one of several implementations: what one of them sets for its arithmetic is not the next one's."""
    setcontext(arithmetic())
    return call(what, view)


def _listed(wanted: object) -> list[object]:
    """What one implementation returned, as a list: a little more than can be of use of what is neither a list nor a tuple.

    Such a thing may have no end, and its length need not be true.
    """
    if wanted is None:
        return []
    if type(wanted) is list or type(wanted) is tuple:
        return list(wanted)
    # A text or a mapping could be walked through, but is not a list of intents.
    if is_intent(wanted) or isinstance(wanted, str | bytes | Mapping) or not isinstance(wanted, Iterable):
        return [wanted]
    return list(islice(wanted, INTENTS_PER_CALL + 1))


def _flatten(results: object) -> list[object]:
    """What a wrapper has made of the results of the others."""
    if results is None:
        raise TypeError("a wrapper returned nothing: it has to return the list of results that its yield gave")
    return [wanted for result in _listed(results) for wanted in _listed(result)]


def _objection(against: object) -> str | None:
    """What an overlay says against an intent, as a plain text; None when it lets it pass."""
    return None if against is None else plain_text(against)

"""From a configuration to the parts of a bot: pure wiring, with every mistake that can be found before anything connects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from decimal import Decimal
from difflib import get_close_matches
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import attrs

from coldframe.config.lines import Path as KeyPath
from coldframe.config.load import Loaded, load, load_text, structure
from coldframe.config.schema import Config, OverlayTable, StrategyTable
from coldframe.core.marketdata.events import HOOK_OF
from coldframe.core.strategies.runtime import OnError
from coldframe.core.strategies.wants import PACED_HOOKS
from coldframe.enums import PositionMode
from coldframe.errors import ConfigError, PluginError
from coldframe.model.wants import Wants
from coldframe.plug.fence import fenced, plain_text
from coldframe.plug.hookspecs import Check
from coldframe.plug.loader import Plugin, PluginRegistry
from coldframe.plug.strategy_plugin import SlowHook, Stopwatch, StrategyPlugin
from coldframe.wire.names import StreamKind, StreamName, is_all_market
from coldframe.wire.routes import ENDPOINTS, Endpoints

#: Stands for every symbol of an embedded venue.
EVERY: Final = "*"
#: What a strategy needs of each of its symbols whatever the configuration says: a book, and a mark price to value it at.
_NEEDED: Final = ("depth@100ms", "markPrice@1s")
#: The subjects of these streams are indices, assets and pairs: no rows of exchangeInfo.
_NO_CONTRACTS: Final = (StreamKind.COMPOSITE_INDEX, StreamKind.ASSET_INDEX, StreamKind.CONTINUOUS_KLINE)
#: Hooks that need a stream of the configuration's own, with the channel that is most often meant.
_CHANNEL_OF: Final = {
    "on_trade": "aggTrade",
    "on_ticker": "bookTicker",
    "on_candle": "kline_1m",
    "on_liquidation": "forceOrder",
    "on_contract": "!contractInfo",
    "on_index": "compositeIndex",
}
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
_VENUE_HOSTS: Final = ("binance.com", "binancefuture.com")
#: What one check may find.
_MOST_FINDINGS: Final = 1_000
#: Without these a live run is refused (faults.md G6).
_LIVE_LIMITS: Final = ("max_order_notional", "max_gross_notional", "price_collar_pct", "max_open_orders", "max_drawdown")


@attrs.frozen
class Part:
    """A plugin with its structured parameters (None when it takes none)."""

    plugin: Plugin
    params: object | None
    #: The event hooks it implements.
    hooks: frozenset[str] = frozenset()
    #: Which events of the market its class declares that it wants.
    wants: Wants = Wants()

    def make(self) -> object:
        """A fresh instance. Raises `PluginError` when its constructor does."""

        def refuse(line: str) -> PluginError:
            return PluginError(f"plugin {self.plugin.name!r} cannot be made: {line}")

        def instance() -> object:
            # Parameters of its own for each instance: what one of them does to its own is not the next one's.
            return self.plugin.kind(*(() if self.params is None else (deepcopy(self.params),)))

        return fenced(refuse, instance)


@attrs.frozen
class BotStrategy:
    """One strategy of a bot: its table, its symbols written out, its plugin and overlays."""

    table: StrategyTable
    symbols: tuple[str, ...]
    part: Part
    overlays: tuple[Part, ...]

    def make_plugin(self, stopwatch: Stopwatch | None = None, on_slow: SlowHook | None = None) -> StrategyPlugin:
        """The plugin of the strategy, with fresh instances."""
        return StrategyPlugin(
            self.table.id,
            self.symbols,
            OnError(self.table.on_error),
            self.part.make(),
            [overlay.make() for overlay in self.overlays],
            stopwatch=stopwatch,
            on_slow=on_slow,
            limit_ms=self.table.hook_limit_ms,
            wants=self.wants,
        )

    @property
    def hooks(self) -> frozenset[str]:
        """The event hooks that it or one of its overlays implements."""
        return self.part.hooks.union(*(overlay.hooks for overlay in self.overlays))

    @property
    def wants(self) -> Wants:
        """Which events of the market it is told: as its table says, or else as its class declares."""
        table = self.table.wants
        return (
            self.part.wants if table is None else Wants(band_bps=table.band_bps, every_ms=table.every_ms, own_fills=table.own_fills)
        )


@attrs.frozen
class Bot:
    """A bot that can run: checked, with its plugins loaded."""

    loaded: Loaded
    registry: PluginRegistry
    streams: tuple[StreamName, ...]
    strategies: tuple[BotStrategy, ...]

    @property
    def config(self) -> Config:
        return self.loaded.config

    @property
    def contracts(self) -> list[str]:
        """Every contract that a strategy trades or a stream is about: the venue must list them."""
        traded = {symbol for strategy in self.strategies for symbol in strategy.symbols}
        return sorted(traded | {name.symbol for name in self.streams if name.subject and name.kind not in _NO_CONTRACTS})

    @property
    def notes(self) -> list[str]:
        """Warnings: hooks that no configured stream will ever call."""
        found = []
        for strategy in self.strategies:
            if strategy.wants.own_fills and self.config.orders.mode == "off":
                found.append(f"strategy {strategy.table.id} wants events after its own fills, but orders.mode is off: it has none")
            for hook in sorted(strategy.part.hooks & _CHANNEL_OF.keys()):
                deaf = [symbol for symbol in strategy.symbols if not any(_calls(name, hook, symbol) for name in self.streams)]
                if deaf:
                    found.append(
                        f"strategy {strategy.table.id} has {hook}, but no stream will call it for {', '.join(deaf)}:"
                        f' add channels = ["{_CHANNEL_OF[hook]}"] under [[streams]]'
                    )
        return found


def read(path: Path, *, journal: Path | None = None, text: str | None = None, **changes: Any) -> Loaded:
    """Reads a configuration; `changes` of the command line go into `[venue.embedded]` (`recording`, `port`, ...).

    With a `text` the file is not opened: it says what stood in it.
    """
    loaded = load(path) if text is None else load_text(text, path)
    if journal is not None:
        table = attrs.evolve(loaded.config.journal, file=str(journal.absolute()))
        loaded = attrs.evolve(loaded, config=attrs.evolve(loaded.config, journal=table))
    given = {name: value for name, value in changes.items() if value is not None}
    if not given:
        return loaded
    try:
        embedded = attrs.evolve(loaded.config.venue.embedded, **given)
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None
    venue = attrs.evolve(loaded.config.venue, embedded=embedded)
    return attrs.evolve(loaded, config=attrs.evolve(loaded.config, venue=venue), changes=given)


def build(loaded: Loaded, listed: Sequence[str] | None, *, live_allowed: bool = False) -> Bot:
    """The bot that a configuration describes. `listed` are the venue's symbols where they are known.

    Raises `ConfigError` with all findings of file, plugins and venue at once.
    """
    work = _Work(loaded, listed)
    work.check_orders(live_allowed)
    work.check_addresses()
    streams = work.streams()
    strategies = work.strategies()
    work.activate_plugins()
    work.ask_plugins()
    if work.findings:
        raise ConfigError(*dict.fromkeys(work.findings))
    needed = [StreamName.of(symbol, channel) for strategy in strategies for symbol in strategy.symbols for channel in _NEEDED]
    return Bot(loaded, work.registry, _without_doubles([*streams, *needed]), tuple(strategies))


class _Work:
    """One build: what is being looked at, and what was found."""

    def __init__(self, loaded: Loaded, listed: Sequence[str] | None) -> None:
        self.loaded = loaded
        self.config = loaded.config
        self.listed = listed
        self.registry = PluginRegistry()
        self.findings: list[str] = list(loaded.findings)

    def find(self, at: KeyPath, text: str) -> None:
        self.findings.append(self.loaded.source.finding(at, text))

    # -- orders and addresses -----------------------------------------------------------------------------------------

    def check_orders(self, live_allowed: bool) -> None:
        orders = self.config.orders
        if orders.mode == "paper":
            self._check_paper_mode()
        if orders.mode != "live":
            return
        if self.config.venue.environment == "embedded":
            self.find(("orders", "mode"), 'live orders need environment = "testnet" or "mainnet"; the embedded venue is paper')
        if not live_allowed:
            self.find(("orders", "mode"), "live trading also needs --live on the command line")
        for name in _LIVE_LIMITS:
            if getattr(self.config.risk, name) is None:
                self.find(("risk", name), "is required for live trading")
        for index, table in enumerate(self.config.strategies):
            if table.budget.max_position is None:
                self.find(self.loaded.at("strategies", index, "budget", "max_position"), "is required for live trading")
        if orders.api_key is None:
            self.find(("orders", "api_key"), "is required for live trading")
        if (orders.private_key is None) == (orders.secret is None):
            self.find(("orders", "private_key"), "live trading needs either private_key (Ed25519, RSA) or secret (HMAC)")

    def _check_paper_mode(self) -> None:
        """The paper account stands in the same file: a position mode that is not its own is found before anything starts."""
        hedge = self.config.venue.embedded.accounts[0].hedge_mode
        wanted = self.config.orders.position_mode
        if hedge is not (wanted == PositionMode.HEDGE):
            text = f'is "{wanted}", but the first of venue.embedded.accounts has hedge_mode = {str(hedge).lower()}'
            self.find(("orders", "position_mode"), text)

    def check_addresses(self) -> None:
        """Signed orders go to the exchange's hosts or to this machine, and nowhere else (faults.md X15)."""
        venue = self.config.venue
        for name, scheme in (("rest_url", "http"), ("streams_url", "ws"), ("api_url", "ws")):
            url = getattr(venue, name)
            if url is None:
                continue
            if venue.environment == "embedded":
                self.find(("venue", name), "the embedded venue has its own address")
            elif wrong := _fault_of(url, scheme):
                self.find(("venue", name), f"{url} {wrong}")

    # -- symbols and streams ------------------------------------------------------------------------------------------

    def symbols(self, wanted: Iterable[str], at: KeyPath) -> tuple[str, ...]:
        """The symbols behind a list of them, written out and checked as far as the venue's are known."""
        found: list[str] = []
        for index, symbol in enumerate(wanted):
            if symbol == EVERY:
                if self.listed is None:
                    self.find((*at, index), '"*" is for an embedded venue: name the symbols')
                found += self.listed or ()
            elif self.listed is not None and symbol not in self.listed:
                close = get_close_matches(symbol.upper(), self.listed, 1, 0.5)
                meant = f" (did you mean {close[0]}?)" if close else ""
                self.find((*at, index), f"unknown symbol {symbol!r}{meant}")
            elif wrong := _fault_of_symbol(symbol):
                self.find((*at, index), wrong)
            else:
                found.append(symbol)
        return tuple(dict.fromkeys(found))

    def streams(self) -> list[StreamName]:
        names: list[StreamName] = []
        for index, table in enumerate(self.config.streams):
            at = self.loaded.at("streams", index)
            if all(channel.startswith(StreamKind.ASSET_INDEX.value) for channel in table.channels):
                symbols = tuple(table.symbols)  # assets such as BTCUSD, not contracts
            else:
                symbols = self.symbols(table.symbols, (*at, "symbols"))
            for position, channel in enumerate(table.channels):
                where = (*at, "channels", position)
                if not is_all_market(channel) and not table.symbols:
                    self.find(where, f"{channel} needs symbols")
                names += self._named(channel, symbols, where)
        return names

    def _named(self, channel: str, symbols: Sequence[str], at: KeyPath) -> list[StreamName]:
        try:
            if is_all_market(channel):
                return [StreamName.of("", channel)]
            # Also without a symbol a wrong channel must be found.
            return [StreamName.of(symbol, channel) for symbol in symbols or ("btcusdt",)][: len(symbols)]
        except ValueError as error:
            self.find(at, str(error))
            return []

    # -- strategies ---------------------------------------------------------------------------------------------------

    def strategies(self) -> list[BotStrategy]:
        found: list[BotStrategy] = []
        seen: set[str] = set()
        for index, table in enumerate(self.config.strategies):
            at = self.loaded.at("strategies", index)
            if table.id in seen:
                self.find((*at, "id"), f"there are two strategies called {table.id!r}")
            seen.add(table.id)
            symbols = self.symbols(table.symbols, (*at, "symbols"))
            if not table.symbols:
                self.find((*at, "symbols"), "a strategy needs at least one symbol")
            part = self._part(table, at)
            overlays = [self._part(overlay, (*at, "overlays", number)) for number, overlay in enumerate(table.overlays)]
            if part is not None and all(overlays):
                found.append(BotStrategy(table, symbols, part, tuple(overlay for overlay in overlays if overlay is not None)))
                self._check_wants(found[-1], at)
        return found

    def _check_wants(self, strategy: BotStrategy, at: KeyPath) -> None:
        """A rule for hooks that the strategy does not have was meant for something else."""
        if not strategy.wants.everything and not PACED_HOOKS & strategy.hooks:
            where = (*at, "plugin" if strategy.table.wants is None else "wants")
            hooks = ", ".join(sorted(PACED_HOOKS))
            self.find(where, f"wants holds back nothing: {strategy.part.plugin.name!r} has none of {hooks}")

    def _part(self, table: StrategyTable | OverlayTable, at: KeyPath) -> Part | None:
        part = self._load(table, at)
        if part is not None:
            try:
                # Made once and put together, so that a hook that does not fit is found before anything connects.
                plugin = StrategyPlugin("trial", (), OnError.QUARANTINE, part.make())
            except PluginError as error:
                self.find((*at, "plugin"), str(error))
                return None
            if isinstance(table, StrategyTable) and not plugin.speaks:
                self.find((*at, "plugin"), _mute(part.plugin.name, plugin))
                return None
            if isinstance(table, OverlayTable) and not plugin.wants.everything:
                self.find((*at, "plugin"), f"{part.plugin.name!r} declares wants: an overlay is called with its strategy")
                return None
            return attrs.evolve(part, hooks=plugin.hooks, wants=plugin.wants)
        return None

    def _load(self, table: StrategyTable | OverlayTable, at: KeyPath) -> Part | None:
        try:
            plugin = self.registry.load(table.plugin, self.loaded.source.base)
        except PluginError as error:
            self.find((*at, "plugin"), str(error))
            return None
        if plugin.params is None:
            for name in table.params:
                self.find((*at, "params", name), f"plugin {plugin.name!r} takes no parameters")
            return Part(plugin, None)
        try:
            # Converters and validators of its parameters are the plugin's own code.
            params = partial(structure, table.params, plugin.params, self.loaded.source, (*at, "params"))
            return Part(plugin, fenced(lambda line: PluginError(self.loaded.source.finding((*at, "params"), line)), params))
        except ConfigError as error:
            self.findings += error.findings
            return None

    def activate_plugins(self) -> None:
        """The plugins that belong to no strategy."""
        for index, table in enumerate(self.config.plugins):
            try:
                self.registry.activate(table.plugin, self.loaded.source.base)
            except PluginError as error:
                self.find(self.loaded.at("plugins", index, "plugin"), str(error))

    def ask_plugins(self) -> None:
        """What the plugins' own checks find in the document."""
        try:
            for check in fenced(_refuse_check, self.registry.checks):
                self.findings += fenced(_refuse_check, _findings_of, check, deepcopy(self.loaded.document))
        except PluginError as error:
            self.findings.append(str(error))


def _calls(name: StreamName, hook: str, symbol: str) -> bool:
    """Whether what a stream brings is told to a strategy of that symbol by that hook."""
    if HOOK_OF[name.kind] != hook:
        return False
    return not name.subject or name.symbol == symbol or name.kind in _NO_CONTRACTS


def _mute(name: str, plugin: StrategyPlugin) -> str:
    """A plugin that would stand there and do nothing."""
    if plugin.hooks or plugin.reviews:
        return f"{name!r} only watches over others: put it under [[strategies.overlays]] of the strategy it shall watch"
    return f"{name!r} has no hook: mark its methods, such as on_book, with @hookimpl"


def _without_doubles(names: Iterable[StreamName]) -> tuple[StreamName, ...]:
    """Each stream once, and one diff depth per symbol: the first that was asked for."""
    kept: dict[object, StreamName] = {}
    for name in names:
        one_book = (name.kind, name.subject) if name.kind is StreamKind.DIFF_DEPTH else name
        one_mark = (name.kind, name.subject) if name.kind is StreamKind.MARK_PRICE and name.subject else one_book
        kept.setdefault(one_mark, name)
    return tuple(kept.values())


def _findings_of(check: Check, document: Mapping[str, Any]) -> list[str]:
    return [plain_text(finding) for finding in islice(check(document), _MOST_FINDINGS)]


def _fault_of_symbol(symbol: str) -> str | None:
    """What is wrong with a symbol whatever the venue lists; None when nothing is."""
    try:
        StreamName.of(symbol, _NEEDED[0])
    except ValueError:
        return f"{symbol!r} cannot be a symbol"
    return None if symbol == symbol.upper() else f"symbols are written in capitals: {symbol.upper()}"


def _refuse_check(line: str) -> PluginError:
    return PluginError(f"a plugin's check failed: {line}")


def _fault_of(url: str, scheme: str) -> str | None:
    """What is wrong with an address that should begin with `scheme`; None when nothing is."""
    try:
        split = urlsplit(url)
        host, _ = split.hostname or "", split.port
        host.encode("idna")
    except ValueError as error:
        return f"is not a valid address: {error}"
    here = host in _LOOPBACK
    if not here and not any(host == known or host.endswith(f".{known}") for known in _VENUE_HOSTS):
        return "is neither a host of the exchange nor this machine"
    if split.scheme != f"{scheme}s" and not (here and split.scheme == scheme):
        return f"must begin with {scheme}s://" + (f" or {scheme}://" if here else ", so that it is encrypted")
    if "@" in split.netloc or split.query or split.fragment or not url.isprintable():
        return "must be scheme, host, port and path, and nothing else"
    return None


def endpoints(config: Config) -> Endpoints:
    """The addresses of the exchange itself (not of an embedded venue)."""
    known = ENDPOINTS[config.venue.environment]
    return Endpoints(
        (config.venue.rest_url or known.rest).rstrip("/"),
        (config.venue.streams_url or known.streams).rstrip("/"),
        (config.venue.api_url or known.api).rstrip("/"),
    )


def money(value: Decimal) -> str:
    """An amount for people: eight digits behind the point at most, no trailing zeros."""
    text = f"{value:.8f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text

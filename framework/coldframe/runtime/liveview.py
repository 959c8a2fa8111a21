"""The calm view of a running bot on a terminal: books, strategies, orders, limits, links; log lines scroll above it.

The terminal is drawn by a thread, so that a slow one holds up nothing; what it draws is put together where the engine lives,
because the engine's state may only be read between steps.
"""

from __future__ import annotations

from decimal import Decimal
from types import TracebackType

import trio
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from coldframe.core.engine import Engine
from coldframe.enums import PositionSide, Side
from coldframe.model.effects import Level
from coldframe.runtime.build import money
from coldframe.text import printable
from coldframe.trio_io.clock import wall_text
from coldframe.units import plain, trimmed

_STYLES = {Level.DEBUG: "dim", Level.INFO: "", Level.WARNING: "yellow", Level.ERROR: "bold red"}
_RANK = {Level.DEBUG: 0, Level.INFO: 1, Level.WARNING: 2, Level.ERROR: 3}
_PER_S = 4


class LiveView:
    """Redrawn four times a second while `keep_current` runs.

    Without a `console` it writes to stderr, so that stdout stays free for the summary.
    """

    def __init__(self, name: str, lowest: Level = Level.INFO, console: Console | None = None) -> None:
        self._name = name
        self._lowest = lowest
        self._engine: Engine | None = None
        self._console = console or Console(stderr=True)
        self._shown = self.picture()
        self._live = Live(get_renderable=lambda: self._shown, console=self._console, refresh_per_second=_PER_S, transient=True)

    def __enter__(self) -> LiveView:
        self._live.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._live.__exit__(kind, error, trace)

    def log(self, at_ns: int, level: Level, text: str) -> None:
        if _RANK[level] >= _RANK[self._lowest]:
            self._console.print(Text(f"{wall_text(at_ns)} {printable(text)}", style=_STYLES[level]))

    def started(self, engine: Engine) -> None:
        self._engine = engine

    async def keep_current(self) -> None:
        """Looks at the engine now and then, for ever. To be run beside it, in the same thread."""
        while True:
            self._shown = self.picture()
            await trio.sleep(1 / _PER_S)

    def picture(self) -> Group:
        """What is shown now."""
        if self._engine is None:
            return Group(Text(f"{self._name}: starting", style="dim"))
        return Group(_books(self._engine), _strategies(self._engine), _status(self._name, self._engine))


def _books(engine: Engine) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False)
    for column in ("book", "state", "bid", "ask", "mark"):
        table.add_column(column, justify="left" if column in ("book", "state") else "right")
    for (symbol, rpi), local in engine.market.books.items():
        book = engine.market.synced_book(symbol, rpi)
        bid = book.best(Side.BUY) if book else None
        ask = book.best(Side.SELL) if book else None
        mark = engine.state.mark_prices.get(symbol)
        style = "" if book else "yellow"
        name = f"{symbol} (rpi)" if rpi else symbol
        figures = [_price(engine, symbol, value) for value in (bid, ask, mark)]
        table.add_row(name, local.sync.state.value, *figures, style=style)
    return table


def _price(engine: Engine, symbol: str, value: Decimal | None) -> str:
    """A price with as many digits as the contract's tick has, so that a column of them is easy to read."""
    if value is None:
        return "-"
    instrument = engine.state.instruments.get(symbol)
    return plain(instrument.price(value) if instrument else value)


def _strategies(engine: Engine) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False)
    for column in ("strategy", "position", "orders", "fills", "realised", "unrealised", "fees"):
        table.add_column(column, justify="left" if column in ("strategy", "position") else "right")
    for runtime in engine.runtimes.all:
        account = runtime.account.holdings
        held = [
            f"{symbol} {'' if side is PositionSide.BOTH else f'{side} '}{trimmed(position.quantity)}"
            for (symbol, side), position in sorted(account.positions.items())
            if position.quantity
        ]
        open_orders = sum(1 for _ in engine.orders.of(runtime.id))
        table.add_row(
            runtime.id + (" (muted)" if runtime.muted else ""),
            ", ".join(held) or "flat",
            f"{open_orders} open of {runtime.orders}",
            str(account.fills),
            money(account.realized),
            money(account.unrealized(engine.state.mark_prices)),
            money(account.fees_paid(engine.state.prices)),
            style="red" if runtime.muted else "",
        )
    return table


def _status(name: str, engine: Engine) -> Text:
    weight, weight_limit, orders, orders_limit = engine.limits_used
    trading = engine.trading
    session = trading.session.state.value if trading is not None else "off"
    reports = ("complete" if trading.reports_complete else "incomplete") if trading is not None else "off"
    waits = "".join(f"; no {kind} link for {-(-ms // 1000)} s" for kind, ms in engine.connect_waits.items())
    return Text(
        f"{name}: orders {session}, reports {reports}; weight {weight}/{weight_limit}, orders {orders}/{orders_limit} in 10 s;"
        f" {engine.market.payloads} messages, {engine.reconnects} reconnects{waits}; Ctrl-C ends the run",
        style="dim",
    )

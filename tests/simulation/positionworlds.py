"""Worlds in which others change the account under the bot, drawn from a seed, beside an oracle that reads the exchange's trades.

Up to three strategies aim, place and quote in one or two symbols, one-way or in hedge mode. Another client, deleveraging and
liquidation trade on the same account; answers and events come late or never, links are cut and rotated, the bot is killed and
started again with other positions than it had. When things are quiet, each owner's share is the oracle's
(`tests.simulation.sharing`), and all shares together are the account's position, side by side. Then every strategy asks for zero
while others go on: no order of the bot may turn a position over. At the end the summary and the journal say what the engine says.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from functools import partial
from random import Random
from typing import Any, Final

import attrs

from coldframe import Cancel, CancelAll, Intent, Place, Quote, Quotes, Side, Target, TimeInForce
from coldframe.config.venue import EmbeddedVenue, VenueAccount, VenueFaults
from coldframe.core.connectivity.api_session import SessionLimits
from coldframe.core.connectivity.user_stream import UserStreamLimits
from coldframe.core.reconciliation.order_side import OrderSideLimits
from coldframe.core.state.external import ExternalPolicy
from coldframe.core.state.journal_codec import fold
from coldframe.core.state.limits import Budget
from coldframe.enums import OrderType, PositionSide
from coldframe.model.effects import LinkKind
from coldframe.model.events import PositionCause
from coldframe.model.journal import RowKind
from coldframe.model.view import View
from coldframe.wire.replies import UserTrade
from tests.simulation.ends import report
from tests.simulation.pump import Pump, Trader
from tests.simulation.sharing import OTHERS, Key, Oracle, key_of, signed_of
from tests.simulation.strategies import Puppet

SYMBOLS: Final = ("BTCUSDT", "ETHUSDT")
LOT: Final = Fraction(1, 1000)
#: What orders are drawn in: above the smallest order of both symbols.
STEP: Final = {"BTCUSDT": Decimal("0.002"), "ETHUSDT": Decimal("0.012")}
#: How long a world may take to agree once nothing goes wrong any more (seconds).
CALM_S: Final = 150
#: The bot keeps averages with 34 digits and cost shares with 18: this is what rounding may add up to.
ROUNDING: Final = Fraction(1, 10**9)
_ANSWERS: Final = ("-1007", "-1006", "-1000", "503", "silence", "cut", "late-answer", "late-request")
_ENGINES: Final = ("adl_autoclose", "autoclose-17", "settlement_autoclose-17")


@attrs.define
class Outcome:
    """What a world has come to."""

    seed: int
    violations: dict[str, None] = attrs.field(factory=dict)
    trades: int = 0
    of_others: int = 0
    restarts: int = 0
    refused: int = 0


class World:
    """One world. `run` lives through it."""

    def __init__(self, seed: int, longest: int = 12) -> None:
        self.chance = chance = Random(f"positions:{seed}")
        self.outcome = Outcome(seed)
        self.moves = chance.randint(2, longest)
        self.hedge = chance.random() < 0.3
        self.faulty = chance.random() < 0.5
        self.rule = chance.choice(list(ExternalPolicy))
        self.owners: dict[str, str] = {}
        #: How much had been sent when a strategy was asked for zero: what followed from its earlier desired states counts no more.
        self.closing_since: dict[str, int] = {}
        self.seen = 0
        self.quiet = self.closing = False
        self.moving = True
        self.others: set[Key] = set()
        self.pump = self._pump(seed)
        self.oracle = Oracle(self.pump.venue.books(), lambda name: self.owners.get(name, OTHERS), LOT)
        self.oracle.watchers.append(self._check_trade)
        self.pump.watchers.append(self._watch)

    def _pump(self, seed: int) -> Pump:
        chance = self.chance
        names, symbols = ("a", "b", "c")[: chance.choice((1, 1, 2, 3))], SYMBOLS[: chance.choice((1, 1, 2))]
        self.symbols = symbols
        balance = Decimal(chance.choice((700, 100_000, 100_000)))
        account = VenueAccount(name="bot", balance=balance, leverage=20, hedge_mode=self.hedge)
        self.traders = [Trader(
            id=name,
            make=self._puppet(name),
            symbols=symbols if number == 0 else chance.sample(symbols, chance.randint(1, len(symbols))),
            budget=Budget(),
        ) for number, name in enumerate(names)]  # fmt: skip
        return Pump(
            self.traders,
            settings=EmbeddedVenue(seed=seed, accounts=[account], faults=self._faults()),
            seed=seed,
            turn_ms=250,
            travel_ms=chance.choice((1, 5, 40)),
            channels=("depth@500ms", "markPrice@1s"),
            trading=self._limits(self.rule),
            hedge=self.hedge,
            grace_ms=CALM_S * 1_000,
            keep_orders=chance.random() < 0.5,
        )

    def _puppet(self, name: str) -> Any:
        def make() -> Puppet:
            puppet = Puppet()
            puppet.act, puppet.patient = partial(self._act, name), False
            return puppet

        return make

    def _limits(self, rule: ExternalPolicy) -> OrderSideLimits:
        quick = self.faulty and self.chance.random() < 0.4
        return OrderSideLimits(
            external=rule,
            session=SessionLimits(rotate_after_ms=2_000) if quick else SessionLimits(),
            user_stream=UserStreamLimits(rotate_after_ms=2_500) if quick else UserStreamLimits(),
            trades_page=self.chance.choice((3, 500)) if self.faulty else 500,
            ended_orders=self.chance.choice((4, 20_000)) if self.faulty else 20_000,
        )

    def _faults(self) -> VenueFaults:
        chance = self.chance
        if not self.faulty:
            return VenueFaults()
        return VenueFaults(
            orders_doubtful=Decimal(chance.choice(("0", "0.2", "0.5"))),
            doubtful_answers=chance.sample(_ANSWERS, chance.randint(1, len(_ANSWERS))),
            answers_delayed=Decimal(chance.choice(("0", "0.4"))),
            fills_duplicated=Decimal(chance.choice(("0", "0.5"))),
            events_delayed=Decimal(chance.choice(("0", "0.3"))),
            events_reordered=chance.random() < 0.5,
            events_dropped=Decimal(chance.choice(("0", "0", "0.3"))),
            orders_hidden=Decimal(chance.choice(("0", "0.3"))),
            hidden_for_s=chance.sample(("1", "2", "5"), chance.randint(1, 3)),
        )

    # -- what happens -------------------------------------------------------------------------------------------------

    def run(self) -> Outcome:
        """Trouble, a restart perhaps, a common way to zero, and the end."""
        self.pump.until(self._has_begun, 20)
        for _ in range(self.moves):
            self._happen()
            self.pump.run(self.chance.choice((0.05, 0.2, 0.6)))
        self._become_quiet()
        if self.chance.random() < 0.6:
            self._change_while_off()
        self._close()
        self._end()
        return self.outcome

    def _happen(self) -> None:
        drawn = self.chance.random()
        if drawn < 0.55:
            self._by_hand()
        elif drawn < 0.75:
            self._move(self.chance.choice((-60, -20, 20, 60)))
        elif drawn < 0.78:
            self._move(self.chance.choice((-4_000, 4_000)))
        elif self.faulty and drawn < 0.88:
            self.pump.venue.cut(self.chance.choice((LinkKind.API, LinkKind.PRIVATE)))
        elif self.faulty and self.rule is not ExternalPolicy.ADOPT and drawn < 0.92:
            self._restart(self.rule)

    def _move(self, by: int) -> None:
        symbol = self.chance.choice(self.symbols)
        middle = self.pump.market.best(symbol, Side.BUY)
        self.pump.market.move(symbol, middle + by * middle / 60_000)

    def _by_hand(self) -> None:
        """Another client trades at the market, or leaves an order there; now and then it is one of the exchange's engines."""
        chance = self.chance
        symbol, side = chance.choice(self.symbols), chance.choice(list(Side))
        position_side = chance.choice((PositionSide.LONG, PositionSide.SHORT)) if self.hedge else PositionSide.BOTH
        held = self.pump.venue.position(symbol, position_side)
        quantity = STEP[symbol] * chance.randint(1, 6)
        if held and chance.random() < 0.5:  # closes all of it, and in one-way mode perhaps more
            side = Side.SELL if held > 0 else Side.BUY
            quantity = abs(held) + (0 if self.hedge else chance.choice((0, 0, 1)) * STEP[symbol])
        order: dict[str, str | int] = {"symbol": symbol, "side": side.value, "quantity": f"{quantity:f}", "type": "MARKET"}
        if chance.random() < 0.15:
            price = self.pump.market.best(symbol, side) - side.sign * 10
            order |= {"type": "LIMIT", "timeInForce": "GTC", "price": f"{price:f}"}
        if self.hedge:
            order["positionSide"] = position_side.value
        elif chance.random() < 0.3:
            order["reduceOnly"] = "true"
        if order["type"] == "MARKET" and chance.random() < 0.06:
            order["newClientOrderId"] = chance.choice(_ENGINES)
        self.pump.venue.by_hand("POST", "/fapi/v1/order", order)

    def _act(self, name: str, view: View) -> list[Intent]:
        chance, symbol = self.chance, self.chance.choice(view.symbols)
        book = view.book(symbol)
        if self.closing:
            self.closing_since.setdefault(name, len(self.pump.sent))
            # Quotes that rest would stand in the way of another strategy.
            resting = [order for order in view.orders() if order.time_in_force is not TimeInForce.IOC]
            cancels = [Cancel(order.client_order_id) for order in resting]
            return [*cancels, *map(Quotes, view.symbols), *(Target(traded, Decimal(0)) for traded in view.symbols)]
        drawn = chance.random()
        if self.quiet or drawn < 0.4 or book.best_bid is None or book.best_ask is None:
            return []
        quantity = STEP[symbol] * chance.randint(1, 5)
        if drawn < 0.7:
            return [Target(symbol, STEP[symbol] * chance.randint(-5, 5))]
        away = Decimal(chance.choice((0, 10, 30)))
        bid, ask = book.best_bid - away, book.best_ask + away
        if drawn < 0.8:
            return [Quotes(symbol, bids=[Quote(bid, quantity)], asks=[Quote(ask, quantity)])]
        if drawn < 0.95:
            return [self._place(symbol, quantity, bid, ask)]
        mine = view.orders(symbol)
        return [Cancel(chance.choice(mine).client_order_id)] if mine else [CancelAll(symbol)]

    def _place(self, symbol: str, quantity: Decimal, bid: Decimal, ask: Decimal) -> Place:
        side = self.chance.choice(list(Side))
        position_side = self.chance.choice((PositionSide.LONG, PositionSide.SHORT)) if self.hedge else PositionSide.BOTH
        where = {"symbol": symbol, "side": side, "quantity": quantity, "position_side": position_side}
        if self.chance.random() < 0.4:
            return Place(type=OrderType.MARKET, **where)  # type: ignore[arg-type]
        tif = self.chance.choice((TimeInForce.GTC, TimeInForce.IOC, TimeInForce.GTX))
        return Place(price=bid if side is Side.BUY else ask, time_in_force=tif, **where)  # type: ignore[arg-type]

    # -- restarts -----------------------------------------------------------------------------------------------------

    def _restart(self, rule: ExternalPolicy) -> ExternalPolicy:
        """Kills the bot and begins again. Returns under which rule that came through."""
        self.outcome.restarts += 1
        self._watch()
        self.pump.restart(trading=self._limits(rule))
        self.pump.until(self._has_begun, CALM_S)
        while self.pump.failed is not None:
            self._refused(rule)
            rule = ExternalPolicy.IGNORE
            self.pump.restart(trading=self._limits(rule))
            self.pump.until(self._has_begun, CALM_S)
        if rule is ExternalPolicy.ADOPT:  # orders that rest are the only strategy's, too
            resting = {name: order.symbol for name, order in self.pump.venue.open_orders().items() if name not in self.owners}
            self.owners.update((name, owner) for name, symbol in resting.items() if (owner := self._only_owner(symbol)))
        return rule

    def _has_begun(self) -> bool:
        return self.pump.failed is not None or self.pump.engine.state.baseline_ms > 0

    def _refused(self, rule: ExternalPolicy) -> None:
        """A start was refused: there must be something that no strategy has."""
        assert self.pump.failed is not None
        self.outcome.refused += 1
        self.oracle.update()
        theirs = any(shares[OTHERS].quantity for shares in self.oracle.shares.values())
        orders = any(name not in self.owners for name in self.pump.venue.open_orders())
        if rule is ExternalPolicy.IGNORE or not (theirs or orders):
            self._violated(f"refused under {rule}: {self.pump.failed.text}")

    def _change_while_off(self) -> None:
        """The bot is killed when all is told, others trade, and it begins again."""
        self.quiet = False
        self.oracle.update()
        missed = self._missed()
        self.pump.kill()
        for _ in range(self.chance.randint(0, 3)):
            self._by_hand()
        trades, rows = self.oracle.update(), len(self.pump.rows)
        if self._restart(self.rule) is ExternalPolicy.ADOPT:
            self.oracle.update()  # what a strategy has closed meanwhile was its own, not what it adopts now
            changed = {key_of(trade) for owner, trade in trades if owner == OTHERS} | missed
            self.oracle.adopt(self._only_owner, changed, self._entries(), self._booked(rows) if self.faulty else {})
        self.pump.run(self.chance.choice((0.3, 1)))
        self._become_quiet()

    def _missed(self) -> set[Key]:
        """Where others have traded and come back to what they had, without the bot hearing of it: the next start will."""
        engine, found = self.pump.engine, set()
        executions, marks = engine.state.holdings.executions, engine.orders.trade_cursors
        for trade in (row.trade for row in self.pump.venue.books().trades):
            key, mark = key_of(trade), marks.get(trade.symbol, 0)
            settled_ms = executions.settled.get(key, 0)
            known = mark if settled_ms else max(executions.since(key) or 0, mark)
            ours = self.pump.venue.books().orders[trade.order_id].client_id in self.owners
            settled = trade.time <= settled_ms if settled_ms else not known and key in executions.settled
            if not ours and trade.id > known and not settled and executions.get(key, (trade.id, trade.order_id)) is None:
                found.add(key)
        return found

    def _booked(self, since: int) -> dict[Key, Fraction]:
        """The prices at which strategies have adopted positions since a row."""
        bodies = [row.body for row in self.pump.rows[since:] if row.kind is RowKind.BOOKING]
        adopted = [body for body in bodies if body["cause"] == PositionCause.ADOPTED and body["strategy"]]
        return {(str(body["symbol"]), PositionSide(str(body["side"]))): Fraction(str(body["price"])) for body in adopted}

    def _entries(self) -> dict[Key, Fraction]:
        positions = self.pump.venue.books().account.positions.values()
        return {(position.symbol, position.side): Fraction(position.entry) for position in positions}

    def _only_owner(self, symbol: str) -> str:
        names = [trader.id for trader in self.traders if symbol in trader.symbols]
        return names[0] if len(names) == 1 else ""

    # -- quiet --------------------------------------------------------------------------------------------------------

    def _become_quiet(self) -> None:
        """Nothing goes wrong any more, and no strategy wants anything: all that has happened becomes known."""
        pump = self.pump
        pump.venue.faults.settings = VenueFaults()
        self.quiet, self.moving = True, False
        pump.run(0.3)
        if self.faulty:
            pump.venue.cut(LinkKind.PRIVATE)  # makes a comparison due
        for again in (True, True, False) if self.faulty else (False,):
            self._agreed()
            trades = self.oracle.known
            pump.run(0.6)
            found = self._differences()
            if not found or self.oracle.known != trades:
                return
            if not again:  # both may have been the same by chance while a report was still on its way
                for text in found:
                    self._violated(f"no longer: {text}")

    def _agreed(self) -> None:
        """Waits until the bot says what exchange and oracle say; what does not come to that is violated."""
        pump = self.pump
        try:
            pump.until(lambda: self._agree() and not (self.closing and self._left()) and not self._disputed(), CALM_S)
        except AssertionError:
            for text in self._differences():
                self._violated(text)
            if self._disputed():
                self._violated(f"still disputed: {pump.engine.state.trading.breaks}")
            if self.closing and self._left():
                self._violated(f"a target of 0 is not reached: {self._left()}; {pump.log[-3:]}")

    def _agree(self) -> bool:
        return not self._differences()

    def _disputed(self) -> bool:
        return bool(self.pump.engine.state.trading.breaks)

    def _differences(self) -> list[str]:
        """Where the bot is not what exchange and oracle say."""
        self.oracle.update()
        pump, found = self.pump, []
        accounts = pump.engine.state.holdings.accounts
        for key in {*self.oracle.shares, *pump.engine.state.holdings.position_keys()}:
            symbol, side = key
            ours, theirs = pump.engine.state.holdings.position_sum(key), pump.venue.position(symbol, side)
            if ours != theirs:
                found.append(f"{symbol} {side}: {ours} in all, {theirs} on the account")
            for owner, account in accounts.items():
                found += self._share_differs(key, owner, account)
        return found

    def _share_differs(self, key: Key, owner: str, account: Any) -> list[str]:
        share, position = self.oracle.shares[key][owner], account.position(*key)
        who = f"{key[0]} {key[1]} of {owner or 'others'}"
        if Fraction(position.quantity) != share.quantity:
            return [f"{who}: {position.quantity}, not {float(share.quantity)}"]
        if not owner:
            return []  # what others gain is theirs
        value = Fraction(position.realized) - Fraction(position.cost)
        if abs(value - share.value) > ROUNDING:
            return [f"{who}: has received {float(value)}, not {float(share.value)}"]
        if not self.faulty and abs(Fraction(position.realized) - share.realized) > ROUNDING:
            return [f"{who}: has realised {position.realized}, not {float(share.realized)}"]
        return []

    # -- to zero ------------------------------------------------------------------------------------------------------

    def _close(self) -> None:
        """Every strategy asks for zero, and others trade in the same moments."""
        pump = self.pump
        self.oracle.update()
        self.others = {key for key, shares in self.oracle.shares.items() if shares[OTHERS].quantity}
        self.quiet, self.closing = False, True
        for _ in range(self.chance.randint(0, 4)):
            pump.run(self.chance.choice((0.02, 0.1, 0.3, 0.5)))
            self._by_hand()
        self._cancel_by_hand()
        self._become_quiet()

    def _cancel_by_hand(self) -> None:
        """Others take their resting orders away, which may be in the way of a close; what the venue turns away is tried again."""
        venue = self.pump.venue
        while theirs := [order for name, order in venue.open_orders().items() if name not in self.owners]:
            for order in theirs:
                answer = venue.by_hand("DELETE", "/fapi/v1/order", {"symbol": order.symbol, "orderId": order.order_id})
                if answer.status != 200:
                    self.pump.run(1)

    def _left(self) -> dict[str, Fraction]:
        """What strategies hold though nothing of others is in their way, and it is more than dust."""
        self.oracle.update()
        return {
            f"{owner} {key[0]} {key[1]}": share.quantity
            for key, shares in self.oracle.shares.items()
            for owner, share in shares.items()
            if owner and not shares[OTHERS].quantity and abs(share.quantity) >= Fraction(STEP[key[0]]) and not self._crossed(key)
        }

    def _crossed(self, key: Key) -> bool:
        """Whether strategies hold against each other on one side of hedge mode, which no order there can close."""
        quantities = [share.quantity for share in self.oracle.shares[key].values()]
        return self.hedge and min(quantities) < 0 < max(quantities)

    def _check_trade(self, owner: str, trade: UserTrade) -> None:
        """A trade towards zero closes what its strategy has, and nothing more; several in a symbol may cross each other's ways."""
        key = key_of(trade)
        if self.oracle.shares[key][OTHERS].quantity:
            self.others.add(key)
        if owner == OTHERS:
            self.outcome.of_others += 1
            return
        self.outcome.trades += 1
        name = self.pump.venue.books().orders[trade.order_id].client_id
        alone = sum(1 for trader in self.traders if key[0] in trader.symbols) == 1
        if not self.closing or name not in self._sent_to_close(owner) or key in self.others or not alone:
            return
        held, signed = self.oracle.shares[key][owner].quantity, signed_of(trade)
        if held * signed >= 0 or abs(signed) > abs(held):
            self._violated(f"{trade.side} {trade.qty} {key[0]} {key[1]} on the way to zero, {owner} has {float(held)}")

    def _sent_to_close(self, owner: str) -> set[object]:
        since = self.closing_since.get(owner, len(self.pump.sent))
        return {params.get("newClientOrderId") for _, params in self.pump.sent[since:]}

    # -- the end ------------------------------------------------------------------------------------------------------

    def _end(self) -> None:
        pump = self.pump
        pump.stop(within_s=CALM_S + 1)
        self.oracle.update()
        ended = report(pump)
        told = {
            (position.strategy, position.symbol, position.position_side): Fraction(position.quantity)
            for position in ended.positions
        }
        held = {
            (owner, *key): share.quantity
            for key, shares in self.oracle.shares.items()
            for owner, share in shares.items()
            if owner and share.quantity
        }
        if told != held:
            self._violated(f"the summary has positions {told}, the oracle {held}")
        if ended.position_breaks:
            self._violated(f"disputed at the end: {ended.position_breaks}")
        past = fold(pump.rows).accounts
        for owner, account in pump.engine.state.holdings.accounts.items():
            for key, position in account.positions.items():
                kept = past[owner].position(*key) if owner in past else None
                if position.quantity != (kept.quantity if kept else 0) or (kept and kept.cost != position.cost):
                    self._violated(f"the journal has {kept} of {owner} in {key}, the engine {position}")

    def _watch(self) -> None:
        """Whose orders leave the bot: it is asked at once, so that nothing has been forgotten."""
        sent, orders = self.pump.sent, self.pump.engine.orders
        for _, params in sent[self.seen :]:
            name = str(params.get("newClientOrderId", ""))
            order = orders.get(name) if name and name not in self.owners else None
            if order is not None:
                self.owners[name] = order.strategy
        self.seen = len(sent)

    def _violated(self, text: str) -> None:
        self.outcome.violations.setdefault(f"{text} (at {(self.pump.now_ms - 1_700_000_000_000) / 1000:.2f} s)")


def lived(seed: int, longest: int = 12) -> Outcome:
    """One world from its beginning to its end; that it does not end is a violation as well."""
    world = World(seed, longest)
    try:
        return world.run()
    except AssertionError as error:
        world.outcome.violations.setdefault(f"it does not end: {error}")
        return world.outcome

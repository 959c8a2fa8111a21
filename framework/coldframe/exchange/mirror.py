"""The live market of a real venue, fed in from outside: what paper trading on live data trades against.

The server connects the streams of the real venue and feeds every payload and every depth snapshot; this market publishes them
word for word and lets own orders meet them. It opens no connection itself.
"""

from __future__ import annotations

from coldframe.errors import ConfigError
from coldframe.exchange.contracts import Contract, chosen, usual_tiers
from coldframe.exchange.matching import QueueModel
from coldframe.exchange.replicated_market import ReplicatedMarket
from coldframe.exchange.settings import EmbeddedVenue as Settings
from coldframe.wire.reference import ExchangeInfo


class Mirror:
    """The inlet for a live market. `feed_info` comes first, before a venue is built on it; payloads may come at any time."""

    def __init__(self) -> None:
        self._contracts: dict[str, Contract] = {}
        self._market: MirroredMarket | None = None

    def feed_info(self, info: ExchangeInfo) -> None:
        """Takes the venue's rules: all its contracts at first, changed ones later. A row that cannot be read is left out."""
        for row in info.symbols:
            contract = Contract(row, usual_tiers(row.base_asset))
            if not contract.readable:
                continue
            self._contracts[row.symbol] = contract
            if self._market is not None:
                self._market.change(contract)

    def feed(self, stream_name: str, payload: bytes) -> None:
        """Takes one payload of a stream, as it came. Raises `DecodeError` for one that is not of its stream."""
        if self._market is None:
            return
        self._market.take_payload(stream_name, payload)

    def feed_snapshot(self, symbol: str, body: bytes) -> None:
        """Takes a depth snapshot, as it came. Raises `DecodeError` for a malformed body."""
        if self._market is None:
            return
        self._market.take_snapshot(symbol, body)

    def open(self, settings: Settings, start_ms: int) -> MirroredMarket:
        """The market of a venue built on this mirror. Raises `ConfigError` for symbols that the real venue does not list."""
        contracts, unknown = chosen(list(self._contracts.values()), settings.symbols)
        if unknown or not contracts:
            raise ConfigError(f"venue.embedded.symbols: the mirrored venue lists no {', '.join(unknown) or 'contract at all'}")
        self._market = MirroredMarket(contracts, settings.funding_interval_s * 1000, start_ms, QueueModel(settings.queue_model))
        return self._market


class MirroredMarket(ReplicatedMarket):
    """The market behind a mirror; its derived streams run on the venue's clock."""

    follows_clock = True
    ended = False
    fault = None

    def change(self, contract: Contract) -> None:
        """Takes a contract whose rules may have changed."""
        market = self.markets.get(contract.symbol)
        if market is not None and market.contract.info != contract.info:
            market.public_data.contract_changed(contract, new_brackets=False)

    def advance(self, now_ms: int) -> None:
        """Nothing: it moves when it is fed."""

    def next_due_ms(self) -> None:
        """It moves when it is fed."""

    def listened_to(self, name: str) -> None:
        """What is fed does not depend on who listens."""

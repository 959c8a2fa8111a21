"""The tables `[venue]`, `[venue.embedded]` and below: where the bot trades, and how the embedded exchange behaves."""

from __future__ import annotations

from decimal import Decimal

import attrs

from coldframe.config.keys import between, key, not_negative, one_of, positive


@attrs.frozen(kw_only=True)
class VenueLimits:
    """`[venue.embedded.limits]`: the budgets the embedded venue grants, as the exchange counts them."""

    weight_1m: int = key("request weight per UTC minute and address", 2400, check=positive)
    orders_10s: int = key("orders per 10 seconds and account", 300, check=positive)
    orders_1m: int = key("orders per minute and account", 1200, check=positive)


@attrs.frozen(kw_only=True)
class VenueFaults:
    """`[venue.embedded.faults]`: what the embedded venue does wrong on purpose."""

    clock_skew_ms: int = key("how far the venue's clock runs ahead of ours (negative: behind)", 0)
    banned_for_s: int = key("answer every request with 418 for so many seconds after the start", 0, check=not_negative)


@attrs.frozen(kw_only=True)
class VenueAccount:
    """`[[venue.embedded.accounts]]`: one account of the embedded venue, with a key of each kind."""

    name: str = key("name of the account, for the files of its keys and for logs")
    balance: Decimal = key("wallet balance at the start, in USDT", Decimal(10_000), check=not_negative)
    leverage: int = key("leverage of every symbol at the start", 20, check=between(1, 125))
    hedge_mode: bool = key("long and short positions side by side (hedge mode) instead of one-way mode", False)
    maker_fee_bps: Decimal = key("commission of a maker, in basis points of the notional", Decimal(2))
    taker_fee_bps: Decimal = key("commission of a taker, in basis points of the notional", Decimal(5))


def _one_account() -> list[VenueAccount]:
    return [VenueAccount(name="main")]


@attrs.frozen(kw_only=True)
class EmbeddedVenue:
    """`[venue.embedded]`: the exchange inside. It listens on the loopback interface only."""

    market: str = key("where its market comes from: synthetic or recording", "synthetic", check=one_of("synthetic", "recording"))
    seed: int = key("seed of the synthetic market: the same seed gives the same market", 7, check=not_negative)
    symbols: list[str] = key("contracts it lists; empty for all that the market knows", list)
    pace: Decimal = key("how busy the synthetic market is, as a multiple of the usual", Decimal(1), check=positive)
    tape: str | None = key("recording to play, when the market is a recording (.jsonl, .jsonl.gz)", None, path=True)
    speed: str = key('how fast a recording plays: "1" is real time, "10" ten times that, "max" as fast as the client reads', "1")
    port: int = key("TCP port; 0 takes a free one", 0, check=between(0, 65535))
    tls_certificate: str | None = key("certificate chain (PEM); together with tls_key the venue speaks TLS", None, path=True)
    tls_key: str | None = key("private key of the certificate (PEM)", None, path=True)
    keys_dir: str | None = key("where the keys of its accounts are kept; made there once, and used again", None, path=True)
    state_dir: str | None = key(
        "where its ledger is kept, so that a restarted venue remembers orders and positions", None, path=True
    )
    unrouted: str = key(
        "what the old unrouted stream paths serve: all, or public (book data only)", "public", check=one_of("all", "public")
    )
    funding_interval_s: int = key("seconds between two funding times", 28_800, check=positive)
    ping_interval_s: Decimal = key("seconds between two pings of the server", Decimal(180), check=positive)
    pong_timeout_s: Decimal = key("seconds without a pong after which the venue drops a connection", Decimal(600), check=positive)
    link_lifetime_s: Decimal = key("seconds after which the venue closes any connection", Decimal(86_400), check=positive)
    listen_key_lifetime_s: Decimal = key(
        "seconds after which a listen key expires unless it is kept alive", Decimal(3600), check=positive
    )
    limits: VenueLimits = key("budgets", VenueLimits)
    faults: VenueFaults = key("what it does wrong on purpose", VenueFaults)
    accounts: list[VenueAccount] = key("accounts", _one_account)

    def __attrs_post_init__(self) -> None:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key come together or not at all")
        if self.speed != "max" and not (
            self.speed.isascii() and self.speed.replace(".", "", 1).isdigit() and Decimal(self.speed) > 0
        ):
            raise ValueError(f'speed must be a number above 0 or "max", not {self.speed!r}')
        if self.market == "recording" and self.tape is None:
            raise ValueError("market is a recording, but no tape is named")
        names = [account.name for account in self.accounts]
        if not names or len(set(names)) != len(names):
            raise ValueError("accounts need different names, and there must be one at least")


@attrs.frozen(kw_only=True)
class Venue:
    """`[venue]`: which exchange. The addresses are only for tests against a venue on this machine: others are refused."""

    environment: str = key("embedded, testnet or mainnet", "embedded", check=one_of("embedded", "testnet", "mainnet"))
    rest_url: str | None = key("another address for REST", None)
    streams_url: str | None = key("another address for the streams", None)
    api_url: str | None = key("another address for the WebSocket API", None)
    ca_file: str | None = key(
        "certificate authority (PEM) that signed the venue's certificate, when it is a private one", None, path=True
    )
    embedded: EmbeddedVenue = key(
        "the exchange inside: the whole venue of a bot that runs embedded, or its paper venue", EmbeddedVenue
    )

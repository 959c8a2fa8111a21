"""The checks before the start against a real server: every difference is one line that names both, and the banner hides the key."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from coldframe.core.connectivity.signing import Ed25519Signer, HmacSigner, RsaSigner, Signer
from coldframe.errors import AuthenticationRefused, Banned, ColdframeError, ConfigError, VenueUnavailable
from coldframe.model.effects import Level
from coldframe.model.instruments import Instruments
from coldframe.runtime.build import Bot, build, read
from coldframe.runtime.startup import check_account
from coldframe.runtime.startup_checks import banner, check_start
from coldframe.secret import Secret
from coldframe.testing import instrument
from coldframe.wire.replies import AccountConfig
from tests.runtime.files import PLUGINS
from tests.runtime.test_startup import KEY, one_sentence, venue
from tests.trio_io.web import Answering, Asked, Told

LIVE = """config_version = 1
name = "scene"
[venue]
environment = "testnet"
[orders]
mode = "live"
api_key = "env:KEY"
secret = "env:SECRET"
{orders}
[[strategies]]
id = "one"
plugin = "plugins.py:Plain"
symbols = ["BTCUSDT", "ETHUSDT"]
budget = {{ max_position = "1.50" }}
[risk]
max_order_notional = "1000"
max_gross_notional = "20000"
price_collar_pct = "5"
max_open_orders = 20
max_drawdown = "500"
"""
LISTED = Instruments([instrument("BTCUSDT"), instrument("ETHUSDT")])


def bot_of(folder: Path, orders: str = "") -> Bot:
    (folder / "plugins.py").write_text(PLUGINS)
    (folder / "bot.toml").write_text(LIVE.format(orders=orders))
    return build(read(folder / "bot.toml"), None, live_allowed=True)


def account(**changes: Any) -> AccountConfig:
    known: dict[str, Any] = {"can_trade": True, "dual_side_position": False, "multi_assets_margin": False, "can_withdraw": False}
    return AccountConfig(**{**known, **changes})


def answering(rows: list[dict[str, Any]], orders: object = (), positions: object = ()) -> Answering:
    def answer(asked: Asked) -> Told:
        known = {"symbolConfig": rows, "openOrders": list(orders), "positionRisk": list(positions)}  # type: ignore[call-overload]
        return Told(json.dumps(known[asked.path.rsplit("/", 1)[1]]).encode())

    return answer


def row(symbol: str, leverage: int = 20, margin: str = "CROSSED") -> dict[str, Any]:
    return {"symbol": symbol, "marginType": margin, "isAutoAddMargin": False, "leverage": leverage, "maxNotionalValue": "1"}


async def checked(
    bot: Bot, answer: Answering | Told, known: AccountConfig, listed: Instruments = LISTED
) -> list[tuple[Level, str]]:
    said: list[tuple[Level, str]] = []
    refused: ColdframeError | None = None
    async with venue(answer) as (_, rest, clock):
        try:
            await check_start(bot, known, listed, rest, clock, lambda level, text: said.append((level, text)))
        except ColdframeError as error:
            refused = error  # raised again where no server's nursery wraps it
    if refused is not None:
        raise refused
    return said


# -- differences ------------------------------------------------------------------------------------------------------


async def test_g10_every_difference_is_one_line_at_its_key_naming_both(tmp_path: Path) -> None:
    bot = bot_of(tmp_path, 'leverage = { BTCUSDT = 5, ETHUSDT = 20, SOLUSDT = 3 }\nmargin = "isolated"')
    with pytest.raises(ConfigError) as refused:
        await checked(bot, answering([row("BTCUSDT", 125), row("ETHUSDT", 20, "ISOLATED")]), account())
    path = tmp_path / "bot.toml"
    assert refused.value.findings == (
        f"{path}:9: orders.leverage.BTCUSDT: the configuration says 5, at the venue BTCUSDT has leverage 125",
        f"{path}:9: orders.leverage.SOLUSDT: the venue does not report the leverage of SOLUSDT",
        f"{path}:10: orders.margin: the configuration says isolated, at the venue BTCUSDT has margin mode cross",
    )


async def test_what_the_configuration_leaves_open_is_not_asked_for(tmp_path: Path) -> None:
    held = {"symbol": "ETHUSDT", "positionSide": "BOTH", "positionAmt": "-0.500", "entryPrice": "1"}
    said = await checked(bot_of(tmp_path), answering([], [], [held, {**held, "symbol": "X", "positionAmt": "0.0"}]), account())
    assert said == [(Level.INFO, "at the venue: 0 open orders, 0 of them the bot's; positions: ETHUSDT -0.5")]


async def test_all_as_it_should_be(tmp_path: Path) -> None:
    bot = bot_of(tmp_path, 'leverage = { BTCUSDT = 5 }\nmargin = "cross"')
    said = await checked(bot, answering([row("BTCUSDT", 5), row("ETHUSDT")]), account())
    assert [level for level, _ in said] == [Level.INFO]


@pytest.mark.parametrize(
    "text",
    ['leverage = { BTCUSDT = "5" }', "leverage = { BTCUSDT = 2.5 }", 'margin = "crossed"', 'withdrawals = "no"', "dead_man_s = 5"],
)
def test_keys_that_do_not_fit_are_found_before_anything_connects(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=rf"bot\.toml:9: orders\.{text.split(' ', 1)[0]}"):
        bot_of(tmp_path, text)


async def test_a_symbol_that_does_not_trade_is_refused(tmp_path: Path) -> None:
    listed = LISTED.with_status("ETHUSDT", "SETTLING")
    with pytest.raises(ConfigError, match=r"bot\.toml: ETHUSDT does not trade: the venue says SETTLING$"):
        await checked(bot_of(tmp_path), answering([]), account(), listed)


# -- rights -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("told", [False, None])
async def test_x16_no_right_to_withdraw_is_no_news(tmp_path: Path, told: bool | None) -> None:
    known = account() if told is False else AccountConfig(can_trade=True, dual_side_position=False, multi_assets_margin=False)
    said = await checked(bot_of(tmp_path, 'withdrawals = "refuse"'), answering([]), known)
    assert [level for level, _ in said] == [Level.INFO]


async def test_x16_a_right_to_withdraw_is_said_or_refused(tmp_path: Path) -> None:
    said = await checked(bot_of(tmp_path), answering([]), account(can_withdraw=True))
    assert said[0] == (
        Level.WARNING,
        "the venue reports that the account may withdraw; the key of a bot needs no such permission",
    )
    with pytest.raises(AuthenticationRefused, match="the account may withdraw"):
        await checked(bot_of(tmp_path, 'withdrawals = "refuse"'), answering([]), account(can_withdraw=True))


@pytest.mark.parametrize(("environment", "other"), [("testnet", "mainnet"), ("mainnet", "testnet")])
async def test_g4_refused_key_is_said_to_be_of_the_other_environment(environment: str, other: str) -> None:
    refusal = Told(b'{"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}', 401)
    async with venue(refusal) as (_, rest, clock):
        with pytest.raises(AuthenticationRefused) as refused:
            await check_account(rest, clock, environment=environment)
        assert one_sentence(refused.value).endswith(f"(this is {environment}: a key made for {other} is not known here)")
        with pytest.raises(AuthenticationRefused) as refused:
            await check_account(rest, clock)
        assert one_sentence(refused.value).endswith("environment")


# -- a venue that does not answer well --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Told(b'{"code":-1001,"msg":"Internal\\u001b[2J"}', 503), VenueUnavailable),
        (Told(b"<html>"), VenueUnavailable),
        (Told(b'[{"symbol":5}]'), VenueUnavailable),
        (Told(b"", 418, (("Retry-After", "90"),)), Banned),
    ],
)
async def test_what_cannot_be_asked_ends_the_start_in_one_sentence(
    tmp_path: Path, answer: Told, kind: type[ColdframeError]
) -> None:
    with pytest.raises(kind) as refused:
        await checked(bot_of(tmp_path, 'margin = "cross"'), answer, account())
    one_sentence(refused.value)


# -- the banner -------------------------------------------------------------------------------------------------------


def signers() -> list[tuple[Signer, str]]:
    key = Secret(KEY)
    return [
        (Ed25519Signer(key, Ed25519PrivateKey.generate()), "Ed25519, logs on"),
        (RsaSigner(key, generate_private_key(65537, 2048)), "RSA, cannot log on"),
        (HmacSigner(key, Secret("secret")), "HMAC, cannot log on"),
    ]


def test_g5_g9_x1_banner_says_what_will_happen_and_shows_no_key(tmp_path: Path) -> None:
    for signer, kind in signers():
        lines = banner(bot_of(tmp_path, "dead_man_s = 60"), signer, account(multi_assets_margin=True))
        text = "\n".join(lines)
        assert lines[0].startswith("LIVE: scene trades on testnet: demo-fapi.binance.com, ")
        assert f"key {Secret(KEY).fingerprint} ({kind}" in text
        assert KEY[:8] not in text
        assert "one-way mode, multi-assets margin; dead man's switch 60 s" in text
        assert "limits: an order 1000, gross 20000, drawdown 500, 20 open orders, collar 5 %" in text
        assert "one (" in lines[-1]
        assert "on BTCUSDT, ETHUSDT: position up to 1.5, notional up to without limit" in lines[-1]


def test_many_symbols_are_counted(tmp_path: Path) -> None:
    names = ", ".join(f'"A{number}USDT"' for number in range(9))
    (tmp_path / "plugins.py").write_text(PLUGINS)
    (tmp_path / "bot.toml").write_text(LIVE.format(orders="").replace('"BTCUSDT", "ETHUSDT"', names))
    bot = build(read(tmp_path / "bot.toml"), None, live_allowed=True)
    assert "A5USDT and 3 more:" in banner(bot, signers()[2][0], account())[-1]
    assert bot.strategies[0].table.budget.max_position == Decimal("1.50")

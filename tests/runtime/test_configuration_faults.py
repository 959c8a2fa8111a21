"""Mistakes in a configuration or its keys that would cost money: each is refused, or named, before an order could be sent."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from coldframe.core.state.limits import Budget, RiskLimits
from coldframe.enums import Side
from coldframe.errors import ConfigError
from coldframe.model.intents import VerdictCode
from coldframe.runtime.build import build, read
from coldframe.runtime.startup import signer_of, tls_context
from tests.core.scripted import Actor, Scripted
from tests.core.told import D, place
from tests.runtime.files import EMBEDDED, STRATEGY, found, written

LIVE = (
    EMBEDDED.replace('"embedded"', '"testnet"')
    + """
[orders]
mode = "live"
api_key = "env:KEY"
private_key = "file:key.pem"
"""
    + STRATEGY
    + 'budget = { max_position = "1" }\n'
)
LIMITS = {
    "max_order_notional": '"1000"',
    "max_gross_notional": '"2000"',
    "price_collar_pct": '"5"',
    "max_open_orders": "10",
    "max_drawdown": '"100"',
}


def risk(**changes: str | None) -> str:
    return "[risk]\n" + "".join(f"{name} = {value}\n" for name, value in {**LIMITS, **changes}.items() if value is not None)


def findings(folder: Path, text: str, *, live: bool = True) -> list[str]:
    return [said for _, said in found(folder, text, None, live=live)]


def test_g5_live_trading_needs_the_mode_the_flag_and_the_limits(tmp_path: Path) -> None:
    assert findings(tmp_path, LIVE + risk()) == []
    assert findings(tmp_path, LIVE + risk(), live=False) == ["orders.mode: live trading also needs --live on the command line"]
    paper = EMBEDDED + STRATEGY
    assert build(read(written(tmp_path, paper)), ["BTCUSDT"], live_allowed=True).config.orders.mode == "paper"


@pytest.mark.parametrize("name", LIMITS)
def test_g6_live_trading_needs_each_limit_as_a_positive_number(tmp_path: Path, name: str) -> None:
    assert findings(tmp_path, LIVE + risk(**{name: None})) == [f"risk.{name}: is required for live trading"]
    for nonsense in ('"0"', '"-1"', '"inf"', '"NaN"', '""', "inf", "nan", "0", "1.5", "true", '"1e3"'):
        said = findings(tmp_path, LIVE + risk(**{name: nonsense}))
        assert said, nonsense
        assert said[0].startswith(f"risk.{name}: must be "), (nonsense, said)
    no_budget = LIVE.replace('budget = { max_position = "1" }\n', "")
    assert findings(tmp_path, no_budget + risk()) == ["strategies[0].budget.max_position: is required for live trading"]


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o601])
def test_g7_a_key_that_others_can_touch_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int) -> None:
    monkeypatch.setenv("KEY", "CANARY-KEY")
    key = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key.pem").write_bytes(key)
    (tmp_path / "key.pem").chmod(mode)
    loaded = read(written(tmp_path, LIVE + risk()))
    with pytest.raises(ConfigError, match=r"orders\.private_key: .*key\.pem can be read by others; say chmod 600"):
        signer_of(loaded.config, tmp_path)
    (tmp_path / "key.pem").chmod(0o600)
    assert signer_of(loaded.config, tmp_path).can_log_on


def test_g7_a_key_in_the_file_itself_is_refused_and_not_shown(tmp_path: Path) -> None:
    (said,) = findings(tmp_path, LIVE.replace("env:KEY", "CANARY0123456789") + risk())
    assert said.startswith("orders.api_key: must be a reference (env:NAME, file:PATH")
    assert "CANARY" not in said


def test_g8_the_same_strategy_twice_is_refused(tmp_path: Path) -> None:
    said = findings(tmp_path, LIVE + STRATEGY + 'budget = { max_position = "1" }\n' + risk())
    assert said == ["strategies[1].id: there are two strategies called 'one'"]


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (place(Side.BUY, "1", "1000"), VerdictCode.PRICE_COLLAR),
        (place(Side.BUY, "1", "10"), VerdictCode.PRICE_COLLAR),
        (place(Side.BUY, "1000", "100"), VerdictCode.ORDER_NOTIONAL),
        (place(Side.SELL, "1000", None), VerdictCode.ORDER_NOTIONAL),
        (place(Side.BUY, "4", "100"), VerdictCode.POSITION),
        (place(Side.BUY, "3", "100"), VerdictCode.ACCEPTED),
    ],
)
def test_g11_a_fat_finger_is_not_sent(wanted: object, code: VerdictCode) -> None:
    actor = Actor()
    limits = RiskLimits(max_order_notional=D(500), price_collar_pct=D(5))
    made = Scripted(actor, risk=limits, budgets={"mm": Budget(max_position=D(3))}).ready()
    made.want(actor, wanted)
    assert made.verdicts(actor) == {code.value: 1}
    assert len(made.sent("order.place")) == (code is VerdictCode.ACCEPTED)


@pytest.mark.parametrize(
    "url",
    [
        "https://fapi.binance.com.evil.example",
        "https://evilbinance.com",
        "https://fapi.binance.com@evil.example",
        "https://10.0.0.1",
        "http://fapi.binance.com",
        "https://fapi.binance.com/?x=1",
        "https://localhost.evil.example",
    ],
)
def test_x15_orders_go_to_no_other_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://evil.example:1")
    text = LIVE.replace('environment = "testnet"', f'environment = "testnet"\nrest_url = "{url}"')
    (said,) = findings(tmp_path, text + risk())
    assert said.startswith("venue.rest_url: ")


def test_n5_there_is_no_way_to_switch_verification_off(tmp_path: Path) -> None:
    import ssl

    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    for context in (tls_context(None), tls_context(str(tmp_path / "ca.pem"))):
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname

"""From a configuration to the parts of a bot: what is wired, and every mistake at its line before anything connects."""

from __future__ import annotations

from decimal import Decimal
from importlib.metadata import EntryPoint
from pathlib import Path

import attrs
import pytest

from coldframe.core.state.limits import Budget
from coldframe.core.strategies.runtime import OnError
from coldframe.errors import ConfigError, PluginError
from coldframe.plug.loader import GROUP, PluginRegistry
from coldframe.runtime import build as module
from coldframe.runtime.build import build, endpoints, money, read
from coldframe.runtime.engine_setup import budget, feed_limits, risk_limits, trading_limits
from coldframe.wire.routes import ENDPOINTS
from tests.runtime.files import EMBEDDED, LISTED, MAINNET, OFF, STRATEGY, built, found, line_of, written

STREAMS = """
[[streams]]
symbols = ["BTCUSDT"]
channels = ["aggTrade"]
"""


# -- what is wired ----------------------------------------------------------------------------------------------------


def test_what_strategies_need_is_listened_to_once(tmp_path: Path) -> None:
    second = STRATEGY.replace('"one"', '"two"').replace('["BTCUSDT"]', '["ETHUSDT", "BTCUSDT", "ETHUSDT"]')
    bot = built(tmp_path, EMBEDDED + STREAMS + STRATEGY + second)
    assert [str(name) for name in bot.streams] == [
        "btcusdt@aggTrade",
        "btcusdt@depth@100ms",
        "btcusdt@markPrice@1s",
        "ethusdt@depth@100ms",
        "ethusdt@markPrice@1s",
    ]
    assert [strategy.symbols for strategy in bot.strategies] == [("BTCUSDT",), ("ETHUSDT", "BTCUSDT")]


@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        (["depth@500ms"], {"btcusdt@depth@500ms", "btcusdt@markPrice@1s"}),
        (["depth", "depth@0ms", "depth@100ms"], {"btcusdt@depth", "btcusdt@markPrice@1s"}),
        (["markPrice"], {"btcusdt@markPrice", "btcusdt@depth@100ms"}),
        (["depth5", "depth20@100ms"], {"btcusdt@depth5", "btcusdt@depth20@100ms", "btcusdt@depth@100ms", "btcusdt@markPrice@1s"}),
        (["!markPrice@arr@1s"], {"!markPrice@arr@1s", "btcusdt@depth@100ms", "btcusdt@markPrice@1s"}),
        (["kline_1m", "kline_5m"], {"btcusdt@kline_1m", "btcusdt@kline_5m", "btcusdt@depth@100ms", "btcusdt@markPrice@1s"}),
    ],
)
def test_each_symbol_has_the_configured_depth_and_mark_stream(tmp_path: Path, channels: list[str], expected: set[str]) -> None:
    table = STREAMS.replace('["aggTrade"]', str(channels).replace("'", '"'))
    bot = built(tmp_path, EMBEDDED + STRATEGY + table)
    assert {str(name) for name in bot.streams} == expected
    assert len(bot.streams) == len(expected)


def test_every_symbol_of_an_embedded_venue(tmp_path: Path) -> None:
    everywhere = STRATEGY.replace('["BTCUSDT"]', '["ETHUSDT", "*"]')
    bot = built(tmp_path, EMBEDDED + everywhere)
    assert bot.strategies[0].symbols == ("ETHUSDT", "BTCUSDT", "币安人生USDT")
    assert "币安人生usdt@depth@100ms" in {str(name) for name in bot.streams}


def test_all_market_channels_and_asset_indexes_need_no_contract(tmp_path: Path) -> None:
    tables = (
        '[[streams]]\nchannels = ["!ticker@arr", "!contractInfo"]\n[[streams]]\nsymbols = ["BTCUSD"]\nchannels = ["assetIndex"]\n'
    )
    assert [str(name) for name in built(tmp_path, EMBEDDED + tables).streams] == [
        "!ticker@arr",
        "!contractInfo",
        "btcusd@assetIndex",
    ]


def test_parameters_and_fresh_instances(tmp_path: Path) -> None:
    text = EMBEDDED + STRATEGY.replace("Plain", "Sized").replace('["BTCUSDT"]', '["BTCUSDT"]\nparams = { size = "0.5" }')
    text += 'on_error = "flatten"\nbudget = { max_position = "2", orders_per_10s = 7 }\n'
    text += '[[strategies.overlays]]\nplugin = "plugins.py:Plain"\n'
    bot = built(tmp_path, text)
    (strategy,) = bot.strategies
    assert attrs.asdict(strategy.part.params) == {"size": Decimal("0.5"), "levels": 1}  # type: ignore[call-overload]
    assert strategy.part.make() is not strategy.part.make()
    plugin = strategy.make_plugin()
    assert (plugin.id, plugin.symbols, plugin.on_error, plugin.hooks) == ("one", ("BTCUSDT",), OnError.FLATTEN, {"on_book"})
    assert len(strategy.overlays) == 1
    assert budget(bot.strategies[0].table.budget) == Budget(max_position=Decimal(2), max_notional=None, orders_per_10s=7)


def test_the_tables_as_the_machines_want_them(tmp_path: Path) -> None:
    text = MAINNET + (
        'rest_url = "http://localhost:8000/"\nstreams_url = "ws://127.0.0.1:8000"\napi_url = "ws://[::1]:8000/ws-fapi/v1/"\n'
        '[risk]\nmax_order_notional = "500"\nstale_book_ms = 1500\nmax_open_orders = 9\n'
        "[feeds]\nstreams_per_link = 5\nrotate_after_s = 60\noverlap_s = 7\npatience = 3\n"
        "[orders]\nanswer_ms = 900\nrecv_window_ms = 4000\n"
    )
    config = built(tmp_path, text, None).config
    risk, feed, trading = risk_limits(config.risk), feed_limits(config), trading_limits(config)
    assert (risk.max_order_notional, risk.stale_book_ms, risk.max_open_orders) == (Decimal(500), 1500, 9)
    assert (feed.streams_per_link, feed.rotate_after_ms, feed.overlap_ms, feed.patience) == (5, 60_000, 7_000, 3)
    assert (trading.recv_window_ms, trading.session.answer_ms, trading.session.rotate_after_ms) == (4000, 900, 60_000)
    there = endpoints(config)
    assert (there.rest, there.streams, there.api) == (
        "http://localhost:8000",
        "ws://127.0.0.1:8000",
        "ws://[::1]:8000/ws-fapi/v1",
    )
    assert endpoints(built(tmp_path, MAINNET, None).config) == ENDPOINTS["mainnet"]


def test_changes_of_the_command_line(tmp_path: Path) -> None:
    path = written(tmp_path, EMBEDDED)
    assert read(path).config.venue.embedded.port == 0
    assert read(path, port=81, speed=None).config.venue.embedded.port == 81
    with pytest.raises(ConfigError, match=r"bot\.toml: speed must be a number above 0"):
        read(path, speed="quick")
    with pytest.raises(ConfigError, match="no recording is named"):
        read(path, market="recording")


@pytest.mark.parametrize(
    ("value", "text"),
    [("0", "0"), ("-0.000000001", "0"), ("1.50", "1.5"), ("-12.123456789", "-12.12345679"), ("100", "100"), ("1E+3", "1000")],
)
def test_money_for_people(value: str, text: str) -> None:
    assert money(Decimal(value)) == text


# -- symbols and streams ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("symbol", "said"),
    [
        ("BTCUSD", "unknown symbol 'BTCUSD' (did you mean BTCUSDT?)"),
        ("btcusdt", "unknown symbol 'btcusdt' (did you mean BTCUSDT?)"),
        ("ethusd", "unknown symbol 'ethusd' (did you mean ETHUSDT?)"),
        ("QQQ", "unknown symbol 'QQQ'"),
        ("", "unknown symbol ''"),
    ],
)
def test_g3_unknown_symbols(tmp_path: Path, symbol: str, said: str) -> None:
    text = EMBEDDED + STREAMS.replace("BTCUSDT", symbol) + STRATEGY.replace('["BTCUSDT"]', f'["ETHUSDT", "{symbol}"]')
    assert found(tmp_path, text) == [
        (line_of(text, "symbols", 1), f"streams[0].symbols[0]: {said}"),
        (line_of(text, "symbols", 2), f"strategies[0].symbols[1]: {said}"),
    ]


def test_real_venue_is_asked_later_but_invalid_symbols_fail_now(tmp_path: Path) -> None:
    assert built(tmp_path, MAINNET + STRATEGY.replace("BTCUSDT", "WHATEVERUSDT"), None).strategies[0].symbols == ("WHATEVERUSDT",)
    for symbol, said in (
        ("*", '"*" is for an embedded venue: name the symbols'),
        ("BTC/USDT", "'BTC/USDT' cannot be a symbol"),
        ("btcusdt", "symbols are written in capitals: BTCUSDT"),
    ):
        text = MAINNET + STREAMS.replace("BTCUSDT", symbol) + STRATEGY.replace("BTCUSDT", symbol)
        assert found(tmp_path, text, None) == [
            (line_of(text, "symbols", 1), f"streams[0].symbols[0]: {said}"),
            (line_of(text, "symbols", 2), f"strategies[0].symbols[0]: {said}"),
        ]


@pytest.mark.parametrize("channel", ["aggtrade", "depth@250ms", "kline_7m", "depth7", "!ticker", "markPrice@2s", "", "ws/x"])
def test_wrong_channels(tmp_path: Path, channel: str) -> None:
    for symbols in ('symbols = ["BTCUSDT", "ETHUSDT"]\n', ""):
        text = EMBEDDED + f'\n[[streams]]\n{symbols}channels = ["!ticker@arr",\n  "{channel}"]\n'
        rows = [row for row in found(tmp_path, text) if "needs symbols" not in row[1]]
        assert [line for line, _ in rows] == [line_of(text, "channels")]
        assert rows[0][1].startswith("streams[0].channels[1]: ")


def test_channels_that_need_symbols(tmp_path: Path) -> None:
    text = EMBEDDED + STREAMS + '[[streams]]\nchannels = ["aggTrade"]\n'
    assert found(tmp_path, text) == [(line_of(text, "channels", 2), "streams[1].channels[0]: aggTrade needs symbols")]


# -- strategies -------------------------------------------------------------------------------------------------------


def test_g8_two_strategies_of_one_name_and_one_without_symbols(tmp_path: Path) -> None:
    text = EMBEDDED + STRATEGY + STRATEGY + STRATEGY.replace('"one"', '"two"').replace('["BTCUSDT"]', "[]")
    assert found(tmp_path, text) == [
        (line_of(text, 'id = "one"', 2), "strategies[1].id: there are two strategies called 'one'"),
        (line_of(text, "symbols = []"), "strategies[2].symbols: a strategy needs at least one symbol"),
    ]


@pytest.mark.parametrize(
    ("plugin", "said"),
    [
        ("makr", "no plugin 'makr' (did you mean 'maker'?)"),
        ("plugins.py:Absent", "has no class Absent: it has Plain, Sizes, Sized, Misspelt, Asynchronous, Curious, Unmarked"),
        ("none.py:Plain", "no plugin file"),
        ("plugins.py:Misspelt", "there is no hook on_boook (did you mean on_book?)"),
        ("plugins.py:Asynchronous", "on_book is asynchronous"),
        ("plugins.py:Curious", "account"),
        ("plugins.py:Unmarked", "on_book lacks its @hookimpl and would never be called"),
    ],
)
def test_s8_plugins_that_are_refused(tmp_path: Path, plugin: str, said: str) -> None:
    text = EMBEDDED + STRATEGY.replace("plugins.py:Plain", plugin)
    ((line, rest),) = found(tmp_path, text)
    assert line == line_of(text, "plugin =")
    assert rest.startswith("strategies[0].plugin: ")
    assert said in rest
    overlaid = EMBEDDED + STRATEGY + f'[[strategies.overlays]]\nplugin = "{plugin}"\n'
    ((line, rest),) = found(tmp_path, overlaid)
    assert line == line_of(overlaid, "plugin =", 2)
    assert rest.startswith("strategies[0].overlays[0].plugin: ")
    assert said in rest


def test_a_strategy_that_would_never_do_anything_is_refused(tmp_path: Path) -> None:
    text = EMBEDDED + STRATEGY.replace("plugins.py:Plain", "guard")
    ((_, rest),) = found(tmp_path, text)
    assert rest.endswith("'guard' only watches over others: put it under [[strategies.overlays]] of the strategy it shall watch")
    (tmp_path / "idle.py").write_text("class Idle:\n    pass\n")
    ((_, rest),) = found(tmp_path, EMBEDDED + STRATEGY.replace("plugins.py:Plain", "idle.py:Idle"))
    assert rest.endswith("'Idle' has no hook: mark its methods, such as on_book, with @hookimpl")


LISTENER = """
from coldframe import hookimpl
class Listener:
    @hookimpl
    def on_candle(self, event):
        pass
    @hookimpl
    def on_mark(self, event):
        pass
"""


@pytest.mark.parametrize(
    ("streams", "deaf"),
    [
        ("", ["BTCUSDT, ETHUSDT"]),
        ('[[streams]]\nsymbols = ["BTCUSDT"]\nchannels = ["kline_5m"]\n', ["ETHUSDT"]),
        ('[[streams]]\nsymbols = ["BTCUSDT", "ETHUSDT"]\nchannels = ["kline_5m"]\n', []),
    ],
)
def test_a_hook_that_no_stream_will_call_is_named(tmp_path: Path, streams: str, deaf: list[str]) -> None:
    (tmp_path / "listener.py").write_text(LISTENER)
    table = '[[strategies]]\nid = "s"\nplugin = "listener.py:Listener"\nsymbols = ["BTCUSDT", "ETHUSDT"]\n'
    path = tmp_path / "bot.toml"
    path.write_text(EMBEDDED + streams + table)
    bot = build(read(path), ["BTCUSDT", "ETHUSDT"])
    assert bot.notes == [
        f'strategy s has on_candle, but no stream will call it for {line}: add channels = ["kline_1m"] under [[streams]]'
        for line in deaf
    ]


@pytest.mark.parametrize("broken", ["import no_such_module", "def (", "raise SystemExit(3)", "1 / 0"])
def test_a_plugin_file_that_cannot_be_loaded(tmp_path: Path, broken: str) -> None:
    (tmp_path / "broken.py").write_text(broken)
    text = EMBEDDED + STRATEGY.replace("plugins.py:Plain", "broken.py:Any")
    ((line, rest),) = found(tmp_path, text)
    assert line == line_of(text, "plugin =")
    assert f"plugin file {tmp_path / 'broken.py'} cannot be loaded: " in rest


def test_parameters_that_do_not_fit(tmp_path: Path) -> None:
    sized = STRATEGY.replace("Plain", "Sized")
    text = EMBEDDED + sized + '[strategies.params]\nsize = 0.5\nlevel = 2\nlevels = "3"\n' + STRATEGY.replace('"one"', '"two"')
    text += "[strategies.params]\nspeed = 1\n"
    rows = found(tmp_path, text)
    assert {(line, rest.split(": ")[0]) for line, rest in rows} == {
        (line_of(text, "size ="), "strategies[0].params.size"),
        (line_of(text, "level ="), "strategies[0].params.level"),
        (line_of(text, "levels ="), "strategies[0].params.levels"),
        (line_of(text, "speed ="), "strategies[1].params.speed"),
    }
    assert "takes no parameters" in rows[-1][1]
    missing = EMBEDDED + sized
    ((line, rest),) = found(tmp_path, missing)
    assert line == line_of(missing, "[[strategies]]")
    assert rest.startswith("strategies[0].params.size: ")


def test_parameters_that_raise(tmp_path: Path) -> None:
    for level, said in ((14, "fourteen is too many"), (15, "fifteen neither")):
        text = EMBEDDED + STRATEGY.replace("Plain", "Sized") + f'[strategies.params]\nsize = "1"\nlevels = {level}\n'
        ((line, rest),) = found(tmp_path, text)
        assert line in (line_of(text, "[strategies.params]"), line_of(text, "levels"))
        assert said in rest


def test_a_constructor_that_raises(tmp_path: Path) -> None:
    text = EMBEDDED + STRATEGY.replace("Plain", "Sized") + '[strategies.params]\nsize = "1"\nlevels = 13\n'
    ((line, rest),) = found(tmp_path, text)
    assert line == line_of(text, "plugin =")
    assert "cannot be made: RuntimeError: thirteen levels bring bad luck" in rest


# -- live -------------------------------------------------------------------------------------------------------------


def test_live_demands_everything_at_once(tmp_path: Path) -> None:
    text = MAINNET + '\n[orders]\nmode = "live"\n' + STRATEGY + '[risk]\nmax_drawdown = "100"\n'
    assert found(tmp_path, text, None) == [
        (line_of(text, "mode ="), "orders.mode: live trading also needs --live on the command line"),
        (line_of(text, "[risk]"), "risk.max_order_notional: is required for live trading"),
        (line_of(text, "[risk]"), "risk.max_gross_notional: is required for live trading"),
        (line_of(text, "[risk]"), "risk.price_collar_pct: is required for live trading"),
        (line_of(text, "[risk]"), "risk.max_open_orders: is required for live trading"),
        (line_of(text, "[[strategies]]"), "strategies[0].budget.max_position: is required for live trading"),
        (line_of(text, "[orders]"), "orders.api_key: is required for live trading"),
        (line_of(text, "[orders]"), "orders.private_key: live trading needs either private_key (Ed25519, RSA) or secret (HMAC)"),
    ]


LIVE = (
    MAINNET
    + '\n[orders]\nmode = "live"\napi_key = "env:KEY"\nsecret = "env:SECRET"\n'
    + STRATEGY
    + 'budget = { max_position = "1" }\n[risk]\nmax_order_notional = "1"\nmax_gross_notional = "1"\nprice_collar_pct = "1"\n'
    + 'max_open_orders = 1\nmax_drawdown = "1"\n'
)


@pytest.mark.parametrize(("mode", "hedge"), [("hedge", "false"), ("one_way", "true")])
def test_o22_a_position_mode_that_is_not_the_paper_account_s(tmp_path: Path, mode: str, hedge: str) -> None:
    accounts = f'[[venue.embedded.accounts]]\nname = "main"\nhedge_mode = {hedge}\n'
    text = EMBEDDED + accounts + f'[orders]\nposition_mode = "{mode}"\n'
    said = f'orders.position_mode: is "{mode}", but the first of venue.embedded.accounts has hedge_mode = {hedge}'
    assert found(tmp_path, text) == [(line_of(text, "position_mode"), said)]
    other = "hedge" if mode == "one_way" else "one_way"
    assert built(tmp_path, EMBEDDED + accounts + f'[orders]\nposition_mode = "{other}"\n').strategies == ()
    assert built(tmp_path, EMBEDDED + accounts + f'[orders]\nmode = "off"\nposition_mode = "{mode}"\n').strategies == ()


def test_live_names_the_strategy_that_it_means(tmp_path: Path) -> None:
    wrong = STRATEGY.replace('"one"', '"NOT AN ID"')
    text = LIVE.replace(STRATEGY, wrong + STRATEGY).replace('budget = { max_position = "1" }', "")
    rows = found(tmp_path, text, None, live=True)
    assert (line_of(text, "[[strategies]]", 2), "strategies[1].budget.max_position: is required for live trading") in rows
    assert len(rows) == 2


def test_live_with_everything(tmp_path: Path) -> None:
    assert built(tmp_path, LIVE, None, live=True).config.orders.mode == "live"
    assert [rest for _, rest in found(tmp_path, LIVE, None)] == ["orders.mode: live trading also needs --live on the command line"]
    both = LIVE.replace("secret =", 'private_key = "env:PEM"\nsecret =')
    assert [line for line, _ in found(tmp_path, both, None, live=True)] == [line_of(both, "private_key")]
    embedded = LIVE.replace('"mainnet"', '"embedded"')
    ((line, rest),) = found(tmp_path, embedded, live=True)
    assert line == line_of(embedded, "mode =")
    assert "the embedded venue is paper" in rest


@pytest.mark.parametrize(
    ("key", "url", "said"),
    [
        ("rest_url", "https://api.evil.example", "is neither a host of the exchange nor this machine"),
        ("streams_url", "wss://fstream.binance.com.evil.example", "is neither a host of the exchange nor this machine"),
        ("api_url", "wss://evilbinance.com/ws-fapi/v1", "is neither a host of the exchange nor this machine"),
        ("rest_url", "https://fapi.binance.com@evil.example", "is neither a host of the exchange nor this machine"),
        ("rest_url", "https://evil.example@fapi.binance.com", "and nothing else"),
        ("rest_url", "fapi.binance.com", "is neither a host of the exchange nor this machine"),
        ("rest_url", "http://fapi.binance.com", "must begin with https://, so that it is encrypted"),
        ("streams_url", "ws://fstream.binance.com", "must begin with wss://, so that it is encrypted"),
        ("rest_url", "ftp://localhost", "must begin with https:// or http://"),
        ("api_url", "https://localhost:1", "must begin with wss:// or ws://"),
        ("rest_url", "http://localhost:99999", "is not a valid address: "),
        ("rest_url", "https://a..b.binance.com", "is not a valid address: "),
        ("rest_url", f"https://{'a' * 70}.binance.com", "is not a valid address: "),
        ("rest_url", "http://[::1", "is not a valid address: "),
        ("streams_url", "ws://localhost:1/?x=1", "and nothing else"),
    ],
)
def test_orders_go_to_the_exchange_or_nowhere(tmp_path: Path, key: str, url: str, said: str) -> None:
    text = MAINNET + f'{key} = "{url}"\n' + OFF
    ((line, rest),) = found(tmp_path, text, None)
    assert line == line_of(text, key)
    assert rest.startswith(f"venue.{key}: {url} ")
    assert said in rest


def test_addresses_that_may_be_named(tmp_path: Path) -> None:
    for url in (
        "https://fapi.binance.com",
        "https://demo-fapi.binance.com",
        "https://testnet.binancefuture.com",
        "http://127.0.0.1:9",
    ):
        assert endpoints(built(tmp_path, MAINNET + f'rest_url = "{url}"\n' + OFF, None).config).rest == url
    text = EMBEDDED + 'api_url = "ws://localhost:1"\n'
    assert found(tmp_path, text) == [(line_of(text, "api_url"), "venue.api_url: the embedded venue has its own address")]


# -- everything at once -----------------------------------------------------------------------------------------------


def test_all_findings_come_in_one_pass_those_of_the_file_too(tmp_path: Path) -> None:
    text = EMBEDDED + "sed = 7\n" + STREAMS.replace("aggTrade", "aggtrade") + STRATEGY.replace("BTCUSDT", "BTCUSD")
    text += STRATEGY.replace("Plain", "Absent").replace('"one"', '"UPPER"') + STRATEGY.replace("Plain", "Absent").replace(
        '"one"', '"three"'
    )
    rows = found(tmp_path, text)
    assert sorted(line for line, _ in rows) == [
        line_of(text, "sed ="),
        line_of(text, "channels"),
        line_of(text, "symbols", 2),
        line_of(text, '"UPPER"'),
        line_of(text, "Absent", 2),
    ]


CHECKED = """
from coldframe import hookimpl

class Plain:
    @hookimpl
    def on_book(self, event, view):
        return None

def check(document):
    NAMES

@hookimpl
def provide_strategies():
    return {"checked": Plain}

@hookimpl
def provide_checks():
    PROVIDE
"""


@pytest.mark.parametrize(
    ("check", "provide", "said"),
    [
        ("return [f\"{document['name']} is a poor name\", 'and so on']", "return [check]", ["bot is a poor name", "and so on"]),
        ("return []", "return [check]", []),
        ("yield 5", "return [check]", ["5"]),
        ("raise KeyError('no such table')", "return [check]", ["a plugin's check failed: KeyError: 'no such table'"]),
        ("yield 'first'; raise ValueError('late')", "return [check]", ["a plugin's check failed: ValueError: late"]),
        ("return 5", "return [check]", ["a plugin's check failed: TypeError"]),
        ("return []", "return 5", ["a plugin's check failed: TypeError"]),
        ("return []", "raise ValueError('no checks')", ["a plugin's check failed: ValueError: no checks"]),
    ],
)
def test_checks_of_plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, check: str, provide: str, said: list[str]) -> None:
    name = f"checked_{abs(hash((check, provide)))}"
    (tmp_path / f"{name}.py").write_text(CHECKED.replace("NAMES", check).replace("PROVIDE", provide))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(module, "PluginRegistry", lambda: PluginRegistry([EntryPoint("checked", name, GROUP)]))
    loaded = read(written(tmp_path, EMBEDDED + STRATEGY.replace("plugins.py:Plain", "checked")))
    if not said:
        assert build(loaded, LISTED).strategies[0].part.plugin.name == "checked"
        return
    with pytest.raises(ConfigError) as refused:
        build(loaded, LISTED)
    assert len(refused.value.findings) == len(said)
    assert all(finding.startswith(text) for finding, text in zip(refused.value.findings, said, strict=True))


def test_making_a_part_that_raises_later(tmp_path: Path) -> None:
    text = EMBEDDED + STRATEGY.replace("Plain", "Sized") + '[strategies.params]\nsize = "1"\n'
    part = built(tmp_path, text).strategies[0].part
    unlucky = attrs.evolve(part, params=attrs.evolve(part.params, levels=13))  # type: ignore[type-var]
    with pytest.raises(PluginError, match="thirteen levels"):
        unlucky.make()

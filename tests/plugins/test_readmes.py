"""What the plugins' own documents say is what the code does: parameters, units, defaults, and the TOML they show."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest

from coldframe.plug.loader import PluginRegistry
from coldframe.runtime.build import Bot, build, read
from coldframe.runtime.venues import listed_symbols
from coldframe_guard import Guard
from coldframe_maker import Maker
from coldframe_momentum import Momentum

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
KINDS: dict[str, Any] = {"maker": Maker, "momentum": Momentum, "guard": Guard}
UNITS = {
    "_bps": "basis points",
    "_ms": "milliseconds",
    "size": "base asset",
    "notional": "quote asset",
    "_quotes": "quotes",
    "_trades": "trades",
    "_per_minute": "orders",
    "_imbalance": "ratio",
    "_utc": "HH:MM",
}
HEAD = 'config_version = 1\nname = "shown"\n'

by_name = pytest.mark.parametrize("name", sorted(KINDS))


def readme(name: str) -> str:
    return (PLUGINS / f"coldframe_{name}" / "README.md").read_text(encoding="utf-8")


def table(name: str) -> dict[str, list[str]]:
    """Rows of the table of parameters by name: unit, default, meaning."""
    rows = [line.strip("|").split("|") for line in readme(name).splitlines() if line.startswith("| `")]
    return {cells[0].strip(" `"): [cell.strip() for cell in cells[1:]] for cells in rows}


def printed(default: Any) -> str:
    if default is None or isinstance(default, attrs.Factory):  # type: ignore[arg-type]
        return "none"
    return f"{default:f}" if isinstance(default, Decimal) else str(default)


@by_name
def test_the_table_names_every_parameter_in_order(name: str) -> None:
    fields = [field.name for field in attrs.fields(KINDS[name].Params)]
    assert list(table(name)) == fields


@by_name
def test_defaults_are_the_code_s(name: str) -> None:
    shown = {parameter: cells[1] for parameter, cells in table(name).items()}
    assert shown.pop("requote_bps", "a quarter of `spread_bps`") == "a quarter of `spread_bps`"
    for field in attrs.fields(KINDS[name].Params):
        if field.name in shown:
            assert shown[field.name] == printed(field.default), field.name


@by_name
def test_units_are_in_the_names(name: str) -> None:
    for parameter, (unit, _, meaning) in table(name).items():
        wanted = next(word for ending, word in UNITS.items() if parameter.endswith(ending))
        assert wanted in unit, parameter
        assert meaning


def shown_bot(name: str, tmp_path: Path) -> Bot:
    """The bot that the document shows, built as a run would build it."""
    shown = re.search(r"```toml\n(.*?)```", readme(name), re.DOTALL)
    assert shown is not None
    path = tmp_path / "shown.toml"
    path.write_text(HEAD + shown[1], encoding="utf-8")
    loaded = read(path)
    return build(loaded, listed_symbols(loaded.config.venue.embedded))


@by_name
def test_what_it_shows_can_be_run(name: str, tmp_path: Path) -> None:
    (strategy,) = shown_bot(name, tmp_path).strategies
    parts = [strategy.part, *strategy.overlays]
    assert name in [part.plugin.name for part in parts]
    strategy.make_plugin()


@by_name
def test_it_is_listed_with_one_sentence(name: str) -> None:
    (plugin,) = [plugin for plugin in PluginRegistry().installed() if plugin.name == name]
    assert plugin.kind is KINDS[name]
    assert plugin.summary.endswith(".")


@by_name
def test_a_wrong_parameter_is_named_with_its_line(name: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.toml"
    params = 'params = { spread_bps = "-1", stop_bps = "-1", max_spread_bps = "-1" }'
    path.write_text(f'{HEAD}[[strategies]]\nid = "x"\nplugin = "{name}"\nsymbols = ["BTCUSDT"]\n{params}\n', encoding="utf-8")
    known = {"maker": "spread_bps", "momentum": "stop_bps", "guard": "max_spread_bps"}[name]
    with pytest.raises(Exception, match=rf"wrong.toml:7: strategies\[0\]\.params\.{known}: '{known}' must be > 0: -1") as raised:
        build(read(path), ["BTCUSDT"])
    assert str(raised.value).count("unknown key") == 2

"""Every mistake in a configuration is named at its line, all of them in one pass, and nothing else is."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.config.load import Loaded, dotted, load
from coldframe.config.schema import Config
from coldframe.errors import ConfigError
from tests.config.whole import NO_SECRET, WHOLE, WRONG, Key, described

HEAD = 'config_version = 1\nname = "x"\n'
CONFIGS = Path(__file__).resolve().parents[2] / "configs"
KEYS = described()
REFERENCE = "must be a reference (env:NAME, file:PATH, cred:NAME, keyring:NAME), never the secret itself"
SPEEDS = ("0", "-1", "fast", "1e3", "", "1.2.3", "٣")


def loaded(folder: Path, text: str | bytes) -> Loaded:
    path = folder / "bot.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return load(path)


def found(folder: Path, text: str) -> list[str]:
    """Every finding, with the line but without the name of the file."""
    try:
        findings = loaded(folder, text).findings
    except ConfigError as error:
        findings = error.findings
    start = f"{folder / 'bot.toml'}:"
    assert all(finding.startswith(start) for finding in findings)
    return [finding.removeprefix(start) for finding in findings]


def refusal(folder: Path, text: str | bytes) -> str:
    with pytest.raises(ConfigError) as refused:
        loaded(folder, text)
    (finding,) = refused.value.findings
    assert len(finding.splitlines()) == 1
    return finding


# -- what is right ----------------------------------------------------------------------------------------------------


def test_a_whole_configuration(tmp_path: Path) -> None:
    made = loaded(tmp_path, WHOLE)
    assert made.findings == ()
    config = made.config
    assert config.venue.embedded.pace == Decimal(2)
    assert [account.name for account in config.venue.embedded.accounts] == ["first", "second"]
    assert config.strategies[0].budget.max_notional == Decimal(2)
    assert config.strategies[0].params == {"anything": {"goes": [1.5, "here"]}}
    assert [overlay.plugin for overlay in config.strategies[1].overlays] == ["guard", "other"]
    assert config.risk.price_collar_pct == Decimal("3.5")
    assert made.document["feeds"]["patience"] == 40


def test_it_names_every_key_there_is_and_none_at_its_default(tmp_path: Path) -> None:
    """So that the mutations below reach all of them."""

    config = loaded(tmp_path, WHOLE).config
    tables: list[Any] = [config, config.venue, config.venue.embedded, config.venue.embedded.limits, config.venue.embedded.faults]
    tables += [
        config.venue.embedded.accounts[0],
        config.venue.embedded.changes[0],
        config.orders,
        config.streams[0],
        config.strategies[0],
        config.strategies[0].budget,
    ]
    tables += [config.strategies[0].overlays[0], config.risk, config.risk.first_minutes, config.feeds, config.halt, config.journal]
    for table in tables:
        for field in attrs.fields(type(table)):
            default = field.default.factory() if isinstance(field.default, attrs.Factory) else field.default  # type: ignore[arg-type]
            assert getattr(table, field.name) != default or default is attrs.NOTHING, f"{type(table).__name__}.{field.name}"


def test_the_least_there_is(tmp_path: Path) -> None:
    config = loaded(tmp_path, HEAD).config
    assert attrs.evolve(config, venue=config.venue) == Config(config_version=1, name="x")


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.name)
def test_the_configurations_that_ship(path: Path) -> None:
    made = load(path)
    assert made.findings == ()
    assert made.config.strategies
    assert made.config.venue.embedded.recording is None or Path(made.config.venue.embedded.recording).is_file()


def test_files_count_from_the_folder_of_the_configuration(tmp_path: Path) -> None:
    config = loaded(tmp_path, WHOLE).config
    embedded = config.venue.embedded
    assert config.venue.ca_file == str(tmp_path / "certs/ca.pem")
    assert embedded.recording == str(tmp_path / "recordings/one.jsonl.gz")
    assert (embedded.tls_certificate, embedded.tls_key) == (str(tmp_path / "certs/chain.pem"), "/etc/keys/key.pem")
    assert (embedded.keys_dir, embedded.state_dir) == (str(tmp_path / "keys"), str(tmp_path / "state"))
    assert config.journal.file == str(tmp_path / "state/journal")
    # A secret is found by who resolves the reference.
    assert config.orders.private_key == "file:key.pem"


@pytest.mark.parametrize("change", [lambda text: text.replace("\n", "\r\n"), lambda text: "\ufeff" + text])
def test_what_other_editors_write(tmp_path: Path, change: Any) -> None:
    assert loaded(tmp_path, change(WHOLE)).config == loaded(tmp_path, WHOLE).config
    wrong = WHOLE.replace("seed = 8", "sed = 8")
    assert found(tmp_path, change(wrong)) == found(tmp_path, wrong)


# -- mutations --------------------------------------------------------------------------------------------------------


@attrs.frozen
class Mutation:
    """A line of the text written wrongly, and what has to be said about it."""

    key: Key
    line: str
    said: frozenset[str]


def finding(line: int, path: tuple[str | int, ...], text: str) -> str:
    return f"{line}: {dotted(path)}: {text}"


def mutations(key: Key) -> list[Mutation]:
    name, value = WHOLE.splitlines()[key.line - 1].split(" = ", 1)
    made = []
    for wrong in {name[:-1], name + "x", name[0] + name, name.upper()} - {""}:
        said = {finding(key.line, (*key.path[:-1], wrong), f"unknown key{meant(wrong, key)}")}
        if key.required:
            said.add(finding(key.table_line, key.path, "is required"))
        made.append(Mutation(key, f"{wrong} = {value}", frozenset(said)))
    for written, text in WRONG[key.kind]:
        unfit = finding(key.line, key.path, NO_SECRET if key.secret else text)
        made.append(Mutation(key, f"{name} = {written}", frozenset({unfit})))
    return made


def meant(wrong: str, key: Key) -> str:
    return "" if wrong.isupper() else f" (did you mean {key.name}?)"


def test_a_wrong_value_in_a_free_table_is_named_by_its_key(tmp_path: Path) -> None:
    wrong = WHOLE.replace("leverage = { BTCUSDT = 5 }", 'leverage = { BTCUSDT = 5, ETHUSDT = "x", XRPUSDT = 1.5 }')
    assert sorted(text.partition(": ")[2] for text in found(tmp_path, wrong)) == [
        "orders.leverage.ETHUSDT: must be a whole number, not 'x'",
        "orders.leverage.XRPUSDT: must be a whole number, not 1.5",
    ]


MUTATIONS = {key.path: mutations(key) for key in KEYS}


def mutated(chosen: list[Mutation]) -> str:
    lines = WHOLE.splitlines()
    for item in chosen:
        lines[item.key.line - 1] = item.line
    return "\n".join(lines)


@pytest.mark.parametrize("key", KEYS, ids=lambda key: dotted(key.path))
def test_g1_one_mistake_is_named_at_its_line_and_nothing_else(tmp_path: Path, key: Key) -> None:
    for mutation in MUTATIONS[key.path]:
        assert set(found(tmp_path, mutated([mutation]))) == mutation.said, mutation.line


@given(st.data())
def test_all_mistakes_are_named_in_one_pass(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    keys = data.draw(st.lists(st.sampled_from(KEYS), min_size=1, max_size=12, unique_by=lambda key: key.line))
    chosen = [data.draw(st.sampled_from(MUTATIONS[key.path])) for key in keys]
    findings = found(tmp_path_factory.getbasetemp(), mutated(chosen))
    assert len(findings) == len(set(findings))
    assert set(findings) == {said for item in chosen for said in item.said}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("config_version = 1", "config_version = 2", "must be between 1 and 1, not 2"),
        ('name = "whole"', 'name = "no spaces"', "must be 1 to 64 letters, digits, dots, dashes, not 'no spaces'"),
        ('environment = "testnet"', 'environment = "tesnet"', "must be one of embedded, testnet, mainnet, not 'tesnet'"),
        ("port = 8443", "port = 65536", "must be between 0 and 65535, not 65536"),
        ("seed = 8", "seed = -1", "must not be negative, not -1"),
        ('pace = "2"', 'pace = "0"', "must be greater than 0, not 0"),
        ("max_drawdown = 5", "max_drawdown = -5", "must be greater than 0, not -5"),
        ('id = "two"', 'id = "TWO"', "must be 1 to 16 characters a-z, 0-9, - or _, beginning with a letter or digit, not 'TWO'"),
        ('on_error = "halt"', 'on_error = "stop"', "must be one of quarantine, flatten, halt, not 'stop'"),
        ('api_key = "env:API_KEY"', 'api_key = "vX9"', REFERENCE),
        ("streams_per_link = 10", "streams_per_link = 1025", "must be between 1 and 1024, not 1025"),
        ('max_position = "1"', 'max_position = "NaN"', "must be a plain decimal number, not 'NaN'"),
        ('symbols = ["ETHUSDT"]', "symbols = [\n5]", "must be a text, not 5"),
    ],
)  # fmt: skip
def test_g2_values_that_do_not_fit(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert WHOLE.count(old) == 1
    line = WHOLE[: WHOLE.index(old)].count("\n") + 1
    (problem,) = found(tmp_path, WHOLE.replace(old, new))
    assert problem.startswith(f"{line}: ")
    assert problem.endswith(f": {said}")


@pytest.mark.parametrize(
    ("text", "findings"),
    [
        ("", ["1: config_version: is required", "1: name: is required"]),
        (HEAD + "risk = 5", ["3: risk: must be a table, not 5"]),
        (HEAD + "\n[streams]\nx = 1", ["4: streams: must be a list, not {'x': 1}"]),
        (HEAD + "strategies = [5]", ["3: strategies[0]: must be a table, not 5"]),
        (HEAD + "[riks]\nx = 1", ["3: riks: unknown key (did you mean risk?)"]),
        (HEAD + "[[strateges]]\nid = 'a'", ["3: strateges: unknown key (did you mean strategies?)"]),
        (HEAD + "\n[venu.embedded]\nseed = 1", ["4: venu: unknown key (did you mean venue?)"]),
        (HEAD + "[venue.embeded.limits]\nx = 1", ["3: venue.embeded: unknown key (did you mean embedded?)"]),
        (HEAD + "risk.max_drawdwn = 1", ["3: risk.max_drawdwn: unknown key (did you mean max_drawdown?)"]),
        (HEAD + "[risk]\n'max_drawdown' = -1", ["4: risk.max_drawdown: must be greater than 0, not -1"]),
        (HEAD + "risk = { max_drawdown = -1 }", ["3: risk.max_drawdown: must be greater than 0, not -1"]),
        (HEAD + "[[venue.embedded.accounts]]\n", ["3: venue.embedded.accounts[0].name: is required"]),
        (HEAD + "[[strategies]]\nid='a'\nplugin='m'\nsymbols=[]\nbudget = 5", ["7: strategies[0].budget: must be a table, not 5"]),
    ],
)  # fmt: skip
def test_tables_that_do_not_fit(tmp_path: Path, text: str, findings: list[str]) -> None:
    assert found(tmp_path, text) == findings


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('tls_key = "k"', "tls_certificate and tls_key come together or not at all"),
        ('market = "recording"', "market is a recording, but no recording is named"),
        ("accounts = []", "accounts need different names, and there must be one at least"),
        ('accounts = [{ name = "a" }, { name = "a" }]', "accounts need different names, and there must be one at least"),
        *((f"speed = '{speed}'", f"speed must be a number above 0 or \"max\", not '{speed}'") for speed in SPEEDS),
    ],
)  # fmt: skip
def test_keys_that_do_not_go_together(tmp_path: Path, lines: str, said: str) -> None:
    assert found(tmp_path, f"{HEAD}[venue.embedded]\n{lines}\n[risk]\nx = 1") == [
        f"3: venue.embedded: {said}",
        "6: risk.x: unknown key",
    ]


# -- what is left to look at ------------------------------------------------------------------------------------------


def test_what_fits_is_kept_and_its_place_in_the_file_is_known(tmp_path: Path) -> None:
    text = WHOLE.replace('id = "one"', "id = 1").replace('channels = ["aggTrade"]', "channels = 5").replace("seed = 8", "seed = []")
    made = loaded(tmp_path, text)
    assert len(made.findings) == 3
    assert [strategy.id for strategy in made.config.strategies] == ["two"]
    assert made.at("strategies", 0, "plugin") == ("strategies", 1, "plugin")
    assert made.source.finding(made.at("strategies", 0, "plugin"), "x") == made.source.finding(("strategies", 1, "plugin"), "x")
    assert made.at("streams", 0) == ("streams", 1)
    assert made.config.venue == Config(config_version=1, name="x").venue
    assert made.config.risk.max_open_orders == 4


def test_where_everything_fits_every_place_is_its_own(tmp_path: Path) -> None:
    made = loaded(tmp_path, WHOLE)
    assert [made.at("strategies", index) for index in (0, 1)] == [("strategies", 0), ("strategies", 1)]


# -- numbers ----------------------------------------------------------------------------------------------------------


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_what_a_float_is_told_to_become_is_taken(tmp_path_factory: pytest.TempPathFactory, number: float) -> None:
    folder = tmp_path_factory.getbasetemp()

    def text(value: str) -> str:
        return f'{HEAD}[[venue.embedded.accounts]]\nname = "a"\nmaker_fee_bps = {value}\n'

    (said,) = found(folder, text(repr(number)))
    start = "5: venue.embedded.accounts[0].maker_fee_bps: must be "
    assert said.startswith(start)
    told = said.removeprefix(start)
    if told.startswith("quoted so that it stays exact: "):
        fee = (
            loaded(folder, text(told.removeprefix("quoted so that it stays exact: ")))
            .config.venue.embedded.accounts[0]
            .maker_fee_bps
        )
        assert fee == Decimal(repr(number))
    else:
        assert told == f"a plain decimal number, not {number!r}"
        assert not 1 < abs(number) < 1e15


@given(st.decimals(-(10**15), 10**15, places=8))
def test_a_quoted_number_stays_exact(tmp_path_factory: pytest.TempPathFactory, number: Decimal) -> None:
    text = f'{HEAD}[[venue.embedded.accounts]]\nname = "a"\nmaker_fee_bps = "{number:f}"\n'
    fee = loaded(tmp_path_factory.getbasetemp(), text).config.venue.embedded.accounts[0].maker_fee_bps
    assert f"{fee:f}" == f"{number:f}"


# -- files that are not a configuration -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEAD + "x = ", "bot.toml:3: not TOML: "),
        (HEAD + "[risk]\n[risk]\n", "bot.toml:4: not TOML: "),
        (HEAD + 'name = "twice"\n', "bot.toml:3: not TOML: "),
        (HEAD + "x = 01", "bot.toml:3: not TOML: "),
        (b"\xff\xfe\x00", "bot.toml: cannot be read: "),
        ("# long" * 200_000, "bot.toml: larger than 1000 kB: not a configuration"),
        (b"\x00\x01", "bot.toml:1: not TOML: "),
        ("x = " + "[" * 5_000, "bot.toml: cannot be read: "),
        ("x = " + "1" * 5_000, "bot.toml: cannot be read: "),
    ],
)  # fmt: skip
def test_what_is_no_toml(tmp_path: Path, text: str | bytes, said: str) -> None:
    assert refusal(tmp_path, text).startswith(f"{tmp_path}/{said}")


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^.*/gone\.toml: there is no such file$"):
        load(tmp_path / "gone.toml")
    with pytest.raises(ConfigError, match=r"^.*: cannot be read: .*directory"):
        load(tmp_path)


@given(st.binary(max_size=80))
def test_no_bytes_whatever_are_more_than_a_refusal(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError):
        raise ConfigError(*load(path).findings)


# -- secrets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written", ["'CANARY'", "['CANARY']", "{ CANARY = 'CANARY' }", "'env:'", "'enw:CANARY'", "'''env:a\nCANARY'''"]
)
@pytest.mark.parametrize("name", ["api_key", "private_key", "secret"])
def test_x2_what_may_be_a_secret_is_never_shown(tmp_path: Path, name: str, written: str) -> None:
    (said,) = found(tmp_path, f"{HEAD}[orders]\n{name} = {written}\n")
    assert said.startswith(f"4: orders.{name}: must be a ")
    assert "CANARY" not in said

"""`coldframe venue-change` against a venue process: what it changes, who may ask, and what it says when it cannot."""

from __future__ import annotations

import json
import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.commands.here import CONFIGS, Done, coldframe
from tests.scenes.support import VenueProcess, venue

B = "BTCUSDT"


@pytest.fixture(scope="module")
def home() -> Iterator[dict[str, str]]:
    """A short one, as a user's is."""
    with tempfile.TemporaryDirectory(prefix="cf") as folder:
        yield {"XDG_STATE_HOME": folder, "HOME": folder}


@pytest.fixture(scope="module")
def served(home: dict[str, str]) -> Iterator[VenueProcess]:
    with venue(CONFIGS / "quickstart.toml", env=home) as process:
        yield process


def change(env: dict[str, str], *args: str) -> Done:
    return coldframe("venue-change", *args, env=env)


def done(env: dict[str, str], *args: str) -> dict[str, Any]:
    answer = change(env, *args, "--json")
    assert answer.returncode == 0, answer.stderr
    document = json.loads(answer.stdout)
    assert document["done"] is True
    return dict(document)


def row(served: VenueProcess, symbol: str) -> dict[str, Any] | None:
    rows = served.ask("/fapi/v1/exchangeInfo")["symbols"]
    return next((dict(row) for row in rows if row["symbol"] == symbol), None)


def rule(served: VenueProcess, kind: str, name: str) -> str:
    found = row(served, B)
    assert found is not None
    return str(next(rule[name] for rule in found["filters"] if rule["filterType"] == kind))


def control(home: dict[str, str], served: VenueProcess) -> Path:
    return Path(home["XDG_STATE_HOME"], "coldframe", "venues", served.said["rest"].rpartition(":")[2] + ".sock")


def talk(path: Path, line: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as there:
        there.settimeout(30)
        there.connect(str(path))
        there.sendall(line)
        with there.makefile("rb") as lines:
            return lines.readline()


def test_rules_change_at_a_running_venue(home: dict[str, str], served: VenueProcess) -> None:
    for what, value, kind, name in (
        ("tick", "0.5", "PRICE_FILTER", "tickSize"),
        ("step", "0.01", "LOT_SIZE", "stepSize"),
        ("min_notional", "100", "MIN_NOTIONAL", "notional"),
    ):
        assert rule(served, kind, name) != value
        document = done(home, what, value, "--symbol", B)
        assert (document["what"], document["value"], document["symbol"]) == (what, value, B)
        assert rule(served, kind, name) == value


def test_settings_of_an_account_change(home: dict[str, str], served: VenueProcess) -> None:
    done(home, "leverage", "7", "--symbol", B)
    assert next(row["leverage"] for row in served.ask("/fapi/v1/symbolConfig") if row["symbol"] == B) == 7
    done(home, "fee_burn", "on", "--account", "main")
    assert served.ask("/fapi/v1/feeBurn") == {"feeBurn": True}
    done(home, "position_mode", "hedge")
    assert served.ask("/fapi/v1/positionSide/dual") == {"dualSidePosition": True}
    done(home, "position_mode", "one_way")


def test_a_contract_is_delisted(home: dict[str, str], served: VenueProcess) -> None:
    symbol = "ETHUSDT"
    order = served.do(
        "POST", "/fapi/v1/order", symbol=symbol, side="BUY", type="LIMIT", timeInForce="GTC", quantity="1", price="2900"
    )
    done(home, "listing", "delisted", "--symbol", symbol)
    found = row(served, symbol)
    assert found is not None
    assert found["status"] == "SETTLING"
    assert served.ask("/fapi/v1/order", symbol=symbol, orderId=order["orderId"])["status"] == "EXPIRED"


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("leverage", "126", "--symbol", B), 2, "coldframe: leverage of BTCUSDT to 126: not done: code -4028"),
        (("tick", "0.5", "--symbol", "XRPUSDT"), 2, "not done: XRPUSDT is not listed"),
        (("tick", "0.5"), 2, "coldframe: a change of tick needs a symbol"),
        (("fee_burn", "maybe"), 2, "coldframe: fee_burn can be on or off, not 'maybe'"),
        (("colour", "red"), 2, "coldframe: must be one of listing, tick"),
        (("fee_burn", "on", "--account", "z"), 2, "there is no account 'z'; there is main"),
        (("fee_burn", "on", "--port", "1"), 69, "coldframe: no `coldframe venue` runs on port 1 for this user"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    home: dict[str, str], served: VenueProcess, args: tuple[str, ...], code: int, said: str
) -> None:
    answer = change(home, *args)
    assert (answer.returncode, answer.stdout) == (code, "")
    (line,) = answer.stderr.splitlines()
    assert said in line


def test_no_venue_is_said_in_one_line() -> None:
    with tempfile.TemporaryDirectory(prefix="cf") as folder:
        answer = change({"XDG_STATE_HOME": folder, "HOME": folder}, "fee_burn", "on")
        assert answer.returncode == 69
        assert answer.stderr.startswith("coldframe: no `coldframe venue` runs for this user (looked in ")
        assert not list(Path(folder).iterdir())


def test_the_socket_is_its_owners_alone(home: dict[str, str], served: VenueProcess) -> None:
    path = control(home, served)
    modes = [stat.S_IMODE(entry.stat().st_mode) for entry in (path, path.parent)]
    assert modes == [0o600, 0o700]
    assert path.stat().st_uid == os.geteuid()


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"{}\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b'{"what":"tick","value":1}\n',
        b'{"what":"tick","value":"0.1","symbol":"BTCUSDT","more":1}\n',
        b'{"what":"tick","value":"\xff"}\n',
        b"[" * 4000 + b"\n",
        b"x" * 10_000,
    ],
)
def test_a_line_that_is_not_a_change_changes_nothing(home: dict[str, str], served: VenueProcess, line: bytes) -> None:
    told = json.loads(talk(control(home, served), line))
    assert told["done"] is False
    assert told["text"].startswith("not a change: ")
    assert served.process.poll() is None


def test_a_silent_client_delays_no_other_client(home: dict[str, str], served: VenueProcess) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as silent:
        silent.connect(str(control(home, served)))
        done(home, "fee_burn", "off")


def test_several_venues_have_to_be_named(home: dict[str, str], served: VenueProcess) -> None:
    port = served.said["rest"].rpartition(":")[2]
    with venue(CONFIGS / "quickstart.toml", env=home) as other:
        answer = change(home, "fee_burn", "on")
        assert answer.returncode == 2
        assert "several venues run, on the ports" in answer.stderr
        done(home, "fee_burn", "on", "--port", port)
        assert served.ask("/fapi/v1/feeBurn") == {"feeBurn": True}
        assert other.ask("/fapi/v1/feeBurn") == {"feeBurn": False}
        gone = control(home, other)
        assert gone.exists()
    assert not gone.exists()
    done(home, "fee_burn", "off")  # the only one again


def test_a_killed_venue_leaves_a_socket_that_is_passed_over(home: dict[str, str], served: VenueProcess) -> None:
    with venue(CONFIGS / "quickstart.toml", env=home) as other:
        left = control(home, other)
        other.kill()
    assert left.exists()
    done(home, "fee_burn", "off")
    port = served.said["rest"].rpartition(":")[2]
    assert change(home, "fee_burn", "on", "--port", left.stem).returncode == 69
    assert done(home, "fee_burn", "on", "--port", port)


def test_a_long_path_is_reached_too(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 60) / ("y" * 60)
    env = {"XDG_STATE_HOME": str(long), "HOME": str(long)}
    with venue(CONFIGS / "quickstart.toml", env=env) as process:
        done(env, "leverage", "9", "--symbol", B)
        assert process.process.poll() is None

"""The same bot over TLS, with a private certificate authority: the live path but for addresses and trust."""

from __future__ import annotations

import signal
import ssl
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trustme

from tests.commands.here import coldframe as here
from tests.scenes.support import CONFIGS, VenueProcess, coldframe, live_config, started, venue, wait_until


def certificates(folder: Path) -> tuple[Path, Path, Path]:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    files = folder / "ca.pem", folder / "chain.pem", folder / "key.pem"
    authority.cert_pem.write_to_path(files[0])
    for number, blob in enumerate(issued.cert_chain_pems):
        blob.write_to_path(files[1], append=number > 0)
    issued.private_key_pem.write_to_path(files[2])
    return files


@contextmanager
def secure_venue(folder: Path, env: dict[str, str]) -> Iterator[tuple[VenueProcess, Path]]:
    """A venue process that speaks TLS, and the authority that signed its certificate."""
    authority, chain, key = certificates(folder)
    config = folder / "venue.toml"
    text = (CONFIGS / "quickstart.toml").read_text()
    config.write_text(text.replace("seed = 7", f'seed = 7\ntls_certificate = "{chain}"\ntls_key = "{key}"', 1))
    with venue(config, "--port", 0, env=env) as served:
        assert served.said["rest"].startswith("https://")
        served.said["verify"] = ssl.create_default_context(cafile=authority)
        yield served, authority


def test_the_whole_live_path_over_tls(tmp_path: Path, home: dict[str, str]) -> None:
    """Banner, checks, trading, dead man's switch, recording, flatten: over TLS, with --debug, and no secret anywhere.

    A bot that is not told of the private authority does not trust it; a bot that is told differs in addresses and authority alone.
    """
    with secure_venue(tmp_path, home) as (served, authority):
        settings = 'dead_man_s = 120\nleverage = { BTCUSDT = 20, ETHUSDT = 20 }\nmargin = "cross"'
        config = live_config(tmp_path, served, extra=f'ca_file = "{authority}"', orders=settings)
        arguments = ("--debug", "run", config, "--live", "--record", tmp_path / "recording.jsonl.gz")
        with started(tmp_path, *arguments, env={**home, "SCENE_KEY": served.api_key}) as bot:
            bot.wait_for("dead man's switch of BTCUSDT: armed, 120 s")
            bot.wait_for("fill: mm")
            said = coldframe("halt", config, "--level", "flatten", env=home)
            assert said.returncode in (0, 75), said.stderr  # 75: too busy to answer in time
            ends = ("the bot brings its positions to zero", "no position of the bot is open: nothing to flatten")
            assert said.returncode == 75 or any(end in said.stdout for end in ends)
            wait_until(lambda: positions(served) == {}, "flat")
            bot.process.send_signal(signal.SIGTERM)
            summary = bot.end()
        assert served.ask("/fapi/v1/openOrders", symbol="BTCUSDT") == []
        check_trust(tmp_path, served, authority, home)
    assert summary["ended"] == "signal"
    assert set(summary["strategies"]["mm"]["position"].values()) == {"0"}
    banner = [line for line in bot.log.splitlines() if "LIVE: scene trades on testnet: 127.0.0.1:" in line]
    assert len(banner) == 1
    for promised in (
        "one-way mode, single-asset margin; dead man's switch 120 s",
        "(Ed25519, logs on)",
        "an order 1000, gross 20000",
    ):
        assert promised in bot.log
    assert bot.log.index("LIVE: scene") < bot.log.index("logged on") < bot.log.index("fill: mm")
    assert "at the venue: 0 open orders, 0 of them the bot's; positions: none" in bot.log


def positions(served: VenueProcess) -> dict[str, float]:
    rows = served.ask("/fapi/v3/positionRisk")
    return {row["symbol"]: float(row["positionAmt"]) for row in rows if float(row["positionAmt"])}


def check_trust(folder: Path, served: VenueProcess, authority: Path, home: dict[str, str]) -> None:
    """Without the private authority nothing is connected; with it the bot is what it would be on the exchange."""
    env = {**home, "SCENE_KEY": served.api_key}
    wary = here("run", live_config(folder, served), "--live", "--for", "8s", env=env)
    assert wary.returncode == 69
    assert "certificate is not trusted" in wary.stderr
    assert "Traceback" not in wary.stderr
    config = live_config(folder, served, extra=f'ca_file = "{authority}"')
    written: dict[str, Any] = tomllib.loads(config.read_text())
    for name in ("rest_url", "streams_url", "api_url", "ca_file"):
        del written["venue"][name]
    assert written["venue"] == {"environment": "testnet"}
    ours = ("rest_url", "streams_url", "api_url", "ca_")
    there = folder / "exchange.toml"
    there.write_text("\n".join(line for line in config.read_text().splitlines() if not line.startswith(ours)))
    done = here("check", there, "--json", env=env)
    assert done.returncode == 0, done.stderr

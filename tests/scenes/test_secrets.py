"""Canaries: everything that a bot prints, writes and leaves behind is searched for its venue's keys, sessions and signatures."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.commands.here import coldframe as here
from tests.scenes.canary import SCENE, Canaries
from tests.scenes.support import CONFIGS, acknowledged, coldframe, live_config, started, venue, wait_until

#: The waits between revocations grow, so that a machine of any speed comes to its orders between two of them. Doubtful orders were
#: taken: that one was not is proved within a minute only, and holds up new ones so long.
FAULTS = """seed = 7
faults = { orders_doubtful = "0.3", doubtful_accepted = "1", doubtful_answers = ["-1007", "503", "silence", "cut"], \
sessions_revoked_s = "2", listen_keys_expire_s = "3", interval_growth = "1.5" }"""


#: What such a venue makes a bot say; a key that cannot log on has no session to lose.
TROUBLE = ("outcome unknown", "order link lost", "listen key expired")


@pytest.mark.parametrize("signing", ["ed25519", "hmac"])
def test_x1_x2_x4_no_secret_in_logs_errors_journal_or_output(tmp_path: Path, home: dict[str, str], signing: str) -> None:
    """At a venue that does everything wrong, with --debug; with an HMAC key every single request carries a signature."""
    troubled = tmp_path / "venue.toml"
    troubled.write_text((CONFIGS / "quickstart.toml").read_text().replace("seed = 7", FAULTS, 1))
    journal = tmp_path / "run.db"
    with venue(troubled, env=home) as there:
        listen_key = there.do("POST", "/fapi/v1/listenKey")["listenKey"]
        SCENE.secrets.add(listen_key)
        config = live_config(tmp_path, there, orders="grace_ms = 5000")
        env = {**home, "SCENE_KEY": there.api_key}
        if signing == "hmac":
            hmac = there.said["keys"]["hmac"]
            env |= {"SCENE_KEY": hmac["api_key"], "SCENE_SECRET": hmac["secret"]}
            text = config.read_text()
            config.write_text(text.replace(f'private_key = "file:{there.key_file}"', 'secret = "env:SCENE_SECRET"'))
        run = ("--debug", "run", config, "--live", "--journal", journal)
        with started(tmp_path, *run, env=env) as bot:
            for text in (*TROUBLE, *(["session revoked"] if signing == "ed25519" else [])):
                bot.wait_for(text)
            wait_until(lambda: acknowledged(journal), "an order was taken")
            bot.stop()
            summary = bot.end(codes=(0, 3, 4))
        wrong = coldframe("--debug", "run", config, "--live", "--for", "5s", env={**env, "SCENE_KEY": "0123456789" * 6})
    assert summary["orders"]["sent"] > 0
    assert wrong.returncode == 77
    assert "Traceback" in wrong.stderr, "with --debug it is shown, and searched as well"
    for verb in (("tail", journal, "-n", "100"), ("export", journal, "--as", "json"), ("fills", journal), ("orders", journal)):
        told = here("journal", *verb)
        SCENE.heard("journal", told.stdout + told.stderr)
        assert told.stdout
    assert len(SCENE.secrets) >= 5
    assert list(SCENE.leaks(tmp_path)) == []
    rows = sqlite3.connect(journal).execute("SELECT kind, body FROM journal").fetchall()
    assert {"request", "answer", "report", "order"} <= {kind for kind, _ in rows}
    # A refusal may name the parameter: "Mandatory parameter 'apiKey' was not sent" after a session was revoked.
    said = [str(body).replace("'apiKey' was not sent", "") for _, body in rows]
    for word in ("signature", "apiKey", "listenKey", "session."):
        assert not any(word in body for body in said), word


def test_x1_a_canary_that_is_let_out_is_found(tmp_path: Path) -> None:
    """A search that finds nothing proves nothing unless it would have found something."""
    canaries = Canaries({"vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zv"})
    assert list(canaries.leaks(tmp_path)) == []
    canaries.heard("stderr", "a line with SD5VNHk4HlWFs in it")
    left = tmp_path / "log"
    left.write_text("?timestamp=1&signature=ab")
    assert list(canaries.leaks(tmp_path)) == ["stderr: a secret of the venue", f"{left}: a signature"]
    left.unlink()

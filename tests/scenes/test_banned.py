"""A ban outlives the process that earned it: the next run sends nothing, and says until when."""

from __future__ import annotations

from pathlib import Path

from tests.scenes.support import CONFIGS, coldframe, live_config, venue


def test_r2_after_a_ban_a_restarted_bot_sends_nothing(tmp_path: Path, home: dict[str, str]) -> None:
    banning = tmp_path / "banning.toml"
    text = (CONFIGS / "quickstart.toml").read_text()
    banning.write_text(text.replace("seed = 7", "seed = 7\nfaults = { banned_for_s = 300 }"))
    with venue(banning, env=home) as there:
        config = live_config(tmp_path, there)
        env = {**home, "SCENE_KEY": there.api_key}
        first = coldframe("run", config, "--live", "--for", "5s", env=env)
    assert first.returncode == 75
    assert "we are banned for another" in first.stderr
    # The venue is gone: a second run that sent anything would find that out.
    second = coldframe("run", config, "--live", "--for", "5s", env=env)
    assert second.returncode == 75
    assert "as an earlier run was told" in second.stderr
    assert len(second.stderr.splitlines()) == 1

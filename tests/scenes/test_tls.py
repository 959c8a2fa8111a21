"""The same bot over TLS, with a private certificate authority: the live path but for addresses and trust."""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme

from tests.scenes.support import CONFIGS, coldframe, document, live_config, venue


def certificates(folder: Path) -> tuple[Path, Path, Path]:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    files = folder / "ca.pem", folder / "chain.pem", folder / "key.pem"
    authority.cert_pem.write_to_path(files[0])
    for number, blob in enumerate(issued.cert_chain_pems):
        blob.write_to_path(files[1], append=number > 0)
    issued.private_key_pem.write_to_path(files[2])
    return files


def test_a_private_authority_is_trusted_only_when_named(tmp_path: Path, home: dict[str, str]) -> None:
    authority, chain, key = certificates(tmp_path)
    config = tmp_path / "venue.toml"
    text = (CONFIGS / "quickstart.toml").read_text()
    config.write_text(text.replace("seed = 7", f'seed = 7\ntls_certificate = "{chain}"\ntls_key = "{key}"', 1))
    with venue(config, "--port", 0, env=home) as served:
        assert served.said["rest"].startswith("https://")
        served.said["verify"] = ssl.create_default_context(cafile=authority)
        env = {**home, "SCENE_KEY": served.api_key}
        trusting = live_config(tmp_path, served, extra=f'ca_file = "{authority}"')
        summary = document(coldframe("run", trusting, "--live", "--for", "8s", "--json", env=env))
        assert summary["orders"]["acked"] > 0
        assert served.ask("/fapi/v1/openOrders") == []
        wary = live_config(tmp_path, served)
        done = coldframe("run", wary, "--live", "--for", "8s", env=env)
    assert done.returncode == 69
    assert "certificate is not trusted" in done.stderr
    assert "Traceback" not in done.stderr

"""`python -m bench.peers install [PEER...]` makes the environments of the peers, `... list` names them."""

from __future__ import annotations

import argparse
import subprocess
import sys

from bench.peers.environments import folder, install, pins, python_of


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description="The environments of the peers.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("list", help="which peers there are, and whether each is installed")
    wanted = verbs.add_parser("install", help="make the environments anew; without names, those that are missing")
    wanted.add_argument("peers", nargs="*", choices=[[], *pins()], metavar="PEER", help=", ".join(pins()))
    given = parser.parse_args(words)
    if given.verb == "list":
        for peer, packages in pins().items():
            print(f"{peer:<16} {'installed' if python_of(peer) else 'absent':<10} {' '.join(packages)}")
        return 0
    failed = []
    for peer in given.peers or [peer for peer in pins() if python_of(peer) is None]:
        print(f"{peer}: {' '.join(pins()[peer])}, into {folder() / peer}", flush=True)
        try:
            install(peer)
        except subprocess.CalledProcessError:
            failed.append(peer)
    if failed:
        print(f"not installed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

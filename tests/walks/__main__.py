"""Runs a bot by the command line until each walk is at its end, and prints as JSON which way each took:
`python -m tests.walks tests/walks/walk.toml`."""

from __future__ import annotations

import json
import signal
import sys

from coldframe.cli import main
from tests.walks.passed import Walks
from tests.walks.routes import FILE_TO_NURSERIES, INTENT_AND_BACK

if __name__ == "__main__":
    walks = Walks([*INTENT_AND_BACK, *FILE_TO_NURSERIES], lambda: signal.raise_signal(signal.SIGINT))
    code = main(["run", sys.argv[1], "--for", "60s", "--plain"])
    sys.stdout.write(json.dumps({"exit_code": code, "ways": walks.ways}))

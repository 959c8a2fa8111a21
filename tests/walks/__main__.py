"""Runs a bot by the command line, and prints as JSON which way each walk took: `python -m tests.walks tests/walks/walk.toml`."""

from __future__ import annotations

import json
import sys

from coldframe.cli import main
from tests.walks.passed import Walks
from tests.walks.routes import FILE_TO_NURSERIES, INTENT_AND_BACK

if __name__ == "__main__":
    walks = Walks([*INTENT_AND_BACK, *FILE_TO_NURSERIES])
    code = main(["run", sys.argv[1], "--for", "5s", "--plain"])
    sys.stdout.write(json.dumps({"exit_code": code, "ways": walks.ways}))

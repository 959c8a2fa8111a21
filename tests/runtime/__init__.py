"""Tests of the runtime: from a configuration to its parts, the questions before the start, and what a run says at its end."""

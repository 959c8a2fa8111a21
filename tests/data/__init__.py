"""Tests of `coldframe.data`."""

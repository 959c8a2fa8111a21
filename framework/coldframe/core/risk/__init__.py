"""The checks between an intent and an order. Risk judges; it sends nothing."""

"""The first-party plugins, tried on the bench and in a real run."""

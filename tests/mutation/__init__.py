"""Whether the tests notice a broken order side: one branch or comparison changed at a time, and the tests that run it run again."""

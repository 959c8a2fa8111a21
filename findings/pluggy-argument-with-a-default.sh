#!/usr/bin/env bash
# pluggy 1.5.0, 1.6.0 and 1.7.0 (PyPI): a hook argument that has a default value.
#
# A reasonable guess: a default is what an argument is when the caller leaves it out. What the caller gives, arrives.
#
# What happens: up to 1.6 an argument with a default in the plugin's function is never passed, whatever the caller gives: the
# plugin sees its own default, always. From 1.7 the caller's value arrives. If the caller leaves it out and the specification has
# a default too, the plugin's own default is overruled by the specification's. Nothing is raised or warned of in either.
#
# Why it matters for a bot: `def on_fill(self, fill, urgency=5)` trades with urgency 5 for ever, then with what the engine says,
# after an upgrade of a package that pytest pulls in. A library that calls the functions itself where it can (for speed), and
# through pluggy where it must, behaves in both ways in one run.
#
# What to do instead: no defaults in hook implementations. A framework does well to refuse them when a plugin is loaded.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

cat > hook.py <<'PY'
import importlib.metadata

import pluggy

spec, impl = pluggy.HookspecMarker("bot"), pluggy.HookimplMarker("bot")


class Hooks:
    @spec
    def on_fill(self, fill, urgency=1):
        pass


class Plugin:
    @impl
    def on_fill(self, fill, urgency=5):
        return urgency


manager = pluggy.PluginManager("bot")
manager.add_hookspecs(Hooks)
manager.register(Plugin())
given, left_out = manager.hook.on_fill(fill="a fill", urgency=3), manager.hook.on_fill(fill="a fill")
version = importlib.metadata.version("pluggy")
print(f"pluggy {version}: caller gives 3, plugin gets {given[0]}; caller gives none, plugin gets {left_out[0]}")
PY
for version in 1.5.0 1.6.0 1.7.0; do
  "${PYTHON:-python3.11}" -m venv "venv$version"
  "venv$version/bin/pip" install -q -q --no-compile "pluggy==$version"
  timeout 30 "venv$version/bin/python" -I -W error hook.py >> seen.txt
done
cat > was.txt <<'TEXT'
pluggy 1.5.0: caller gives 3, plugin gets 5; caller gives none, plugin gets 5
pluggy 1.6.0: caller gives 3, plugin gets 5; caller gives none, plugin gets 5
pluggy 1.7.0: caller gives 3, plugin gets 3; caller gives none, plugin gets 1
TEXT
echo "expected: 3 when the caller gives 3, and 5, the plugin's own default, when it gives none"
cat seen.txt
diff was.txt seen.txt || { echo "the behaviour has changed"; exit 1; }

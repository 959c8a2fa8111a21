import os
import sys

# Each worker, and each process of a scene, would compile all modules anew: seconds for each of them.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

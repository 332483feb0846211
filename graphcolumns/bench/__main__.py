"""``python -m graphcolumns.bench``, which needs no hydra."""

import os

from graphcolumns.bench.command import run_command

if __name__ == "__main__":
    # As the command line does, and before torch is loaded: see `graphcolumns.cli.main`.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    run_command()

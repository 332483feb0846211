"""How the command line starts: help and slips load nothing heavy, OpenMP waits without spinning."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import graphcolumns
from graphcolumns.cli.main import COMMANDS

HEAVY = (
    "torch",
    "torch_geometric",
    "hydra",
    "omegaconf",
    "numpy",
    "scipy",
    "sklearn",
    "matplotlib",
)
SCRIPT = "import sys; from graphcolumns.cli import main; sys.exit(main())"
# Written down at the moment when torch is looked for, in every process.
SPY = """
import os, sys
class Spy:
    def find_spec(name, path=None, target=None):
        if name == "torch":
            with open(os.environ["SEEN"], "a") as file:
                print(os.environ.get("OMP_WAIT_POLICY"), file=file)
sys.meta_path.insert(0, Spy)
"""


def python(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess:
    """Run python in an empty folder, with nothing said about OpenMP but what is given."""
    inherited = {name: v for name, v in os.environ.items() if name != "OMP_WAIT_POLICY"}
    options = {"cwd": folder, "env": inherited | environment, "capture_output": True, "text": True}
    return subprocess.run([sys.executable, *words], check=False, **options)


def installed(folder: Path, code: str = SCRIPT) -> str:
    """A script named as pip names the command line: only commands start without torch."""
    script = folder / "graphcolumns"
    script.write_text(code)
    return str(script)


@pytest.mark.parametrize(
    "arguments",
    [
        *([], ["--help"], ["--version"], ["help", "train"], ["trian"], ["degree=3"]),
        *([name, "--help"] for name in COMMANDS),
        ["train", "experiment=digits", "-h"],
    ],
    ids=" ".join,
)
def test_help_and_slips_load_nothing_heavy(tmp_path, arguments):
    code = (
        f"import sys; from graphcolumns.cli import main; status = main({arguments!r}); "
        f"print('loaded', [name for name in {HEAVY!r} if name in sys.modules], status)"
    )
    done = python(tmp_path, installed(tmp_path, code))
    status = 2 if done.stderr else 0
    assert done.stdout.endswith(f"loaded [] {status}\n"), done.stderr
    assert len(done.stdout + done.stderr) > 20


def test_help_of_train_has_every_flag_group_and_key(tmp_path):
    text = python(tmp_path, "-m", "graphcolumns.cli", "train", "--help").stdout
    for word in ("--multirun", "--config-dir", "plasticity", "rigl", "batch_size", "seed: 0"):
        assert word in text


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["train", "--help"]], ids=" ".join)
def test_help_into_a_closed_pipe_is_quiet(tmp_path, words):
    command = [sys.executable, "-m", "graphcolumns.cli", *words]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, cwd=tmp_path, **pipes)
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    process.wait()


@pytest.mark.parametrize("given", [None, pytest.param("active", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "start",
    [
        pytest.param((installed, "train", "stepz=5"), marks=pytest.mark.slow, id="script"),
        pytest.param(("-m", "graphcolumns.cli", "train", "stepz=5"), id="cli"),
        pytest.param(
            ("-m", "graphcolumns.bench", "--case", "step", "--out", os.devnull, "--device", "cuda"),
            marks=pytest.mark.slow,
            id="bench",
        ),
    ],
)
def test_openmp_waits_without_spinning_unless_the_user_says_otherwise(tmp_path, start, given):
    (tmp_path / "sitecustomize.py").write_text(SPY)
    path = os.pathsep.join([str(tmp_path), str(Path(graphcolumns.__file__).parents[1])])
    environment = {"PYTHONPATH": path, "SEEN": str(tmp_path / "seen"), "CUDA_VISIBLE_DEVICES": ""}
    if given is not None:
        environment["OMP_WAIT_POLICY"] = given
    words = [word(tmp_path) if callable(word) else word for word in start]
    python(tmp_path, *words, **environment)
    seen = (tmp_path / "seen").read_text().split()
    assert set(seen) == {given or "passive"}


@pytest.mark.parametrize("first", ["", pytest.param("import torch; ", marks=pytest.mark.slow)])
def test_the_library_in_a_fresh_process(tmp_path, first):
    """Public names are there whenever torch is loaded, and nothing is said about OpenMP."""
    code = (
        f"{first}import graphcolumns; from graphcolumns import *; import graphcolumns as g; "
        "print(all(name in globals() and name in dir(g) for name in g.__all__), "
        "g.graph.ColumnGraph is ColumnGraph, g.nn.ColumnConv.__name__, hasattr(g, 'nothing')); "
        "import os, graphcolumns.bench.command, graphcolumns.bench.suite; "
        "from graphcolumns.cli import load, main; print('OMP_WAIT_POLICY' in os.environ)"
    )
    assert python(tmp_path, "-c", code).stdout == "True True ColumnConv False\nFalse\n"


def test_modules_of_the_current_folder_can_be_named(tmp_path):
    (tmp_path / "mine.py").write_text("def where(): pass\n")
    (tmp_path / "json.py").write_text("raise RuntimeError('shadows the installed module')\n")
    code = (
        "import os, sys; sys.path[:] = [p for p in sys.path if p not in ('', os.getcwd())]\n"
        "from graphcolumns.cli.main import _import_from_here\n"
        "_import_from_here(); _import_from_here()\n"
        "import json, mine; print(mine.where.__name__, sys.path.count(os.getcwd()))"
    )
    assert python(tmp_path, "-c", code).stdout == "where 1\n"

"""Importing the package loads only what it needs and does nothing else.

How long it takes is measured in tests/benchmarks/startup.py.
"""

import ast
import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import graphcolumns

# The state of a process that an import could change behind its user's back.
STATE = """
import json, logging, os, random, signal, sys, threading, warnings
import numpy, torch, torch_geometric

def state():
    loggers = [logging.root, *filter(lambda it: isinstance(it, logging.Logger), known.values())]
    return {
        "default dtype": torch.get_default_dtype(),
        "default device": torch.get_default_device(),
        "gradients": torch.is_grad_enabled(),
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
        "float32 matmul precision": torch.get_float32_matmul_precision(),
        "sparse invariant checks": torch.sparse.check_sparse_tensor_invariants.is_enabled(),
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "python threads": threading.active_count(),
        "CUDA started": torch.cuda.is_initialized(),
        "torch random state": torch.get_rng_state().tolist(),
        "numpy random state": numpy.random.get_state(),
        "python random state": random.getstate(),
        "warning filters": list(warnings.filters),
        "loggers": [(it.name, it.level, it.disabled, list(it.handlers)) for it in loggers],
        "working directory": os.getcwd(),
        "files": os.listdir(),
        "environment": dict(os.environ),
        "sys.path": list(sys.path),
        "hooks": (sys.excepthook, sys.displayhook, signal.getsignal(signal.SIGINT)),
    }

known, loaded = dict(logging.root.manager.loggerDict), set(sys.modules)
before = {key: repr(value) for key, value in state().items()}
import MODULE
after = {key: repr(value) for key, value in state().items()}
changed = [key for key in before if before[key] != after[key]]
print(json.dumps({"changed": changed, "loaded": sorted(set(sys.modules) - loaded)}))
"""


def in_subprocess(code: str, folder: Path) -> str:
    # Users run with stored bytecode, so it is stored here too, whatever the environment says.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    command = [sys.executable, "-c", code]
    options = {"capture_output": True, "text": True, "cwd": folder, "env": environment}
    result = subprocess.run(command, check=False, **options)
    assert result.returncode == 0, result.stderr
    return result.stdout


def effects(module: str, folder: Path) -> dict[str, list[str]]:
    """What `import module` changes, and what it loads beside the modules of torch_geometric."""
    return json.loads(in_subprocess(STATE.replace("MODULE", module), folder))


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    return effects("graphcolumns", tmp_path_factory.mktemp("empty"))


def test_import_changes_no_global_state(imported: dict[str, list[str]]):
    assert imported["changed"] == []


@pytest.mark.slow
def test_a_module_with_side_effects_is_caught(tmp_path: Path):
    (tmp_path / "rude.py").write_text(
        "import logging, random, torch, warnings\n"
        "logging.basicConfig()\n"
        "random.random()\n"
        "torch.rand(1)\n"
        "torch.set_default_dtype(torch.float64)\n"
        "warnings.simplefilter('ignore')\n"
        "open('cache', 'w').close()\n"
    )
    assert effects("rude", tmp_path)["changed"] == [
        "default dtype",
        "torch random state",
        "python random state",
        "warning filters",
        "loggers",
        "files",
    ]


@pytest.mark.parametrize(
    "module",
    [
        *("geometries", "hydra", "matplotlib", "nibabel", "omegaconf", "pandas", "plotly"),
        *("setuptools", "sklearn", "tensorboard", "torch.utils.cpp_extension", "triton"),
    ],
)
def test_import_does_not_load(imported: dict[str, list[str]], module: str):
    assert module not in imported["loaded"]


@pytest.fixture(scope="module")
def without_torch(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What a process says that imports nothing before the package."""
    code = (
        "import graphcolumns, sys; print('graphcolumns.training' in sys.modules); "
        "import torch; print(torch.ops.graphcolumns.column_attention)"
    )
    return in_subprocess(code, tmp_path_factory.mktemp("empty")).splitlines()


def test_import_before_torch_registers_the_ops(without_torch: list[str]):
    assert "column_attention" in without_torch[1]


def test_what_one_imports_first_is_at_the_top():
    for name in graphcolumns.__all__:
        assert getattr(graphcolumns, name).__name__ == name
    for module in ("connect", "data", "models", "nn", "plasticity", "training"):
        assert getattr(graphcolumns, module) is sys.modules[f"graphcolumns.{module}"]


@pytest.mark.parametrize(
    ("name", "room"),
    [("staged", "models"), ("EdgeBias", "nn"), ("presets", "plasticity"), ("TERMS", "training")],
)
def test_a_name_that_is_not_at_the_top_says_where_it_is(name: str, room: str):
    with pytest.raises(ImportError, match=f"write `from graphcolumns.{room} import {name}`"):
        exec(f"from graphcolumns import {name}")


def test_a_name_that_is_nowhere_is_no_attribute():
    assert not hasattr(graphcolumns, "trian")
    assert not hasattr(graphcolumns, "_staged")


def test_train_is_a_function_and_its_package_says_where_it_is(without_torch: list[str]):
    with pytest.raises(ImportError, match="Write `from graphcolumns import train`"):
        import_module("graphcolumns.train")
    assert callable(graphcolumns.train)
    assert without_torch[0] == "False", "it is loaded when it is asked for"


def test_only_models_and_benchmarks_name_a_class_of_model():
    """Everything else speaks to the contract; docstrings may cite, and old names are upgraded."""
    package = Path(graphcolumns.__file__).parent
    others = {"models", "bench"}
    named = [
        f"{path.relative_to(package)}:{node.lineno}"
        for path in sorted(package.rglob("*.py"))
        if path.relative_to(package).parts[0] not in others and path.name != "former.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if "Columnformer" in (getattr(node, "id", None), getattr(node, "attr", None))
        or (isinstance(node, ast.alias) and "Columnformer" in node.name)
    ]
    assert named == []

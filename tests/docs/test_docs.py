"""The documentation names what is there: public names, config choices, commands, examples.

The pages themselves, and the tutorials, are tested by building them: `make docs`.
"""

import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

import geometries
import graphcolumns
from graphcolumns.cli.help import GROUPS, choices
from graphcolumns.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
DIRECTIVE = re.compile(r"^\.\. (auto\w+|py:data):: ([\w.]+)", re.MULTILINE)
PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def modules(*packages) -> list:
    """The packages, the packages in them, and the modules of the catalogue."""
    found = list(packages)
    for package in packages:
        for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if info.ispkg or package is geometries:
                found.append(importlib.import_module(info.name))
    return found


def public(module) -> dict[str, object]:
    """Names in `__all__`; without one, the public functions and classes that a module defines."""
    if hasattr(module, "__all__"):
        return {name: getattr(module, name) for name in module.__all__}
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module.__name__
    }


def resolve(path: str) -> object:
    """What a dotted path names: an attribute of a module, or a module."""
    parent, _, name = path.rpartition(".")
    module = importlib.import_module(parent)
    return getattr(module, name) if hasattr(module, name) else importlib.import_module(path)


def documented() -> list[object]:
    """Everything that an API page describes."""
    text = "\n".join(page.read_text() for page in sorted((DOCS / "api").glob("*.md")))
    found: list[object] = []
    for directive, path in DIRECTIVE.findall(text):
        thing = resolve(path)
        found.append(thing)
        if directive == "automodule":
            found += public(thing).values()
    return found


PROMISED = [
    (f"{module.__name__}.{name}", value)
    for module in modules(graphcolumns, geometries)
    if hasattr(module, "__all__")
    or module.__name__ in ("graphcolumns.connect", "graphcolumns.graph")
    # The families; other modules of the catalogue are what these are made of.
    or re.fullmatch(r"geometries\.(grid|sphere|cortex|learned)", module.__name__)
    for name, value in public(module).items()
    # Names for annotations only, such as Metric.
    if callable(value) and (inspect.isclass(value) or inspect.isroutine(value))
]


@pytest.fixture(scope="module")
def entries() -> list[object]:
    return documented()


@pytest.mark.parametrize(("name", "value"), PROMISED, ids=[name for name, _ in PROMISED])
def test_every_public_name_has_an_entry(name, value, entries):
    assert any(value is entry for entry in entries), f"add {name} to a page in docs/api"


def test_no_entry_has_an_option_twice():
    twice = re.compile(r"^   (:\w+:).*\n(?:   :.*\n)*?   \1", re.MULTILINE)
    found = {page.name: twice.findall(page.read_text()) for page in (DOCS / "api").glob("*.md")}
    assert {name: options for name, options in found.items() if options} == {}
    assert twice.search("   :members: a\n   :no-index:\n   :members: b\n")


def test_a_name_that_is_missing_is_noticed(entries):
    def newcomer():
        pass

    assert not any(newcomer is entry for entry in entries)
    assert graphcolumns.column_attention in entries


@pytest.mark.parametrize("group", GROUPS)
def test_every_config_choice_is_in_the_table(group):
    text = (DOCS / "configs.md").read_text()
    row = next(line for line in text.splitlines() if line.startswith(f"| `{group}` |"))
    cell = row.split("|")[2]
    assert sorted(re.findall(r"`(\w+)`", cell)) == choices(group)


PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
PAGES = [page for page in PAGES if "_build" not in page.parts]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_exist(page):
    text = page.read_text()
    for command in re.findall(r"^(?:\.venv/bin/)?graphcolumns (\w+)", text, re.MULTILINE):
        assert command in COMMANDS, command
    for command in re.findall(r"`graphcolumns ([a-z]+)[ `]", text):
        assert command in COMMANDS, command
    targets = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make ([a-z]+)|`make ([a-z]+)`", text, re.MULTILINE):
        assert re.search(rf"^{''.join(target)}:", targets, re.MULTILINE), target


EXAMPLES = ["README.md", "docs/column.md", "docs/contract.md", "docs/training.md"]
EXAMPLES += ["docs/pictures.md"]
BRAIN = ("baselines", "features", "looking", "noise_ceiling")
EXAMPLES += [f"docs/brain/{page}.md" for page in BRAIN]
EXAMPLES += [page.relative_to(ROOT).as_posix() for page in sorted(DOCS.glob("top_down/*.md"))]


@pytest.mark.parametrize("page", EXAMPLES)
def test_examples_run(page, capsys, tmp_path, monkeypatch):
    # Runs that an example writes go there.
    monkeypatch.chdir(tmp_path)
    blocks = PYTHON.findall((ROOT / page).read_text())
    assert blocks
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, page, "exec"), names)
    for name, value in names.items():
        said = re.search(rf"^{name} = .*# (\[[\d, ]+\])$", "\n".join(blocks), re.MULTILINE)
        if said:
            assert str(list(value.shape)) == said[1], name


def test_the_walk_names_functions_that_exist():
    text = (DOCS / "walk.md").read_text()
    names = re.findall(r"`((?:cli|training|ops|checkpoint)\.\w+\.\w+)`", text)
    assert len(names) > 4
    for name in names:
        assert callable(resolve(f"graphcolumns.{name}")), name
    for file in re.findall(r"`(ops/[\w/]+\.py)`", text):
        assert (ROOT / "graphcolumns" / file).is_file(), file

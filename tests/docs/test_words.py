"""The words of the library: one docstring dialect, terms of the field, one name per thing.

Sources are read as text and as syntax trees; nothing is imported. CONTRIBUTING.md has the rules in
ten lines, `support/rules.py` as functions, `support/vocabulary.py` the words.
"""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.docs.support.rules import (
    File,
    Rule,
    backticks,
    banned_words,
    former_names,
    noun_phrases,
    outside_codes,
    shared_names,
    sources,
)
from tests.docs.support.vocabulary import SHARED_BECAUSE

ROOT = Path(__file__).parents[2]
# Files that map former names to those of today.
OF_THE_PAST = ("graphcolumns/cli/former.py", "graphcolumns/plasticity/rules/former.py")

CODE, PAGES, TESTS = "code", "pages", "tests"
FILES = {
    CODE: ("graphcolumns/**/*.py", "graphcolumns/**/*.cpp", "geometries/*.py"),
    PAGES: ("configs/**/*.yaml", "docs/**/*.md", "README.md", "CONTRIBUTING.md"),
    TESTS: ("tests/**/*.py",),
}
RULES: dict[Rule, str] = {
    backticks: CODE,
    noun_phrases: CODE,
    banned_words: CODE + PAGES,
    former_names: CODE,
    outside_codes: CODE + PAGES + TESTS,
    sources: CODE,
}


@cache
def files() -> list[tuple[str, File]]:
    """All files that are checked, each with its kind."""
    paths = [(kind, path) for kind, names in FILES.items() for x in names for path in ROOT.glob(x)]
    return [(kind, read(path, kind)) for kind, path in sorted(paths) if checked(path)]


def checked(path: Path) -> bool:
    name = path.relative_to(ROOT).as_posix()
    return not name.startswith((*OF_THE_PAST, "docs/_build", "tests/docs/"))


def read(path: Path, kind: str) -> File:
    text = path.read_text(encoding="utf8")
    tree = ast.parse(text) if kind == CODE and path.suffix == ".py" else None
    return File(path.relative_to(ROOT).as_posix(), text, tree)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_words_are_kept(rule):
    found = [
        f"{file.path}:{one.line}: {one.found!r}; say: {one.say}"
        for kind, file in files()
        if kind in RULES[rule]
        for one in rule(file)
    ]
    assert not found, "\n".join([rule.__doc__, *found])


def test_a_public_name_stands_in_one_module():
    found = shared_names(file for _, file in files() if file.path.startswith("graphcolumns/"))
    allowed = set(" ".join(SHARED_BECAUSE.values()).split())
    assert not {name: rooms for name, rooms in found.items() if name not in allowed}
    assert allowed <= set(found), "an exception that is none any more"


def test_terms_of_the_glossary_are_used():
    page = (ROOT / "docs/glossary.md").read_text(encoding="utf8")
    terms = re.findall(r"^\| ([^|]+?) \|", page, re.MULTILINE)[1:]
    paths = [path for pattern in FILES[CODE] for path in ROOT.glob(pattern)]
    text = " ".join(path.read_text(encoding="utf8") for path in paths)
    text = re.sub(r"[-_\s]+", " ", text).lower()
    assert len(terms) >= 25
    assert [term for term in terms if term.replace("-", " ") not in text] == []


ARGS = '"""Do.\n\nArgs:\n    scale: {}\n"""'
FINDINGS = [
    (backticks, '"""The `graph`."""'),
    (backticks, '"""Two lines.\n\nWith ``code``, :class:`Role` and `code\nacross`."""'),
    (noun_phrases, ARGS.format("factor of the products.")),
    (noun_phrases, ARGS.format("Of the dot products.")),
    (noun_phrases, ARGS.format("In the unit of the geometry.")),
    (noun_phrases, ARGS.format("Factor of the products,\n        without a stop")),
    (noun_phrases, '"""Do.\n\nReturns:\n    a tensor.\n"""'),
    (banned_words, "heard_k = 1"),
    (banned_words, "class EdgeListener: ..."),
    (banned_words, "# Edges that die."),
    (banned_words, "resting_edges = 1"),
    (banned_words, 'raise ValueError("nobody said where.")'),
    (banned_words, '"""Knows nothing of graphs."""'),
    (former_names, "def decide(graph): ..."),
    (former_names, "def f(aside): ..."),
    (former_names, "class Rule:\n    ends_in: int"),
    (outside_codes, "# I29: the last budget is final."),
    (outside_codes, '"""The defect of section 2.2."""'),
    (sources, '"""After Theis et al. 2018."""'),
]
SILENCE = [
    (backticks, '"""``A``, :class:`~b.C`, :math:`x`, `PyG <https://pyg.org>`_ and ``d\ne``."""'),
    (noun_phrases, ARGS.format("Factor (default: ``D ** -0.5``).")),
    (noun_phrases, ARGS.format("``[E]`` int64.")),
    (noun_phrases, ARGS.format("One of:\n\n    - ``a``: first;\n    - ``b``: second.")),
    (banned_words, 'FORMER_NAMES = {\n    "heard": "received"}'),
    (banned_words, "shearing = diesel = task = 1"),
    (banned_words, "resting_state = RestingState()  # interesting, resting-state"),
    (former_names, "decided = walks = 1"),
    (outside_codes, "# A100, section two"),
    (sources, '"""Do.\n\nSource: Theis et al., https://arxiv.org/abs/1801.05787.\n"""'),
]


@pytest.mark.parametrize(("rule", "text"), FINDINGS)
def test_a_breach_is_found(rule, text):
    found = list(rule(File("a.py", text, ast.parse(text))))
    assert len(found) == 1
    assert found[0].say


def test_a_shared_name_is_found():
    texts = {"a.py": "def save(): ...", "b.py": "class save: ...", "c.py": "def _save(): ..."}
    files = [File(path, text, ast.parse(text)) for path, text in texts.items()]
    assert shared_names(files) == {"save": ["a.py", "b.py"]}
    ops = [File(f"graphcolumns/ops/o/{p}", "def forward(): ...", files[0].tree) for p in texts]
    assert not shared_names(ops)


@pytest.mark.parametrize(("rule", "text"), SILENCE)
def test_what_is_right_is_left_alone(rule, text):
    assert not list(rule(File("a.py", text, ast.parse(text))))

"""The rules of the words: each is a function that yields what it finds in a file."""

import ast
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import NamedTuple

from tests.docs.support.vocabulary import BANNED_PHRASES, BANNED_WORDS, FORMER_NAMES

# The one layer in the dialect of PyTorch Geometric, for its users.
PYG = "graphcolumns/nn/column_conv.py"


class Finding(NamedTuple):
    line: int
    found: str
    say: str


class File(NamedTuple):
    path: str
    text: str
    tree: ast.Module | None


Rule = Callable[[File], Iterator[Finding]]
SAY = {word: say for say, words in BANNED_WORDS.items() for word in words.split()}
# A word, within a name too: `heard_k`, `EdgeListener`.
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
PHRASES = [(re.compile(pattern, re.IGNORECASE), say) for pattern, say in BANNED_PHRASES.items()]
ANY_PHRASE = re.compile("|".join(BANNED_PHRASES), re.IGNORECASE)
OUTSIDE = re.compile(
    r"(?:\b|(?<=Test)|(?<=test_))[AI]\d{1,2}(?![A-Za-z0-9])|\b(?:section|trap) \d+(?:\.\d+)*\b"
)
# Double backticks, roles and links, which keep theirs.
LITERAL = re.compile(r"``.+?``|:[\w:+-]+:`[^`]+`|`[^`]+`__?", re.DOTALL)
HEADING = re.compile(r"(Args|Attributes|Returns|\w+):")
ENTRY = re.compile(r" {4}(?! )(?:\*{0,2}\w+(?:, \*{0,2}\w+)*: +)?(.*)", re.DOTALL)
NO_NOUN = re.compile(r"Of |As (?:in|there|for|given)\b|To whom|Who |In the unit|With |From ")
PAPER = re.compile(r"et al\b|arxiv\.org|doi\.org|\b(?:NeurIPS|ICML|ICLR)\b")


@cache
def docstrings(file: File) -> list[tuple[int, str]]:
    """First line and text of every docstring, those of fields too, without their margin."""
    found = []
    for node in ast.walk(file.tree) if file.tree else ():
        match node:
            case ast.Expr(value=ast.Constant(value=str() as text)):
                first, *rest = text.splitlines() or [""]
                margin = min((len(x) - len(x.lstrip()) for x in rest if x.strip()), default=0)
                found.append((node.lineno, "\n".join([first, *(x[margin:] for x in rest)])))
    return found


def entries(doc: str) -> Iterator[tuple[int, str]]:
    """Offset and text of every entry of `Args`, `Attributes` and `Returns`, without its name."""
    section, lines = "", [*doc.splitlines(), ""]
    for i, line in enumerate(lines):
        if re.match(r"\S", line):
            section = heading[1] if (heading := HEADING.match(line)) else ""
        starts = re.match(r" {4}\S", line) and not line.lstrip().startswith(("- ", "|"))
        if section in ("Args", "Attributes") and starts:
            ends = next(j for j in range(i + 1, len(lines)) if not re.match(" {5}", lines[j]))
            yield i, ENTRY.match("\n".join(lines[i:ends]))[1]
        elif section == "Returns" and starts and lines[i - 1] == "Returns:":
            ends = next(j for j in range(i + 1, len(lines)) if not lines[j].strip())
            yield i, "\n".join(lines[i:ends]).strip()


def backticks(file: File) -> Iterator[Finding]:
    """Code in docstrings stands in double backticks; roles and links keep theirs."""
    for line, doc in docstrings(file):
        rest = LITERAL.sub(lambda found: "\n" * found[0].count("\n"), doc)
        for single in re.finditer(r"`[^`]*`", rest):
            at = line + rest[: single.start()].count("\n")
            yield Finding(at, single[0], f"`{single[0]}`")


def noun_phrases(file: File) -> Iterator[Finding]:
    """Entries of docstrings are noun phrases, from a capital (or code) to a full stop."""
    for line, doc in docstrings(file) if file.path != PYG else ():
        for offset, text in entries(doc):
            at = line + offset
            if re.match(r"[a-z]+\b(?!\d)", text):
                yield Finding(at, text[:40], f"{text[0].upper()}{text[1:40]}")
            if NO_NOUN.match(text):
                yield Finding(at, text[:40], "a noun, as in 'Scaling factor of the dot products.'")
            if not re.search(r"[.:!?]\W*$", text):
                yield Finding(at, text[-40:], "the same with a full stop")


def banned_words(file: File) -> Iterator[Finding]:
    """Words are those of the field, in names, docstrings, comments, errors and pages."""
    words = {
        word for name in set(re.findall("[A-Za-z]+", file.text)) for word in WORD.findall(name)
    }
    if not any(word.lower() in SAY for word in words) and not ANY_PHRASE.search(file.text):
        return
    skipped = {line for span in former_tables(file) for line in span}
    for number, line in enumerate(file.text.splitlines(), 1):
        if number in skipped or line.lstrip().startswith("> "):
            continue
        for word in WORD.findall(line):
            if say := SAY.get(word.lower()):
                yield Finding(number, word, say)
        for pattern, say in PHRASES:
            if phrase := pattern.search(line):
                yield Finding(number, phrase[0], say)


def former_tables(file: File) -> Iterator[range]:
    """The lines of tables that map former names to those of today."""
    for node in file.tree.body if file.tree else ():
        target = getattr(node, "target", None) or getattr(node, "targets", [None])[0]
        if re.match(r"_?(FORMER|MOVED)", getattr(target, "id", "")):
            yield range(node.lineno, node.end_lineno + 1)


def former_names(file: File) -> Iterator[Finding]:
    """No function, class, parameter or field has a name that has given way."""
    for node in ast.walk(file.tree) if file.tree else ():
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.arg(arg=name):
                pass
            case ast.AnnAssign(target=ast.Name(id=name)):
                pass
            case _:
                continue
        if name in FORMER_NAMES:
            yield Finding(node.lineno, name, FORMER_NAMES[name])


def shared_names(files: Iterable[File]) -> dict[str, list[str]]:
    """Public functions and classes that stand in several modules; the ops count as one."""
    where: dict[str, set[str]] = defaultdict(set)
    for file in files:
        room = "graphcolumns/ops" if file.path.startswith("graphcolumns/ops/") else file.path
        for node in file.tree.body if file.tree else ():
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                where[node.name].add(room)
    return {name: sorted(rooms) for name, rooms in where.items() if len(rooms) > 1}


def outside_codes(file: File) -> Iterator[Finding]:
    """No code points outside the repository: what it stands for is spelled out."""
    for code in OUTSIDE.finditer(file.text):
        number = file.text.count("\n", 0, code.start()) + 1
        yield Finding(number, code[0], "the invariant or the fact in words")


def sources(file: File) -> Iterator[Finding]:
    """Papers are named in a paragraph that begins with `Source:`."""
    for line, doc in docstrings(file) if file.path != PYG else ():
        for paragraph in re.finditer(r".+?(?:\n\n|$)", doc, re.DOTALL):
            paper = PAPER.search(paragraph[0])
            if paper and not paragraph[0].lstrip().startswith("Source:"):
                at = line + doc[: paragraph.start() + paper.start()].count("\n")
                yield Finding(at, paper[0], "Source: Authors, Title, venue year, address.")

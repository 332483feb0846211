"""What is shipped is complete: packages, data files, what the tests need, pins, the README."""

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUPTOOLS, PROJECT = PYPROJECT["tool"]["setuptools"], PYPROJECT["project"]
SOURCE = PROJECT["urls"]["Homepage"] + "/blob/main/"
RAW = "https://raw.githubusercontent.com/graphcolumns/graphcolumns/main/"
FOLDERS = {
    "graphcolumns": "graphcolumns",
    "geometries": "geometries",
    "configs": "graphcolumns/configs",
}
NOT_SHIPPED = {"__pycache__", ".pyc", ".so"}

# Not with pip, which an environment made by uv does not have.
BUILD = "import sys; from setuptools import build_meta; build_meta.build_{}(sys.argv[1])"
OPEN_ALL = """
import importlib.resources, pathlib, sys
for line in sys.stdin.read().split():
    package, _, rest = line.partition("/")
    data = importlib.resources.files(package).joinpath(rest)
    assert pathlib.Path(str(data)).is_relative_to(sys.argv[1]), f"{data} is not the installed file"
    data.read_bytes()
    print(line)
"""


def sources() -> dict[str, Path]:
    """Every file of the three folders: its path in the wheel, its path here."""
    return {
        f"{installed}/{path.relative_to(ROOT / folder).as_posix()}": path
        for folder, installed in FOLDERS.items()
        for path in sorted((ROOT / folder).rglob("*"))
        if path.is_file() and not NOT_SHIPPED & {path.suffix, *path.parts}
    }


def data_files() -> list[str]:
    return [name for name in sources() if not name.endswith(".py")]


def run(*command: str | Path, **options) -> str:
    result = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy: building in place would leave build/, and leftovers there end up in wheels."""
    leftovers = shutil.ignore_patterns(
        *(".git", ".venv*", "__pycache__", ".*_cache", ".hypothesis", "*.egg-info"),
        *("build", "dist", "runs", "multirun", "outputs", "_build", "bench-gpu"),
    )
    return Path(shutil.copytree(ROOT, tmp_path / "checkout", ignore=leftovers))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: in place it would leave build/, and leftovers there end up in wheels."""
    checkout, dist = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("dist")
    for name in ("pyproject.toml", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, checkout)
    for folder in FOLDERS:
        shutil.copytree(
            ROOT / folder, checkout / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    run(sys.executable, "-c", BUILD.format("wheel"), dist, cwd=checkout)
    return next(dist.glob("graphcolumns-*.whl"))


def test_packages_are_those_on_disk():
    on_disk = {
        name.rpartition("/")[0].replace("/", ".") for name in sources() if name.endswith(".py")
    }
    assert sorted(SETUPTOOLS["packages"]) == sorted(on_disk)


def test_every_package_has_an_init():
    # Without one a folder still imports, as a namespace, and is then invisible to the tools.
    for package in SETUPTOOLS["packages"]:
        assert f"{package.replace('.', '/')}/__init__.py" in sources(), package


def test_configs_holds_only_yaml():
    init = ROOT / "configs" / "__init__.py"
    assert init.read_bytes() == b""
    others = [path for path in (ROOT / "configs").rglob("*.py") if path != init]
    assert others == []


def test_typed_markers_are_there():
    assert {"graphcolumns/py.typed", "geometries/py.typed"} <= set(data_files())


def test_wheel_holds_exactly_our_files(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        shipped = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert shipped == set(sources())


def test_wheel_names_its_licence(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        licences = [name for name in archive.namelist() if name.endswith("licenses/LICENSE")]
        assert [archive.read(name) for name in licences] == [(ROOT / "LICENSE").read_bytes()]


def test_data_files_open_from_an_installed_wheel(wheel: Path, tmp_path: Path):
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    opened = run(
        *(sys.executable, "-c", OPEN_ALL, site),
        input="\n".join(data_files()),
        cwd=tmp_path,
        env={"PYTHONPATH": str(site), "PATH": ""},
    )
    assert opened.split() == data_files()


def test_the_sdist_holds_what_its_tests_need(checkout: Path, tmp_path: Path):
    run(sys.executable, "-c", BUILD.format("sdist"), tmp_path, cwd=checkout)
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as archive:
        shipped = {member.name.partition("/")[2] for member in archive if member.isfile()}
    folders = (*FOLDERS, "docs", "tests")
    needed = {path for folder in folders for path in (checkout / folder).rglob("*")}
    needed |= {checkout / name for name in ("Makefile", "constraints.txt", "CHANGELOG.md")}
    names = {path.relative_to(checkout).as_posix() for path in needed if path.is_file()}
    assert names - shipped == set()


def pins() -> dict[str, str]:
    """The version of every package in constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    loose = [str(it) for it in found if not re.fullmatch(r"==[^*,]+", str(it.specifier))]
    assert loose == [], "every line of constraints.txt names one version: name==version"
    return {canonicalize_name(it.name): str(it.specifier) for it in found}


def test_every_line_of_the_constraints_is_one_version():
    assert pins()["torch"].startswith("==2.")


def test_the_constraints_pin_every_package_that_an_extra_names():
    named = chain(PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    names = {canonicalize_name(Requirement(line).name) for line in named}
    # Build tools may be of any version, torch requires its own triton, torch-scatter has no wheel.
    unpinned = {"graphcolumns", "setuptools", "wheel", "triton", "torch-scatter"}
    assert names - unpinned - pins().keys() == set()


def test_pinned_versions_are_within_the_ranges_of_the_project():
    for line in PROJECT["dependencies"]:
        wanted, pinned = Requirement(line), pins()
        version = pinned[canonicalize_name(wanted.name)].removeprefix("==")
        assert wanted.specifier.contains(version), f"{line}, but constraints.txt pins {version}"


def test_links_of_the_readme_work_on_pypi():
    text = (ROOT / "README.md").read_text()
    links = re.findall(r"\]\(([^)]+)\)", text)
    links += re.findall(r"^\[[^\]]+\]: (\S+)$", text, re.MULTILINE)
    assert len(links) > 10
    for link in links:
        assert link.startswith("https://"), f"{link} is relative: PyPI shows the page alone"
        for start in (SOURCE, RAW):
            if link.startswith(start):
                assert (ROOT / link.removeprefix(start)).is_file(), link


def test_references_of_the_readme_are_defined_once():
    text = (ROOT / "README.md").read_text()
    defined = re.findall(r"^\[([^\]]+)\]: ", text, re.MULTILINE)
    prose = re.sub(r"^(```.*?^```|\[[^\]]+\]: .*?$)", "", text, flags=re.MULTILINE | re.DOTALL)
    used = {" ".join(name.split()) for name in re.findall(r"\[([^\]]+)\](?!\()", prose)}
    assert len(defined) == len(set(defined))
    assert used - {"B, N, C"} == set(defined)

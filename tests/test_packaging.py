"""The package list is complete, and every data file can be opened once the wheel is installed."""

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
FOLDERS = {
    "graphcolumns": "graphcolumns",
    "geometries": "geometries",
    "configs": "graphcolumns/configs",
}
NOT_SHIPPED = {"__pycache__", ".pyc", ".so"}

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


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: in place it would leave build/, and leftovers there end up in wheels."""
    checkout, dist = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("dist")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, checkout)
    for folder in FOLDERS:
        shutil.copytree(
            ROOT / folder, checkout / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    offline = ["--no-build-isolation", "--no-deps", "--no-index"]
    run(sys.executable, "-m", "pip", "wheel", *offline, "--wheel-dir", dist, checkout)
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
    offline = ["--no-deps", "--no-index", "--no-compile"]
    run(sys.executable, "-m", "pip", "install", *offline, "--target", site, wheel)
    opened = run(
        *(sys.executable, "-c", OPEN_ALL, site),
        input="\n".join(data_files()),
        cwd=tmp_path,
        env={"PYTHONPATH": str(site), "PATH": ""},
    )
    assert opened.split() == data_files()

"""What the run over all builds of the kernels tells."""

import shutil

import pytest

from tests.ops import builds
from tests.ops.builds import Build, Result


def result(bits: str) -> Result:
    return Result(True, "", "", builds._bits(f"vectors of 16 bytes\nedge_linear {bits}\nx y"))


def test_compilers_must_agree_in_the_bits_of_one_instruction_set():
    gcc, clang, narrow = (
        Build(name, "c++", instructions, ())
        for name, instructions in [("gcc", "avx2"), ("clang", "avx2"), ("gcc baseline", "baseline")]
    )
    same, other = result("0" * 16), result("1" * 16)
    assert builds.disagreements({gcc: same, clang: same, narrow: other}) == []
    assert builds.disagreements({gcc: same, clang: other, narrow: other}) == [
        "edge_linear: clang and gcc differ in their bits"
    ]


def test_what_is_not_installed_is_told(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert builds.find() == (
        [],
        [
            "gcc (no g++)",
            "clang (no clang++)",
            "arm64 (no aarch64-linux-gnu-g++: apt install g++-aarch64-linux-gnu)",
        ],
    )


def test_nothing_that_runs_is_a_failure(monkeypatch, capsys):
    monkeypatch.setattr(builds, "find", lambda: ([], ["gcc (no g++)"]))
    assert builds.main() == 1
    assert capsys.readouterr().out == "not run: gcc (no g++)\n"


@pytest.mark.parametrize("passes", [True, False])
def test_builds_that_ran_and_failed_are_named(passes, monkeypatch, capsys):
    build = Build("gcc avx2", "g++", "avx2", ())
    monkeypatch.setattr(builds, "find", lambda: ([build], ["clang (no clang++)"]))
    monkeypatch.setattr(builds, "_standalone", lambda build: (True, "9 checks", "x\n9 checks"))
    monkeypatch.setattr(builds, "_pytest", lambda build: (passes, "1 test", "E  wrong\n1 test"))
    assert builds.main() == (0 if passes else 1)
    said = capsys.readouterr().out
    assert f"{'ran' if passes else 'FAILED'}: gcc avx2: 9 checks; 1 test; " in said
    assert ("E  wrong" in said) == (not passes)
    assert "not run: clang (no clang++)" in said

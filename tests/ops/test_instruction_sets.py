"""Which instructions the C++ kernels may use, on CPUs that are not at hand."""

import platform

import pytest

from graphcolumns.ops import instruction_sets
from tests.ops.support.cases import exactly

LATER = "flags\t\t: fpu sse2 avx avx2 fma avx512f avx512dq avx512vl"
HASWELL = "flags\t\t: fpu sse2 avx avx2 fma"
OLD = "flags\t\t: fpu sse2 avx"


@pytest.fixture
def machine(monkeypatch):
    """A machine of this kind, with this line in /proc/cpuinfo."""

    def become(kind: str, line: str) -> None:
        monkeypatch.setattr(platform, "machine", lambda: kind)
        monkeypatch.setattr(instruction_sets, "_cpuinfo", lambda: ["model name: x", line])

    monkeypatch.delenv("GRAPHCOLUMNS_CPU", raising=False)
    return become


@pytest.mark.parametrize(
    ("kind", "line", "expected"),
    [
        ("x86_64", LATER, ["native", "baseline", "avx2", "avx512"]),
        ("x86_64", HASWELL, ["native", "baseline", "avx2"]),
        ("x86_64", OLD, ["native", "baseline"]),
        ("x86_64", "", ["native", "baseline"]),  # a system that does not tell
        ("aarch64", "Features\t: fp asimd", ["native", "baseline"]),
        ("arm64", "", ["native", "baseline"]),
        ("riscv64", "isa\t: rv64imafdc", ["native", "baseline"]),
    ],
)
def test_what_a_cpu_can_execute(kind, line, expected, machine):
    machine(kind, line)
    assert instruction_sets.executable() == expected


def test_native_unless_said_otherwise(machine, monkeypatch):
    machine("x86_64", HASWELL)
    assert instruction_sets.chosen_set() == "native"
    monkeypatch.setenv("GRAPHCOLUMNS_CPU", "")
    assert instruction_sets.chosen_set() == "native"
    monkeypatch.setenv("GRAPHCOLUMNS_CPU", "avx2")
    assert instruction_sets.chosen_set() == "avx2"


@pytest.mark.parametrize(
    ("kind", "name", "reason"),
    [
        ("x86_64", "avx512", "which lacks avx512f, avx512dq here"),
        ("x86_64", "AVX2", "no such set"),
        ("aarch64", "avx2", "no such set"),
    ],
)
def test_what_cannot_be_executed_is_refused(kind, name, reason, machine, monkeypatch):
    machine(kind, HASWELL)
    monkeypatch.setenv("GRAPHCOLUMNS_CPU", name)
    expected = {"x86_64": "native, baseline, avx2", "aarch64": "native, baseline"}[kind]
    message = (
        "GRAPHCOLUMNS_CPU names the instructions of the C++ kernels, and this CPU must have them. "
        f"Expected one of {expected}. Got '{name}', {reason}; unset it for all that this CPU has."
    )
    with pytest.raises(ValueError, match=exactly(message)):
        instruction_sets.chosen_set()


def test_no_native_flag_where_compilers_know_none(machine):
    machine("riscv64", "")
    assert instruction_sets.known()["native"].flags == ()

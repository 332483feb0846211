"""Names of run folders in a sweep: readable, possible on every file system, different."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphcolumns.cli.folder_name import LONGEST, folder_name


def test_a_short_plain_name_stays():
    assert folder_name(["seed=0", "degree=4"]) == "degree=4,seed=0"
    assert folder_name(["+model.x=-1.5e-3", "~plasticity", "seed=0"]) == (
        "+model.x=-1.5e-3,seed=0,~plasticity"
    )
    assert folder_name([]) == "default"


def test_a_long_name_begins_with_the_short_keys_and_ends_with_a_hash():
    many = [f"model.key{number}={number}" for number in range(40)]
    name = folder_name([*many, "seed=3", "plasticity=rigl"])
    assert name.startswith("plasticity=rigl,seed=3,model.key0=0,")
    assert len(name) == LONGEST
    assert name == folder_name(["plasticity=rigl", "seed=3", *many])
    assert name != folder_name([*many, "seed=4", "plasticity=rigl"])
    assert name != folder_name([*many[:-1], "model.key39=40", "seed=3", "plasticity=rigl"])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("data.path=/a/b", "data.path=/a_b"),
        ("data.path='a b'", "data.path=a_b"),
        ("data.path=a", "data.path=A"),
        ("name=für", "name=fu\u0308r"),
        ("geometry.widths=[1,2]", "geometry.widths={1,2}"),
        ("name=x", "name=x."),
        ("name=日本", "name=中国"),
        ("a=..", "a=."),
    ],
)
def test_characters_that_are_replaced_do_not_make_names_equal(one, other):
    names = {folder_name([text]).lower() for text in (one, other)}
    assert len(names) == 2


OVERRIDES = st.lists(st.text(min_size=1, max_size=400), min_size=1, max_size=5, unique=True)


@given(OVERRIDES, OVERRIDES)
def test_every_name_is_possible_and_is_owned_by_one_set_of_overrides(one, other):
    name = folder_name(one)
    assert 0 < len(name.encode()) <= LONGEST
    assert not set(name) & set("/\\:*?\"<>|'`$!&;()[]{} \t\n")
    assert name.isascii()
    assert name.isprintable()
    assert name[-1] not in ". "
    if ",".join(sorted(one)) != ",".join(sorted(other)):
        assert name.lower() != folder_name(other).lower()

"""Tables as people save them: with and without headers, from spreadsheets, NumPy and pandas."""

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse

from graphcolumns.geometry.table import read_table


def saved(tmp_path: Path, content: str | bytes, name: str = "table.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    "content",
    [
        "x,y\n1,2\n3,-4.5\n",
        "x;y\r\n1;2\r\n3;-4.5",
        "x\ty\n1\t2\n3\t-4.5\n",
        "x y\n1   2\n 3 -4.5\n",
        '"x", "y"\n"1", 2\n3, "-4.5"\n',
        "# made by hand\n\nx,y\n1,2\n# half way\n3,-4.5\n\n",
        "\ufeffx,y\n1,2\n3,-4.5\n",
    ],
)
def test_text_with_any_delimiter(tmp_path, content):
    table = read_table(saved(tmp_path, content))
    assert table.names == ("x", "y")
    assert table.numbers("x").tolist() == [1, 3]
    assert table.numbers(1).tolist() == [2, -4.5]


def test_what_a_spreadsheet_saves_as_unicode_text(tmp_path):
    table = read_table(saved(tmp_path, "x\ty\n1\t2\n".encode("utf-16"), "table.txt"))
    assert (table.names, table.numbers("y").tolist()) == (("x", "y"), [2])


def test_without_a_header_the_first_row_is_a_row(tmp_path):
    table = read_table(saved(tmp_path, "1,2\n3,4\n"))
    assert (table.names, len(table)) == ((), 2)
    named = read_table(saved(tmp_path, "0,1\n3,4\n"), header=True)
    assert (named.names, len(named), named.numbers("1").tolist()) == (("0", "1"), 1, [4])


def test_a_missing_number_in_the_first_row_is_no_header(tmp_path):
    table = read_table(saved(tmp_path, "1,,3\n4,5,6\n"))
    assert len(table) == 2
    with pytest.raises(ValueError, match=r"finite numbers. Got an empty field in line 1"):
        table.numbers(1)


def test_arrays(tmp_path):
    values = np.array([[1, 2], [3, 4], [5, 6]])
    np.save(tmp_path / "plain.npy", values)
    assert read_table(tmp_path / "plain.npy").integers(1).tolist() == [2, 4, 6]
    np.save(tmp_path / "flat.npy", values[:, 0])
    assert read_table(tmp_path / "flat.npy").integers(0).tolist() == [1, 3, 5]
    np.savez(tmp_path / "one.npz", values)
    assert read_table(tmp_path / "one.npz").integers(0).tolist() == [1, 3, 5]
    np.savez_compressed(tmp_path / "named.npz", x=values[:, 0], y=values[:, 1])
    assert read_table(tmp_path / "named.npz").names == ("x", "y")
    record = np.array([(1, 2.5)], dtype=[("id", int), ("x", float)])
    np.save(tmp_path / "record.npy", record)
    assert read_table(tmp_path / "record.npy").numbers("x").tolist() == [2.5]


def test_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    saved(tmp_path, "1 2\n")
    assert len(read_table("~/table.csv")) == 1


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("", "t.csv", "at least one row. It is empty"),
        ("# only words\n", "t.csv", "It is empty"),
        ("1,2\n3\n", "t.csv", "as many fields as its first, 2. Got 1 in line 2"),
        ('1,2\n"3,4\n5,6\n', "t.csv", "Got 1 in line 2"),
        ("x,y\n1,2\n3,\n", "t.csv", "finite numbers. Got an empty field in line 3"),
        ("x,y\n1,2\n\n3,nan\n", "t.csv", "Got 'nan' in line 4"),
        ("x;y\n1;2\n3;4,5\n", "t.csv", "Got '4,5' in line 3"),
        (b"\x80\x81\x82", "t.csv", "is not text in UTF-8 or UTF-16"),
        (b"nothing", "t.npy", "is damaged, holds objects, or is no NumPy file"),
        (b"nothing", "t.npz", "is damaged, holds objects, or is no NumPy file"),
    ],
)
def test_no_table(tmp_path, content, name, message):
    path = saved(tmp_path, content, name)
    with pytest.raises(ValueError, match=message) as caught:
        read_table(path).numbers("y")
    assert name in str(caught.value)


def test_arrays_that_are_no_table(tmp_path):
    path = tmp_path / "a.npy"
    for array in (np.zeros(()), np.zeros((2, 2, 2)), np.array([["a", "b"]])):
        np.save(path, array)
        with pytest.raises(ValueError, match=r"a row per entry, shape \(rows, columns\)"):
            read_table(path)
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="holds objects"):
        read_table(path)
    np.savez(tmp_path / "a.npz", x=np.zeros(3), y=np.zeros(2))
    with pytest.raises(ValueError, match=r"one length.* 'x' \(3,\), 'y' \(2,\)"):
        read_table(tmp_path / "a.npz")
    scipy.sparse.save_npz(tmp_path / "a.npz", scipy.sparse.eye_array(3, format="csr"))
    with pytest.raises(ValueError, match=r"a sparse matrix of SciPy; call ColumnGraph.from_scipy"):
        read_table(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz")
    with pytest.raises(ValueError, match="at least one array"):
        read_table(tmp_path / "a.npz")


def test_whole_numbers(tmp_path):
    table = read_table(saved(tmp_path, "1.0,2.5\n3e2,4\n"))
    assert table.integers(0).tolist() == [1, 300]
    with pytest.raises(ValueError, match=r"whole numbers. Got '2.5' in line 1"):
        table.integers(1)


def test_a_column_that_is_not_there(tmp_path):
    table = read_table(saved(tmp_path, "x,y,x\n1,2,3\n"))
    with pytest.raises(ValueError, match=r"one column 'z'. Got columns 'x', 'y', 'x'; name"):
        table.numbers("z")
    with pytest.raises(ValueError, match=r"one column 'x'. Got columns 'x', 'y', 'x'"):
        table.numbers("x")
    with pytest.raises(ValueError, match="one column 3"):
        table.numbers(3)


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file .*absent.csv. It must be a table"):
        read_table(str(tmp_path / "absent.csv"))
    with pytest.raises(FileNotFoundError, match="It must be a table"):
        read_table(tmp_path)

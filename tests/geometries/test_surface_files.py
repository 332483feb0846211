"""Surfaces from files: GIFTI and FreeSurfer, whole and damaged, ours and others'."""

import gzip
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from nibabel.freesurfer import write_geometry

from geometries import cortex

POINTS = np.array([[0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3]], dtype=np.float32)
FACES = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], dtype=np.int32)


def gifti(path: Path, *arrays: tuple[np.ndarray, str]) -> Path:
    image = nibabel.gifti.GiftiImage(
        darrays=[nibabel.gifti.GiftiDataArray(values, intent) for values, intent in arrays]
    )
    path.write_bytes(image.to_bytes())
    return path


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    surface = [(POINTS, "NIFTI_INTENT_POINTSET"), (FACES, "NIFTI_INTENT_TRIANGLE")]
    plain = gifti(tmp_path / "lh.surf.gii", *surface)
    zipped = tmp_path / "lh.surf.gii.gz"
    zipped.write_bytes(gzip.compress(plain.read_bytes()))
    freesurfer = tmp_path / "lh.pial"
    write_geometry(freesurfer, POINTS, FACES)
    return {"gii": plain, "gii.gz": zipped, "freesurfer": freesurfer}


@pytest.mark.parametrize("kind", ["gii", "gii.gz", "freesurfer"])
def test_a_tetrahedron_comes_back(files, kind: str):
    geometry = cortex.load(str(files[kind]))
    assert torch.equal(geometry.positions, torch.from_numpy(POINTS))
    assert torch.equal(geometry.faces, torch.from_numpy(FACES).long())
    assert (geometry.metric, geometry.unit) == ("geodesic", "mm")
    assert geometry.distance(torch.tensor([1]), torch.tensor([2])).item() == pytest.approx(5**0.5)
    assert cortex.load(files[kind], metric="euclidean").metric == "euclidean"


def test_a_file_that_we_did_not_write():
    nilearn = pytest.importorskip("nilearn")
    path = Path(nilearn.__file__).parent / "datasets/data/fsaverage5/pial_left.gii.gz"
    expected = cortex.fsaverage(5, "left", medial_wall=True)
    geometry = cortex.load(path)
    assert torch.equal(geometry.positions, expected.positions)
    assert torch.equal(geometry.faces, expected.faces)


@pytest.mark.parametrize("kind", ["gii", "gii.gz", "freesurfer"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_a_file_cut_short(files, kind: str, share: float):
    whole = files[kind].read_bytes()
    files[kind].write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match=r"damaged|is not a surface|must hold"):
        cortex.load(files[kind])


def quadrangles(path: Path, new: bool) -> Path:
    """Two squares side by side, by hand: 3-byte counts and ids, places in hundredths or floats."""
    places = np.array([[0, 0, 0], [1, 0, 0], [1, 1.25, 0], [0, 1, -2], [2, 0, 0], [2, 1, 0.5]])
    squares = np.array([[0, 1, 2, 3], [1, 4, 5, 2]])
    content = b"\xff\xff\xfd" if new else b"\xff\xff\xff"
    content += len(places).to_bytes(3, "big") + len(squares).to_bytes(3, "big")
    content += places.astype(">f4").tobytes() if new else (places * 100).astype(">i2").tobytes()
    content += b"".join(int(corner).to_bytes(3, "big") for corner in squares.flat)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("new", [True, False])
def test_old_files_of_quadrangles(tmp_path: Path, new: bool):
    geometry = cortex.load(quadrangles(tmp_path / "lh.orig", new))
    assert geometry.positions.tolist() == [
        *([0, 0, 0], [1, 0, 0], [1, 1.25, 0], [0, 1, -2], [2, 0, 0], [2, 1, 0.5])
    ]
    # An even first corner is cut one way, an odd one the other, so that cuts alternate.
    assert geometry.faces.tolist() == [[0, 1, 3], [2, 3, 1], [1, 4, 5], [1, 5, 2]]
    assert geometry.distance(torch.tensor(0), torch.tensor(4)).item() == 2
    whole = (tmp_path / "lh.orig").read_bytes()
    for share in (0.2, 0.5, 0.95):
        (tmp_path / "lh.orig").write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(ValueError, match=r"lh.orig is damaged"):
            cortex.load(tmp_path / "lh.orig")


def test_home_folder(files, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cortex.load("~/lh.pial").num_columns == 4


def test_files_without_a_surface(tmp_path: Path):
    curvature = gifti(tmp_path / "lh.func.gii", (np.zeros(4, np.float32), "NIFTI_INTENT_SHAPE"))
    with pytest.raises(ValueError, match=r"must hold one surface.* Got NIFTI_INTENT_SHAPE; a surf"):
        cortex.load(curvature)
    text = tmp_path / "lh.txt"
    text.write_text("no surface")
    with pytest.raises(ValueError, match=r"starts with b'no ', not b'\\xff\\xff\\xfe'"):
        cortex.load(text)
    (tmp_path / "text.gii").write_text("no surface")
    with pytest.raises(ValueError, match="no GIFTI file"):
        cortex.load(tmp_path / "text.gii")
    (tmp_path / "empty.gii").write_bytes(b"")
    with pytest.raises(ValueError, match="no GIFTI file"):
        cortex.load(tmp_path / "empty.gii")


def test_triangles_of_no_vertex(tmp_path: Path):
    surface = [(POINTS[:3], "NIFTI_INTENT_POINTSET"), (FACES, "NIFTI_INTENT_TRIANGLE")]
    with pytest.raises(ValueError, match="its 4 triangles must name some of its 3 vertices"):
        cortex.load(gifti(tmp_path / "lh.surf.gii", *surface))


def test_vertices_at_no_place(tmp_path: Path):
    lost = POINTS.copy()
    lost[2, 1] = np.nan
    surface = [(lost, "NIFTI_INTENT_POINTSET"), (FACES, "NIFTI_INTENT_TRIANGLE")]
    with pytest.raises(ValueError, match=r"lh\.surf\.gii is damaged: vertex 2 is at"):
        cortex.load(gifti(tmp_path / "lh.surf.gii", *surface))


def test_missing_files(tmp_path: Path):
    with pytest.raises(
        FileNotFoundError, match=r"there is no file .*nowhere.gii. It must be a sur"
    ):
        cortex.load(tmp_path / "nowhere.gii")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        cortex.load(tmp_path)


def test_metrics_of_other_shapes(files):
    with pytest.raises(
        ValueError, match=r"metric must be one of 'geodesic', 'euclidean'. Got 'tor"
    ):
        cortex.load(files["gii"], metric="torus")


def test_without_nibabel(files, monkeypatch):
    monkeypatch.setitem(sys.modules, "nibabel", None)
    with pytest.raises(ImportError, match=r"pip install 'graphcolumns\[brain\]'"):
        cortex.load(files["gii"])

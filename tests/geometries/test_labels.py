"""Areas from annotations, labels and tables: who is in which, and what it is called."""

import struct
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from nibabel.freesurfer import write_annot, write_geometry

from geometries import cortex, grid, labels
from graphcolumns import connect
from tests.geometries.test_surface_files import FACES, POINTS, gifti

COLOURS = np.array([[25, 5, 25, 0], [10, 20, 30, 0], [200, 0, 0, 0]])
NAMES = ["unknown", "V1", "MT"]


def annotation(path: Path, index: list[int], names=NAMES, colours=COLOURS) -> Path:
    table = np.column_stack([colours, np.zeros(len(colours), dtype=int)])
    write_annot(path, np.array(index), table, names, fill_ctab=True)
    return path


def label_gifti(path: Path, keys: list[int], table: dict[int, str]) -> Path:
    image = nibabel.gifti.GiftiImage()
    for key, name in table.items():
        label = nibabel.gifti.GiftiLabel(key)
        label.label = name
        image.labeltable.labels.append(label)
    array = nibabel.gifti.GiftiDataArray(np.array(keys, np.int32), "NIFTI_INTENT_LABEL")
    image.add_gifti_data_array(array)
    path.write_bytes(image.to_bytes())
    return path


def named(found: labels.Labels) -> list[str]:
    return [found.names[area] for area in found.area]


def test_an_annotation_of_freesurfer(tmp_path):
    found = labels.read_labels(annotation(tmp_path / "lh.aparc.annot", [2, 1, 1, 2]))
    assert named(found) == ["MT", "V1", "V1", "MT"]
    # In the order of its table, and only those that occur: no gaps.
    assert found.names == ("V1", "MT")
    assert found.area.tolist() == [1, 0, 0, 1]


def test_vertices_without_a_label_are_an_area_of_their_own(tmp_path):
    found = labels.read_labels(annotation(tmp_path / "a.annot", [2, -1, 1, -1]))
    assert named(found) == ["MT", "unlabelled", "V1", "unlabelled"]
    assert found.names[-1] == "unlabelled"


def test_a_label_that_its_table_does_not_know_is_not_given_to_a_neighbour(tmp_path):
    path = annotation(tmp_path / "a.annot", [0, 1, 2, 0])
    content = bytearray(path.read_bytes())
    content[8:12] = struct.pack(">i", 12345)  # after the count: vertex 0 and its label
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"every label of .*a\.annot must be in its table"):
        labels.read_labels(path)


def test_labels_in_gifti(tmp_path):
    table = {0: "???", 7: "V1", 3: "MT"}
    found = labels.read_labels(label_gifti(tmp_path / "a.label.gii", [3, 7, 7, 0], table))
    assert named(found) == ["MT", "V1", "V1", "???"]
    with pytest.raises(ValueError, match=r"must be in its table. Got 5"):
        labels.read_labels(label_gifti(tmp_path / "b.label.gii", [3, 5], table))
    shape = gifti(tmp_path / "c.gii", (np.zeros(4, np.float32), "NIFTI_INTENT_SHAPE"))
    with pytest.raises(ValueError, match=r"must hold one label per vertex. Got NIFTI_INTENT_SHAPE"):
        labels.read_labels(shape)


def test_a_label_of_freesurfer(tmp_path):
    path = tmp_path / "lh.V1.label"
    path.write_text("#!ascii label\n2\n3 1.0 2.0 3.0 0.0\n0 1 2 3 0\n")
    found = labels.read_labels(path, 5)
    assert named(found) == ["lh.V1", "unlabelled", "unlabelled", "lh.V1", "unlabelled"]
    with pytest.raises(ValueError, match="Pass num_vertices"):
        labels.read_labels(path)
    path.write_text("#!ascii label\n3\n3 1.0 2.0 3.0 0.0\n")
    with pytest.raises(ValueError, match=r"damaged or cut short: it must name 3 vertices. Got 1"):
        labels.read_labels(path, 5)


def test_tables(tmp_path):
    (tmp_path / "a.csv").write_text("vertex,region\n0,V2\n1,MT\n2,V2\n3,V1\n")
    found = labels.read_labels(tmp_path / "a.csv", column="region")
    assert (named(found), found.names) == (["V2", "MT", "V2", "V1"], ("MT", "V1", "V2"))
    with pytest.raises(ValueError, match=r"must say which column holds labels. Got columns"):
        labels.read_labels(tmp_path / "a.csv")
    (tmp_path / "a.txt").write_text("3\n0\n3\n1\n")
    np.save(tmp_path / "a.npy", np.array([3, 0, 3, 1]))
    for name in ("a.txt", "a.npy"):
        assert labels.read_labels(str(tmp_path / name)).area.tolist() == [3, 0, 3, 1]


def test_areas_of_a_surface_wire_it(tmp_path):
    write_geometry(tmp_path / "lh.pial", POINTS, FACES)
    annotation(tmp_path / "lh.annot", [2, 1, 1, 2])
    geometry = cortex.load(tmp_path / "lh.pial", areas=tmp_path / "lh.annot")
    assert geometry.areas.tolist() == [1, 0, 0, 1]
    graph = connect.layered(geometry, 1, 1, 0)
    source, target = graph.edge_index
    between = geometry.areas[target] - geometry.areas[source]
    assert sorted(between.tolist()) == [0, 0, 0, 0, 1, 1]
    annotation(tmp_path / "rh.annot", [2, 1, 1])
    with pytest.raises(ValueError, match=r"rh.annot must hold as many labels.*, 4. Got 3; is it"):
        cortex.load(tmp_path / "lh.pial", areas=tmp_path / "rh.annot")


def test_areas_of_any_geometry_follow_its_order(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(6))
    geometry = labels.with_areas(grid.sheet(2, 3), tmp_path / "a.npy")
    permutation = torch.tensor([5, 0, 3, 1, 2, 4])
    assert geometry.permute(permutation).areas.tolist() == permutation.tolist()


def test_an_annotation_of_fsaverage_fits_every_level_without_the_wall(tmp_path):
    index = (np.arange(10242) % 3).tolist()
    left = annotation(tmp_path / "lh.annot", index)
    right = annotation(tmp_path / "rh.annot", index[::-1], ["unknown", "V1", "V4"])
    geometry = labels.with_areas(cortex.fsaverage(2, "both"), left, right)
    vertex, side = geometry.attributes["vertex"], geometry.attributes["hemisphere"]
    # unknown and V1 are one area in both hemispheres; V4 is only on the right.
    expected = torch.where(side == 0, vertex % 3, torch.tensor(index[::-1])[vertex])
    expected = torch.where((side == 1) & (expected == 2), 3, expected)
    assert torch.equal(geometry.areas, expected)
    with pytest.raises(ValueError, match=r"a file per hemisphere, 2 for .* Got 1"):
        labels.with_areas(cortex.fsaverage(2, "both"), left)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("kind", ["annot", "label.gii"])
def test_files_cut_short(tmp_path, kind: str, share: float):
    path = tmp_path / f"a.{kind}"
    if kind == "annot":
        annotation(path, [2, 1] * 50)
    else:
        label_gifti(path, [1, 2] * 50, {1: "V1", 2: "MT"})
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=rf"a\.{kind} "):
        labels.read_labels(path)


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no file .*a.annot. It must"):
        labels.read_labels(tmp_path / "a.annot")

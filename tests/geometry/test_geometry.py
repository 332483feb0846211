"""Distances against closed forms, the space-filling order, and every way to be wrong."""

import copy
import itertools
import math
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphcolumns.geometry import Geometry
from graphcolumns.geometry.hilbert import hilbert_key


def sphere_points(n: int, radius: float = 1.0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.randn(n, 3, dtype=dtype), dim=1) * radius


def plane(n: int = 30) -> Geometry:
    return Geometry(torch.rand(n, 2) * 9)


def box(n: int = 30) -> Geometry:
    return Geometry(torch.rand(n, 3) * torch.tensor([2.0, 3.0, 5.0]), "torus", period=(2, 3, 5))


def sphere(n: int = 30) -> Geometry:
    return Geometry(sphere_points(n, 7.0), "great-circle", "mm", radius=7.0)


SPACES = [plane, box, sphere]


def all_pairs(geometry: Geometry) -> torch.Tensor:
    ids = torch.arange(geometry.num_columns)
    return geometry.distance(*torch.meshgrid(ids, ids, indexing="ij"))


# Answers worked by hand


def test_euclidean_distance_of_a_3_4_5_triangle():
    geometry = Geometry(torch.tensor([[0.0, 0.0], [3.0, 4.0], [3.0, 0.0]]))
    target, source = torch.tensor([0, 1, 2, 2]), torch.tensor([1, 2, 0, 2])
    assert geometry.distance(target, source).tolist() == [5.0, 4.0, 3.0, 0.0]


def test_torus_distance_takes_the_nearest_image():
    geometry = Geometry(torch.tensor([[0.5, 0.0], [9.5, 0.0], [5.5, 3.0]]), "torus", period=(10, 4))
    pairs = torch.tensor([[0, 1], [0, 2], [1, 2]])
    expected = [1.0, math.hypot(5, 1), math.hypot(4, 1)]
    assert geometry.distance(*pairs.t()).tolist() == pytest.approx(expected)


def test_great_circle_distance_of_a_quarter_and_half_turn():
    positions = torch.tensor([[2.0, 0, 0], [0, 2, 0], [0, 0, 2], [-2, 0, 0]])
    geometry = Geometry(positions, "great-circle", "mm", radius=2.0)
    lengths = geometry.distance(torch.tensor([0, 0, 0, 1]), torch.tensor([1, 3, 0, 2]))
    assert lengths.tolist() == pytest.approx([math.pi, 2 * math.pi, 0, math.pi])


@pytest.mark.parametrize("angle", [1e-6, 1e-4, 0.01, 1.0, math.pi - 1e-4, math.pi - 1e-6])
def test_great_circle_distance_keeps_its_digits_near_0_and_pi(angle: float):
    # In float32 an arc cosine would give 0 for the first angle, 4 % error for the second.
    turned = [math.cos(angle), math.sin(angle), 0]
    geometry = Geometry(torch.tensor([[1.0, 0, 0], turned]), "great-circle", "rad", radius=1.0)
    got = geometry.distance(torch.tensor(0), torch.tensor(1)).item()
    assert min(got, math.pi - got) == pytest.approx(min(angle, math.pi - angle), rel=1e-4, abs=2e-7)
    if angle < 1:
        assert got == pytest.approx(angle, rel=1e-6)


@pytest.mark.parametrize("radius", [1e-25, 1e-9, 6.371e6, 1e25])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_great_circles_of_any_radius(radius: float, dtype):
    points = torch.tensor([[1.0, 0, 0], [0, 0, 1], [-1, 0, 0], [1, 1e-5, 0]]).to(dtype) * radius
    geometry = Geometry(points, metric="great-circle", radius=radius)
    lengths = geometry.distance(torch.zeros(3, dtype=torch.long), torch.tensor([1, 2, 3]))
    expected = torch.tensor([math.pi / 2, math.pi, 1e-5], dtype=dtype)
    torch.testing.assert_close(lengths / radius, expected, rtol=1e-6, atol=0)


def test_distance_to_the_columns_of_another_geometry():
    targets = Geometry(torch.tensor([[0.0, 0.0], [1.0, 0.0]]))
    sources = Geometry(torch.tensor([[0.0, 2.0], [1.0, 3.0], [4.0, 0.0]]))
    lengths = targets.distance(torch.tensor([0, 1, 1]), torch.tensor([0, 1, 2]), sources)
    assert lengths.tolist() == [2.0, 3.0, 3.0]


def test_hilbert_curve_of_first_order_is_a_u():
    corners = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, 0.0]])
    assert hilbert_key(corners, bits=1).tolist() == [0, 1, 2, 3]


def test_repr():
    assert repr(plane()) == (
        "Geometry(num_columns=30, dimensions=2, metric='euclidean', unit='pixel')"
    )


# Properties


@pytest.mark.parametrize("space", SPACES)
def test_distance_is_a_metric(space):
    lengths = all_pairs(space())
    assert torch.equal(lengths.diagonal(), torch.zeros(30))
    torch.testing.assert_close(lengths, lengths.t())
    assert (lengths + torch.eye(30) > 0).all()
    # via[i, j, k] = d(i, j) + d(j, k)
    via = lengths[:, :, None] + lengths[None]
    assert (lengths[:, None, :] <= via + 1e-4).all()


def test_torus_distance_is_the_least_over_all_images():
    geometry = box()
    delta = geometry.positions[:, None] - geometry.positions
    images = [
        torch.linalg.vector_norm(delta + torch.tensor([2.0, 3.0, 5.0]) * torch.tensor(shift), dim=2)
        for shift in itertools.product((-1, 0, 1), repeat=3)
    ]
    torch.testing.assert_close(all_pairs(geometry), torch.stack(images).amin(0))


def test_great_circle_distance_equals_the_arc_of_the_chord():
    geometry = sphere()
    chord = torch.cdist(geometry.positions.double(), geometry.positions.double())
    arc = 14 * torch.asin((chord / 14).clamp(max=1))
    torch.testing.assert_close(all_pairs(geometry).double(), arc, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("space", SPACES)
def test_distance_has_the_right_gradient_in_the_positions(space):
    geometry = space(6)
    target, source = torch.triu_indices(6, 6, offset=1)

    def lengths(positions: torch.Tensor) -> torch.Tensor:
        # A nudged point is off its sphere by less than the tolerance.
        options = {"period": geometry.period, "radius": geometry.radius}
        return Geometry(positions, geometry.metric, **options).distance(target, source)

    assert torch.autograd.gradcheck(lengths, geometry.positions.double().requires_grad_())


@pytest.mark.parametrize("space", SPACES)
def test_gradient_at_distance_0_is_0(space):
    geometry = space(4)
    positions = torch.cat([geometry.positions, geometry.positions]).requires_grad_()
    twins = Geometry(positions, geometry.metric, period=geometry.period, radius=geometry.radius)
    ids = torch.arange(4)
    lengths = twins.distance(torch.cat([ids, ids]), torch.cat([ids, ids + 4]))
    assert torch.equal(lengths, torch.zeros(8))
    lengths.sum().backward()
    assert torch.equal(positions.grad, torch.zeros(8, 3 if space is not plane else 2))


def test_gradient_between_antipodes_is_finite():
    positions = torch.tensor([[1.0, 0, 0], [-1, 0, 0]], requires_grad=True)
    geometry = Geometry(positions, "great-circle", radius=1.0)
    length = geometry.distance(torch.tensor(0), torch.tensor(1))
    length.backward()
    assert length.item() == pytest.approx(math.pi)
    assert torch.isfinite(positions.grad).all()


@pytest.mark.parametrize(("axes", "bits"), [(2, 1), (2, 4), (3, 1), (3, 3)])
def test_hilbert_curve_visits_every_cell_in_unit_steps(axes: int, bits: int):
    cells = torch.cartesian_prod(*[torch.arange(2.0**bits)] * axes)
    key = hilbert_key(cells, bits)
    assert torch.equal(key.sort().values, torch.arange(2 ** (axes * bits)))
    steps = cells[key.argsort()].diff(dim=0).abs().sum(1)
    assert torch.equal(steps, torch.ones(len(cells) - 1))


@settings(max_examples=30)
@given(st.integers(1, 40), st.sampled_from([2, 3]), st.integers(0, 2**31))
def test_reorder_relabels_everything(n: int, axes: int, seed: int):
    generator = torch.Generator().manual_seed(seed)
    old = Geometry(
        torch.randn(n, axes, generator=generator),
        faces=torch.randint(n, (7, 3), generator=generator),
        areas=torch.randint(5, (n,), generator=generator),
        anchors=torch.randint(n, (4,), generator=generator),
        unit="mm",
        learnable=True,
    )
    new, permutation = old.reorder()
    assert torch.equal(permutation.sort().values, torch.arange(n))
    assert torch.equal(new.positions, old.positions[permutation])
    assert torch.equal(new.areas, old.areas[permutation])
    # Faces and anchors name the same points in space, in the same order.
    assert torch.equal(new.positions[new.faces], old.positions[old.faces])
    assert torch.equal(new.positions[new.anchors], old.positions[old.anchors])
    assert (new.unit, new.learnable, new.metric) == ("mm", True, "euclidean")
    again, same = new.reorder()
    assert torch.equal(again.positions, new.positions)
    assert torch.equal(same, torch.arange(n))


def test_reorder_brings_neighbours_together():
    row_by_row = Geometry(torch.cartesian_prod(torch.arange(32.0), torch.arange(32.0)))
    shuffled = Geometry(row_by_row.positions[torch.randperm(1024)])
    new, _ = shuffled.reorder()
    ids = torch.arange(1024)
    near = torch.isclose(new.distance(ids[:, None], ids[None]), torch.tensor(1.0))
    apart = (ids[:, None] - ids).abs()[near]
    # Row by row, half of all neighbours are 32 apart and the other half 1.
    assert apart.median() <= 3
    assert new.distance(ids[1:], ids[:-1]).max() < 1.5


@pytest.mark.parametrize("space", SPACES)
def test_survives_copies_and_devices(space):
    geometry = space()
    for twin in (
        copy.copy(geometry),
        copy.deepcopy(geometry),
        pickle.loads(pickle.dumps(geometry)),
        geometry.to("cpu"),
    ):
        assert torch.equal(twin.positions, geometry.positions)
        assert repr(twin) == repr(geometry)
        assert (twin.period, twin.radius) == (geometry.period, geometry.radius)


@pytest.mark.gpu
def test_to_another_device():
    ids = torch.tensor([0])
    geometry = Geometry(torch.zeros(1, 3), faces=ids.expand(1, 3), areas=ids, anchors=ids)
    moved = geometry.to("cuda")
    tensors = (moved.positions, moved.faces, moved.areas, moved.anchors)
    assert all(tensor.is_cuda for tensor in tensors)
    assert moved.distance(ids, ids).is_cuda


def test_compiles_without_a_graph_break():
    @torch.compile(fullgraph=True, backend="eager")
    def mean_length(positions, target, source):
        return Geometry(positions).distance(target, source).mean()

    positions, ids = torch.rand(5, 2), torch.arange(5)
    expected = Geometry(positions).distance(ids, ids.flip(0)).mean()
    torch.testing.assert_close(mean_length(positions, ids, ids.flip(0)), expected)


# Wrong input

NAN = torch.tensor([[0.0, 0.0], [float("nan"), 1.0]])
XY, XYZ = torch.rand(4, 2), torch.rand(4, 3)
UNIT = torch.eye(3)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"positions": NAN}, ValueError, r"must be finite\. Column 1 is at \[nan, 1\.0\]"),
        ({"positions": NAN / 0}, ValueError, "positions must be finite"),
        ({"positions": torch.rand(4)}, ValueError, r"shape \(N, 2\) or \(N, 3\).* Got \(4,\)"),
        ({"positions": torch.rand(4, 5)}, ValueError, r"Got \(4, 5\)"),
        ({"positions": torch.rand(0, 2)}, ValueError, "at least one column"),
        ({"positions": torch.ones(4, 2).long()}, TypeError, r"int64; call \.float\(\)"),
        ({"positions": torch.ones(4, 2).half()}, TypeError, "Got torch.float16"),
        ({"positions": [[0.0, 1.0]]}, TypeError, "Got list"),
        ({"metric": "chord"}, ValueError, "'euclidean', 'geodesic', 'great-circle', 'torus'"),
        ({"unit": "cm"}, ValueError, "unit must be one of 'mm', 'rad', 'pixel'. Got 'cm'"),
        ({"metric": "torus"}, ValueError, "positive finite period per axis, 2 in all. Got None"),
        ({"metric": "torus", "period": (1.0,)}, ValueError, r"2 in all. Got \(1\.0,\)"),
        ({"metric": "torus", "period": (1.0, 0.0)}, ValueError, "positive finite period"),
        ({"metric": "torus", "period": (9.0, 1e-9)}, ValueError, r"in \[0, period\).*remainder"),
        ({"positions": -XY, "metric": "torus", "period": (1, 1)}, ValueError, "Column 0 is at"),
        ({"period": (1.0, 1.0)}, ValueError, "period belongs to metric 'torus'"),
        ({"metric": "great-circle", "radius": 1.0}, ValueError, r"\(N, 3\). Got \(4, 2\)"),
        ({"positions": UNIT, "metric": "great-circle"}, ValueError, "finite radius. Got None"),
        (
            {"positions": UNIT, "metric": "great-circle", "radius": 0.0},
            ValueError,
            "finite radius. Got 0.0",
        ),
        (
            {"positions": UNIT, "metric": "great-circle", "radius": 2.0},
            ValueError,
            "sphere of radius 2.0 around the origin. Column 0 is at 1.0",
        ),
        ({"radius": 1.0}, ValueError, "radius belongs to metric 'great-circle'"),
        ({"areas": torch.zeros(3).long()}, ValueError, r"shape \(4,\). Got shape \(3,\)"),
        ({"areas": torch.tensor([0, 1, -1, 0])}, ValueError, "smallest -1"),
        ({"areas": torch.zeros(4)}, TypeError, "areas must be an int64 tensor. Got torch.float32"),
        ({"faces": torch.tensor([[0, 1, 4]])}, ValueError, r"column ids in \[0, 4\). Got 4"),
        ({"faces": torch.tensor([[0, 1]])}, ValueError, r"shape \(F, 3\). Got \(1, 2\)"),
        ({"anchors": torch.tensor([-1])}, ValueError, r"column ids in \[0, 4\). Got -1"),
        ({"anchors": torch.tensor([[0]])}, ValueError, r"shape \(A,\). Got \(1, 1\)"),
        ({"anchors": torch.tensor([0.0])}, TypeError, "anchors must be an int64 tensor"),
    ],
)
def test_wrong_input(options: dict, error: type[Exception], message: str):
    with pytest.raises(error, match=message):
        Geometry(**{"positions": XY, **options})


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (Geometry(XY, unit="mm"), "unit 'pixel' for the targets and 'mm' for the sources"),
        (Geometry(XY, "torus", period=(1, 1)), "metric 'euclidean' for the targets"),
        (Geometry(XYZ), r"as many axes. Got \(2, 3\)"),
    ],
)
def test_distance_between_two_spaces(other: Geometry, message: str):
    with pytest.raises(ValueError, match=message):
        Geometry(XY).distance(torch.tensor([0]), torch.tensor([0]), other)

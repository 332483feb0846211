"""Convolutional LCA against LCA with every atom at every position."""

import pytest
import torch
from torch.nn.functional import normalize, pad

from graphcolumns.nn.dynamics import LCA, ConvLCA, Euler, Implicit, Unrolled, solve
from tests.nn.dynamics.sparse_coding.dictionaries import unrolled

EXTENTS = {(5,): (17,), (3, 4): (7, 9)}


def atoms(size, count=3, channels=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    raw = torch.randn(count, channels, *size, dtype=torch.float64, generator=generator)
    return normalize(raw.flatten(1), dim=1).view_as(raw)


def inputs(extent, samples=2, channels=2, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(samples, channels, *extent, dtype=torch.float64, generator=generator)


def padded(x, padding):
    return pad(x, (padding, padding) * (x.dim() - 2))


@pytest.mark.parametrize("lateral_kernel", [True, False, None])
@pytest.mark.parametrize("padding", [0, 2])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", EXTENTS)
def test_equals_the_unrolled_dictionary(size, stride, padding, lateral_kernel):
    dictionary, x = atoms(size), inputs(EXTENTS[size])
    options = {"stride": stride, "padding": padding, "lateral_kernel": lateral_kernel}
    conv = ConvLCA(dictionary, 0.3, **options)
    dense = LCA(unrolled(dictionary, EXTENTS[size], stride, padding), 0.3)
    drive, flat = conv.drive(x), dense.drive(padded(x, padding).flatten(1))
    state = torch.randn(
        drive.samples[0].shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2)
    )
    rows = state.flatten(1)
    close = {"rtol": 1e-12, "atol": 1e-12}
    torch.testing.assert_close(conv.flow(state, drive).flatten(1), dense.flow(rows, flat), **close)
    for name in ("energy", "residual", "gap"):
        ours, theirs = getattr(conv, name)(state, drive), getattr(dense, name)(rows, flat)
        torch.testing.assert_close(ours, theirs, **close)
    assert conv.step_limit(drive) == pytest.approx(dense.step_limit(flat), rel=1e-6)
    # The reconstruction, on what is not padding.
    whole = dense.output(rows, flat) @ dense.dictionary
    whole = whole.reshape(padded(x, padding).shape)
    kept = tuple(slice(padding, n + padding) for n in EXTENTS[size])
    ours = conv.reconstruct(state, drive, EXTENTS[size])
    torch.testing.assert_close(ours, whole[(slice(None), slice(None), *kept)], **close)


@pytest.mark.parametrize("variant", [{}, {"nonnegative": True}, {"hard": True}])
def test_fixed_points_are_those_of_the_unrolled_dictionary(variant):
    dictionary, x = atoms((3, 3)), inputs((6, 6))
    conv = ConvLCA(dictionary, 0.4, padding=1, stride=2, **variant)
    dense = LCA(unrolled(dictionary, (6, 6), 2, 1), 0.4, **variant)
    method = Euler(0.3) if variant.get("hard") else None
    options = {"tolerance": 1e-10, "max_steps": 50_000, "method": method}
    ours = solve(conv, x, **options)
    theirs = solve(dense, padded(x, 1).flatten(1), **options)
    torch.testing.assert_close(ours.output.flatten(1), theirs.output, rtol=0, atol=1e-8)
    assert ours.output.shape == (2, 3, 3, 3)


@pytest.mark.parametrize("lateral_kernel", [True, False])
def test_gradients_reach_atoms_and_inputs(lateral_kernel):
    grads = []
    for gradient in (Implicit(tolerance=1e-12), Unrolled()):
        raw = atoms((3,)).clone().requires_grad_()
        x = inputs((8,)).requires_grad_()
        unit = normalize(raw.flatten(1), dim=1).view_as(raw)
        circuit = ConvLCA(unit, 0.4, lateral_kernel=lateral_kernel)
        solution = solve(circuit, x, gradient=gradient, tolerance=1e-12, max_steps=5000)
        solution.output.square().sum().backward()
        grads.append((raw.grad, x.grad))
    for ours, theirs in zip(*grads, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-9)


def test_an_atom_of_the_size_of_the_input_is_dense():
    dictionary = atoms((4,), count=6)
    conv, dense = ConvLCA(dictionary, 0.2), LCA(dictionary.flatten(1), 0.2)
    x = inputs((4,))
    ours, theirs = solve(conv, x), solve(dense, x.flatten(1))
    torch.testing.assert_close(ours.output.flatten(1), theirs.output)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: ConvLCA(3 * atoms((3,)), 0.1), ValueError, r"Got 3 for atom \d+"),
        (lambda: ConvLCA(torch.ones(2, 2), 0.1), ValueError, r"\[n, channels, k\]"),
        (lambda: ConvLCA(atoms((3,)), -1.0), ValueError, "threshold must be positive"),
        (lambda: ConvLCA(atoms((3,)), 0.1, stride=0), ValueError, "stride must be at least 1"),
        (lambda: ConvLCA(atoms((3,)), 0.1, padding=-1), ValueError, "padding must be 0 or more"),
        (lambda: solve(ConvLCA(atoms((5,)), 0.1), inputs((4,))), ValueError, "at least 5"),
        (lambda: solve(ConvLCA(atoms((3,)), 0.1), inputs((4, 4))), ValueError, r"\[B, 2, L\]"),
        (lambda: solve(ConvLCA(atoms((3,)), 0.1), inputs((9,), 2, 3)), ValueError, r"\[B, 2, L\]"),
        (
            lambda: solve(ConvLCA(atoms((3,)), 0.1), inputs((9,)) / 0),
            ValueError,
            "inputs must be finite",
        ),
    ],
)
def test_wrong_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()

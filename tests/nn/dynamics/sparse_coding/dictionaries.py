"""Dictionaries and signals, seeded."""

from itertools import product

import torch
from torch.nn.functional import normalize


def random_atoms(atoms=48, size=16, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return normalize(torch.randn(atoms, size, dtype=torch.float64, generator=generator), dim=1)


def bumps(atoms=64, size=64, width=3.0):
    """Gaussian bumps at equally spaced places: neighbours are alike."""
    places = torch.linspace(0, size - 1, atoms, dtype=torch.float64)
    distance = torch.arange(size, dtype=torch.float64) - places[:, None]
    return normalize(torch.exp(-distance.square() / (2 * width**2)), dim=1)


def band(size=96, below=4, above=3, seed=0):
    """Random atoms with supports of eight neighbouring values."""
    generator = torch.Generator().manual_seed(seed)
    dictionary = torch.randn(size, size, dtype=torch.float64, generator=generator)
    return normalize(dictionary.tril(above).triu(-below), dim=1)


def signals(samples=5, size=16, seed=1):
    return random_atoms(samples, size, seed)


def unrolled(atoms, extent, stride, padding):
    """Every atom `[n, channels, ...]` at every position, as rows of a dense dictionary."""
    channels, *size = atoms.shape[1:]
    whole = [n + 2 * padding for n in extent]
    places = [range(0, n - k + 1, stride) for n, k in zip(whole, size, strict=True)]
    rows = []
    for atom in atoms:
        for place in product(*places):
            row = torch.zeros(channels, *whole, dtype=atoms.dtype)
            row[(slice(None), *(slice(p, p + k) for p, k in zip(place, size, strict=True)))] = atom
            rows.append(row.flatten())
    return torch.stack(rows)

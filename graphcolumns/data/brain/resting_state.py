"""A resting-state series on fsaverage5, read from the files of an installed BrainSpace."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from graphcolumns.geometry import Geometry

STEM = "sub-010188_ses-02_task-rest_acq-AP_run-01"
VERTICES = 10242  # of a hemisphere of fsaverage5
# Columns of the table of confounds. It has no header: the names are ours, from what they hold.
CONFOUNDS = MappingProxyType(
    {
        "components": range(6),
        "motion": range(6, 12),
        "motion_difference": range(12, 18),
        "outliers": range(18, 26),
        "trend": range(26, 29),
    }
)
MOTION = ("motion", "motion_difference")


@dataclass(frozen=True, eq=False, repr=False)
class RestingState:
    """Time courses of the vertices of a cortex.

    Args:
        series: Time courses without confounds, in the unit of the scanner, ``[T, V]`` float32.
        vertex: Id of every vertex in the mesh of its hemisphere, ``[V]`` int64.
        hemisphere: Hemisphere of every vertex, 0 left, 1 right, ``[V]`` int64.
    """

    series: Tensor
    vertex: Tensor
    hemisphere: Tensor

    def __repr__(self) -> str:
        left = int((self.hemisphere == 0).sum())
        return (
            f"RestingState({len(self.series)} volumes, {left} vertices of the left hemisphere and "
            f"{len(self.vertex) - left} of the right)"
        )

    def at(self, geometry: Geometry) -> Tensor:
        """Time courses of the columns of a cortex, ``[T, N]``, in the order of its columns.

        Args:
            geometry: Columns of ``geometries.cortex.fsaverage`` of any level: its attributes
                ``vertex`` and ``hemisphere`` say which vertices they are.

        Raises:
            ValueError: A geometry without these attributes, or a column without a series.
        """
        place = self.place(geometry)
        if bool((place < 0).any()):
            raise ValueError(
                f"every column must have a series. Got {int((place < 0).sum())} of {len(place)} "
                "without one, on the medial wall; leave them out (RestingState.place has -1 for "
                "them), or read with medial_wall=True."
            )
        return self.series[:, place]

    def place(self, geometry: Geometry) -> Tensor:
        """Place of the series of every column, ``[N]`` int64; -1 where a column has none.

        Args:
            geometry: Columns of ``geometries.cortex.fsaverage`` of any level.

        Raises:
            ValueError: A geometry without the attributes ``vertex`` and ``hemisphere``.
        """
        about = geometry.attributes or {}
        if not {"vertex", "hemisphere"} <= about.keys():
            raise ValueError(
                "the geometry must have the attributes 'vertex' and 'hemisphere'. Got "
                f"{sorted(about)}; take one of geometries.cortex.fsaverage."
            )
        where = torch.full((2, VERTICES), -1)
        where[self.hemisphere, self.vertex] = torch.arange(len(self.vertex))
        return where[about["hemisphere"], about["vertex"]]


def resting_state(
    confounds: Sequence[str] = MOTION,
    detrend: bool = True,
    medial_wall: bool = False,
) -> RestingState:
    """One person at rest: 652 volumes on fsaverage5, from the files of an installed BrainSpace.

    BrainSpace is not imported, so its dependencies (among them VTK) are not needed:
    ``pip install --no-deps brainspace==0.3.0`` (60 MB). Nothing is downloaded or copied here.

    Confounds and a linear trend are regressed out over the whole series; where volumes are to be
    held out, read it with ``confounds=(), detrend=False``, see :func:`regress_out`. The series is
    smooth in time as it ships: 99 % of its power lies in the lowest 18 % of the frequencies.

    The table of confounds has 29 columns without names:

    - ``"components"``: 6 orthonormal time courses, probably components of noise;
    - ``"motion"``: 6 parameters of head motion;
    - ``"motion_difference"``: their differences to the volume before;
    - ``"outliers"``: one indicator for each of 8 volumes;
    - ``"trend"``: Legendre polynomials of degree 0 to 2.

    The code of BrainSpace is under a BSD licence with three clauses. The package does not say where
    the series comes from or on which terms: its name, ``sub-010188``, and its length fit the
    MPI-Leipzig Mind-Brain-Body data (OpenNeuro ds000221), which has not been confirmed. So it has
    not been verified that the terms of that data set hold here either. The header gives a
    repetition time of 1 s; the protocol of that data set, 1.4 s.

    Args:
        confounds: Names of the groups of columns that are regressed out.
        detrend: Whether the mean and a linear trend are regressed out too.
        medial_wall: Whether the vertices of the medial wall stay, whose series are 0: 888 of the
            left hemisphere and 881 of the right.

    Returns:
        Series of 9,354 vertices of the left and 9,361 of the right hemisphere, left first.

    Raises:
        FileNotFoundError: BrainSpace is not installed, or its files are others.
        ImportError: Nibabel is not installed.
        ValueError: An unknown group of confounds.

    Source: Vos de Wael et al., BrainSpace: a toolbox for the analysis of macroscale gradients in
        neuroimaging and connectomics datasets, Communications Biology 3 (2020),
        https://doi.org/10.1038/s42003-020-0794-7.
    """
    table, folder = confound_table(confounds), _folder()
    halves, vertices = [], []
    for side in ("lh", "rh"):
        raw = _read(folder / f"{STEM}.fsa5.{side}.mgz")
        found = np.arange(raw.shape[1]) if medial_wall else np.flatnonzero(np.ptp(raw, axis=0))
        halves.append(regress_out(torch.from_numpy(raw[:, found]), table, detrend))
        vertices.append(torch.from_numpy(found))
    hemisphere = torch.cat([torch.full_like(ids, side) for side, ids in enumerate(vertices)])
    return RestingState(torch.cat(halves, 1), torch.cat(vertices), hemisphere)


def confound_table(confounds: Sequence[str] = MOTION) -> Tensor:
    """Confounds of the resting-state series, ``[652, K]`` float64.

    Args:
        confounds: Names of groups of columns, see :func:`resting_state`.

    Raises:
        FileNotFoundError: BrainSpace is not installed, or its files are others.
        ValueError: An unknown group.
    """
    unknown = [name for name in confounds if name not in CONFOUNDS]
    if unknown or isinstance(confounds, str):
        raise ValueError(
            f"confounds must be names out of {', '.join(map(repr, CONFOUNDS))}. Got {confounds!r}; "
            "pass a tuple of names, () for none."
        )
    columns = [column for name in confounds for column in CONFOUNDS[name]]
    return torch.from_numpy(np.loadtxt(_folder() / f"{STEM}_confounds.txt", ndmin=2)[:, columns])


def regress_out(
    series: Tensor, confounds: Any, detrend: bool = True, fit: Tensor | None = None
) -> Tensor:
    """What is left of time courses when confounds are regressed out, ``[T, V]``.

    The residuals of ordinary least squares, computed in float64. Confounds may depend on each
    other linearly. Equal to ``nilearn.signal.clean`` without standardisation and filters.

    Residuals of a whole series are orthogonal to the confounds over all volumes, so those of the
    training volumes say what those of held-out volumes add up to. With the training volumes as
    ``fit`` they do not, but then residuals of held-out volumes have in common what is left of
    confounds that vary more there. Both raise the score of a prediction from other vertices: test
    it with targets that are shifted in time.

    Args:
        series: Time courses, ``[T, V]``.
        confounds: Confounds, an array or tensor ``[T, K]``; ``K`` may be 0.
        detrend: Whether the mean and a linear trend are regressed out too.
        fit: Volumes that the coefficients are fitted on, ids or bool (default: all).

    Raises:
        ValueError: Confounds of another number of volumes.
    """
    table = np.asarray(confounds, dtype=np.float64)
    if table.ndim != 2 or len(table) != len(series):
        raise ValueError(
            f"confounds must be of shape (T, K) with T={len(series)}, a row per volume. "
            f"Got {table.shape}."
        )
    if detrend:
        time = np.linspace(-1, 1, len(table))
        table = np.column_stack([np.ones_like(time), time, table])
    basis, values = torch.from_numpy(orthonormal_basis(table)), series.double()
    if fit is None:
        coefficients = basis.T @ values
    else:
        coefficients = torch.linalg.lstsq(basis[fit], values[fit], driver="gelsd").solution
    return (values - basis @ coefficients).to(series.dtype)


def orthonormal_basis(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """An orthonormal basis of the columns, ``[T, rank]``."""
    norms = np.linalg.norm(table, axis=0)
    # Columns of one norm, so that a small confound is not mistaken for one that depends on others.
    left, singular, _ = np.linalg.svd(table[:, norms > 0] / norms[norms > 0], full_matrices=False)
    return left[:, singular > 1e-10 * singular.max(initial=0.0)]


def _folder() -> Path:
    """The folder of the files, found without an import."""
    spec = importlib.util.find_spec("brainspace")
    places = list(spec.submodule_search_locations or ()) if spec else []
    folders = [Path(place, "datasets", "preprocessing") for place in places]
    for folder in folders:
        if (folder / f"{STEM}_confounds.txt").is_file():
            return folder
    raise FileNotFoundError(
        "the resting-state series is in the wheel of BrainSpace. Got "
        f"{'another version of it' if places else 'no installation of it'}; run "
        "pip install --no-deps brainspace==0.3.0."
    )


def _read(path: Path) -> NDArray[np.float32]:
    """Time courses of a hemisphere, ``[T, V]``."""
    try:
        import nibabel
    except ImportError as error:
        raise ImportError(
            "the resting-state series needs nibabel. It is not installed; "
            "run pip install 'graphcolumns[brain]'."
        ) from error
    image: Any = nibabel.load(path)
    values = np.asarray(image.dataobj)
    return np.ascontiguousarray(values.reshape(len(values), -1).T, dtype=np.float32)

"""Sparse coding on a sheet: local atoms, inhibition along edges."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from graphcolumns.connect import field_edges
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.models.neurodynamics.dictionary_residual import relative_residual
from graphcolumns.nn import EdgeLinear, keep_topology
from graphcolumns.nn.checks import check_choice, check_counts
from graphcolumns.nn.dynamics import EdgeLCA, Euler, Relaxation, WeightedEdges, relaxation, solve
from graphcolumns.nn.dynamics.core.full_precision import full_precision, widened
from graphcolumns.nn.dynamics.sparse_coding.checks import check_signals, check_threshold
from graphcolumns.nn.dynamics.sparse_coding.overlaps import overlap_sums, overlaps
from graphcolumns.nn.dynamics.sparse_coding.spectrum import largest_eigenvalue
from graphcolumns.nn.moved import moved
from graphcolumns.nn.protocols import ModelOutput
from graphcolumns.ops import edge_linear

# Largest eigenvalue of symmetric weights from which they are scaled down, and to which: above 1 the
# circuit is unstable, and close to it settles slowly.
INDEFINITE, SCALED = 1.01, 0.9
# Largest sum of the sizes of in-weights of a column, where weights are not symmetric.
CONTRACTING = 0.95


class SparseSheet(nn.Module):
    r"""A sheet of columns that code an image by inhibiting their neighbours.

    Every column has an atom :math:`d_i` on a small square of pixels, and its state follows

    .. math::
        \dot u_i = d_i \cdot x - u_i + \sum_{j \in \mathcal{N}(i)} w_{ij} a_j, \qquad
        a = T_\lambda(u), \qquad \hat x = \sum_i a_i d_i.

    With :math:`w_{ij} = -d_i \cdot d_j` for all columns whose fields overlap, that is LCA. On fewer
    edges codes are no longer the minimum of the energy,

    .. math::
        E = \tfrac12 \lVert x - \hat x \rVert^2 + \lambda \lVert a \rVert_1,

    and weights that are learned may make up for what is missing. Minimise E by adding the loss
    :func:`sparsity` to that of the reconstruction. Gradients pass through the fixed point, and with
    ``lateral="gram"`` through the weights to the atoms. Edges between columns can be pruned and
    grown.

    After every step weights are scaled down where the circuit might not have one stable fixed
    point. Minus the Gram matrix, on edges that all have their reverse, has one where no eigenvalue
    is above 1. Other weights are not symmetric, and that does not suffice for steps in time: the
    sizes of in-weights of each column then sum to .95 at most. With the soft threshold, a step in
    time below 2 / (1 + .95) contracts in the maximum norm, so that the circuit converges from
    everywhere. With the hard one nothing of this is proven.

    Args:
        geometry: Positions of the ``N`` columns.
        graph: Edges between columns. Self-edges have no effect.
        image_size: Height and width of the images in pixels, or the side of square ones.
        in_channels: Channels of the images.
        threshold: Threshold :math:`\lambda`, above 0, in units of the pixels.
        field: Side of the receptive fields in pixels.
        lateral: Weights between columns: ``"gram"``, minus the overlap of the atoms, set after
            every step, or ``"learned"``, which start there.
        nonnegative: Whether codes are non-negative.
        hard: Whether the threshold is hard, see :class:`~graphcolumns.nn.dynamics.LCA`.
        tolerance: Distance from the fixed point at which codes are read out, relative to the
            largest correlation of an image with an atom.
        max_steps: Most iterations of the circuit.

    Attributes:
        graphs: ``"lateral"``, the edges between columns, and ``"field"``, those from pixels.
        atoms: Value of every pixel in every atom, ``[E]`` for the graph ``"field"``; unit norm per
            column.
        scale: Factor that weights between columns have been scaled down by, per target, ``[N]``.

    Shapes:
        - input: ``[B, channels, Y, X]``
        - prediction: the reconstruction, in that shape; state: ``[N, B, 1]``, the codes

    Raises:
        ValueError: A threshold that is not positive, a field larger than the image, a graph of
            other columns than the geometry; when called, images of another size or not finite.

    Source: Rozell, Johnson, Baraniuk & Olshausen, Sparse coding via thresholding and local
        competition in neural circuits, Neural Computation 2008,
        https://doi.org/10.1162/neco.2008.03-07-486.
    """

    edge_tensors = {"atoms": "field"}  # noqa: RUF012, the contract reads it from the class
    column_tensors = ("scale",)
    no_weight_decay = ("atoms",)

    scale: Tensor

    def __init__(
        self,
        geometry: Geometry,
        graph: ColumnGraph,
        image_size: int | tuple[int, int],
        in_channels: int = 1,
        *,
        threshold: float = 1.0,
        field: int = 7,
        lateral: Literal["learned", "gram"] = "gram",
        nonnegative: bool = False,
        hard: bool = False,
        tolerance: float = 1e-3,
        max_steps: int = 2_000,
    ) -> None:
        super().__init__()
        check_threshold(threshold)
        check_counts(max_steps=max_steps, field=field, in_channels=in_channels)
        check_choice("lateral", lateral, ("learned", "gram"))
        geometry.require_columns(graph.num_columns)
        size = (image_size, image_size) if isinstance(image_size, int) else image_size
        fields = field_edges(geometry, size, in_channels, field)
        self.graphs = {"lateral": graph.named("lateral"), "field": fields.named("field")}
        self.threshold, self.field, self.gram = float(threshold), field, lateral == "gram"
        self.nonnegative, self.hard = nonnegative, hard
        self.tolerance, self.max_steps = tolerance, max_steps
        self.atoms = nn.Parameter(torch.randn(fields.num_edges))
        self.lateral = EdgeLinear(self.graphs["lateral"])
        # The circuit reads minus the overlaps instead; the layer keeps a copy for rules.
        self.lateral.weight.requires_grad_(not self.gram)
        self.register_buffer("scale", torch.ones(graph.num_columns))
        self._join()
        self._normalise()
        self._follow_atoms()
        self._stabilise()
        keep_topology(self)

    @property
    def graph(self) -> ColumnGraph:
        """The edges between columns."""
        return self.graphs["lateral"]

    @full_precision()
    def forward(self, images: Tensor) -> ModelOutput:
        """Codes images and reconstructs them; autocast is off inside."""
        pixels, fields = self._pixels(images), self.graphs["field"]
        circuit, method = self._circuit()
        solution = solve(
            circuit,
            pixels,
            method=method,
            stop=relative_residual,
            tolerance=self.tolerance,
            max_steps=self.max_steps,
        )
        codes = solution.output
        if self.lateral.recorder is not None and not torch.is_grad_enabled():
            # The circuit records the steps that have a gradient; without, note the last one.
            self.lateral(codes, circuit.edges)
        back = self.atoms[fields.by_source.permutation]
        seen = edge_linear(codes, back, fields.reverse())
        energy = (pixels - seen).square().sum((0, 2)) / 2 + self.penalty(codes)
        prediction = seen[..., 0].T.reshape(images.shape)
        return ModelOutput(prediction, codes, energy=energy, iterations=solution.iterations)

    def penalty(self, codes: Tensor) -> Tensor:
        """What codes ``[N, B, 1]`` cost in the energy, ``[B]``."""
        if self.hard:
            return self.threshold**2 / 2 * (codes != 0).sum((0, 2))
        return self.threshold * codes.abs().sum((0, 2))

    def relaxation(self, inputs: Tensor) -> Relaxation:
        """How the circuit settles on images, for reports."""
        circuit, method = self._circuit()
        return relaxation(circuit, self._pixels(inputs), method=method)

    @torch.no_grad()
    def after_step(self) -> None:
        """Brings atoms back to unit norm, and the weights to what follows from that."""
        self._normalise()
        if self.gram:
            self._follow_atoms()
        self._stabilise()

    def rewired(self, graph: ColumnGraph, name: str) -> None:
        """Takes ``graph`` in place of ``graphs[name]``."""
        self.graphs[name] = graph
        self._join()
        self.after_step()

    @torch.no_grad()
    def atom_images(self) -> Tensor:
        """Atoms as images, ``[N, M]``, zero outside of the receptive fields."""
        fields = self.graphs["field"]
        images = self.atoms.new_zeros(fields.num_columns, fields.num_sources)
        images[fields.target.long(), fields.source.long()] = self.atoms
        return images

    def describe(self) -> str:
        """The first sentence of a report."""
        graph = self.graphs["lateral"]
        weights = "that follow from the atoms" if self.gram else "that are learned"
        return (
            f"A sheet of {graph.num_columns:,} columns with receptive fields of {self.field} x "
            f"{self.field} pixels, which inhibit each other along {graph.num_edges:,} edges with "
            f"weights {weights}; threshold {self.threshold:g}."
        )

    def _pixels(self, images: Tensor) -> Tensor:
        """Images as sources of the fields, ``[M, B, 1]``."""
        pixels = widened(images.flatten(1), self.atoms)
        size = self.graphs["field"].num_sources
        fits = pixels.shape[1] == size
        check_signals(pixels, f"images of {size} values each", self.atoms, fits)
        return pixels.T[..., None]

    def _circuit(self) -> tuple[EdgeLCA, Euler]:
        """The circuit, with a step below its limit."""
        graph = self.graphs["lateral"]
        circuit = EdgeLCA(
            self.lateral,
            self.threshold,
            hard=self.hard,
            nonnegative=self.nonnegative,
            atoms=WeightedEdges(self.graphs["field"], self.atoms),
            graph=graph,
            symmetric=False,
            weight=self._gram_weights() if self.gram else None,
        )
        # Symmetric weights have no eigenvalue larger than the largest sum in a row.
        sums = self._in_sums(self.lateral.weight.detach())
        return circuit, Euler(dt=1.8 / (1 + float(sums.max())))

    def _in_sums(self, weight: Tensor) -> Tensor:
        """Sum of the sizes of the in-weights of every column, ``[N]``."""
        graph = self.graphs["lateral"]
        return weight.new_zeros(graph.num_columns).index_add(0, graph.target, weight.abs())

    def _join(self) -> None:
        """Finds where fields at both ends of lateral edges overlap."""
        graph = self.graphs["lateral"]
        edge, first, second = overlaps(graph, self.graphs["field"])
        apart = (graph.source != graph.target)[edge]
        self._overlaps = edge[apart], first[apart], second[apart]
        self._both_ways = graph.same_topology(graph.reverse())

    def _gram_weights(self) -> Tensor:
        """Minus the overlaps of the atoms, scaled, with their gradient."""
        kept = self.lateral.weight
        weight = self._overlap_sums() * -self.scale[self.graphs["lateral"].target]
        # Rules that score weights by their gradient take that of the copy in the layer.
        return weight + (kept - kept.detach()) if kept.requires_grad else weight

    def _overlap_sums(self) -> Tensor:
        """Inner product of the atoms at both ends of every edge, 0 for self-edges."""
        return overlap_sums(self.graphs["lateral"], self._overlaps, self.atoms)

    @torch.no_grad()
    def _normalise(self) -> None:
        graph = self.graphs["field"]
        squares = self.atoms.new_zeros(graph.num_columns)
        squares.index_add_(0, graph.target, self.atoms.square())
        norms = squares.sqrt().clamp(min=torch.finfo(squares.dtype).tiny)
        self.atoms.div_(norms[graph.target])

    @torch.no_grad()
    def _follow_atoms(self) -> None:
        """Sets lateral weights to minus the overlap of the atoms."""
        self.lateral.weight.copy_(-self._overlap_sums())

    @torch.no_grad()
    def _stabilise(self) -> None:
        """Scales lateral weights until the circuit has one stable fixed point.

        Source: Forti & Tesi, New conditions for global stability of neural networks, 1995,
            https://doi.org/10.1109/81.401145, for symmetric weights.
        """
        graph, weight = self.graphs["lateral"], self.lateral.weight
        weight.masked_fill_(graph.source == graph.target, 0)
        if self.gram and self._both_ways:
            top = largest_eigenvalue(
                lambda x: edge_linear(x, weight, graph),
                weight.new_zeros(graph.num_columns, 1, 1),
                dim=1,
            )
            # At 1 itself, which is that of all overlaps of many atoms, nothing is changed.
            factor = torch.where(top > INDEFINITE, SCALED / top, torch.ones_like(top))
        else:
            factor = CONTRACTING / self._in_sums(weight).clamp(min=CONTRACTING)
        self.scale.copy_(factor)
        weight.mul_(self.scale[graph.target])

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        super()._apply(fn, recurse)
        self.graphs = {name: moved(graph, fn) for name, graph in self.graphs.items()}
        device = self.graphs["lateral"].device
        edge, first, second = (part.to(device) for part in self._overlaps)
        self._overlaps = edge, first, second
        return self


def sparsity(model: SparseSheet, output: ModelOutput, targets: Tensor) -> Tensor:
    r"""The share of the penalty in the energy, as a loss beside that of a reconstruction.

    The mean over samples of :math:`2 \lambda \lVert a \rVert_1 / M` with M values per sample.
    Added to the mean squared error with weight 1 it is :math:`2 E / M`.

    Args:
        model: Model whose codes are the state of the output, with a method ``penalty``.
        output: Output of the model.
        targets: Targets, ``[B, ...]``.
    """
    assert output.state is not None
    return 2 * model.penalty(output.state).mean() / targets[0].numel()

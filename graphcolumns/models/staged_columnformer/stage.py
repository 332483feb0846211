"""One sheet of a staged columnformer: pooled from the sheet below, then among its own."""

from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor, nn

from graphcolumns.graph import ColumnGraph
from graphcolumns.models.staged_columnformer.cross import CrossColumn
from graphcolumns.nn.column import Column
from graphcolumns.nn.moved import moved
from graphcolumns.nn.pool import LearnedPool
from graphcolumns.nn.recurrence import embedding, recurrent_steps, run_step
from graphcolumns.nn.topology_state import keep_topology


class Stage(nn.Module):
    r"""A sheet, and how it attends to the sheet below.

    .. math::
        x^0 = P z, \qquad x^1 = \mathrm{cross}(x^0, z), \qquad x^{t+1} = \mathrm{column}_t(x^t)

    from the tokens :math:`z` below; the first sheet is not pooled: :math:`x^0 = z + g`, with the
    embeddings :math:`g` of its columns.

    Args:
        graph: Edges within the sheet.
        columns: One :class:`Column` per lateral step, or a single one (recurrent).
        depth: Number of lateral steps (default: one per column).
        pool: Queries of this sheet, None in the first sheet.
        cross: Step that attends to the tokens below, None in the first sheet.
        pool_graph: Edges from the sheet below, None in the first sheet.
        grid: Embeddings ``[N, C]`` of the columns of the first sheet (default: new ones).

    Raises:
        ValueError: Parts that do not fit each other.
    """

    no_weight_decay = ("position",)

    def __init__(
        self,
        graph: ColumnGraph,
        columns: Column | Sequence[Column],
        *,
        depth: int | None = None,
        pool: LearnedPool | None = None,
        cross: CrossColumn | None = None,
        pool_graph: ColumnGraph | None = None,
        grid: nn.Parameter | None = None,
    ) -> None:
        super().__init__()
        self.graph, self.pool_graph = graph, pool_graph
        self.columns = nn.ModuleList([columns] if isinstance(columns, Column) else columns)
        self.depth = len(self.columns) if depth is None else depth
        self.pool, self.cross = pool, cross
        self._check()
        self.position: nn.Parameter | None = None
        if pool is None:
            first: Any = self.columns[0]
            self.position = embedding(graph.num_columns, first.channels) if grid is None else grid
        keep_topology(self)

    def _check(self) -> None:
        pooled = [part is not None for part in (self.pool, self.cross, self.pool_graph)]
        if any(pooled) != all(pooled):
            raise ValueError(
                "a pooled stage needs pool, cross and pool_graph, the first stage none of them, "
                f"got {pooled}"
            )
        held: set[Any] = {column.num_columns for column in self.columns}
        if self.pool is not None and self.pool_graph is not None:
            held |= {self.pool.num_columns, self.pool_graph.num_columns}
        if held != {self.graph.num_columns} or self.graph.num_sources != self.graph.num_columns:
            raise ValueError(
                f"all parts of a stage must be for its {self.graph.num_columns} columns, "
                f"got {sorted(held)} and {self.graph}"
            )
        if self.depth != len(self.columns) and len(self.columns) != 1:
            raise ValueError(
                f"a stage needs one Column per lateral step, depth = {self.depth}, or a single one "
                f"for all, got {len(self.columns)}"
            )

    @property
    def grid(self) -> Tensor:
        """The codes ``[N, C]`` of the columns: positions in the first sheet, queries above."""
        owned: Any = self.position if self.pool is None else self.pool.grid
        return owned

    @property
    def exchanges(self) -> list[ColumnGraph]:
        """The graph along which columns attend in each of the steps."""
        below = [] if self.pool_graph is None else [self.pool_graph] * 2
        return below + [self.graph] * self.depth

    def rewired(self, graph: ColumnGraph, name: str) -> None:
        """Takes ``graph`` in place of ``graph`` or ``pool_graph``, whose name is ``name``."""
        setattr(self, name, graph)

    def iter_steps(
        self,
        x: Tensor,
        keys: Tensor | None,
        costs: tuple[Tensor | None, Tensor | None],
        memory: str,
    ) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Yields the state ``[N, B, C]`` and its expected cost after every exchange.

        Args:
            x: Tokens of the sheet below, ``[M, B, C]``.
            keys: Embeddings ``[M, C]`` of its columns for static pooling, None for dynamic.
            costs: Costs of the edges from below and of the lateral edges.
            memory: ``"store"`` or ``"recompute"``.
        """
        if self.pool is None or self.cross is None:
            x = x + self.grid[:, None]
        else:
            below = x
            x, paid = self.pool(below, self.pool_graph, keys, costs[0])
            yield x, paid
            x, paid = run_step(memory, self.cross, x, below, self.pool_graph, costs[0])
            yield x, paid
        for column, uses in recurrent_steps(self.columns, self.depth, x.shape[1]):
            x, paid = run_step(memory, column, x, self.graph, costs[1], uses)
            yield x, paid

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        """Moves the graphs along with the module."""
        self.graph = moved(self.graph, fn)
        self.pool_graph = None if self.pool_graph is None else moved(self.pool_graph, fn)
        return super()._apply(fn, recurse)

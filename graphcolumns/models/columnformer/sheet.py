"""A columnformer from a geometry, a graph and numbers."""

from collections.abc import Sequence

import torch
from torch import Tensor

from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.models.columnformer.model import Columnformer
from graphcolumns.models.columnformer.readouts import READOUTS, make_readout
from graphcolumns.models.columnformer.receptive import check_ids, topographic_tokens
from graphcolumns.models.columnformer.width import of_width
from graphcolumns.nn.attention import ColumnAttention
from graphcolumns.nn.checks import check_choice, check_counts, check_dropout
from graphcolumns.nn.column import Column
from graphcolumns.nn.edge_bias import EdgeBias
from graphcolumns.nn.embed import PatchEmbed, as_pair
from graphcolumns.nn.mixture import Mixture
from graphcolumns.nn.positions import LearnedPositions


def sheet(
    geometry: Geometry,
    graph: ColumnGraph,
    *,
    image_size: int | tuple[int, int],
    in_channels: int,
    num_classes: int,
    channels: int | None = 16,
    parameters: int | None = None,
    flops: int | None = None,
    depth: int = 4,
    heads: int = 2,
    recurrent: bool = True,
    attention: str = "attention",
    qk_channels: int | None = None,
    value: str = "linear",
    weights: str = "untied",
    mlp_weights: str | None = None,
    norm_weights: str | None = None,
    rank: int = 4,
    hidden: int | None = None,
    skip_attention: bool = True,
    edge_bias: str = "edge",
    local_sigma: float | None = None,
    patch: int = 1,
    stride: int | None = None,
    padding: int = 0,
    blur: float = 0.0,
    embed_weights: str = "shared",
    inputs: str = "topographic",
    drive: str = "every_step",
    outputs: str = "all",
    readout: str = "mean",
    readout_weights: str = "shared",
    position_embedding: bool = True,
    time_embedding: bool = False,
    dropout: float = 0.0,
    edge_dropout: float = 0.0,
    wiring: str | None = None,
    wiring_power: float = 1.0,
    wiring_sigma: float = 2.0,
    memory: str = "store",
    std: float | None = None,
    permutation: Tensor | None = None,
    receptive: Tensor | Sequence[int] | None = None,
) -> Columnformer:
    r"""Builds a columnformer on a sheet, every ingredient a keyword.

    Args:
        geometry: Where the columns are, in the order of the graph. If it is ``learnable``, that is
            where they start, and the wiring cost moves them.
        graph: Who listens to whom.
        image_size: Height and width in pixels, or one number for both.
        in_channels: Channels of the images.
        num_classes: ``K``.
        channels: ``C``; None to make the model as wide as a budget allows.
        parameters: The budget in trained numbers.
        flops: The budget in operations of the matrix products of a forward pass, per image.
        depth: Number of steps ``T``.
        heads: ``H``.
        recurrent: One layer applied ``depth`` times, or ``depth`` layers (feed-forward).
        attention: ``"attention"``, ``"selection"``, ``"mixing"``, ``"linear_mixing"`` or
            ``"identity"``, see :class:`ColumnAttention`.
        qk_channels: Width of queries and keys per head (default: ``C / H``).
        value: ``"linear"`` or ``"input"``.
        weights: ``"untied"``, ``"shared"``, ``"mixture"`` or ``"lowrank"``: of attention.
        mlp_weights: The same for the MLP (default: as ``weights``).
        norm_weights: The same for the norms (default: as ``weights``).
        rank: Of the modes ``mixture`` and ``lowrank``.
        hidden: Width of the MLP (default: ``2 C``).
        skip_attention: Whether attention has a residual connection.
        edge_bias: Learned scores per ``"edge"``, per ``"head"`` and edge, ``"both"``, ``"none"``.
        local_sigma: Gaussian-local start of the edge bias, in the unit of the geometry.
        patch: Side of a receptive field, in pixels.
        stride: Between receptive fields, in pixels (default: ``patch``).
        padding: Zeros around the image, in pixels.
        blur: Standard deviation of a Gaussian blur of the input, in pixels.
        embed_weights: ``"shared"`` or ``"untied"`` map from receptive field to token.
        inputs: ``"topographic"``: every column sees the token at its own place, see
            :func:`topographic_tokens`; ``"first_sheet"``: only the first P columns see, column n
            token n.
        drive: The input enters the ``"initial"`` state only, or at ``"every_step"``.
        outputs: Columns that are read: ``"all"``, or ``"last_sheet"`` (the last P columns).
        readout: ``"mean"``, ``"spatial"`` (a map per class), or ``"columns"``: each column that is
            read gives one answer of its own, in the user's order, so that there are ``K`` of them.
        readout_weights: ``"shared"`` or ``"untied"`` weights of the readout ``"columns"``.
        position_embedding: Whether to learn a code per column.
        time_embedding: Whether to learn a code per step.
        dropout: Of activations.
        edge_dropout: Of edges.
        wiring: Cost reported by the forward pass: None, ``"distance"``, ``"gaussian"`` or
            ``"communicability"``.
        wiring_power: Exponent of the distance.
        wiring_sigma: Radius of the Gaussian cost, in the unit of the geometry.
        memory: ``"store"`` or ``"recompute"`` the activations of a step.
        std: Of the initial weights (default: uniform with fan-in).
        permutation: Of ``geometry.reorder()``: column n here is column ``permutation[n]`` of the
            user, whose order decides who sees which token.
        receptive: Token that each column sees, ``[N]`` int64 or a list, -1 for none, in place of
            ``inputs``; it may leave tokens unseen, so that there may be more of them than columns.
            In the user's order, which with ``permutation`` is not that of ``geometry``.

    Returns:
        A :class:`Columnformer`.

    Raises:
        ValueError: An unknown choice, sizes that do not fit, or not exactly one of ``channels``,
            ``parameters`` and ``flops``.
    """
    check_choice("inputs", inputs, ("topographic", "first_sheet"))
    check_choice("outputs", outputs, ("all", "last_sheet"))
    check_choice("readout", readout, READOUTS)
    check_choice("edge_bias", edge_bias, ("none", "edge", "head", "both"))
    check_counts(depth=depth, heads=heads)
    check_dropout(dropout=dropout, edge_dropout=edge_dropout)
    if local_sigma is not None and edge_bias == "none":
        raise ValueError(
            f"local_sigma={local_sigma} starts an edge bias, got edge_bias='none': "
            "choose edge_bias='edge', or local_sigma=None"
        )
    count = geometry.num_columns
    user = torch.arange(count) if permutation is None else permutation
    check_ids("permutation", user, count)
    if not torch.equal(user.sort().values, torch.arange(count)):
        raise ValueError(f"permutation must hold each of the {count} column ids once")
    if receptive is not None:
        receptive = torch.as_tensor(receptive)
        check_ids("receptive", receptive, count)
        receptive = receptive[user]
    mlp, norm = mlp_weights or weights, norm_weights or weights

    def column(channels: int) -> Column:
        mixed = "mixture" in (weights, mlp, norm)
        mixture = Mixture(count, rank) if mixed else None
        bias = None
        if edge_bias != "none":
            common, per_head = edge_bias in ("edge", "both"), edge_bias in ("head", "both")
            bias = EdgeBias(graph, heads, common, per_head, local_sigma)
        exchange = ColumnAttention(
            count, channels, heads, attention, qk_channels, value, weights, rank, mixture, bias,
            dropout=edge_dropout, std=std,
        )  # fmt: skip
        return Column(
            count, exchange, 2 * channels if hidden is None else hidden, mlp, norm, rank, mixture,
            skip_attention, dropout=dropout, std=std,
        )  # fmt: skip

    def build(channels: int) -> Columnformer:
        embed = PatchEmbed(
            image_size, in_channels, channels, patch, stride, padding, blur, weights=embed_weights
        )
        tokens = embed.num_tokens
        if count < tokens and (receptive is None or outputs == "last_sheet"):
            raise ValueError(
                f"{tokens} receptive fields need at least as many columns, got {count}: "
                "use a larger patch or stride, or a larger sheet"
            )
        seen = torch.where(user < tokens, user, -1)
        if inputs == "topographic":
            seen = topographic_tokens(geometry, *embed.grid)
        seen = seen if receptive is None else receptive
        first = 0 if outputs == "all" else count - tokens
        head = make_readout(readout, readout_weights, channels, num_classes, user, first)
        return Columnformer(
            graph,
            embed,
            column(channels) if recurrent else [column(channels) for _ in range(depth)],
            head,
            depth=depth,
            receptive=seen,
            drive=drive,
            position_embedding=position_embedding,
            time_embedding=time_embedding,
            wiring=wiring,
            wiring_power=wiring_power,
            wiring_sigma=wiring_sigma,
            positions=LearnedPositions(geometry) if geometry.learnable else None,
            memory=memory,
        )

    image_shape = (in_channels, *as_pair(image_size))
    widths = {"channels": channels, "parameters": parameters, "flops": flops}
    return of_width(build, widths, image_shape, multiple=heads)

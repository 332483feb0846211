"""One recurrent step of every column: attention between columns, an MLP within each."""

from torch import Tensor, nn
from torch.nn import functional as F

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.activations import ACTIVATIONS
from graphcolumns.nn.attention import ColumnAttention
from graphcolumns.nn.checks import check_choice, check_counts, check_dropout
from graphcolumns.nn.mixture import Mixture
from graphcolumns.nn.untied import UntiedLinear, Use
from graphcolumns.nn.untied_layer_norm import UntiedLayerNorm


class Column(nn.Module):
    r"""A transformer block with weights per column and attention along edges.

    .. math::
        x &\leftarrow [x +]\; \mathrm{Attention}(\mathrm{LN}_1(x)) \\
        x &\leftarrow x + U\, \sigma(V\, \mathrm{LN}_2(x) + c) + u

    Pre-norm with GELU by default, as in a vision transformer; the untied, recurrent form is the
    Columnformer of Lane.

    Args:
        num_columns: Number of columns ``N``.
        attention: Attention by which columns communicate.
        hidden: Width of the MLP.
        weights: Weight mode of the MLP, see :class:`UntiedLinear`.
        norm_weights: Weight mode of the norms.
        rank: Rank of the modes ``mixture`` and ``lowrank``.
        mixture: Coefficients shared by every layer of the column (default: one for each).
        skip_attention: Whether the input is added to what the column receives.
        out_bias: Whether the second map of the MLP has a bias.
        dropout: Dropout of activations, after attention and after the MLP.
        std: Standard deviation of the initial weights, see :class:`UntiedLinear`.
        activation: Activation of the MLP, ``"gelu"`` or ``"relu"``, which has exact zeros.

    Shapes:
        - input: ``[N, B, C]``
        - output: ``[N, B, C]`` and the expected edge cost ``[N, B, H]`` or None

    Raises:
        ValueError: An attention for other columns, or one that shares a mixture that is not
            ``mixture`` (no layer would train it); a size below one or a dropout outside [0, 1).

    Source: Dosovitskiy et al., An image is worth 16x16 words, ICLR 2021,
    https://arxiv.org/abs/2010.11929; Lane, https://github.com/clane9/columnformers, 2023.
    """

    def __init__(
        self,
        num_columns: int,
        attention: ColumnAttention,
        hidden: int,
        weights: str = "untied",
        norm_weights: str = "untied",
        rank: int = 4,
        mixture: Mixture | None = None,
        skip_attention: bool = True,
        out_bias: bool = True,
        dropout: float = 0.0,
        std: float | None = None,
        activation: str = "gelu",
    ) -> None:
        super().__init__()
        _check_attention(attention, num_columns, mixture)
        check_counts(hidden=hidden)
        check_dropout(dropout=dropout)
        check_choice("activation", activation, tuple(ACTIVATIONS))
        channels = attention.channels
        self.num_columns, self.channels, self.heads = num_columns, channels, attention.heads
        self.skip_attention, self.dropout = skip_attention, dropout
        self.activation = activation
        self.mixture = mixture
        self.norm1 = UntiedLayerNorm(num_columns, channels, norm_weights, rank, mixture)
        self.attention = attention
        self.norm2 = UntiedLayerNorm(num_columns, channels, norm_weights, rank, mixture)
        shared = (weights, rank, mixture, std)
        self.hidden = UntiedLinear(num_columns, channels, hidden, True, *shared)
        self.out = UntiedLinear(num_columns, hidden, channels, out_bias, *shared)

    def reset_parameters(self) -> None:
        """Draws new weights."""
        if self.mixture is not None:
            self.mixture.reset_parameters()
        parts = (self.norm1, self.attention, self.norm2, self.hidden, self.out)
        for part in parts:
            part.reset_parameters()

    def unroll(self, steps: int, batch: int) -> list[dict[str, Use]]:
        """Weights of every linear map for every step, so that their gradients are formed once."""
        linears = {f"attention.{k}": v for k, v in self.attention.linears().items()}
        linears |= {"hidden": self.hidden, "mlp": self.out}
        unrolled = {name: linear.unroll(steps, batch) for name, linear in linears.items()}
        return [{name: uses[t] for name, uses in unrolled.items()} for t in range(steps)]

    def forward(
        self,
        x: Tensor,
        graph: ColumnGraph,
        cost: Tensor | None = None,
        uses: dict[str, Use] | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """One step; with ``cost [E]`` also the expected cost per column, ``uses`` from unroll."""
        uses = uses or {}
        prefix = "attention."
        inner = {k.removeprefix(prefix): use for k, use in uses.items() if k.startswith(prefix)}
        received, expected = self.attention(self.norm1(x), graph, cost=cost, uses=inner)
        received = F.dropout(received, self.dropout, self.training)
        x = x + received if self.skip_attention else received
        hidden = ACTIVATIONS[self.activation](self.hidden(self.norm2(x), uses.get("hidden")))
        mlp_out = F.dropout(self.out(hidden, uses.get("mlp")), self.dropout, self.training)
        return x + mlp_out, expected


def _check_attention(attention: ColumnAttention, num_columns: int, mixture: Mixture | None) -> None:
    if attention.num_columns != num_columns:
        raise ValueError(
            f"the attention must be for num_columns={num_columns}, got {attention.num_columns}"
        )
    theirs = [linear.shared_mixture for linear in attention.linears().values()]
    if any(other is not None and other is not mixture for other in theirs):
        raise ValueError("the attention shares a mixture: pass the same mixture to the column")

"""Circuits as dynamical systems, and solvers that run any of them to a fixed point.

A circuit is a value with pure functions, see :class:`Circuit`; models that learn are in
``graphcolumns.models.neurodynamics``.
"""

from graphcolumns.nn.dynamics.adaptive_rates.attentive_lca import LCASelfAttention
from graphcolumns.nn.dynamics.adaptive_rates.fixed_time import FixedTimeProximal
from graphcolumns.nn.dynamics.adaptive_rates.liquid import LiquidNetwork
from graphcolumns.nn.dynamics.column_dynamics import ColumnDynamics
from graphcolumns.nn.dynamics.core.circuit import Circuit, Drive
from graphcolumns.nn.dynamics.core.follow import follow
from graphcolumns.nn.dynamics.core.iterate import DivergenceError
from graphcolumns.nn.dynamics.core.relaxation import Relaxation, relaxation
from graphcolumns.nn.dynamics.core.solve import Solution, solve
from graphcolumns.nn.dynamics.energy.classical_hopfield import ClassicalHopfield, hebbian_weights
from graphcolumns.nn.dynamics.energy.energy_transformer import EnergyTransformer
from graphcolumns.nn.dynamics.energy.hopfield import ModernHopfield
from graphcolumns.nn.dynamics.gradients.implicit import GradientWarning, Implicit
from graphcolumns.nn.dynamics.gradients.reversible import Reversible
from graphcolumns.nn.dynamics.gradients.unrolled import Truncated, Unrolled
from graphcolumns.nn.dynamics.hebbian.hebb import hebbian_step, oja_step, sanger_step
from graphcolumns.nn.dynamics.hebbian.soft_hebb import soft_hebb_step, soft_winners
from graphcolumns.nn.dynamics.methods.adaptive import Adaptive
from graphcolumns.nn.dynamics.methods.anderson import Anderson
from graphcolumns.nn.dynamics.methods.descent import Descent
from graphcolumns.nn.dynamics.methods.euler import Euler, Heun
from graphcolumns.nn.dynamics.methods.state_optimizers import Adam, Momentum, RMSProp
from graphcolumns.nn.dynamics.predictive_coding.activation import (
    Activation,
    identity,
    relu,
    tanh,
)
from graphcolumns.nn.dynamics.predictive_coding.chains import (
    discriminative,
    generative,
    mupc_scales,
)
from graphcolumns.nn.dynamics.predictive_coding.connection import Connection
from graphcolumns.nn.dynamics.predictive_coding.convolution import Convolution
from graphcolumns.nn.dynamics.predictive_coding.dense import Dense
from graphcolumns.nn.dynamics.predictive_coding.edges import Edges
from graphcolumns.nn.dynamics.predictive_coding.fixed_prediction import FixedPrediction
from graphcolumns.nn.dynamics.predictive_coding.layer import Layer
from graphcolumns.nn.dynamics.predictive_coding.learning_energy import local_energy
from graphcolumns.nn.dynamics.predictive_coding.network import PredictiveCoding
from graphcolumns.nn.dynamics.predictive_coding.skip import Skip
from graphcolumns.nn.dynamics.predictive_coding.z_il import z_il
from graphcolumns.nn.dynamics.projection.bounded_least_squares import BoundedLeastSquares
from graphcolumns.nn.dynamics.projection.convex_sets import (
    Ball,
    Box,
    ConvexSet,
    HalfSpace,
    Simplex,
)
from graphcolumns.nn.dynamics.projection.k_winners import KWinners
from graphcolumns.nn.dynamics.projection.projection_network import ProjectionNetwork
from graphcolumns.nn.dynamics.projection.variational_inequality import VariationalInequality
from graphcolumns.nn.dynamics.sparse_coding.active_set import ActiveSet
from graphcolumns.nn.dynamics.sparse_coding.conv_lca import ConvLCA
from graphcolumns.nn.dynamics.sparse_coding.edge_lca import EdgeLCA
from graphcolumns.nn.dynamics.sparse_coding.floored_lca import FlooredLCA
from graphcolumns.nn.dynamics.sparse_coding.lca import LCA
from graphcolumns.nn.dynamics.sparse_coding.learned_start import LearnedStart, fit_start
from graphcolumns.nn.dynamics.sparse_coding.ridge_start import ridge_start
from graphcolumns.nn.dynamics.sparse_coding.sparse_circuit import SparseCircuit
from graphcolumns.nn.dynamics.sparse_coding.two_hop_lca import TwoHopLCA
from graphcolumns.nn.dynamics.sparse_coding.weighted_edges import (
    WeightedEdges,
    atom_edges,
    lateral_edges,
    normalized_edges,
)
from graphcolumns.nn.dynamics.winner_take_all.conv_wta import ConvWTA
from graphcolumns.nn.dynamics.winner_take_all.edge_wta import EdgeWTA
from graphcolumns.nn.dynamics.winner_take_all.graph_wta import GraphWTA
from graphcolumns.nn.dynamics.winner_take_all.inhibition import InhibitoryCircuit
from graphcolumns.nn.dynamics.winner_take_all.lca_wta import LCAWTA
from graphcolumns.nn.dynamics.winner_take_all.local_wta import LocalWTA
from graphcolumns.nn.dynamics.winner_take_all.regime import Regime, RegimeWarning, regime_of
from graphcolumns.nn.dynamics.winner_take_all.wta import WTA
from graphcolumns.nn.dynamics.winner_take_all.wta_network import WTANetwork
from graphcolumns.nn.dynamics.zeroing.gradient_network import GradientNetwork
from graphcolumns.nn.dynamics.zeroing.sign_bi_power import SignBiPower
from graphcolumns.nn.dynamics.zeroing.time_varying import TimeVarying
from graphcolumns.nn.dynamics.zeroing.zeroing_network import ZeroingNetwork

__all__ = [
    "LCA",
    "LCAWTA",
    "WTA",
    "Activation",
    "ActiveSet",
    "Adam",
    "Adaptive",
    "Anderson",
    "Ball",
    "BoundedLeastSquares",
    "Box",
    "Circuit",
    "ClassicalHopfield",
    "ColumnDynamics",
    "Connection",
    "ConvLCA",
    "ConvWTA",
    "ConvexSet",
    "Convolution",
    "Dense",
    "Descent",
    "DivergenceError",
    "Drive",
    "EdgeLCA",
    "EdgeWTA",
    "Edges",
    "EnergyTransformer",
    "Euler",
    "FixedPrediction",
    "FixedTimeProximal",
    "FlooredLCA",
    "GradientNetwork",
    "GradientWarning",
    "GraphWTA",
    "HalfSpace",
    "Heun",
    "Implicit",
    "InhibitoryCircuit",
    "KWinners",
    "LCASelfAttention",
    "Layer",
    "LearnedStart",
    "LiquidNetwork",
    "LocalWTA",
    "ModernHopfield",
    "Momentum",
    "PredictiveCoding",
    "ProjectionNetwork",
    "RMSProp",
    "Regime",
    "RegimeWarning",
    "Relaxation",
    "Reversible",
    "SignBiPower",
    "Simplex",
    "Skip",
    "Solution",
    "SparseCircuit",
    "TimeVarying",
    "Truncated",
    "TwoHopLCA",
    "Unrolled",
    "VariationalInequality",
    "WTANetwork",
    "WeightedEdges",
    "ZeroingNetwork",
    "atom_edges",
    "discriminative",
    "fit_start",
    "follow",
    "generative",
    "hebbian_step",
    "hebbian_weights",
    "identity",
    "lateral_edges",
    "local_energy",
    "mupc_scales",
    "normalized_edges",
    "oja_step",
    "regime_of",
    "relaxation",
    "relu",
    "ridge_start",
    "sanger_step",
    "soft_hebb_step",
    "soft_winners",
    "solve",
    "tanh",
    "z_il",
]

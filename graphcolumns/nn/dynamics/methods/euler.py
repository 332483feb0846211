"""Steps in time: Euler and Heun."""

from __future__ import annotations

from dataclasses import dataclass, replace

from graphcolumns.nn.dynamics.core.circuit import Circuit, Drive
from graphcolumns.nn.dynamics.core.states import State, map_state, tensors_of, with_tensors
from graphcolumns.nn.dynamics.methods.method import Memory, settled_step


@dataclass(frozen=True)
class Euler:
    r"""Steps of a fixed size, :math:`u_{k+1} = u_k + \frac{dt}{\tau} f(u_k)`.

    Args:
        dt: Time step (default: 90 % of the limit of the circuit).
        time_constants: Time constant of every tensor of the state, relative to the fastest; layers
            with larger ones follow changing inputs more slowly. Fixed points are the same.
        allow_unstable: Whether a time step beyond the limit is allowed.

    Raises:
        ValueError: When solving, see :meth:`ready`.
    """

    dt: float | None = None
    time_constants: tuple[float, ...] | None = None
    allow_unstable: bool = False

    def ready(self, circuit: Circuit, drive: Drive) -> Euler:
        """The method with its time step.

        Raises:
            ValueError: A step that is not positive or not below the limit; a time constant below 1.
        """
        check_time_constants(self.time_constants)
        dt = settled_step(self.dt, circuit, drive, self.allow_unstable)
        return replace(self, dt=dt)

    def memory(self, state: State, batch_dim: int) -> Memory:
        """Nothing."""
        return ()

    def advance(
        self, circuit: Circuit, state: State, drive: Drive, memory: Memory, iteration: int
    ) -> tuple[State, Memory]:
        """One step of the circuit's own, of every tensor at its own speed."""
        assert self.dt is not None
        if self.time_constants is None:
            return circuit.step(state, drive, self.dt), memory
        _check_count(state, self.time_constants)
        # A step may end with more than a sum, such as shrinkage, so it is made at each speed.
        steps = {
            tau: tensors_of(circuit.step(state, drive, self.dt / tau))
            for tau in set(self.time_constants)
        }
        return with_tensors(state, [steps[t][i] for i, t in enumerate(self.time_constants)]), memory


@dataclass(frozen=True)
class Heun:
    r"""Second-order steps of a fixed size (explicit trapezoidal rule).

    .. math::
        u_{k+1} = u_k + \tfrac{dt}{2} (f(u_k) + f(u_k + dt \, f(u_k)))

    Its limit along the negative real axis is that of Euler steps, so it is for trajectories, not
    for fixed points.

    Args:
        dt: Time step (default: 90 % of the limit of the circuit).
        allow_unstable: Whether a time step beyond the limit is allowed.

    Raises:
        ValueError: When solving, see :meth:`ready`.
    """

    dt: float | None = None
    allow_unstable: bool = False

    def ready(self, circuit: Circuit, drive: Drive) -> Heun:
        """The method with its time step.

        Raises:
            ValueError: A step that is not positive or not below the limit.
        """
        return replace(self, dt=settled_step(self.dt, circuit, drive, self.allow_unstable))

    def memory(self, state: State, batch_dim: int) -> Memory:
        """Nothing."""
        return ()

    def advance(
        self, circuit: Circuit, state: State, drive: Drive, memory: Memory, iteration: int
    ) -> tuple[State, Memory]:
        """One step: two evaluations of the flow."""
        assert self.dt is not None
        first = circuit.flow(state, drive)
        second = circuit.flow(circuit.constrained(advanced(state, first, self.dt)), drive)
        mean = map_state(lambda a, b: (a + b) / 2, first, second)
        return circuit.constrained(advanced(state, mean, self.dt)), memory


def advanced(state: State, rate: State, dt: float) -> State:
    """The state after a time step at a constant rate."""
    return map_state(lambda u, du: u + dt * du, state, rate)


def _check_count(state: State, time_constants: tuple[float, ...]) -> None:
    """Raises ValueError unless there is a time constant per tensor of the state."""
    count = len(tensors_of(state))
    if len(time_constants) != count:
        raise ValueError(
            "time_constants must have one number per tensor of the state. Expected "
            f"{count}. Got {len(time_constants)}."
        )


def check_time_constants(time_constants: tuple[float, ...] | None) -> None:
    """Raises ValueError for a time constant below 1."""
    for tau in time_constants or ():
        if not tau >= 1:
            raise ValueError(
                "time_constants must be 1 or more: the fastest tensor of the state has 1. "
                f"Got {tau!r}; scale dt instead."
            )

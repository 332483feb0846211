"""How fast do locally competitive algorithms solve the LASSO, and do state optimizers help?

100 problems on each of two dictionaries: 64 x 256 Gaussian, and 64 x 128 Gaussian bumps of width
2 at equally spaced places, whose neighbours correlate by .993. Signals are six atoms with Gaussian
amplitudes and a little noise, scaled so that the threshold, .1, is a tenth of the one at which all
codes are zero. Everything is float64 and starts at zero. Times are CPU seconds of one thread, all
arms in one process.

Written before the run. "Plain LCA reaches a violation of 1e-6 and a relative gap of 1e-6 on both
dictionaries within 200,000 steps" is falsified if one of the 200 problems does not. "Adam
dramatically accelerates", the claim of NeurodynamicalSystems.jl, is falsified if Adam needs more
CPU time than plain LCA to a gap of 1e-6 on either dictionary, or does not arrive.

The tolerance of celer and the iterations of sporco were chosen after a first run, in which both
stopped before a gap of 1e-6 on many of the bumps (tol=1e-7: 71 of 100; 500 iterations: 82); they
were then run again, alone.

Needs celer and sporco besides the library: pip install celer sporco. Arms that are named are run
again and replaced in lca.json.

    OMP_NUM_THREADS=1 python docs/measurements/lca.py docs/measurements
    OMP_NUM_THREADS=1 python docs/measurements/lca.py docs/measurements celer sporco
"""

import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from celer import Lasso
from sporco.admm import bpdn
from torch.nn.functional import normalize

from graphcolumns.nn.dynamics import (
    LCA,
    ActiveSet,
    Adam,
    Anderson,
    DivergenceError,
    Euler,
    Momentum,
    fit_start,
    ridge_start,
    solve,
)
from graphcolumns.nn.dynamics.sparse_coding.threshold import soft_threshold

THRESHOLD, COUNT, CAP = 0.1, 100, 20_000
F64 = torch.float64


def gaussian() -> torch.Tensor:
    """Random atoms, `[256, 64]`."""
    generator = torch.Generator().manual_seed(0)
    return normalize(torch.randn(256, 64, dtype=F64, generator=generator), dim=1)


def bumps() -> torch.Tensor:
    """Bumps at equally spaced places, `[128, 64]`."""
    places = torch.linspace(0, 63, 128, dtype=F64)
    distance = torch.arange(64, dtype=F64) - places[:, None]
    return normalize(torch.exp(-distance.square() / (2 * 2.0**2)), dim=1)


def problems(dictionary: torch.Tensor, count: int, seed: int) -> torch.Tensor:
    """Signals `[count, m]` of six atoms each, with 5 % of noise."""
    generator = torch.Generator().manual_seed(seed)
    active = torch.rand(count, len(dictionary), generator=generator).argsort(1)[:, :6]
    amplitudes = torch.randn(count, 6, dtype=F64, generator=generator)
    codes = torch.zeros(count, len(dictionary), dtype=F64).scatter_(1, active, amplitudes)
    x = codes @ dictionary
    noise = normalize(torch.randn(x.shape, dtype=F64, generator=generator), dim=1)
    x = x + 0.05 * x.norm(dim=1, keepdim=True) * noise
    return x / (x @ dictionary.T).abs().amax(1, keepdim=True)


def gap_of(circuit: LCA, x: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
    """Relative duality gap of codes, computed by the library for all solvers alike."""
    return circuit.gap(codes + THRESHOLD * codes.sign(), circuit.drive(x))


def proximal(circuit: LCA, x: torch.Tensor, fast: bool) -> dict:
    """ISTA, or FISTA; a problem that has arrived leaves the batch, as in `solve`."""
    b, gram = x @ circuit.dictionary.T, circuit.dictionary @ circuit.dictionary.T
    step = 1 / torch.linalg.eigvalsh(gram)[-1]
    index, iterations, a = torch.arange(len(x)), torch.full((len(x),), CAP), torch.zeros_like(b)
    z, t = a, 1.0
    for count in range(1, CAP + 1):
        new = soft_threshold(z + step * (b - z @ gram), float(step) * THRESHOLD)
        following = (1 + (1 + 4 * t * t) ** 0.5) / 2 if fast else 1.0
        z, a, t = new + (t - 1) / following * (new - a), new, following
        if count % 10 == 0:
            arrived = gap_of(circuit, x, a) <= 1e-6
            iterations[index[arrived]] = count
            rest = ~arrived
            index, x, b, a, z = index[rest], x[rest], b[rest], a[rest], z[rest]
            if not len(index):
                break
    return {"iterations": iterations, "arrived": COUNT - len(index)}


def circuit_run(circuit: LCA, x: torch.Tensor, **options) -> dict:
    """A run of `solve` to a gap of 1e-6."""
    options = {"stop": "gap", "tolerance": 1e-6, "max_steps": CAP, **options}
    solution = solve(circuit, x, **options)
    return {"iterations": solution.iterations, "arrived": int(solution.converged.sum())}


def with_celer(circuit: LCA, x: torch.Tensor, tol: float) -> torch.Tensor:
    """Codes by celer, one problem after another; its error is divided by the number of values."""
    atoms = np.asfortranarray(circuit.dictionary.T.numpy())
    model = Lasso(
        THRESHOLD / len(atoms), fit_intercept=False, tol=tol, max_iter=1000, max_epochs=200_000
    )
    codes = [model.fit(atoms, row.numpy()).coef_ for row in x]
    return torch.from_numpy(np.stack(codes))


def with_sporco(circuit: LCA, x: torch.Tensor, iterations: int) -> torch.Tensor:
    """Codes by ADMM, all problems at once."""
    options = bpdn.BPDN.Options(
        {
            "Verbose": False,
            "MaxMainIter": iterations,
            "RelStopTol": 1e-12,
            "AutoRho": {"Enabled": True},
        }
    )
    solver = bpdn.BPDN(circuit.dictionary.T.numpy(), x.T.numpy(), THRESHOLD, options)
    return torch.from_numpy(solver.solve().T.copy())


def timed(run) -> tuple[dict, float]:
    """What a function returns, and the CPU seconds that it took."""
    began = time.process_time()
    result = run()
    return result, time.process_time() - began


def other_solver(circuit: LCA, x: torch.Tensor, run) -> dict:
    """How many problems another solver has brought to a gap of 1e-6."""
    codes = run()
    arrived = gap_of(circuit, x, codes) <= 1e-6
    return {"iterations": None, "arrived": int(arrived.sum())}


def arms(circuit: LCA, x: torch.Tensor) -> dict:
    """Name -> function that solves all problems to a gap of 1e-6, or until it gives up."""
    learned = fit_start(
        circuit,
        problems(circuit.dictionary, 2000, seed=2),
        hidden=512,
        steps=1000,
        method=Anderson(),
        tolerance=1e-4,
        max_steps=2000,
        every=20,
    )
    return {
        "celer": lambda: other_solver(circuit, x, lambda: with_celer(circuit, x, 1e-9)),
        "sporco, ADMM": lambda: other_solver(circuit, x, lambda: with_sporco(circuit, x, 2000)),
        "ISTA": lambda: proximal(circuit, x, fast=False),
        "FISTA": lambda: proximal(circuit, x, fast=True),
        "LCA": lambda: circuit_run(circuit, x),
        "LCA, Anderson": lambda: circuit_run(circuit, x, method=Anderson()),
        "LCA, active set": lambda: circuit_run(circuit, x, method=ActiveSet(), every=1),
        "LCA, momentum .9": lambda: circuit_run(circuit, x, method=Momentum(0.05)),
        "LCA, Adam .01": lambda: circuit_run(circuit, x, method=Adam(0.01)),
        "LCA, Adam .1": lambda: circuit_run(circuit, x, method=Adam(0.1)),
        "LCA, Adam .01, decay 1e-4": lambda: circuit_run(circuit, x, method=Adam(0.01, decay=1e-4)),
        "LCA, Adam .1, decay 1e-4": lambda: circuit_run(circuit, x, method=Adam(0.1, decay=1e-4)),
        "LCA, ridge start": lambda: circuit_run(circuit, x, start=ridge_start(circuit, 0.1)),
        "LCA, learned start": lambda: circuit_run(circuit, x, start=learned),
        "LCA, learned start, Anderson": lambda: circuit_run(
            circuit, x, start=learned, method=Anderson()
        ),
    }


def solved(circuit: LCA, x: torch.Tensor) -> dict:
    """Plain LCA to both criteria within 200,000 steps, and its objective against celer's."""

    def worse(c, state, drive):
        return torch.maximum(c.residual(state, drive), c.gap(state, drive))

    run = solve(circuit, x, stop=worse, tolerance=1e-6, max_steps=200_000, every=50)
    codes = with_celer(circuit, x, 1e-12)
    best = circuit.energy(codes + THRESHOLD * codes.sign(), run.drive)
    exact = solve(circuit, x, method=ActiveSet(), stop="gap", tolerance=1e-12, every=1)
    return {
        "arrived": int(run.converged.sum()),
        "median steps": float(run.iterations.double().median()),
        "most steps": int(run.iterations.max()),
        "largest violation": float(circuit.residual(run.state, run.drive).max()),
        "largest gap": float(circuit.gap(run.state, run.drive).max()),
        "largest gap of celer": float(gap_of(circuit, x, codes).max()),
        "largest excess over celer": float(((run.energy - best) / best).max()),
        "largest gap of the active set": float(exact.distance.max()),
        "largest excess over the active set": float(
            ((run.energy - exact.energy) / exact.energy).max()
        ),
        "active": float((run.output != 0).sum(1).double().mean()),
    }


def stability(circuit: LCA, x: torch.Tensor) -> dict:
    """Steps of .95 and 1.05 of the limit, from zero and from where all units are active."""
    drive = circuit.drive(x)
    limit = circuit.step_limit(drive)
    top = torch.linalg.eigh(drive.shared[0])[1][:, -1]
    far = (100 * top / top.abs().min()).expand(len(x), -1).contiguous()
    result = {"limit": limit}
    for share in (0.95, 1.05):
        for name, start in (("zero", None), ("all active", far)):
            method = Euler(share * limit, allow_unstable=True)
            try:
                run = solve(circuit, x, method=method, start=start, max_steps=2000, tolerance=1e-6)
                result[f"{share} from {name}"] = float(run.distance.max())
            except DivergenceError:
                result[f"{share} from {name}"] = "diverges"
    end = solve(circuit, x, method=Anderson(), max_steps=5000, tolerance=1e-6)
    result["smallest limit of the active units"] = float(
        circuit.active_step_limit(end.state, end.drive).min()
    )
    return result


def run_arms(circuit: LCA, x: torch.Tensor, names: list[str]) -> dict:
    """Results of the arms whose name begins with one of these, or of all."""
    runs, results = arms(circuit, x), {}
    runs["celer"]()  # compiled at its first call
    for arm, run in runs.items():
        if names and not arm.startswith(tuple(names)):
            continue
        result, seconds = timed(run)
        count = result.pop("iterations")
        if count is not None:
            result |= {"median": float(count.double().median()), "most": int(count.max())}
        results[arm] = result | {"seconds": seconds}
        print(arm, results[arm], flush=True)
    return results


def main() -> None:
    """Writes lca.json into a folder, and prints it."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    target, names = Path(sys.argv[1], "lca.json"), sys.argv[2:]
    report = json.loads(target.read_text()) if names else {"torch": torch.__version__}
    for name, dictionary in (("gaussian", gaussian()), ("bumps", bumps())):
        circuit, x = LCA(dictionary, THRESHOLD), problems(dictionary, COUNT, seed=1)
        if not names:
            overlap = dictionary @ dictionary.T - torch.eye(len(dictionary), dtype=F64)
            report[name] = {"overlap": float(overlap.max()), "arms": {}}
            report[name]["stability"] = stability(circuit, x)
            report[name]["solved"] = solved(circuit, x)
            print(report[name], flush=True)
        report[name]["arms"] |= run_arms(circuit, x, names)
    target.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()

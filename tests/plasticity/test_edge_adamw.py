import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.optim import AdamW

from graphcolumns.nn import EdgeBias
from graphcolumns.plasticity import EdgeAdamW, carry
from tests.plasticity.support.sheets import eight, eight_rewired, pairs


def gradients(shape, steps, seed=0):
    """As uneven as in training: large, tiny, and zero ones."""
    generator = torch.Generator().manual_seed(seed)
    size = 10.0 ** torch.randint(-6, 3, shape, generator=generator)
    return [torch.randn(shape, generator=generator) * size for _ in range(steps)]


def trajectory(optimizer_type, start, grads, **options):
    p = nn.Parameter(start.clone())
    edges = {"edges": True} if optimizer_type is EdgeAdamW else {}
    optimizer = optimizer_type([{"params": [p], **edges}], **options)
    path = []
    for grad in grads:
        p.grad = grad.clone()
        optimizer.step()
        path.append(p.detach().clone())
    return torch.stack(path)


@given(
    st.sampled_from([(6,), (6, 2)]),
    st.floats(0, 0.95),
    st.sampled_from([0.0, 0.9, 0.95, 0.999]),
    st.booleans(),
    st.booleans(),
)
def test_equals_adamw(shape, beta1, beta2, amsgrad, maximize):
    options = {
        "lr": 0.01, "betas": (beta1, beta2), "weight_decay": 0.1,
        "amsgrad": amsgrad, "maximize": maximize,
    }  # fmt: skip
    start, grads = torch.randn(shape), gradients(shape, 40)
    ours = trajectory(EdgeAdamW, start, grads, **options)
    theirs = trajectory(AdamW, start, grads, **options)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=5e-7)


def test_equals_adamw_in_float64():
    start, grads = torch.randn(5, 3).double(), [g.double() for g in gradients((5, 3), 200)]
    ours, theirs = (trajectory(kind, start, grads, lr=0.01) for kind in (EdgeAdamW, AdamW))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


def test_newborns_follow_a_fresh_adamw():
    """Moments that are zeroed under one step count for all, as in JaxPruner, would not."""
    bias = EdgeBias(eight(), heads=2, common=False, per_head=True, std=0.1)
    optimizer = EdgeAdamW([{"params": bias.parameters(), "edges": True}], lr=0.01)
    for grad in gradients((8, 2), 50, seed=1):
        bias.per_head.grad = grad
        optimizer.step()
    old = bias.per_head.detach().clone()
    rewiring = eight_rewired()
    bias.per_head.grad = None
    carry(rewiring, bias, optimizer)
    assert optimizer.state[bias.per_head]["step"].tolist() == [50, 0, 50, 50, 0, 50, 50, 50, 0]
    later = gradients((9, 2), 30, seed=2)
    start = bias.per_head.detach().clone()
    fresh = trajectory(AdamW, start[rewiring.born], [g[rewiring.born] for g in later], lr=0.01)
    # Survivors go on as if nothing had happened.
    unbroken = gradients((8, 2), 50, seed=1)
    alive = rewiring.survived
    unbroken = unbroken + [_scattered(g[alive], rewiring.origin[alive]) for g in later]
    for t, grad in enumerate(later):
        bias.per_head.grad = grad.clone()
        optimizer.step()
        torch.testing.assert_close(
            bias.per_head.detach()[rewiring.born], fresh[t], rtol=0, atol=1e-7
        )
    assert torch.equal(old[rewiring.origin[alive]], start[alive])
    whole = EdgeBias(eight(), heads=2, common=False, per_head=True)
    whole.per_head.data = _untrained_start(old, unbroken[:50])
    plain = trajectory(AdamW, whole.per_head.detach(), unbroken, lr=0.01)[-1]
    expected = plain[rewiring.origin[alive]]
    torch.testing.assert_close(bias.per_head.detach()[alive], expected, rtol=0, atol=1e-5)


def _scattered(values, places):
    out = torch.zeros(8, *values.shape[1:])
    out[places] = values
    return out


def _untrained_start(trained, grads):
    """The values from which training with `grads` led to `trained` (decay is linear in p)."""
    zero = trajectory(AdamW, torch.zeros_like(trained), grads, lr=0.01)[-1]
    return (trained - zero) / (1 - 0.01 * 1e-2) ** len(grads)


def test_constant_gradient_by_hand():
    """Under a constant gradient every fresh step is lr; one old count would make it 3.2 lr."""
    bias = EdgeBias(eight())
    optimizer = EdgeAdamW([{"params": bias.parameters(), "edges": True}], lr=0.5, weight_decay=0.0)
    for _ in range(200):
        bias.common.grad = torch.ones(8)
        optimizer.step()
    carry(eight_rewired(), bias, optimizer)
    before = bias.common.detach().clone()
    for _ in range(3):
        bias.common.grad = torch.ones(9)
        optimizer.step()
    torch.testing.assert_close(before - bias.common.detach(), torch.full((9,), 1.5))


def test_other_groups_are_those_of_torch():
    model = nn.Linear(3, 2)
    twin = nn.Linear(3, 2)
    twin.load_state_dict(model.state_dict())
    edges = nn.Parameter(torch.zeros(8))
    ours = EdgeAdamW([{"params": model.parameters()}, {"params": [edges], "edges": True}], lr=0.1)
    theirs = AdamW(twin.parameters(), lr=0.1)
    for seed in range(5):
        edges.grad = torch.ones(8)
        for net, optimizer in ((model, ours), (twin, theirs)):
            torch.manual_seed(seed)
            optimizer.zero_grad(set_to_none=False) if net is twin else model.zero_grad()
            net(torch.randn(4, 3)).square().sum().backward()
            optimizer.step()
    assert torch.equal(model.weight, twin.weight)
    assert edges.grad.tolist() == [1.0] * 8  # gradients are where they were
    assert ours.state[model.weight]["step"].ndim == 0


def test_closure_and_no_gradient():
    p, idle = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    optimizer = EdgeAdamW([{"params": [p, idle], "edges": True}], lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = p.square().sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 2.0
    assert idle.tolist() == [1.0, 1.0]
    assert p[0].item() < 1


def test_loss_scaling_left_to_the_optimizer():
    """GradScaler hands the scale to a fused optimizer, and skips steps that overflow."""
    p = nn.Parameter(torch.zeros(2))
    optimizer = EdgeAdamW([{"params": [p], "edges": True}], lr=0.1, eps=1.0, weight_decay=0.0)
    p.grad = torch.full((2,), 8.0)
    optimizer.grad_scale, optimizer.found_inf = torch.tensor(8.0), torch.tensor(1.0)
    optimizer.step()
    assert p.tolist() == [0.0, 0.0]
    optimizer.found_inf = torch.tensor(0.0)
    optimizer.step()
    torch.testing.assert_close(p.detach(), torch.full((2,), -0.05))  # lr g / (|g| + eps), g = 1


def test_saved_and_loaded(tmp_path):
    """Through a file that is read without unpickling; training goes on bit for bit."""
    bias, later = EdgeBias(eight(), std=0.1), gradients((9,), 6)
    optimizer = EdgeAdamW([{"params": bias.parameters(), "edges": True}], lr=0.01)
    bias.common.grad = torch.randn(8)
    optimizer.step()
    rewiring = eight_rewired()
    carry(rewiring, bias, optimizer)
    bias.common.grad = later[0]
    optimizer.step()
    torch.save({"optimizer": optimizer.state_dict(), "bias": bias.state_dict()}, tmp_path / "s.pt")
    state = torch.load(tmp_path / "s.pt", weights_only=True)
    other = EdgeBias(rewiring.graph)
    other.load_state_dict(state["bias"])
    resumed = EdgeAdamW([{"params": other.parameters(), "edges": True}])
    resumed.load_state_dict(state["optimizer"])
    for grad in later[1:]:
        for module, stepped in ((bias, optimizer), (other, resumed)):
            module.common.grad = grad.clone()
            stepped.step()
    assert torch.equal(bias.common, other.common)
    assert len(pairs(rewiring.graph)) == len(other.common)


def test_continues_a_run_of_adamw():
    """A state with one step count becomes one count per edge."""
    p = nn.Parameter(torch.ones(4))
    stock, ours = AdamW([p]), EdgeAdamW([{"params": [p], "edges": True}])
    p.grad = torch.ones(4)
    stock.step()
    ours.load_state_dict(stock.state_dict())
    ours.step()
    assert ours.state[p]["step"].tolist() == [2.0] * 4


def test_errors():
    with pytest.raises(ValueError, match="one without dimensions"):
        EdgeAdamW([{"params": [nn.Parameter(torch.tensor(1.0))], "edges": True}])
    p = nn.Parameter(torch.ones(4, 2))
    optimizer = EdgeAdamW([{"params": [p], "edges": True}])
    p.grad = torch.eye(4, 2).to_sparse()
    with pytest.raises(ValueError, match="dense gradients"):
        optimizer.step()


def test_hooks_are_called_once_although_a_plain_adamw_exists():
    edge, other = torch.nn.Parameter(torch.zeros(3)), torch.nn.Parameter(torch.zeros(3))
    torch.optim.AdamW([other])  # from now on torch's own step calls hooks too
    optimizer = EdgeAdamW([{"params": [edge], "edges": True}, {"params": [other]}])
    calls = []
    optimizer.register_step_pre_hook(lambda *_: calls.append("before"))
    optimizer.register_step_post_hook(lambda *_: calls.append("after"))
    edge.grad, other.grad = torch.ones(3), torch.ones(3)
    optimizer.step()
    assert calls == ["before", "after"]
    assert (edge < 0).all()
    assert torch.equal(edge, other)

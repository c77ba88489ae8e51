#!/usr/bin/env python3
"""PyTorch's triangle attention, forward and backward with the gradient of the bias, beside ./attention example TriangleTimes.

  python3 bench/triangle.py RESIDUES HEADS HEAD_DIM

F16; the rows are the batch and share one bias [1, heads, residues, residues]. 'math' stores all scores, 'mem-efficient' is the
only fused backend that has the gradient of a bias; 'flex' is FlexAttention, compiled. Each is compared with float64 first.
"""

import sys

from peers import imported_torch

torch = imported_torch()
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention


def median(call, repetitions=9):
    call()
    times = []
    for _ in range(repetitions):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        call()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end))
    return sorted(times)[repetitions // 2]


def sdpa(backend):
    def call(q, k, v, bias):
        with sdpa_kernel(backend):
            return scaled_dot_product_attention(q, k, v, attn_mask=bias.expand(q.shape[0], -1, -1, -1))

    return call


def flex():
    from torch.nn.attention.flex_attention import flex_attention

    compiled = torch.compile(flex_attention, dynamic=False)
    return lambda q, k, v, bias: compiled(q, k, v, score_mod=lambda s, b, h, i, j: s + bias[0, h, i, j])


def gradients(call, inputs, d_out):
    out = call(*inputs)
    return out, torch.autograd.grad(out, inputs, d_out, retain_graph=True)


def error(call, inputs, d_out):
    """The largest error of the output and the gradients of the first two rows, relative to the largest element."""
    few = [t[:2].detach().requires_grad_(True) for t in inputs]
    exact = [t.detach().double().requires_grad_(True) for t in few]

    def formula(q, k, v, bias):
        return torch.softmax(q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5 + bias, -1) @ v

    got_out, got = gradients(call, few, d_out[:2])
    out, want = gradients(formula, exact, d_out[:2].double())
    return max(((a.double() - b).abs().max() / b.abs().max()).item() for a, b in zip((got_out, *got), (out, *want)))


def main():
    residues, heads, dim = (int(x) for x in sys.argv[1:4])
    print(f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}: {residues} rows of {heads} heads x {residues} x {dim}, F16")
    shape = (residues, heads, residues, dim)
    q, k, v, d_out = (torch.randn(shape, device="cuda", dtype=torch.float16) for _ in range(4))
    bias = torch.randn(1, heads, residues, residues, device="cuda", dtype=torch.float16)
    inputs = [t.requires_grad_(True) for t in (q, k, v, bias)]
    calls = {"math": sdpa(SDPBackend.MATH), "mem-efficient": sdpa(SDPBackend.EFFICIENT_ATTENTION), "flex": flex()}
    for name, call in calls.items():
        try:
            wrong = error(call, inputs, d_out)
            out = call(*inputs)
            forward = median(lambda: call(*inputs))
            backward = median(lambda: torch.autograd.grad(out, inputs, d_out, retain_graph=True))
            print(f"{name:14} forward {forward:8.3f} ms, backward {backward:8.3f} ms, error {wrong:.1e}", flush=True)
        except Exception as refused:  # a backend that has no such gradient, or no memory
            print(f"{name:14} {str(refused).splitlines()[0][:150]}", flush=True)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""FlexAttention's times with functions, biases and block masks, beside ./attention example FunctionTimes.

  python3 bench/functions.py BATCH HEADS LENGTH HEAD_DIM [FUNCTION]...

F16, compiled; the functions are those of FunctionTimes by the same names. Of each, the first queries of one head are compared
with float64 first. 'dbias' has the gradient of the bias too, 'bias' has not. Where TIMING_LOCK names a file, processes that
lock it measure one at a time: bench/functions.sh does so.
"""

import contextlib
import fcntl
import os
import sys

from peers import imported_torch

torch = imported_torch()
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

from triangle import median

BLOCK = 128
NAMES = "none causal window documents prefix blocks tenth twentieth alibi softcap table bias dbias".split()


@contextlib.contextmanager
def alone():
    """While no other process with the same lock measures."""
    with open(os.environ.get("TIMING_LOCK", os.devnull), "w") as lock:
        if "TIMING_LOCK" in os.environ:
            fcntl.lockf(lock, fcntl.LOCK_EX)
        yield


def functions(name, heads, length):
    """The score function and the mask function of a name, and what is captured with a gradient."""
    device = "cuda"
    if name == "none":
        return None, None, ()
    if name == "causal":
        return None, lambda b, h, i, j: j <= i, ()
    if name == "window":
        return None, lambda b, h, i, j: (j <= i) & (i - j < 1024), ()
    if name == "documents":
        documents = 8 * torch.arange(length, device=device, dtype=torch.int32) // length
        return None, lambda b, h, i, j: documents[i] == documents[j], ()
    if name == "prefix":
        return None, lambda b, h, i, j: (j <= i) | (j < 2048), ()
    if name == "blocks":

        def seen(b, h, i, j):
            of_blocks = (i // BLOCK * 31 + j // BLOCK * 17) % 64 * 37 % 64 < 6
            return of_blocks | (i // BLOCK == j // BLOCK)

        return None, seen, ()
    if name in ("tenth", "twentieth"):
        apart = 10 if name == "tenth" else 20
        return None, lambda b, h, i, j: (i // BLOCK + j // BLOCK) % apart == 0, ()
    if name == "alibi":
        slopes = 2 ** (-8.0 * torch.arange(1, heads + 1, device=device, dtype=torch.float32) / heads)
        return lambda s, b, h, i, j: s + slopes[h] * (j - i), lambda b, h, i, j: j <= i, ()
    if name == "softcap":
        return lambda s, b, h, i, j: 20 * torch.tanh(s / 20), lambda b, h, i, j: j <= i, ()
    if name == "table":
        row = 2 * length
        table = torch.arange(heads * row, device=device) * 37 % 64 / 32.0 - 1
        return lambda s, b, h, i, j: s + table[h * row + j - i + length - 1], None, ()
    if name in ("bias", "dbias"):
        bias = torch.randn(length, length, device=device, dtype=torch.float16, requires_grad=name == "dbias")
        return lambda s, b, h, i, j: s + bias[i, j], None, (bias,) if name == "dbias" else ()
    raise SystemExit(f"There is no '{name}': {', '.join(NAMES)}.")


def error(out, q, k, v, score, mask):
    """The largest error of the first queries of one head, relative to the largest element."""
    q, k, v = q[0, 0, :BLOCK].double(), k[0, 0].double(), v[0, 0].double()
    i = torch.arange(q.shape[0], device=q.device)[:, None]
    j = torch.arange(k.shape[0], device=q.device)[None, :]
    zero = torch.zeros((), device=q.device, dtype=torch.int64)
    s = q @ k.T / q.shape[-1] ** 0.5
    s = s if score is None else score(s, zero, zero, i, j).double()
    s = s if mask is None else s.masked_fill(~mask(zero, zero, i, j), float("-inf"))
    right = torch.softmax(s, -1) @ v
    return ((out[0, 0, :BLOCK].double() - right).abs().max() / right.abs().max()).item()


def main():
    batch, heads, length, dim = (int(x) for x in sys.argv[1:5])
    print(f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}: {batch} x {heads} x {length} x {dim}, F16")
    torch.manual_seed(1)
    q, k, v, d_out = (
        torch.randn(batch, heads, length, dim, device="cuda", dtype=torch.float16, requires_grad=n < 3) for n in range(4)
    )
    for name in sys.argv[5:] or NAMES:
        try:
            measure(name, q, k, v, d_out)
        except RuntimeError as refused:
            print(f"{name:10} refused: {str(refused).splitlines()[0][:120]}", flush=True)


def measure(name, q, k, v, d_out):
    heads, length = q.shape[1:3]
    score, mask, captured = functions(name, heads, length)
    blocks = mask and create_block_mask(mask, None, None, length, length, device="cuda", BLOCK_SIZE=BLOCK)
    torch._dynamo.reset()
    compiled = torch.compile(flex_attention, dynamic=False)
    out = compiled(q, k, v, score_mod=score, block_mask=blocks)
    with torch.no_grad():
        wrong = error(out, q, k, v, score, mask)
    inputs = (q, k, v, *captured)
    torch.autograd.grad(out, inputs, d_out, retain_graph=True)
    with alone():
        forward = median(lambda: compiled(q, k, v, score_mod=score, block_mask=blocks))
        backward = median(lambda: torch.autograd.grad(out, inputs, d_out, retain_graph=True))
    print(f"{name:10} forward {1e3 * forward:8.0f} us, backward {1e3 * backward:8.0f} us, error {wrong:.1e}", flush=True)


if __name__ == "__main__":
    main()

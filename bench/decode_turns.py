#!/usr/bin/env python3
"""What PyTorch's FlashAttention-2 and cuDNN take for a step of decoding, beside examples/DecodeTimes.java.

F16, 32 query heads on 8 of keys and values, headDim 128, one query a sequence; keys and values lie as [batch, tokens, heads, d]
("tokens") or [batch, heads, tokens, d] ("heads"). Ten calls to a CUDA graph, medians of nine times twenty launches of it.

  python3 bench/decode_turns.py 8x4096 32x4096
"""

import statistics
import sys

HEADS, KV_HEADS, HEAD_DIM, CALLS, LAUNCHES, ROUNDS = 32, 8, 128, 10, 20, 9
CASES = ["1x4096", "1x16384", "1x65536", "8x4096", "8x16384", "8x65536", "32x4096", "32x16384"]


def microseconds(torch, of_call):
    for _ in range(3):
        of_call()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(CALLS):
            of_call()
    took = []
    for _ in range(ROUNDS):
        graph.replay()
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        first.record()
        for _ in range(LAUNCHES):
            graph.replay()
        last.record()
        torch.cuda.synchronize()
        took.append(first.elapsed_time(last) * 1e3 / CALLS / LAUNCHES)
    return statistics.median(took)


def main():
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.nn.functional import scaled_dot_product_attention

    for case in sys.argv[1:] or CASES:
        batch, keys = map(int, case.split("x"))
        for layout in ("tokens", "heads"):
            q = torch.randn(batch, HEADS, 1, HEAD_DIM, device="cuda", dtype=torch.half)
            shape = (batch, keys, KV_HEADS, HEAD_DIM) if layout == "tokens" else (batch, KV_HEADS, keys, HEAD_DIM)
            k, v = (torch.randn(*shape, device="cuda", dtype=torch.half) for _ in range(2))
            if layout == "tokens":
                k, v = k.transpose(1, 2), v.transpose(1, 2)
            for name, backend in (
                ("FlashAttention-2", SDPBackend.FLASH_ATTENTION),
                ("cuDNN", SDPBackend.CUDNN_ATTENTION),
            ):
                with sdpa_kernel(backend):
                    took = microseconds(torch, lambda: scaled_dot_product_attention(q, k, v, enable_gqa=True))
                rate = 4 * batch * keys * KV_HEADS * HEAD_DIM / took / 1e6
                print(f"{batch:2} x {keys:6,} {layout:6} {name:16} {took:8.1f} us {rate:6.2f} TB/s", flush=True)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""What PyTorch's FlashAttention-2 takes for chunks of a prompt over contiguous keys, beside examples/ChunkTimes.java.

F16, 32 query heads on 8 of keys and values, headDim 128, the last queries on the last keys; ten calls to a CUDA graph, medians of
seven, so without launches of the host's.

  python3 bench/chunks.py 128,512,2048 4096,16384
"""

import statistics
import sys

HEADS, KV_HEADS, HEAD_DIM, CALLS, ROUNDS = 32, 8, 128, 10, 7


def call(torch, queries, keys):
    q = torch.randn(1, queries, HEADS, HEAD_DIM, device="cuda", dtype=torch.half)
    k, v = (torch.randn(1, keys, KV_HEADS, HEAD_DIM, device="cuda", dtype=torch.half) for _ in range(2))
    return lambda: torch.ops.aten._flash_attention_forward(q, k, v, None, None, queries, keys, 0.0, True, False)


def microseconds(torch, of_call):
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
        graph.replay()
        last.record()
        torch.cuda.synchronize()
        took.append(first.elapsed_time(last) * 1e3 / CALLS)
    return statistics.median(took)


def main():
    import torch

    numbers = [[int(n) for n in argument.split(",")] for argument in sys.argv[1:3]]
    for keys in numbers[1]:
        for queries in numbers[0]:
            if queries <= keys:
                took = microseconds(torch, call(torch, queries, keys))
                pairs = queries * (keys - queries) + queries * (queries + 1) / 2
                rate = 4 * HEADS * HEAD_DIM * pairs / took / 1e6
                print(f"{queries:7,} {keys:7,} FlashAttention-2 {took:8.1f} us {rate:6.0f} TFLOP/s", flush=True)


if __name__ == "__main__":
    main()

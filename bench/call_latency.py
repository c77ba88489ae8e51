#!/usr/bin/env python3
"""Wall time of one call of PyTorch's attention for the problem of ./attention example CallLatency, wait included.

8 heads of 128 x 64, F16, on the GPU; eager and as a CUDA graph, and for the least that a launch costs, a kernel that adds 1
to a number. Medians of 20,000 calls after a second of warming up.

  python3 bench/call_latency.py
"""

import time

from peers import imported_torch

torch = imported_torch()
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

CALLS = 20000


def measure(name, call):
    def waited():
        call()
        torch.cuda.synchronize()

    warm = time.monotonic() + 1
    while time.monotonic() < warm:
        waited()
    took = []
    for _ in range(CALLS):
        start = time.perf_counter_ns()
        waited()
        took.append(time.perf_counter_ns() - start)
    took.sort()
    print(f"{name:32} {took[CALLS // 2] / 1e3:6.1f} us (fastest tenth below {took[CALLS // 10] / 1e3:.1f} us)")


def measure_both(name, call):
    measure(name, call)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    measure(name + " as a CUDA graph", graph.replay)


def main():
    print(f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}")
    q, k, v = (torch.randn(1, 8, 128, 64, device="cuda", dtype=torch.float16) for _ in range(3))
    for name, backend in (("flash", SDPBackend.FLASH_ATTENTION), ("cudnn", SDPBackend.CUDNN_ATTENTION)):
        with sdpa_kernel(backend):
            measure_both(name, lambda: scaled_dot_product_attention(q, k, v))
    number = torch.zeros(1, device="cuda")
    measure_both("one addition", lambda: number.add_(1))


if __name__ == "__main__":
    main()

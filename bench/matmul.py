"""Times PyTorch's product of two square F16 matrices, as `./attention example TensorCoreMatrixProduct N` times its own.

Needs a CUDA GPU and PyTorch, which multiplies with cuBLAS: `python bench/matmul.py 8192`. Prints the median of 20 timed
calls after 3 that warm up; sums are in F32 within cuBLAS and rounded to F16 at the end, which spares it half the writes.
"""

import sys

from peers import imported_torch

torch = imported_torch()

n = int(sys.argv[1]) if len(sys.argv) > 1 else 8192
a, b = (torch.randn(n, n, device="cuda", dtype=torch.float16) for _ in range(2))
times = []
for _ in range(23):
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    a @ b.T
    end.record()
    torch.cuda.synchronize()
    times.append(start.elapsed_time(end))
time = sorted(times[3:])[10]
print("torch", torch.__version__, "on", torch.cuda.get_device_name())
print(f"{n}x{n}: {time:.3f} ms, {2 * n**3 / time / 1e9:.1f} TFLOP/s")

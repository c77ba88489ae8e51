"""Times PyTorch's scaled_dot_product_attention on the shapes of the README's table, each backend forced.

Needs a CUDA GPU and PyTorch. Prints the median of 10 timed calls after 3 that warm up; the operations are counted as
`./attention bench` counts them.
"""

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

BACKENDS = {
    "mem-efficient": SDPBackend.EFFICIENT_ATTENTION,
    "math": SDPBackend.MATH,
    "flash": SDPBackend.FLASH_ATTENTION,
}


def median_milliseconds(call, repetitions=10):
    for _ in range(3):
        call()
    times = []
    for _ in range(repetitions):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        call()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end))
    return sorted(times)[repetitions // 2]


torch.backends.cuda.matmul.allow_tf32 = False
print("torch", torch.__version__, "on", torch.cuda.get_device_name())
for dtype in (torch.float32, torch.float16, torch.bfloat16):
    for heads, length, dim in ((64, 4096, 64), (16, 4096, 128)):
        q, k, v = (torch.randn(1, heads, length, dim, device="cuda", dtype=dtype) for _ in range(3))
        for name, backend in BACKENDS.items():
            try:
                with sdpa_kernel(backend):
                    time = median_milliseconds(lambda: scaled_dot_product_attention(q, k, v))
            except RuntimeError:
                continue  # this backend does not take the type
            flops = 4 * heads * length * length * dim
            print(f"{dtype} {heads}x{length}x{dim} {name}: {time:.3f} ms, {flops / time / 1e9:.1f} TFLOP/s")

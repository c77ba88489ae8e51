#!/usr/bin/env python3
"""A training step of the GPT of ./attention example GptStepTimes in PyTorch: the same layers, AdamW, BF16 products by autocast.

  python3 bench/gpt_step.py LAYERS WIDTH HEADS TOKENS SEQUENCE[,SEQUENCE] [--compile] [--without-mask] [--forward]

Attention by scaled_dot_product_attention (FlashAttention-2), and by the formula, which stores all scores. Medians of 9 steps; with --forward also of 9
forward passes with their loss, without gradients.
"""

import sys
import time

from peers import imported_torch

torch = imported_torch()
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import cross_entropy, gelu, layer_norm, scaled_dot_product_attention

VOCABULARY = 128
CAUSAL = "--without-mask" not in sys.argv


class Gpt(torch.nn.Module):
    def __init__(self, layers, width, heads, positions, eager):
        super().__init__()
        self.width, self.heads, self.eager = width, heads, eager
        make = lambda *shape, scale: torch.nn.Parameter(torch.randn(*shape, device="cuda") * scale)
        self.token, self.before = make(VOCABULARY, width, scale=0.1), make(VOCABULARY, width, scale=0.1)
        self.position = make(positions, width, scale=0.05)
        residual = (2 * layers) ** -0.5
        self.blocks = torch.nn.ParameterList()
        for _ in range(layers):
            self.blocks.append(make(width, 3 * width, scale=width**-0.5))
            self.blocks.append(make(width, width, scale=residual * width**-0.5))
            self.blocks.append(make(width, 4 * width, scale=width**-0.5))
            self.blocks.append(make(4 * width, width, scale=residual * (4 * width) ** -0.5))

    def attention(self, q, k, v):
        if not self.eager:
            with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
                return scaled_dot_product_attention(q, k, v, is_causal=CAUSAL)
        n = q.shape[2]
        hidden = torch.ones(n, n, dtype=torch.bool, device="cuda").triu(1)
        s = (q @ k.transpose(-1, -2)) * q.shape[-1] ** -0.5
        return torch.softmax(s.masked_fill(hidden, float("-inf")) if CAUSAL else s, -1) @ v

    def forward(self, tokens, targets):
        norm = lambda x: layer_norm(x, (self.width,))
        x = self.token[tokens] + self.position[: tokens.shape[1]]
        x = torch.cat([x[:, :1], x[:, 1:] + self.before[tokens[:, :-1]]], 1)
        for i in range(0, len(self.blocks), 4):
            qkv, out, up, down = self.blocks[i : i + 4]
            q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in (norm(x) @ qkv).chunk(3, -1))
            x = x + self.attention(q, k, v).transpose(1, 2).flatten(2) @ out
            x = x + gelu(norm(x) @ up, approximate="tanh") @ down
        return cross_entropy((norm(x) @ self.token.t()).flatten(0, 1).float(), targets.flatten())


def forward_passes(call, ids):
    times = []
    for _ in range(12):
        torch.cuda.synchronize()
        start = time.perf_counter()
        with torch.no_grad(), torch.autocast("cuda", torch.bfloat16):
            call(ids[0], ids[1]).item()
        times.append(1e3 * (time.perf_counter() - start))
    return f", forward alone {sorted(times[3:])[4]:.2f} ms"


def main():
    layers, width, heads, tokens = (int(x) for x in sys.argv[1:5])
    print(f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}: {layers} layers, width {width}, {heads} heads, BF16 autocast")
    for n in (int(x) for x in sys.argv[5].split(",")):
        for eager in (False, True):
            try:
                torch.manual_seed(1)
                model = Gpt(layers, width, heads, n, eager)
                call = torch.compile(model) if "--compile" in sys.argv else model
                optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.99), weight_decay=0, fused=True)
                ids = torch.randint(VOCABULARY, (2, tokens // n, n), device="cuda")
                times = []
                for _ in range(12):
                    torch.cuda.synchronize()
                    start = time.perf_counter()
                    optimizer.zero_grad(set_to_none=True)
                    with torch.autocast("cuda", torch.bfloat16):
                        loss = call(ids[0], ids[1])
                    loss.backward()
                    optimizer.step()
                    loss.item()
                    times.append(1e3 * (time.perf_counter() - start))
                took = sorted(times[3:])[4]
                alone = forward_passes(call, ids) if "--forward" in sys.argv else ""
                kind = "formula" if eager else "FlashAttention-2"
                peak = torch.cuda.max_memory_allocated() / 2**30
                print(f"N {n:6}, batch {tokens // n:3}, {kind:16}: {took:8.2f} ms a step{alone}, peak {peak:.1f} GiB", flush=True)
                torch.cuda.reset_peak_memory_stats()
            except RuntimeError as refused:
                print(f"N {n:6}, eager {eager}: {str(refused).splitlines()[0][:150]}", flush=True)


if __name__ == "__main__":
    main()

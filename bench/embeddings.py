#!/usr/bin/env python3
"""The same MiniLM encoder in PyTorch: texts per second from tokens to vectors, beside EncoderTimes of src/embeddings/models.

  python3 bench/embeddings.py FILE [VECTORS]

FILE is what EncoderFile wrote, VECTORS the JVM's vectors that EncoderTimes wrote. Texts are sorted by length and padded to the longest of
their batch, with scaled_dot_product_attention under a mask, eager and (--compile) compiled; the best batch size counts. Tokens begin on the
host and vectors end there, as in EncoderTimes.
"""

import json
import pathlib
import sys
import time

from peers import imported_torch

torch = imported_torch()
from torch.nn.functional import gelu, layer_norm, linear, normalize, scaled_dot_product_attention

HEADS = 12


def read(path):
    """All tensors of a safetensors file."""
    data = bytearray(pathlib.Path(path).read_bytes())
    begin = 8 + int.from_bytes(data[:8], "little")
    types = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I32": torch.int32}
    found = {}
    for name, entry in json.loads(data[8:begin]).items():
        if name != "__metadata__":
            offset, end = entry["data_offsets"]
            dtype = types[entry["dtype"]]
            flat = torch.frombuffer(data, dtype=dtype, count=(end - offset) // dtype.itemsize, offset=begin + offset)
            found[name] = flat.reshape(entry["shape"])
    return found


class Encoder:
    def __init__(self, file, dtype, device="cuda"):
        self.w = {name: t.to(device, dtype) for name, t in file.items() if name not in ("tokens", "offsets")}
        for name in [n for n in self.w if n + ".bias" in self.w]:
            self.w[name] = self.w[name].t().contiguous()  # as linear wants it
        self.layers = sum(1 for name in self.w if name.endswith(".qkv"))

    def norm(self, x, name):
        return layer_norm(x, x.shape[-1:], self.w[name + ".scale"], self.w[name + ".shift"], 1e-12)

    def dense(self, x, name):
        return linear(x, self.w[name], self.w[name + ".bias"])

    def __call__(self, tokens, lengths):
        n = tokens.shape[1]
        seen = torch.arange(n, device=tokens.device)[None, :] < lengths[:, None]
        x = self.norm(self.w["words"][tokens] + self.w["positions"][:n], "embeddings")
        for i in range(self.layers):
            name = f"layer{i}."
            q, k, v = (t.unflatten(-1, (HEADS, -1)).transpose(1, 2) for t in self.dense(x, name + "qkv").chunk(3, -1))
            o = scaled_dot_product_attention(q, k, v, attn_mask=seen[:, None, None, :])
            x = self.norm(x + self.dense(o.transpose(1, 2).flatten(2), name + "out"), name + "norm1")
            x = self.norm(x + self.dense(gelu(self.dense(x, name + "up")), name + "down"), name + "norm2")
        mean = (x * seen[..., None]).sum(1) / lengths[:, None]
        return normalize(mean.float())


def batches(texts, order, size):
    for at in range(0, len(order), size):
        part = order[at : at + size]
        lengths = torch.tensor([len(texts[i]) for i in part])
        padded = torch.nn.utils.rnn.pad_sequence([texts[i] for i in part], batch_first=True)
        yield part, padded.pin_memory(), lengths.pin_memory()


def main():
    file = read(sys.argv[1])
    offsets = file["offsets"].tolist()
    texts = [file["tokens"][a:b].long() for a, b in zip(offsets, offsets[1:])]
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    expected = read(sys.argv[2])["vectors"] if len(sys.argv) > 2 and not sys.argv[2].startswith("-") else None
    print(f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}: {len(texts)} texts, sorted by length, padded")
    torch.backends.cuda.matmul.allow_tf32 = False
    for kind, dtype in (("F32", torch.float32), ("F16", torch.float16)):
        encoder = Encoder(file, dtype)
        call = torch.compile(encoder.__call__, dynamic=True) if "--compile" in sys.argv else encoder
        with torch.inference_mode():
            for size in (64, 256, 1024):
                prepared = list(batches(texts, order, size))

                def run():
                    return [(p, call(t.cuda(non_blocking=True), n.cuda(non_blocking=True)).cpu()) for p, t, n in prepared]

                vectors = torch.empty(len(texts), encoder.w["words"].shape[1])
                for part, found in run():
                    vectors[part] = found
                least = ""
                if expected is not None:
                    cosine = torch.cosine_similarity(vectors[: len(expected)].double(), expected.double(), dim=1)
                    least = f"least cosine with the JVM's {cosine.min().item():.7f}, "
                times = []
                for _ in range(7):
                    torch.cuda.synchronize()
                    start = time.perf_counter()
                    run()
                    times.append(time.perf_counter() - start)
                took = sorted(times)[3]
                print(f"{kind}, batches of {size:5}: {least}{len(texts) / took:10,.0f} texts/s", flush=True)
        if kind == "F16":
            with torch.inference_mode():
                one = list(batches(texts, order[::20], 1))
                for _ in range(2):
                    start = time.perf_counter()
                    for _, t, n in one:
                        call(t.cuda(non_blocking=True), n.cuda(non_blocking=True)).cpu()
                    took = time.perf_counter() - start
                print(f"{kind}, one text at a time: {len(one) / took:10,.0f} texts/s", flush=True)


if __name__ == "__main__":
    main()

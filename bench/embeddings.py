#!/usr/bin/env python3
"""The same encoder in PyTorch: texts per second from tokens to vectors, beside EncoderTimes of src/embeddings/models.

  python3 bench/embeddings.py FILE [VECTORS] [--compile] [--types F16,F32] [--batches 64,256,1024]
  python3 bench/embeddings.py FILE --make LAYERS WIDTH HEADS TEXTS SHORTEST LONGEST

FILE is what EncoderFileWriter wrote, VECTORS the JVM's vectors that EncoderTimes wrote. Texts are sorted by length and padded to the longest
of their batch, with scaled_dot_product_attention, under a mask where lengths differ, eager or (--compile) compiled; the best batch size
counts. Tokens begin on the host and vectors end there, as in EncoderTimes. The second form makes such a file of random weights, which are as
fast as a model's own, and random texts whose lengths are spread evenly in their logarithm; it needs NumPy alone.
"""

import json
import pathlib
import sys
import time


def option(name, default):
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else default


def make(path, layers, width, heads, texts, shortest, longest):
    """An EncoderFile from a seed: BERT's shapes, MLP of 4 widths, 30,522 words, 512 positions."""
    import numpy

    random = numpy.random.default_rng(21)
    tensors = {}

    def bfloat16(name, *shape, scale):
        bits = (random.standard_normal(shape, numpy.float32) * scale).view(numpy.uint32)
        tensors[name] = "BF16", shape, ((bits + 0x8000) >> 16).astype(numpy.uint16)

    def floats(name, size, mean):
        tensors[name] = "F32", (size,), (mean + 0.05 * random.standard_normal(size)).astype(numpy.float32)

    def dense(name, depth, columns):
        bfloat16(name, depth, columns, scale=depth**-0.5)
        floats(name + ".bias", columns, 0)

    def norm(name):
        floats(name + ".scale", width, 1)
        floats(name + ".shift", width, 0)

    lengths = numpy.exp(random.uniform(numpy.log(shortest), numpy.log(longest), texts)).round()
    offsets = numpy.concatenate([[0], numpy.cumsum(lengths)]).astype(numpy.int32)
    tensors["heads"] = "I32", (1,), numpy.array([heads], numpy.int32)
    tensors["tokens"] = "I32", (int(offsets[-1]),), random.integers(0, 30522, offsets[-1], numpy.int32)
    tensors["offsets"] = "I32", (texts + 1,), offsets
    bfloat16("words", 30522, width, scale=0.05)
    bfloat16("positions", 512, width, scale=0.05)
    norm("embeddings")
    for layer in range(layers):
        name = f"layer{layer}."
        dense(name + "qkv", width, 3 * width)
        dense(name + "out", width, width)
        norm(name + "norm1")
        dense(name + "up", width, 4 * width)
        dense(name + "down", 4 * width, width)
        norm(name + "norm2")
    header, offset = {}, 0
    for name, (dtype, shape, values) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, offset + values.nbytes]}
        offset += values.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, _, values in tensors.values():
            file.write(values.tobytes())
    print(f"{path}: {layers} layers of {width}, {heads} heads; {texts} texts, {offsets[-1]} tokens")


if "--make" in sys.argv:
    make(sys.argv[1], *(int(x) for x in sys.argv[sys.argv.index("--make") + 1 :]))
    sys.exit()

from peers import imported_torch

torch = imported_torch()
from torch.nn.functional import gelu, layer_norm, linear, normalize, scaled_dot_product_attention


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
        self.w = {name: t.to(device, dtype) for name, t in file.items() if t.dtype != torch.int32}
        self.heads = int(file["heads"])
        for name in [n for n in self.w if n + ".bias" in self.w]:
            self.w[name] = self.w[name].t().contiguous()  # as linear wants it
        lengths = file["offsets"].diff()
        self.padded = bool((lengths != lengths[0]).any())
        self.layers = sum(1 for name in self.w if name.endswith(".qkv"))

    def norm(self, x, name):
        return layer_norm(x, x.shape[-1:], self.w[name + ".scale"], self.w[name + ".shift"], 1e-12)

    def dense(self, x, name):
        return linear(x, self.w[name], self.w[name + ".bias"])

    def __call__(self, tokens, lengths):
        n = tokens.shape[1]
        mask = None
        if self.padded:
            mask = (torch.arange(n, device=tokens.device)[None, :] < lengths[:, None])[:, None, None, :]
        x = self.norm(self.w["words"][tokens] + self.w["positions"][:n], "embeddings")
        for i in range(self.layers):
            name = f"layer{i}."
            q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in self.dense(x, name + "qkv").chunk(3, -1))
            o = scaled_dot_product_attention(q, k, v, attn_mask=mask)
            x = self.norm(x + self.dense(o.transpose(1, 2).flatten(2), name + "out"), name + "norm1")
            x = self.norm(x + self.dense(gelu(self.dense(x, name + "up")), name + "down"), name + "norm2")
        mean = (x if mask is None else x * mask[:, 0, 0, :, None]).sum(1) / lengths[:, None]
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
    sizes = [int(size) for size in option("--batches", "64,256,1024").split(",")]
    for kind in option("--types", "F16,F32").split(","):
        dtype = {"F16": torch.float16, "F32": torch.float32}[kind]
        encoder = Encoder(file, dtype)
        call = torch.compile(encoder.__call__, dynamic=True) if "--compile" in sys.argv else encoder
        with torch.inference_mode():
            for size in sizes:
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

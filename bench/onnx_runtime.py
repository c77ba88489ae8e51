#!/usr/bin/env python3
"""Times ONNX Runtime's own attention operator, MultiHeadAttention, on the CPU, as ./attention bench --beside asks for it:

    ./attention bench --preset cpu --backend jvm --beside 'python3 bench/onnx_runtime.py 2'

The argument is the number of threads. Forward problems in F32 without shared heads only, since the operator has no others
on a CPU. Inputs, checks and the clock are those of peers.py, so PyTorch is needed too. src/tools/peers has the same peer
in Java, which needs nothing installed.
"""

import contextlib
import sys
import types

import peers

FLOAT, IR_VERSION, OPSET = 1, 8, 17


# A model, in protobuf's wire format; field numbers are those of onnx.proto.


def varint(value):
    rest = bytearray()
    while value > 0x7F:
        rest.append(value & 0x7F | 0x80)
        value >>= 7
    rest.append(value)
    return bytes(rest)


def field(number, value):
    """An integer, a text or the bytes of a message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def attribute(name, value):
    return field(5, field(1, name) + field(3, value) + field(20, 2))


def tensor(name, shape):
    lengths = b"".join(field(1, field(1, length)) for length in shape)
    return field(1, name) + field(2, field(1, field(1, FLOAT) + field(2, lengths)))


def model(case):
    """MultiHeadAttention of inputs q, k and v, output o, all [batch, seq, heads * headDim]."""
    s = case["shape"]
    flat = (s["batch"], s["seqQ"], s["heads"] * s["headDim"])
    node = b"".join(field(1, name) for name in "qkv") + field(2, "o") + field(3, "o")
    node += field(4, "MultiHeadAttention") + field(7, "com.microsoft")
    node += attribute("num_heads", s["heads"]) + attribute("unidirectional", int(case["causal"]))
    graph = field(1, node) + field(2, "attention")
    graph += b"".join(field(11, tensor(name, flat)) for name in "qkv") + field(12, tensor("o", flat))
    return (
        field(1, IR_VERSION)
        + field(2, "tornado-attention")
        + field(7, graph)
        + field(8, field(1, "") + field(2, OPSET))
        + field(8, field(1, "com.microsoft") + field(2, 1))
    )


class Problem(peers.Problem):
    """One problem's inputs in the operator's layout, and a session for it."""

    def __init__(self, torch, case, device):
        super().__init__(torch, case, device)
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(model(case), options, providers=["CPUExecutionProvider"])
        tensors = {"q": self.q, "k": self.k, "v": self.v}
        self.inputs = {name: each.transpose(1, 2).flatten(2).contiguous().numpy() for name, each in tensors.items()}

    def call(self):
        return lambda: self.session.run(None, self.inputs)

    def tensors(self, results):
        s = self.case["shape"]
        heads = (s["batch"], s["seqQ"], s["heads"], s["headDim"])
        return [self.torch.from_numpy(results[0]).reshape(heads).transpose(1, 2)]


class Operator:
    """The operator, as peers.py has kernels."""

    provider, flex = "onnxruntime", False

    def problem(self, torch, case, device):
        return Problem(torch, case, device)

    def does(self, case):
        s = case["shape"]
        plain = case["dtype"] == "F32" and case["pass"] == "FORWARD" and "window" not in case
        return plain and s["heads"] == s["kvHeads"] and s["seqQ"] == s["seqK"]

    def forced(self, torch):
        return contextlib.nullcontext()


def main():
    if len(sys.argv) != 2 or not sys.argv[1].isdigit():
        sys.exit(__doc__.strip())
    torch = peers.imported_torch()
    try:
        import onnxruntime
    except ImportError as missing:
        sys.exit(f"onnx_runtime.py measures ONNX Runtime, which is not installed ({missing}): see https://onnxruntime.ai")
    torch.set_num_threads(int(sys.argv[1]))
    arguments = types.SimpleNamespace(device="cpu")
    peers.serve(torch, arguments, {"fused": Operator()}, f"ONNX Runtime {onnxruntime.__version__}")


if __name__ == "__main__":
    main()

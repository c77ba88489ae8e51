#!/usr/bin/env python3
"""Times ONNX Runtime's own attention operators on the CPU, as ./attention bench --beside asks for it:

    ./attention bench --preset cpu --backend jvm --beside 'python3 bench/onnx_runtime.py 2'

The argument is the number of threads. Forward problems in F32 only: MultiHeadAttention ("fused") has no shared heads on a
CPU, and GroupQueryAttention ("grouped") nothing but causal masks. Inputs, checks and the clock are those of peers.py, so
PyTorch is needed too. src/tools/peers has the same peer in Java, which needs nothing installed.
"""

import contextlib
import sys
import types

import peers

FLOAT, INT32, IR_VERSION, OPSET = 1, 6, 8, 17


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


def tensor(name, shape, kind=FLOAT):
    lengths = b"".join(field(1, field(1, length)) for length in shape)
    return field(1, name) + field(2, field(1, field(1, kind) + field(2, lengths)))


def node(operator, inputs, outputs, attributes):
    names = b"".join(field(1, name) for name in inputs) + b"".join(field(2, name) for name in outputs)
    return names + field(3, operator) + field(4, operator) + field(7, "com.microsoft") + attributes


def multi_head(case):
    """MultiHeadAttention of inputs q, k and v, output o, all [batch, seq, heads * headDim]."""
    s = case["shape"]
    flat = (s["batch"], s["seqQ"], s["heads"] * s["headDim"])
    attributes = attribute("num_heads", s["heads"]) + attribute("unidirectional", int(case["causal"]))
    operator = node("MultiHeadAttention", "qkv", "o", attributes)
    return model(operator, [tensor(name, flat) for name in "qkv"], [tensor("o", flat)])


def group_query(case):
    """GroupQueryAttention likewise, without tokens before: what it keeps of keys and values are its other outputs."""
    s = case["shape"]
    heads, kept = s["heads"] * s["headDim"], s["kvHeads"] * s["headDim"]
    attributes = attribute("num_heads", s["heads"]) + attribute("kv_num_heads", s["kvHeads"])
    inputs = ("q", "k", "v", "", "", "lengths", "longest")
    operator = node("GroupQueryAttention", inputs, ("o", "keys", "values"), attributes)
    widths = {"q": heads, "k": kept, "v": kept}
    given = [tensor(name, (s["batch"], s["seqQ"], width)) for name, width in widths.items()]
    given += [tensor("lengths", (s["batch"],), INT32), tensor("longest", (1,), INT32)]
    cache = (s["batch"], s["kvHeads"], s["seqK"], s["headDim"])
    kinds = [tensor("o", (s["batch"], s["seqQ"], heads)), tensor("keys", cache), tensor("values", cache)]
    return model(operator, given, kinds)


def model(operator, inputs, outputs):
    graph = field(1, operator) + field(2, "attention")
    graph += b"".join(field(11, each) for each in inputs) + b"".join(field(12, each) for each in outputs)
    return (
        field(1, IR_VERSION)
        + field(2, "tornado-attention")
        + field(7, graph)
        + field(8, field(1, "") + field(2, OPSET))
        + field(8, field(1, "com.microsoft") + field(2, 1))
    )


class Problem(peers.Problem):
    """One problem's inputs in the operator's layout, and a session for it."""

    def __init__(self, torch, case, device, grouped):
        super().__init__(torch, case, device)
        import numpy
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.inter_op_num_threads = 1
        graph = group_query(case) if grouped else multi_head(case)
        self.session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        tensors = {"q": self.q, "k": self.k, "v": self.v}
        self.inputs = {name: each.transpose(1, 2).flatten(2).contiguous().numpy() for name, each in tensors.items()}
        if grouped:
            s = case["shape"]
            self.inputs["lengths"] = numpy.full(s["batch"], s["seqK"] - 1, numpy.int32)
            self.inputs["longest"] = numpy.array([s["seqK"]], numpy.int32)

    def call(self):
        return lambda: self.session.run(["o"], self.inputs)

    def tensors(self, results):
        s = self.case["shape"]
        heads = (s["batch"], s["seqQ"], s["heads"], s["headDim"])
        return [self.torch.from_numpy(results[0]).reshape(heads).transpose(1, 2)]


class Operator:
    """An operator, as peers.py has kernels."""

    provider, flex = "onnxruntime", False

    def __init__(self, grouped):
        self.grouped = grouped

    def problem(self, torch, case, device):
        return Problem(torch, case, device, self.grouped)

    def does(self, case):
        s = case["shape"]
        plain = case["dtype"] == "F32" and case["pass"] == "FORWARD" and "window" not in case and "valueDim" not in s
        return plain and s["seqQ"] == s["seqK"] and (case["causal"] if self.grouped else s["heads"] == s["kvHeads"])

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
    operators = {"fused": Operator(grouped=False), "grouped": Operator(grouped=True)}
    peers.serve(torch, arguments, operators, f"ONNX Runtime {onnxruntime.__version__}")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Times PyTorch's scaled_dot_product_attention on the problems of ./attention bench, each backend forced.

Writes the JSON that `./attention bench` writes, for `./attention bench --compare` and `./attention report`:

    python3 bench/peers.py --preset paper --out pytorch.json
    python3 bench/peers.py --preset paper --type F32 --head-dim 64,128 --out pytorch-f32.json
    python3 bench/peers.py --preset quick --device cpu --out pytorch-cpu.json
    python3 bench/peers.py --preset paper --list                # needs no PyTorch
    ./attention bench -p paper --rounds 3 --beside 'python3 bench/peers.py --serve'   # in turns with ours
    python3 bench/peers.py --inputs DIR --out errors.json       # errors on the inputs of ./attention accuracy --inputs DIR

Needs PyTorch 2.3 or later; a backend that the installed PyTorch or the GPU lacks is noted as unsupported. The presets are
those of src/tools/main/resources/org/tornadoattention/bench/presets.json. As there: operations are counted by the field's
formula, rows of the result are compared with float64 before the first time is taken, the caches are emptied before each
call, times are medians.
"""

import argparse
import contextlib
import datetime
import json
import math
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import time
import warnings

ROOT = pathlib.Path(__file__).resolve().parent.parent
PRESETS = ROOT / "src/tools/main/resources/org/tornadoattention/bench/presets.json"
FLOPS_OF_FORWARD = {"FORWARD": 1.0, "BACKWARD": 2.5}
FLUSHED_BYTES = 96 << 20
TOLERANCE_FLOOR = {"F32": 1e-5, "F16": 2e-4, "BF16": 2e-3}
QUOTABLE = 0.05


# Problems


def problems(preset):
    """The problems of a preset, in its order."""
    for grid in json.loads(PRESETS.read_text())[preset]["grids"]:
        for way in grid["pass"]:
            for dtype in grid["dtype"]:
                for dim in grid["headDim"]:
                    values = grid.get("valueDim", dim)
                    for causal in grid["causal"]:
                        for length in grid["seq"]:
                            heads = grid["heads"] if "heads" in grid else grid["hidden"] // dim
                            yield {
                                "pass": way.upper(),
                                "dtype": dtype,
                                "shape": {
                                    "batch": grid["batch"] if "batch" in grid else grid["tokens"] // length,
                                    "heads": heads,
                                    "kvHeads": grid.get("kvHeads", heads),
                                    "seqQ": grid.get("queries", length),
                                    "seqK": length,
                                    "headDim": dim,
                                    **({"valueDim": values} if values != dim else {}),
                                },
                                "causal": causal,
                                **({"window": grid["window"]} if "window" in grid else {}),
                            }


def value_dim(shape):
    """Elements of a head of values and of the output."""
    return shape.get("valueDim", shape["headDim"])


def label(case):
    """A problem in a line, as ./attention bench --list prints it."""
    s = case["shape"]
    text = f"{case['dtype']} {s['batch']}x{s['heads']}x{s['seqQ']}x{s['headDim']}"
    text += f"/{s['valueDim']}" if "valueDim" in s else ""
    text += "" if s["seqK"] == s["seqQ"] else f" keys {s['seqK']}"
    text += "" if s["kvHeads"] == s["heads"] else f" kv heads {s['kvHeads']}"
    text += " causal" if case["causal"] else ""
    text += f" window {case['window']}" if case.get("window") else ""
    return text + ("" if case["pass"] == "FORWARD" else " backward")


def flops(case):
    s = case["shape"]
    pairs = s["seqQ"] * s["seqK"]
    if case["causal"]:  # aligned to the bottom right
        window = case.get("window") or s["seqK"]
        seen = [min(s["seqK"], window, max(0, i + 1 + s["seqK"] - s["seqQ"])) for i in range(s["seqQ"])]
        pairs = pairs / 2 if s["seqQ"] == s["seqK"] and "window" not in case else sum(seen)
    return FLOPS_OF_FORWARD[case["pass"]] * 2 * s["batch"] * s["heads"] * pairs * (s["headDim"] + value_dim(s))


def least_bytes(case):
    """Bytes that any kernel moves: inputs read once, outputs written once."""
    s = case["shape"]
    size = 4 if case["dtype"] == "F32" else 2
    dims = s["headDim"] + value_dim(s)
    queries = s["batch"] * s["heads"] * s["seqQ"] * dims
    keys = s["batch"] * s["kvHeads"] * s["seqK"] * dims
    copies = 1 if case["pass"] == "FORWARD" else 2
    return copies * (queries + keys) * size + 4 * s["batch"] * s["heads"] * s["seqQ"]


# Times


class Clock:
    """Times calls on a device, with its caches emptied before each."""

    def __init__(self, torch, device):
        self.torch = torch
        self.cuda = device == "cuda"
        self.filler = torch.empty(FLUSHED_BYTES // 4, device=device) if self.cuda else None

    def measure(self, call, repetitions, seconds):
        """Times in milliseconds by the device's clock and by the wall's."""
        kernel, wall, begin = [], [], time.perf_counter()
        while len(kernel) < repetitions and (len(kernel) < 3 or time.perf_counter() - begin < seconds):
            if self.cuda:
                start, end = (self.torch.cuda.Event(enable_timing=True) for _ in range(2))
                self.filler.zero_()
                start.record()
                call()
                end.record()
                self.torch.cuda.synchronize()
                kernel.append(start.elapsed_time(end))
            at = time.perf_counter()
            call()
            if self.cuda:
                self.torch.cuda.synchronize()
            wall.append(1e3 * (time.perf_counter() - at))
            if not self.cuda:
                kernel.append(wall[-1])
        return kernel, wall


def spread(times):
    times = sorted(times)
    last = len(times) - 1
    return times[len(times) // 2], (times[last - last // 4] - times[last // 4]) / 2 / times[len(times) // 2]


def timing(case, kernel, wall):
    median, relative = spread(kernel)
    wall_median, wall_relative = spread(wall)
    # Twice the standard deviation of the difference of two medians, as Spread.repeatability has it.
    repeatability = 2 * math.sqrt(2) * 1.2533 * (2 * relative / 1.349) / math.sqrt(len(kernel))
    return {
        "kernelMilliseconds": median,
        "kernelSpread": relative,
        "wallMilliseconds": wall_median,
        "wallSpread": wall_relative,
        "repetitions": len(kernel),
        "repeatability": repeatability,
        "noisy": repeatability > QUOTABLE,
        "teraflops": flops(case) / median / 1e9,
    }


def ceilings(torch, device):
    """What the device does at most with PyTorch: a copy and matrix products, the best of some."""
    clock = Clock(torch, device)
    length, size = ((1 << 27), 8192) if device == "cuda" else ((1 << 24), 1024)

    def seconds(call):
        clock.measure(call, 3, 1)
        return min(clock.measure(call, 7, 2)[0]) / 1e3

    a, b = torch.empty(length, device=device), torch.empty(length, device=device)
    found = {"copyBytesPerSecond": 8 * length / seconds(lambda: b.copy_(a))}
    del a, b
    m = torch.randn(size, size, device=device)
    found["f32FlopsPerSecond"] = 2 * size**3 / seconds(lambda: m @ m)
    if device == "cuda":
        h = m.half()
        found["tensorFlopsPerSecond"] = 2 * size**3 / seconds(lambda: h @ h)
    return found


# Attention


class Problem:
    """One problem's tensors, the call to time, and what its result must be."""

    def __init__(self, torch, case, device, flex=False):
        self.torch, self.case = torch, case
        self.attention = self.flex(device) if flex else self.scaled_dot_product
        s = case["shape"]
        dtype = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}[case["dtype"]]
        self.backward = case["pass"] == "BACKWARD"
        generator = torch.Generator(device=device).manual_seed(1)

        def random(heads, length, dim):
            return torch.randn(
                s["batch"], heads, length, dim, device=device, dtype=dtype, generator=generator
            ).requires_grad_(self.backward)

        self.q = random(s["heads"], s["seqQ"], s["headDim"])
        self.k = random(s["kvHeads"], s["seqK"], s["headDim"])
        self.v = random(s["kvHeads"], s["seqK"], value_dim(s))
        self.d_out = torch.randn(*self.q.shape[:3], value_dim(s), device=device, dtype=dtype, generator=generator)

    def flex(self, device):
        """FlexAttention, compiled."""
        from torch.nn.attention.flex_attention import create_block_mask, flex_attention

        s = self.case["shape"]
        compiled = self.torch.compile(flex_attention, dynamic=False)
        mask = None
        if self.case["causal"]:
            offset = s["seqK"] - s["seqQ"]
            window = self.case.get("window") or s["seqK"]

            def seen(b, h, i, j):
                return (j <= i + offset) & (j > i + offset - window)

            mask = create_block_mask(seen, None, None, s["seqQ"], s["seqK"], device=device)
        grouped = s["heads"] != s["kvHeads"]
        return lambda: compiled(self.q, self.k, self.v, block_mask=mask, enable_gqa=grouped)

    def scaled_dot_product(self):
        from torch.nn.functional import scaled_dot_product_attention

        s = self.case["shape"]
        grouped = {"enable_gqa": True} if s["heads"] != s["kvHeads"] else {}
        if self.case["causal"] and s["seqQ"] != s["seqK"]:
            from torch.nn.attention.bias import causal_lower_right

            grouped["attn_mask"] = causal_lower_right(s["seqQ"], s["seqK"])
            return scaled_dot_product_attention(self.q, self.k, self.v, **grouped)
        return scaled_dot_product_attention(self.q, self.k, self.v, is_causal=self.case["causal"], **grouped)

    def call(self):
        """A function that does what is to be timed and returns its results."""
        if not self.backward:
            return lambda: [self.attention()]
        out = self.attention()
        inputs = (self.q, self.k, self.v)
        return lambda: self.torch.autograd.grad(out, inputs, self.d_out, retain_graph=True)

    def tensors(self, results):
        """What a call returned, as tensors of the inputs' shapes."""
        return results

    def reference(self, dtype):
        """The first head by the formula, in a type; of the gradients those of q, k and v."""
        torch, s = self.torch, self.case["shape"]
        parts = [t[:1, :1].detach().to(dtype).requires_grad_(self.backward) for t in (self.q, self.k, self.v)]
        q, k, v = parts
        scores = (q @ k.transpose(-1, -2)) / math.sqrt(s["headDim"])
        if self.case["causal"]:
            seen = torch.ones(s["seqQ"], s["seqK"], dtype=torch.bool, device=q.device)
            seen = seen.tril(s["seqK"] - s["seqQ"])
            if "window" in self.case:
                seen = seen.triu(s["seqK"] - s["seqQ"] - self.case["window"] + 1)
            scores = scores.masked_fill(~seen, float("-inf"))
        out = torch.softmax(scores, -1) @ v
        if not self.backward:
            return [out]
        return torch.autograd.grad(out, parts, self.d_out[:1, :1].to(dtype))

    def accuracy(self, results, references):
        """The worst tensor's error beside what the rule of the field allows: twice that of the formula in the same type
        plus a floor, three times for gradients. Heads that share keys have no gradients of their own to compare.
        ``references`` holds the formula's results for the next backend: the tensors are the same each time."""
        if not references:
            references.extend(self.reference(dtype) for dtype in (self.torch.float64, self.q.dtype))
        shared = self.backward and self.case["shape"]["heads"] != self.case["shape"]["kvHeads"]
        worst = None
        exact, naive = references
        for result, right, plain in list(zip(results, exact, naive))[: 1 if shared else None]:
            error = (result[:1, :1].double() - right).abs().max().item()
            factor = 3 if self.backward else 2
            floor = TOLERANCE_FLOOR[self.case["dtype"]] * max(1.0, right.abs().max().item())
            allowed = factor * (plain.double() - right).abs().max().item() + floor
            relative = ((result[:1, :1].double() - right).norm() / right.norm()).item()
            entry = {
                "maxError": error if math.isfinite(error) else sys.float_info.max,
                "allowedError": allowed,
                "relativeError": relative,
                "passed": error <= allowed,
            }
            if worst is None or entry["maxError"] / allowed > worst["maxError"] / worst["allowedError"]:
                worst = entry
        return worst


class Kernel:
    """A kernel to force: a backend of scaled_dot_product_attention, or FlexAttention; deterministic or as it comes."""

    def __init__(self, backend=None, deterministic=False):
        self.backend, self.deterministic = backend, deterministic

    @property
    def flex(self):
        return self.backend is None

    provider = "pytorch"

    def problem(self, torch, case, device):
        return Problem(torch, case, device, self.flex)

    def does(self, case):
        """Only FlexAttention has windows, and it is for 16 bits; only backward passes have a deterministic mode of their own."""
        if "window" in case and not self.flex:
            return False
        return case["pass"] == "BACKWARD" if self.deterministic else not self.flex or case["dtype"] != "F32"

    @contextlib.contextmanager
    def forced(self, torch):
        from torch.nn.attention import sdpa_kernel

        torch.use_deterministic_algorithms(self.deterministic)
        try:
            with contextlib.nullcontext() if self.flex else sdpa_kernel(self.backend):
                yield
        finally:
            torch.use_deterministic_algorithms(False)


def backends(torch, device, wanted):
    """The kernels to force, in our words; 'standard' is PyTorch's own formula, which stores S and P."""
    from torch.nn.attention import SDPBackend

    names = {
        "standard": "MATH",
        "mem-efficient": "EFFICIENT_ATTENTION",
        "flash": "FLASH_ATTENTION",
        "cudnn": "CUDNN_ATTENTION",
    }
    if device == "cpu":
        names = {"standard": "MATH", "flash": "FLASH_ATTENTION"}
    kernels = {name: Kernel(getattr(SDPBackend, constant)) for name, constant in names.items() if hasattr(SDPBackend, constant)}
    if device == "cuda":
        for name in ("flash", "cudnn"):
            if name in kernels:
                kernels[name + "-deterministic"] = Kernel(kernels[name].backend, deterministic=True)
        kernels["flex"] = Kernel()
    return {name: kernel for name, kernel in kernels.items() if wanted is None or name in wanted}


def measure(torch, clock, case, name, kernel, arguments, references):
    """One entry of the file's results."""
    entry = {"case": case, "provider": kernel.provider, "kernel": name}
    cuda = arguments.device == "cuda"
    size = 4 if case["dtype"] == "F32" else 2
    s = case["shape"]
    tensors = least_bytes(case) - 4 * s["batch"] * s["heads"] * s["seqQ"]
    scores = s["batch"] * s["heads"] * s["seqQ"] * s["seqK"] * size
    if name == "standard" and cuda and tensors + 4 * scores > torch.cuda.get_device_properties(0).total_memory:
        return {**entry, "status": "UNSUPPORTED", "message": "S and P do not fit into the device's memory."}
    problem = None
    try:
        problem = kernel.problem(torch, case, arguments.device)
        with kernel.forced(torch):
            call = problem.call()
            if cuda:
                torch.cuda.synchronize()
                torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated() if cuda else 0
            results = call()
            peak = torch.cuda.max_memory_allocated() - before if cuda else None
            accuracy = problem.accuracy(problem.tensors(results), references)
            del results
            for _ in range(arguments.warm_up):
                call()
            times = clock.measure(call, arguments.repeat, arguments.seconds)
    except RuntimeError as e:  # no such kernel for this problem, or no memory
        message = str(e).strip().splitlines()[0] if str(e).strip() else type(e).__name__
        return {**entry, "status": "UNSUPPORTED", "message": message}
    finally:
        del problem
        if cuda:
            torch.cuda.empty_cache()
    memory = {"tensorBytes": tensors, "extraBytes": 0}
    if cuda:
        outputs = s["batch"] * s["heads"] * s["seqQ"] * value_dim(s) * size
        if case["pass"] == "BACKWARD":  # dQ, dK and dV in place of O
            outputs = s["batch"] * (s["heads"] * s["seqQ"] * s["headDim"] + s["kvHeads"] * s["seqK"] * (s["headDim"] + value_dim(s))) * size
        memory["extraBytes"] = max(0, peak - outputs)
        memory["deviceBytes"] = tensors + memory["extraBytes"]
    return {
        **entry,
        "status": "MEASURED",
        "timing": timing(case, *times),
        "memory": memory,
        "accuracy": accuracy,
    }


def beside(results, limits):
    """Adds the factor over standard attention and the share of the ceiling."""
    for result in results:
        if "timing" not in result:
            continue
        took = result["timing"]["kernelMilliseconds"]
        for other in results:
            if other["kernel"] == "standard" and "timing" in other and other["case"] == result["case"]:
                result["speedUp"] = other["timing"]["kernelMilliseconds"] / took
        peak = limits["f32FlopsPerSecond"]
        if result["case"]["dtype"] != "F32":
            peak = limits.get("tensorFlopsPerSecond", peak)
        bound = max(flops(result["case"]) / peak, least_bytes(result["case"]) / limits["copyBytesPerSecond"])
        result["shareOfCeiling"] = 1e3 * bound / took


# Errors


def tensors(torch, path, device):
    """The tensors of a safetensors file, and its metadata."""
    data = bytearray(path.read_bytes())
    begin = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:begin])
    types = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
    found = {}
    for name, entry in header.items():
        if name != "__metadata__":
            offset, end = entry["data_offsets"]
            size = types[entry["dtype"]].itemsize
            flat = torch.frombuffer(data, dtype=types[entry["dtype"]], count=(end - offset) // size, offset=begin + offset)
            found[name] = flat.reshape(entry["shape"]).to(device)
    return found, {**header.get("__metadata__", {}), "dtype": header["q"]["dtype"]}


def errors(torch, path, arguments, wanted):
    """Each backend's errors against float64 on one file of inputs, head by head."""
    from torch.nn.functional import scaled_dot_product_attention

    found, metadata = tensors(torch, path, arguments.device)
    q, k, v = (found[name] for name in "qkv")
    batch, heads, length, dim = q.shape
    problem = {
        "inputs": metadata["inputs"],
        "dtype": metadata["dtype"],
        "shape": {
            "batch": batch,
            "heads": heads,
            "kvHeads": k.shape[1],
            "seqQ": length,
            "seqK": k.shape[2],
            "headDim": dim,
        },
    }

    def formula(q, k, v):
        return torch.softmax((q @ k.transpose(-1, -2)) / math.sqrt(dim), -1) @ v

    def forced(kernel):
        with kernel.forced(torch):
            return scaled_dot_product_attention(q, k, v)

    calls = {
        name: (lambda kernel=kernel: forced(kernel))
        for name, kernel in backends(torch, arguments.device, wanted).items()
        if not kernel.flex and not kernel.deterministic
    }
    calls["formula"] = lambda: formula(q, k, v)
    exact = torch.empty(q.shape, dtype=torch.float64, device=q.device)
    for b in range(batch):
        for h in range(heads):
            exact[b, h] = formula(q[b, h].double(), k[b, h].double(), v[b, h].double())
    for name, call in calls.items():
        try:
            error = (call().double() - exact).abs()
        except RuntimeError as e:
            print(f"{path.name} {name}: {str(e).splitlines()[0]}", file=sys.stderr)
            continue
        yield {
            "problem": problem,
            "provider": "pytorch",
            "kernel": name,
            "rmse": error.square().mean().sqrt().item(),
            "maxError": error.max().item(),
            "relativeError": (error.norm() / exact.norm()).item(),
        }


# Where


def environment(torch, device):
    cuda = device == "cuda"
    cudnn = torch.backends.cudnn.version() if cuda else None
    found = {
        "device": torch.cuda.get_device_name() if cuda else f"CPU, {torch.get_num_threads()} threads",
        "backend": "cuda" if cuda else "cpu",
        "driver": of_gpu("driver_version") if cuda else None,
        "runtime": f"PyTorch {torch.__version__}"
        + (f", CUDA {torch.version.cuda}" if cuda else "")
        + (f", cuDNN {cudnn // 10000}.{cudnn // 100 % 100}.{cudnn % 100}" if cudnn else ""),
        "clocks": of_gpu("clocks.sm,clocks.mem,clocks.max.sm") if cuda else None,
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "processors": os.cpu_count(),
        "commit": commit(),
        "time": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return {key: value for key, value in found.items() if value is not None}


def of_gpu(what):
    """What nvidia-smi says of the first GPU, None without it."""
    try:
        query = ["nvidia-smi", f"--query-gpu={what}", "--format=csv,noheader"]
        return subprocess.run(query, capture_output=True, text=True, check=True).stdout.splitlines()[0].strip()
    except (OSError, subprocess.CalledProcessError, IndexError):
        return None


def commit():
    if os.environ.get("ATTENTION_COMMIT", "").strip():
        return os.environ["ATTENTION_COMMIT"].strip()
    try:
        git = ["git", "-C", str(ROOT)]
        head = subprocess.run(git + ["rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
        changes = subprocess.run(git + ["status", "--porcelain", "--untracked-files=no"], capture_output=True, text=True)
        return head.stdout.strip() + ("+changes" if changes.stdout.strip() else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def serve(torch, arguments, kernels, runtime=None):
    """Answers each line of standard input, a problem, with a line, its results: what ./attention bench --beside asks.
    ``runtime`` names what computes, where that is not PyTorch."""
    clock = Clock(torch, arguments.device)
    greeting = {
        "environment": {**environment(torch, arguments.device), **({"runtime": runtime} if runtime else {})},
        "ceilings": ceilings(torch, arguments.device),
        "flushedBytes": FLUSHED_BYTES if arguments.device == "cuda" else 0,
    }
    print(json.dumps(greeting), flush=True)
    references = {}
    for line in sys.stdin:
        asked = json.loads(line)
        case = asked["case"]
        arguments.warm_up, arguments.repeat = asked["warmUps"], asked["repetitions"]
        arguments.seconds = asked["seconds"]
        if case["pass"] not in FLOPS_OF_FORWARD:
            print(json.dumps({"results": []}), flush=True)
            continue
        key = json.dumps(case, sort_keys=True)
        if key not in references:
            references = {key: []}
        results = [
            measure(torch, clock, case, name, kernel, arguments, references[key])
            for name, kernel in kernels.items()
            if kernel.does(case)
        ]
        print(json.dumps({"results": results}), flush=True)


def save(path, preset, complete, where, limits, results, flushed):
    beside(results, limits)
    file = {
        "format": "tornado-attention-bench/1",
        "preset": preset,
        "complete": complete,
        "environment": where,
        "ceilings": limits,
        "flushedBytes": flushed,
        "results": results,
    }
    write(path, file)


def write(path, file):
    text = json.dumps(file, indent=2)
    if path is None:
        print(text)
    else:
        path = path.resolve()  # a link stays, and leads to the file
        part = path.with_name(f".attention-{os.getpid()}.part")
        try:
            part.write_text(text + "\n")
            if path.exists():
                shutil.copymode(path, part)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def require_writable(path):
    """Refuses a path that cannot be written before the work and not after it."""
    if path is None:
        return
    if path.exists() and not path.is_file():
        sys.exit(f"{path}: this is no regular file: name one")
    if not os.access(path if path.exists() else path.resolve().parent, os.W_OK):
        sys.exit(f"{path}: there is no such directory, or no permission to write there")


def imported_torch():
    """PyTorch; without it, a line that says what to install."""
    try:
        import torch
    except ImportError as missing:
        sys.exit(f"{pathlib.Path(sys.argv[0]).name} measures PyTorch, which is not installed ({missing}): see https://pytorch.org/get-started")
    return torch


def main():
    names = list(json.loads(PRESETS.read_text()))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=names, default="quick")
    parser.add_argument("--device", choices=["cuda", "cpu"], default=None, help="default: cuda where there is one")
    parser.add_argument("--backend", default=None, help="standard,mem-efficient,flash,cudnn,flash-deterministic,cudnn-deterministic,flex; default: all")
    parser.add_argument("--type", default=None, help="only these: F32,F16,BF16")
    parser.add_argument("--pass", dest="way", default=None, help="only these: forward,backward")
    parser.add_argument("--seq", default=None, help="only these lengths")
    parser.add_argument("--head-dim", default=None, help="only these head dimensions")
    parser.add_argument("--threads", type=int, default=None, help="of the CPU")
    parser.add_argument("--warm-up", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=1.0, help="begin no more calls after this, once three count")
    parser.add_argument("-o", "--output", "--out", dest="out", type=pathlib.Path, default=None, help="default: standard output")
    parser.add_argument("--inputs", type=pathlib.Path, help="measure errors on these inputs, and no times")
    parser.add_argument("--serve", action="store_true", help="measure what standard input asks for, a line of JSON each time")
    parser.add_argument("--list", action="store_true", help="print the problems and measure nothing")
    arguments = parser.parse_args()

    def among(wanted, value):
        return wanted is None or str(value).upper() in wanted.upper().split(",")

    cases = [
        case
        for case in problems(arguments.preset)
        if among(arguments.type, case["dtype"])
        and among(arguments.way, case["pass"])
        and among(arguments.seq, case["shape"]["seqK"])
        and among(arguments.head_dim, case["shape"]["headDim"])
    ]
    if arguments.list:
        print("\n".join(label(case) for case in cases))
        return
    torch = imported_torch()
    require_writable(arguments.out)
    warnings.filterwarnings("ignore", category=UserWarning)  # a line for each backend that is not forced
    if arguments.device is None:
        arguments.device = "cuda" if torch.cuda.is_available() else "cpu"
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    torch.backends.cuda.matmul.allow_tf32 = False
    wanted = arguments.backend.split(",") if arguments.backend else None
    if arguments.inputs:
        results = [
            result
            for path in sorted(arguments.inputs.glob("*.safetensors"))
            for result in errors(torch, path, arguments, wanted)
        ]
        where = environment(torch, arguments.device)
        write(arguments.out, {"format": "tornado-attention-errors/1", "environment": where, "results": results})
        return
    if arguments.serve:
        serve(torch, arguments, backends(torch, arguments.device, wanted))
        return
    where, limits, results = environment(torch, arguments.device), ceilings(torch, arguments.device), []
    clock = Clock(torch, arguments.device)
    flushed = FLUSHED_BYTES if arguments.device == "cuda" else 0
    complete = False
    try:
        for number, case in enumerate(cases, 1):
            references = []
            for name, kernel in backends(torch, arguments.device, wanted).items():
                if not kernel.does(case):
                    continue
                result = measure(torch, clock, case, name, kernel, arguments, references)
                results.append(result)
                took = result.get("timing")
                told = (
                    f"{took['kernelMilliseconds']:.3f} ms, {took['teraflops']:.3g} TFLOP/s, error"
                    f" {result['accuracy']['maxError']:.1e} ({result['accuracy']['allowedError']:.1e})"
                    if took
                    else result["message"]
                )
                print(f"{number}/{len(cases)} {label(case)} {name}: {told}", file=sys.stderr, flush=True)
                if arguments.out:
                    save(arguments.out, arguments.preset, False, where, limits, results, flushed)
        complete = True
    except KeyboardInterrupt:
        print(f"Interrupted after {len(results)} results.", file=sys.stderr)
    save(arguments.out, arguments.preset, complete, where, limits, results, flushed)


if __name__ == "__main__":
    main()

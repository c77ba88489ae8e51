#!/usr/bin/env python3
"""What the GPU itself spends on a decoding step, kernel by kernel, ours and PyTorch's, as NVIDIA's profiler ncu counts it.

TornadoVM waits for each kernel of a profiled plan, so that a kernel's time by its events holds a launch of some 10 us too;
PyTorch's kernels follow each other. ncu times both alike: one kernel at a time, caches emptied before each, clocks as they
are. The problems are those of the preset 'decode': F16, 32 query heads on 8 of keys and values, headDim 128.

  python3 bench/decode_kernels.py --ours docs/results/h200-decode.json --pytorch docs/results/h200-decode-pytorch.json

writes what ./attention tables makes a table of (kind 'decode'). A step's time is that of attention and merge: PyTorch's calls append
no tokens. Wall times are of runs without the profiler.
"""

import argparse
import csv
import io
import json
import os
import pathlib
import statistics
import subprocess
import sys

import peers

CASES = [(1, 65536), (8, 4096), (8, 16384), (8, 65536), (32, 4096), (32, 16384)]
HEADS, KV_HEADS, HEAD_DIM, CALLS = 32, 8, 128, 4
BACKENDS = ("flash", "cudnn")
NCU = (
    "ncu --clock-control none --cache-control all --target-processes all"
    " --csv --print-units base --metrics gpu__time_duration.sum"
)


def launches(kernels, command):
    """Runs a command under ncu: name, number of groups and microseconds of each of its kernels that match."""
    report = subprocess.run(
        [*NCU.split(), "-k", f"regex:{kernels}", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    rows = [line for line in report.stdout.splitlines() if line.startswith('"')]
    if report.returncode != 0 or not rows:
        sys.exit(f"ncu failed ({report.returncode}): {report.stdout[-2000:]}{report.stderr[-2000:]}")
    for row in csv.DictReader(io.StringIO("\n".join(rows))):
        groups = 1
        for size in row["Grid Size"].strip("()").split(","):
            groups *= int(size)
        yield row["Kernel Name"], groups, float(row["Metric Value"].replace(",", "")) / 1e3


def decode_command(batch, *more):
    keys = [n for b, n in CASES if b == batch]
    command = ["./attention", "bench-decode", "--backend", "cuda", "--batch", str(batch)]
    return [*command, "--keys", ",".join(map(str, keys)), *more], keys


def ours(batch):
    """Steps of all cases with so many sequences, which differ in their number of groups."""
    command, keys = decode_command(batch, "--warm-up", "1", "--repeat", str(CALLS))
    steps, parts, groups_of_step = [], {}, 0
    for name, groups, took in launches("append|attention", command):
        parts[name] = took
        if name == "attention":
            if not steps or groups_of_step != groups:
                steps.append((groups, []))
            groups_of_step = groups
            steps[-1][1].append(dict(parts))
    if len(steps) != len(keys):
        sys.exit(f"{len(steps)} kinds of steps for {len(keys)} cases of {batch} sequences")
    command = decode_command(batch, "--repeat", "9", "--json")[0]
    checked = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    for n, (_, times), row in zip(keys, steps, json.loads(checked[checked.index("[") :])):
        accuracy = {name: row[name] for name in ("maxError", "allowedError", "passed")}
        yield batch, n, times, row["wallMilliseconds"], accuracy, row["tile"]


def call_pytorch():
    """What runs under ncu for PyTorch."""
    torch = peers.imported_torch()
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.nn.functional import scaled_dot_product_attention

    backends = {"flash": SDPBackend.FLASH_ATTENTION, "cudnn": SDPBackend.CUDNN_ATTENTION}
    for batch, n in CASES:
        q = torch.randn(batch, HEADS, 1, HEAD_DIM, device="cuda", dtype=torch.half)
        k, v = (torch.randn(batch, KV_HEADS, n, HEAD_DIM, device="cuda", dtype=torch.half) for _ in range(2))
        for name in BACKENDS:
            with sdpa_kernel(backends[name]):
                for _ in range(CALLS):
                    scaled_dot_product_attention(q, k, v, enable_gqa=True)


def pytorch():
    """Its kernels come in the order of the calls; a call may have a second one, which puts parts of the keys together."""
    calls = []
    for name, _, took in launches("flash|cudnn", [sys.executable, __file__, "--pytorch-alone"]):
        part = "merge" if "combine" in name or "reduction" in name else "attention"
        if part == "attention":
            calls.append({})
        calls[-1][part] = took
    if len(calls) != len(CASES) * len(BACKENDS) * CALLS:
        sys.exit(f"{len(calls)} calls of PyTorch were seen")
    for i, (batch, n) in enumerate(CASES):
        for j, name in enumerate(BACKENDS):
            first = (i * len(BACKENDS) + j) * CALLS
            yield name, batch, n, calls[first : first + CALLS]


def result(provider, kernel, batch, keys, steps, wall, **more):
    """An entry of the files that ./attention bench writes."""
    shape = {"batch": batch, "heads": HEADS, "kvHeads": KV_HEADS, "seqQ": 1, "seqK": keys, "headDim": HEAD_DIM}
    case = {"pass": "FORWARD", "dtype": "F16", "shape": shape, "causal": False}
    sums = [sum(took for part, took in step.items() if part != "append") / 1e3 for step in steps]
    timing = peers.timing(case, sums, [wall or 1])
    if not wall:  # not taken
        timing["wallMilliseconds"] = 0
    parts = {part: statistics.median(step[part] for step in steps) for part in steps[0]}
    told = " + ".join(f"{part} {took:.1f} us" for part, took in parts.items())
    print(f"{provider} {kernel} {batch} x {keys}: {told}", flush=True)
    return {
        "case": case,
        "provider": provider,
        "kernel": kernel,
        "status": "MEASURED",
        "timing": timing,
        "memory": {"tensorBytes": peers.least_bytes(case), "extraBytes": 0},
        "microseconds": parts,
        **more,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", metavar="FILE", required=True, help="the JSON file to write for our steps")
    parser.add_argument("--pytorch", metavar="FILE", required=True, help="the one for PyTorch's")
    if sys.argv[1:] == ["--pytorch-alone"]:
        call_pytorch()
        return
    arguments = parser.parse_args()
    torch = peers.imported_torch()

    where, limits = peers.environment(torch, "cuda"), peers.ceilings(torch, "cuda")
    torch.cuda.empty_cache()
    results = []
    for batch in sorted({b for b, _ in CASES}):
        for b, n, steps, wall, accuracy, tile in ours(batch):
            results.append(result("tornado-attention", "decode", b, n, steps, wall, accuracy=accuracy, tile=tile))
    api = next(pathlib.Path(os.environ["TORNADOVM_HOME"]).glob("share/java/tornado/tornado-api-*.jar"))
    runtime = "TornadoVM " + api.stem.removeprefix("tornado-api-")
    peers.save(pathlib.Path(arguments.ours), "decode", True, {**where, "runtime": runtime}, limits, results, 0)
    results = [result("pytorch", name, b, n, steps, 0) for name, b, n, steps in pytorch()]
    peers.save(pathlib.Path(arguments.pytorch), "decode", True, where, limits, results, 0)


if __name__ == "__main__":
    main()

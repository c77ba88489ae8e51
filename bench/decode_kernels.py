#!/usr/bin/env python3
"""What the GPU itself spends on a decoding step, kernel by kernel, ours and PyTorch's, as NVIDIA's profiler ncu counts it.

TornadoVM waits for each kernel of a profiled plan, so that a kernel's time by its events holds a launch of some 10 us too;
PyTorch's kernels follow each other. ncu times both alike: one kernel at a time, caches emptied before each, clocks as they
are. The problems are those of the preset 'decode': F16, 32 query heads on 8 of keys and values, headDim 128.

  python3 bench/decode_kernels.py -o docs/results/h200-decode-kernels.json
"""

import argparse
import collections
import csv
import io
import json
import statistics
import subprocess
import sys

CASES = [(1, 65536), (8, 4096), (8, 16384), (8, 65536), (32, 4096), (32, 16384)]
HEADS, KV_HEADS, HEAD_DIM, CALLS = 32, 8, 128, 4
BACKENDS = ("flash", "cudnn")
NCU = "ncu --clock-control none --cache-control all --target-processes all --csv --print-units base --metrics gpu__time_duration.sum"


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


def ours(batch):
    """Steps of all cases with so many sequences: a step's merge has a group for each sequence and head."""
    keys = [n for b, n in CASES if b == batch]
    command = ["./attention", "bench-decode", "--backend", "cuda", "--batch", str(batch), "--warm-up", "1"]
    command += ["--repeat", str(CALLS), "--keys", ",".join(map(str, keys))]
    steps, parts = [], {}
    for name, groups, time in launches("append|attention|merge", command):
        parts[name] = (groups, time)
        if name == "merge" and groups == batch * HEADS:
            if not steps or steps[-1][0] != parts["attention"][0]:
                steps.append((parts["attention"][0], []))
            steps[-1][1].append({part: time for part, (_, time) in parts.items()})
    if len(steps) != len(keys):
        sys.exit(f"{len(steps)} kinds of steps for {len(keys)} cases of {batch} sequences")
    for n, (_, times) in zip(keys, steps):
        yield batch, n, {part: statistics.median(step[part] for step in times) for part in times[0]}


def call_pytorch():
    """What runs under ncu for PyTorch."""
    import torch
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
    """Its kernels come in the order of the calls; flash's may have a second one that combines splits."""
    calls = []
    for name, _, time in launches("flash|cudnn", [sys.executable, __file__, "--pytorch-alone"]):
        part = "merge" if "combine" in name else "attention"
        if part == "attention":
            calls.append({})
        calls[-1][part] = time
    if len(calls) != len(CASES) * len(BACKENDS) * CALLS:
        sys.exit(f"{len(calls)} calls of PyTorch were seen")
    for i, (batch, n) in enumerate(CASES):
        for j, name in enumerate(BACKENDS):
            first = (i * len(BACKENDS) + j) * CALLS
            times = calls[first : first + CALLS]
            yield name, batch, n, {part: statistics.median(t[part] for t in times) for part in times[0]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", metavar="FILE", help="a JSON file to write")
    parser.add_argument("--pytorch-alone", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.pytorch_alone:
        call_pytorch()
        return
    results = collections.defaultdict(dict)
    for batch in sorted({b for b, _ in CASES}):
        for b, n, times in ours(batch):
            results[b, n]["ours"] = times
    for name, b, n, times in pytorch():
        results[b, n][name] = times
    rows = []
    print("| batch | keys | ours: append + attention + merge | PyTorch flash | PyTorch cuDNN | our share of the better |")
    print("|---|---|---|---|---|---|")
    for (b, n), times in results.items():
        # New tokens are none of PyTorch's business here, so the comparison is without appending them.
        total = {who: sum(t for part, t in parts.items() if part != "append") for who, parts in times.items()}
        share = min(total[name] for name in BACKENDS) / total["ours"]
        mine = " + ".join(f"{times['ours'][part]:.1f}" for part in ("append", "attention", "merge"))
        rate = 4e-6 * b * n * KV_HEADS * HEAD_DIM / total["ours"]
        print(f"| {b} | {n} | {mine} µs, {rate:.2f} TB/s | {total['flash']:.1f} µs | {total['cudnn']:.1f} µs | {100 * share:.0f} % |")
        rows.append({"batch": b, "keys": n, "microseconds": times, "shareOfBest": share})
    if arguments.out:
        with open(arguments.out, "w") as file:
            json.dump({"tool": NCU, "results": rows}, file, indent=1)


if __name__ == "__main__":
    main()

"""The float quantizers of the published code of PTQ4ViT and its choice of scales, from their formulas: writes published.json.

Formulas as in hahnyuan/PTQ4ViT (quant_layers/linear.py and matmul.py at b42c790): SoSPTQSLBatchingQuantMatMul,
PostGeluPTQSLBatchingQuantLinear and PTQSLBatchingQuantLinear with n_V, n_H, n_a blocks. Written anew, without its batching.
Made with Debian 12's python3-torch 1.13.1: /usr/bin/python3 test/golden/published/make.py
"""

import json
import pathlib

import torch

torch.manual_seed(11)
ALPHA, BETA, N, ROUNDS = 0.01, 1.2, 100, 3
FACTORS = [ALPHA + i * (BETA - ALPHA) / N for i in range(N)]


def numbers(tensor):
    return [float(x) for x in tensor.flatten()]


def short(tensor):
    """Multiples of 2^-10: exact in f32, short in JSON."""
    return (tensor * 1024).round() / 1024


def uniform(x, interval, q):
    return (x / interval).round().clamp(-q, q - 1) * interval


def sum_of_ranges(x, split, q):
    high = (x.clamp(split, 1) * (q - 1)).round().clamp(0, q - 1) / (q - 1)
    interval = split / (q - 1)
    low = (x.clamp(0, split) / interval).round().clamp(0, q - 1) * interval
    return high + low


def runs(interval, features):
    """One interval a run of features, spread over the features."""
    return interval.repeat_interleave(features // interval.numel())


def gelu_ranges(x, positive, q):
    interval = runs(positive, x.shape[-1])
    negative = 0.16997124254703522 / q
    return (x / interval).round().clamp(0, q - 1) * interval + (x / negative).round().clamp(-q, 0) * negative


def blocks(weight, interval, q):
    """interval [n_V, n_H]"""
    rows, columns = weight.shape
    each = interval.repeat_interleave(rows // interval.shape[0], 0).repeat_interleave(columns // interval.shape[1], 1)
    return uniform(weight, each, q)


def errors(gradient, raw, made):
    return (gradient * (raw - made)) ** 2


def search_softmax(a, b, gradient, bits):
    """a [images, heads, rows, depth], b [images, heads, depth, columns]"""
    q = 2 ** (bits - 1)
    raw = a @ b
    start = b.abs().amax(dim=(0, 2, 3)) / (q - 0.5)
    scale = start.clone()
    for _ in range(ROUNDS):
        scores = [errors(gradient, raw, sum_of_ranges(a, 2.0**-i, q) @ b).sum() for i in range(20)]
        split = 2.0 ** -int(torch.stack(scores).argmin())
        left = sum_of_ranges(a, split, q)
        each = torch.stack(
            [errors(gradient, raw, left @ uniform(b, (f * start).view(1, -1, 1, 1), q)).sum(dim=(0, 2, 3)) for f in FACTORS]
        )
        scale = torch.tensor(FACTORS)[each.argmin(dim=0)] * start
    made = left @ uniform(b, scale.view(1, -1, 1, 1), q)
    return {"split": split, "scales": numbers(scale), "error": float(errors(gradient, raw, made).sum())}


def search_linear(x, weight, bias, gradient, bits, n_v, n_h, n_a, gelu):
    q = 2 ** (bits - 1)
    raw = x @ weight.T + bias
    outputs, inputs = weight.shape
    w_start = weight.view(n_v, outputs // n_v, n_h, inputs // n_h).abs().amax(dim=(1, 3)) / (q - 0.5)
    run = x.view(-1, n_a, inputs // n_a)
    a_start = (run if gelu else run.abs()).amax(dim=(0, 2)) / (q - 0.5)
    w_scale, a_scale = w_start.clone(), a_start.clone()

    def left(scale):
        return gelu_ranges(x, scale, q) if gelu else uniform(x, runs(scale, inputs), q)

    for _ in range(ROUNDS):
        for h in range(n_h):
            scores = []
            for f in FACTORS:
                tried = w_scale.clone()
                tried[:, h] = f * w_start[:, h]
                error = errors(gradient, raw, left(a_scale) @ blocks(weight, tried, q).T + bias)
                scores.append(error.view(-1, n_v, outputs // n_v).sum(dim=(0, 2)))
            w_scale[:, h] = torch.tensor(FACTORS)[torch.stack(scores).argmin(dim=0)] * w_start[:, h]
        right = blocks(weight, w_scale, q).T
        for a in range(n_a):
            scores = []
            for f in FACTORS:
                tried = a_scale.clone()
                tried[a] = f * a_start[a]
                scores.append(errors(gradient, raw, left(tried) @ right + bias).sum())
            a_scale[a] = FACTORS[int(torch.stack(scores).argmin())] * a_start[a]
    made = left(a_scale) @ right + bias
    return {"a": numbers(a_scale), "b": numbers(w_scale), "error": float(errors(gradient, raw, made).sum())}


quantizers = {"softmax": [], "gelu": []}
for bits, split in [(8, 2.0**-8), (8, 2.0**-4), (6, 2.0**-5), (4, 2.0**-3), (4, 1.0)]:
    x = torch.cat([torch.rand(60) ** 4, torch.tensor([0.0, 1.0, split])])
    made = sum_of_ranges(x, split, 2 ** (bits - 1))
    quantizers["softmax"].append({"bits": bits, "split": split, "values": numbers(x), "made": numbers(made)})
for bits in (8, 4):
    x = short(torch.nn.functional.gelu(torch.randn(60) * 3))
    scales = torch.tensor([0.05, 0.125])
    made = gelu_ranges(x.view(1, -1), scales, 2 ** (bits - 1))
    quantizers["gelu"].append({"bits": bits, "scales": numbers(scales), "values": numbers(x), "made": numbers(made)})

a = torch.softmax(torch.randn(2, 2, 9, 9) * 2, dim=-1)
b = short(torch.randn(2, 2, 9, 8))
g = short(torch.randn(2, 2, 9, 8))
softmax = {"a": numbers(a), "b": numbers(b), "gradient": numbers(g), "found": {}}
for bits in (8, 6, 4):
    softmax["found"][bits] = search_softmax(a, b, g, bits)

weight = short(torch.randn(12, 16) * 0.3)
bias = short(torch.randn(12))
g = short(torch.randn(18, 12))
plain = short(torch.randn(18, 16) * torch.linspace(0.3, 3, 16))
after = short(torch.nn.functional.gelu(plain * 1.5))
linear = {"weight": numbers(weight), "bias": numbers(bias), "gradient": numbers(g), "cases": []}
for name, x, bits, n_v, n_h, n_a, gelu in [
    ("gelu", after, 8, 1, 1, 1, True),
    ("gelu", after, 6, 1, 1, 2, True),
    ("blocks", plain, 6, 3, 4, 1, False),
    ("blocks", plain, 4, 2, 2, 4, False),
    ("parts", plain, 6, 3, 1, 1, False),
]:
    found = search_linear(x, weight, bias, g, bits, n_v, n_h, n_a, gelu)
    settings = {"name": name, "bits": bits, "rowBlocks": n_v, "columnBlocks": n_h, "activationBlocks": n_a}
    linear["cases"].append({**settings, "input": numbers(x), "found": found})

golden = {"quantizers": quantizers, "softmax": softmax, "linear": linear}
path = pathlib.Path(__file__).with_name("published.json")
path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")

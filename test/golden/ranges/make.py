"""Ranges that range-only calibrators are held to, from PyTorch's observers and from numpy: writes ranges.json beside this file.

Made with Debian 12's python3-torch 1.13.1: /usr/bin/python3 test/golden/ranges/make.py
"""

import collections
import json
import math
import pathlib

import numpy as np
import torch
from torch.ao.quantization import observer

BINS = 2048
rng = np.random.default_rng(4)


def rounded(x):
    """Multiples of 1/256: exact in f32, short in JSON."""
    return (np.round(x * 256) / 256).astype(np.float32)


IMAGES, COUNT = 3, 500
gauss = rng.normal(0.7, 5, (IMAGES, COUNT))
gauss[1, 7] = 215
laplace = rng.laplace(-0.4, 3, (IMAGES, COUNT))
positive = np.abs(rng.normal(0, 4, (IMAGES, COUNT))) ** 1.5
distributions = {"gauss with an outlier": gauss, "laplace": laplace, "positive": positive}


def observed(make, images, bits, scheme):
    q = 2 ** (bits - 1)
    found = make(dtype=torch.qint8, qscheme=scheme, quant_min=-q, quant_max=q - 1)
    for image in images:
        found(torch.from_numpy(image))
    scale, zero = found.calculate_qparams()
    return {"scale": float(scale), "zero": int(zero)}


def error(x, scale, q, zero=0):
    codes = np.clip(np.round(x / scale) + zero, -q, q - 1) - zero
    return float(np.mean((x - codes * scale) ** 2))


def omse(x, bits):
    """The best of all clips i / 128 of the largest magnitude, by the values themselves; the largest of equals."""
    q = 2 ** (bits - 1)
    largest = np.abs(x).max()
    errors = [error(x, np.float64(np.float32(largest * i / 128 / (q - 0.5))), q) for i in range(128, 0, -1)]
    best = int(np.argmin(errors))
    return {"clip": float(largest * (128 - best) / 128), "error": errors[best]}


def entropy(x, bits):
    """pytorch-quantization's search over a histogram of magnitudes, from its description in TensorRT's slides (Migacz, 2017)."""
    largest = np.abs(x).max()
    inverse = np.float32(BINS / np.float64(largest))
    index = np.minimum(np.floor(np.abs(x) * inverse), BINS - 1).astype(int)
    counts = np.bincount(index, minlength=BINS).astype(float)
    counts[0] = counts[1]
    levels = 2 ** (bits - 1)
    divergences = []
    for kept in range(128, BINS + 1):
        place = np.digitize(np.arange(kept), np.linspace(0, kept, levels + 1)) - 1
        place[counts[:kept] == 0] = -1
        sums, members = collections.Counter(), collections.Counter(place.tolist())
        for bin_index, level in enumerate(place.tolist()):
            sums[level] += counts[bin_index]
        quantized = np.array([0 if level == -1 else sums[level] / members[level] for level in place.tolist()])
        reference = counts[:kept].copy()
        reference[-1] += counts[kept:].sum()
        p, q = reference / reference.sum(), quantized / quantized.sum()
        seen = p > 0
        with np.errstate(divide="ignore"):
            divergences.append(float(np.sum(p[seen] * np.log(p[seen] / q[seen]))))
    last = len(divergences) - 1 - int(np.argmin(divergences[::-1]))
    return {"bins": last + 128}


def expected_error(density, clip, bits):
    """Squared error of a distribution under clipping and even rounding, by summation over a fine grid."""
    x = np.linspace(clip, clip + 60, 600001)
    outside = 2 * np.sum((x - clip) ** 2 * density(x)) * (x[1] - x[0])
    return outside + clip**2 / (3 * 4**bits)


def best_clip(density, bits):
    low, high = 0.5, 20.0
    for _ in range(60):
        a, b = low + (high - low) / 3, high - (high - low) / 3
        if expected_error(density, a, bits) < expected_error(density, b, bits):
            high = b
        else:
            low = a
    return (low + high) / 2


cases = []
for name, made in distributions.items():
    images = rounded(made)
    x = images.astype(np.float64).ravel()
    widths = {}
    for bits in (8, 6, 4):
        q = 2 ** (bits - 1)
        symmetric, affine = torch.per_tensor_symmetric, torch.per_tensor_affine
        averaged = observer.MovingAverageMinMaxObserver.with_args(averaging_constant=0.1)
        histogram = observed(observer.HistogramObserver, images, bits, symmetric)
        widths[bits] = {
            "minMax": observed(observer.MinMaxObserver, images, bits, symmetric),
            "minMaxAffine": observed(observer.MinMaxObserver, images, bits, affine),
            "movingAverage": observed(averaged, images, bits, symmetric),
            "movingAverageAffine": observed(averaged, images, bits, affine),
            "histogramObserverError": error(x, histogram["scale"], q),
            "omse": omse(x, bits),
            "entropy": entropy(images.ravel(), bits),
        }
    magnitudes = np.sort(np.abs(x))
    percentiles = {p: float(magnitudes[math.ceil(p / 100 * x.size) - 1]) for p in (50, 99, 99.9, 100)}
    mean = x.mean()
    moments = {"mean": mean, "variance": x.var(), "deviation": np.abs(x - mean).mean()}
    cases.append(
        {
            "name": name,
            "images": [[float(v) for v in image] for image in images],
            "widths": widths,
            "percentiles": percentiles,
            "moments": {key: float(value) for key, value in moments.items()},
        }
    )

normal = lambda x: np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
two_sided = lambda x: np.exp(-x) / 2
golden = {
    "cases": cases,
    "clips": {bits: {"gauss": best_clip(normal, bits), "laplace": best_clip(two_sided, bits)} for bits in range(2, 9)},
}
path = pathlib.Path(__file__).with_name("ranges.json")
path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")

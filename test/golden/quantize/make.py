"""Numbers from PyTorch that the quantizer references are held to: writes quantize.json beside this file.

Made with Debian 12's python3-torch 1.13.1: /usr/bin/python3 test/golden/quantize/make.py
"""

import json
import pathlib

import torch

torch.manual_seed(5)


def numbers(tensor):
    return [float(x) for x in tensor.flatten()]


def whole(tensor):
    return [int(x) for x in tensor.flatten()]


def activations(count, scale):
    """Random values, rounding ties of `scale`, both ends and an outlier."""
    ties = (torch.arange(-160, 160) + 0.5) * scale
    return torch.cat([torch.randn(count) * 5, ties, torch.tensor([215.0, -215.0, 0.0, 1e-30])]).float()


uniform = []
for bits, scale in [(8, 0.25), (8, 0.0371), (6, 0.5), (6, 0.113), (4, 1.0), (3, 2.7), (2, 4.0)]:
    q = 2 ** (bits - 1)
    x = activations(100, scale)
    inverse = torch.tensor(1 / float(torch.tensor(scale, dtype=torch.float32)), dtype=torch.float32)
    codes = torch.clamp(torch.round(x * inverse), -q, q - 1)
    if scale == 2 ** round(torch.tensor(scale).log2().item()):
        # At a power of two torch's own fake quantizer agrees whatever order it multiplies in.
        fake = torch.fake_quantize_per_tensor_affine(x, scale, 0, -q, q - 1)
        assert torch.equal(fake / scale, codes), (bits, scale)
    uniform.append({"bits": bits, "inverse": float(inverse), "values": numbers(x), "codes": whole(codes)})

softmax = []
for bits, shift in [(8, 0), (8, 4), (8, 9), (6, 5), (4, 0), (4, 3), (4, 5), (2, 4)]:
    largest = 2 ** (bits - 1) - 1
    r2 = 2.0 ** -(bits - 1)
    r1 = r2 / 2**shift
    fine = torch.arange(0, 2 ** (bits - 1)).double() * r1
    coarse = torch.arange(0, 2 ** (bits - 1)).double() * r2
    ends = [(torch.arange(0, 40) + 0.5) * r1, (torch.arange(0, 40) + 0.5) * r2, torch.tensor([0.0, 1.0])]
    x = torch.cat([torch.rand(60) ** 3, *ends]).float().clamp(max=1)
    # Brute force over every code of both ranges: the smallest distance that the twin format allows.
    every = torch.cat([fine, coarse])
    nearest = (x.double()[:, None] - every[None]).abs().min(dim=1).values
    by_split = torch.where(
        x < 2.0**-shift,
        torch.clamp(torch.round(x / r1), max=largest),
        torch.clamp(torch.round(x / r2), max=largest) + 2 ** (bits - 1),
    )
    softmax.append(
        {"bits": bits, "shift": shift, "values": numbers(x), "distance": numbers(nearest), "published": whole(by_split)}
    )

gelu = []
for bits, r2, shift in [(8, 0.25, 7), (8, 0.0417, 4), (6, 0.5, 6), (4, 0.3, 3), (2, 1.0, 2)]:
    largest = 2 ** (bits - 1) - 1
    scale = torch.tensor(r2, dtype=torch.float32).double()
    inverse1 = (1 / (scale / 2**shift)).float()
    inverse2 = (1 / scale).float()
    ties = torch.cat([(torch.arange(0, 40) + 0.5) * r2, -(torch.arange(0, 40) + 0.5) * r2 / 2**shift])
    random = torch.nn.functional.gelu(torch.randn(100) * 3)
    x = torch.cat([random, ties, torch.tensor([215.0, 0.0, -0.16997124])]).float()
    magnitude = torch.clamp(torch.round(x.abs() * torch.where(x < 0, inverse1, inverse2)), max=largest)
    codes = torch.where((x >= 0) & (magnitude > 0), magnitude + 2 ** (bits - 1), magnitude)
    gelu.append(
        {
            "bits": bits,
            "inverseR1": float(inverse1),
            "inverseR2": float(inverse2),
            "values": numbers(x),
            "codes": whole(codes),
        }
    )

x = torch.randn(6, 13)
y = x + 0.1 * torch.randn(6, 13)
x[1] = 0
y[2] = 0
x[3] *= 1e-10
y[4] *= -1
cosine = {
    "x": [numbers(row) for row in x],
    "y": [numbers(row) for row in y],
    "cosine": numbers(torch.nn.functional.cosine_similarity(x.double(), y.double(), dim=1, eps=1e-8)),
}

lowest = torch.linspace(-0.76, -0.74, 200001, dtype=torch.float64)
golden = {
    "uniform": uniform,
    "softmax": softmax,
    "gelu": gelu,
    "cosine": cosine,
    "geluMinimum": float(torch.nn.functional.gelu(lowest).min()),
}
path = pathlib.Path(__file__).with_name("quantize.json")
path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")

"""Integers that the nonlinear references are held to: writes integer.json beside this file.

The published formulas of I-ViT (zkkli/I-ViT, models/quantization_utils/quant_modules.py: IntSoftmax, IntGELU) and I-BERT
(kssteven418/I-BERT, fairseq/quantization/utils/quant_modules.py: IntSoftmax, IntGELU) written again in PyTorch, in double, where
every product and quotient of theirs is exact; in float32, as they train, the last bits of the large ones are lost.

Made with Debian 12's python3-torch 1.13.1: /usr/bin/python3 test/golden/integer/make.py
"""

import json
import math
import pathlib

import numpy
import torch

torch.manual_seed(11)
LARGEST = 2**31 - 1


def shift_exp(x, scale, n):
    """I-ViT's e^(scale x) in units of scale / 2^n."""
    x = x + torch.floor(x / 2) - torch.floor(x / 16)
    x0 = math.floor(-1.0 / scale)
    x = x.clamp(min=n * x0)
    q = torch.floor(x / x0)
    r = x - x0 * q
    return torch.floor((r / 2 - x0) * 2.0 ** (n - q)).clamp(min=0)


def shiftmax(x, scale, output_bits):
    e = shift_exp(x - x.max(dim=-1, keepdim=True).values, scale, 15)
    total = e.sum(dim=-1, keepdim=True).clamp(max=LARGEST)
    return torch.floor(e * torch.floor(LARGEST / total) / 2 ** (31 - output_bits + 1))


def shift_gelu(x, scale):
    """Units of the result: scale / 2^7."""
    largest = x.max(dim=-1, keepdim=True).values
    e = shift_exp(x - largest, scale * 1.702, 23)
    total = (e + shift_exp(-largest, scale * 1.702, 23)).clamp(max=LARGEST)
    return x * torch.floor(e * torch.floor(LARGEST / total) / 2 ** (31 - 8 + 1))


def dyadic_round(x, ratio):
    """I-BERT's fixedpoint_mul: a 31-bit mantissa and a power of two."""
    mantissa, exponent = numpy.frexp(ratio)
    multiplier = math.floor(mantissa * 2**31 + 0.5)
    return torch.round(x * multiplier / 2.0 ** (31 - exponent))


def i_exp_softmax(x, scale, output_bits):
    a, b, c = 0.35815147, 0.96963238 / 0.35815147, 1.0 / 0.35815147
    x = x - x.max(dim=-1, keepdim=True).values
    x0 = math.floor(-0.6931 / scale)
    x = x.clamp(min=30 * x0)
    q = torch.floor(x / x0)
    r = x - x0 * q
    b_int, c_int = math.floor(b / scale), math.floor(c / scale**2)
    e = torch.floor((r * (r + b_int) + c_int) * 2.0 ** (30 - q)).clamp(min=0)
    # their 16-bit QuantAct: e^0, the largest e there is, becomes 32767
    e = dyadic_round(e, 32767 / (c_int * 2.0**30)).clamp(-32768, 32767)
    factor = torch.floor(2**32 / e.sum(dim=-1, keepdim=True))
    return torch.floor(e * factor / 2 ** (32 - output_bits))


def i_gelu(x, scale):
    """Integer result and its (negative) unit over scale."""
    step = scale / 1.4142
    b_int = math.floor(-1.769 / step)
    c_int = math.floor(1 / -0.2888 / step**2)
    y = torch.sign(x) * ((torch.min(x.abs(), torch.tensor(-b_int)) + b_int) ** 2 + c_int)
    y = torch.floor(y / 2**14)
    unit = step**2 * -0.2888 * 2**14
    return x * (y + math.floor(1 / unit)), unit / 2


def rows(bits, columns, spread):
    """Random rows; one all equal, one with a huge value, one at the minimum with one above it."""
    q = 2 ** (bits - 1)
    x = torch.clamp(torch.round(torch.randn(3, columns) * spread), -q, q - 1)
    x[1, columns // 2] = q - 1
    equal = torch.full((1, columns), float(-q // 3))
    low = torch.full((1, columns), float(-q))
    low[0, 1] = -q + 3
    return torch.cat([x, equal, low]).double()


def ints(tensor):
    assert torch.equal(tensor, torch.round(tensor))
    return [[int(value) for value in row] for row in tensor]


made = {"shiftmax": [], "shiftGelu": [], "iExp": [], "iGelu": []}
for bits, scale, columns in [(8, 1 / 16, 19), (8, 0.0871, 197), (8, 0.3, 7), (12, 8 / 2048, 33), (16, 8 / 32768, 9)]:
    x = rows(bits, columns, 0.3 * 2 ** (bits - 1))
    made["shiftmax"].append({"scale": scale, "logits": ints(x), "shares": ints(shiftmax(x, scale, 16))})
for bits, scale in [(8, 1 / 16), (8, 0.0631), (8, 0.25), (12, 8 / 2048)]:
    x = rows(bits, 31, 0.3 * 2 ** (bits - 1))
    made["shiftGelu"].append({"scale": scale, "codes": ints(x), "results": ints(shift_gelu(x, scale))})
# I-BERT's polynomials need a fine scale: the same values in codes 2^fraction times as fine.
for bits, scale, fraction, columns in [(12, 8 / 2048, 5, 33), (12, 0.0011, 3, 197), (16, 1e-4, 0, 9), (8, 1 / 16, 9, 19)]:
    x = rows(bits, columns, 0.3 * 2 ** (bits - 1))
    shares = i_exp_softmax(x * 2**fraction, scale / 2**fraction, 24)
    made["iExp"].append({"scale": scale, "fraction": fraction, "logits": ints(x), "shares": ints(shares)})
for bits, scale, fraction in [(16, 8 / 32768, 0), (16, 0.00061, 1), (8, 1 / 16, 8)]:
    x = rows(bits, 31, 0.3 * 2 ** (bits - 1))
    y, unit = i_gelu(x * 2**fraction, scale / 2**fraction)
    made["iGelu"].append(
        {"scale": scale, "fraction": fraction, "codes": ints(x), "results": ints(y / 2**fraction), "unit": unit}
    )

path = pathlib.Path(__file__).parent / "integer.json"
path.write_text(json.dumps(made, separators=(",", ":")) + "\n")

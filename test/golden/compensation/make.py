"""Numbers from PyTorch that weight compensation is held to: writes compensation.json beside this file.

GPTQ in the form of the paper (Frantar et al. 2022, algorithm 1 with blocks of one column): the inverse of the damped Gram matrix, its
upper Cholesky factor, and the update of all later columns after each one; damped in units of each diagonal. Ridge by the normal equations of the stacked least squares
problem. In double.

Made with Debian 12's python3-torch 1.13.1: /usr/bin/python3 test/golden/compensation/make.py
"""

import json
import pathlib

import torch

torch.manual_seed(11)


def numbers(tensor):
    return [float(x) for x in tensor.flatten()]


def gptq(weight, scales, low, high, gram, damping):
    columns = weight.shape[1]
    diagonal = gram.diagonal()
    damped = gram + damping * torch.diag(torch.maximum(diagonal, 0.01 * diagonal.mean()))
    order = torch.argsort(gram.diagonal(), descending=True)
    inverse = torch.linalg.inv(damped[order][:, order])
    upper = torch.linalg.cholesky(inverse, upper=True)
    rest = weight[:, order].clone()
    codes = torch.zeros_like(rest)
    for j in range(columns):
        codes[:, j] = torch.clamp(torch.round(rest[:, j] / scales), low, high)
        error = (rest[:, j] - codes[:, j] * scales) / upper[j, j]
        rest[:, j:] -= error[:, None] * upper[j, j:][None]
    result = torch.zeros_like(codes)
    result[:, order] = codes
    return result


cases = []
for rows, columns, tokens, bits, restricted in [(3, 5, 12, 4, False), (7, 21, 60, 3, True), (5, 16, 9, 6, False)]:
    mix = torch.randn(columns, columns, dtype=torch.float64)
    inputs = torch.randn(tokens, columns, dtype=torch.float64) @ mix + 0.5 * torch.randn(columns, dtype=torch.float64)
    step = inputs.abs().max() / 20
    quantized = torch.round(inputs / step) * step
    weight = torch.randn(rows, columns).float().double()
    q = 2 ** (bits - 1)
    low, high = (1 - q if restricted else -q), q - 1
    scales = (weight.abs().amax(1) / (q - 0.5)).float().double()
    gram, cross = quantized.T @ quantized, quantized.T @ inputs
    penalty = 0.05 * float(gram.diagonal().mean())
    stacked = torch.cat([quantized, penalty**0.5 * torch.eye(columns, dtype=torch.float64)])
    target = torch.cat([inputs @ weight.T, penalty**0.5 * weight.T])
    cases.append(
        {
            "rows": rows,
            "columns": columns,
            "low": low,
            "high": high,
            "weight": numbers(weight),
            "scales": numbers(scales),
            "gram": numbers(gram),
            "cross": numbers(cross),
            "codes": [int(x) for x in gptq(weight, scales, low, high, gram, 0.01).flatten()],
            "penalty": penalty,
            "ridge": numbers(torch.linalg.lstsq(stacked, target).solution.T.contiguous()),
        }
    )

path = pathlib.Path(__file__).with_name("compensation.json")
path.write_text(json.dumps({"cases": cases}) + "\n")

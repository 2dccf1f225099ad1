"""Scores from PyTorch that the metrics of a search are held to: writes metrics.json beside this file.

Every metric of PTQ4ViT's figure 5 by its definition in torch, on two rows-by-features parts of one output.

Made with Debian 12's python3-torch 1.13.1: /usr/bin/python3 test/golden/metrics/make.py
"""

import json
import pathlib

import torch
from torch.nn import functional

torch.manual_seed(11)


def numbers(tensor):
    return [float(x) for x in tensor.flatten()]


def rows(tensor):
    return [numbers(row) for row in tensor]


y = torch.randn(7, 12) * 3 + 2
y[1] = 4.25  # constant: correlates with nothing
y[2] *= 1e-10
y_hat = y + 0.3 * torch.randn(7, 12)
y_hat[3] = -y[3]
y_hat[4] = 2.5 * y[4] - 7  # the same but for factor and offset
gradient = torch.randn(7, 12) * 1e-3
y, y_hat, gradient = y.double(), y_hat.double(), gradient.double()
error = y - y_hat


def centred(tensor):
    return tensor - tensor.mean(dim=-1, keepdim=True)


golden = {
    "y": rows(y),
    "yHat": rows(y_hat),
    "gradient": rows(gradient),
    "hessian": numbers((gradient * error) ** 2),
    "mse": numbers(functional.mse_loss(y_hat, y, reduction="none")),
    "l1": numbers(functional.l1_loss(y_hat, y, reduction="none")),
    "linear-weighted-mse": numbers(y.abs() * error**2),
    "square-weighted-mse": numbers((y * error) ** 2),
    "cosine": numbers(functional.cosine_similarity(y, y_hat, dim=-1, eps=1e-8)),
    "pearson": numbers(functional.cosine_similarity(centred(y), centred(y_hat), dim=-1, eps=1e-8)),
}
assert abs(golden["pearson"][0] - float(torch.corrcoef(torch.stack([y[0], y_hat[0]]))[0, 1])) < 1e-12
path = pathlib.Path(__file__).with_name("metrics.json")
path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")

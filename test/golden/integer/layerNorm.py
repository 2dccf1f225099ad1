"""LayerNorm of 16-bit integers by PyTorch in double, and I-ViT's IntLayerNorm.forward (zkkli/I-ViT 380ba99) line by line.

Writes layerNorm.json beside this file. Run with PyTorch 1.13: python3 test/golden/integer/layerNorm.py
"""

import json
import pathlib

import torch

torch.manual_seed(7)
FEATURES = 48
X_SCALE = 0.018


def published(x_int, weight, bias, y_scale):
    """The forward pass as published, in double; what a code would be before it is rounded."""
    dim_sqrt = torch.sqrt(torch.tensor(float(x_int.shape[1]), dtype=torch.double))
    mean_int = torch.round(x_int.mean(axis=1, keepdim=True))
    y_int = x_int - mean_int
    var_int = torch.sum(y_int**2, axis=1, keepdim=True)
    k = torch.full_like(var_int, 2.0**16)
    for _ in range(10):
        k = torch.floor((k + torch.floor(var_int / k)) / 2)
    factor = torch.floor((2**31 - 1) / k)
    y_int = torch.floor(y_int * factor / 2)
    scaling = dim_sqrt / 2**30
    bias_int = torch.floor(bias / weight / scaling)
    return (y_int + bias_int) * scaling * weight / y_scale


rows = torch.randn(7, FEATURES, dtype=torch.double) * 5
rows[1, 3], rows[1, 40] = 580, -430  # planted, as real residual streams carry them
rows[2] *= 0.004  # a deviation of about one step
rows[3] = rows[3] * 0.2 + 500  # far from zero
rows[4] = 9.0  # constant
rows[5] = torch.where(rows[5] > 0, 32767.0, -32768.0) * X_SCALE
rows[6] *= 30
x = torch.clamp(torch.round(rows / X_SCALE), -32768, 32767)

gamma = torch.rand(FEATURES, dtype=torch.double) + 0.4
gamma[5], gamma[6], gamma[7] = -0.8, 3.0, 1.5
beta = torch.randn(FEATURES, dtype=torch.double) * 0.3
plain = gamma.clone()
gamma[8], gamma[9], gamma[10] = 1e-12, 0.0, -1e-30  # what beta / gamma makes of these does not fit
y_scale = 0.04
exact = torch.nn.functional.layer_norm(x * X_SCALE, (FEATURES,), gamma, beta, 1e-6) / y_scale

out = {
    "features": FEATURES,
    "xScale": X_SCALE,
    "yScale": y_scale,
    "epsilon": 1e-6,
    "x": x.int().flatten().tolist(),
    "gamma": gamma.tolist(),
    "plainGamma": plain.tolist(),
    "beta": beta.tolist(),
    "codes": [round(v, 6) for v in exact.flatten().tolist()],
    "published": [round(v, 6) for v in published(x, plain, beta, y_scale).flatten().tolist()],
}
pathlib.Path(__file__).with_name("layerNorm.json").write_text(json.dumps(out) + "\n")

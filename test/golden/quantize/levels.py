"""Adaptive-base log quantization (AdaLog, ECCV 2024, section 3) in double: levels.json beside this file.

Of every value what rounding its logarithm leaves, as published, and how far the nearest of the levels is.

Made with Debian 12's python3-torch 1.13.1: /usr/bin/python3 test/golden/quantize/levels.py
"""

import json, os
import torch

torch.manual_seed(0)
ROOT = 37


def case(bits, q, scale):
    x = torch.cat([torch.rand(12).double() ** 4, torch.rand(6).double() ** 12, torch.tensor([0.0, 1.0]).double()])
    x = x.float().double()
    code = torch.round(-torch.log2((x / scale).clamp(min=1e-30)) * ROOT / q).clamp(min=0)
    zero = code >= 2**bits - 1  # one code stands for 0
    value = torch.where(zero, torch.zeros_like(x), scale * 2 ** (-code * q / ROOT))
    levels = torch.cat([torch.zeros(1).double(), scale * 2 ** (-torch.arange(2**bits - 1).double() * q / ROOT)])
    distance = (x[:, None] - levels[None]).abs().min(1)[0]
    lists = dict(levels=levels, x=x, rounded=value, distance=distance)
    return dict(bits=bits, q=q, scale=scale, **{name: values.tolist() for name, values in lists.items()})


cases = [case(3, 20, 1.0), case(4, 22, 0.5), case(4, 37, 1.0), case(5, 10, 0.25)]
with open(os.path.join(os.path.dirname(__file__), "levels.json"), "w") as f:
    json.dump(cases, f)
    f.write("\n")

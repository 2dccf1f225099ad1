"""Writes kernels.json: inputs and double-precision PyTorch results of the float kernels' twins.

Run with Debian's python3-torch (made with torch 1.13.0): python3 test/golden/float/kernels.py
"""

import json
import pathlib

import torch
import torch.nn.functional as F

torch.manual_seed(0)


def f32(*shape, scale=1.0):
    return (scale * torch.randn(*shape)).float().double()


def flat(tensor):
    return [float(v) for v in tensor.detach().flatten()]


def with_gradient(function, x, dy):
    x = x.clone().requires_grad_()
    y = function(x)
    y.backward(dy)
    return flat(y), flat(x.grad)


out = {}

x, dy, gain, shift = f32(5, 7, scale=3), f32(5, 7), f32(7), f32(7)
x[1] += 100.0  # mean far above the deviation
x[2] = 0.25  # variance 0: epsilon alone
x = x.float().double()
y, dx = with_gradient(lambda v: F.layer_norm(v, (7,), gain, shift, 1e-6), x, dy)
out["layerNorm"] = dict(x=flat(x), gain=flat(gain), shift=flat(shift), dy=flat(dy), epsilon=1e-6, y=y, dx=dx)

x, dy = f32(4, 9, scale=20), f32(4, 9)
x[3] += 1000.0
x = x.float().double()
y, dx = with_gradient(lambda v: torch.softmax(0.125 * v, dim=-1), x, dy)
out["softmax"] = dict(x=flat(x), columns=9, scale=0.125, dy=flat(dy), y=y, dx=dx)

x = torch.cat([torch.linspace(-9, 9, 91), torch.tensor([0.0, 1e-6, -1e-6, 30.0, -30.0])]).float().double()
dy = f32(len(x))
y, dx = with_gradient(F.gelu, x, dy)
out["gelu"] = dict(x=flat(x), dy=flat(dy), y=y, dx=dx)

a, b, bias = f32(3, 5), f32(5, 4), f32(4)
out["matmul"] = dict(a=flat(a), b=flat(b), bias=flat(bias), c=flat(a @ b + bias))

x, prefix, position = f32(2, 3, 4), f32(2, 4), f32(5, 4)
tokens = torch.cat([prefix.expand(2, -1, -1), x], dim=1) + position
out["tokens"] = dict(x=flat(x), prefix=flat(prefix), position=flat(position), y=flat(tokens))

path = pathlib.Path(__file__).with_name("kernels.json")
path.write_text(json.dumps(out) + "\n")

"""Writes vit-registers, vit-pooled, vit-averaged and swin-odd .safetensors: tiny random models as vit.py writes them.

- vit-registers: two registers, positions of the patches alone, layer scale, normalised queries and keys; class token.
- vit-pooled: no class token, mean of the patches, then fc_norm.
- vit-averaged: class token and a register with positions, then norm, then the mean of the patches; layer scale.
- swin-odd: 11 x 11 patches in windows of 4 (padded to 12, shifted by 2), merged to 6 x 6 (windows padded to 8) and to 3 x 3,
  where the window shrinks to 3; absolute positions. Padding and shift as Hugging Face does them.

Plain functions written from the published definitions (An Image is Worth 16x16 Words; Vision Transformers Need Registers; DeiT III;
Swin Transformer). Searched layers whose tensors are large are left out to keep the files small. The output of a layer before layer scale is the scaled one.

Run with Debian's python3-torch (made with torch 1.13.0): python3 test/golden/float/variants.py
"""

import json
import pathlib

import torch
import torch.nn.functional as F

from vit import write


class Model:
    """Random parameters, made when a layer is first run, and the outputs of searched layers."""

    def __init__(self, seed):
        self.generator = torch.Generator().manual_seed(seed)
        self.stored = {}
        self.leaves = {}
        self.outs = {}

    def parameter(self, name, shape, scale, offset=0.0):
        if name not in self.stored:
            value = offset + scale * torch.randn(*shape, generator=self.generator)
            self.stored[name] = value.float().double()
            self.leaves[name] = self.stored[name].clone().requires_grad_()
        return self.leaves[name]

    def keep(self, name, value):
        value.retain_grad()
        self.outs[name] = value
        return value

    def norm(self, name, x, epsilon):
        features = x.shape[-1]
        weight = self.parameter(name + ".weight", (features,), 0.3, 1.0)
        return F.layer_norm(x, (features,), weight, self.parameter(name + ".bias", (features,), 0.3), epsilon)

    def linear(self, name, x, out, bias=True):
        weight = self.parameter(name + ".weight", (out, x.shape[-1]), 1.5 * x.shape[-1] ** -0.5)
        return self.keep(name, F.linear(x, weight, self.parameter(name + ".bias", (out,), 0.3) if bias else None))

    def patches(self, pixels, dim, patch):
        weight = self.parameter("patch_embed.proj.weight", (dim, 3, patch, patch), 1.5 * (3 * patch * patch) ** -0.5)
        x = F.conv2d(pixels, weight, self.parameter("patch_embed.proj.bias", (dim,), 0.3), stride=patch)
        return self.keep("patch_embed", x.flatten(2).transpose(1, 2))

    def mlp(self, block, x, ratio):
        hidden = F.gelu(self.linear(block + "mlp.fc1", x, int(x.shape[-1] * ratio)))
        return self.linear(block + "mlp.fc2", hidden, x.shape[-1])

    def attend(self, block, q, k, v, scale, bias=None):
        """q, k, v [windows, heads, tokens, features] to [windows, tokens, heads * features]."""
        scores = self.keep(block + "attn.qk", q @ k.transpose(-2, -1)) * scale
        probs = (scores if bias is None else scores + bias).softmax(dim=-1)
        context = (probs @ v).transpose(1, 2).flatten(2)
        return self.keep(block + "attn.pv", context)


def vit(model, pixels, dim, depth, heads, patch, classes, class_token, registers, embed_prefix, pool, fc_norm, scaled, qk_norm):
    batch, epsilon = len(pixels), 1e-6
    x = model.patches(pixels, dim, patch)
    count = (1 if class_token else 0) + registers
    rows = x.shape[1] + (count if embed_prefix else 0)
    position = model.parameter("pos_embed", (1, rows, dim), 0.5)
    if not embed_prefix:
        x = x + position
    if registers:
        x = torch.cat([model.parameter("reg_token", (1, registers, dim), 0.5).expand(batch, -1, -1), x], dim=1)
    if class_token:
        x = torch.cat([model.parameter("cls_token", (1, 1, dim), 0.5).expand(batch, -1, -1), x], dim=1)
    if embed_prefix:
        x = x + position

    def scale(name, layer, y):
        return model.keep(layer, y * model.parameter(name + ".gamma", (dim,), 0.5, 0.5)) if scaled else y

    def heads_of(y):
        return y.reshape(batch, -1, heads, dim // heads).transpose(1, 2)

    for i in range(depth):
        block = f"blocks.{i}."
        y = model.norm(block + "norm1", x, epsilon)
        weight = model.parameter(block + "attn.qkv.weight", (3 * dim, dim), 1.5 * dim**-0.5)
        bias = model.parameter(block + "attn.qkv.bias", (3 * dim,), 0.3)
        if qk_norm:
            parts = zip("qkv", weight.chunk(3), bias.chunk(3))
            q, k, v = (heads_of(model.keep(block + "attn." + part, F.linear(y, w, b))) for part, w, b in parts)
            q = model.norm(block + "attn.q_norm", q, epsilon)
            k = model.norm(block + "attn.k_norm", k, epsilon)
        else:
            q, k, v = map(heads_of, model.keep(block + "attn.qkv", F.linear(y, weight, bias)).chunk(3, dim=-1))
        y = model.linear(block + "attn.proj", model.attend(block, q, k, v, (dim // heads) ** -0.5), dim)
        x = x + scale(block + "ls1", block + "attn.proj", y)
        x = x + scale(block + "ls2", block + "mlp.fc2", model.mlp(block, model.norm(block + "norm2", x, epsilon), 2))
    if not fc_norm:
        x = model.norm("norm", x, epsilon)
    x = x[:, 0] if pool == "token" else x[:, count:].mean(dim=1)
    if fc_norm:
        x = model.norm("fc_norm", x, epsilon)
    return model.linear("head", x, classes)


def windows_of(x, side):
    """[images, height, width, ...] to [images * windows, side * side, ...]."""
    rows = [x[:, top : top + side, left : left + side].flatten(1, 2)
            for top in range(0, x.shape[1], side) for left in range(0, x.shape[2], side)]
    return torch.stack(rows, dim=1).flatten(0, 1)


def image_of(x, side, size):
    """The inverse of windows_of."""
    count = size // side
    x = x.reshape(-1, count * count, side, side, x.shape[-1])
    bands = [torch.cat([x[:, row * count + column] for column in range(count)], dim=2) for row in range(count)]
    return torch.cat(bands, dim=1)


def offsets(side):
    """Row of the bias table for each pair of tokens of a window."""
    at = torch.tensor([(y, x) for y in range(side) for x in range(side)])
    difference = at[:, None] - at[None] + side - 1
    return difference[..., 0] * (2 * side - 1) + difference[..., 1]


def region_mask(size, side, shift):
    """[windows, tokens, tokens]: -100 between tokens of different regions of the shifted image."""
    regions = torch.zeros(1, size, size)
    bounds = [(0, size - side), (size - side, size - shift), (size - shift, size)]
    for i, (top, bottom) in enumerate(bounds):
        for j, (left, right) in enumerate(bounds):
            regions[:, top:bottom, left:right] = 3 * i + j
    flat = windows_of(regions, side)
    return (flat[:, None] != flat[:, :, None]).double() * -100


def swin(model, pixels, dim, depths, heads, patch, window, classes):
    batch, epsilon = len(pixels), 1e-5
    x = model.norm("patch_embed.norm", model.patches(pixels, dim, patch), epsilon)
    x = x + model.parameter("absolute_pos_embed", (1, x.shape[1], dim), 0.5)
    size = pixels.shape[-1] // patch
    for s, depth in enumerate(depths):
        side = min(window, size)
        padded = -(-size // side) * side
        for b in range(depth):
            block = f"layers.{s}.blocks.{b}."
            shift = side // 2 if b % 2 == 1 and size > window else 0
            y = model.norm(block + "norm1", x, epsilon).reshape(batch, size, size, dim)
            y = F.pad(y, (0, 0, 0, padded - size, 0, padded - size)).roll((-shift, -shift), (1, 2))
            qkv = model.linear(block + "attn.qkv", windows_of(y, side), 3 * dim)
            q, k, v = qkv.reshape(-1, side * side, 3, heads[s], dim // heads[s]).permute(2, 0, 3, 1, 4)
            table = model.parameter(block + "attn.relative_position_bias_table", ((2 * side - 1) ** 2, heads[s]), 1.0)
            bias = table[offsets(side)].permute(2, 0, 1)
            if shift:
                bias = (bias + region_mask(padded, side, shift)[:, None]).repeat(batch, 1, 1, 1)
            y = model.linear(block + "attn.proj", model.attend(block, q, k, v, (dim // heads[s]) ** -0.5, bias), dim)
            y = image_of(y, side, padded).roll((shift, shift), (1, 2))[:, :size, :size]
            x = x + y.reshape(batch, size * size, dim)
            x = x + model.mlp(block, model.norm(block + "norm2", x, epsilon), 2)
        if s + 1 < len(depths):
            y = x.reshape(batch, size, size, dim)
            y = F.pad(y, (0, 0, 0, size % 2, 0, size % 2))
            y = torch.cat([y[:, i::2, j::2] for j in (0, 1) for i in (0, 1)], dim=-1)
            size, dim = y.shape[1], 2 * dim
            x = model.norm(f"layers.{s}.downsample.norm", y.flatten(1, 2), epsilon)
            x = model.linear(f"layers.{s}.downsample.reduction", x, dim, bias=False)
    return model.linear("head", model.norm("norm", x, epsilon).mean(dim=1), classes)


def make(name, architecture, run, image, seed, arguments, left_out=()):
    classes, model = 5, Model(seed)
    g = torch.Generator().manual_seed(100 + seed)
    pixels = torch.randn(2, 3, image, image, generator=g).float().double()
    logit_seed = torch.randn(2, classes, generator=g).float().double()
    logits = run(model, pixels, classes)
    logits.backward(logit_seed)
    pretrained = dict(input_size=[3, image, image], interpolation="bicubic", crop_pct=0.9, mean=[0.5] * 3, std=[0.5] * 3)
    config = dict(architecture=architecture, num_classes=classes, model_args=arguments, pretrained_cfg=pretrained)
    tensors = dict(model.stored)
    tensors.update({"golden.pixels": pixels, "golden.logits": logits, "golden.seed": logit_seed})
    for layer, out in model.outs.items():
        if not layer.startswith(tuple(left_out)):
            tensors["golden.out." + layer] = out
            tensors["golden.grad." + layer] = out.grad
    path = pathlib.Path(__file__).with_name(name + ".safetensors")
    write(path, tensors, dict(config=json.dumps(config)))
    print(path.name, path.stat().st_size)


def make_vit(name, seed, **variant):
    sizes = dict(patch_size=4, embed_dim=12, depth=2, num_heads=3, img_size=12, mlp_ratio=2)
    arguments = dict(
        sizes,
        class_token=variant["class_token"],
        reg_tokens=variant["registers"],
        no_embed_class=not variant["embed_prefix"],
        global_pool=variant["pool"],
        fc_norm=variant["fc_norm"],
        init_values=1e-5 if variant["scaled"] else None,
        qk_norm=variant["qk_norm"],
    )

    def run(model, pixels, classes):
        return vit(model, pixels, dim=12, depth=2, heads=3, patch=4, classes=classes, **variant)

    make(name, "vit_tiny_patch16_224", run, 12, seed, arguments)


def make_swin():
    dim, depths, heads, patch, window = 4, (2, 2, 1), (1, 2, 4), 2, 4
    arguments = dict(patch_size=patch, embed_dim=dim, depths=depths, num_heads=heads, window_size=window, img_size=22)
    arguments.update(mlp_ratio=2, ape=True)

    def run(model, pixels, classes):
        return swin(model, pixels, dim, depths, heads, patch, window, classes)

    large = [f"layers.{s}.blocks.{b}.attn.{part}" for s, b in ((0, 1), (1, 0), (1, 1)) for part in ("qkv", "qk", "pv")]
    large += [f"layers.{s}.blocks.1.mlp.fc{i}" for s, i in ((0, 1), (0, 2), (1, 1))]
    large += ["patch_embed", "layers.0.blocks.0", "layers.1.blocks.0.mlp", "layers.2.blocks.0.attn.qk"]
    make("swin-odd", "swin_tiny_patch4_window7_224", run, 22, 7, arguments, large)


if __name__ == "__main__":
    token = dict(class_token=True, registers=2, embed_prefix=False, pool="token", fc_norm=False, scaled=True, qk_norm=True)
    make_vit("vit-registers", 4, **token)
    pooled = dict(class_token=False, registers=0, embed_prefix=True, pool="avg", fc_norm=True, scaled=False, qk_norm=False)
    make_vit("vit-pooled", 5, **pooled)
    averaged = dict(class_token=True, registers=1, embed_prefix=True, pool="avg", fc_norm=False, scaled=True, qk_norm=False)
    make_vit("vit-averaged", 6, **averaged)
    make_swin()

"""Writes vit-plain.safetensors and vit-distilled.safetensors: tiny random models with PyTorch's logits and gradients.

Each file holds the weights (timm names), `golden.pixels`, `golden.logits`, `golden.seed` and for every searched layer X
`golden.out.X` and `golden.grad.X` = d(sum(seed * logits)) / d(output of X). Everything is computed in double and stored
as f32. The config.json of the model is in the metadata.

Run with Debian's python3-torch (made with torch 1.13.0): python3 test/golden/float/vit.py
"""

import json
import pathlib
import struct

import torch
import torch.nn.functional as F


def weights(depth, dim, heads, patch, tokens, classes, prefix, qkv_bias, hidden):
    g = torch.Generator().manual_seed(prefix)

    def random(*shape, scale):
        return (scale * torch.randn(*shape, generator=g)).float().double()

    w = {"cls_token": random(1, 1, dim, scale=0.5)}
    if prefix == 2:
        w["dist_token"] = random(1, 1, dim, scale=0.5)
    w["pos_embed"] = random(1, prefix + tokens, dim, scale=0.5)

    def linear(name, out, inp, bias=True):
        w[name + ".weight"] = random(out, inp, scale=1.5 * inp**-0.5)
        if bias:
            w[name + ".bias"] = random(out, scale=0.3)

    def norm(name):
        w[name + ".weight"] = 1 + random(dim, scale=0.3)
        w[name + ".bias"] = random(dim, scale=0.3)

    linear("patch_embed.proj", dim, 3 * patch * patch)
    w["patch_embed.proj.weight"] = w["patch_embed.proj.weight"].reshape(dim, 3, patch, patch)
    for i in range(depth):
        norm(f"blocks.{i}.norm1")
        linear(f"blocks.{i}.attn.qkv", 3 * dim, dim, qkv_bias)
        linear(f"blocks.{i}.attn.proj", dim, dim)
        norm(f"blocks.{i}.norm2")
        linear(f"blocks.{i}.mlp.fc1", hidden, dim)
        linear(f"blocks.{i}.mlp.fc2", dim, hidden)
    norm("norm")
    linear("head", classes, dim)
    if prefix == 2:
        linear("head_dist", classes, dim)
    return {name: value.float().double() for name, value in w.items()}


def forward(w, pixels, depth, dim, heads, patch, outs):
    def keep(name, value):
        value.retain_grad()
        outs[name] = value
        return value

    def norm(name, x):
        return F.layer_norm(x, (dim,), w[name + ".weight"], w[name + ".bias"], 1e-6)

    def linear(name, x):
        return keep(name, F.linear(x, w[name + ".weight"], w.get(name + ".bias")))

    batch = len(pixels)
    x = F.conv2d(pixels, w["patch_embed.proj.weight"], w["patch_embed.proj.bias"], stride=patch)
    x = keep("patch_embed", x.flatten(2).transpose(1, 2))
    prefix = [w[name].expand(batch, -1, -1) for name in ("cls_token", "dist_token") if name in w]
    x = torch.cat([*prefix, x], dim=1) + w["pos_embed"]
    tokens = x.shape[1]
    for i in range(depth):
        b = f"blocks.{i}."
        qkv = linear(b + "attn.qkv", norm(b + "norm1", x))
        q, k, v = qkv.reshape(batch, tokens, 3, heads, dim // heads).permute(2, 0, 3, 1, 4)
        scores = keep(b + "attn.qk", q @ k.transpose(-2, -1))
        probs = (scores * (dim // heads) ** -0.5).softmax(dim=-1)
        context = keep(b + "attn.pv", (probs @ v).transpose(1, 2).reshape(batch, tokens, dim))
        x = x + linear(b + "attn.proj", context)
        x = x + linear(b + "mlp.fc2", F.gelu(linear(b + "mlp.fc1", norm(b + "norm2", x))))
    x = norm("norm", x)
    logits = linear("head", x[:, 0])
    if "head_dist.weight" in w:
        logits = (logits + linear("head_dist", x[:, 1])) / 2
    return logits


def write(path, tensors, metadata):
    header, data, at = {"__metadata__": metadata}, [], 0
    for name, tensor in tensors.items():
        raw = tensor.detach().float().contiguous().numpy().tobytes()
        header[name] = dict(dtype="F32", shape=list(tensor.shape), data_offsets=[at, at + len(raw)])
        data.append(raw)
        at += len(raw)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(data))


def make(name, architecture, prefix, qkv_bias):
    depth, dim, heads, patch, image, classes, hidden = 2, 12, 3, 4, 12, 5, 30
    w = weights(depth, dim, heads, patch, (image // patch) ** 2, classes, prefix, qkv_bias, hidden)
    g = torch.Generator().manual_seed(100 + prefix)
    pixels = torch.randn(3, 3, image, image, generator=g).float().double()
    seed = torch.randn(3, classes, generator=g).float().double()
    leaves = {n: t.clone().requires_grad_() for n, t in w.items()}
    outs = {}
    logits = forward(leaves, pixels, depth, dim, heads, patch, outs)
    logits.backward(seed)
    config = dict(
        architecture=architecture,
        num_classes=classes,
        model_args=dict(
            patch_size=patch,
            embed_dim=dim,
            depth=depth,
            num_heads=heads,
            img_size=image,
            mlp_ratio=hidden / dim,
            qkv_bias=qkv_bias,
        ),
        pretrained_cfg=dict(
            input_size=[3, image, image],
            interpolation="bicubic",
            crop_pct=0.9,
            mean=[0.5] * 3,
            std=[0.5] * 3,
        ),
    )
    tensors = dict(w)
    tensors.update({"golden.pixels": pixels, "golden.logits": logits, "golden.seed": seed})
    for layer, out in outs.items():
        tensors["golden.out." + layer] = out
        tensors["golden.grad." + layer] = out.grad
    write(pathlib.Path(__file__).with_name(name), tensors, dict(config=json.dumps(config)))


if __name__ == "__main__":
    make("vit-plain.safetensors", "vit_tiny_patch16_224", prefix=1, qkv_bias=False)
    make("vit-distilled.safetensors", "deit_tiny_distilled_patch16_224", prefix=2, qkv_bias=True)

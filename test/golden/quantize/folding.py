"""Parameters of one attention block before and after its channels are folded: writes folding.json beside this file.

`reparameterize` moves scale and offset of every channel out of LayerNorm outputs (RepQ-ViT), and values and changes the basis of
queries and keys; `smooth` is SmoothQuant with alpha 0.5. PyTorch computes the tensors, the new parameters, and that the function is the same.

Made with Debian 12's python3-torch 1.13.1: /usr/bin/python3 test/golden/quantize/folding.py
"""

import json
import pathlib

import torch
import torch.nn.functional as F

torch.manual_seed(7)
ROWS, FEATURES, HEADS, IMAGES = 5, 6, 2, 4
SIZE = FEATURES // HEADS


def forward(p, x):
    norm = F.layer_norm(x, (FEATURES,), p["norm.weight"], p["norm.bias"], 1e-6)
    qkv = norm @ p["qkv.weight"].T + p.get("qkv.bias", 0)
    q, k, v = qkv.reshape(len(x), ROWS, 3, HEADS, SIZE).permute(2, 0, 3, 1, 4)
    probs = (q @ k.transpose(-2, -1) * SIZE**-0.5).softmax(-1)
    context = (probs @ v).transpose(1, 2).reshape(len(x), ROWS, FEATURES)
    tensors = {name: t.reshape(-1, t.shape[-1]) for name, t in (("norm", norm), ("qkv", qkv), ("context", context))}
    return context @ p["proj.weight"].T + p["proj.bias"], tensors


def ends(t):
    t = t.float().double()  # ranges are kept as f32
    return t.amin(0), t.amax(0)


def relative(t):
    t = torch.maximum(t, 1e-2 * t.sort().values[len(t) // 2])
    return t / t.log().mean().exp()


def rotation(q, k):
    """Changes of basis that make the second moments of queries and centred keys equal, then even them out."""
    moments = lambda t: t.T @ t / len(t)
    cq, ck = moments(q), moments(k)
    cq = cq + 1e-6 * cq.diag().mean() * torch.eye(SIZE).double()
    ck = ck + 1e-6 * ck.diag().mean() * torch.eye(SIZE).double()
    lq, lk = torch.linalg.cholesky(cq), torch.linalg.cholesky(ck)
    _, s, vh = torch.linalg.svd(lk.T @ lq)
    v = vh.T
    v = v * v.gather(0, v.abs().argmax(0)[None]).sign()
    i = torch.arange(SIZE).double()
    angle = 2 * torch.pi * i[:, None] * i / SIZE
    of_queries = torch.linalg.inv(lq).T @ v @ s.sqrt().diag() @ (angle.cos() + angle.sin()) / SIZE**0.5
    return of_queries, torch.linalg.inv(of_queries).T


def change_reader(p, layer, offset, scale):
    bias = p.get(f"{layer}.bias", 0) + p[f"{layer}.weight"] @ offset
    if offset.any():
        p[f"{layer}.bias"] = bias
    p[f"{layer}.weight"] = p[f"{layer}.weight"] * scale


def change_rows(p, rows, offset, scale):
    p["qkv.weight"][rows] = p["qkv.weight"][rows] / scale[:, None]
    if "qkv.bias" in p:
        p["qkv.bias"][rows] = (p["qkv.bias"][rows] - offset) / scale


def fold(parameters, tensors, kind):
    p = {name: value.clone() for name, value in parameters.items()}
    nothing = torch.zeros(FEATURES).double()
    queries, keys, values = (slice(i * FEATURES, (i + 1) * FEATURES) for i in range(3))

    def smoothing(tensor, layer):
        largest = lambda t: torch.maximum(t, 1e-2 * t.sort().values[len(t) // 2])
        x, w = largest(tensors[tensor].float().double().abs().amax(0)), largest(p[f"{layer}.weight"].abs().amax(0))
        return relative(x**0.5 / w**0.5)

    low, high = ends(tensors["norm"])
    offset, scale = ((low + high) / 2, relative((high - low) / 2))
    if kind == "smooth":
        offset, scale = nothing, smoothing("norm", "qkv")
    p["norm.weight"] = p["norm.weight"] / scale
    p["norm.bias"] = (p["norm.bias"] - offset) / scale
    change_reader(p, "qkv", offset, scale)

    if kind == "reparameterize":
        for head in range(HEADS):
            of = lambda part: slice(part.start + head * SIZE, part.start + (head + 1) * SIZE)
            query, key = of(queries), of(keys)
            mean = tensors["qkv"][:, key].mean(0)
            of_queries, of_keys = rotation(tensors["qkv"][:, query], tensors["qkv"][:, key] - mean)
            for rows, change, offset in ((query, of_queries, 0), (key, of_keys, mean)):
                p["qkv.weight"][rows] = change.T @ p["qkv.weight"][rows]
                p["qkv.bias"][rows] = (p["qkv.bias"][rows] - offset) @ change

    if kind == "reparameterize":
        low, high = ends(tensors["qkv"][:, values])
        offset = (low + high) / 2
        of_head = torch.cat([relative(half) for half in ((high - low) / 2).split(SIZE)])
        low, high = ends(tensors["context"])
        scale = (of_head * relative(torch.maximum(offset - low, high - offset))).sqrt()
    else:
        offset, scale = nothing, smoothing("context", "proj")
    change_rows(p, values, offset, scale)
    change_reader(p, "proj", offset, scale)
    return p


def numbers(tensors):
    return {name: [float(f"{x:.9g}") for x in tensor.flatten().tolist()] for name, tensor in tensors.items()}


given = {
    "norm.weight": torch.tensor([1.0, -0.7, 12.0, 0.0, 1.3, 0.4]),
    "norm.bias": torch.tensor([0.2, 3.0, -5.0, 1.5, 0.0, -0.3]),
    "qkv.weight": torch.randn(3 * FEATURES, FEATURES) * 0.5,
    "proj.weight": torch.randn(FEATURES, FEATURES) * 0.5,
    "proj.bias": torch.randn(FEATURES),
}
given = {name: value.float().double() for name, value in given.items()}
x = torch.randn(IMAGES, ROWS, FEATURES).double()
y, tensors = forward(given, x)
folded = {}
for kind in ("reparameterize", "smooth"):
    changed = fold(given, tensors, kind)
    again, _ = forward(changed, x)
    assert ((again - y) ** 2).sum() / (y**2).sum() < 1e-20, kind
    folded[kind] = numbers(changed)

path = pathlib.Path(__file__).with_name("folding.json")
golden = {"rows": ROWS, "features": FEATURES, "heads": HEADS}
golden |= {"parameters": numbers(given), "tensors": numbers(tensors), "folded": folded}
path.write_text(json.dumps(golden) + "\n")

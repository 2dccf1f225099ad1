"""Write what PyTorch computes for an embedded sample, for the tests of the TypeScript implementation: test/golden/sample, or
with `--family swin` test/golden/sample-swin.

The network runs in float64 on the committed float32 weights and on float32 pixels; results are rounded once when they are stored.
The README beside the files says what each tensor is.
"""
import argparse
import hashlib
import json
import os

import numpy as np
import torch

import draw
import preprocess
from families import FAMILIES
from tensors import read_safetensors, write_safetensors

GRADIENT_IMAGES = 2
DIRECTIONS = 3
# Gradients kept whole: number of images by the beginning of the layer's name. All other layers keep their sums.
WHOLE_GRADIENTS = {
    'vit': {'patch_embed': 2, 'head': 2, 'blocks.0.': 1, 'blocks.3.': 1, 'blocks.5.': 2},
    'swin': {'patch_embed': 2, 'head': 2},
}
WHOLE_OUTPUTS = {
    'vit': ['patch_embed', 'blocks.0.attn.qkv', 'blocks.0.attn.qk', 'blocks.0.attn.pv', 'blocks.5.mlp.fc2', 'head'],
    'swin': ['layers.0.downsample.reduction', 'head'],
}
NOT_SEARCHED = ('.softmax', '.gelu', '.output')


def golden_folder(name):
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..')
    return os.path.normpath(os.path.join(root, 'test', 'golden', os.path.basename(FAMILIES[name].folder)))


def load_network(name):
    family = FAMILIES[name]
    network = family.network(len(draw.LABELS))
    stored = read_safetensors(os.path.join(family.folder, 'model.safetensors'))
    network.load_state_dict({key: torch.from_numpy(value.copy()) for key, value in stored.items()})
    return network.double().eval()


def direction(layer, draw_index, shape):
    """Numbers in [-1, 1) that any language can repeat: element i is mix(i * 0x9E3779B9 + 1000003 * layer + 8191 * draw) / 2^31 - 1,
    everything modulo 2^32, mix being MurmurHash3's 32-bit finalizer."""
    count = int(np.prod(shape))
    word = np.arange(count, dtype=np.uint64) * 0x9E3779B9 + 1000003 * layer + 8191 * draw_index
    low = np.uint64(0xFFFFFFFF)
    word &= low
    word ^= word >> np.uint64(16)
    word = word * np.uint64(0x85EBCA6B) & low
    word ^= word >> np.uint64(13)
    word = word * np.uint64(0xC2B2AE35) & low
    word ^= word >> np.uint64(16)
    return torch.from_numpy(word.astype(np.float64) / 2**31 - 1).reshape(shape)


def all_logits(network, pixels):
    with torch.no_grad():
        return torch.cat([network(part) for part in torch.from_numpy(pixels).double().split(32)])


def layer_gradients(network, pixels, seed):
    """Output and gradient of every searched layer in forward order, for the scalar sum(seed * logits)."""
    outputs = {}

    def keep(name, tensor):
        if not name.endswith(NOT_SEARCHED):
            tensor.retain_grad()
            outputs[name] = tensor
        return tensor

    (network(pixels, keep) * seed).sum().backward()
    return {name: (tensor.detach(), tensor.grad) for name, tensor in outputs.items()}


def central_difference(network, pixels, seed, layer, along, epsilon):
    """Directional derivative of sum(seed * logits) with respect to one layer's output."""
    values = []
    for sign in (1, -1):
        def shifted(name, tensor):
            return tensor + sign * epsilon * along if name == layer else tensor

        with torch.no_grad():
            values.append(float((network(pixels, shifted) * seed).sum()))
    return (values[0] - values[1]) / (2 * epsilon)


def float32(tensor):
    return tensor.numpy().astype(np.float32)


def write_logits(network, folder):
    tensors, hashes = {}, {}
    for split in draw.COUNTS:
        path = os.path.join(draw.sample_folder(), split)
        crops, labels = preprocess.load_crops(path)
        hashes[split] = [hashlib.sha256(crop.tobytes()).hexdigest() for crop in crops]
        pixels = preprocess.normalised(crops)
        logits = all_logits(network, pixels)
        print(f'{split}: top-1 {(logits.argmax(1).numpy() == labels).mean():.4f} of {len(labels)}')
        tensors[f'logits.{split}'] = float32(logits)
        if split == 'calib':
            tensors['pixels.calib'] = pixels[:GRADIENT_IMAGES]
            first = (pixels[:GRADIENT_IMAGES], logits[:GRADIENT_IMAGES], labels[:GRADIENT_IMAGES])
    write_safetensors(os.path.join(folder, 'logits.safetensors'), tensors)
    return first, hashes


def write_gradients(network, name, folder, pixels, seed):
    layers = layer_gradients(network, pixels, seed)
    tensors = {'seed': float32(seed)}
    for layer in WHOLE_OUTPUTS[name]:
        tensors[f'out.{layer}'] = float32(layers[layer][0][:1])
    for layer, (_, gradient) in layers.items():
        images = next((count for start, count in WHOLE_GRADIENTS[name].items() if layer.startswith(start)), 0)
        if images:
            tensors[f'grad.{layer}'] = float32(gradient[:images])
    write_safetensors(os.path.join(folder, 'gradients.safetensors'), tensors)
    return layers


def differences(network, pixels, seed, layers):
    """Per layer: shape, per-image sums of the gradient, central differences and the gradient's own directional derivatives."""
    rows, worst = [], 0.0
    for index, (name, (output, gradient)) in enumerate(layers.items()):
        epsilon = 1e-4 * float(output.square().mean().sqrt())
        measured, predicted = [], []
        for draw_index in range(DIRECTIONS):
            along = direction(index, draw_index, output.shape)
            measured.append(central_difference(network, pixels, seed, name, along, epsilon))
            predicted.append(float((gradient * along).sum()))
        norm = float(gradient.square().sum().sqrt())
        worst = max(worst, max(abs(m - p) for m, p in zip(measured, predicted)) / norm)
        # A layer inside windows has several rows of the first dimension for each image.
        of_image = gradient.reshape(GRADIENT_IMAGES, -1)
        rows.append({
            'name': name,
            'shape': list(output.shape),
            'sum': of_image.sum(1).tolist(),
            'sumOfSquares': of_image.square().sum(1).tolist(),
            'centralDifferences': measured,
        })
    print(f'{len(rows)} layers, largest |central difference - gradient * direction| / |gradient|: {worst:.1e}')
    if worst > 1e-6:
        raise SystemExit('the central differences do not confirm the gradients')
    return rows


if __name__ == '__main__':
    torch.set_num_threads(2)
    torch.use_deterministic_algorithms(True)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--family', choices=FAMILIES, default='vit')
    name = parser.parse_args().family
    target = golden_folder(name)
    os.makedirs(target, exist_ok=True)
    network = load_network(name)
    work = FAMILIES[name].work(len(draw.LABELS))
    print(f'{sum(values.numel() for values in network.parameters())} parameters, {work} multiply-accumulates an image')
    (pixels, logits, labels), hashes = write_logits(network, target)
    # Rounded to float32 before use: the seed in the file is the seed that was propagated.
    onehot = torch.eye(len(draw.LABELS), dtype=torch.float64)[labels]
    seed = (logits.softmax(1) - onehot).float().double()
    pixels = torch.from_numpy(pixels).double()
    layers = write_gradients(network, name, target, pixels, seed)
    record = {'cropSha256': hashes, 'layers': differences(network, pixels, seed, layers)}
    with open(os.path.join(target, 'differences.json'), 'w', newline='\n') as file:
        json.dump(record, file, indent=1)
        file.write('\n')

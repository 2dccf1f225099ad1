"""Write test/golden/sample: what PyTorch computes for the embedded sample, for the tests of the TypeScript implementation.

The network runs in float64 on the committed float32 weights and on float32 pixels; results are rounded once when they are stored.
The README beside the files says what each tensor is.
"""
import hashlib
import json
import os

import numpy as np
import torch

import draw
import model
import preprocess
from tensors import read_safetensors, write_safetensors

GRADIENT_IMAGES = 2
DIRECTIONS = 3
# Gradients kept whole: block index to number of images. All other layers keep their sums.
WHOLE_BLOCKS = {0: 1, model.DEPTH // 2: 1, model.DEPTH - 1: 2}
WHOLE_OUTPUTS = ['patch_embed', 'blocks.0.attn.qkv', 'blocks.0.attn.qk', 'blocks.0.attn.pv', 'blocks.5.mlp.fc2', 'head']
NOT_SEARCHED = ('.softmax', '.gelu', '.output')


def golden_folder():
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..')
    return os.path.normpath(os.path.join(root, 'test', 'golden', 'sample'))


def load_network():
    network = model.VisionTransformer(len(draw.LABELS))
    stored = read_safetensors(os.path.join(draw.sample_folder(), 'model.safetensors'))
    network.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in stored.items()})
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


def write_gradients(network, folder, pixels, seed):
    layers = layer_gradients(network, pixels, seed)
    tensors = {'seed': float32(seed)}
    for name in WHOLE_OUTPUTS:
        tensors[f'out.{name}'] = float32(layers[name][0][:1])
    for name, (_, gradient) in layers.items():
        block = int(name.split('.')[1]) if name.startswith('blocks.') else None
        images = GRADIENT_IMAGES if block is None else WHOLE_BLOCKS.get(block, 0)
        if images:
            tensors[f'grad.{name}'] = float32(gradient[:images])
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
        rows.append({
            'name': name,
            'shape': list(output.shape),
            'sum': gradient.flatten(1).sum(1).tolist(),
            'sumOfSquares': gradient.flatten(1).square().sum(1).tolist(),
            'centralDifferences': measured,
        })
    print(f'{len(rows)} layers, largest |central difference - gradient * direction| / |gradient|: {worst:.1e}')
    if worst > 1e-6:
        raise SystemExit('the central differences do not confirm the gradients')
    return rows


if __name__ == '__main__':
    torch.set_num_threads(2)
    torch.use_deterministic_algorithms(True)
    target = golden_folder()
    os.makedirs(target, exist_ok=True)
    network = load_network()
    (pixels, logits, labels), hashes = write_logits(network, target)
    # Rounded to float32 before use: the seed in the file is the seed that was propagated.
    onehot = torch.eye(len(draw.LABELS), dtype=torch.float64)[labels]
    seed = (logits.softmax(1) - onehot).float().double()
    pixels = torch.from_numpy(pixels).double()
    layers = write_gradients(network, target, pixels, seed)
    record = {'cropSha256': hashes, 'layers': differences(network, pixels, seed, layers)}
    with open(os.path.join(target, 'differences.json'), 'w', newline='\n') as file:
        json.dump(record, file, indent=1)
        file.write('\n')

"""Train an embedded sample from nothing and write config.json and model.safetensors: `--family vit` to models/sample,
`--family swin` to models/sample-swin.

Deterministic: fixed seeds, deterministic kernels, a fixed number of processes of one thread each. The training images are drawn
first and kept in memory.
"""
import argparse
import json
import math
import multiprocessing
import os
import time

import numpy as np
import torch
from torch.nn import functional as F

import draw
import preprocess
from families import FAMILIES, config
from tensors import write_safetensors

TRAIN_IMAGES = 32768
BATCH = 96
EPOCHS = 20
LEARNING_RATE = 1e-3
WEIGHT_DECAY = 0.05
COVERAGE_WEIGHT = 2.0
PATCHES = 64
PATCH_OUTPUTS = 16 + len(draw.LABELS)
WARMUP = 0.06
SEED = 7
NOT_DECAYED = ('cls_token', 'pos_embed', 'relative_position_bias_table')


def training_image(index):
    image, label, mask = draw.draw_image('train', index)
    layers = [preprocess.centre_crop(preprocess.resized(layer), preprocess.RESIZED) for layer in (image, mask)]
    return np.dstack(layers), label


def training_set(cache, workers):
    """uint8 images [TRAIN_IMAGES, 71, 71, 4], the fourth channel being the coverage of the subject, and their labels."""
    if cache and os.path.exists(cache):
        stored = np.load(cache)
        return stored['images'], stored['labels']
    with multiprocessing.Pool(workers) as pool:
        images, labels = zip(*pool.imap(training_image, range(TRAIN_IMAGES), chunksize=256))
    images, labels = np.stack(images), np.array(labels)
    if cache:
        np.savez(cache, images=images, labels=labels)
    return images, labels


def augmented(images, random):
    """A random 64 x 64 window of each image, mirrored or not, its channels permuted, its brightness and contrast changed.

    Returns normalised pixels [images, 3, 64, 64] and coverage [images, patches, 16]: a patch in 4 x 4 squares, 0 to 1.
    """
    margin = preprocess.RESIZED - preprocess.CROP
    crops = np.empty((len(images), preprocess.CROP, preprocess.CROP, 4), np.float32)
    for index, image in enumerate(images):
        top, left = random.randint(0, margin + 1, 2)
        view = image[top:top + preprocess.CROP, left:left + preprocess.CROP]
        if random.randint(2):
            view = view[:, ::-1]
        crops[index] = view[:, :, np.append(random.permutation(3), 3)]
    gain = random.uniform(0.85, 1.15, (len(images), 1, 1, 3)).astype(np.float32)
    shift = random.uniform(-15, 15, (len(images), 1, 1, 3)).astype(np.float32)
    pixels = preprocess.normalised(np.clip(crops[..., :3] * gain + shift, 0, 255))
    squares = crops[..., 3].reshape(-1, 8, 4, 2, 8, 4, 2).mean((3, 6)) / 255
    return torch.from_numpy(pixels), torch.from_numpy(squares.transpose(0, 1, 3, 2, 4).reshape(-1, PATCHES, 16))


def learning_rate(progress):
    if progress < WARMUP:
        return LEARNING_RATE * progress / WARMUP
    return LEARNING_RATE * (0.005 + 0.995 * 0.5 * (1 + math.cos(math.pi * (progress - WARMUP) / (1 - WARMUP))))


def parameter_groups(*modules):
    """Weight decay for matrices only, as timm does."""
    decayed, free = [], []
    for module in modules:
        for name, parameter in module.named_parameters():
            plain = parameter.ndim == 1 or name.endswith(NOT_DECAYED)
            (free if plain else decayed).append(parameter)
    return [{'params': decayed, 'weight_decay': WEIGHT_DECAY}, {'params': free, 'weight_decay': 0.0}]


def accuracy(network, pixels, labels):
    with torch.no_grad():
        logits = torch.cat([network(part) for part in torch.from_numpy(pixels).split(64)])
    return float((logits.argmax(1).numpy() == labels).mean())


def patch_loss(outputs, coverage, labels):
    """Where is the subject, and what is it, asked of every patch token: outputs [images, patches, 16 + classes].

    From the class token alone a network this small stays at chance for long; this head and its loss fade out during training and
    are not part of the sample.
    """
    where = F.binary_cross_entropy_with_logits(outputs[..., :16], coverage)
    inside = coverage.mean(-1)
    what = F.cross_entropy(outputs[..., 16:].transpose(1, 2), labels[:, None].expand(inside.shape), reduction='none')
    return COVERAGE_WEIGHT * where + (what * inside).sum() / inside.sum()


def flat(tensors):
    return torch.cat([tensor.detach().reshape(-1) for tensor in tensors])


def train_worker(rank, family, images, labels, exchange, barrier, results):
    """One of family.workers equal replicas. Each takes its slice of every batch; the gradients are averaged in the order of the
    ranks, so that every replica makes the same step and the outcome does not depend on timing."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.set_flush_denormal(True)
    torch.manual_seed(SEED)
    start = time.time()
    eval_pixels, eval_labels = preprocess.load_folder(os.path.join(draw.sample_folder(), 'eval'))
    network = family.network(len(draw.LABELS))
    patch_head = torch.nn.Linear(family.dense_width, PATCH_OUTPUTS)
    tokens = {}

    def kept(name, tensor):
        tokens[name] = tensor
        return tensor

    parameters = list(network.parameters()) + list(patch_head.parameters())
    optimizer = torch.optim.AdamW(parameter_groups(network, patch_head), lr=LEARNING_RATE, betas=(0.9, 0.98))
    share = BATCH // family.workers
    order_random = np.random.RandomState(SEED)
    random = np.random.RandomState([SEED, rank])
    steps, step = EPOCHS * (len(images) // BATCH), 0
    for epoch in range(family.epochs):
        order = order_random.permutation(len(images))
        loss_sum, dense_sum, right, seen = 0.0, 0.0, 0, 0
        for first in range(0, len(images) - BATCH + 1, BATCH):
            chosen = order[first + rank * share:first + (rank + 1) * share]
            pixels, coverage = augmented(images[chosen], random)
            target = torch.from_numpy(labels[chosen])
            logits = network(pixels, kept)
            class_loss = F.cross_entropy(logits, target)
            dense_loss = patch_loss(patch_head(tokens[family.dense][:, -PATCHES:]), coverage, target)
            loss = class_loss + (1 - step / steps) * dense_loss
            optimizer.zero_grad()
            loss.backward()
            # Two sets of slots in turn: a replica may be one step ahead while another still reads.
            slots = exchange[step % 2]
            slots[rank] = flat(parameter.grad for parameter in parameters)
            barrier.wait()
            gradients = slots.mean(0).split([parameter.numel() for parameter in parameters])
            for parameter, gradient in zip(parameters, gradients):
                parameter.grad.copy_(gradient.view_as(parameter))
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            for group in optimizer.param_groups:
                group['lr'] = learning_rate(step / steps)
            optimizer.step()
            loss_sum += float(class_loss.detach()) * share
            dense_sum += float(dense_loss.detach()) * share
            right += int((logits.argmax(1) == target).sum())
            seen += share
            step += 1
        if rank == 0:
            print(
                f'epoch {epoch + 1:2d}  loss {loss_sum / seen:.4f}  dense {dense_sum / seen:.4f}  train {right / seen:.4f}  '
                f'eval {accuracy(network, eval_pixels, eval_labels):.4f}  {time.time() - start:.0f} s',
                flush=True,
            )
            results.put({name: value.numpy() for name, value in network.state_dict().items()})


def train(name, cache, out):
    """Write model.safetensors into `out` after every epoch."""
    # Read by the C library when a replica starts: keep freed memory, or page faults take most of the time.
    os.environ.update(MALLOC_MMAP_MAX_='0', MALLOC_TRIM_THRESHOLD_='100000000000', MALLOC_TOP_PAD_='268435456')
    os.environ.update(OMP_NUM_THREADS='1', OPENBLAS_NUM_THREADS='1')
    family, start = FAMILIES[name], time.time()
    images, labels = training_set(cache, family.workers)
    print(f'{len(images)} training images after {time.time() - start:.0f} s', flush=True)
    images = torch.from_numpy(images).share_memory_()
    labels = torch.from_numpy(labels).share_memory_()
    size = sum(parameter.numel() for parameter in family.network(len(draw.LABELS)).parameters())
    size += PATCH_OUTPUTS * (family.dense_width + 1)
    exchange = torch.zeros(2, family.workers, size).share_memory_()
    context = torch.multiprocessing.get_context('spawn')
    barrier, results = context.Barrier(family.workers), context.SimpleQueue()
    workers = [
        context.Process(target=start_worker, args=(rank, name, images, labels, exchange, barrier, results))
        for rank in range(family.workers)
    ]
    for worker in workers:
        worker.start()
    for _ in range(family.epochs):
        write_safetensors(os.path.join(out, 'model.safetensors'), results.get())
    for worker in workers:
        worker.join()


def start_worker(rank, name, images, labels, exchange, barrier, results):
    train_worker(rank, FAMILIES[name], images.numpy(), labels.numpy(), exchange, barrier, results)


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--family', choices=FAMILIES, default='vit')
    parser.add_argument('--cache', help='an .npz file that keeps the drawn training images between runs')
    parser.add_argument('--out', help='the folder to write, default models/sample or models/sample-swin')
    arguments = parser.parse_args()
    family = FAMILIES[arguments.family]
    out = arguments.out or family.folder
    os.makedirs(out, exist_ok=True)
    with open(os.path.join(out, 'config.json'), 'w', newline='\n') as file:
        json.dump(config(family), file, indent=2)
        file.write('\n')
    train(arguments.family, arguments.cache, out)

"""The sample's network in PyTorch, with timm's parameter names and arithmetic (pre-norm, exact GELU, class token).

Every searched layer output passes through `tap(name, tensor)`, which may record or change it; so do the outputs of softmax, GELU and
blocks.
"""
import math

import torch
from torch import nn
from torch.nn import functional as F

IMAGE_SIZE, PATCH_SIZE, EMBED_DIM, DEPTH, NUM_HEADS = 64, 8, 64, 6, 4


def untouched(name, tensor):
    return tensor


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(EMBED_DIM, 3 * EMBED_DIM)
        self.proj = nn.Linear(EMBED_DIM, EMBED_DIM)

    def forward(self, x, name, tap):
        images, tokens, _ = x.shape
        head_dim = EMBED_DIM // NUM_HEADS
        qkv = tap(f'{name}.qkv', self.qkv(x))
        q, k, v = qkv.reshape(images, tokens, 3, NUM_HEADS, head_dim).permute(2, 0, 3, 1, 4)
        scores = tap(f'{name}.qk', q @ k.transpose(-2, -1))
        attention = tap(f'{name}.softmax', (scores * head_dim**-0.5).softmax(-1))
        mixed = tap(f'{name}.pv', attention @ v)
        return tap(f'{name}.proj', self.proj(mixed.transpose(1, 2).reshape(images, tokens, EMBED_DIM)))


class Mlp(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.fc1 = nn.Linear(dim, 4 * dim)
        self.fc2 = nn.Linear(4 * dim, dim)

    def forward(self, x, name, tap):
        hidden = tap(f'{name}.gelu', F.gelu(tap(f'{name}.fc1', self.fc1(x))))
        return tap(f'{name}.fc2', self.fc2(hidden))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1 = nn.LayerNorm(EMBED_DIM, eps=1e-6)
        self.attn = Attention()
        self.norm2 = nn.LayerNorm(EMBED_DIM, eps=1e-6)
        self.mlp = Mlp(EMBED_DIM)

    def forward(self, x, name, tap):
        x = x + self.attn(self.norm1(x), f'{name}.attn', tap)
        return x + self.mlp(self.norm2(x), f'{name}.mlp', tap)


class PatchEmbed(nn.Module):
    def __init__(self, dim, patch):
        super().__init__()
        self.proj = nn.Conv2d(3, dim, patch, patch)


def initialise_linear(network):
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def sine_positions(side):
    """Start of the learned position embedding [1, 1 + side^2, EMBED_DIM]: sines of row and column, zero for the class token."""
    frequencies = 0.5 ** (torch.arange(EMBED_DIM // 4) * 4 / (EMBED_DIM // 4)) * math.pi / 2
    row, column = torch.meshgrid(torch.arange(side), torch.arange(side), indexing='ij')
    angles = [axis.reshape(-1, 1) * frequencies for axis in (row, column)]
    waves = torch.cat([wave(angle) for angle in angles for wave in (torch.sin, torch.cos)], 1)
    return torch.cat([torch.zeros(1, EMBED_DIM), 0.3 * waves])[None]


class VisionTransformer(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        patches = (IMAGE_SIZE // PATCH_SIZE) ** 2
        self.cls_token = nn.Parameter(torch.zeros(1, 1, EMBED_DIM))
        self.pos_embed = nn.Parameter(torch.zeros(1, patches + 1, EMBED_DIM))
        self.patch_embed = PatchEmbed(EMBED_DIM, PATCH_SIZE)
        self.blocks = nn.ModuleList(Block() for _ in range(DEPTH))
        self.norm = nn.LayerNorm(EMBED_DIM, eps=1e-6)
        self.head = nn.Linear(EMBED_DIM, num_classes)
        nn.init.trunc_normal_(self.cls_token, std=0.02)
        with torch.no_grad():
            self.pos_embed.copy_(sine_positions(IMAGE_SIZE // PATCH_SIZE))
        initialise_linear(self)

    def forward(self, pixels, tap=untouched):
        """Normalised pixels [images, 3, 64, 64] to logits [images, classes]."""
        tokens = self.patch_embed.proj(pixels).flatten(2).transpose(1, 2)
        tokens = tap('patch_embed', tokens)
        x = torch.cat([self.cls_token.expand(len(tokens), -1, -1), tokens], 1) + self.pos_embed
        for index, block in enumerate(self.blocks):
            x = tap(f'blocks.{index}.output', block(x, f'blocks.{index}', tap))
        return tap('head', self.head(self.norm(x)[:, 0]))


def multiply_accumulates(num_classes):
    """Products of one image: patch embedding, linear layers, Q.K^T, P.V and head."""
    patches = (IMAGE_SIZE // PATCH_SIZE) ** 2
    tokens = patches + 1
    block = 12 * tokens * EMBED_DIM**2 + 2 * tokens**2 * EMBED_DIM
    return patches * 3 * PATCH_SIZE**2 * EMBED_DIM + DEPTH * block + EMBED_DIM * num_classes

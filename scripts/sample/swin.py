"""The Swin sample's network in PyTorch, with timm 0.5.4's parameter names and arithmetic (pre-norm, exact GELU, mean of tokens).

Windows of 8: the first stage has four of them, shifted in its second block; the second stage is one window; the third is smaller
than a window, which shrinks to 4. Every searched layer output passes through `tap(name, tensor)`, and so do the outputs of softmax,
GELU and blocks. Tensors inside windowed attention are [images * windows, ...].
"""
import torch
from torch import nn

from model import Mlp, PatchEmbed, initialise_linear, untouched

IMAGE_SIZE, PATCH_SIZE, EMBED_DIM, DEPTHS, NUM_HEADS, WINDOW = 64, 4, 32, (2, 2, 1), (2, 4, 8), 8
EPSILON = 1e-5


def partition(grid, window):
    """[images, side, side, ...] to [images * windows, window * window, ...], windows in row order."""
    images, side, _, *rest = grid.shape
    count = side // window
    parts = grid.reshape(images, count, window, count, window, *rest).transpose(2, 3)
    return parts.reshape(images * count * count, window * window, *rest)


def reverse(windows, window, side):
    """The inverse of partition."""
    count = side // window
    parts = windows.reshape(-1, count, count, window, window, windows.shape[-1]).transpose(2, 3)
    return parts.reshape(-1, side, side, windows.shape[-1])


def relative_index(window):
    """Row of the bias table for every pair of tokens of a window [tokens, tokens]."""
    row, column = (axis.reshape(-1) for axis in torch.meshgrid(torch.arange(window), torch.arange(window), indexing='ij'))
    offsets = [axis[:, None] - axis[None, :] + window - 1 for axis in (row, column)]
    return offsets[0] * (2 * window - 1) + offsets[1]


def shift_mask(side, window, shift):
    """0 or -100 [windows, tokens, tokens]: -100 between tokens that only the cyclic shift made neighbours."""
    band = torch.zeros(side)
    band[side - window:] = 1
    band[side - shift:] = 2
    region = partition((3 * band[:, None] + band[None, :])[None], window)
    return torch.where(region[:, :, None] == region[:, None, :], 0.0, -100.0)


class WindowAttention(nn.Module):
    def __init__(self, dim, heads, window, mask):
        super().__init__()
        self.heads = heads
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.register_buffer('index', relative_index(window), persistent=False)
        self.register_buffer('mask', mask, persistent=False)
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)

    def forward(self, x, name, tap):
        windows, tokens, dim = x.shape
        head_dim = dim // self.heads
        qkv = tap(f'{name}.qkv', self.qkv(x))
        q, k, v = qkv.reshape(windows, tokens, 3, self.heads, head_dim).permute(2, 0, 3, 1, 4)
        scores = tap(f'{name}.qk', q @ k.transpose(-2, -1)) * head_dim**-0.5
        scores = scores + self.relative_position_bias_table[self.index].permute(2, 0, 1)
        if self.mask is not None:
            scores = scores.reshape(-1, *self.mask.shape[:1], *scores.shape[1:]) + self.mask[:, None]
            scores = scores.flatten(0, 1)
        mixed = tap(f'{name}.pv', tap(f'{name}.softmax', scores.softmax(-1)) @ v)
        return tap(f'{name}.proj', self.proj(mixed.transpose(1, 2).reshape(windows, tokens, dim)))


class Block(nn.Module):
    def __init__(self, dim, heads, side, shifted):
        super().__init__()
        self.side, self.window = side, min(side, WINDOW)
        self.shift = self.window // 2 if shifted and side > self.window else 0
        mask = shift_mask(side, self.window, self.shift) if self.shift else None
        self.norm1 = nn.LayerNorm(dim, eps=EPSILON)
        self.attn = WindowAttention(dim, heads, self.window, mask)
        self.norm2 = nn.LayerNorm(dim, eps=EPSILON)
        self.mlp = Mlp(dim)

    def forward(self, x, name, tap):
        grid = self.norm1(x).reshape(-1, self.side, self.side, x.shape[-1])
        if self.shift:
            grid = grid.roll((-self.shift, -self.shift), (1, 2))
        attended = reverse(self.attn(partition(grid, self.window), f'{name}.attn', tap), self.window, self.side)
        if self.shift:
            attended = attended.roll((self.shift, self.shift), (1, 2))
        x = x + attended.reshape(x.shape)
        return x + self.mlp(self.norm2(x), f'{name}.mlp', tap)


class PatchMerging(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.norm = nn.LayerNorm(4 * dim, eps=EPSILON)
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)

    def forward(self, x, side, name, tap):
        """Tokens (0, 0), (1, 0), (0, 1) and (1, 1) of every square of four side by side, then halved."""
        images, _, dim = x.shape
        squares = x.reshape(images, side // 2, 2, side // 2, 2, dim).permute(0, 1, 3, 4, 2, 5)
        return tap(f'{name}.reduction', self.reduction(self.norm(squares.reshape(images, -1, 4 * dim))))


class Stage(nn.Module):
    def __init__(self, index):
        super().__init__()
        dim = EMBED_DIM * 2**index
        self.side = IMAGE_SIZE // PATCH_SIZE // 2**index
        blocks = (Block(dim, NUM_HEADS[index], self.side, shifted=block % 2 == 1) for block in range(DEPTHS[index]))
        self.blocks = nn.ModuleList(blocks)
        self.downsample = PatchMerging(dim) if index < len(DEPTHS) - 1 else None

    def forward(self, x, name, tap):
        for index, block in enumerate(self.blocks):
            x = tap(f'{name}.blocks.{index}.output', block(x, f'{name}.blocks.{index}', tap))
        return x if self.downsample is None else self.downsample(x, self.side, f'{name}.downsample', tap)


class SwinTransformer(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        features = EMBED_DIM * 2 ** (len(DEPTHS) - 1)
        self.patch_embed = PatchEmbed(EMBED_DIM, PATCH_SIZE)
        self.patch_embed.norm = nn.LayerNorm(EMBED_DIM, eps=EPSILON)
        self.layers = nn.ModuleList(Stage(index) for index in range(len(DEPTHS)))
        self.norm = nn.LayerNorm(features, eps=EPSILON)
        self.head = nn.Linear(features, num_classes)
        initialise_linear(self)

    def forward(self, pixels, tap=untouched):
        """Normalised pixels [images, 3, 64, 64] to logits [images, classes]."""
        tokens = tap('patch_embed', self.patch_embed.proj(pixels).flatten(2).transpose(1, 2))
        x = self.patch_embed.norm(tokens)
        for index, stage in enumerate(self.layers):
            x = stage(x, f'layers.{index}', tap)
        return tap('head', self.head(self.norm(x).mean(1)))


def multiply_accumulates(num_classes):
    """Products of one image: patch embedding, linear layers, Q.K^T, P.V, patch merging and head."""
    side = IMAGE_SIZE // PATCH_SIZE
    total = side**2 * 3 * PATCH_SIZE**2 * EMBED_DIM
    for index, depth in enumerate(DEPTHS):
        dim, tokens = EMBED_DIM * 2**index, (side // 2**index) ** 2
        keys = min(side // 2**index, WINDOW) ** 2
        total += depth * (12 * tokens * dim**2 + 2 * tokens * keys * dim)
        if index < len(DEPTHS) - 1:
            total += tokens // 4 * 4 * dim * 2 * dim
    return total + dim * num_classes

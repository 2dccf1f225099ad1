"""Draw docs/images/sample-softmax.svg and sample-gelu.svg: what the sample's activations look like, block by block.

Counts run over the 32 calibration images, every head and every token. Also prints the numbers of the table in docs/sample.md.
"""
import os

import numpy as np
import torch

import draw
import model
import preprocess
from golden import load_network

PANEL_WIDTH, PANEL_HEIGHT, GAP_X, GAP_Y, LEFT, TOP, COLUMNS = 200, 110, 46, 52, 44, 44, 3
BAR, AXIS, MARK = '#3b6ea5', '#666', '#b5482a'
LOWEST_SHARE = 1e-6


def activations():
    """Post-softmax and post-GELU values of each block."""
    pixels, _ = preprocess.load_folder(os.path.join(draw.sample_folder(), 'calib'))
    kept = {}

    def keep(name, tensor):
        if name.endswith(('.softmax', '.gelu')):
            kept[name] = tensor.reshape(-1).numpy()
        return tensor

    with torch.no_grad():
        load_network('vit')(torch.from_numpy(pixels).double(), keep)
    blocks = range(model.DEPTH)
    return [kept[f'blocks.{b}.attn.softmax'] for b in blocks], [kept[f'blocks.{b}.mlp.gelu'] for b in blocks]


def shares(values, edges):
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    return counts / len(values)


def panel(index, title, fractions, edges, ticks, marks):
    """One histogram with a logarithmic share axis; `ticks` and `marks` are (position, text) on the axis of `edges`."""
    x0 = LEFT + (index % COLUMNS) * (PANEL_WIDTH + GAP_X)
    y0 = TOP + (index // COLUMNS) * (PANEL_HEIGHT + GAP_Y)
    decades = -np.log10(LOWEST_SHARE)

    def x_of(value):
        return x0 + PANEL_WIDTH * (value - edges[0]) / (edges[-1] - edges[0])

    lines = [f'<text x="{x0}" y="{y0 - 6}" font-weight="bold">{title}</text>']
    for exponent in (0, 2, 4, 6):
        y = y0 + PANEL_HEIGHT * exponent / decades
        label = '1' if exponent == 0 else f'1e-{exponent}'
        lines.append(f'<text x="{x0 - 4}" y="{y + 3:.1f}" text-anchor="end">{label}</text>')
        lines.append(f'<path d="M{x0} {y:.1f}h{PANEL_WIDTH}" stroke="#ddd"/>')
    path = ''
    for fraction, low, high in zip(fractions, edges[:-1], edges[1:]):
        if fraction > LOWEST_SHARE:
            height = PANEL_HEIGHT * (np.log10(fraction) + decades) / decades
            width = x_of(high) - x_of(low)
            path += f'M{x_of(low):.1f} {y0 + PANEL_HEIGHT}v{-height:.1f}h{width:.1f}v{height:.1f}z'
    lines.append(f'<path d="{path}" fill="{BAR}"/>')
    lines.append(f'<path d="M{x0} {y0}v{PANEL_HEIGHT}h{PANEL_WIDTH}" stroke="{AXIS}" fill="none"/>')
    for position, label in ticks:
        lines.append(f'<text x="{x_of(position):.1f}" y="{y0 + PANEL_HEIGHT + 13}" text-anchor="middle">{label}</text>')
    for position, label in marks:
        x = x_of(position)
        lines.append(f'<path d="M{x:.1f} {y0}v{PANEL_HEIGHT}" stroke="{MARK}" stroke-dasharray="3 2"/>')
        lines.append(f'<text x="{x + 3:.1f}" y="{y0 + 10}" fill="{MARK}">{label}</text>')
    return lines


def write_svg(name, heading, panels):
    rows = -(-len(panels) // COLUMNS)
    width = LEFT + COLUMNS * (PANEL_WIDTH + GAP_X) - GAP_X + 16
    height = TOP + rows * (PANEL_HEIGHT + GAP_Y) - GAP_Y + 24
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="10" fill="#222">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text x="8" y="18" font-size="13">{heading}</text>',
    ]
    for part in panels:
        lines += part
    folder = os.path.normpath(os.path.join(draw.sample_folder(), '..', '..', 'docs', 'images'))
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), 'w', newline='\n') as file:
        file.write('\n'.join(lines) + '\n</svg>\n')


def softmax_panels(blocks):
    tokens = (model.IMAGE_SIZE // model.PATCH_SIZE) ** 2 + 1
    edges = np.linspace(-24, 0, 49)
    ticks = [(e, '1' if e == 0 else f'2^{e}') for e in (-24, -18, -12, -6, 0)]
    marks = [(-np.log2(tokens), '1/65')]
    print('softmax: block, below 1/64, below 1/1024, above 1/2, mean row maximum, maximum')
    panels = []
    for index, values in enumerate(blocks):
        rows = values.reshape(-1, tokens)
        print(
            f'| {index} | {(values < 1 / 64).mean():.1%} | {(values < 1 / 1024).mean():.1%} | {(values > 0.5).mean():.2%} '
            f'| {rows.max(1).mean():.3f} | {values.max():.3f} |'
        )
        powers = np.log2(np.maximum(values, 2.0**-40))
        panels.append(panel(index, f'blocks.{index}', shares(powers, edges), edges, ticks, marks))
    return panels


def gelu_panels(blocks):
    print('GELU: block, negative, in [-0.17, -0.1], 99.9 % quantile, maximum')
    panels = []
    highest = int(np.ceil(max(values.max() for values in blocks)))
    # A bar ends at zero, so that the negative values stand apart.
    edges = np.arange(-4, 20 * highest + 1) * 0.05
    ticks = [(e, f'{e}') for e in range(0, highest + 1)]
    for index, values in enumerate(blocks):
        print(
            f'| {index} | {(values < 0).mean():.1%} | {(values < -0.1).mean():.1%} | {np.quantile(values, 0.999):.2f} '
            f'| {values.max():.2f} |'
        )
        panels.append(panel(index, f'blocks.{index}', shares(values, edges), edges, ticks, [(0, '0')]))
    return panels


if __name__ == '__main__':
    torch.set_num_threads(2)
    softmax, gelu = activations()
    write_svg('sample-softmax.svg', 'After softmax: share of values (log) against the value (log2)', softmax_panels(softmax))
    write_svg('sample-gelu.svg', 'After GELU: share of values (log) against the value', gelu_panels(gelu))

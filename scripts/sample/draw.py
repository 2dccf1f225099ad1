"""Draw the images of the embedded sample: sixteen shapes on cluttered backgrounds.

Image i of a split is a function of (SEED, split, i) alone, so the training images need not be committed. Running this file writes
models/sample/calib (32 images) and models/sample/eval (256 images) with their labels.csv.
"""
import os

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

LABELS = [
    'circle', 'triangle', 'square', 'pentagon', 'hexagon', 'star4', 'star5', 'star6',
    'cross', 'crescent', 'heart', 'arrow', 'ring', 'gear', 'drop', 'flower',
]
SEED = 20221023
SPLITS = {'train': 1, 'calib': 2, 'eval': 3}
COUNTS = {'calib': 32, 'eval': 256}
SUPERSAMPLE = 4
# (width, height): the evaluation transform resizes the short side to 71 and crops 64, so most are a little larger.
SIZES = [(71, 71), (72, 80), (80, 72), (76, 76), (84, 71), (71, 86), (66, 66), (64, 74), (88, 79), (73, 78)]


def polygon(corners):
    angles = np.arange(corners) * 2 * np.pi / corners
    return np.stack([np.sin(angles), -np.cos(angles)], 1)


def star(tips, inner):
    points = polygon(2 * tips)
    points[1::2] *= inner
    return points


def polar(radius):
    angles = np.arange(96) * 2 * np.pi / 96
    return np.stack([np.sin(angles), -np.cos(angles)], 1) * radius(angles)[:, None]


def outline(label, random):
    """The corner points of a shape inside the unit circle, a list of rings: the second one is a hole."""
    name = LABELS[label]
    if name == 'circle':
        return [polygon(64)]
    if name in ('triangle', 'square', 'pentagon', 'hexagon'):
        return [polygon({'triangle': 3, 'square': 4, 'pentagon': 5, 'hexagon': 6}[name])]
    if name.startswith('star'):
        tips = int(name[4:])
        return [star(tips, random.uniform(0.38, 0.52) + 0.05 * (tips - 5))]
    if name == 'cross':
        arm = random.uniform(0.24, 0.38)
        return [np.array([
            (-arm, -1), (arm, -1), (arm, -arm), (1, -arm), (1, arm), (arm, arm),
            (arm, 1), (-arm, 1), (-arm, arm), (-1, arm), (-1, -arm), (-arm, -arm),
        ]) * 0.92]
    if name == 'crescent':
        half = np.linspace(0.18 * np.pi, 1.82 * np.pi, 64)
        outer = np.stack([np.cos(half), np.sin(half)], 1)
        tip_x, tip_y = outer[0]
        centre = random.uniform(0.42, 0.6)
        radius = np.hypot(tip_x - centre, tip_y)
        start = np.arctan2(tip_y, tip_x - centre)
        back = np.linspace(2 * np.pi - start, start, 48)
        inner = np.stack([centre + radius * np.cos(back), radius * np.sin(back)], 1)
        return [np.concatenate([outer, inner])]
    if name == 'heart':
        t = np.linspace(0, 2 * np.pi, 80, endpoint=False)
        x = 16 * np.sin(t) ** 3
        y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))
        return [np.stack([x, y - 2], 1) / 16.5]
    if name == 'arrow':
        shaft, neck = random.uniform(0.2, 0.34), random.uniform(-0.15, 0.15)
        return [np.array([
            (0, -1), (0.85, neck), (shaft, neck), (shaft, 0.95), (-shaft, 0.95), (-shaft, neck), (-0.85, neck),
        ])]
    if name == 'ring':
        return [polygon(64), polygon(64) * random.uniform(0.4, 0.62)]
    if name == 'gear':
        teeth = random.randint(7, 10)
        depth = random.uniform(0.2, 0.28)
        return [polar(lambda a: 1 - depth * (np.sin(a * teeth) < 0))]
    if name == 'drop':
        t = np.linspace(0, 2 * np.pi, 80, endpoint=False)
        return [np.stack([1.15 * np.sin(t) * np.sin(t / 2) ** 1.6 * 0.75, -np.cos(t)], 1)]
    petals = random.randint(5, 7)
    return [polar(lambda a: 0.74 + 0.26 * np.cos(a * petals))]


def transformed(points, random, centre, radius):
    """Tilt, stretch and shear a little, move."""
    angle = random.uniform(-0.4, 0.4)
    stretch = np.exp(random.uniform(-0.13, 0.13))
    shear = random.uniform(-0.12, 0.12)
    rotate = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = np.array([[stretch, shear], [0, 1 / stretch]]) @ rotate
    return [ring @ matrix.T * radius + centre for ring in points]


def mask_of(rings, size):
    """Anti-aliased coverage of a polygon with holes, 8 bits."""
    width, height = size
    mask = Image.new('L', (width * SUPERSAMPLE, height * SUPERSAMPLE), 0)
    draw = ImageDraw.Draw(mask)
    for index, ring in enumerate(rings):
        draw.polygon([tuple(point) for point in (ring * SUPERSAMPLE).tolist()], fill=0 if index else 255)
    return mask.reduce(SUPERSAMPLE)


def soft_noise(random, size, cells, low, high):
    """Random colours on a coarse grid, interpolated: lighting and blurred scenery."""
    grid = random.randint(low, high, (cells, cells, 3)).astype(np.uint8)
    return Image.fromarray(grid).resize(size, Image.BICUBIC)


def stripes(random, size):
    width, height = size
    angle = random.uniform(0, np.pi)
    period = random.uniform(5, 11)
    y, x = np.mgrid[0:height, 0:width]
    wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / period + random.uniform(0, 6))
    if random.randint(2):
        wave = wave * np.sin((y * np.cos(angle) - x * np.sin(angle)) * 2 * np.pi / period)
    return Image.fromarray(np.uint8(np.clip(127.5 + 300 * wave, 0, 255)))


def texture(random, size, colour):
    """A surface around one colour: plain, graded, or striped or checked with a second colour near it."""
    jitter = int(random.randint(8, 40))
    low = np.clip(np.array(colour) - jitter, 0, 255)
    high = np.clip(np.array(colour) + jitter, 0, 255)
    surface = soft_noise(random, size, 2, 0, 256)
    channels = [
        band.point([int(l + (h - l) * v / 255) for v in range(256)])
        for band, l, h in zip(surface.split(), low, high)
    ]
    surface = Image.merge('RGB', channels)
    if random.uniform() < 0.45:
        second = tuple(int(v) for v in np.clip(np.array(colour) + random.randint(-50, 51, 3), 0, 255))
        surface.paste(second, (0, 0), stripes(random, size))
    return surface


def clutter(image, random, count):
    """Lines, dots and small scraps of other shapes, all much smaller than the subject."""
    size = image.size
    for _ in range(count):
        colour = tuple(int(v) for v in random.randint(0, 256, 3))
        position = random.uniform(0, 1, 2) * size
        kind = random.randint(3)
        mask = Image.new('L', (size[0] * SUPERSAMPLE, size[1] * SUPERSAMPLE), 0)
        draw = ImageDraw.Draw(mask)
        alpha = int(random.randint(120, 256))
        if kind == 0:
            end = position + random.normal(0, 30, 2)
            width = int(random.randint(2, 8))
            draw.line([tuple((position * SUPERSAMPLE).tolist()), tuple((end * SUPERSAMPLE).tolist())], alpha, width)
        else:
            rings = outline(int(random.randint(len(LABELS))), random)
            rings = transformed(rings, random, position, random.uniform(2, 5))
            draw.polygon([tuple(point) for point in (rings[0] * SUPERSAMPLE).tolist()], fill=alpha)
        image.paste(colour, (0, 0), mask.reduce(SUPERSAMPLE))


def draw_image(split, index):
    """An RGB image about 64 to 88 pixels wide and high, its label, and the coverage of the subject (8 bits, same size)."""
    random = np.random.RandomState([SEED, SPLITS[split], index])
    label = index % len(LABELS)
    size = SIZES[random.randint(len(SIZES))]
    scale = min(size) / 71

    ground = random.randint(0, 256, 3)
    image = texture(random, size, ground)
    image = Image.blend(image, soft_noise(random, size, int(random.randint(3, 7)), 0, 256), random.uniform(0, 0.35))
    clutter(image, random, int(random.randint(0, 6)))

    while True:
        colour = random.randint(0, 256, 3)
        if np.abs(colour - ground).sum() >= 170:
            break
    radius = random.uniform(16, 27) * scale
    reach = max(0.0, 31 * scale - radius)
    centre = np.array(size) / 2 + random.uniform(-reach, reach, 2)
    rings = transformed(outline(label, random), random, centre, radius)
    mask = mask_of(rings, size)
    if random.uniform() < 0.4:
        shadow = ImageChops.offset(mask, int(random.randint(-4, 5)), int(random.randint(-4, 5)))
        shadow = shadow.filter(ImageFilter.GaussianBlur(2)).point([v * 5 // 10 for v in range(256)])
        image.paste((0, 0, 0), (0, 0), shadow)
    image.paste(texture(random, size, colour), (0, 0), mask)
    clutter(image, random, int(random.randint(0, 4)))

    if random.uniform() < 0.4:
        image = image.filter(ImageFilter.GaussianBlur(random.uniform(0.3, 0.9)))
    pixels = np.asarray(image).astype(np.float64)
    pixels = pixels * random.uniform(0.75, 1.1) + random.uniform(-20, 20)
    # One noise value for the three channels: film grain, and half the bytes of coloured noise.
    pixels += random.normal(0, 1, pixels.shape[:2] + (1,)) * random.uniform(1, 7)
    return Image.fromarray(np.uint8(np.clip(np.round(pixels), 0, 255))), label, mask


def write_split(folder, split):
    target = os.path.join(folder, split)
    os.makedirs(target, exist_ok=True)
    rows = ['file,label']
    for index in range(COUNTS[split]):
        image, label, _ = draw_image(split, index)
        name = f'{index:03d}_{LABELS[label]}.png'
        image.save(os.path.join(target, name), optimize=True)
        rows.append(f'{name},{label}')
    with open(os.path.join(target, 'labels.csv'), 'w', newline='\n') as file:
        file.write('\n'.join(rows) + '\n')


def sample_folder():
    return os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'models', 'sample'))


if __name__ == '__main__':
    for split in COUNTS:
        write_split(sample_folder(), split)

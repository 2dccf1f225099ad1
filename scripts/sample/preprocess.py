"""timm's evaluation transform for the sample: bicubic resize of the short side, centre crop, mean and deviation."""
import csv
import os

import numpy as np
from PIL import Image

CROP, CROP_PCT = 64, 0.9
RESIZED = int(CROP / CROP_PCT)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def resized(image):
    """The short side becomes 71 pixels; the long side is truncated, as torchvision does."""
    width, height = image.size
    if width <= height:
        size = (RESIZED, int(RESIZED * height / width))
    else:
        size = (int(RESIZED * width / height), RESIZED)
    return image if size == image.size else image.resize(size, Image.BICUBIC)


def centre_crop(image, crop):
    left = int(round((image.width - crop) / 2.0))
    top = int(round((image.height - crop) / 2.0))
    return image.crop((left, top, left + crop, top + crop))


def normalised(bytes_nhwc):
    """uint8 [images, rows, columns, 3] to float32 [images, 3, rows, columns]."""
    unit = bytes_nhwc.astype(np.float32) / np.float32(255)
    values = (unit - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2))


def load_crops(folder):
    """Cropped uint8 pixels [images, 64, 64, 3] and labels [images] of a folder, in the order of its labels.csv."""
    with open(os.path.join(folder, 'labels.csv'), newline='') as file:
        rows = list(csv.DictReader(file))
    crops = []
    for row in rows:
        with Image.open(os.path.join(folder, row['file'])) as image:
            crops.append(np.asarray(centre_crop(resized(image.convert('RGB')), CROP)))
    return np.stack(crops), np.array([int(row['label']) for row in rows])


def load_folder(folder):
    """Normalised pixels [images, 3, 64, 64] and labels [images] of a folder, in the order of its labels.csv."""
    crops, labels = load_crops(folder)
    return normalised(crops), labels

#!/usr/bin/env python3
"""Draw the small images of images/ and write what Pillow makes of them; the goldens of the decoder, resizer and preprocessing.

Made with Debian 12's Pillow 9.4.0 (libjpeg-turbo 2.1.5, libwebp 1.2.4) and torchvision's published rules, which are
written out below (torchvision itself is not needed). Everything is drawn here from a formula and a seeded generator.
Run in this folder: /usr/bin/python3 makeImages.py

images/NAME      the files to decode
images.bin       for each file of images.json its pixels after Image.open(NAME).convert("RGB"), deflated
resize.bin       a source for each case of resize.json and then the result, deflated
resizeNoise.json SHA-256 of larger results from a source that the test makes itself
preprocess.bin   the result of each case of preprocess.json, deflated
"""
import hashlib
import json
import math
import os
import struct
import warnings
import zlib

import numpy as np
from PIL import Image, ImageCms

warnings.simplefilter("ignore")
os.makedirs("images", exist_ok=True)


def picture(width, height, channels, seed):
    """Waves, an edge and noise: smooth parts, saturated parts and ringing."""
    random = np.random.RandomState(seed)
    y, x = np.mgrid[0:height, 0:width]
    planes = [
        127 + 110 * np.sin(x / 7 + y / 11 + 2 * c + seed) + random.normal(0, 20, (height, width)) for c in range(channels)
    ]
    a = np.clip(np.stack(planes, -1), 0, 255).astype(np.uint8)
    a[height // 3 : height // 2, width // 4 : width // 2] = (255, 0, 40, 128)[:channels]
    return a


def swapped_profile():
    """An sRGB profile with the red and the green primary exchanged: whoever applies it sees other colours."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)  # creation date, which lcms sets to now
    profile[84:100] = bytes(16)  # profile id, an MD5 of the rest
    tags = {}
    for i in range(struct.unpack(">I", profile[128:132])[0]):
        signature, offset, length = struct.unpack(">4sII", profile[132 + 12 * i : 144 + 12 * i])
        tags[signature] = (offset, length)
    (r, n), (g, _) = tags[b"rXYZ"], tags[b"gXYZ"]
    profile[r : r + n], profile[g : g + n] = profile[g : g + n], profile[r : r + n]
    return bytes(profile)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def write_png(name, width, height, depth, colour_type, rows, extra=b""):
    """For what Pillow does not write: 16 bits, 2 and 4 bits, gamma."""
    data = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    with open(name, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        file.write(chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)))
        file.write(extra + chunk(b"IDAT", data) + chunk(b"IEND", b""))


W, H = 37, 29
pixels = picture(W, H, 4, 1)
rgb, rgba = Image.fromarray(pixels[:, :, :3].copy()), Image.fromarray(pixels, "RGBA")
grey = rgb.convert("L")
icc = swapped_profile()
exif = Image.Exif()
exif[0x112] = 6  # rotate by 90 degrees
palette = rgb.quantize(16)
corner = tuple(int(v) for v in pixels[0, 0, :3])

rgb.save("images/444.jpg", quality=90, subsampling=0)
rgb.save("images/422.jpg", quality=80, subsampling=1)
rgb.save("images/420.jpg", quality=75, subsampling=2)
rgb.save("images/progressive.jpg", quality=70, progressive=True)
grey.save("images/grey.jpg")
rgb.convert("CMYK").save("images/cmyk.jpg", quality=85)
rgb.convert("CMYK").save("images/cmykProfile.jpg", quality=85, icc_profile=icc)
rgb.save("images/exifRotated.jpg", exif=exif)
rgb.save("images/exifRotated.png", exif=exif)
rgb.save("images/exifRotated.webp", exif=exif, quality=80)
rgb.save("images/profile.jpg", icc_profile=icc)
Image.fromarray(picture(1, 1, 3, 2)).save("images/onePixel.jpg")
Image.fromarray(picture(17, 33, 3, 3)).save("images/17x33.JPEG", format="JPEG", subsampling=2)
rgb.save("images/rgb.png")
rgb.save("images/profile.png", icc_profile=icc)
rgb.save("images/rgbKey.png", transparency=corner)
rgba.save("images/alpha.png")
grey.save("images/grey.png")
grey.save("images/greyKey.png", transparency=int(np.array(grey)[0, 0]))
rgba.convert("LA").save("images/greyAlpha.png")
rgb.convert("1").save("images/bilevel.png")
palette.save("images/palette.png")
palette.save("images/paletteKey.png", transparency=3)
palette.save("images/paletteAlpha.png", transparency=bytes(range(0, 256, 16)))
rgb.save("images/lossy.webp", quality=80)
rgb.save("images/lossless.webp", lossless=True, icc_profile=icc)
rgba.save("images/alphaLossy.webp", quality=80)
rgba.save("images/alphaLossless.webp", lossless=True, exact=True)
rgb.save("images/animated.webp", save_all=True, append_images=[rgb.rotate(180)], duration=100)
wide = np.random.RandomState(4).randint(0, 65536, (H, W, 4)).astype(">u2")
write_png("images/rgb16.png", W, H, 16, 2, [row[:, :3].tobytes() for row in wide])
write_png("images/rgba16.png", W, H, 16, 6, [row.tobytes() for row in wide])
write_png("images/greyAlpha16.png", W, H, 16, 4, [row[:, :2].tobytes() for row in wide])
write_png("images/grey16.png", W, H, 16, 0, [row[:, 0].tobytes() for row in wide])
bits = np.random.RandomState(5).randint(0, 256, (H, 19)).astype(np.uint8)
write_png("images/grey4.png", W, H, 4, 0, [row.tobytes() for row in bits])
write_png("images/grey2.png", W, H, 2, 0, [row[:10].tobytes() for row in bits])
write_png("images/gamma.png", W, H, 8, 2, [row[:, :3].tobytes() for row in pixels], chunk(b"gAMA", struct.pack(">I", 100000)))
with open("images/cmyk.jpg", "rb") as file:
    cmyk = file.read()
marker = cmyk.index(b"\xff\xee\x00\x0eAdobe")
with open("images/ycck.jpg", "wb") as file:  # the same data with the colour transform flag set
    file.write(cmyk[: marker + 15] + b"\x02" + cmyk[marker + 16 :])
with open("images/cmykPlain.jpg", "wb") as file:  # without Adobe's marker
    file.write(cmyk[:marker] + cmyk[marker + 16 :])

refused = ["grey16.png"]
decoded, listing = [], []
for name in sorted(os.listdir("images")):
    if name in refused:
        continue
    image = Image.open(os.path.join("images", name)).convert("RGB")
    decoded.append(image.tobytes())
    listing.append({"file": name, "width": image.width, "height": image.height})


def save(stem, cases, blobs):
    with open(stem + ".json", "w") as file:
        file.write("[\n" + ",\n".join("  " + json.dumps(case) for case in cases) + "\n]\n")
    with open(stem + ".bin", "wb") as file:
        file.write(zlib.compress(b"".join(blobs), 9))


save("images", listing, decoded)

filters = {
    "nearest": Image.NEAREST,
    "box": Image.BOX,
    "bilinear": Image.BILINEAR,
    "hamming": Image.HAMMING,
    "bicubic": Image.BICUBIC,
    "lanczos": Image.LANCZOS,
}
sizes = [
    ((37, 29), (13, 11)),
    ((37, 29), (53, 41)),
    ((37, 29), (37, 11)),
    ((37, 29), (12, 29)),
    ((37, 29), (1, 1)),
    ((1, 1), (5, 3)),
    ((2, 3), (7, 4)),
    ((1, 40), (3, 9)),
    ((64, 1), (9, 2)),
    ((41, 23), (40, 24)),
    ((24, 24), (24, 24)),
]
cases, blobs = [], []
for i, (source, target) in enumerate(sizes):
    if i % 2 == 0:
        array = picture(*source, 3, 10 + i)
    else:  # extremes only: the most overshoot, and so the clipping of both passes
        array = np.random.RandomState(10 + i).choice(np.array([0, 255], np.uint8), (source[1], source[0], 3))
    blobs.append(array.tobytes())
    for name, filter in filters.items():
        cases.append({"source": i, "from": source, "to": target, "interpolation": name})
        blobs.append(Image.fromarray(array).resize(target, filter).tobytes())
save("resize", cases, blobs)


def noise(length):
    """The generator x <- 1664525 x + 1013904223 modulo 2^32 from 0, its top byte: the test makes the same."""
    state, out = 0, bytearray(length)
    for i in range(length):
        state = (1664525 * state + 1013904223) % 2**32
        out[i] = state >> 24
    return bytes(out)


cases = []
for source, target, name in [  # large enough to meet sums beside a rounding tie
    ((500, 375), (330, 248), "bicubic"),
    ((500, 375), (330, 248), "bilinear"),
    ((201, 150), (332, 248), "bicubic"),
    ((500, 375), (330, 248), "lanczos"),
    ((500, 375), (330, 248), "hamming"),
    ((201, 150), (332, 248), "hamming"),
    ((500, 375), (331, 249), "nearest"),
    ((201, 150), (1000, 747), "nearest"),
]:
    image = Image.frombytes("RGB", source, noise(source[0] * source[1] * 3)).resize(target, filters[name])
    digest = hashlib.sha256(image.tobytes()).hexdigest()
    cases.append({"from": source, "to": target, "interpolation": name, "sha256": digest})
with open("resizeNoise.json", "w") as file:
    file.write("[\n" + ",\n".join("  " + json.dumps(case) for case in cases) + "\n]\n")



def resize_short(image, size, filter):
    """torchvision.transforms.Resize(int)."""
    width, height = image.size
    if width <= height:
        return image.resize((size, int(size * height / width)), filter)
    return image.resize((int(size * width / height), size), filter)


def crop_torchvision(image, width, height):
    """torchvision.transforms.functional.center_crop, padding included."""
    if width > image.width or height > image.height:
        left = (width - image.width) // 2 if width > image.width else 0
        top = (height - image.height) // 2 if height > image.height else 0
        padded = Image.new("RGB", (max(width, image.width), max(height, image.height)))
        padded.paste(image, (left, top))
        image = padded
    top = int(round((image.height - height) / 2.0))
    left = int(round((image.width - width) / 2.0))
    return image.crop((left, top, left + width, top + height))


def crop_hugging_face(image, width, height):
    """transformers.image_transforms.center_crop, padding included."""
    array = np.array(image)
    top, left = (image.height - height) // 2, (image.width - width) // 2
    if top >= 0 and left >= 0:
        return Image.fromarray(array[top : top + height, left : left + width].copy())
    tall, broad = max(height, image.height), max(width, image.width)
    padded = np.zeros((tall, broad, 3), np.uint8)
    down, right = math.ceil((tall - image.height) / 2), math.ceil((broad - image.width) / 2)
    padded[down : down + image.height, right : right + image.width] = array
    top, left = top + down, left + right
    return Image.fromarray(padded[max(0, top) : top + height, max(0, left) : left + width].copy())


crops = {"half-even": crop_torchvision, "floor": crop_hugging_face}
cases, blobs = [], []
for file, edge, width, height in [
    ("profile.jpg", 23, 20, 20),  # resized to 29 x 23: margins 9 and 3, both odd
    ("exifRotated.jpg", 19, 17, 17),  # 24 x 19: 7 and 2
    ("cmyk.jpg", 24, 21, 21),
    ("paletteAlpha.png", 26, 25, 25),
    ("17x33.JPEG", 17, 16, 16),  # no resize
    ("grey.jpg", 40, 32, 36),
    ("rgb.png", 20, 27, 28),  # the crop is larger than 25 x 20
    ("rgb.png", 20, 24, 31),  # larger in one direction
    ("rgb.png", 20, 30, 15),
    ("alpha.png", [31, 22], 22, 22),  # exact size
]:
    for interpolation in ["bicubic", "bilinear"]:
        for rounding, crop in crops.items():
            image = Image.open(os.path.join("images", file)).convert("RGB")
            filter = filters[interpolation]
            image = image.resize(edge, filter) if isinstance(edge, list) else resize_short(image, edge, filter)
            image = crop(image, width, height)
            assert image.size == (width, height)
            cases.append(
                {
                    "file": file,
                    "edge": edge,
                    "width": width,
                    "height": height,
                    "interpolation": interpolation,
                    "cropRounding": rounding,
                }
            )
            blobs.append(image.tobytes())
save("preprocess", cases, blobs)

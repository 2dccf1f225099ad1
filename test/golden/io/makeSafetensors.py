#!/usr/bin/env python3
"""Write every.safetensors with nothing but struct and json: an independent writer for the reader's test.

The header is not padded, so every tensor is misaligned; the tensors' bytes are not in header order.
Run in this folder: python3 makeSafetensors.py
"""
import json
import struct

tensors = [  # name, dtype, shape, bytes
    ("f32", "F32", [2, 3], struct.pack("<6f", 0.0, -0.0, 1.5, -2.25, 3.4028234663852886e38, 1.401298464324817e-45)),
    ("f16", "F16", [7], struct.pack("<7e", 0.0, -0.0, 1.0, -65504.0, 6.103515625e-05, 5.960464477539063e-08, 0.333251953125)),
    ("bf16", "BF16", [4], b"".join(struct.pack("<f", v)[2:] for v in (1.0, -2.5, 3.3895313892515355e38, 9.183549615799121e-41))),
    ("i8", "I8", [3], struct.pack("<3b", -128, 0, 127)),
    ("u8", "U8", [2, 1], struct.pack("<2B", 0, 255)),
    ("i16", "I16", [3], struct.pack("<3h", -32768, -1, 32767)),
    ("i32", "I32", [2], struct.pack("<2i", -2147483648, 2147483647)),
    ("i64", "I64", [1], struct.pack("<q", -1)),
    ("scalar", "F32", [], struct.pack("<f", 0.5)),
    ("empty", "F32", [0, 4], b""),
    ("na\u00efve \U0001f600", "U8", [1], b"\x07"),
]
offsets, data = {}, b""
for name, _, _, payload in tensors:
    offsets[name] = [len(data), len(data) + len(payload)]
    data += payload
header = {"__metadata__": {"format": "pt", "made by": "struct"}}
for name, dtype, shape, _ in reversed(tensors):
    header[name] = {"dtype": dtype, "shape": shape, "data_offsets": offsets[name]}
text = json.dumps(header, separators=(",", ":")).encode()
text += b" " * ((3 - len(text)) % 8)  # 8 + header = 3 modulo 8
with open("every.safetensors", "wb") as file:
    file.write(struct.pack("<Q", len(text)) + text + data)

"""Read and write safetensors files: an 8-byte length, a JSON header, then the bytes of the tensors."""
import json
import struct

import numpy as np

DTYPES = {'F32': np.float32, 'F64': np.float64}


def write_safetensors(path, tensors):
    header, blobs, offset = {}, [], 0
    for name, array in tensors.items():
        array = np.array(array, order='C')
        blob = array.tobytes()
        dtype = next(key for key, value in DTYPES.items() if array.dtype == value)
        header[name] = {'dtype': dtype, 'shape': list(array.shape), 'data_offsets': [offset, offset + len(blob)]}
        blobs.append(blob)
        offset += len(blob)
    text = json.dumps(header, separators=(',', ':')).encode()
    text += b' ' * (-len(text) % 8)
    with open(path, 'wb') as file:
        file.write(struct.pack('<Q', len(text)) + text + b''.join(blobs))


def read_safetensors(path):
    with open(path, 'rb') as file:
        (length,) = struct.unpack('<Q', file.read(8))
        header = json.loads(file.read(length))
        body = file.read()
    tensors = {}
    for name, entry in header.items():
        if name != '__metadata__':
            start, end = entry['data_offsets']
            tensors[name] = np.frombuffer(body[start:end], DTYPES[entry['dtype']]).reshape(entry['shape'])
    return tensors

"""Prints expected.json: logits of two networks, labels, and every measure of them by PyTorch and NumPy in double precision.

Run with Debian's python3-torch: `/usr/bin/python3 test/golden/evaluate/make.py > test/golden/evaluate/expected.json`.
"""

import json

import numpy as np
import torch

rng = np.random.default_rng(7)
IMAGES, CLASSES = 9, 13
logits = (rng.standard_normal((IMAGES, CLASSES)) * 4).astype(np.float32)
quantized = (logits + rng.standard_normal((IMAGES, CLASSES)) * 2).astype(np.float32)
logits[0] *= np.float32(300)  # exp() of these overflows: the log-sum-exp must hold
quantized[0] = logits[0] + np.float32(0.25) * quantized[1]
logits[1, 3] = logits[1, 8] = logits[1].max() + 1  # a tie for the first place
quantized[2, :] = np.float32(0.5)  # all equal: the place of a class is its index
labels = [int(x) for x in logits.argmax(1)]
labels[1] = 8  # the higher index of the tie: second place
labels[2] = 4
labels[3] = int(np.argsort(-quantized[3], kind="stable")[4])  # just inside the top five
for image in (4, 7):  # just outside
    labels[image] = int(np.argsort(-quantized[image], kind="stable")[5])
for image in (5,):  # just outside for the float network
    labels[image] = int(np.argsort(-logits[image], kind="stable")[5])


def top(z, k):
    order = np.argsort(-z.astype(np.float64), axis=1, kind="stable")[:, :k]
    return float(np.mean([label in row for label, row in zip(labels, order)]))


z, zq = (torch.from_numpy(x.astype(np.float64)) for x in (logits, quantized))
log_p, log_q = torch.log_softmax(z, 1), torch.log_softmax(zq, 1)
kl = torch.nn.functional.kl_div(log_q, log_p, reduction="batchmean", log_target=True)
report = {
    "logits": [float(x) for x in logits.ravel()],
    "quantized": [float(x) for x in quantized.ravel()],
    "classes": CLASSES,
    "labels": labels,
    "expected": {
        "images": IMAGES,
        "top1": top(quantized, 1),
        "top5": top(quantized, 5),
        "floatTop1": top(logits, 1),
        "floatTop5": top(logits, 5),
        "agreement": float(np.mean(logits.argmax(1) == quantized.argmax(1))),
        "topOneDropPoints": 100 * (top(logits, 1) - top(quantized, 1)),
        "klDivergence": float(kl),
        "logitSqnrDb": float(10 * torch.log10((z**2).sum() / ((z - zq) ** 2).sum())),
    },
    "logSumExp": [float(x) for x in torch.logsumexp(z, 1)],
}
print(json.dumps(report, indent=1))

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Losses of labelled examples and their gradients as PyTorch computes them, for the tests.

    pip install torch safetensors
    python3 tools/make_classify_fixture.py tests/data/classify_fixture.safetensors

Two small networks in float64, from a fixed seed:

    conv   a classifier of 3 classes on 6 x 6 images: two convolutions, flatten, two linear layers
    mlp    an energy of points that takes one of 3 classes by an embedding

Parameters are three times PyTorch's start. Label 3 is "none". Tensors, all float64, of each network,
with its name and a dot before:

    conv.0.weight ...         parameters, under the names and in the shapes of a state_dict
    x, negative               examples and negatives, channels last
    label, negative_label     [N]
    dropout                   [N], uniform: below 0.3 the example's label is hidden
    energies                  [N, 4], E(x, y) for each y, and E(x) last
    logits, features          of the classifier
    LOSS.value                [N], the loss of each example
    LOSS.grad.conv.0.weight   gradients of its mean

LOSS is classify, smooth (classify with label smoothing 0.1), jem (weight 0.7, alpha 0.3, smoothing
0.1), cd (class-conditional, alpha 0.2, class dropout 0.3).
"""

import sys

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

EXAMPLES = 6
CLASSES = 3
GAIN = 3.0


class Classifier(nn.Module):
    """`conv.0`, `conv.2`, `fc.2`, `fc.4`."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(4, 5, 4, stride=2, padding=1),
            nn.SiLU(),
        )
        self.fc = nn.Sequential(
            nn.Identity(), nn.Flatten(), nn.Linear(45, 6), nn.SiLU(), nn.Linear(6, CLASSES)
        )

    def features(self, x):
        return self.fc[:4](self.conv(x))

    def logits(self, x):
        return self.fc[4](self.features(x))

    def energy(self, x, label):
        f = self.logits(x)
        own = f.gather(1, label.clamp(max=CLASSES - 1)[:, None])[:, 0]
        return torch.where(label < CLASSES, -own, -f.logsumexp(1))


class Conditional(nn.Module):
    """`layers.0`, `layers.2`, `conditions.0`, `embedding.class`."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, 7), nn.SiLU(), nn.Linear(7, 1))
        self.conditions = nn.ModuleList([nn.Linear(5, 7)])
        self.embedding = nn.ModuleDict({"class": nn.Embedding(CLASSES + 1, 5)})

    def energy(self, x, label):
        condition = self.conditions[0](F.silu(self.embedding["class"](label)))
        return self.layers[2](F.silu(self.layers[0](x) + condition))[:, 0]


def cross_entropy(logits, label, smoothing):
    """0 where there is no label."""
    loss = F.cross_entropy(
        logits, label.clamp(max=CLASSES - 1), reduction="none", label_smoothing=smoothing
    )
    return torch.where(label < CLASSES, loss, torch.zeros_like(loss))


def contrast(low, high, weight, alpha):
    return weight * (low - high) + alpha * (low**2 + high**2)


def losses(network, x, negative, label, negative_label, dropout):
    none = torch.full_like(label, CLASSES)
    hidden = torch.where(dropout < 0.3, none, label)
    low, high = network.energy(x, hidden), network.energy(negative, negative_label)
    yield "cd", contrast(low, high, 1.0, 0.2)
    if isinstance(network, Classifier):
        logits = network.logits(x)
        yield "classify", cross_entropy(logits, label, 0.0)
        yield "smooth", cross_entropy(logits, label, 0.1)
        low, high = network.energy(x, none), network.energy(negative, none)
        yield "jem", cross_entropy(logits, label, 0.1) + contrast(low, high, 0.7, 0.3)


def channels_last(x):
    return x.detach().permute(0, 2, 3, 1).contiguous() if x.dim() == 4 else x


def record(name, network, x, negative):
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(GAIN)
    label = torch.tensor([0, 2, 1, 3, 2, 0])
    negative_label = torch.tensor([1, 3, 0, 2, 2, 3])
    dropout = torch.tensor([0.9, 0.1, 0.31, 0.5, 0.29, 0.7])
    tensors = {
        "x": channels_last(x),
        "negative": channels_last(negative),
        "label": label.double(),
        "negative_label": negative_label.double(),
        "dropout": dropout,
        "energies": torch.stack(
            [network.energy(x, torch.full_like(label, y)) for y in range(CLASSES + 1)], 1
        ),
    }
    if isinstance(network, Classifier):
        tensors["logits"] = network.logits(x)
        tensors["features"] = network.features(x)
    names, parameters = zip(*network.named_parameters())
    tensors.update({key: value for key, value in zip(names, parameters)})
    for loss, value in losses(network, x, negative, label, negative_label, dropout):
        grads = torch.autograd.grad(value.mean(), parameters, retain_graph=True)
        tensors[f"{loss}.value"] = value
        tensors.update({f"{loss}.grad.{key}": grad for key, grad in zip(names, grads)})
    return {f"{name}.{key}": value.detach().contiguous() for key, value in tensors.items()}


def main():
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} FILE.safetensors")
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(21)
    torch.set_num_threads(1)
    images = torch.rand(2, EXAMPLES, 1, 6, 6)
    points = torch.randn(2, EXAMPLES, 2)
    tensors = record("conv", Classifier(), *images)
    tensors.update(record("mlp", Conditional(), *points))
    save_file(tensors, sys.argv[1], metadata={"made_by": f"PyTorch {torch.__version__}, float64"})


if __name__ == "__main__":
    main()

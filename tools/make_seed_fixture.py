#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Energies and gradients as PyTorch computes them, for the tests to compare with.

    pip install torch safetensors
    python3 tools/make_seed_fixture.py tests/data/seed_fixture.safetensors

Three small networks in float64, from a fixed seed, three examples each:

    grey, rgb   the convolutional seed network: four convolutions with SiLU, mean over space,
                linear; one channel at 12 x 12 and width 8, three at 10 x 14 and width 6
    uva         the network of number 8 of the UvA deep learning tutorials, at widths 4-8-8-8:
                four strided convolutions, flatten, two linear layers; 28 x 28 in [-1, 1].
                Its output is taken as the energy.

Parameters are three times PyTorch's start, so that SiLU is bent where it is used and examples get
energies that differ.

Tensors, all float64, of each network, with its name and a dot before:

    conv.0.weight ...       parameters, under the names and in the shapes of a state_dict
    x                       [N, H, W, C], the examples
    energy                  [N]
    input_grad              [N, H, W, C], dE/dx of each example
    grad.conv.0.weight ...  gradients of the mean of E over the examples, by parameter
"""

import sys

import torch
from safetensors.torch import save_file
from torch import nn

EXAMPLES = 3
GAIN = 3.0


class SeedNetwork(nn.Module):
    """`conv.0`, `conv.2`, `conv.4`, `conv.6`, `fc.2`."""

    def __init__(self, channels, width):
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(width, width, 4, stride=2, padding=1),
            nn.SiLU(),
            nn.Conv2d(width, 2 * width, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(2 * width, 2 * width, 4, stride=2, padding=1),
            nn.SiLU(),
        )
        self.fc = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2 * width, 1))

    def forward(self, x):
        return self.fc(self.conv(x)).squeeze(-1)


class FlattenNetwork(nn.Module):
    """`cnn_layers.0`, `.2`, `.4`, `.6`, `.9`, `.11`; 28 x 28 becomes 16, 8, 4, 2 a side."""

    def __init__(self, width):
        super().__init__()
        self.cnn_layers = nn.Sequential(
            nn.Conv2d(1, width, 5, stride=2, padding=4),
            nn.SiLU(),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Conv2d(2 * width, 2 * width, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Conv2d(2 * width, 2 * width, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Flatten(),
            nn.Linear(2 * width * 4, 2 * width),
            nn.SiLU(),
            nn.Linear(2 * width, 1),
        )

    def forward(self, x):
        return self.cnn_layers(x).squeeze(-1)


def channels_last(x):
    return x.detach().permute(0, 2, 3, 1).contiguous()


def record(name, network, x):
    """The tensors of one network on the examples x [N, C, H, W]."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(GAIN)
    x.requires_grad_(True)
    energy = network(x)
    names, parameters = zip(*network.named_parameters())
    (input_grad,) = torch.autograd.grad(energy.sum(), x, retain_graph=True)
    grads = torch.autograd.grad(energy.mean(), parameters)
    tensors = {key: value.detach() for key, value in zip(names, parameters)}
    tensors.update({f"grad.{key}": grad for key, grad in zip(names, grads)})
    tensors["x"] = channels_last(x)
    tensors["energy"] = energy.detach()
    tensors["input_grad"] = channels_last(input_grad)
    return {f"{name}.{key}": value.contiguous() for key, value in tensors.items()}


def main():
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} FILE.safetensors")
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(20)
    torch.set_num_threads(1)
    tensors = {}
    tensors.update(record("grey", SeedNetwork(1, 8), torch.rand(EXAMPLES, 1, 12, 12)))
    tensors.update(record("rgb", SeedNetwork(3, 6), torch.rand(EXAMPLES, 3, 10, 14)))
    tensors.update(record("uva", FlattenNetwork(4), 2.0 * torch.rand(EXAMPLES, 1, 28, 28) - 1.0))
    save_file(tensors, sys.argv[1], metadata={"made_by": f"PyTorch {torch.__version__}, float64"})


if __name__ == "__main__":
    main()

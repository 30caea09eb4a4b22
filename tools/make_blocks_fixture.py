#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Group norm and attention as PyTorch computes them, for the tests to compare with.

    pip install torch safetensors
    python3 tools/make_blocks_fixture.py tests/data/blocks_fixture.safetensors

In float64, from a fixed seed, three examples each:

    norm        GroupNorm of 20 channels in 4 groups, 5 x 3 pixels
    attention   x + attention(GroupNorm(x)), 12 channels, 2 heads, 3 x 4 pixels

With y the block's output, E = sum r SiLU(y). Tensors, all float64, each with the block's name and a
dot before:

    norm.weight ...         parameters, under the names and in the shapes of a state_dict
    x, v                    [N, H, W, C]
    r                       [H, W, C]
    energy                  [N]
    input_grad              [N, H, W, C], dE/dx of each example
    input_grad2             [N, H, W, C], the Hessian times v
    grad.norm.weight ...    gradients of the sum of E over the examples, by parameter
    grad2.norm.weight ...   gradients of the sum of v dE/dx
"""

import sys

import torch
from safetensors.torch import save_file
from torch import nn

EXAMPLES = 3


class Attention(nn.Module):
    def __init__(self, channels, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.proj = nn.Conv2d(channels, channels, 1)

    def forward(self, x):
        n, c, h, w = x.shape
        q, k, v = (
            part.reshape(n, self.heads, c // self.heads, h * w).transpose(2, 3)
            for part in self.qkv(x).chunk(3, dim=1)
        )
        y = nn.functional.scaled_dot_product_attention(q, k, v)
        return self.proj(y.transpose(2, 3).reshape(n, c, h, w))


class Norm(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.GroupNorm(4, 20)

    def forward(self, x):
        return self.norm(x)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.GroupNorm(3, 12)
        self.attention = Attention(12, 2)

    def forward(self, x):
        return x + self.attention(self.norm(x))


def channels_last(x):
    return x.detach().movedim(-3, -1).contiguous()


def record(name, block, channels, height, width):
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    x = (0.5 + torch.randn(EXAMPLES, channels, height, width)).requires_grad_(True)
    v = torch.randn_like(x)
    r = torch.randn(channels, height, width)
    energy = (r * nn.functional.silu(block(x))).sum(dim=(1, 2, 3))
    names, parameters = zip(*block.named_parameters())
    grads = torch.autograd.grad(energy.sum(), (x, *parameters), create_graph=True)
    grads2 = torch.autograd.grad((v * grads[0]).sum(), (x, *parameters), allow_unused=True)
    tensors = {key: value.detach() for key, value in zip(names, parameters)}
    for key, one, two, value in zip(names, grads[1:], grads2[1:], parameters):
        tensors[f"grad.{key}"] = one.detach()
        tensors[f"grad2.{key}"] = torch.zeros_like(value) if two is None else two.detach()
    tensors["x"] = channels_last(x)
    tensors["v"] = channels_last(v)
    tensors["r"] = channels_last(r)
    tensors["energy"] = energy.detach()
    tensors["input_grad"] = channels_last(grads[0])
    tensors["input_grad2"] = channels_last(grads2[0])
    return {f"{name}.{key}": value.contiguous() for key, value in tensors.items()}


def main():
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} FILE.safetensors")
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(21)
    torch.set_num_threads(1)
    tensors = {}
    tensors.update(record("norm", Norm(), 20, 5, 3))
    tensors.update(record("attention", Residual(), 12, 3, 4))
    save_file(tensors, sys.argv[1], metadata={"made_by": f"PyTorch {torch.__version__}, float64"})


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""PyTorch: a training update of denoising at many noise levels, as a good user would write it.

The energy of a U-Net, E(x, level), has the denoiser D = x - level^2 dE/dx; a loss of D is therefore
differentiated twice. The formulas are those of src/energy/denoiser.c (residual form) and
src/objective/diffusion.c, the names of tensors those of src/energy/unet.c.
"""

import time

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

import cases

CONFIGURATIONS = ("eager", "eager, channels_last", "compiled loss, channels_last")


class Block(nn.ModuleDict):
    """x + conv(silu(norm(conv(silu(norm(x))) + condition)))"""

    def __init__(self, width):
        super().__init__(
            {
                "0": nn.Conv2d(width, width, 3, padding=1),
                "1": nn.Conv2d(width, width, 3, padding=1),
                "condition": nn.Linear(cases.EMBEDDING, width),
                "norm": nn.ModuleList(nn.GroupNorm(cases.NORM_GROUPS, width) for _ in range(2)),
            }
        )

    def forward(self, x, embedding):
        norm = self["norm"]
        h = self["0"](F.silu(norm[0](x))) + self["condition"](embedding)[:, :, None, None]
        return x + self["1"](F.silu(norm[1](h)))


class UNet(nn.Module):
    def __init__(self, channels, widths):
        super().__init__()
        wide, inner = cases.EMBEDDING, range(len(widths) - 1)
        noise = nn.Sequential(nn.Linear(1, wide), nn.SiLU(), nn.Linear(wide, wide))
        self.embedding = nn.ModuleDict({"noise": noise})
        self.stem = nn.Conv2d(channels, widths[0], 4, stride=2, padding=1)
        self.down, self.up = nn.ModuleDict(), nn.ModuleDict()
        for i in inner:
            halving = nn.Conv2d(widths[i], widths[i + 1], 4, stride=2, padding=1)
            doubling = nn.ConvTranspose2d(widths[i + 1], widths[i], 4, stride=2, padding=1)
            self.down[str(i)] = nn.ModuleDict({"0": Block(widths[i]), "halving": halving})
            self.up[str(i)] = nn.ModuleDict({"doubling": doubling, "0": Block(widths[i])})
        middle = nn.ModuleDict({"0": Block(widths[-1]), "1": Block(widths[-1])})
        self.middle = nn.ModuleDict({str(len(inner)): middle})
        self.norm = nn.GroupNorm(cases.NORM_GROUPS, widths[0])
        self.head = nn.ConvTranspose2d(widths[0], channels, 4, stride=2, padding=1)

    def image_to_image(self, x, level):
        embedding = F.silu(self.embedding["noise"](level.log()[:, None] / 4))
        x, beside = self.stem(x), []
        for part in self.down.values():
            x = part["0"](x, embedding)
            beside.append(x)
            x = part["halving"](x)
        for part in self.middle.values():
            x = part["1"](part["0"](x, embedding), embedding)
        for part in reversed(self.up.values()):
            x = part["0"](part["doubling"](x) + beside.pop(), embedding)
        return self.head(F.silu(self.norm(x)))

    def forward(self, x, level):
        """E(x, level) of n examples at n noise levels."""
        column = level[:, None, None, None]
        size = (column.square() + cases.DATA_STD**2).sqrt()
        u = x / size
        residual = (column * u - cases.DATA_STD * self.image_to_image(u, level)) / size
        return residual.square().flatten(1).sum(1) / 2


def make_network(case, weights):
    network = UNet(case.shape[2], case.width)
    # Layers cannot be called `half` and `double`, which are methods of nn.Module.
    tensors = {
        name.replace(".half.", ".halving.").replace(".double.", ".doubling."): tensor
        for name, tensor in load_file(weights).items()
    }
    network.load_state_dict(tensors)
    return network


def evaluate(case, weights, x, level):
    """As torch_side.evaluate, at one noise level."""
    network = make_network(case, weights)
    chains = torch.from_numpy(x).permute(0, 3, 1, 2).contiguous().requires_grad_(True)
    energies = network(chains, torch.full((len(x),), level))
    (gradient,) = torch.autograd.grad(energies.sum(), chains)
    return energies.detach().numpy(), gradient.permute(0, 2, 3, 1).numpy()


# ---- the loss ----


def gradient_eager(network, x, level):
    x = x.requires_grad_(True)
    return torch.autograd.grad(network(x, level).sum(), x, create_graph=True)[0]


def gradient_functional(network, x, level):
    """The same in a form that can be compiled with what is made of it."""
    return torch.func.grad(lambda x: network(x, level).sum())(x)


def make_loss(network, gradient):
    def loss(example, noise, level):
        column = level[:, None, None, None]
        x = example + column * noise
        denoised = x - column.square() * gradient(network, x, level)
        error = (denoised - example).square().flatten(1).mean(1)
        return (error * (1 / level.square() + 1 / cases.DATA_STD**2)).mean()

    return loss


class Training:
    def __init__(self, name, case, weights, images):
        torch._dynamo.reset()
        self.name, self.batch = name, case.chains
        last = name.endswith("channels_last")
        self.memory_format = torch.channels_last if last else torch.contiguous_format
        self.network = make_network(case, weights).to(memory_format=self.memory_format)
        if name.startswith("compiled"):
            self.loss = torch.compile(make_loss(self.network, gradient_functional), dynamic=False)
        else:
            self.loss = make_loss(self.network, gradient_eager)
        self.parameters = list(self.network.parameters())
        self.average = [parameter.detach().clone() for parameter in self.parameters]
        self.optimiser = torch.optim.Adam(
            self.parameters, lr=cases.LEARNING_RATE, betas=(0.0, 0.999), fused=True
        )
        self.images = torch.from_numpy(np.load(images)).unsqueeze(1)

    def draw(self):
        """Examples with a little noise, the noise and its levels."""
        example = self.images[torch.randint(len(self.images), (self.batch,))].float().div_(255)
        example.add_(torch.randn_like(example), alpha=cases.DATA_NOISE)
        example = example.contiguous(memory_format=self.memory_format)
        level = torch.exp(cases.LOG_LEVEL_MEAN + cases.LOG_LEVEL_STD * torch.randn(self.batch))
        return example, torch.randn_like(example), level.clamp_(cases.LEVEL_LOW, cases.LEVEL_HIGH)

    def gradient(self):
        """The parameters' gradient at draws that are the same for all, as one NumPy vector."""
        torch.manual_seed(1)
        self.optimiser.zero_grad()
        self.loss(*self.draw()).backward()
        return torch.cat([parameter.grad.flatten() for parameter in self.parameters]).numpy()

    def update(self):
        loss = self.loss(*self.draw())
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, cases.GRADIENT_NORM_MAX)
        self.optimiser.step()
        with torch.no_grad():
            torch._foreach_lerp_(self.average, self.parameters, 1 - cases.AVERAGE_DECAY)

    def update_s(self):
        start_s = time.perf_counter()
        self.update()
        return time.perf_counter() - start_s

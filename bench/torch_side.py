# SPDX-License-Identifier: Apache-2.0
"""PyTorch: the networks, and the ways in which a good user would run the same chains.

A configuration is an `advance(x, steps, step_size, noise_std)` that gives new chains. Step and noise
are arguments so that the code which is timed can also be checked, without noise.
"""

import copy
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn

import cases
from basin_side import high_water_mib

version = torch.__version__


def start(threads):
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    torch._logging.set_logs(all=logging.ERROR)


class Conv(nn.Module):
    """The seed network: `conv.0`, `conv.2`, `conv.4`, `conv.6`, `fc.2`."""

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


class Mlp(nn.Module):
    """`layers.0`, `layers.2`, `layers.4`, on points that lie as images of one pixel."""

    def __init__(self, inputs, width):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(inputs, width),
            nn.SiLU(),
            nn.Linear(width, width),
            nn.SiLU(),
            nn.Linear(width, 1),
        )

    def forward(self, x):
        return self.layers(x).squeeze(-1)


def make_network(case, weights):
    make = Mlp if case.network == "mlp" else Conv
    network = make(case.shape[2], case.width)
    network.load_state_dict(load_file(weights))
    return network


def frozen(network, memory_format=torch.contiguous_format):
    return copy.deepcopy(network).requires_grad_(False).to(memory_format=memory_format)


# ---- the step ----


def eager(energy):
    """Autograd at each step, the update in place."""

    def advance(x, steps, step_size, noise_std):
        x = x.clone()
        for _ in range(steps):
            x.requires_grad_(True)
            (gradient,) = torch.autograd.grad(energy(x).sum(), x)
            x = x.detach()
            x.add_(gradient.clamp_(-cases.CLIP, cases.CLIP), alpha=-step_size)
            x.add_(torch.randn_like(x), alpha=noise_std).clamp_(0, 1)
        return x

    return advance


def compiled(energy, steps_in_graph):
    """Gradient and update of one or several steps as one compiled function."""
    gradient = torch.func.grad(lambda x: energy(x).sum())

    def walk(x, step_size, noise_std):
        for _ in range(steps_in_graph):
            clipped = gradient(x).clamp(-cases.CLIP, cases.CLIP)
            x = (x - step_size * clipped + noise_std * torch.randn_like(x)).clamp(0, 1)
        return x

    walk = torch.compile(walk, dynamic=False)

    def advance(x, steps, step_size, noise_std):
        # Tensors: a number would be compiled in.
        step_size, noise_std = torch.tensor(step_size), torch.tensor(noise_std)
        for _ in range(0, steps, steps_in_graph):
            x = walk(x, step_size, noise_std)
        return x

    return advance


def has_bf16():
    """Whether the processor computes in bfloat16; where not, PyTorch takes thirty times as long."""
    return "bf16" in Path("/proc/cpuinfo").read_text(encoding="utf-8")


def in_bf16(energy):
    def evaluate(x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return energy(x)

    return evaluate


# ---- configurations ----


@dataclass
class Configuration:
    name: str
    advance: Callable
    memory_format: torch.memory_format = torch.contiguous_format
    precision: str = "fp32"
    program: str = "PyTorch"

    def tensor(self, x):
        """Chains [n, height, width, channels] of NumPy; points become [n, dimension]."""
        x = torch.from_numpy(x)
        if x.shape[1] == x.shape[2] == 1:
            return x.flatten(1).clone()
        return x.permute(0, 3, 1, 2).contiguous(memory_format=self.memory_format)

    def walk(self, x, steps, step_size):
        """As Energy.walk of Basin."""
        end = self.advance(self.tensor(x), steps, step_size, 0.0)
        end = end if end.dim() == 2 else end.permute(0, 2, 3, 1)
        return end.reshape(x.shape).numpy()

    def time_ms(self, x, steps):
        """Milliseconds a step of the second of two equal runs."""
        x = self.advance(self.tensor(x), steps, cases.STEP_SIZE, cases.NOISE_STD)
        start_s = time.perf_counter()
        self.advance(x, steps, cases.STEP_SIZE, cases.NOISE_STD)
        return 1e3 * (time.perf_counter() - start_s) / steps


def conv_configurations(case, weights):
    # Graphs of earlier cases would make shapes dynamic and count against the recompilation limit.
    torch._dynamo.reset()
    last = torch.channels_last
    network = make_network(case, weights)
    still = frozen(network)
    still_last = frozen(network, last)
    ten = cases.STEPS_IN_GRAPH
    chosen = [
        Configuration("eager", eager(network)),
        Configuration("eager, frozen", eager(still)),
        Configuration("eager, frozen, channels_last", eager(still_last), last),
        Configuration("compiled network", eager(torch.compile(still_last, dynamic=False)), last),
        Configuration("compiled step", compiled(still_last, 1), last),
        Configuration("compiled, ten steps in a graph", compiled(still_last, ten), last),
    ]
    if has_bf16():
        half, compiled_half = in_bf16(still_last), compiled(in_bf16(still_last), ten)
        chosen += [
            Configuration("eager, bf16 autocast", eager(half), last, "bf16"),
            Configuration("compiled, ten steps, bf16 autocast", compiled_half, last, "bf16"),
        ]
    return chosen


def mlp_configurations(case, weights):
    torch._dynamo.reset()
    network = frozen(make_network(case, weights))
    ten = cases.STEPS_IN_GRAPH
    return [
        Configuration("eager, frozen", eager(network)),
        Configuration("compiled, ten steps in a graph", compiled(network, ten)),
    ]


def configurations(case, weights):
    make = mlp_configurations if case.network == "mlp" else conv_configurations
    return make(case, weights)


def evaluate(case, weights, x):
    """Energies and dE/dx of examples x [n, height, width, channels], as NumPy arrays."""
    network = make_network(case, weights)
    chains = Configuration("eager", eager(network)).tensor(x).requires_grad_(True)
    energies = network(chains)
    (gradient,) = torch.autograd.grad(energies.sum(), chains)
    gradient = gradient if gradient.dim() == 2 else gradient.permute(0, 2, 3, 1)
    return energies.detach().numpy(), gradient.reshape(x.shape).numpy()


# ---- training ----

TRAINING_CONFIGURATIONS = (
    "eager",
    "eager, frozen, channels_last",
    "compiled, ten steps in a graph",
)


class Training:
    """Contrastive divergence with a replay buffer, as Basin's default recipe has it."""

    def __init__(self, name, case, weights, images):
        torch._dynamo.reset()
        self.name, self.steps, self.is_frozen = name, case.steps, name != "eager"
        self.memory_format = torch.channels_last if self.is_frozen else torch.contiguous_format
        self.network = make_network(case, weights).to(memory_format=self.memory_format)
        self.loss_network, self.advance = self.network, eager(self.network)
        if name.startswith("compiled"):
            self.loss_network = torch.compile(self.network, dynamic=False)
            self.advance = compiled(self.network, cases.STEPS_IN_GRAPH)
        self.parameters = list(self.network.parameters())
        self.average = [parameter.detach().clone() for parameter in self.parameters]
        self.optimiser = torch.optim.Adam(
            self.parameters, lr=cases.LEARNING_RATE, betas=(0.0, 0.999)
        )
        self.images = torch.from_numpy(np.load(images)).unsqueeze(1)
        self.buffer = torch.rand(cases.BUFFER_SIZE, *self.images.shape[1:])

    def walk_chains(self, x, steps, step_size, noise_std):
        self.network.requires_grad_(not self.is_frozen)
        x = self.advance(x, steps, step_size, noise_std)
        self.network.requires_grad_(True)
        return x

    def configuration(self):
        return Configuration(self.name, self.walk_chains, self.memory_format)

    def draw_data(self):
        data = self.images[torch.randint(len(self.images), (cases.BATCH,))].float().div_(255)
        data.add_(torch.randn_like(data), alpha=cases.DATA_NOISE)
        return data.contiguous(memory_format=self.memory_format)

    def draw_starts(self, slots):
        starts = self.buffer[slots]
        is_fresh = torch.rand(cases.BATCH) < cases.RESTART_PROBABILITY
        starts[is_fresh] = torch.rand_like(starts[is_fresh])
        return starts.contiguous(memory_format=self.memory_format)

    def update(self):
        slots = torch.randint(len(self.buffer), (cases.BATCH,))
        starts = self.draw_starts(slots)
        chains = self.walk_chains(starts, self.steps, cases.STEP_SIZE, cases.NOISE_STD)
        energies = self.loss_network(torch.cat([self.draw_data(), chains]))
        energy_data, energy_negative = energies.chunk(2)
        squares = energy_data.square() + energy_negative.square()
        loss = (energy_data - energy_negative + cases.ALPHA * squares).mean()
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, cases.GRADIENT_NORM_MAX)
        self.optimiser.step()
        with torch.no_grad():
            torch._foreach_lerp_(self.average, self.parameters, 1 - cases.AVERAGE_DECAY)
        self.buffer[slots] = chains

    def update_s(self):
        start_s = time.perf_counter()
        self.update()
        return time.perf_counter() - start_s


def training_memory(name, case, weights, images, updates, threads, answer):
    """Run in a process of its own: send its largest resident memory after so many updates.

    Without a name nothing is trained, and what remains is PyTorch itself.
    """
    start(threads)
    if name is not None:
        training = Training(name, case, weights, images)
        for _ in range(updates):
            training.update()
    answer.send(high_water_mib("self"))

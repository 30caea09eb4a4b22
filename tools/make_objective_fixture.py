#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Losses and their gradients as PyTorch computes them, for the tests to compare with.

    pip install torch safetensors
    python3 tools/make_objective_fixture.py tests/data/objective_fixture.safetensors

Small networks from a fixed seed; each objective is written here from its formula, on float64, with
automatic derivatives to x where it has any (differentiated again to the parameters). What is given
to both sides, parameters and sources, is rounded to float32 first.

Examples, noise and directions are flat, in Basin's order: height, width, channels.

Tensors of each case of CASES, with its name and a dot before:

    parameter.layers.0.weight ...   float32, in the shapes of a state_dict
    source.data ...                 float32, [batch, numbers an example]; fitted: [numbers]
    loss                            float64, [batch]
    grad.layers.0.weight ...        float64, gradients of the mean of the loss over the batch
"""

import math
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

BATCH = 5
ACTIVATIONS = {"silu": F.silu, "softplus": F.softplus, "tanh": torch.tanh}


def rounded(x):
    return x.float().double()


class Parameters(dict):
    """Made when first asked for: uniform, of twice PyTorch's size, so that activations are bent."""

    def ask(self, name, shape, fan_in):
        if name not in self:
            start = 2 * (2 * torch.rand(shape) - 1) / math.sqrt(fan_in)
            self[name] = rounded(start).requires_grad_(True)
        return self[name]

    def linear(self, name, x, outputs):
        inputs = x.shape[1]
        weight = self.ask(f"{name}.weight", (outputs, inputs), inputs)
        return x @ weight.T + self.ask(f"{name}.bias", (outputs,), inputs)

    def conv(self, name, x, outputs, kernel, stride, padding):
        inputs = x.shape[1]
        fan_in = inputs * kernel * kernel
        weight = self.ask(f"{name}.weight", (outputs, inputs, kernel, kernel), fan_in)
        bias = self.ask(f"{name}.bias", (outputs,), fan_in)
        return F.conv2d(x, weight, bias, stride, padding)


def condition_embedding(net, level, label):
    """Of noise level and class, whichever the network takes; None: neither."""
    total = None
    if level is not None:
        hidden = net.p.linear("embedding.noise.0", torch.log(level) / 4, 8)
        total = net.p.linear("embedding.noise.2", net.act(hidden), 8)
    if net.classes:
        if label is None:
            label = torch.full((BATCH, 1), net.classes)
        table = net.p.ask("embedding.class.weight", (net.classes + 1, 8), 1)
        row = table[label[:, 0].long()]
        total = row if total is None else total + row
    return None if total is None else net.act(total)


def denoiser_energy(form, s, x, level, network):
    """E(x, level) of a network of u = x / sqrt(level^2 + s^2), in the forms of energy/denoiser.h."""
    variance = level**2 + s**2
    u = x / variance.sqrt()
    f = network(u)
    if form == "residual":
        denoised = s**2 / variance * x + level * s / variance.sqrt() * f
        return 0.5 * ((x - denoised) / level).square().sum(1)
    part = {
        "inner": lambda: (u * f).sum(1),
        "norm": lambda: 0.5 * f.square().sum(1),
        "scalar": lambda: f[:, 0],
    }[form]()
    return 0.5 * u.square().sum(1) + s / level[:, 0] * part


class Mlp:
    """Basin's network mlp, plain or with a noise level and a class."""

    def __init__(self, size, activation="silu", form=None, data_std=1.0, classes=0, hidden=(12, 8)):
        self.size, self.act, self.form = size, ACTIVATIONS[activation], form
        self.data_std, self.classes, self.hidden = data_std, classes, hidden
        self.p = Parameters()

    def embedding(self, level, label):
        return condition_embedding(self, level, label)

    def layers(self, x, outputs, embedding):
        for i, width in enumerate(self.hidden):
            x = self.p.linear(f"layers.{2 * i}", x, width)
            if embedding is not None:
                x = x + self.p.linear(f"conditions.{2 * i}", embedding, width)
            x = self.act(x)
        return self.p.linear(f"layers.{2 * len(self.hidden)}", x, outputs)

    def __call__(self, x, level=None, label=None):
        embedding = self.embedding(level, label)
        if level is None:
            return self.layers(x, 1, embedding)[:, 0]
        outputs = 1 if self.form == "scalar" else self.size
        network = lambda u: self.layers(u, outputs, embedding)
        return denoiser_energy(self.form, self.data_std, x, level, network)


class Conv:
    """Basin's network conv of width 2."""

    def __init__(self, height, width, channels):
        self.shape, self.size = (height, width, channels), height * width * channels
        self.classes, self.p = 0, Parameters()

    def __call__(self, x, level=None, label=None):
        x = x.reshape(-1, *self.shape).permute(0, 3, 1, 2)
        for i, (outputs, kernel, stride) in enumerate([(2, 3, 1), (2, 4, 2), (4, 3, 1), (4, 4, 2)]):
            x = F.silu(self.p.conv(f"conv.{2 * i}", x, outputs, kernel, stride, 1))
        return self.p.linear("fc.2", x.mean((2, 3)), 1)[:, 0]


class Unet:
    """Basin's network unet of two levels, 6 and 8 channels wide."""

    WIDTHS = (6, 8)

    def __init__(self, height, width, channels, form="residual", stem=2, norm=0, attention=(),
                 classes=0, activation="silu", logits=0):
        self.logits = logits
        self.shape, self.size = (height, width, channels), height * width * channels
        self.form, self.stem, self.norm, self.attention = form, stem, norm, attention
        self.classes, self.data_std, self.act = classes, 0.5, ACTIVATIONS[activation]
        self.p = Parameters()

    def group_norm(self, name, x):
        if not self.norm:
            return x
        channels = x.shape[1]
        weight = self.p.ask(f"{name}.weight", (channels,), 4)
        return F.group_norm(x, self.norm, weight, self.p.ask(f"{name}.bias", (channels,), 4))

    def attend(self, name, x):
        n, c, h, w = x.shape
        qkv = self.p.conv(f"{name}.qkv", self.group_norm(f"{name}.norm", x), 3 * c, 1, 1, 0)
        q, k, v = (part.reshape(n, 2, c // 2, h * w).transpose(2, 3) for part in qkv.chunk(3, 1))
        weights = torch.softmax(q @ k.transpose(2, 3) / math.sqrt(c // 2), dim=3)
        y = (weights @ v).transpose(2, 3).reshape(n, c, h, w)
        return x + self.p.conv(f"{name}.proj", y, c, 1, 1, 0)

    def block(self, name, level, x):
        h = self.act(self.group_norm(f"{name}.norm.0", x))
        h = self.p.conv(f"{name}.0", h, x.shape[1], 3, 1, 1)
        h = h + self.p.linear(f"{name}.condition", self.embedding, x.shape[1])[:, :, None, None]
        h = self.act(self.group_norm(f"{name}.norm.1", h))
        x = x + self.p.conv(f"{name}.1", h, x.shape[1], 3, 1, 1)
        return self.attend(f"{name}.attention", x) if level in self.attention else x

    def up(self, name, x, outputs):
        inputs = x.shape[1]
        weight = self.p.ask(f"{name}.weight", (inputs, outputs, 4, 4), 4 * inputs)
        bias = self.p.ask(f"{name}.bias", (outputs,), 4 * inputs)
        return F.conv_transpose2d(x, weight, bias, 2, 1)

    def network(self, u):
        x = u.reshape(-1, *self.shape).permute(0, 3, 1, 2)
        image = x.shape[1]
        x = self.p.conv("stem", x, self.WIDTHS[0], 4 if self.stem == 2 else 3, self.stem, 1)
        beside = x = self.block("down.0.0", 0, x)
        x = self.p.conv("down.0.half", x, self.WIDTHS[1], 4, 2, 1)
        x = self.block("middle.1.1", 1, self.block("middle.1.0", 1, x))
        if self.logits:
            mean = self.act(self.group_norm("logits.norm", x)).mean((2, 3))
            self.log_p = F.log_softmax(self.p.linear("logits", mean, self.logits), dim=1)
        x = self.block("up.0.0", 0, self.up("up.0.double", x, self.WIDTHS[0]) + beside)
        x = self.act(self.group_norm("norm", x))
        if self.form == "scalar":
            return self.p.linear("head", x.sum((2, 3)), 1)
        x = self.up("head", x, image) if self.stem == 2 else self.p.conv("head", x, image, 3, 1, 1)
        return x.permute(0, 2, 3, 1).reshape(BATCH, -1)

    def __call__(self, x, level, label=None):
        self.embedding = condition_embedding(self, level, label)
        energy = denoiser_energy(self.form, self.data_std, x, level, self.network)
        if not self.logits or label is None:
            return energy
        hot = F.one_hot(label[:, 0].long(), self.logits + 1)[:, : self.logits]
        return energy - (hot * self.log_p).sum(1)


class Sources(dict):
    """Random numbers by the names that the loss has for them."""

    def normal(self, name, count):
        return self.keep(name, torch.randn(BATCH, count))

    def uniform(self, name, count):
        return self.keep(name, torch.rand(BATCH, count))

    def keep(self, name, numbers):
        if name not in self:
            self[name] = rounded(numbers)
        return self[name]

    def copies(self, name, count, size):
        return self.normal(name, count * size).reshape(BATCH, count, size).unbind(1)


def gradient(energy, x):
    return torch.autograd.grad(energy.sum(), x, create_graph=True)[0]


def label_of(net, s):
    if not net.classes:
        return None
    return s.keep("label", torch.randint(0, net.classes, (BATCH, 1)).double())


# ---- the objectives ----


def cd(net, s, x, alpha=0.1):
    low, high = net(x), net(s.normal("negative", net.size))
    return low - high + alpha * (low**2 + high**2)


def score_matching(net, s, x):
    x = x.requires_grad_(True)
    g = gradient(net(x), x)
    laplacian = sum(gradient(g[:, i], x)[:, i] for i in range(net.size))
    return 0.5 * g.square().sum(1) - laplacian


def sliced(net, s, x, directions=1, distribution="sign", reduced=False):
    x = x.requires_grad_(True)
    label = label_of(net, s)
    if distribution == "sign":
        s.keep("direction", torch.randint(0, 2, (BATCH, directions * net.size)) * 2.0 - 1.0)
    g = gradient(net(x, label=label), x)
    total = 0
    for v in s.copies("direction", directions, net.size):
        if distribution == "sphere":
            v = v / v.norm(dim=1, keepdim=True) * math.sqrt(net.size)
        along = (g * v).sum(1)
        curvature = (gradient(along, x) * v).sum(1)
        half = g.square().sum(1) if reduced else along**2
        total = total + 0.5 * half - curvature
    return total / directions


def dsm(net, s, x, level=0.1):
    label = label_of(net, s)
    noisy = (x + level * s.normal("noise", net.size)).requires_grad_(True)
    g = gradient(net(noisy, label=label), noisy)
    return 0.5 * level**2 * (g - (noisy.detach() - x) / level**2).square().sum(1)


def discrepancy(net, s, x, std=0.3, copies=16, stabiliser=1.0):
    common = s.normal("noise", net.size)
    differences = [
        net(x) - net(x + std * common + std * back) for back in s.copies("back", copies, net.size)
    ]
    return torch.log(stabiliser / copies + torch.stack(differences).exp().mean(0))


def nce(net, s, x, ratio=4, components=1, full=True):
    """The noise by torch.distributions; what is fitted in Basin is drawn here."""
    k, d, label = components, net.size, label_of(net, s)
    mean = rounded(torch.randn(k, d))
    weights = torch.softmax(torch.randn(k), 0)
    if full:
        factor = rounded(torch.tril(0.3 * torch.randn(k, d, d), -1))
        factor = factor + torch.diag_embed(rounded(0.5 + torch.rand(k, d)))
        inverse = torch.linalg.inv(factor)
        parts = torch.distributions.MultivariateNormal(mean, scale_tril=factor)
        log_det = factor.diagonal(dim1=1, dim2=2).log().sum(1)
        s.keep("noise.whitened", (inverse @ mean[:, :, None]).reshape(-1))
    else:
        factor = rounded(0.5 + torch.rand(k, d))
        inverse = 1 / factor
        parts = torch.distributions.Independent(torch.distributions.Normal(mean, factor), 1)
        log_det = factor.log().sum(1)
    mixed = torch.distributions.MixtureSameFamily(torch.distributions.Categorical(weights), parts)
    below = torch.cumsum(weights, 0) - weights
    s.keep("noise.mean", mean.reshape(-1))
    s.keep("noise.factor", factor.reshape(-1))
    s.keep("noise.inverse", inverse.reshape(-1))
    s.keep("noise.constant", weights.log() - log_det - 0.5 * d * math.log(2 * math.pi))
    chosen = torch.zeros(BATCH, ratio, dtype=torch.long)
    if k > 1:
        s.keep("noise.below", torch.cat([torch.tensor([-1.0]), below[1:]]))
        s.keep("noise.above", torch.cat([below[1:], torch.tensor([2.0])]))
        chosen = torch.bucketize(s.uniform("component", ratio), rounded(below[1:]))
    loss = F.softplus(net(x, label=label) + mixed.log_prob(x) + math.log(ratio))
    for i, z in enumerate(s.copies("noise", ratio, d)):
        c = chosen[:, i]
        scaled = (factor[c] @ z[:, :, None])[:, :, 0] if full else factor[c] * z
        y = mean[c] + scaled
        log_ratio = -net(y, label=label) - mixed.log_prob(y) - math.log(ratio)
        loss = loss + F.softplus(log_ratio)
    return loss


def conditional_nce(net, s, x, std=0.3, copies=4, absolute=False):
    if not absolute:
        std = s.keep("contrast_std", torch.tensor([0.71]))
    terms = [F.softplus(net(x) - net(x + std * n)) for n in s.copies("noise", copies, net.size)]
    return torch.stack(terms).mean(0)


def denoiser(net, x, level, label):
    x = x.detach().requires_grad_(True)
    return x - level**2 * gradient(net(x, level, label), x)


def diffusion(net, s, x, low=0.01, high=20.0):
    """Log-normal levels, EDM's weight, no class."""
    level = torch.exp(-1.2 + 1.2 * s.normal("level", 1)).clamp(low, high)
    error = denoiser(net, x + level * s.normal("noise", net.size), level, None) - x
    weight = (level**2 + net.data_std**2) / (level * net.data_std) ** 2
    return weight[:, 0] * error.square().mean(1)


def flow(net, s, x, distribution="uniform", low=0.01, high=0.98, mean=0.0, std=1.0):
    """By velocities, as it is taught."""
    if distribution == "uniform":
        t = low + (high - low) * s.uniform("time", 1)
    else:
        t = torch.sigmoid(mean + std * s.normal("time", 1)).clamp(low, high)
    n = s.normal("noise", net.size)
    state = (1 - t) * x + t * n
    velocity = (state - denoiser(net, state / (1 - t), t / (1 - t), label_of(net, s))) / t
    return (velocity - (n - x)).square().mean(1)


def joint(net, s, x, weight=0.5, dropout=0.4):
    """Denoising of a joint energy, and the cross-entropy of its classes."""
    level = torch.exp(-1.2 + 1.2 * s.normal("level", 1)).clamp(0.01, 20.0)
    noisy = x + level * s.normal("noise", net.size)
    label = s.keep("label", torch.randint(0, net.logits, (BATCH, 1)).double())
    none = torch.full_like(label, net.logits)
    given = torch.where(s.uniform("dropout", 1) <= dropout, none, label)
    error = denoiser(net, noisy, level, given) - x
    cross_entropy = -net.log_p.gather(1, label.long())[:, 0]
    scale = (level**2 + net.data_std**2) / (level * net.data_std) ** 2
    return scale[:, 0] * error.square().mean(1) + weight * cross_entropy


def geometric(low, high, count):
    return high * (low / high) ** (torch.arange(count) / (count - 1))


def karras(low, high, count, rho=7):
    share = torch.arange(count) / (count - 1)
    return (high ** (1 / rho) + share * (low ** (1 / rho) - high ** (1 / rho))) ** rho


def recovery(net, s, x, levels=None, alpha=0.01, power=0.0):
    """Chains end anywhere: their ends are given. What binds them is made of the other sources."""
    levels = geometric(0.05, 10, 10) if levels is None else levels
    gaps = (levels[:-1] ** 2 - levels[1:] ** 2).sqrt()
    drawn = (s.uniform("level", 1) * len(gaps)).long()
    level, gap = s.keep("sigma", levels[1:][drawn]), s.keep("anchor_std", gaps[drawn])
    label = label_of(net, s)
    if label is not None:
        s.keep("negative_label", torch.randint(0, net.classes + 1, (BATCH, 1)).double())
        label = s["negative_label"]
    noisy = x + level * s.normal("noise", net.size)
    s.keep("anchor", noisy + gap * s.normal("step", net.size))
    low, high = net(noisy, level, label), net(s.normal("negative", net.size), level, label)
    weight = (gap[:, 0] / gaps[-1]) ** power
    return weight * (low - high + alpha * (low**2 + high**2))


CASES = {
    "cd": lambda: (Mlp(2), cd, {}),
    "score": lambda: (Mlp(2), score_matching, {}),
    "score_softplus": lambda: (Mlp(3, "softplus"), score_matching, {}),
    "score_conv": lambda: (Conv(4, 4, 2), score_matching, {}),
    "sliced": lambda: (Mlp(2), sliced, {}),
    "sliced_gaussian": lambda: (
        Mlp(3, "tanh", classes=3),
        sliced,
        {"directions": 2, "distribution": "gaussian"},
    ),
    "sliced_reduced": lambda: (Mlp(3, "softplus"), sliced, {"directions": 3, "reduced": True}),
    "sliced_sphere": lambda: (Mlp(4), sliced, {"distribution": "sphere", "reduced": True}),
    "sliced_conv": lambda: (Conv(6, 8, 2), sliced, {"directions": 2, "distribution": "gaussian"}),
    "denoising": lambda: (Mlp(2, classes=2), dsm, {}),
    "denoising_softplus": lambda: (Mlp(3, "softplus"), dsm, {"level": 0.5}),
    "denoising_conv": lambda: (Conv(6, 8, 2), dsm, {"level": 0.5}),
    "discrepancy": lambda: (Mlp(2), discrepancy, {}),
    "discrepancy_bare": lambda: (
        Mlp(3, "softplus"),
        discrepancy,
        {"std": 1.0, "copies": 3, "stabiliser": 0.0},
    ),
    "discrepancy_conv": lambda: (Conv(4, 4, 2), discrepancy, {"copies": 2, "stabiliser": 2.0}),
    "nce": lambda: (Mlp(2), nce, {}),
    "nce_mixture": lambda: (Mlp(3, "softplus"), nce, {"ratio": 3, "components": 4}),
    "nce_diagonal": lambda: (
        Mlp(2, classes=2),
        nce,
        {"ratio": 2, "components": 3, "full": False},
    ),
    "nce_conv": lambda: (Conv(4, 4, 2), nce, {"ratio": 1}),
    "conditional": lambda: (Mlp(2), conditional_nce, {}),
    "conditional_absolute": lambda: (
        Conv(4, 4, 2),
        conditional_nce,
        {"std": 0.5, "copies": 2, "absolute": True},
    ),
    "diffusion_residual": lambda: (Mlp(2, form="residual", data_std=0.7), diffusion, {}),
    "diffusion_inner": lambda: (Mlp(2, "softplus", form="inner"), diffusion, {}),
    "diffusion_norm": lambda: (Mlp(2, form="norm", data_std=1.5), diffusion, {}),
    "diffusion_scalar": lambda: (Mlp(3, "tanh", form="scalar"), diffusion, {}),
    "flow_residual": lambda: (Mlp(2, form="residual", classes=2), flow, {}),
    "flow_inner": lambda: (
        Mlp(3, "softplus", form="inner"),
        flow,
        {"distribution": "logit-normal", "mean": -0.5, "std": 0.8},
    ),
    "flow_norm": lambda: (Mlp(2, form="norm"), flow, {"low": 0.1, "high": 0.9}),
    "flow_scalar": lambda: (Mlp(2, form="scalar", data_std=0.6), flow, {}),
    "unet": lambda: (Unet(8, 8, 1), diffusion, {}),
    "unet_norm": lambda: (Unet(8, 4, 2, norm=2), diffusion, {}),
    "unet_attention": lambda: (Unet(4, 4, 1, norm=2, attention=(1,), stem=1), diffusion, {}),
    "unet_inner": lambda: (Unet(4, 8, 1, form="inner", classes=3), flow, {}),
    "unet_norm2": lambda: (Unet(4, 4, 3, form="norm", activation="softplus"), diffusion, {}),
    "unet_scalar": lambda: (Unet(8, 8, 1, form="scalar", norm=2), diffusion, {}),
    "unet_logits": lambda: (Unet(4, 8, 1, norm=2, logits=3), joint, {}),
    "recovery": lambda: (Mlp(2, form="residual"), recovery, {}),
    "recovery_weighted": lambda: (
        Mlp(3, "softplus", form="scalar", classes=2),
        recovery,
        {"levels": karras(0.2, 4, 4), "alpha": 0.2, "power": 1.5},
    ),
}


def record(name, case):
    net, objective, options = case
    s = Sources()
    x = s.normal("data", net.size)
    loss = objective(net, s, x.detach().clone(), **options)
    names = list(net.p)
    grads = torch.autograd.grad(loss.mean(), [net.p[n] for n in names], allow_unused=True)
    tensors = {f"parameter.{n}": net.p[n].detach().float() for n in names}
    tensors.update({f"source.{n}": numbers.detach().float() for n, numbers in s.items()})
    for n, grad in zip(names, grads):
        tensors[f"grad.{n}"] = torch.zeros_like(net.p[n]) if grad is None else grad
    tensors["loss"] = loss.detach()
    return {f"{name}.{key}": value.contiguous() for key, value in tensors.items()}


def main():
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} FILE.safetensors")
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    tensors = {}
    for i, (name, case) in enumerate(CASES.items()):
        torch.manual_seed(100 + i)
        tensors.update(record(name, case()))
    save_file(tensors, sys.argv[1], metadata={"made_by": f"PyTorch {torch.__version__}, float64"})


if __name__ == "__main__":
    main()

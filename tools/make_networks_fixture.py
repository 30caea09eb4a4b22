#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Residual networks, and improved contrastive divergence, as PyTorch computes them.

    pip install torch safetensors
    python3 tools/make_networks_fixture.py tests/data/networks_fixture.safetensors

In float64, from fixed seeds. Networks (CASES), three examples each; of each, with its name and a
dot before:

    parameter.conv1.weight ...  f32, under the names and in the shapes of a state_dict; spectral
                                norm's vectors "conv1.u" among them
    x                           f32 [N, H, W, C], the examples
    label                       f32 [N], of networks that take a class
    energy                      f64 [N]
    logits                      f64 [N, K], of networks that give them
    input_grad                  f64 [N, H, W, C], dE/dx of each example
    grad.conv1.weight ...       f64, gradients of the sum of E

Losses of improved contrastive divergence (LOSSES), of four examples:

    parameter. ...              as above
    source.data ...             f32, what the loss is made from, by the names it has for them
    loss                        f64 [N]
    grad. ...                   f64, gradients of the mean loss
"""

import sys

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

EXAMPLES = 3
ACTIVATIONS = {
    "silu": F.silu,
    "softplus": F.softplus,
    "leaky-relu": lambda x: F.leaky_relu(x, 0.2),
}


class Spectral(nn.Module):
    """A layer whose weight is divided by its largest singular value, from a given vector u."""

    def __init__(self, layer, is_normed):
        super().__init__()
        self.layer, self.is_normed = layer, is_normed
        self.u = F.normalize(torch.randn(layer.weight.shape[0]), dim=0)

    def weight(self):
        weight = self.layer.weight
        if not self.is_normed:
            return weight
        matrix = weight.flatten(1)
        v = F.normalize(matrix.T @ self.u, dim=0).detach()
        return weight / (self.u @ matrix @ v)

    def forward(self, x):
        layer, weight = self.layer, self.weight()
        if isinstance(layer, nn.Linear):
            return F.linear(x, weight, layer.bias)
        return F.conv2d(x, weight, layer.bias, layer.stride, layer.padding)


class ResidualBlock(nn.Module):
    def __init__(self, inputs, outputs, halves, act, norm, classes):
        super().__init__()
        self.halves, self.act, self.outputs = halves, act, outputs
        self.conv1 = Spectral(nn.Conv2d(inputs, outputs, 3, padding=1), norm)
        self.conv2 = Spectral(nn.Conv2d(outputs, outputs, 3, padding=1), norm)
        self.skip = Spectral(nn.Conv2d(inputs, outputs, 1), norm) if inputs != outputs else None
        self.class_gain = nn.Embedding(classes + 1, 2 * outputs) if classes else None
        self.class_bias = nn.Embedding(classes + 1, 2 * outputs) if classes else None

    def modulate(self, x, label, which):
        if self.class_gain is None:
            return x
        gain = self.class_gain(label).chunk(2, 1)[which][:, :, None, None]
        return gain * x + self.class_bias(label).chunk(2, 1)[which][:, :, None, None]

    def forward(self, x, label):
        h = self.act(self.modulate(self.conv1(x), label, 0))
        h = self.modulate(self.conv2(h), label, 1)
        h = h + (x if self.skip is None else self.skip(x))
        if self.halves:
            h = F.avg_pool2d(h, 2)
        return self.act(h)


class Resnet(nn.Module):
    def __init__(self, shape, channels, blocks=2, pool="sum", activation="leaky-relu", norm=True,
                 classes=0, logits=0):
        super().__init__()
        self.shape, self.pool, self.act = shape, pool, ACTIVATIONS[activation]
        self.classes, self.outputs = classes, logits
        self.conv1 = Spectral(nn.Conv2d(shape[2], channels[0], 3, padding=1), norm)
        self.blocks, inputs = nn.ModuleList(), channels[0]
        for width in channels:
            for i in range(blocks):
                self.blocks.append(ResidualBlock(inputs, width, i == 0, self.act, norm, classes))
                inputs = width
        self.linear = Spectral(nn.Linear(inputs, logits or 1), norm)

    def forward(self, x, label):
        x = self.act(self.conv1(x))
        for block in self.blocks:
            x = block(x, label)
        x = x.sum((2, 3)) if self.pool == "sum" else x.mean((2, 3))
        return self.linear(x)


class WideBlock(nn.Module):
    def __init__(self, inputs, outputs, stride, act):
        super().__init__()
        self.act = act
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, stride=stride)
        self.shortcut = nn.Sequential()
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride=stride))

    def forward(self, x):
        return self.conv2(self.act(self.conv1(self.act(x)))) + self.shortcut(x)


class WideResnet(nn.Module):
    def __init__(self, shape, depth, widen, width, activation="leaky-relu", logits=0):
        super().__init__()
        self.shape, self.act, self.classes, self.outputs = shape, ACTIVATIONS[activation], 0, logits
        count, inputs = (depth - 4) // 6, width
        self.conv1 = nn.Conv2d(shape[2], width, 3, padding=1)
        for level in range(3):
            outputs, blocks = width * widen << level, []
            for i in range(count):
                stride = 2 if level > 0 and i == 0 else 1
                blocks.append(WideBlock(inputs, outputs, stride, self.act))
                inputs = outputs
            setattr(self, f"layer{level + 1}", nn.Sequential(*blocks))
        self.linear = nn.Linear(inputs, logits or 1)

    def forward(self, x, label):
        x = self.layer3(self.layer2(self.layer1(self.conv1(x))))
        return self.linear(self.act(x).mean((2, 3)))


class Mlp(nn.Module):
    """Basin's network mlp on points."""

    def __init__(self, size, hidden, activation="silu"):
        super().__init__()
        self.shape, self.act, self.classes, self.outputs = (1, 1, size), ACTIVATIONS[activation], 0, 0
        widths = [size, *hidden, 1]
        self.layers = nn.ModuleDict(
            {str(2 * i): nn.Linear(a, b) for i, (a, b) in enumerate(zip(widths, widths[1:]))}
        )

    def forward(self, x, label):
        x = x.flatten(1)
        for i, layer in enumerate(self.layers.values()):
            x = layer(x if i == 0 else self.act(x))
        return x


def plain(name):
    """The state_dict's name of a parameter that a Spectral holds."""
    return name.replace(".layer.", ".")


def vectors(net):
    return {f"{name}.u": m.u for name, m in net.named_modules()
            if isinstance(m, Spectral) and m.is_normed}


def start(net):
    """Numbers that fp32 holds, larger than PyTorch's start."""
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if "class_" in name:
                parameter.mul_(0.3).add_(1.0 if "gain" in name else 0.0)
            else:
                parameter.mul_(1.5)
            parameter.copy_(parameter.float())
    for module in net.modules():
        if isinstance(module, Spectral):
            module.u = module.u.float().double()


def rounded(x):
    return x.float().double()


def energy_of(net, x, label, parameters=None):
    """E of x [N, H, W, C]; with `parameters` in place of the network's own."""
    x = x.permute(0, 3, 1, 2)
    if parameters is None:
        parameters = dict(net.named_parameters())
    f = torch.func.functional_call(net, parameters, (x, label))
    if not net.outputs:
        return f[:, 0], f
    if label is None:
        return -torch.logsumexp(f, 1), f
    return -f[torch.arange(len(f)), label], f


CASES = {
    "plain": lambda: Resnet((8, 8, 1), (4, 6), norm=False, pool="mean"),
    "normed": lambda: Resnet((8, 12, 3), (4, 6), activation="silu"),
    "narrow": lambda: Resnet((4, 4, 1), (6, 6), blocks=1),
    "classes": lambda: Resnet((8, 8, 1), (4, 5), blocks=1, classes=3),
    "logits": lambda: Resnet((8, 4, 2), (4, 5), blocks=1, norm=False, activation="softplus",
                             logits=4),
    "wide": lambda: WideResnet((7, 9, 1), 10, 2, 2),
    "deep": lambda: WideResnet((8, 8, 3), 16, 1, 2, activation="silu", logits=3),
}


def parameters_of(net):
    tensors = {f"parameter.{plain(n)}": p.detach().float() for n, p in net.named_parameters()}
    tensors.update({f"parameter.{n}": u.float() for n, u in vectors(net).items()})
    return tensors


def record(net):
    start(net)
    x = rounded(torch.rand(EXAMPLES, *net.shape)).requires_grad_(True)
    label = torch.arange(EXAMPLES) % (net.classes + 1) if net.classes else None
    energy, f = energy_of(net, x, label)
    names, parameters = zip(*net.named_parameters())
    input_grad, *grads = torch.autograd.grad(energy.sum(), (x, *parameters))
    tensors = parameters_of(net)
    tensors["x"] = x.detach().float()
    if label is not None:
        tensors["label"] = label.float()
    if net.outputs:
        tensors["logits"] = f.detach()
    tensors["energy"], tensors["input_grad"] = energy.detach(), input_grad
    tensors.update({f"grad.{plain(n)}": grad for n, grad in zip(names, grads)})
    return tensors


# ---- improved contrastive divergence ----

BATCH = 4


def step(of, x, gradient, noise):
    """One Langevin step with the options that `of` gives beside Basin's own defaults."""

    def box(x):
        low, high = of["box_low"], of["box_high"]
        if of["box"] == "reflect":
            x = torch.where(x < low, 2 * low - x, torch.where(x > high, 2 * high - x, x))
        return x if of["box"] == "none" else torch.clamp(x, low, high)

    noise = of["noise_std"] * noise
    if of["noise_before"]:
        x = box(x + noise)
    g, bound = gradient(x), of["gradient_clip_value"]
    if of["gradient_clip"] == "element":
        g = torch.clamp(g, -bound, bound)
    elif of["gradient_clip"] == "norm":
        norm = g.flatten(1).norm(dim=1).reshape(-1, 1, 1, 1)
        g = g * torch.where(norm > bound, bound / norm, torch.ones_like(norm))
    x = x - of["step_size"] * g
    return box(x if of["noise_before"] else x + noise)


SAMPLER = {"step_size": 10.0, "noise_std": 0.005, "noise_before": False, "gradient_clip": "element",
           "gradient_clip_value": 0.03, "box": "clamp", "box_low": 0.0, "box_high": 1.0}


def improved_cd(net, sampler, steps=1, alpha=0.1, kl=1.0, entropy=0.3):
    of = {**SAMPLER, **sampler}
    own = dict(net.named_parameters())
    still = {name: parameter.detach() for name, parameter in own.items()}
    draw = torch.rand if of["box"] != "none" else torch.randn
    s = {"data": rounded(draw(BATCH, *net.shape)), "chain": rounded(draw(BATCH, *net.shape)),
         "chain_noise": rounded(torch.randn(BATCH, steps, *net.shape)),
         "neighbour": rounded(draw(BATCH, *net.shape))}
    labels = negative_labels = None
    if net.classes:
        labels, negative_labels = torch.arange(BATCH) % 3, torch.arange(BATCH) % 2
        s["label"], s["negative_label"] = labels.double(), negative_labels.double()

    def gradient(x):
        return torch.autograd.grad(energy_of(net, x, negative_labels)[0].sum(), x,
                                   create_graph=True)[0]

    x = s["chain"].clone().requires_grad_(True)
    for i in range(steps):
        x = step(of, x, gradient, s["chain_noise"][:, i])
    low = energy_of(net, s["data"], labels)[0]
    high = energy_of(net, x.detach(), negative_labels)[0]
    distance = (x - s["neighbour"]).flatten(1).norm(dim=1)
    kl_term = energy_of(net, x, negative_labels, still)[0] - entropy * torch.log(distance)
    return s, low - high + alpha * (low**2 + high**2) + kl * kl_term


FREE = {"gradient_clip": "none", "box": "none", "noise_std": 0.1, "step_size": 0.05}
LOSSES = {
    "points": lambda: (Mlp(2, (8, 6)), FREE, {}),
    "before": lambda: (Mlp(3, (8, 6), "softplus"), {**FREE, "noise_before": True}, {"steps": 2}),
    "image": lambda: (Resnet((4, 4, 1), (4,), blocks=1), {}, {"entropy": 0.5}),
    "element": lambda: (
        Resnet((4, 4, 2), (4,), blocks=1, activation="silu"),
        {"step_size": 2.0, "gradient_clip_value": 0.04, "noise_std": 0.1},
        {"steps": 2, "kl": 0.7},
    ),
    "norm": lambda: (
        Resnet((4, 4, 1), (4,), blocks=1, classes=3),
        {"step_size": 0.4, "gradient_clip": "norm", "gradient_clip_value": 0.3, "box": "reflect",
         "noise_std": 0.1},
        {"steps": 3, "alpha": 0.0},
    ),
}


def record_loss(net, sampler, options):
    start(net)
    sources, loss = improved_cd(net, sampler, **options)
    names, parameters = zip(*net.named_parameters())
    grads = torch.autograd.grad(loss.mean(), parameters, allow_unused=True)
    tensors = parameters_of(net)
    tensors.update({f"source.{n}": x.float() for n, x in sources.items()})
    tensors["loss"] = loss.detach()
    for name, parameter, grad in zip(names, parameters, grads):
        tensors[f"grad.{plain(name)}"] = torch.zeros_like(parameter) if grad is None else grad
    return tensors


def main():
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} FILE.safetensors")
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    tensors = {}
    for i, (name, make) in enumerate([*CASES.items(), *LOSSES.items()]):
        torch.manual_seed(300 + i)
        made = make()
        of_case = record_loss(*made) if name in LOSSES else record(made)
        tensors.update({f"{name}.{key}": value.contiguous() for key, value in of_case.items()})
    save_file(tensors, sys.argv[1], metadata={"made_by": f"PyTorch {torch.__version__}, float64"})


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Basin beside PyTorch and JAX on one processor: same networks, weights, chains and steps.

For each case both sides first compute energies, input gradients and ten steps without noise; where
they differ the case is refused, not timed. Then all programs run in turn, Basin first, for several
rounds, and medians count. See bench/README.md.
"""

import argparse
import json
import multiprocessing
import os
import platform
import sys
import tempfile
from pathlib import Path

try:
    import numpy as np

    import basin_side
    import cases
    import report
    import torch_denoise
    import torch_side
except ImportError as error:
    sys.exit(f"compare.py: {error}: pip install -r bench/requirements.txt, see bench/README.md")
from cases import Failure

# Basin's chains besides those that are compared: (name, precision, flags).
OTHER_WAYS = [
    ("exact convolution", "fp32", ["--exact-convolution"]),
    ("bf16", "bf16", ["--precision", "bf16"]),
]
MEMORY_UPDATES = 3


def tell(text):
    print(text, file=sys.stderr, flush=True)


class Comparison:
    """What all cases share; `run` gives one case's result."""

    def __init__(self, options, jax_side, folder):
        self.build, self.threads, self.rounds = options.build, options.threads, options.rounds
        self.is_quick, self.jax_side = options.quick, jax_side
        self.binary = basin_side.Binary(options.build, options.threads)
        self.weights = folder / "weights.safetensors"
        self.images = folder / "images.npy"
        self.isa = None

    def run(self, case):
        tell(f"{case.name}: compile and check")
        result = {"case": case.name, "title": case.title, "unit": report.UNITS[case.kind]}
        time_case = {
            "train": self.time_training,
            "denoise": self.time_denoising,
            "memory": self.measure_memory,
        }
        time_case.get(case.kind, self.time_chains)(case, result)
        report.finish_case(result)
        return result

    # ---- agreement ----

    def open_energy(self, case):
        """Basin's energy, whose parameters are saved for the other side."""
        energy = basin_side.Energy(self.build, self.threads, case)
        energy.save(self.weights)
        self.isa = energy.isa
        return energy

    def check(self, case, make_rivals):
        """Both sides on the same weights and examples: (agreement, rivals, rows to fill)."""
        x = np.random.default_rng(0).random((case.chains, *case.shape), dtype=np.float32)
        with self.open_energy(case) as energy:
            energies, gradient = energy.evaluate(x)
            step_size = cases.check_step_size(gradient)
            moved = energy.walk(x, cases.STEPS_IN_GRAPH, step_size) - x
        other_energies, other_gradient = torch_side.evaluate(case, self.weights, x)
        agreement = {
            "energy": cases.deviation(other_energies, energies),
            "gradient": cases.deviation(other_gradient, gradient),
        }
        for what, found in agreement.items():
            refuse_above(cases.LIMITS["fp32"], found, f"{what} of Basin and PyTorch")
        rows = [{"program": "Basin", "configuration": "", "precision": "fp32", "values": []}]
        rivals = make_rivals()
        for rival in rivals:
            found = cases.deviation(rival.walk(x, cases.STEPS_IN_GRAPH, step_size) - x, moved)
            what = f"ten steps of Basin and {rival.program}, {rival.name},"
            refuse_above(cases.LIMITS[rival.precision], found, what)
            rows.append(
                {
                    "program": rival.program,
                    "configuration": rival.name,
                    "precision": rival.precision,
                    "deviation": found,
                    "values": [],
                }
            )
        return agreement, rivals, rows

    # ---- chains ----

    def make_rivals(self, case):
        rivals = torch_side.configurations(case, self.weights)
        if case.kind == "mlp" and self.jax_side:
            rivals += self.jax_side.configurations(self.weights)
        return rivals

    def time_chains(self, case, result):
        result["agreement"], rivals, rows = self.check(case, lambda: self.make_rivals(case))
        x = np.random.default_rng(1).random((case.chains, *case.shape), dtype=np.float32)
        others = OTHER_WAYS if case.kind == "conv" else []
        other_rows = [
            {"program": "Basin", "configuration": name, "precision": precision, "values": []}
            for name, precision, _ in others
        ]
        peaks = []
        for round_number in range(self.rounds):
            tell(f"{case.name}: round {round_number + 1} of {self.rounds}")
            bench = self.binary.bench("chain", case)
            peaks.append(bench["peak_gflops"])
            rows[0]["values"].append(bench["time_ms_per_step"])
            for row, (_, _, flags) in zip(other_rows, others):
                row["values"].append(self.binary.bench("chain", case, *flags)["time_ms_per_step"])
            for row, rival in zip(rows[1:], rivals):
                row["values"].append(rival.time_ms(x, case.steps))
        rows += other_rows
        # Least disturbed where highest, as in `basin bench`.
        result.update(gflop=bench["flops_per_step"] / 1e9, peak_gflops=max(peaks), rows=rows)

    # ---- training ----

    def make_images(self):
        """Random bytes: neither speed nor memory depends on what is in the pictures."""
        shape = (cases.IMAGE_COUNT, 28, 28)
        np.save(self.images, np.random.default_rng(2).integers(256, size=shape, dtype=np.uint8))

    def time_training(self, case, result):
        self.make_images()
        trainings = []

        def make_rivals():
            for name in torch_side.TRAINING_CONFIGURATIONS:
                trainings.append(torch_side.Training(name, case, self.weights, self.images))
            return [training.configuration() for training in trainings]

        result["agreement"], _, rows = self.check(case, make_rivals)
        for training in trainings:
            training.update()  # compiles the loss
        self.time_updates(case, trainings, rows, result)

    def time_updates(self, case, trainings, rows, result):
        """Basin's updates and those of PyTorch, compiled before, in turn."""
        peaks = []
        for round_number in range(self.rounds):
            tell(f"{case.name}: round {round_number + 1} of {self.rounds}")
            bench = self.binary.bench("update", case)
            peaks.append(bench["peak_gflops"])
            rows[0]["values"].append(bench["time_s_per_update"])
            for row, training in zip(rows[1:], trainings):
                row["values"].append(training.update_s())
        gflop = bench["gflops"] * bench["time_s_per_update"]
        result.update(gflop=gflop, peak_gflops=max(peaks), rows=rows)

    # ---- denoising ----

    def check_levels(self, case):
        """Energies and input gradients of both sides on one perturbed model, at some levels."""
        x = np.random.default_rng(0).random((case.chains, *case.shape), dtype=np.float32)
        agreement = {"energy": 0.0, "gradient": 0.0}
        for level in cases.CHECK_LEVELS:
            self.open_energy(case).close()
            basin_side.perturb(self.weights, level)
            with basin_side.Energy(self.build, self.threads, case, self.weights) as energy:
                ours = energy.evaluate(x)
            others = torch_denoise.evaluate(case, self.weights, x, level)
            for what, a, b in zip(agreement, others, ours):
                found = cases.deviation(a, b)
                refuse_above(cases.LIMITS["fp32"], found, f"{what} of Basin and PyTorch")
                agreement[what] = max(agreement[what], found)
        return agreement

    def time_denoising(self, case, result):
        self.make_images()
        result["agreement"], result["deviation_of"] = self.check_levels(case), "gradients"
        rows = [{"program": "Basin", "configuration": "", "precision": "fp32", "values": []}]
        trainings, expected = [], None
        for name in torch_denoise.CONFIGURATIONS:
            tell(f"{case.name}: PyTorch, {name}")
            training = torch_denoise.Training(name, case, self.weights, self.images)
            gradient = training.gradient()  # compiles the loss
            row = {"program": "PyTorch", "configuration": name, "precision": "fp32", "values": []}
            if expected is None:
                expected = gradient
            else:
                row["deviation"] = cases.deviation(gradient, expected)
                what = f"parameter gradients of PyTorch, {trainings[0].name} and {name},"
                refuse_above(cases.LIMITS["fp32"], row["deviation"], what)
            trainings.append(training)
            rows.append(row)
        for training in trainings:
            training.update()
        self.time_updates(case, trainings, rows, result)

    # ---- memory ----

    def measure_memory(self, case, result):
        self.make_images()
        updates = 1 if self.is_quick else MEMORY_UPDATES
        self.open_energy(case).close()
        basin_mib = self.binary.training_memory(case, self.images, updates)
        measured = [("Basin", "", basin_mib)]
        for name in torch_side.TRAINING_CONFIGURATIONS:
            tell(f"{case.name}: PyTorch, {name}")
            mib = self.torch_memory(name, case, updates)
            measured.append(("PyTorch", name, mib))
        measured.append(("PyTorch, nothing trained", "", self.torch_memory(None, case, 0)))
        result["rows"] = [
            {"program": program, "configuration": name, "precision": "fp32", "values": [mib]}
            for program, name, mib in measured
        ]

    def torch_memory(self, name, case, updates):
        processes = multiprocessing.get_context("spawn")
        receiver, sender = processes.Pipe(duplex=False)
        arguments = (name, case, self.weights, self.images, updates, self.threads, sender)
        process = processes.Process(target=torch_side.training_memory, args=arguments)
        process.start()
        sender.close()
        try:
            return receiver.recv()
        except EOFError:
            raise Failure(f"PyTorch's training ({name}) failed, see above") from None
        finally:
            process.join()


def refuse_above(limit, found, what):
    if not found <= limit:
        raise Failure(f"{what} differ by {found:.2g} of the largest value, {limit:g} is allowed")


def load_jax():
    """The small problems' third program, where it is installed."""
    try:
        import jax_side
    except ImportError as error:
        tell(f"compare.py: {error}: the small problems go without JAX (pip install jax)")
        return None
    return jax_side


def cpu_name():
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "--cases",
        help="comma-separated: conv, mlp, train, denoise, memory, or conv:BASE:CHAINS:HxWxC, "
        "mlp:WIDTH:CHAINS, train:BASE, denoise:WIDTH-WIDTH…:BATCH, memory:BASE "
        f"[{','.join(cases.DEFAULT_CASES)}]",
    )
    parser.add_argument("--rounds", type=int, help="how often each program is timed [5]")
    parser.add_argument("--threads", type=int, help="on both sides [all this process may use]")
    parser.add_argument("--build", type=Path, default=Path("build/release"), help="[build/release]")
    parser.add_argument("--json", action="store_true", help="one JSON object, not Markdown")
    parser.add_argument("--out", type=Path, help="file to write [standard output]")
    parser.add_argument(
        "--quick", action="store_true", help="few short cases and steps, one round: does it work?"
    )
    options = parser.parse_args()
    if options.rounds is None:
        options.rounds = 1 if options.quick else 5
    allowed = sorted(os.sched_getaffinity(0))
    options.threads = options.threads or len(allowed)
    if not 1 <= options.threads <= len(allowed) or options.rounds < 1:
        parser.error(f"--threads goes from 1 to {len(allowed)} here, --rounds from 1")
    # XLA counts processors, not a setting; so all programs get as many processors as threads.
    os.sched_setaffinity(0, allowed[: options.threads])
    return options


def run_cases(comparison, chosen):
    """Results of the cases that could be measured, and how many could not."""
    results, refused = [], 0
    for case in chosen:
        try:
            results.append(comparison.run(case))
        except Failure as failure:
            tell(f"compare.py: {case.name}: {failure}")
            refused += 1
    return results, refused


def compare(options):
    """All that was found, and how many cases were refused."""
    chosen = cases.choose(options.cases.split(",") if options.cases else [], options.quick)
    torch_side.start(options.threads)
    jax_side = load_jax() if any(case.kind == "mlp" for case in chosen) else None
    with tempfile.TemporaryDirectory() as folder:
        comparison = Comparison(options, jax_side, Path(folder))
        results, refused = run_cases(comparison, chosen)
    versions = {"Basin": comparison.binary.version, "PyTorch": torch_side.version}
    if jax_side:
        versions["JAX"] = jax_side.version
    found = {
        "cpu": cpu_name(),
        "isa": comparison.isa,
        "threads": options.threads,
        "rounds": options.rounds,
        "versions": versions,
        "cases": results,
    }
    return found, refused


def main():
    options = parse_options()
    try:
        found, refused = compare(options)
    except Failure as failure:
        sys.exit(f"compare.py: {failure}")
    text = json.dumps(found, indent=2) if options.json else report.markdown(found)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")
    else:
        print(text)
    sys.exit(1 if refused else 0)


if __name__ == "__main__":
    main()

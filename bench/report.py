# SPDX-License-Identifier: Apache-2.0
"""Results as Markdown: one table of all cases, then one of each case."""

import statistics

UNITS = {
    "conv": "ms a step",
    "mlp": "ms a step",
    "train": "s an update",
    "denoise": "s an update",
    "memory": "MiB",
}


def finish_case(result):
    """Medians, shares of the peak and ratios to Basin, from what was measured."""
    rows = result["rows"]
    for row in rows:
        values = row["values"]
        row["median"], row["min"], row["max"] = statistics.median(values), min(values), max(values)
        if "peak_gflops" in result:
            seconds = row["median"] * (1e-3 if result["unit"].startswith("ms") else 1)
            row["share_of_peak"] = result["gflop"] / seconds / result["peak_gflops"]
        row["ratio"] = row["median"] / rows[0]["median"]
    # The best in the precision of Basin's chains.
    for program in ("PyTorch", "JAX"):
        rivals = [r for r in rows if r["program"] == program and r["precision"] == "fp32"]
        if rivals:
            best = min(rivals, key=lambda row: row["median"])
            keys = ("configuration", "median", "ratio")
            result["best_" + program.lower()] = {key: best[key] for key in keys}


def table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def summary_row(result):
    best, jax = result["best_pytorch"], result.get("best_jax")
    return [
        result["case"],
        f"{result['rows'][0]['median']:.4g}",
        f"{best['median']:.4g} ({best['configuration']})",
        f"**{best['ratio']:.2f}**",
        f"{jax['ratio']:.2f}" if jax else "",
        result["unit"],
    ]


def case_row(row, deviation_of):
    share, deviation = row.get("share_of_peak"), row.get("deviation")
    is_single = len(row["values"]) == 1
    return {
        "program": row["program"],
        "configuration": row["configuration"],
        "median": f"{row['median']:.4g}",
        "min": "" if is_single else f"{row['min']:.4g}",
        "max": "" if is_single else f"{row['max']:.4g}",
        "share of peak": "" if share is None else f"{share:.2f}",
        "× Basin": f"{row['ratio']:.2f}",
        f"{deviation_of} differ by": "" if deviation is None else f"{deviation:.1e}",
    }


def case_section(result):
    facts = []
    if "agreement" in result:
        facts.append(
            f"max\\|a − b\\| / max\\|b\\| of Basin and PyTorch: energies "
            f"{result['agreement']['energy']:.1e}, dE/dx {result['agreement']['gradient']:.1e}."
        )
    if "peak_gflops" in result:
        facts.append(
            f"{result['gflop']:.4g} GFLOP {result['unit'].split(' ', 1)[1]}; measured peak "
            f"{result['peak_gflops']:.0f} GFLOP/s in fp32."
        )
    deviation_of = result.get("deviation_of", "ten steps")
    rows = [case_row(row, deviation_of) for row in result["rows"]]
    columns = [key for key in rows[0] if any(row[key] for row in rows)]
    header = [result["unit"] if key == "median" else key for key in columns]
    cells = [[row[key] for key in columns] for row in rows]
    return "\n\n".join([f"### {result['title']}", *facts, table(header, cells)])


def markdown(report):
    versions = ", ".join(f"{key} {value}" for key, value in report["versions"].items())
    header = ["case", "Basin", "best PyTorch, fp32", "PyTorch / Basin", "JAX / Basin", "unit"]
    return "\n\n".join(
        [
            f"{report['cpu']}, {report['isa']}; {versions}; threads: {report['threads']}, "
            f"rounds: {report['rounds']}.",
            table(header, [summary_row(result) for result in report["cases"]]),
            *[case_section(result) for result in report["cases"]],
        ]
    )

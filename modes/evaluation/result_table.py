"""Evaluation results as a table for people: by which protocol, how good, and what the paper has there."""

import json

import numpy as np

from mmgl_tf.flags.methods import title
from mmgl_tf.run_directory import atomic_file

METRICS = {"rank1": "Rank-1", "rank10": "Rank-10", "rank20": "Rank-20", "mAP": "mAP", "mINP": "mINP"}


def print_results(results, root):
    """Print the content of results.json.

    Args:
        results: dict, as `mmgl_tf.modes.evaluation.evaluate.evaluate` makes it.
        root: directory of results.json.
    """
    name, start = results["checkpoint"], results["start"]
    if results["method"]:
        line = results["described"] or title(results["method"])
        line += f", from {results['init']}" if results["init"] else ""
        line += f": {start['described']}" if start and start["described"] else ""
    elif results["mode"]:
        made = f"pre-trained as {results['described']}" if results["described"] else ""
        line = ", ".join(part for part in ("pooled features", made, "not fine-tuned") if part)
    else:
        line = "no learning"
    print(f"\n{name}: {line}")
    if start and start["status"] != "complete":
        print(f"note       the status of the run that it started from was {start['status']}")
    if results["status"] != "complete":
        why = f": {results['reason']}" if results["reason"] else ""
        print(
            f"note       this run's status is {results['status']}{why}; these are weights from before its end"
        )
    if results["at_chance"]:
        print(f"note       fail: {results['at_chance']}")
    trained = results["trained_on"]
    elsewhere = f"; trained on {trained}" if trained not in (results["dataset"], None) else ""
    print(f"evaluated on {results['dataset']} in {results['root']}{elsewhere}")
    for line in protocol_lines(results):
        print(line)
    _print_cells(results["cells"])
    unmatched = max(cell["queries_without_match"] for cell in results["cells"])
    if unmatched:
        print(f"{unmatched} queries have no image of their person in some gallery; they count in no mean")
    print(f"results    {root / 'results.json'}", flush=True)


def protocol_lines(results):
    """The protocol in sentences."""
    protocol, cell = results["protocol"], results["cells"][0]
    draws = {
        "seeded": "galleries drawn with Python's generator seeded by the trial, as AGW and MMGL do",
        "official": "galleries by exp/rand_perm_cam.mat",
        "all": "the whole gallery",
    }
    lines = [f"protocol   {protocol['name']}: {cell['queries']} queries, {draws[cell['draw']]}"]
    for camera, excluded in protocol["excluded_cameras"].items():
        lines.append(
            f"           queries of camera {camera} are not compared with "
            f"camera {', '.join(map(str, excluded))}"
        )
    counted = "each gallery identity once" if protocol["identity_once"] else "gallery images"
    lines.append(
        f"           the match curve counts {counted}; mAP and mINP count images; mean over {cell['trials']} "
        f"trial{'s' if cell['trials'] > 1 else ''}"
        + (", flip averaged" if cell["flip"] else "")
        + (", Euclidean distances" if results.get("evaluation", {}).get("distance") == "euclidean" else "")
        + (", k-reciprocal re-ranking" if cell["rerank"] else "")
    )
    return lines


def mean_over_runs(results, path):
    """Print and write mean and standard deviation over several runs' results, e.g. RegDB's ten trials.

    Unlike a protocol's trials, runs are a sample: their standard deviation is divided by one less.

    Args:
        results: list of results, as `print_results` takes.
        path: JSON file to write.
    """
    trials = [result["trial"] for result in results]
    if None not in trials and len(set(trials)) < len(trials):
        print(f"note       trials {trials} are not all different; the protocol averages over different ones")
    if len({result["method"] for result in results}) > 1:
        print("note       the runs are of different methods")
    keys = [_key(cell) for cell in results[0]["cells"]]
    cells = []
    for key in keys:
        found = [cell for result in results for cell in result["cells"] if _key(cell) == key]
        if len(found) < len(results):
            continue
        merged = dict(found[0])
        for name in METRICS:
            if name in merged:
                values = [cell[name]["mean"] for cell in found]
                merged[name] = {
                    "mean": float(np.mean(values)),
                    "std": float(np.std(values, ddof=1)),
                    "values": values,
                }
        cells.append(merged)
    if not cells:
        print("\nthe runs have no setting in common, so there is no mean over them")
        return
    print(f"\nmean and standard deviation over {len(results)} runs")
    _print_cells(cells)
    runs = [result["checkpoint"] for result in results]
    with atomic_file(path, "w") as file:
        json.dump({"runs": runs, "trials": trials, "cells": cells}, file, indent=2)
    print(f"results    {path}", flush=True)


def _key(cell):
    return tuple(cell[name] for name in ("search", "shots", "direction", "feature", "weights"))


def _print_cells(cells):
    columns = {name: title for name, title in METRICS.items() if all(name in cell for cell in cells)}
    several = len({cell["direction"] for cell in cells}) > 1
    head = f"{'search':24}{'weights':9}{'feature':11}{'gallery':>8}"
    print("\n" + head + "".join(f"{title:>15}" for title in columns.values()) + "   paper Rank-1, mAP")
    for cell in cells:
        searched = f"{cell['search']}, {cell['shots']}-shot" if cell["shots"] else "whole gallery"
        if several:
            searched = cell["direction"].replace("_", " ")
        figures = "".join(
            f"{100 * cell[name]['mean']:>8.2f} ±{100 * cell[name]['std']:5.2f}" for name in columns
        )
        beside = _beside(cell["paper"])
        print(f"{searched:24}{cell['weights']:9}{cell['feature']:11}{cell['gallery']:>8}{figures}{beside}")


def _beside(paper):
    """What `mmgl_tf.retrieval.published` knows of a cell: nothing, that training failed, or figures."""
    if not paper:
        return ""
    if paper.get("failed"):
        return "   fail"
    own = paper.get("own_report", {})
    text = f"   {100 * paper['rank1']:.2f}, {100 * paper['mAP']:.2f}"
    beside = ", ".join(f"{100 * value:.2f}" for value in own.values())
    return f"{text} (its code: {beside})" if own else text

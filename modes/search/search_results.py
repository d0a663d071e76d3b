"""What a search has found: as a dict, a JSON and a TSV file, and a table on the terminal."""

import json
import os

from mmgl_tf.modes.search.embed_files import escaped, modality_name
from mmgl_tf.run_directory import atomic_file

SIMILARITY = (
    "cosine of the angle between two embeddings of unit length, from -1 to 1; 1 is the same direction. It "
    "says how alike two images are to this model, not how probable it is that they show one person"
)
LINES = 60  # of the table on the terminal


def results_of(config, queries, gallery, found, skipped):
    """The content of results.json.

    Args:
        config: `mmgl_tf.flags.config.Config`.
        queries, gallery: `mmgl_tf.modes.search.embedded_files.Embedded`.
        found: `mmgl_tf.retrieval.nearest.Nearest`.
        skipped: list of (path, reason), queries that could not be read.

    Returns:
        dict; "queries" is a list of {"path", "modality", "found": list of {"place" (from 1), "path",
        "modality", "similarity", "position" (in the gallery, from 0), "same_file"}}.
    """
    answers = []
    for row, path in enumerate(queries.paths):
        own = os.path.abspath(queries.file(row))
        answers.append(
            {
                "path": path,
                "modality": modality_name(int(queries.modality[row])),
                "found": [
                    {
                        "place": place,
                        "path": gallery.paths[position],
                        "modality": modality_name(int(gallery.modality[position])),
                        "similarity": similarity,
                        "position": position,
                        "same_file": os.path.abspath(gallery.file(position)) == own,
                    }
                    for place, (position, similarity) in enumerate(
                        zip(found.positions[row].tolist(), found.similarities[row].tolist(), strict=True), 1
                    )
                ],
            }
        )
    return {
        "similarity": SIMILARITY,
        "gallery": config.lookup.gallery,
        "images": config.lookup.images,
        "source": gallery.about["source"],
        "search_index": config.lookup.search_index,
        "num_queries": len(answers),
        "num_gallery": len(gallery.paths),
        "places": int(found.positions.shape[1]),
        "skipped": [{"path": path, "reason": reason} for path, reason in skipped],
        "queries": answers,
    }


def write_results(results, root):
    """Write results.json and results.tsv: a line for each query and place, names as in embeddings.tsv."""
    with atomic_file(root / "results.json", "w") as file:
        json.dump(results, file, indent=2)
    columns = ("query", "query_modality", "place", "similarity", "gallery", "gallery_modality")
    with atomic_file(root / "results.tsv") as file:
        file.write(("\t".join(columns) + "\n").encode())
        for query in results["queries"]:
            for entry in query["found"]:
                fields = [escaped(query["path"]), query["modality"], str(entry["place"])]
                fields += [f"{entry['similarity']:.9g}", escaped(entry["path"]), entry["modality"]]
                file.write(("\t".join(fields) + "\n").encode("utf-8", "surrogateescape"))


def print_table(results):
    """Print whole lists, as many as fit into LINES lines but at least one."""
    queries, places = results["queries"], results["places"]
    shown = queries[: max(1, LINES // (places + 1))]
    print(
        f"\n{results['num_queries']} queries, {results['num_gallery']} gallery images. Similarity: cosine of "
        "unit embeddings, -1 to 1."
    )
    if places < 1:
        return
    print("place  similarity  image")
    for query in shown:
        print(f"query              {_printable(query['path'])} ({query['modality']})")
        for entry in query["found"]:
            own = "  (the query's own file)" if entry["same_file"] else ""
            name = f"{_printable(entry['path'])} ({entry['modality']}){own}"
            print(f"{entry['place']:5d}  {entry['similarity']:10.4f}  {name}")
    if len(shown) < len(queries):
        print(f"and {len(queries) - len(shown)} more queries in results.tsv")
    for entry in results["skipped"][:20]:
        print(f"skipped    {_printable(entry['path'])}: {entry['reason']}")


def _printable(path):
    """A path in one line of a terminal that may know ASCII only; control characters do nothing to it."""
    return "".join(
        sign if sign.isprintable() and sign.isascii() else ascii(sign)[1:-1] for sign in escaped(path)
    )

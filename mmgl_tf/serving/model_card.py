"""The model card: what a served model is, how good it was found, what it is not for (Mitchell et al., 2019).

Written beside each exported version, so that the file that is handed on says so itself.
"""

FIGURES = {"rank1": "Rank-1", "mAP": "mAP", "mINP": "mINP"}

_USE = """\
## Intended use

Research on person re-identification between visible and infrared cameras: ranking images of people by how
much they look alike, across the two modalities.

Limits:

- An embedding is not an identity. A similarity ranks the gallery that was given; the first hit is somebody
  even where the person is in none of its images. Choose a threshold on labelled images of your own cameras.
- The figures above hold for the cameras and people of their data set. Other cameras, clothing, crops or
  compression give others, most often worse ones. Nothing was measured about fairness between groups of
  people.
- Images are whole people, cropped; no detector is included. EXIF orientation is ignored.
- Not for decisions about people without a person who looks at the images and answers for the decision, and
  not for surveillance without a lawful basis. People in the images have rights to their data.
"""


def model_card(facts, trained_on, protocol, figures, earlier, terms, agreement, metrics_note):
    """The text of model_card.md.

    Args:
        facts: content of model.json.
        trained_on: sentences, what the weights saw.
        protocol: sentences, how the figures were found; empty where there are none.
        figures: list of cells with "precision", "search", "shots", "direction" and metrics, of the
            exported network.
        earlier: list of (file name, cell), of the run's own evaluations.
        terms: {"licence": ..., "citation": ...} of the data; empty strings where unknown.
        agreement: sentence, how near the exported model was to the trained network.
        metrics_note: why there are no figures, or "".

    Returns:
        Markdown.
    """
    two = facts["streams"] == "two"
    lines = [
        f"# {facts['model_name']}, version {facts['version']}",
        "",
        f"{facts['backbone']}, {facts['streams']}-stream; maps an image of a person to "
        f"{facts['num_features']} numbers of unit length (the {facts['feature']} feature). Convolutions in "
        f"{facts['precision']}, batch norm folded; {facts['weights']} weights of the run.",
        "",
        "## Training",
        "",
        *(f"- {sentence}" for sentence in trained_on),
        "",
        "## Figures",
        "",
    ]
    if figures:
        lines += ["Measured on the exported network.", "", *(f"    {line}" for line in protocol), ""]
        lines += _table([(cell["precision"], cell) for cell in figures], "precision")
    else:
        lines.append(f"None were measured at export: {metrics_note}.")
    if earlier:
        lines += ["", "Earlier evaluations of the same run, weights and feature:", ""]
        lines += _table(earlier, "file")
    lines += [
        "",
        f"Exported model and trained network: {agreement}",
        "",
        _USE,
        "## Licence of the data",
        "",
        f"{terms['licence'] or 'Not known to this program; ask who gave you the images or the checkpoint.'}",
        *(["", f"Cite: {terms['citation']}"] if terms["citation"] else []),
        "",
        "## Inputs and outputs",
        "",
        "- `serving_default` (= `serving_bytes`): `image_bytes`, string [B], JPEG, PNG or BMP files of any "
        "size, grey or colour.",
        f"- `serving_images`: `images`, float32 [B, {facts['height']}, {facts['width']}, 3], red first, "
        f"0..255, not normalised; resized from the file by a {facts['resize']} filter with antialiasing, as "
        "`serving_bytes` does it.",
        *(["- Both: `modality`, int32 [B], 0 visible, 1 infrared; a batch may have both."] if two else []),
        f"- Output of each: `embedding`, float32 [B, {facts['num_features']}], unit length; the dot product "
        "of two is their cosine similarity.",
        "- One unreadable image fails its whole batch with INVALID_ARGUMENT.",
        "",
        "## Made with",
        "",
        ", ".join(f"{name} {version}" for name, version in facts["packages"].items()),
        "",
    ]
    return "\n".join(lines)


def _table(rows, title):
    """Cells as a Markdown table; rows are (first column, cell)."""
    lines = [
        f"| {title} | search | " + " | ".join(FIGURES.values()) + " |",
        "|---|---|" + "---|" * len(FIGURES),
    ]
    for first, cell in rows:
        values = " | ".join(f"{100 * cell[name]['mean']:.2f}" for name in FIGURES)
        lines.append(f"| {first} | {searched(cell)} | {values} |")
    return lines


def searched(cell):
    """What a cell of an evaluation searched, in a few words."""
    direction = cell["direction"].replace("_", " ")
    where = f"{cell['search']}, {cell['shots']}-shot" if cell["shots"] else "whole gallery"
    return f"{direction}, {where}"

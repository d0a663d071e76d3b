"""Pictures of a run: NumPy arrays in, a uint8 RGB image [H, W, 3] out.

Every function is pure. Nothing here opens a display, keeps pyplot's global state or knows TensorBoard; the
same array goes to an image summary and, through `grid.write_png`, to a file in the run directory.

- `grid`: un-normalising, putting stripes back in order, fonts and text, writing a PNG.
- `panels`: an augmented batch, recovered stripe orders.
- `soft_matching`: the soft-matching matrix by body part and by slot.
- `curves`: the rows of metrics.jsonl as small multiples, for one run or several.
- `selection`: which queries or people to show, by chance, and the sentence that says so.
- `embedding_map`: t-SNE of both modalities, with the geometry in numbers.
- `ranked_lists`: queries and what is found first.
- `match_curves`, `accuracy_over_epochs`: retrieval accuracy of several runs.
- `activation_maps`: where the feature map is strong.
- `projector`: the exception, files for TensorBoard's embedding projector.
"""

"""Pictures of a run: NumPy arrays in, a uint8 RGB image [H, W, 3] out.

Every function is pure. Nothing here opens a display, keeps pyplot's global state or knows TensorBoard; the
same array goes to an image summary and, through `grid.write_png`, to a file in the run directory.

- `grid`: un-normalising, putting stripes back in order, fonts and text, writing a PNG.
- `panels`: an augmented batch, recovered stripe orders.
- `matching`: the soft-matching matrix by body part and by slot.
- `curves`: the rows of metrics.jsonl as small multiples, for one run or several.
"""

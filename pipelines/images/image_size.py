"""The one size that all images of a batch have."""

from collections.abc import Sequence


def image_size(stores: Sequence) -> tuple[int, int]:
    """The common (height, width) of stores' images.

    Args:
        stores: `image_store.ImageStore`s; at least one must have a usable image.

    Returns:
        (H, W).

    Raises:
        ValueError: the sizes differ, or no store has an image.
    """
    sizes = [store[int(store.usable[0])].shape[:2] for store in stores if len(store.usable)]
    if not sizes:
        raise ValueError("Neither modality has a usable image. Check --data_dir.")
    if len(set(sizes)) > 1:
        raise ValueError(
            f"Visible images are {sizes[0]}, infrared ones {sizes[1]} (height, width). "
            "Open both stores with the same --image_height and --image_width."
        )
    return sizes[0]

"""How methods that compare views of an image make them."""

from dataclasses import dataclass

from mmgl_tf.flags.setting import setting


@dataclass(frozen=True)
class Views:
    """Views: what is done to an image, twice, before both results are compared."""

    view_min_scale: float = setting(
        0.35, "least share of the image that a view shows", low=0.01, high=1.0, paper="silent"
    )
    view_max_scale: float = setting(1.0, "largest share", low=0.01, high=1.0, paper="silent")
    view_min_ratio: float = setting(
        0.4, "least width/height of what a view shows", low=0.05, high=20.0, paper="silent"
    )
    view_max_ratio: float = setting(0.65, "largest width/height", low=0.05, high=20.0, paper="silent")
    view_flip: float = setting(0.5, "odds of a mirror image", low=0.0, high=1.0, paper="silent")
    view_jitter: float = setting(
        0.8, "odds that brightness, contrast, saturation and hue change", low=0.0, high=1.0, paper="silent"
    )
    view_brightness: float = setting(
        0.4, "factors are from 1 - this to 1 + this", low=0.0, high=2.0, paper="silent"
    )
    view_contrast: float = setting(0.4, "likewise", low=0.0, high=2.0, paper="silent")
    view_saturation: float = setting(0.4, "likewise; visible images only", low=0.0, high=2.0, paper="silent")
    view_hue: float = setting(
        0.1, "largest turn of the hue; visible images only", unit="turns", low=0.0, high=0.5, paper="silent"
    )
    view_grey: float = setting(
        0.2, "odds that a visible image loses its colours", low=0.0, high=1.0, paper="silent"
    )
    view_blur: float = setting(
        0.5,
        "odds of a blur by 0.1 to 2 pixels, where both views are made alike (SimCLR, SwAV, SimSiam)",
        low=0.0,
        high=1.0,
        paper="silent",
    )
    view_blur_1: float = setting(
        1.0, "odds of a blur of the first view, where they differ (BYOL, Barlow Twins)", low=0.0, high=1.0
    )
    view_blur_2: float = setting(0.1, "odds of a blur of the second view", low=0.0, high=1.0)
    view_solarise_1: float = setting(
        0.0, "odds that the first view's bright values are inverted, where they differ", low=0.0, high=1.0
    )
    view_solarise_2: float = setting(
        0.2, "odds that the second view's bright values are inverted", low=0.0, high=1.0
    )

"""How methods that compare views of an image make them."""

from dataclasses import dataclass

from mmgl_tf.flags.setting import setting


@dataclass(frozen=True)
class Views:
    """Views: random crops, flips and changes of colour that make several views of an image."""

    view_min_scale: float = setting(
        0.35, "smallest share of the image's area that a view shows", low=0.01, high=1.0, paper="silent"
    )
    view_max_scale: float = setting(
        1.0, "largest share of the image's area that a view shows", low=0.01, high=1.0, paper="silent"
    )
    view_min_ratio: float = setting(
        0.4,
        "smallest width/height of the part of the image that a view shows",
        low=0.05,
        high=20.0,
        paper="silent",
    )
    view_max_ratio: float = setting(
        0.65,
        "largest width/height of the part of the image that a view shows",
        low=0.05,
        high=20.0,
        paper="silent",
    )
    view_flip: float = setting(
        0.5, "probability that a view is flipped horizontally", low=0.0, high=1.0, paper="silent"
    )
    view_jitter: float = setting(
        0.8,
        "probability that brightness, contrast, saturation and hue are jittered",
        low=0.0,
        high=1.0,
        paper="silent",
    )
    view_brightness: float = setting(
        0.4,
        "brightness jitter b; the factor is uniform from 1 - b to 1 + b",
        low=0.0,
        high=2.0,
        paper="silent",
    )
    view_contrast: float = setting(
        0.4, "contrast jitter c; the factor is uniform from 1 - c to 1 + c", low=0.0, high=2.0, paper="silent"
    )
    view_saturation: float = setting(
        0.4,
        "saturation jitter s of visible images; the factor is uniform from 1 - s to 1 + s",
        low=0.0,
        high=2.0,
        paper="silent",
    )
    view_hue: float = setting(
        0.1,
        "hue jitter of visible images; the shift is uniform from minus this to this",
        unit="turns of the colour wheel",
        low=0.0,
        high=0.5,
        paper="silent",
    )
    view_grey: float = setting(
        0.2, "probability that a visible image is turned grey", low=0.0, high=1.0, paper="silent"
    )

    @staticmethod
    def problems(config):
        """What is wrong with a run's settings, a list of sentences."""
        views = config.views
        pairs = (
            ("view_min_scale", views.view_min_scale, "view_max_scale", views.view_max_scale),
            ("view_min_ratio", views.view_min_ratio, "view_max_ratio", views.view_max_ratio),
        )
        return [f"--{low}={a} is larger than --{high}={b}" for low, a, high, b in pairs if a > b]


@dataclass(frozen=True)
class AlikeViews:
    """Views that are made alike: SimCLR, SwAV and SimSiam."""

    view_blur: float = setting(
        0.5,
        "probability that a view is blurred, with a standard deviation of 0.1 to 2 pixels",
        low=0.0,
        high=1.0,
        paper="silent",
    )


@dataclass(frozen=True)
class UnlikeViews:
    """Two views that are made differently: BYOL and Barlow Twins."""

    view_blur_1: float = setting(
        1.0,
        "probability that the first view is blurred, with a standard deviation of 0.1 to 2 pixels",
        low=0.0,
        high=1.0,
    )
    view_blur_2: float = setting(
        0.1,
        "probability that the second view is blurred, with a standard deviation of 0.1 to 2 pixels",
        low=0.0,
        high=1.0,
    )
    view_solarise_1: float = setting(
        0.0, "probability that the first view is solarised (bright values inverted)", low=0.0, high=1.0
    )
    view_solarise_2: float = setting(
        0.2, "probability that the second view is solarised (bright values inverted)", low=0.0, high=1.0
    )

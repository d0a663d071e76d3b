"""Two views of a person's image, as self-supervised methods compare them.

The operations and their odds are SimCLR's and BYOL's; the crops are gentler, as the smallest crops of
ImageNet's recipe would hardly ever leave anything to tell a person by. Infrared images have no colours, so
that of the changes of colour they get brightness and contrast.
"""

from mmgl_tf.pipelines.augmentation.operation import Operation
from mmgl_tf.pipelines.augmentation.operations.colour_jitter import ColourJitter
from mmgl_tf.pipelines.augmentation.operations.flip import Flip
from mmgl_tf.pipelines.augmentation.operations.gaussian_blur import GaussianBlur
from mmgl_tf.pipelines.augmentation.operations.random_grey import RandomGrey
from mmgl_tf.pipelines.augmentation.operations.resized_crop import ResizedCrop
from mmgl_tf.pipelines.augmentation.operations.solarise import Solarise
from mmgl_tf.pipelines.records import INFRARED, VISIBLE


def person_views(views, asymmetric: bool) -> tuple[list[tuple[Operation, ...]], list[tuple[Operation, ...]]]:
    """The chains of two views, for `mmgl_tf.pipelines.batches.recipe.each_modality`.

    Args:
        views: whatever has the fields of `Views`, and of `UnlikeViews` or `AlikeViews`, in
            `mmgl_tf.flags.methods.shared.views`.
        asymmetric: whether the two views are blurred and solarised with odds of their own, as BYOL and
            Barlow Twins have it; else both are blurred with `view_blur` and never solarised.

    Returns:
        ([chains of the visible views], [chains of the infrared views]).
    """
    if not asymmetric:
        odds = [(views.view_blur, 0.0)] * 2
    else:
        odds = [
            (views.view_blur_1, views.view_solarise_1),
            (views.view_blur_2, views.view_solarise_2),
        ]
    crop = crop_of(views)
    return tuple(
        [person_chain(views, modality, crop, *each) for each in odds] for modality in (VISIBLE, INFRARED)
    )


def crop_of(views, min_scale: float = 0.0, max_scale: float = 0.0) -> ResizedCrop:
    """The crop of the views, or one of another size.

    Args:
        views: as in `person_views`.
        min_scale: smallest share of the image's area; 0 = that of the views.
        max_scale: largest share, likewise.
    """
    return ResizedCrop(
        min_scale or views.view_min_scale,
        max_scale or views.view_max_scale,
        views.view_min_ratio,
        views.view_max_ratio,
    )


def person_chain(
    views, modality: int, crop: ResizedCrop, blur: float, solarise: float = 0.0
) -> tuple[Operation, ...]:
    """The operations of one view.

    Args:
        views: as in `person_views`.
        modality: VISIBLE or INFRARED.
        crop: what comes first.
        blur: odds of a blur.
        solarise: odds of bright values being inverted.
    """
    colours = (views.view_saturation, views.view_hue) if modality == VISIBLE else (0.0, 0.0)
    jitter = ColourJitter(views.view_jitter, views.view_brightness, views.view_contrast, *colours)
    grey = RandomGrey(views.view_grey if modality == VISIBLE else 0.0)
    # Solarising is part of every chain, so that its odds move no draw.
    return (crop, Flip(views.view_flip), jitter, grey, GaussianBlur(blur), Solarise(solarise))

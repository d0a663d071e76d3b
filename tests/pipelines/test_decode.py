import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from mmgl_tf.pipelines.decode import (
    MEAN,
    SCALE,
    SHIFT,
    STD,
    decode_image,
    decode_pixels,
    decode_with_grey,
    normalise,
)


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def pillow(data):
    return np.array(Image.open(io.BytesIO(data)).convert("RGB"))


def noise(seed=0, height=41, width=30, channels=3):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def drawing(seed=0, size=(150, 350), mode="RGB"):
    """Blurry blobs with some hard edges, about what a photograph asks of a codec."""
    image = Image.fromarray(noise(seed, 12, 7)).resize(size, Image.Resampling.BICUBIC)
    image.paste((250, 20, 90), (size[0] // 3, size[1] // 4, size[0] // 2, size[1] // 2))
    return image.convert(mode)


IN_GRAPH = tf.function(decode_pixels, input_signature=[tf.TensorSpec((), tf.string)], autograph=False)
EXACT = {
    "jpeg": encoded(drawing(), "JPEG", quality=90),
    "jpeg, not subsampled": encoded(drawing(1), "JPEG", quality=75, subsampling=0),
    "jpeg, progressive": encoded(drawing(2), "JPEG", progressive=True),
    "jpeg, grey": encoded(drawing(3, mode="L"), "JPEG"),
    "jpeg, noise": encoded(Image.fromarray(noise()), "JPEG", quality=60),
    "jpeg, one pixel": encoded(Image.fromarray(noise(0, 1, 1)), "JPEG"),
    "png": encoded(Image.fromarray(noise()), "PNG"),
    "png, grey": encoded(Image.fromarray(noise()[..., 0]), "PNG"),
    "png, grey and alpha": encoded(Image.fromarray(noise()[..., :2].copy(), "LA"), "PNG"),
    "png, alpha": encoded(Image.fromarray(noise(channels=4)), "PNG"),
    "png, palette": encoded(Image.fromarray(noise()).quantize(16), "PNG"),
    "png, one bit": encoded(Image.fromarray(noise()).convert("1"), "PNG"),
    "bmp": encoded(Image.fromarray(noise()), "BMP"),
    "bmp, grey": encoded(Image.fromarray(noise()[..., 0]), "BMP"),
    "bmp, 16 colours": encoded(Image.fromarray(noise()).quantize(16), "BMP"),
    "bmp, 256 colours": encoded(Image.fromarray(noise()).quantize(256), "BMP"),
    "bmp, alpha": encoded(Image.fromarray(noise(channels=4)), "BMP"),
    "gif": encoded(Image.fromarray(noise()).quantize(200), "GIF"),
    "webp": encoded(drawing(4), "WEBP", quality=80),
}


@pytest.mark.parametrize("kind", EXACT)
def test_decoding_equals_pillow_bit_for_bit(kind):
    data = EXACT[kind]
    np.testing.assert_array_equal(decode_pixels(data), pillow(data))
    np.testing.assert_array_equal(IN_GRAPH(data), pillow(data))


def test_cmyk_is_within_one_level_of_pillow():
    for cmyk in (drawing(mode="CMYK"), Image.fromarray(noise(channels=4), "CMYK").resize((60, 80))):
        data = encoded(cmyk, "JPEG", quality=95)
        assert Image.open(io.BytesIO(data)).mode == "CMYK"
        difference = np.abs(IN_GRAPH(data).numpy().astype(int) - pillow(data))
        assert difference.max() <= 1


def test_sixteen_bits_keep_the_high_byte():
    deep = np.random.default_rng(0).integers(0, 65536, (40, 30), dtype=np.uint16)
    decoded = IN_GRAPH(encoded(Image.fromarray(deep), "PNG")).numpy()
    np.testing.assert_array_equal(decoded, np.repeat((deep >> 8)[..., None], 3, axis=-1))


@pytest.mark.parametrize("kind", ["GIF", "PNG"])
def test_animations_give_their_first_frame(kind):
    frames = [Image.fromarray(noise(seed)).quantize(200) for seed in range(3)]
    frames = [frame if kind == "GIF" else frame.convert("RGB") for frame in frames]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    assert Image.open(io.BytesIO(data)).n_frames == 3
    np.testing.assert_array_equal(IN_GRAPH(data), np.array(frames[0].convert("RGB")))


def test_exif_orientation_is_ignored():
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees
    data = encoded(drawing(), "JPEG", quality=90, exif=exif)
    np.testing.assert_array_equal(IN_GRAPH(data), IN_GRAPH(EXACT["jpeg"]))


BAD = {
    "empty": b"",
    "two bytes": b"BM",
    "text": b"not an image at all",
    "zeros": b"\0" * 100,
    "bitmap of zeros": b"BM" + b"\0" * 26 + b"\x08\0" + b"\0" * 60,
    "tiff": encoded(drawing(), "TIFF"),
} | {
    f"{kind} cut at {share}": EXACT[kind][: int(len(EXACT[kind]) * share)]
    for kind in ("jpeg", "png", "bmp", "bmp, 256 colours", "gif")
    for share in (0.02, 0.5, 0.99)
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_whole_image_is_an_error(kind):
    for decode in (decode_pixels, IN_GRAPH):
        with pytest.raises(tf.errors.InvalidArgumentError):
            decode(tf.constant(BAD[kind]))


FILTERS = {"lanczos": Image.Resampling.LANCZOS, "bilinear": Image.Resampling.BILINEAR}


@pytest.mark.parametrize("resize", FILTERS)
@pytest.mark.parametrize("size", [(150, 350), (60, 130), (333, 500), (144, 288)])
def test_resize_is_within_one_level_of_pillow(size, resize):
    for seed in range(3):
        image = drawing(seed, size)
        data = encoded(image, "PNG")
        wanted = np.array(image.resize((144, 288), FILTERS[resize])).astype(int)
        found = decode_image(data, 288, 144, resize)
        assert (found.dtype, found.shape) == (tf.uint8, (288, 144, 3))
        difference = np.abs(found.numpy() - wanted)
        # Pillow rounds and clips between its two passes too, which shows beside hard edges (max 16 here).
        assert np.percentile(difference, 99) <= 1
        assert difference.mean() < 0.3  # truncation instead of rounding would make it about 0.5


@pytest.mark.parametrize("resize", FILTERS)
@pytest.mark.parametrize("size", [(60, 130), (333, 500)])
def test_resize_equals_pillow_in_floating_point(size, resize):
    image = drawing(0, size)
    found = decode_image(encoded(image, "PNG"), 288, 144, resize).numpy()
    for channel, band in enumerate(image.split()):
        wanted = np.array(band.convert("F").resize((144, 288), FILTERS[resize]))
        difference = np.abs(found[..., channel] - np.clip(wanted, 0, 255))
        assert difference.max() < 0.51  # rounding and nothing else


@pytest.mark.parametrize("resize", FILTERS)
def test_resize_of_the_right_size_changes_nothing(resize):
    data = encoded(Image.fromarray(noise()), "PNG")
    np.testing.assert_array_equal(decode_image(data, 41, 30, resize), noise())


def test_lanczos_is_the_default_and_other_filters_are_refused():
    data = encoded(drawing(), "PNG")
    np.testing.assert_array_equal(decode_image(data, 64, 32), decode_image(data, 64, 32, "lanczos"))
    assert (decode_image(data, 64, 32, "bilinear") != decode_image(data, 64, 32)).numpy().any()
    with pytest.raises(ValueError, match="--resize=nearest: expected one of lanczos, bilinear"):
        decode_image(data, 64, 32, "nearest")


def test_overshoot_is_clipped_not_wrapped():
    """So few values that none goes through vector instructions, which happen to saturate; others wrap."""
    step = np.zeros((1, 20), np.uint8)
    step[:, 10:] = 255
    wanted = np.array(Image.fromarray(step.astype(np.float32)).resize((5, 1), Image.Resampling.LANCZOS))
    assert wanted.min() < -1 and wanted.max() > 256
    found = decode_image(encoded(Image.fromarray(step), "PNG"), 1, 5).numpy()
    assert np.abs(found - np.clip(wanted, 0, 255)[..., None]).max() < 0.51


def test_graph_and_eager_are_bit_identical_and_exportable(tmp_path):
    def decode(data):
        return normalise(decode_image(data, 48, 24))

    module = tf.Module()
    module.decode = tf.function(decode, input_signature=[tf.TensorSpec((), tf.string)], autograph=False)
    assert module.decode(EXACT["jpeg"]).shape == (48, 24, 3)
    tf.saved_model.save(module, str(tmp_path))
    served = tf.saved_model.load(str(tmp_path)).decode
    for data in EXACT.values():
        np.testing.assert_array_equal(served(data), decode(data))


def test_normalise():
    black = normalise(np.zeros((2, 3), np.uint8))
    assert black.dtype == tf.float32
    np.testing.assert_allclose(black[0], (-2.117904, -2.035714, -1.804444), atol=1e-6)
    pixels = noise()
    wanted = (pixels / 255.0 - np.array(MEAN)) / np.array(STD)
    np.testing.assert_allclose(normalise(pixels), wanted, atol=1e-6)
    np.testing.assert_array_equal(normalise(pixels.astype(np.float32)), normalise(pixels))
    assert SCALE.dtype == SHIFT.dtype == np.float32


def test_a_grey_image_resized_once_has_the_pixels_of_one_resized_thrice():
    grey = np.repeat(noise(60, 40)[..., :1], 3, axis=-1)
    almost = grey.copy()
    almost[0, 0, 2] ^= 1
    image, is_grey = decode_with_grey(encoded(Image.fromarray(grey), "PNG"), 48, 24)
    other, other_is_grey = decode_with_grey(encoded(Image.fromarray(almost), "PNG"), 48, 24)
    assert bool(is_grey) and not bool(other_is_grey)
    assert image.shape == (48, 24, 3)
    # Only the first two channels are compared: the third was altered.
    np.testing.assert_array_equal(image[..., :2], other[..., :2])
    np.testing.assert_array_equal(image[..., 0], image[..., 2])

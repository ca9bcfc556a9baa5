import hashlib
import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from sheetlens.prepare import resize
from sheetlens.prepare.resize import RefusedImageError, read_sheet


def sheet(width=900, height=1300, mode="RGB") -> Image.Image:
    """A picture with a gradient, noise and a dark upper left corner, so that every turn is seen."""
    y, x = np.mgrid[0:height, 0:width]
    noise = np.random.default_rng(0).integers(0, 30, (height, width))
    layers = [x / width * 120 + 80, y / height * 120 + 80, (x + y) / (width + height) * 120 + 80]
    pixels = np.stack([layer + noise for layer in layers], axis=-1).astype(np.uint8)
    pixels[: height // 3, : width // 3] = 20
    return Image.fromarray(pixels).convert(mode)


def encode(image: Image.Image, format="PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **({"compress_level": 1} if format == "PNG" else {}) | options)
    return buffer.getvalue()


def reference(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB").resize((256, 256), Image.Resampling.BICUBIC)).transpose(2, 0, 1)


def psnr(first: np.ndarray, second: np.ndarray) -> float:
    error = np.mean((first.astype(float) - second.astype(float)) ** 2)
    return 10 * np.log10(255**2 / error) if error else np.inf


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_lossless_formats_are_one_bicubic_resize(format):
    read = read_sheet(encode(sheet(), format))
    assert (read.width, read.height, read.format, read.mode) == (900, 1300, format, "RGB")
    assert read.pixels.dtype == np.uint8
    np.testing.assert_array_equal(read.pixels, reference(sheet()))


@pytest.mark.parametrize("size", [(1000, 1500), (2520, 3780), (2001, 3007)])
def test_reduced_decoding_keeps_the_picture(size):
    data = encode(sheet(*size), "JPEG", quality=92)
    full = reference(Image.open(io.BytesIO(data)))
    assert psnr(read_sheet(data).pixels, full) > 48


def test_the_blur_of_reduced_decoding_is_taken_back(monkeypatch):
    lines = Image.fromarray(np.random.default_rng(1).integers(0, 256, (300, 200), np.uint8))
    data = encode(lines.resize((2000, 3000), Image.Resampling.BICUBIC), "JPEG", quality=92)
    full = reference(Image.open(io.BytesIO(data)))
    sharp = psnr(read_sheet(data).pixels, full)
    monkeypatch.setattr(resize, "_blur", lambda averaged, step: 0)
    assert sharp > psnr(read_sheet(data).pixels, full) + 1


@pytest.mark.parametrize(
    ("orientation", "turned"),
    [
        (1, lambda image: image),
        (2, lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
        (3, lambda image: image.rotate(180)),
        (4, lambda image: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)),
        (5, lambda image: image.transpose(Image.Transpose.TRANSPOSE)),
        (6, lambda image: image.rotate(-90, expand=True)),
        (7, lambda image: image.transpose(Image.Transpose.TRANSVERSE)),
        (8, lambda image: image.rotate(90, expand=True)),
    ],
)
def test_sheets_stand_upright(orientation, turned):
    exif = Image.Exif()
    exif[0x0112] = orientation
    read = read_sheet(encode(sheet(), "PNG", exif=exif))
    upright = turned(sheet())
    assert (read.width, read.height) == upright.size
    assert psnr(read.pixels, reference(upright)) > 45


def test_letterbox_keeps_the_shape():
    pixels = read_sheet(encode(sheet(500, 1000)), "letterbox").pixels
    assert (pixels[:, :, :64] == 255).all()
    assert (pixels[:, :, 192:] == 255).all()
    assert (pixels[:, :, 65:191] < 255).all()


def test_grayscale_palette_and_one_bit():
    for mode in ("L", "P", "1"):
        read = read_sheet(encode(sheet(mode=mode)))
        assert read.mode == mode
        assert psnr(read.pixels, reference(sheet(mode=mode))) > 30, mode


def test_sixteen_bits():
    deep = np.asarray(sheet(mode="L")).astype(np.uint16) * 257
    assert psnr(read_sheet(encode(Image.fromarray(deep))).pixels, reference(sheet(mode="L"))) > 45


def test_transparency_becomes_paper():
    image = sheet(mode="RGBA")
    image.paste((0, 0, 0, 0), (0, 800, 900, 1300))
    read = read_sheet(encode(image))
    assert (read.pixels[:, 160:] == 255).all()
    assert (read.pixels[:, :156] < 255).any()
    assert read.notes == "transparency laid on white"


def test_cmyk_is_not_inverted():
    pixels = read_sheet(encode(sheet(mode="CMYK"), "JPEG", quality=95)).pixels
    assert psnr(pixels, reference(sheet())) > 28


def test_colour_profiles_are_applied():
    """A sheet that went to CIELAB with its profile must come back from there."""
    lab = ImageCms.createProfile("LAB")
    image = ImageCms.profileToProfile(sheet(), ImageCms.createProfile("sRGB"), lab, outputMode="LAB")
    read = read_sheet(encode(image, "TIFF", icc_profile=ImageCms.ImageCmsProfile(lab).tobytes()))
    assert psnr(read.pixels, reference(sheet())) > 30


def test_a_broken_profile_does_not_lose_the_sheet():
    read = read_sheet(encode(sheet(), icc_profile=b"not a profile"))
    np.testing.assert_array_equal(read.pixels, reference(sheet()))


def damaged(image: Image.Image, **options) -> bytes:
    """A JPEG with nothing in the middle, as a failing disk leaves it."""
    data = encode(image, "JPEG", **options)
    middle = len(data) // 2
    return data[:middle] + bytes(2048) + data[middle + 2048 :]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"\xff\xd8", "the file has only 2 bytes"),
        (b"<html>Request Rejected</html>", "not a JPEG, PNG, TIFF, JPEG 2000 or WebP picture, but a web page"),
        (b'<?xml version="1.0"?><svg><text>No Preview</text></svg>', "but an SVG drawing"),
        (encode(sheet(), "GIF"), "but a GIF picture"),
        (bytes(1000), "not a JPEG, PNG, TIFF, JPEG 2000 or WebP picture"),
        (encode(sheet(), "JPEG")[:-2000], "^truncated"),
        (encode(sheet(mode="CMYK"), "JPEG")[:-2000], "^truncated"),
        (encode(sheet(), "JPEG")[:-2000] + b"\xff\xd9", "^damaged: Corrupt JPEG data"),
        (damaged(sheet()), "^damaged: Corrupt JPEG data"),
        (damaged(sheet(mode="L")), "^damaged: Corrupt JPEG data"),
        (encode(sheet())[:-2000], "^truncated"),
        (encode(sheet(), "TIFF")[:-2000], "^truncated"),
        (encode(sheet(), "JPEG2000")[:-2000], "^(truncated|damaged)"),
        (encode(sheet(), "WEBP")[:-2000], "^(truncated|damaged)"),
        (encode(sheet(mode="F"), "TIFF"), "32-bit pixels"),
        (encode(Image.new("1", (14_000, 14_000))), "^too large"),
        (encode(sheet(100, 300)), "^too small: 100x300 pixels"),
        (encode(sheet(800, 150)), "^too long and narrow: 800x150 pixels"),
        (encode(Image.new("RGB", (400, 600), "white")), "^blank"),
        (encode(Image.effect_noise((400, 600), 2)), "^blank"),
        (encode(Image.effect_noise((400, 600), 6)), "^nearly uniform"),
        (encode(ImageOps.pad(Image.new("RGB", (200, 300), "black"), (800, 900), color="white")), "placeholder"),
        (encode(sheet(), "PNG", save_all=True, append_images=[sheet(mode="L").convert("RGB")]), "an animation"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_reason(data, reason):
    with pytest.raises(RefusedImageError, match=reason):
        read_sheet(data)


def test_pixels_are_the_same_on_any_machine(tmp_path):
    data = encode(sheet(1000, 1500), "JPEG", quality=90)
    digest = hashlib.sha256(data + read_sheet(data).pixels.tobytes()).hexdigest()
    assert digest == "33b44e02a8aeaa2996907382b8913c51cc326a60007285dd5bd1322882e41a66"


def test_a_tiff_whose_place_of_pixels_is_a_fraction_is_refused():
    """Pillow stumbles over it with a TypeError."""
    buffer = io.BytesIO()
    sheet(300, 400).save(buffer, "TIFF")
    strips = struct.pack("<HH", 273, 4)  # StripOffsets, of the type LONG
    assert strips in buffer.getvalue()
    with pytest.raises(RefusedImageError, match="damaged"):
        read_sheet(buffer.getvalue().replace(strips, struct.pack("<HH", 273, 5)))  # RATIONAL

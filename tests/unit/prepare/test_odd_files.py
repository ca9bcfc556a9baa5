"""Every real file is right, compared with ImageMagick, or refused for the right reason."""

import functools
import io
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image, ImageCms

from sheetlens.prepare.resize import RefusedImageError, read_sheet
from tests.unit.prepare.test_resize import psnr

TOLERANCE = (
    35  # dB: the two differ in rounding and, with CMYK, in how a profile is applied; a wrong picture has 10 to 20
)
NO_PICTURE = "not a JPEG, PNG, TIFF, JPEG 2000 or WebP picture"
ODD = {  # file -> how its notes read, or why it is refused
    "Fallopia ciliinodis (Michx.) Holub31.jpeg": "",
    "[Fagaceae] Quercus heterophylla Lewis 2146.JPG": "",
    "animated_4_frames.gif": RefusedImageError(
        "not a JPEG, PNG, TIFF, JPEG 2000 or WebP picture, but a GIF picture: export it as TIFF or JPEG"
    ),
    "cmyk_ba.jpg": "",
    "corrupt_exif_jpeg_named_s01-000u-00-38.png": "the file name's ending is another format's",
    "exif6_sheet_sideways_1.jpg": "turned by EXIF orientation 6",
    "folder_cover_with_hand.jpg": "",
    "jpeg_named_351637.png": "the file name's ending is another format's",
    "lichen_packet_label_gray.jpg": "",
    "rgba_image4.png": "transparency laid on white",
    "SOURCES.tsv": RefusedImageError(f"{NO_PICTURE}, but a text"),
    "text_line.tif": RefusedImageError("too small: 352x58 pixels, less than 128 on a side"),
    "tiny_59x48.png": RefusedImageError("too small: 59x48 pixels, less than 128 on a side"),
}


@functools.cache
def imagemagick() -> str:
    """Its command; the test is skipped where there is none."""
    command = shutil.which("convert")
    version = subprocess.run([command, "-version"], capture_output=True, text=True).stdout if command else ""
    if not version.startswith("Version: ImageMagick"):
        pytest.skip("ImageMagick is not installed (apt-get install imagemagick)")
    return command


def by_imagemagick(path, folder) -> np.ndarray:
    """The same picture by other people's code: upright, sRGB, on white, Catmull-Rom (our bicubic)."""
    profile = folder / "srgb.icc"
    profile.write_bytes(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    options = ["-auto-orient", "-profile", profile, "-colorspace", "sRGB", "-background", "white", "-alpha", "remove"]
    command = [imagemagick(), "-", *options, "-filter", "Catrom", "-resize", "256x256!", "-depth", "8", "ppm:-"]
    shown = subprocess.run(command, input=path.read_bytes(), capture_output=True, check=True).stdout
    return np.asarray(Image.open(io.BytesIO(shown)).convert("RGB")).transpose(2, 0, 1)


def test_the_list_is_complete(real_data):
    assert {path.name for path in (real_data / "odd").iterdir()} == set(ODD)


@pytest.mark.parametrize("name", ODD)
def test_odd_files_are_right_or_refused_for_the_right_reason(real_data, tmp_path, name):
    path, expected = real_data / "odd" / name, ODD[name]
    if isinstance(expected, RefusedImageError):
        with pytest.raises(RefusedImageError) as refused:
            read_sheet(path.read_bytes(), name=name)
        assert str(refused.value) == str(expected)
        return
    sheet = read_sheet(path.read_bytes(), name=name)
    assert sheet.notes == expected
    assert (value := psnr(sheet.pixels, by_imagemagick(path, tmp_path))) > TOLERANCE, value


@pytest.mark.long
def test_full_sheets_are_right(real_data, tmp_path):
    paths = sorted((real_data / "sheets_fullres").glob("*.jpg"))
    assert len(paths) == 12
    for path in paths:
        sheet = read_sheet(path.read_bytes(), name=path.name)
        assert psnr(sheet.pixels, by_imagemagick(path, tmp_path)) > TOLERANCE, path.name

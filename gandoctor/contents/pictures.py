"""Opens the samples that a run refers to: pictures as bytes, batches saved as arrays as numbers.

A picture comes as uint8 (h, w, c), c = 1 or 3. Its size is read from the header first, and one of more
than `MAX_PIXELS` is refused before anything is decoded. Pillow is loaded on first use.
"""

from __future__ import annotations

import io
import math
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from gandoctor.readers.npy import MAGIC, npy_header
from gandoctor.run import ImageGrid

if TYPE_CHECKING:
    from PIL import Image

Pixels: TypeAlias = npt.NDArray[np.uint8]

MAX_PIXELS = 100_000_000  # three of the largest grids that StyleGAN draws of 1024-pixel samples (7680 x 4320)
MAX_VALUES = 100_000_000  # of an array
MAX_ENCODED = 1 << 30  # bytes of a file
_HEADER = 65_536
_FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP")  # none that starts another program, as EPS does


class Unreadable(Exception):
    """Samples that cannot be read. place: "byte 1204", or "" for the whole file; message: why."""

    def __init__(self, place: str, message: str) -> None:
        super().__init__(message)
        self.place = place
        self.message = message


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """pixels: uint8 (h, w, c), c = 1 or 3. notes: what was left out or changed, for people."""

    pixels: Pixels
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Samples saved as numbers: float32 (n, d) points or (n, h, w, c) images, in their own units."""

    values: npt.NDArray[np.float32]

    @property
    def is_images(self) -> bool:
        """Whether these are images and not points."""
        return self.values.ndim == 4

    def pixels(self) -> Pixels:
        """Images as uint8 (n, h, w, c): values in [-1, 1], [0, 1] or [0, 255], whichever holds them; NaN is 0."""
        low = np.nanmin(self.values, initial=0.0)
        values = self.values
        if np.nanmax(values, initial=0.0) <= 2:
            values = values * 255 if low >= -0.01 else (values + 1) * 127.5
        return np.clip(np.rint(np.nan_to_num(values)), 0, 255).astype(np.uint8)


def is_batch(image: ImageGrid) -> bool:
    """Whether a reference is to an array file (`read_batch`) and not to a picture (`read_picture`)."""
    return image.length is None and image.source.suffix.lower() in (".npy", ".npz")


# --- pictures -------------------------------------------------------------------------------------------


def size_of(image: ImageGrid) -> tuple[int, int]:
    """Height and width of a picture, from its header alone. Raises Unreadable."""
    with _opened(image) as picture:
        return picture.height, picture.width


def read_picture(image: ImageGrid) -> Picture:
    """Decode a picture.

    Palettes and CMYK become RGB, 16 bits become 8, transparent parts become white; of an animation the
    first frame is taken. Raises Unreadable: no picture, cut off, damaged, or above MAX_PIXELS.
    """
    with _opened(image) as picture:
        notes = []
        if getattr(picture, "is_animated", False):
            notes.append("animated: only the first frame is read")
        if picture.width * picture.height > MAX_PIXELS:
            raise Unreadable(
                _place(image),
                f"{picture.width:,} x {picture.height:,} pixels, of which we decode at most {MAX_PIXELS:,}",
            )
        pixels = _to_bytes(picture, notes)
        return Picture(pixels, tuple(notes))


@contextmanager
def _opened(image: ImageGrid) -> Iterator[Image.Image]:
    """The picture, its header read; what goes wrong with it, here or in the body, is Unreadable."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings(), _bytes_of(image) as file:
            warnings.simplefilter(
                "ignore"
            )  # Pillow warns of sizes that we bound ourselves, and of odd metadata
            with Image.open(file, formats=_FORMATS) as picture:
                yield picture
    except Unreadable:
        raise
    except Image.DecompressionBombError:
        raise Unreadable(_place(image), f"more than the {MAX_PIXELS:,} pixels that we decode") from None
    except UnidentifiedImageError:
        raise Unreadable(_place(image), f"no {', '.join(_FORMATS[:-1])} or {_FORMATS[-1]} picture") from None
    except MemoryError:
        raise Unreadable(_place(image), "too large for the memory at hand") from None
    except Exception as fault:  # Pillow's decoders raise errors of any kind on damaged files
        reason = getattr(fault, "strerror", None) or str(fault) or type(fault).__name__
        raise Unreadable(_place(image), f"damaged or cut off: {reason[:200]}") from None


@contextmanager
def _bytes_of(image: ImageGrid) -> Iterator[IO[bytes]]:
    """The encoded bytes of a picture: its file, or its part of a file."""
    try:
        file = image.source.open("rb")
    except OSError as fault:
        raise Unreadable("", fault.strerror or str(fault)) from None
    with file:
        if image.length is None:
            size = file.seek(0, 2)
            if size == 0:
                raise Unreadable("", "an empty file")
            if size > MAX_ENCODED:
                raise Unreadable("", f"{size:,} bytes, of which we read at most {MAX_ENCODED:,}")
            file.seek(0)
            yield file
            return
        file.seek(image.offset)
        data = file.read(min(image.length, MAX_ENCODED))
        if len(data) < image.length:
            message = f"{len(data):,} bytes of a picture that should have {image.length:,}"
            raise Unreadable(_place(image), message)
        yield io.BytesIO(data)


def _to_bytes(picture: Image.Image, notes: list[str]) -> Pixels:
    """Decoded pixels, uint8 (h, w, c), c = 1 or 3."""
    from PIL import Image

    if picture.mode.startswith("I;16") or picture.mode in ("I", "F"):
        values = np.asarray(picture).astype(np.float32)
        notes.append("16 bits a value, read as 8")
        return np.clip(np.rint(values / 257), 0, 255).astype(np.uint8)[..., None]
    clear = "transparency" in picture.info or picture.mode in ("LA", "La", "PA", "RGBA", "RGBa")
    if clear:
        whole = picture.convert("RGBA")
        if whole.getchannel("A").getextrema() != (255, 255):
            notes.append("transparent parts are read as white")
            white = Image.new("RGBA", whole.size, (255, 255, 255, 255))
            whole = Image.alpha_composite(white, whole)
        return np.array(whole.convert("RGB"))
    if picture.mode in ("1", "L"):
        return np.array(picture.convert("L"))[..., None]
    return np.array(picture.convert("RGB"))


def _place(image: ImageGrid) -> str:
    return "" if image.length is None else f"byte {image.offset}"


# --- arrays ---------------------------------------------------------------------------------------------


def read_batch(image: ImageGrid) -> Batch:
    """Read samples from an .npy file, or from the first array of an .npz file.

    (n, h, w), (n, c, h, w), (n, h, w, c) and (n, h * h) with h ≥ 8 are images; (n, d) else are points.
    Raises Unreadable: no such array, cut off, or above MAX_VALUES.
    """
    try:
        with image.source.open("rb") as file:
            if file.read(len(MAGIC)) == MAGIC:
                file.seek(0)
                return Batch(_as_samples(_array(file, image.source.stat().st_size)))
            file.seek(0)
            with zipfile.ZipFile(file) as archive:
                member = next((m for m in archive.infolist() if m.filename.endswith(".npy")), None)
                if member is None:
                    raise Unreadable("", "an archive without an array")
                with archive.open(member) as inner:
                    return Batch(_as_samples(_array(inner, member.file_size)))
    except Unreadable:
        raise
    except OSError as fault:
        raise Unreadable("", fault.strerror or str(fault)) from None
    except Exception as fault:  # zipfile and its codecs raise errors of any kind on damaged files
        raise Unreadable("", f"damaged or cut off: {str(fault)[:200]}") from None


def _array(file: IO[bytes], size: int) -> npt.NDArray[Any]:
    """The array at the beginning of a file of so many bytes. Never unpickles."""
    begin = file.read(_HEADER)
    try:
        header = npy_header(begin)
    except ValueError as fault:
        raise Unreadable("", f"no array: {fault}") from None
    count = math.prod(header.shape)
    if header.dtype.kind not in "fui":
        raise Unreadable("", f"values of the kind {header.dtype} are no samples")
    if count > MAX_VALUES:
        raise Unreadable("", f"{count:,} values, of which we read at most {MAX_VALUES:,}")
    if header.bytes > size - header.start:
        raise Unreadable("", f"cut off: {size - header.start:,} bytes of {header.bytes:,}")
    data = begin[header.start :] + file.read(max(0, header.bytes - (len(begin) - header.start)))
    values = np.frombuffer(data, header.dtype, count)
    return values.reshape(header.shape, order="F" if header.fortran else "C")


def _as_samples(array: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Float32 (n, d) or (n, h, w, c)."""
    shape = array.shape
    if not 2 <= len(shape) <= 4 or 0 in shape:
        raise Unreadable("", f"an array of shape {shape} is no batch of samples")
    if len(shape) == 4 and shape[1] in (1, 3, 4) and shape[3] not in (1, 3, 4):
        array = array.transpose(0, 2, 3, 1)
    elif len(shape) == 3:
        array = array[..., None]
    elif len(shape) == 2:
        side = math.isqrt(shape[1])
        if side >= 8 and side * side == shape[1]:
            array = array.reshape(-1, side, side, 1)
    if array.ndim == 4 and array.shape[3] == 4:
        array = array[..., :3]
    with np.errstate(over="ignore"):
        return cast("npt.NDArray[np.float32]", np.ascontiguousarray(array, np.float32))

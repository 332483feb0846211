"""The IDX file format of the MNIST family."""

from __future__ import annotations

import gzip
import os
import struct
import zlib
from pathlib import Path

import numpy as np

GZIP = b"\x1f\x8b"
TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def read_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """Read one IDX file, plain or compressed by gzip, as its content says.

    Layout: two zero bytes, a type code, the number of dimensions, each size as a big-endian
    32-bit integer, then the values, row-major.

    Args:
        path: The file; ``~`` is the home folder.

    Returns:
        The values as they are stored, in the byte order of the machine.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Not an IDX file, or cut short.

    Source: LeCun, Cortes & Burges, The MNIST database (1998), "file formats".
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"There is no IDX file {path}.")
    content = _content(path)
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in TYPES:
        raise ValueError(
            f"{path} is not an IDX file: it must start with two zero bytes and a type code in "
            f"{sorted(TYPES)}. Got {list(content[:4])}; download it again."
        )
    dimensions = content[3]
    start = 4 + 4 * dimensions
    if len(content) < start:
        raise ValueError(f"{path} is cut short within its header; download it again.")
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    kind = np.dtype(TYPES[content[2]])
    expected = start + int(np.prod(shape, dtype=np.int64)) * kind.itemsize
    if len(content) != expected:
        raise ValueError(
            f"{path} must be {expected} bytes long for shape {shape}. Got {len(content)}; "
            "the file is cut short or damaged, download it again."
        )
    values = np.frombuffer(content, kind, offset=start).reshape(shape)
    return values.astype(kind.newbyteorder("="))


def _content(path: Path) -> bytes:
    content = path.read_bytes()
    if path.suffix.lower() != ".gz" and content[:2] != GZIP:
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(
            f"{path} is not a whole gzip file ({error}); download it again."
        ) from error

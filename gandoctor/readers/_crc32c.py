"""CRC-32C (Castagnoli), masked as TFRecord writes it, by numpy over many pieces at once.

A CRC is linear over XOR. So the tables hold what a byte contributes when d bytes follow it, and
the register of a piece is the XOR over its bytes; a register is carried over 2^p zero bytes by
four more tables. Masked = rotated right by 15, plus 0xa282ead8 (TensorFlow, `tsl/lib/hash/crc32c.h`).
"""

from __future__ import annotations

from functools import cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Bytes: TypeAlias = npt.NDArray[np.uint8]
Crcs: TypeAlias = npt.NDArray[np.uint32]
Positions: TypeAlias = npt.NDArray[np.int64]

REACH = 256  # the tables know bytes with fewer than this behind them
SMALL = 1 << 16  # lengths below it have their checksum tabulated
_BLOCK = 128  # bytes
_BATCH = 1 << 12  # blocks taken through the tables at once
_POLYNOMIAL = 0x82F63B78
_MASK = 0xA282EAD8
_ONES = 0xFFFFFFFF


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli) of a few bytes, unmasked.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    table, crc = _byte_table(), _ONES
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ _ONES


def length_crc(n: int) -> int:
    """The masked checksum of a length field.

    >>> hex(length_crc(24))
    '0x224b7fa3'
    """
    return int(small_length_crcs()[n]) if n < SMALL else masked_int(crc32c(n.to_bytes(8, "little")))


def length_crcs(n: Crcs) -> Crcs:
    """The masked checksums of length fields, uint32 (k,)."""
    crc = np.full(len(n), crc32c(bytes(8)), np.uint32)
    for byte in range(4):
        crc ^= tables()[7 - byte].take((n >> 8 * byte) & 0xFF)
    return masked(crc)


@cache
def small_length_crcs() -> Crcs:
    """uint32 (65536,): the masked checksum of every length below 2¹⁶."""
    return length_crcs(np.arange(SMALL, dtype=np.uint32))


def unaligned(data: Bytes, dtype: str) -> npt.NDArray[Any]:
    """The bytes as values of a type that start at every byte."""
    kind = np.dtype(dtype)
    return np.ndarray(len(data) - kind.itemsize + 1, kind, data, strides=(1,))


def piece_crcs(data: Bytes, at: Positions, n: Positions) -> Crcs:
    """The masked checksums, uint32 (k,), of k pieces of `data`: n > 0 bytes each, from `at` on.

    A piece is cut, from its end, into blocks. All blocks of all pieces go through the tables
    column by column; each is then carried over the bytes behind it, and a piece is their XOR.
    """
    blocks = -(-n // _BLOCK)
    first = np.cumsum(blocks) - blocks
    piece = np.repeat(np.arange(len(n)), blocks)
    behind = (first + blocks)[piece] - 1 - np.arange(len(piece))  # blocks behind it in its piece
    start = (at + n)[piece] - _BLOCK * (behind + 1)
    crc = np.empty(len(piece), np.uint32)
    for low in range(0, len(piece), _BATCH):
        some = slice(low, low + _BATCH)
        crc[some] = _registers(data, start[some], at[piece[some]])
    register: Crcs = np.bitwise_xor.reduceat(_carried(crc, _BLOCK * behind), first)
    return masked(~register ^ _carried(np.full(len(n), _ONES, np.uint32), n))


def _registers(data: Bytes, start: Positions, floor: Positions) -> Crcs:
    """The register, from zero, after each block of `data`; bytes before `floor` count as zeros."""
    rows = unaligned(data, f"V{_BLOCK}")[np.maximum(start, 0)].view(np.uint8).reshape(-1, _BLOCK)
    early = np.flatnonzero(start < floor)
    if len(early):
        byte = start[early, None] + np.arange(_BLOCK)
        rows[early] = np.where(byte >= floor[early, None], data.take(byte, mode="clip"), 0)
    register = np.zeros(len(rows), np.uint32)
    for byte_at in range(_BLOCK):
        register ^= tables()[_BLOCK - 1 - byte_at].take(rows[:, byte_at])
    return register


def masked_int(crc: int) -> int:
    """A checksum as TFRecord writes it."""
    return (((crc >> 15) | (crc << 17)) + _MASK) & _ONES


def masked(crc: Crcs) -> Crcs:
    """Checksums as TFRecord writes them."""
    rotated: Crcs = (crc >> np.uint32(15)) | (crc << np.uint32(17))
    return rotated + np.uint32(_MASK)


@cache
def tables() -> Crcs:
    """uint32 (256, 256): what byte b adds to the register when d more bytes follow it, [d, b]."""
    first = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        first = np.where(first & 1, (first >> 1) ^ np.uint32(_POLYNOMIAL), first >> 1)
    made = [first]
    for _ in range(REACH - 1):
        made.append((made[-1] >> 8) ^ first[made[-1] & 0xFF])
    return np.array(made)


@cache
def _byte_table() -> list[int]:
    table: list[int] = tables()[0].tolist()
    return table


@cache
def _zeros(power: int) -> Crcs:
    """uint32 (4, 256): the register after 2^power zero bytes, by each of its bytes before."""
    if power == 0:
        register = np.arange(256, dtype=np.uint32) << (8 * np.arange(4, dtype=np.uint32)[:, None])
        after: Crcs = (register >> 8) ^ tables()[0].take(register & 0xFF)
        return after
    half = _zeros(power - 1)
    return _through(half, half)


def _through(zeros: Crcs, register: Crcs) -> Crcs:
    """Carry registers over the zero bytes that a table stands for."""
    after: Crcs = zeros[0].take(register & 0xFF)
    for byte in (1, 2, 3):
        after ^= zeros[byte].take((register >> 8 * byte) & 0xFF)
    return after


def _carried(register: Crcs, zeros: Positions) -> Crcs:
    """Registers (k,) after so many zero bytes each."""
    register = register.copy()
    for power in range(int(zeros.max()).bit_length()):
        which = np.flatnonzero((zeros >> power) & 1)
        register[which] = _through(_zeros(power), register[which])
    return register

"""DER, as far as a time stamp authority needs it: no library here writes CMS SignedData by parts."""

from __future__ import annotations

from collections.abc import Iterator


def tlv(tag: int, *parts: bytes) -> bytes:
    """One element: tag, length, contents."""
    body = b"".join(parts)
    if len(body) < 0x80:
        return bytes([tag, len(body)]) + body
    length = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + body


def sequence(*parts: bytes) -> bytes:
    return tlv(0x30, *parts)


def set_of(*parts: bytes) -> bytes:
    return tlv(0x31, *sorted(parts))


def octets(body: bytes) -> bytes:
    return tlv(0x04, body)


def utf8(text: str) -> bytes:
    return tlv(0x0C, text.encode())


def integer(value: int) -> bytes:
    return tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def oid(dotted: str) -> bytes:
    first, second, *rest = map(int, dotted.split("."))
    return tlv(0x06, *(_base128(number) for number in (40 * first + second, *rest)))


def _base128(number: int) -> bytes:
    out = bytes([number & 0x7F])
    while number := number >> 7:
        out = bytes([0x80 | number & 0x7F]) + out
    return out


def elements(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """(tag, contents, whole element), one after the other."""
    while data:
        length, head = data[1], 2
        if length & 0x80:
            head += length & 0x7F
            length = int.from_bytes(data[2:head], "big")
        yield data[0], data[head : head + length], data[: head + length]
        data = data[head + length :]

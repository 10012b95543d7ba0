"""Bech32 (BIP 173) without its length limit, as age writes recipients and identities.

Guarantees: what `decode` accepts is exactly what `encode` writes, in one case only; nothing of the text is repeated in
an error, since it may be a secret. Assumes: the caller knows the prefix it expects.
"""

from __future__ import annotations

from collections.abc import Iterable

from agent.errors import FormatError

_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHECKSUM_CHARACTERS = 6
_COPY_AGAIN = "copy it again, whole"


def encode(prefix: str, data: bytes) -> str:
    """`<prefix>1<data><checksum>`, in the case of the prefix (which is wholly upper or wholly lower case)."""
    assert prefix in (prefix.lower(), prefix.upper())
    groups = _to_groups(data)
    state = _checksum_state([*_expanded(prefix), *groups, *[0] * _CHECKSUM_CHARACTERS]) ^ 1
    checksum = [(state >> 5 * (_CHECKSUM_CHARACTERS - 1 - place)) & 31 for place in range(_CHECKSUM_CHARACTERS)]
    text = "".join(_ALPHABET[group] for group in [*groups, *checksum])
    return f"{prefix}1{text.upper() if prefix.isupper() else text}"


def decode(prefix: str, text: str, where: str) -> bytes:
    """The bytes of a string that `encode` wrote under this very prefix.

    Raises FormatError at `where` for another prefix, the other case, a foreign character, a wrong checksum or bits that
    `encode` leaves 0.
    """
    start = f"{prefix}1"
    if not text.startswith(start):
        if text.lower().startswith(start.lower()):
            raise FormatError(where, f"does not begin with {start} in this case", _COPY_AGAIN)
        raise FormatError(where, f"does not begin with {start}", _COPY_AGAIN)
    alphabet = _ALPHABET.upper() if prefix.isupper() else _ALPHABET
    groups = [alphabet.find(character) for character in text[len(start) :]]
    if -1 in groups:
        place = len(start) + groups.index(-1) + 1
        case = "upper" if prefix.isupper() else "lower"
        raise FormatError(where, f"character {place} is not one of bech32 in {case} case", _COPY_AGAIN)
    if len(groups) < _CHECKSUM_CHARACTERS or _checksum_state([*_expanded(prefix), *groups]) != 1:
        raise FormatError(where, "the checksum is wrong: a character is wrong, missing or too many", _COPY_AGAIN)
    return _to_bytes(groups[:-_CHECKSUM_CHARACTERS], where)


def _expanded(prefix: str) -> list[int]:
    """The checksum is always over the lower-case prefix."""
    codes = prefix.lower().encode("ascii")
    return [*(code >> 5 for code in codes), 0, *(code & 31 for code in codes)]


def _checksum_state(groups: Iterable[int]) -> int:
    state = 1
    for group in groups:
        top = state >> 25
        state = (state & 0x1FFFFFF) << 5 ^ group
        for place, generator in enumerate(_GENERATORS):
            if top >> place & 1:
                state ^= generator
    return state


def _to_groups(data: bytes) -> list[int]:
    count = -(-len(data) * 8 // 5)
    bits = int.from_bytes(data, "big") << (count * 5 - len(data) * 8)
    return [bits >> 5 * (count - 1 - place) & 31 for place in range(count)]


def _to_bytes(groups: list[int], where: str) -> bytes:
    bits = 0
    for group in groups:
        bits = bits << 5 | group
    size, spare = divmod(len(groups) * 5, 8)
    if spare >= 5 or bits & ((1 << spare) - 1):
        raise FormatError(where, "is not canonical bech32: bits after the last byte", _COPY_AGAIN)
    return (bits >> spare).to_bytes(size, "big")

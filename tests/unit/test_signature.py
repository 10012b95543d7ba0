"""One spelling of a signature: what passes, and every other way to write it."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import SignatureError
from agent.formats.signature import P256_ORDER, check_form, low_s
from agent.keys import Role, Verifier
from firmware.certificates import Authority, Issued, issue, make_root, sign
from tests.support.agency import NOW_MS, seeded_random

HALF = P256_ORDER // 2
RANDOM = seeded_random("signature")
AUTHORITY: Authority = make_root("pm-test", "Test", True, NOW_MS, RANDOM)
CAMERA: Issued = issue(AUTHORITY, Role("camera", "cam-01"), NOW_MS, RANDOM)
VERIFIER = Verifier(CAMERA.certificate)
orders = st.integers(1, P256_ORDER - 1)


@given(orders, orders)
def test_low_s_gives_the_one_form_and_leaves_it(r: int, s: int) -> None:
    normal = low_s(encode_dss_signature(r, s))
    check_form(normal, "signature")
    assert low_s(normal) == normal
    assert decode_dss_signature(normal) in ((r, s), (r, P256_ORDER - s))


@pytest.mark.parametrize(
    ("r", "s", "passes"),
    [
        (1, 1, True),
        (1, HALF, True),
        (1, HALF + 1, False),
        (P256_ORDER - 1, 1, True),
        (P256_ORDER, 1, False),
        (0, 1, False),
        (1, 0, False),
        (1, P256_ORDER, False),
        (2**300, 1, False),
    ],
)
def test_the_range_of_r_and_s(r: int, s: int, passes: bool) -> None:
    signature = encode_dss_signature(r, s)
    if passes:
        check_form(signature, "signature")
    else:
        with pytest.raises(SignatureError):
            check_form(signature, "signature")


@pytest.mark.parametrize(
    "spelling",
    [
        "",
        "3006020101020101ff",  # a byte after the end
        "3081060201010201 01",  # the length in the long form
        "300702020001020101",  # r with a zero before it
        "300602010102017f00",
        "30060201ff020101",  # r negative
        "3080020101020101 0000",  # indefinite length
        "3106020101020101",  # a set
        "3003020101",  # r alone
        "3009020101020101020101",  # three integers
        "30060201010201",  # cut
    ],
)
def test_every_other_spelling_is_refused(spelling: str) -> None:
    with pytest.raises(SignatureError, match="DER"):
        check_form(bytes.fromhex(spelling), "entry 7: signature")


@settings(max_examples=50)
@given(st.binary(max_size=100), st.data())
def test_a_verifier_takes_its_own_signature_only(text: bytes, data: st.DataObject) -> None:
    signature = sign(CAMERA.key, text)
    digest = hashlib.sha256(text).digest()
    VERIFIER.check(digest, signature, "entry 7")
    index = data.draw(st.integers(0, len(signature) - 1))
    flipped = bytes(b ^ (1 << data.draw(st.integers(0, 7))) if i == index else b for i, b in enumerate(signature))
    with pytest.raises(SignatureError):
        VERIFIER.check(digest, flipped, "entry 7")
    with pytest.raises(SignatureError, match="entry 7"):
        VERIFIER.check(hashlib.sha256(text + b"x").digest(), signature, "entry 7")


def test_the_other_s_of_a_good_signature_is_refused() -> None:
    r, s = decode_dss_signature(sign(CAMERA.key, b"text"))
    with pytest.raises(SignatureError, match="low"):
        VERIFIER.check(hashlib.sha256(b"text").digest(), encode_dss_signature(r, P256_ORDER - s), "entry 7")

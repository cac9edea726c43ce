"""How deliveries are signed: by keys that are derived, as Standard Webhooks says."""

import base64
import hashlib
import hmac
from uuid import UUID

import pytest

from service.webhooks.signing import hkdf, shown, signature_headers, webhook_key

pytestmark = pytest.mark.ring("unit")

ONE, TWO = UUID(int=1), UUID(int=2)
SECRET = "s" * 32


def test_keys_are_derived_as_rfc_5869_says() -> None:
    found = hkdf(
        bytes.fromhex("0b" * 22),
        salt=bytes.fromhex("000102030405060708090a0b0c"),
        info=bytes.fromhex("f0f1f2f3f4f5f6f7f8f9"),
        length=42,
    )
    assert found.hex() == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"


def test_every_webhook_number_and_service_has_a_key_of_its_own() -> None:
    keys = {webhook_key(SECRET, ONE, 1), webhook_key(SECRET, ONE, 2), webhook_key(SECRET, TWO, 1)}
    assert len(keys | {webhook_key("t" * 32, ONE, 1)}) == 4
    assert webhook_key(SECRET, ONE, 1) in keys, "and it is the same each time"


def test_a_signature_is_the_one_of_the_specification() -> None:
    # The example of https://github.com/standard-webhooks/standard-webhooks
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signature_headers([key], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_after_a_rotation_both_keys_sign() -> None:
    signed = signature_headers([b"new", b"old"], "msg_1", 7, b"{}")["webhook-signature"]
    expected = [base64.b64encode(hmac.digest(key, b"msg_1.7.{}", hashlib.sha256)).decode() for key in (b"new", b"old")]
    assert signed == f"v1,{expected[0]} v1,{expected[1]}"


def test_a_secret_is_shown_as_receivers_configure_it() -> None:
    text = shown(webhook_key(SECRET, ONE, 1))
    assert text.startswith("whsec_")
    assert base64.b64decode(text.removeprefix("whsec_")) == webhook_key(SECRET, ONE, 1)

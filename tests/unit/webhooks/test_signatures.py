"""Signatures: published vectors, and the vendors' own libraries as judges of generated ones."""

import base64
import hashlib
import hmac
import time
from datetime import UTC, datetime
from typing import Any

import pytest
import stripe
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, reject
from hypothesis import strategies as st
from standardwebhooks import Webhook

from quotekit.webhooks.signatures import SCHEMES, TOLERANCE, Delivery, Keys, SignatureError, verify

BODY = b'{"description":"tracker.updated"}'
ORDER = (
    b'{"type":1,"tts_notification_id":"7327112393057371910","shop_id":"7494049642642441621",'
    b'"timestamp":1644412885,"data":{"order_id":"576486316948490001","order_status":'
    b'"AWAITING_SHIPMENT","is_on_hold_order":false,"update_time":1644412885}}'
)
# The body EasyPost's client libraries are tested with.
BATCH = (
    b'{"result":{"id":"batch_123...","object":"Batch","mode":"test","state":"created",'
    b'"num_shipments":0,"reference":null,"created_at":"2022-07-26T17:22:32Z",'
    b'"updated_at":"2022-07-26T17:22:32Z","scan_form":null,"shipments":[],"status":{"created":0,'
    b'"queued_for_purchase":0,"creation_failed":0,"postage_purchased":0,'
    b'"postage_purchase_failed":0},"pickup":null,"label_url":null},"description":"batch.created",'
    b'"mode":"test","previous_attributes":null,"completed_urls":null,"user_id":"user_123...",'
    b'"status":"pending","object":"Event","id":"evt_123..."}'
)
STRIPE = "186ce93cc6174a60c2715cf46ca7ae8c45c1b985330f5130e22d4c165154d2c7"
SHIPPO = "2a9efd7dc7591aff9acbaeb5bfaea7b6c9afab6eca8bab03f950548636c5426f"
VECTORS = {
    "github": (
        {"x-hub-signature-256": "sha256="
         "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"},
        b"Hello, World!",
        Keys(["It's a Secret to Everybody"]),
    ),
    "easypost": (
        {"x-hmac-signature": "hmac-sha256-hex="
         "e93977c8ccb20363d51a62b3fe1fc402b7829be1152da9e88cf9e8d07115a46b"},
        BATCH,
        Keys(["s\u00e9cret"]),
    ),
    "tiktok-shop": (
        {"authorization": "63ff21e82003999a4edae0fb17e7caeafafc9886af0af7b4aba6b4e4c9ad7218"},
        ORDER,
        Keys(["e59af819cc"], app_key="29a39d"),
    ),
    "stripe": ({"stripe-signature": f"t=1700000000,v1={STRIPE}"}, BODY, Keys(["whsec_test"])),
    "shippo": (
        {"shippo-auth-signature": f"t=1700000000,v1={SHIPPO}"}, BODY, Keys(["shippo-secret"])
    ),
    "standard": (  # of the Standard Webhooks specification
        {
            "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "webhook-timestamp": "1614265330",
            "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        },
        b'{"test": 2432232314}',
        Keys(["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]),
    ),
}  # fmt: skip
THEN = {"stripe": 1700000000, "shippo": 1700000000, "standard": 1614265330}


def outcome(source: str, delivery: Delivery, keys: Keys, now: float) -> int | str:
    try:
        return verify(source, delivery, keys, now)
    except SignatureError as error:
        return error.reason


@pytest.mark.parametrize("source", VECTORS)
def test_the_vectors_are_accepted(source):
    headers, body, keys = VECTORS[source]

    assert outcome(source, Delivery(headers, body), keys, THEN.get(source, 0)) == 0


@pytest.mark.parametrize("source", VECTORS)
def test_a_body_with_one_bit_changed_is_refused(source):
    headers, body, keys = VECTORS[source]
    changed = bytes([body[0] ^ 1]) + body[1:]

    found = outcome(source, Delivery(headers, changed), keys, THEN.get(source, 0))

    assert found == "mismatch"


@pytest.mark.parametrize("source", VECTORS)
def test_a_signature_with_one_character_changed_is_refused(source):
    headers, body, keys = VECTORS[source]
    name = list(headers)[-1]
    signature = headers[name]
    place = -5
    changed = signature[:place] + ("0" if signature[place] != "0" else "1") + signature[place + 1 :]

    found = outcome(source, Delivery({**headers, name: changed}, body), keys, THEN.get(source, 0))

    assert found == "mismatch"


@pytest.mark.parametrize("source", VECTORS)
def test_during_a_rotation_both_secrets_are_good_and_the_matching_one_is_noted(source):
    headers, body, keys = VECTORS[source]
    both = keys._replace(secrets=["whsec_bmV3ZXIgc2VjcmV0IG9m", *keys.secrets])

    assert outcome(source, Delivery(headers, body), both, THEN.get(source, 0)) == 1


@pytest.mark.parametrize("source", VECTORS)
@pytest.mark.parametrize("keys", [Keys([]), Keys(["another"]), Keys.of({"secrets": ["", " "]}, 0)])
def test_without_the_secret_nothing_is_accepted(source, keys):
    headers, body, _ = VECTORS[source]

    assert outcome(source, Delivery(headers, body), keys, THEN.get(source, 0)) == "mismatch"


@pytest.mark.parametrize("source", VECTORS)
def test_a_request_without_its_header_is_unsigned(source):
    _, body, keys = VECTORS[source]

    assert outcome(source, Delivery({}, body), keys, 0) == "unsigned"


@pytest.mark.parametrize("source", THEN)
@pytest.mark.parametrize("offset", [-TOLERANCE - 1, -TOLERANCE, TOLERANCE, TOLERANCE + 1])
def test_a_timestamp_is_good_for_five_minutes_in_both_directions(source, offset):
    headers, body, keys = VECTORS[source]

    found = outcome(source, Delivery(headers, body), keys, THEN[source] + offset)

    assert found == ("expired" if abs(offset) > TOLERANCE else 0)


def test_an_empty_secret_signs_nothing():
    """HMAC takes an empty key: whoever knows that could sign with it."""
    signature = hmac.digest(b"", BODY, "sha256").hex()
    delivery = Delivery({"x-hub-signature-256": f"sha256={signature}"}, BODY)

    found = outcome("github", delivery, Keys.of({"secrets": [""]}, 0), 0)

    assert found == "mismatch"


@pytest.mark.parametrize("secret", ["whsec_", "whsec_!!", "whsec_=", "whsec_A", "!"])
def test_a_secret_that_decodes_to_nothing_signs_nothing(secret):
    signature = base64.b64encode(hmac.digest(b"", b"msg_1.1700000000." + BODY, "sha256")).decode()
    headers = {"webhook-id": "msg_1", "webhook-timestamp": "1700000000"}
    delivery = Delivery(headers | {"webhook-signature": f"v1,{signature}"}, BODY)

    assert outcome("standard", delivery, keys(secret), 1700000000) == "mismatch"


def test_a_previous_secret_ends_when_it_was_told_to():
    document = {"secrets": ["new", "old"], "previous_until": 1000}

    assert Keys.of(document, 1000).secrets == ["new", "old"]
    assert Keys.of(document, 1001).secrets == ["new"]


@pytest.mark.parametrize(
    "document", [{}, {"secrets": "text"}, {"secrets": None}, {"secrets": [1, None, {}]}]
)
def test_a_document_of_another_shape_holds_no_secrets(document):
    assert list(Keys.of(document, 0).secrets) == []


# --- Shippo's tokens ----------------------------------------------------------------------------


def test_an_account_without_signatures_proves_itself_by_the_token_in_the_address():
    keys = Keys([], tokens=["let-me-in"])

    assert outcome("shippo", Delivery({}, BODY, {"token": "let-me-in"}), keys, 0) == 0
    assert outcome("shippo", Delivery({}, BODY, {"token": "let-me-out"}), keys, 0) == "mismatch"
    assert outcome("shippo", Delivery({}, BODY), keys, 0) == "mismatch"


def test_a_token_is_nothing_to_an_account_with_signatures():
    delivery = Delivery({}, BODY, {"token": "shippo-secret"})

    assert outcome("shippo", delivery, Keys(["shippo-secret"]), 0) == "unsigned"


# --- stripe and standardwebhooks as judges ------------------------------------------------------

words = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=40)
bodies = words.map(str.encode)
offsets = st.sampled_from([-400, -302, -298, -1, 0, 1])
junk = st.sampled_from(
    ["", ",", "v1", "v1=", "t", "t=", "t=x", "v0=aa", "v1=é", "=", "v1=a=b", "t=1,t=2", " "]
)


@st.composite
def stripe_headers(draw: st.DrawFn, secret: str, body: bytes, now: int) -> str:
    """Right headers, and headers wrong in every way a part can be."""
    timestamp = now + draw(offsets)
    text = draw(
        st.sampled_from([f"{timestamp}", f" {timestamp}", f"+{timestamp}", f"0{timestamp}"])
    )
    signer = draw(st.sampled_from([secret, secret + "x"]))
    good = hmac.digest(signer.encode(), f"{timestamp}.".encode() + body, "sha256").hex()
    parts = draw(st.permutations([f"t={text}", f"v1={good}", *draw(st.lists(junk, max_size=2))]))
    kept = parts if draw(st.integers(0, 5)) else parts[1:]
    return ",".join(kept)


@given(data=st.data(), secret=st.text(min_size=1, max_size=12), body=bodies)
def test_stripe_is_verified_as_by_its_library(data, secret, body):
    now = int(time.time())
    header = data.draw(stripe_headers(secret, body, now))
    try:
        stripe.WebhookSignature.verify_header(body, header, secret, TOLERANCE)
        theirs = True
    except stripe.SignatureVerificationError:
        theirs = False
    except TypeError:
        reject()  # a signature beyond ASCII: their library breaks and judges nothing

    ours = outcome("stripe", Delivery({"stripe-signature": header}, body), keys(secret), now)

    assert (ours == 0) == theirs


def keys(*secrets: str) -> Keys:
    return Keys.of({"secrets": list(secrets)}, 0)


def test_stripe_itself_signs_and_we_accept():
    body = '{"id":"evt_1","object":"event","name":"Zoë 🛠"}'
    header = stripe.WebhookSignature.generate_signature_header(body, "whsec_x")

    found = outcome(
        "stripe",
        Delivery({"stripe-signature": header}, body.encode()),
        keys("whsec_x"),
        time.time(),
    )

    assert found == 0


def test_a_future_timestamp_stripe_accepts_is_refused_here():
    later = int(time.time()) + TOLERANCE + 60
    header = stripe.WebhookSignature.generate_signature_header("{}", "whsec_x", later)
    stripe.WebhookSignature.verify_header("{}", header, "whsec_x", TOLERANCE)

    found = outcome(
        "stripe", Delivery({"stripe-signature": header}, b"{}"), keys("whsec_x"), time.time()
    )

    assert found == "expired"


standard_junk = st.sampled_from(
    ["", ",", "v1", "v1,", "v1,AA", "v1,é", "v2,AAAA", "v1a,%%", "v1,AA==,x", "v1,A*A=="]
)


@st.composite
def standard_headers(draw: st.DrawFn, secret: bytes, body: bytes, now: float) -> dict[str, str]:
    identifier = draw(st.text("abc._-1", max_size=8))
    seconds = int(now) + draw(st.sampled_from([-400, -302, -290, 0, 290, 302, 400]))
    shapes = [f"{seconds}", f"{seconds}.75", f" {seconds} ", f"{seconds}e0", "soon", "nan", "1e999"]
    signer = draw(st.sampled_from([secret, secret + b"x"]))
    message = f"{identifier}.{seconds}.".encode() + body
    good = "v1," + base64.b64encode(hmac.digest(signer, message, "sha256")).decode()
    extra = draw(st.lists(standard_junk, max_size=2))
    headers = {
        "webhook-id": identifier,
        "webhook-timestamp": draw(st.sampled_from(shapes)),
        "webhook-signature": " ".join(draw(st.permutations([good, *extra]))),
    }
    dropped = draw(st.sampled_from([None, None, None, None, *headers]))
    return {name: value for name, value in headers.items() if name != dropped}


@given(data=st.data(), secret=st.binary(min_size=1, max_size=40), body=bodies)
def test_standard_webhooks_are_verified_as_by_their_library(data, secret, body):
    now = time.time()
    text = data.draw(st.sampled_from(["whsec_", ""])) + base64.b64encode(secret).decode()
    text = text.rstrip("=") if data.draw(st.booleans()) else text
    headers = data.draw(standard_headers(secret, body, now))
    try:
        Webhook(text).verify(body, headers, json_parse=False)
        theirs = True
    except Exception:  # noqa: BLE001 it raises whatever float() and base64 do
        theirs = False

    ours = outcome("standard", Delivery(headers, body), keys(text), now)

    assert (ours == 0) == theirs


# --- ed25519 ------------------------------------------------------------------------------------


def asymmetric(private: Ed25519PrivateKey, body: bytes, now: int) -> tuple[dict[str, str], str]:
    signature = base64.b64encode(private.sign(f"msg_1.{now}.".encode() + body)).decode()
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(now)}
    public = base64.b64encode(private.public_key().public_bytes_raw()).decode()
    return headers | {"webhook-signature": f"v1a,{signature}"}, f"whpk_{public}"


@given(body=bodies, changed=st.booleans())
def test_an_ed25519_signature_is_accepted_for_its_own_body_only(body, changed):
    headers, public = asymmetric(Ed25519PrivateKey.generate(), body, 1700000000)
    sent = body + b"x" if changed else body

    found = outcome("standard", Delivery(headers, sent), keys(public), 1700000000)

    assert found == ("mismatch" if changed else 0)


def test_keys_of_both_kinds_live_side_by_side():
    headers, public = asymmetric(Ed25519PrivateKey.generate(), BODY, 1700000000)

    found = outcome("standard", Delivery(headers, BODY), keys("whsec_c2VjcmV0", public), 1700000000)

    assert found == 1


def test_a_public_key_is_no_secret():
    """Whoever knows the public key must not be able to sign with it as if it were one."""
    _, public = asymmetric(Ed25519PrivateKey.generate(), BODY, 1700000000)
    raw = base64.b64decode(public.removeprefix("whpk_"))
    forged = base64.b64encode(hmac.digest(raw, b"msg_1.1700000000." + BODY, "sha256")).decode()
    headers = {"webhook-id": "msg_1", "webhook-timestamp": "1700000000"}

    for signature in (f"v1,{forged}", f"v1a,{forged}"):
        delivery = Delivery(headers | {"webhook-signature": signature}, BODY)
        assert outcome("standard", delivery, keys(public), 1700000000) == "mismatch"


@pytest.mark.parametrize("public", ["whpk_", "whpk_AAAA", "whpk_é"])
def test_a_public_key_that_is_none_accepts_nothing(public):
    headers, _ = asymmetric(Ed25519PrivateKey.generate(), BODY, 1700000000)

    assert outcome("standard", Delivery(headers, BODY), keys(public), 1700000000) == "mismatch"


# --- strangers ----------------------------------------------------------------------------------

anything = st.text(st.characters(), max_size=60)  # half surrogate pairs too
names = st.sampled_from(
    [
        *("stripe-signature", "x-hub-signature-256", "authorization", "x-hmac-signature"),
        *("shippo-auth-signature", "webhook-id", "webhook-timestamp", "webhook-signature"),
    ]
)
shaped = st.one_of(
    anything,
    st.lists(st.tuples(st.sampled_from(["t", "v1", "v0", ""]), anything), max_size=4).map(
        lambda pairs: ",".join(f"{key}={value}" for key, value in pairs)
    ),
    st.integers().map(str),
    st.floats().map(str),
    anything.map("v1,{}".format),
    st.just(f"t={'9' * 5000},v1=00"),
)


@given(
    source=st.sampled_from(sorted(SCHEMES)),
    headers=st.dictionaries(names, shaped),
    body=st.binary(max_size=60),
    query=st.dictionaries(st.just("token"), anything),
)
def test_no_header_of_a_stranger_is_accepted_or_breaks_anything(source, headers, body, query):
    held: dict[str, Any] = {"secrets": ["whsec_c2VjcmV0", "whpk_AAAA", "sécret"], "tokens": ["t0k"]}

    found = outcome(source, Delivery(headers, body, query), Keys.of(held, 0), 1700000000)

    assert found in {"unsigned", "malformed", "mismatch", "expired"}


def test_the_time_of_the_vectors_is_what_we_think() -> None:
    assert datetime.fromtimestamp(1700000000, UTC).isoformat() == "2023-11-14T22:13:20+00:00"
    assert hashlib.sha256(ORDER).hexdigest().startswith("ebac0a60")

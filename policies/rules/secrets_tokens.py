"""The key that signs tokens: long, random, nobody else's."""

from collections.abc import Iterator

from policies.engine.rule import Fault, rule
from policies.view.credentials import Credential, draws
from policies.view.parts import Platform, PlatformPart
from policies.view.samples import is_known
from policies.view.targets import place
from policies.view.values import NotKnownError
from service.auth.strength import estimated_bits

MEND = "leave it to the generator: `pulumi config rm jwtSecret`; or `pulumi config set --secret jwtSecret` with the output of `openssl rand -hex 32`"  # noqa: E501

DIGEST_BYTES = {"HS256": 32, "HS384": 48, "HS512": 64}
"""Of each algorithm the bytes of its digest, which RFC 7518 asks of its key at least."""

SHORTEST = 32
BITS, BITS_IN_PROD = 128, 256


def _signs_tokens(credential: Credential) -> bool:
    return credential.signs_tokens


@rule(
    "jwt-secret-not-default", on=Credential, where=_signs_tokens, wanted="a secret that no document shows", mend=MEND,
)  # fmt: skip
def the_signing_key_is_no_sample(credential: Credential) -> Iterator[Fault]:
    """Whoever has read the documents can sign tokens with their sample, for any user and any role."""
    secret = credential.known()
    if secret is not None and is_known(secret):
        yield Fault(credential.value, "the key of tokens is empty, a placeholder or a sample that everybody knows")


@rule(
    "jwt-secret-not-default", on=PlatformPart, parts=["api"], environments=["prod"],
    wanted="JWT_SECRET_FILE with the path of its secret file", mend=MEND,
)  # fmt: skip
def the_api_asks_who_is_calling(part: PlatformPart) -> Iterator[Fault]:
    """Without JWT_SECRET the API runs without authentication: everybody may do everything."""
    if part.setting("JWT_SECRET").is_unknown or not part.setting("JWT_SECRET").is_absent:
        return
    yield Fault(part.setting("JWT_SECRET"), "JWT_SECRET is not given, so that nobody has to log in")


@rule(
    "jwt-secret-length", on=Credential, where=_signs_tokens,
    wanted=f"{SHORTEST} characters or more", mend=MEND,
)  # fmt: skip
def the_signing_key_is_long_enough(credential: Credential) -> Iterator[Fault]:
    """A short key can be tried out on one token, without asking the API once."""
    secret = credential.known()
    if secret is not None and len(secret) < SHORTEST:
        yield Fault(credential.value, f"the key of tokens has fewer than {SHORTEST} characters")


@rule(
    "jwt-secret-length", on=Credential, where=_signs_tokens, environments=["prod"],
    wanted="room for 256 bits: 64 hexadecimal characters, or 43 of letters and digits", mend=MEND,
)  # fmt: skip
def the_signing_key_has_room_for_256_bits(credential: Credential) -> Iterator[Fault]:
    """HS256 is only as strong as its key: with fewer bits the key is what is guessed, not the signature."""
    secret = credential.known()
    if secret is None:
        return
    # A hexadecimal character holds 4 bits, one of letters, digits and - _ . ~ holds 6.
    each = 4 if set(secret.lower()) <= set("0123456789abcdef") else 6
    if len(secret) * each < BITS_IN_PROD:
        yield Fault(credential.value, "the key of tokens has no room for 256 bits")


@rule(
    "jwt-secret-length", on=Platform, wanted="as many bytes as the digest: 32 with HS256, 48 with HS384, 64 with HS512",
    mend="authentication.jwtAlgorithm, or a longer jwtSecret",
)  # fmt: skip
def the_signing_key_is_as_long_as_the_digest(platform: Platform) -> Iterator[Fault]:
    """RFC 7518 asks for a key at least as long as the digest; a shorter one makes the longer algorithm pointless."""
    api = platform.parts.get("api")
    if api is None:
        return
    secret = api.setting("JWT_SECRET")
    if secret.is_unknown and any(draws(each) for sources in api.secret_sources.values() for each in sources):
        return
    if secret.is_unknown and api.hides_files:
        return
    algorithm = (api.setting("JWT_ALGORITHM").text() or "HS256").upper()
    least = DIGEST_BYTES.get(algorithm, 0)
    if (text := secret.text()) is not None and len(text.encode()) < least:
        yield Fault(place(api.resource, secret), f"the key of tokens has fewer than {least} bytes")


@rule(
    "jwt-secret-random", on=Credential, where=_signs_tokens,
    wanted=f"a secret from a generator, or one that is worth {BITS} bits", mend=MEND,
)  # fmt: skip
def the_signing_key_looks_random(credential: Credential) -> Iterator[Fault]:
    """What a person thinks up has words, patterns and repetitions, and is found by programs that try those first."""
    yield from _weak(credential, BITS)


@rule(
    "jwt-secret-random", on=Credential, where=_signs_tokens, environments=["prod"],
    wanted=f"a secret from a generator, or one that is worth {BITS_IN_PROD} bits", mend=MEND,
)  # fmt: skip
def the_signing_key_is_worth_256_bits(credential: Credential) -> Iterator[Fault]:
    """In production the key protects real users for as long as it is in use: it must be out of reach for good."""
    yield from _weak(credential, BITS_IN_PROD)


def _weak(credential: Credential, bits: int) -> Iterator[Fault]:
    secret = credential.known()
    if secret is not None and estimated_bits(secret) < bits:
        yield Fault(credential.value, f"the key of tokens is worth fewer than {bits} bits to a guesser")


@rule(
    "jwt-secret-unique-per-environment", on=Credential, where=_signs_tokens,
    wanted="a secret of its own for each stack", mend=MEND,
)  # fmt: skip
def the_signing_key_is_of_this_stack_alone(credential: Credential) -> Iterator[Fault]:
    """A token that a developer gets in dev must open nothing in production, and a leak there must end there."""
    secret = credential.known()
    if secret is None:
        return
    if credential.fingerprints is None:
        # Our own program draws it under this name; what was drawn for this stack is of no other.
        if any(draws(each) and each.name.startswith("jwtSecret") for each in credential.sources):
            return
        raise NotKnownError("fingerprints of other stacks")
    for stack in credential.fingerprints.stacks_with(secret, credential.stack):
        yield Fault(credential.value, f"the key of tokens is also that of the stack {stack}")

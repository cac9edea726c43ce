"""The key that signs tokens."""

from policies.view.values import ABSENT, UNKNOWN
from tests.policies.changes import Case, adjust, also, both, env, recorded_elsewhere, secret

SAMPLE = "CHANGE_THIS_TO_RANDOM_64_CHAR_STRING_MIN"
TYPED = "WeDeployEveryMondayAndThursdayToTheClusterOfTheBerlinOffice20261"
GIVEN = "4f0c2a9d8e1b7365f2c4a6e8091b3d5f7a9c1e3b5d7f90a2c4e6f8b1d3a5c7e9"
FOREIGN = "kubernetes:core/v1:Secret"

# Of what no generator has drawn nothing is known; of what one draws it is known that it is random.
HIDDEN = both(
    secret("api", "jwt", UNKNOWN), adjust("Secret", "api-secrets", property_dependencies={"data": frozenset()})
)
GIVEN_BY_HAND = both(
    secret("api", "jwt", GIVEN), adjust("Secret", "api-secrets", property_dependencies={"data": frozenset()})
)


def foreign(key: str, value: object) -> dict[str, object]:
    return {"metadata": {"name": "theirs"}, "stringData": {key: value}}


CASES = [
    Case("the_signing_key_is_no_sample", secret("api", "jwt", SAMPLE), path="data.jwt"),
    Case("the_signing_key_is_no_sample", secret("api", "jwt", SAMPLE.lower()), environment="dev", path="uploads"),
    Case("the_signing_key_is_no_sample", secret("api", "jwt", ""), why="empty"),
    Case(
        "the_signing_key_is_no_sample",
        also(FOREIGN, "theirs", foreign("JWT_SECRET_KEY", "your-secret-key-goes-here-with-32-characters")),
        path="stringData",
        why="foreign",
    ),
    Case("the_signing_key_is_no_sample", HIDDEN, "not evaluated"),
    Case("the_api_asks_who_is_calling", env("api", "JWT_SECRET_FILE", ABSENT), path="JWT_SECRET"),
    Case("the_api_asks_who_is_calling", env("api", "JWT_SECRET_FILE", UNKNOWN), "not evaluated"),
    Case("the_api_asks_who_is_calling", secret("api", "jwt", ABSENT), why="no_file"),
    Case("the_signing_key_is_long_enough", secret("api", "jwt", GIVEN[:31])),
    Case("the_signing_key_is_long_enough", secret("api", "jwt", GIVEN[:31]), environment="dev"),
    Case("the_signing_key_is_long_enough", HIDDEN, "not evaluated"),
    Case("the_signing_key_has_room_for_256_bits", secret("api", "jwt", GIVEN[:63])),
    Case("the_signing_key_has_room_for_256_bits", HIDDEN, "not evaluated"),
    Case(
        "the_signing_key_is_as_long_as_the_digest",
        both(env("api", "JWT_ALGORITHM", "HS512"), secret("api", "jwt", GIVEN[:63])),
    ),
    Case("the_signing_key_is_as_long_as_the_digest", secret("api", "jwt", GIVEN[:31]), environment="dev"),
    Case("the_signing_key_is_as_long_as_the_digest", env("api", "JWT_ALGORITHM", UNKNOWN), "not evaluated"),
    Case("the_signing_key_looks_random", secret("api", "jwt", "abcdefgh" * 8)),
    Case("the_signing_key_looks_random", secret("api", "jwt", "Password-" * 8), environment="dev"),
    Case("the_signing_key_looks_random", HIDDEN, "not evaluated"),
    Case("the_signing_key_is_worth_256_bits", secret("api", "jwt", TYPED)),
    Case("the_signing_key_is_worth_256_bits", secret("api", "jwt", GIVEN[:62]), why="short"),
    Case("the_signing_key_is_worth_256_bits", HIDDEN, "not evaluated"),
    Case(
        "the_signing_key_is_of_this_stack_alone",
        both(secret("api", "jwt", GIVEN), recorded_elsewhere("dev", GIVEN)),
        path="data.jwt",
    ),
    Case(
        "the_signing_key_is_of_this_stack_alone",
        both(secret("api", "jwt", GIVEN), recorded_elsewhere("prod", GIVEN)),
        environment="dev",
    ),
    Case("the_signing_key_is_of_this_stack_alone", GIVEN_BY_HAND, "not evaluated", why="no_records"),
    Case("the_signing_key_is_of_this_stack_alone", HIDDEN, "not evaluated"),
]

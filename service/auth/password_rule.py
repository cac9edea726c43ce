"""What a password of a person or a program must be at least; commands and the policy pack have the same rule."""

from service.auth.strength import estimated_bits

SHORTEST = 12
LEAST_BITS = 64


def weakness(password: str, *names: str) -> str | None:
    """What is wrong with the password of somebody with these names, without showing any of it; None if nothing is."""
    if len(password) < SHORTEST:
        return f"the password has {len(password)} characters, it must have {SHORTEST} or more"
    if any(password.casefold() == name.casefold() for name in names):
        return "the password is the name, it must be something that nobody else knows"
    if estimated_bits(password) < LEAST_BITS:
        return (
            f"the password is worth fewer than {LEAST_BITS} bits to a guesser: take a longer one with fewer words,"
            " repetitions and sequences, for instance one made by `openssl rand -base64 24`"
        )
    return None

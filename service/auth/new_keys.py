"""What a new key may be: within its own role, and not more than the one who makes it."""

from service.auth.principal import Principal
from service.auth.schemas import KeyRequest
from service.auth.scopes import SCOPES, beyond
from service.platform.problems import FieldProblem, ProblemError, invalid


def refuse_more_than_own(maker: Principal, wanted: KeyRequest) -> None:
    """Raise the problem of a key that its role does not carry (422), or its maker has not to give (403)."""
    scopes = wanted.scopes or []
    unfit = [
        FieldProblem(
            field=f"scopes.{place}",
            message=f"{scopes[place]} needs the role {SCOPES[scopes[place]].role}; the key has {wanted.role}",
        )
        for place in beyond(wanted.role, scopes)
    ]
    if unfit:
        raise invalid(unfit, "The scopes do not fit the role of the key.")
    if not maker.role.includes(wanted.role):
        raise _exceeding("role", f"must be {maker.role} or less, which is yours")
    if maker.scopes is not None:
        if wanted.scopes is None:
            raise _exceeding(
                "scopes", f"must be given, because yours are narrowed to {', '.join(sorted(maker.scopes))}"
            )
        for place, scope in enumerate(scopes):
            if not maker.may(scope):
                raise _exceeding(f"scopes.{place}", f"must be one of yours: {', '.join(sorted(maker.scopes))}")
    ends = maker.expires_at if maker.kind == "api_key" else None
    if ends is not None and (wanted.expires_at is None or wanted.expires_at > ends):
        raise _exceeding("expires_at", f"must be {ends.isoformat()} or earlier, which is when your key ends")


def _exceeding(field: str, rule: str) -> ProblemError:
    problem = FieldProblem(field=field, message=rule)
    return ProblemError(403, "more-than-own", "Nobody can make a key that may more than they may.", errors=[problem])

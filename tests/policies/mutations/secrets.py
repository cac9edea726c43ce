"""Where secrets stand, and the key that signs tokens."""

from tests.policies.mutations.good_tree import KEY_OF_ANOTHER_STACK
from tests.policies.mutations.harness import Mutation

ISSUED = "wfk_" + "0a1b2c3d_" + "Zx9" * 14 + "Q"
"""Has the form of a key of our API; put together, so that no scan takes this file for a leak."""

MUTATIONS = [
    Mutation(
        "service-passwords-from-secrets",
        "dev",
        "infra/components/exporters.py",
        '"DATA_SOURCE_PASS_FILE": secret_path("monitoring"),',
        '"DATA_SOURCE_PASS": "the-exporter-only-reads-figures-of-the-database",',
        "variables_hold_no_secrets",
    ),
    Mutation(
        "stack-secrets-encrypted",
        "prod",
        "Pulumi.prod.yaml",
        "  workflow-platform:target: kubernetes\n",
        "  workflow-platform:target: kubernetes\n"
        "  docker:registryAuth: [{address: registry.internal, username: deploy, password: nobody-reads-this}]\n",
        "stack_configs_have_no_secret_in_clear",
    ),
    Mutation(
        "secrets-not-in-vcs",
        "prod",
        "README.md",
        'auth="authorization: Bearer $token"',
        f'auth="x-api-key: {ISSUED}"',
        "tracked_files_hold_no_secrets",
    ),
    # Without the key nobody has to log in; that the setting is missing is asked of production, too.
    Mutation(
        "jwt-secret-not-default",
        "prod",
        "infra/components/service.py",
        '"JWT_SECRET_FILE": secret_path("jwt"),',
        "",
        "the_api_asks_who_is_calling",
        frozenset({"stack-config-prod-complete"}),
    ),
    # The service itself refuses a key below 32 characters.
    Mutation(
        "jwt-secret-length",
        "dev",
        "infra/components/service.py",
        "previous = parts.secrets.jwt_previous",
        'previous = pulumi.Output.secret("Kq7vX2mTz9RbW4sLpY8hNc3dJf6gQa")',
        "the_signing_key_is_long_enough",
        frozenset({"config-values-validated", "secrets-not-in-vcs"}),
    ),
    Mutation(
        "jwt-secret-random",
        "dev",
        "infra/components/service.py",
        "previous = parts.secrets.jwt_previous",
        'previous = pulumi.Output.secret("we-sign-our-tokens-with-this-key-since-the-first-day")',
        "the_signing_key_looks_random",
    ),
    Mutation(
        "jwt-secret-unique-per-environment",
        "dev",
        "infra/stack_secrets.py",
        'self.jwt = self._secret("jwtSecret")',
        f'self.jwt = pulumi.Output.secret("{KEY_OF_ANOTHER_STACK}")',
        "the_signing_key_is_of_this_stack_alone",
        # Of every secret, and so of this one too, it is asked that it opens one stack only, and is in no file.
        consequences=frozenset({"password-policy", "secrets-not-in-vcs"}),
    ),
]

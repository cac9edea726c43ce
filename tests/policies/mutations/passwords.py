"""Passwords that everybody knows or guesses, and those that nobody gave."""

from tests.policies.mutations.harness import Mutation

MUTATIONS = [
    Mutation(
        "no-default-passwords",
        "dev",
        "infra/components/monitoring.py",
        'secret_files=trust.identity("alertmanager"),',
        'secret_files={**trust.identity("alertmanager"), '
        '"smtp_password": "change-me-to-the-password-of-the-mail-server-before-the-first-deployment"},',
        "no_secret_is_a_known_default",
    ),
    Mutation(
        "password-policy",
        "dev",
        "infra/stack_secrets.py",
        'self.monitoring = self._secret("monitoringPassword")',
        'self.monitoring = pulumi.Output.secret("monitoring-monitoring")',
        "no_secret_can_be_guessed",
    ),
    Mutation(
        "grafana-admin-password-changed",
        "prod",
        "infra/components/monitoring.py",
        '"GF_SECURITY_ADMIN_PASSWORD__FILE"',
        '"GF_SECURITY_ADMIN_PASSWORD_FILE"',
        "grafana_is_given_a_password",
    ),
    Mutation(
        "default-admin-account-changed",
        "prod",
        "infra/components/service.py",
        '"BOOTSTRAP_ADMIN_PASSWORD_FILE": secret_path("admin_password"),',
        "",
        "the_administrator_is_given_a_password",
    ),
]

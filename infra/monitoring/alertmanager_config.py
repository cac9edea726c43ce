"""alertmanager.yml: critical alerts call somebody, warnings are sent where they are read today."""

from dataclasses import dataclass

import yaml

CRITICAL = "critical"
WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Channel:
    """Where one severity goes; every address that is given is used, none means that alerts are only shown.

    `slack_url_file` is the path, inside the container, of a file with the incoming-webhook address, which is a secret.
    """

    webhook: str | None = None
    email: str | None = None
    slack_channel: str | None = None
    slack_url_file: str | None = None


@dataclass(frozen=True, slots=True)
class Smtp:
    """The mail server. `password_file` is a path inside the container."""

    smarthost: str
    sender: str
    username: str | None = None
    password_file: str | None = None


def render(critical_webhook: str | None, warning_webhook: str | None) -> str:
    """The file for a stack that tells webhooks, or nobody."""
    return build(Channel(webhook=critical_webhook), Channel(webhook=warning_webhook))


def build(critical: Channel, warning: Channel, smtp: Smtp | None = None) -> str:
    """The whole file. An e-mail address without `smtp`, or half a Slack channel, raises `ValueError`."""
    for name, channel in ((CRITICAL, critical), (WARNING, warning)):
        if channel.email and smtp is None:
            raise ValueError(f"the {name} alerts go to {channel.email}, but no mail server is given")
        if bool(channel.slack_channel) != bool(channel.slack_url_file):
            raise ValueError(f"the {name} alerts' Slack channel needs both its name and the file with its address")
    config: dict[str, object] = {
        **({"global": _mail_server(smtp)} if smtp else {}),
        "route": {
            # An alert without a severity must reach somebody too.
            "receiver": WARNING,
            "group_by": ["alertname", "job"],
            "group_wait": "10s",
            "group_interval": "5m",
            "repeat_interval": "4h",
            "routes": [
                {"receiver": CRITICAL, "matchers": [f'severity="{CRITICAL}"'], "repeat_interval": "1h"},
                {"receiver": WARNING, "matchers": [f'severity="{WARNING}"']},
            ],
        },
        "inhibit_rules": [
            {
                # What is down need not be reported as slow as well.
                "source_matchers": ['alertname="ServiceDown"'],
                "target_matchers": [f'severity="{WARNING}"'],
                "equal": ["job", "instance"],
            }
        ],
        "receivers": [_receiver(CRITICAL, critical), _receiver(WARNING, warning)],
    }
    return yaml.safe_dump(config, sort_keys=False)


def _mail_server(smtp: Smtp) -> dict[str, object]:
    server: dict[str, object] = {
        "smtp_smarthost": smtp.smarthost,
        "smtp_from": smtp.sender,
        "smtp_require_tls": True,
    }
    if smtp.username:
        server["smtp_auth_username"] = smtp.username
    if smtp.password_file:
        server["smtp_auth_password_file"] = smtp.password_file
    return server


def _receiver(name: str, channel: Channel) -> dict[str, object]:
    receiver: dict[str, object] = {"name": name}
    if channel.webhook:
        receiver["webhook_configs"] = [{"url": channel.webhook, "send_resolved": True}]
    if channel.email:
        receiver["email_configs"] = [{"to": channel.email, "send_resolved": True}]
    if channel.slack_channel:
        slack = {"channel": channel.slack_channel, "api_url_file": channel.slack_url_file, "send_resolved": True}
        receiver["slack_configs"] = [slack]
    return receiver

"""How the service reaches brokers that ask who it is: what is refused at the start, and what the client is given."""

import ssl
from datetime import timedelta
from pathlib import Path

import pytest

from infra.certificates import make_authority
from service.platform.kafka import connection_options
from service.platform.settings import InvalidSettingsError, load_settings
from tests.service.support import make_settings

pytestmark = pytest.mark.ring("unit")

LOGIN = {"kafka_sasl_username": "relay-1", "kafka_sasl_password": "the-password"}


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    found = tmp_path / "ca.crt"
    found.write_text(make_authority("test", timedelta(days=1)).certificate)
    return found


def refusal(**given: object) -> str:
    with pytest.raises(InvalidSettingsError) as caught:
        load_settings(database_url="postgresql://u@h/d", kafka_brokers="k:9092", **given)
    return str(caught.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"kafka_security_protocol": "SASL_PLAINTEXT"}, "leaves messages and logins unencrypted; use SASL_SSL"),
        ({"kafka_security_protocol": "SASL_SSL"}, "KAFKA_SASL_USERNAME is not set, but KAFKA_SECURITY_PROTOCOL is"),
        ({"kafka_security_protocol": "SSL", **LOGIN}, "KAFKA_SASL_USERNAME is set, but KAFKA_SECURITY_PROTOCOL is SSL"),
        ({"kafka_sasl_mechanism": "GSSAPI"}, "KAFKA_SASL_MECHANISM"),
    ],
)
def test_a_connection_that_cannot_work_is_refused_at_the_start(given: dict[str, str], message: str) -> None:
    assert message in refusal(**given)


def test_authorities_without_encryption_are_refused(authority: Path) -> None:
    assert "KAFKA_SSL_CA_FILE is set, but" in refusal(kafka_ssl_ca_file=authority)


def test_a_file_without_authorities_is_named(tmp_path: Path) -> None:
    empty = tmp_path / "empty.crt"
    empty.write_text("nothing")
    assert f"{empty}, which cannot be used: it holds no certificate in PEM" in refusal(
        kafka_security_protocol="SSL", kafka_ssl_ca_file=empty
    )
    missing = tmp_path / "missing.crt"
    assert "No such file" in refusal(kafka_security_protocol="SSL", kafka_ssl_ca_file=missing)


def test_dev_connects_in_clear() -> None:
    settings = make_settings("postgresql://u@h/d", "kafka:29092")
    assert connection_options(settings) == {"bootstrap_servers": ["kafka:29092"], "security_protocol": "PLAINTEXT"}


def test_prod_logs_in_and_verifies_the_brokers_name(authority: Path) -> None:
    options = connection_options(
        make_settings(
            "postgresql://u@h/d", "k:9092", kafka_security_protocol="SASL_SSL", kafka_ssl_ca_file=authority, **LOGIN
        )
    )
    context = options.pop("ssl_context")
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)
    assert len(context.get_ca_certs()) == 1
    assert options == {
        "bootstrap_servers": ["k:9092"],
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "relay-1",
        "sasl_plain_password": "the-password",
    }


def test_without_a_file_the_authorities_of_the_system_are_trusted() -> None:
    options = connection_options(make_settings("postgresql://u@h/d", "k:9092", kafka_security_protocol="SSL"))
    assert options["ssl_context"].verify_mode == ssl.CERT_REQUIRED

"""The web.yml by which Prometheus' programs serve over TLS, and only to callers with a certificate of the stack."""

import yaml

from infra.trust import AUTHORITY_FILE, CERTIFICATE_FILE, KEY_FILE
from infra.workload import secret_path

FILE = "web.yml"
"""Its name among the secret files. It holds no secret, but lies beside those that it names."""


def render() -> str:
    """The whole file. The programs read it and the certificates again for each connection."""
    config = {
        "tls_server_config": {
            "cert_file": secret_path(CERTIFICATE_FILE),
            "key_file": secret_path(KEY_FILE),
            "client_ca_file": secret_path(AUTHORITY_FILE),
            "client_auth_type": "RequireAndVerifyClientCert",
            "min_version": "TLS12",
        }
    }
    return yaml.safe_dump(config, sort_keys=False)

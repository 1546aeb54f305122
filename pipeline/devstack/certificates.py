"""Issues TLS certificates for test servers and their clients, as a certificate authority (CA) that writes PEM files."""

import datetime as dt
import ipaddress
import os
import secrets
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_DAYS = dt.timedelta(days=30)


class LocalAuthority:
    """A certificate authority for tests. The constructor creates its key and certificate.

    Args:
        directory: folder for the files, readable by its owner only; created if missing.

    Attributes:
        file: path of the authority's certificate (PEM).
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(f"local test authority {secrets.token_hex(4)}")
        self._certificate = self._sign(self._name, self._key.public_key(), x509.BasicConstraints(True, 0), ())
        self.file = directory / "ca.pem"
        self.file.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, hosts: tuple[str, ...] = (), password: str = "") -> Path:
        """Create a key and its certificate, and return the path of the PEM file with both.

        Args:
            name: common name of the certificate, and name of the file.
            hosts: host names and addresses for which a server certificate is valid; none for a client.
            password: password that encrypts the key; "" for no encryption.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        found = self._sign(_name(name), key.public_key(), x509.BasicConstraints(False, None), hosts)
        cipher: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if password:
            cipher = serialization.BestAvailableEncryption(password.encode())
        text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, cipher)
        file = self._directory / f"{name}.pem"
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            out.write(text + found.public_bytes(serialization.Encoding.PEM))
        return file

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        constraints: x509.BasicConstraints,
        hosts: tuple[str, ...],
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + _DAYS)
            .add_extension(constraints, critical=True)
        )
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName([_host(one) for one in hosts]), critical=False)
        return builder.sign(self._key, hashes.SHA256())


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)

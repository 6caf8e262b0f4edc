# SPDX-License-Identifier: Apache-2.0
"""A RabbitMQ server of one's own on free loopback ports, from the binaries of the distribution's package."""

import datetime
import ipaddress
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

# The package's wrapper on PATH insists on the rabbitmq user; the script behind it does not.
BINARY = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


def missing() -> str | None:
    """Why no broker can be started here; None when one can."""
    for needed in (BINARY, shutil.which("epmd")):
        if needed is None or not Path(needed).exists():
            return f"there is no {needed or 'epmd'} (Debian: apt-get install rabbitmq-server)"
    return None


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Broker:
    """One server; it keeps its ports and its data when it is killed and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port, self.tls_port, self._dist_port, self._epmd_port = (free_port() for _ in range(4))
        self._server: subprocess.Popen[bytes] | None = None
        self._epmd: subprocess.Popen[bytes] | None = None
        self._certify()
        (folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\n"
            f"listeners.ssl.1 = 127.0.0.1:{self.tls_port}\n"
            f"ssl_options.cacertfile = {folder}/cert.pem\n"
            f"ssl_options.certfile = {folder}/cert.pem\n"
            f"ssl_options.keyfile = {folder}/key.pem\n"
            "log.console.level = error\n"
        )
        (folder / "plugins").write_text("[].")

    @property
    def url(self) -> str:
        """Its transport URL."""
        return f"rabbit://guest:guest@127.0.0.1:{self.port}/"

    @property
    def tls_url(self) -> str:
        """Its transport URL over TLS, with the certificate it is to show."""
        where = f"rabbit://guest:guest@127.0.0.1:{self.tls_port}/"
        return f"{where}?ssl=true&ssl_ca_file={self._folder}/cert.pem"

    def start(self, timeout: float = 60.0) -> None:
        """Start it and wait until it takes connections."""
        if self._epmd is None:
            self._epmd = subprocess.Popen(
                ["epmd", "-address", "127.0.0.1", "-port", str(self._epmd_port)], stderr=subprocess.DEVNULL
            )
        with (self._folder / "output.log").open("ab") as log:
            self._server = subprocess.Popen(
                [str(BINARY)],
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until = time.monotonic() + timeout
        while not self._answers():
            if self._server.poll() is not None or time.monotonic() > until:
                output = (self._folder / "output.log").read_text()[-2000:]
                self.kill()
                raise RuntimeError(f"the broker did not start:\n{output}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        """Whether somebody speaks AMQP on the port."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
                connection.sendall(b"AMQP\x00\x00\x09\x01")
                return len(connection.recv(8)) > 0
        except OSError:
            return False

    def kill(self) -> None:
        """``kill -9``."""
        if self._server is not None:
            os.killpg(self._server.pid, signal.SIGKILL)
            self._server.wait()
            self._server = None
            while self._answers():
                time.sleep(0.01)

    def stop(self) -> None:
        """End it, and all that was started for it."""
        self.kill()
        if self._epmd is not None:
            self._epmd.terminate()
            self._epmd.wait()
            self._epmd = None

    def control(self, *arguments: str) -> str:
        """What ``rabbitmqctl`` says."""
        command = [str(BINARY.with_name("rabbitmqctl")), "-n", "congress@localhost", "-q", *arguments]
        done = subprocess.run(command, env=self._environment(), capture_output=True, text=True, check=True)
        return done.stdout

    def _environment(self) -> dict[str, str]:
        loopback = "-kernel inet_dist_use_interface {127,0,0,1}"
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self._folder),
            "LANG": "C.UTF-8",
            "RABBITMQ_NODENAME": "congress@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_DIST_PORT": str(self._dist_port),
            "RABBITMQ_MNESIA_BASE": str(self._folder / "data"),
            "RABBITMQ_LOG_BASE": str(self._folder / "log"),
            "RABBITMQ_CONFIG_FILE": str(self._folder / "rabbitmq.conf"),
            "RABBITMQ_PID_FILE": str(self._folder / "pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._folder / "plugins"),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": loopback,
            # Two schedulers, no busy waiting: it shares the machine with the tests.
            "RABBITMQ_SERVER_START_ARGS": "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none",
        }

    def _certify(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
        now = datetime.datetime.now(datetime.UTC)
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([address]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        (self._folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        (self._folder / "key.pem").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.TraditionalOpenSSL,
                serialization.NoEncryption(),
            )
        )

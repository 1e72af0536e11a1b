"""
appliance - an instance administered by the guides' commands, for the acceptance tests.
"""
import json
import re
import socket
import ssl
import subprocess

from roundhouse import Instance


class Server(Instance):
    """An instance whose certificate may be another one than the lab's."""

    trusted = None

    @property
    def ca(self):
        return self.trusted or self.path("pki", "ca.pem")

    def xmpp(self, *args, ok=True):
        """Output of a command; ok=False: it must be refused."""
        done = self.run("xmpp", *args, check=ok)
        assert ok or done.returncode == 1, (args, done.returncode, done.stdout)
        return done.stdout

    def rows(self):
        """`xmpp status` as a dict of its labels."""
        rows = {}
        for line in self.xmpp("status").splitlines():
            assert line[24:26] == ": ", line
            rows[line[:24].rstrip()] = line[26:]
        return rows

    def managed(self):
        with open(self.path("conf", "managed.conf"), encoding="utf-8") as f:
            return f.read()

    def generation(self):
        return self.status()["generation"]

    def listeners(self):
        return sorted(self.status()["listeners"])

    def make_cert(self, name, *domains):
        """pki/NAME.key and pki/NAME.crt, self-signed."""
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
             "-nodes", "-days", "30", "-subj", f"/CN={domains[0]}",
             "-addext", "subjectAltName=" + ",".join("DNS:" + d for d in domains),
             "-keyout", self.path("pki", name + ".key"), "-out", self.path("pki", name + ".crt")],
            check=True, capture_output=True)

    def raw_in(self, domain, crt):
        """Connections from now on are to this domain, and trust this certificate."""
        self.domain, self.trusted = domain, self.path("pki", crt)

    def unchanged(self, *args):
        """A command that must be refused, and must not have changed anything; its output."""
        before = self.managed(), self.generation(), self.listeners()
        out = self.xmpp(*args, ok=False)
        assert "FAILURE: " in out, out
        assert (self.managed(), self.generation(), self.listeners()) == before, args
        return out


def is_open(host, port):
    with socket.socket() as s:
        s.settimeout(5)
        return s.connect_ex((host, port)) == 0


def results(out):
    return [line for line in out.splitlines() if re.match("(SUCCESS|FAILURE): ", line)]


def secret_of(out):
    return re.search(r"^Secret\s*: (\S+)$", out, re.M).group(1)


def certificate_seen(rh, name):
    """What a client that asks for this name is given, as PEM."""
    with socket.create_connection(("127.0.0.1", rh.port), timeout=10) as s:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with context.wrap_socket(s, server_hostname=name) as tls:
            return ssl.DER_cert_to_PEM_cert(tls.getpeercert(True))


def file_pem(rh, name):
    with open(rh.path("pki", name), encoding="ascii") as f:
        return re.search("-----BEGIN CERT.*?-----END CERTIFICATE-----\n", f.read(), re.S).group(0)

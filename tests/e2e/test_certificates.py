#!/usr/bin/python3
"""Several domains with a certificate each on one port; new files taken up by themselves or by
`reload`; broken ones refused and told; dates warned of; ALPN (XEP-0368)."""
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from roundhouse import BIN, LIMIT, Instance, Raw, alive, case, run_cases, wait_for

EXTRA = "pki/example.net.crt pki/example.net.key"


class Lab:
    """Makes certificates with `pki lab` and openssl, away from the instance."""

    def __init__(self, rh):
        self.dir = os.path.join(os.path.dirname(rh.dir), "lab")
        self.made = 0

    def new(self, domain):
        """Directory with ca.pem, ca.key, server.crt and server.key for the domain."""
        self.made += 1
        where = os.path.join(self.dir + str(self.made))
        os.mkdir(where)
        subprocess.run([os.path.join(BIN, "pki"), "-C", where, "lab", "--domain", domain],
                       check=True, stdout=subprocess.DEVNULL)
        return os.path.join(where, "pki")

    def dated(self, domain, days):
        """The same, with a certificate that ends in so many days."""
        where = self.new(domain)

        def openssl(*args):
            subprocess.run(["openssl", *args], check=True, cwd=where, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
        def write(name, text):
            with open(os.path.join(where, name), "w", encoding="ascii") as f:
                f.write(text)
        write("ext", f"subjectAltName=DNS:{domain}\n")
        write("index.txt", "")
        write("serial", "4A")
        write("ca.conf", "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\nserial=serial\n"
              "new_certs_dir=.\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n")
        end = time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + days * 86400 + 3600))
        openssl("req", "-new", "-key", "server.key", "-subj", f"/CN={domain}", "-out", "csr")
        openssl("ca", "-batch", "-notext", "-config", "ca.conf", "-cert", "ca.pem", "-keyfile",
                "ca.key", "-in", "csr", "-out", "server.crt", "-extfile", "ext", "-startdate",
                "20200101000000Z", "-enddate", end)
        return where


def install(rh, where, name="server", what=("crt", "key")):
    """As a renewal does: each file under another name first, then renamed."""
    for suffix in what:
        path = rh.path("pki", f"{name}.{suffix}")
        shutil.copy(os.path.join(where, f"server.{suffix}"), path + ".new")
        os.rename(path + ".new", path)


def shown(rh, sni=None, to=None, alpn=None):
    """The certificate that a client is shown: DER. to: by STARTTLS, with that stream header."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(alpn)
    c = Raw(rh)
    try:
        if to:
            c.header(to)
            c.expect("</stream:features>")
            c.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
            c.expect("<proceed[^>]*/>")
        with context.wrap_socket(c.sock, server_hostname=sni) as tls:
            return tls.getpeercert(True), tls.selected_alpn_protocol()
    finally:
        c.close()


def der(path):
    with open(path, encoding="ascii") as f:
        text = f.read()
    end = "-----END CERTIFICATE-----"
    return ssl.PEM_cert_to_DER_cert(text[:text.index(end) + len(end)] + "\n")


def wait_shown(rh, where, sni):
    wanted = der(os.path.join(where, "server.crt"))
    wait_for(lambda: shown(rh, sni)[0] == wanted, f"the new certificate of {sni}")


def alarms(rh):
    status = rh.status()
    return status["alarms"] + [r["alarm"] for r in status["services"] if r["alarm"]]


def wait_no_alarm(rh):
    wait_for(lambda: not alarms(rh), "the end of the alarms")


@case
def each_domain_has_its_own_certificate_on_one_port(rh, lab):
    local, net = der(rh.path("pki", "server.crt")), der(rh.path("pki", "example.net.crt"))
    assert local != net
    for sni, to, expected in ((None, None, local), ("localhost", None, local),
                              ("example.net", None, net), ("conference.example.net", None, net),
                              ("nobody.example", None, local), (None, "localhost", local),
                              (None, "example.net", net), ("localhost", "example.net", local),
                              ("example.net", "localhost", net)):
        assert shown(rh, sni, to)[0] == expected, (sni, to)


@case
def a_client_verifies_the_certificate_of_the_second_domain(rh, lab):
    for ca, sni in ((lab.net, "example.net"), (rh.path("pki"), "localhost")):
        context = ssl.create_default_context(cafile=os.path.join(ca, "ca.pem"))
        with socket.create_connection(("127.0.0.1", rh.port), timeout=LIMIT) as s:
            context.wrap_socket(s, server_hostname=sni).close()


@case
def alpn_is_xmpp_client_or_none(rh, lab):
    for sni in ("localhost", "example.net"):
        assert shown(rh, sni, alpn=["xmpp-client"])[1] == "xmpp-client"
        assert shown(rh, sni, alpn=["h2", "xmpp-client"])[1] == "xmpp-client"
        assert shown(rh, sni)[1] is None
        try:
            shown(rh, sni, alpn=["h2", "http/1.1"])
        except ssl.SSLError as e:  # RFC 7301 3.2
            assert "no application protocol" in str(e).lower().replace("_", " "), e
        else:
            raise AssertionError("a client of another protocol was let in")


@case
def replaced_files_are_taken_up_without_a_command_and_streams_go_on(rh, lab):
    with Raw(rh) as c:
        c.login("juliet", "capulet")
        pid = rh.pid("cm-client")
        lab.net = lab.new("example.net")
        install(rh, lab.net, "example.net")
        wait_shown(rh, lab.net, "example.net")
        assert shown(rh, "localhost")[0] == der(rh.path("pki", "server.crt"))
        c.ping()
        assert rh.pid("cm-client") == pid
    out = subprocess.run(["openssl", "x509", "-noout", "-serial", "-in",
                          os.path.join(lab.net, "server.crt")], check=True, capture_output=True,
                         text=True).stdout
    serial = out.strip().split("=")[1]
    rh.wait_log("cm-client", f"event=certificate file=\"pki/example.net.crt\" serial={serial} .*"
                "names=\"example.net,.* not_after=20")


@case
def a_key_that_comes_before_its_certificate_ends_well(rh, lab):
    new = lab.new("localhost")
    install(rh, new, what=("key",))
    wait_for(lambda: any("is not the key of the certificate" in a for a in alarms(rh)),
             "an alarm about the pair")
    old = der(rh.path("pki", "server.crt"))
    assert shown(rh, "localhost")[0] == old
    install(rh, new, what=("crt",))
    wait_shown(rh, new, "localhost")
    wait_no_alarm(rh)
    shutil.copy(os.path.join(new, "ca.pem"), rh.path("pki", "ca.pem"))


@case
def a_broken_pair_leaves_the_old_one_in_use_also_after_a_restart_of_the_service(rh, lab):
    with open(rh.path("pki", "example.net.crt"), "w", encoding="ascii") as f:
        f.write("-----BEGIN CERTIFICATE-----\nrubbish\n")
    text = wait_for(lambda: alarms(rh), "an alarm")[0]
    assert "pki/example.net.crt: holds no certificate" in text, text
    assert "the certificate before it stays in use" in text, text
    assert "ALARM: cm-client: pki/example.net.crt" in rh.run("supervisor", "status").stdout
    rh.wait_log("supervisor", "event=certificate_refused file=\"pki/example.net.crt\"")
    old = der(os.path.join(lab.net, "server.crt"))
    assert shown(rh, "example.net")[0] == old
    rh.kill("cm-client")
    rh.wait_ready()
    assert shown(rh, "example.net")[0] == old
    # The other domain's are taken up all the same.
    new = lab.new("localhost")
    install(rh, new)
    wait_shown(rh, new, "localhost")
    shutil.copy(os.path.join(new, "ca.pem"), rh.path("pki", "ca.pem"))
    refused = rh.run("supervisor", "reload", check=False)
    assert refused.returncode == 1 and "pki/example.net.crt" in refused.stdout, refused.stdout
    os.unlink(rh.path("pki", "example.net.crt"))
    wait_for(lambda: any("No such file" in a for a in alarms(rh)), "an alarm about the file")
    install(rh, lab.net, "example.net")
    wait_no_alarm(rh)


@case
def what_changed_while_no_supervisor_ran_is_taken_up_by_the_next(rh, lab):
    pid = rh.supervisor_pid()
    os.kill(pid, 9)
    wait_for(lambda: not alive(pid), "the end of the supervisor")
    lab.net = lab.new("example.net")
    install(rh, lab.net, "example.net")
    rh.start()
    wait_shown(rh, lab.net, "example.net")
    # It cannot know what the service has, and sends all; those that are as before are not loaded.
    rh.run("supervisor", "log-level", "cm-client", "debug")
    os.kill(rh.supervisor_pid(), 9)
    wait_for(lambda p=rh.supervisor_pid(): not alive(p), "the end of the supervisor")
    os.rename(rh.path("pki", "example.net.key"), rh.path("pki", "aside"))
    rh.start()
    wait_for(lambda: any("example.net.key: No such file" in a for a in alarms(rh)), "an alarm")
    assert shown(rh, "example.net")[0] == der(os.path.join(lab.net, "server.crt"))
    rh.wait_log("cm-client", "event=files came=2 changed=0")
    os.rename(rh.path("pki", "aside"), rh.path("pki", "example.net.key"))
    wait_no_alarm(rh)
    rh.run("supervisor", "log-level", "cm-client", "info")


@case
def certificates_that_expire_are_warned_of(rh, lab):
    good = lab.net
    for days, says in ((20, "expires in 20 days"), (-3, "has expired")):
        lab.net = lab.dated("example.net", days)
        install(rh, lab.net, "example.net")
        wait_shown(rh, lab.net, "example.net")
        wait_for(lambda s=says: any(s in a and "pki/example.net.crt" in a for a in alarms(rh)),
                 f"the alarm: {says}")
        out = rh.run("pki", "inspect", "example.net.crt").stdout
        assert ("renew it" in out) and (days > 0 or "has expired" in out), out
    log = rh.log("cm-client")
    assert re.search("warn .*event=certificate_expires .*days_left=20 threshold=30", log)
    assert re.search("error .*event=certificate_expired .*days_left=-3 threshold=0", log)
    out = rh.run("supervisor", "check").stdout
    assert "warning: cm-client: pki/example.net.crt: has expired" in out, out
    lab.net = good
    install(rh, good, "example.net")
    wait_shown(rh, good, "example.net")
    wait_no_alarm(rh)


@case
def check_names_the_file_and_what_to_do(rh, lab):
    assert rh.run("supervisor", "check").stdout == "the configuration is good\n"
    keep = rh.path("conf", "roundhouse.conf")
    with open(keep, encoding="utf-8") as f:
        text = f.read()
    table = (
        ('extra = [ "pki/example.net.crt pki/server.key" ];', 1,
         "pki/server.key: is not the key of the certificate in pki/example.net.crt; name the two"),
        ('extra = [ "pki/none.crt pki/none.key" ];', 1, "pki/none.crt: No such file or directory"),
        ('extra = [ "a b c d" ];', 1, 'tls.extra: "a b c d": write "CERTIFICATE KEY"'),
        ('warn_days = [ "soon" ];', 1, 'tls.warn_days: "soon": write whole days'),
        ('extra = [];', 0, "domain example.net: no certificate has its name"),
        ('extra = [ "pki/other.crt pki/other.key", "' + EXTRA + '" ];', 0,
         "pki/other.crt: has none of the domains served here"),
    )
    install(rh, lab.new("other.example"), "other")
    for setting, code, says in table:
        rh.configure({"tls": setting})
        done = rh.run("supervisor", "check", check=False)
        with open(keep, "w", encoding="utf-8") as f:
            f.write(text)
        assert done.returncode == code and says in done.stdout, (setting, done.stdout)


@case
def a_reload_adds_and_removes_certificates(rh, lab):
    net = der(os.path.join(lab.net, "server.crt"))
    rh.configure({"tls": "extra = [];"})
    out = rh.run("supervisor", "reload").stdout
    assert "warning: cm-client: domain example.net: no certificate" in out, out
    assert shown(rh, "example.net")[0] == der(rh.path("pki", "server.crt"))
    rh.configure({"tls": f'extra = [ "{EXTRA}" ];'})
    rh.run("supervisor", "reload")
    assert shown(rh, "example.net")[0] == net


def main():
    with Instance(start=False) as rh:
        lab = Lab(rh)
        lab.net = lab.new("example.net")
        install(rh, lab.net, "example.net")
        conf = rh.path("conf", "roundhouse.conf")
        with open(conf, encoding="utf-8") as f:
            text = f.read()
        with open(conf, "w", encoding="utf-8") as f:
            f.write(text.replace('domains = [ "localhost" ]',
                                 'domains = [ "localhost", "example.net" ]'))
        rh.configure({"tls": f'extra = [ "{EXTRA}" ];'})
        rh.start()
        rh.add_user("juliet@localhost", "capulet")
        return run_cases(rh, lab)


if __name__ == "__main__":
    sys.exit(main())

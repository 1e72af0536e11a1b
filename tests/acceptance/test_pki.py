#!/usr/bin/python3
"""Keys, certificates and bundles (FEATURES 9.1: A05, A07, A16-A20, A23-A26): the commands on real
instances; certificates of a CA made with openssl, which is also the judge."""
import asyncio
import json
import os
import re
import shutil
import stat
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import slix  # noqa: E402
from roundhouse import BIN, LIMIT, Instance, case, run_cases, wait_for  # noqa: E402

DOMAIN = "tptac9.com"
NODES = ("127.0.0.2", "127.0.0.3", "127.0.0.4")
HOSTS = ("cb1.tptac9.com", "cb2.tptac9.com", "cb3.tptac9.com")
JULIET = (f"juliet@{DOMAIN}", "r0m30")


def openssl(*args, stdin="", check=True, cwd=None):
    done = subprocess.run(["openssl", *args], input=stdin, capture_output=True, text=True,
                          timeout=LIMIT, check=False, cwd=cwd)
    if check and done.returncode != 0:
        raise AssertionError(f"openssl {' '.join(args)}: {done.stderr}")
    return done


class CA:
    """A root, "Int A" under it and "Int B" under that, in a directory; all by openssl."""

    def __init__(self, where, bits=None):
        self.dir = where
        self.new = (["-newkey", f"rsa:{bits}"] if bits else
                    ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
        os.makedirs(where)
        openssl("req", "-x509", *self.new, "-nodes", "-keyout", "Root.key", "-out", "Root.pem",
                "-days", "3650", "-subj", "/CN=Root", cwd=where)
        self.intermediate("IntA", "Root")
        self.intermediate("IntB", "IntA")

    def path(self, name):
        return os.path.join(self.dir, name)

    def read(self, *names):
        text = ""
        for name in names:
            with open(self.path(name + ".pem"), encoding="ascii") as f:
                text += f.read()
        return text

    def intermediate(self, name, issuer):
        openssl("req", "-new", *self.new, "-nodes", "-keyout", f"{name}.key", "-out",
                f"{name}.csr", "-subj", f"/CN={name}", cwd=self.dir)
        self.sign(self.path(name + ".csr"), self.path(name + ".pem"), issuer,
                  "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n")

    def sign(self, csr, out, issuer="IntB", extensions="extendedKeyUsage=serverAuth\n", days="90"):
        """As a CA does with what `pki csr` made: its names are taken over."""
        with open(self.path("ext"), "w", encoding="ascii") as f:
            f.write(extensions + "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
        openssl("x509", "-req", "-in", csr, "-out", out, "-CA", f"{issuer}.pem", "-CAkey",
                f"{issuer}.key", "-CAcreateserial", "-days", days, "-copy_extensions", "copyall",
                "-extfile", "ext", cwd=self.dir)


def put(rh, name, text):
    """As an upload: under another name, then renamed."""
    path = rh.path("pki", name)
    with open(path + ".part", "w", encoding="ascii") as f:
        f.write(text)
    os.rename(path + ".part", path)


def listed(rh):
    """`pki list` as a dict by name."""
    rows = [json.loads(line) for line in rh.run("pki", "list", "--json").stdout.splitlines()]
    return {row["name"]: row for row in rows}


def csr_text(rh, name):
    return openssl("req", "-in", rh.path("pki", name), "-noout", "-text", "-verify").stdout


def s_client(rh, *args, host="127.0.0.1", domain=DOMAIN):
    return openssl("s_client", "-connect", f"{host}:{rh.port}", "-starttls", "xmpp", "-xmpphost",
                   domain, *args, check=False)


def sent(rh, **where):
    """The subjects of what the server sends, leaf first; and of each the certificate."""
    out = s_client(rh, "-showcerts", **where).stdout
    found = re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", out, re.S)
    pem = found[:len(re.findall(r"^ *\d+ s:", out, re.M))]
    return [re.sub(r".*CN ?= ?", "", s) for s in re.findall(r"^ *\d+ s:(.*)$", out, re.M)], pem


def issue(rh, ca, name="abhiall", issuer="IntB"):
    """Key and certificate NAME on the node, by the guides' way: csr, CA, upload."""
    if not os.path.exists(rh.path("pki", name + ".csr")):
        rh.run("pki", "csr", name, f"CN:{DOMAIN}", f"subjectAltName:{','.join(HOSTS)}")
    ca.sign(rh.path("pki", name + ".csr"), ca.path(name + ".cer"), issuer)
    with open(ca.path(name + ".cer"), encoding="ascii") as f:
        put(rh, name + ".cer", f.read())


@case
def a16_csr_writes_a_key_and_a_request_with_the_cn_and_every_name(rh, ca):
    for kind, algorithm in ((), "id-ecPublicKey"), (("--type", "rsa"), "Public-Key: (2048 bit)"):
        name = "req" + str(len(kind))
        done = rh.run("pki", "csr", name, f"CN:{DOMAIN}", "O:Example, Ltd", "OU:R&D", "L:Town",
                      "ST:State", "C:gb", f"subjectAltName:{','.join(HOSTS)},192.0.2.7,2001:db8::7",
                      *kind)
        assert done.stdout == (f"Created key file {name}.key and CSR {name}.csr\n"
                               f"CSR file {name}.csr ready for download via SFTP\n"), done.stdout
        text = csr_text(rh, name + ".csr")
        assert 'C = GB, ST = State, L = Town, O = "Example, Ltd", OU = R&D' in text, text
        assert f"CN = {DOMAIN}" in text and algorithm in text, text
        names = re.search(r"Alternative Name: *\n *(.*)\n", text).group(1).split(", ")
        assert names == [f"DNS:{h}" for h in (DOMAIN, *HOSTS)] + \
            ["IP Address:192.0.2.7", "IP Address:2001:DB8:0:0:0:0:0:7"], names
        mode = os.stat(rh.path("pki", name + ".key")).st_mode
        assert stat.S_IMODE(mode) == 0o600, oct(mode)
        assert rh.run("pki", "match", name + ".key", name + ".csr").stdout.startswith("SUCCESS: ")


@case
def a16_csr_refuses_what_is_wrong_and_leaves_nothing_behind(rh, ca):
    before = sorted(os.listdir(rh.path("pki")))
    table = (
        (["x"], 2, "which name? CN:VALUE"),
        (["x", "O:Example"], 2, "which name? CN:VALUE"),
        (["x", "CN:"], 2, "give the domain or host name"),
        (["x", "CN:two words"], 2, "give the domain or host name"),
        (["x y", f"CN:{DOMAIN}"], 2, "letters, digits, '-' or '_'"),
        (["../x", f"CN:{DOMAIN}"], 2, "letters, digits, '-' or '_'"),
        (["x.key", f"CN:{DOMAIN}"], 2, "without a suffix"),
        (["", f"CN:{DOMAIN}"], 2, "letters, digits"),
        (["x" * 65, f"CN:{DOMAIN}"], 2, "1 to 64 letters"),
        (["x", f"CN:{DOMAIN}", "subjectAltName:a.b, c.d"], 2, "a space in the list"),
        (["x", f"CN:{DOMAIN}", "subjectAltName:a.b,", "c.d"], 2, "an empty name"),
        (["x", f"CN:{DOMAIN}", "subjectAltName:a.b", "c.d"], 2, "write ATTRIBUTE:VALUE"),
        (["x", f"CN:{DOMAIN}", "subjectAltName:a/b"], 2, "neither a DNS name nor an IP"),
        (["x", f"CN:{DOMAIN}", "C:Germany"], 2, "the country, two letters"),
        (["x", f"CN:{DOMAIN}", "CN:other.org"], 2, "CN is given twice"),
        (["x", f"CN:{DOMAIN}", "--type", "dsa"], 2, "rsa or ecdsa"),
        (["x", f"CN:{DOMAIN}", "--type", "rsa", "--bits", "1024"], 2, "2048 to 8192"),
        (["req0", f"CN:{DOMAIN}"], 1, "req0.key is there already and was left alone; --force"),
    )
    for args, code, says in table:
        done = rh.run("pki", "csr", *args, check=False)
        assert done.returncode == code and says in done.stdout, (args, done.stdout)
    nowhere = rh.path("nowhere")
    done = subprocess.run([os.path.join(BIN, "pki"), "-C", nowhere, "csr", "x", f"CN:{DOMAIN}"],
                          capture_output=True, text=True, check=False, timeout=LIMIT)
    assert done.returncode == 1 and "name the instance's directory with -C" in done.stderr, done
    assert not os.path.exists(nowhere)
    os.rename(rh.path("pki", "req0.key"), rh.path("pki", "aside"))
    done = rh.run("pki", "csr", "req0", f"CN:{DOMAIN}", check=False)  # the .csr alone is enough
    assert done.returncode == 1 and "req0.csr is there already" in done.stdout, done.stdout
    assert not os.path.exists(rh.path("pki", "req0.key"))
    os.rename(rh.path("pki", "aside"), rh.path("pki", "req0.key"))
    assert sorted(os.listdir(rh.path("pki"))) == before
    old = csr_text(rh, "req0.csr")
    rh.run("pki", "csr", "req0", f"CN:{DOMAIN}", "--force")
    assert csr_text(rh, "req0.csr") != old
    assert rh.run("pki", "match", "req0.key", "req0.csr").stdout.startswith("SUCCESS: ")


@case
def a17_the_seeds_command_works_as_printed(rh, ca):
    rh.run("pki", "csr", "abhiall", "CN:tptac9.com",
           "subAltName:cb1.tptac9.com,cb2.tptac9.com,cb3.tptac9.com")
    names = re.search(r"Alternative Name: *\n *(.*)\n", csr_text(rh, "abhiall.csr")).group(1)
    assert names == "DNS:tptac9.com, DNS:cb1.tptac9.com, DNS:cb2.tptac9.com, DNS:cb3.tptac9.com"


@case
def a18_what_the_ca_issues_matches_the_key_and_another_does_not(rh, ca):
    issue(rh, ca)
    rh.run("pki", "csr", "other", f"CN:{DOMAIN}")
    issue(rh, ca, "other")
    done = rh.run("pki", "match", "abhiall.key", "abhiall.cer")
    assert done.stdout == ("SUCCESS: abhiall.key (key, ECDSA P-256) and abhiall.cer (certificate) "
                           "belong together\n"), done.stdout
    done = rh.run("pki", "match", "abhiall.key", "other.cer", check=False)
    assert done.returncode == 1 and "FAILURE: " in done.stdout, done.stdout
    assert json.loads(rh.run("pki", "match", "other.key", "other.cer", "--json").stdout)["match"]
    # openssl agrees.
    for key, same in (("abhiall", True), ("other", False)):
        public = openssl("pkey", "-in", rh.path("pki", key + ".key"), "-pubout").stdout
        of_cert = openssl("x509", "-in", rh.path("pki", "abhiall.cer"), "-noout", "-pubkey").stdout
        assert (public == of_cert) is same


@case
def a07_what_is_uploaded_is_listed_under_the_same_name_and_kind(rh, ca):
    put(rh, "bundle.pem", ca.read("IntB", "IntA", "Root"))
    put(rh, "broken.crt", ca.read("IntB")[:-60])
    openssl("x509", "-in", ca.path("IntA.pem"), "-outform", "DER", "-out",
            rh.path("pki", "windows.cer"))
    shutil.copy(ca.path("Root.key"), rh.path("pki", "open.key"))
    os.chmod(rh.path("pki", "open.key"), 0o644)
    openssl("pkey", "-in", ca.path("Root.key"), "-aes128", "-passout", "pass:s3cret", "-out",
            rh.path("pki", "locked.key"))
    rows = listed(rh)
    for name, kind, problem in (("abhiall.key", "key", None), ("abhiall.csr", "request", None),
                                ("abhiall.cer", "certificate", None),
                                ("bundle.pem", "bundle", None),
                                ("windows.cer", "certificate", None),
                                ("broken.crt", "unknown", "cut off"),
                                ("open.key", "key", "others can read the key"),
                                ("locked.key", "locked-key", "pki unlock")):
        assert rows[name]["kind"] == kind, rows[name]
        assert (problem or "") in rows[name].get("problem", "") and \
            bool(problem) == ("problem" in rows[name]), rows[name]
    assert rows["bundle.pem"]["text"] == "bundle of 3" and rows["bundle.pem"]["subject"] == "IntB"
    assert set(rows) == {n for n in os.listdir(rh.path("pki")) if not n.startswith(".")}
    table = rh.run("pki", "list").stdout
    assert re.search(r"^abhiall\.cer +certificate +20\d\d-\d\d-\d\d +tptac9\.com +IntB$", table, re.M), \
        table
    done = rh.run("pki", "unlock", "locked.key", "--passphrase-stdin", "--json", stdin="s3cret\n")
    assert json.loads(done.stdout) == {"done": "unlocked", "file": rh.path("pki", "locked.key")}
    assert rh.run("pki", "match", "locked.key", ca.path("Root.pem")).stdout.startswith("SUCCESS")
    for name in ("broken.crt", "open.key", "locked.key", "windows.cer"):
        os.unlink(rh.path("pki", name))


def as_nobody(command):
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT,
                          user=65534, group=65534, extra_groups=[])


@case
def a07_who_is_no_administrator_cannot_write(rh, ca):
    if os.geteuid() != 0:
        print("skipped: only root can try as somebody else")
        return
    if as_nobody([os.path.join(BIN, "pki"), "--help"]).returncode != 0:
        print("skipped: nobody cannot reach the programs of this build")
        return
    before = sorted(os.listdir(rh.path("pki")))
    for args in (["csr", "sneaky", f"CN:{DOMAIN}"], ["selfsigned", "sneaky", f"CN:{DOMAIN}"],
                 ["lab", "--domain", DOMAIN, "--force"]):
        done = as_nobody([os.path.join(BIN, "pki"), "-C", rh.dir, *args])
        assert done.returncode == 1 and "run this as the user that owns the instance" in \
            done.stderr, done
    assert as_nobody(["touch", rh.path("pki", "sneaky.key")]).returncode != 0
    assert as_nobody(["cat", rh.path("pki", "abhiall.key")]).returncode != 0
    assert sorted(os.listdir(rh.path("pki"))) == before


@case
def a05_a_self_signed_certificate_is_accepted_with_a_production_warning(rh, ca):
    done = rh.run("pki", "selfsigned", "self")
    assert "Created key file self.key and certificate self.crt\n" in done.stdout, done.stdout
    assert "WARNING: self-signed: for laboratories only. In production " in done.stdout
    rh.run("xmpp", "certs", "self.key", "self.crt")
    wait_for(lambda: sent(rh)[0] == [DOMAIN], "the self-signed certificate")
    out = s_client(rh, "-CAfile", rh.path("pki", "self.crt"), "-verify_hostname", DOMAIN,
                   "-verify_return_error").stdout
    assert "Verify return code: 0 (ok)" in out, out
    log_in(rh, rh.path("pki", "self.crt"))


@case
def a05_one_that_a_ca_issued_is_accepted_without_a_warning(rh, ca):
    done = rh.run("xmpp", "certs", "abhiall.key", "abhiall.cer", "bundle.pem")
    assert "SUCCESS: " in done.stdout and "warning" not in done.stdout.lower(), done.stdout
    wait_for(lambda: sent(rh)[0][0:2] == [DOMAIN, "IntB"], "the CA's certificate")


@case
def a23_the_leaf_is_sent_and_then_its_chain(rh, ca):
    names, pem = sent(rh)
    assert names == [DOMAIN, "IntB", "IntA"], names
    with open(rh.path("pki", "abhiall.cer"), encoding="ascii") as f:
        assert f.read().strip().endswith(pem[0].strip())
    block = rh.run("pki").stdout
    for label, value in (("Used by", "cm-client, cm-component"), ("Key file", "pki/abhiall.key"),
                         ("Certificate file", "pki/abhiall.cer"),
                         ("CA Bundle file", "pki/bundle.pem"), ("Pair match", "yes")):
        assert f"{label:24}: {value}\n" in block, block


@case
def a23_a_key_of_another_certificate_is_refused_before_anything_changes(rh, ca):
    before = sent(rh)
    for args, says in (
            (("other.key", "abhiall.cer", "bundle.pem"),
             "pki/other.key: is not the key of the certificate in pki/abhiall.cer"),
            (("abhiall.key", "other.cer"), "pki/abhiall.key: is not the key"),
            (("abhiall.key", "none.cer"), "pki/none.cer: No such file"),
            (("abhiall.cer", "abhiall.key"), "pki/abhiall.cer: holds no usable private key"),
            (("abhiall.key", "abhiall.csr"), "pki/abhiall.csr: holds no certificate (but a "
             "request for one); have the CA sign it"),
            (("abhiall.key", "abhiall.cer", "abhiall.key"), "pki/abhiall.key: holds no "
             "certificate (but a private key)")):
        done = rh.run("xmpp", "certs", *args, check=False)
        assert done.returncode == 1 and says in done.stdout, (args, done.stdout)
    assert sent(rh) == before
    assert "abhiall.key" in rh.run("pki").stdout


@case
def a24_a_bundle_in_order_is_taken_and_a_shuffled_one_put_in_order_with_a_warning(rh, ca):
    for text, name, warns in (
            (("IntB", "IntA", "Root"), "order.pem", ""),
            (("IntB", "IntA"), "order.cer", ""),
            (("IntB", "IntA", "Root"), "order.crt", ""),
            (("Root", "IntA", "IntB"), "shuffled.pem", "not in order (each one's issuer behind it"),
            (("IntA", "IntB", "Root"), "shuffled.cer", "not in order"),
            (("IntB", "IntA", "IntA", "Root"), "twice.pem", 'certificate 3, "IntA", stands there '
             "twice"),
            (("IntB", "IntA", "Root"), "keyed.pem", "holds a private key beside")):
        put(rh, name, ca.read(*text))
        if name == "keyed.pem":
            with open(ca.path("IntB.key"), encoding="ascii") as f:
                put(rh, name, ca.read(*text) + f.read())
        verified = rh.run("pki", "verify", "abhiall.cer", name, ca.path("Root.pem"))
        done = rh.run("xmpp", "certs", "abhiall.key", "abhiall.cer", name)
        for out in (verified.stdout, done.stdout):
            assert warns in out and ("warning" in out.lower()) == bool(warns), (name, out)
        assert sent(rh)[0] == [DOMAIN, "IntB", "IntA"], (name, sent(rh)[0])
        if warns:
            check = rh.run("supervisor", "check").stdout
            assert f"warning: cm-client: pki/{name}: " in check and warns in check, check


@case
def a24_a_bundle_that_cannot_be_good_is_refused_each_with_its_reason(rh, ca):
    before = sent(rh)
    ca.sign(ca.path("IntA.csr"), ca.path("OldA.pem"), "Root",
            "basicConstraints=critical,CA:TRUE\n", days="-1")
    stranger = CA(os.path.join(ca.dir, "stranger"))
    whole = ca.read("IntB", "IntA", "Root")
    table = (
        (ca.read("IntB", "Root"), 'a link is missing: "IntB" was issued by "IntA", which is not '
         "there"),
        (ca.read("IntA", "Root"), 'pki/abhiall.cer, which was issued by "IntB"; it has "IntA" '
         "instead"),
        (stranger.read("IntB", "IntA", "Root"), 'its "IntB" has the name of the issuer but is not '
         "the one that signed"),
        (whole[:-100], "a certificate behind the first 2 cannot be read (the file is cut off"),
        (whole[60:], "cut off"),
        (ca.read("IntB", "OldA", "Root"), "the CA's certificate \"IntA\" has expired: clients "
         "refuse the chain; get the CA's new bundle"),
        ("hello\n", "holds no certificate (neither PEM nor DER"),
        ("", "holds no certificate"),
    )
    for text, says in table:
        put(rh, "bad.pem", text)
        done = rh.run("xmpp", "certs", "abhiall.key", "abhiall.cer", "bad.pem", check=False)
        assert done.returncode == 1 and says in done.stdout, (says, done.stdout)
        assert "bad.pem: " in done.stdout, done.stdout
        verified = rh.run("pki", "verify", "abhiall.cer", "bad.pem", check=False)
        assert verified.returncode == 1 and says in verified.stdout, (says, verified.stdout)
    done = rh.run("pki", "verify", "abhiall.cer", "bundle.pem", stranger.path("Root.pem"),
                  check=False)
    assert done.returncode == 1 and "FAILURE: " in done.stdout, done.stdout
    os.unlink(rh.path("pki", "bad.pem"))
    assert sent(rh) == before


@case
def a24_a_bundle_that_changes_is_taken_up_without_a_command_and_a_broken_one_is_not(rh, ca):
    pid = rh.pid("cm-client")
    put(rh, "keyed.pem", ca.read("IntB"))
    wait_for(lambda: sent(rh)[0] == [DOMAIN, "IntB"], "the shorter bundle")
    put(rh, "keyed.pem", ca.read("IntB")[:-100])
    text = wait_for(lambda: [a for a in rh.status()["alarms"] +
                             [r["alarm"] for r in rh.services()] if a], "an alarm")[0]
    assert "pki/keyed.pem: holds no certificate" in text and "stays in use" in text, text
    assert sent(rh)[0] == [DOMAIN, "IntB"]
    put(rh, "keyed.pem", ca.read("Root", "IntB", "IntA"))
    wait_for(lambda: sent(rh)[0] == [DOMAIN, "IntB", "IntA"], "the whole bundle")
    rh.wait_log("cm-client", "event=certificate_warning .*pki/keyed.pem: not in order")
    assert rh.pid("cm-client") == pid


@case
def a25_a_chain_of_three_levels_is_verified_with_only_the_root_trusted(rh, ca):
    rh.run("xmpp", "certs", "abhiall.key", "abhiall.cer", "bundle.pem")
    out = s_client(rh, "-CAfile", ca.path("Root.pem"), "-verify_hostname", HOSTS[0],
                   "-verify_return_error").stdout
    assert "Verify return code: 0 (ok)" in out, out
    log_in(rh, ca.path("Root.pem"))
    # The judge can say no: without the bundle it does not verify.
    rh.run("xmpp", "certs", "abhiall.key", "abhiall.cer")
    out = s_client(rh, "-CAfile", ca.path("Root.pem")).stdout
    assert "Verify return code: 0" not in out and "Verify return code: 2" in out, out


@case
def a25_the_same_with_rsa(rh, ca):
    rsa = CA(os.path.join(ca.dir, "rsa"), bits=2048)
    rh.run("pki", "csr", "rsa", f"CN:{DOMAIN}", "--type", "rsa")
    issue(rh, rsa, "rsa")
    put(rh, "rsa.pem", rsa.read("IntB", "IntA", "Root"))
    rh.run("xmpp", "certs", "rsa.key", "rsa.cer", "rsa.pem")
    out = s_client(rh, "-CAfile", rsa.path("Root.pem"), "-verify_hostname", DOMAIN,
                   "-verify_return_error").stdout
    assert "Verify return code: 0 (ok)" in out, out
    log_in(rh, rsa.path("Root.pem"))


@case
def a26_a_client_is_sent_all_intermediates_byte_for_byte_and_not_the_root(rh, ca):
    rh.run("xmpp", "certs", "abhiall.key", "abhiall.cer", "bundle.pem")
    names, pem = sent(rh)
    assert names == [DOMAIN, "IntB", "IntA"], names
    for got, name in zip(pem[1:], ("IntB", "IntA")):
        assert got in ca.read(name), name
    for port in (rh.port, rh.component_port):  # TLS from the first byte; components alike
        out = openssl("s_client", "-connect", f"127.0.0.1:{port}", "-showcerts", "-CAfile",
                      ca.path("Root.pem"), check=False).stdout
        assert len(re.findall(r"^ *\d+ s:", out, re.M)) == 3, out
        assert "Verify return code: 0 (ok)" in out, out


async def login(rh, ca):
    client = slix.Client(rh, *JULIET, ca=ca)
    try:
        await client.login()
    finally:
        await client.leave()


def log_in(rh, ca):
    asyncio.run(login(rh, ca))


@case
def a19_a_key_certificate_and_request_are_listed_on_all_three_nodes(rh, ca):
    for node in nodes(rh, ca):
        rows = listed(node)
        for name, kind in (("abhiall.key", "key"), ("abhiall.cer", "certificate"),
                           ("abhiall.csr", "request"), ("bundle.pem", "bundle")):
            assert rows[name]["kind"] == kind, (node.dir, rows)


@case
def a20_one_certificate_verifies_on_three_nodes_for_each_host_name(rh, ca):
    for node, address, host in zip(nodes(rh, ca), NODES, HOSTS):
        assert sent(node, host=address)[0] == [DOMAIN, "IntB", "IntA"]
        for name, good in ((host, True), (DOMAIN, True), ("cb4.tptac9.com", False)):
            done = s_client(node, "-CAfile", ca.path("Root.pem"), "-verify_hostname", name,
                            "-verify_return_error", host=address)
            assert ("Verify return code: 0 (ok)" in done.stdout) is good, (address, name,
                                                                         done.stdout)


_nodes = []


def nodes(rh, ca):
    """Three instances on addresses of their own, with the same key, certificate and bundle."""
    if not _nodes:
        for address in NODES:
            node = Instance(DOMAIN, start=False)
            node.configure({"cm-client": f'listen = [ "{address}:{node.port}" ];'})
            for name in ("abhiall.key", "abhiall.cer", "abhiall.csr", "bundle.pem"):
                shutil.copy(rh.path("pki", name), node.path("pki", name))
            node.run("xmpp", "certs", "abhiall.key", "abhiall.cer", "bundle.pem")
            node.start()
            _nodes.append(node)
    return _nodes


def main():
    with Instance(DOMAIN) as rh:
        ca = CA(os.path.join(os.path.dirname(rh.dir), "ca"))
        rh.add_user(*JULIET)
        try:
            return run_cases(rh, ca)
        finally:
            for node in _nodes:
                node.cleanup()


if __name__ == "__main__":
    sys.exit(main())

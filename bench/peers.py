"""
peers - other servers under the same loads: Prosody, ejabberd, jabberd2, as Debian ships them.

Each gets the same accounts, the same ECDSA P-256 certificate, no limits, no archive, no federation,
and a directory of its own. They run as the account that their package made when we are root; they
are ended by pid.
"""
import glob
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import time

DOMAIN = "localhost"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_port(port, proc):
    for _ in range(600):
        if proc.poll() is not None:
            raise RuntimeError(f"the server ended with exit code {proc.returncode}")
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError(f"nothing listens on port {port} after 60 s")


def end_process(proc):
    if proc and proc.poll() is None:
        proc.terminate()
        try:
            proc.wait(20)
        except subprocess.TimeoutExpired:
            proc.kill()
            proc.wait()


def make_certificate(folder):
    """key.pem, crt.pem and both in one file, both.pem."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                    f"/CN={DOMAIN}", "-addext", f"subjectAltName=DNS:{DOMAIN}", "-keyout",
                    f"{folder}/key.pem", "-out", f"{folder}/crt.pem"], check=True,
                   stderr=subprocess.DEVNULL)
    with open(f"{folder}/both.pem", "w", encoding="ascii") as out:
        for name in ("crt", "key"):
            with open(f"{folder}/{name}.pem", encoding="ascii") as f:
                out.write(f.read())


def read_until(sock, pattern):
    data = b""
    while not re.search(pattern, data, re.S):
        more = sock.recv(65536)
        if not more:
            raise RuntimeError(f"registration: closed; came {data[-300:]!r}")
        data += more
    return data


def register(port, names, password):
    """In-band registration (XEP-0077), one connection an account: works everywhere."""
    for name in names:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as s:
            s.sendall(f"<?xml version='1.0'?><stream:stream to='{DOMAIN}' version='1.0' "
                      "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
                      .encode())
            read_until(s, rb"</stream:features>")
            s.sendall(("<iq type='set' id='r'><query xmlns='jabber:iq:register'>"
                       f"<username>{name}</username><password>{password}</password></query></iq>")
                      .encode())
            answer = read_until(s, rb"<iq [^>]*(/>|>.*</iq>)")
            if not re.search(rb"type=.result.", answer):
                raise RuntimeError(f"registration of {name}: {answer!r}")


class Peer:
    """What they have in common. A subclass says how it is configured and started."""
    account = None  # whom the package runs it as
    sm = True       # speaks XEP-0198
    mech = None     # what xmpp-load must use; None: SCRAM

    def __init__(self, folder):
        self.port = free_port()
        self.dir = os.path.join(folder, self.name)
        self.procs = []
        self.users = 0
        os.makedirs(self.dir)
        make_certificate(self.dir)

    def unprivileged(self):
        if os.getuid() != 0:
            return {}
        account = pwd.getpwnam(self.account)
        return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}

    def hand_over(self):
        who = self.unprivileged()
        if not who:
            return
        for folder, _, files in os.walk(self.dir):
            for path in [folder] + [os.path.join(folder, f) for f in files]:
                os.chown(path, who["user"], who["group"])

    def write(self, name, text):
        with open(os.path.join(self.dir, name), "w", encoding="utf-8") as f:
            f.write(text)

    def spawn(self, *command, **env):
        with open(os.path.join(self.dir, "out"), "ab") as out:
            self.procs.append(subprocess.Popen(
                command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, cwd=self.dir,
                env=dict(os.environ, HOME=self.dir, **env), **self.unprivileged()))
        return self.procs[-1]

    def start(self):
        self.configure()
        self.hand_over()
        self.launch()

    def add_users(self, upto, password):
        register(self.port, [f"bench{i}" for i in range(self.users, upto)], password)
        self.users = max(self.users, upto)

    def source(self):
        return ["--pids", ",".join(str(p.pid) for p in self.procs)]

    def stop(self):
        for p in reversed(self.procs):
            end_process(p)
        self.procs = []


PROSODY = """
pidfile = "{dir}/prosody.pid"
data_path = "{dir}/data"
log = {{ error = "{dir}/prosody.log" }}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {port} }}
modules_enabled = {{ "roster", "saslauth", "tls", "disco", "ping", "posix", "smacks", "register" }}
modules_disabled = {{ "s2s", "offline" }}
authentication = "internal_hashed"
allow_registration = true
c2s_require_encryption = false
allow_unencrypted_plain_auth = false
network_backend = "epoll"
limits = {{ }}
VirtualHost "localhost"
    ssl = {{ key = "{dir}/key.pem"; certificate = "{dir}/crt.pem"; }}
"""


class Prosody(Peer):
    name = "prosody"
    account = "prosody"

    @staticmethod
    def installed():
        return shutil.which("prosody") is not None

    def configure(self):
        os.makedirs(os.path.join(self.dir, "data"))
        self.write("prosody.cfg.lua", PROSODY.format(dir=self.dir, port=self.port))

    def launch(self):
        wait_port(self.port, self.spawn("prosody", "--config", f"{self.dir}/prosody.cfg.lua", "-F"))


EJABBERD = """
hosts: ["localhost"]
loglevel: error
certfiles: ["{dir}/both.pem"]
auth_method: internal
auth_password_format: scram
registration_timeout: infinity
shaper: {{}}
shaper_rules: {{ max_user_sessions: 100000, max_user_offline_messages: 5000 }}
access_rules:
  local: {{ allow: all }}
  c2s: {{ allow: all }}
  register: {{ allow: all }}
listen:
  -
    port: {port}
    ip: "127.0.0.1"
    module: ejabberd_c2s
    access: c2s
    starttls: true
    max_stanza_size: 262144
modules:
  mod_disco: {{}}
  mod_ping: {{}}
  mod_register: {{ access: register, ip_access: all, password_strength: 0 }}
  mod_roster: {{ versioning: true }}
  mod_stream_mgmt: {{ resend_on_timeout: if_offline }}
  mod_caps: {{}}
"""


class Ejabberd(Peer):
    name = "ejabberd"
    account = "ejabberd"

    @staticmethod
    def installed():
        return bool(shutil.which("erl") and glob.glob("/usr/lib/*/ejabberd-*/ebin"))

    def configure(self):
        os.makedirs(os.path.join(self.dir, "spool"))
        self.write("ejabberd.yml", EJABBERD.format(dir=self.dir, port=self.port))

    def launch(self):
        """The virtual machine itself, as ejabberdctl starts it (kernel poll, limits), without a
        name: no epmd stays behind."""
        ebin = glob.glob("/usr/lib/*/ejabberd-*/ebin")[0]
        erl = self.spawn(
            "erl", "-noinput", "+K", "true", "+P", "250000", "+Q", "131072", "-pa", ebin,
            "-mnesia", "dir", f'"{self.dir}/spool"', "-s", "ejabberd",
            EJABBERD_CONFIG_PATH=f"{self.dir}/ejabberd.yml", EJABBERD_LOG_PATH=f"{self.dir}/log",
            ERL_CRASH_DUMP=f"{self.dir}/crash", ERL_LIBS=os.path.dirname(os.path.dirname(ebin)))
        wait_port(self.port, erl)


JABBERD2_ROUTER = """<router><id>router</id><pidfile>{dir}/router.pid</pidfile>
<log type='file'><file>{dir}/router.log</file></log>
<local><ip>127.0.0.1</ip><port>{bus}</port><users>{dir}/router-users.xml</users>
<secret>secret</secret></local>
<io><max_fds>65536</max_fds><limits><bytes>0</bytes><connects>0</connects></limits></io>
<aci><acl type='all'><user>jabberd</user></acl></aci></router>"""

JABBERD2_USERS = "<users><user><name>jabberd</name><secret>secret</secret></user></users>"

JABBERD2_SM = """<sm><id>sm</id><pidfile>{dir}/sm.pid</pidfile>
<router><ip>127.0.0.1</ip><port>{bus}</port><user>jabberd</user><pass>secret</pass></router>
<log type='file'><file>{dir}/sm.log</file></log>
<local><id>localhost</id></local>
<storage><path>{lib}</path><driver>sqlite</driver>
<sqlite><dbname>{dir}/sqlite.db</dbname><sql>PRAGMA synchronous = OFF;</sql>
<transactions/><busy-timeout>2000</busy-timeout></sqlite></storage>
<modules><path>{lib}</path>
<chain id='in-sess'><module>validate</module><module>roster</module><module>iq-ping</module>
<module>disco</module><module>presence</module><module>deliver</module></chain>
<chain id='in-router'><module>session</module><module>validate</module><module>presence</module>
</chain>
<chain id='pkt-sm'><module>iq-ping</module><module>disco</module><module>presence</module></chain>
<chain id='pkt-user'><module>roster</module><module>presence</module><module>disco</module>
<module>deliver</module></chain>
<chain id='pkt-router'><module>session</module><module>disco</module></chain>
<chain id='user-load'><module>active</module><module>roster</module></chain>
<chain id='user-create'><module>active</module></chain>
<chain id='user-delete'><module>active</module><module>roster</module></chain>
</modules><user><auto-create/></user></sm>"""

JABBERD2_C2S = """<c2s><id>c2s</id><pidfile>{dir}/c2s.pid</pidfile>
<router><ip>127.0.0.1</ip><port>{bus}</port><user>jabberd</user><pass>secret</pass></router>
<log type='file'><file>{dir}/c2s.log</file></log>
<local><id register-enable='mu' pemfile='{dir}/both.pem'>localhost</id>
<ip>127.0.0.1</ip><port>{port}</port></local>
<io><max_fds>65536</max_fds><limits><bytes>0</bytes><stanzas>0</stanzas><connects>0</connects>
<stanzasize>262144</stanzasize></limits>
<check><interval>0</interval><idle>0</idle><keepalive>0</keepalive></check></io>
<authreg><path>{lib}</path><module>sqlite</module>
<mechanisms><traditional><plain/></traditional><sasl><plain/></sasl></mechanisms>
<ssl-mechanisms><traditional><plain/></traditional><sasl><plain/></sasl></ssl-mechanisms>
<sqlite><dbname>{dir}/sqlite.db</dbname><sql>PRAGMA synchronous = OFF;</sql>
<busy-timeout>2000</busy-timeout><password_type><plaintext/></password_type></sqlite>
</authreg></c2s>"""


# Its 2.7.0 takes the stream header that follows a TLS 1.3 handshake for a part of the old stream.
OPENSSL_TLS12 = """openssl_conf = init
[init]
ssl_conf = ssl
[ssl]
system_default = defaults
[defaults]
MaxProtocol = TLSv1.2
"""


class Jabberd2(Peer):
    """Has neither SCRAM with its SQLite accounts nor XEP-0198 nor TLS 1.3."""
    name = "jabberd2"
    account = "jabber"
    sm = False
    mech = "PLAIN"

    @staticmethod
    def installed():
        return os.path.exists("/usr/sbin/jabberd2-router")

    def configure(self):
        import gzip
        import sqlite3
        values = {"dir": self.dir, "port": self.port, "bus": free_port(),
                  "lib": os.path.dirname(glob.glob("/usr/lib/*/jabberd2/authreg_sqlite.so")[0])}
        for name, text in (("router", JABBERD2_ROUTER), ("sm", JABBERD2_SM),
                           ("c2s", JABBERD2_C2S), ("router-users", JABBERD2_USERS)):
            self.write(name + ".xml", text.format(**values))
        with gzip.open("/usr/share/doc/jabberd2/db-setup.sqlite.gz", "rt") as f:
            db = sqlite3.connect(os.path.join(self.dir, "sqlite.db"))
            db.executescript(f.read())
            db.commit()
            db.close()
        self.bus = values["bus"]
        self.write("openssl.cnf", OPENSSL_TLS12)

    def launch(self):
        router = self.spawn("/usr/sbin/jabberd2-router", "-c", f"{self.dir}/router.xml")
        wait_port(self.bus, router)
        self.spawn("/usr/sbin/jabberd2-sm", "-c", f"{self.dir}/sm.xml")
        time.sleep(1)
        wait_port(self.port, self.spawn("/usr/sbin/jabberd2-c2s", "-c", f"{self.dir}/c2s.xml",
                                        OPENSSL_CONF=f"{self.dir}/openssl.cnf"))


ALL = (Prosody, Ejabberd, Jabberd2)

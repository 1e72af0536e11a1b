"""
peers - other servers under the same loads: Prosody, ejabberd, jabberd2, as Debian ships them.

Each gets the same accounts (accounts.py), the same kind of certificate (ECDSA P-256), no limits, no
archive unless it is said, no federation, and a directory of its own. They run as the account that
their package made when we are root; they are ended by pid.
"""
import glob
import gzip
import os
import pwd
import shutil
import socket
import sqlite3
import subprocess
import time

from accounts import COMPONENT, DOMAIN, ITERATIONS, PASSWORD, SALT, contacts, jid, scram_keys


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


class Peer:
    """What they have in common. A subclass says how it is configured and started."""
    account = None  # whom the package runs it as
    package = None  # Debian's
    sm = True       # speaks XEP-0198
    archives = True # speaks XEP-0313
    mech = None     # what xmpp-load must use; None: SCRAM

    def __init__(self, folder):
        self.port = free_port()
        self.component_port = free_port()
        self.dir = os.path.join(folder, self.name)
        self.procs = []
        self.pending = []
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

    def seed(self, group):
        """These accounts are wanted when it is launched next."""
        self.pending.append(group)

    def launch(self):
        """A subclass has store(groups), while it is stopped, or run() sees to them."""
        self.store(self.pending)
        self.hand_over()
        self.run()
        wait_port(self.component_port, self.procs[0])
        self.pending = []

    def store(self, groups):
        pass

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
component_ports = {{ {component_port} }}
component_interfaces = {{ "127.0.0.1" }}
modules_enabled = {{ "roster", "saslauth", "tls", "disco", "ping", "posix", "smacks"{archive} }}
modules_disabled = {{ "s2s", "offline" }}
authentication = "internal_hashed"
default_archive_policy = true
c2s_require_encryption = false
allow_unencrypted_plain_auth = false
network_backend = "epoll"
limits = {{ }}
VirtualHost "localhost"
    ssl = {{ key = "{dir}/key.pem"; certificate = "{dir}/crt.pem"; }}
Component "{component}"
    component_secret = "{password}"
"""


PROSODY_ACCOUNT = """return {{
\t["iteration_count"] = {iterations};
\t["salt"] = "{salt}";
\t["stored_key"] = "{stored}";
\t["server_key"] = "{server}";
}};
"""


class Prosody(Peer):
    name = package = account = "prosody"

    @staticmethod
    def installed():
        return shutil.which("prosody") is not None

    def create(self):
        for store in ("accounts", "roster"):
            os.makedirs(os.path.join(self.dir, "data", DOMAIN, store))

    def configure(self, archive):
        self.write("prosody.cfg.lua", PROSODY.format(dir=self.dir, port=self.port,
                                                     component_port=self.component_port,
                                                     component=COMPONENT, password=PASSWORD,
                                                     archive=', "mam"' if archive else ""))

    def store(self, groups):
        stored, server = (key.hex() for key in scram_keys("sha1"))
        account = PROSODY_ACCOUNT.format(iterations=ITERATIONS, salt=SALT, stored=stored,
                                         server=server)
        for group in groups:
            for i in range(group.count):
                name = f"{group.name}{i}.dat"
                self.write(f"data/{DOMAIN}/accounts/{name}", account)
                items = "".join(f'["{jid(group, k)}"] = {{ ["subscription"] = "both"; '
                                '["groups"] = {}; };\n' for k in contacts(group, i))
                if items:
                    self.write(f"data/{DOMAIN}/roster/{name}",
                               f"return {{\n[false] = {{ [\"version\"] = 1; }};\n{items}}};\n")

    def run(self):
        wait_port(self.port, self.spawn("prosody", "--config", f"{self.dir}/prosody.cfg.lua", "-F"))


EJABBERD = """
hosts: ["localhost"]
loglevel: error
certfiles: ["{dir}/both.pem"]
auth_method: internal
auth_password_format: scram
shaper: {{}}
shaper_rules: {{ max_user_sessions: 100000, max_user_offline_messages: 5000 }}
access_rules:
  local: {{ allow: all }}
  c2s: {{ allow: all }}
listen:
  -
    port: {port}
    ip: "127.0.0.1"
    module: ejabberd_c2s
    access: c2s
    starttls: true
    backlog: 1024
    max_stanza_size: 262144
  -
    port: {component_port}
    ip: "127.0.0.1"
    module: ejabberd_service
    shaper_rule: none
    hosts: {{ "{component}": {{ password: "{password}" }} }}
modules:
  mod_disco: {{}}
  mod_ping: {{}}
  mod_roster: {{ versioning: true }}
  mod_stream_mgmt: {{ resend_on_timeout: if_offline }}
  mod_caps: {{}}
{archive}"""


# Accounts and contacts go into its tables; the first of a group is registered as usual, the others
# are copies. (A log of half a million changes would take minutes to write.)
EJABBERD_SEED = """
S = <<"{domain}">>,
{{ok, Groups}} = file:consult("seed.terms"),
Write = fun({{Name, Contacts}}) ->
    User = fun(I) -> iolist_to_binary([Name, integer_to_list(I)]) end,
    ok = ejabberd_auth:try_register(User(0), S, <<"{password}">>),
    [Account] = mnesia:dirty_read(passwd, {{User(0), S}}),
    Befriend = fun(U, C) ->
        mnesia:dirty_write({{roster, {{U, S, {{C, S, <<>>}}}}, {{U, S}}, {{C, S, <<>>}}, <<>>, both,
                             none, [], <<>>, []}})
    end,
    lists:foreach(fun({{I, Friends}}) ->
        mnesia:dirty_write(setelement(2, Account, {{User(I), S}})),
        [Befriend(User(I), User(K)) || K <- Friends]
    end, lists:zip(lists:seq(0, length(Contacts) - 1), Contacts))
end,
Tables = [passwd, roster],
[{{atomic, ok}} = mnesia:change_table_copy_type(T, node(), ram_copies) || T <- Tables],
lists:foreach(Write, Groups),
[{{atomic, ok}} = mnesia:change_table_copy_type(T, node(), disc_copies) || T <- Tables],
file:write_file("seeded", <<>>).
"""


class Ejabberd(Peer):
    name = package = account = "ejabberd"

    @staticmethod
    def installed():
        return bool(shutil.which("erl") and glob.glob("/usr/lib/*/ejabberd-*/ebin"))

    def create(self):
        os.makedirs(os.path.join(self.dir, "spool"))

    def configure(self, archive):
        self.write("ejabberd.yml", EJABBERD.format(
            dir=self.dir, port=self.port, component_port=self.component_port, component=COMPONENT,
            password=PASSWORD,
            archive="  mod_mam: { default: always, db_type: mnesia }\n" if archive else ""))

    def run(self):
        if self.pending:
            self.run_once(["-eval", " ".join(EJABBERD_SEED.format(
                domain=DOMAIN, password=PASSWORD).split())])
            self.wait_seeded()
            self.stop()  # what that has left behind in memory is not to be measured
        self.run_once([])

    def store(self, groups):
        self.write("seed.terms", "".join(
            f'{{"{g.name}", {[list(contacts(g, i)) for i in range(g.count)]}}}.\n'
            for g in groups))

    def wait_seeded(self):
        done = os.path.join(self.dir, "seeded")
        for _ in range(6000):
            if os.path.exists(done):
                os.remove(done)
                return
            if self.procs[0].poll() is not None:
                break
            time.sleep(0.1)
        raise RuntimeError("the accounts could not be written")

    def run_once(self, more):
        """The virtual machine itself, as ejabberdctl starts it (kernel poll, limits), without a
        name: no epmd stays behind."""
        ebin = glob.glob("/usr/lib/*/ejabberd-*/ebin")[0]
        erl = self.spawn(
            "erl", "-noinput", "+K", "true", "+P", "250000", "+Q", "131072", "-pa", ebin,
            "-mnesia", "dir", f'"{self.dir}/spool"', "-s", "ejabberd", *more,
            EJABBERD_CONFIG_PATH=f"{self.dir}/ejabberd.yml", EJABBERD_LOG_PATH=f"{self.dir}/log",
            ERL_CRASH_DUMP=f"{self.dir}/crash", ERL_LIBS=os.path.dirname(os.path.dirname(ebin)))
        wait_port(self.port, erl)


JABBERD2_ROUTER = """<router><id>router</id><pidfile>{dir}/router.pid</pidfile>
<log type='file'><file>{dir}/router.log</file></log>
<local><ip>127.0.0.1</ip><port>{bus}</port><users>{dir}/router-users.xml</users>
<secret>{password}</secret></local>
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
<local><id pemfile='{dir}/both.pem'>localhost</id>
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
    """Has neither SCRAM with its SQLite accounts nor XEP-0198, an archive, TLS 1.3."""
    name = package = "jabberd2"
    account = "jabber"
    sm = False
    archives = False
    mech = "PLAIN"

    @staticmethod
    def installed():
        return os.path.exists("/usr/sbin/jabberd2-router")

    def create(self):
        # XEP-0114 components come to its router's own port.
        values = {"dir": self.dir, "port": self.port, "bus": self.component_port,
                  "password": PASSWORD,
                  "lib": os.path.dirname(glob.glob("/usr/lib/*/jabberd2/authreg_sqlite.so")[0])}
        for name, text in (("router", JABBERD2_ROUTER), ("sm", JABBERD2_SM),
                           ("c2s", JABBERD2_C2S), ("router-users", JABBERD2_USERS)):
            self.write(name + ".xml", text.format(**values))
        with gzip.open("/usr/share/doc/jabberd2/db-setup.sqlite.gz", "rt") as f:
            db = self.database()
            db.executescript(f.read())
            db.commit()
            db.close()
        self.bus = values["bus"]
        self.write("openssl.cnf", OPENSSL_TLS12)

    def configure(self, archive):
        pass

    def database(self):
        return sqlite3.connect(os.path.join(self.dir, "sqlite.db"))

    def store(self, groups):
        db = self.database()
        for group in groups:
            for i in range(group.count):
                owner = jid(group, i)
                db.execute('INSERT INTO authreg VALUES (?, ?, ?)',
                           (f"{group.name}{i}", DOMAIN, PASSWORD))
                db.execute('INSERT INTO active ("collection-owner", time) VALUES (?, ?)',
                           (owner, int(time.time())))
                db.executemany('INSERT INTO "roster-items" ("collection-owner", jid, "to", "from", '
                               'ask) VALUES (?, ?, 1, 1, 0)',
                               [(owner, jid(group, k)) for k in contacts(group, i)])
        db.commit()
        db.close()

    def run(self):
        router = self.spawn("/usr/sbin/jabberd2-router", "-c", f"{self.dir}/router.xml")
        wait_port(self.bus, router)
        self.spawn("/usr/sbin/jabberd2-sm", "-c", f"{self.dir}/sm.xml")
        time.sleep(1)
        wait_port(self.port, self.spawn("/usr/sbin/jabberd2-c2s", "-c", f"{self.dir}/c2s.xml",
                                        OPENSSL_CONF=f"{self.dir}/openssl.cnf"))


ALL = (Prosody, Ejabberd, Jabberd2)

"""
accounts - the accounts that every server gets, put into its own store: of thousands that takes
seconds, where registering them one by one as a client takes minutes.

All have the same password, salt and SCRAM keys: neither a server's login nor ours depends on that,
the generator derives its keys once.
"""
import base64
import collections
import hashlib
import hmac

DOMAIN = "localhost"
PASSWORD = "bench"
COMPONENT = "echo." + DOMAIN
ITERATIONS = 4096
SALT = "roundhouse bench"

# count accounts name0, name1, ... All contacts have each other with subscription both: with hubs,
# the first so many accounts have all others, who have nobody else; otherwise each has its nearest
# neighbours, in a ring.
Group = collections.namedtuple("Group", "name count contacts hubs", defaults=(0, 0))


def jid(group, i):
    return f"{group.name}{i}@{DOMAIN}"


def contacts(group, i):
    """The numbers of its contacts."""
    if group.hubs:
        return range(group.hubs, group.count) if i < group.hubs else range(group.hubs)
    half = group.contacts // 2
    if not half:
        return []
    if 2 * half >= group.count:
        raise ValueError(f"{group.count} accounts are too few for {group.contacts} contacts each")
    return [(i + d) % group.count for d in range(-half, half + 1) if d]


def scram_keys(digest):
    """(stored key, server key) for hashlib's name of a hash (RFC 5802 section 3)."""
    salted = hashlib.pbkdf2_hmac(digest, PASSWORD.encode(), SALT.encode(), ITERATIONS)
    client = hmac.new(salted, b"Client Key", digest).digest()
    return (hashlib.new(digest, client).digest(),
            hmac.new(salted, b"Server Key", digest).digest())


def pie_credentials():
    text = ""
    for mechanism, digest in (("SCRAM-SHA-1", "sha1"), ("SCRAM-SHA-256", "sha256")):
        stored, server = (base64.b64encode(key).decode() for key in scram_keys(digest))
        salt = base64.b64encode(SALT.encode()).decode()
        text += (f"<scram-credentials xmlns='urn:xmpp:pie:0#scram' mechanism='{mechanism}'>"
                 f"<iter-count>{ITERATIONS}</iter-count><salt>{salt}</salt>"
                 f"<server-key>{server}</server-key><stored-key>{stored}</stored-key>"
                 "</scram-credentials>")
    return text


def write_pie(path, group, numbers):
    """These accounts of the group as XEP-0227 has them."""
    credentials = pie_credentials()
    with open(path, "w", encoding="ascii") as f:
        f.write(f"<server-data xmlns='urn:xmpp:pie:0'><host jid='{DOMAIN}'>\n")
        for i in numbers:
            items = "".join(f"<item jid='{jid(group, k)}' subscription='both'/>"
                            for k in contacts(group, i))
            roster = f"<query xmlns='jabber:iq:roster'>{items}</query>" if items else ""
            f.write(f"<user name='{group.name}{i}'>{credentials}{roster}</user>\n")
        f.write("</host></server-data>\n")

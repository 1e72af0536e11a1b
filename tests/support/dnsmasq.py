"""dnsmasq - a real DNS server on loopback for tests, with the records that a test names.

    with Dnsmasq('_xmpp-client._tcp.example.org SRV 10 50 5222 cb1.example.org',
                 'cb1.example.org A 127.0.0.2') as dns:
        dns.server      # '127.0.0.1@40123', as dns.servers and `dns add server` want it
        dns.set(...)    # other records, same address; seen at once
        dns.stop()      # nobody listens there; dns.start() again

Records are zone-file lines of the types SRV, A, AAAA, CNAME and TXT, with or without TTL and IN.
Every name that has no record does not exist. Needs no rights; ends with the `with`, or at exit.
"""
import atexit
import os
import shutil
import socket
import subprocess
import tempfile
import time

PROGRAM = shutil.which('dnsmasq') or '/usr/sbin/dnsmasq'


def free_port(address):
    """A port that is free for UDP and TCP."""
    family = socket.AF_INET6 if ':' in address else socket.AF_INET
    for _ in range(50):
        with socket.socket(family, socket.SOCK_DGRAM) as udp:
            udp.bind((address, 0))
            port = udp.getsockname()[1]
            with socket.socket(family, socket.SOCK_STREAM) as tcp:
                try:
                    tcp.bind((address, port))
                    return port
                except OSError:
                    continue
    raise OSError('no free port on ' + address)


def option(record):
    """One record as dnsmasq's option."""
    words = record.split(';')[0].split()
    name = words.pop(0).rstrip('.')
    while words[0].isdigit() or words[0].upper() == 'IN':
        words.pop(0)
    kind = words.pop(0).upper()
    if kind == 'SRV':
        priority, weight, port, target = words
        target = target.rstrip('.')
        return f'srv-host={name},{target},{port},{priority},{weight}' if target else \
            f'srv-host={name}'  # the target "."
    if kind in ('A', 'AAAA'):
        return f'host-record={name},{words[0]}'
    if kind == 'CNAME':
        return f'cname={name},{words[0].rstrip(".")}'
    if kind == 'TXT':
        return f'txt-record={name},{" ".join(words)}'
    raise ValueError('dnsmasq.py does not know ' + kind)


def question(name, kind=1):
    packet = b'\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00'
    for label in name.split('.'):
        packet += bytes([len(label)]) + label.encode()
    return packet + b'\x00' + kind.to_bytes(2, 'big') + b'\x00\x01'


class Dnsmasq:
    def __init__(self, *records, address='127.0.0.1', port=0):
        self.address = address
        self.port = port or free_port(address)
        self.server = f'{self.address}@{self.port}'
        self.records = list(records)
        self.process = None
        self.dir = tempfile.mkdtemp(prefix='roundhouse-dnsmasq-')
        self.log = os.path.join(self.dir, 'log')
        atexit.register(self.close)
        self.start()

    def start(self):
        if self.process:
            return
        conf = os.path.join(self.dir, 'conf')
        with open(conf, 'w', encoding='utf-8') as f:
            f.write('\n'.join(['keep-in-foreground', 'no-resolv', 'no-hosts', 'bind-interfaces',
                               f'listen-address={self.address}', f'port={self.port}',
                               'address=/#/',  # what is not below does not exist
                               'pid-file=', 'log-queries', f'log-facility={self.log}',
                               *(['user=root'] if os.getuid() == 0 else []),
                               *[option(r) for r in self.records]]) + '\n')
        self.process = subprocess.Popen([PROGRAM, '--conf-file=' + conf],
                                        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        deadline = time.monotonic() + 10
        family = socket.AF_INET6 if ':' in self.address else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as s:
            s.settimeout(0.2)
            s.connect((self.address, self.port))
            while True:
                try:
                    s.send(question('is.it.up'))
                    s.recv(512)
                    return
                except OSError:
                    if self.process.poll() is not None or time.monotonic() > deadline:
                        said = self.process.stderr.read().decode() \
                            if self.process.poll() is not None else 'no answer'
                        self.stop()
                        raise RuntimeError('dnsmasq does not start: ' + said) from None
                    time.sleep(0.02)

    def stop(self):
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process.stderr.close()
        self.process = None

    def set(self, *records):
        """Other records in place of all there were."""
        self.stop()
        self.records = list(records)
        self.start()

    def add(self, *records):
        self.set(*self.records, *records)

    def queries(self):
        """What was asked so far: 'SRV _xmpp-client._tcp.example.org'."""
        found = []
        with open(self.log, encoding='utf-8') as f:
            for line in f:
                at = line.find('query[')
                if at >= 0 and 'is.it.up' not in line:
                    kind, rest = line[at + 6:].split(']', 1)
                    found.append(f'{kind} {rest.split()[0]}')
        return found

    def close(self):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)
        atexit.unregister(self.close)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

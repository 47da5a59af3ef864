"""The servers that are compared, and how they are told to be quick."""

import collections
import os
import re
import shutil
import string
import subprocess

from network import die_with_us

ZONE = "failover.example"
DNS_PORT, MEMBER_PORT = 5300, 8000  # each server listens on a port of its own, and probes a port of its own
MASTER_FILE = f"""\
$ORIGIN {ZONE}.
$TTL 5
@ SOA ns1 hostmaster 1 3600 600 86400 5
@ NS ns1
ns1 A 127.0.0.1
"""


def onstage(pools, pace):
    members = "".join(f"p{i} A {ip}\n" for i, pool in enumerate(pools) for ip in pool)
    tables = "".join(f'[[pool]]\nname = "p{i}.{ZONE}"\ncheck = "members"\n' for i in range(len(pools)))
    return {"zone": MASTER_FILE + members, "onstage.toml": """\
[server]
listen = ["127.0.0.1:$port"]
workers = 1
state-dir = "$folder/state"
[[zone]]
file = "$folder/zone"
[check.members]
http = { port = $probed }
""" + pace + tables}


def gdnsd(pools, pace):
    names = "".join(f"p{i} DYNA multifo!p{i}\n" for i in range(len(pools)))
    members = "\n".join(f"p{i} => [ {', '.join(pool)} ]" for i, pool in enumerate(pools))
    return {f"zones/{ZONE}": MASTER_FILE + names, "config": """\
options => {
  listen => [ "127.0.0.1:$port" ], udp_threads => 1, tcp_threads => 1,
  run_dir => "$folder/run", state_dir => "$folder/state",
}
service_types => { members => { plugin => http_status, port => $probed, """ + pace + """ } }
plugins => { multifo => { up_thresh => 0.01, service_types => members,
""" + members + "\n} }\n"}


def powerdns(pools, pace):
    names = ""
    for i, pool in enumerate(pools):
        members = ", ".join(f"'{ip}'" for ip in pool)
        options = f"selector='all', backupSelector='all', {pace}"
        names += f"p{i} LUA A \"ifurlup('http://{ZONE}:$probed/', {{{members}}}, {{{options}}})\"\n"
    zones = f'zone "{ZONE}" {{ type native; file "$folder/zone"; }};\n'
    return {"zone": MASTER_FILE + names, "zones.conf": zones, "pdns.conf": """\
launch=bind
bind-config=$folder/zones.conf
local-address=127.0.0.1
local-port=$port
socket-dir=$folder
enable-lua-records=yes
lua-health-checks-interval=1
daemon=no
guardian=no
disable-syslog=yes
loglevel=3
webserver=no
security-poll-suffix=
"""}


# How quick each is told to be. gdnsd refuses an interval below 2 s and a timeout below 1 s, and PowerDNS counts whole
# seconds (with an interval of 0 it asks without pause): theirs are as short as they go. gdnsd stands here twice: deciding
# at the first fail and at the first pass, as soon as it can, and at the second ones, as onstage does by default.
# PowerDNS 4.7 always decides at the first.
Server = collections.namedtuple("Server", "name program files pace command")
SHORT = 'interval = "500ms"\ntimeout = "400ms"\nrecheck = "50ms"\nfall = 3\n'
GDNSD = "interval => 2, timeout => 1, up_thresh => {0}, ok_thresh => 1, down_thresh => {0}"
SERVERS = [
    Server("onstage", None, onstage, "", "$onstage serve --config $folder/onstage.toml"),
    Server("onstage short", None, onstage, SHORT, "$onstage serve --config $folder/onstage.toml"),
    Server("gdnsd 1 fail", "gdnsd", gdnsd, GDNSD.format(1), "gdnsd -c $folder start"),
    Server("gdnsd 2 fails", "gdnsd", gdnsd, GDNSD.format(2), "gdnsd -c $folder start"),
    Server("PowerDNS", "pdns_server", powerdns, "timeout=1", "pdns_server --config-dir=$folder"),
]


def start(place, server, pools, folder, binary):
    """The process of a server."""
    for sub in ("run", "state", "zones"):
        (folder / sub).mkdir(parents=True)
    names = {"folder": folder, "port": DNS_PORT + place, "probed": MEMBER_PORT + place, "onstage": binary}
    filled = lambda text: string.Template(text).safe_substitute(names)  # $ORIGIN and $TTL stay
    for file, text in server.files(pools, server.pace).items():
        (folder / file).write_text(filled(text))
    with open(folder / "log", "w") as log:
        return subprocess.Popen(filled(server.command).split(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                env={**os.environ, "ONSTAGE_LOG": "warn"}, preexec_fn=die_with_us)


def is_installed(server):
    """PowerDNS reads zone files with a package of its own, pdns-backend-bind."""
    if server.program and not shutil.which(server.program):
        return False
    modules = ["--no-config", "--launch=bind", "--list-modules"]
    return server.program != "pdns_server" or "unable to load" not in said("pdns_server", *modules)


def versions(servers, binary):
    """What each program says of itself."""
    for program in dict.fromkeys(server.program or binary for server in servers):
        yield f"{os.path.basename(program)} {re.search(r'[0-9]+[.][0-9]+[.][0-9]+', said(program, '--version'))[0]}"


def said(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout + done.stderr

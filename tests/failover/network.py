"""Two network namespaces and a link. This process is in the near one, members are in the far one."""

import collections
import ctypes
import json
import os
import signal
import subprocess
import sys

NEAR, FAR = "10.111.0.1", "10.111.0.2"  # the two ends of the link
MEMBERS = "10.111.1"  # the network behind the far end


class Network:
    """This process is in the near namespace; members are in the far one."""

    RULES = """
table ip failover {
  set gone { type ipv4_addr; }
  set asked { type ipv4_addr . inet_service; flags dynamic; size 65535; counter; }
  chain arrives {
    type filter hook prerouting priority -200;
    tcp flags & (syn | ack) == syn update @asked { ip daddr . tcp dport }
    ip daddr @gone drop
  }
  chain leaves { type filter hook output priority -200; ip saddr @gone drop; }
  chain loss { type filter hook prerouting priority -300; }
}"""

    def __init__(self):
        self.enter_new()
        far = self.far = os.open("/proc/self/ns/net", os.O_RDONLY)
        self.enter_new()
        path = f"/proc/{os.getpid()}/fd/{far}"
        run("ip", "link", "add", "near", "address", "02:00:00:00:00:01", "type", "veth",
            "peer", "name", "far", "address", "02:00:00:00:00:02", "netns", path)
        for where, link, own, other, mac in ((None, "near", NEAR, FAR, 2), (far, "far", FAR, NEAR, 1)):
            run("ip", "address", "add", f"{own}/30", "dev", link, where=where)
            for each in ("lo", link):
                run("ip", "link", "set", each, "up", where=where)
            # no ARP: what is lost is what servers and members say
            run("ip", "neighbour", "add", other, "lladdr", f"02:00:00:00:00:0{mac}", "nud", "permanent", "dev", link,
                where=where)
            run("nft", "-f", "-", where=where, text=self.RULES)
        run("ip", "route", "add", f"{MEMBERS}.0/24", "via", FAR)
        run("ip", "route", "add", "local", f"{MEMBERS}.0/24", "dev", "lo", where=far)

    @staticmethod
    def enter_new():
        if ctypes.CDLL(None, use_errno=True).unshare(0x40000000):  # CLONE_NEWNET
            sys.exit(f"no network namespace: {os.strerror(ctypes.get_errno())} (it needs root)")

    def lose(self, share):
        """From now on so many per cent are lost in each direction; tells what loses them."""
        how = "netem"
        for where, link in ((None, "near"), (self.far, "far")):
            netem = ["tc", "qdisc", "replace", "dev", link, "root", "netem", "loss", f"{share}%"]
            if run(*netem, where=where, check=False):  # this kernel has none
                how = "nftables"
                drop = f"iifname {link} numgen random mod 100 < {share} drop"
                rules = f"flush chain ip failover loss\nadd rule ip failover loss {drop}\n"
                run("nft", "-f", "-", where=where, text=rules)
        return how

    def cut(self, member, verb):
        """`add`: packets to and from it are dropped; `delete`: no longer."""
        run("nft", verb, "element", "ip", "failover", "gone", f"{{ {member} }}", where=self.far)

    def asked(self):
        """How many connections each member and port was asked for: SYNs that arrived. Counts anew."""
        said = run("nft", "-j", "list", "set", "ip", "failover", "asked", where=self.far, output=True)
        run("nft", "flush", "set", "ip", "failover", "asked", where=self.far)
        listed = next(each["set"] for each in json.loads(said)["nftables"] if "set" in each)
        counts = collections.Counter()
        for element in listed.get("elem", []):
            member, port = element["elem"]["val"]["concat"]
            counts[member, port] = element["elem"]["counter"]["packets"]
        return counts


def enter(namespace):
    if ctypes.CDLL(None).setns(namespace, 0):
        sys.exit("cannot enter the members' namespace")


def run(*command, where=None, text=None, check=True, output=False):
    """Runs it here or in a namespace; its exit code, or what it printed."""
    done = subprocess.run(command, input=text, capture_output=True, text=True,
                          preexec_fn=(lambda: enter(where)) if where else None)
    if check and done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout if output else done.returncode


def die_with_us(number=signal.SIGTERM):
    """This process ends when its parent does."""
    ctypes.CDLL(None).prctl(1, number)  # PR_SET_PDEATHSIG

# shellcheck shell=bash
# A real puppet agent with a configuration, a certificate and a resolver of its own. Sourced by failover, which sets $work.

: "${work:?set by failover}"

# agent NAME RESOLVER [LIMIT]: one `puppet agent --test` that asks RESOLVER; prints "EXIT SECONDS", its words are in
# $work/NAME/agent.log. Ended after LIMIT seconds, it has no exit code.
agent() {
    local name=$1 resolver=$2 limit=${3:-900} home=$work/$1 since code=0
    mkdir -p "$home"/{conf,var,run,log,etc}
    [[ -e $home/ssl/private_keys ]] || agent_certificate "$name"
    cat >"$home/conf/puppet.conf" <<X
[main]
certname = $name.example.org
server = puppet.example.org
confdir = $home/conf
vardir = $home/var
ssldir = $home/ssl
rundir = $home/run
logdir = $home/log
[agent]
report = true
usecacheonfailure = false
splay = false
X
    printf 'nameserver %s\nsearch example.org\noptions timeout:2 attempts:2\n' "$resolver" >"$home/etc/resolv.conf"
    echo '127.0.0.1 localhost' >"$home/etc/hosts"
    # Facts of clouds are looked for at addresses that are not here.
    echo 'facts : { blocklist : [ "EC2", "GCE", "ec2_metadata", "ec2_userdata", "gce", "az_metadata", "cloud" ] }' \
        >"$home/etc/facter.conf"
    since=$(now)
    timeout -k 5 "$limit" unshare --mount --propagation private sh -c '
        mount --bind "$1/etc/resolv.conf" "$(readlink -f /etc/resolv.conf)" && mount --bind "$1/etc/hosts" /etc/hosts || exit 99
        exec /usr/bin/puppet agent --confdir "$1/conf" --test --color=false' sh "$home" \
        >"$home/agent.log" 2>&1 </dev/null || code=$?
    if ((code == 124 || code == 137)); then code='-'; fi # timeout(1) ended it
    echo "$code $((($(now) - since) / 1000))"
}

# agent_certificate NAME: signed by the site's CA, so that no run depends on a CA service
agent_certificate() {
    local name=$1 ssl=$work/$1/ssl
    issue site "$name" "$name.example.org"
    mkdir -p "$ssl"/{certs,private_keys}
    cp "$ssl/cert.pem" "$ssl/certs/$name.example.org.pem"
    cp "$ssl/key.pem" "$ssl/private_keys/$name.example.org.pem"
    cp "$ssl/ca_crt.pem" "$ssl/certs/ca.pem"
    cp "$ssl/ca_crl.pem" "$ssl/crl.pem"
}

# resolver NAME ADDRESS LINE…: an Unbound on ADDRESS with these lines in its config; sets pid[NAME]
resolver() {
    local name=$1 home=$work/$1
    mkdir -p "$home"
    {
        printf 'server:\n directory: "%s"\n chroot: ""\n username: ""\n pidfile: ""\n use-syslog: no\n' "$home"
        printf ' interface: %s\n access-control: 127.0.0.0/8 allow\n do-not-query-localhost: no\n' "$2"
        printf ' module-config: "iterator"\n rrset-roundrobin: no\n num-threads: 1\n'
        printf ' local-zone: "127.in-addr.arpa." static\n local-zone: "example.org." transparent\n'
        printf '%s\n' "${@:3}"
    } >"$home/unbound.conf"
    unbound -d -c "$home/unbound.conf" >"$home/log" 2>&1 &
    pid[$name]=$!
}

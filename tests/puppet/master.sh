# shellcheck shell=bash
# A Puppet master of Debian's puppetserver, and certificate authorities. Sourced by run, which sets $work.
#
# Each master lives in $work/NAME, with its own configuration, code and certificate; the installed service and its
# files are read, never changed. The CAs are those of `puppetserver ca setup`, root and intermediate. Every master runs
# with its own CA service off, as compile masters do, so that all three differ in their certificates only.

: "${work:?set by run}"

readonly java=(java -Xms256m -Xmx512m -XX:TieredStopAtLevel=1
    -Djruby.logger.class=com.puppetlabs.jruby_utils.jruby.Slf4jLogger -Djruby.lib=/usr/share/jruby/lib
    -jar /usr/share/puppetserver/puppetserver.jar)
readonly packaged=/etc/puppet/puppetserver

# make_ca NAME: $work/NAME/ca with bundle, CRL and key
make_ca() {
    local home=$work/$1
    mkdir -p "$home/ssl"
    printf '[main]\ncertname = ca.%s\nssldir = %s/ssl\ncadir = %s/ca\n' "$1" "$home" "$home" >"$home/puppet.conf"
    puppetserver ca setup --config "$home/puppet.conf" --ca-name "Test CA $1" >"$home/setup.log" 2>&1 ||
        { cat "$home/setup.log" >&2; return 1; }
}

# issue CA NAME SAN…: a certificate for master NAME, signed by the intermediate of CA, without a CA service; valid for
# $days, two unless said otherwise
issue() {
    local ca=$work/$1/ca name=$2 ssl=$work/$2/ssl san
    shift 2
    printf -v san ',DNS:%s' "$@"
    mkdir -p "$ssl"
    cat >"$ssl/extensions" <<EOF
subjectAltName = ${san:1}
extendedKeyUsage = critical,serverAuth,clientAuth
keyUsage = critical,digitalSignature,keyEncipherment
basicConstraints = critical,CA:FALSE
EOF
    openssl req -newkey rsa:2048 -nodes -keyout "$ssl/key.pem" -subj "/CN=$name.example.org" -out "$ssl/request.pem" \
        2>/dev/null
    openssl x509 -req -in "$ssl/request.pem" -CA "$ca/ca_crt.pem" -CAkey "$ca/ca_key.pem" \
        -set_serial "0x$(openssl rand -hex 8)" -days "${days:-2}" -sha256 -extfile "$ssl/extensions" -out "$ssl/cert.pem" 2>/dev/null
    cp "$ca/ca_crt.pem" "$ca/ca_crl.pem" "$ssl/"
    chown -R puppet:puppet "$ssl"
}

# configure NAME ADDRESS: everything that the master reads, certificates apart
configure() {
    local home=$work/$1 host=$2
    mkdir -p "$home"/{conf,conf.d,services.d,code/environments/production/manifests,var,run,log,gems}
    cat >"$home/conf/puppet.conf" <<EOF
[main]
certname = $1.example.org
server = puppet.example.org
ssldir = $home/ssl
vardir = $home/var
rundir = $home/run
logdir = $home/log
codedir = $home/code
EOF
    cp "$packaged"/conf.d/{auth,ca,metrics,web-routes}.conf "$home/conf.d/"
    sed "s#/var/log/puppetserver#$home/log#g" "$packaged/logback.xml" >"$home/conf/logback.xml"
    cat >"$home/conf.d/master.conf" <<EOF
global: { logging-config: $home/conf/logback.xml }
http-client: {}
profiler: {}
jruby-puppet: {
    ruby-load-path: [/usr/lib/puppetserver/ruby/vendor_ruby]
    gem-home: $home/gems
    gem-path: ["$home/gems", /usr/lib/puppetserver/vendored-jruby-gems]
    server-conf-dir: $home/conf
    server-code-dir: $home/code
    server-var-dir: $home/var
    server-run-dir: $home/run
    server-log-dir: $home/log
    max-active-instances: 1
}
webserver: {
    client-auth: want
    ssl-host: $host
    ssl-port: 8140
    ssl-cert: $home/ssl/cert.pem
    ssl-key: $home/ssl/key.pem
    ssl-ca-cert: $home/ssl/ca_crt.pem
    ssl-crl-path: $home/ssl/ca_crl.pem
}
EOF
    cp "$packaged/services.d/bootstrap.cfg" "$home/services.d/"
    local off=puppetlabs.services.ca.certificate-authority-disabled-service/certificate-authority-disabled-service
    local watch=puppetlabs.trapperkeeper.services.watcher.filesystem-watch-service/filesystem-watch-service
    printf '%s\n' "$off" "$watch" >"$home/services.d/ca.cfg"
    echo -n 0 >"$home/run/restart"
    chown -R puppet:puppet "$home"
}

# start NAME: sets pid[NAME]; setpriv becomes java, so that the pid is the master's
start() {
    local home=$work/$1
    (
        cd "$home/var" || exit
        exec setpriv --reuid=puppet --regid=puppet --init-groups -- env HOME="$home/var" "${java[@]}" \
            --config "$home/conf.d" --bootstrap-config "$home/services.d" --restart-file "$home/run/restart"
    ) </dev/null >"$home/log/console.log" 2>&1 &
    pid[$1]=$!
}

# stop NAME: at once, as a crash would
stop() {
    [[ ${pid[$1]:-} ]] || return 0
    kill -KILL "${pid[$1]}" 2>/dev/null || true
    wait "${pid[$1]}" 2>/dev/null || true
    unset "pid[$1]"
}

# running ADDRESS: whether the master there says so, whatever its certificate
running() {
    [[ $(curl -sk --max-time 2 "https://$1:8140/status/v1/simple/server" || true) == running ]]
}

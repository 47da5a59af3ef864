#!/bin/sh
# The site's CA and one certificate with the name that agents use. The volume keeps them; they are made once.
set -eu
cd "${1:-/certificates}"
[ ! -e ca.pem ] || exit 0

openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj '/CN=Site CA' -keyout ca.key -out new-ca.pem \
    -addext keyUsage=critical,keyCertSign,cRLSign
openssl req -newkey rsa:2048 -nodes -subj '/CN=puppet.example.org' -keyout master.key -out master.csr
printf 'subjectAltName=DNS:puppet.example.org\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n' >master.ext
openssl x509 -req -in master.csr -CA new-ca.pem -CAkey ca.key -CAcreateserial -days 3650 -extfile master.ext \
    -out master.pem

# Last, since it tells that all is done.
mv new-ca.pem ca.pem
chmod 644 ca.pem

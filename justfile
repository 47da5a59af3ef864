# What one does most often; each is one command, so that nothing is hidden here.

# See it work
demo:
    cargo run --release -- demo

test:
    cargo test

lint:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings

doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items

# Rewrite the expected texts of the fixtures; look at the diff
bless:
    ONSTAGE_BLESS=1 cargo test --test main -- config:: zone::

# Real Puppet masters, killed and frozen (root, puppetserver, about three minutes)
puppet:
    cargo build --release
    tests/puppet/run

# The Debian package, built, installed, asked and removed (root)
package:
    tests/package/run

# The image, built and played with as docker/README.md tells (root, buildah, docker.io, a quarter of an hour)
image:
    tests/image/run

# The whole gate
ci:
    .ci/run

# What one answer costs, and a change of who is answered
bench:
    cargo bench

//! A site's certificate authority, made on the spot.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;

/// A certificate authority, with the key to issue certificates.
pub struct SiteCa {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// What a master shows: its certificate and its key, and whether it asks clients for theirs.
#[derive(Debug, Clone)]
pub struct Identity(pub(super) Arc<ServerConfig>);

/// When a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    /// Now.
    Current,
    /// It ended years ago.
    Expired,
}

impl SiteCa {
    /// A new authority.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn new(name: &str) -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate()?;
        let params = authority(name)?;
        let certificate = params.self_signed(&key)?;
        Ok(Self { certificate, issuer: Issuer::new(params, key) })
    }

    /// An authority below this one, as Puppet's are: its certificates lead to this one only through its own.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn intermediate(&self, name: &str) -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate()?;
        let params = authority(name)?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Self { certificate, issuer: Issuer::new(params, key) })
    }

    /// Its own certificate, PEM.
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// An identity with these DNS names, the first of which is its common name. Only the leaf is shown, as Puppet
    /// masters do.
    ///
    /// # Errors
    /// A name that is none.
    pub fn issue(&self, names: &[impl AsRef<str>], validity: Validity) -> Result<Identity, rcgen::Error> {
        let (certificate, key) = self.leaf(names, validity)?;
        let config = server().with_no_client_auth().with_single_cert(vec![certificate.into()], secret(&key));
        config.map(|config| Identity(Arc::new(config))).map_err(|_| rcgen::Error::CouldNotParseKeyPair)
    }

    /// The same, for a master that lets nobody in who has no certificate of this authority.
    ///
    /// # Errors
    /// A name that is none.
    pub fn issue_strict(&self, names: &[impl AsRef<str>]) -> Result<Identity, rcgen::Error> {
        let unusable = |_| rcgen::Error::CouldNotParseCertificate;
        let (certificate, key) = self.leaf(names, Validity::Current)?;
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).map_err(unusable)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
        let verifier = verifier.map_err(|_| rcgen::Error::CouldNotParseCertificate)?;
        let config = server().with_client_cert_verifier(verifier);
        let config = config.with_single_cert(vec![certificate.into()], secret(&key));
        config.map(|config| Identity(Arc::new(config))).map_err(unusable)
    }

    /// A certificate that one shows to such a master, and its key, PEM.
    ///
    /// # Errors
    /// A name that is none.
    pub fn credentials(&self, name: &str) -> Result<(String, String), rcgen::Error> {
        let (certificate, key) = self.leaf(&[name], Validity::Current)?;
        Ok((certificate.pem(), key.serialize_pem()))
    }

    fn leaf(
        &self,
        names: &[impl AsRef<str>],
        validity: Validity,
    ) -> Result<(Certificate, KeyPair), rcgen::Error> {
        let key = KeyPair::generate()?;
        let names: Vec<String> = names.iter().map(|name| name.as_ref().to_owned()).collect();
        let mut params = CertificateParams::new(names.clone())?;
        params.distinguished_name = distinguished(names.first().map_or("", String::as_str));
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        if validity == Validity::Expired {
            params.not_before = rcgen::date_time_ymd(2001, 1, 1);
            params.not_after = rcgen::date_time_ymd(2006, 1, 1);
        }
        Ok((params.signed_by(&key, &self.issuer)?, key))
    }
}

fn secret(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivatePkcs8KeyDer::from(key.serialize_der()).into()
}

fn authority(name: &str) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = distinguished(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn distinguished(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn server() -> rustls::ConfigBuilder<ServerConfig, rustls::WantsVerifier> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    match ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions() {
        Ok(builder) => builder,
        Err(e) => unreachable!("ring speaks TLS 1.2 and 1.3: {e}"),
    }
}

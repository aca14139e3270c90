//! Encrypted connections: the server's certificate and its name are always checked.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::address::Address;
use crate::error::DatabaseError;

/// What encrypts connections to this address.
///
/// # Errors
/// If the certificates to trust cannot be read.
pub(crate) fn connector(address: &Address) -> Result<MakeRustlsConnect, DatabaseError> {
    let failed = |why: String| DatabaseError::Tls { place: address.place.clone(), why };
    let mut trusted = RootCertStore::empty();
    match &address.roots {
        Some(path) => {
            let broken = |error: &dyn std::fmt::Display| failed(format!("{}: {error}", path.display()));
            for certificate in CertificateDer::pem_file_iter(path).map_err(|error| broken(&error))? {
                let certificate = certificate.map_err(|error| broken(&error))?;
                trusted.add(certificate).map_err(|error| broken(&error))?;
            }
        }
        None => {
            trusted.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if trusted.is_empty() {
        return Err(failed("there is no certificate to trust".to_owned()));
    }
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(error.to_string()))?
        .with_root_certificates(trusted)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

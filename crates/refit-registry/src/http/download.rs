//! Files from anywhere on the web, as ADD fetches them: by URL, and only what a digest names.

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use refit_oci::Digest;
use reqwest::{Method, StatusCode, Url, header::RANGE};
use tokio::{
    fs::File,
    io::{AsyncSeekExt as _, AsyncWriteExt as _},
};

use super::{
    backoff::{Backoff, may_pass},
    client::Clients,
    pull::{GETTING_ON, range, starts_at},
    wire::{Counted, Counters, Setup, Wire},
};
use crate::{CONCURRENCY, RegistryError, Settings, error::io_error, verify::Hasher};

/// What fetches files. It shows nobody a registry's credentials.
pub struct Downloads {
    settings: Settings,
    clients: Clients,
    wires: Mutex<BTreeMap<String, Arc<Wire>>>,
}

impl Downloads {
    /// With the same timeouts, retries, proxies and certificates as for registries; nothing is contacted yet.
    pub fn new(settings: Settings) -> Self {
        // An error means that the program has chosen a TLS provider already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self {
            clients: Clients::new(&settings.patience),
            settings,
            wires: Mutex::default(),
        }
    }

    /// Puts what a URL holds into a new file at `path`. Redirects are followed, never from TLS to none; what broke off
    /// goes on where it did. More than `limit` bytes, or others than the digest says, are an error.
    pub async fn get(
        &self,
        url: &str,
        digest: &Digest,
        (path, limit): (&Path, u64),
    ) -> Result<u64, RegistryError> {
        let parsed = parse(url)?;
        let wire = self.wire(&parsed);
        let file = File::create(path).await;
        let mut download = Download {
            wire: &wire,
            what: shown(&parsed),
            url: parsed,
            file: file.map_err(|source| io_error(path, source))?,
            path,
            limit,
            seen: 0,
            hasher: Hasher::of(digest),
        };
        download.run().await?;
        let seen = download.seen;
        let actual = download.hasher.finish();
        if actual != *digest {
            return Err(RegistryError::DigestMismatch {
                what: download.what,
                actual,
            });
        }
        Ok(seen)
    }

    fn wire(&self, url: &Url) -> Arc<Wire> {
        let host = host(url);
        let wires = self.wires.lock();
        let mut wires = wires.unwrap_or_else(PoisonError::into_inner);
        let make = || {
            let of_host = self.settings.hosts.get(&host).cloned().unwrap_or_default();
            let client = self.clients.client(&host, &of_host);
            let setup = client.map(|client| Setup {
                client,
                root: url.clone(),
                concurrency: CONCURRENCY,
            });
            let patience = self.settings.patience.clone();
            Arc::new(Wire::new(
                &host,
                patience,
                setup,
                Arc::new(Counters::default()),
            ))
        };
        Arc::clone(wires.entry(host.clone()).or_insert_with(make))
    }
}

/// The name that ADD gives to what a URL holds: the last part of its path, as in BuildKit.
pub fn file_name(url: &str) -> Result<String, RegistryError> {
    let url = parse(url)?;
    let name = url.path().rsplit('/').find(|part| !part.is_empty());
    let decoded = name
        .map(percent_decoded)
        .filter(|name| name != "." && name != "..");
    // An encoded slash parts folders like any other.
    let name = decoded.and_then(|name| name.rsplit('/').next().map(str::to_owned));
    Ok(name
        .filter(|name| !name.is_empty() && !name.contains('\0'))
        .unwrap_or_else(|| "__unnamed__".to_owned()))
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let digits = bytes.get(at + 1..at + 3).filter(|_| byte == b'%');
        let code = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(code.unwrap_or(byte));
        at += if code.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn parse(url: &str) -> Result<Url, RegistryError> {
    let wrong = |why: String| RegistryError::Protocol {
        host: url.to_owned(),
        message: why,
    };
    let parsed: Url = url
        .parse()
        .map_err(|error| wrong(format!("it is no URL: {error}")))?;
    if matches!(parsed.scheme(), "http" | "https") && parsed.has_host() {
        Ok(parsed)
    } else {
        Err(wrong("only HTTP and HTTPS are fetched".to_owned()))
    }
}

fn host(url: &Url) -> String {
    let name = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}"));
    format!("{name}{}", port.unwrap_or_default())
}

/// A URL in messages: without what may be a secret.
fn shown(url: &Url) -> String {
    format!("{}://{}{}", url.scheme(), host(url), url.path())
}

/// A file on its way.
struct Download<'a> {
    wire: &'a Wire,
    what: String,
    url: Url,
    file: File,
    path: &'a Path,
    limit: u64,
    seen: u64,
    hasher: Hasher,
}

impl Download<'_> {
    async fn run(&mut self) -> Result<(), RegistryError> {
        let mut backoff = Backoff::new(&self.wire.patience);
        loop {
            let from = self.seen;
            let ask = |client: &reqwest::Client| {
                let request = client.request(Method::GET, self.url.clone());
                match from {
                    0 => request.build(),
                    from => request.header(RANGE, range(from)).build(),
                }
            };
            let response = self
                .wire
                .patiently(&mut backoff, Counted::ByMethod, ask)
                .await?;
            match response.status() {
                StatusCode::OK if from > 0 => self.restart().await?,
                StatusCode::OK => {}
                StatusCode::PARTIAL_CONTENT if from > 0 && starts_at(&response, from) => {}
                // It broke off behind its last byte.
                StatusCode::RANGE_NOT_SATISFIABLE if from > 0 => break,
                status => return Err(self.refused(status)),
            }
            let received = self.receive(response).await;
            if self.seen >= from + GETTING_ON {
                backoff = Backoff::new(&self.wire.patience);
            }
            match received {
                Ok(()) => break,
                Err(error) if may_pass(&error) && backoff.pause(None).await => {}
                Err(error) => return Err(error),
            }
        }
        let flushed = self.file.flush().await;
        flushed.map_err(|source| io_error(self.path, source))
    }

    fn refused(&self, status: StatusCode) -> RegistryError {
        if status == StatusCode::NOT_FOUND {
            return RegistryError::Missing {
                what: self.what.clone(),
            };
        }
        RegistryError::Refused {
            host: self.wire.host.clone(),
            what: self.what.clone(),
            status: status.as_u16(),
            message: String::new(),
        }
    }

    async fn receive(&mut self, response: reqwest::Response) -> Result<(), RegistryError> {
        let mut reading = self.wire.reading(response);
        while let Some(chunk) = reading.chunk().await? {
            self.seen += chunk.len() as u64;
            if self.seen > self.limit {
                return Err(RegistryError::TooLarge {
                    what: self.what.clone(),
                    limit: self.limit,
                });
            }
            self.hasher.update(&chunk);
            let written = self.file.write_all(&chunk).await;
            written.map_err(|source| io_error(self.path, source))?;
        }
        Ok(())
    }

    async fn restart(&mut self) -> Result<(), RegistryError> {
        self.seen = 0;
        self.hasher.restart();
        let rewound = async {
            self.file.set_len(0).await?;
            self.file.seek(io::SeekFrom::Start(0)).await
        };
        let rewound = rewound.await;
        rewound.map_err(|source| io_error(self.path, source))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_part_of_a_path_names_the_file() {
        for (url, expect) in [
            ("https://e.com/a/b.tar.gz?x=/y#z", "b.tar.gz"),
            ("https://e.com/a/b/", "b"),
            ("https://e.com", "__unnamed__"),
            ("https://e.com/?a=b", "__unnamed__"),
            ("http://e.com/a%20b", "a b"),
            ("http://e.com/a%2fb", "b"),
            ("http://e.com/%zz%4", "%zz%4"),
            ("http://e.com/%2e%2e", "__unnamed__"),
        ] {
            assert_eq!(file_name(url).unwrap(), expect, "{url}");
        }
        for url in ["ftp://e.com/x", "https://", "x"] {
            assert!(file_name(url).is_err(), "{url}");
        }
    }

    #[test]
    fn messages_leave_out_what_may_be_a_secret() {
        let url = parse("https://user:word@e.com:8443/a/b?signature=1#x").unwrap();
        assert_eq!(shown(&url), "https://e.com:8443/a/b");
    }
}

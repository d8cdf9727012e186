use std::{
    fs,
    io::{self, Read, Write},
    process::Command,
};

use proptest::prelude::*;
use refit_context::{LayerWriter, TarEntry, gzip_deterministic, open_layer, read_tar};
use refit_oci::{Digest, media_type};

/// Bytes that compress a little, without a pattern that repeats in blocks.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 7_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        b"abcdefgh"[(state >> 29) as usize]
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// Hands out at most `step` bytes a read.
struct Slow<'a>(&'a [u8], usize);

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.1.min(buffer.len());
        self.0.read(&mut buffer[..n])
    }
}

#[test]
fn gzip_does_not_depend_on_how_its_input_is_cut() {
    let plain = noise(700_000);
    let gzip = |step| {
        let mut out = Vec::new();
        gzip_deterministic(Slow(&plain, step), &mut out).unwrap();
        out
    };
    let whole = gzip(usize::MAX);
    for step in [1, 17, 4096, 65_537, 131_072, 131_073] {
        assert!(gzip(step) == whole, "{step}");
    }
    let mut back = Vec::new();
    flate2::read::GzDecoder::new(whole.as_slice())
        .read_to_end(&mut back)
        .unwrap();
    assert!(back == plain);
    // No name, no time, no system.
    assert_eq!(whole[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);
}

/// A change here means that layers built before and after it have different digests: never by accident.
#[test]
fn the_compressor_has_not_changed() {
    let digest = |len| {
        let mut out = Vec::new();
        gzip_deterministic(noise(len).as_slice(), &mut out).unwrap();
        Digest::sha256(&out).short().to_owned()
    };
    assert_eq!(digest(300_000), "1cedc5982fa9");
    // In several pieces.
    assert_eq!(digest(3_000_000), "d55f2ca58991");
}

#[test]
fn a_layer_has_both_digests_and_the_real_tar_reads_it() {
    let dir = tempfile::tempdir().unwrap();
    let content = noise(300_000);
    let write = |name: &str, step| {
        let mut layer = LayerWriter::create(&dir.path().join(name)).unwrap();
        layer
            .append(&TarEntry::directory("srv"), io::empty())
            .unwrap();
        let file = TarEntry {
            uid: 33,
            mode: 0o755,
            mtime: 1_700_000_000,
            ..TarEntry::file("srv/app", 300_000)
        };
        layer.append(&file, Slow(&content, step)).unwrap();
        layer
            .append(&TarEntry::symlink("srv/link", "app"), io::empty())
            .unwrap();
        layer.finish().unwrap()
    };
    let layer = write("a.tar.gz", 1000);
    let again = write("b.tar.gz", 77_777);
    assert_eq!(
        (&layer.digest, &layer.diff_id),
        (&again.digest, &again.diff_id)
    );

    let file = fs::read(&layer.path).unwrap();
    assert_eq!(layer.digest, Digest::sha256(&file));
    assert_eq!(layer.size, file.len() as u64);
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(file.as_slice())
        .read_to_end(&mut plain)
        .unwrap();
    assert_eq!(layer.diff_id, Digest::sha256(&plain));
    assert_eq!(layer.plain_size, plain.len() as u64);
    assert_eq!(layer.descriptor().media_type, media_type::OCI_LAYER_GZIP);

    let listing = Command::new("tar")
        .arg("-tzf")
        .arg(&layer.path)
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8(listing.stdout).unwrap(),
        "srv/\nsrv/app\nsrv/link\n"
    );
}

#[test]
fn layers_open_whatever_their_compression_and_whatever_their_type_says() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = refit_context::TarWriter::new(Vec::new());
    writer.append(&TarEntry::file("a", 3), &b"abc"[..]).unwrap();
    let plain = writer.finish().unwrap();
    let mut gzip = Vec::new();
    gzip_deterministic(plain.as_slice(), &mut gzip).unwrap();
    // Two members: what parallel compressors write.
    let mut two_members = Vec::new();
    for half in [&plain[..700], &plain[700..]] {
        gzip_deterministic(half, &mut two_members).unwrap();
    }
    let zstd = zstd::encode_all(plain.as_slice(), 3).unwrap();
    let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9][..], &zstd].concat();
    for (name, bytes, kind) in [
        ("plain", &plain, media_type::OCI_LAYER),
        ("gzip", &gzip, media_type::OCI_LAYER_GZIP),
        ("gzip of Docker's", &gzip, media_type::DOCKER_LAYER_GZIP),
        ("two members", &two_members, media_type::OCI_LAYER_GZIP),
        ("gzip declared as plain", &gzip, media_type::DOCKER_LAYER),
        ("zstd", &zstd, media_type::OCI_LAYER_ZSTD),
        ("skippable frame", &skippable, media_type::OCI_LAYER_ZSTD),
    ] {
        let path = dir.path().join("layer");
        fs::write(&path, bytes).unwrap();
        let mut found = Vec::new();
        read_tar(open_layer(&path, kind, 4096).unwrap(), |entry, data| {
            found.push(entry.path.clone());
            assert_eq!(io::read_to_string(data).unwrap(), "abc");
            Ok::<_, refit_context::TarError>(())
        })
        .unwrap();
        assert_eq!(found, ["a"], "{name}");
    }
    let path = dir.path().join("layer");
    for kind in [
        media_type::OCI_CONFIG,
        "application/vnd.oci.image.layer.v1.tar+gzip+encrypted",
    ] {
        assert!(open_layer(&path, kind, 4096).is_err(), "{kind}");
    }
}

#[test]
fn a_layer_that_unfolds_beyond_the_bound_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bomb");
    let zeros = vec![0; 10_000_000];
    for bytes in [zstd::encode_all(zeros.as_slice(), 3).unwrap(), {
        let mut gzip = Vec::new();
        gzip_deterministic(zeros.as_slice(), &mut gzip).unwrap();
        gzip
    }] {
        fs::write(&path, bytes).unwrap();
        let read = |limit| {
            let mut layer = open_layer(&path, media_type::OCI_LAYER_GZIP, limit).unwrap();
            io::copy(&mut layer, &mut io::sink())
        };
        assert_eq!(read(10_000_000).unwrap(), 10_000_000);
        let error = read(9_999_999).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the layer has more than 9999999 bytes when decompressed"
        );
    }
}

proptest! {
    #[test]
    fn any_cuts_give_the_same_gzip(cuts in prop::collection::vec(1_usize..200_000, 1..12)) {
        let plain = noise(400_000);
        let mut whole = Vec::new();
        gzip_deterministic(plain.as_slice(), &mut whole).unwrap();
        let mut rest = plain.as_slice();
        let mut cuts = cuts.iter().cycle();
        let reader = Cuts(move |buffer: &mut [u8]| {
            let n = (*cuts.next().unwrap_or(&1)).min(buffer.len());
            rest.read(&mut buffer[..n])
        });
        let mut cut = Vec::new();
        gzip_deterministic(reader, &mut cut).unwrap();
        cut.flush().unwrap();
        prop_assert!(cut == whole);
    }
}

struct Cuts<F>(F);

impl<F: FnMut(&mut [u8]) -> io::Result<usize>> Read for Cuts<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (self.0)(buffer)
    }
}

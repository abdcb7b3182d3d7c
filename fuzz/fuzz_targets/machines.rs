//! A node and a scheduler that are told, with the right key, whatever the fuzzer can think of: what
//! one of them answers for by itself must be true all the same.

#![no_main]

use arbitrary::Unstructured;
use counterfoil_fuzz::cluster;
use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    match cluster::run(&mut Unstructured::new(bytes)) {
        Ok(()) => Corpus::Keep,
        Err(_) => Corpus::Reject,
    }
});

//! Bytes as packets: raw, as messages of a packet that is sealed with the right key, and as messages
//! that were changed after they were made.

#![no_main]

use arbitrary::{Result, Unstructured};
use counterfoil_fuzz::{keys, nowhere, other_keys, packed, words};
use counterfoil_service::key::{Key, Keys};
use counterfoil_service::packet::{PACKET_MAX, Seal, claimed_sender, open};
use counterfoil_service::wire::{Message, decode_message, encode_message};
use libfuzzer_sys::{Corpus, fuzz_target};
use std::sync::LazyLock;

static KEYS: LazyLock<Keys> = LazyLock::new(keys);
static OTHERS: LazyLock<Keys> = LazyLock::new(other_keys);
static KEY: LazyLock<Key> = LazyLock::new(|| KEYS.sealing().1.clone());
static SEAL: LazyLock<Seal> = LazyLock::new(|| Seal::new(nowhere(), Some(&KEYS)));

fuzz_target!(|bytes: &[u8]| -> Corpus {
    match one(&mut Unstructured::new(bytes)) {
        Ok(()) => Corpus::Keep,
        Err(_) => Corpus::Reject,
    }
});

fn one(u: &mut Unstructured<'_>) -> Result<()> {
    match u.int_in_range(0..=3)? {
        0 => raw(u.bytes(u.len())?),
        1 => sealed(u.bytes(u.len())?),
        2 => changed(u)?,
        _ => said(u)?,
    }
    Ok(())
}

/// What the bytes are: nobody who has keys believes them.
fn raw(bytes: &[u8]) {
    let mut ours = b"CF\x02\x00".to_vec();
    ours.extend(bytes);
    for bytes in [bytes, &ours] {
        claimed_sender(bytes);
        assert!(open(bytes, Some(&KEYS)).is_err(), "nobody sealed it");
        if let Ok((_, messages)) = open(bytes, None) {
            messages.for_each(|message| read_again(message.ok()));
        }
    }
}

/// The body of a packet that someone who knows the key has sealed.
fn sealed(body: &[u8]) {
    let mut packet = b"CF\x02".to_vec();
    packet.push(KEY.number().0);
    packet.extend(&body[..body.len().min(PACKET_MAX - 20)]);
    packet.extend(KEY.tag(&packet));
    if let Ok((from, messages)) = open(&packet, Some(&KEYS)) {
        assert_eq!(claimed_sender(&packet), Some(from));
        messages.for_each(|message| read_again(message.ok()));
    }
}

/// A good packet that was changed on its way: nobody believes it.
fn changed(u: &mut Unstructured<'_>) -> Result<()> {
    let message = words::message(u, nowhere())?;
    let Some(good) = packed(&SEAL, &[message]) else { return Ok(()) };
    assert!(open(&good, Some(&KEYS)).is_ok());
    assert!(open(&good, Some(&OTHERS)).is_err());
    assert!(open(&good, None).is_err());
    let mut bad = good.clone();
    match u.int_in_range(0..=2)? {
        0 => bad.truncate(u.int_in_range(0..=good.len() - 1)?),
        1 => bad.extend(u.bytes(1)?),
        _ => {
            let at = u.int_in_range(0..=good.len() - 1)?;
            bad[at] ^= u.int_in_range(1..=255)?;
        }
    }
    assert!(open(&bad, Some(&KEYS)).is_err(), "it is not what was sealed");
    Ok(())
}

/// A message in which bytes were changed before it was sealed.
fn said(u: &mut Unstructured<'_>) -> Result<()> {
    let message = words::message(u, nowhere())?;
    let mut form = Vec::new();
    let Ok(_) = encode_message(&message, &mut form) else { return Ok(()) };
    let mut form = form.split_off(if form[0] < 0x80 { 1 } else { 2 });
    let whole = decode_message(&form);
    assert!(whole.is_err() || whole == Ok(message), "it is read as what was said");
    for _ in 0..u.int_in_range(1..=4)? {
        let at = u.int_in_range(0..=form.len() - 1)?;
        form[at] = u.arbitrary()?;
    }
    read_again(decode_message(&form).ok());
    Ok(())
}

/// What was read can be said, and is read as the same.
fn read_again(message: Option<Message>) {
    let Some(message) = message else { return };
    let mut form = Vec::new();
    if encode_message(&message, &mut form).is_ok() {
        let form = &form[if form[0] < 0x80 { 1 } else { 2 }..];
        assert_eq!(decode_message(form), Ok(message));
    }
}

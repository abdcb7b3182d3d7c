//! A browser looks at the page of a scheduler. Where there is none, the tests say so and pass,
//! unless COUNTERFOIL_BROWSER=required.

mod browser;
mod canned;

use browser::Browser;
use canned::{Canned, Server, mixed, node};
use std::path::Path;

/// What counts as wide, and as a telephone.
const WIDE: (u32, u32) = (1280, 800);
const NARROW: (u32, u32) = (400, 800);

/// Where pictures are kept, to be looked at.
fn picture(browser: &mut Browser, name: &str) {
    browser.picture(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("page").join(name));
}

/// The page has asked once.
const SHOWN: &str = "document.querySelectorAll('#rows tr').length > 0";

fn rows(browser: &mut Browser) -> u64 {
    browser.evaluate("document.querySelectorAll('#rows tr').length").as_u64().unwrap()
}

#[test]
fn nodes_and_decisions_are_shown_without_an_error_and_without_anyone_else() {
    let Some(mut browser) = Browser::start() else { return };
    let server = Server::start(mixed());
    for (name, size, dark) in [
        ("light-wide.png", WIDE, false),
        ("dark-wide.png", WIDE, true),
        ("light-narrow.png", NARROW, false),
        ("dark-narrow.png", NARROW, true),
    ] {
        browser.open(&server.url(), size, dark);
        browser.until(SHOWN);
        assert_eq!(rows(&mut browser), 9);
        picture(&mut browser, name);
        let over = "document.documentElement.scrollWidth - innerWidth";
        assert!(browser.evaluate(over).as_i64().unwrap() <= 0, "{name} is too wide");
        browser.evaluate("document.getElementById('decisions').scrollIntoView()");
        picture(&mut browser, &format!("below-{name}"));
    }
    let second = browser.text("#rows tr:nth-child(2)");
    for expected in ["n2", "up", "present", "3.34", "74 ms ago", "45 of 64 free · 7\u{a0}aside"] {
        assert!(second.contains(expected), "{expected:?} in {second:?}");
    }
    let decisions = browser.text("#recent");
    for expected in ["18446744073709551614", "no valid host", "5 have too little VCPU", "2.8 ms"] {
        assert!(decisions.contains(expected), "{expected:?} in {decisions:?}");
    }
    assert_eq!(browser.errors(), [""; 0]);
    let requested = browser.requested();
    assert!(requested.iter().all(|url| url.starts_with(&server.url())), "{requested:?}");
}

#[test]
fn whoever_does_not_see_it_is_told_what_everything_is() {
    let Some(mut browser) = Browser::start() else { return };
    let server = Server::start(mixed());
    browser.open(&server.url(), WIDE, false);
    browser.until(SHOWN);
    for all in [
        "[...document.querySelectorAll('table')].every(t => t.caption?.innerText)",
        "[...document.querySelectorAll('th')].every(h => ['row', 'col'].includes(h.scope))",
        "[...document.querySelectorAll('input')].every(i => i.labels.length === 1)",
        "[...document.querySelectorAll('.scroll')].every(s => s.tabIndex === 0 && s.ariaLabel \
         || document.getElementById(s.getAttribute('aria-labelledby')))",
        "document.documentElement.lang === 'en'",
    ] {
        assert_eq!(browser.evaluate(all), true, "{all}");
    }
    browser.tab_to("at.textContent === 'VCPU'");
    let outline = browser.evaluate("getComputedStyle(document.activeElement).outlineStyle");
    assert_eq!(outline, "solid", "the focus is seen");
    browser.press("Enter");
    browser.until("document.querySelector('#heads th[aria-sort]')?.innerText === 'VCPU'");
    let sorted = "document.querySelector('#heads th[aria-sort]').ariaSort";
    assert_eq!(browser.evaluate(sorted), "descending");
    assert!(browser.text("#rows tr").starts_with("n6"), "the fullest comes first");
    browser.press("Enter");
    assert_eq!(browser.evaluate(sorted), "ascending");
    assert!(browser.text("#rows tr").starts_with("n7"), "it has no processors");
}

#[test]
fn of_a_thousand_nodes_some_are_shown_and_the_rest_is_found() {
    let Some(mut browser) = Browser::start() else { return };
    let nodes = (1..=1000).map(|id| node(id, u64::from(id) % 64, 0)).collect();
    let server = Server::start(Canned { nodes, ..Canned::default() });
    browser.open(&server.url(), WIDE, false);
    browser.until(SHOWN);
    assert_eq!(rows(&mut browser), 200);
    let hidden = "200 of 1,000 shown, 800 hidden beyond the first 200: narrow the filter";
    assert_eq!(browser.text("#hidden-rows"), hidden);
    picture(&mut browser, "thousand.png");
    browser.tab_to("at.id === 'filter'");
    browser.enter("n99 west");
    browser.until("document.querySelectorAll('#rows tr').length === 6");
    assert_eq!(browser.text("#hidden-rows"), "6 of 1,000 shown, 994 hidden by the filter");
    server.change(|canned| canned.nodes.truncate(995));
    browser.until("document.querySelectorAll('#rows tr').length === 4");
    assert_eq!(browser.errors(), [""; 0]);
}

#[test]
fn whoever_must_have_a_token_is_asked_for_it_once() {
    let Some(mut browser) = Browser::start() else { return };
    let token = "read-me-if-you-can";
    let server = Server::start(Canned { token: Some(token), ..mixed() });
    browser.open(&server.url(), WIDE, false);
    browser.until("document.activeElement?.id === 'token'");
    picture(&mut browser, "token.png");
    browser.enter("another-token-altogether");
    browser.press("Enter");
    browser.until("document.getElementById('refused').innerText === 'the token is not known'");
    browser.enter(token);
    browser.press("Enter");
    browser.until(SHOWN);
    assert_eq!(browser.evaluate("document.getElementById('locked').checkVisibility()"), false);
    browser.open(&server.url(), WIDE, false);
    browser.until(SHOWN);
    let kept = browser.evaluate("[localStorage.length, document.cookie, location.href].join()");
    assert_eq!(kept, format!("0,,{}", server.url()), "it is kept nowhere else");
}

#[test]
fn a_scheduler_that_does_not_answer_is_told_of_until_it_does() {
    let Some(mut browser) = Browser::start() else { return };
    let server = Server::start(mixed());
    browser.open(&server.url(), WIDE, false);
    browser.until(SHOWN);
    server.change(|canned| canned.stopping = true);
    browser.until("document.getElementById('trouble').checkVisibility()");
    let trouble = browser.text("#trouble");
    assert!(trouble.contains("does not answer (the scheduler stops)"), "{trouble}");
    assert!(trouble.contains("What is shown is as of "), "{trouble}");
    assert_eq!(rows(&mut browser), 9, "what was known is still shown");
    picture(&mut browser, "trouble.png");
    server.change(|canned| canned.stopping = false);
    browser.until("!document.getElementById('trouble').checkVisibility()");
    browser.tab_to("at.id === 'pause'");
    browser.press("Enter");
    browser.until("document.getElementById('as-of').innerText.startsWith('Paused, as of ')");
    server.change(|canned| canned.nodes.truncate(1));
    browser.press("Enter");
    browser.until("document.querySelectorAll('#rows tr').length === 1");
}

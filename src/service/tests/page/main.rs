//! A browser looks at the page of a scheduler. Where there is none, the tests say so and pass,
//! unless COUNTERFOIL_BROWSER=required.

mod canned;
mod processes;

use canned::{Canned, Server, mixed, node};
use counterfoil_browser::Browser;
use counterfoil_service::api::page;
use processes::Process;
use std::path::Path;
use std::time::{Duration, Instant};

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
    for expected in ["n2", "up", "present", "3.34", "74 ms ago", "45 of 64 free\n7 aside"] {
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

const PLACE: &str = "{\"resources\": {\"VCPU\": 2}}";

/// Two nodes, one of which has no more room, and their scheduler.
fn cluster(data: &Path) -> (Process, [Process; 2]) {
    let nodes = [1, 2].map(|id| Process::node(id, data));
    let scheduler = Process::scheduler(&[&nodes[0], &nodes[1]], data);
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        // The scheduler comes to know the nodes.
        let (head, body) = scheduler.ask("POST", "/v1/requests", PLACE);
        if head.starts_with("HTTP/1.1 200 ") {
            return (scheduler, nodes);
        }
        assert!(Instant::now() < until, "{head} {body}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_browser_sees_what_a_scheduler_knows_and_decided() {
    let Some(mut browser) = Browser::start() else { return };
    let data = tempfile::tempdir().unwrap();
    let (scheduler, _nodes) = cluster(data.path());
    let url = format!("http://{}/", scheduler.http());
    browser.open(&url, WIDE, false);
    browser.until("document.querySelectorAll('#rows tr').length === 2");
    browser.until("document.getElementById('rows').innerText.includes('0 of 2 free')");
    browser.until("document.getElementById('rows').innerText.includes('2 of 2 free')");
    browser.until("document.querySelector('#recent .mark')?.innerText === 'placed'");
    let too_much = PLACE.replace('2', "3");
    assert!(scheduler.ask("POST", "/v1/requests", &too_much).0.starts_with("HTTP/1.1 409 "));
    browser.until("document.querySelector('#recent .mark')?.innerText === 'no valid host'");
    let why = browser.text("#recent .wide");
    assert!(why.contains("VCPU"), "{why}");
    picture(&mut browser, "processes.png");
    assert_eq!(browser.errors(), [""; 0]);
    let requested = browser.requested();
    assert!(requested.iter().all(|asked| asked.starts_with(&url)), "{requested:?}");
    drop(scheduler);
    browser.until("document.getElementById('trouble').checkVisibility()");
}

#[test]
fn processes_tell_what_they_count_and_the_page_comes_with_its_policy() {
    let data = tempfile::tempdir().unwrap();
    let (scheduler, nodes) = cluster(data.path());
    let (head, body) = scheduler.ask("GET", "/", "");
    assert!(head.starts_with("HTTP/1.1 200 ") && body.contains("<title>Counterfoil"), "{head}");
    for (name, value) in page::headers() {
        let line = format!("{}: {value}", name.to_ascii_lowercase());
        assert!(head.lines().any(|said| said == line), "no {line:?} in {head}");
    }
    assert!(scheduler.metric("counterfoil_placements_total{outcome=\"placed\"}") >= 1.0);
    assert!(scheduler.metric("counterfoil_view_age_seconds_count") >= 1.0);
    assert!(scheduler.metric("counterfoil_turn_seconds_count") >= 1.0);
    let series = "counterfoil_notices_total{decision=\"ClaimIsJudged\",notice=\"ClaimGranted\"}";
    let granted: f64 = nodes.iter().map(|node| node.metric(series)).sum();
    assert!(granted >= 1.0, "{granted}");
    for node in &nodes {
        assert!(node.metric("counterfoil_commit_seconds_count") >= 1.0, "its life");
        assert_eq!(node.metric("counterfoil_violations_total{property=\"no_overcommit\"}"), 0.0);
        assert!(node.ask("GET", "/health/live", "").0.starts_with("HTTP/1.1 200 "));
    }
}

//! A browser opens a page from a file and walks the trace by keyboard. Where there is none, the
//! test says so and passes, unless COUNTERFOIL_BROWSER=required.

use super::*;
use counterfoil_browser::Browser;
use counterfoil_world::replay;

/// What counts as wide, and as a telephone.
const WIDE: (u32, u32) = (1280, 900);
const NARROW: (u32, u32) = (400, 900);

/// Where pictures are kept, to be looked at.
fn picture(browser: &mut Browser, name: &str) {
    browser.picture(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("page").join(name));
}

fn step(browser: &mut Browser) -> String {
    let hash = browser.evaluate("location.hash");
    hash.as_str().unwrap().to_owned()
}

/// Nobody was asked for anything, and nothing went wrong.
fn is_alone(browser: &mut Browser) {
    assert_eq!(browser.errors(), [""; 0]);
    let requested = browser.requested();
    assert!(requested.iter().all(|url| url.starts_with("file://")), "{requested:?}");
}

#[test]
fn a_trace_is_walked_by_keyboard() {
    let Some(mut browser) = Browser::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("page.html");
    std::fs::write(&file, page_of(GAP)).unwrap();
    let url = format!("file://{}", file.display());
    browser.open(&url, WIDE, false);
    browser.until("document.getElementById('said')?.textContent.startsWith('✗ Step 7 of 7')");
    browser.press("g");
    assert_eq!(step(&mut browser), "#step=0");
    browser.press("l");
    browser.press("ArrowRight");
    browser.press("ArrowRight");
    assert_eq!(step(&mut browser), "#step=3");
    let state = browser.text("#state");
    assert!(state.contains("durable.allocations[s1.1:n1#0]"), "{state}");
    assert!(state.contains("0 → 1"), "the version changes: {state}");
    assert!(browser.text("#choices").contains("this happened"), "the next step is marked");
    assert!(browser.text("#flight").contains("m2 claim r3 s1 → n1"), "{}", browser.text("#flight"));
    assert_eq!(browser.evaluate("document.querySelector('ol.words .now').dataset.step"), "3");
    browser.press("h");
    assert_eq!(step(&mut browser), "#step=2");
    browser.press("]");
    assert_eq!(step(&mut browser), "#step=7", "the next step of s1");
    browser.press("[");
    assert_eq!(step(&mut browser), "#step=2");
    browser.press("v");
    assert_eq!(step(&mut browser), "#step=7");
    browser.press("G");
    browser.press("l");
    assert_eq!(step(&mut browser), "#step=7", "there is nothing after the end");
    browser.press("b");
    let answer = browser.text("#answer");
    assert!(answer.contains("A page cannot run the machines"), "{answer}");
    browser.press("q");
    assert_eq!(browser.evaluate("document.getElementById('help').open"), false);
    browser.press("/");
    assert_eq!(browser.evaluate("document.activeElement.id"), "find");
    browser.enter("announce");
    browser.press("Enter");
    assert_eq!(step(&mut browser), "#step=4");
    browser.press("Escape");
    browser.press("n");
    assert_eq!(step(&mut browser), "#step=6");
    browser.press("w");
    assert_eq!(browser.evaluate("document.activeElement.id"), "why");
    browser.open(&format!("{url}#step=5"), WIDE, false);
    browser.until("document.getElementById('said')?.textContent.startsWith('Step 5 of 7')");
    is_alone(&mut browser);
}

#[test]
fn a_value_is_followed_and_a_loop_is_walked() {
    let Some(mut browser) = Browser::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("page.html");
    std::fs::write(&file, page_of(LASSO)).unwrap();
    browser.open(&format!("file://{}#step=0", file.display()), WIDE, false);
    browser.until("document.getElementById('said')?.textContent.startsWith('Step 0 of 8')");
    browser.evaluate(
        "[...document.querySelectorAll('#state button')].find(b => b.textContent === 'version').click()",
    );
    browser.press("}");
    assert_eq!(step(&mut browser), "#step=2", "the claim is granted");
    browser.press("{");
    assert_eq!(step(&mut browser), "#step=0");
    browser.press("L");
    assert_eq!(step(&mut browser), "#step=7");
    browser.press("L");
    assert_eq!(step(&mut browser), "#step=8");
    is_alone(&mut browser);
}

#[test]
fn a_page_fits_and_is_understood_by_whoever_does_not_see_it() {
    let Some(mut browser) = Browser::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    for (name, kept) in [("gap", GAP), ("lasso", LASSO), ("copied", COPIED), ("resent", RESENT)] {
        let file = folder.path().join("page.html");
        std::fs::write(&file, page_of(kept)).unwrap();
        let url = format!("file://{}", file.display());
        for (look, size, dark) in [
            ("light-wide", WIDE, false),
            ("dark-wide", WIDE, true),
            ("light-narrow", NARROW, false),
            ("dark-narrow", NARROW, true),
        ] {
            browser.open(&url, size, dark);
            browser.until("document.getElementById('said')?.textContent.includes('Step ')");
            picture(&mut browser, &format!("{name}-{look}.png"));
            let over = "document.documentElement.scrollWidth - innerWidth";
            assert!(browser.evaluate(over).as_i64().unwrap() <= 0, "{name}-{look} is too wide");
            browser.evaluate("document.getElementById('diagram').scrollIntoView()");
            picture(&mut browser, &format!("{name}-{look}-diagram.png"));
        }
        for all in [
            "[...document.querySelectorAll('section')].every(s => \
             document.getElementById(s.getAttribute('aria-labelledby')))",
            "[...document.querySelectorAll('#steps th, #messages th')].every(h => h.scope)",
            "[...document.querySelectorAll('section > .scroll > table')].every(t => t.caption)",
            "[...document.querySelectorAll('input')].every(i => i.labels.length || i.ariaLabel)",
            "[...document.querySelectorAll('button')].every(b => b.innerText.trim())",
            "document.querySelector('#drawing > title').textContent.length > 0",
            "document.getElementById('said').ariaLive === 'polite'",
            "[...document.querySelectorAll('ol.words li')].every((w, i, all) => !i || Math.abs( \
             w.getBoundingClientRect().top - all[i - 1].getBoundingClientRect().bottom) < 1)",
        ] {
            assert_eq!(browser.evaluate(all), true, "{name}: {all}");
        }
    }
    is_alone(&mut browser);
}

#[test]
fn what_a_trace_says_does_nothing() {
    let Some(mut browser) = Browser::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut story = story(GAP);
    let evil = "</script><img src=x onerror=document.title='owned'>\u{2028}'\"&lt;";
    story.question = evil.to_owned();
    story.steps[0].what = evil.to_owned();
    story.messages[0].text = evil.to_owned();
    story.choices[0].what = evil.to_owned();
    let file = folder.path().join("page.html");
    std::fs::write(&file, page(&story, &Place::default())).unwrap();
    browser.open(&format!("file://{}#step=1", file.display()), WIDE, false);
    browser.until("document.getElementById('said')?.textContent.includes('Step 1 of 7')");
    assert!(browser.text("#said").contains("<img src=x onerror"), "it is shown as it is");
    assert_eq!(browser.evaluate("document.images.length"), 0);
    assert_ne!(browser.evaluate("document.title"), "owned");
    is_alone(&mut browser);
    let drawing = folder.path().join("run.svg");
    std::fs::write(&drawing, counterfoil_viewer::svg::file(&story)).unwrap();
    browser.open(&format!("file://{}", drawing.display()), WIDE, false);
    browser.until("document.documentElement?.tagName === 'svg'");
    assert_eq!(browser.evaluate("document.querySelector('parsererror')"), serde_json::Value::Null);
    picture(&mut browser, "drawing.png");
    is_alone(&mut browser);
}

#[test]
fn the_gallery_leads_to_every_page_and_back() {
    let Some(mut browser) = Browser::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (traces().display().to_string(), folder.path().display().to_string());
    assert_eq!(run(&["gallery", &from, "--out", &to]).status.code(), Some(0));
    let kept = std::fs::read_dir(traces()).unwrap();
    let is_trace = |name: &str| name.ends_with(".itf.json");
    let kept = kept.filter(|file| is_trace(&file.as_ref().unwrap().file_name().to_string_lossy()));
    let kept = kept.count();
    browser.open(&format!("file://{to}/index.html"), WIDE, true);
    browser.until("document.querySelectorAll('.traces a').length > 0");
    let listed = browser.evaluate("document.querySelectorAll('.traces a').length");
    assert_eq!(listed.as_u64().unwrap() as usize, kept);
    picture(&mut browser, "gallery.png");
    let first = browser.evaluate("document.querySelector('.traces a').href");
    let mut at = first.as_str().unwrap().to_owned();
    let mut seen = Vec::new();
    loop {
        browser.open(&at, NARROW, false);
        browser.until(&format!("location.href === {at:?} && document.getElementById('said')"));
        assert_eq!(browser.text("nav.pages a"), "↑ all traces");
        seen.push(at);
        let next = browser.evaluate("document.querySelector('nav.pages a[rel=next]')?.href ?? ''");
        at = next.as_str().unwrap().to_owned();
        if at.is_empty() {
            break;
        }
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), kept, "{seen:?}");
    is_alone(&mut browser);
}

#[test]
fn a_page_of_a_thousand_steps_is_walked() {
    let Some(mut browser) = Browser::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("page.html");
    let trace = runs::walked(1000);
    let story = Story::of("walk", &trace, &replay(&trace));
    std::fs::write(&file, page(&story, &Place::default())).unwrap();
    browser.open(&format!("file://{}", file.display()), WIDE, false);
    browser.until("document.getElementById('said')?.textContent.includes('of 1000')");
    let navigation = "performance.getEntriesByType('navigation')[0]";
    let ready = browser.evaluate(&format!("{navigation}.loadEventEnd - {navigation}.startTime"));
    println!("{} bytes, loaded in {ready} ms", std::fs::metadata(&file).unwrap().len());
    browser.press("h");
    assert_eq!(step(&mut browser), "#step=999");
    browser.press("g");
    assert_eq!(step(&mut browser), "#step=0");
    assert!(browser.errors().is_empty());
}

//! What is in a page.

use super::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use counterfoil_viewer::svg;
use sha2::{Digest, Sha256};

/// What stands between `begin` and the `end` after it.
fn between<'a>(page: &'a str, begin: &str, end: &str) -> &'a str {
    let (_, rest) = page.split_once(begin).unwrap_or_else(|| panic!("no {begin}"));
    rest.split_once(end).unwrap_or_else(|| panic!("no {end}")).0
}

/// Every value of an attribute.
fn values<'a>(page: &'a str, attribute: &str) -> Vec<&'a str> {
    let begin = format!(" {attribute}=\"");
    page.split(begin.as_str()).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

/// A page without its style, its script and what that reads.
fn body(page: &str) -> String {
    let (_, rest) = page.split_once("<body>").unwrap();
    let (text, data) = rest.split_once("<script type=\"application/json\"").unwrap();
    let (_, after) = data.rsplit_once("</script>").unwrap();
    format!("{text}{after}")
}

#[test]
fn a_page_tells_everything_in_words() {
    let told = body(&page_of(SHORT)).replace("><", ">\n<");
    insta::assert_snapshot!(told);
}

#[test]
fn the_policy_of_a_page_allows_the_script_and_the_style_that_are_in_it() {
    let page = page_of(GAP);
    let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
    let policy = between(&page, "<meta http-equiv=\"Content-Security-Policy\" content=\"", "\">");
    let expected = format!(
        "default-src 'none'; script-src {}; style-src {}; base-uri 'none'; form-action 'none'",
        hash(between(&page, "<script>", "</script>")),
        hash(between(&page, "<style>", "</style>")),
    );
    assert_eq!(policy.replace("&#39;", "'"), expected);
    let scripts: Vec<&str> = page.match_indices("<script").map(|(_, found)| found).collect();
    assert_eq!(scripts.len(), 2, "the data and the script");
    assert_eq!(page.matches("<style").count(), 1);
}

#[test]
fn a_page_needs_nothing_from_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("site");
    let (from, to) = (traces().display().to_string(), out.display().to_string());
    assert_eq!(run(&["gallery", &from, "--out", &to]).status.code(), Some(0));
    for file in std::fs::read_dir(&out).unwrap() {
        let page = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let outside = [
            "http:", "https:", "@import", "url(", " src=", " style=", "onclick=", "onload=",
            "<link",
        ];
        for outside in outside {
            assert!(!page.contains(outside), "{outside}");
        }
        for link in values(&page, "href") {
            match link.strip_prefix('#') {
                Some(id) => {
                    assert!(page.contains(&format!(" id=\"{id}\"")), "nothing is called {id}");
                }
                None => assert!(out.join(link).is_file(), "{link} is no page"),
            }
        }
        let mut ids = values(&page, "id");
        ids.sort_unstable();
        let all = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), all, "a name is given twice");
    }
}

#[test]
fn a_page_is_small_beside_its_trace() {
    for file in std::fs::read_dir(traces()).unwrap() {
        let file = file.unwrap().path();
        if file.extension().is_some_and(|ending| ending == "json") {
            let size = page(&tell(&file).unwrap().story, &Place::default()).len();
            assert!(size < 200_000, "{}: {size}", file.display());
        }
    }
}

#[test]
fn every_step_and_message_is_told_in_a_row_and_drawn() {
    for name in [GAP, LASSO, RESENT, COPIED] {
        let (story, page) = (story(name), page_of(name));
        for step in 0..=story.steps.len() {
            assert!(page.contains(&format!("<tr id=\"step={step}\"")), "{name} {step}");
            assert!(page.contains(&format!("data-step=\"{step}\"")), "{name} {step}");
        }
        for message in &story.messages {
            assert!(page.contains(&format!("<tr id=\"{}\"", message.name)));
            assert!(page.contains(&format!("data-m=\"{}\"", message.name)));
        }
    }
}

#[test]
fn an_equal_message_sent_twice_is_two_lines() {
    let story = story(RESENT);
    let claims: Vec<_> = story.messages.iter().filter(|message| message.label == "claim").collect();
    assert_eq!(claims[0].text, claims[1].text);
    let page = page_of(RESENT);
    for claim in &claims[..2] {
        let drawn =
            between(&page, &format!("<g class=\"message\" data-m=\"{}\">", claim.name), "</g></g>");
        assert!(drawn.contains("class=\"delivered\""), "{drawn}");
    }
}

#[test]
fn the_fate_of_a_message_is_told_by_its_line() {
    for (name, class) in [
        (GAP, "overtook"),
        (GAP, "flying"),
        (LASSO, "lost"),
        (LASSO, "delivered"),
        (COPIED, "copy"),
    ] {
        let page = page_of(name);
        let drawing = between(&page, "<svg id=\"drawing\"", "</svg>");
        assert!(drawing.contains(&format!("<g class=\"{class}\">")), "{name} {class}");
        let legend = between(&page, "<ul class=\"legend\"", "</ul>");
        assert!(legend.contains(&format!("<g class=\"{class}\">")), "{name} {class}");
    }
    assert!(page_of(LASSO).contains("<g class=\"rail\">"));
    assert!(!page_of(GAP).contains("<g class=\"rail\">"));
}

/// What an unfriendly trace could say.
const EVIL: &str = "</script><script>alert(1)</script><b a=\\\"'>&amp;\\u0000\\u001b[31m";

#[test]
fn what_a_trace_says_stays_words() {
    let folder = tempfile::tempdir().unwrap();
    let question = "What goes wrong without the rule gaps_are_not_applied?";
    let file = edited(folder.path(), GAP, question, EVIL);
    let mut story = tell(&file).unwrap().story;
    let evil = story.question.clone();
    assert!(evil.contains("</script>") && evil.contains('\0'));
    story.name.clone_from(&evil);
    story.actors[0].name.clone_from(&evil);
    story.steps[0].what.clone_from(&evil);
    story.messages[0].text.clone_from(&evil);
    story.fields[0].way.clone_from(&evil);
    for text in [page(&story, &Place::default()), svg::file(&story)] {
        assert!(!text.contains("<script>alert") && !text.contains("<b a="), "it became markup");
        assert!(text.contains("&lt;script&gt;alert(1)"), "it is shown");
        assert!(!text.contains('\0') && !text.contains('\x1b'));
    }
    let page = page(&story, &Place::default());
    let data = between(&page, "id=\"data\">", "</script>");
    let data: serde_json::Value = serde_json::from_str(data).unwrap();
    assert_eq!(data["actors"][0]["name"], evil, "the script reads what was there");
}

#[test]
fn a_run_that_goes_another_way_is_shown_up_to_there() {
    let folder = tempfile::tempdir().unwrap();
    let file =
        edited(folder.path(), GAP, "\"mbt::actionTaken\":\"fire\"", "\"mbt::actionTaken\":\"x\"");
    let out = folder.path().join("page.html");
    let done = run(&["html", file.to_str().unwrap(), "--out", out.to_str().unwrap()]);
    assert_eq!(done.status.code(), Some(4));
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(said.contains("diverged after step 4"), "{said}");
    let page = std::fs::read_to_string(&out).unwrap();
    assert!(page.contains("The run does not go as it is written"));
    assert!(page.contains("iverged after step 4: mbt::actionTaken is fire"), "{page}");
    assert!(page.contains("id=\"step=3\"") && !page.contains("id=\"step=4\""));
}

#[test]
fn what_is_no_trace_is_refused_with_its_code() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("page.html");
    let refused = |file: &Path, says: &str| {
        for arguments in [
            vec!["html", file.to_str().unwrap(), "--out", out.to_str().unwrap()],
            vec!["export", file.to_str().unwrap(), "--to", "svg"],
        ] {
            let done = run(&arguments);
            let said = String::from_utf8(done.stderr).unwrap();
            assert_eq!(done.status.code(), Some(5), "{said}");
            assert!(said.contains(says), "{says:?} in {said:?}");
            assert!(done.stdout.is_empty() && !out.exists());
        }
    };
    refused(&folder.path().join("nowhere.itf.json"), "cannot be read");
    refused(&edited(folder.path(), SHORT, "\"version\": 1,", "\"version\": 9,"), "newer checker");
    refused(
        &edited(folder.path(), SHORT, "\"#check\"", "\"#chuck\""),
        "is no trace of the checker",
    );
    refused(&edited(folder.path(), SHORT, "\"engine\"", "\"motor\""), "cannot be understood");
    let text = std::fs::read_to_string(trace(SHORT)).unwrap();
    let file = folder.path().join("cut.itf.json");
    std::fs::write(&file, &text[..text.len() / 2]).unwrap();
    refused(&file, "is cut short");
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let done = run(&["gallery", empty.to_str().unwrap(), "--out", out.to_str().unwrap()]);
    assert_eq!(done.status.code(), Some(5));
    let nowhere = folder.path().join("no/such/page.html");
    let done = run(&["html", trace(SHORT).to_str().unwrap(), "--out", nowhere.to_str().unwrap()]);
    assert_eq!(done.status.code(), Some(3));
    assert_eq!(run(&["html", trace(SHORT).to_str().unwrap()]).status.code(), Some(2));
}

use super::*;
use crate::compare::report::tests::sample;

#[test]
fn the_page_is_as_it_was_when_it_was_looked_at() {
    let page = page(&sample());
    assert!(!page.contains("http://") && !page.contains("https://"), "it needs nothing else");
    insta::assert_snapshot!(page);
}

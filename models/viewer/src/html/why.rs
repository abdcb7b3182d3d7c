//! Why the property is violated, first of all.

use crate::story::Story;
use maud::{Markup, html};

pub(super) fn section(story: &Story) -> Markup {
    html! {
        section #why aria-labelledby="h-why" tabindex="-1" {
            h2 #h-why { "Why" }
            pre { (story.why) }
        }
    }
}

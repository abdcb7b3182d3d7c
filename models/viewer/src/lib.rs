//! The trace viewer: shows a counterexample so that a person understands it.
//!
//! [`story`] gathers everything that there is to show of a run. [`html`] makes one offline page of
//! it, [`svg`] a drawing, [`gallery`] a site of all kept traces.

pub mod gallery;
pub mod html;
mod policy;
pub mod story;
pub mod svg;
mod told;

pub use told::{Told, Trouble, tell};

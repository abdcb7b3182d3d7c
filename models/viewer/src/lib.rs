//! The trace viewer: shows a counterexample so that a person understands it.
//!
//! [`terminal`] goes through a run step by step, [`story`] gathers everything that there is to show of
//! one. [`html`] makes one offline page of it, [`svg`] a drawing, [`gallery`] a site of all kept
//! traces, and [`export`] writes it for other tools.

pub mod export;
pub mod gallery;
pub mod html;
mod policy;
pub mod story;
pub mod svg;
pub mod terminal;
mod told;
pub mod view;

pub use told::{Told, Trouble, tell};

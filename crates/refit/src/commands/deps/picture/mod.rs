//! The graph as a picture: SVG, HTML, Mermaid and DOT.
//!
//! `gather` makes a model of it, `figure` places it by means of `layout`, and each format writes it down. Nothing in it
//! depends on the clock or the machine: the same graph is the same picture to the byte.

mod dot;
mod facts;
mod figure;
mod gather;
mod groups;
mod html;
mod layout;
mod mermaid;
mod model;
mod svg;
mod text;

pub(super) use facts::Facts;
pub(super) use gather::{Source, is_shown, picture};
pub(super) use mermaid::MOST_LINES;
pub(super) use model::{Picture, State, Tone};

impl Picture {
    /// A document of its own.
    pub(super) fn svg(&self) -> String {
        svg::document(self, &figure::figure(self))
    }

    /// For Markdown.
    pub(super) fn mermaid(&self) -> String {
        mermaid::mermaid(self)
    }

    /// For Graphviz.
    pub(super) fn dot(&self) -> String {
        dot::dot(self)
    }

    /// A page to look at.
    pub(super) fn html(&self) -> String {
        html::html(self, &figure::figure(self))
    }

    /// How many lines the Mermaid flowchart has: beyond [`MOST_LINES`] few draw it.
    pub(super) fn n_mermaid_lines(&self) -> usize {
        mermaid::n_lines(self)
    }
}

//! Says what changed in a tree.

//! Linux signals that carry values and are never lost silently, wait states, pidfds and process control.

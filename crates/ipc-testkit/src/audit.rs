//! What a process holds: a leak is whatever is there after and was not there before.
//!
//! In a test binary the tests run in parallel, so a process's own descriptors are audited in peers; what is left in the
//! system when a whole binary has ended is compared by `cargo xtask test-all`.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// The open descriptors of a process: number and what it leads to.
pub type Descriptors = BTreeMap<u32, PathBuf>;

/// The descriptors of process `id`, or of ourselves; the one that reads the list is not in it.
#[must_use]
pub fn descriptors(id: Option<u32>) -> Descriptors {
    let directory = format!("/proc/{}/fd", id.map_or("self".to_owned(), |id| id.to_string()));
    let mut found = Descriptors::new();
    for entry in fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        let number = path.file_name().unwrap().to_str().unwrap().parse().unwrap();
        if let Ok(target) = fs::read_link(&path) {
            found.insert(number, target);
        }
    }
    // The directory's own descriptor is closed by now.
    found.retain(|number, target| {
        fs::read_link(format!("{directory}/{number}")).is_ok_and(|now| now == *target)
    });
    found
}

/// Holds what was open when it was made.
#[derive(Debug)]
pub struct Audit(Descriptors);

impl Audit {
    /// Looks at our own descriptors.
    #[must_use]
    pub fn begin() -> Self {
        Self(descriptors(None))
    }

    /// Looks again.
    ///
    /// # Panics
    /// When something is open that was not, or no longer is.
    pub fn end(&self) {
        let now = descriptors(None);
        let name =
            |open: &Descriptors| open.values().map(|target| target.display().to_string()).collect::<Vec<_>>();
        assert!(
            now.len() == self.0.len(),
            "descriptors before: {:?}, after: {:?}",
            name(&self.0),
            name(&now)
        );
    }
}

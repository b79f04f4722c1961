//! What a C programmer writes by hand, as far as several mechanisms share it.

pub(crate) mod memory;
pub(crate) mod queue;
pub(crate) mod ring;
pub(crate) mod shared;

/// write or read, again and again, until `len` bytes have gone or come.
pub(crate) fn all(len: usize, mut call: impl FnMut(usize, usize) -> isize) {
    let mut done = 0;
    while done < len {
        let more = call(done, len - done);
        assert!(more > 0, "{}", std::io::Error::last_os_error());
        done += more.unsigned_abs();
    }
}

//! The result of a C call: -1 and errno become [`io::Error`], and EINTR is tried again where the caller's contract
//! is that a signal does not show.

use std::io;

/// What `errno` says of the call that just returned -1.
///
/// Read it on the very next line: any call in between, a destructor too, may overwrite it.
#[must_use]
pub fn last() -> io::Error {
    io::Error::last_os_error()
}

/// The C convention for `int`: -1 is an error whose number stands in errno, anything else is the result.
///
/// # Errors
/// errno, when `result` is -1.
#[inline]
pub fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 { Err(last()) } else { Ok(result) }
}

/// The C convention for `ssize_t`, as the length that it is.
///
/// # Errors
/// errno, when `result` is negative.
#[inline]
pub fn check_len(result: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| last())
}

/// Calls again for as long as a signal interrupts (EINTR).
///
/// # Errors
/// Whatever `call` returns other than EINTR.
#[inline]
pub fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.raw_os_error() == Some(libc::EINTR) => {}
            done => return done,
        }
    }
}

/// Whether `error` carries exactly this errno.
#[must_use]
#[inline]
pub fn is(error: &io::Error, errno: libc::c_int) -> bool {
    error.raw_os_error() == Some(errno)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_hides_eintr_and_nothing_else() {
        let mut left = 3;
        let done = retry(|| {
            left -= 1;
            Err::<(), _>(io::Error::from_raw_os_error(if left > 0 { libc::EINTR } else { libc::EBADF }))
        });
        assert_eq!((left, done.unwrap_err().raw_os_error()), (0, Some(libc::EBADF)));
    }

    #[test]
    fn a_length_is_a_length_and_minus_one_is_errno() {
        assert_eq!(check_len(7).unwrap(), 7);
        assert!(check_len(-1).is_err());
        assert!(check(-1).is_err());
        assert_eq!(check(0).unwrap(), 0);
    }
}

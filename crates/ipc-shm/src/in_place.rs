//! What can live in memory that several processes map: made once, where it stays, and used there by all of them.
//!
//! Such a value is never moved, copied, dropped or sent; it has no pointer, no handle and no destructor. zerocopy cannot
//! say this: with its traits safe code could forge a lock from bytes.
#![expect(unsafe_code, reason = "the traits promise what the compiler cannot check")]

use std::sync::atomic::{
    AtomicBool, AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicIsize, AtomicU8, AtomicU16, AtomicU32,
    AtomicU64, AtomicUsize,
};

use crate::{Refusal, Result};

/// A value that is initialised in place and shared by reference between processes: atomics, the locks of this crate,
/// arrays of them, and structures of them made with [`in_place!`](crate::in_place).
///
/// # Safety
/// - Zeroed memory on which [`InPlace::init`] returned `Ok` is a valid `Self` at that address, and at each address where
///   another process maps it.
/// - All that changes through `&Self` changes in ways that several processes may use at once: atomics, or what a lock
///   guards. There is no pointer, no descriptor, no thread id of which another process would make use, and no `Drop`.
/// - [`InPlace::check`] accepts what `init` made and what use makes of it.
pub unsafe trait InPlace: Send + Sync + Sized {
    /// What the type is, told from others of the same size and alignment. It holds for one layout: change it with that.
    const KIND: u64;

    /// Makes the value. Nobody else uses the place yet.
    ///
    /// # Errors
    /// [`crate::Error::System`], where the system lacks what the value needs.
    ///
    /// # Safety
    /// `place` is aligned, valid for reads and writes of `Self`, zeroed, and stays where it is as long as anybody uses it.
    unsafe fn init(place: *mut Self) -> Result<()>;

    /// Whether what stands at `place` can be what [`InPlace::init`] made; others may use it meanwhile.
    ///
    /// # Errors
    /// [`Refusal::Type`].
    ///
    /// # Safety
    /// `place` is aligned and valid for reads and writes of `Self`.
    unsafe fn check(place: *const Self) -> Result<(), Refusal> {
        let _ = place;
        Ok(())
    }

    /// Whether a thread of this process still holds a lock in it, as a forgotten guard does. The memory must then stay
    /// mapped, because the C library's list leads through it.
    ///
    /// # Safety
    /// As [`InPlace::check`].
    unsafe fn is_held(place: *const Self) -> bool {
        let _ = place;
        false
    }
}

/// An [`InPlace`] value for which every bit pattern is harmless, whoever writes it and whenever: its calls are memory-safe
/// whatever the other processes do. Atomics, [`Semaphore`](crate::Semaphore), [`Event`](crate::Event),
/// [`Barrier`](crate::Barrier).
///
/// # Safety
/// As long as all accesses by others are atomic or by the kernel, no sequence of values that appears in the place leads
/// to undefined behaviour.
pub unsafe trait AnyBits: InPlace {}

/// The hash (FNV-1a) of what a type is called and made of: for [`InPlace::KIND`].
#[must_use]
pub const fn kind(name: &str, parts: &[u64]) -> u64 {
    const fn mix(mut hash: u64, bytes: &[u8]) -> u64 {
        let mut rest = bytes;
        while let [byte, tail @ ..] = rest {
            hash = (hash ^ *byte as u64).wrapping_mul(0x0100_0000_01b3);
            rest = tail;
        }
        hash
    }
    let mut hash = mix(0xcbf2_9ce4_8422_2325, name.as_bytes());
    let mut rest = parts;
    while let [part, tail @ ..] = rest {
        hash = mix(hash, &part.to_le_bytes());
        rest = tail;
    }
    hash
}

macro_rules! atomics {
    ($($atomic:ident),*) => {$(
        // SAFETY: zeroed memory is a valid atomic, which several processes may change at once; it has no pointer.
        unsafe impl InPlace for $atomic {
            const KIND: u64 = kind(stringify!($atomic), &[]);

            unsafe fn init(_: *mut Self) -> Result<()> {
                Ok(())
            }
        }
    )*};
}

atomics!(AtomicBool, AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicIsize);
atomics!(AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize);

macro_rules! any_bits {
    ($($atomic:ident),*) => {$(
        // SAFETY: every bit pattern is a number.
        unsafe impl AnyBits for $atomic {}
    )*};
}

// Not AtomicBool, of whose bit patterns two are bools.
any_bits!(AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicIsize);
any_bits!(AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize);

// SAFETY: each element is made and checked in its own place, which lies within the array's.
unsafe impl<T: InPlace, const N: usize> InPlace for [T; N] {
    const KIND: u64 = kind("array", &[T::KIND, N as u64]);

    unsafe fn init(place: *mut Self) -> Result<()> {
        for index in 0..N {
            // SAFETY: the caller's, for an element of the array at `place`.
            unsafe { T::init(place.cast::<T>().wrapping_add(index)) }?;
        }
        Ok(())
    }

    unsafe fn check(place: *const Self) -> Result<(), Refusal> {
        for index in 0..N {
            // SAFETY: the caller's, for an element of the array at `place`.
            unsafe { T::check(place.cast::<T>().wrapping_add(index)) }?;
        }
        Ok(())
    }

    unsafe fn is_held(place: *const Self) -> bool {
        // SAFETY: the caller's, for an element of the array at `place`.
        (0..N).any(|index| unsafe { T::is_held(place.cast::<T>().wrapping_add(index)) })
    }
}

// SAFETY: every bit pattern is harmless in each element.
unsafe impl<T: AnyBits, const N: usize> AnyBits for [T; N] {}

/// Declares a structure of [`InPlace`] fields, laid out as C would (`repr(C)`), and makes it [`InPlace`]. With `safe` in
/// front of `struct` each field must be [`AnyBits`], and so is the whole.
///
/// ```
/// use std::sync::atomic::AtomicU64;
/// use ipc_shm::{Event, Mutex, Semaphore};
///
/// ipc_shm::in_place! {
///     /// What producers and consumers share.
///     pub struct Queue {
///         items: Semaphore,
///         state: Mutex<[u64; 32]>,
///     }
/// }
///
/// ipc_shm::in_place! {
///     /// Needs no trust: all of it is harmless whatever is written there.
///     pub safe struct Progress {
///         /// How far the work is.
///         pub done: AtomicU64,
///         finished: Event,
///     }
/// }
/// ```
#[macro_export]
macro_rules! in_place {
    ($(#[$attribute:meta])* $visibility:vis safe struct $name:ident { $($body:tt)* }) => {
        $crate::in_place! { $(#[$attribute])* $visibility struct $name { $($body)* } }
        $crate::in_place! { @any_bits $name { $($body)* } }
    };
    ($(#[$attribute:meta])* $visibility:vis struct $name:ident {
        $($(#[$doc:meta])* $field_visibility:vis $field:ident: $type:ty),+ $(,)?
    }) => {
        $(#[$attribute])*
        #[derive(Debug)]
        #[repr(C)]
        $visibility struct $name { $($(#[$doc])* $field_visibility $field: $type),+ }

        #[expect(unsafe_code, reason = "each field keeps the contract of InPlace, and so does the whole")]
        const _: () = {
            // SAFETY: each field is InPlace, made and checked in its own place, and the whole is laid out as C would.
            unsafe impl $crate::InPlace for $name {
                const KIND: u64 = $crate::kind(
                    concat!($(stringify!($field), ","),+),
                    &[$(<$type as $crate::InPlace>::KIND),+],
                );

                unsafe fn init(place: *mut Self) -> $crate::Result<()> {
                    $({
                        // SAFETY: the caller's: `place` is valid for the whole structure.
                        let field = unsafe { &raw mut (*place).$field };
                        // SAFETY: the caller's, for one field of it.
                        unsafe { <$type as $crate::InPlace>::init(field) }?;
                    })+
                    Ok(())
                }

                unsafe fn check(place: *const Self) -> $crate::Result<(), $crate::Refusal> {
                    $({
                        // SAFETY: the caller's: `place` is valid for the whole structure.
                        let field = unsafe { &raw const (*place).$field };
                        // SAFETY: the caller's, for one field of it.
                        unsafe { <$type as $crate::InPlace>::check(field) }?;
                    })+
                    Ok(())
                }

                unsafe fn is_held(place: *const Self) -> bool {
                    false $(|| {
                        // SAFETY: the caller's: `place` is valid for the whole structure.
                        let field = unsafe { &raw const (*place).$field };
                        // SAFETY: the caller's, for one field of it.
                        unsafe { <$type as $crate::InPlace>::is_held(field) }
                    })+
                }
            }
        };
    };
    (@any_bits $name:ident {
        $($(#[$doc:meta])* $field_visibility:vis $field:ident: $type:ty),+ $(,)?
    }) => {
        #[expect(unsafe_code, reason = "each field is AnyBits, and so is the whole")]
        const _: () = {
            const fn each_field<T: $crate::AnyBits>() {}
            $(each_field::<$type>();)+
            // SAFETY: each field is AnyBits, checked in the line above.
            unsafe impl $crate::AnyBits for $name {}
        };
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::in_place! {
        struct Pair { first: AtomicU32, second: [AtomicU64; 2] }
    }

    crate::in_place! {
        /// The same size, other names.
        struct Other { first: AtomicU32, third: [AtomicU64; 2] }
    }

    #[test]
    fn kinds_tell_names_parts_and_lengths_apart() {
        assert_ne!(Pair::KIND, Other::KIND);
        assert_ne!(<[AtomicU32; 2]>::KIND, <[AtomicU32; 3]>::KIND);
        assert_ne!(AtomicU32::KIND, AtomicI32::KIND);
        assert_eq!(kind("a", &[]), 0xaf63_dc4c_8601_ec8c, "FNV-1a of \"a\"");
    }
}

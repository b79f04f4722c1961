//! The disposition of a signal: what is in force, and what shall be, once registrations and the former one are taken
//! together. It belongs to the process; exec resets it, fork copies it.
#![expect(unsafe_code, reason = "sigaction with a handler")]

use ipc_sys::disposition::{Disposition as Sys, disposition as look, set_disposition};

use crate::handler::{Effect, Page, Table, handle};
use crate::registry::{replace_table, table};
use crate::{Error, Result, Signal};

/// What is in force for a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Disposition {
    /// SIG_DFL.
    Default,
    /// SIG_IGN.
    Ignored,
    /// A handler of this crate.
    Ours,
    /// A handler of somebody else.
    Foreign,
}

/// sigaction(2): what is in force for `signal`.
///
/// # Errors
/// [`Error::Refused`] for the two that the C library keeps to itself.
#[doc(alias = "sigaction")]
pub fn disposition(signal: Signal) -> Result<Disposition> {
    Ok(match in_force(signal)? {
        now if now.is_default() => Disposition::Default,
        now if now.is_ignore() => Disposition::Ignored,
        now if now.is(handle) => Disposition::Ours,
        _ => Disposition::Foreign,
    })
}

pub(crate) fn in_force(signal: Signal) -> Result<Sys> {
    look(signal.number()).map_err(|_| Error::Refused { signal, reason: "the C library keeps it to itself" })
}

/// Whether what we put in force has not been given back: then what stands there now, ours or that of somebody who came
/// after us, is not a former one.
pub(crate) fn is_installed(signal: Signal, table: &Table) -> bool {
    table.buried || !table.entries.is_empty() || in_force(signal).is_ok_and(|now| now.is(handle))
}

/// Puts a table and what follows from it in force. With the lock held.
pub(crate) fn apply(page: Page, signal: Signal, mut next: Table) -> Result<()> {
    let now = in_force(signal)?;
    // Only what we put there last is replaced; what somebody else has put over it since is his, and leads to ours.
    let ours = match table(signal).filter(|table| is_installed(signal, table)) {
        None => true,
        Some(last) => {
            let put = wanted(&last);
            next.buried = last.buried || put.is(handle);
            now.is(handle) || now.address() == put.address()
        }
    };
    next.buried &= !ours;
    let wanted = wanted(&next);
    let restores = next.entries.is_empty();
    // The former one comes back before the table is empty, and the table is there before the handler is.
    if restores && ours {
        put(signal, &wanted)?;
    }
    replace_table(page, signal, next);
    if !restores && ours {
        put(signal, &wanted)?;
    }
    Ok(())
}

/// The disposition that follows from a table.
fn wanted(table: &Table) -> Sys {
    let former = &table.former;
    if !table.entries.iter().any(|entry| entry.effect.is_active()) {
        return match table.entries.last().map(|entry| &entry.effect) {
            Some(Effect::Ignore) => Sys::ignore(),
            Some(_) => Sys::default_action(),
            None => *former,
        };
    }
    let chained = !former.is_default() && !former.is_ignore();
    let restart = table.entries.iter().all(|entry| entry.restart)
        && (!chained || former.flags() & libc::SA_RESTART != 0);
    // Children that nobody waits for go on vanishing.
    let mut flags = former.flags() & libc::SA_NOCLDWAIT;
    let mut mask = table.entries.iter().fold(0, |mask, entry| mask | entry.mask);
    if restart {
        flags |= libc::SA_RESTART;
    }
    if chained {
        flags |= former.flags() & libc::SA_ONSTACK;
        mask |= former.mask();
    } else {
        // A thread may have a stack that is too short for any handler: then it has another for them.
        flags |= libc::SA_ONSTACK;
    }
    Sys::handler(handle, flags, mask)
}

fn put(signal: Signal, wanted: &Sys) -> Result<()> {
    // SAFETY: SIG_DFL, SIG_IGN, our handler, which is async-signal-safe, or one that was in force before us.
    unsafe { set_disposition(signal.number(), wanted) }.map(drop).map_err(Error::system("sigaction"))
}

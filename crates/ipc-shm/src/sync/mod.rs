//! What processes wait on: words of our own, and the C library's robust mutex with what is built from it.

mod event;
mod semaphore;
mod word;

pub use event::Event;
pub use semaphore::Semaphore;

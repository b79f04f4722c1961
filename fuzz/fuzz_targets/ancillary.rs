//! Control data as a kernel, or a mistaken one, may hand it over: any bytes are walked over without a panic, in whole rows,
//! each inside the memory and after the one before.
#![no_main]

use ipc_sys::socket::control::Items;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut last = 0;
    for item in Items::new(bytes) {
        // The row lies in the memory, behind its header of 16 bytes and behind the row before.
        let at = item.data.as_ptr() as usize - bytes.as_ptr() as usize;
        assert!(at >= last + 16 && at + item.data.len() <= bytes.len());
        assert_eq!(at % 8, 0);
        last = at + item.data.len();
        assert_eq!(item.ints().count(), item.data.len() / 4);
        assert_eq!(item.credentials().is_some(), item.data.len() >= 12);
    }
});

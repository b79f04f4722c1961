//! What holds for every input.

use ipc_uds::{Address, Error};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_address_is_read_as_it_is_shown(text in "[^@\0][^\0]{0,25}") {
        for address in [Address::path(&text), Address::abstract_name(&text)] {
            prop_assert_eq!(address.to_string().parse::<Address>().ok(), Some(address));
        }
    }

    #[test]
    fn any_text_is_an_address_or_is_refused(text in ".*") {
        match text.parse::<Address>() {
            Ok(address) => prop_assert!(address.as_path().is_some() != address.as_abstract_name().is_some()),
            Err(Error::InvalidAddress { .. }) => {}
            Err(other) => prop_assert!(false, "{other}"),
        }
    }
}

//! Sets, names and schedules for all inputs, against a model.
#![expect(clippy::unwrap_used, reason = "in a test a panic is how it fails")]

use std::collections::BTreeSet;

use ipc_signal::{Pid, Signal, SignalSet, Value};
use proptest::prelude::*;

fn signals() -> impl Strategy<Value = Vec<i32>> {
    prop::collection::vec(1_i32..=64, 0..20)
}

fn set(numbers: &[i32]) -> (SignalSet, BTreeSet<i32>) {
    let ours = numbers.iter().map(|number| Signal::from_number(*number).unwrap()).collect();
    (ours, numbers.iter().copied().collect())
}

fn numbers(set: SignalSet) -> BTreeSet<i32> {
    set.iter().map(Signal::number).collect()
}

proptest! {
    #[test]
    fn a_set_is_a_set(a in signals(), b in signals(), one in 1_i32..=64) {
        let ((ours_a, model_a), (ours_b, model_b)) = (set(&a), set(&b));
        prop_assert_eq!(numbers(ours_a | ours_b), &model_a | &model_b);
        prop_assert_eq!(numbers(ours_a & ours_b), &model_a & &model_b);
        prop_assert_eq!(numbers(!ours_a), &(1..=64).collect() - &model_a);
        prop_assert_eq!((ours_a.len(), ours_a.is_empty()), (model_a.len(), model_a.is_empty()));
        let (mut ours, mut model) = (ours_a, model_a);
        let signal = Signal::from_number(one).unwrap();
        prop_assert_eq!(ours.contains(signal), model.contains(&one));
        ours.insert(signal);
        model.insert(one);
        prop_assert_eq!(numbers(ours), model.clone());
        ours.remove(signal);
        model.remove(&one);
        prop_assert_eq!(numbers(ours), model);
    }

    #[test]
    fn any_text_is_a_signal_or_an_error(text in "\\PC{0,12}") {
        if let Ok(signal) = text.parse::<Signal>() {
            prop_assert_eq!(signal.to_string().parse::<Signal>().ok().map(Signal::number), Some(signal.number()));
        }
    }

    #[test]
    fn names_around_the_real_time_ones(base in "(SIG|sig)?RTM(IN|AX)", sign in "[-+]{0,2}", offset in 0_u32..40) {
        if let Ok(signal) = format!("{base}{sign}{offset}").parse::<Signal>() {
            prop_assert!(signal.realtime_offset().is_some() && sign.len() == 1);
        }
    }

    #[test]
    fn any_number_is_a_pid_or_an_error(number in any::<u32>()) {
        let pid = Pid::try_from(number);
        prop_assert_eq!(pid.is_ok(), number > 0 && i32::try_from(number).is_ok());
        prop_assert_eq!(number.to_string().parse::<Pid>().ok(), pid.ok());
    }

    #[test]
    fn a_value_is_an_int_and_a_pointer(int in any::<i32>(), word in any::<u64>()) {
        prop_assert_eq!(Value::from(int).as_i32(), int);
        prop_assert_eq!(Value::from(word).as_u64(), word);
        prop_assert_eq!(&Value::from(word).as_i32().to_le_bytes()[..], &word.to_le_bytes()[..4]);
    }
}

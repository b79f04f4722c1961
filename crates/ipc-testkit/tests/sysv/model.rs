//! Row B4: semaphores with undo, by several processes that are killed, against a model of them.

use ipc_sysv::{RemoveOnDrop, SemaphoreSet};
use ipc_testkit::report::seed;
use ipc_testkit::{Peer, peer, proof, repetitions};

const LEN: usize = 3;
const MAX: i32 = 32_767;

/// The values, and what each living process would get back.
#[derive(Clone, Default)]
struct Model {
    values: [i32; LEN],
    undos: Vec<[i32; LEN]>,
}

impl Model {
    /// Several operations, all or none.
    fn operate(&mut self, process: usize, ops: &[(usize, i32, bool)]) -> &'static str {
        let mut after = self.clone();
        for &(index, change, undo) in ops {
            let value = after.values[index] + change;
            if value < 0 || change == 0 && value != 0 {
                return "would block";
            }
            let undone = after.undos[process][index] - if undo { change } else { 0 };
            if value > MAX || !(-MAX - 1..=MAX).contains(&undone) {
                return "out of range";
            }
            after.values[index] = value;
            after.undos[process][index] = undone;
        }
        *self = after;
        "ok"
    }

    fn set(&mut self, index: usize, value: i32) {
        self.values[index] = value;
        self.undos.iter_mut().for_each(|undos| undos[index] = 0);
    }

    /// At a process's end, however it comes: what goes beyond the range is cut.
    fn end(&mut self, process: usize) {
        for (value, undo) in self.values.iter_mut().zip(self.undos.remove(process)) {
            *value = (*value + undo).clamp(0, MAX);
        }
    }

    /// The same without the cut, as one would think.
    fn end_exactly(&self, process: usize) -> [i32; LEN] {
        let mut values = self.values;
        values.iter_mut().zip(self.undos[process]).for_each(|(value, undo)| *value += undo);
        values
    }
}

#[test]
fn b4_undo_is_what_the_model_says() {
    let seed = seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let (sequences, mut steps, mut kills, mut cut) = (repetitions(250, 5000), 0, 0, 0);
    for _ in 0..sequences {
        let first: [u16; LEN] =
            std::array::from_fn(|_| if random.bool() { 32_767 } else { random.u16(..10) });
        let set = RemoveOnDrop::new(SemaphoreSet::create(crate::key(), &first).unwrap());
        let mut processes: Vec<Peer> =
            (0..random.usize(1..=4)).map(|_| peer!("peer-sysv", "operate", set.id())).collect();
        processes.iter_mut().for_each(|process| process.expect("ready"));
        let mut model = Model { values: first.map(i32::from), undos: vec![[0; LEN]; processes.len()] };
        while !processes.is_empty() {
            let at = random.usize(..processes.len());
            steps += 1;
            let index = random.usize(..LEN);
            match random.u8(..20) {
                0 | 1 => {
                    cut += usize::from(
                        model.end_exactly(at) != {
                            model.end(at);
                            model.values
                        },
                    );
                    let mut process = processes.remove(at);
                    if random.bool() {
                        process.kill();
                    } else {
                        process.finish();
                    }
                    kills += 1;
                }
                2 => {
                    let value = random.i32(0..=MAX);
                    processes[at].tell(format_args!("s {index} {value}"));
                    processes[at].expect("ok");
                    model.set(index, value);
                }
                3 => {
                    let values: [i32; LEN] = std::array::from_fn(|_| random.i32(0..=MAX));
                    processes[at].tell(format_args!("a {} {} {}", values[0], values[1], values[2]));
                    processes[at].expect("ok");
                    values.into_iter().enumerate().for_each(|(index, value)| model.set(index, value));
                }
                _ => {
                    let ops: Vec<_> = (0..random.usize(1..=3)).map(|_| op(&mut random)).collect();
                    let text: Vec<_> =
                        ops.iter().map(|(i, n, u)| format!("{i} {n} {}", i32::from(*u))).collect();
                    processes[at].tell(format_args!("o {}", text.join(" ")));
                    let expected = model.operate(at, &ops);
                    assert_eq!(processes[at].hear(), expected, "{ops:?}, seed {seed}");
                }
            }
            let values: Vec<i32> = set.values().unwrap().into_iter().map(i32::from).collect();
            assert_eq!(values, model.values, "seed {seed}");
        }
    }
    assert!(cut > 0);
    proof!(
        "B4",
        "{sequences} sequences, {steps} steps, {kills} ends, each value as the model; naive model (undo is exact) wrong {cut} times; seed {seed}"
    );
}

/// Mostly small changes, some that reach the ends of the range.
fn op(random: &mut fastrand::Rng) -> (usize, i32, bool) {
    let change = match random.u8(..8) {
        0 => 0,
        1 => MAX,
        2 => -MAX,
        _ => random.i32(-5..=5),
    };
    (random.usize(..LEN), change, random.bool())
}

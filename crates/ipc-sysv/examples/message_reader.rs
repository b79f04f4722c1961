//! Takes texts from a message queue and removes the queue. Start this or `message_sender` first, as you like: both make the
//! queue if it is missing.

use std::io::Write;
use std::process::ExitCode;

use ipc_sysv::{Error, Key, MessageBuffer, MessageQueue, Select};

#[path = "classic/key.rs"]
mod key;
#[path = "classic/turns.rs"]
mod turns;

const HELP: &str = "
Usage: message_reader PATH | message_reader --key N

Takes a message from the queue with the key ftok(PATH, 'a'), prints its text up to the first NUL, and removes the queue.

  --key N         the queue with this key, and no PATH
  --type T        only messages of this type (1); 0: of any; negative: of the lowest type up to -T
  --keep          leaves the queue there
  --count N       so many messages (1)
  --interval MS   the time between two (1000)
";

fn main() -> ExitCode {
    ipc_example::main(HELP, |arguments| {
        let pace = arguments.pace()?;
        let keep = arguments.flag("--keep");
        let select = Select::from(arguments.option::<i64>("--type")?.unwrap_or(1));
        let key: Option<Key> = arguments.option("--key")?;
        let key = match key {
            Some(key) => key::shared(key)?,
            None => key::of_file(&arguments.path("PATH")?, b'a')?,
        };
        arguments.finish()?;

        let turns = turns::Turns::new(pace.left().or(Some(1)), &pace)?;
        let (queue, _) = MessageQueue::open_or_create(key)?;
        let mut buffer = MessageBuffer::new();
        for () in turns {
            let message = match queue.recv_interruptible(select, &mut buffer) {
                Err(Error::Interrupted { .. }) => break,
                received => received?,
            };
            let text = message.body().split(|byte| *byte == 0).next().unwrap_or_default();
            let mut output = std::io::stdout().lock();
            output.write_all(text)?;
            output.write_all(b"\n")?;
            output.flush()?;
        }
        if !keep {
            queue.remove()?;
        }
        Ok(())
    })
}

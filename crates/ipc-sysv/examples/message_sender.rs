//! Puts a text into a message queue. Start this or `message_reader` first, as you like: both make the queue if it is
//! missing.

use std::process::ExitCode;

use ipc_sysv::{Key, MessageQueue, MessageType};

#[path = "classic/key.rs"]
mod key;

const HELP: &str = "
Usage: message_sender PATH [TEXT] | message_sender --key N [TEXT]

Sends TEXT (hello1), at most 127 bytes, padded to 128 bytes with NUL, to the queue with the key ftok(PATH, 'a').

  --key N         the queue with this key, and no PATH
  --type T        the message's type, 1 or more (1)
  --count N       so many times (1)
  --interval MS   the time between two (1000)
";

fn main() -> ExitCode {
    ipc_example::main(HELP, |arguments| {
        let pace = arguments.pace()?;
        let kind = arguments.option_with("--type", |text| {
            let number = text.parse().map_err(|error: std::num::ParseIntError| error.to_string())?;
            MessageType::new(number).ok_or_else(|| "a type is 1 or more".to_owned())
        })?;
        let key: Option<Key> = arguments.option("--key")?;
        let key = match key {
            Some(key) => key::shared(key)?,
            None => key::of_file(&arguments.path("PATH")?, b'a')?,
        };
        let text = arguments.optional_path()?.unwrap_or_else(|| "hello1".into()).into_os_string();
        arguments.finish()?;
        let text = text.as_encoded_bytes();
        let mut body = [0; 128];
        match body.get_mut(..text.len()) {
            Some(start) if text.len() < 128 => start.copy_from_slice(text),
            _ => return Err("TEXT is longer than 127 bytes".into()),
        }

        let (queue, _) = MessageQueue::open_or_create(key)?;
        let turns = pace.left().map_or(Ok(1), usize::try_from)?;
        for () in pace.take(turns) {
            queue.send(kind.unwrap_or_default(), &body)?;
        }
        Ok(())
    })
}

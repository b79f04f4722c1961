//! Shows the message queues, segments and semaphore sets of this IPC namespace, as util-linux's `ipcs` does. It needs no
//! other side.

use std::fs;
use std::process::ExitCode;

const HELP: &str = "
Usage: ipcs [-q] [-m] [-s]

Shows message queues (-q), shared memory segments (-m) and semaphore arrays (-s); without an option, all of them.
";

fn main() -> ExitCode {
    ipc_example::main(HELP, |arguments| {
        let mut wanted = ["-q", "-m", "-s"].map(|option| arguments.flag(option));
        arguments.finish()?;
        if wanted == [false; 3] {
            wanted = [true; 3];
        }
        let [queues, segments, semaphores] = wanted;
        let users = Users::read();
        println!();
        if queues {
            println!("------ Message Queues --------");
            println!("key        msqid      owner      perms      used-bytes   messages    ");
            for queue in ipc_sysv::queues()? {
                let (identity, mode) = (queue.identity, queue.permissions.mode);
                let owner = users.name(queue.permissions.uid);
                let (key, id) = (identity.key.to_string(), identity.id);
                println!(
                    "{key:<10} {id:<10} {owner:<10.10} {mode:<10o} {:<12} {:<12}",
                    queue.bytes, queue.messages
                );
            }
            println!();
        }
        if segments {
            println!("------ Shared Memory Segments --------");
            println!("key        shmid      owner      perms      bytes      nattch     status      ");
            for segment in ipc_sysv::segments()? {
                let (identity, mode) = (segment.identity, segment.permissions.mode);
                let owner = users.name(segment.permissions.uid);
                let (key, id) = (identity.key.to_string(), identity.id);
                let removed = if segment.is_removed { "dest" } else { "" };
                let locked = if segment.is_locked { "locked" } else { "" };
                let (len, attached) = (segment.len, segment.attached);
                println!(
                    "{key:<10} {id:<10} {owner:<10.10} {mode:<10o} {len:<10} {attached:<10} {removed:<6} {locked:<6}"
                );
            }
            println!();
        }
        if semaphores {
            println!("------ Semaphore Arrays --------");
            println!("key        semid      owner      perms      nsems     ");
            for set in ipc_sysv::semaphores()? {
                let (identity, mode) = (set.identity, set.permissions.mode);
                let owner = users.name(set.permissions.uid);
                let (key, id) = (identity.key.to_string(), identity.id);
                println!("{key:<10} {id:<10} {owner:<10.10} {mode:<10o} {:<10}", set.len);
            }
            println!();
        }
        Ok(())
    })
}

/// The names of /etc/passwd.
struct Users(String);

impl Users {
    fn read() -> Self {
        Self(fs::read_to_string("/etc/passwd").unwrap_or_default())
    }

    /// The user's name, or else the number.
    fn name(&self, uid: u32) -> String {
        let number = uid.to_string();
        let named = self.0.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)? == number).then(|| name.to_owned())
        });
        named.unwrap_or(number)
    }
}

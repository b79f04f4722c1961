//! The client of both pairs: sends each line of standard input and prints the answer.

use std::io::{self, BufRead, Read, Write};

use ipc_example::Result;

/// Talks until the end of standard input.
pub(crate) fn converse(mut server: impl Read + Write) -> Result {
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line)? > 0 {
        if line.last() != Some(&b'\n') {
            line.push(b'\n');
        }
        // No more than the server reads at once: it answers before it reads on, and both would wait for the other.
        for part in line.chunks(4096) {
            server.write_all(part)?;
            let mut left = part.len();
            while left > 0 {
                left -= print_some(&mut server, &mut output, left)?;
            }
        }
        output.flush()?;
        line.clear();
    }
    Ok(())
}

/// Prints what of the answer is there, and says how much it was.
fn print_some(server: &mut impl Read, output: &mut impl Write, left: usize) -> Result<usize> {
    let mut bytes = [0; 4096];
    let room = left.min(bytes.len());
    let len = server.read(bytes.get_mut(..room).unwrap_or_default())?;
    if len == 0 {
        return Err("the server has gone".into());
    }
    output.write_all(bytes.get(..len).unwrap_or_default())?;
    Ok(len)
}

//! The probe as a program: each line of its input is a job, and each line of its output an answer.

use std::io::{self, BufRead as _, Write as _};
use std::time::Instant;

fn main() -> io::Result<()> {
    let start = Instant::now();
    let clock = || u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let mut output = io::stdout().lock();
    for job in io::stdin().lock().lines() {
        writeln!(output, "{}", jwt_gate_probe::answer(job?.as_bytes(), &clock))?;
        output.flush()?;
    }
    Ok(())
}

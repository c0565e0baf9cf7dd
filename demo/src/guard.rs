//! Child processes that die with their parent, however the parent dies.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

/// A running child process. Dropping it kills and reaps it.
///
/// `Drop` does not run on a signal, on `exit`, or for a `static`. So each child has
/// a watchdog: a shell that reads from a pipe which only this process holds. The
/// pipe ends when this process is gone, whatever the reason, and the shell kills
/// the child. Unlike `PR_SET_PDEATHSIG` this needs no unsafe code, works on macOS,
/// and does not depend on the thread that started the child.
#[derive(Debug)]
pub struct Guarded {
    child: Child,
    watchdog: Child,
}

impl Guarded {
    /// Starts the command. Ctrl-C in the terminal reaches this process only, and
    /// the child through it.
    pub fn spawn(command: &mut Command) -> io::Result<Self> {
        let mut child = command.process_group(0).spawn()?;
        let watchdog = Command::new("sh")
            .args(["-c", r#"read -r _; kill -9 "$0""#])
            .arg(child.id().to_string())
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match watchdog {
            Ok(watchdog) => Ok(Self { child, watchdog }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its standard input and output, if they are pipes and nobody has taken them.
    pub fn take_pipes(&mut self) -> Option<(ChildStdin, ChildStdout)> {
        self.child.stdin.take().zip(self.child.stdout.take())
    }

    /// The exit status, if the child has ended.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // The watchdog first: it must not kill a stranger who got the child's id.
        for process in [&mut self.watchdog, &mut self.child] {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

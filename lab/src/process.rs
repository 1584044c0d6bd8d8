//! What a child process has used, as Linux counts it.

use std::fs;

/// The peak resident memory of a child process so far, in bytes; 0 once it has ended.
///
/// Between `vfork` and `exec` a child has this process's memory, and `Command::spawn` may return a moment before that ends.
/// So nothing counts until the child is another program.
#[must_use]
pub fn peak_memory(process: u32) -> u64 {
    let program = |process: &str| fs::read_link(format!("/proc/{process}/exe")).ok();
    let child = program(&process.to_string());
    if child.is_none() || child == program("self") {
        return 0;
    }
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kibibytes.unwrap_or_default() << 10
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::peak_memory;

    #[test]
    fn only_another_program_counts() {
        assert_eq!(peak_memory(std::process::id()), 0);
        let mut child = Command::new("sleep").arg("10").spawn().expect("a child");
        let peak = || peak_memory(child.id());
        let seen = (0..1000).map(|_| peak()).find(|peak| *peak > 0);
        child.kill().expect("our own child");
        child.wait().expect("our own child");
        let seen = seen.expect("a program uses memory");
        assert!(seen < 64 << 20, "{seen} bytes");
        assert_eq!(peak_memory(child.id()), 0, "it has ended");
    }
}

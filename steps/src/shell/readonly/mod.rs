//! Which shell commands only read.
//!
//! A command counts as reading only if it can be *shown* to read; whatever is not understood may change something. The
//! list of programs and flags is data: `commands.yaml`.
//!
//! What is taken for granted, and therefore not shown here:
//! - the shell is dash, bash or busybox (for ksh and zsh `[ "$x" -gt 5 ]` evaluates what `x` says), whatever the user's login shell is, not interactive, without `BASH_ENV` and without functions exported into it (`BASH_FUNC_ls%%`);
//! - the output is no terminal, so that no program starts a pager (git, journalctl, systemctl, `dmesg -H`);
//! - a program's name leads to the program of that name (`PATH` is sound), and the program is built as its manual says;
//! - its configuration is the user's: a git `core.fsmonitor` or text converter, a kubectl credential plugin, a Slurm plug-in or
//!   an nsswitch module runs code that is not looked at here;
//! - traces of reading do not count: access times, git's refreshed index, kubectl's discovery cache, sort's temporary files;
//! - devices whose mere opening acts (`/dev/watchdog`, a tape) are refused by name, but a symbolic link, a relative path or
//!   a variable's value may still lead to one;
//! - a list of device paths is refused where it is written (`for d in /dev/sd*`), whatever is done with the names;
//! - reading may cost: `du /` reads, and a node of the cluster may suffer from it.

mod command;
mod conditions;
mod decode;
mod languages;
mod list;
mod loops;
mod printf;
mod script;
#[cfg(test)]
mod tests;
mod variables;
mod verdict;
mod word;

pub(crate) use verdict::{Verdict, of_argv, of_script};
